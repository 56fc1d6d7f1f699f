package serve

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/rest"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// access asks whoever is in force now who calls and what he may do, and counts the
// answers.
type access struct {
	current func() *auth.Auth
	observe *telemetry.Observer
}

// refusedKey is where the context of a request carries why its caller was not let
// in: the surface says that in its own form.
type refusedKey struct{}

// authenticated lets h see who calls.
func (a access) authenticated(h http.Handler) http.Handler {
	refuse := func(w http.ResponseWriter, r *http.Request, err error) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), refusedKey{}, err)))
	}
	return auth.Middleware(a.current, refuse)(h)
}

// restGuard is what package rest asks.
type restGuard struct{ access }

// Authorize implements [rest.Guard].
func (g restGuard) Authorize(ctx context.Context, _ *http.Request, op rest.Operation, topic string) error {
	if err, ok := ctx.Value(refusedKey{}).(error); ok {
		err = restError(err)
		if op == rest.OpNone && !errors.Is(err, rest.ErrHost) && !errors.Is(err, rest.ErrOrigin) {
			return nil // everybody may
		}
		g.observe.Auth("none", refusal(err))
		return err
	}
	p, ok := auth.FromContext(ctx)
	if !ok {
		return rest.ErrUnauthenticated
	}
	if op == rest.OpNone {
		return nil
	}
	what := auth.OpMetadata
	if op == rest.OpProduce {
		what = auth.OpProduce
	}
	err := g.current().Authorize(p, what, topic)
	g.observe.Auth(string(p.Method), decision(err))
	return restError(err)
}

func restError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, auth.ErrDenied):
		return rest.ErrDenied
	case errors.Is(err, auth.ErrHost):
		return rest.ErrHost
	case errors.Is(err, auth.ErrOrigin):
		return rest.ErrOrigin
	case errors.Is(err, auth.ErrUnavailable):
		return err // it cannot be decided now
	default:
		return rest.ErrUnauthenticated
	}
}

// rpcGuard is what package rpc asks.
type rpcGuard struct {
	access

	tracing *telemetry.Tracing
}

// Authenticate implements [rpc.Guard].
func (g rpcGuard) Authenticate(ctx context.Context, c *rpc.Caller) (context.Context, error) {
	req := auth.Request{TLS: c.TLS, Remote: c.Remote, Target: auth.Target{Host: c.Host, Origin: c.Header("Origin")}}
	if c.Conn != nil {
		req.Target.Local = c.Conn.LocalAddr()
	}
	if values := c.Header("Authorization"); len(values) == 1 {
		req.Authorization = values[0]
	} else if len(values) > 1 {
		g.observe.Auth("none", "unauthenticated")
		return nil, rpc.ErrUnauthenticated
	}
	if unix, ok := c.Conn.(*net.UnixConn); ok && req.Peer == nil {
		peer, err := auth.PeerOf(unix)
		if err != nil {
			return nil, rpc.ErrUnauthenticated
		}
		req.Peer = peer
	}
	p, err := g.current().Authenticate(ctx, req)
	if err != nil {
		err = rpcError(err)
		g.observe.Auth("none", refusal(err))
		return nil, err
	}
	if parent := c.Header("traceparent"); g.tracing == nil && parent != nil {
		ctx = telemetry.CallerTrace(ctx, map[string][]string{"traceparent": parent})
	} else if g.tracing != nil {
		header := map[string][]string{"traceparent": parent, "tracestate": c.Header("tracestate")}
		x := new(exchange) // the observer ends it
		ctx, x.span = g.tracing.Request(ctx, header, protocolGRPC, c.Procedure)
		ctx = context.WithValue(ctx, exchangeKey{}, x)
	}
	return auth.NewContext(ctx, p), nil
}

// Authorize implements [rpc.Guard].
func (g rpcGuard) Authorize(ctx context.Context, op rpc.Operation, topic, _ string) error {
	p, ok := auth.FromContext(ctx)
	if !ok {
		return rpc.ErrUnauthenticated
	}
	err := g.current().Authorize(p, operationOf(op), topic)
	g.observe.Auth(string(p.Method), decision(err))
	return rpcError(err)
}

func operationOf(op rpc.Operation) auth.Operation {
	switch op {
	case rpc.OpProduce:
		return auth.OpProduce
	case rpc.OpCheck:
		return auth.OpCheck
	case rpc.OpProtect:
		return auth.OpProtect
	case rpc.OpReveal:
		return auth.OpReveal
	default:
		return auth.OpAdmin // nobody has it by default
	}
}

func rpcError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, auth.ErrDenied):
		return rpc.ErrDenied
	case errors.Is(err, auth.ErrHost):
		return rpc.ErrHost
	case errors.Is(err, auth.ErrOrigin):
		return rpc.ErrOrigin
	case errors.Is(err, auth.ErrUnavailable):
		return rpc.ErrGuardUnavailable
	default:
		return rpc.ErrUnauthenticated
	}
}

// refusal is the decision about a caller who was not let in.
func refusal(err error) string {
	for _, denied := range []error{rest.ErrHost, rest.ErrOrigin, rpc.ErrHost, rpc.ErrOrigin} {
		if errors.Is(err, denied) {
			return "denied"
		}
	}
	return "unauthenticated"
}

func decision(err error) string {
	if err == nil {
		return "allowed"
	}
	return "denied"
}
