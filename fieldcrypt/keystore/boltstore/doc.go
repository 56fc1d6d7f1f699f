// Package boltstore keeps keys in one file on a local disk, for one process at a
// time: the wrapped data keys of a [datakey.Catalog], and the roots, persons and
// tombstones of a [shred.Store]. It stands on bbolt, a B+tree with copy on write.
//
// # Guarantees
//
// What a call returned is on the disk: the file was synced before. Calls that
// arrive while the disk is busy share the next transaction and its syncs. A
// crash at any moment leaves each call done or not begun. A full disk or a
// failed sync is an error, after which the store looks at what the file holds
// and serves again once there is space.
//
// Each row holds its format's version and a checksum over itself, its key and
// its table. A row that was torn, flipped or moved is refused with [ErrRow] and
// counted, and the others are served; [Open] looks at all of them. While a row
// of the persons is damaged no new person gets a key, for it might be the
// tombstone of that very person, under a name that was damaged with it.
//
// [Store.Backup] writes a copy while the store is in use. Neither a backup nor
// the file after [Store.Compact] holds anything of a key that was destroyed.
//
// # What it does not promise
//
// The file is one copy of the only thing that opens a person's values: without
// a backup its loss is theirs. Two processes cannot share it; the second waits
// for the lock and gives up. The checksum is no signature: whoever can write the
// file can take keys away and put old ones back. Keys in it are wrapped, yet it
// tells the names of tenants and how many persons each has. Until Compact the
// file may hold, in pages that are free, the wrapped keys of persons who were
// forgotten; and what a disk keeps of a file that was replaced, or a snapshot of
// its file system, is out of its reach. A network file system does not promise
// what the store builds on.
package boltstore
