package serve

import (
	"context"
	"net/http"

	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// An exchange is what is known of one request before its surface sees it, and what
// the surface says of it in the end. The goroutine of the request
// uses it.
type exchange struct {
	id   string
	span telemetry.Span
	code string // why the sidecar failed; that a caller was wrong is no error of the span
}

type exchangeKey struct{}

// exchangeOf returns the exchange of a request, an empty one where there is none.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return new(exchange)
}

// ended notes what became of the request.
func (x *exchange) ended(route string, status int, code string) {
	x.span.Route(route)
	x.span.Status(status)
	x.failed(status, code)
}

// failed notes why the sidecar failed, if it did.
func (x *exchange) failed(status int, code string) {
	if status >= http.StatusInternalServerError {
		x.code = code
	}
}

// principalOf returns the name of the caller whom access control let in, as its
// rules have it, or "".
func principalOf(ctx context.Context) string {
	p, _ := auth.FromContext(ctx)
	return p.Name
}

// traced names the protocol and the id of a request, begins its span, and ends the
// connection with the answer once the process is about to end, so that no request
// is sent into a connection that closes.
func (p *process) traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol := protocolOf(r.URL.Path)
		x := &exchange{id: telemetry.RequestID(r.Header[telemetry.RequestIDHeader])}
		w.Header().Set(telemetry.RequestIDHeader, x.id)
		ctx := context.WithValue(r.Context(), protocolKey{}, protocol)
		if p.tracing == nil {
			ctx = telemetry.CallerTrace(ctx, r.Header)
		} else {
			ctx, x.span = p.tracing.Request(ctx, r.Header, protocol, "")
			defer func() { x.span.End(x.code) }()
		}
		if p.ending.Load() && r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, exchangeKey{}, x)))
	})
}
