package shred

import (
	"context"
	"encoding/hex"
	"errors"
)

// A PersonID names a person of one tenant: a keyed hash of the identifier that
// the person has in the records. It is pseudonymous and not anonymous: whoever
// has the tenant's root key can test a guess.
type PersonID [32]byte

// String returns the id in hex.
func (p PersonID) String() string { return hex.EncodeToString(p[:]) }

// A KeyID names a data key, as in the envelopes of the values.
type KeyID [12]byte

// String returns the id in hex.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// A Row is the key of one person.
type Row struct {
	Tenant string
	Person PersonID
	Key    KeyID
	// Sealed is the person's key, sealed under the root key of the tenant: what
	// a store keeps and does not understand, not empty and at most MaxSealed
	// bytes.
	Sealed []byte
}

// Bounds on what a Store is given. It refuses more with [ErrInvalid].
const (
	MaxTenant = 255   // bytes of the name of a tenant; it may be empty
	MaxSealed = 512   // bytes of a sealed key
	MaxBlock  = 16384 // bytes of the key block of a root
)

// Check tells what is wrong with a row, for implementations of [Store].
func (r *Row) Check() error {
	if len(r.Tenant) > MaxTenant || len(r.Sealed) == 0 || len(r.Sealed) > MaxSealed {
		return ErrInvalid
	}
	return nil
}

// Test for these with [errors.Is]. Any other error of a Store or Ledger means
// that it could not answer, and that the same call may pass later.
var (
	// ErrNone means that the store surely holds no such row, root or mark.
	ErrNone = errors.New("no such key in the store")
	// ErrForgotten means that the person was forgotten. It stays so.
	ErrForgotten = errors.New("person was forgotten")
	// ErrTaken means that a key id is in use for another person. A new key gets
	// another one.
	ErrTaken = errors.New("key id is taken")
	// ErrChanged means that another process changed what was to be replaced.
	ErrChanged = errors.New("another process was there first")
	// ErrLedger means that store and ledger do not belong together: the ledger
	// is another one, or lacks entries that the store has applied, or its chain
	// of hashes is broken. Nothing is read or written until a person looks.
	ErrLedger = errors.New("ledger does not fit")
	// ErrInvalid means that a value is beyond the bounds of this package.
	ErrInvalid = errors.New("not a value that a store can keep")
)

// A Store keeps the root keys of tenants, the keys of persons and the tombstones
// of those who were forgotten. It sees keys in wrapped form only.
//
// Implementations are safe for concurrent use by many processes where they can
// be reached by many. A method that returned nil made its change durable; it is
// atomic, also when the process dies; and a read that begins afterwards, in
// whatever process, sees it. An error text holds no key. Slices that go in are not
// kept, and those that come out belong to the caller.
type Store interface {
	// Root returns the key block of the tenant's root key, or ErrNone.
	Root(ctx context.Context, tenant string) (block []byte, err error)
	// CreateRoot puts a block where the tenant has none, and returns the one
	// that stands: of any number of callers at a time, one wins.
	CreateRoot(ctx context.Context, tenant string, block []byte) (stands []byte, err error)
	// ReplaceRoot puts next in the place of old: ErrChanged where another block
	// than old stands, ErrNone where none does. The caller sees to it that next
	// holds the same key.
	ReplaceRoot(ctx context.Context, tenant string, old, next []byte) error
	// EachRoot calls f for the root of every tenant, in the order of their
	// names, until f returns an error, which it returns. f may call the store.
	EachRoot(ctx context.Context, f func(tenant string, block []byte) error) error

	// Person returns the key of a person: ErrNone, or ErrForgotten.
	Person(ctx context.Context, tenant string, person PersonID) (Row, error)
	// ByKey returns the row that has this key: ErrNone, or ErrForgotten where a
	// tombstone remembers the key id.
	ByKey(ctx context.Context, tenant string, key KeyID) (Row, error)
	// Create puts a row where the person has none, and returns the one that
	// stands. It fails with ErrForgotten at a tombstone, and with ErrTaken when
	// another person of the tenant has or had the key id.
	Create(ctx context.Context, row Row) (stands Row, err error)
	// Forget destroys the person's row, if there is one, and puts a tombstone
	// that stays for ever and remembers the key id. To forget once more changes
	// nothing.
	Forget(ctx context.Context, tenant string, person PersonID) error

	// Mark returns how much of which ledger was applied, or ErrNone when none
	// ever was.
	Mark(ctx context.Context) (Mark, error)
	// SetMark remembers it. A mark never goes back: a smaller Seq of the same
	// ledger changes nothing, and another ledger is refused with ErrLedger.
	SetMark(ctx context.Context, m Mark) error
}

// A Mark says how much of a ledger a store has applied.
type Mark struct {
	Ledger LedgerID
	Seq    uint64 // of the last entry that was applied; 0 for none
	Hash   [32]byte
}
