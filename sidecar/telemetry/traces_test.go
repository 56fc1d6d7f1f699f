package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

type pairHeader struct {
	name  string
	value []byte
}

func addPairs(ctx context.Context, tr *Tracing, headers, given []pairHeader) []pairHeader {
	return AddTraceHeaders(ctx, tr, headers, given, func(h *pairHeader) string { return h.name },
		func(name string, value []byte) pairHeader { return pairHeader{name, value} })
}

const parentText = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// recorded returns a Tracing whose spans stay in memory.
func recorded(c TracesConfig) (*Tracing, *tracetest.InMemoryExporter) {
	exporter := tracetest.NewInMemoryExporter()
	o := NewObserver(Options{Routes: []string{"POST /topics/{topic}"}})
	return newTracing(sdktrace.NewSimpleSpanProcessor(exporter), c, o, Build{Version: "v1"}), exporter
}

func attrs(s tracetest.SpanStub) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}

func TestARequestIsTracedFromItsCallerToTheBroker(t *testing.T) {
	for name, header := range map[string]map[string][]string{
		"HTTP": http.Header{"Traceparent": {parentText}}, "gRPC": {"traceparent": {parentText}},
	} {
		t.Run(name, func(t *testing.T) {
			tr, exporter := recorded(TracesConfig{})
			ctx, request := tr.Request(t.Context(), header, "v3", "POST /topics/{topic}")
			_, protect := tr.Protect(ctx, "orders")
			protect.End("ok")
			pctx, publish := tr.Publish(ctx, "", 3)
			publish.Topic("orders")
			added := addPairs(pctx, tr, nil, nil)
			publish.Partition(2, 7)
			publish.End("outcome_unknown")
			request.Status(200)
			request.End("")

			spans := exporter.GetSpans()
			if len(spans) != 3 {
				t.Fatalf("%d spans", len(spans))
			}
			for _, s := range spans {
				if s.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
					t.Errorf("%s is of another trace", s.Name)
				}
			}
			if got := spans[2].Parent.SpanID().String(); got != "b7ad6b7169203331" {
				t.Errorf("parent %s", got)
			}
			if request.TraceID() != "0af7651916cd43dd8448eb211c80319c" {
				t.Errorf("trace id %s", request.TraceID())
			}
			pub := attrs(spans[1])
			for key, want := range map[string]string{
				"messaging.system": "kafka", "messaging.operation.type": "send", "messaging.operation.name": "send",
				"messaging.destination.name": "orders", "messaging.batch.message_count": "3",
				"messaging.destination.partition.id": "2", "messaging.kafka.offset": "7", "error.type": "outcome_unknown",
			} {
				if pub[key] != want {
					t.Errorf("%s: %q, not %q", key, pub[key], want)
				}
			}
			if spans[1].SpanKind != trace.SpanKindProducer || spans[1].Name != "send orders" {
				t.Errorf("%s %v", spans[1].Name, spans[1].SpanKind)
			}
			want := "00-0af7651916cd43dd8448eb211c80319c-" + spans[1].SpanContext.SpanID().String() + "-01"
			if len(added) != 1 || added[0].name != traceparent || string(added[0].value) != want {
				t.Errorf("record headers %q, want %s", added, want)
			}
		})
	}
}

func TestTheTraceOfAClientStands(t *testing.T) {
	tr, _ := recorded(TracesConfig{SampleRatio: 1})
	ctx, span := tr.Request(t.Context(), nil, "v3", "")
	defer span.End("")
	own := []pairHeader{{"a", nil}, {"TraceParent", []byte("x")}}
	if got := addPairs(ctx, tr, own, own); len(got) != 2 {
		t.Errorf("added to the client's own: %q", got)
	}
	if got := addPairs(ctx, tr, nil, own); len(got) != 0 {
		t.Errorf("put in place of one that the policy dropped: %q", got)
	}
	if got := addPairs(ctx, tr, []pairHeader{{"tracestate", nil}}, nil); len(got) != 1 {
		t.Errorf("added beside a tracestate: %q", got)
	}
	backing := make([]pairHeader, 1, 4)
	got := addPairs(ctx, tr, backing, backing)
	if len(got) != 2 || backing[:2][1].name != "" {
		t.Error("the client's array was written to")
	}
	if got := addPairs(t.Context(), tr, nil, nil); len(got) != 0 {
		t.Errorf("a header without a trace: %q", got)
	}
}

func TestTracestateIsHandedOnOnlyWhenAskedFor(t *testing.T) {
	header := http.Header{"Traceparent": {parentText}, "Tracestate": {"vendor=a", "other=b"}}
	for forward, want := range map[bool]string{false: "", true: "vendor=a,other=b"} {
		tr, _ := recorded(TracesConfig{ForwardTracestate: forward})
		ctx, span := tr.Request(t.Context(), header, "v3", "")
		_, state := tr.TraceHeaders(ctx)
		span.End("")
		if state != want {
			t.Errorf("forward %v: %q", forward, state)
		}
	}
}

func TestATraceparentThatCannotBeUnderstoodIsIgnored(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "short": parentText[:54], "long": parentText + "0", "upper case": strings.ToUpper(parentText),
		"no trace": "00-00000000000000000000000000000000-b7ad6b7169203331-01", "no parent": "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"version ff": "ff" + parentText[2:], "a text": strings.Repeat("ann@example.test ", 4),
		"later version without a dash": "01" + parentText[2:] + "x",
	} {
		if _, ok := parseTraceparent(text); ok {
			t.Errorf("%s: understood", name)
		}
	}
	for _, text := range []string{parentText, "01" + parentText[2:] + "-more"} {
		if _, ok := parseTraceparent(text); !ok {
			t.Errorf("%s: not understood", text)
		}
	}
	tr, _ := recorded(TracesConfig{SampleRatio: 1})
	_, s := tr.Request(t.Context(), http.Header{"Traceparent": {parentText, parentText}}, "v3", "")
	defer s.End("")
	if s.TraceID() == "0af7651916cd43dd8448eb211c80319c" {
		t.Error("one of two parents was taken")
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(parentText)
	f.Add("01" + parentText[2:] + "-more")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		sc, ok := parseTraceparent(text)
		if !ok {
			return
		}
		ctx := trace.ContextWithRemoteSpanContext(t.Context(), sc)
		back, _ := new(Tracing).TraceHeaders(ctx)
		if back[2:53] != text[2:53] {
			t.Errorf("%q became %q", text, back)
		}
	})
}

// A collector takes OTLP over HTTP.
type collector struct {
	mu      sync.Mutex
	status  int
	tokens  []string
	paths   []string
	bodies  []string
	leak    string
	request tracepb.ExportTraceServiceRequest
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens, c.paths = append(c.tokens, r.Header.Get("Authorization")), append(c.paths, r.URL.Path)
	c.bodies, c.leak = append(c.bodies, string(body)), r.Header.Get("X-Leak")
	if err != nil || proto.Unmarshal(body, &c.request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if c.status != 0 {
		w.WriteHeader(c.status)
		_, _ = io.WriteString(w, "an answer of a collector")
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestSpansReachACollectorBeforeShutdownEnds(t *testing.T) {
	// The environment does not change what is sent where, and adds the name of the
	// pod to what describes the process.
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Leak=environment")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=orders-7")
	c := new(collector)
	srv := httptest.NewServer(c)
	defer srv.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("Bearer one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := NewObserver(Options{})
	cfg := TracesConfig{OTLPEndpoint: srv.URL, Insecure: true, SampleRatio: 1, Headers: map[string]secret.Secret{"Authorization": secret.File(token)}}
	tr, err := NewTracing(t.Context(), cfg, o, Build{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	_, s := tr.Publish(t.Context(), "orders", 1)
	s.End("")
	if err := os.WriteFile(token, []byte("Bearer two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.paths) != 1 || c.paths[0] != "/v1/traces" || c.tokens[0] != "Bearer two" {
		t.Fatalf("%q %q", c.paths, c.tokens)
	}
	if c.leak != "" || !strings.Contains(c.bodies[0], "orders-7") {
		t.Errorf("header %q, body %q", c.leak, c.bodies[0])
	}
	got := c.request.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
	if len(got) != 1 || got[0].GetName() != "send orders" {
		t.Errorf("%v", got)
	}
	wantLines(t, scrape(t, o), `fieldveil_trace_spans_total{outcome="exported"} 1`, `fieldveil_trace_spans_total{outcome="failed"} 0`)
}

func TestACollectorThatRefusesIsCountedAndFailsNothing(t *testing.T) {
	srv := httptest.NewServer(&collector{status: http.StatusForbidden})
	defer srv.Close()
	o := NewObserver(Options{})
	tr, err := NewTracing(t.Context(), TracesConfig{OTLPEndpoint: srv.URL, Insecure: true, SampleRatio: 1}, o, Build{})
	if err != nil {
		t.Fatal(err)
	}
	_, s := tr.Publish(t.Context(), "orders", 1)
	s.End("")
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	wantLines(t, scrape(t, o), `fieldveil_trace_spans_total{outcome="failed"} 1`)
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	waiting, end := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(waiting)
		<-end
	}))
	defer srv.Close()
	defer close(end)
	tr, err := NewTracing(t.Context(), TracesConfig{OTLPEndpoint: srv.URL, Insecure: true, SampleRatio: 1}, NewObserver(Options{}), Build{})
	if err != nil {
		t.Fatal(err)
	}
	_, s := tr.Publish(t.Context(), "orders", 1)
	s.End("")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waiting; cancel() }()
	// That it returns at all is what is tested: the collector never answers.
	_ = tr.Shutdown(ctx)
	if ctx.Err() == nil {
		t.Error("ended before the collector was asked")
	}
}

func TestTracingIsOffWithoutAnEndpoint(t *testing.T) {
	tr, err := NewTracing(t.Context(), DefaultConfig().Traces, NewObserver(Options{}), Build{})
	if tr != nil || err != nil {
		t.Fatalf("%v, %v", tr, err)
	}
	ctx, s := tr.Request(t.Context(), nil, "v2", "/")
	if ctx != t.Context() || s != (Span{}) || s.TraceID() != "" {
		t.Error("a span of nothing")
	}
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnEndpointThatCannotBeUsedIsNotQuoted(t *testing.T) {
	_, err := NewTracing(t.Context(), TracesConfig{OTLPEndpoint: "http://ann:pass word@[::1"}, NewObserver(Options{}), Build{})
	if err == nil || strings.Contains(err.Error(), "pass") {
		t.Errorf("%v", err)
	}
}
