package tune

import (
	"slices"
	"strings"
)

// Why a search ended.
const (
	// Converged: all settings were looked at since the last change.
	Converged = "converged"
	// OutOfTime: the budget was over before that.
	OutOfTime = "out-of-time"
	// Interrupted: the context ended.
	Interrupted = "interrupted"
	// Failed: a trial could not measure.
	Failed = "failed"
)

// A Result is what a search found, with the evidence.
type Result struct {
	Goal Goal `json:"goal"`
	// Rate and P99 are those of the goal; 0 where it has none. P99 is in seconds.
	Rate float64 `json:"rate,omitempty"`
	P99  float64 `json:"p99,omitempty"`

	// Best are the settings to use, and Start those that were there before.
	Best  Settings `json:"best"`
	Start Settings `json:"start"`
	// Confirmed tells that Best won against Start in the end. Unconfirmed tells that
	// it did not come to that: Best is what looked best so far. Where neither is
	// set, Best is Start.
	Confirmed   bool `json:"confirmed"`
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Withdrawn are changes that won on the way, and did not in the end.
	Withdrawn []Change `json:"withdrawn,omitempty"`
	// Final is Best against Start. It is nil when there was nothing to compare.
	Final *Comparison `json:"final,omitempty"`
	// Before and After sum up the trials of Start and of Best, as fast as they can
	// or at the rate of the goal; of the pairs in the end, where there are any. For
	// RateUnderP99, Carried and Carries are the rates that Start and Best carry,
	// median of where they were looked for, 0 where they carry none.
	Before  Sample  `json:"before"`
	After   *Sample `json:"after,omitempty"`
	Carries float64 `json:"carries,omitempty"`
	Carried float64 `json:"carried,omitempty"`

	Steps []Step `json:"steps"`
	// Unvisited are settings that there was no time for.
	Unvisited []string `json:"unvisited,omitempty"`

	// Noise is the standard deviation of one pair of trials under the same
	// settings: 0.05 is 5 %.
	Noise  float64 `json:"noise"`
	Ended  string  `json:"ended"`
	Trials int     `json:"trials"`
	Slice  float64 `json:"slice_seconds"`
	Budget float64 `json:"budget_seconds"`
	Took   float64 `json:"took_seconds"`

	carries, carried []float64
}

// A Step is one setting, turned once.
type Step struct {
	Name string `json:"name"`
	From string `json:"from"`
	// To is the value that ran in pairs against From; empty where all were far
	// behind it.
	To       string      `json:"to,omitempty"`
	Accepted bool        `json:"accepted"`
	Pairs    *Comparison `json:"pairs,omitempty"`
	// Tried are all values, with what the rounds said.
	Tried []Tried `json:"tried"`
}

// Tried is a value and what the rounds said of it, by From.
type Tried struct {
	Value  string  `json:"value"`
	Ratio  float64 `json:"ratio"` // above 1 it is better than From
	Rounds int     `json:"rounds"`
	Failed int     `json:"failed,omitempty"` // rounds in which it had errors, or could not keep up
}

// Changes returns what to change of Start.
func (r *Result) Changes() []Change { return Changes(r.Start, r.Best) }

// Indifferent returns the settings that were looked at, each alone, and never
// changed, each with the last step that says so.
func (r *Result) Indifferent() []Step {
	var out []Step
	for _, s := range r.Steps {
		moved := slices.ContainsFunc(r.Steps, func(o Step) bool { return o.Accepted && strings.Contains(o.Name, s.Name) })
		if moved || strings.Contains(s.Name, " ") {
			continue
		}
		if i := slices.IndexFunc(out, func(o Step) bool { return o.Name == s.Name }); i >= 0 {
			out[i] = s
			continue
		}
		out = append(out, s)
	}
	return out
}

// note takes down what settings carry: those of Start, or the best so far.
func (r *Result) note(start bool, rate float64) {
	v, to := &r.carries, &r.Carries
	if start {
		v, to = &r.carried, &r.Carried
	}
	*v = append(*v, rate)
	*to = median(slices.Sorted(slices.Values(*v)))
}

// summary returns the medians of samples, and the sum of their errors.
func summary(samples []Sample) Sample {
	middle := func(of func(*Sample) float64) float64 {
		v := make([]float64, len(samples))
		for i := range samples {
			v[i] = of(&samples[i])
		}
		slices.Sort(v)
		return median(v)
	}
	out := Sample{
		Rate:     middle(func(s *Sample) float64 { return s.Rate }),
		P50:      middle(func(s *Sample) float64 { return s.P50 }),
		P99:      middle(func(s *Sample) float64 { return s.P99 }),
		P999:     middle(func(s *Sample) float64 { return s.P999 }),
		CPU:      middle(func(s *Sample) float64 { return s.CPU }),
		BytesOut: middle(func(s *Sample) float64 { return s.BytesOut }),
	}
	for i := range samples {
		out.Errors += samples[i].Errors
	}
	return out
}
