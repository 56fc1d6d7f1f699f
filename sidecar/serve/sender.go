package serve

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rest"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// The ways in, as metrics and logs name them.
const (
	protocolV2   = "v2"
	protocolV3   = "v3"
	protocolRaw  = "raw"
	protocolGRPC = "grpc"
)

func protocols() []string { return []string{protocolV2, protocolV3, protocolRaw, protocolGRPC} }

// protocolOf returns the protocol of a path of the HTTP surface.
func protocolOf(path string) string {
	switch {
	case strings.HasPrefix(path, "/v3/"), strings.HasPrefix(path, "/kafka/v3/"):
		return protocolV3
	case strings.HasSuffix(path, "/raw"), strings.HasSuffix(path, "/events"):
		return protocolRaw
	default:
		return protocolV2
	}
}

type protocolKey struct{}

func protocolIn(ctx context.Context) string {
	if p, ok := ctx.Value(protocolKey{}).(string); ok {
		return p
	}
	return protocolGRPC
}

// A counted Sender counts what its senders are told.
type counted struct {
	produce.Sender

	observe *telemetry.Observer
	tracing *telemetry.Tracing
	waiting sync.Pool // of *told
}

// Admit implements [produce.Sender].
func (c *counted) Admit(n, size int) (release func(), err *produce.Error) {
	if release, err = c.Sender.Admit(n, size); err != nil {
		c.observe.Refused(string(err.Code))
	}
	return release, err
}

// AdmitStream implements [produce.Sender]. Its results have no names: a function
// that is returned and calls what it was made of would call itself.
func (c *counted) AdmitStream() (func(), *produce.Error) {
	inner, err := c.Sender.AdmitStream()
	if err != nil {
		c.observe.Refused(string(err.Code))
		return nil, err
	}
	c.observe.InFlight(0, 0, 1)
	var ended atomic.Bool
	return func() {
		if !ended.Swap(true) {
			c.observe.InFlight(0, 0, -1)
		}
		inner()
	}, nil
}

// Produce implements [produce.Sender].
func (c *counted) Produce(ctx context.Context, recs []produce.Record, mode produce.Mode) []produce.Result {
	size := 0
	for i := range recs {
		size += recs[i].Size()
	}
	topic := ""
	if len(recs) > 0 {
		topic = recs[0].Topic
	}
	ctx, span := c.tracing.Publish(ctx, topic, len(recs))
	c.observe.InFlight(int64(size), int64(len(recs)), 0)
	results := c.Sender.Produce(ctx, recs, mode)
	c.observe.InFlight(-int64(size), -int64(len(recs)), 0)
	protocol, worst := protocolIn(ctx), ""
	for i := range results {
		c.done(protocol, recs[i].Topic, recs[i].Size(), &results[i])
		if results[i].Err != nil {
			worst = string(results[i].Err.Code)
		}
	}
	span.End(worst)
	return results
}

// A told is a record of which somebody waits to be told. It is used again.
type told struct {
	c               *counted
	topic, protocol string
	size            int
	done            func(produce.Result)
	fn              func(produce.Result) // its tell
}

func (t *told) tell(res produce.Result) {
	c, done := t.c, t.done
	c.observe.InFlight(-int64(t.size), -1, 0)
	c.done(t.protocol, t.topic, t.size, &res)
	t.topic, t.done = "", nil
	c.waiting.Put(t) // a sender is told once
	done(res)
}

// Send implements [produce.Sender].
func (c *counted) Send(ctx context.Context, rec produce.Record, done func(produce.Result)) {
	t, _ := c.waiting.Get().(*told)
	if t == nil {
		t = &told{c: c}
		t.fn = t.tell
	}
	t.topic, t.protocol, t.size, t.done = rec.Topic, protocolIn(ctx), rec.Size(), done
	c.observe.InFlight(int64(t.size), 1, 0)
	c.Sender.Send(ctx, rec, t.fn)
}

func (c *counted) done(protocol, topic string, size int, res *produce.Result) {
	code := ""
	out := max(0, res.KeySize) + max(0, res.ValueSize)
	if res.Err != nil {
		code, out = string(res.Err.Code), -1
	}
	c.observe.RecordDone(protocol, res.Outcome.String(), code, size, out, -1)
	c.observe.TopicDone(topic, res.Outcome.String())
}

// A protector is the engine that is in force, timed and traced.
type protector struct {
	swap    *engine.Swap
	tracing *telemetry.Tracing
}

// Protect implements [produce.Protector].
func (p *protector) Protect(ctx context.Context, dst []byte, rec *produce.Record) (produce.Record, error) {
	if p.tracing == nil {
		return p.swap.Protect(ctx, dst, rec)
	}
	ctx, span := p.tracing.Protect(ctx, rec.Topic)
	out, err := p.swap.Protect(ctx, dst, rec)
	if err != nil {
		code := string(produce.CodeInternal)
		if e, ok := err.(*produce.Error); ok { //nolint:errorlint // Protector says that it is one
			code = string(e.Code)
		}
		span.End(code)
		return out, err
	}
	span.End("")
	// The policy has been at work: the trace is nobody's data.
	out.Headers = telemetry.AddTraceHeaders(ctx, p.tracing, out.Headers, rec.Headers,
		func(h *produce.Header) string { return h.Key },
		func(name string, value []byte) produce.Header { return produce.Header{Key: name, Value: value} })
	return out, nil
}

// pipelineObserver hears from the pipeline how long protection takes.
type pipelineObserver struct{ observe *telemetry.Observer }

var _ produce.Observer = pipelineObserver{}

func (o pipelineObserver) Protected(_ string, took time.Duration, _, _ int, _ *produce.Error) {
	o.observe.Protected(took)
}

func (pipelineObserver) Finished(string, time.Duration, produce.Result) {}

func (o pipelineObserver) Late(_ string, res produce.Result) { o.observe.Late(res.Outcome.String()) }

// restObserver hears of requests over HTTP.
type restObserver struct {
	observe  *telemetry.Observer
	requests telemetry.Requests
}

var _ rest.Observer = restObserver{}

func (o restObserver) Request(r rest.RequestInfo) {
	_, path, _ := strings.Cut(r.Route, " ")
	protocol := protocolOf(path)
	o.observe.Request(protocol, r.Route, r.Status, r.Duration)
	decision := "allowed"
	switch r.Status {
	case http.StatusUnauthorized:
		decision = "unauthenticated"
	case http.StatusForbidden:
		decision = "denied"
	}
	o.requests.Log(context.Background(), telemetry.Line{
		Protocol: protocol, Route: r.Route, Topic: r.Topic, Decision: decision, Code: r.Reason, Status: r.Status,
		Records: r.Records, Failed: r.Failed, InBytes: int(r.BytesIn), OutBytes: int(r.BytesOut), Took: r.Duration,
	})
}

func (o restObserver) Record(r rest.RecordInfo) {
	_, path, _ := strings.Cut(r.Route, " ")
	if protocolOf(path) == protocolV3 {
		o.observe.Receipt(r.Code)
	}
}

func (o restObserver) Panicked(string, []byte) { o.observe.Panicked("rest") }
