package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Sample is what one trial saw.
type Sample struct {
	// Rate is in records that were acknowledged, per second.
	Rate float64 `json:"rate"`
	// P50, P99 and P999 are in seconds, from the moment when a record was due to
	// its acknowledgement.
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	// CPU is in seconds of CPU for each second, BytesOut in bytes to the brokers for
	// each record. 0 is unknown.
	CPU      float64 `json:"cpu,omitempty"`
	BytesOut float64 `json:"bytes_out,omitempty"`
	// Errors are records that were not acknowledged. Settings under which there are
	// any are never chosen.
	Errors int64 `json:"errors"`
}

// A Trial measures settings for d. A rate of 0 is as fast as they can; otherwise
// that many records per second are due, whatever becomes of those before (an open
// loop). It warms up by itself, and returns an error when it cannot measure at
// all. It is called by one goroutine.
type Trial func(ctx context.Context, s Settings, d time.Duration, rate float64) (Sample, error)

// A Goal is what settings are found for.
type Goal string

// The goals.
const (
	// MaxRate is the most records per second, however long they take.
	MaxRate Goal = "max-rate"
	// RateUnderP99 is the most records per second of which 99 % are acknowledged
	// within Options.P99.
	RateUnderP99 Goal = "rate-under-p99"
	// P99AtRate is the shortest time within which 99 % of the records are
	// acknowledged while Options.Rate of them are due per second.
	P99AtRate Goal = "p99-at-rate"
)

// Options say what Search does.
type Options struct {
	Goal Goal
	// P99 is the bound of RateUnderP99.
	P99 time.Duration
	// Rate is what P99AtRate has to carry, in records per second.
	Rate float64
	// Budget is how long the search takes at most, but for the trial that is under
	// way when it is over. Default 2 minutes.
	Budget time.Duration
	// Slice is how long a trial measures. Default is the 200th part of Budget,
	// within 100 ms and 5 s.
	Slice time.Duration
	// Start is where the search begins, and what the winner is compared with.
	// Default is Defaults().
	Start *Settings
	// Ladders are the values that are tried. Default is DefaultLadders().
	Ladders *Ladders
	// MinGain is the least gain that is worth a change: 0.02 is 2 %, the default.
	MinGain float64
	// FinalPairs is how often the winner runs against Start in the end. Default
	// and least is 7.
	FinalPairs int
	// Seed decides about the order of trials. The same seed and the same results of
	// trials give the same search.
	Seed uint64
	// Progress is told before each trial, by the goroutine of Search.
	Progress func(Progress)
}

// Progress is how far a search has come.
type Progress struct {
	Phase  string        // measuring, searching, confirming
	Name   string        // the setting that is turned, if any
	Value  string        // to what
	Took   time.Duration // of Budget
	Budget time.Duration
	Trials int     // so far
	Best   float64 // what is reached so far, in the unit of the goal; 0 is unknown
	Gain   float64 // estimated ratio of the best so far to Start
}

const (
	minSlice   = 100 * time.Millisecond
	maxSlice   = 5 * time.Second
	minFinal   = 7
	perBudget  = 200
	minBudget  = time.Second
	defaultMin = 0.02
)

func (o *Options) complete() error {
	if o.Budget == 0 {
		o.Budget = 2 * time.Minute
	}
	if o.Slice == 0 {
		o.Slice = min(max(o.Budget/perBudget, minSlice), maxSlice)
	}
	if o.Start == nil {
		s := Defaults()
		o.Start = &s
	}
	if o.Ladders == nil {
		l := DefaultLadders()
		o.Ladders = &l
	}
	if o.MinGain == 0 {
		o.MinGain = defaultMin
	}
	o.FinalPairs = max(o.FinalPairs, minFinal)
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	switch {
	case o.Goal != MaxRate && o.Goal != RateUnderP99 && o.Goal != P99AtRate:
		return errors.New("tune: goal: it is max-rate, rate-under-p99 or p99-at-rate")
	case o.Goal == RateUnderP99 && o.P99 <= 0:
		return errors.New("tune: p99: rate-under-p99 needs a bound above 0")
	case o.Goal == P99AtRate && (!(o.Rate > 0) || math.IsInf(o.Rate, 0)):
		return errors.New("tune: rate: p99-at-rate needs one above 0")
	case o.Budget < minBudget:
		return fmt.Errorf("tune: budget: it is below %v", minBudget)
	case o.Slice < 0:
		return errors.New("tune: slice: it is negative")
	case o.MinGain < 0 || !(o.MinGain < 1):
		return errors.New("tune: min gain: it is not between 0 and 1")
	}
	return nil
}
