package datakey

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// personKeys are two set-associative tables over the same keys, by person and by
// key id. Readers take no lock. Both ids are outputs of a keyed hash, so their
// first bytes spread evenly whatever the identifiers are.
type personKeys struct {
	mu       sync.Mutex // of writers
	byPerson personTable
	byKey    personTable
	count    atomic.Int64
}

// ways is the number of keys that compete for their places.
const ways = 8

type personTable struct {
	slots []atomic.Pointer[personKey]
	sets  uint64
	hand  []uint8 // by set: where the next one to go is looked for; under the lock
}

func (t *personTable) init(most int) {
	t.sets = uint64(max(1, most/ways))
	t.slots = make([]atomic.Pointer[personKey], t.sets*ways)
	t.hand = make([]uint8, t.sets)
}

func (t *personTable) at(h uint64) uint64 { return h % t.sets }

func (t *personTable) set(n uint64) []atomic.Pointer[personKey] {
	return t.slots[n*ways : n*ways+ways]
}

// put gives k a place, and returns whose place that was.
func (t *personTable) put(h uint64, k *personKey) *personKey {
	n := t.at(h)
	set := t.set(n)
	for i := range set {
		if set[i].CompareAndSwap(nil, k) {
			return nil
		}
	}
	// The clock: who was used since the hand came by last stays once more.
	for range 2 * ways {
		i := t.hand[n] % ways
		t.hand[n]++
		if old := set[i].Load(); !old.used.Swap(false) {
			set[i].Store(k)
			return old
		}
	}
	i := t.hand[n] % ways
	t.hand[n]++
	return set[i].Swap(k)
}

func (t *personTable) remove(h uint64, k *personKey) {
	set := t.set(t.at(h))
	for i := range set {
		set[i].CompareAndSwap(k, nil)
	}
}

func (c *personKeys) init(most int) {
	c.byPerson.init(most)
	c.byKey.init(most)
}

func hashOfPerson(id shred.PersonID) uint64 { return binary.BigEndian.Uint64(id[:]) }
func hashOfKey(id ID) uint64                { return binary.BigEndian.Uint64(id[:]) }

// person returns the key of a person, or nil.
func (c *personKeys) person(tenant string, id shred.PersonID) *personKey {
	set := c.byPerson.set(c.byPerson.at(hashOfPerson(id)))
	for i := range set {
		if k := set[i].Load(); k != nil && k.person == id && k.tenant == tenant && !k.opener.Expired() {
			k.touch()
			return k
		}
	}
	return nil
}

// key returns the key of an id, or nil.
func (c *personKeys) key(tenant string, id ID) *personKey {
	set := c.byKey.set(c.byKey.at(hashOfKey(id)))
	for i := range set {
		if k := set[i].Load(); k != nil && k.opener.id == id && k.tenant == tenant && !k.opener.Expired() {
			k.touch()
			return k
		}
	}
	return nil
}

// touch keeps the common case from writing to memory that others read.
func (k *personKey) touch() {
	if !k.used.Load() {
		k.used.Store(true)
	}
}

// add keeps k, unless the person has one already, and returns which is kept.
func (c *personKeys) add(k *personKey) *personKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.person(k.tenant, k.person); old != nil {
		return old
	}
	c.count.Add(1)
	if old := c.byPerson.put(hashOfPerson(k.person), k); old != nil {
		c.byKey.remove(hashOfKey(old.opener.id), old)
		c.dropped(old)
	}
	if old := c.byKey.put(hashOfKey(k.opener.id), k); old != nil {
		c.byPerson.remove(hashOfPerson(old.person), old)
		c.dropped(old)
	}
	return k
}

func (c *personKeys) dropped(k *personKey) {
	k.drop()
	c.count.Add(-1)
}

// drop takes k out.
func (c *personKeys) drop(k *personKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.opener.Expired() {
		return
	}
	c.byPerson.remove(hashOfPerson(k.person), k)
	c.byKey.remove(hashOfKey(k.opener.id), k)
	c.dropped(k)
}

// dropAll takes out all that which selects.
func (c *personKeys) dropAll(which func(*personKey) bool) {
	for i := range c.byPerson.slots {
		if k := c.byPerson.slots[i].Load(); k != nil && which(k) {
			c.drop(k)
		}
	}
}

func (c *personKeys) len() int { return int(c.count.Load()) }
