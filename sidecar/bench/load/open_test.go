package load_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/load"
)

// A server that answers after a time, but for one pause in which it stands still.
type server struct {
	after        time.Duration
	stall, until time.Time
}

func (s *server) send(_ context.Context, n int, done func(int, error)) error {
	at := time.Now().Add(s.after)
	if at.After(s.stall) && at.Before(s.until) {
		at = s.until
	}
	time.AfterFunc(time.Until(at), func() { done(n, nil) })
	return nil
}

func TestAServerThatStandsStillShowsInTheTailOfAnOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := &server{after: time.Millisecond, stall: begin.Add(4 * time.Second), until: begin.Add(5 * time.Second)}
		r, err := load.Open{Rate: 100, For: 10 * time.Second}.Run(t.Context(), s.send)
		if err != nil {
			t.Fatal(err)
		}
		if r.Due != 1000 || r.Sent != 1000 || r.Acknowledged != 1000 || r.Failed != 0 {
			t.Errorf("%+v", r)
		}
		// A tenth of the records were due while it stood still, evenly.
		for _, c := range []struct {
			q    float64
			want time.Duration
		}{{0.5, time.Millisecond}, {0.89, time.Millisecond}, {0.95, 500 * time.Millisecond}, {0.99, 900 * time.Millisecond}} {
			if got := r.Latency.Quantile(c.q); got < c.want*95/100 || got > c.want*105/100+time.Millisecond {
				t.Errorf("quantile %v is %v, not %v", c.q, got, c.want)
			}
		}
	})
}

func TestThePartsOfALoadAreByWhenItsRecordsWereDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		// Two seconds to warm up, and a server that stands still from the fourth to the
		// fifth, in the middle of the second part of four.
		s := &server{after: time.Millisecond, stall: begin.Add(4 * time.Second), until: begin.Add(5 * time.Second)}
		r, err := load.Open{Rate: 1000, For: 10 * time.Second, Warm: 2 * time.Second, Parts: 4}.Run(t.Context(), s.send)
		if err != nil || len(r.Parts) != 4 {
			t.Fatalf("%d parts, %v", len(r.Parts), err)
		}
		for i, h := range r.Parts {
			if h.Count() != 2000 {
				t.Errorf("part %d has %d records", i, h.Count())
			}
			if held := h.Quantile(0.99) > 900*time.Millisecond; held != (i == 1) {
				t.Errorf("the p99 of part %d is %v", i, h.Quantile(0.99))
			}
		}
		if n := r.Latency.Count(); n != 8000 {
			t.Errorf("%d records in all", n)
		}
		p50, p99 := load.OfParts(r.Parts, 0.5), load.OfParts(r.Parts, 0.99)
		if p50 == nil || p99 == nil || len(p99.Samples) != 4 || p99.Samples[1] < 0.9 || p99.Samples[0] > 0.0011 || p50.Samples[3] > 0.0011 {
			t.Errorf("p50 %+v, p99 %+v", p50, p99)
		}
		if load.OfParts(r.Parts, 0.999) != nil || load.OfParts(nil, 0.5) != nil {
			t.Error("two records in a part tell its p99.9")
		}
	})
}

func TestWhatIsNeverAnsweredIsInThePartInWhichItWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r, err := load.Open{Rate: 10, For: time.Second, Grace: time.Second, Parts: 2}.Run(t.Context(), func(_ context.Context, k int, done func(int, error)) error {
			n++
			if n > 5 {
				done(k, nil)
			}
			return nil
		})
		if err != nil || r.Parts[0].Count() != 5 || r.Parts[1].Count() != 5 || r.Parts[0].Quantile(0.1) < time.Second || r.Parts[1].Quantile(1) > time.Millisecond {
			t.Errorf("%d and %d records, %v", r.Parts[0].Count(), r.Parts[1].Count(), err)
		}
	})
}

func TestASendThatBlocksMakesTheNextRecordsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		r, err := load.Open{Rate: 1000, For: time.Second}.Run(t.Context(), func(_ context.Context, n int, done func(int, error)) error {
			if first {
				first = false
				time.Sleep(500 * time.Millisecond) //nolint:forbidigo // in the bubble, where time costs nothing
			}
			done(n, nil)
			return nil
		})
		if err != nil || r.Acknowledged != 1000 {
			t.Fatalf("%+v, %v", r, err)
		}
		if got := r.Latency.Quantile(0.75); got < 240*time.Millisecond || got > 260*time.Millisecond {
			t.Errorf("three quarters waited at most %v; half of all were due in the half second", got)
		}
	})
}

func TestWhatIsNeverAnsweredCountsWithTheTimeUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r, err := load.Open{Rate: 10, For: time.Second, Grace: 3 * time.Second}.Run(t.Context(), func(_ context.Context, k int, done func(int, error)) error {
			n++
			if n%2 == 0 {
				done(k, nil)
			}
			return nil
		})
		if err != nil || r.Acknowledged != 5 || r.Latency.Count() != 10 {
			t.Fatalf("%+v, %d latencies, %v", r, r.Latency.Count(), err)
		}
		if got := r.Latency.Quantile(0.9); got < 3*time.Second {
			t.Errorf("the ninth of ten waited %v, with a grace of 3 s", got)
		}
	})
}

func TestALoadThatFallsFarBehindEndsAndCountsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r, err := load.Open{Rate: 1000, For: time.Second}.Run(t.Context(), func(_ context.Context, n int, done func(int, error)) error {
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // in the bubble, where time costs nothing
			done(n, nil)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		if r.Due != 1000 || r.Sent > 30 || r.Latency.Count() != 1000 {
			t.Errorf("%+v, %d latencies", r, r.Latency.Count())
		}
		if got := r.Rate(); got < 9 || got > 11 {
			t.Errorf("%v records/s, where each takes a tenth of a second", got)
		}
	})
}

func TestFailedRecordsAreCountedAndHaveNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("no")
		r, err := load.Open{Rate: 100, Burst: 10, For: time.Second}.Run(t.Context(), func(_ context.Context, _ int, done func(int, error)) error {
			done(7, nil)
			done(3, no)
			return nil
		})
		if err != nil || r.Acknowledged != 70 || r.Failed != 30 || !errors.Is(r.Err, no) || r.Latency.Count() != 70 {
			t.Errorf("%+v, %d latencies, %v", r, r.Latency.Count(), err)
		}
	})
}

func TestRecordsOfTheWarmUpDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := load.Open{Rate: 100, For: 3 * time.Second, Warm: time.Second}.Run(t.Context(), (&server{after: time.Millisecond}).send)
		if err != nil || r.Due != 200 || r.Acknowledged != 200 || r.Latency.Count() != 200 {
			t.Errorf("%+v, %v", r, err)
		}
		if got := r.Rate(); got < 99 || got > 102 {
			t.Errorf("%v records/s", got)
		}
	})
}

func TestAnOpenLoopEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		begin := time.Now()
		r, err := load.Open{Rate: 100, For: time.Hour}.Run(ctx, (&server{after: time.Millisecond}).send)
		if err != nil || time.Since(begin) > time.Second || r.Due < 49 || r.Due > 51 {
			t.Errorf("%+v, %v after %v", r, err, time.Since(begin))
		}
	})
}

func TestAnOpenLoopNeedsARate(t *testing.T) {
	for _, o := range []load.Open{{For: time.Second}, {Rate: 1}, {Rate: 1e12, For: time.Second}} {
		if _, err := o.Run(t.Context(), nil); err == nil {
			t.Errorf("%+v runs", o)
		}
	}
}

func TestAClosedLoopCountsWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := load.Closed{Workers: 4, For: time.Second}.Run(t.Context(), func(context.Context, int) (int, error) {
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // in the bubble, where time costs nothing
			return 5, nil
		})
		if err != nil || r.Acknowledged != 4*100*5 || r.Rate() < 1990 || r.Rate() > 2010 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestTheFirstErrorEndsAClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("no")
		begin := time.Now()
		_, err := load.Closed{Workers: 4, For: time.Hour}.Run(t.Context(), func(ctx context.Context, w int) (int, error) {
			if w == 2 {
				return 0, no
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if !errors.Is(err, no) || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestAQuantileNeedsLatenciesBeyondIt(t *testing.T) {
	h := load.NewHistogram()
	for i := range 100 {
		h.Record(time.Duration(i+1)*time.Millisecond, 1)
	}
	l := h.Latency()
	if l.Count != 100 || l.Max < 0.0999 || l.Max > 0.1001 || l.Mean < 0.050 || l.Mean > 0.051 {
		t.Errorf("%+v", l)
	}
	if last := l.Quantiles[len(l.Quantiles)-1]; last.Q != 0.95 || last.Seconds < 0.094 || last.Seconds > 0.096 {
		t.Errorf("the last of 100 latencies' quantiles is %+v", last)
	}
	other := load.NewHistogram()
	other.Record(time.Hour, 1)
	other.Merge(h)
	if got := other.Latency(); got.Count != 101 || got.Max < 599 || got.Max > 601 {
		t.Errorf("%+v", got)
	}
}

func TestAWindowHasSoManyBurstsUnderWayAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most int
		var mu sync.Mutex
		r, err := load.Window{Bursts: 3, Burst: 10, For: time.Second}.Run(t.Context(), func(_ context.Context, n int, done func(int, error)) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.AfterFunc(100*time.Millisecond, func() {
				mu.Lock()
				now--
				mu.Unlock()
				done(n-1, nil)
				done(1, nil)
			})
			return nil
		})
		if err != nil || most != 3 || r.Acknowledged != r.Sent || r.Rate() < 270 || r.Rate() > 310 {
			t.Errorf("%d at a time, %+v, %v", most, r, err)
		}
		if got := r.Latency.Quantile(0.5); got < 99*time.Millisecond || got > 101*time.Millisecond {
			t.Errorf("the median is %v", got)
		}
	})
}

func TestAWindowEndsWhereNothingCanBeSent(t *testing.T) {
	no := errors.New("no")
	r, err := load.Window{Bursts: 2, For: time.Hour}.Run(t.Context(), func(context.Context, int, func(int, error)) error { return no })
	if !errors.Is(err, no) || r.Sent != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
