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
	entries map[openerID]*list.Element      // of *openerEntry
	scopes  map[*Scope]map[ID]*list.Element // the same ones, by scope
	order   list.List                       // oldest first
	flights map[openerID]*openerFlight
	closed  bool
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

// entryOf returns the entry of an element of the order, which holds nothing else.
func entryOf(e *list.Element) *openerEntry {
	entry, _ := e.Value.(*openerEntry)
	return entry
}

// openerFlight is one unwrapping that any number of callers wait for.
type openerFlight struct {
	blocks [][]byte
	done   chan struct{}
	opener *Opener
	person *personKey // of the keys of persons
	err    error
}

func newOpenerTable(limit int) *openerTable {
	return &openerTable{
		max:     limit,
		entries: make(map[openerID]*list.Element),
		scopes:  make(map[*Scope]map[ID]*list.Element),
		flights: make(map[openerID]*openerFlight),
	}
}

func (t *openerTable) get(s *Scope, id ID) *Opener {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if e, ok := t.entries[openerID{s, id}]; ok {
		return entryOf(e).opener
	}
	return nil
}

// add keeps o and returns what is held under its id from now on. That is the
// opener which was there before, if one was: key ids are short enough to make
// two keys that share one, and the second must not take the first one's place.
func (t *openerTable) add(s *Scope, o *Opener) (*Opener, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		o.expired.Store(true)
		return nil, errClosed
	}
	key := openerID{s, o.id}
	if e, ok := t.entries[key]; ok {
		held := entryOf(e).opener
		if !equalCommitment(held.m.commitment, o.m.commitment) {
			return nil, ErrCommitment
		}
		return held, nil
	}
	entry := &openerEntry{key: key, opener: o}
	e := t.order.PushBack(entry)
	t.entries[key] = e
	if t.scopes[s] == nil {
		t.scopes[s] = make(map[ID]*list.Element)
	}
	t.scopes[s][o.id] = e
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
	return o, nil
}

// removeLocked marks the opener, so that whoever still holds it lets go.
func (t *openerTable) removeLocked(e *list.Element) {
	entry := entryOf(e)
	entry.opener.expired.Store(true)
	entry.timer.Stop()
	delete(t.entries, entry.key)
	if own := t.scopes[entry.key.scope]; len(own) > 1 {
		delete(own, entry.key.id)
	} else {
		delete(t.scopes, entry.key.scope)
	}
	t.order.Remove(e)
}

// dropScope drops the openers of a scope.
func (t *openerTable) dropScope(s *Scope) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.scopes[s] {
		t.removeLocked(e)
	}
}

// dropUnder drops the openers of a scope under a KEK.
func (t *openerTable) dropUnder(s *Scope, kek string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.scopes[s] {
		if entryOf(e).opener.kek == kek {
			t.removeLocked(e)
		}
	}
}

// under returns one opener of a scope under a KEK, or nil.
func (t *openerTable) under(s *Scope, kek string) *Opener {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, e := range t.scopes[s] {
		if o := entryOf(e).opener; o.kek == kek {
			return o
		}
	}
	return nil
}

// close drops all openers and takes no more: a fetch that is still under way
// must not leave a key behind.
func (t *openerTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
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
	if t.closed {
		t.mu.Unlock()
		return nil, errClosed
	}
	if e, ok := t.entries[key]; ok {
		o := entryOf(e).opener
		t.mu.Unlock()
		return o, nil
	}
	f, ok := t.flights[key]
	if !ok || !slices.EqualFunc(f.blocks, blocks, bytes.Equal) {
		f = &openerFlight{blocks: blocks, done: make(chan struct{})}
		if !ok {
			t.flights[key] = f
		}
		go func() {
			f.opener, f.err = get()
			t.mu.Lock()
			if t.flights[key] == f {
				delete(t.flights, key)
			}
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
