package serde

import (
	"container/list"
	"sync"
)

// An lru keeps the values that were used last. It is safe for concurrent use.
type lru[K comparable, V any] struct {
	mu    sync.Mutex // guards the rest
	size  int
	order list.List // of *pair[K, V], the last used first
	known map[K]*list.Element
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](size int) *lru[K, V] {
	return &lru[K, V]{size: size, known: make(map[K]*list.Element)}
}

func (l *lru[K, V]) get(key K) (value V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.known[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(e)
	return l.at(e).value, true
}

// put keeps value, and returns the value that was there first: callers that
// compiled the same schema at the same time go on with one of them.
func (l *lru[K, V]) put(key K, value V) V {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.known[key]; ok {
		l.order.MoveToFront(e)
		return l.at(e).value
	}
	l.known[key] = l.order.PushFront(&pair[K, V]{key, value})
	if l.order.Len() > l.size {
		oldest := l.order.Back()
		delete(l.known, l.at(oldest).key)
		l.order.Remove(oldest)
	}
	return value
}

func (l *lru[K, V]) at(e *list.Element) *pair[K, V] {
	p, _ := e.Value.(*pair[K, V]) // nothing else is ever put there
	return p
}
