// Package dynamovault keeps the rows of token vaults in a table of Amazon
// DynamoDB. It is a [tokenize.Store].
//
// # What it promises
//
// A row is two items, one found by its index and one by its token, and one
// transaction writes both under the condition that neither is there. So an index
// has one row in its scope and a token has one row in its scope, however many
// processes insert at once, and no crash leaves one item without the other.
// DynamoDB answers when an item is on disk in several places. All reads are
// consistent.
//
// Throttled calls, conflicts between transactions, items that a batch left out
// and lost connections are tried again a few times, with pauses; that is safe
// because an insert that had succeeded unheard is found by the next one.
//
// Before its first insert a Store looks once at the table, and refuses one with
// other keys, and a replica of a global table, where two regions could each
// insert a row for one value.
//
// # Why transactions
//
// Two conditional puts in order, token first, would cost half as many write
// units. They leave token items without a row where a writer dies or loses a
// race, which no one may remove, since another writer may be about to complete
// them: they would use up the tokens of small formats, and a deletion that meets
// such a writer could free a token that a value still has. A transaction leaves
// nothing to clean up.
//
// # Requests and cost
//
// An item of up to 1 KiB is a write unit, and a transaction takes two for each.
//
//	Insert of n new rows   4 write units per row, and 1 per call and scope for the count;
//	                       25 rows in one request, up to 8 requests at once, after 1 for the count
//	Insert, row exists     4 write units that buy nothing, so look up by index first
//	ByIndex                1 read unit per 4 KiB; 100 rows in one request
//	ByToken                1 read unit; rows whose sealed value leaves no room in
//	                       1 KiB take a second request
//	Count                  8 read units
//	Delete                 4 write units per row after 1 read unit, and 1 for the count
//
// Sealed values of some hundred bytes are stored with both items, because that
// saves a round trip and costs no further write unit; longer ones with one.
//
// # What it does not promise
//
// Rows in use are lost when somebody restores an old backup or deletes items.
// [Store.Count] can be too high: a process that dies between counting and
// inserting leaves its rows counted. It is never too low by that.
//
// A batch whose requests fail half-way leaves rows that nobody has heard of.
//
// # Secrets
//
// The table holds no value and no key: the index is a keyed hash and the value is
// sealed. It does hold tokens and scopes. No [Error] holds a token, an index or a
// value, but request logging of the client, where the caller turns it on, prints
// them.
package dynamovault
