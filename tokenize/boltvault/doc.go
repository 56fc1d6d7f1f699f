// Package boltvault keeps the rows of token vaults in one file on a local disk,
// for one process at a time: for development, and for a producer that runs
// alone. It is a [tokenize.Store] on bbolt, a B+tree with copy on write.
//
// # Guarantees
//
// What a call returned is on the disk: the file was synced before. Inserts that
// arrive while the disk is busy share the next transaction and its syncs. A
// crash at any moment leaves whole rows, each under its index and its token. A
// full disk or a failed sync is an error, after which the store looks at what
// the file holds and serves again once there is space.
//
// # What it does not promise
//
// The file is one copy of the only thing that turns tokens back into values:
// without a backup its loss is theirs. Two processes cannot share it; the
// second waits for the lock and gives up. Whoever can write the file can take
// rows away and put old ones back. Values in it are sealed, yet it tells how
// many there are in which scope. A network file system does not promise what
// the store builds on.
package boltvault
