package tune

import "math"

// capacityProbes is about how many trials it takes to find what settings can
// carry.
const capacityProbes = 6

// pace sets the rate of the open loop in which settings are compared.
func (s *search) pace() error {
	switch s.o.Goal {
	case P99AtRate:
		s.rate = s.o.Rate
	case RateUnderP99:
		hint := s.rate
		if hint == 0 {
			free, err := s.run(s.best, 0)
			if err != nil {
				return err
			}
			hint = 0.7 * free.Rate
		}
		r, err := s.capacity(s.best, hint)
		if err != nil {
			return err
		}
		// Where the bound is out of reach at any rate, the way to it is found where
		// there is hardly any load.
		s.rate = max(r, hint/16)
		s.result.carries = nil // those were of others
		s.result.note(s.best == *s.o.Start, r)
	case MaxRate:
	}
	return nil
}

// A probe is one trial of a rate.
type probe struct {
	rate float64 // as a logarithm
	over float64 // p99 by its bound, as a logarithm: above 0 it is passed
}

// hopelessly is what over is for a probe that failed altogether.
const hopelessly = 5

// capacity returns the highest rate that settings carry within the bound of the
// goal, by halving in logarithms, beginning near hint. It is 0 when they carry
// nothing.
func (s *search) capacity(set Settings, hint float64) (float64, error) {
	if !(hint > 0) {
		return 0, nil
	}
	bound := math.Log(s.o.P99.Seconds())
	try := func(l float64) (probe, error) {
		x, err := s.run(set, math.Exp(l))
		if err != nil {
			return probe{}, err
		}
		p := probe{l, hopelessly}
		switch {
		case x.Errors > 0, !(x.P99 > 0):
		case x.Rate < keptUp*math.Exp(l):
			p.over = max(0.01, math.Log(x.P99)-bound)
		default:
			p.over = math.Log(x.P99) - bound
		}
		return p, nil
	}
	const steps = 6
	width := math.Log(1.5)
	low, err := try(math.Log(hint))
	if err != nil {
		return 0, err
	}
	high := low
	for range steps {
		if low.over <= 0 {
			break
		}
		high = low
		if low, err = try(low.rate - width); err != nil {
			return 0, err
		}
		width *= 1.3
	}
	if low.over > 0 {
		return 0, nil
	}
	for range steps {
		if high.over > 0 {
			break
		}
		low = high
		if high, err = try(high.rate + width); err != nil {
			return 0, err
		}
	}
	for range 3 {
		if high.over <= 0 {
			break
		}
		mid, err := try((low.rate + high.rate) / 2)
		if err != nil {
			return 0, err
		}
		if mid.over <= 0 {
			low = mid
		} else {
			high = mid
		}
	}
	if high.over <= 0 {
		return math.Exp(high.rate), nil
	}
	// The bound lies between the two; latency grows about as a power of the rate.
	part := -low.over / (min(high.over, 1) - low.over)
	return math.Exp(low.rate + part*(high.rate-low.rate)), nil
}
