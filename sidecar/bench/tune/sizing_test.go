package tune_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

const simulatedKEK = "fake:pii"

// pass lets fake time pass.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in bubbles of synctest alone
}

// A simulation is a fleet of real caches before a KMS that counts.
type simulation struct {
	pods, tenants, consumers int
	limits                   datakey.Limits
	warm                     bool // kept warm; otherwise records ask for keys
	domain                   bool // a domain key too
	life                     time.Duration
	lives                    int
}

// run returns how many calls there were in all lives of the processes.
func (s simulation) run(t *testing.T) int {
	t.Helper()
	fake := kmstest.NewFake()
	var blocks [][]byte
	if s.domain {
		b, err := datakey.CreateDomainBlock(t.Context(), fake, simulatedKEK, "")
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, b)
	}
	before := fake.Calls(kmstest.OpGenerate) + fake.Calls(kmstest.OpUnwrap)
	for range s.lives {
		s.live(t, fake, blocks)
	}
	return fake.Calls(kmstest.OpGenerate) + fake.Calls(kmstest.OpUnwrap) - before
}

func (s simulation) spec(tenant int) datakey.ScopeSpec {
	return datakey.ScopeSpec{Name: "pii", Tenant: fmt.Sprint(tenant), KEKs: []string{simulatedKEK}, Limits: s.limits}
}

// live is one life of all processes: producers seal, and consumers open, a value
// of each tenant every 30 seconds.
func (s simulation) live(t *testing.T, fake *kmstest.Fake, blocks [][]byte) {
	t.Helper()
	open := func() *datakey.Cache {
		c, err := datakey.New(fake)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	caches := make([]*datakey.Cache, s.pods+s.consumers)
	defer func() {
		for _, c := range caches {
			c.Close()
		}
	}()
	var sealers []*datakey.Sealer
	var domains []*datakey.Domain
	for i := range caches {
		caches[i] = open()
		var specs []datakey.ScopeSpec
		for tenant := range s.tenants {
			specs = append(specs, s.spec(tenant))
			if i < s.pods {
				scope, err := caches[i].Scope(s.spec(tenant))
				if err != nil {
					t.Fatal(err)
				}
				sealers = append(sealers, scope.NewSealer())
			}
		}
		if s.warm && i < s.pods {
			if err := caches[i].Warm(t.Context(), specs...); err != nil {
				t.Fatal(err)
			}
		}
		if len(blocks) > 0 {
			d, err := caches[i].Domain(datakey.DomainSpec{Name: "ids", KEKs: []string{simulatedKEK}, Blocks: blocks, Limits: datakey.Limits{Refresh: s.limits.Refresh, Expire: s.limits.Expire}})
			if err != nil {
				t.Fatal(err)
			}
			domains = append(domains, d)
		}
	}
	for end := time.Now().Add(s.life); time.Now().Before(end); pass(30 * time.Second) {
		for i, w := range sealers {
			if err := w.Reserve(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
			id, block := w.KeyID(), w.KeyBlock()
			for _, c := range caches[s.pods:] {
				scope, err := c.Scope(s.spec(i % s.tenants))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := scope.Opener(t.Context(), id, [][]byte{block}); err != nil {
					t.Fatal(err)
				}
			}
			w.Done()
		}
		for _, d := range domains {
			if err := d.NewSealer().Reserve(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fleet returns the same as Sizing takes it: a month in which processes start as
// often as their lives are long.
func (s simulation) fleet() tune.Fleet {
	restarts := float64(30*24*time.Hour) / float64(s.life)
	f := tune.Fleet{
		Pods: s.pods, Tenants: s.tenants, Restarts: restarts, Consumers: s.consumers, ConsumerRestarts: restarts,
		Keys: []tune.FleetKey{{Name: "pii", Kind: tune.DataKey, Refresh: s.limits.Refresh, Expire: s.limits.Expire}},
	}
	if s.domain {
		f.Keys = append(f.Keys, tune.FleetKey{Name: "ids", Kind: tune.DomainKey, Refresh: s.limits.Refresh, Expire: s.limits.Expire, Scopes: 1})
	}
	return f
}

func TestSizingAgreesWithRealCaches(t *testing.T) {
	if fips140.Enabled() && !strings.HasPrefix(fips140.Version(), "v1.0.") {
		t.Skip("the entropy source of the FIPS 140-3 module needs a real clock")
	}
	short := datakey.Limits{Refresh: 5 * time.Minute, Expire: 20 * time.Minute}
	even := datakey.Limits{Refresh: 10 * time.Minute, Expire: 10 * time.Minute}
	for _, tt := range []struct {
		name string
		s    simulation
	}{
		{"of processes that keep their keys warm", simulation{pods: 4, tenants: 20, warm: true, life: 12 * time.Hour, lives: 1}},
		{"of processes whose records ask for keys", simulation{pods: 4, tenants: 20, life: 12 * time.Hour, lives: 1}},
		{"of processes that live for an hour", simulation{pods: 4, tenants: 20, warm: true, life: time.Hour, lives: 8}},
		{"of keys of five minutes", simulation{pods: 3, tenants: 20, limits: short, life: 4 * time.Hour, lives: 2}},
		{"of keys that expire when they are refreshed", simulation{pods: 3, tenants: 20, limits: even, warm: true, life: 4 * time.Hour, lives: 2}},
		{"of a domain key", simulation{pods: 30, tenants: 1, domain: true, life: 4 * time.Hour, lives: 3}},
		{"with consumers", simulation{pods: 3, tenants: 10, consumers: 3, domain: true, life: 6 * time.Hour, lives: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := float64(tt.s.run(t))
				pass(time.Minute) // for calls that nobody waits for
				bill, err := tune.Sizing(tt.s.fleet(), tune.NoPrice("fake"))
				if err != nil {
					t.Fatal(err)
				}
				want := bill.Calls * float64(tt.s.life) * float64(tt.s.lives) / float64(30*24*time.Hour)
				t.Logf("%.0f calls, and %.0f by Sizing: %.3f", got, want, got/want)
				if r := got / want; r < 0.9 || r > 1.1 {
					t.Errorf("%.0f calls, where Sizing says %.0f", got, want)
				}
			})
		})
	}
}

func TestSizingCalculatesWhatTheManualSays(t *testing.T) {
	for _, tt := range []struct {
		processes, scopes int
		refresh           time.Duration
		second, usd       float64
	}{
		{10, 5, 15 * time.Minute, 0.112, 0.87},
		{50, 200, 15 * time.Minute, 22.4, 174.5},
		{500, 1000, 60 * time.Minute, 280.6, 2182},
		{500, 1000, 15 * time.Minute, 1122, 8727},
		{500, 1000, 5 * time.Minute, 3367, 26182},
	} {
		expire := max(2*tt.refresh, time.Hour)
		b, err := tune.Sizing(tune.Fleet{Pods: tt.processes, Tenants: tt.scopes, KEKs: 3, Keys: []tune.FleetKey{{Name: "pii", Kind: tune.DataKey, Refresh: tt.refresh, Expire: expire}}}, tune.Prices()["aws-kms"])
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(b.PerSecond/tt.second-1) > 0.01 || math.Abs(b.CallsUSD/tt.usd-1) > 0.01 || b.KEKsUSD != 3 || math.Abs(b.USD-b.CallsUSD-3) > 1e-9 {
			t.Errorf("%d × %d: %+v", tt.processes, tt.scopes, b)
		}
	}
}

func TestWhatEndsAKeyIsNamed(t *testing.T) {
	for _, tt := range []struct {
		want   string
		period float64
		f      tune.Fleet
		k      tune.FleetKey
	}{
		{"refresh", 891, tune.Fleet{}, tune.FleetKey{}},
		{"expire", 480, tune.Fleet{}, tune.FleetKey{Refresh: 10 * time.Minute, Expire: 10 * time.Minute}},
		{"seals", 268.435456, tune.Fleet{SealsPerSecond: 1e6}, tune.FleetKey{}},
		{"seals", 134.217728, tune.Fleet{SealsPerSecond: 1e6}, tune.FleetKey{Persist: true}},
		{"bytes", 68.719476736, tune.Fleet{BytesPerSecond: 1e9}, tune.FleetKey{}},
		{"refresh", 891, tune.Fleet{SealsPerSecond: 1e9}, tune.FleetKey{Kind: tune.DomainKey}},
	} {
		if tt.k.Kind == "" {
			tt.k.Kind = tune.DataKey
		}
		tt.f.Pods, tt.f.Keys = 1, []tune.FleetKey{tt.k}
		b, err := tune.Sizing(tt.f, tune.Price{})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Keys[0]; got.By != tt.want || math.Abs(got.Period-tt.period) > 1e-6 {
			t.Errorf("%+v, want %v s by %s", got, tt.period, tt.want)
		}
	}
}

func TestAStartThatPassesTheQuotaIsSaid(t *testing.T) {
	f := tune.Fleet{Pods: 500, Tenants: 1000, Consumers: 2, Keys: []tune.FleetKey{{Name: "pii", Kind: tune.DataKey}, {Name: "pci", Kind: tune.DataKey, Scopes: 10_000}}}
	b, err := tune.Sizing(f, tune.Prices()["gcp-kms"])
	if err != nil {
		t.Fatal(err)
	}
	// 20 at a time of 10 ms each are 2,000 a second for each process.
	if b.Start != 500*22_000 || b.StartSecond != 500*2_000 || b.StartTakes != 11_000 {
		t.Errorf("%+v", b)
	}
	text := strings.Join(b.Notes, "\n")
	for _, want := range []string{"more than the quota of 1,000", "keys.max_scopes", "keys.max_openers", "more than half of the quota"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in %s", want, text)
		}
	}
}

func TestAFleetThatCannotBeIsRefused(t *testing.T) {
	data := []tune.FleetKey{{Name: "k", Kind: tune.DataKey}}
	for name, f := range map[string]tune.Fleet{
		"negative pods":        {Pods: -1, Keys: data},
		"restarts of NaN":      {Restarts: math.NaN(), Keys: data},
		"a key of no kind":     {Keys: []tune.FleetKey{{Name: "k"}}},
		"refresh after expire": {Keys: []tune.FleetKey{{Name: "k", Kind: tune.DataKey, Refresh: time.Hour, Expire: time.Minute}}},
		"a negative latency":   {Latency: -1, Keys: data},
	} {
		if b, err := tune.Sizing(f, tune.Price{}); err == nil || b != nil {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
}

func TestNoLineOfABillIsWiderThanATerminal(t *testing.T) {
	f := tune.Fleet{
		Pods: 1_000_000, Restarts: 1e6, Tenants: 100_000, KEKs: 1 << 40, Consumers: 1_000_000, ConsumerRestarts: 1e6,
		Keys: []tune.FleetKey{{Name: strings.Repeat("ä", 64), Kind: tune.DataKey}, {Name: "persons", Kind: tune.PersonKey}},
	}
	for scheme, price := range tune.Prices() {
		b, err := tune.Sizing(f, price)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := b.Write(&out); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", scheme, n, line)
			}
		}
		out.Reset()
		if err := b.WriteJSON(&out); err != nil || !json.Valid(out.Bytes()) {
			t.Errorf("%v", err)
		}
	}
}
