package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/fieldveil/fieldveil/sidecar"
	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/internal/arrivals"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

var errCluster = errors.New("the cluster does not answer")

func challenges() []string {
	h := http.Header{}
	auth.Challenge(h)
	return h.Values("WWW-Authenticate")
}

// services implements sidecar.Options: servers that live as long as the process.
func (p *process) services(cfg *config.Config, _ *sidecar.Current) ([]sidecar.Service, error) {
	h := p.traced(access{current: p.auth.Load, observe: p.observe}.authenticated(p.rest))
	var out []sidecar.Service
	for _, name := range []string{"rest", "unix"} {
		s := p.web(name, cfg, h)
		var arriving arrivals.Arrivals
		arriving.Watch(s)
		serve := s.Serve
		if secured, err := p.tls(); err != nil {
			return nil, err
		} else if secured != nil && name == "rest" {
			s.TLSConfig = secured
			serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
		}
		shutdown := func(ctx context.Context) error {
			arriving.End(ctx)
			return s.Shutdown(ctx)
		}
		out = append(out, sidecar.Service{Name: name, Serve: arriving.Serve(serve), Shutdown: shutdown, Close: s.Close})
	}
	if cfg.Listen.GRPC != "" {
		out = append(out, sidecar.Service{
			Name: "grpc", Serve: p.rpc.Serve, Shutdown: p.rpc.Shutdown,
			Close: func() error {
				over, cancel := context.WithCancel(context.Background())
				cancel()
				return p.rpc.Shutdown(over)
			},
		})
	}
	// A Unix socket that nobody wants is no service.
	if cfg.Listen.Unix == "" {
		out = append(out[:1], out[2:]...)
	} else {
		out[1].Addr = "unix:" + cfg.Resolve(cfg.Listen.Unix)
	}
	return out, nil
}

// tls returns how connections are secured, nil for not at all. It follows the files
// of certificates, and reloads.
func (p *process) tls() (*tls.Config, error) {
	first := p.auth.Load()
	if !first.HasTLS() {
		return nil, nil //nolint:nilnil // nil is what servers know it by
	}
	c, err := first.TLSConfig()
	if err != nil {
		return nil, err
	}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		now, err := p.auth.Load().TLSConfig()
		if err != nil {
			return nil, err
		}
		return now.GetConfigForClient(hello)
	}
	return c, nil
}

func (p *process) web(name string, cfg *config.Config, h http.Handler) *http.Server {
	s := &http.Server{ //nolint:gosec // ConfigureServer sets the time-outs
		Handler: h, ConnContext: auth.ConnContext,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: cfg.Limits.HTTP2Streams, SendPingTimeout: cfg.Limits.IdleTimeout / 4, PingTimeout: cfg.Limits.HeaderTimeout * 3},
		ErrorLog: slog.NewLogLogger(telemetry.Foreign(p.log.Handler(), name), slog.LevelDebug),
	}
	p.rest.ConfigureServer(s)
	return s
}

// listen implements sidecar.Options. Addresses that other hosts reach are for
// callers who show who they are.
func (p *process) listen(ctx context.Context, name, addr string) (net.Listener, error) {
	if name == "admin" {
		return new(net.ListenConfig).Listen(ctx, "tcp", addr)
	}
	return p.auth.Load().Listen(ctx, addr)
}
