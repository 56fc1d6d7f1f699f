package engine

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/tokenize"
)

// A Swap stands for an engine that can be replaced at any moment. Each record
// meets one engine from its beginning to its end, and the engine that was
// replaced is closed when the last of its records is through. It is safe for
// concurrent use and takes no lock.
type Swap struct{ now atomic.Pointer[lease] }

// A lease counts who uses an engine. Once it is retired the count is negative.
type lease struct {
	engine *Engine
	users  atomic.Int64
}

const retired = math.MinInt64 / 2

func (l *lease) leave() {
	if l.users.Add(-1) == retired {
		l.engine.Close()
	}
}

// NewSwap returns a Swap that stands for e, and closes it.
func NewSwap(e *Engine) *Swap {
	s := new(Swap)
	s.now.Store(&lease{engine: e})
	return s
}

// Replace lets all records go to e from now on.
func (s *Swap) Replace(e *Engine) { s.retire(s.now.Swap(&lease{engine: e})) }

// Close closes the engine when its last record is through. Records that come
// later are refused.
func (s *Swap) Close() { s.retire(s.now.Swap(nil)) }

func (s *Swap) retire(old *lease) {
	if old != nil && old.users.Add(retired) == retired {
		old.engine.Close()
	}
}

// Use calls f with the engine that is there now, and tells whether there was one.
// The engine is not closed before f returns.
func (s *Swap) Use(f func(e *Engine)) bool {
	l := s.enter()
	if l == nil {
		return false
	}
	defer l.leave()
	f(l.engine)
	return true
}

func (s *Swap) enter() *lease {
	for {
		l := s.now.Load()
		if l == nil {
			return nil
		}
		if l.users.Add(1) > 0 {
			return l
		}
		l.leave() // it was replaced meanwhile
	}
}

var _ produce.Protector = (*Swap)(nil)

// Protect implements [produce.Protector].
func (s *Swap) Protect(ctx context.Context, dst []byte, rec *produce.Record) (produce.Record, error) {
	l := s.enter()
	if l == nil {
		return produce.Record{}, errGone()
	}
	defer l.leave()
	return l.engine.Protect(ctx, dst, rec)
}

// Reveal is [Engine.Reveal].
func (s *Swap) Reveal(ctx context.Context, rec *produce.Record, access tokenize.Access) (produce.Record, error) {
	l := s.enter()
	if l == nil {
		return produce.Record{}, errGone()
	}
	defer l.leave()
	return l.engine.Reveal(ctx, rec, access)
}

func errGone() error { return &produce.Error{Code: produce.CodeDraining, Outcome: produce.Retryable} }
