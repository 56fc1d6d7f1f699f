package datakey

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// An ID names a data key: the first 12 bytes of its commitment. It is public.
type ID [envelope.KeyIDSize]byte

// String returns the id in hex.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// A Store keeps key blocks, which are wrapped data keys with what is needed to
// unwrap them. Implementations are safe for concurrent use.
//
// Losing a store loses all values whose records lost their key header: it is
// backed up like the data.
type Store interface {
	// Put returns nil once the block is durable and Get would find it.
	Put(ctx context.Context, id ID, block []byte) error
	// Get returns the block of id, or an error that wraps ErrUnknownKey when
	// the store surely has none.
	Get(ctx context.Context, id ID) ([]byte, error)
}

// A Catalog is a Store whose blocks can be listed, moved to another KEK and
// removed. Tools that rotate and retire keys need one; producers and consumers
// do not, and their credentials should not allow it.
type Catalog interface {
	Store
	// Each calls f for every block, in the order of the ids, until f returns an
	// error, which it returns. It holds no lock while f runs, so f may call the
	// other methods; a block that is put meanwhile may be left out. f must not
	// keep or change block.
	Each(ctx context.Context, f func(id ID, block []byte) error) error
	// Replace puts next in the place of the block old, and returns nil once
	// that is durable and Get would find it. It fails with [ErrBlockChanged]
	// when the store holds another block than old under id, and with
	// ErrUnknownKey when it holds none. The caller sees to it that next holds
	// the same data key: a store cannot.
	Replace(ctx context.Context, id ID, old, next []byte) error
	// Remove takes the block away for good, once it is still old; the errors
	// are those of Replace. Values under the key then open only by headers.
	Remove(ctx context.Context, id ID, old []byte) error
}

// ErrBlockChanged means that a store holds another block than the one that was
// to be replaced or removed: somebody else was there first.
var ErrBlockChanged = errors.New("key block is another one by now")

// MemStore is a Catalog in memory, for tests and demonstrations. The zero value
// is empty and ready.
type MemStore struct {
	mu     sync.RWMutex
	blocks map[ID][]byte
}

// Put keeps the first block of an id.
func (m *MemStore) Put(_ context.Context, id ID, block []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blocks == nil {
		m.blocks = make(map[ID][]byte)
	}
	if _, ok := m.blocks[id]; !ok {
		m.blocks[id] = append([]byte(nil), block...)
	}
	return nil
}

// Get returns the block of id.
func (m *MemStore) Get(_ context.Context, id ID) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	b, ok := m.blocks[id]
	if !ok {
		return nil, ErrUnknownKey
	}
	return append([]byte(nil), b...), nil
}

// Each calls f for every block.
func (m *MemStore) Each(ctx context.Context, f func(id ID, block []byte) error) error {
	m.mu.RLock()
	ids := slices.SortedFunc(maps.Keys(m.blocks), func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
	m.mu.RUnlock()
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := m.Get(ctx, id)
		if err != nil {
			continue // removed meanwhile
		}
		if err := f(id, b); err != nil {
			return err
		}
	}
	return nil
}

// Replace puts next in the place of old.
func (m *MemStore) Replace(_ context.Context, id ID, old, next []byte) error {
	return m.swap(id, old, bytes.Clone(next))
}

// Remove takes the block away.
func (m *MemStore) Remove(_ context.Context, id ID, old []byte) error {
	return m.swap(id, old, nil)
}

func (m *MemStore) swap(id ID, old, next []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blocks[id]
	switch {
	case !ok:
		return ErrUnknownKey
	case !bytes.Equal(b, old):
		return ErrBlockChanged
	case next == nil:
		delete(m.blocks, id)
	default:
		m.blocks[id] = next
	}
	return nil
}

// Len returns the number of blocks.
func (m *MemStore) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.blocks)
}

// CheckBlock returns the id of the data key that a block holds, or an error
// when block is not a key block. It does not show that the key is genuine: only
// unwrapping does.
func CheckBlock(block []byte) (ID, error) {
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		return ID{}, err
	}
	return ID(kb.Commitment.KeyID()), nil
}
