package telemetry

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// The headers of W3C Trace Context, in records too.
const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
)

// maxTracestate is how long a tracestate may be.
const maxTracestate = 512

// extract returns ctx with the trace that a caller is in, if he says so in a way
// that can be understood. The keys of header are as net/http or as gRPC writes
// them.
func (t *Tracing) extract(ctx context.Context, header map[string][]string) context.Context {
	values := slices.Concat(header["Traceparent"], header[traceparent])
	if len(values) != 1 { // two callers cannot both be the parent
		return ctx
	}
	sc, ok := parseTraceparent(values[0])
	if !ok {
		return ctx
	}
	if t.forward {
		text := strings.Join(slices.Concat(header["Tracestate"], header[tracestate]), ",")
		if len(text) <= maxTracestate {
			if ts, err := trace.ParseTraceState(text); err == nil {
				sc = sc.WithTraceState(ts)
			}
		}
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// parseTraceparent reads the value of a traceparent: version, id of the trace, id
// of the parent, flags, in lower hex. A later version may have more behind it.
func parseTraceparent(s string) (trace.SpanContext, bool) {
	const size = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(s) < size || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return trace.SpanContext{}, false
	}
	version, ok := lowerHex(s[:2])
	if !ok || version[0] == 0xff || version[0] == 0 && len(s) != size || len(s) > size && s[size] != '-' {
		return trace.SpanContext{}, false
	}
	id, ok1 := lowerHex(s[3:35])
	parent, ok2 := lowerHex(s[36:52])
	flags, ok3 := lowerHex(s[53:55])
	if !ok1 || !ok2 || !ok3 {
		return trace.SpanContext{}, false
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(id), SpanID: trace.SpanID(parent), TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	})
	return sc, sc.IsValid()
}

func lowerHex(s string) ([]byte, bool) {
	b, err := hex.DecodeString(s)
	return b, err == nil && strings.ToLower(s) == s
}

// TraceHeaders returns the values of the headers traceparent and tracestate for
// what is done in ctx, both empty when there is no trace.
func (t *Tracing) TraceHeaders(ctx context.Context) (parent, state string) {
	if t == nil {
		return "", ""
	}
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return "", ""
	}
	flags := "-00"
	if sc.IsSampled() {
		flags = "-01"
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + flags, sc.TraceState().String()
}

// AddTraceHeaders appends the headers of the trace in ctx to those of a record.
// Call it with the headers of the protected record, right before the record is
// handed over: what is added then is not looked at by the policy, which has
// nothing to protect in it. Given are the headers as the client sent them. If
// there is one of the two names among them already, in either list, nothing is
// added: the client's own trace stands, and the policy decides about it as about
// any other header.
//
// Name and header translate between H and what a header is. Headers is never
// written to where it stands: it grows into a new array, because the array may be
// the client's.
func AddTraceHeaders[H any](ctx context.Context, t *Tracing, headers, given []H, name func(*H) string, header func(name string, value []byte) H) []H {
	if t == nil {
		return headers
	}
	for _, list := range [][]H{headers, given} {
		for i := range list {
			if n := name(&list[i]); strings.EqualFold(n, traceparent) || strings.EqualFold(n, tracestate) {
				return headers
			}
		}
	}
	parent, state := t.TraceHeaders(ctx)
	if parent == "" {
		return headers
	}
	headers = append(slices.Clip(headers), header(traceparent, []byte(parent)))
	if state != "" {
		headers = append(headers, header(tracestate, []byte(state)))
	}
	return headers
}
