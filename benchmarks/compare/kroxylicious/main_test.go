package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
)

// The run itself checks that the broker holds hidden values and that readers get
// the record.
func TestTheProxyIsMeasuredBesideARealBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it starts a broker and a proxy, which takes half a minute")
	}
	d := rowtest.Run(t, program())
	if len(d.Rows) != 2 {
		t.Fatalf("%d rows", len(d.Rows))
	}
	for _, r := range d.Rows {
		if r.Unit != "records/s" || r.Ours.Value <= 0 || r.Rival.Value <= 0 {
			t.Errorf("row %+v", r)
		}
	}
}

func TestTheVersionIsTheOneFetched(t *testing.T) {
	if !strings.Contains(string(pom), "<kroxylicious.version>"+version+"</") {
		t.Errorf("pom.xml asks for another version than %s", version)
	}
}

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
	if _, missing := errors.AsType[row.MissingError](run(func(s *stage) { s.Skipf("no Java") })); !missing {
		t.Error("a skip is not something that is missing")
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
