package datakey

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// keyCounts are what happened to all scopes of one key name.
type keyCounts struct {
	keys, waits, negatives, persistFailures atomic.Uint64
	drops                                   [6]atomic.Uint64 // as dropReasons
}

func dropReasons() [6]DropReason {
	return [6]DropReason{DropReplaced, DropExpired, DropExhausted, DropRevoked, DropEvicted, DropClosed}
}

func (k *keyCounts) drop(why DropReason) {
	for i, r := range dropReasons() {
		if r == why {
			k.drops[i].Add(1)
		}
	}
}

// countsOf returns the counts of a key name. The caller holds the lock. Names
// come from the policy, so there are few.
func (c *Cache) countsOf(name string) *keyCounts {
	k, ok := c.counts[name]
	if !ok {
		k = new(keyCounts)
		c.counts[name] = k
	}
	return k
}

// Stats is a snapshot of a Cache.
type Stats struct {
	// Endpoints are the services that were called, by name.
	Endpoints []EndpointStats
	// Keys are the key names, and the tenants with [WithTenantMetrics].
	Keys []KeyStats
	// Openers is the number of keys that are held to open with.
	Openers int
	// Refusals is the number of definitive answers that are remembered.
	Refusals int
	// Ready tells what [Cache.Ready] tells.
	Ready bool
}

// EndpointStats are counts of one service since the Cache was made.
type EndpointStats struct {
	Endpoint string
	Circuit  CircuitState
	// Opened counts how often the circuit opened.
	Opened uint64
	// InFlight is the number of calls that run now.
	InFlight int
	// Calls are counts of attempts, by call and outcome.
	Calls []CallStats
	// GenerateTime and UnwrapTime are the sums of how long attempts took.
	GenerateTime, UnwrapTime time.Duration
}

// CallStats counts the attempts of one call with one outcome.
type CallStats struct {
	Op      Op
	Outcome Outcome
	Count   uint64
}

// KeyStats describes the keys to seal with of one name. Ages and budgets are
// those of the worst scope that has a key, and 0 where none has.
type KeyStats struct {
	Key, Tenant string
	// Scopes is the number of scopes, and Warm of those with a key.
	Scopes, Warm int
	// Age is that of the oldest key, and Left the time until the first of the
	// keys may no longer be used, its successor not counted.
	Age, Left time.Duration
	// SealsLeft and BytesLeft are the smallest budgets that are left.
	SealsLeft, BytesLeft uint64
	// The counts are of all tenants, in the first row of a name.
	Keys, Waits, Negatives, PersistFailures uint64
	Drops                                   []DropStats
}

// DropStats counts the keys that were dropped for one reason.
type DropStats struct {
	Reason DropReason
	Count  uint64
}

// Stats returns a snapshot. It looks at all scopes, so it is for a scrape and
// not for a record.
func (c *Cache) Stats() Stats {
	out := Stats{Openers: c.openers.len(), Refusals: c.negatives.len(), Ready: c.Ready() == nil}
	out.Endpoints = c.wrapper.stats(time.Now())
	c.mu.Lock()
	scopes := c.scopes.all()
	counts := maps.Clone(c.counts)
	c.mu.Unlock()
	rows := map[scopeID]*KeyStats{}
	for _, s := range scopes {
		id := scopeID{name: s.spec.Name}
		if c.cfg.tenants {
			id.tenant = s.spec.Tenant
		}
		if rows[id] == nil {
			rows[id] = &KeyStats{Key: id.name, Tenant: id.tenant}
		}
		s.addTo(rows[id], time.Now())
	}
	for name := range counts {
		if !slices.ContainsFunc(scopes, func(s *Scope) bool { return s.spec.Name == name }) {
			rows[scopeID{name: name}] = &KeyStats{Key: name}
		}
	}
	for _, r := range rows {
		out.Keys = append(out.Keys, *r)
	}
	slices.SortFunc(out.Keys, func(a, b KeyStats) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Tenant, b.Tenant))
	})
	for i := range out.Keys {
		if r := &out.Keys[i]; i == 0 || out.Keys[i-1].Key != r.Key {
			counts[r.Key].addTo(r)
		}
	}
	return out
}

func (k *keyCounts) addTo(r *KeyStats) {
	r.Keys, r.Waits, r.Negatives = k.keys.Load(), k.waits.Load(), k.negatives.Load()
	r.PersistFailures = k.persistFailures.Load()
	for i, why := range dropReasons() {
		if n := k.drops[i].Load(); n > 0 {
			r.Drops = append(r.Drops, DropStats{why, n})
		}
	}
}

func (s *Scope) addTo(r *KeyStats, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Scopes++
	k := s.key
	if k == nil {
		return
	}
	age, seals, bytes := now.Sub(k.born), k.seals.Load(), k.bytes.Load()
	left := max(0, k.limits.Expire-age)
	seals, bytes = k.limits.Seals-min(seals, k.limits.Seals), k.limits.Bytes-min(bytes, k.limits.Bytes)
	r.Warm++
	if r.Warm == 1 {
		r.Age, r.Left, r.SealsLeft, r.BytesLeft = age, left, seals, bytes
		return
	}
	r.Age, r.Left = max(r.Age, age), min(r.Left, left)
	r.SealsLeft, r.BytesLeft = min(r.SealsLeft, seals), min(r.BytesLeft, bytes)
}

// stats returns those of all endpoints.
func (c *client) stats(now time.Time) []EndpointStats {
	c.mu.Lock()
	all := make([]*endpoint, 0, len(c.endpoints))
	for _, e := range c.endpoints {
		all = append(all, e)
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b *endpoint) int { return cmp.Compare(a.name, b.name) })
	out := make([]EndpointStats, len(all))
	for i, e := range all {
		out[i] = e.stats(now)
	}
	return out
}

func (e *endpoint) stats(now time.Time) EndpointStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := EndpointStats{
		Endpoint: e.name, Circuit: e.stateLocked(now), Opened: e.opened, InFlight: len(e.slots),
		GenerateTime: e.took[opIndex(OpGenerate)], UnwrapTime: e.took[opIndex(OpUnwrap)],
	}
	for kind, n := range e.calls {
		out.Calls = append(out.Calls, CallStats{kind.op, kind.outcome, n})
	}
	slices.SortFunc(out.Calls, func(a, b CallStats) int {
		return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.Outcome, b.Outcome))
	})
	return out
}

func (t *openerTable) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.entries)
}
