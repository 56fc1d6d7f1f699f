package registrytest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
)

// DropConnection is the fault that ends the connection without an answer.
const DropConnection = -1

// maxCalls bounds the log, so that a server may run for long.
const maxCalls = 4096

// A Call is a request that arrived.
type Call struct {
	Method string
	Path   string // escaped, as it was sent
	Query  url.Values
	Status int // of the answer; zero where there was none, or not yet
}

// script is what a test wants to happen to requests, and what happened.
type script struct {
	mu     sync.Mutex
	fail   func(*http.Request) int
	gates  []*Gate
	calls  []*Call
	closed bool
}

// Fail sets a function that is asked about each request before it is looked at.
// It returns the status of an error to answer, [DropConnection], or zero for no
// fault. It must be safe for concurrent use. Nil takes the function away.
func (s *Server) Fail(fault func(*http.Request) int) {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.fail = fault
}

func (sc *script) fault(r *http.Request) int {
	sc.mu.Lock()
	fail := sc.fail
	sc.mu.Unlock()
	if fail == nil {
		return 0
	}
	status := fail(r)
	if status != DropConnection && (status < 100 || status > 999) {
		return 0
	}
	return status
}

// Calls returns the requests that arrived so far, the oldest first, up to the
// last 4096.
func (s *Server) Calls() []Call {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	out := make([]Call, len(s.script.calls))
	for i, c := range s.script.calls {
		out[i] = *c
	}
	return out
}

func (sc *script) begin(r *http.Request) *Call {
	c := &Call{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query()}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if len(sc.calls) == maxCalls {
		sc.calls = slices.Delete(sc.calls, 0, 1)
	}
	sc.calls = append(sc.calls, c)
	return c
}

func (sc *script) end(c *Call, status int) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	c.Status = status
}

// A Gate holds requests until it is opened. Its methods are safe for concurrent
// use.
type Gate struct {
	match   func(*http.Request) bool
	open    chan struct{}
	arrived chan struct{} // closed and replaced on each arrival

	mu      sync.Mutex
	waiting int
	opened  bool
}

// Hold returns a Gate at which those requests wait, from now on, for which match
// returns true: a slow registry without a clock. A nil match means all.
func (s *Server) Hold(match func(*http.Request) bool) *Gate {
	g := &Gate{match: match, open: make(chan struct{}), arrived: make(chan struct{})}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	if s.script.closed {
		g.Open()
		return g
	}
	s.script.gates = append(s.script.gates, g)
	return g
}

// Open lets all requests pass, those that wait and those to come.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.opened {
		g.opened = true
		close(g.open)
	}
}

// Wait returns once n requests wait at the gate at the same time. It returns the
// context's error if that ends before.
func (g *Gate) Wait(ctx context.Context, n int) error {
	for {
		g.mu.Lock()
		enough, next := g.waiting >= n, g.arrived
		g.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *Gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	close(g.arrived)
	g.arrived = make(chan struct{})
}

func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
}

// pass waits at all gates that are meant for a request. It returns false when
// the client went away meanwhile.
func (sc *script) pass(r *http.Request) bool {
	sc.mu.Lock()
	sc.gates = slices.DeleteFunc(sc.gates, func(g *Gate) bool { g.mu.Lock(); defer g.mu.Unlock(); return g.opened })
	gates := slices.Clone(sc.gates)
	sc.mu.Unlock()
	for _, g := range gates {
		if g.match != nil && !g.match(r) {
			continue
		}
		g.enter()
		select {
		case <-g.open:
		case <-r.Context().Done():
			g.leave()
			return false
		}
		g.leave()
	}
	return true
}

// close opens all gates for good.
func (sc *script) close() {
	sc.mu.Lock()
	gates := sc.gates
	sc.gates, sc.closed = nil, true
	sc.mu.Unlock()
	for _, g := range gates {
		g.Open()
	}
}
