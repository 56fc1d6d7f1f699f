package keyops

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// Defaults of RewrapOptions.
const (
	DefaultRate     = 100 // keys a second
	DefaultParallel = 4   // keys at a time
)

// RewrapOptions change [Rewrap] and [RewrapRoots]. The zero value is ready.
type RewrapOptions struct {
	// Rate bounds the keys that are begun in a second, so that the quota of the
	// KMS stays free for producers. 0 stands for DefaultRate.
	Rate float64
	// Parallel bounds the keys that are under way. 0 stands for DefaultParallel.
	Parallel int
	// Prove, if not nil, unwraps each new block before it takes the place of the
	// old one, and compares the key with what the old block commits to. It costs
	// one more call for each key, has the key in clear in this process meanwhile,
	// and finds a service that answers wrongly before its answer is all there is.
	Prove kms.Wrapper
	// DryRun counts and changes nothing.
	DryRun bool
	// Progress, if not nil, is called after each block with the counts so far, by
	// one goroutine at a time. It must not wait for long.
	Progress func(RewrapResult)
}

// A RewrapResult counts blocks.
type RewrapResult struct {
	Seen    int `json:"seen"`    // all that the catalog has
	Moved   int `json:"moved"`   // from one KEK to the other; with DryRun, those that would be
	Already int `json:"already"` // under the new KEK before
	Other   int `json:"other"`   // under further KEKs, left alone
	Changed int `json:"changed"` // changed or removed by somebody else meanwhile
	Failed  int `json:"failed"`
	// Failures are the first of the Failed, MaxFailures at most.
	Failures []Failure `json:"failures,omitempty"`
}

// MaxFailures bounds the failures that a result names.
const MaxFailures = 10

// A Failure is a block that stayed where it was.
type Failure struct {
	Key    string `json:"key"` // key id in hex, or the name of a tenant for a root
	Reason string `json:"reason"`
}

var (
	// ErrIncomplete means that some blocks are not under the new KEK: they failed,
	// or somebody changed them meanwhile. The same call goes on with them.
	ErrIncomplete = errors.New("not all keys were moved")
	// ErrArgument means that a call makes no sense, such as to move keys from a
	// KEK to itself.
	ErrArgument = errors.New("call makes no sense")
	// ErrOtherKEK means that a block is under neither of two KEKs.
	ErrOtherKEK = errors.New("key block is under another KEK")
)

// Rewrap moves every block of the catalog that is under the KEK from to the KEK
// to. The commitment and the tenant of a block stay, so that a reader refuses
// what does not hold the same key.
//
// It may be called again at any time, after it failed or was killed: what was
// moved counts as Already. An answer of the KMS that concerns the KEKs and not
// one block, such as denied or disabled, ends it. The error then has the class of
// package kms; that of blocks that failed by themselves is [ErrIncomplete].
func Rewrap(ctx context.Context, c datakey.Catalog, r kms.ReEncrypter, from, to string, o RewrapOptions) (RewrapResult, error) {
	if c == nil || r == nil {
		return RewrapResult{}, fmt.Errorf("keyops: rewrap without a catalog or a KMS: %w", ErrArgument)
	}
	w := rewrapping{kms: r, from: from, to: to, o: o}
	return w.run(ctx, func(ctx context.Context, f func(job) error) error {
		return c.Each(ctx, func(id datakey.ID, block []byte) error {
			return f(job{name: id.String(), block: block, replace: func(ctx context.Context, old, next []byte) error {
				return c.Replace(ctx, id, old, next)
			}})
		})
	})
}

// RewrapRoots is [Rewrap] for the root keys of tenants, under which the keys of
// persons are.
func RewrapRoots(ctx context.Context, s shred.Store, r kms.ReEncrypter, from, to string, o RewrapOptions) (RewrapResult, error) {
	if s == nil || r == nil {
		return RewrapResult{}, fmt.Errorf("keyops: rewrap without a store or a KMS: %w", ErrArgument)
	}
	w := rewrapping{kms: r, from: from, to: to, o: o}
	return w.run(ctx, func(ctx context.Context, f func(job) error) error {
		return s.EachRoot(ctx, func(tenant string, block []byte) error {
			return f(job{name: tenant, block: block, replace: func(ctx context.Context, old, next []byte) error {
				return s.ReplaceRoot(ctx, tenant, old, next)
			}})
		})
	})
}

// RewrapBlock returns the block under the KEK to: for the versions of domain keys,
// which stand in a policy file. One that is there already comes back as it is, and
// one that is under neither KEK fails with [ErrOtherKEK]. prove may be nil; see
// RewrapOptions.
func RewrapBlock(ctx context.Context, block []byte, r kms.ReEncrypter, from, to string, prove kms.Wrapper) ([]byte, error) {
	if r == nil || from == "" || to == "" || from == to {
		return nil, fmt.Errorf("keyops: rewrap from %q to %q: %w", from, to, ErrArgument)
	}
	info, err := datakey.DescribeBlock(block)
	if err != nil {
		return nil, fmt.Errorf("keyops: %w", err)
	}
	switch info.KEK {
	case to:
		return block, nil
	case from:
	default:
		return nil, fmt.Errorf("keyops: key %s is under %s: %w", info.ID, info.KEK, ErrOtherKEK)
	}
	next, err := datakey.ReEncryptBlock(ctx, r, block, to)
	if err != nil {
		return nil, fmt.Errorf("keyops: %w", err)
	}
	// What will stand there is read as a reader does, before it stands there.
	if got, err := datakey.DescribeBlock(next); err != nil || got != (datakey.BlockInfo{ID: info.ID, KEK: to, Tenant: info.Tenant}) || !datakey.SameKey(block, next) {
		return nil, fmt.Errorf("keyops: key %s: %w", info.ID, datakey.ErrCommitment)
	}
	if prove != nil {
		if err := datakey.ProveBlock(ctx, prove, next); err != nil {
			return nil, fmt.Errorf("keyops: prove: %w", err)
		}
	}
	return next, nil
}

// A job is one block to look at.
type job struct {
	name    string
	block   []byte
	replace func(ctx context.Context, old, next []byte) error
}

type rewrapping struct {
	kms      kms.ReEncrypter
	from, to string
	o        RewrapOptions

	mu     sync.Mutex
	result RewrapResult
}

func (w *rewrapping) run(ctx context.Context, each func(context.Context, func(job) error) error) (RewrapResult, error) {
	rate, parallel := w.o.Rate, w.o.Parallel
	if rate == 0 {
		rate = DefaultRate
	}
	if parallel == 0 {
		parallel = DefaultParallel
	}
	if w.from == "" || w.to == "" || w.from == w.to || rate < 0 || parallel < 0 {
		return w.result, fmt.Errorf("keyops: rewrap from %q to %q, %v a second, %d at a time: %w", w.from, w.to, rate, parallel, ErrArgument)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	jobs := make(chan job)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for j := range jobs {
				if err := w.move(ctx, j); err != nil {
					stop(err)
				}
			}
		})
	}
	pace := time.NewTicker(max(time.Duration(float64(time.Second)/rate), 1))
	defer pace.Stop()
	err := each(ctx, func(j job) error {
		info, err := datakey.DescribeBlock(j.block)
		switch {
		case err != nil:
			w.count(func(r *RewrapResult) { r.failed(j.name, err) })
			return nil //nolint:nilerr // it is counted, and the others go on
		case info.KEK == w.to:
			w.count(func(r *RewrapResult) { r.Already++ })
			return nil
		case info.KEK != w.from:
			w.count(func(r *RewrapResult) { r.Other++ })
			return nil
		case w.o.DryRun:
			w.count(func(r *RewrapResult) { r.Moved++ })
			return nil
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		j.block = append([]byte(nil), j.block...)
		select {
		case jobs <- j:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(jobs)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch {
	case err != nil:
		return w.result, fmt.Errorf("keyops: rewrap: %w", err)
	case w.result.Failed+w.result.Changed > 0:
		return w.result, fmt.Errorf("keyops: rewrap: %d failed, %d changed meanwhile: %w", w.result.Failed, w.result.Changed, ErrIncomplete)
	}
	return w.result, nil
}

// move moves one block. Its error ends the whole work.
func (w *rewrapping) move(ctx context.Context, j job) error {
	next, err := w.rewrap(ctx, j.block)
	if err == nil {
		err = guard(func() error { return j.replace(ctx, j.block, next) })
	}
	switch {
	case err == nil:
		w.count(func(r *RewrapResult) { r.Moved++ })
	case errors.Is(err, datakey.ErrBlockChanged), errors.Is(err, datakey.ErrUnknownKey), errors.Is(err, shred.ErrChanged), errors.Is(err, shred.ErrNone):
		w.count(func(r *RewrapResult) { r.Changed++ })
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case concernsKEK(err):
		w.count(func(r *RewrapResult) { r.failed(j.name, err) })
		return err
	default:
		w.count(func(r *RewrapResult) { r.failed(j.name, err) })
	}
	return nil
}

// concernsKEK tells answers that will be the same for every block.
func concernsKEK(err error) bool {
	for _, class := range []error{kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrInvalid} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// Retries of one block, for a KMS that throttles.
const (
	attempts   = 6
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second
)

func (w *rewrapping) rewrap(ctx context.Context, block []byte) ([]byte, error) {
	for n := 1; ; n++ {
		next, err := RewrapBlock(ctx, block, w.kms, w.from, w.to, w.o.Prove)
		if err == nil || n == attempts || ctx.Err() != nil || !errors.Is(err, kms.ErrThrottled) && !errors.Is(err, kms.ErrUnavailable) {
			return next, err
		}
		wait := backoffMin + time.Duration(rand.Int64N(int64(min(backoffMax, backoffMin<<n)))) //nolint:gosec // jitter, no secret
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (w *rewrapping) count(f func(*RewrapResult)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Seen++
	f(&w.result)
	if w.o.Progress != nil {
		w.o.Progress(w.result)
	}
}

func (r *RewrapResult) failed(name string, err error) {
	r.Failed++
	if len(r.Failures) < MaxFailures {
		r.Failures = append(slices.Clip(r.Failures), Failure{Key: name, Reason: err.Error()})
	}
}

// guard makes an error of a panic in a catalog or store, which may hold anything.
func guard(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return f()
}

var errPanic = errors.New("the catalog panicked")
