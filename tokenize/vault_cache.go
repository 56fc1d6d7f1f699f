package tokenize

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// cacheWays is how many entries have the same place. Eight of them fill one
	// cache line with their tags.
	cacheWays   = 8
	defaultSize = 1 << 16
	defaultAge  = time.Hour
)

// A tokenCache remembers the tokens of values by scope and index, so neither
// values nor what could be computed from them without the key. It is bounded:
// where it is full, an entry goes that was not read for a while. Reading takes
// no lock and allocates nothing.
type tokenCache struct {
	sets  []cacheSet
	seed  maphash.Seed
	age   time.Duration
	start time.Time // of the clock that expiry is told by
}

// A cacheSet is the place of eight entries.
type cacheSet struct {
	// tags are parts of the hashes, so that a look-up follows one pointer and not
	// eight. They may be those of an entry that was replaced: the entry decides.
	tags    [cacheWays]atomic.Uint32
	entries [cacheWays]atomic.Pointer[cacheEntry]

	mu   sync.Mutex // held to write
	hand int        // the entry that was replaced last
}

// A cacheEntry does not change, but for used.
type cacheEntry struct {
	index   Index
	scope   string
	token   []byte
	expires time.Duration // since start
	used    atomic.Bool   // read since the hand passed
}

func newTokenCache(size int, age time.Duration) *tokenCache {
	if size <= 0 || age <= 0 {
		return nil
	}
	sets := 1
	for sets*cacheWays < size {
		sets *= 2
	}
	return &tokenCache{sets: make([]cacheSet, sets), seed: maphash.MakeSeed(), age: age, start: time.Now()}
}

// at returns the set and the tag of a value. The index is as good as random, but
// the same value may have the same one in many scopes.
func (c *tokenCache) at(scope string, index *Index) (*cacheSet, uint32) {
	h := maphash.String(c.seed, scope)
	for i := range 8 {
		h ^= uint64(index[i]) << (8 * i)
	}
	return &c.sets[h&uint64(len(c.sets)-1)], uint32(h >> 32) //nolint:gosec // the upper half
}

// get returns the entry of a value, or nil.
func (c *tokenCache) get(scope string, index *Index) *cacheEntry {
	if c == nil {
		return nil
	}
	set, tag := c.at(scope, index)
	for i := range set.tags {
		if set.tags[i].Load() != tag {
			continue
		}
		e := set.entries[i].Load()
		if e == nil || e.index != *index || e.scope != scope {
			continue
		}
		if time.Since(c.start) >= e.expires {
			return nil
		}
		// Storing only once keeps the entry in the caches of all processors.
		if !e.used.Load() {
			e.used.Store(true)
		}
		return e
	}
	return nil
}

// put remembers a token, which must be durable and is kept as it is.
func (c *tokenCache) put(scope string, index *Index, token []byte) {
	if c == nil {
		return
	}
	set, tag := c.at(scope, index)
	now := time.Since(c.start)
	e := &cacheEntry{index: *index, scope: scope, token: token, expires: now + c.age}
	set.mu.Lock()
	defer set.mu.Unlock()
	i := set.place(scope, index, now)
	set.entries[i].Store(e)
	set.tags[i].Store(tag)
}

// place returns where an entry goes: where the value has one, else where there
// is none or an old one, else where one was not read for a while. The caller
// holds mu.
func (s *cacheSet) place(scope string, index *Index, now time.Duration) int {
	free := -1
	for i := range s.entries {
		e := s.entries[i].Load()
		switch {
		case e != nil && e.index == *index && e.scope == scope:
			return i
		case free < 0 && (e == nil || now >= e.expires):
			free = i
		}
	}
	if free >= 0 {
		return free
	}
	// Two rounds at most: readers may mark entries as fast as this clears them.
	for range 2 * cacheWays {
		s.hand = (s.hand + 1) % cacheWays
		if !s.entries[s.hand].Load().used.Swap(false) {
			break
		}
	}
	return s.hand
}

// drop forgets tokens of a scope.
func (c *tokenCache) drop(scope string, tokens map[string]bool) {
	if c == nil {
		return
	}
	for i := range c.sets {
		set := &c.sets[i]
		set.mu.Lock()
		for j := range set.entries {
			if e := set.entries[j].Load(); e != nil && e.scope == scope && tokens[string(e.token)] {
				set.entries[j].Store(nil)
			}
		}
		set.mu.Unlock()
	}
}
