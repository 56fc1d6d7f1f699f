package produce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var errSecret = errors.New("4111-1111")

func TestARecordThatCannotBeProtectedIsNotHandedOver(t *testing.T) {
	for name, tc := range map[string]struct {
		protect protectFunc
		code    Code
		outcome Outcome
	}{
		"an error of the engine": {func(context.Context, []byte, *Record) (Record, error) {
			return Record{}, fmt.Errorf("x: %w", &Error{Code: "value_rejected", Outcome: Rejected, Path: "/a"})
		}, "value_rejected", Rejected},
		"one that may pass": {func(context.Context, []byte, *Record) (Record, error) {
			return Record{}, &Error{Code: "key_unavailable", Outcome: Retryable}
		}, "key_unavailable", Retryable},
		"one that says it was delivered": {func(context.Context, []byte, *Record) (Record, error) {
			return Record{}, &Error{Code: "x", Outcome: Delivered}
		}, CodeInternal, Rejected},
		"one that says it is unknown": {func(context.Context, []byte, *Record) (Record, error) {
			return Record{}, &Error{Code: "x"}
		}, CodeInternal, Rejected},
		"a nil error of ours":   {func(context.Context, []byte, *Record) (Record, error) { return Record{}, (*Error)(nil) }, CodeInternal, Rejected},
		"another error":         {func(context.Context, []byte, *Record) (Record, error) { return Record{}, errSecret }, CodeInternal, Rejected},
		"a panic with an error": {func(context.Context, []byte, *Record) (Record, error) { panic(errSecret) }, CodeInternal, Rejected},
		"a panic of the runtime": {func(_ context.Context, dst []byte, _ *Record) (Record, error) {
			return Record{Value: dst[:1<<40]}, nil
		}, CodeInternal, Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHeld()
			p := pipeline(t, tc.protect, h)
			var results []Result
			results = append(results, p.Produce(t.Context(), values("a", "b"), Each)...)
			p.Send(t.Context(), values("c")[0], func(r Result) { results = append(results, r) })
			results = append(results, p.Check(t.Context(), values("d")[0]))
			if len(results) != 4 || len(h.all) != 0 {
				t.Fatalf("%d results, %d records handed over", len(results), len(h.all))
			}
			for _, r := range results {
				if r.Err == nil || r.Err.Code != tc.code || r.Outcome != tc.outcome || r.Err.Outcome != tc.outcome || r.Held {
					t.Errorf("%+v, %v", r, r.Err)
				}
				if strings.Contains(fmt.Sprintf("%v %+v", r.Err, *r.Err), "4111") {
					t.Errorf("the error shows a value: %+v", r.Err)
				}
			}
		})
	}
}

func TestAnErrorOfAnEndedContextIsACancellation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := pipeline(t, protectFunc(func(context.Context, []byte, *Record) (Record, error) {
		cancel()
		return Record{}, ctx.Err()
	}), newHeld())
	for _, r := range p.Produce(ctx, values("a", "b"), Each) {
		if r.Err == nil || r.Err.Code != CodeCanceled || r.Outcome != Retryable {
			t.Errorf("%+v", r)
		}
	}
}

func TestAContextThatEndsDuringProtectionSendsNothing(t *testing.T) {
	for _, mode := range []Mode{Each, Whole} {
		h := newHeld()
		ctx, cancel := context.WithCancel(t.Context())
		p := pipeline(t, protectFunc(func(_ context.Context, _ []byte, r *Record) (Record, error) {
			cancel()
			return *r, nil
		}), h)
		for _, r := range p.Produce(ctx, values("a", "b"), mode) {
			if r.Outcome != Retryable || r.Err.Code != CodeCanceled && r.Err.Code != CodeNotSent {
				t.Errorf("%+v, %v", r, r.Err)
			}
		}
		p.Send(ctx, values("c")[0], func(r Result) {
			if r.Outcome != Retryable || r.Err.Code != CodeCanceled {
				t.Errorf("%+v", r)
			}
		})
		if len(h.all) != 0 {
			t.Errorf("%d records were handed over", len(h.all))
		}
	}
}

func TestAWholeBatchIsSentWholeOrNotAtAll(t *testing.T) {
	refuse := protectFunc(func(ctx context.Context, dst []byte, r *Record) (Record, error) {
		switch string(r.Value) {
		case "bad":
			return Record{}, &Error{Code: "value_rejected", Outcome: Rejected}
		case "later":
			return Record{}, &Error{Code: "key_unavailable", Outcome: Retryable}
		}
		return sealing{}.Protect(ctx, dst, r)
	})
	for _, tc := range []struct {
		values []string
		rest   Outcome
	}{{[]string{"a", "bad", "b"}, Rejected}, {[]string{"a", "later", "b"}, Retryable}, {[]string{"bad", "a", "later"}, Rejected}} {
		h := newHeld()
		p := pipeline(t, refuse, h)
		for i, r := range p.Produce(t.Context(), values(tc.values...), Whole) {
			if len(tc.values[i]) == 1 && (r.Err == nil || r.Err.Code != CodeNotSent || r.Outcome != tc.rest) {
				t.Errorf("%v, record %d: %+v", tc.values, i, r)
			}
			if len(tc.values[i]) > 1 && (r.Err == nil || r.Err.Code == CodeNotSent) {
				t.Errorf("%v, record %d does not say why: %+v", tc.values, i, r)
			}
		}
		if len(h.all) != 0 {
			t.Errorf("%v: %d records were handed over", tc.values, len(h.all))
		}
	}
	// The same records one by one.
	p := pipeline(t, refuse, atOnce{})
	rs := p.Produce(t.Context(), values("a", "bad", "b"), Each)
	if rs[0].Outcome != Delivered || rs[1].Outcome != Rejected || rs[2].Outcome != Delivered {
		t.Errorf("%+v", rs)
	}
	for i, r := range p.Produce(t.Context(), values("a", "b"), Whole) {
		if r.Outcome != Delivered {
			t.Errorf("record %d: %+v", i, r)
		}
	}
}

func TestARequestThatEndsFirstIsToldThatTheOutcomeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(p *Pipeline, cancel func()){
			"its context":         func(_ *Pipeline, cancel func()) { cancel() },
			"the time of sending": func(*Pipeline, func()) { time.Sleep(DefaultDelivery) }, //nolint:forbidigo // of a fake clock
			"the pipeline":        func(p *Pipeline, _ func()) { p.Close() },
		} {
			h, o := newHeld(), new(counting)
			p := pipeline(t, sealing{}, h, WithObserver(o))
			ctx, cancel := context.WithCancel(t.Context())
			batch := make(chan []Result, 1)
			go func() { batch <- p.Produce(ctx, values("a", "b"), Each) }()
			single := make(chan Result, 1)
			p.Send(ctx, values("c")[0], func(r Result) { single <- r })
			synctest.Wait()
			end(p, cancel)
			for i, r := range append(<-batch, <-single) {
				if r.Outcome != Unknown || r.Err == nil || r.Err.Code != CodeUnknown || !r.Held || r.Offset != -1 {
					t.Errorf("%s: record %d: %+v", name, i, r)
				}
			}
			if n := p.Stats().Pending; n != 3 {
				t.Errorf("%s: %d records pending", name, n)
			}
			// The records were not changed, and are finished by themselves.
			for _, r := range h.answer(nil) {
				if !bytes.HasPrefix(r.r.Value, []byte(mark)) || len(r.r.Value) != len(mark)+1 {
					t.Errorf("%s: the client has %q", name, r.r.Value)
				}
			}
			if s := p.Stats(); s.Pending != 0 || o.late.Load() != 3 || o.finished.Load() != 3 {
				t.Errorf("%s: %+v, %d late, %d finished", name, s, o.late.Load(), o.finished.Load())
			}
			cancel()
			synctest.Wait()
		}
	})
}

type counting struct{ protected, finished, late atomic.Int64 }

func (c *counting) Protected(string, time.Duration, int, int, *Error) { c.protected.Add(1) }
func (c *counting) Finished(string, time.Duration, Result)            { c.finished.Add(1) }
func (c *counting) Late(string, Result)                               { c.late.Add(1) }

func TestOnlyRecordsOfOverdueSendsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		p := pipeline(t, sealing{}, h, WithDelivery(time.Minute))
		ends := make(chan time.Duration, 3)
		start := time.Now()
		for range 3 {
			p.Send(context.Background(), values("a")[0], func(r Result) { //nolint:usetesting // one that never ends
				if r.Outcome != Unknown {
					t.Errorf("%+v", r)
				}
				ends <- time.Since(start)
			})
			time.Sleep(20 * time.Second) //nolint:forbidigo // of a fake clock
		}
		for i := range 3 {
			if got, want := <-ends, time.Minute+time.Duration(i)*20*time.Second; got != want {
				t.Errorf("record %d ended after %v, not %v", i, got, want)
			}
		}
		h.answer(nil)
	})
}

func TestAdmissionAnswersAtOnce(t *testing.T) {
	p := pipeline(t, sealing{}, newHeld(), WithMaxBytes(100), WithMaxRecords(10), WithMaxStreams(1))
	release, err := p.Admit(4, 60)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		n, size int
		code    Code
		outcome Outcome
	}{
		"bytes":                    {1, 41, CodeOverloaded, Retryable},
		"records":                  {7, 1, CodeOverloaded, Retryable},
		"more bytes than ever":     {1, 101, CodeTooLarge, Rejected},
		"more records than ever":   {11, 1, CodeTooLarge, Rejected},
		"less than nothing":        {-1, 1, CodeInvalid, Rejected},
		"less bytes than nothing?": {1, -1, CodeInvalid, Rejected},
	} {
		if r, err := p.Admit(tc.n, tc.size); err == nil || err.Code != tc.code || err.Outcome != tc.outcome || r != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, err := p.Admit(6, 40); err != nil {
		t.Errorf("the last room: %v", err)
	} else {
		r()
	}
	release()
	release()
	if s := p.Stats(); s.Bytes != 0 || s.Records != 0 || s.Requests != 0 {
		t.Errorf("%+v", s)
	}
	stream, err := p.AdmitStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AdmitStream(); err == nil || err.Code != CodeOverloaded {
		t.Errorf("a stream too many: %v", err)
	}
	stream()
	stream()
	if s := p.Stats(); s.Streams != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDrainWaitsForWhatIsInFlight(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.ProducerLinger(time.Minute)))
	release, err := p.Admit(3, 3)
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan []Result, 1)
	sent := make(chan struct{})
	go func() {
		defer release()
		var once sync.Once
		p.Send(t.Context(), values("x")[0], func(Result) {})
		once.Do(func() { close(sent) })
		results <- p.Produce(t.Context(), values("a", "b"), Each)
	}()
	<-sent
	if n := p.Drain(t.Context()); n != 0 {
		t.Errorf("%d records unknown", n)
	}
	for _, r := range <-results {
		if r.Outcome != Delivered {
			t.Errorf("%+v", r)
		}
	}
	if _, err := p.Admit(1, 1); err == nil || err.Code != CodeDraining || err.Outcome != Retryable {
		t.Errorf("%v", err)
	}
	if _, err := p.AdmitStream(); err == nil || err.Code != CodeDraining {
		t.Errorf("%v", err)
	}
	if r := p.Produce(t.Context(), values("late"), Each)[0]; r.Err == nil || r.Err.Code != CodeDraining {
		t.Errorf("%+v", r)
	}
	p.Send(t.Context(), values("late")[0], func(r Result) {
		if r.Err == nil || r.Err.Code != CodeDraining {
			t.Errorf("%+v", r)
		}
	})
}

func TestADrainThatEndsEarlyCountsWhatIsUnknown(t *testing.T) {
	h := newHeld()
	p := pipeline(t, sealing{}, h)
	results := make(chan []Result, 1)
	go func() { results <- p.Produce(t.Context(), values("a", "b", "c"), Each) }()
	for range 3 {
		<-h.sent
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := p.Drain(ctx); n != 3 {
		t.Errorf("%d records unknown", n)
	}
	for _, r := range <-results {
		if r.Outcome != Unknown || !r.Held {
			t.Errorf("%+v", r)
		}
	}
	h.answer(nil)
	if n := p.Drain(t.Context()); n != 0 {
		t.Errorf("%d records unknown after their answers", n)
	}
}

func TestAClientWithoutRoomIsAnOverload(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.MaxBufferedRecords(1), kgo.ProducerLinger(time.Minute)))
	done := make(chan Result, 1)
	p.Send(t.Context(), values("a")[0], func(r Result) { done <- r })
	r := p.Produce(t.Context(), values("b"), Each)[0]
	if r.Outcome != Retryable || r.Err.Code != CodeOverloaded || r.Held {
		t.Errorf("%+v", r)
	}
	if n := p.Drain(t.Context()); n != 0 {
		t.Errorf("%d unknown", n)
	}
	if r := <-done; r.Outcome != Delivered {
		t.Errorf("%+v", r)
	}
}

// A random client answers late, early, with errors, or not until the end, while
// requests end at random moments. The bubble finds goroutines that stay behind.
func TestRandomCancellationsGiveEachRecordOneOutcome(t *testing.T) {
	synctest.Test(t, cancelAtRandom)
}

func cancelAtRandom(t *testing.T) {
	const requests, workers = 10_000, 8
	var unprotected, answers atomic.Int64
	late := make(chan heldRecord, requests*4)
	client := clientFunc(func(r *kgo.Record, promise func(*kgo.Record, error)) {
		if !bytes.HasPrefix(r.Value, []byte(mark)) {
			unprotected.Add(1)
		}
		switch rand.IntN(4) {
		case 0:
			promise(r, nil)
		case 1:
			promise(r, kgo.ErrMaxBuffered)
		default:
			late <- heldRecord{r, promise}
		}
	})
	o := new(counting)
	p := pipeline(t, sealing{}, client, WithObserver(o))
	var brokers, senders sync.WaitGroup
	for range 2 {
		brokers.Go(func() {
			for r := range late {
				// The memory of a record that is not answered is nobody else's.
				if v := r.r.Value; !bytes.Equal(v[len(mark):], r.r.Key) {
					t.Errorf("a record in flight has changed: %q, %q", r.r.Key, v)
				}
				answers.Add(1)
				r.promise(r.r, nil)
			}
		})
	}
	var results, records atomic.Int64
	for w := range workers {
		senders.Go(func() {
			for i := range requests / workers {
				ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it ends in the loop
				recs := make([]Record, 1+rand.IntN(4))
				for j := range recs {
					v := []byte(fmt.Sprintf("%d-%d-%d", w, i, j))
					recs[j] = Record{Topic: topic, Partition: AnyPartition, Key: v, Value: v}
				}
				records.Add(int64(len(recs)))
				if rand.IntN(2) == 0 {
					go cancel()
				}
				switch i % 3 {
				case 0:
					for _, r := range p.Produce(ctx, recs, Mode(rand.IntN(2))) {
						results.Add(1)
						if (r.Err == nil) != (r.Outcome == Delivered) || r.Held && r.Outcome != Unknown {
							t.Errorf("%+v", r)
						}
					}
				case 1:
					out := make([]Result, len(recs))
					told := make(chan struct{}, 2)
					p.SendBatch(ctx, recs, out, func() { told <- struct{}{} })
					<-told
					for _, r := range out {
						results.Add(1)
						if (r.Err == nil) != (r.Outcome == Delivered) || r.Held && r.Outcome != Unknown {
							t.Errorf("%+v", r)
						}
					}
					if len(told) > 0 {
						t.Error("done was called twice")
					}
				default:
					var each sync.WaitGroup
					each.Add(len(recs))
					for _, rec := range recs {
						var once atomic.Int64
						p.Send(ctx, rec, func(r Result) {
							if once.Add(1) > 1 {
								t.Error("done was called twice")
							}
							results.Add(1)
							each.Done()
						})
					}
					each.Wait()
				}
				cancel()
			}
		})
	}
	senders.Wait()
	if n := p.Drain(t.Context()); n != 0 {
		t.Errorf("%d records are left", n)
	}
	close(late)
	brokers.Wait()
	if results.Load() != records.Load() || o.finished.Load() != records.Load() || unprotected.Load() != 0 {
		t.Errorf("%d records, %d results, %d observed, %d unprotected", records.Load(), results.Load(), o.finished.Load(), unprotected.Load())
	}
}

type clientFunc func(r *kgo.Record, promise func(*kgo.Record, error))

func (f clientFunc) TryProduce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	f(r, promise)
}
func (clientFunc) Flush(context.Context) error { return nil }

func TestOrderPerKeyIsKept(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c))
	const senders, each, keys = 4, 300, 5
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			var done sync.WaitGroup
			var batch []Record
			for i := range each {
				rec := Record{Topic: topic, Partition: AnyPartition, Key: []byte(fmt.Sprintf("%d-%d", s, rand.IntN(keys))), Value: []byte(fmt.Sprint(i))}
				switch s {
				case 0, 2:
					done.Add(1)
					p.Send(t.Context(), rec, func(r Result) {
						if r.Outcome != Delivered {
							t.Errorf("%+v", r)
						}
						done.Done()
					})
					continue
				case 1:
					// The next batch is sent before the answer to this one is there.
					if batch = append(batch, rec); len(batch) <= rand.IntN(30) && i < each-1 {
						continue
					}
					done.Add(1)
					results := make([]Result, len(batch))
					p.SendBatch(t.Context(), batch, results, func() {
						for _, r := range results {
							if r.Outcome != Delivered {
								t.Errorf("%+v", r)
							}
						}
						done.Done()
					})
					batch = nil
					continue
				}
				if batch = append(batch, rec); len(batch) > rand.IntN(30) {
					for _, r := range p.Produce(t.Context(), batch, Mode(rand.IntN(2))) {
						if r.Outcome != Delivered {
							t.Errorf("%+v", r)
						}
					}
					batch = nil
				}
			}
			if len(batch) > 0 {
				p.Produce(t.Context(), batch, Each)
			}
			done.Wait()
		})
	}
	wg.Wait()
	last := map[string]int{}
	for _, r := range stored(t, c, senders*each) {
		var i int
		if _, err := fmt.Sscan(string(r.Value[len(mark):]), &i); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[string(r.Key)]; ok && before >= i {
			t.Errorf("key %s: %d after %d", r.Key, i, before)
		}
		last[string(r.Key)] = i
	}
}

func TestNewRefusesAClientThatDoesNotKeepThePromise(t *testing.T) {
	c := cluster1(t)
	for name, opts := range map[string][]kgo.Opt{
		"without the options":  nil,
		"another partitioner":  append(ClientOptions(nil, 0), kgo.RecordPartitioner(kgo.RoundRobinPartitioner())),
		"not idempotent":       append(ClientOptions(nil, 0), kgo.DisableIdempotentWrite()),
		"fewer acks":           append(ClientOptions(nil, 0), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())),
		"cancels what is sent": append(ClientOptions(nil, 0), kgo.AllowIdempotentProduceCancellation()),
	} {
		client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...))...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(sealing{}, client); !errors.Is(err, errClient) {
			t.Errorf("%s: %v", name, err)
		}
		client.Close()
	}
	if _, err := New(nil, atOnce{}); err == nil {
		t.Error("no Protector")
	}
	if _, err := New(sealing{}, atOnce{}, WithMaxBytes(0)); err == nil {
		t.Error("no room at all")
	}
}

func TestCheckSendsNothing(t *testing.T) {
	h := newHeld()
	p := pipeline(t, sealing{}, h, WithMaxRecordBytes(200))
	r := p.Check(t.Context(), values("a")[0])
	if r.Outcome != Delivered || r.Err != nil || r.Offset != -1 || r.ValueSize != len(mark)+1 || len(h.all) != 0 {
		t.Errorf("%+v", r)
	}
	if r := p.Check(t.Context(), values(strings.Repeat("x", 200))[0]); r.Err == nil || r.Err.Code != CodeTooLarge {
		t.Errorf("%+v", r)
	}
}

func TestRecordsWithoutSenseAreRefused(t *testing.T) {
	p := pipeline(t, sealing{}, newHeld())
	for name, rec := range map[string]Record{"no topic": {Partition: AnyPartition}, "a negative partition": {Topic: topic, Partition: -2}} {
		for _, r := range []Result{p.Produce(t.Context(), []Record{rec}, Each)[0], p.Check(t.Context(), rec)} {
			if r.Err == nil || r.Err.Code != CodeInvalid || r.Outcome != Rejected {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	if rs := p.Produce(t.Context(), nil, Whole); len(rs) != 0 {
		t.Errorf("%+v", rs)
	}
}

func TestDoubtOutweighsWhatABrokerSaysLater(t *testing.T) {
	for _, tc := range []struct {
		err  error
		fate fate
		want verdict
	}{
		{kerr.TopicAuthorizationFailed, fate{}, verdict{Rejected, CodeKafkaDenied}},
		{kerr.TopicAuthorizationFailed, fate{doubtful: true}, verdict{Unknown, CodeUnknown}},
		{kgo.ErrRecordTimeout, fate{doubtful: true}, verdict{Unknown, CodeUnknown}},
		{kgo.ErrRecordTimeout, fate{doubtful: true, safe: true}, verdict{Retryable, CodeKafkaUnavailable}},
		{kgo.ErrMaxBuffered, fate{doubtful: true}, verdict{Retryable, CodeOverloaded}},
		{kgo.ErrClientClosed, fate{}, verdict{Unknown, CodeUnknown}},
		{kgo.ErrClientClosed, fate{safe: true}, verdict{Retryable, CodeKafkaUnavailable}},
		{errSecret, fate{}, verdict{Unknown, CodeUnknown}},
	} {
		if e := classify(tc.err, tc.fate); e.Outcome != tc.want.outcome || e.Code != tc.want.code {
			t.Errorf("%v, %+v: %+v", tc.err, tc.fate, e)
		}
	}
}

func TestAContextThatEndsLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipeline(t, sealing{}, atOnce{})
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			p.Send(ctx, values("a")[0], func(Result) {})
			cancel()
		}
		synctest.Wait()
		if n := len(p.watchers.byDone); n != 0 {
			t.Errorf("%d watchers are left", n)
		}
	})
}
