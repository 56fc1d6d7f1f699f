package report

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// leastRounds is how many rounds both runs need. Of five the lowest and the
	// highest enclose the true median with 93.75 % only, whatever the method; of
	// six with 96.9 %.
	leastRounds = 6
	// resamples is how often the bootstrap draws.
	resamples = 2000
)

// interval bounds the change of the median from old to now with 95 %
// confidence: the percentile bootstrap of the ratio of medians.
//
// Rounds that follow each other are alike, because a disturbance of the machine
// lasts longer than a round. Blocks of them are drawn therefore, wrapped around
// at the end, not single ones, which would make the interval too narrow.
//
// The same samples and name give the same interval always.
func interval(name string, old, now []float64) (low, high float64, ok bool) {
	if len(old) < leastRounds || len(now) < leastRounds {
		return 0, 0, false
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(h.Sum64(), 1)) //nolint:gosec // a figure that must come out the same again is no secret
	changes := make([]float64, 0, resamples)
	a, b := newUrn(old), newUrn(now)
	for range resamples {
		before, after := a.median(rng), b.median(rng)
		if before == 0 {
			return 0, 0, false // no ratio to it
		}
		changes = append(changes, after/before-1)
	}
	slices.Sort(changes)
	low, high = quantile(changes, 0.025), quantile(changes, 0.975)
	if math.IsInf(low, 0) || math.IsInf(high, 0) {
		return 0, 0, false
	}
	return low, high, true
}

// An urn is the rounds of a run, to draw from.
type urn struct {
	sorted []float64
	rank   []int // of each round, in their order
	drawn  []int // how often each rank was drawn
	block  int
}

func newUrn(samples []float64) *urn {
	n := len(samples)
	byValue := make([]int, n)
	for i := range byValue {
		byValue[i] = i
	}
	slices.SortStableFunc(byValue, func(i, j int) int { return cmp.Compare(samples[i], samples[j]) })
	u := &urn{sorted: make([]float64, n), rank: make([]int, n), drawn: make([]int, n), block: max(1, int(math.Round(math.Cbrt(float64(n)))))}
	for r, i := range byValue {
		u.sorted[r], u.rank[i] = samples[i], r
	}
	return u
}

// median draws as many rounds as there are, in blocks, and returns their median.
// It counts ranks, and sorts nothing.
func (u *urn) median(rng *rand.Rand) float64 {
	clear(u.drawn)
	n := len(u.rank)
	for left := n; left > 0; {
		at := rng.IntN(n)
		for range min(u.block, left) {
			u.drawn[u.rank[at]]++
			at = (at + 1) % n
			left--
		}
	}
	below := 0
	for r, k := range u.drawn {
		if below += k; below > (n-1)/2 {
			return u.sorted[r]
		}
	}
	return u.sorted[n-1]
}
