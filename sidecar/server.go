package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// Run serves until a signal, POST /shutdown or the end of ctx, and returns when
// everything is closed: nil when all that was in flight had its answer,
// [*DrainError] or [ErrForced] when not. An error before the first request is
// that of the configuration, of the builder or of a listener.
func Run(ctx context.Context, opts Options) error {
	if err := opts.check(); err != nil {
		return err
	}
	cfg, stamp, err := settled(&opts)
	if err != nil {
		return err
	}
	floor := tuneMemory(opts.Logger, cfg)
	defer runtime.KeepAlive(floor)
	s := &server{opts: &opts, log: opts.Logger, cfg: cfg, stop: make(chan struct{}), failed: make(chan error, 8)}
	s.reloads = &reloader{opts: s.opts, log: s.log, current: &s.current}
	return s.run(ctx, stamp)
}

// A server is one run.
type server struct {
	opts    *Options
	log     *slog.Logger
	cfg     *config.Config // of the start: what needs a restart to change
	current Current
	reloads *reloader

	started, draining atomic.Bool
	stop              chan struct{} // closed by POST /shutdown
	stopOnce          sync.Once
	failed            chan error // of listeners
	services          []Service
	admin             *http.Server
	serving           sync.WaitGroup
	addrs             map[string]net.Addr
}

func (s *server) run(ctx context.Context, stamp [32]byte) (err error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// Whatever ends the run, nothing of it stays behind.
	defer func() {
		cancel()
		s.closeAll()
		s.serving.Wait()
		over, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		s.reloads.end(over)
	}()
	s.addrs = map[string]net.Addr{}
	// Probes are answered while the first keys are on their way.
	if err := s.listenAdmin(running); err != nil {
		return err
	}
	if err := s.opts.audit(running, "start", short(s.cfg.Digest())); err != nil {
		return fmt.Errorf("sidecar: the start cannot be audited: %w", err)
	}
	if err := s.build(ctx, stamp); err != nil {
		return err
	}
	if err := s.listen(running); err != nil {
		return err
	}
	s.started.Store(true)
	s.serve(true)
	if s.opts.Listening != nil {
		s.opts.Listening(s.addrs)
	}
	s.log.LogAttrs(running, slog.LevelInfo, "serving", slog.String("config", short(s.cfg.Digest())), slog.String("policy", s.reloads.status.Load().Policy))
	if s.cfg.Reload.Watch {
		w := &watcher{
			files:    func() []string { return s.reloads.loaded.Load().Files() },
			debounce: func() time.Duration { return s.reloads.loaded.Load().Reload.Debounce },
			changed:  func() { _ = s.reloads.reload(running, "watch", "", false) }, // it was logged
			log:      s.log,
		}
		s.serving.Go(func() { w.run(running) })
	}
	return s.wait(ctx, running)
}

// build builds the first generation. A signal to end ends the wait for it.
func (s *server) build(ctx context.Context, stamp [32]byte) error {
	building, cancel := context.WithCancel(ctx)
	defer cancel()
	built := make(chan error, 1)
	go func() { built <- s.reloads.first(building, s.cfg, stamp) }()
	for {
		select {
		case err := <-built:
			return err
		case sig := <-s.opts.Signals:
			if sig == syscall.SIGHUP {
				continue // what is read now is new enough
			}
			cancel()
			return errors.Join(<-built, context.Canceled)
		case <-s.stop:
			cancel()
			return errors.Join(<-built, context.Canceled)
		}
	}
}

// wait serves until something ends it, then drains.
func (s *server) wait(ctx, running context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return s.drain(running, nil)
		case <-s.stop:
			return s.drain(running, nil)
		case err := <-s.failed:
			return s.drain(running, err)
		case sig := <-s.opts.Signals:
			if sig != syscall.SIGHUP {
				return s.drain(running, nil)
			}
			// It was logged, and a drain does not wait for it.
			s.serving.Go(func() { _ = s.reloads.reload(running, "signal", "", true) })
		}
	}
}

// serve tells callers whether requests are to be sent here.
func (s *server) serve(on bool) {
	if s.opts.Serving != nil {
		s.opts.Serving(on)
	}
}

// drain ends the server in its order: say so, wait for callers to notice, finish
// what is in flight. A further signal ends it at once, unless it comes together
// with the first.
func (s *server) drain(running context.Context, cause error) error {
	now := s.opts.Now
	if now == nil {
		now = time.Now
	}
	begun := now()
	s.draining.Store(true)
	s.serve(false)
	limits := s.reloads.loaded.Load().Shutdown
	s.log.LogAttrs(running, slog.LevelInfo, "draining", slog.Duration("delay", limits.DrainDelay), slog.Duration("timeout", limits.Timeout))
	if err := s.opts.audit(running, "stop", ""); err != nil {
		// A process must be able to end.
		s.log.LogAttrs(running, slog.LevelError, "the end is not audited", slog.Any("error", err))
	}
	ending, force := context.WithCancelCause(running)
	defer force(nil)
	// It ends with ending, so that no goroutine outlives the run.
	s.serving.Go(func() {
		for {
			select {
			case sig := <-s.opts.Signals:
				if sig == syscall.SIGHUP || now().Sub(begun) < ForceAfter {
					continue
				}
				force(ErrForced)
				return
			case <-ending.Done():
				return
			}
		}
	})
	pause(ending, limits.DrainDelay)
	err := s.finish(ending, limits.Timeout)
	if errors.Is(context.Cause(ending), ErrForced) {
		err = ErrForced
	}
	if err = errors.Join(cause, err); err != nil {
		s.log.LogAttrs(running, slog.LevelError, "ended", slog.String("outcome", "failed"), slog.Any("error", err))
		return err
	}
	s.log.LogAttrs(running, slog.LevelInfo, "ended", slog.String("outcome", "drained"))
	return nil
}

// finish stops accepting and waits for what is in flight, first for requests and
// then for records.
func (s *server) finish(ctx context.Context, timeout time.Duration) error {
	all, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	half, cancelHalf := context.WithTimeout(all, timeout/2)
	defer cancelHalf()
	if gen, release := s.current.Acquire(); gen != nil {
		if gen.Stop != nil {
			gen.Stop()
		}
		release()
	}
	closed := make(chan error, len(s.services))
	for _, service := range s.services {
		go func() { closed <- service.Shutdown(all) }()
	}
	left := len(s.services)
	var errs []error
	collect := func(until <-chan struct{}) {
		for left > 0 {
			select {
			case err := <-closed:
				left--
				errs = append(errs, err)
			case <-until:
				return
			}
		}
	}
	// Requests finish by themselves while records are still taken. Those that do
	// not are told by the end of the pipeline.
	collect(half.Done())
	var lost DrainError
	if s.opts.Drain != nil {
		var err error
		lost.Drained, err = s.opts.Drain(all)
		lost.Err = err
	}
	collect(all.Done())
	for ; left > 0; left-- {
		errs = append(errs, <-closed) // they end with all
	}
	lost.Requests = errors.Join(errs...) != nil
	if lost.Requests || lost.Dropped+lost.Unknown > 0 || lost.Err != nil {
		return &lost
	}
	return nil
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// closeAll ends what is left of listeners and connections.
func (s *server) closeAll() {
	for _, service := range s.services {
		_ = service.Close() // whatever it says, it is not used any more
	}
	if s.admin != nil {
		_ = s.admin.Close() // as above
	}
}

// listen opens the listeners for records, all before the first is served.
func (s *server) listen(ctx context.Context) error {
	var own []Service
	if s.opts.Services != nil {
		var err error
		if own, err = s.opts.Services(s.cfg, &s.current); err != nil {
			return err
		}
	}
	addrs := map[string]string{"rest": s.cfg.Listen.REST, "grpc": s.cfg.Listen.GRPC, "unix": ""}
	if s.cfg.Listen.Unix != "" {
		addrs["unix"] = "unix:" + s.cfg.Resolve(s.cfg.Listen.Unix)
	}
	for i := range own {
		if own[i].Addr == "" {
			own[i].Addr = addrs[own[i].Name]
		}
		delete(addrs, own[i].Name)
	}
	rest := s.current.handler(func(g *Generation) http.Handler { return g.REST })
	rpc := s.current.handler(func(g *Generation) http.Handler { return g.RPC })
	for _, h := range []struct {
		name    string
		handler http.Handler
	}{{"rest", rest}, {"grpc", rpc}, {"unix", rest}} {
		if addr := addrs[h.name]; addr != "" {
			own = append(own, s.web(h.name, addr, h.handler))
		}
	}
	listeners := make([]net.Listener, 0, len(own))
	for _, service := range own {
		if service.Addr == "" {
			listeners = append(listeners, nil)
			continue
		}
		l, err := s.open(ctx, service.Name, service.Addr)
		if err != nil {
			for _, l := range listeners {
				if l != nil {
					_ = l.Close() // the error that counts is the other one
				}
			}
			return err
		}
		listeners = append(listeners, l)
	}
	for i, service := range own {
		if listeners[i] == nil {
			continue
		}
		s.services = append(s.services, service)
		s.run1(service.Name, service.Serve, listeners[i])
	}
	return nil
}

// open opens one listener with its limits.
func (s *server) open(ctx context.Context, name, addr string) (net.Listener, error) {
	listen := s.opts.Listen
	if listen == nil {
		listen = plainListen
	}
	l, err := listen(ctx, name, addr)
	if err != nil {
		return nil, fmt.Errorf("sidecar: listen.%s: %w", name, err)
	}
	s.addrs[name] = l.Addr()
	s.log.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("listener", name), slog.String("address", l.Addr().String()))
	return limit(l, s.cfg.Limits.Connections, s.cfg.Limits.ConnectionsPerPeer), nil
}

func plainListen(ctx context.Context, _, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return lc.Listen(ctx, "unix", path)
	}
	return lc.Listen(ctx, "tcp", addr)
}

// run1 serves one listener. That it ends before it was told to ends the server.
func (s *server) run1(name string, serve func(net.Listener) error, l net.Listener) {
	s.serving.Go(func() {
		err := serve(l)
		if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) || s.draining.Load() {
			return
		}
		select {
		case s.failed <- fmt.Errorf("sidecar: listener %s: %w", name, err):
		default: // one is enough
		}
	})
}

// web returns an HTTP server that slow and greedy clients cannot hold up.
func (s *server) web(name, addr string, h http.Handler) Service {
	server := s.httpServer(h)
	serve := server.Serve
	if s.opts.TLS != nil && name != "unix" {
		if t := s.opts.TLS(s.cfg); t != nil {
			server.TLSConfig = t
			serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		}
	}
	server.ConnContext = s.opts.ConnContext
	return Service{Name: name, Addr: addr, Serve: serve, Shutdown: server.Shutdown, Close: server.Close}
}

// httpServer has no limit on the whole of a request, because streams have none;
// handlers set deadlines for bodies.
func (s *server) httpServer(h http.Handler) *http.Server {
	l := &s.cfg.Limits
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, Protocols: &protocols,
		ReadHeaderTimeout: l.HeaderTimeout, IdleTimeout: l.IdleTimeout, MaxHeaderBytes: l.HeaderBytes,
		// A client that resets what it began counts until its handler has ended, so
		// that resetting quickly gains nothing.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: l.HTTP2Streams, MaxReadFrameSize: 1 << 20,
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: 30 * time.Second,
		},
		// The texts of net/http name peers, and faults of their requests.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
