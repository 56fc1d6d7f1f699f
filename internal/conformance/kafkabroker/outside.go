package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// An UnavailableError says in plain words why a broker cannot be had on this machine.
type UnavailableError struct{ Err error }

// Error returns the reason.
func (e UnavailableError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e UnavailableError) Unwrap() error { return e.Err }

// Run is [Start] outside of tests: it runs work beside a broker, which ends with it.
// Where none can be had the error is an [UnavailableError], and work is not called.
func Run(ctx context.Context, work func(b *Broker) error) (err error) {
	t := &stage{ctx: ctx}
	defer func() {
		if err2 := t.end(recover()); err2 != nil {
			err = err2
		}
	}()
	return work(Start(t))
}

// A stage is a testing.TB outside a test: what this package calls of it.
type stage struct {
	testing.TB // nil: any other method is a mistake

	ctx      context.Context //nolint:containedctx // a testing.TB has one
	cleanups []func()
	errs     []error
}

// ended is what Fatalf and Skipf panic with; Run recovers it.
type ended struct{ err error }

// Helper implements testing.TB.
func (*stage) Helper() {}

// Context implements testing.TB.
func (s *stage) Context() context.Context { return s.ctx }

// Cleanup implements testing.TB.
func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// TempDir implements testing.TB.
func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "kafka-")
	if err != nil {
		s.Fatalf("%v", err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Errorf implements testing.TB.
func (s *stage) Errorf(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

// Fatalf implements testing.TB.
func (*stage) Fatalf(format string, args ...any) {
	panic(ended{fmt.Errorf(format, args...)}) //nolint:forbidigo // ends the caller, as that of a test does; Run recovers it
}

// Skipf implements testing.TB.
func (*stage) Skipf(format string, args ...any) {
	panic(ended{UnavailableError{fmt.Errorf(format, args...)}}) //nolint:forbidigo // as above
}

// end runs the cleanups, last first, and tells what went wrong. A panic of any
// other kind goes on.
func (s *stage) end(panicked any) error {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	if panicked != nil {
		e, ok := panicked.(ended)
		if !ok {
			panic(panicked) //nolint:forbidigo // it was somebody else's
		}
		s.errs = append([]error{e.err}, s.errs...)
	}
	return errors.Join(s.errs...)
}
