package tokenize

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func indexOf(n int) *Index {
	var i Index
	binary.LittleEndian.PutUint64(i[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(i[8:], uint64(n))
	return &i
}

func TestTheCacheIsBoundedAndKeepsWhatIsRead(t *testing.T) {
	const size = 64
	c := newTokenCache(size, time.Hour)
	c.put("s", indexOf(0), []byte("hot"))
	for i := 1; i < 10_000; i++ {
		c.put("s", indexOf(i), fmt.Append(nil, i))
		if e := c.get("s", indexOf(i)); e == nil || string(e.token) != fmt.Sprint(i) {
			t.Fatalf("entry %d is not there right after it was put", i)
		}
	}
	kept := 0
	for i := range 10_000 {
		if e := c.get("s", indexOf(i)); e != nil {
			kept++
			if want := fmt.Sprint(i); string(e.token) != want && i > 0 {
				t.Fatalf("entry %d holds %q", i, e.token)
			}
		}
	}
	if kept != size {
		t.Errorf("%d entries are kept, want %d", kept, size)
	}
}

func TestAnEntryThatIsReadStays(t *testing.T) {
	c := newTokenCache(cacheWays, time.Hour) // one set
	c.put("s", indexOf(0), []byte("hot"))
	for i := 1; i < 1000; i++ {
		if c.get("s", indexOf(0)) == nil {
			t.Fatalf("gone after %d others that no one read", i-1)
		}
		c.put("s", indexOf(i), []byte("cold"))
	}
}

func TestAnEntryExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTokenCache(8, time.Minute)
		c.put("s", indexOf(1), []byte("a"))
		time.Sleep(time.Minute - time.Nanosecond) //nolint:forbidigo // the clock of the bubble
		if c.get("s", indexOf(1)) == nil {
			t.Error("gone too early")
		}
		time.Sleep(time.Nanosecond) //nolint:forbidigo // the clock of the bubble
		if c.get("s", indexOf(1)) != nil {
			t.Error("there too long")
		}
		c.put("s", indexOf(1), []byte("b"))
		if e := c.get("s", indexOf(1)); e == nil || string(e.token) != "b" {
			t.Error("not put again")
		}
	})
}

func TestEntriesAreToldApart(t *testing.T) {
	c := newTokenCache(8, time.Hour)
	c.put("s", indexOf(1), []byte("a"))
	other := *indexOf(1)
	other[IndexSize-1] ^= 1 // the same set and tag
	if c.get("s", &other) != nil || c.get("S", indexOf(1)) != nil {
		t.Error("another value's entry")
	}
	// Tags are short: two scopes may have the same.
	set, tag := c.at("S", indexOf(1))
	for i := range set.tags {
		if set.entries[i].Load() != nil {
			_, own := c.at("s", indexOf(1))
			set.tags[i].Store(tag)
			if c.get("S", indexOf(1)) != nil {
				t.Error("another scope's entry")
			}
			set.tags[i].Store(own)
		}
	}
	c.put("s", &other, []byte("b"))
	c.put("s", indexOf(1), []byte("c"))
	if e := c.get("s", indexOf(1)); e == nil || string(e.token) != "c" {
		t.Error("an entry was not replaced")
	}
	if e := c.get("s", &other); e == nil || string(e.token) != "b" {
		t.Error("another entry was replaced")
	}
	c.drop("s", map[string]bool{"c": true})
	if c.get("s", indexOf(1)) != nil || c.get("s", &other) == nil {
		t.Error("dropped the wrong one")
	}
}

func TestNoCacheKeepsNothing(t *testing.T) {
	for _, c := range []*tokenCache{newTokenCache(0, time.Hour), newTokenCache(-1, time.Hour), newTokenCache(8, 0)} {
		c.put("s", indexOf(1), []byte("a"))
		c.drop("s", nil)
		if c.get("s", indexOf(1)) != nil {
			t.Error("it does")
		}
	}
}

func TestTheCacheServesWhileItIsWritten(t *testing.T) {
	c := newTokenCache(32, time.Hour)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				n := (i * (g + 1)) % 100
				if e := c.get("s", indexOf(n)); e != nil && string(e.token) != fmt.Sprint(n) {
					t.Errorf("entry %d holds %q", n, e.token)
					return
				}
				c.put("s", indexOf(n), fmt.Append(nil, n))
				if i%100 == 0 {
					c.drop("s", map[string]bool{fmt.Sprint(n): true})
				}
			}
		})
	}
	wg.Wait()
}

// The limit follows what the store counts, not what one process remembers.
func TestTheMeterStopsWhenTokensAreTakenTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scopeState{}
		room := func() bool {
			ok, err := s.reserve(t.Context(), emptyStore{}, "s", 9000, 1)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				s.settle(1, 0)
			}
			return ok
		}
		for range 50 {
			s.met(99, 1) // one in a hundred
		}
		if !room() {
			t.Error("stopped at one in a hundred")
		}
		for range 50 {
			s.met(97, 3)
		}
		if room() {
			t.Error("goes on at three in a hundred")
		}
		time.Sleep(meterPause) //nolint:forbidigo // the clock of the bubble
		if !room() {
			t.Error("does not look again")
		}
	})
}

// emptyStore counts nothing, and can do nothing else.
type emptyStore struct{ Store }

func (emptyStore) Count(context.Context, string) (uint64, error) { return 0, nil }
