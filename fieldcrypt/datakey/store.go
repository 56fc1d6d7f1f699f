package datakey

import (
	"context"
	"encoding/hex"
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

// MemStore is a Store in memory, for tests and demonstrations. The zero value
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
