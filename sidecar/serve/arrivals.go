package serve

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// arrivalWait is how long the end of a server waits for the first requests of
// connections that it has accepted. net/http would wait as long, and drop them.
const arrivalWait = 5 * time.Second

// arrivals are the connections of one server that brought no request to its
// handler yet.
//
// Once [http.Server.Shutdown] has been called, net/http closes a connection when
// it has read the header of a request, whenever that was sent: the caller would
// not know what became of it. So who ends a server closes its listeners first,
// waits for those who were let in, and calls Shutdown then.
type arrivals struct {
	mu      sync.Mutex
	serving []serving
	fresh   map[net.Conn]*arrival
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

// watch makes a tell of the connections of s.
func (a *arrivals) watch(s *http.Server) {
	a.fresh = make(map[net.Conn]*arrival)
	next, handler := s.ConnContext, s.Handler
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		one := new(arrival)
		a.mu.Lock()
		a.fresh[c] = one
		a.mu.Unlock()
		if next != nil {
			ctx = next(ctx, c)
		}
		return context.WithValue(ctx, arrivalKey{}, func() {
			if !one.come.Swap(true) {
				a.left(c)
			}
		})
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			a.left(c)
		}
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if come, ok := r.Context().Value(arrivalKey{}).(func()); ok {
			come()
		}
		handler.ServeHTTP(w, r)
	})
}

func (a *arrivals) left(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.fresh, c)
	if len(a.fresh) == 0 && a.none != nil {
		close(a.none)
		a.none = nil
	}
}

// serve returns serve, whose listener is closed by end.
func (a *arrivals) serve(serve func(net.Listener) error) func(net.Listener) error {
	return func(l net.Listener) error {
		one := serving{l, make(chan struct{})}
		defer close(one.over)
		a.mu.Lock()
		a.serving = append(a.serving, one)
		a.mu.Unlock()
		return serve(l)
	}
}

// end closes the listeners, and waits for the first request of every connection
// that was accepted, at most arrivalWait.
func (a *arrivals) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, arrivalWait)
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
