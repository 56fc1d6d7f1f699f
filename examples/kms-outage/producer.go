package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/schema"
)

const kek = "fake:customers"

const policyText = `version: 1
keys: {pii: {kek: "` + kek + `", refresh: %s, expire: %s}}
rules: [{tag: PII, action: encrypt, key: pii}]
topics: [{match: customers}]
`

const schemaText = `{"type": "record", "name": "Customer", "fields": [
  {"name": "id", "type": "long"},
  {"name": "email", "type": "string", "confluent:tags": ["PII"]}]}`

// A producer protects records all the time and counts what comes of it.
type producer struct {
	options
	fake   *kmstest.Fake
	keys   *datakey.Cache
	engine *fieldcrypt.Engine
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu   sync.Mutex
	tick count
	last time.Time // of the last record that was protected
}

// A count is what happened in one second.
type count struct {
	records int
	errors  map[fieldcrypt.Code]int
	waits   []time.Duration // how long failed records took to fail
}

func newProducer(o options) (*producer, error) {
	policy, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, policyText, refresh, expire))
	if err != nil {
		return nil, err
	}
	p := &producer{options: o, fake: kmstest.NewFake(kek), tick: count{errors: map[fieldcrypt.Code]int{}}}
	if p.keys, err = datakey.New(p.fake); err != nil {
		return nil, err
	}
	p.engine, err = fieldcrypt.New(policy, p.keys,
		fieldcrypt.WithTopicSchema("customers", schema.Text{Format: schema.Avro, Schema: schemaText}))
	if err != nil {
		p.keys.Close()
		return nil, err
	}
	return p, nil
}

// warm waits for the key and starts the load.
func (p *producer) warm(ctx context.Context) error {
	if err := p.engine.Warm(ctx); err != nil {
		return err
	}
	ctx, p.stop = context.WithCancel(ctx)
	for range p.workers {
		p.done.Go(func() {
			t := time.NewTicker(time.Second / time.Duration(p.rate))
			defer t.Stop()
			for {
				select {
				case <-t.C:
					p.protect(ctx)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return nil
}

func (p *producer) close() {
	if p.stop != nil {
		p.stop()
	}
	p.done.Wait()
	p.keys.Close()
}

func (p *producer) protect(ctx context.Context) {
	start := time.Now()
	_, err := p.engine.Protect(ctx, fieldcrypt.Record{Topic: "customers", Value: []byte("\x02\x20jane@example.com")})
	took := time.Since(start)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.tick.records++
		p.last = time.Now()
		return
	}
	code := fieldcrypt.CodeInternal
	if f, ok := errors.AsType[*fieldcrypt.Error](err); ok {
		code = f.Code
	}
	p.tick.errors[code]++
	p.tick.waits = append(p.tick.waits, took)
}

// take returns what was counted since the last time.
func (p *producer) take() (c count, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, p.tick = p.tick, count{errors: map[fieldcrypt.Code]int{}}
	return c, p.last
}

// slowest returns how long all but one in a hundred of the errors took at most.
func (c count) slowest() time.Duration {
	if len(c.waits) == 0 {
		return 0
	}
	slices.Sort(c.waits)
	return c.waits[len(c.waits)*99/100]
}

// The states of the KMS.

func healthy(f *kmstest.Fake) { f.Hook(nil) }

func slow(f *kmstest.Fake) {
	f.Hook(func(ctx context.Context, _ kmstest.Op, _ string) error {
		select {
		case <-time.After(2 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func throttled(f *kmstest.Fake) {
	f.Hook(func(context.Context, kmstest.Op, string) error {
		if rand.IntN(10) > 0 {
			return kms.ErrThrottled
		}
		return nil
	})
}

func failing(err error) func(*kmstest.Fake) {
	return func(f *kmstest.Fake) {
		f.Hook(func(context.Context, kmstest.Op, string) error { return err })
	}
}
