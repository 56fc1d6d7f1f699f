package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// ratios is a report of cases that have nothing but a ratio, of costs or of
// rates: median times, with noise of which each round keeps half of the one
// before.
func ratios(seed uint64, n, rounds int, times float64, costs bool) *Report {
	r := &Report{Version: Version, Machine: machine(), Input: input()}
	for i := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		samples := make([]float64, rounds)
		noise := 0.0
		for j := range samples {
			noise = 0.5*noise + 0.03*rng.NormFloat64()
			samples[j] = 2 * times * math.Exp(noise)
		}
		s := NewSeries(samples)
		c := Case{Name: fmt.Sprintf("library/%d", i), Scenario: "library", Ratio: &s, Allocs: -1}
		if costs {
			c.Cost = &Series{}
		}
		r.Cases = append(r.Cases, c)
	}
	return r
}

func TestARegressionOfFifteenPercentIsFound(t *testing.T) {
	const cases = 16
	for _, costs := range []bool{true, false} {
		slower := 1.15
		if !costs {
			slower = 1 / 1.15
		}
		old, now := ratios(1, cases, 101, 1, costs), ratios(2, cases, 101, slower, costs)
		c := Compare(old, now)
		if n := c.Count(Worse); n != cases {
			t.Errorf("costs %v: %d of %d are seen to be worse", costs, n, cases)
		}
		// Of a change so near to the limit many intervals reach below it; of one far
		// beyond it none does.
		if n := len(c.Regressed(0.05)); n != cases {
			t.Errorf("costs %v: %d of %d are beyond 5 %%", costs, n, cases)
		}
		if n := len(c.Regressed(0.10)); n < cases/2 {
			t.Errorf("costs %v: %d of %d are beyond 10 %%", costs, n, cases)
		}
		if n := len(c.Regressed(0.25)); n != 0 {
			t.Errorf("costs %v: %d are beyond 25 %%", costs, n)
		}
		back := Compare(now, old)
		if n := back.Count(Better); n != cases {
			t.Errorf("costs %v: the other way round %d of %d are better", costs, n, cases)
		}
		if len(back.Regressed(0)) != 0 {
			t.Errorf("costs %v: what became better regressed", costs)
		}
	}
}

func TestNoiseIsNoRegression(t *testing.T) {
	const cases = 80
	c := Compare(ratios(3, cases, 101, 1, true), ratios(4, cases, 101, 1, true))
	if got := c.Regressed(0.10); len(got) != 0 {
		t.Errorf("%d of %d cases regressed that are alike", len(got), cases)
	}
	// The intervals promise 5 %; with noise that lasts they keep it nearly.
	if n := c.Count(Better) + c.Count(Worse); n > cases/8 {
		t.Errorf("%d of %d cases got a verdict by chance", n, cases)
	}
	if n := c.Count(NoDifference); n < cases*7/8 {
		t.Errorf("%d of %d cases show no difference", n, cases)
	}
}

func TestTheIntervalHoldsTheTrueChangeNearlyAlways(t *testing.T) {
	const cases = 100
	c := Compare(ratios(5, cases, 31, 1, true), ratios(6, cases, 31, 1.3, true))
	held := 0
	for _, r := range c.Rows {
		if r.Low <= 0.3 && 0.3 <= r.High {
			held++
		}
		if r.Change < r.Low || r.Change > r.High {
			t.Errorf("%s: the change is outside of its interval", r.Case)
		}
	}
	if held < cases*86/100 {
		t.Errorf("%d of %d intervals hold it", held, cases)
	}
}

func TestTheSameReportsGiveTheSameComparison(t *testing.T) {
	a, b := Compare(ratios(1, 3, 31, 1, true), ratios(2, 3, 31, 1.1, true)), Compare(ratios(1, 3, 31, 1, true), ratios(2, 3, 31, 1.1, true))
	if !slices.Equal(a.Rows, b.Rows) {
		t.Error("they differ")
	}
	c := Compare(small(), small())
	for _, r := range c.Rows {
		if r.Change != 0 || r.Verdict == Better || r.Verdict == Worse {
			t.Errorf("%s, %s: a report differs from itself: %v", r.Case, r.Metric, r.Verdict)
		}
	}
}

func TestVerdicts(t *testing.T) {
	steady := func(v float64, n int) *Series {
		s := make([]float64, n)
		for i := range s {
			s[i] = v * (1 + 0.0001*float64(i%5))
		}
		out := NewSeries(s)
		return &out
	}
	base := func() *Report {
		return &Report{Version: Version, Machine: machine(), Input: input(), Cases: []Case{{
			Name: "a", Scenario: "library", Rate: *steady(1000, 20), Cost: steady(500, 20), Ratio: steady(2, 20), Allocs: 1,
			Latency: &Latency{Quantiles: []Quantile{{0.5, 0.001}, {0.99, 0.01}}, P50: steady(0.001, 20), P99: steady(0.01, 20)},
		}}}
	}
	for _, tt := range []struct {
		name   string
		change func(r *Report)
		metric Metric
		want   Verdict
	}{
		{"a higher rate is better", func(r *Report) { r.Cases[0].Rate = *steady(1100, 20) }, MetricRate, Better},
		{"a lower rate is worse", func(r *Report) { r.Cases[0].Rate = *steady(900, 20) }, MetricRate, Worse},
		{"a lower cost is better", func(r *Report) { r.Cases[0].Cost = steady(400, 20) }, MetricCost, Better},
		{"a higher ratio of costs is worse", func(r *Report) { r.Cases[0].Ratio = steady(2.2, 20) }, MetricRatio, Worse},
		{"a higher p99 is worse", func(r *Report) { r.Cases[0].Latency.P99 = steady(0.02, 20) }, MetricP99, Worse},
		{"a change below one percent is none", func(r *Report) { r.Cases[0].Rate = *steady(1009, 20) }, MetricRate, NoDifference},
		{"five rounds are too few", func(r *Report) { r.Cases[0].Ratio = steady(4, 5) }, MetricRatio, TooFewRounds},
		{"a latency without rounds cannot be judged", func(r *Report) { r.Cases[0].Latency.P50 = nil }, MetricP50, TooFewRounds},
		{"one allocation more is worse", func(r *Report) { r.Cases[0].Allocs = 2 }, MetricAllocs, Worse},
		{"no allocation is better than one", func(r *Report) { r.Cases[0].Allocs = 0 }, MetricAllocs, Better},
		{"a twentieth of an allocation is none", func(r *Report) { r.Cases[0].Allocs = 1.05 }, MetricAllocs, NoDifference},
		{"a rate of another machine is not judged", func(r *Report) {
			r.Machine.CPU = "another"
			r.Cases[0].Rate = *steady(9000, 20)
		}, MetricRate, NotComparable},
		{"a ratio of another machine is", func(r *Report) {
			r.Machine.CPU = "another"
			r.Cases[0].Ratio = steady(4, 20)
		}, MetricRatio, Worse},
		{"a ratio of other records is not", func(r *Report) {
			r.Input.Bytes = 1000
			r.Cases[0].Ratio = steady(4, 20)
		}, MetricRatio, NotComparable},
		{"another Go bars nothing", func(r *Report) {
			r.Machine.GoVersion = "go1.27"
			r.Cases[0].Rate = *steady(900, 20)
		}, MetricRate, Worse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := base()
			tt.change(now)
			c := Compare(base(), now)
			i := slices.IndexFunc(c.Rows, func(r Row) bool { return r.Metric == tt.metric })
			if i < 0 {
				t.Fatal("the figure is missing")
			}
			if got := c.Rows[i].Verdict; got != tt.want {
				t.Errorf("%q, not %q", got, tt.want)
			}
		})
	}
}

func TestARatioThatCannotBeJudgedIsNamed(t *testing.T) {
	old, now := ratios(1, 5, 20, 1, true), ratios(1, 5, 20, 3, true)
	now.Cases[0].Name = "library/renamed"
	now.Cases[1].Ratio = nil
	now.Cases[2].Yardstick = "another"
	now.Cases[3].Ratio.Samples = now.Cases[3].Ratio.Samples[:5]
	c := Compare(old, now)
	got := c.Unjudged()
	slices.Sort(got)
	if want := []string{"library/0", "library/1", "library/2", "library/3"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if r := c.Regressed(0.1); len(r) != 1 || r[0].Case != "library/4" {
		t.Errorf("the one that can be judged did not regress: %v", r)
	}
	if !slices.Equal(c.OnlyOld, []string{"library/0"}) || !slices.Equal(c.OnlyNew, []string{"library/renamed"}) {
		t.Errorf("only old: %q, only new: %q", c.OnlyOld, c.OnlyNew)
	}
}

func TestWhatDiffersBetweenTheRunsIsSaid(t *testing.T) {
	now := small()
	now.Machine.CPU, now.Machine.CPUs, now.Machine.GoVersion, now.Machine.Load = "Graviton", 8, "go1.27", 0
	now.Input.Protected = 7
	c := Compare(small(), now)
	all := strings.Join(c.Remarks, "\n")
	for _, want := range []string{"Graviton", "threads (2, now 8)", "go1.27", "a load of 2.3, now 0", "7 protected", "Nothing is judged"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	rebooted := small()
	rebooted.Machine.MemoryMiB -= 3
	same := Compare(small(), rebooted)
	if len(same.Remarks) != 0 || !same.SameInput || !same.SameMachine {
		t.Errorf("the same run differs from itself: %q", same.Remarks)
	}
}
