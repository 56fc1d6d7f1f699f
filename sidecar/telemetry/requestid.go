package telemetry

import (
	"context"
	"crypto/rand"

	"go.opentelemetry.io/otel/trace"
)

// RequestIDHeader is the header in which a caller names his request, and in which
// the answer repeats the name.
const RequestIDHeader = "X-Request-Id"

// maxRequestID is how long the id of a request may be.
const maxRequestID = 64

// RequestID returns the id of a request for the log and the answer: what stands in
// the header [RequestIDHeader], given by its values, when that is one text of up to
// 64 letters, digits, dots, _ and -, and a random one otherwise.
func RequestID(given []string) string {
	if len(given) == 1 && isRequestID(given[0]) {
		return given[0]
	}
	return rand.Text()
}

func isRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return true
}

// TraceID returns the id of the trace in ctx for a line of the log, or "".
func TraceID(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.HasTraceID() {
		return ""
	}
	return sc.TraceID().String()
}

// CallerTrace returns ctx with the trace that the caller is in, for [TraceID]. It
// is for requests without a span: [Tracing.Request] does it by itself.
func CallerTrace(ctx context.Context, header map[string][]string) context.Context {
	return new(Tracing).extract(ctx, header)
}
