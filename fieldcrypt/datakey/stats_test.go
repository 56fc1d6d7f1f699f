package datakey

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// eventLog is an Observer that asks back, as one that scrapes may.
type eventLog struct {
	cache  *Cache
	mu     sync.Mutex
	events []Event
}

func (l *eventLog) Observe(e Event) {
	if l.cache != nil {
		l.cache.Stats()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) count(kind EventKind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestStatsAndEventsTellWhatHappened(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake, log := kmstest.NewFake(), new(eventLog)
		c := newCache(t, fake, WithObserver(log), drawing(lateDraw))
		log.cache = c
		fake.FailNext(1, kms.ErrThrottled)
		w := c.testScope(t, ScopeSpec{Tenant: "acme"}).NewSealer()
		start := time.Now()
		sealOne(t, w, "four")
		c.testScope(t, ScopeSpec{Tenant: "cold"})
		at(start, 10*time.Minute)

		got := c.Stats()
		if len(got.Keys) != 1 || len(got.Endpoints) != 1 || got.Openers != 1 || !got.Ready {
			t.Fatalf("%+v", got)
		}
		k, e := got.Keys[0], got.Endpoints[0]
		if k.Key != "pii" || k.Tenant != "" || k.Scopes != 2 || k.Warm != 1 || k.Keys != 1 || k.Waits != 1 {
			t.Errorf("key: %+v", k)
		}
		if k.Age+k.Left != time.Hour || k.Age > 10*time.Minute || k.Age < 9*time.Minute {
			t.Errorf("age %v, left %v", k.Age, k.Left)
		}
		if k.SealsLeft != DefaultSeals-leaseSeals || k.BytesLeft != DefaultBytes-leaseBytes {
			t.Errorf("%d seals and %d bytes left", k.SealsLeft, k.BytesLeft)
		}
		want := []CallStats{{OpGenerate, OutcomeOK, 1}, {OpGenerate, OutcomeThrottled, 1}, {OpUnwrap, OutcomeOK, 1}}
		if e.Endpoint != "fake" || e.Circuit != CircuitClosed || !slices.Equal(e.Calls, want) || e.InFlight != 0 {
			t.Errorf("endpoint: %+v", e)
		}
		fake.Fail(kms.ErrUnavailable)
		for d := 10 * time.Minute; d < 62*time.Minute; d += 300 * time.Millisecond {
			at(start, d)
			_ = w.Reserve(t.Context(), 1, 1)
		}
		got = c.Stats()
		k, e = got.Keys[0], got.Endpoints[0]
		if k.Warm != 0 || k.Age != 0 || k.Left != 0 || k.Negatives == 0 || !slices.Contains(k.Drops, DropStats{DropExpired, 1}) {
			t.Errorf("after an outage: %+v", k)
		}
		if e.Circuit == CircuitClosed || e.Opened != 1 {
			t.Errorf("after an outage: %+v", e)
		}
		calls := uint64(0)
		for _, n := range e.Calls {
			calls += n.Count
		}
		if n := log.count(EventCall); uint64(n) != calls {
			t.Errorf("%d events for %d calls", n, calls)
		}
		for kind, want := range map[EventKind]int{EventKey: 1, EventDrop: 1, EventCircuit: 1} {
			if n := log.count(kind); n != want {
				t.Errorf("%d events of kind %s, want %d", n, kind, want)
			}
		}
		if log.count(EventNegative) == 0 || log.count(EventWait) == 0 {
			t.Error("waits or refusals are not observed")
		}
		for _, e := range log.events {
			if e.Tenant != "" {
				t.Fatalf("a tenant in an event: %+v", e)
			}
		}
	})
}

func TestTenantsAreToldApartOnlyWhereThatIsAskedFor(t *testing.T) {
	log := new(eventLog)
	c := newCache(t, kmstest.NewFake(), WithTenantMetrics(), WithObserver(log))
	for i := range 3 {
		sealOne(t, c.testScope(t, ScopeSpec{Tenant: fmt.Sprint(i)}).NewSealer(), "x")
	}
	got := c.Stats().Keys
	if len(got) != 3 || got[1].Tenant != "1" || got[0].Keys != 3 || got[1].Keys != 0 {
		t.Errorf("%+v", got)
	}
	if e := log.events[len(log.events)-1]; e.Tenant != "2" {
		t.Errorf("%+v", e)
	}
}

type panickyObserver struct{}

func (panickyObserver) Observe(Event) { panic("metrics") }

func TestAnObserverThatPanicsStopsNothing(t *testing.T) {
	c := newCache(t, kmstest.NewFake(), WithObserver(panickyObserver{}))
	sealOne(t, c.testScope(t, ScopeSpec{}).NewSealer(), "x")
}

func TestEveryClassOfErrorHasAnOutcome(t *testing.T) {
	for _, o := range outcomes() {
		if got := outcomeOf(fmt.Errorf("x: %w", o.err)); got != o.outcome {
			t.Errorf("%v is %q", o.err, got)
		}
		if o.outcome.passing() != kms.Retryable(o.err) {
			t.Errorf("%q: passing %v", o.outcome, o.outcome.passing())
		}
	}
	if outcomeOf(nil) != OutcomeOK || OutcomeOK.passing() || outcomeOf(errPanic) != OutcomeFailed || !OutcomeFailed.passing() {
		t.Error("what has no class")
	}
}
