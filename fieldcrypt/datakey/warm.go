package datakey

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// warmable is a scope, or a version of a domain, that is kept warm.
type warmable interface {
	// warm makes it be kept warm, and waits for the first attempt.
	warm(ctx context.Context) error
	// state returns nil while there is a key, and why not otherwise.
	state() error
}

// Warm gets keys for scopes before the first record needs them, and keeps them
// warm from then on: their keys are renewed without callers, and asked for again
// within about a second of the moment when a KMS that failed answers again.
// Ready depends on them.
//
// Calls run within the fan-out, in random order and spread over up to a second,
// so that the processes of a fleet do not ask for the same keys at the same
// moment. Warm returns when every scope has a key, when those that have none
// were refused for good, or when ctx ends; what fails then goes on in the
// background. The error names the keys, and wraps ErrUnavailable or ErrUnusable.
func (c *Cache) Warm(ctx context.Context, specs ...ScopeSpec) error {
	all := make([]warmable, len(specs))
	for i, spec := range specs {
		s, err := c.Scope(spec)
		if err != nil {
			return err
		}
		all[i] = s
	}
	return c.warm(ctx, all)
}

// WarmDomains is Warm for the newest versions of domains.
func (c *Cache) WarmDomains(ctx context.Context, specs ...DomainSpec) error {
	all := make([]warmable, len(specs))
	for i, spec := range specs {
		d, err := c.Domain(spec)
		if err != nil {
			return err
		}
		all[i] = d.versions[len(d.versions)-1]
	}
	return c.warm(ctx, all)
}

// Pace of warming.
const (
	warmSpread = 5 * time.Millisecond // for each scope
	warmWindow = time.Second          // for all of them at most
	warmLook   = 100 * time.Millisecond
)

func (c *Cache) warm(ctx context.Context, all []warmable) error {
	if len(all) == 0 {
		return nil
	}
	if err := c.require(all); err != nil {
		return err
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // jitter, no secret
	window := min(warmWindow, time.Duration(len(all))*warmSpread)
	turns := make(chan struct{}, c.cfg.fanOut)
	var wg sync.WaitGroup
	for i, w := range all {
		// The place in the window is even, and random within it.
		step := window / time.Duration(len(all))
		at := time.Duration(i)*step + c.cfg.draw(step)
		wg.Go(func() {
			select {
			case <-time.After(at):
			case <-ctx.Done():
			}
			turns <- struct{}{}
			defer func() { <-turns }()
			_ = w.warm(ctx) // its state tells
		})
	}
	wg.Wait()
	for {
		err, final := states(all)
		if err == nil || final {
			return err
		}
		select {
		case <-time.After(warmLook):
		case <-ctx.Done():
			return err
		}
	}
}

// states joins those that are not ready, and tells whether waiting is no use.
func states(all []warmable) (err error, final bool) { //nolint:revive // the error is the content
	var errs []error
	final = true
	for _, w := range all {
		err := w.state()
		if err == nil {
			continue
		}
		errs = append(errs, err)
		if !errors.Is(err, ErrUnusable) {
			final = false
		}
	}
	if len(errs) > maxShown {
		errs = append(errs[:maxShown], fmt.Errorf("datakey: and %d more", len(errs)-maxShown))
	}
	return errors.Join(errs...), final
}

// maxShown bounds the scopes that one error tells about.
const maxShown = 5

// require adds what Ready depends on.
func (c *Cache) require(all []warmable) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	added := 0
	for _, w := range all {
		if !c.required[w] {
			added++
		}
	}
	if len(c.required)+added > c.cfg.scopeMax {
		return fmt.Errorf("datakey: %d scopes to keep warm are more than the bound of %d: %w",
			len(c.required)+added, c.cfg.scopeMax, ErrUnusable)
	}
	for _, w := range all {
		c.required[w] = true
	}
	return nil
}

// Ready returns nil when the process can take records. That is so once every
// scope that is kept warm had a key at the same time, and from then on until all
// of them are without: a process that can serve some of its tenants is not
// taken out of service for the others. Without anything to keep warm it is ready.
//
// It is an answer for a readiness probe. A liveness probe has no use for it: a
// restart empties the cache, and does not bring a KMS back.
func (c *Cache) Ready() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	all := make([]warmable, 0, len(c.required))
	for w := range c.required {
		all = append(all, w)
	}
	c.mu.Unlock()
	down := 0
	for _, w := range all {
		if w.state() != nil {
			down++
		}
	}
	if down == 0 {
		if len(all) > 0 {
			c.wasReady.Store(true)
		}
		return nil
	}
	if c.wasReady.Load() && down < len(all) {
		return nil
	}
	err, _ := states(all)
	return err
}

func (s *Scope) warm(ctx context.Context) error {
	s.pinned.Store(true)
	s.mu.Lock()
	s.required = true
	s.unlock()
	return s.await(ctx, func(*activeKey) bool { return true })
}

func (s *Scope) state() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.key != nil && !s.key.expired(time.Now()), s.next != nil:
		return nil
	case s.refused.err != nil:
		return s.refused.err
	default:
		return fmt.Errorf("datakey: key %q is not there yet: %w", s.spec.Name, ErrUnavailable)
	}
}

func (v *domainVersion) warm(ctx context.Context) error {
	v.mu.Lock()
	v.required = true
	v.unlock()
	_, err := v.get(ctx)
	return err
}

func (v *domainVersion) state() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return errClosed
	case v.current.Load() != nil:
		return nil
	case v.refused.err != nil:
		return v.refused.err
	default:
		return v.failure("have", ErrUnavailable, errNotYet)
	}
}

var errNotYet = errors.New("it was not unwrapped yet")
