package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// sliceInMemory is how long one side of a round is in memory.
const sliceInMemory = 3 * time.Millisecond

// The scenarios, as a report names them.
const (
	NameLibrary = "library"
	NameReveal  = "reveal"
	NameProduce = "produce"
	NameSidecar = "sidecar"
	NameActions = "tokenize"
	NameVault   = "vault"
)

// yardsticks
const (
	bareSeals = "the same AES-256-GCM seals and nothing else"
	bareOpens = "the same AES-256-GCM opens and nothing else"
)

// Library measures [fieldcrypt.Engine.ProtectInto] on records in memory,
// beside the bare seals of the same values.
func Library(ctx context.Context, p Params) (_ *report.Case, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r, err := newRig(ctx, &p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	protect := func() ratio.Func { return protecting(ctx, r.engine, r.records) }
	c := &report.Case{Scenario: NameLibrary, Settings: p.settings(), Yardstick: bareSeals}
	before := r.kms.calls.Load()
	if err := inMemory(c, &p, protect, func() (func(int), error) { return newFloor(p.Set.Tagged) }); err != nil {
		return nil, err
	}
	c.KMSCalls = r.kms.calls.Load() - before
	if c.Size, err = sizes(ctx, r, &p); err != nil {
		return nil, err
	}
	return c, nil
}

// protecting runs over the records, again and again, into one.
func protecting(ctx context.Context, e *fieldcrypt.Engine, records []fieldcrypt.Record) ratio.Func {
	var out fieldcrypt.Record
	next := 0
	return func(n int) {
		for range n {
			if err := e.ProtectInto(ctx, &out, &records[next]); err != nil {
				panic(err) //nolint:forbidigo // it was protected before
			}
			next = (next + 1) % len(records)
		}
	}
}

// Reveal measures [fieldcrypt.Engine.Reveal] on records in memory, beside the bare
// opens of the same values.
func Reveal(ctx context.Context, p Params) (_ *report.Case, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r, err := newRig(ctx, &p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	sealed := make([]fieldcrypt.Record, len(r.records))
	for i, rec := range r.records {
		if sealed[i], err = r.engine.Protect(ctx, rec); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
		if _, err := r.engine.Reveal(ctx, sealed[i]); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	reveal := func() ratio.Func {
		next := 0
		return func(n int) {
			for range n {
				if _, err := r.engine.Reveal(ctx, sealed[next]); err != nil {
					panic(err) //nolint:forbidigo // it was revealed before
				}
				next = (next + 1) % len(sealed)
			}
		}
	}
	c := &report.Case{Scenario: NameReveal, Settings: p.settings(), Yardstick: bareOpens}
	before := r.kms.calls.Load()
	if err := inMemory(c, &p, reveal, func() (func(int), error) { return newOpenFloor(p.Set.Tagged) }); err != nil {
		return nil, err
	}
	c.KMSCalls = r.kms.calls.Load() - before
	return c, nil
}

// inMemory fills a case with paired rounds of a function and its floor, if there
// is one.
func inMemory(c *report.Case, p *Params, ours func() ratio.Func, floor func() (func(int), error)) error {
	if !hasValues(p.Set.Tagged) {
		c.Yardstick, floor = "", nil
	}
	p.progress(0.1)
	if err := beside(c, ratio.Options{Rounds: p.Rounds, Slice: p.Slice, Parallel: p.Concurrency}, floor, ours); err != nil {
		return err
	}
	p.progress(0.7)
	if p.Split {
		f := ours()
		var err error
		if c.Split, err = splitOf(func() int { return runFor(f, time.Second) }); err != nil {
			return err
		}
	}
	p.progress(1)
	return nil
}

// beside measures a function beside its floor, if there is one, and what it
// allocates.
func beside(c *report.Case, o ratio.Options, floor func() (func(int), error), ours func() ratio.Func) error {
	factories := []func() ratio.Func{ours}
	if floor != nil {
		if _, err := floor(); err != nil {
			return err
		}
		factories = append([]func() ratio.Func{func() ratio.Func {
			f, err := floor()
			if err != nil {
				panic(err) //nolint:forbidigo // it could be made before
			}
			return f
		}}, factories...)
	}
	results := ratio.Compare(o, factories...)
	mine := results[len(results)-1]
	cost := report.NewSeries(mine.Rounds)
	c.Cost = &cost
	rates := make([]float64, len(mine.Rounds))
	for i, ns := range mine.Rounds {
		rates[i] = 1e9 / ns * float64(max(o.Parallel, 1))
	}
	c.Rate = report.NewSeries(rates)
	if floor != nil {
		f, r := report.NewSeries(results[0].Rounds), report.NewSeries(mine.Ratios)
		c.Floor, c.Ratio = &f, &r
	}
	c.Allocs = allocations(ours(), 2000)
	return nil
}

func hasValues(records [][][]byte) bool {
	for _, r := range records {
		if len(r) > 0 {
			return true
		}
	}
	return false
}

// runFor calls f for a time and returns how often.
func runFor(f ratio.Func, d time.Duration) int {
	const each = 100
	n := 0
	for begin := time.Now(); time.Since(begin) < d; n += each {
		f(each)
	}
	return n
}

// allocations returns how many allocations one of n calls makes.
func allocations(f ratio.Func, n int) float64 {
	f(n) // to warm up
	var before, after runtime.MemStats
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // nobody else allocates
	runtime.ReadMemStats(&before)
	f(n)
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / uint64(n)) //nolint:gosec // n is positive
}
