// Package pgstore keeps wrapped keys in PostgreSQL, version 13 or later.
//
// A [Store] is a [datakey.Catalog] of the key blocks of records, and a
// [shred.Store] of the keys of persons, in four tables. A [Ledger] is the
// [shred.Ledger] of those who were forgotten, in two tables that belong in
// another database, on another server, with backups of their own: whoever
// restores the store must not restore the ledger with it.
//
// # What it promises
//
// Unique indexes decide in the server who was first, however many processes
// create the key of one person at once; the tombstone of a person is a state of
// his row, so the statement that would create a new key meets it. A call that
// changes something returns after its transaction was committed and the commit
// was flushed to disk, whatever synchronous_commit says for the role or the
// database. A killed client or server leaves the whole change or nothing of it.
//
// Each call of the interfaces takes one round trip, except for those that visit
// all rows, which take one for every 200 and hold no transaction while they hand
// rows out, and for the first that changes something, which looks first whether
// the tables and the server are fit.
// Deadlocks, serialization failures and lost connections are tried again a few
// times within the time limit of the call. What was asked for happens once all
// the same: an entry of the ledger carries a number that its call has drawn.
//
// Every row has a checksum. A row that does not match it is refused with
// [ErrDamaged], and the other rows are served. Checksums find damage and not
// forgers, whom the seals of the keys keep out.
//
// The database itself refuses to change or delete an entry of the ledger or a
// tombstone, to exchange the key of a person, and to set a mark back, whoever
// asks: triggers do that, and a Store or Ledger refuses tables without them. The
// number, the link and the hash of an entry are set by a trigger too, under a
// lock that lasts until the commit, so that numbers have no gaps. Only the owner of
// the tables can switch triggers off.
//
// Standbys are refused, for reading too. One that lags would say that it has no
// key, or still have the key of a person who was forgotten.
//
// # What it does not promise
//
// The durability of a commit is that of the server's storage, and where a
// standby takes over, that of synchronous replication. A failover without it can
// lose keys whose values are out in the world, and it can lose tombstones, which
// the next replay of the ledger puts back.
//
// Whoever owns the tables can change them. The chain of hashes in the ledger
// shows that something was changed or is missing inside it, and the mark of a
// store that something is missing at its end; neither prevents it.
//
// # What stays after a person was forgotten
//
// [Store.Forget] takes the sealed key out of the row, and from then on no query
// finds it. PostgreSQL keeps bytes longer than rows: the old version of the row
// stays in its page until vacuum has freed it and something else was written
// over it, and the write-ahead log, archived logs, standbys and backups have it
// for as long as they are kept. To overwrite the key before it is deleted would not
// help and is not done: PostgreSQL never changes a row in place, so that an
// update of the key leaves one more version behind.
//
// [Store.Scrub] writes the table anew without its dead versions. For the rest,
// docs/operations.md lists what to set. All of these copies are of keys that are
// sealed under the root key of the tenant, which is wrapped by a KMS: whoever
// finds one needs both.
//
// # Secrets
//
// The server sees no identifier of a person and no key in clear. No [Error]
// holds a row or a part of one. Values are sent as parameters and never in the
// text of a statement; but a tracer that the caller puts into the pool prints
// parameters, and so does the server's own log where it is set to log them.
package pgstore
