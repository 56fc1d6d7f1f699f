package fieldcrypt_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

const tenantPolicy = `
version: 1
dataset: customers
tenant: {from: "%s"}
keys:
  pii: {kek: "local:tenant-{tenant}"}
rules:
  - {tag: PII, action: encrypt, key: pii}
topics: [{match: "*"}]
`

const tenantFields = `{"name": "email", "type": "string", "confluent:tags": ["PII"]},
	{"name": "tenant", "type": ["null", "string", "long"]}`

func TestEachTenantHasHisKEKByATemplate(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tenantFields))
	for from, beside := range map[string]func(rec *fieldcrypt.Record, tenant string){
		"value:/tenant": func(*fieldcrypt.Record, string) {},
		"key":           func(rec *fieldcrypt.Record, n string) { rec.Key = []byte(n) },
		"header:t": func(rec *fieldcrypt.Record, n string) {
			rec.Headers = []fieldcrypt.Header{{Key: "t", Value: []byte(n)}}
		},
	} {
		t.Run(from, func(t *testing.T) {
			policy := fmt.Sprintf(tenantPolicy, from)
			writer, reader := w.engine(policy), w.engine(policy)
			for _, tenant := range []string{"acme", "umbrella", "a.b-c_9"} {
				rec := fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"email": "jane@example.com", "tenant": tenant})}
				beside(&rec, tenant)
				out, err := writer.Protect(t.Context(), rec)
				if err != nil {
					t.Fatal(err)
				}
				kb, err := envelope.ParseKeyBlock(header(t, out, fieldcrypt.HeaderKey))
				if err != nil || kb.KEK != "local:tenant-"+tenant || kb.Tenant != tenant {
					t.Errorf("key block of %q under %q, %v", kb.Tenant, kb.KEK, err)
				}
				back, err := reader.Reveal(t.Context(), out)
				if err != nil || !bytes.Equal(back.Value, rec.Value) {
					t.Errorf("revealed: %v", err)
				}
			}
		})
	}
}

func header(t *testing.T, rec fieldcrypt.Record, name string) []byte {
	t.Helper()
	for _, h := range rec.Headers {
		if h.Key == name {
			return h.Value
		}
	}
	t.Fatalf("no header %s", name)
	return nil
}

func TestATenantThatCannotStandInAURIIsRefused(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tenantFields))
	for _, from := range []string{"value:/tenant", "header:t"} {
		e := w.engine(fmt.Sprintf(tenantPolicy, from))
		for _, tenant := range []string{
			"", "a/b", "../admin", ".hidden", "a..b", "a b", "a:b", "a?b", "a#b", "a%2fb", "ä", "a\x00", strings.Repeat("x", 129), "{tenant}",
		} {
			rec := fieldcrypt.Record{
				Topic: "t", Value: w.framed(1, map[string]any{"email": "jane@example.com", "tenant": tenant}),
				Headers: []fieldcrypt.Header{{Key: "t", Value: []byte(tenant)}},
			}
			_, err := e.Protect(t.Context(), rec)
			checkCode(t, fmt.Sprintf("%s %q", from, tenant), err, fieldcrypt.CodeTenant)
			if err != nil && len(tenant) > 2 && strings.Contains(err.Error(), tenant) && tenant != "{tenant}" {
				t.Errorf("the error holds the tenant: %v", err)
			}
		}
	}
}

func TestATenantInTheValue(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tenantFields))
	e := w.engine(fmt.Sprintf(tenantPolicy, "value:/tenant"))
	_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"email": "x", "tenant": nil})})
	checkCode(t, "null", err, fieldcrypt.CodeTenant)
	if out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t"}); err != nil || out.Value != nil {
		t.Errorf("a tombstone: %v", err)
	}
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"email": "x", "tenant": int64(17)})})
	if err != nil {
		t.Fatal(err)
	}
	if kb, err := envelope.ParseKeyBlock(header(t, out, fieldcrypt.HeaderKey)); err != nil || kb.KEK != "local:tenant-17" {
		t.Errorf("a number: under %q, %v", kb.KEK, err)
	}
	// Whoever moves a value to another tenant is found.
	moved := w.decoded(1, out.Value)
	moved["tenant"] = int64(18)
	_, err = e.Reveal(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, moved), Headers: out.Headers})
	checkCode(t, "a value moved to another tenant", err, fieldcrypt.CodeForeignKey)

	_, err = w.engine(fmt.Sprintf(tenantPolicy, "value:/nobody")).Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"email": "x", "tenant": "a"})})
	checkCode(t, "a field that the schema does not have", err, fieldcrypt.CodePolicy)
	w.schemas[2] = avroText(record(`{"name": "tenant", "type": "string", "confluent:tags": ["PII"]}`))
	_, err = e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(2, map[string]any{"tenant": "a"})})
	checkCode(t, "a field that is encrypted", err, fieldcrypt.CodePolicy)
}

func TestATenantInAJSONDocument(t *testing.T) {
	w := newWorld(t)
	e := w.engine(`
version: 1
dataset: customers
tenant: {from: "value:/who/tenant"}
keys:
  pii: {kek: "local:tenant-{tenant}"}
topics: [{match: "*", format: json, fields: [{path: /email, action: encrypt, key: pii}]}]
`)
	src := `{"email":"jane@example.com","who":{"tenant":"acme","x":1}}`
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: []byte(src)})
	if err != nil {
		t.Fatal(err)
	}
	if kb, err := envelope.ParseKeyBlock(header(t, out, fieldcrypt.HeaderKey)); err != nil || kb.KEK != "local:tenant-acme" {
		t.Errorf("under %q, %v", kb.KEK, err)
	}
	back, err := e.Reveal(t.Context(), out)
	if err != nil || string(back.Value) != src {
		t.Errorf("revealed %s, %v", back.Value, err)
	}
	for name, src := range map[string]string{
		"no tenant": `{"email":"x"}`, "a null": `{"email":"x","who":{"tenant":null}}`,
	} {
		_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: []byte(src)})
		checkCode(t, name, err, fieldcrypt.CodeTenant)
	}
	_, err = e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: []byte(`{"who":{"tenant":"a"},"email":"x","who":{"tenant":"b"}}`)})
	checkCode(t, "two tenants", err, fieldcrypt.CodeMalformed)
}

func TestTheKeysOfTenantsAreWarmedUnderTheirKEKs(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tenantFields))
	e := w.engine(fmt.Sprintf(tenantPolicy, "header:t"))
	if err := e.Warm(t.Context(), "acme", "umbrella"); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
	for _, tenant := range []string{"acme", "umbrella"} {
		out, err := e.Protect(t.Context(), fieldcrypt.Record{
			Topic: "t", Value: w.framed(1, map[string]any{"email": "x", "tenant": nil}),
			Headers: []fieldcrypt.Header{{Key: "t", Value: []byte(tenant)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if kb, err := envelope.ParseKeyBlock(header(t, out, fieldcrypt.HeaderKey)); err != nil || kb.KEK != "local:tenant-"+tenant {
			t.Errorf("%s: under %q, %v", tenant, kb.KEK, err)
		}
	}
	checkCode(t, "no name", e.Warm(t.Context()), fieldcrypt.CodeTenant)
	checkCode(t, "a name that cannot stand in a URI", e.Warm(t.Context(), "a/b"), fieldcrypt.CodeTenant)
}
