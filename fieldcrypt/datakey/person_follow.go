package datakey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// pollTime bounds one reading of the ledger, so that a silent one is given up
// before keys are.
const pollTime = 15 * time.Second

// follow reads the ledger again and again until ctx ends.
func (p *Persons) follow(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(p.cfg.poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_ = p.sync(ctx) // Mark tells, and keys end when it lasts
		p.mu.Lock()
		scopes := p.allLocked()
		p.mu.Unlock()
		for _, s := range scopes {
			s.sweep()
		}
	}
}

// Sync reads the ledger now, drops the keys of those who were forgotten, and
// applies the ledger to the store where nobody else has. Persons does so by
// itself every few seconds; an announcement that a person was forgotten is a
// reason to call it at once.
//
// It fails when the ledger cannot be read. That the store cannot be written does
// no harm here: keys of the forgotten are refused all the same, and [Persons.Mark]
// tells.
func (p *Persons) Sync(ctx context.Context) error {
	if err := p.sync(ctx); err != nil {
		return fmt.Errorf("datakey: persons: %w: %w", personClass(err), err)
	}
	return nil
}

func (p *Persons) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	began := time.Now()
	p.mu.Lock()
	from, closed := p.mark, p.closed
	p.mu.Unlock()
	if closed {
		return errClosed
	}
	err := guard(func() error {
		_, err := shred.Follow(ctx, p.ledger, from, func(page []shred.Entry, next shred.Mark) error {
			p.learn(page, next)
			return nil
		})
		return err
	})
	if err != nil {
		p.failed(err)
		return err
	}
	p.mu.Lock()
	left := staleAfter - time.Since(began)
	if p.closed {
		p.mu.Unlock()
		return errClosed
	}
	if left > 0 {
		p.timer.Reset(left)
		p.stale.Store(false)
	}
	behind := len(p.pending) > 0
	p.mu.Unlock()
	if !behind {
		p.failed(nil)
		return nil
	}
	var applied shred.Mark
	err = guard(func() (err error) {
		applied, err = shred.Replay(ctx, p.store, p.ledger)
		return err
	})
	if err != nil {
		// A process that may only read waits for one that may write.
		if m, merr := p.store.Mark(ctx); merr == nil && m.Ledger == from.Ledger {
			applied = m
		}
	}
	p.failed(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	for who, seq := range p.pending {
		if seq <= applied.Seq {
			delete(p.pending, who)
		}
	}
	return nil
}

// learn takes the keys of the forgotten out of use.
func (p *Persons) learn(page []shred.Entry, next shred.Mark) {
	p.mu.Lock()
	if next.Seq <= p.mark.Seq {
		p.mu.Unlock()
		return // another reading was faster
	}
	p.mark = next
	for i := range page {
		p.pending[personOf{page[i].Tenant, page[i].Person}] = page[i].Seq
	}
	p.mu.Unlock()
	for i := range page {
		for {
			k := p.keys.person(page[i].Tenant, page[i].Person)
			if k == nil {
				break
			}
			p.keys.drop(k)
		}
	}
}

func (p *Persons) failed(err error) {
	p.mu.Lock()
	p.fault = err
	p.mu.Unlock()
}

// ID returns the id of a person, by the identifier that he has in the records.
// It waits when the KMS or the store must be asked.
func (s *PersonScope) ID(ctx context.Context, person []byte) (shred.PersonID, error) {
	root, err := s.begin(ctx)
	if err != nil {
		return shred.PersonID{}, err
	}
	return root.personID(person), nil
}

// Forget forgets a person, by the identifier that he has in the records: his
// values never open again, and no value of his is sealed any more. By and reason
// go into the ledger, and must not name him.
//
// It returns the entry of the ledger. The errors are those of [shred.Forget]: a
// [*shred.PendingError] comes with the entry, and means that the person is
// forgotten. Other processes know within seconds.
func (s *PersonScope) Forget(ctx context.Context, person []byte, by, reason string) (shred.Entry, error) {
	root, err := s.begin(ctx)
	if err != nil {
		return shred.Entry{}, err
	}
	e := shred.Entry{
		Time: time.Now(), Tenant: s.spec.Tenant, Person: root.personID(person), By: by, Reason: reason,
	}
	var done shred.Entry
	err = guard(func() (err error) {
		done, err = shred.Forget(ctx, s.persons.store, s.persons.ledger, e)
		return err
	})
	if pending := new(shred.PendingError); err != nil && !errors.As(err, &pending) {
		return done, fmt.Errorf("datakey: forget a person: %w: %w", personClass(err), err)
	}
	// This process forgets at once, also when the store could not be reached.
	if serr := s.persons.sync(ctx); serr != nil {
		if k := s.persons.keys.person(s.spec.Tenant, e.Person); k != nil {
			s.persons.keys.drop(k)
		}
		s.persons.mu.Lock()
		s.persons.pending[personOf{s.spec.Tenant, e.Person}] = done.Seq
		s.persons.mu.Unlock()
	}
	return done, err
}
