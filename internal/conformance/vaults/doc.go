// Package vaults runs the stores of token vaults against the databases that they
// are for, and breaks those: servers are killed, writers are killed, disks fill
// up.
//
// [StartPostgres] and [StartRedis] give real servers with nothing in them, on
// unix sockets in a folder of their own, that flush what they acknowledge. They
// are Debian's packages postgresql and redis-server, or whatever the machine has
// under these names. A test whose server is not installed skips and says so; with
// FIELDVEIL_REQUIRE_POSTGRES=1 or FIELDVEIL_REQUIRE_REDIS=1 in the environment it
// fails instead. FIELDVEIL_VAULT_CRASHES says how many times each writer or
// server is killed, where the tests' own few are not enough.
//
// What this does not show: the loss of a machine. A killed process has handed
// its bytes to the operating system, and those survive it.
package vaults
