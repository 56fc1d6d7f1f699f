package tune

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// seeds is how often a property is tried, and enough how often it must hold.
const (
	seeds  = 100 / fewer
	enough = seeds - seeds*5/100
)

// optimum returns the best that the surface has on the ladders.
func optimum(worth func(Settings) float64) float64 {
	best := 0.0
	each(DefaultLadders(), Defaults(), func(s Settings) { best = max(best, worth(s)) })
	return best
}

// queue is a client before a broker: callers and their bursts together keep it
// busy, up to what it can do, which depends on the rest.
func queue(s Settings) float64 {
	offered := float64(s.Concurrency*min(s.BatchRecords, s.MaxBuffered)) * 150
	most := 200_000 * hill(float64(s.BatchBytes), 1_000_012, 0.03)
	switch s.Compression {
	case "zstd":
		most *= 1.12
	case "gzip":
		most *= 0.6
	}
	most *= hill(max(1, s.Linger.Seconds()*1000+1), 11, 0.02)
	return most * offered / (most + offered)
}

func TestASearchComesWithinFivePercentOfTheOptimum(t *testing.T) {
	for _, tt := range []struct {
		name  string
		make  func() *surface
		goal  Options
		worth func(f *surface, s Settings) float64
	}{
		{"of settings that have each a best value", func() *surface {
			return &surface{
				rate: func(s Settings) float64 {
					return 50_000 * hill(float64(s.Concurrency), 32, 0.05) * hill(float64(s.BatchRecords), 500, 0.04) *
						hill(s.Linger.Seconds()*1000+1, 3, 0.1) * hill(float64(s.BatchBytes), 524_288, 0.05)
				},
				base: flatBase, fails: never, noise: 0.03, late: 0.1,
			}
		}, Options{Goal: MaxRate}, func(f *surface, s Settings) float64 { return f.rate(s) }},
		{"of settings that depend on each other", func() *surface {
			return &surface{rate: queue, base: flatBase, fails: never, noise: 0.02, late: 0.1}
		}, Options{Goal: MaxRate}, func(f *surface, s Settings) float64 { return f.rate(s) }},
		{"while the machine drifts by a third", func() *surface {
			return &surface{rate: queue, base: flatBase, fails: never, noise: 0.02, late: 0.1, drift: sawtooth}
		}, Options{Goal: MaxRate}, func(f *surface, s Settings) float64 { return f.rate(s) }},
		{"beside a cliff of errors", func() *surface {
			return &surface{rate: queue, base: flatBase, noise: 0.02, late: 0.1, fails: func(s Settings) bool { return s.Concurrency*s.BatchRecords > 20_000 }}
		}, Options{Goal: MaxRate}, func(f *surface, s Settings) float64 {
			if f.fails(s) {
				return 0
			}
			return f.rate(s)
		}},
		{"of latency at a rate", func() *surface {
			return &surface{rate: queue, base: lingering, fails: never, noise: 0.02, late: 0.1}
		}, Options{Goal: P99AtRate, Rate: 20_000}, func(f *surface, s Settings) float64 {
			return 1 / f.under(s, 20_000, f.rate(s), time.Second)
		}},
		{"of the rate below a bound of latency", func() *surface {
			return &surface{rate: queue, base: lingering, fails: never, noise: 0.01, late: 0.05}
		}, Options{Goal: RateUnderP99, P99: 20 * time.Millisecond}, func(f *surface, s Settings) float64 {
			return f.carries(s, 20*time.Millisecond)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.goal
			o.Budget, o.Slice = 15*time.Minute, time.Second
			f := tt.make()
			best := optimum(func(s Settings) float64 { return tt.worth(f, s) })
			good, worst, confirmed, trials := 0, 1.0, 0, 0
			for seed := range uint64(seeds) {
				r, took, err := seeded(t, seed, tt.make(), o)
				if err != nil {
					t.Fatal(err)
				}
				if took > o.Budget+o.Slice {
					t.Fatalf("seed %d took %v of %v", seed, took, o.Budget)
				}
				share := tt.worth(f, r.Best) / best
				worst = min(worst, share)
				trials += r.Trials
				if share >= 0.95 {
					good++
				}
				if r.Confirmed {
					confirmed++
				}
			}
			t.Logf("%d of %d within 5 %%, the worst at %.3f; %d confirmed; %d trials on average", good, seeds, worst, confirmed, trials/seeds)
			if good < enough || confirmed < enough {
				t.Errorf("%d of %d are within 5 %% of the optimum, and %d are confirmed", good, seeds, confirmed)
			}
		})
	}
}

// lingering is the latency of a client that waits, and of bursts that are large.
func lingering(s Settings) float64 {
	return 0.001 + s.Linger.Seconds() + float64(s.BatchRecords)/400_000 + float64(s.Concurrency)/50_000
}

func TestWhereNothingMattersTheDefaultsStay(t *testing.T) {
	kept, straight := 0, 0
	for seed := range uint64(seeds) {
		f := &surface{rate: func(Settings) float64 { return 40_000 }, base: flatBase, fails: never, noise: 0.04, late: 0.1, drift: sawtooth}
		r, _, err := seeded(t, seed, f, Options{Goal: MaxRate, Budget: 10 * time.Minute, Slice: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if r.Best == r.Start && !r.Confirmed && len(r.Changes()) == 0 && strings.HasPrefix(r.verdict(), "No setting made a difference: keep what you have.") {
			kept++
		}
		if len(r.Withdrawn) == 0 {
			straight++
		}
	}
	t.Logf("%d of %d, in %d nothing was accepted on the way either", kept, seeds, straight)
	if kept < enough {
		t.Errorf("the defaults stayed in %d of %d searches", kept, seeds)
	}
}

func TestAShortBudgetIsNotPassedAndSaysHowFarItCame(t *testing.T) {
	for seed := range uint64(20) {
		f := &surface{rate: queue, base: flatBase, fails: never, noise: 0.02, late: 0.1, setup: 700 * time.Millisecond}
		o := Options{Goal: MaxRate, Budget: 40 * time.Second, Slice: 300 * time.Millisecond}
		r, took, err := seeded(t, seed, f, o)
		if err != nil {
			t.Fatal(err)
		}
		if took > o.Budget+time.Second {
			t.Errorf("seed %d: %v of %v", seed, took, o.Budget)
		}
		if r.Ended != OutOfTime || len(r.Unvisited) == 0 {
			t.Errorf("seed %d: it ended as %s, and %v were not looked at", seed, r.Ended, r.Unvisited)
		}
		if len(r.Changes()) > 0 && !r.Confirmed && !r.Unconfirmed {
			t.Errorf("seed %d: changes without a word about whether they are confirmed", seed)
		}
		if r.Confirmed && len(r.Final.Ratios) < minFinal {
			t.Errorf("seed %d: confirmed by %d pairs", seed, len(r.Final.Ratios))
		}
	}
}

func TestASearchIsTheSameForTheSameSeedAndTrials(t *testing.T) {
	find := func() *Result {
		f := &surface{rate: queue, base: flatBase, fails: never, noise: 0.05, late: 0.1}
		r, _, err := seeded(t, 3, f, Options{Goal: MaxRate, Budget: 5 * time.Minute, Slice: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if a, b := find(), find(); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestSettingsThatFailAreLeftForOnesThatDoNot(t *testing.T) {
	f := &surface{rate: queue, base: flatBase, noise: 0.02, late: 0.1, fails: func(s Settings) bool { return s.BatchRecords > 10 }}
	r, _, err := seeded(t, 1, f, Options{Goal: MaxRate, Budget: 10 * time.Minute, Slice: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Confirmed || r.Best.BatchRecords > 10 || r.Before.Errors == 0 {
		t.Errorf("%+v", r)
	}
}

func TestABoundThatNothingCanKeepIsNotFound(t *testing.T) {
	f := &surface{rate: queue, base: func(Settings) float64 { return 0.1 }, fails: never, noise: 0.02, late: 0.05}
	r, _, err := seeded(t, 1, f, Options{Goal: RateUnderP99, P99: time.Millisecond, Budget: 10 * time.Minute, Slice: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Confirmed || r.Carries != 0 || r.Carried != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAnInterruptedSearchReturnsWhatItHas(t *testing.T) {
	for _, at := range []int{1, 2, 40, 150} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f := &surface{rate: queue, base: flatBase, fails: never, noise: 0.02, rng: rand.New(rand.NewPCG(1, 1)), began: time.Now()}
			f.hook = func(call int) {
				if call == at {
					cancel()
				}
			}
			r, err := Search(ctx, f.trial, Options{Goal: MaxRate, Budget: 10 * time.Minute, Slice: time.Second})
			if !errors.Is(err, context.Canceled) || r == nil {
				t.Fatalf("%v, %v", r, err)
			}
			if f.calls != at {
				t.Errorf("%d trials, interrupted in number %d", f.calls, at)
			}
			if r.Ended != Interrupted || r.Confirmed || len(r.Changes()) > 0 != r.Unconfirmed {
				t.Errorf("%+v", r)
			}
			if at == 150 && !r.Unconfirmed {
				t.Error("nothing was found in 150 trials")
			}
		})
	}
}

func TestATrialThatCannotMeasureEndsTheSearch(t *testing.T) {
	broken := errors.New("no broker")
	n := 0
	r, err := Search(t.Context(), func(context.Context, Settings, time.Duration, float64) (Sample, error) {
		n++
		if n > 3 {
			return Sample{}, broken
		}
		return Sample{Rate: 1}, nil
	}, Options{Goal: MaxRate})
	if !errors.Is(err, broken) || r == nil || r.Ended != Failed || n != 4 {
		t.Errorf("%+v, %v, %d trials", r, err, n)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	trial := func(context.Context, Settings, time.Duration, float64) (Sample, error) { return Sample{}, nil }
	for name, o := range map[string]Options{
		"no goal":            {},
		"no bound":           {Goal: RateUnderP99},
		"no rate":            {Goal: P99AtRate},
		"a rate of NaN":      {Goal: P99AtRate, Rate: math.NaN()},
		"a rate without end": {Goal: P99AtRate, Rate: math.Inf(1)},
		"hardly any time":    {Goal: MaxRate, Budget: time.Millisecond},
		"a negative slice":   {Goal: MaxRate, Slice: -1},
		"a gain of all":      {Goal: MaxRate, MinGain: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := Search(t.Context(), trial, o); err == nil || r != nil {
				t.Errorf("%v, %v", r, err)
			}
		})
	}
	if _, err := Search(t.Context(), nil, Options{Goal: MaxRate}); err == nil {
		t.Error("no trial")
	}
}
