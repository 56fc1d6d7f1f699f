package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Search finds settings for a goal, through trial.
//
// It turns one setting at a time, in turn, until all of them have been looked at
// since the last change or the time is over. Of the values of a setting it halves
// those that are left, round by round; each round runs all of them and the settings
// so far in random order, and looks at ratios within the round, so that a machine
// or a cluster whose speed drifts hits all alike. The one that is left runs in
// pairs against the settings so far, and is accepted only when the pairs say so:
// by a gain above half of MinGain, and by the signed-rank test. Last, the winner
// runs against Start in FinalPairs pairs or more, for which time is kept. When it
// does not win there too, the settings to use are those of Start.
//
// Settings with more records under way than a few seconds of the highest rate so
// far are not tried: they only make trials long, and each record wait.
//
// For RateUnderP99 settings are compared by their latency at the rate that the
// settings so far can carry: who is faster there can carry more. That rate is
// found anew after each change, and in the end for both sides of each pair.
//
// The result is never nil unless the options are wrong. When ctx ends or trial
// fails, it holds what was found so far, which is then not confirmed, and the
// error says why.
func Search(ctx context.Context, trial Trial, o Options) (*Result, error) {
	if trial == nil {
		return nil, errors.New("tune: nil trial")
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &search{
		ctx: ctx, trial: trial, o: &o, repeats: 1, longer: 1, began: time.Now(), best: *o.Start,
		rng: rand.New(rand.NewPCG(o.Seed, 0x66696c64)), //nolint:gosec // the order of trials, no secret
		result: &Result{
			Goal: o.Goal, Rate: o.Rate, P99: o.P99.Seconds(), Budget: o.Budget.Seconds(), Slice: o.Slice.Seconds(),
			Start: *o.Start, Best: *o.Start,
		},
	}
	s.result.Ended = Converged
	err := s.explore()
	if errors.Is(err, errBudget) {
		s.result.Ended, err = OutOfTime, nil
	}
	if err == nil {
		err = s.confirm()
	}
	s.conclude()
	switch {
	case err == nil, errors.Is(err, errBudget):
		return s.result, nil
	case ctx.Err() != nil:
		s.result.Ended = Interrupted
		return s.result, fmt.Errorf("tune: %w", context.Cause(ctx))
	default:
		s.result.Ended = Failed
		return s.result, fmt.Errorf("tune: %w", err)
	}
}

// errBudget ends a phase whose time is over.
var errBudget = errors.New("the time is over")

// A search is one call of Search.
type search struct {
	ctx   context.Context //nolint:containedctx // it lives as long as the call that it came with
	trial Trial
	o     *Options
	rng   *rand.Rand
	began time.Time

	best   Settings // so far
	gain   float64  // of best over Start, as a logarithm, as the accepted steps say
	rate   float64  // of the open loop in which settings are compared; 0 is none
	final  bool     // the time that was kept for the end may be used
	trials int
	// repeats is how often each round runs, and longer multiplies the pairs that
	// a step may have.
	repeats, longer int
	spent           time.Duration // in trials
	recent          time.Duration // that trials took lately
	phase           Progress
	result          *Result
	top             float64 // the highest rate that was seen
	// Trials of Start and of best, as fast as they can or at Rate.
	start, after []Sample
}

// left returns the time that the phase has.
func (s *search) left() time.Duration {
	left := s.o.Budget - time.Since(s.began)
	if !s.final {
		left -= s.kept()
	}
	return left
}

// kept returns the time that the comparison in the end needs, by what trials took
// so far, and half of the budget at most.
func (s *search) kept() time.Duration {
	each := s.o.Slice
	if s.trials > 0 {
		// The best settings so far may be slow ones: their bursts are waited for.
		each = max(s.spent/time.Duration(s.trials), s.recent)
	}
	n := 2 * s.o.FinalPairs
	if s.o.Goal == RateUnderP99 {
		n *= capacityProbes
	}
	return min(time.Duration(n)*each, s.o.Budget/2)
}

// run makes one trial.
func (s *search) run(set Settings, rate float64) (Sample, error) {
	if err := s.ctx.Err(); err != nil {
		return Sample{}, err
	}
	if s.left() <= 0 {
		return Sample{}, errBudget
	}
	p := s.phase
	p.Took, p.Budget, p.Trials, p.Gain = time.Since(s.began), s.o.Budget, s.trials, math.Exp(s.gain)
	if len(s.start) > 0 && s.o.Goal != RateUnderP99 {
		sum := summary(s.start)
		p.Best = sum.Rate * p.Gain
		if s.o.Goal == P99AtRate {
			p.Best = sum.P99 / p.Gain
		}
	} else {
		p.Best = s.rate
	}
	s.o.Progress(p)
	began := time.Now()
	sample, err := s.trial(s.ctx, set, s.o.Slice, rate)
	took := time.Since(began)
	s.spent += took
	s.trials++
	if s.trials == 1 {
		s.recent = took
	}
	s.recent += (took - s.recent) / 4
	if err != nil {
		return Sample{}, err
	}
	if err := s.ctx.Err(); err != nil {
		return Sample{}, err // it was cut short
	}
	s.top = max(s.top, sample.Rate)
	if rate == 0 || s.o.Goal == P99AtRate {
		switch {
		case set == *s.o.Start:
			s.start = append(s.start, sample)
		case s.final:
			s.after = append(s.after, sample)
		}
	}
	return sample, nil
}

// measure makes a trial as the goal compares them, and returns what counts, as a
// logarithm: more is better. Minus infinity is a failure.
func (s *search) measure(set Settings) (float64, error) {
	sample, err := s.run(set, s.rate)
	if err != nil {
		return 0, err
	}
	return s.score(sample), nil
}

// keptUp is the share of what is due that has to be acknowledged, in a loop that
// goes on whatever becomes of it. What is on its way at the end is missing.
const keptUp = 0.9

func (s *search) score(x Sample) float64 {
	switch {
	case x.Errors > 0, !(x.Rate > 0):
		return math.Inf(-1)
	case s.o.Goal == MaxRate:
		return math.Log(x.Rate)
	case !(x.P99 > 0), x.Rate < keptUp*s.rate && s.o.Goal == P99AtRate:
		return math.Inf(-1)
	default:
		return -math.Log(x.P99)
	}
}

// failing is what a pair says in which one side failed: ten times.
var failing = math.Log(10) //nolint:gochecknoglobals // a number

// ahead returns how far a is ahead of b, as a logarithm of a ratio.
func ahead(a, b float64) float64 {
	switch fa, fb := math.IsInf(a, -1), math.IsInf(b, -1); {
	case fa && fb:
		return 0
	case fa:
		return -failing
	case fb:
		return failing
	}
	return a - b
}

// pair runs two settings beside each other, in random order, and returns how far
// the first is ahead.
func (s *search) pair(a, b Settings, measure func(Settings) (float64, error)) (float64, error) {
	sets := [2]Settings{a, b}
	var got [2]float64
	first := s.rng.IntN(2)
	for _, i := range [2]int{first, 1 - first} {
		var err error
		if got[i], err = measure(sets[i]); err != nil {
			return 0, err
		}
	}
	return ahead(got[0], got[1]), nil
}

// Bounds of the pairs of one step.
const (
	firstPairs = 6
	mostPairs  = 16
	// sure is the probability of chance below which the last look at the pairs
	// accepts, and early the one for looks before that, every few pairs: who looks
	// often sees something.
	sure  = 0.02
	early = 0.005
	every = 4
	// morePairs is how many the comparison in the end has at most, where those that
	// it must have leave it open.
	morePairs = 15
)

// duel compares a candidate with the settings so far, until the pairs say
// something, or as many as mostPairs say nothing.
func (s *search) duel(candidate Settings) (c Comparison, won bool, err error) {
	least := 1 + s.o.MinGain/2
	most := mostPairs * s.longer
	var logs []float64
	for len(logs) < most {
		d, err := s.pair(candidate, s.best, s.measure)
		if err != nil {
			return compare(logs), false, err
		}
		logs = append(logs, d)
		n := len(logs)
		if n < firstPairs {
			continue
		}
		c = compare(logs)
		look := 0.0
		switch {
		case n == most:
			look = sure
		case n%every == 0:
			look = early
		}
		if c.P <= look && c.Ratio >= least {
			return c, true, nil
		}
		if c.High < least || c.Ratio < 1 {
			return c, false, nil
		}
	}
	return c, false, nil
}

// confirm runs the best against Start.
func (s *search) confirm() error {
	s.final = true
	start := *s.o.Start
	s.phase = Progress{Phase: PhaseConfirming}
	if s.best == start {
		return nil
	}
	if s.o.Goal != RateUnderP99 {
		// What is compared stands in the same pairs.
		s.result.Before, s.start = summary(s.start), nil
	}
	measure := s.measure
	if s.o.Goal == RateUnderP99 {
		hint := map[Settings]float64{}
		measure = func(set Settings) (float64, error) {
			h := s.rate
			if set != s.best && hint[set] > 0 {
				h = hint[set]
			}
			r, err := s.capacity(set, h)
			if err != nil {
				return 0, err
			}
			hint[set] = r
			s.result.note(set == start, r)
			return math.Log(r), nil // of 0: a failure
		}
	}
	var logs []float64
	for {
		d, err := s.pair(s.best, start, measure)
		if err != nil {
			return err
		}
		logs = append(logs, d)
		c := compare(logs)
		s.result.Final = &c
		if len(logs) < s.o.FinalPairs {
			continue
		}
		if c.P <= sure && c.Low > 1 || c.High < 1+s.o.MinGain || len(logs) >= morePairs*s.longer {
			return nil
		}
	}
}

// conclude writes into the result what the search came to.
func (s *search) conclude() {
	r := s.result
	r.Trials, r.Took = s.trials, time.Since(s.began).Seconds()
	if len(s.start) > 0 {
		r.Before = summary(s.start)
	}
	if len(s.after) > 0 {
		after := summary(s.after)
		r.After = &after
	}
	r.Best = s.best
	c := r.Final
	switch {
	case s.best == *s.o.Start:
	case c == nil || len(c.Ratios) < s.o.FinalPairs:
		r.Unconfirmed = true
	case c.P <= sure && c.Low > 1 && c.Ratio >= 1+s.o.MinGain:
		r.Confirmed = true
	default:
		r.Withdrawn, r.Best = Changes(*s.o.Start, s.best), *s.o.Start
	}
}
