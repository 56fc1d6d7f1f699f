package tune

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// A surface answers trials as some target would. Everything about it is known, so
// a test can say how good the settings are that a search found.
type surface struct {
	rate  func(Settings) float64 // records/s, as fast as it can, without noise
	base  func(Settings) float64 // p99 of hardly any load, in seconds
	fails func(Settings) bool    // has errors

	noise float64                     // of rates, as a standard deviation of the logarithm
	late  float64                     // of latencies, likewise
	drift func(time.Duration) float64 // of all rates, by time
	setup time.Duration               // what a trial costs beside its measuring

	rng   *rand.Rand
	began time.Time
	calls int
	hook  func(call int)
}

// under returns the p99 at a rate, without noise: the wait of a queue, and what
// piles up within a trial when more comes than goes.
func (f *surface) under(s Settings, rate, capacity float64, d time.Duration) float64 {
	busy := rate / capacity
	if busy >= 0.999 {
		return f.base(s)*1000 + d.Seconds()*max(0, 1-1/busy)
	}
	return f.base(s) * (1 + busy/(1-busy))
}

// carries returns the highest rate with a p99 below bound.
func (f *surface) carries(s Settings, bound time.Duration) float64 {
	b := f.base(s)
	if f.fails(s) || b >= bound.Seconds() {
		return 0
	}
	// base / (1 - busy) = bound
	return f.rate(s) * min(0.999, 1-b/bound.Seconds())
}

func (f *surface) trial(ctx context.Context, s Settings, d time.Duration, rate float64) (Sample, error) {
	f.calls++
	if f.hook != nil {
		f.hook(f.calls)
	}
	select {
	case <-time.After(d + f.setup):
	case <-ctx.Done():
		return Sample{}, ctx.Err()
	}
	capacity := f.rate(s) * math.Exp(f.noise*f.rng.NormFloat64())
	if f.drift != nil {
		capacity *= f.drift(time.Since(f.began))
	}
	x := Sample{Rate: capacity, P99: f.under(s, capacity*0.98, capacity, d)}
	if rate > 0 {
		x.Rate, x.P99 = min(rate, capacity), f.under(s, rate, capacity, d)
	}
	x.P99 *= math.Exp(f.late * f.rng.NormFloat64())
	x.P50, x.P999 = x.P99/3, x.P99*2
	if f.fails(s) {
		x.Errors = 17
	}
	return x, nil
}

func never(Settings) bool { return false }

func flatBase(Settings) float64 { return 0.004 }

// hill is highest at a value and falls off by steepness for each doubling away
// from it.
func hill(v, top, steepness float64) float64 {
	return math.Exp(-steepness * math.Pow(math.Log2(v/top), 2))
}

// sawtooth is a machine that others use too.
func sawtooth(t time.Duration) float64 {
	return 1 - 0.3*math.Mod(t.Minutes(), 3)/3
}

// each calls f for all settings of ladders.
func each(l Ladders, start Settings, f func(Settings)) {
	dials := l.dials(start)
	var walk func(i int, s Settings)
	walk = func(i int, s Settings) {
		if i == len(dials) {
			f(s)
			return
		}
		for v := range dials[i].values {
			walk(i+1, dials[i].set(s, v))
		}
	}
	walk(0, start)
}

// seeded runs a search of a surface, in time that passes at once.
func seeded(t *testing.T, seed uint64, f *surface, o Options) (r *Result, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f.rng, f.began = rand.New(rand.NewPCG(seed, 7)), time.Now()
		o.Seed = seed
		r, err = Search(t.Context(), f.trial, o)
		took = time.Since(f.began)
	})
	return r, took, err
}
