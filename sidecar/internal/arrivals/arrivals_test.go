package arrivals

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

// arriving starts a server, and returns its address and what ends it.
func arriving(t *testing.T, h http.HandlerFunc) (addr string, a *Arrivals, s *http.Server) {
	t.Helper()
	a, s = new(Arrivals), &http.Server{Handler: h}
	a.Watch(s)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over, serve := make(chan struct{}), a.Serve(s.Serve)
	go func() {
		defer close(over)
		_ = serve(l) // it ends with the test
	}()
	t.Cleanup(func() {
		_ = s.Close() // it may be closed already
		<-over
	})
	return l.Addr().String(), a, s
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it is closed twice
	return c
}

func get(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAConnectionThatWasAcceptedBeforeTheEndGetsAnAnswer(t *testing.T) {
	addr, a, s := arriving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
	// The second connection is accepted when the third is answered: they are in
	// order.
	late := connect(t, addr)
	if got := get(t, connect(t, addr)); got != "here" {
		t.Fatal(got)
	}
	ended := make(chan error, 1)
	go func() {
		a.End(t.Context())
		ended <- s.Shutdown(t.Context())
	}()
	for { // until nobody listens any more
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			break
		}
		_ = c.Close() // it only asks
	}
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	if got := get(t, late); got != "here" {
		t.Error(got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAConnectionThatGoesAwayIsNotWaitedFor(t *testing.T) {
	addr, a, _ := arriving(t, func(http.ResponseWriter, *http.Request) {})
	c := connect(t, addr)
	get(t, connect(t, addr)) // c was accepted before
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	a.End(t.Context())
	if t.Context().Err() != nil {
		t.Error("it ended because the test did")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.fresh) != 0 {
		t.Errorf("%d connections are waited for", len(a.fresh))
	}
}

func TestTheWaitForArrivalsEndsWithItsContext(t *testing.T) {
	addr, a, _ := arriving(t, func(http.ResponseWriter, *http.Request) {})
	connect(t, addr)
	get(t, connect(t, addr))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	a.End(over)
}
