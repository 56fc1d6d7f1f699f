package vaulttest

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/fieldveil/fieldveil/tokenize"
)

// An Op is one of the calls of a [tokenize.Store].
type Op string

// The calls.
const (
	OpInsert  Op = "insert"
	OpByIndex Op = "by index"
	OpByToken Op = "by token"
	OpCount   Op = "count"
	OpDelete  Op = "delete"
)

// Memory is a [tokenize.Store] in memory, for tests and demonstrations: what it
// holds ends with the process, and so do the values of all its tokens. It is
// safe for concurrent use, and may be told to fail while calls are under way.
// The zero value is empty and ready.
type Memory struct {
	mu      sync.Mutex // guards all below, and is not held while hook runs
	byIndex map[tokenize.Key]tokenize.Row
	byToken map[tokenRef]tokenize.Index
	counts  map[string]uint64
	calls   map[Op]int
	hook    func(ctx context.Context, op Op) error
}

// tokenRef is a tokenize.Ref that can be the key of a map.
type tokenRef struct{ scope, token string }

var _ tokenize.Store = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{} }

// Hook has h called at the beginning of each call, without any lock held. h may
// block, look at or wait for ctx, and fail the call by an error. Nil, the
// default, takes it away.
func (m *Memory) Hook(h func(ctx context.Context, op Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = h
}

// Calls returns how often op was called, failed calls included.
func (m *Memory) Calls(op Op) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[op]
}

// Insert keeps rows for as long as the process lives.
func (m *Memory) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if err := m.begin(ctx, OpInsert, tokenize.CheckRows(rows)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]tokenize.Outcome, 0, len(rows))
	for _, row := range rows {
		out = append(out, m.insert(row))
	}
	return out, nil
}

// insert keeps one row. The caller holds mu.
func (m *Memory) insert(row tokenize.Row) tokenize.Outcome {
	key := tokenize.Key{Scope: row.Scope, Index: row.Index}
	if old, ok := m.byIndex[key]; ok {
		return tokenize.Outcome{Status: tokenize.Exists, Row: cloneRow(old)}
	}
	ref := tokenRef{row.Scope, string(row.Token)}
	if _, ok := m.byToken[ref]; ok {
		return tokenize.Outcome{Status: tokenize.Taken}
	}
	if m.byIndex == nil {
		m.byIndex = map[tokenize.Key]tokenize.Row{}
		m.byToken = map[tokenRef]tokenize.Index{}
		m.counts = map[string]uint64{}
	}
	m.byIndex[key] = cloneRow(row)
	m.byToken[ref] = row.Index
	m.counts[row.Scope]++
	return tokenize.Outcome{Status: tokenize.Inserted, Row: cloneRow(row)}
}

// ByIndex returns copies of the rows.
func (m *Memory) ByIndex(ctx context.Context, keys []tokenize.Key) ([]tokenize.Row, error) {
	if err := m.begin(ctx, OpByIndex, tokenize.CheckKeys(keys)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]tokenize.Row, len(keys))
	for i, key := range keys {
		out[i] = cloneRow(m.byIndex[key])
	}
	return out, nil
}

// ByToken returns copies of the rows.
func (m *Memory) ByToken(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
	if err := m.begin(ctx, OpByToken, tokenize.CheckRefs(refs)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]tokenize.Row, len(refs))
	for i, ref := range refs {
		if index, ok := m.byToken[tokenRef{ref.Scope, string(ref.Token)}]; ok {
			out[i] = cloneRow(m.byIndex[tokenize.Key{Scope: ref.Scope, Index: index}])
		}
	}
	return out, nil
}

// Count returns the exact number of rows.
func (m *Memory) Count(ctx context.Context, scope string) (uint64, error) {
	if err := m.begin(ctx, OpCount, tokenize.CheckScope(scope)); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[scope], nil
}

// Delete removes rows.
func (m *Memory) Delete(ctx context.Context, refs []tokenize.Ref) error {
	if err := m.begin(ctx, OpDelete, tokenize.CheckRefs(refs)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range refs {
		k := tokenRef{ref.Scope, string(ref.Token)}
		index, ok := m.byToken[k]
		if !ok {
			continue
		}
		delete(m.byToken, k)
		delete(m.byIndex, tokenize.Key{Scope: ref.Scope, Index: index})
		m.counts[ref.Scope]--
	}
	return nil
}

// begin counts a call and returns the error that it ends with before it began.
func (m *Memory) begin(ctx context.Context, op Op, invalid error) error {
	m.mu.Lock()
	if m.calls == nil {
		m.calls = map[Op]int{}
	}
	m.calls[op]++
	hook := m.hook
	m.mu.Unlock()

	if hook != nil {
		if err := hook(ctx, op); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("vaulttest: %s: %w", op, err)
	}
	return invalid
}

func cloneRow(r tokenize.Row) tokenize.Row {
	r.Token, r.Sealed = bytes.Clone(r.Token), bytes.Clone(r.Sealed)
	return r
}
