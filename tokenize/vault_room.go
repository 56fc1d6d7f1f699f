package tokenize

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

const (
	unlimited = math.MaxUint64
	// fillDivisor is the share of a format's tokens that a scope may have.
	fillDivisor = 100

	// A count of the store is believed for a minute, and until an eighth of the
	// room that it showed is used: other processes use it too.
	countAge   = time.Minute
	countShare = 8

	// Of so many tokens drawn, more than one in fifty taken means that the tokens
	// that this process draws from are fuller than the scope is on the whole: the
	// digits that they show of their values are not spread evenly. Where one in a
	// hundred is taken, chance has it once in 100,000 times.
	meterDraws   = 2048
	meterDivisor = 50
	// meterPause is how long new values are refused then.
	meterPause = time.Minute
)

// A scopeState is what a Vault knows of a scope.
type scopeState struct {
	indexKey [IndexKeyIDSize]byte
	format   Format

	mu      sync.Mutex // guards all below
	counted uint64     // by the store
	at      time.Time  // of the count; zero for never
	since   uint64     // rows inserted after it
	flying  uint64     // rows reserved, of which no one knows yet what they became
	draws   int        // that the store judged
	taken   int        // of them
	paused  time.Time  // no new values until then
}

// reserve tells whether the scope has room for n rows more, of limit. Where it
// has, settle follows, unless there is no limit.
func (s *scopeState) reserve(ctx context.Context, store Store, scope string, limit uint64, n int) (bool, error) {
	if limit == unlimited {
		return true, nil
	}
	want := uint64(n) //nolint:gosec // not negative
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.paused) {
		return false, nil
	}
	if !s.believed(limit) || s.counted+s.since+s.flying+want > limit {
		// Holding the lock while counting keeps a crowd from counting at once.
		count, err := store.Count(ctx, scope)
		if err != nil {
			return false, fmt.Errorf("tokenize: count: %w", err)
		}
		s.counted, s.since, s.at = count, 0, time.Now()
		// A limit is less than 2^57: subtracting first, no sum overflows.
		if count > limit || s.flying+want > limit-count {
			return false, nil
		}
	}
	s.flying += want
	return true, nil
}

// believed tells whether the last count still tells something. The caller holds
// mu.
func (s *scopeState) believed(limit uint64) bool {
	return !s.at.IsZero() && time.Since(s.at) < countAge && s.counted <= limit && s.since <= (limit-s.counted)/countShare
}

// settle ends a reservation of n rows, of which some were inserted.
func (s *scopeState) settle(n, inserted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying -= uint64(n)       //nolint:gosec // not negative
	s.since += uint64(inserted) //nolint:gosec // not negative
}

// met notes how many tokens that were drawn were free, and how many taken.
func (s *scopeState) met(free, taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draws += free + taken
	s.taken += taken
	if s.draws < meterDraws {
		return
	}
	if s.taken*meterDivisor > s.draws {
		s.paused = time.Now().Add(meterPause)
	}
	s.draws, s.taken = 0, 0
}
