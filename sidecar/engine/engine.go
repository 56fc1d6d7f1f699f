package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
)

// sharedKeys are data keys that engines of one description of keys share. The
// last of them to be closed closes the keys.
type sharedKeys struct {
	policy  *fieldcrypt.Policy // that describes the keys
	kms     kms.Wrapper
	cache   *datakey.Cache
	persons *datakey.Persons
	ends    []func()
	users   int // guarded by Base.mu
}

func (s *sharedKeys) close() {
	s.cache.Close() // and the persons with it
	for _, end := range slices.Backward(s.ends) {
		end()
	}
}

// An Engine is one policy at work. It is immutable and safe for concurrent use.
type Engine struct {
	base   *Base
	keys   *sharedKeys
	crypt  *fieldcrypt.Engine
	policy *fieldcrypt.Policy
	closed atomic.Bool
}

// Engine makes the engine of a policy, and gets its keys, which can take as long
// as ctx lasts. Engines whose policies describe their keys alike share them, so a
// change of rules costs no call to a KMS.
func (b *Base) Engine(ctx context.Context, r Rules) (*Engine, error) {
	e, err := b.NewEngine(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := e.Warm(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// NewEngine is [Base.Engine] without its keys: it becomes ready when the KMS
// gives them, which Warm asks for.
func (b *Base) NewEngine(ctx context.Context, r Rules) (*Engine, error) {
	p := r.Policy
	read, err := b.options(&r)
	if err != nil {
		return nil, err
	}
	if err := b.missingVaults(p); err != nil {
		return nil, err
	}
	keys, err := b.keysOf(ctx, p)
	if err != nil {
		return nil, err
	}
	e := &Engine{base: b, keys: keys, policy: p}
	opts := []fieldcrypt.Option{
		fieldcrypt.WithFormat(schema.JSONSchema, jsonschema.Parser), fieldcrypt.WithFormat(schema.Protobuf, protobuf.Parser),
	}
	opts = append(opts, read...)
	if b.cfg.Schemas.Register {
		opts = append(opts, fieldcrypt.WithRegistrar(b.client))
	}
	if b.cfg.Recheck > 0 {
		opts = append(opts, fieldcrypt.WithRecheck(b.cfg.Recheck))
	}
	if b.deps.Tenant != nil {
		opts = append(opts, fieldcrypt.WithTenantGuard(b.deps.Tenant), fieldcrypt.WithRevealGuard(b.deps.Tenant))
	}
	if keys.persons != nil {
		opts = append(opts, fieldcrypt.WithPersons(keys.persons))
	}
	for _, name := range p.Vaults() {
		opts = append(opts, fieldcrypt.WithVault(name, b.vaults[name]))
	}
	memory, err := b.memory(ctx, keys.kms)
	if err == nil {
		if memory != nil {
			opts = append(opts, fieldcrypt.WithMemory(memory))
		}
		e.crypt, err = fieldcrypt.New(p, keys.cache, opts...)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// keysOf returns the keys that a policy describes. What they are opened from may be
// slow, and nobody but another who opens keys waits for it: the last record of an
// engine that was replaced closes that engine.
func (b *Base) keysOf(ctx context.Context, p *fieldcrypt.Policy) (*sharedKeys, error) {
	if s, err := b.share(p); s != nil || err != nil {
		return s, err
	}
	select {
	case b.opening <- struct{}{}:
		defer func() { <-b.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s, err := b.share(p); s != nil || err != nil {
		return s, err // another has opened them meanwhile
	}
	s, err := b.openKeys(ctx, p)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	closed := b.closed
	if !closed {
		s.users = 1
		b.shared = s
	}
	b.mu.Unlock()
	if closed {
		s.close()
		return nil, errClosed
	}
	return s, nil
}

// share returns the keys that are open, if they are those that a policy describes,
// and nil if not.
func (b *Base) share(p *fieldcrypt.Policy) (*sharedKeys, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	if s := b.shared; s != nil && s.policy.SameKeys(p) {
		s.users++
		return s, nil
	}
	return nil, nil //nolint:nilnil // there are none
}

func (b *Base) openKeys(ctx context.Context, p *fieldcrypt.Policy) (*sharedKeys, error) {
	s := &sharedKeys{policy: p, kms: b.deps.KMS}
	if s.kms == nil {
		services, err := Services(b.cfg.Keys.CleartextKeysets, PolicyKEKs(p)...)
		if err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
		s.kms = services
	}
	k := &b.cfg.Keys
	opts := []datakey.Option{
		datakey.WithCallTimeout(k.CallTimeout), datakey.WithFanOut(k.FanOut),
		datakey.WithMaxScopes(k.MaxScopes), datakey.WithMaxOpeners(k.MaxOpeners),
	}
	if b.store != nil {
		opts = append(opts, datakey.WithStore(b.store))
	}
	if k.Files != "" {
		opts = append(opts, datakey.WithKeyFiles(k.Files))
	}
	if b.deps.Observer != nil {
		opts = append(opts, datakey.WithObserver(b.deps.Observer))
	}
	var err error
	if s.cache, err = datakey.New(s.kms, opts...); err != nil {
		return nil, err
	}
	if b.cfg.Persons != nil {
		if err := b.openPersons(ctx, s); err != nil {
			s.close()
			return nil, fmt.Errorf("persons: %w", err)
		}
	}
	return s, nil
}

func (b *Base) openPersons(ctx context.Context, s *sharedKeys) error {
	cfg := b.cfg.Persons
	url, err := cfg.Store.Read()
	if err != nil {
		return err
	}
	store, err := OpenStore(ctx, string(url), false)
	if err != nil {
		return err
	}
	s.ends = append(s.ends, store.End)
	if url, err = cfg.Ledger.Read(); err != nil {
		return err
	}
	ledger, err := OpenLedger(ctx, string(url), false)
	if err != nil {
		return err
	}
	s.ends = append(s.ends, ledger.End)
	var opts []datakey.PersonsOption
	if cfg.Poll > 0 {
		opts = append(opts, datakey.WithLedgerPoll(cfg.Poll))
	}
	if cfg.Max > 0 {
		opts = append(opts, datakey.WithMaxPersons(cfg.Max))
	}
	s.persons, err = datakey.OpenPersons(ctx, s.cache, store, ledger, opts...)
	return err
}

// Warm gets the keys of the policy and of the tenants that are to be warm. Where
// records name their tenants and the configuration names none, that is nothing: a
// tenant's keys come with his first record.
func (e *Engine) Warm(ctx context.Context) error {
	tenants := e.base.cfg.Keys.Warm
	err := e.crypt.Warm(ctx, tenants...)
	if f, ok := errors.AsType[*fieldcrypt.Error](err); ok && len(tenants) == 0 && f.Code == fieldcrypt.CodeTenant {
		return nil
	}
	return err
}

// Ready returns nil once the keys that are to be warm are at hand.
func (e *Engine) Ready() error { return e.crypt.Ready() }

// Policy returns the policy of the engine.
func (e *Engine) Policy() *fieldcrypt.Policy { return e.policy }

// Crypt returns the engine itself.
func (e *Engine) Crypt() *fieldcrypt.Engine { return e.crypt }

// Keys returns what is known of the data keys.
func (e *Engine) Keys() datakey.Stats { return e.keys.cache.Stats() }

// Recheck asks the KMS whether a KEK may still be used.
func (e *Engine) Recheck(ctx context.Context, kek string) error {
	return e.keys.cache.Recheck(ctx, kek)
}

// Close gives the keys of the engine up. Nobody may use it any more.
func (e *Engine) Close() {
	if e.closed.Swap(true) {
		return
	}
	b := e.base
	b.mu.Lock()
	e.keys.users--
	last := e.keys.users == 0
	if last && b.shared == e.keys {
		b.shared = nil
	}
	b.mu.Unlock()
	if last {
		e.keys.close()
	}
}
