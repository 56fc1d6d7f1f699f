package produce

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sendBatch sends a batch, and returns what says that it is answered, and the
// results.
func sendBatch(ctx context.Context, s Sender, recs []Record) (told chan struct{}, results []Result) {
	told, results = make(chan struct{}, 2), make([]Result, len(recs))
	SendBatch(ctx, s, recs, results, func() { told <- struct{}{} })
	return told, results
}

func TestABatchThatIsSentIsAnsweredRecordByRecord(t *testing.T) {
	refusing := protectFunc(func(ctx context.Context, dst []byte, rec *Record) (Record, error) {
		if string(rec.Value) == "bad" {
			return Record{}, &Error{Code: "value_rejected", Outcome: Rejected, Path: "value:/email"}
		}
		return sealing{}.Protect(ctx, dst, rec)
	})
	h, o := newHeld(), new(counting)
	p := pipeline(t, refusing, h, WithObserver(o))
	recs := values("a", "bad", "c")
	told, results := sendBatch(t.Context(), p, recs)
	if n := p.Stats().Pending; n != 2 || len(told) != 0 {
		t.Fatalf("%d records pending, told %d times", n, len(told))
	}
	h.answer(nil)
	<-told
	for i, want := range []Outcome{Delivered, Rejected, Delivered} {
		if r := results[i]; r.Outcome != want || (r.Err == nil) != (want == Delivered) || r.Held {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if results[1].Err.Path != "value:/email" || results[2].Offset != 1 || results[0].ValueSize != len(mark)+1 {
		t.Errorf("%+v", results)
	}
	if p.Stats().Pending != 0 || o.finished.Load() != 3 || o.protected.Load() != 3 || o.late.Load() != 0 {
		t.Errorf("%+v, %d finished, %d protected", p.Stats(), o.finished.Load(), o.protected.Load())
	}
	// Where nothing is handed over, the answer comes before SendBatch returns.
	for name, recs := range map[string][]Record{"all are bad": values("bad", "bad"), "there are none": nil} {
		if told, _ := sendBatch(t.Context(), p, recs); len(told) != 1 {
			t.Errorf("%s: told %d times", name, len(told))
		}
	}
}

func TestABatchWhoseSenderGoesAwayIsToldOnceWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(p *Pipeline, cancel func()){
			"its context":         func(_ *Pipeline, cancel func()) { cancel() },
			"the time of sending": func(*Pipeline, func()) { time.Sleep(DefaultDelivery) }, //nolint:forbidigo // of a fake clock
			"the pipeline":        func(p *Pipeline, _ func()) { p.Close() },
		} {
			h, o := newHeld(), new(counting)
			p := pipeline(t, sealing{}, h, WithObserver(o))
			ctx, cancel := context.WithCancel(t.Context())
			told, results := sendBatch(ctx, p, values("a", "b"))
			h.mu.Lock()
			first := h.all[0]
			h.all = h.all[1:]
			h.mu.Unlock()
			first.promise(first.r, nil)
			synctest.Wait()
			end(p, cancel)
			<-told
			if results[0].Outcome != Delivered || results[1].Outcome != Unknown || !results[1].Held || results[1].Err.Code != CodeUnknown {
				t.Errorf("%s: %+v", name, results)
			}
			h.answer(nil)
			synctest.Wait()
			if s := p.Stats(); s.Pending != 0 || len(told) != 0 || o.late.Load() != 1 || o.finished.Load() != 2 {
				t.Errorf("%s: %+v, told %d times more, %d late, %d finished", name, s, len(told), o.late.Load(), o.finished.Load())
			}
			cancel()
			synctest.Wait()
		}
	})
}

func TestABatchThatComesTooLateIsNotHandedOver(t *testing.T) {
	h := newHeld()
	p := pipeline(t, sealing{}, h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	told, results := sendBatch(ctx, p, values("a", "b"))
	<-told
	if results[0].Err.Code != CodeCanceled || results[1].Outcome != Retryable {
		t.Errorf("of an ended context: %+v", results)
	}
	p.Close()
	told, results = sendBatch(t.Context(), p, values("a"))
	<-told
	if results[0].Err.Code != CodeDraining || results[0].Outcome != Retryable {
		t.Errorf("of a closed pipeline: %+v", results)
	}
	if len(h.answer(nil)) != 0 {
		t.Error("the client got records")
	}
}

func TestAContextThatEndsWhileABatchIsProtectedKeepsAllOfItBack(t *testing.T) {
	h := newHeld()
	ctx, cancel := context.WithCancel(t.Context())
	p := pipeline(t, protectFunc(func(ctx context.Context, dst []byte, rec *Record) (Record, error) {
		if string(rec.Value) == "c" {
			cancel()
		}
		return sealing{}.Protect(ctx, dst, rec)
	}), h)
	told, results := sendBatch(ctx, p, values("a", "b", "c"))
	<-told
	for i, r := range results {
		if r.Outcome != Retryable || r.Err.Code != CodeCanceled || r.Held {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if len(h.answer(nil)) != 0 {
		t.Error("the client got records")
	}
}

// plainSender is no BatchSender.
type plainSender struct{ Sender }

func TestASenderWithoutBatchesGetsTheRecordsOneByOne(t *testing.T) {
	h := newHeld()
	p := pipeline(t, sealing{}, h)
	told, results := sendBatch(t.Context(), plainSender{p}, values("a", "b", "c"))
	if len(told) != 0 {
		t.Error("told before the answers")
	}
	h.answer(nil)
	<-told
	for i, r := range results {
		if r.Outcome != Delivered || r.Offset != int64(i) {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if told, _ := sendBatch(t.Context(), plainSender{p}, nil); len(told) != 1 {
		t.Error("a batch of nothing is not answered")
	}
}

func TestARecordThatBearsNoTimeGetsThatOfItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		p := pipeline(t, sealing{}, h)
		recs := values("a", "b")
		recs[1].Timestamp = time.UnixMilli(1700000000123)
		told, _ := sendBatch(t.Context(), p, recs)
		if first, second := h.all[0].r.Timestamp, h.all[1].r.Timestamp; !first.Equal(time.Now()) || !second.Equal(recs[1].Timestamp) {
			t.Errorf("%v, %v", first, second)
		}
		h.answer(nil)
		<-told
	})
}

// Small batches of many callers are handed over by one goroutine, and each caller
// hears of his own.
func TestSmallBatchesOfManyCallersAreAnsweredEach(t *testing.T) {
	wrong := errors.New("no")
	p := pipeline(t, sealing{}, clientFunc(func(r *kgo.Record, promise func(*kgo.Record, error)) {
		if string(r.Value) == mark+"b" {
			promise(r, wrong)
			return
		}
		go promise(r, nil)
	}))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				res := p.Produce(t.Context(), values("a", "b", "c"), Each)
				if res[0].Outcome != Delivered || res[1].Err == nil || res[2].Outcome != Delivered {
					t.Errorf("%+v", res)
				}
			}
		})
	}
	wg.Wait()
	if n := p.Drain(t.Context()); n != 0 || p.Stats().Pending != 0 {
		t.Errorf("%d unknown, %+v", n, p.Stats())
	}
}

// A batch that waits to be handed over with others goes before what its caller
// sends next, even where the caller does not wait for it.
func TestABatchThatItsCallerLeavesIsNotOvertaken(t *testing.T) {
	h := newHeld()
	p := pipeline(t, sealing{}, h)
	for range 200 {
		leaveAndSend(t, p, h)
	}
}

func leaveAndSend(t *testing.T, p *Pipeline, h *held) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.gatherer.handing.Lock() // so that nobody else hands over
	left := make(chan []Result, 1)
	go func() { left <- p.Produce(ctx, values("first"), Each) }()
	for queued := false; !queued; {
		p.gatherer.mu.Lock()
		queued = len(p.gatherer.queue) > 0
		p.gatherer.mu.Unlock()
		runtime.Gosched()
	}
	cancel()
	p.gatherer.handing.Unlock()
	if r := (<-left)[0]; r.Outcome != Unknown || !r.Held {
		t.Fatalf("%+v", r)
	}
	told, _ := sendBatch(t.Context(), p, values(make([]string, gathered+1)...))
	all := h.answer(nil)
	<-told
	if string(all[0].r.Value) != mark+"first" {
		t.Fatalf("%q came first", all[0].r.Value)
	}
}

type slowTopics struct{}

func (slowTopics) Topic(context.Context, string) (TopicInfo, *Error) {
	time.Sleep(time.Minute) //nolint:forbidigo // of a fake clock
	return TopicInfo{}, nil
}

// A took is an Observer that keeps how long calls of the Protector took.
type took struct {
	counting

	all []time.Duration
}

func (o *took) Protected(_ string, d time.Duration, _, _ int, _ *Error) { o.all = append(o.all, d) }

func TestTheTimeOfProtectionIsThatOfTheProtectorAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := protectFunc(func(ctx context.Context, dst []byte, rec *Record) (Record, error) {
			time.Sleep(time.Millisecond) //nolint:forbidigo // of a fake clock
			return sealing{}.Protect(ctx, dst, rec)
		})
		client := clientFunc(func(r *kgo.Record, promise func(*kgo.Record, error)) {
			time.Sleep(time.Second) //nolint:forbidigo // of a fake clock
			promise(r, nil)
		})
		o := new(took)
		p := pipeline(t, slow, client, WithObserver(o), WithTopics(slowTopics{}), WithDelivery(time.Hour))
		recs := values(make([]string, handAtOnce+10)...)
		told, _ := sendBatch(t.Context(), p, recs)
		<-told
		for _, mode := range []Mode{Each, Whole} {
			p.Produce(t.Context(), recs, mode)
		}
		p.Send(t.Context(), recs[0], func(Result) {})
		if len(o.all) != 3*len(recs)+1 {
			t.Errorf("told of %d calls", len(o.all))
		}
		for i, d := range o.all {
			if d != time.Millisecond {
				t.Fatalf("call %d took %v", i, d)
			}
		}
	})
}
