// Package row measures rivals beside this project and beside the floor, and
// prints what was seen in one form for all of them.
//
// A program of benchmarks/compare makes a [Lane] of each piece of work, gives
// all lanes to [Document.Measure], which times them in turn, round after round, and then
// makes rows of them. So each figure of a row was taken in the same run, on the
// same records, some milliseconds from the figure it is compared with.
//
// [Main] is the whole of such a program: it prints one JSON document on the
// standard output and a table for people on the standard error stream.
package row
