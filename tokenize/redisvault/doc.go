// Package redisvault keeps the rows of token vaults in Redis, 6.2 or later, or in
// Valkey, on one server or in a cluster. It is a [tokenize.Store].
//
// # What it promises
//
// A script inserts each row in the server: an index has one row in its scope and
// a token has one row in its scope, however many processes insert at once. Both
// keys of a row are written by one command, so a crash leaves no half of one.
// Keys never expire.
//
// [Store.Insert] sends all rows in one pipeline and takes one round trip for up
// to 1,000 of them, and so does [Store.ByIndex]. [Store.ByToken] takes two round
// trips, and so does [Store.Delete]. Lost connections, and servers that load,
// fail over or move keys, are tried again a few times; that is safe because an
// insert that had succeeded unheard is found by the next one.
//
// # Durability
//
// Redis answers before it has flushed anything to disk, unless it is set to wait.
// Before its first insert, and after each lost connection, a Store looks at the
// server, or all servers of a cluster, and refuses it unless rows stay:
//
//   - maxmemory-policy is noeviction. With any other the server throws rows away
//     when its memory is full, whose tokens are out in the world.
//   - appendonly is yes and appendfsync is always. The answer to an insert then
//     leaves the server after its append-only file was flushed, and commands that
//     arrive together share a flush.
//
// [WithWait] waits for replicas in addition, or for the flush where the server
// flushes every second only. [WithoutDurabilityCheck] is for services that keep
// rows by other means and do not let anybody look.
//
// # What it does not promise
//
// Where a replica takes over, rows that it had not received are lost, while their
// tokens are in use; replication does not wait unless [WithWait] has it wait, and
// even then the replica that is promoted must be one that confirmed. Settings
// that are changed while a connection stands are noticed when it is lost. Rows in
// use are lost too when somebody restores an old backup, flushes the database or
// deletes keys.
//
// A scope lies on one node of a cluster, since its unique tokens need one judge.
// All of it has to fit into memory.
//
// [redis.Ring] is refused: it sends keys elsewhere when a server is away, and a
// value would get a second token there.
//
// # Keys
//
// With the prefix "fieldveil" and the scope S, whose braces and percent signs are
// written as %7B, %7D and %25:
//
//	fieldveil:{S}:i:INDEX  a format byte, the token's length in a byte, the token, the sealed value
//	fieldveil:{S}:t:TOKEN  the index, 32 bytes
//	fieldveil:{S}:n        the number of rows, as decimal digits
//	fieldveil:{S}:w        written by calls that wait for replicas
//
// # Secrets
//
// The server sees no value and no key: the index is a keyed hash and the value is
// sealed. It does see tokens and scopes. No [Error] holds a token, an index or a
// value, but the server's own slow log and MONITOR show arguments, and so does a
// hook that the caller puts into the client.
package redisvault
