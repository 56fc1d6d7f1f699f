package ratio

import (
	"testing"
	"time"
)

func TestTwiceTheWorkHasAboutTwiceTheRatio(t *testing.T) {
	work := func(units int) func() Func {
		return func() Func {
			x := uint64(1)
			return func(n int) {
				for range n * units * 50 {
					x = x*6364136223846793005 + 1
				}
				if x == 0 {
					panic("unreachable")
				}
			}
		}
	}
	res := Compare(Options{Rounds: 31, Slice: time.Millisecond}, work(1), work(2))
	if res[0].Ratio != 1 {
		t.Errorf("the yardstick has ratio %v", res[0].Ratio)
	}
	for i, r := range res {
		if len(r.Rounds) != 31 {
			t.Errorf("function %d tells %d rounds of 31", i, len(r.Rounds))
		}
		if quantile(r.Rounds, 0.5) != r.NsPerOp {
			t.Errorf("function %d: its median is not the one of its rounds", i)
		}
	}
	// Wide bounds: the test shows that the arithmetic is right, not how fast the
	// machine is.
	if r := res[1].Ratio; r < 1.3 || r > 3 {
		t.Errorf("ratio %v", r)
	}
}

func TestQuantileTakesTheMiddle(t *testing.T) {
	if q := quantile([]float64{9, 1, 5}, 0.5); q != 5 {
		t.Errorf("median %v", q)
	}
}
