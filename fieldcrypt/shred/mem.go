package shred

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// MemStore is a [Store] in memory, for tests and demonstrations: what it holds
// ends with the process, tombstones included. The zero value is empty and ready.
type MemStore struct {
	mu      sync.RWMutex
	roots   map[string][]byte
	persons map[memPerson]memRow
	keys    map[memKey]PersonID // who has or had a key id
	mark    Mark
	marked  bool
}

type memPerson struct {
	tenant string
	person PersonID
}

type memKey struct {
	tenant string
	key    KeyID
}

// A memRow without a sealed key is a tombstone.
type memRow struct {
	key    KeyID
	sealed []byte
}

var _ Store = (*MemStore)(nil)

// CheckTenant tells what is wrong with the name of a tenant, for
// implementations of [Store].
func CheckTenant(tenant string) error {
	if len(tenant) > MaxTenant {
		return fmt.Errorf("shred: name of the tenant is longer than %d bytes: %w", MaxTenant, ErrInvalid)
	}
	return nil
}

// CheckRoot tells what is wrong with the name of a tenant and the blocks of his
// root, for implementations of [Store].
func CheckRoot(tenant string, blocks ...[]byte) error {
	for _, b := range blocks {
		if len(b) == 0 || len(b) > MaxBlock {
			return fmt.Errorf("shred: block of a root is empty or longer than %d bytes: %w", MaxBlock, ErrInvalid)
		}
	}
	return CheckTenant(tenant)
}

// Root returns a copy of the block of the tenant's root.
func (m *MemStore) Root(ctx context.Context, tenant string) ([]byte, error) {
	if err := begin(ctx, CheckTenant(tenant)); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	b, ok := m.roots[tenant]
	if !ok {
		return nil, ErrNone
	}
	return bytes.Clone(b), nil
}

// CreateRoot keeps the first block of a tenant.
func (m *MemStore) CreateRoot(ctx context.Context, tenant string, block []byte) ([]byte, error) {
	if err := begin(ctx, CheckRoot(tenant, block)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roots == nil {
		m.roots = make(map[string][]byte)
	}
	if _, ok := m.roots[tenant]; !ok {
		m.roots[tenant] = bytes.Clone(block)
	}
	return bytes.Clone(m.roots[tenant]), nil
}

// ReplaceRoot puts next in the place of old.
func (m *MemStore) ReplaceRoot(ctx context.Context, tenant string, old, next []byte) error {
	if err := begin(ctx, CheckRoot(tenant, next)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.roots[tenant]
	switch {
	case !ok:
		return ErrNone
	case !bytes.Equal(b, old):
		return ErrChanged
	}
	m.roots[tenant] = bytes.Clone(next)
	return nil
}

// EachRoot calls f for the root of every tenant.
func (m *MemStore) EachRoot(ctx context.Context, f func(tenant string, block []byte) error) error {
	m.mu.RLock()
	tenants := slices.Sorted(maps.Keys(m.roots))
	m.mu.RUnlock()
	for _, tenant := range tenants {
		b, err := m.Root(ctx, tenant)
		if err != nil {
			return err
		}
		if err := f(tenant, b); err != nil {
			return err
		}
	}
	return begin(ctx, nil)
}

// Person returns a copy of the person's row.
func (m *MemStore) Person(ctx context.Context, tenant string, person PersonID) (Row, error) {
	if err := begin(ctx, CheckTenant(tenant)); err != nil {
		return Row{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.row(tenant, person)
}

// ByKey returns a copy of the row that has the key.
func (m *MemStore) ByKey(ctx context.Context, tenant string, key KeyID) (Row, error) {
	if err := begin(ctx, CheckTenant(tenant)); err != nil {
		return Row{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	person, ok := m.keys[memKey{tenant, key}]
	if !ok {
		return Row{}, ErrNone
	}
	return m.row(tenant, person)
}

// row returns a copy of a person's row. The lock is held.
func (m *MemStore) row(tenant string, person PersonID) (Row, error) {
	r, ok := m.persons[memPerson{tenant, person}]
	switch {
	case !ok:
		return Row{}, ErrNone
	case r.sealed == nil:
		return Row{}, ErrForgotten
	}
	return Row{Tenant: tenant, Person: person, Key: r.key, Sealed: bytes.Clone(r.sealed)}, nil
}

// Create keeps the first row of a person and of a key id.
func (m *MemStore) Create(ctx context.Context, row Row) (Row, error) {
	if err := begin(ctx, row.Check()); err != nil {
		return Row{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	person, key := memPerson{row.Tenant, row.Person}, memKey{row.Tenant, row.Key}
	if _, ok := m.persons[person]; ok {
		return m.row(row.Tenant, row.Person)
	}
	if _, ok := m.keys[key]; ok {
		return Row{}, ErrTaken
	}
	if m.persons == nil {
		m.persons, m.keys = make(map[memPerson]memRow), make(map[memKey]PersonID)
	}
	m.persons[person] = memRow{key: row.Key, sealed: bytes.Clone(row.Sealed)}
	m.keys[key] = row.Person
	return m.row(row.Tenant, row.Person)
}

// Forget puts a tombstone in the place of the person's row, and wipes its key.
func (m *MemStore) Forget(ctx context.Context, tenant string, person PersonID) error {
	if err := begin(ctx, CheckTenant(tenant)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.persons == nil {
		m.persons, m.keys = make(map[memPerson]memRow), make(map[memKey]PersonID)
	}
	clear(m.persons[memPerson{tenant, person}].sealed)
	m.persons[memPerson{tenant, person}] = memRow{}
	return nil
}

// Mark returns the mark.
func (m *MemStore) Mark(ctx context.Context) (Mark, error) {
	if err := begin(ctx, nil); err != nil {
		return Mark{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.marked {
		return Mark{}, ErrNone
	}
	return m.mark, nil
}

// SetMark remembers a mark that does not go back.
func (m *MemStore) SetMark(ctx context.Context, next Mark) error {
	if err := begin(ctx, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.marked {
		if forward, err := m.mark.Forward(next); err != nil || !forward {
			return err
		}
	}
	m.mark, m.marked = next, true
	return nil
}

// Forward tells, for implementations of [Store], whether next is to stand in
// the place of m: it is not when it is smaller or the same. It fails with
// [ErrLedger] when next is of another ledger, or says that the same entry has
// another hash.
func (m Mark) Forward(next Mark) (bool, error) {
	switch {
	case m.Ledger != next.Ledger:
		return false, fmt.Errorf("shred: the store follows ledger %s and not %s: %w", m.Ledger, next.Ledger, ErrLedger)
	case m.Seq == next.Seq && m.Hash != next.Hash:
		return false, fmt.Errorf("shred: the store applied another entry %d of the ledger: %w", m.Seq, ErrLedger)
	}
	return next.Seq > m.Seq, nil
}

// begin is what every call begins with.
func begin(ctx context.Context, invalid error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("shred: %w", err)
	}
	return invalid
}

// MemLedger is a [Ledger] in memory, for tests and demonstrations. The zero
// value is empty and ready; its id is drawn when it is used first.
type MemLedger struct {
	mu      sync.Mutex
	id      LedgerID
	drawn   bool
	entries []Entry
}

var _ Ledger = (*MemLedger)(nil)

// ID returns the id of the ledger.
func (m *MemLedger) ID(ctx context.Context) (LedgerID, error) {
	if err := begin(ctx, nil); err != nil {
		return LedgerID{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.draw(), nil
}

// draw returns the id. The lock is held.
func (m *MemLedger) draw() LedgerID {
	if !m.drawn {
		_, _ = rand.Read(m.id[:]) // never fails
		m.drawn = true
	}
	return m.id
}

// Append adds an entry.
func (m *MemLedger) Append(ctx context.Context, e Entry) (Entry, error) {
	if err := begin(ctx, e.Check()); err != nil {
		return Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	prev := FirstPrev(m.draw())
	if n := len(m.entries); n > 0 {
		prev = m.entries[n-1].Hash
	}
	e.chain(uint64(len(m.entries))+1, prev)
	m.entries = append(m.entries, e)
	return e, nil
}

// chain makes e the entry with the number seq after the one whose hash is prev.
func (e *Entry) chain(seq uint64, prev [32]byte) {
	e.Seq, e.Prev, e.Time = seq, prev, time.Unix(e.Time.Unix(), 0).UTC()
	e.Hash = e.Sum()
}

// Read returns copies of entries.
func (m *MemLedger) Read(ctx context.Context, after uint64, limit int) ([]Entry, error) {
	if err := begin(ctx, nil); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if after >= uint64(len(m.entries)) || limit <= 0 {
		return nil, nil
	}
	rest := m.entries[after:]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}
