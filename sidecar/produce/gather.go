package produce

import (
	"runtime"
	"sync"
)

// gathered is how many records a batch has at most that is handed over together
// with others. What has more fills a request of its own.
const gathered = 16

// A gatherer hands small batches of several callers over together. Handed over by
// each caller, nearly every record would go to the brokers in a request of its
// own: the client begins one as soon as it has a record. Nobody waits for a time;
// the gatherer lets those run first who are ready to, and then takes what is there.
type gatherer struct {
	mu      sync.Mutex
	queue   []*batch
	spare   []*batch // the room of the queue before
	running bool

	handing sync.Mutex // held while batches are handed over
}

// add queues b, whose records have been counted.
func (g *gatherer) add(b *batch) {
	g.mu.Lock()
	g.queue = append(g.queue, b)
	start := !g.running
	g.running = true
	g.mu.Unlock()
	if start {
		go g.run()
	}
}

// run hands over until nothing is left.
func (g *gatherer) run() {
	for more := true; more; {
		runtime.Gosched()
		more = g.hand()
	}
}

// hand hands over what is queued. When it returns, all that was queued before the
// call has been handed over.
func (g *gatherer) hand() (more bool) {
	g.handing.Lock()
	defer g.handing.Unlock()
	g.mu.Lock()
	all := g.queue
	g.queue = g.spare[:0]
	if len(all) == 0 {
		g.running = false
	}
	g.mu.Unlock()
	for _, b := range all {
		b.handOver(0, b.n)
		// The promises may all have been called, and only this kept the batch.
		if b.left.Add(-1) == 0 {
			b.end()
		}
	}
	clear(all)
	g.spare = all[:0]
	return len(all) > 0
}
