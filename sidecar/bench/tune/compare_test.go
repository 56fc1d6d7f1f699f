package tune

import (
	"math"
	"testing"
)

// The probabilities are those of the tables of Wilcoxon's test.
func TestTheSignedRankTestIsExact(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    []float64
		want float64
	}{
		{"nothing says nothing", nil, 1},
		{"zeros say nothing", []float64{0, 0}, 1},
		{"five positive ones", []float64{1, 2, 3, 4, 5}, 1.0 / 32},
		{"six positive ones", []float64{6, 1, 3, 2, 5, 4}, 1.0 / 64},
		{"the smallest of six is negative", []float64{-1, 2, 3, 4, 5, 6}, 2.0 / 64},
		{"the largest of three is negative", []float64{1, 2, -3}, 5.0 / 8},
		{"all negative", []float64{-1, -2, -3}, 1},
		{"ties share ranks", []float64{2, 2, -2}, 3.0 / 8}, // ranks 2, 2, 2: a sum of 4 or more
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := signedRankP(tt.v); math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAComparisonBoundsTheRatio(t *testing.T) {
	logs := func(ratios ...float64) []float64 {
		var out []float64
		for _, r := range ratios {
			out = append(out, math.Log(r))
		}
		return out
	}
	c := compare(logs(1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2))
	if math.Abs(c.Ratio-1.2) > 1e-9 || math.Abs(c.Low-1.2) > 1e-9 || math.Abs(c.High-1.2) > 1e-9 || c.P != 1.0/128 {
		t.Errorf("%+v", c)
	}
	// One run that something disturbed does not move the estimate far.
	c = compare(logs(1.19, 1.2, 1.21, 1.2, 1.19, 1.21, 0.2))
	if c.Ratio < 1.15 || c.Low > 1 || c.High < c.Ratio {
		t.Errorf("%+v", c)
	}
	if c = compare(nil); c.Ratio != 1 || c.P != 1 {
		t.Errorf("%+v", c)
	}
	// The table for n = 7 cuts two ranks off at 95 %: the third mean from each end.
	if got := lowerRank(7, 0.025); got != 2 {
		t.Errorf("lowerRank(7) is %d", got)
	}
	if got := lowerRank(5, 0.025); got != 0 {
		t.Errorf("lowerRank(5) is %d", got)
	}
}
