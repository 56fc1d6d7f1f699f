package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
)

// labels are the values of up to three labels.
type labels [3]string

// A memo remembers the metrics of labels, so that one that is often counted is
// found by a look into a map. Labels are of closed sets, so it stays small.
type memo[T any] struct {
	known atomic.Pointer[map[labels]T]
	mu    sync.Mutex // for who adds
}

// of returns the metric of l, which get finds the first time.
func (m *memo[T]) of(l labels, get func(labels) T) T {
	if known := m.known.Load(); known != nil {
		if v, ok := (*known)[l]; ok {
			return v
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	more := map[labels]T{}
	if known := m.known.Load(); known != nil {
		if v, ok := (*known)[l]; ok {
			return v // somebody else was first
		}
		more = maps.Clone(*known)
	}
	v := get(l)
	more[l] = v
	m.known.Store(&more)
	return v
}
