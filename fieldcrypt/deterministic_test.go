package fieldcrypt_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// domainKey makes a version of a domain key, as a policy spells it.
func (w *world) domainKey(tenant string) string {
	w.t.Helper()
	return w.domainKeyOf("local:k", tenant)
}

func (w *world) domainKeyUnder(kek string) string { return w.domainKeyOf(kek, "") }

func (w *world) domainKeyOf(kek, tenant string) string {
	w.t.Helper()
	block, err := datakey.CreateDomainBlock(w.t.Context(), w.kms, kek, tenant)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%q", base64.StdEncoding.EncodeToString(block))
}

const keyRules = `
version: 1
dataset: people
keys: {pii: {kek: "local:k"}}
domain_keys:
  ids: {kek: "local:k", versions: [%s]}
rules:
  - {tag: PII.ID, action: encrypt, key: ids, mode: deterministic, join: person-id}
  - {tag: PII.MAIL, action: encrypt, key: ids, mode: deterministic}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - {match: "people*", key: {action: encrypt, key: ids, mode: deterministic, join: person-id}}
  - {match: "orders", key: {action: encrypt, key: ids, mode: deterministic}, headers: [{name: x-id, action: encrypt, key: ids, mode: deterministic, join: person-id}]}
`

// FV-71, and FV-24: a join domain takes the place of the field.
func TestRecordKeysAreProtectedTheSameEverywhere(t *testing.T) {
	w := newWorld(t)
	policy := fmt.Sprintf(keyRules, w.domainKey(""))
	w.schemas[1] = avroText(record(`{"name": "id", "type": "string", "confluent:tags": ["PII.ID"]}, {"name": "n", "type": "string", "confluent:tags": ["PII.NAME"]}`))
	rec := func(topic, key string) fieldcrypt.Record {
		return fieldcrypt.Record{Topic: topic, Key: []byte(key), Value: w.framed(1, map[string]any{"id": key, "n": "Ada"})}
	}
	one, two := w.engine(policy), w.engine(policy)
	if !one.ProtectsKeys() {
		t.Error("the engine does not say that it protects keys")
	}
	a, err := one.Protect(t.Context(), rec("people", "person-42"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := two.Protect(t.Context(), rec("people-eu", "person-42"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := two.Protect(t.Context(), rec("people", "person-43"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := two.Protect(t.Context(), rec("orders", "person-42"))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !bytes.Equal(a.Key, b.Key):
		t.Error("two processes and topics protect one key differently")
	case bytes.Equal(a.Key, other.Key), bytes.Equal(a.Key, elsewhere.Key):
		t.Error("another key, or one outside of the domain, is the same")
	case !bytes.HasPrefix(a.Key, []byte("fv1:")), bytes.Contains(a.Key, []byte("person")):
		t.Errorf("key %q", a.Key)
	}
	if n := len(headerOf(a, fieldcrypt.HeaderKey)); n != 1 {
		t.Errorf("%d key blocks: a domain key does not travel", n)
	}
	// A tombstone for the same key meets it in compaction, and stays one.
	tomb, err := one.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Key: []byte("person-42")})
	if err != nil || tomb.Value != nil || !bytes.Equal(tomb.Key, a.Key) {
		t.Errorf("tombstone %q, %v", tomb.Key, err)
	}
	none, err := one.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: a.Value[:0:0]})
	if err == nil {
		t.Errorf("a record without framing: %v", none)
	}
	unkeyed, err := one.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: rec("people", "x").Value})
	if err != nil || unkeyed.Key != nil {
		t.Errorf("a null key became %q, %v", unkeyed.Key, err)
	}
	for _, sealed := range []fieldcrypt.Record{a, b, tomb} {
		back, err := w.engine(policy).Reveal(t.Context(), sealed)
		if err != nil || string(back.Key) != "person-42" {
			t.Errorf("revealed %q, %v", back.Key, err)
		}
	}
}

func TestAJoinMakesEqualValuesEqualAndNothingElseDoes(t *testing.T) {
	w := newWorld(t)
	policy := fmt.Sprintf(keyRules, w.domainKey(""))
	w.schemas[1] = avroText(record(`{"name": "id", "type": "string", "confluent:tags": ["PII.ID"]}, {"name": "mail", "type": "string", "confluent:tags": ["PII.MAIL"]}`))
	w.schemas[2] = avroText(strings.Replace(record(`{"name": "buyer", "type": "string", "confluent:tags": ["PII.ID"]}, {"name": "mail", "type": "string", "confluent:tags": ["PII.MAIL"]}`), "com.example.R", "com.example.Order", 1))
	e := w.engine(policy)
	read := func(topic string, id int, value map[string]any) map[string]any {
		t.Helper()
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: w.framed(id, value)})
		if err != nil {
			t.Fatal(err)
		}
		back, err := w.engine(policy).Reveal(t.Context(), out)
		if err != nil || !bytes.Equal(back.Value, w.framed(id, value)) {
			t.Fatalf("revealed %q, %v", back.Value, err)
		}
		return w.decoded(id, out.Value)
	}
	person := read("people", 1, map[string]any{"id": "42", "mail": "ada@example.com"})
	again := read("people", 1, map[string]any{"id": "42", "mail": "ada@example.com"})
	order := read("orders", 2, map[string]any{"buyer": "42", "mail": "ada@example.com"})
	if person["id"] != order["buyer"] {
		t.Error("equal values of a join domain differ")
	}
	if person["mail"] != again["mail"] || person["mail"] == order["mail"] {
		t.Error("without a join, values are equal in their own place and nowhere else")
	}
	if person["id"] == person["mail"] {
		t.Error("two places of one record are equal")
	}
}

func TestADomainKeyThatIsMissingStopsWhatNeedsIt(t *testing.T) {
	w := newWorld(t)
	tenants := "tenant: {from: header:tenant}\n"
	acme := w.domainKey("acme")
	policy := tenants + strings.TrimPrefix(fmt.Sprintf(keyRules, acme), "\n")
	e := w.engine(policy)
	rec := func(tenant string) fieldcrypt.Record {
		return fieldcrypt.Record{Topic: "people", Key: []byte("42"), Headers: []fieldcrypt.Header{{Key: "tenant", Value: []byte(tenant)}}}
	}
	a, err := e.Protect(t.Context(), rec("acme"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Protect(t.Context(), rec("other"))
	checkCode(t, "compile", err, fieldcrypt.CodeKeyUnusable)
	if out.Key != nil {
		t.Error("the key leaves")
	}
	// Each tenant has versions of his own; new ones stand behind, and the old
	// ones open.
	both := tenants + strings.TrimPrefix(fmt.Sprintf(keyRules, acme+", "+w.domainKey("other")+", "+w.domainKey("acme")), "\n")
	rotated := w.engine(both)
	b, err := rotated.Protect(t.Context(), rec("acme"))
	if err != nil || bytes.Equal(a.Key, b.Key) {
		t.Errorf("%q under the new version, %v", b.Key, err)
	}
	for _, sealed := range []fieldcrypt.Record{a, b} {
		if back, err := rotated.Reveal(t.Context(), sealed); err != nil || string(back.Key) != "42" {
			t.Errorf("revealed %q, %v", back.Key, err)
		}
	}
	// Who has only the old version cannot read the new one.
	_, err = w.engine(policy).Reveal(t.Context(), b)
	checkCode(t, "reveal", err, fieldcrypt.CodeKeyUnknown)
	// One tenant's key in another's record.
	b.Headers = []fieldcrypt.Header{{Key: "tenant", Value: []byte("other")}}
	_, err = rotated.Reveal(t.Context(), b)
	if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || f.Code != fieldcrypt.CodeKeyUnknown || f.Path != "#key" {
		t.Errorf("%v", err)
	}
}
