package kafkabroker

import (
	"context"
	"errors"
	"testing"
)

func TestWhatEndsATestEndsTheStage(t *testing.T) {
	var order []int
	run := func(f func(s *stage)) (err error) {
		s := &stage{ctx: context.Background()} //nolint:usetesting // it is not the test's own
		defer func() { err = s.end(recover()) }()
		s.Cleanup(func() { order = append(order, 1) })
		s.Cleanup(func() { order = append(order, 2) })
		f(s)
		return nil
	}
	if _, missing := errors.AsType[UnavailableError](run(func(s *stage) { s.Skipf("no Java") })); !missing {
		t.Error("a skip does not say that a broker cannot be had")
	}
	if err := run(func(s *stage) { s.Fatalf("broken") }); err == nil || err.Error() != "broken" {
		t.Errorf("error %v", err)
	}
	if err := run(func(s *stage) { s.Errorf("ended by itself") }); err == nil {
		t.Error("an error is lost")
	}
	if err := run(func(*stage) {}); err != nil {
		t.Error(err)
	}
	if len(order) != 8 || order[0] != 2 || order[1] != 1 {
		t.Errorf("cleanups ran as %v", order)
	}
}
