package datakey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Recheck asks the KMS at once whether it still opens the keys that it gave
// under a KEK, and drops those that it refuses, to seal and to open. It is for
// the handler of an operator's event, such as a key that was disabled: the event
// and the answer confirm each other, so nothing waits for a second answer, nor
// for the next refresh. Refusals that are remembered are forgotten, so that a
// KEK that was enabled again serves at once.
//
// Each scope is asked about with a key that it holds, within the fan-out. The
// error wraps ErrUnusable when keys were dropped, and otherwise ErrUnavailable
// when the KMS could not be asked. Nil means that nothing is refused now; some
// services take a while until a change shows, so a handler asks again later.
func (c *Cache) Recheck(ctx context.Context, kek string) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	scopes := c.scopes.all()
	var versions []*domainVersion
	for _, d := range c.domains {
		versions = append(versions, d.versions...)
	}
	c.mu.Unlock()
	c.negatives.forget(kek)

	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		worst error
		turns = make(chan struct{}, c.cfg.fanOut)
	)
	ask := func(f func(context.Context) error) {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			ctx, cancel := context.WithTimeout(ctx, c.cfg.timeout)
			defer cancel()
			err := f(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && (worst == nil || errors.Is(err, ErrUnusable) && !errors.Is(worst, ErrUnusable)) {
				worst = err
			}
		})
	}
	for _, s := range scopes {
		if s.has(kek) {
			ask(func(ctx context.Context) error { return s.recheck(ctx, kek) })
		}
	}
	for _, v := range versions {
		if v.wanted.KEK == kek {
			ask(v.recheck)
		}
	}
	wg.Wait()
	return worst
}

func (s *Scope) recheck(ctx context.Context, kek string) error {
	s.mu.Lock()
	if s.closed {
		s.unlock()
		return nil
	}
	s.refused = refusal{}
	var wrapped []byte
	if k := s.key; k != nil && s.spec.KEKs[0] == kek {
		wrapped = k.wrapped
	}
	s.unlock()
	if wrapped == nil {
		o := s.cache.openers.under(s, kek)
		if o == nil {
			return nil // nothing to lose
		}
		wrapped = o.wrapped
	}
	err := s.cache.stillOpens(ctx, kek, wrapped, encryptionContext(s.spec.Tenant))
	if err == nil {
		return nil
	}
	err = s.failure("recheck", err)
	if refuses(err) {
		s.mu.Lock()
		if s.spec.KEKs[0] == kek {
			s.refused = refusal{err: err, until: time.Now().Add(refusalTime)}
			s.revokeLocked()
		}
		s.unlock()
		s.cache.openers.dropUnder(s, kek)
	}
	return err
}

func (v *domainVersion) recheck(ctx context.Context) error {
	v.mu.Lock()
	v.refused = refusal{}
	held := v.current.Load() != nil
	v.unlock()
	if !held {
		return nil
	}
	kb := v.wanted
	err := v.domain.cache.stillOpens(ctx, kb.KEK, kb.Wrapped, encryptionContext(kb.Tenant))
	if err == nil {
		return nil
	}
	err = v.failure("recheck", classOf(err), err)
	if refuses(err) {
		v.mu.Lock()
		v.refused = refusal{err: err, until: time.Now().Add(refusalTime)}
		v.suspect = false
		v.endLocked()
		v.unlock()
	}
	return err
}

// stillOpens has the KMS unwrap a key, and wipes the answer. One that comes while
// another call probes the endpoint waits for the probe, as what that one learns
// about its key says nothing about this one.
func (c *Cache) stillOpens(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) error {
	plain, err := c.wrapper.Unwrap(ctx, kek, slices.Clone(wrapped), ec)
	for open := (*circuitError)(nil); errors.As(err, &open) && open.probed(ctx); {
		plain, err = c.wrapper.Unwrap(ctx, kek, slices.Clone(wrapped), ec)
	}
	if err != nil {
		return err
	}
	if _, err := derive(plain); err != nil { // wipes it
		return fmt.Errorf("recheck: %w", err)
	}
	return nil
}
