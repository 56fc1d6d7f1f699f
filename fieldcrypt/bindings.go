package fieldcrypt

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// A bindingTable finds the bindings of a plan by tenant and bounds them: tenants
// come from records. Readers take no lock and write nothing that is shared but
// one flag, and that once between two passes of the hand. What was not used
// since the last pass goes first.
type bindingTable struct {
	byTenant sync.Map // from string to *binding

	mu   sync.Mutex
	ring list.List // of *binding
	hand *list.Element
}

// A seen tells whether a binding was used since the hand passed.
type seen struct{ flag atomic.Bool }

// mark is cheap when it is set already, which it is for every busy tenant.
func (s *seen) mark() {
	if !s.flag.Load() {
		s.flag.Store(true)
	}
}

// get returns the binding of a tenant, or nil.
func (t *bindingTable) get(tenant string) *binding {
	v, ok := t.byTenant.Load(tenant)
	if !ok {
		return nil
	}
	b, _ := v.(*binding)
	b.seen.mark()
	return b
}

// put keeps b unless its tenant has one, and returns the one that it has then.
// With more than limit, others leave.
func (t *bindingTable) put(b *binding, limit int) *binding {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.get(b.tenant); old != nil {
		return old
	}
	// It is not marked as used: one that comes once must not push out the busy
	// ones, and it has all of a round to come again.
	t.byTenant.Store(b.tenant, b)
	if t.hand != nil {
		t.ring.InsertBefore(b, t.hand)
	} else {
		t.ring.PushBack(b)
	}
	for t.ring.Len() > limit {
		t.evict()
	}
	return b
}

// evict takes one away. The hand ends its second round at the latest, because
// it lowers the flags that it meets.
func (t *bindingTable) evict() {
	for {
		e := t.hand
		if e == nil {
			e = t.ring.Front()
		}
		t.hand = e.Next()
		b, _ := e.Value.(*binding)
		if b.seen.flag.Swap(false) {
			continue
		}
		t.ring.Remove(e)
		t.byTenant.Delete(b.tenant)
		return
	}
}

func (t *bindingTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ring.Len()
}
