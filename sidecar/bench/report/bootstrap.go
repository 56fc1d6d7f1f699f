package report

import (
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
	a, b := make([]float64, len(old)), make([]float64, len(now))
	for range resamples {
		before := resample(rng, a, old)
		after := resample(rng, b, now)
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

// resample fills buf with blocks of samples and returns their median.
func resample(rng *rand.Rand, buf, samples []float64) float64 {
	n := len(samples)
	block := max(1, int(math.Round(math.Cbrt(float64(n)))))
	for i := 0; i < n; {
		at := rng.IntN(n)
		for k := 0; k < block && i < n; k++ {
			buf[i] = samples[(at+k)%n]
			i++
		}
	}
	slices.Sort(buf)
	return quantile(buf, 0.5)
}
