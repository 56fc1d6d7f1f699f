// Package oracle compares what this repository writes with what libraries read
// that nobody here wrote. It has only tests.
package oracle
