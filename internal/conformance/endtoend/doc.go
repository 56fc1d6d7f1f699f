// Package endtoend holds the runs of the whole way, from schema and policy to
// revealed records, against engines that nobody here wrote. It has only tests.
package endtoend
