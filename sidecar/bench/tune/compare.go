package tune

import (
	"math"
	"slices"
)

// A Comparison is what pairs of trials say of one Settings against another. The
// figures are ratios: above 1 the first of the two is better, whatever the goal.
type Comparison struct {
	// Ratios are the pairs, in order.
	Ratios []float64 `json:"ratios"`
	// Ratio is the Hodges-Lehmann estimate over the pairs: the median of the means
	// of all pairs of them. Low and High bound it with 95 % confidence, or with
	// what so few pairs can say: below six they are the extremes.
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// P is how likely pairs that favour the first so much are where neither is
	// better: the exact signed-rank test of Wilcoxon, one-sided.
	P float64 `json:"p"`
}

// compare sums up pairs, given as logarithms of ratios.
//
// The signed-rank test asks of the noise only that it is symmetric, which the
// ratio of two runs in random order is. It needs fewer pairs than a test of the
// signs alone, and a run that something disturbed counts no more than its rank.
func compare(logs []float64) Comparison {
	c := Comparison{P: 1, Ratio: 1, Low: 1, High: 1}
	if len(logs) == 0 {
		return c
	}
	for _, l := range logs {
		c.Ratios = append(c.Ratios, math.Exp(l))
	}
	means := walsh(logs)
	c.Ratio = math.Exp(median(means))
	cut := lowerRank(len(logs), 0.025)
	c.Low, c.High = math.Exp(means[cut]), math.Exp(means[len(means)-1-cut])
	c.P = signedRankP(logs)
	return c
}

// walsh returns the means of all pairs, each value with itself too, in ascending
// order.
func walsh(v []float64) []float64 {
	out := make([]float64, 0, len(v)*(len(v)+1)/2)
	for i, a := range v {
		for _, b := range v[i:] {
			out = append(out, (a+b)/2)
		}
	}
	slices.Sort(out)
	return out
}

// median returns the middle of values in ascending order.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// rankSums returns in how many of the 2^n ways to give signs to the ranks 1 to n
// the positive ones sum up to each number.
func rankSums(n int) []float64 {
	ways := make([]float64, n*(n+1)/2+1)
	ways[0] = 1
	for r := 1; r <= n; r++ {
		for s := len(ways) - 1; s >= r; s-- {
			ways[s] += ways[s-r]
		}
	}
	return ways
}

// lowerRank returns how many of the means of walsh lie outside of a bound that is
// passed with no more than that probability; 0 where n is too small for it.
func lowerRank(n int, p float64) int {
	sum, all := 0.0, math.Exp2(float64(n))
	for k, w := range rankSums(n) {
		sum += w
		if sum/all > p {
			return max(0, k-1)
		}
	}
	return 0
}

// signedRankP returns the probability of ranks of positive values as high as
// these, where signs are a matter of chance. A zero says nothing and is left out;
// ties share their ranks, rounded against the positive side.
func signedRankP(v []float64) float64 {
	v = slices.DeleteFunc(slices.Clone(v), func(x float64) bool { return x == 0 })
	slices.SortFunc(v, func(a, b float64) int {
		switch a, b = math.Abs(a), math.Abs(b); {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	})
	sum := 0.0
	for i := 0; i < len(v); {
		j := i
		for j < len(v) && math.Abs(v[j]) == math.Abs(v[i]) {
			j++
		}
		rank := float64(i+1+j) / 2
		for _, x := range v[i:j] {
			if x > 0 {
				sum += rank
			}
		}
		i = j
	}
	tail, all := 0.0, math.Exp2(float64(len(v)))
	for s, w := range rankSums(len(v)) {
		if s >= int(sum) { // rounded down
			tail += w
		}
	}
	return min(1, tail/all)
}
