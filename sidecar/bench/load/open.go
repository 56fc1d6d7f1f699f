package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// An Open is an open loop: a load that comes at its own rate, whatever becomes of
// it.
type Open struct {
	// Rate is how many records are due in a second.
	Rate float64
	// Burst is how many of them are due at once, as one request; 1 if it is 0.
	Burst int
	// For is how long records are due.
	For time.Duration
	// Grace is how long answers are waited for after that; 10 s if it is 0.
	Grace time.Duration
	// Warm is a first part of For whose latencies are not counted.
	Warm time.Duration
	// Parts is into how many parts of equal length the rest of For is cut, each with
	// a histogram of its own; 1 if it is 0.
	Parts int
}

// A Send sends one burst of n records and calls done for each record, or once with
// the number of records, when their outcome is known. It may block: later bursts
// are late then, and their waiting counts. It is called by one goroutine.
type Send func(ctx context.Context, n int, done func(records int, err error)) error

// A Result is what became of a load.
type Result struct {
	// Due, Sent, Acknowledged and Failed count records. Due includes those that
	// could not be sent before the time was over.
	Due, Sent, Acknowledged, Failed int64
	// Took is the time from the first record that counts to the last
	// acknowledgement.
	Took time.Duration
	// Latency is from the time at which a record was due to its acknowledgement.
	// A record that was due and never acknowledged is in it with the time until the
	// end, or the worst latencies would be those that are missing.
	Latency *Histogram
	// Parts are the same latencies by when the records were due, in order. What one
	// figure of a whole run cannot tell, those of its parts can: how far it is from
	// chance.
	Parts []*Histogram
	// Err is one of the errors of records that failed.
	Err error
}

// Rate returns acknowledged records per second.
func (r *Result) Rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Acknowledged) / r.Took.Seconds()
}

var errOpen = errors.New("load: an open loop needs a rate and a time")

// Run sends until the time is over or ctx ends, and waits for the answers. It
// returns an error only where the load itself could not go on.
func (o Open) Run(ctx context.Context, send Send) (*Result, error) {
	if o.Rate <= 0 || o.For <= 0 {
		return nil, errOpen
	}
	burst := max(o.Burst, 1)
	every := time.Duration(float64(burst) / o.Rate * float64(time.Second))
	if every <= 0 {
		return nil, errOpen
	}
	l := &openLoop{part: max((o.For-o.Warm)/time.Duration(max(o.Parts, 1)), 1), idle: make(chan struct{}, 1)}
	for range max(o.Parts, 1) {
		l.result.Parts = append(l.result.Parts, NewHistogram())
	}
	begin := time.Now()
	l.counts = begin.Add(o.Warm)
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	var err error
	for i := int64(0); ; i++ {
		due := begin.Add(time.Duration(i) * every)
		if due.Sub(begin) >= o.For {
			break
		}
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		if time.Since(begin) > 2*o.For {
			// So far behind that the rest would only tell the same again. What was
			// due and not sent is told by the count.
			l.miss(due, begin.Add(o.For), every, burst)
			break
		}
		if err = l.send(ctx, send, due, burst); err != nil {
			break
		}
	}
	grace := o.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	l.wait(ctx, grace)
	return l.finish(), err
}

type openLoop struct {
	counts  time.Time     // from when on records count
	part    time.Duration // of one part
	pending atomic.Int64
	idle    chan struct{}

	mu     sync.Mutex
	result Result
	late   []waiting // records without an answer at the end
	last   time.Time // the last acknowledgement
	all    []*[chunk]flight
	used   int // of the last chunk
	over   bool
}

// chunk is how many bursts are made room for at once.
const chunk = 1024

// waiting are records that were due and have no answer.
type waiting struct {
	due time.Time
	n   int64
}

// A flight is a burst whose outcome is not known yet.
type flight struct {
	due  time.Time
	left int64
}

func (l *openLoop) send(ctx context.Context, send Send, due time.Time, n int) error {
	counted := !due.Before(l.counts)
	l.mu.Lock()
	f := l.flight()
	f.due, f.left = due, int64(n)
	if counted {
		l.result.Due += int64(n)
		l.result.Sent += int64(n)
	}
	l.mu.Unlock()
	l.pending.Add(int64(n))
	return send(ctx, n, func(records int, err error) {
		now := time.Now()
		k := int64(records)
		l.mu.Lock()
		k = min(k, f.left)
		f.left -= k
		counted := counted && !l.over
		if counted {
			if err != nil {
				l.result.Failed += k
				l.result.Err = err
			} else {
				l.result.Acknowledged += k
				l.last = now
				if k > 0 {
					l.histogram(due).Record(now.Sub(due), k)
				}
			}
		}
		l.mu.Unlock()
		if l.pending.Add(-k) == 0 {
			select {
			case l.idle <- struct{}{}:
			default:
			}
		}
	})
}

// histogram returns that of the part in which a record was due.
func (l *openLoop) histogram(due time.Time) *Histogram {
	i := int(due.Sub(l.counts) / l.part)
	return l.result.Parts[min(i, len(l.result.Parts)-1)]
}

// flight returns a place for a burst.
func (l *openLoop) flight() *flight {
	if len(l.all) == 0 || l.used == chunk {
		l.all, l.used = append(l.all, new([chunk]flight)), 0
	}
	l.used++
	return &l.all[len(l.all)-1][l.used-1]
}

// miss counts what was due and will not be sent.
func (l *openLoop) miss(from, to time.Time, every time.Duration, burst int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for due := from; due.Before(to); due = due.Add(every) {
		if !due.Before(l.counts) {
			l.result.Due += int64(burst)
			l.late = append(l.late, waiting{due, int64(burst)})
		}
	}
}

// wait waits until all answers are there.
func (l *openLoop) wait(ctx context.Context, grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for l.pending.Load() > 0 {
		select {
		case <-l.idle:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (l *openLoop) finish() *Result {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		for i := range c {
			if f := &c[i]; f.left > 0 && !f.due.Before(l.counts) {
				l.late = append(l.late, waiting{f.due, f.left})
			}
		}
	}
	l.over = true // a callback that comes after this belongs to no result
	for _, w := range l.late {
		l.histogram(w.due).Record(now.Sub(w.due), w.n)
	}
	out := l.result
	out.Latency = NewHistogram()
	for _, h := range out.Parts {
		out.Latency.Merge(h)
	}
	if !l.last.IsZero() {
		out.Took = l.last.Sub(l.counts)
	}
	return &out
}
