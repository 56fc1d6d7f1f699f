// Package shred is the border to what keeps the keys of persons, so that one
// person's data can be made unreadable in every copy that there is: in topics,
// mirrors, dead-letter queues and backups. Destroying the person's key does
// that (crypto-shredding), where deleting the data could not.
//
// A person has a key of his own, made when his first value is sealed. It stands
// in a [Store], wrapped under the root key of his tenant, which in turn stands
// there wrapped under the tenant's KEK. It never travels in a record: whoever has
// the records has nothing that could be unwrapped again later. Persons are named
// by a [PersonID], a keyed hash; no store holds an identifier.
//
// To forget a person takes three steps, in this order, by [Forget]:
//
//  1. an [Entry] in the [Ledger], durable. From here on he is forgotten;
//  2. the row of the person's key is destroyed, and a tombstone stands in its
//     place for good, which no later value of his can pass;
//  3. all processes read the ledger and drop what they hold of his key.
//
// Whatever ends between two of them is taken up again: every process that opens
// a store replays the ledger first ([Replay]), and so yesterday's backup of a
// store forgets again whom it knew.
//
// It promises nothing about copies of a store that nobody opens any more. A
// backup of the store holds wrapped keys until it is destroyed itself, so it has
// to have a shorter life than the time in which a person must be forgotten; the
// ledger holds no key and is kept for ever, and apart.
//
// Section 12 of docs/format.md is the specification.
package shred
