// Package ratio compares the speed of functions in one run, so that what the
// machine does beside it hits all of them alike.
package ratio

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// A Func does its work n times.
type Func func(n int)

// Result is what Compare saw of one function.
type Result struct {
	// NsPerOp is the median over the rounds, in nanoseconds.
	NsPerOp float64
	// Ratio is the median over the rounds of this function's time by that of the
	// first one in the same round.
	Ratio float64
	// Low and High are the quartiles of the ratio.
	Low, High float64
	// Rounds are the nanoseconds of one operation in each round. The same index
	// is the same round in every result of one call, so figures made of several
	// functions, such as a difference, can be paired as well.
	Rounds []float64
}

// Options set how long Compare takes.
type Options struct {
	Rounds int           // default 101
	Slice  time.Duration // of one function in one round; default 3 ms
	// Parallel runs each function on that many goroutines at a time, and counts
	// the time until all have done n. Default 1.
	Parallel int
}

// Compare times the functions in turn, round after round. The first is the
// yardstick. With Parallel the factories are called once for each goroutine.
func Compare(o Options, factories ...func() Func) []Result {
	if o.Rounds == 0 {
		o.Rounds = 101
	}
	if o.Slice == 0 {
		o.Slice = 3 * time.Millisecond
	}
	o.Parallel = max(o.Parallel, 1)
	lanes := make([][]Func, len(factories))
	n := make([]int, len(factories))
	for i, f := range factories {
		for range o.Parallel {
			lanes[i] = append(lanes[i], f())
		}
		n[i] = calibrate(lanes[i], o.Slice)
	}
	times := make([][]float64, len(factories))
	ratios := make([][]float64, len(factories))
	runtime.GC()
	for range o.Rounds {
		for i := range lanes {
			d := float64(run(lanes[i], n[i])) / float64(n[i])
			times[i] = append(times[i], d)
			last := len(times[0]) - 1
			ratios[i] = append(ratios[i], d/times[0][last])
		}
	}
	out := make([]Result, len(factories))
	for i := range out {
		out[i] = Result{
			NsPerOp: quantile(times[i], 0.5),
			Ratio:   quantile(ratios[i], 0.5),
			Low:     quantile(ratios[i], 0.25),
			High:    quantile(ratios[i], 0.75),
			Rounds:  times[i],
		}
	}
	return out
}

// calibrate returns how many times fit the slice.
func calibrate(lanes []Func, slice time.Duration) int {
	n := 1
	for {
		d := run(lanes, n)
		if d >= slice/2 {
			return max(1, int(float64(n)*float64(slice)/float64(d)))
		}
		n *= 2
	}
}

func run(lanes []Func, n int) time.Duration {
	if len(lanes) == 1 {
		start := time.Now()
		lanes[0](n)
		return time.Since(start)
	}
	var wg sync.WaitGroup
	start := time.Now()
	for _, f := range lanes {
		wg.Go(func() { f(n) })
	}
	wg.Wait()
	return time.Since(start)
}

func quantile(v []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[int(q*float64(len(s)-1))]
}
