// Package bench is the benchmark harness: it runs scenarios over a matrix of
// settings and inputs, one after the other, and returns a report.
//
// Nothing of what it measures leaves the machine but to the brokers that it is
// told, and no value stands in a report.
package bench
