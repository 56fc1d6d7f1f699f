package scenario

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

// sample sums up what the workers saw.
func (l *loop) sample(workers []worker, cpu time.Duration, bytes int64) tune.Sample {
	var out tune.Sample
	var waits []time.Duration
	var acked, lost, all float64
	last := l.warm
	for i := range workers {
		w := &workers[i]
		if w.last > l.warm {
			out.Rate += w.acked / (w.last - l.warm).Seconds()
		}
		acked += w.acked
		lost += w.lost
		last = max(last, w.last)
		all += float64(w.all)
		out.Errors += w.failed
		waits = append(waits, w.waits...)
	}
	// Bursts that nobody took were due all the same.
	if l.rate > 0 {
		for first := l.next.Load() * int64(l.batch); !l.over(l.due(first + int64(l.batch) - 1)); first += int64(l.batch) {
			var w worker
			w.missed(l, first)
			waits = append(waits, w.waits...)
			lost += w.lost
		}
	}
	slices.Sort(waits)
	at := func(q float64) time.Duration {
		if len(waits) == 0 {
			return 0
		}
		return waits[int(q*float64(len(waits)-1))]
	}
	out.P50, out.P99, out.P999 = at(0.5).Seconds(), at(0.99).Seconds(), at(0.999).Seconds()
	if l.rate > 0 && acked > 0 {
		// Of what was due, in whole bursts. If the load keeps up, it is all there one
		// wait behind the end of the measured time.
		late := float64(max(l.length, last-l.warm-at(0.5)))
		out.Rate = l.rate * acked / (acked + lost + float64(out.Errors)) * float64(l.length) / late
	}
	out.CPU = cpu.Seconds() / time.Since(l.begin).Seconds()
	if all > 0 {
		out.BytesOut = float64(bytes) / all
	}
	return out
}

// written counts the bytes of requests to produce.
type written struct{ bytes atomic.Int64 }

var _ kgo.HookBrokerWrite = (*written)(nil)

// OnBrokerWrite implements [kgo.HookBrokerWrite].
func (w *written) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, n int, _, _ time.Duration, err error) {
	if err == nil && kmsg.Key(key) == kmsg.Produce {
		w.bytes.Add(int64(n))
	}
}
