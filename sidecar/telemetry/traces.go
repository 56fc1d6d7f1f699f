package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0" // pinned: those of messaging still change
	"go.opentelemetry.io/otel/trace"
)

// exportTimeout bounds one export of spans.
const exportTimeout = 10 * time.Second

// Tracing makes spans. It is safe for concurrent use. A nil Tracing makes none
// and costs a comparison: that is what tracing switched off is.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	names    *labelSets
	codes    map[string]int
	forward  bool // tracestate
}

// NewTracing returns what makes spans and sends them to the collector of c, or
// nil when c names none. Labels are those of o, which counts the spans and must
// not be nil. Of the environment variables of OpenTelemetry, those for endpoints,
// headers and samplers are not looked at; OTEL_RESOURCE_ATTRIBUTES adds to what
// describes the process, such as the name of its pod.
//
// It sets the process's handler of OpenTelemetry's errors, whose texts would else
// go to standard error: what a collector answers is a stranger's text.
func NewTracing(ctx context.Context, c TracesConfig, o *Observer, build Build) (*Tracing, error) {
	if c.OTLPEndpoint == "" {
		return nil, nil //nolint:nilnil // a nil Tracing is one that is off
	}
	u, err := endpointURL(c.OTLPEndpoint)
	if err != nil {
		return nil, err
	}
	// Where the environment asks for other headers or another endpoint, these come
	// later and win.
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithHTTPClient(exportClient(c)),
		otlptracehttp.WithHeaders(nil),
		otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: exportTimeout,
		}))
	if err != nil {
		return nil, errors.New("traces.otlp_endpoint: cannot be used") // the cause may quote it
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { o.exportFailed(0) }))
	return newTracing(sdktrace.NewBatchSpanProcessor(counted{exporter, o}), c, o, build), nil
}

// newTracing returns what gives its spans to p.
func newTracing(p sdktrace.SpanProcessor, c TracesConfig, o *Observer, build Build) *Tracing {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(p),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.SampleRatio))),
		sdktrace.WithResource(resource.NewWithAttributes(semconv.SchemaURL,
			semconv.ServiceName("fieldveil"), semconv.ServiceVersion(labelText(build.Version)))),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeValueLengthLimit: 253, AttributeCountLimit: 16, EventCountLimit: 1, LinkCountLimit: 1,
			AttributePerEventCountLimit: 1, AttributePerLinkCountLimit: 1,
		}))
	return &Tracing{
		provider: provider, tracer: provider.Tracer("github.com/fieldveil/fieldveil/sidecar"),
		names: &o.names, codes: o.codeIdx, forward: c.ForwardTracestate,
	}
}

// Shutdown sends the spans that are left and ends tracing. It is part of the
// drain: call it after the last record, with what is left of the time. When ctx
// ends first, spans are lost and nothing else.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return errors.New("telemetry: spans were lost: " + ErrorText(err))
	}
	return nil
}

// endpointURL returns the URL of an endpoint with OTLP's path.
func endpointURL(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return nil, errors.New("traces.otlp_endpoint: is no URL") // the text of the error quotes it
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return u, nil
}

// exportClient returns a client that reads the headers anew for each export, and
// follows no redirect: it would carry them to another host.
func exportClient(c TracesConfig) *http.Client {
	return &http.Client{
		Timeout:       exportTimeout,
		Transport:     headers{c: c, next: exportTransport()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func exportTransport() http.RoundTripper {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = 1
		return t
	}
	return http.DefaultTransport
}

// headers sets the configured headers of a request.
type headers struct {
	c    TracesConfig
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (h headers) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	for name, s := range h.c.Headers {
		value, err := s.Read()
		if err != nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			return nil, fmt.Errorf("traces.headers.%s: %w", name, err)
		}
		req.Header.Set(name, string(value))
	}
	return h.next.RoundTrip(req)
}

// counted is an exporter that counts, and keeps the texts of its errors.
type counted struct {
	next sdktrace.SpanExporter
	o    *Observer
}

// ExportSpans implements [sdktrace.SpanExporter].
func (c counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := c.next.ExportSpans(ctx, spans); err != nil {
		c.o.exportFailed(len(spans))
		return nil //nolint:nilerr // it is counted; its text may quote the collector's answer
	}
	c.o.spans.WithLabelValues("exported").Add(float64(len(spans)))
	return nil
}

// Shutdown implements [sdktrace.SpanExporter].
func (c counted) Shutdown(ctx context.Context) error { return c.next.Shutdown(ctx) }

func (o *Observer) exportFailed(n int) {
	if o != nil {
		o.spans.WithLabelValues("failed").Add(float64(n))
	}
}
