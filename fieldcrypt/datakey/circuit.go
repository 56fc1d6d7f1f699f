package datakey

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// An endpoint is what is known of one service: whether it answers, how many
// retries it may be burdened with, and what it was asked so far. It is safe for
// concurrent use.
//
// Its circuit opens after some failures in a row of the kind that may pass.
// While it is open no call goes out, but for one probe at a time every few
// seconds; an answer closes it, also one that refuses. That keeps the processes
// of a fleet from holding a service down that tries to come back, and lets
// callers fail at once instead of after a timeout.
type endpoint struct {
	name  string
	slots chan struct{} // one per call that may run now

	mu       sync.Mutex
	failures int // in a row
	open     bool
	probe    chan struct{} // closed at the end of the probe that is under way, nil without one
	probeAt  time.Time     // not before this
	class    error         // of the failure that opened the circuit
	retries  int           // retries that are left, in tenths

	calls  map[callKind]uint64
	took   [2]time.Duration // sums, by op
	opened uint64
}

type callKind struct {
	op      Op
	outcome Outcome
}

const (
	circuitFailures = 5 // in a row open the circuit
	// A probe every 3.5 to 4.2 seconds: with the time between two looks at the
	// circuit (retryTick) recovery is noticed within 5, and the probes of a fleet
	// do not come together.
	probeMin = 3500 * time.Millisecond
	probeMax = 4200 * time.Millisecond
	// A probe ends before the next one.
	probeTimeout = probeMin - 500*time.Millisecond
	// Retries are a tenth of the calls, and retryBurst at once.
	retryBurst = 10
)

func newEndpoint(name string, fanOut int) *endpoint {
	return &endpoint{
		name: name, slots: make(chan struct{}, fanOut), retries: 10 * retryBurst, calls: make(map[callKind]uint64),
	}
}

// A circuitError is an answer in place of the KMS: it failed just now, and is
// not asked.
type circuitError struct {
	endpoint *endpoint
	class    error
	probe    <-chan struct{} // the endpoint's at that moment
}

func (e *circuitError) Error() string {
	return fmt.Sprintf("circuit of endpoint %s is open: %v", e.endpoint.name, e.class)
}

func (e *circuitError) Unwrap() error { return e.class }

// refuses returns an error while no call may go out, not even a probe.
func (e *endpoint) refuses(now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refusesLocked(now)
}

func (e *endpoint) refusesLocked(now time.Time) error {
	if e.open && now.Before(e.probeAt) {
		return &circuitError{e, e.class, e.probe}
	}
	return nil
}

// unwell returns an error while the circuit is not closed, probe or not.
func (e *endpoint) unwell() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open {
		return &circuitError{e, e.class, e.probe}
	}
	return nil
}

// probed waits for the end of the probe that was under way when the call was
// refused, or of ctx, and tells whether there was one that ended.
func (e *circuitError) probed(ctx context.Context) bool {
	if e.probe == nil {
		return false
	}
	select {
	case <-e.probe:
		return true
	case <-ctx.Done():
		return false
	}
}

// probeGrace is how long a caller waits for a probe. Usually that is enough for
// a KMS that is back; while it hangs, callers are to fail at once.
const probeGrace = 40 * time.Millisecond

// await waits for the end of a flight that calls e, or of ctx. It does not wait
// for a probe that takes long: then the error is that of the open circuit.
func (f *flight) await(ctx context.Context, e *endpoint) error {
	var late <-chan time.Time
	if e.unwell() != nil {
		t := time.NewTimer(probeGrace)
		defer t.Stop()
		late = t.C
	}
	for {
		select {
		case <-f.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late:
			if err := e.unwell(); err != nil {
				return err
			}
			late = nil // closed meanwhile: the rest of the work is worth waiting for
		}
	}
}

// enter begins a call, and tells whether it is the probe.
func (e *endpoint) enter(now time.Time) (probe bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refusesLocked(now); err != nil {
		return false, err
	}
	if e.open {
		e.probe, e.probeAt = make(chan struct{}), now.Add(probeWait())
	}
	return e.open, nil
}

// leave ends a call, and returns the state of the circuit if it changed.
func (e *endpoint) leave(now time.Time, probe bool, op Op, outcome Outcome, took time.Duration) (change CircuitState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls[callKind{op, outcome}]++
	e.took[opIndex(op)] += took
	if probe {
		close(e.probe)
		e.probe = nil
	}
	switch {
	case outcome == OutcomeCanceled: // says nothing about the service
	case !outcome.passing():
		e.failures = 0
		if e.open {
			e.open = false
			change = CircuitClosed
		}
	case probe:
		e.class = outcome.class()
	case !e.open:
		e.failures++
		if e.failures >= circuitFailures {
			e.open, e.probeAt, e.class = true, now.Add(probeWait()), outcome.class()
			e.opened++
			change = CircuitOpen
		}
	}
	return change
}

func probeWait() time.Duration {
	return probeMin + time.Duration(rand.Int64N(int64(probeMax-probeMin))) //nolint:gosec // jitter, no secret
}

// earn adds a tenth of a retry for a call.
func (e *endpoint) earn() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.retries = min(e.retries+1, 10*retryBurst)
}

// spend takes a retry, if one is left.
func (e *endpoint) spend() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.retries < 10 {
		return false
	}
	e.retries -= 10
	return true
}

// state returns that of the circuit.
func (e *endpoint) stateLocked(now time.Time) CircuitState {
	switch {
	case !e.open:
		return CircuitClosed
	case e.probe != nil || !now.Before(e.probeAt):
		return CircuitHalfOpen
	default:
		return CircuitOpen
	}
}

// class is the error that stands for a failure while nobody is asked.
func (o Outcome) class() error {
	if o == OutcomeThrottled {
		return kms.ErrThrottled
	}
	return kms.ErrUnavailable
}
