package rest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A fakeSender records what it is given and answers by its script.
type fakeSender struct {
	mu      sync.Mutex
	sent    []produce.Record // copies
	script  map[int]*produce.Error
	full    *produce.Error // of Admit, when records are admitted
	stream  *produce.Error // of AdmitStream
	taken   int            // rooms taken and not released
	hold    chan struct{}  // Send answers when it is closed
	panics  bool
	arrived chan struct{}
}

var fixedTime = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

func (f *fakeSender) room() func() {
	f.taken++
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.taken--
	})
}

func (f *fakeSender) Admit(n, _ int) (func(), *produce.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full != nil && n > 0 {
		return nil, f.full
	}
	return f.room(), nil
}

func (f *fakeSender) AdmitStream() (func(), *produce.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stream != nil {
		return nil, f.stream
	}
	return f.room(), nil
}

func clone(r produce.Record) produce.Record {
	r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = slices.Clone(r.Headers[i].Value)
	}
	return r
}

func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

func (f *fakeSender) result(rec *produce.Record) produce.Result {
	at := len(f.sent)
	f.sent = append(f.sent, clone(*rec))
	if e := f.script[at]; e != nil {
		return produce.Result{Outcome: e.Outcome, Partition: -1, Offset: -1, KeySize: -1, ValueSize: -1, Err: e}
	}
	return produce.Result{
		Outcome: produce.Delivered, Partition: max(rec.Partition, 0), Offset: int64(90 + at), Timestamp: fixedTime,
		KeySize: size(rec.Key), ValueSize: size(rec.Value),
	}
}

func (f *fakeSender) Produce(_ context.Context, recs []produce.Record, mode produce.Mode) []produce.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("the value was " + string(recs[0].Value))
	}
	if mode == produce.Whole {
		for i := range recs {
			if e := f.script[i]; e != nil && !afterHandover(e.Code) {
				out := make([]produce.Result, len(recs))
				for j := range out {
					out[j] = produce.Result{Outcome: e.Outcome, Err: &produce.Error{Code: produce.CodeNotSent, Outcome: e.Outcome}}
				}
				out[i].Err = e
				return out
			}
		}
	}
	out := make([]produce.Result, len(recs))
	for i := range recs {
		out[i] = f.result(&recs[i])
	}
	return out
}

func (f *fakeSender) Send(ctx context.Context, rec produce.Record, done func(produce.Result)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("the value was " + string(rec.Value))
	}
	r := f.result(&rec)
	if f.arrived != nil {
		f.arrived <- struct{}{}
	}
	if f.hold == nil {
		done(r)
		return
	}
	hold := f.hold
	go func() {
		select {
		case <-hold:
		case <-ctx.Done():
			r = produce.Result{Outcome: produce.Unknown, Err: &produce.Error{Code: produce.CodeUnknown}}
		}
		done(r)
	}()
}

func (f *fakeSender) Check(context.Context, produce.Record) produce.Result { return produce.Result{} }

// A fakeGuard answers as it is told.
type fakeGuard struct{ err error }

func (g fakeGuard) Authorize(_ context.Context, _ *http.Request, op Operation, _ string) error {
	if op == OpNone && (errors.Is(g.err, ErrUnauthenticated) || errors.Is(g.err, ErrDenied)) {
		return nil
	}
	return g.err
}

// A fakeEncoders is a registry with a few schemas.
type fakeEncoders struct{ err error }

type encodeError struct{ code, path, secret string }

func (e encodeError) Error() string   { return e.code + " " + e.secret }
func (e encodeError) Code() string    { return e.code }
func (e encodeError) Path() string    { return e.path }
func (e encodeError) Retryable() bool { return e.code == "registry_unavailable" }

type fakeEncoder struct {
	id     int
	format string
	null   bool
}

func (f fakeEncoders) Encoder(_ context.Context, ask Ask) (Encoder, error) {
	if f.err != nil {
		return nil, f.err
	}
	format := ask.Format
	if format == "" {
		format = formatAvro
	}
	switch {
	case ask.SchemaText == "nonsense":
		return nil, encodeError{code: "schema_invalid", secret: ask.SchemaText}
	case ask.SchemaText == "internal":
		return nil, encodeError{code: "internal", secret: ask.SchemaText}
	case ask.SchemaText != "":
		return fakeEncoder{id: 7, format: format}, nil
	case ask.SchemaID == 50:
		return fakeEncoder{id: 50, format: format, null: true}, nil
	case ask.SchemaID == 99 || ask.SchemaVersion == 99:
		return nil, encodeError{code: "schema_not_found"}
	case ask.SchemaID != 0:
		return fakeEncoder{id: ask.SchemaID, format: format}, nil
	case ask.SchemaVersion != 0:
		return fakeEncoder{id: 300 + ask.SchemaVersion, format: format}, nil
	case ask.Subject == "none":
		return nil, encodeError{code: "schema_missing"}
	default:
		return fakeEncoder{id: 60, format: format}, nil
	}
}

func (e fakeEncoder) ID() int          { return e.id }
func (e fakeEncoder) Format() string   { return e.format }
func (e fakeEncoder) AdmitsNull() bool { return e.null }

func (e fakeEncoder) Append(dst, v []byte) ([]byte, error) {
	for _, code := range []string{"value_unfit", "union_ambiguous", "json_invalid", "base64_invalid"} {
		if strings.Contains(string(v), code) {
			return dst, encodeError{code: code, path: "/email", secret: string(v)}
		}
	}
	dst = binary.BigEndian.AppendUint32(append(dst, 0), uint32(e.id))
	return append(dst, v...), nil
}

// A fakeCluster has two topics.
type fakeCluster struct{ err error }

func (f fakeCluster) Cluster(context.Context) (ClusterInfo, error) {
	return ClusterInfo{ID: "k1", Controller: 2, Brokers: []BrokerInfo{{ID: 1, Host: "b1.test", Port: 9092}, {ID: 2, Host: "b2.test", Port: 9092, Rack: "r1"}}}, f.err
}

func (f fakeCluster) Topics(ctx context.Context) ([]TopicInfo, error) {
	a, _ := f.Topic(ctx, "customers")
	b, _ := f.Topic(ctx, "orders")
	return []TopicInfo{a, b}, f.err
}

func (f fakeCluster) Topic(_ context.Context, name string) (TopicInfo, error) {
	if f.err == nil && name != "customers" && name != "orders" {
		return TopicInfo{}, fmt.Errorf("asked: %w", ErrNoTopic)
	}
	return TopicInfo{Name: name, Partitions: []PartitionInfo{
		{ID: 0, Leader: 1, Replicas: []int32{1, 2}, InSync: []int32{1, 2}},
		{ID: 1, Leader: -1, Replicas: []int32{2, 1}, InSync: []int32{}},
	}}, f.err
}

func (f fakeCluster) Configs(context.Context, string) ([]ConfigInfo, error) {
	v, secret := "604800000", "not to be shown"
	return []ConfigInfo{{Name: "retention.ms", Value: &v, Source: "DYNAMIC_TOPIC_CONFIG"}, {Name: "token", Value: &secret, Secret: true, Default: true, Source: "DEFAULT_CONFIG"}}, f.err
}

func (f fakeCluster) Offsets(context.Context, string, int32) (begin, end int64, err error) {
	return 0, 91, f.err
}

// A fakeObserver keeps what it hears.
type fakeObserver struct {
	mu       sync.Mutex
	requests []RequestInfo
	records  []RecordInfo
	stacks   []string
}

func (o *fakeObserver) Request(_ context.Context, r RequestInfo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests = append(o.requests, r)
}

func (o *fakeObserver) Record(r RecordInfo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records = append(o.records, r)
}

func (o *fakeObserver) Panicked(route string, stack []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stacks = append(o.stacks, route+"\n"+string(stack))
}

func (o *fakeObserver) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprintf("%+v %+v %q", o.requests, o.records, o.stacks)
}

var errDown = errors.New("no answer, and a secret in the text")

// scripted is the error that a pipeline gives with a code.
func scripted(code, path, tag string) *produce.Error {
	e := &produce.Error{Code: produce.Code(code), Path: path, Tag: tag, Outcome: produce.Rejected}
	switch e.Code {
	case produce.CodeUnknown:
		e.Outcome = produce.Unknown
	case produce.CodeKafkaUnavailable, produce.CodeKafkaThrottled, produce.CodeKafkaLogin, produce.CodeOverloaded,
		produce.CodeDraining, produce.CodeCanceled, "key_unavailable":
		e.Outcome = produce.Retryable
	default:
	}
	if tag != "" {
		e.Action = "reject"
	}
	return e
}

// A slowSender delivers after a while.
type slowSender struct {
	fakeSender

	wait time.Duration
}

func (s *slowSender) Produce(ctx context.Context, recs []produce.Record, mode produce.Mode) []produce.Result {
	select {
	case <-time.After(s.wait):
		return s.fakeSender.Produce(ctx, recs, mode)
	case <-ctx.Done():
		return []produce.Result{{Outcome: produce.Unknown, Err: &produce.Error{Code: produce.CodeUnknown, Outcome: produce.Unknown}}}
	}
}
