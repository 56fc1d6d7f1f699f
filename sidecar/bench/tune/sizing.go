package tune

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// A KeyKind is what a key of a policy is, as far as calls to a KMS go.
type KeyKind string

// The kinds.
const (
	// DataKey is a key of the section keys: each process makes its own, again and
	// again, by one call, and proves it by another.
	DataKey KeyKind = "data"
	// DomainKey is a key of domain_keys: it is there, and each process unwraps it
	// again and again.
	DomainKey KeyKind = "domain"
	// PersonKey is the section persons: each process unwraps the root key of each
	// tenant again and again. The keys of the persons themselves lie in a store,
	// sealed under that one, and cost no call however many persons there are.
	PersonKey KeyKind = "persons"
)

// A FleetKey is one key of a policy.
type FleetKey struct {
	Name string
	Kind KeyKind
	// Refresh and Expire are the ages of the policy. Default 15 and 60 minutes.
	Refresh time.Duration
	Expire  time.Duration
	// Seals and Bytes are the limits of a data key. Default 2^28 and 64 GiB.
	Seals uint64
	Bytes uint64
	// Persist tells that a start unwraps the last key in place of making one.
	Persist bool
	// Scopes is how many of it each process has: tenants that are in use at the
	// same time, or the versions of a domain key that are. Default is
	// Fleet.Tenants.
	Scopes int
}

// A Fleet is all that calls a KMS.
type Fleet struct {
	// Pods is how many processes produce.
	Pods int
	// Restarts is how often each of them starts in a month: deployments, scaling,
	// evictions.
	Restarts float64
	// Tenants are in use at the same time, in each process. Default 1.
	Tenants int
	Keys    []FleetKey
	// KEKs is how many keys of the KMS there are.
	KEKs int
	// SealsPerSecond and BytesPerSecond are what each process seals under each data
	// key and tenant; 0 is so little that ages decide when a key is replaced.
	SealsPerSecond float64
	BytesPerSecond float64
	// Consumers is how many processes reveal, each the records of all pods, and
	// ConsumerRestarts how often each of them starts in a month.
	Consumers        int
	ConsumerRestarts float64
	// Latency is how long one call to the KMS takes. Default 10 ms.
	Latency time.Duration
	// FanOut is how many calls to one endpoint a process has at a time. Default 20.
	FanOut int
}

// Defaults of a Fleet and its keys: those of fieldcrypt/datakey.
const (
	defaultRefresh = 15 * time.Minute
	defaultExpire  = 60 * time.Minute
	defaultSeals   = 1 << 28
	defaultBytes   = 64 << 30
	defaultFanOut  = 20
	defaultLatency = 10 * time.Millisecond
	maxHeld        = 10_000 // scopes, and keys to open with, that a process holds
)

// month is 30 days, as price lists have it.
const month = 30 * 24 * time.Hour

// A Bill is what a fleet asks of its KMS.
type Bill struct {
	Provider string    `json:"provider"`
	Keys     []KeyCost `json:"keys"`
	// Calls is how many there are in a month, PerSecond on average.
	Calls     float64 `json:"calls_per_month"`
	PerSecond float64 `json:"calls_per_second"`
	// Busiest is about the busiest second of a day in which nothing happens.
	Busiest float64 `json:"busiest_second"`
	// Start is how many calls there are when all processes start at once, and
	// StartSecond how many of them come in the busiest second of that, if nothing
	// but the processes holds them back.
	Start       float64 `json:"start_calls"`
	StartSecond float64 `json:"start_busiest_second"`
	// StartTakes is how long the KMS needs for them within its quota, in seconds; 0
	// where no quota is known.
	StartTakes float64 `json:"start_takes_seconds,omitempty"`
	Quota      float64 `json:"quota_per_second,omitempty"`
	// What it costs in a month, in USD.
	CallsUSD float64 `json:"calls_usd"`
	KEKs     int     `json:"keks"`
	KEKsUSD  float64 `json:"keks_usd"`
	USD      float64 `json:"usd"`
	// Source says where prices and quota are from, and when they were read.
	Source string   `json:"source"`
	Notes  []string `json:"notes,omitempty"`
}

// A KeyCost is what one key of the policy costs.
type KeyCost struct {
	Name string  `json:"name"`
	Kind KeyKind `json:"kind"`
	// Scopes is how many of them the whole fleet has.
	Scopes int `json:"scopes"`
	// Period is how long one data key, or one unwrapping, serves, in seconds.
	Period float64 `json:"period_seconds"`
	// By says what ends it: refresh, expire, seals or bytes.
	By string `json:"by"`
	// Calls in a month: of producers, in steady state and by their starts, and of
	// consumers.
	Steady    float64 `json:"steady_calls"`
	Starts    float64 `json:"start_calls"`
	Consumers float64 `json:"consumer_calls"`
}

// Sizing calculates what a fleet asks of its KMS, and what that costs.
//
// A data key in use costs two calls for each period: one that makes the next key,
// one that proves it. A domain key, and the root key of a tenant's persons, cost
// one. The period is 99 % of refresh, or 80 % of expire where that is shorter, or
// what the limits on seals and bytes leave. Each start of a process costs as many
// calls again, because keys are in memory only. A consumer unwraps each data key
// that it meets once, and domain keys as a producer does. Nothing else calls:
// neither records nor probes, as long as the KMS answers.
func Sizing(f Fleet, p Price) (*Bill, error) {
	if err := f.complete(); err != nil {
		return nil, err
	}
	b := &Bill{
		Provider: p.Provider, KEKs: f.KEKs, Quota: p.Quota, Source: p.Source,
		Keys: make([]KeyCost, 0, len(f.Keys)),
	}
	pods, readers, atStart, held := float64(f.Pods), float64(f.Consumers), 0.0, 0
	for i := range f.Keys {
		k := &f.Keys[i]
		period, by := f.period(k)
		n := float64(k.Scopes)
		turns := month.Seconds() / period
		c := KeyCost{Name: k.Name, Kind: k.Kind, Scopes: f.Pods * k.Scopes, Period: period, By: by}
		switch k.Kind {
		case DataKey:
			first := 2.0
			if k.Persist {
				first = 1
			}
			c.Steady = pods * n * 2 * turns
			c.Starts = pods * n * first * f.Restarts
			// One for each key that the pods make, and for those in use at a start.
			made := pods * n * (turns + f.Restarts*newKeys(k))
			c.Consumers = readers * (made + f.ConsumerRestarts*pods*n)
			atStart += n * first
			held += k.Scopes
		case DomainKey, PersonKey:
			c.Steady = pods * n * turns
			c.Starts = pods * n * f.Restarts
			c.Consumers = readers * n * (turns + f.ConsumerRestarts)
			atStart += n
		}
		b.Keys = append(b.Keys, c)
		b.Calls += c.Steady + c.Starts + c.Consumers
	}
	b.PerSecond = b.Calls / month.Seconds()
	b.Busiest = b.PerSecond + busiestOfADay*math.Sqrt(b.PerSecond)
	b.Start = pods * atStart
	b.StartSecond = pods * min(atStart, float64(f.FanOut)/f.Latency.Seconds())
	if p.Quota > 0 {
		b.StartTakes = b.Start / p.Quota
	}
	b.CallsUSD = b.Calls / 10_000 * p.Per10k
	b.KEKsUSD = float64(f.KEKs) * p.PerKEK
	b.USD = b.CallsUSD + b.KEKsUSD
	b.note(&f, held)
	return b, nil
}

// newKeys is how many data keys a start makes.
func newKeys(k *FleetKey) float64 {
	if k.Persist {
		return 0
	}
	return 1
}

// busiestOfADay is how many standard deviations the busiest of the 86,400 seconds
// of a day is above the mean, where calls come by chance.
const busiestOfADay = 4.3

// period returns how long one key serves, in seconds, and what ends it.
func (f *Fleet) period(k *FleetKey) (seconds float64, by string) {
	seconds, by = 0.99*k.Refresh.Seconds(), "refresh"
	if e := 0.8 * k.Expire.Seconds(); e < seconds {
		seconds, by = e, "expire"
	}
	if k.Kind != DataKey {
		return seconds, by
	}
	share := 1.0
	if k.Persist {
		share = 0.5 // the rest is for restarts
	}
	if f.SealsPerSecond > 0 {
		if s := share * float64(k.Seals) / f.SealsPerSecond; s < seconds {
			seconds, by = s, "seals"
		}
	}
	if f.BytesPerSecond > 0 {
		if s := share * float64(k.Bytes) / f.BytesPerSecond; s < seconds {
			seconds, by = s, "bytes"
		}
	}
	return seconds, by
}

func (b *Bill) note(f *Fleet, held int) {
	add := func(format string, args ...any) { b.Notes = append(b.Notes, fmt.Sprintf(format, args...)) }
	if b.Quota > 0 && b.StartSecond > b.Quota {
		add("A start of all processes at once asks for more than the quota of %s calls a second. Some are throttled and tried "+
			"again, and the last process is ready after %s at the earliest: start fewer at a time, or ask for a higher quota.",
			number(b.Quota), seconds(b.StartTakes))
	}
	if b.Quota > 0 && b.Busiest > b.Quota/2 {
		add("The busiest second takes more than half of the quota, which other services may share.")
	}
	if held > maxHeld {
		add("Each process needs %s data keys at a time and holds %s: raise keys.max_scopes of the sidecar, or datakey.WithMaxScopes. "+
			"Otherwise keys are dropped and made anew, at two calls each.", number(float64(held)), number(maxHeld))
	}
	if f.Consumers > 0 {
		open := 0.0
		for i := range b.Keys {
			if b.Keys[i].Kind == DataKey {
				open += float64(b.Keys[i].Scopes) * (1 + f.Keys[i].Expire.Seconds()/b.Keys[i].Period)
			}
		}
		if open > maxHeld {
			add("Each consumer meets %s data keys within expire and holds %s: raise keys.max_openers of the sidecar, or "+
				"datakey.WithMaxOpeners. Otherwise it unwraps some of them more than once.", number(open), number(maxHeld))
		}
	}
}

// complete sets defaults.
func (f *Fleet) complete() error {
	var errs []error
	bad := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New("tune: "+text))
		}
	}
	if f.Tenants == 0 {
		f.Tenants = 1
	}
	if f.Latency == 0 {
		f.Latency = defaultLatency
	}
	if f.FanOut == 0 {
		f.FanOut = defaultFanOut
	}
	bad(f.Pods < 0 || f.Consumers < 0, "pods and consumers: they are negative")
	bad(f.Tenants < 0, "tenants: it is negative")
	bad(f.KEKs < 0, "KEKs: it is negative")
	for _, x := range []float64{f.Restarts, f.ConsumerRestarts, f.SealsPerSecond, f.BytesPerSecond} {
		bad(!(x >= 0) || math.IsInf(x, 0), "restarts and rates: one is negative, or no number")
	}
	bad(f.Latency < 0, "latency: it is negative")
	bad(f.FanOut < 0, "fan-out: it is negative")
	keys := make([]FleetKey, len(f.Keys))
	for i, k := range f.Keys {
		if k.Refresh == 0 {
			k.Refresh = defaultRefresh
			if k.Expire != 0 {
				k.Refresh = min(k.Refresh, k.Expire)
			}
		}
		if k.Expire == 0 {
			k.Expire = max(defaultExpire, k.Refresh)
		}
		if k.Seals == 0 {
			k.Seals = defaultSeals
		}
		if k.Bytes == 0 {
			k.Bytes = defaultBytes
		}
		if k.Scopes == 0 {
			k.Scopes = f.Tenants
		}
		bad(k.Refresh <= 0 || k.Expire < k.Refresh, fmt.Sprintf("key %s: refresh is not above 0, or later than expire", k.Name))
		bad(k.Kind != DataKey && k.Kind != DomainKey && k.Kind != PersonKey, fmt.Sprintf("key %s: unknown kind", k.Name))
		bad(k.Scopes < 0, fmt.Sprintf("key %s: scopes are negative", k.Name))
		keys[i] = k
	}
	f.Keys = keys
	return errors.Join(errs...)
}
