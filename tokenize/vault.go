package tokenize

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// MaxValue is the greatest length of a value that a [Vault] takes, in bytes.
const MaxValue = 32 << 10

// IndexKeyIDSize is the length of the name of an index key.
const IndexKeyIDSize = 12

// VaultKeys is the cryptography of a [Vault]: the keys of one scope, or of
// several. Implementations are safe for concurrent use. Neither they nor their
// errors show a value or a key.
type VaultKeys interface {
	// IndexKeyID names the key under which Index hashes. It never changes for a
	// scope: under another one all values would get a second token.
	IndexKeyID() [IndexKeyIDSize]byte
	// Index returns the keyed hash of a value. It is never all zeros, does not
	// wait, and allocates nothing.
	Index(value []byte) Index
	// Seal appends value, encrypted with authentication and bound to bound, to
	// dst. It adds no more than 4 KiB to the length of value.
	Seal(dst, value, bound []byte) ([]byte, error)
	// Open appends what was sealed to dst. It fails with an error that wraps
	// [ErrCorrupt] when sealed was changed or bound is another, and may wait for
	// the key of an older version.
	Open(ctx context.Context, dst, sealed, bound []byte) ([]byte, error)
}

// A Vault gives values random tokens and remembers them in a [Store]. It is made
// by [NewVault] and safe for concurrent use.
//
// In a scope a value has one token and a token stands for one value, in every
// process that uses the store, whatever races and crashes. A token is returned
// once its row is durable. A scope has one index key for ever, and one [Format]
// for as long as the Vault lives.
//
// Tokens of a format that has less than 2^63 of them fill at most one in a
// hundred, so that a guessed token seldom is one: then new values are refused
// with [ErrFull] while known ones keep their tokens.
type Vault struct {
	store Store
	gate  *Gate
	cache *tokenCache

	mu     sync.RWMutex // guards scopes
	scopes map[string]*scopeState
}

// A VaultOption changes a [Vault].
type VaultOption func(*vaultConfig)

type vaultConfig struct {
	gate *Gate
	size int
	age  time.Duration
}

// WithGate lets requests to turn tokens back, or to erase them, pass through
// gate. Without one all of them are denied.
func WithGate(gate *Gate) VaultOption { return func(c *vaultConfig) { c.gate = gate } }

// WithCacheSize keeps the tokens of up to n values in memory, rounded up to
// eight times a power of two. The default is 65,536, which takes some 15 MB when
// it is full; 0 keeps none.
func WithCacheSize(n int) VaultOption { return func(c *vaultConfig) { c.size = n } }

// WithCacheAge keeps a token in memory for so long. The default is an hour, and
// 0 keeps none. It is how long a token that was erased elsewhere may be given
// out here.
func WithCacheAge(d time.Duration) VaultOption { return func(c *vaultConfig) { c.age = d } }

// NewVault returns a Vault over store. It does no I/O.
func NewVault(store Store, opts ...VaultOption) *Vault {
	cfg := vaultConfig{size: defaultSize, age: defaultAge}
	for _, o := range opts {
		o(&cfg)
	}
	return &Vault{
		store: store, gate: cfg.gate, cache: newTokenCache(cfg.size, cfg.age),
		scopes: map[string]*scopeState{},
	}
}

// AppendKnown appends the token of value to dst and returns the longer slice and
// true when this process knows it, from an earlier [Vault.Tokenize] for scope.
// Otherwise it returns dst and false. It does not wait and allocates nothing
// when dst has the room.
func (v *Vault) AppendKnown(dst []byte, keys VaultKeys, scope string, value []byte) ([]byte, bool) {
	index := keys.Index(value)
	e := v.cache.get(scope, &index)
	if e == nil {
		return dst, false
	}
	return append(dst, e.token...), true
}

// A reserved row in each scope remembers the index key. Its index is that of no
// value, and no format makes its token.
const reservedToken = "\x00index-key"

// bind returns what a value is sealed for:
//
//	length of scope  1 byte
//	scope
//	length of token  1 byte
//	token
func bind(scope string, token []byte) []byte {
	b := make([]byte, 0, 2+len(scope)+len(token))
	b = append(b, byte(len(scope))) //nolint:gosec // at most MaxScope
	b = append(b, scope...)
	b = append(b, byte(len(token))) //nolint:gosec // at most MaxToken
	return append(b, token...)
}

// seal returns the row of a value.
func seal(keys VaultKeys, scope string, index Index, token, value []byte) (Row, error) {
	sealed, err := keys.Seal(nil, value, bind(scope, token))
	if err != nil {
		return Row{}, fmt.Errorf("tokenize: seal: %w", err)
	}
	return Row{Scope: scope, Index: index, Token: token, Sealed: sealed}, nil
}

// open returns the value of a row, which is never nil. The caller wipes it.
func open(ctx context.Context, keys VaultKeys, row *Row) ([]byte, error) {
	value, err := keys.Open(ctx, make([]byte, 0, len(row.Sealed)), row.Sealed, bind(row.Scope, row.Token))
	if err != nil {
		return nil, fmt.Errorf("tokenize: open: %w", err)
	}
	return value, nil
}

// holds returns an error unless row is sealed for its scope and token and holds
// value. Comparing takes as long wherever they differ.
func holds(ctx context.Context, keys VaultKeys, row *Row, value []byte) error {
	got, err := open(ctx, keys, row)
	if err != nil {
		return err
	}
	defer secret.Wipe(got)
	if subtle.ConstantTimeCompare(got, value) != 1 {
		return ErrCorrupt
	}
	return nil
}

// scope returns the state of a scope, after it made sure that the tokens of the
// scope belong to this index key and this process gives them this format.
func (v *Vault) scope(ctx context.Context, keys VaultKeys, scope string, format Format) (*scopeState, error) {
	id := keys.IndexKeyID()
	v.mu.RLock()
	st := v.scopes[scope]
	v.mu.RUnlock()
	if st == nil {
		if err := v.claim(ctx, keys, scope, id); err != nil {
			return nil, err
		}
		v.mu.Lock()
		if st = v.scopes[scope]; st == nil {
			st = &scopeState{indexKey: id, format: format}
			v.scopes[scope] = st
		}
		v.mu.Unlock()
	}
	switch {
	case st.indexKey != id:
		return nil, ErrIndexKey
	case st.format != format:
		return nil, ErrFormat
	}
	return st, nil
}

// claim writes the reserved row of a scope, or compares with the one that is
// there. It must be durable before the first value of the scope is.
func (v *Vault) claim(ctx context.Context, keys VaultKeys, scope string, id [IndexKeyIDSize]byte) error {
	row, err := seal(keys, scope, Index{}, []byte(reservedToken), id[:])
	if err != nil {
		return err
	}
	out, err := v.insert(ctx, []Row{row})
	if err != nil {
		return err
	}
	switch err := checkOutcome(&out[0], &row); {
	case err != nil:
		return err
	case out[0].Status == Inserted:
		return nil
	case out[0].Status != Exists || string(out[0].Row.Token) != reservedToken:
		return ErrCorrupt
	}
	switch err := holds(ctx, keys, &out[0].Row, id[:]); {
	case errors.Is(err, ErrCorrupt):
		// Another index key, mostly with other keys to seal.
		return fmt.Errorf("%w: %w", ErrIndexKey, err)
	case err != nil:
		return err
	}
	return nil
}

// insert is the store's Insert, which must answer for each row.
func (v *Vault) insert(ctx context.Context, rows []Row) ([]Outcome, error) {
	out, err := v.store.Insert(ctx, rows)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokenize: insert: %w", err)
	case len(out) != len(rows):
		return nil, fmt.Errorf("%w: %d outcomes for %d rows", ErrCorrupt, len(out), len(rows))
	}
	return out, nil
}

// checkOutcome returns an error when an outcome cannot be that of row.
func checkOutcome(o *Outcome, row *Row) error {
	switch o.Status {
	case Taken:
		return nil
	case Inserted, Exists:
		if o.Row.Scope != row.Scope || o.Row.Index != row.Index {
			return fmt.Errorf("%w: outcome of another row", ErrCorrupt)
		}
		if o.Status == Inserted && !bytes.Equal(o.Row.Token, row.Token) {
			return fmt.Errorf("%w: inserted another token", ErrCorrupt)
		}
		return nil
	}
	return fmt.Errorf("%w: outcome without a status", ErrCorrupt)
}
