package tokenize

import (
	"math"
	"testing"
)

// The bound is seven standard deviations. A digit drawn from one byte too many
// of the 256 would be off by more than twenty.
func TestDigitsAreDrawnEvenly(t *testing.T) {
	const total = 4_000_000
	var d draws
	var counts [10]int
	for range total {
		counts[d.digit()]++
	}
	for digit, n := range counts {
		if off := math.Abs(float64(n) - total/10); off > 7*math.Sqrt(total*0.1*0.9) {
			t.Errorf("%d was drawn %d times of %d", digit, n, total)
		}
	}
}
