package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// The histogram knows latencies from a microsecond to ten minutes with three
// digits. What is longer counts as ten minutes.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(10 * time.Minute)
	digits   = 3
)

// A Histogram keeps latencies. It is safe for concurrent use.
type Histogram struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram // in nanoseconds
}

// NewHistogram returns an empty one.
func NewHistogram() *Histogram {
	return &Histogram{h: hdrhistogram.New(shortest, longest, digits)}
}

// Record counts n latencies of d.
func (h *Histogram) Record(d time.Duration, n int64) {
	v := min(max(int64(d), shortest), longest)
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.h.RecordValues(v, n) // v is within the bounds
}

// Merge counts what another one counted.
func (h *Histogram) Merge(o *Histogram) {
	o.mu.Lock()
	snapshot := o.h.Export()
	o.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Merge(hdrhistogram.Import(snapshot))
}

// Count returns how many latencies were recorded.
func (h *Histogram) Count() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.h.TotalCount()
}

// Quantile returns the latency that a part q of all did not pass, 0 <= q <= 1.
func (h *Histogram) Quantile(q float64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.h.ValueAtQuantile(q * 100))
}

// quantiles are those of a report. A quantile is shown only if enough latencies
// lie beyond it, or it would be the word of one unlucky record.
func quantiles() []float64 {
	return []float64{0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 0.99999}
}

// beyond is how many latencies have to lie beyond a quantile that is shown.
const beyond = 5

// Latency sums up.
func (h *Histogram) Latency() report.Latency {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.h.TotalCount()
	if n == 0 {
		return report.Latency{}
	}
	out := report.Latency{Count: n, Mean: h.h.Mean() / 1e9, Max: seconds(h.h.Max())}
	for _, q := range quantiles() {
		if q > 0.5 && float64(n)*(1-q) < beyond {
			break
		}
		out.Quantiles = append(out.Quantiles, report.Quantile{Q: q, Seconds: seconds(h.h.ValueAtQuantile(q * 100))})
	}
	return out
}

// OfParts returns a quantile of each of the parts of a run, in seconds. It is nil where
// one of them has too few records to tell it.
func OfParts(parts []*Histogram, q float64) *report.Series {
	var samples []float64
	for _, h := range parts {
		if float64(h.Count())*min(q, 1-q) < beyond {
			return nil
		}
		samples = append(samples, h.Quantile(q).Seconds())
	}
	if samples == nil {
		return nil
	}
	return new(report.NewSeries(samples))
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }
