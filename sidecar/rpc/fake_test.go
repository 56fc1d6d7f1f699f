package rpc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A fakeSender delivers every record, or does what script says. It keeps copies
// of what it was given.
type fakeSender struct {
	mu      sync.Mutex
	got     []produce.Record
	modes   []produce.Mode
	room    int // taken by Admit and not released
	streams int
	peak    int // of streams
	offset  int64

	// script returns the result of a record, or nil for one whose result only
	// comes when its context ends.
	script func(produce.Record) *produce.Result
	admit  *produce.Error
	later  sync.WaitGroup // results that are still to come
}

func (f *fakeSender) Admit(n, _ int) (func(), *produce.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.admit != nil {
		return nil, f.admit
	}
	f.room += n
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.room -= n
	}), nil
}

func (f *fakeSender) AdmitStream() (func(), *produce.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.admit != nil {
		return nil, f.admit
	}
	f.streams++
	f.peak = max(f.peak, f.streams)
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.streams--
	}), nil
}

func copyOf(r produce.Record) produce.Record {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = bytes.Clone(r.Headers[i].Value)
	}
	return r
}

func (f *fakeSender) one(rec produce.Record) *produce.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, copyOf(rec))
	if f.script != nil {
		// The lock stays free for Admit while a script waits or panics.
		f.mu.Unlock()
		defer f.mu.Lock()
		return f.script(rec)
	}
	f.offset++
	return delivered(f.offset - 1)
}

func delivered(offset int64) *produce.Result {
	return &produce.Result{
		Outcome: produce.Delivered, Partition: 0, Offset: offset, Timestamp: time.Unix(1700000000, 123e6).UTC(), KeySize: -1, ValueSize: 7,
	}
}

func refused(outcome produce.Outcome, code produce.Code) *produce.Result {
	return &produce.Result{
		Outcome: outcome, Partition: -1, Offset: -1, KeySize: -1, ValueSize: -1,
		Err: &produce.Error{Code: code, Outcome: outcome, Path: "value:/email", Tag: "PII.EMAIL", Action: "encrypt"},
	}
}

func notKnown() produce.Result {
	return produce.Result{Partition: -1, Offset: -1, Err: &produce.Error{Code: produce.CodeUnknown, Outcome: produce.Unknown}}
}

func (f *fakeSender) Produce(ctx context.Context, recs []produce.Record, mode produce.Mode) []produce.Result {
	f.mu.Lock()
	f.modes = append(f.modes, mode)
	f.mu.Unlock()
	out := make([]produce.Result, len(recs))
	for i := range recs {
		if res := f.one(recs[i]); res != nil {
			out[i] = *res
			continue
		}
		<-ctx.Done()
		out[i] = notKnown()
	}
	return out
}

func (f *fakeSender) Send(ctx context.Context, rec produce.Record, done func(produce.Result)) {
	if res := f.one(rec); res != nil {
		done(*res)
		return
	}
	// Until its result is there, the record has to stay as it is.
	want := copyOf(rec)
	f.later.Go(func() {
		<-ctx.Done()
		if !bytes.Equal(want.Value, rec.Value) || !bytes.Equal(want.Key, rec.Key) {
			panic("a record changed before its result was there")
		}
		done(notKnown())
	})
}

func (f *fakeSender) Check(_ context.Context, rec produce.Record) produce.Result {
	if res := f.one(rec); res != nil {
		return *res
	}
	return notKnown()
}

func (f *fakeSender) records() []produce.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// held says how much was admitted and not released.
func (f *fakeSender) held() (int, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.room, f.streams
}

// A fakeProtector turns bytes round.
type fakeProtector struct{ err error }

func turned(b []byte) []byte {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return b
}

func (f *fakeProtector) Protect(_ context.Context, rec produce.Record) (produce.Record, error) {
	if f.err != nil {
		return produce.Record{}, f.err
	}
	rec.Value = turned(rec.Value)
	rec.Headers = append(slices.Clip(rec.Headers), produce.Header{Key: "fv", Value: []byte("block")})
	return rec, nil
}

func (f *fakeProtector) Reveal(_ context.Context, rec produce.Record, _ string) (produce.Record, error) {
	if f.err != nil {
		return produce.Record{}, f.err
	}
	rec.Value = turned(rec.Value)
	return rec, nil
}

// A fakeGuard lets everybody in who has no bad token, and to all topics but those
// that begin with "secret".
type fakeGuard struct {
	mu      sync.Mutex
	callers []Caller
	fault   error
}

func (g *fakeGuard) Authenticate(ctx context.Context, c *Caller) (context.Context, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.callers = append(g.callers, *c)
	if slices.Contains(c.Header("Authorization"), "Bearer bad") {
		return nil, ErrUnauthenticated
	}
	return ctx, g.fault
}

func (*fakeGuard) Authorize(_ context.Context, op Operation, topic, purpose string) error {
	if topic == "secret" || (op == OpReveal && purpose == "curiosity") {
		return ErrDenied
	}
	return nil
}

type fakeAudit struct {
	mu    sync.Mutex
	lines []Reveal
	err   error
}

func (a *fakeAudit) Revealed(_ context.Context, r Reveal) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, r)
	return a.err
}

var errFake = errors.New("ann@example.test was here")

// A rig is a server on a port of its own, with its fakes.
type rig struct {
	*Server

	sender  *fakeSender
	protect *fakeProtector
	guard   *fakeGuard
	audit   *fakeAudit
	logs    *lockedBuffer
	addr    string
	done    chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t testing.TB, change func(*Config, *Deps)) *rig {
	t.Helper()
	r := &rig{
		sender: &fakeSender{}, protect: &fakeProtector{}, guard: &fakeGuard{}, audit: &fakeAudit{}, logs: &lockedBuffer{},
		done: make(chan error, 1),
	}
	cfg := DefaultConfig()
	deps := Deps{
		Sender: r.sender, Protector: r.protect, Guard: r.guard, Audit: r.audit,
		Log: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg, &deps)
	}
	var err error
	if r.Server, err = New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	go func() { r.done <- r.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-r.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		r.sender.later.Wait()
		if records, streams := r.sender.held(); records != 0 || streams != 0 {
			t.Errorf("%d records and %d streams keep their room", records, streams)
		}
	})
	return r
}

// dial returns a client of grpc-go. It is closed before the server stops.
func (r *rig) dial(t testing.TB, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(r.addr, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}
