package fieldcrypt

import (
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
)

func boundedEngine(t *testing.T) *Engine {
	t.Helper()
	p, err := ParsePolicy([]byte("version: 1\nkeys: {k: {kek: \"local:k\"}}\nrules: [{tag: PII, action: encrypt, key: k}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	text := schema.Text{Format: schema.Avro, Schema: `{"type": "record", "name": "R", "fields": [{"name": "x", "type": "string", "confluent:tags": ["PII"]}]}`}
	source := schema.Static{}
	for id := 1; id <= 4; id++ {
		source[id] = text
	}
	e, err := New(p, keys, WithSchemas(source), WithTopicSchema("bare", text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Topics, schema ids and tenants come from records. What the engine remembers of
// them is bounded, and it goes on past the bounds; a topic whose schema was
// given to New keeps it.
func TestWhatAnEngineRemembersIsBounded(t *testing.T) {
	e := boundedEngine(t)
	value := []byte("\x02v")
	protect := func(topic, framing string) {
		t.Helper()
		if _, err := e.Protect(t.Context(), Record{Topic: topic, Value: append([]byte(framing), value...)}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("topics", func(t *testing.T) {
		full := map[string]*topicPlans{}
		for i := range maxTopics {
			full[fmt.Sprint(i)] = nil
		}
		e.topics.Store(&full)
		protect("bare", "")
		protect("framed", "\x00\x00\x00\x00\x01")
		if n := len(*e.topics.Load()); n != 2 {
			t.Errorf("%d topics are remembered", n)
		}
	})
	t.Run("schema ids of a topic", func(t *testing.T) {
		plans, err := e.topic("framed")
		if err != nil {
			t.Fatal(err)
		}
		full := map[planKey]*planned{}
		for i := range maxPlans {
			full[planKey{id: 1_000_000 + i}] = nil
		}
		plans.plans.Store(&full)
		protect("framed", "\x00\x00\x00\x00\x02")
		protect("framed", "\x00\x00\x00\x00\x03")
		if n := len(*plans.plans.Load()); n != 2 {
			t.Errorf("%d plans are remembered", n)
		}
	})
	t.Run("tenants of a plan", func(t *testing.T) {
		plans, err := e.topic("bare")
		if err != nil {
			t.Fatal(err)
		}
		plan := (*plans.plans.Load())[planKey{}].plan
		busy, err := plan.bind("busy")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 * maxBindings {
			if _, err := plan.bind(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			if b, err := plan.bind("busy"); err != nil || b != busy {
				t.Fatalf("after %d others the busy tenant is forgotten: %v", i, err)
			}
		}
		stored := 0
		plan.bindings.byTenant.Range(func(any, any) bool { stored++; return true })
		if n := plan.bindings.len(); n != maxBindings || stored != n {
			t.Errorf("%d tenants are remembered, %d of them found", n, stored)
		}
		for _, tenant := range []string{"acme", "other", ""} {
			if _, _, err := plan.AppendProtected(t.Context(), tenant, nil, value, nil); err != nil {
				t.Fatal(err)
			}
		}
		if plan.bindings.get("0") != nil || plan.bindings.get("acme") == nil {
			t.Error("the wrong tenants are remembered")
		}
	})
}

// Readers of many tenants share nothing that they write.
func TestABindingIsFoundWithoutAllocations(t *testing.T) {
	if invariants.Enabled {
		t.Skip("race detector and invariant checks allocate: not tested in this build")
	}
	e := boundedEngine(t)
	plans, err := e.topic("bare")
	if err != nil {
		t.Fatal(err)
	}
	plan := (*plans.plans.Load())[planKey{}].plan
	tenants := []string{"acme", "globex"}
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		if _, err := plan.bind(tenants[i%2]); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A framing that is not one is refused, whatever stands in it.
func TestOnlyTheFramingOfRegistryClientsIsRead(t *testing.T) {
	for value, want := range map[string]int{
		"\x00\x00\x00\x00\x01": 1, "\x00\x7f\xff\xff\xffrest": 1<<31 - 1,
		"": 0, "\x00\x00\x00\x00": 0, "\x01\x00\x00\x00\x01": 0, "\x00\x00\x00\x00\x00": 0, "\x00\x80\x00\x00\x00": 0, "\x00\xff\xff\xff\xff": 0,
	} {
		var f frame
		err := f.read(&Record{Value: []byte(value)})
		if want == 0 {
			if err == nil || f.key != (planKey{}) || f.size != 0 {
				t.Errorf("%x: id %d, %d bytes, %v", value, f.key.id, f.size, err)
			}
			continue
		}
		if err != nil || f.key.id != want || f.size != wire.FrameSize {
			t.Errorf("%x: id %d, %d bytes, %v", value, f.key.id, f.size, err)
		}
	}
}
