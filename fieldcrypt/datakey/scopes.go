package datakey

import (
	"container/list"
	"weak"
)

// A scopeTable finds the scopes of a Cache and bounds those that hold keys. The
// lock of the Cache guards it.
//
// Tenants come from records, so there is no end of them. The table keeps a
// scope alive only while it holds a key, and the ring bounds how many do. One
// without a key is found for as long as somebody else holds it, through a weak
// pointer, so that there are never two of the same name.
type scopeTable struct {
	max   int
	weak  map[scopeID]weak.Pointer[Scope]
	sweep int           // number of entries at which dead ones are looked for
	ring  *list.List    // of *Scope: those with keys
	hand  *list.Element // the next one that may have to go
}

func newScopeTable(limit int) scopeTable {
	return scopeTable{max: limit, weak: make(map[scopeID]weak.Pointer[Scope]), sweep: minSweep, ring: list.New()}
}

const minSweep = 1024

func (t *scopeTable) get(id scopeID) *Scope { return t.weak[id].Value() }

func (t *scopeTable) add(id scopeID, s *Scope) {
	t.weak[id] = weak.Make(s)
	if len(t.weak) < t.sweep {
		return
	}
	for id, p := range t.weak {
		if p.Value() == nil {
			delete(t.weak, id)
		}
	}
	t.sweep = max(minSweep, 2*len(t.weak))
}

// all returns the scopes that are alive.
func (t *scopeTable) all() []*Scope {
	var out []*Scope
	for _, p := range t.weak {
		if s := p.Value(); s != nil {
			out = append(out, s)
		}
	}
	return out
}

func scopeOf(e *list.Element) *Scope {
	s, _ := e.Value.(*Scope)
	return s
}

// hold puts s into the ring, and returns those who have to leave it.
func (t *scopeTable) hold(s *Scope) (leave []*Scope) {
	if s.place == nil {
		if t.hand != nil {
			s.place = t.ring.InsertBefore(s, t.hand)
		} else {
			s.place = t.ring.PushBack(s)
		}
	}
	for t.ring.Len() > t.max {
		e := t.victim(s)
		if e == nil {
			break
		}
		t.drop(e)
		leave = append(leave, scopeOf(e))
	}
	return leave
}

func (t *scopeTable) drop(e *list.Element) {
	if t.hand == e {
		t.hand = e.Next()
	}
	t.ring.Remove(e)
	scopeOf(e).place = nil
}

// victim moves the hand to the first scope that was not used since the hand
// passed it last. Uses are not recorded, which would cost each record a write
// to shared memory. Instead the hand makes the next user come through lease,
// which makes the key current again: what is still not current when the hand
// comes round was not used.
func (t *scopeTable) victim(newest *Scope) *list.Element {
	for range 2 * t.ring.Len() {
		e := t.hand
		if e == nil {
			e = t.ring.Front()
		}
		t.hand = e.Next()
		s := scopeOf(e)
		if s == newest || s.pinned.Load() {
			continue
		}
		if s.current.Swap(nil) == nil {
			return e
		}
	}
	return nil
}

// keep sees to it that s, which has a new key, counts, and that not too many do.
func (c *Cache) keep(s *Scope) {
	c.mu.Lock()
	var leave []*Scope
	if !c.closed {
		leave = c.scopes.hold(s)
	}
	c.mu.Unlock()
	for _, old := range leave {
		old.evict()
	}
}
