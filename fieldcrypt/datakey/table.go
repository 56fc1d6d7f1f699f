package datakey

import (
	"bytes"
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// openerTable holds the openers of a process, the oldest first to go. Entries
// belong to a scope: no tenant finds another's.
type openerTable struct {
	max int

	mu      sync.RWMutex
	entries map[openerID]*list.Element // of *openerEntry
	order   list.List                  // oldest first
	flights map[openerID]*openerFlight
}

type openerID struct {
	scope *Scope
	id    ID
}

type openerEntry struct {
	key    openerID
	opener *Opener
	timer  *time.Timer
}

// openerFlight is one unwrapping that any number of callers wait for.
type openerFlight struct {
	blocks [][]byte
	done   chan struct{}
	opener *Opener
	err    error
}

func newOpenerTable(limit int) *openerTable {
	return &openerTable{
		max:     limit,
		entries: make(map[openerID]*list.Element),
		flights: make(map[openerID]*openerFlight),
	}
}

func (t *openerTable) get(s *Scope, id ID) *Opener {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if e, ok := t.entries[openerID{s, id}]; ok {
		return e.Value.(*openerEntry).opener //nolint:forcetypeassert // only these are put in
	}
	return nil
}

func (t *openerTable) add(s *Scope, o *Opener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := openerID{s, o.id}
	if e, ok := t.entries[key]; ok {
		t.removeLocked(e)
	}
	entry := &openerEntry{key: key, opener: o}
	e := t.order.PushBack(entry)
	t.entries[key] = e
	entry.timer = time.AfterFunc(time.Until(o.expires), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.entries[key] == e {
			t.removeLocked(e)
		}
	})
	for t.order.Len() > t.max {
		t.removeLocked(t.order.Front())
	}
}

// removeLocked marks the opener, so that whoever still holds it lets go.
func (t *openerTable) removeLocked(e *list.Element) {
	entry := e.Value.(*openerEntry) //nolint:forcetypeassert // only these are put in
	entry.opener.expired.Store(true)
	entry.timer.Stop()
	delete(t.entries, entry.key)
	t.order.Remove(e)
}

func (t *openerTable) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.order.Front(); e != nil; e = t.order.Front() {
		t.removeLocked(e)
	}
}

// fetch runs get once for all who ask for the same key with the same blocks at
// the same time, on a goroutine that depends on none of them. Who brings other
// blocks asks for himself: the block of one record must not decide about
// another's.
func (t *openerTable) fetch(ctx context.Context, s *Scope, id ID, blocks [][]byte, get func() (*Opener, error)) (*Opener, error) {
	key := openerID{s, id}
	t.mu.Lock()
	if e, ok := t.entries[key]; ok {
		o := e.Value.(*openerEntry).opener //nolint:forcetypeassert // only these are put in
		t.mu.Unlock()
		return o, nil
	}
	f, ok := t.flights[key]
	if ok && !slices.EqualFunc(f.blocks, blocks, bytes.Equal) {
		t.mu.Unlock()
		return get()
	}
	if !ok {
		f = &openerFlight{blocks: blocks, done: make(chan struct{})}
		t.flights[key] = f
		go func() {
			f.opener, f.err = get()
			t.mu.Lock()
			delete(t.flights, key)
			t.mu.Unlock()
			close(f.done)
		}()
	}
	t.mu.Unlock()
	select {
	case <-f.done:
		return f.opener, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("datakey: waiting for key %s: %w: %w", id, ErrUnavailable, context.Cause(ctx))
	}
}
