// Package arrivals lets servers end without dropping who was let in.
//
// Once [http.Server.Shutdown] has been called, net/http closes a connection when
// it has read the header of a request, whenever that was sent: the caller would
// not know what became of it. So who ends a server closes its listeners first,
// waits for those who were let in, and calls Shutdown then.
package arrivals

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Wait is how long the end of a server waits for the first requests of
// connections that it has accepted. net/http would wait as long, and drop them.
const Wait = 5 * time.Second

// Arrivals are the connections of one server that brought no request to its
// handler yet. The zero value has none. It is safe for concurrent use.
type Arrivals struct {
	mu      sync.Mutex
	serving []serving
	fresh   map[net.Conn]struct{}
	none    chan struct{} // closed when the last one has come, while somebody waits
}

// A serving is one run of Serve.
type serving struct {
	listener net.Listener
	over     chan struct{} // closed when Serve has returned, and knows all that it accepted
}

// An arrival is one connection.
type arrival struct{ come atomic.Bool }

type arrivalKey struct{}

// Watch makes s tell of its connections. It is called before s serves.
func (a *Arrivals) Watch(s *http.Server) {
	next, handler := s.ConnContext, s.Handler
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		one := new(arrival)
		a.Accepted(c)
		if next != nil {
			ctx = next(ctx, c)
		}
		return context.WithValue(ctx, arrivalKey{}, func() {
			if !one.come.Swap(true) {
				a.Left(c)
			}
		})
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			a.Left(c)
		}
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if come, ok := r.Context().Value(arrivalKey{}).(func()); ok {
			come()
		}
		handler.ServeHTTP(w, r)
	})
}

// Accepted notes a connection that has brought nothing yet. Who notes one that is
// noted already does nothing.
func (a *Arrivals) Accepted(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fresh == nil {
		a.fresh = make(map[net.Conn]struct{})
	}
	a.fresh[c] = struct{}{}
}

// Left notes that nobody has to wait for a connection any more: its request is
// with its handler, or it is closed.
func (a *Arrivals) Left(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.fresh, c)
	if len(a.fresh) == 0 && a.none != nil {
		close(a.none)
		a.none = nil
	}
}

// Serve returns serve, whose listener is closed by End.
func (a *Arrivals) Serve(serve func(net.Listener) error) func(net.Listener) error {
	return func(l net.Listener) error {
		one := serving{l, make(chan struct{})}
		defer close(one.over)
		a.mu.Lock()
		a.serving = append(a.serving, one)
		a.mu.Unlock()
		return serve(l)
	}
}

// End closes the listeners, and waits for the first request of every connection
// that was accepted, at most [Wait].
func (a *Arrivals) End(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, Wait)
	defer cancel()
	a.mu.Lock()
	all := a.serving
	a.serving = nil
	a.mu.Unlock()
	for _, one := range all {
		_ = one.listener.Close() // Shutdown says it again
		select {
		case <-one.over:
		case <-ctx.Done():
		}
	}
	none := make(chan struct{})
	a.mu.Lock()
	if len(a.fresh) == 0 {
		close(none)
	} else {
		a.none = none
	}
	a.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}
