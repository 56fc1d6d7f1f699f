package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/fieldveil/fieldveil/sidecar/internal/arrivals"
)

// errPeek is a connection of HTTP/2 on which no call begins.
var errPeek = errors.New("rpc: no call began")

// A Server serves the services of sidecar/api. Make it with [New]. It is safe for
// concurrent use.
type Server struct {
	cfg     Config
	deps    Deps
	limits  limits
	log     *slog.Logger
	handler http.Handler
	grpc    *grpc.Server
	http    *http.Server
	health  health
	batches sync.Pool

	grpcConns, httpConns *handoff
	arriving             arrivals.Arrivals

	mu       sync.Mutex
	fresh    map[net.Conn]struct{} // connections that have not said what they speak
	open     int                   // connections
	stopping bool                  // no listener is taken any more
	shut     bool                  // nor any connection
	stopped  bool                  // nor any call
	calls    sync.WaitGroup        // of net/http
	draining chan struct{}         // closed when streams have to end
	serving  sync.WaitGroup
	started  sync.Once
}

// New returns a Server, not serving anything yet, whose health is NOT_SERVING.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := errors.Join(cfg.Validate(), deps.validate()); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, deps: deps, log: deps.Log,
		limits:    limits{records: cfg.MaxRecords, headers: 16 * cfg.MaxRecords},
		grpcConns: newHandoff(), httpConns: newHandoff(),
		fresh: map[net.Conn]struct{}{}, draining: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if deps.TLS != nil {
		s.deps.TLS = deps.TLS.Clone()
		s.deps.TLS.NextProtos = []string{"h2", "http/1.1"}
	}
	s.handler = s.newHandler()
	s.grpc = s.newGRPC()
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // TLS, if any, ends in the splitter
	s.http = &http.Server{
		Handler:           s.handler,
		Protocols:         protocols,
		ReadHeaderTimeout: cfg.HandshakeTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          cfg.MaxStreamsPerConnection,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connectionWindow - 1,
		},
		ErrorLog: slog.NewLogLogger(quiet{s.log}, slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*conn); ok {
				return context.WithValue(ctx, connKey{}, c)
			}
			return ctx
		},
	}
	s.arriving.Watch(s.http)
	return s, nil
}

// start runs the two servers behind the splitter.
func (s *Server) start() {
	s.serving.Add(2)
	go func() {
		defer s.serving.Done()
		_ = s.grpc.Serve(s.grpcConns)
	}()
	go func() {
		defer s.serving.Done()
		_ = s.http.Serve(s.httpConns)
	}()
}

// Handler returns what serves Connect, gRPC-Web and gRPC on a server of net/http.
// [Server.Serve] is faster for gRPC. A caller's connection is not known there, nor
// is a Unix socket's peer.
func (s *Server) Handler() http.Handler { return s.handler }

// SetServing sets what grpc.health.v1 shows, for the server and its services.
func (s *Server) SetServing(serving bool) { s.health.set(serving) }

// Drain shows NOT_SERVING from now on, and changes nothing else, so that
// balancers turn away before anything is refused.
func (s *Server) Drain() { s.health.drain() }

// Serve accepts connections of l, with TLS if [Deps] has it, until Shutdown, and
// returns nil then. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error { return s.arriving.Serve(s.accept)(l) }

func (s *Server) accept(l net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		_ = l.Close()
		return nil
	}
	s.started.Do(s.start)
	s.mu.Unlock()
	for delay := time.Duration(0); ; {
		raw, err := l.Accept()
		if err != nil {
			if s.closing() {
				return nil
			}
			var temporary interface{ Temporary() bool }
			if !errors.As(err, &temporary) || !temporary.Temporary() {
				return err
			}
			// Too many open files, for one: it passes.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(delay):
			case <-s.draining:
			}
			continue
		}
		delay = 0
		if c := s.adopt(raw); c != nil {
			go s.route(c)
		} else {
			_ = raw.Close()
		}
	}
}

func (s *Server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// adopt returns what raw is from now on, or nil when there is no room for it.
func (s *Server) adopt(raw net.Conn) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut || s.open >= s.cfg.MaxConnections {
		return nil
	}
	s.open++
	s.fresh[raw] = struct{}{}
	s.serving.Add(1)
	c := &conn{Conn: raw, below: raw}
	c.come = func() { s.arriving.Left(c) }
	c.free = func() {
		s.arriving.Left(c)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	}
	s.arriving.Accepted(c)
	return c
}

// route finds out what a connection speaks and hands it over.
func (s *Server) route(c *conn) {
	defer s.serving.Done()
	speaks, err := s.greet(c)
	s.mu.Lock()
	delete(s.fresh, c.below)
	s.mu.Unlock()
	if err != nil {
		_ = c.Close()
		return
	}
	to := s.httpConns
	if speaks == protocolGRPC {
		to = s.grpcConns
	} else {
		c.come = nil // the handler knows when
	}
	if !to.put(c) {
		_ = c.Close()
	}
}

func (s *Server) greet(c *conn) (protocol, error) {
	if err := c.SetDeadline(time.Now().Add(s.cfg.HandshakeTimeout)); err != nil {
		return 0, err
	}
	if s.deps.TLS != nil {
		secured := tls.Server(c.below, s.deps.TLS)
		// The deadline bounds it, and Shutdown closes it.
		if err := secured.HandshakeContext(context.Background()); err != nil {
			return 0, err
		}
		state := secured.ConnectionState()
		c.Conn, c.tls = secured, &state
	}
	if s.cfg.MixedConnections {
		return protocolHTTP, c.SetDeadline(time.Time{})
	}
	speaks, err := c.peek(s.cfg.MaxHeaderBytes)
	if err != nil {
		return 0, err
	}
	return speaks, c.SetDeadline(time.Time{})
}

// Shutdown shows NOT_SERVING, accepts no connections any more, lets those that it
// has accepted bring their first call, at most [arrivals.Wait], takes no calls
// then, tells clients to go elsewhere, and waits for calls and batches in flight. Produce
// streams end once what they have taken is acknowledged. When ctx ends first,
// what is left is broken off, and the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	if !s.stopping {
		s.stopping = true
		close(s.draining)
	}
	s.mu.Unlock()
	s.arriving.End(ctx)
	s.mu.Lock()
	s.shut = true
	for c := range s.fresh {
		_ = c.Close()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	err := s.http.Shutdown(ctx)
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.grpc.Stop()
		_ = s.http.Close()
		<-done
	}
	s.grpcConns.shut()
	s.httpConns.shut()
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.calls.Wait()
	s.serving.Wait()
	return err
}

// panicked notes a panic without its value, which may hold data.
func (s *Server) panicked(method string) {
	s.log.Error("a call panicked", "where", "rpc", "route", method)
}

// quiet is a log handler that keeps the text of net/http to itself: it may repeat
// what a client sent.
type quiet struct{ log *slog.Logger }

// Enabled implements [slog.Handler].
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.log.Enabled(ctx, slog.LevelDebug)
}

// Handle implements [slog.Handler].
func (q quiet) Handle(ctx context.Context, _ slog.Record) error {
	q.log.DebugContext(ctx, "a connection was broken off")
	return nil
}

// WithAttrs implements [slog.Handler].
func (q quiet) WithAttrs([]slog.Attr) slog.Handler { return q }

// WithGroup implements [slog.Handler].
func (q quiet) WithGroup(string) slog.Handler { return q }

// A handoff is a listener of connections that somebody else accepted.
type handoff struct {
	conns chan *conn
	stop  chan struct{}
	once  sync.Once
}

func newHandoff() *handoff {
	return &handoff{conns: make(chan *conn), stop: make(chan struct{})}
}

func (h *handoff) put(c *conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.stop:
		return false
	}
}

func (h *handoff) shut() { h.once.Do(func() { close(h.stop) }) }

// Accept implements [net.Listener].
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.stop:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (h *handoff) Close() error {
	h.shut()
	return nil
}

// Addr implements [net.Listener].
func (*handoff) Addr() net.Addr { return namedAddr("") }
