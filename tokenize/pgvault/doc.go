// Package pgvault keeps the rows of token vaults in PostgreSQL, version 13 or
// later.
//
// # What it promises
//
// Two unique indexes of one table decide, in the server: an index has one row in
// its scope and a token has one row in its scope, however many processes insert
// at once. [Store.Insert] returns after its transaction was committed and the
// commit was flushed to disk, whatever synchronous_commit says for the role or
// the database. A lost connection, a killed client or a killed server leaves
// rows that nobody has heard of at worst, never an outcome without its row.
//
// Insert, ByIndex and ByToken take one round trip each, for thousands of rows.
// Deadlocks, serialization failures and lost connections are tried again a few
// times; that is safe because an insert that had succeeded unheard is found by
// the next one.
//
// Before its first insert a Store looks once at the table and the server, and
// refuses a table without these unique indexes, an unlogged one, which a crash
// empties, and a server that does not flush (fsync off).
//
// # What it does not promise
//
// The durability of a commit is that of the server's storage. Where a standby
// takes over, it is that of synchronous replication: without it, a failover can
// lose rows whose tokens are out in the world. Rows in use are lost too when
// somebody restores an old backup.
//
// Reading through a standby can miss rows that are young.
//
// # Secrets
//
// The server sees no value and no key: the index is a keyed hash and the value is
// sealed. It does see tokens. No [Error] holds a token, an index or a value, but
// a tracer that the caller puts into the pool prints the arguments of queries,
// and so does the server's own log where it is set to log parameters.
package pgvault
