package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A Metric is a figure of a case that two runs are compared by.
type Metric string

// The metrics.
const (
	MetricRatio  Metric = "ratio"  // this case by its floor
	MetricRate   Metric = "rate"   // records/s
	MetricCost   Metric = "cost"   // nanoseconds per record
	MetricP50    Metric = "p50"    // seconds
	MetricP99    Metric = "p99"    // seconds
	MetricAllocs Metric = "allocs" // per record
)

// A Verdict is what the comparison of a figure comes to.
type Verdict string

// The verdicts.
const (
	// Better and Worse: the whole confidence interval lies on one side of no
	// change, and the change is 1 % or more.
	Better Verdict = "better"
	Worse  Verdict = "worse"
	// NoDifference says that none was seen, not that there is none: the interval
	// tells how large one may be.
	NoDifference Verdict = "no difference seen"
	// TooFewRounds: one of the runs has fewer than six rounds of this figure.
	TooFewRounds Verdict = "too few rounds"
	// NotComparable: machine or input differ, and this figure depends on them.
	NotComparable Verdict = "not comparable"
)

// smallest is the change below which no verdict is given. Between two runs of
// one program there are differences of this size that no count of rounds in
// either sees: where memory happened to lie, how warm the machine was.
const smallest = 0.01

// A Comparison is two runs beside each other, case by case.
type Comparison struct {
	Old Run `json:"old"`
	New Run `json:"new"`
	// SameMachine tells that model and number of CPUs, memory, system and
	// architecture agree. If not, figures in seconds or records/s get no verdict;
	// ratios to the floor and allocations do.
	SameMachine bool `json:"same_machine"`
	// SameInput tells that the same records were measured. If not, nothing gets a
	// verdict.
	SameInput bool `json:"same_input"`
	// Remarks are sentences on what differs, for the head of any view.
	Remarks []string `json:"remarks,omitempty"`
	// Rows are the figures that both runs have: ratios first, then by metric, the
	// cases in the order of the new run.
	Rows []Row `json:"rows"`
	// OnlyOld and OnlyNew are the names of cases that one run alone has.
	OnlyOld []string `json:"only_old,omitempty"`
	OnlyNew []string `json:"only_new,omitempty"`
	// NoRatio are the names of cases whose ratio the new run does not have, or has
	// by another floor.
	NoRatio []string `json:"no_ratio,omitempty"`
}

// A Run names one of the runs.
type Run struct {
	Title   string    `json:"title"`
	Started time.Time `json:"started"`
	Machine Machine   `json:"machine"`
}

// A Row is one figure of one case in both runs.
type Row struct {
	Case     string `json:"case"`
	Scenario string `json:"scenario"`
	Metric   Metric `json:"metric"`
	// MoreIsBetter is so of rates and of ratios of rates.
	MoreIsBetter bool `json:"more_is_better"`
	// Old and New are the medians, in the unit of the metric.
	Old float64 `json:"old"`
	New float64 `json:"new"`
	// Change is New by Old, less one: 0.15 is 15 % more. It is 0 where Old is 0.
	Change float64 `json:"change"`
	// Low and High enclose the change with 95 % confidence, if Interval is set.
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Interval bool    `json:"interval"`
	Verdict  Verdict `json:"verdict"`
}

// Compare sets a run beside an earlier one. Cases are matched by name. A change
// is the ratio of two medians; its interval comes from a bootstrap over the
// rounds of each run, drawn apart: rounds are paired within a run only. The
// result depends on the two reports and nothing else.
//
// Latencies have an interval where both runs kept the quantiles of each round
// ([Latency.P50], [Latency.P99]). Allocations are counted, not timed: a change
// of a tenth of one and of 2 % is a change.
func Compare(old, now *Report) Comparison {
	c := Comparison{
		Old: Run{Title: old.Title, Started: old.Started, Machine: old.Machine},
		New: Run{Title: now.Title, Started: now.Started, Machine: now.Machine},
	}
	c.inputs(&old.Input, &now.Input)
	c.machines(&old.Machine, &now.Machine)
	before := make(map[string]*Case, len(old.Cases))
	for i := range old.Cases {
		before[old.Cases[i].Name] = &old.Cases[i]
	}
	for i := range now.Cases {
		b := &now.Cases[i]
		a, ok := before[b.Name]
		if !ok {
			c.OnlyNew = append(c.OnlyNew, b.Name)
			continue
		}
		delete(before, b.Name)
		c.rows(a, b)
	}
	for i := range old.Cases {
		a := &old.Cases[i]
		if _, ok := before[a.Name]; !ok {
			continue
		}
		c.OnlyOld = append(c.OnlyOld, a.Name)
		if a.Ratio != nil {
			c.NoRatio = append(c.NoRatio, a.Name)
		}
	}
	order := Metrics()
	slices.SortStableFunc(c.Rows, func(a, b Row) int {
		return cmp.Compare(slices.Index(order, a.Metric), slices.Index(order, b.Metric))
	})
	return c
}

// Metrics are all metrics in the order in which they are shown.
func Metrics() []Metric {
	return []Metric{MetricRatio, MetricRate, MetricCost, MetricP50, MetricP99, MetricAllocs}
}

// machines says how the machines differ. What a program can be changed with,
// such as the version of Go, is said too, but bars no comparison.
func (c *Comparison) machines(a, b *Machine) {
	var differ []string
	for _, f := range []struct {
		name     string
		same     bool
		old, now string
	}{
		{"CPU", a.CPU == b.CPU, a.CPU, b.CPU},
		{"threads", a.CPUs == b.CPUs, fmt.Sprint(a.CPUs), fmt.Sprint(b.CPUs)},
		{"memory", sameMemory(a.MemoryMiB, b.MemoryMiB), memoryText(a.MemoryMiB), memoryText(b.MemoryMiB)},
		{"system", a.OS == b.OS && a.Arch == b.Arch, joined("/", a.OS, a.Arch), joined("/", b.OS, b.Arch)},
	} {
		if !f.same {
			differ = append(differ, fmt.Sprintf("%s (%s, now %s)", f.name, cmp.Or(f.old, "unknown"), cmp.Or(f.now, "unknown")))
		}
	}
	c.SameMachine = len(differ) == 0
	switch {
	case c.SameMachine:
	case c.SameInput:
		c.remarkf("Another machine: %s. Only ratios to the floor and allocations are judged.", strings.Join(differ, ", "))
	default:
		c.remarkf("Another machine: %s.", strings.Join(differ, ", "))
	}
	if a.GoVersion != b.GoVersion {
		c.remarkf("Another Go: %s, now %s.", cmp.Or(a.GoVersion, "unknown"), cmp.Or(b.GoVersion, "unknown"))
	}
	if a.Load >= 0 && b.Load >= 0 && math.Abs(a.Load-b.Load) > 1 {
		c.remarkf("Other work ran beside one of them: a load of %s, now %s.", short(a.Load), short(b.Load))
	}
}

// sameMemory tells whether two sizes are of one machine: what a system leaves of
// its memory changes a little from boot to boot.
func sameMemory(a, b int64) bool {
	return a == 0 || b == 0 || math.Abs(float64(a-b)) <= 0.05*float64(max(a, b))
}

func memoryText(mib int64) string { return positive(float64(mib)*(1<<20), bytesText) }

func (c *Comparison) inputs(a, b *Input) {
	c.SameInput = a.Name == b.Name && a.Format == b.Format && a.Synthetic == b.Synthetic &&
		near(a.Bytes, b.Bytes) && near(a.Protected, b.Protected)
	if !c.SameInput {
		c.remarkf("Other records: %s; now %s. Nothing is judged.", inputText(a), inputText(b))
	}
}

// near tells whether two means are within 1 % of each other.
func near(a, b float64) bool { return math.Abs(a-b) <= 0.01*max(math.Abs(a), math.Abs(b)) }

func (c *Comparison) remarkf(format string, args ...any) {
	c.Remarks = append(c.Remarks, fmt.Sprintf(format, args...))
}

// rows adds the figures that both cases have.
func (c *Comparison) rows(a, b *Case) {
	add := func(m Metric, more bool, old, now *Series) {
		if old == nil || now == nil || old.Median == 0 && now.Median == 0 {
			return
		}
		r := Row{Case: b.Name, Scenario: b.Scenario, Metric: m, MoreIsBetter: more, Old: old.Median, New: now.Median}
		if old.Median != 0 {
			r.Change = now.Median/old.Median - 1
		}
		r.Low, r.High, r.Interval = interval(b.Name+" "+string(m), old.Samples, now.Samples)
		r.Verdict = c.judge(&r)
		c.Rows = append(c.Rows, r)
	}
	if a.Ratio != nil {
		// A ratio by another floor is another figure.
		if b.Ratio != nil && a.RatioOfCosts() == b.RatioOfCosts() && a.Yardstick == b.Yardstick {
			add(MetricRatio, !b.RatioOfCosts(), a.Ratio, b.Ratio)
		} else {
			c.NoRatio = append(c.NoRatio, b.Name)
		}
	}
	add(MetricRate, true, &a.Rate, &b.Rate)
	add(MetricCost, false, a.Cost, b.Cost)
	if a.Latency != nil && b.Latency != nil {
		add(MetricP50, false, quantileSeries(a.Latency, 0.5, a.Latency.P50), quantileSeries(b.Latency, 0.5, b.Latency.P50))
		add(MetricP99, false, quantileSeries(a.Latency, 0.99, a.Latency.P99), quantileSeries(b.Latency, 0.99, b.Latency.P99))
	}
	if a.Allocs >= 0 && b.Allocs >= 0 {
		c.allocs(a, b)
	}
}

// quantileSeries is the quantile of each round, or, where only that of all
// rounds is known, a series without samples.
func quantileSeries(l *Latency, q float64, rounds *Series) *Series {
	if rounds != nil {
		return rounds
	}
	v, ok := l.At(q)
	if !ok {
		return nil
	}
	return &Series{Median: v}
}

func (c *Comparison) allocs(a, b *Case) {
	r := Row{Case: b.Name, Scenario: b.Scenario, Metric: MetricAllocs, Old: a.Allocs, New: b.Allocs, Verdict: NoDifference}
	if a.Allocs != 0 {
		r.Change = b.Allocs/a.Allocs - 1
	}
	d := b.Allocs - a.Allocs
	switch {
	case !c.SameInput:
		r.Verdict = NotComparable
	case math.Abs(d) < 0.1 || math.Abs(d) < 0.02*a.Allocs:
	case d > 0:
		r.Verdict = Worse
	default:
		r.Verdict = Better
	}
	c.Rows = append(c.Rows, r)
}

func (c *Comparison) judge(r *Row) Verdict {
	switch {
	case !c.SameInput || !c.SameMachine && r.Metric != MetricRatio:
		return NotComparable
	case !r.Interval:
		return TooFewRounds
	case math.Abs(r.Change) < smallest || r.Low <= 0 && r.High >= 0:
		return NoDifference
	case (r.Change > 0) == r.MoreIsBetter:
		return Better
	}
	return Worse
}

// Regressed returns the ratios to the floor that are worse than limit beyond
// doubt: their whole 95 % interval is. A limit of 0.10 asks for costs that grew
// by more than 10 % of themselves, or rates that fell by more than 10 %.
//
// Only ratios count, because rates, costs and latencies change with what else
// the machine does. A change that is larger than the limit by its median, but
// not by its interval, is none yet: more rounds decide it. What could not be
// judged is in [Comparison.Unjudged], and a gate should look at both.
func (c *Comparison) Regressed(limit float64) []Row {
	var out []Row
	for _, r := range c.Rows {
		if r.Metric != MetricRatio || r.Verdict != Worse {
			continue
		}
		if r.MoreIsBetter && r.High < -limit || !r.MoreIsBetter && r.Low > limit {
			out = append(out, r)
		}
	}
	return out
}

// Unjudged returns the names of the cases of the earlier run of whose ratio
// nothing can be said: it is gone, by another floor, of other records, or was
// measured in too few rounds. Cases that had no ratio are not in it.
func (c *Comparison) Unjudged() []string {
	out := slices.Clone(c.NoRatio)
	for _, r := range c.Rows {
		if r.Metric == MetricRatio && (r.Verdict == TooFewRounds || r.Verdict == NotComparable) {
			out = append(out, r.Case)
		}
	}
	return out
}

// Count returns how many rows have the verdict.
func (c *Comparison) Count(v Verdict) int {
	n := 0
	for i := range c.Rows {
		if c.Rows[i].Verdict == v {
			n++
		}
	}
	return n
}

// Summary says in one sentence what the comparison comes to.
func (c *Comparison) Summary() string {
	if len(c.Rows) == 0 {
		return "The two runs have no case in common."
	}
	s := fmt.Sprintf("Of %s, %d %s worse and %d better than in the earlier run",
		plural(len(c.Rows), "figure"), c.Count(Worse), word(c.Count(Worse), "is", "are"), c.Count(Better))
	if n := c.Count(TooFewRounds); n > 0 {
		s += fmt.Sprintf("; %d %s too few rounds", n, word(n, "has", "have"))
	}
	if n := c.Count(NotComparable); n > 0 {
		s += fmt.Sprintf("; %d cannot be compared", n)
	}
	return s + "."
}
