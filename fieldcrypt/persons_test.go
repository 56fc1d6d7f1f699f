package fieldcrypt_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// people is a world whose processes share the keys of persons.
type people struct {
	*world

	store  *shred.MemStore
	ledger *shred.MemLedger
}

func newPeople(t *testing.T) *people {
	t.Helper()
	return &people{world: newWorld(t), store: new(shred.MemStore), ledger: new(shred.MemLedger)}
}

// process returns an engine, and the keys of persons that it holds.
func (p *people) process(policy string, more ...fieldcrypt.Option) (*fieldcrypt.Engine, *datakey.Persons) {
	p.t.Helper()
	keys, err := datakey.New(p.kms)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(keys.Close)
	persons, err := datakey.OpenPersons(p.t.Context(), keys, p.store, p.ledger)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.world.engine(policy, append(more, fieldcrypt.WithPersons(persons))...), persons
}

func (p *people) engine(policy string) *fieldcrypt.Engine {
	e, _ := p.process(policy)
	return e
}

const personPolicy = `
version: 1
dataset: customers
persons: {kek: "local:persons", by: %s}
keys:
  pii: {kek: "local:pii"}
rules:
  - {tag: PII.OWN, action: encrypt, mode: person}
  - {tag: PII, action: encrypt, key: pii}
topics: [{match: "*"}]
`

// The identifier stands behind the first value and before the others.
const personFields = `{"name": "name", "type": "string", "confluent:tags": ["PII.OWN"]},
	{"name": "customer", "type": ["null", "string", "long"]},
	{"name": "photo", "type": ["null", "bytes"], "confluent:tags": ["PII.OWN"]},
	{"name": "notes", "type": {"type": "array", "items": "string"}, "confluent:tags": ["PII.OWN"]},
	{"name": "email", "type": "string", "confluent:tags": ["PII"]}`

func customerOf(id any, n int) map[string]any {
	return map[string]any{
		"name": fmt.Sprint("Name ", n), "customer": id, "photo": []byte{1, 2, byte(n)},
		"notes": []any{fmt.Sprint("note ", n), ""}, "email": fmt.Sprint(n, "@example.com"),
	}
}

func TestAPersonsValuesAreSealedUnderHisKeyAndComeBack(t *testing.T) {
	p := newPeople(t)
	p.schemas[1] = avroText(record(personFields))
	for by, beside := range map[string]func(rec *fieldcrypt.Record, id string){
		"/customer": func(*fieldcrypt.Record, string) {},
		"key":       func(rec *fieldcrypt.Record, id string) { rec.Key = []byte(id) },
		"header:c": func(rec *fieldcrypt.Record, id string) {
			rec.Headers = []fieldcrypt.Header{{Key: "c", Value: []byte(id)}}
		},
	} {
		t.Run(by, func(t *testing.T) {
			policy := fmt.Sprintf(personPolicy, by)
			writer, reader := p.engine(policy), p.engine(policy)
			keys := map[string]map[datakey.ID]bool{}
			for n := range 30 {
				who := fmt.Sprint("c-", n%3)
				rec := fieldcrypt.Record{Topic: "t", Value: p.framed(1, customerOf(who, n))}
				beside(&rec, who)
				out, err := writer.Protect(t.Context(), rec)
				if err != nil {
					t.Fatal(err)
				}
				got := p.decoded(1, out.Value)
				name, _ := got["name"].(string)
				if !strings.HasPrefix(name, "fv1:") || got["customer"] != who {
					t.Fatalf("record %v", got)
				}
				v, err := datakey.ParseValue(bytesOf(t, got["photo"]))
				if err != nil {
					t.Fatal(err)
				}
				if keys[who] == nil {
					keys[who] = map[datakey.ID]bool{}
				}
				keys[who][v.KeyID()] = true
				for _, h := range out.Headers {
					if h.Key == fieldcrypt.HeaderKey && bytes.Contains(h.Value, []byte("local:persons")) {
						t.Error("FV-100: the record carries a key that opens keys of persons")
					}
				}
				back, err := reader.Reveal(t.Context(), out)
				if err != nil || !bytes.Equal(back.Value, rec.Value) {
					t.Fatalf("revealed: %v, equal %v", err, bytes.Equal(back.Value, rec.Value))
				}
			}
			for who, ids := range keys {
				if len(ids) != 1 {
					t.Errorf("%s has %d keys", who, len(ids))
				}
			}
		})
	}
}

func bytesOf(t *testing.T, v any) []byte {
	t.Helper()
	b, ok := v.([]byte)
	if !ok {
		t.Fatalf("no bytes: %T", v)
	}
	return b
}

func TestFV104ForgettingClosesOnePersonAndNobodyElse(t *testing.T) {
	p := newPeople(t)
	p.schemas[1] = avroText(record(personFields))
	policy := fmt.Sprintf(personPolicy, "/customer")
	writer, _ := p.process(policy)
	reader, persons := p.process(policy)
	lenient, _ := p.process(strings.Replace(policy, "by: /customer", "by: /customer, on_forgotten: redact", 1))
	var recs, outs []fieldcrypt.Record
	for n := range 20 {
		rec := fieldcrypt.Record{Topic: "t", Value: p.framed(1, customerOf(fmt.Sprint("c-", n%4), n))}
		out, err := writer.Protect(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Reveal(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		recs, outs = append(recs, rec), append(outs, out)
	}
	done, err := writer.Forget(t.Context(), "", "c-1", "dpo", "request 17")
	if err != nil || done.Seq != 1 {
		t.Fatalf("Forget = %+v, %v", done, err)
	}
	if id, err := reader.PersonID(t.Context(), "", "c-1"); err != nil || id != done.Person {
		t.Errorf("the entry is of %s, and the person is %s, %v", done.Person, id, err)
	}
	if err := persons.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, out := range outs {
		back, err := reader.Reveal(t.Context(), out)
		if n%4 != 1 {
			if err != nil || !bytes.Equal(back.Value, recs[n].Value) {
				t.Errorf("record %d: %v", n, err)
			}
			continue
		}
		checkCode(t, fmt.Sprint("record ", n), err, fieldcrypt.CodeForgotten)
		e, _ := errors.AsType[*fieldcrypt.Error](err)
		if e == nil || e.Retryable() || e.Path == "" || strings.Contains(e.Error(), "c-1") {
			t.Errorf("record %d: %v", n, err)
		}
		if back, err = lenient.Reveal(t.Context(), out); err != nil {
			t.Errorf("record %d, redacted: %v", n, err)
			continue
		}
		got := p.decoded(1, back.Value)
		if got["name"] != "[forgotten]" || got["email"] != fmt.Sprint(n, "@example.com") {
			t.Errorf("record %d, redacted: %v", n, got)
		}
	}
	if n := lenient.Stats().Forgotten; n != 5*4 {
		t.Errorf("%d values were counted", n)
	}
	_, err = writer.Protect(t.Context(), recs[1])
	checkCode(t, "a new record", err, fieldcrypt.CodeForgotten)
	if _, err := writer.Protect(t.Context(), recs[2]); err != nil {
		t.Errorf("another person: %v", err)
	}
}

func TestRecordsThatDoNotTellWhoseTheyAre(t *testing.T) {
	p := newPeople(t)
	p.schemas[1] = avroText(record(personFields))
	for by, name := range map[string]string{"/customer": "null in the field", "key": "no key", "header:c": "no header"} {
		e := p.engine(fmt.Sprintf(personPolicy, by))
		_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: p.framed(1, customerOf(nil, 1))})
		checkCode(t, name, err, fieldcrypt.CodePerson)
	}
	// What the record does not hold needs no person.
	p.schemas[2] = avroText(record(`{"name": "photo", "type": ["null", "bytes"], "confluent:tags": ["PII.OWN"]}, {"name": "customer", "type": "string"}`))
	e := p.engine(fmt.Sprintf(personPolicy, "/customer"))
	if _, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: p.framed(2, map[string]any{"photo": nil, "customer": ""})}); err != nil {
		t.Errorf("a record without values: %v", err)
	}
	n := 0
	if err := p.store.EachRoot(t.Context(), func(string, []byte) error { n++; return nil }); err != nil || n > 1 {
		t.Errorf("%d roots, %v", n, err)
	}
}

func TestWhatPersonKeysNeedAtCompile(t *testing.T) {
	p := newPeople(t)
	p.schemas[1] = avroText(record(personFields))
	rec := fieldcrypt.Record{Topic: "t", Value: p.framed(1, customerOf("c", 1))}
	_, err := p.world.engine(fmt.Sprintf(personPolicy, "/customer")).Protect(t.Context(), rec)
	checkCode(t, "an engine without keys of persons", err, fieldcrypt.CodePolicy)
	_, err = p.engine(fmt.Sprintf(personPolicy, "/nobody")).Protect(t.Context(), rec)
	checkCode(t, "a field that the schema does not have", err, fieldcrypt.CodePolicy)
	two := strings.Replace(fmt.Sprintf(personPolicy, "/customer"), "{tag: PII, action: encrypt, key: pii}", "{tag: PII, action: encrypt, mode: person, by: key}", 1)
	_, err = p.engine(two).Protect(t.Context(), rec)
	checkCode(t, "two identifiers in one record", err, fieldcrypt.CodePolicy)
	headers := strings.Replace(fmt.Sprintf(personPolicy, "key"), `{match: "*"}`, `{match: "*", headers: [{name: h, action: encrypt, mode: person}]}`, 1)
	_, err = p.engine(headers).Protect(t.Context(), rec)
	checkCode(t, "a header", err, fieldcrypt.CodePolicy)
	_, err = p.world.engine(onePolicy("gcm", "")).Forget(t.Context(), "", "c", "dpo", "x")
	checkCode(t, "forgetting without persons", err, fieldcrypt.CodePolicy)
	_, err = p.engine(fmt.Sprintf(personPolicy, "/customer")).Forget(t.Context(), "", "", "dpo", "x")
	checkCode(t, "forgetting nobody", err, fieldcrypt.CodePerson)
}

// One record after another of many persons, by many goroutines: no value is ever
// sealed under another person's key.
func TestPersonsDoNotMixUnderLoad(t *testing.T) {
	p := newPeople(t)
	p.schemas[1] = avroText(record(personFields))
	policy := fmt.Sprintf(personPolicy, "/customer")
	e, _ := p.process(policy)
	var (
		mu     sync.Mutex
		keysOf = map[string][]datakey.ID{}
		wg     sync.WaitGroup
		values [8][]fieldcrypt.Record
	)
	for g := range values {
		for n := range 100 {
			values[g] = append(values[g], fieldcrypt.Record{Topic: "t", Value: p.framed(1, customerOf(fmt.Sprint("c-", (g+n)%17), n))})
		}
	}
	outs := make([][]fieldcrypt.Record, len(values))
	for g := range values {
		wg.Go(func() {
			for n, rec := range values[g] {
				if n%7 == 3 {
					// A record that fails in between must leave nothing behind.
					bad := rec
					bad.Value = rec.Value[:len(rec.Value)-3]
					if _, err := e.Protect(t.Context(), bad); err == nil {
						t.Error("a cut record passed")
					}
				}
				out, err := e.Protect(t.Context(), rec)
				if err != nil {
					t.Error(err)
					return
				}
				outs[g] = append(outs[g], out)
			}
		})
	}
	wg.Wait()
	for g := range outs {
		for n, out := range outs[g] {
			got := p.decoded(1, out.Value)
			v, err := datakey.ParseValue(bytesOf(t, got["photo"]))
			if err != nil {
				t.Fatal(err)
			}
			who, _ := got["customer"].(string)
			mu.Lock()
			if !slices.Contains(keysOf[who], v.KeyID()) {
				keysOf[who] = append(keysOf[who], v.KeyID())
			}
			mu.Unlock()
			back, err := e.Reveal(t.Context(), out)
			if err != nil || !bytes.Equal(back.Value, values[g][n].Value) {
				t.Fatalf("revealed: %v", err)
			}
		}
	}
	seen := map[datakey.ID]string{}
	for who, ids := range keysOf {
		if len(ids) != 1 {
			t.Errorf("%s has %d keys", who, len(ids))
		}
		for _, id := range ids {
			if other := seen[id]; other != "" {
				t.Errorf("%s and %s have one key", who, other)
			}
			seen[id] = who
		}
	}
}

func TestPersonsOfATypeThatChanges(t *testing.T) {
	p := newPeople(t)
	text := avroText(record(`{"name": "age", "type": ["null", "int"], "confluent:tags": ["PII.OWN"]}, {"name": "customer", "type": "long"}`))
	parsed, err := avro.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := fieldcrypt.ParsePolicy([]byte(fmt.Sprintf(personPolicy, "/customer")))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(p.kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	persons, err := datakey.OpenPersons(t.Context(), keys, p.store, p.ledger)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(parsed, policy, keys, "t", fieldcrypt.WithPersons(persons))
	if err != nil {
		t.Fatal(err)
	}
	src := []byte{2, 84, 14} // 42, of customer 7
	out, blocks, err := plan.AppendProtected(t.Context(), "", nil, src, nil)
	if err != nil || len(blocks) != 0 {
		t.Fatalf("%d blocks, %v", len(blocks), err)
	}
	derived, ok := plan.Derived()
	if !ok {
		t.Fatal("no derived schema")
	}
	back, err := avro.Parse(derived)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := fieldcrypt.Compile(back, policy, keys, "t", fieldcrypt.WithPersons(persons))
	if err != nil {
		t.Fatal(err)
	}
	got, err := reader.AppendRevealed(t.Context(), "", nil, out, nil)
	if err != nil || !bytes.Equal(got, src) {
		t.Errorf("revealed %x, %v", got, err)
	}
}
