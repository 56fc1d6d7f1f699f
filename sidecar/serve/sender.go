package serve

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rest"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
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
	batches sync.Pool // of *toldBatch
}

var _ produce.BatchSender = (*counted)(nil)

// Admit implements [produce.Sender].
func (c *counted) Admit(n, size int) (release func(), err *produce.Error) {
	if release, err = c.Sender.Admit(n, size); err != nil {
		c.observe.Refused(string(err.Code))
	}
	return release, err
}

// AdmitStream implements [produce.Sender].
func (c *counted) AdmitStream() (release func(), err *produce.Error) {
	// A name of its own: what is returned is assigned to the result, and would call
	// itself.
	leave, err := c.Sender.AdmitStream()
	if err != nil {
		c.observe.Refused(string(err.Code))
		return leave, err
	}
	c.observe.InFlight(0, 0, 1)
	return sync.OnceFunc(func() {
		c.observe.InFlight(0, 0, -1)
		leave()
	}), nil
}

// Produce implements [produce.Sender].
func (c *counted) Produce(ctx context.Context, recs []produce.Record, mode produce.Mode) []produce.Result {
	size := sizeOf(recs)
	ctx, span := c.tracing.Publish(ctx, "", len(recs))
	c.observe.InFlight(int64(size), int64(len(recs)), 0)
	results := c.Sender.Produce(ctx, recs, mode)
	c.observe.InFlight(-int64(size), -int64(len(recs)), 0)
	c.doneAll(protocolIn(ctx), recs, results)
	worst, named := "", false
	for i := range results {
		if results[i].Outcome == produce.Delivered && !named {
			named = true
			span.Topic(recs[i].Topic) // it exists, so its name is nobody's data
		}
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

// A toldBatch is a batch of which somebody waits to be told. It is used again.
type toldBatch struct {
	c        *counted
	recs     []produce.Record
	results  []produce.Result
	protocol string
	size     int
	done     func()
	fn       func() // its tell
}

func (t *toldBatch) tell() {
	c, done := t.c, t.done
	c.observe.InFlight(-int64(t.size), -int64(len(t.recs)), 0)
	c.doneAll(t.protocol, t.recs, t.results)
	t.recs, t.results, t.done = nil, nil, nil
	c.batches.Put(t) // a sender is told once
	done()
}

// SendBatch implements [produce.BatchSender].
func (c *counted) SendBatch(ctx context.Context, recs []produce.Record, results []produce.Result, done func()) {
	t, _ := c.batches.Get().(*toldBatch)
	if t == nil {
		t = &toldBatch{c: c}
		t.fn = t.tell
	}
	t.recs, t.results, t.protocol, t.size, t.done = recs, results, protocolIn(ctx), sizeOf(recs), done
	c.observe.InFlight(int64(t.size), int64(len(recs)), 0)
	produce.SendBatch(ctx, c.Sender, recs, results, t.fn)
}

func sizeOf(recs []produce.Record) int {
	size := 0
	for i := range recs {
		size += recs[i].Size()
	}
	return size
}

func (c *counted) done(protocol, topic string, size int, res *produce.Result) {
	c.add(&run{topic: topic, outcome: res.Outcome, err: res.Err, n: 1, in: size, out: sentBytes(res)}, protocol)
}

// A run is records in a row of which one thing became.
type run struct {
	topic   string
	outcome produce.Outcome
	err     *produce.Error
	n       int
	in, out int // bytes
}

func (r *run) holds(topic string, res *produce.Result) bool {
	same := r.err == res.Err || r.err != nil && res.Err != nil && r.err.Code == res.Err.Code
	return same && r.outcome == res.Outcome && r.topic == topic
}

// doneAll counts what became of a batch. Mostly that is one thing.
func (c *counted) doneAll(protocol string, recs []produce.Record, results []produce.Result) {
	var r run
	for i := range results {
		res, rec := &results[i], &recs[i]
		if !r.holds(rec.Topic, res) {
			c.add(&r, protocol)
			r = run{topic: rec.Topic, outcome: res.Outcome, err: res.Err}
		}
		r.n++
		r.in += rec.Size()
		r.out += sentBytes(res)
	}
	c.add(&r, protocol)
}

// sentBytes is the size of a record as it was protected.
func sentBytes(res *produce.Result) int {
	if res.Err != nil {
		return 0
	}
	return max(0, res.KeySize) + max(0, res.ValueSize)
}

func (c *counted) add(r *run, protocol string) {
	if r.n == 0 {
		return
	}
	code := ""
	if r.err != nil {
		code = string(r.err.Code)
	}
	c.observe.RecordsDone(protocol, r.outcome.String(), code, r.n, r.in, r.out)
	c.observe.TopicsDone(r.topic, r.outcome.String(), r.n)
}

// A protector is the engine that is in force, timed and traced.
type protector struct {
	swap    *engine.Swap
	tracing *telemetry.Tracing
	log     *slog.Logger
	observe *telemetry.Observer
	before  func(*produce.Record) // nil but in tests
}

// Protect implements [produce.Protector]. A panic of the engine refuses its record,
// and is told without its value.
func (p *protector) Protect(ctx context.Context, dst []byte, rec *produce.Record) (out produce.Record, err error) {
	defer telemetry.Recover(ctx, p.log, p.observe, "protect", func() {
		out, err = produce.Record{}, &produce.Error{Code: produce.CodeInternal, Outcome: produce.Rejected}
	})
	if p.before != nil {
		p.before(rec)
	}
	return p.protect(ctx, dst, rec)
}

func (p *protector) protect(ctx context.Context, dst []byte, rec *produce.Record) (produce.Record, error) {
	if p.tracing == nil {
		return p.swap.Protect(ctx, dst, rec)
	}
	ctx, span := p.tracing.Protect(ctx, "")
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
	log      *slog.Logger
}

var _ rest.Observer = restObserver{}

func (o restObserver) Request(ctx context.Context, r rest.RequestInfo) {
	_, path, _ := strings.Cut(r.Route, " ")
	protocol := protocolOf(path)
	o.observe.Request(protocol, r.Route, r.Status, r.Duration)
	decision := "allowed"
	switch r.Status {
	case http.StatusUnauthorized:
		decision = "unauthenticated"
	case http.StatusForbidden, http.StatusMisdirectedRequest:
		decision = "denied"
	}
	x := exchangeOf(ctx)
	x.ended(r.Route, r.Status, cmp.Or(r.Reason, r.First))
	o.requests.Log(ctx, telemetry.Line{
		Request: x.id, Trace: telemetry.TraceID(ctx), Principal: principalOf(ctx), Protocol: protocol, Route: r.Route, Topic: r.Topic, Decision: decision, Code: cmp.Or(r.Reason, r.First), Status: r.Status,
		Records: r.Records, Failed: r.Failed, Unknown: r.Unknown, InBytes: int(r.BytesIn), OutBytes: int(r.BytesOut), Took: r.Duration,
	})
}

func (o restObserver) Record(r rest.RecordInfo) {
	if r.Code == 0 {
		return // in version 3 a record that was delivered has a code too
	}
	_, path, _ := strings.Cut(r.Route, " ")
	if protocolOf(path) == protocolV3 {
		o.observe.Receipt(r.Code)
	}
}

// Panicked implements [rest.Observer].
func (o restObserver) Panicked(route string, stack []byte) {
	o.observe.Panicked("rest")
	o.log.LogAttrs(context.Background(), slog.LevelError, "a request panicked",
		slog.String("where", "rest"), slog.String("route", route), telemetry.StackAttr(stack))
}

// rpcObserver hears of calls over gRPC and its kin.
type rpcObserver struct {
	observe  *telemetry.Observer
	requests telemetry.Requests
}

var _ rpc.Observer = rpcObserver{}

// Called implements [rpc.Observer].
func (o rpcObserver) Called(ctx context.Context, c rpc.Call) {
	status := statusOf(c.Status)
	o.observe.Request(protocolGRPC, c.Procedure, status, c.Took)
	decision := "allowed"
	switch c.Status { //nolint:exhaustive // the others are no decisions
	case codes.Unauthenticated:
		decision = "unauthenticated"
	case codes.PermissionDenied:
		decision = "denied"
	}
	x := exchangeOf(ctx)
	x.failed(status, c.Code)
	x.span.End(x.code)
	o.requests.Log(ctx, telemetry.Line{
		Request: c.Request, Trace: telemetry.TraceID(ctx), Principal: principalOf(ctx), Protocol: protocolGRPC, Route: c.Procedure, Topic: c.Topic, Decision: decision, Code: c.Code, Status: status,
		Records: c.Records, Failed: c.Failed, Unknown: c.Unknown, InBytes: c.BytesIn, Took: c.Took,
	})
}

// statusOf returns the status of HTTP that says the same, so that one alert is for
// all surfaces.
func statusOf(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Canceled:
		return statusCanceled
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.Unknown, codes.Internal, codes.DataLoss:
	}
	return http.StatusInternalServerError
}

// statusCanceled is what is used where a caller has gone.
const statusCanceled = 499
