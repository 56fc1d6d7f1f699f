package fieldcrypt_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
)

// notebook is a memory that several engines share.
type notebook struct {
	mu     sync.Mutex
	topics map[string]fieldcrypt.Remembered
	err    error
	writes int
}

func (n *notebook) Update(_ context.Context, topic string, change func(fieldcrypt.Remembered) (fieldcrypt.Remembered, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return n.err
	}
	next, err := change(n.topics[topic])
	if err != nil {
		return err
	}
	if n.topics == nil {
		n.topics = make(map[string]fieldcrypt.Remembered)
	}
	if !next.Equal(n.topics[topic]) {
		n.writes++
		n.topics[topic] = next
	}
	return nil
}

const memoryPolicy = "version: 1\nunknown_tag: allow\nuntagged_schema: allow\nkeys: {pii: {kek: \"local:k\"}}\n" +
	"rules: [{tag: PII, action: encrypt, key: pii}]\n"

// rememberer returns an engine as a new process has it, with the memory of all.
func (w *world) rememberer(policy string, m fieldcrypt.Memory) *fieldcrypt.Engine {
	w.t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := datakey.New(w.kms, datakey.WithStore(w.store))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(w.schemas), fieldcrypt.WithMemory(m))
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func record(fields string) string {
	return `{"type": "record", "name": "com.example.R", "fields": [` + fields + `]}`
}

func TestASchemaThatTakesProtectionAwayIsRefusedUntilItIsAcknowledged(t *testing.T) {
	const first = `{"name": "ssn", "type": "string", "confluent:tags": ["PII"]}, {"name": "note", "type": "string"}`
	for _, tt := range []struct {
		name, schema string
		value        map[string]any
		lost         bool
	}{
		{"the same", record(first), map[string]any{"ssn": "111-11", "note": "n"}, false},
		{"another field", record(first + `, {"name": "x", "type": "string", "default": ""}`), map[string]any{"ssn": "111-11", "note": "n", "x": "x"}, false},
		{"another tagged field", record(first + `, {"name": "x", "type": "string", "confluent:tags": ["PII"]}`), map[string]any{"ssn": "111-11", "note": "n", "x": "x"}, false},
		{"nullable", record(`{"name": "ssn", "type": ["null", "string"], "confluent:tags": ["PII"]}, {"name": "note", "type": "string"}`), map[string]any{"ssn": "111-11", "note": "n"}, false},
		{"without the tag", record(`{"name": "ssn", "type": "string"}, {"name": "note", "type": "string"}`), map[string]any{"ssn": "111-11", "note": "n"}, true},
		{"another tag, which has no rule", record(`{"name": "ssn", "type": "string", "confluent:tags": ["pii"]}, {"name": "note", "type": "string"}`), map[string]any{"ssn": "111-11", "note": "n"}, true},
		{"renamed", record(`{"name": "social", "type": "string", "confluent:tags": ["PII"]}, {"name": "note", "type": "string"}`), map[string]any{"social": "111-11", "note": "n"}, true},
		{"renamed with an alias", record(`{"name": "social", "aliases": ["ssn"], "type": "string", "confluent:tags": ["PII"]}, {"name": "note", "type": "string"}`), map[string]any{"social": "111-11", "note": "n"}, true},
		{"another type", record(`{"name": "ssn", "type": "bytes", "confluent:tags": ["PII"]}, {"name": "note", "type": "string"}`), map[string]any{"ssn": []byte("111-11"), "note": "n"}, true},
		{"moved into a record", record(`{"name": "in", "type": {"type": "record", "name": "I", "fields": [{"name": "ssn", "type": "string", "confluent:tags": ["PII"]}]}}, {"name": "note", "type": "string"}`), map[string]any{"in": map[string]any{"ssn": "111-11"}, "note": "n"}, true},
		{"gone", record(`{"name": "note", "type": "string"}`), map[string]any{"note": "n"}, true},
		{"under another record name", strings.Replace(record(first), "com.example.R", "com.example.Q", 1), map[string]any{"ssn": "111-11", "note": "n"}, false},
		{"under another record name, without the tag", strings.Replace(record(`{"name": "ssn", "type": "string"}, {"name": "note", "type": "string"}`), "com.example.R", "com.example.Q", 1), map[string]any{"ssn": "111-11", "note": "n"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, m := newWorld(t), new(notebook)
			w.schemas[1], w.schemas[2] = avroText(record(first)), avroText(tt.schema)
			before := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"ssn": "111-11", "note": "n"})}
			after := fieldcrypt.Record{Topic: "t", Value: w.framed(2, tt.value)}
			sealed, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), before)
			if err != nil {
				t.Fatal(err)
			}
			// Another process, later.
			e := w.rememberer(memoryPolicy, m)
			out, err := e.Protect(t.Context(), after)
			if !tt.lost {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			checkCode(t, "compile", err, fieldcrypt.CodeProtectionLost)
			loss, ok := errors.AsType[*fieldcrypt.LossError](err)
			if !ok || len(loss.Fields) != 1 || loss.Fields[0].Path != "/ssn" || out.Value != nil {
				t.Fatalf("%+v", loss)
			}
			// Reading goes on, of this version too, and producing with the old one.
			if _, err := e.Reveal(t.Context(), sealed); err != nil {
				t.Error(err)
			}
			if _, err := e.Protect(t.Context(), before); err != nil {
				t.Error(err)
			}
			if _, err := e.Protect(t.Context(), after); err == nil {
				t.Error("it passes the second time")
			}
			// Somebody looks at it and says so.
			acknowledged := memoryPolicy + "topics: [{match: t, acknowledge: [\"" + loss.Digest + "\"]}]\n"
			e = w.rememberer(acknowledged, m)
			if _, err := e.Protect(t.Context(), after); err != nil {
				t.Fatal(err)
			}
			// Then that is how it is: the version after it needs no word.
			w.schemas[3] = avroText(strings.TrimSuffix(tt.schema, "]}") + `, {"name": "more", "type": "string"}]}`)
			tt.value["more"] = "more"
			if _, err := w.rememberer(acknowledged, m).Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(3, tt.value)}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnIDThatComesBackWithAnotherSchemaStops(t *testing.T) {
	w, m := newWorld(t), new(notebook)
	const ssn = `{"name": "ssn", "type": "string", "confluent:tags": ["PII"]}`
	w.schemas[1] = avroText(record(ssn))
	rec := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"ssn": "111-11"})}
	if _, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	w.schemas[1] = avroText(record(ssn + `, {"name": "x", "type": "string", "default": ""}`))
	_, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), rec)
	checkCode(t, "compile", err, fieldcrypt.CodeSchema)
	if e, ok := errors.AsType[*fieldcrypt.Error](err); !ok || e.Retryable() || !strings.Contains(err.Error(), "stood for another schema") {
		t.Error(err)
	}
}

func TestAMemoryThatIsAwayStopsOnlyWhatItHasNotSeen(t *testing.T) {
	w, m := newWorld(t), new(notebook)
	const ssn = `{"name": "ssn", "type": "string", "confluent:tags": ["PII"]}`
	w.schemas[1], w.schemas[2] = avroText(record(ssn)), avroText(record(ssn+`, {"name": "x", "type": "string", "default": ""}`))
	one := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"ssn": "111-11"})}
	two := fieldcrypt.Record{Topic: "t", Value: w.framed(2, map[string]any{"ssn": "111-11", "x": "x"})}
	e := w.rememberer(memoryPolicy, m)
	if _, err := e.Protect(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	m.err = errors.New("disk on fire")
	m.mu.Unlock()
	if _, err := e.Protect(t.Context(), one); err != nil {
		t.Error(err)
	}
	_, err := e.Protect(t.Context(), two)
	checkCode(t, "compile", err, fieldcrypt.CodeMemory)
	if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || !f.Retryable() {
		t.Error(err)
	}
	m.mu.Lock()
	m.err = nil
	m.mu.Unlock()
	for range 3 {
		if _, err := e.Protect(t.Context(), two); err != nil {
			t.Error(err)
		}
	}
	if m.writes != 2 {
		t.Errorf("%d writes, want one for each schema", m.writes)
	}
}

// A tag that stands beside the schema counts like one in it, and is missed as
// much.
func TestTagsBesideTheTextAreRemembered(t *testing.T) {
	w, m := newWorld(t), new(notebook)
	text := avroText(record(`{"name": "ssn", "type": "string", "confluent:tags": ["PII"]}`))
	w.schemas[1] = text
	rec := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"ssn": "111-11"})}
	if _, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	text.Demands = []schema.Demand{{Name: "r", Tags: []string{"OTHER"}}}
	w.schemas[1] = text
	_, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), rec)
	checkCode(t, "compile", err, fieldcrypt.CodeSchema)
}

// A branch that comes beside a protected one takes values away from it.
func TestANewBranchInClearBesideAProtectedOneIsALoss(t *testing.T) {
	const tagged = `{"type": "string", "confluent:tags": ["PII"]}`
	for name, typ := range map[string]string{
		"bytes":    `[` + tagged + `, "bytes"]`,
		"a record": `[` + tagged + `, {"type": "record", "name": "In", "fields": [{"name": "v", "type": "string"}]}]`,
		"an array": `[` + tagged + `, {"type": "array", "items": "string"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			w, m := newWorld(t), new(notebook)
			w.schemas[1] = avroText(record(`{"name": "email", "type": ` + tagged + `}`))
			w.schemas[2] = avroText(record(`{"name": "email", "type": ` + typ + `}`))
			rec := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"email": "ada@example.com"})}
			if _, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			rec.Value = w.framed(2, map[string]any{"email": "ada@example.com"})
			_, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), rec)
			checkCode(t, "compile", err, fieldcrypt.CodeProtectionLost)
			// Where that branch stood from the beginning, it is no news.
			fresh := new(notebook)
			for range 2 {
				if _, err := w.rememberer(memoryPolicy, fresh).Protect(t.Context(), rec); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestARenamedTypeDoesNotHideBehindASmallerOne(t *testing.T) {
	w, m := newWorld(t), new(notebook)
	pii := func(name string) string {
		return `{"name": "` + name + `", "type": "string", "confluent:tags": ["PII"]}`
	}
	named := func(name, fields string) string { return strings.Replace(record(fields), "com.example.R", name, 1) }
	w.schemas[1] = avroText(named("Login", pii("email")))
	w.schemas[2] = avroText(named("Person", pii("email")+", "+pii("nick")))
	w.schemas[3] = avroText(named("Human", pii("email")+`, {"name": "nick", "type": "string"}`))
	w.schemas[4] = avroText(named("Visit", pii("email")+`, {"name": "page", "type": "string"}`))
	// The smaller one first: after the larger one it would look like a loss.
	for i, value := range []map[string]any{{"email": "a"}, {"email": "a", "nick": "b"}} {
		if _, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(i+1, value)}); err != nil {
			t.Fatal(err)
		}
	}
	e := w.rememberer(memoryPolicy, m)
	_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(3, map[string]any{"email": "a", "nick": "b"})})
	checkCode(t, "compile", err, fieldcrypt.CodeProtectionLost)
	// A type of its own passes.
	if _, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(4, map[string]any{"email": "a", "page": "p"})}); err != nil {
		t.Error(err)
	}
}

// Taking a container as a whole protects more than its leaves did.
func TestMoreProtectionIsNoLoss(t *testing.T) {
	w, m := newWorld(t), new(notebook)
	const home = `{"name": "home", "confluent:tags": ["PII"], "type": {"type": "record", "name": "Home", "fields": [{"name": "street", "type": "string"}]}}`
	w.schemas[1] = avroText(record(home))
	rec := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"home": map[string]any{"street": "s"}})}
	if _, err := w.rememberer(memoryPolicy, m).Protect(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	whole := strings.Replace(memoryPolicy, "key: pii}", "key: pii, apply: whole}", 1)
	_, err := w.rememberer(whole, m).Protect(t.Context(), rec)
	// It needs a registrar, which is another matter.
	checkCode(t, "compile", err, fieldcrypt.CodePolicy)
}
