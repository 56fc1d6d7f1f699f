// Package fieldcrypt protects tagged fields inside encoded Kafka records.
//
// A [Plan] joins one schema with one [Policy]: it finds the tagged values in
// the encoded bytes and rewrites only those, without decoding the record. An
// [Engine] keeps the plans of all schemas and topics. Most programs need just
// [New], [Engine.Protect] and [Engine.Reveal].
//
// # Guarantees
//
// A tagged field leaves protected, or the call fails with an [*Error]: there is
// no pass-through mode. Every sealed value is bound to its tenant, dataset,
// schema, path and type, so that it is refused in another place. Errors name
// the path, the tag and a code, and never hold data.
//
// What stays visible: that a field is null, and how long its value is.
//
// # Concurrency
//
// Policy, Plan and Engine are safe for concurrent use and take no lock once a
// schema and a key are known.
//
// # Compatibility
//
// Values sealed by any release stay readable by every later release. The format
// is docs/format.md; this package is one implementation of it.
package fieldcrypt
