// Package scenario measures one cell of a benchmark's matrix: a way of using
// fieldveil with one set of settings, beside its yardstick, in the same rounds.
//
// What a ratio is made of is measured in turns of some milliseconds in memory, and
// of some hundreds with processes, so that what else the machine does hits both.
// No scenario sends a record of the user in clear anywhere: what is compared with
// protected records of his is the same records protected beforehand.
package scenario
