package tokenize

import "context"

// IndexSize is the length of an Index.
const IndexSize = 32

// An Index is the keyed hash of a value, by which a [Store] finds its row. It is
// never a hash that someone without the key could compute.
type Index [IndexSize]byte

// A Row ties a token to the value that it stands for. A store sees the value
// only sealed, and treats all parts as opaque bytes.
type Row struct {
	// Scope is where the token is valid, such as a tenant and a domain of values;
	// UTF-8 of 1 to 255 bytes without NUL. Scopes are told apart by their bytes,
	// so without regard to any collation.
	Scope string
	// Index finds the row of a value. All zeros is an index like any other.
	Index Index
	// Token is what stands in records in place of the value; 1 to 255 bytes of
	// any kind.
	Token []byte
	// Sealed is the value, sealed for this scope and token; 1 byte to 64 KiB.
	Sealed []byte
}

// An Outcome says what became of one row of an insert.
type Outcome struct {
	// Status is what happened.
	Status Status
	// Row is the row that stands under the scope and index now, for Inserted and
	// Exists. Its bytes belong to the caller.
	Row Row
}

// Status tells how an insert of one row ended.
type Status uint8

const (
	// Inserted means that the row is durable.
	Inserted Status = iota + 1
	// Exists means that the scope and index had a row before, durable too. The
	// new token was not used.
	Exists
	// Taken means that the scope has the token under another index. Nothing was
	// written, and another token must be drawn.
	Taken
)

// A Key names a row by scope and index.
type Key struct {
	Scope string
	Index Index
}

// A Ref names a row by scope and token.
type Ref struct {
	Scope string
	Token []byte
}

// A Store keeps the rows of token vaults. In each scope an index has one row and
// a token has one row, for ever, whatever races and crashes: the store's own
// unique indexes decide. Implementations are safe for concurrent use, and
// every call takes one round trip where the database allows it.
//
// A store that cannot do what was asked returns an error and no outcomes; rows
// may be durable then, which the next Insert of the same index finds. The errors
// hold no tokens and no values.
//
// Every call refuses what is outside the limits of a [Row] with [ErrRow], and a
// context that has ended with an error that wraps the context's, before it
// writes anything: [CheckRows], [CheckKeys] and [CheckRefs] do the first. An
// empty batch is no work and no error. The slices given stay the caller's and
// are not kept; what is returned belongs to the caller.
type Store interface {
	// Insert makes rows durable, in one transaction or each by itself, and
	// returns an Outcome for each in the same order once they are: after it
	// returned, no crash loses them.
	//
	// The outcome of each row is as if the rows were inserted one after the
	// other: a scope and index that has a row is Exists, whatever the token;
	// otherwise a token that has a row in the scope is Taken. So when a batch
	// names a scope and index twice, the first one counts and the others find it;
	// when it names a token twice for two indexes, the second is Taken. Only where
	// the first of two equal indexes was Taken may the second be Taken too, though
	// its own token is free.
	Insert(ctx context.Context, rows []Row) ([]Outcome, error)
	// ByIndex returns the rows of the keys in the same order, the zero Row for
	// those that have none.
	ByIndex(ctx context.Context, keys []Key) ([]Row, error)
	// ByToken returns the rows of the tokens in the same order, the zero Row for
	// those that have none.
	ByToken(ctx context.Context, refs []Ref) ([]Row, error)
	// Count returns the number of rows of a scope. It may be an estimate that is
	// not below nine tenths of the truth.
	Count(ctx context.Context, scope string) (uint64, error)
	// Delete removes rows by token, where they are. The values of their tokens
	// cannot be had again.
	Delete(ctx context.Context, refs []Ref) error
}
