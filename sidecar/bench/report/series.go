package report

import "slices"

// NewSeries sums up the rounds of a figure. It keeps the samples.
func NewSeries(samples []float64) Series {
	if len(samples) == 0 {
		return Series{}
	}
	s := slices.Sorted(slices.Values(samples))
	return Series{
		Median:  quantile(s, 0.5),
		Low:     quantile(s, 0.25),
		High:    quantile(s, 0.75),
		Samples: slices.Clone(samples),
	}
}

// quantile returns a value of sorted samples, never one between two of them.
func quantile(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }

// quartiles tells whether the series has quartiles: a figure that was counted,
// not measured in rounds, has a median alone.
func (s *Series) quartiles() bool { return s.Low != 0 || s.High != 0 || s.Median == 0 }
