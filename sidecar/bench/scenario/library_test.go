package scenario_test

import (
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

func set(t *testing.T, name string) *input.Set {
	t.Helper()
	s, err := input.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLibraryMeasuresCostFloorSplitAndSize(t *testing.T) {
	c, err := scenario.Library(t.Context(), scenario.Params{Set: set(t, "order-avro"), Rounds: 5, Slice: time.Millisecond, Split: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v %+v %+v", c, c.Ratio, c.Size)
	if c.Rate.Median <= 0 || c.Cost == nil || c.Floor == nil || c.Ratio == nil || len(c.Ratio.Samples) != 5 {
		t.Errorf("figures are missing: %+v", c)
	}
	sum := 0.0
	for _, s := range c.Split {
		sum += s.Fraction
	}
	if sum < 0.99 || sum > 1.01 {
		t.Errorf("shares sum up to %v: %+v", sum, c.Split)
	}
	if c.Size.After <= c.Size.Before || c.Size.CompressedBefore >= c.Size.Before {
		t.Errorf("%+v", c.Size)
	}
}
