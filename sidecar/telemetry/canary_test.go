package telemetry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// mark is in every canary, in letters that no encoder changes.
const mark = "KANARI"

// canaries look like values of fields: texts, addresses, numbers with separators,
// bytes. One that is spelled like the name of a topic would be taken for one.
func canaries() []string {
	shapes := []string{
		"%s-%d@example.test", "Ann %s%d", "+49 %s (%d)", "{\"%s\": %d}", "%s;%d\r\nX-Header: 1", "%s\x00%d", "é%sé%d", "%s=%d==", "\"%s\",%d", "<%s&%d>",
	}
	out := make([]string, 1000)
	for i := range out {
		out[i] = fmt.Sprintf(shapes[i%len(shapes)], mark, i)
	}
	return out
}

// leaks lists where a canary is in text, also encoded.
func leaks(text string) []string {
	var out []string
	for name, form := range map[string]string{
		"clear": mark, "hex": hex.EncodeToString([]byte(mark)), "base64": base64.StdEncoding.EncodeToString([]byte(mark)),
		"reversed": "IRANAK", "UTF-16": "K\x00A\x00N", "lower": strings.ToLower(mark),
	} {
		if i := strings.Index(text, form); i >= 0 {
			out = append(out, name+": "+text[max(0, i-80):min(len(text), i+80)])
		}
	}
	return out
}

type stringer struct{ s string }

func (s stringer) String() string               { return s.s }
func (s stringer) LogValue() slog.Value         { return slog.AnyValue([]string{s.s}) }
func (s stringer) MarshalJSON() ([]byte, error) { return []byte(`"` + mark + `"`), nil }
func (s stringer) MarshalText() ([]byte, error) { return []byte(s.s), nil }
func (s stringer) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(s.s)) }

type exploding struct{ s string }

func (e exploding) LogValue() slog.Value { panic(e.s) }

func TestNoCanaryGetsIntoTheLog(t *testing.T) {
	var keys []string
	for k := range allowed() {
		keys = append(keys, k)
	}
	for _, format := range []string{"json", "text"} {
		var buf bytes.Buffer
		logger, err := NewLogger(&buf, LogConfig{Level: "debug", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		requests := NewRequests(logger, DefaultConfig().Log)
		std := slog.NewLogLogger(Foreign(logger.Handler(), "rest"), slog.LevelError)
		ctx := t.Context()
		lvls := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
		for i, c := range canaries() {
			// Every allowed name in turn, and names that are not allowed.
			for _, key := range []string{keys[i%len(keys)], keys[(i+1)%len(keys)], "value", "email", c} {
				for _, v := range []any{c, []byte(c), errors.New(c), fmt.Errorf("a %w", errors.New(c)), stringer{c}, &stringer{c}, exploding{c}, map[string]string{c: c}, []string{c}, struct{ S string }{c}, slog.GroupValue(slog.String(c, c)), error(&fieldcrypt.Error{Op: "protect", Topic: c, Code: "internal", Err: errors.New(c)})} {
					logger.LogAttrs(ctx, lvls[i%len(lvls)], "x", slog.Any(key, v), slog.Group(c, slog.Any(key, v)))
				}
			}
			// Calls that are wrong make names out of values.
			wrong := []any{"topic", 1, c}
			logger.With(c, c).WithGroup(c).With("value", c).Info("x", wrong...)
			wrong = []any{c, 5}
			logger.Info("x", wrong...)
			requests.Log(ctx, Line{Request: c, Trace: c, Protocol: c, Route: c, Topic: c, Principal: c, Decision: c, Policy: c, Code: c})
			std.Print(c)
			for _, v := range []any{c, errors.New(c), stringer{c}, []byte(c)} {
				func() {
					defer Recover(ctx, logger, nil, c, nil)
					panic(v)
				}()
			}
		}
		if buf.Len() < 1000 {
			t.Fatal("hardly anything was logged")
		}
		for _, l := range leaks(buf.String()) {
			t.Errorf("%s: %s", format, l)
		}
	}
}

func TestNoCanaryGetsIntoMetrics(t *testing.T) {
	cs := canaries()
	o := NewObserver(Options{Topics: []string{"orders"}, Build: Build{Version: cs[0], Commit: cs[1], Go: cs[2]}})
	for i, c := range cs {
		o.RecordDone(c, c, c, 1, 1, 1)
		o.TopicDone(c, c)
		o.Request(c, c, 200, 1)
		o.Refused(c)
		o.Reload(c)
		o.Config(1, c, c)
		o.Drained(c, 1, 1)
		o.Auth(c, c)
		o.Certificate(c, time.Now())
		o.Panicked(c)
		o.KMSCall(c, c, c, 1)
		o.WatchKafka(c, func() (int64, int64) { return 1, 1 })
		for _, kind := range []datakey.EventKind{datakey.EventCall, datakey.EventCircuit, datakey.EventKey, datakey.EventWait, datakey.EventNegative, datakey.EventDrop, datakey.EventPersist, datakey.EventKind(c)} {
			o.Observe(datakey.Event{
				Kind: kind, Op: datakey.Op(c), Endpoint: c, Outcome: datakey.Outcome(c), Circuit: datakey.CircuitState(c), Key: c, Tenant: c, Reason: datakey.DropReason(c),
			})
		}
		o.WatchKeys(func() datakey.Stats {
			return datakey.Stats{
				Keys:      []datakey.KeyStats{{Key: c, Tenant: c, Warm: 1}},
				Endpoints: []datakey.EndpointStats{{Endpoint: c, Circuit: datakey.CircuitState(c)}},
			}
		})
		// The snapshot of each tenth canary; what is counted stays until the end.
		if i%10 == 9 {
			if text := scrape(t, o); len(leaks(text)) > 0 {
				t.Fatalf("%v", leaks(text))
			}
		}
	}
	if n := strings.Count(scrape(t, o), "\nfieldveil_"); n > 1000 {
		t.Errorf("%d series", n)
	}
}

func TestNoCanaryGetsIntoSpansOrTraceHeaders(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	o := NewObserver(Options{})
	tr := newTracing(sdktrace.NewSimpleSpanProcessor(exporter), TracesConfig{SampleRatio: 1}, o, Build{Version: canaries()[0]})
	var headers strings.Builder
	for i, c := range canaries() {
		header := http.Header{"Traceparent": {c}, "Tracestate": {"a=" + c}, "Baggage": {"user=" + c}}
		if i%2 == 0 {
			header["Traceparent"] = []string{parentText}
		}
		ctx, request := tr.Request(t.Context(), header, c, c)
		pctx, protect := tr.Protect(ctx, c)
		protect.End(c)
		_, publish := tr.Publish(pctx, c, 2)
		publish.End(c)
		for _, h := range addPairs(pctx, tr, nil, nil) {
			headers.WriteString(h.name + string(h.value))
		}
		request.Status(200)
		request.End(c)
	}
	text := fmt.Sprintf("%+v", exporter.GetSpans())
	if len(exporter.GetSpans()) != 3000 {
		t.Errorf("%d spans", len(exporter.GetSpans()))
	}
	for _, l := range leaks(text + headers.String()) {
		t.Error(l)
	}
}

func TestNoCanaryGetsFromACollectorIntoAnError(t *testing.T) {
	tr, err := NewTracing(t.Context(), TracesConfig{OTLPEndpoint: "http://" + mark + ".invalid", Insecure: true, SampleRatio: 1}, NewObserver(Options{}), Build{})
	if err != nil {
		t.Fatal(err)
	}
	_, s := tr.Publish(t.Context(), "orders", 1)
	s.End("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Shutdown(ctx); err != nil && len(leaks(err.Error())) > 0 {
		t.Error(err)
	}
}
