package rpc

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"google.golang.org/protobuf/proto"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1/fieldveilv1connect"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

func openMessage(topic string) *v1.ProduceStreamRequest {
	return &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{Topic: topic}}}
}

func batchMessage(sequence uint64, values ...string) *v1.ProduceStreamRequest {
	b := &v1.StreamBatch{Sequence: sequence}
	for _, v := range values {
		b.Records = append(b.Records, &v1.Record{Value: []byte(v)})
	}
	return &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: b}}
}

func TestStreamsThatBreakTheRulesEndAfterWhatTheyTook(t *testing.T) {
	denied := batchMessage(2, "v")
	denied.GetBatch().Records[0].Topic = "secret"
	noTopic := batchMessage(1, "v")
	tests := []struct {
		name     string
		messages []*v1.ProduceStreamRequest
		acks     int
		code     codes.Code
		path     string
	}{
		{"a batch before open", []*v1.ProduceStreamRequest{batchMessage(1, "v")}, 0, codes.InvalidArgument, "open"},
		{"open twice", []*v1.ProduceStreamRequest{openMessage("t"), openMessage("t")}, 1, codes.InvalidArgument, "open"},
		{"an empty message", []*v1.ProduceStreamRequest{openMessage("t"), {}}, 1, codes.InvalidArgument, "request"},
		{"an empty batch", []*v1.ProduceStreamRequest{openMessage("t"), batchMessage(1)}, 1, codes.InvalidArgument, "batch.records"},
		{"the same number twice", []*v1.ProduceStreamRequest{openMessage("t"), batchMessage(3, "a"), batchMessage(3, "b")}, 2, codes.InvalidArgument, "batch.sequence"},
		{"no number", []*v1.ProduceStreamRequest{openMessage("t"), batchMessage(0, "a")}, 1, codes.InvalidArgument, "batch.sequence"},
		{"no topic anywhere", []*v1.ProduceStreamRequest{openMessage(""), noTopic}, 1, codes.InvalidArgument, "batch.records[0].topic"},
		{"a topic that is denied", []*v1.ProduceStreamRequest{openMessage("t"), batchMessage(1, "a"), denied}, 2, codes.PermissionDenied, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, nil)
			s, err := v1.NewProduceServiceClient(r.dial(t)).ProduceStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range test.messages {
				if err := s.Send(m); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			}
			for range test.acks {
				if _, err := s.Recv(); err != nil {
					t.Fatal(err)
				}
			}
			m, err := s.Recv()
			code, info, _ := details(t, err)
			if m != nil || code != test.code || info.GetMetadata()["path"] != test.path {
				t.Errorf("got %v, %v, %v", m, code, info)
			}
		})
	}
}

func TestStreamGetsResultsWhenThereIsNoRoomForABatch(t *testing.T) {
	r := newRig(t, nil)
	s, err := v1.NewProduceServiceClient(r.dial(t)).ProduceStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(openMessage("t"))
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []v1.Outcome{v1.Outcome_OUTCOME_RETRYABLE, v1.Outcome_OUTCOME_DELIVERED} {
		r.sender.mu.Lock()
		if r.sender.admit = nil; i == 0 {
			r.sender.admit = &produce.Error{Code: produce.CodeOverloaded, Outcome: produce.Retryable}
		}
		r.sender.mu.Unlock()
		_ = s.Send(batchMessage(uint64(i+1), "a", "b"))
		m, err := s.Recv()
		if err != nil || m.GetAck().GetResults()[1].GetOutcome() != want {
			t.Fatal(m, err)
		}
	}
	if n := len(r.sender.records()); n != 2 {
		t.Errorf("%d records were handed over", n)
	}
	_ = s.CloseSend()
}

// TestStreamStopsReadingWhenItsWindowIsFull counts what is handed over while no
// result comes.
func TestStreamStopsReadingWhenItsWindowIsFull(t *testing.T) {
	r := newRig(t, func(c *Config, _ *Deps) { c.WindowRecords = 5 })
	taken := make(chan struct{}, 1000)
	r.sender.script = func(produce.Record) *produce.Result {
		taken <- struct{}{}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := v1.NewProduceServiceClient(r.dial(t)).ProduceStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(openMessage("t"))
	for i := range 20 {
		_ = s.Send(batchMessage(uint64(i+1), "a", "b"))
	}
	// The third batch of two goes beyond five, and no fourth is read.
	for range 6 {
		<-taken
	}
	cancel()
	if err := r.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := len(r.sender.records()); n != 6 {
		t.Errorf("%d records were handed over", n)
	}
}

func TestShutdownAcknowledgesWhatStreamsTook(t *testing.T) {
	for name, opt := range map[string]connect.ClientOption{"gRPC": connect.WithGRPC(), "Connect": connect.WithClientOptions()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.SetServing(true)
			taken, results := make(chan struct{}), make(chan *produce.Result)
			r.sender.script = func(produce.Record) *produce.Result {
				taken <- struct{}{}
				return <-results
			}
			c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
			s := c.ProduceStream(t.Context())
			_ = s.Send(openMessage("t"))
			_ = s.Send(batchMessage(1, "a"))
			if _, err := s.Receive(); err != nil {
				t.Fatal(err)
			}
			<-taken
			stopped := make(chan error, 1)
			go func() { stopped <- r.Shutdown(context.WithoutCancel(t.Context())) }()
			<-r.draining
			results <- delivered(9)
			m, err := s.Receive()
			if err != nil || m.GetAck().GetResults()[0].GetOffset() != 9 {
				t.Fatal(m, err)
			}
			_, err = s.Receive()
			if connect.CodeOf(err) != connect.CodeUnavailable {
				t.Errorf("the stream ended with %v", err)
			}
			_ = s.CloseRequest()
			_ = s.CloseResponse()
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestShutdownBreaksOffWhatDoesNotEnd(t *testing.T) {
	r := newRig(t, nil)
	taken := make(chan struct{})
	r.sender.script = func(produce.Record) *produce.Result {
		close(taken)
		return nil
	}
	failed := make(chan error, 1)
	cc := r.dial(t)
	go func() {
		_, err := v1.NewProduceServiceClient(cc).Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}}})
		failed <- err
	}()
	<-taken
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the call succeeded")
	}
}

// TestResultsThatAreNotKnownArriveBeforeTheDeadline needs the margin: without it
// the caller sees only his own deadline.
func TestResultsThatAreNotKnownArriveBeforeTheDeadline(t *testing.T) {
	r := newRig(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	end, _ := ctx.Deadline()
	var got, without context.Context
	var stop context.CancelFunc
	got, stop = r.deadline(ctx)
	defer stop()
	if d, _ := got.Deadline(); !d.Before(end) || end.Sub(d) > maxMargin {
		t.Errorf("the call ends %v before its caller", end.Sub(d))
	}
	without, stop = r.deadline(t.Context())
	defer stop()
	if _, ok := without.Deadline(); !ok {
		t.Error("a call without a deadline has none")
	}
}

// TestRandomCancelsLoseNoBufferAndNoRoom sends batches whose records never get a
// result, and cancels at random. The Sender of the test looks at each record
// again when its context ends; the race detector looks too.
func TestRandomCancelsLoseNoBufferAndNoRoom(t *testing.T) {
	for name, opt := range map[string]connect.ClientOption{"gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb(), "Connect JSON": connect.WithProtoJSON()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config, _ *Deps) { c.WindowRecords = 20 })
			var n atomic.Int64
			r.sender.script = func(produce.Record) *produce.Result {
				if n := n.Add(1); n%7 != 0 {
					return delivered(n)
				}
				return nil
			}
			c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(worker), 1))
					for range 15 {
						ctx, cancel := context.WithCancel(t.Context())
						s := c.ProduceStream(ctx)
						_ = s.Send(openMessage("t"))
						after := rng.IntN(12)
						done := make(chan struct{})
						go func() {
							defer close(done)
							for {
								if _, err := s.Receive(); err != nil {
									return
								}
								after--
								if after < 0 {
									cancel()
								}
							}
						}()
						for i := range 1 + rng.IntN(12) {
							if s.Send(batchMessage(uint64(i+1), strings.Repeat("a", 500), strings.Repeat("b", 500), "c")) != nil {
								break
							}
							runtime.Gosched()
						}
						cancel()
						// net/http's client looks at its context only once the body
						// has ended.
						_ = s.CloseRequest()
						<-done
						_ = s.CloseResponse()
						// A unary call in between, on the same connection.
						ctx, cancel = context.WithCancel(t.Context())
						go cancel()
						_, _ = c.Produce(ctx, connect.NewRequest(&v1.ProduceRequest{Topic: "t", Records: slices.Repeat([]*v1.Record{{Value: []byte("v")}}, 7)}))
						cancel()
					}
				})
			}
			all.Wait()
		})
	}
}

// TestNothingIsLeftBehind compares goroutines before a server and after it.
func TestNothingIsLeftBehind(t *testing.T) {
	before := stacks()
	t.Run("a server's life", func(t *testing.T) {
		r := newRig(t, nil)
		for _, opt := range protocols() {
			c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
			s := c.ProduceStream(t.Context())
			_ = s.Send(openMessage("t"))
			if _, err := s.Receive(); err != nil {
				t.Error(err)
			}
			// It stays open until the server drains.
			go func() {
				_, _ = s.Receive()
				_ = s.CloseRequest()
				_ = s.CloseResponse()
			}()
		}
		w, err := healthpb.NewHealthClient(r.dial(t)).Watch(t.Context(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil {
			t.Error(err)
		}
	})
	// Goroutines end when they are told to, and a little later they are gone.
	for range 10000 {
		if stacks() <= before {
			return
		}
		runtime.Gosched()
		runtime.GC()
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines were there, and %d are:\n%s", before, stacks(), buf[:runtime.Stack(buf, true)])
}

// stacks counts goroutines that run code of this package or of a server.
func stacks() int {
	buf := make([]byte, 4<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "rpc.(*") || strings.Contains(g, "grpc.(*Server)") || strings.Contains(g, "http2") {
			n++
		}
	}
	return n
}

func TestPanicsShowNothing(t *testing.T) {
	for name, opt := range protocols() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.sender.script = func(rec produce.Record) *produce.Result { panic("ann@example.test " + string(rec.Value)) }
			c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
			_, err := c.Produce(t.Context(), connect.NewRequest(&v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}}}))
			if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "ann@") || strings.Contains(r.logs.String(), "ann@") {
				t.Errorf("got %v, log %s", err, r.logs)
			}
			s := c.ProduceStream(t.Context())
			_ = s.Send(openMessage("t"))
			_ = s.Send(batchMessage(1, "a", "b"))
			if m, err := s.Receive(); err != nil {
				t.Fatal(m, err)
			}
			m, err := s.Receive()
			if err != nil || m.GetAck().GetResults()[1].GetOutcome() != v1.Outcome_OUTCOME_UNKNOWN {
				t.Fatal(m, err)
			}
			if _, err := s.Receive(); connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "ann@") {
				t.Errorf("the stream ended with %v", err)
			}
			_ = s.CloseRequest()
			_ = s.CloseResponse()
		})
	}
}

// A silent wire sends what it was given and then nothing.
type silent struct {
	ctx  context.Context
	in   []*v1.ProduceStreamRequest
	sent int
}

func (w *silent) recv(r *request) error {
	if len(w.in) == 0 {
		<-w.ctx.Done()
		return w.ctx.Err()
	}
	b, err := proto.Marshal(w.in[0])
	w.in = w.in[1:]
	r.decode(b)
	return err
}

func (w *silent) send(*response) error {
	w.sent++
	return nil
}

func TestStreamsEndWhenNothingComesForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(DefaultConfig(), Deps{Sender: &fakeSender{}, Protector: &fakeProtector{}, Guard: &fakeGuard{}, Audit: &fakeAudit{}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.grpc.Stop() // its workers are in the bubble
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		w := &silent{ctx: ctx, in: []*v1.ProduceStreamRequest{openMessage("t"), batchMessage(1, "a")}}
		var f *failure
		if err := s.stream(ctx, w); !errors.As(err, &f) || f.reason != reasonIdle || w.sent != 2 {
			t.Errorf("got %v after %d answers", err, w.sent)
		}
		if d := time.Since(start); d != s.cfg.StreamIdleTimeout {
			t.Errorf("it ended after %v", d)
		}
		cancel()
	})
}

// TestStreamsWithRecordsInFlightAreNotIdle waits much longer for a result than
// an idle stream may last.
func TestStreamsWithRecordsInFlightAreNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender := &fakeSender{}
		s, err := New(DefaultConfig(), Deps{Sender: sender, Protector: &fakeProtector{}, Guard: &fakeGuard{}, Audit: &fakeAudit{}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.grpc.Stop() // its workers are in the bubble
		sender.script = func(produce.Record) *produce.Result { return nil }
		ctx, cancel := context.WithTimeout(t.Context(), 10*s.cfg.StreamIdleTimeout)
		defer cancel()
		w := &silent{ctx: ctx, in: []*v1.ProduceStreamRequest{openMessage("t"), batchMessage(1, "a")}}
		if f := s.streamFailure(ctx, s.stream(ctx, w)); f.code != codes.DeadlineExceeded || f.reason != string(produce.CodeCanceled) {
			t.Errorf("got %+v", f)
		}
		sender.later.Wait()
	})
}
