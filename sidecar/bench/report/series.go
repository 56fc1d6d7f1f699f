package report

import "slices"

// NewSeries sums up the rounds of a figure. It keeps the samples.
func NewSeries(samples []float64) Series {
	if len(samples) == 0 {
		return Series{}
	}
	s := slices.Sorted(slices.Values(samples))
	at := func(q float64) float64 { return s[int(q*float64(len(s)-1))] }
	return Series{Median: at(0.5), Low: at(0.25), High: at(0.75), Samples: slices.Clone(samples)}
}
