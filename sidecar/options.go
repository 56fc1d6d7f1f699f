package sidecar

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// Options are what the frame is given. Config, Format, Build and Logger are
// required; what else is nil is left out. Functions may be called from any
// goroutine.
type Options struct {
	// Config is the path of the configuration, Env what stands above it.
	Config string
	Env    config.Environment
	Format *config.Format
	Build  Builder
	Logger *slog.Logger
	// Signals are those of the process: SIGHUP reads the configuration again,
	// every other one begins to drain, and a further one of those, [ForceAfter] or
	// more after the drain began, ends the process at once.
	Signals <-chan os.Signal
	// Now is the clock by which signals are told apart. Default: time.Now.
	Now func() time.Time
	// AllowWeakening lets reloads protect less than before, as
	// policy.allow_weakening of the first configuration does.
	AllowWeakening bool
	// Services returns what serves a listener by itself, once the first generation
	// is in place. A service named "rest", "grpc" or "unix" takes the address of
	// that name.
	Services func(*config.Config, *Current) ([]Service, error)
	// Listen opens the listener called name. Default: net.Listen, where
	// "unix:" begins the path of a socket.
	Listen func(ctx context.Context, name, addr string) (net.Listener, error)
	// TLS returns how connections of the data listeners are secured. Nil, or a nil
	// configuration, is plain HTTP.
	TLS func(*config.Config) *tls.Config
	// ConnContext may add to the context of a connection, for one who asks for the
	// peer of a Unix socket.
	ConnContext func(context.Context, net.Conn) context.Context
	// Metrics answers /metrics.
	Metrics http.Handler
	// Reloaded is told the outcome of each reload that did something.
	Reloaded func(outcome string)
	// Serving is told when requests are to be sent here, and when not any more.
	Serving func(bool)
	// Drain waits for what is in flight, after no request is served any more or
	// half of shutdown.timeout is over, at most until the context ends, and tells
	// what became of the rest.
	Drain func(context.Context) (Drained, error)
	// Audit puts an act on record before it happens: "start", "reload", "stop".
	// When it fails, start and reload do not happen.
	Audit func(ctx context.Context, act, detail string) error
	// Version answers /version.
	Version string
	// Listening is told the addresses of the listeners by name, once all are open.
	Listening func(map[string]net.Addr)
}

// A Service serves a listener by itself, as *http.Server does.
type Service struct {
	// Name and Addr say where; an empty Addr is that of the listener of that name
	// in the configuration.
	Name, Addr string
	// Serve returns when the listener is closed.
	Serve func(net.Listener) error
	// Shutdown finishes what is in flight, at most until the context ends.
	Shutdown func(context.Context) error
	// Close ends everything at once.
	Close func() error
}

// Drained says what became of records that were in flight at the end.
type Drained struct {
	// Dropped were never handed over to the brokers. Unknown were, and no answer
	// came.
	Dropped, Unknown int
}

// ForceAfter is for how long a drain that has begun takes further signals for the
// first one. Whoever ends a process may send it more than one at a time: to the
// process and to its group, say.
const ForceAfter = time.Second

// ErrForced means that a second signal ended the process before it was drained.
var ErrForced = errors.New("sidecar: ended by a second signal before all that was in flight had its answer")

// A DrainError tells that the process ended while something was in flight.
type DrainError struct {
	Drained

	// Requests tells that requests were still open.
	Requests bool
	Err      error
}

// Error returns what was left.
func (e *DrainError) Error() string {
	text := fmt.Sprintf("sidecar: not drained: %d records dropped, %d of unknown outcome", e.Dropped, e.Unknown)
	if e.Requests {
		text += ", requests cut off"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the reason, if there is one.
func (e *DrainError) Unwrap() error { return e.Err }

func (o *Options) audit(ctx context.Context, act, detail string) error {
	if o.Audit == nil {
		return nil
	}
	return o.Audit(ctx, act, detail)
}

func (o *Options) check() error {
	var errs []error
	for _, f := range []struct {
		name string
		ok   bool
	}{
		{"Config", o.Config != ""}, {"Format", o.Format != nil}, {"Build", o.Build != nil}, {"Logger", o.Logger != nil},
	} {
		if !f.ok {
			errs = append(errs, fmt.Errorf("sidecar: Options.%s is missing", f.name))
		}
	}
	return errors.Join(errs...)
}
