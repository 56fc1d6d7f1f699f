package kgocrypt

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// failures calls the promises of records that were never sent, one after the
// other and not on the goroutine of the caller of Produce, who may hold a lock
// that his promise takes too. The zero value is ready.
type failures struct {
	mu    sync.Mutex
	queue []failure
	done  uint64        // promises that have returned
	idle  chan struct{} // closed when the queue has been worked off; nil when it is
}

type failure struct {
	record  *kgo.Record
	err     error
	promise func(*kgo.Record, error)
}

func (f *failures) add(x failure) {
	if x.promise == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, x)
	if f.idle == nil {
		f.idle = make(chan struct{})
		go f.run()
	}
}

func (f *failures) run() {
	var batch []failure
	for {
		f.mu.Lock()
		f.done += uint64(len(batch))
		batch = f.queue
		f.queue = nil
		if len(batch) == 0 {
			close(f.idle)
			f.idle = nil
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		for _, x := range batch {
			x.promise(x.record, x.err)
		}
	}
}

// called returns how many promises have returned so far.
func (f *failures) called() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}

// wait waits until the queue has been worked off.
func (f *failures) wait(ctx context.Context) error {
	f.mu.Lock()
	idle := f.idle
	f.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
