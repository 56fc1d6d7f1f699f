// Package keystore runs the stores of keys against the databases that they are
// for, and breaks those: servers are killed, writers are killed between any two
// steps, backups of yesterday are put back.
//
// The servers are those of package vaults, with its environment: a test whose
// server is not installed skips and says so, FIELDVEIL_REQUIRE_POSTGRES=1 has it
// fail instead, and FIELDVEIL_KEYSTORE_CRASHES says how many times each is killed,
// where the tests' own few are not enough.
//
// What this does not show: the loss of a machine. A killed process has handed
// its bytes to the operating system, and those survive it.
package keystore
