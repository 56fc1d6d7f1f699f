// Package census counts keys in topics of a real Kafka broker, and compares the
// counts with what was written: over several KEKs, data keys and tenants, with
// records without headers, plain and damaged ones, in compacted topics, and when
// the process that counts is killed again and again. It also goes the whole way
// from one KEK to the next.
//
// The number of records is 100,000. FIELDVEIL_CENSUS_RECORDS asks for another,
// such as 1000000.
package census
