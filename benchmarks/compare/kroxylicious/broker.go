package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
)

// withBroker runs work beside a real broker. The package that starts one is made
// for tests, so it gets what it takes for a test.
func withBroker(ctx context.Context, work func(b *kafkabroker.Broker) error) (err error) {
	t := &stage{ctx: ctx}
	defer func() {
		if err2 := t.end(recover()); err2 != nil {
			err = err2
		}
	}()
	return work(kafkabroker.Start(t))
}

// A stage is a testing.TB outside a test: what kafkabroker calls of it.
type stage struct {
	testing.TB // nil: any other method is a mistake

	ctx      context.Context //nolint:containedctx // a testing.TB has one
	cleanups []func()
	errs     []error
}

// ended is what Fatalf and Skipf panic with; withBroker recovers it.
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
func (*stage) Fatalf(format string, args ...any) { panic(ended{fmt.Errorf(format, args...)}) }

// Skipf implements testing.TB.
func (*stage) Skipf(format string, args ...any) {
	panic(ended{row.MissingError{Err: fmt.Errorf(format, args...)}})
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
			panic(panicked)
		}
		s.errs = append([]error{e.err}, s.errs...)
	}
	return errors.Join(s.errs...)
}
