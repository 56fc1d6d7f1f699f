package registry

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// account is a number that is long enough to be looked for.
const account = 4_987_654_321_000_448

func avroEvolution(t *testing.T) evolution {
	t.Helper()
	const (
		begin = `{"type": "record", "name": "Reading", "namespace": "com.example", "fields": [
			{"name": "id", "type": "string"},
			{"name": "age", "type": "int", "confluent:tags": ["PII"]},
			{"name": "account", "type": "long", "confluent:tags": ["PII"]},
			{"name": "active", "type": ["null", "boolean"], "default": null, "confluent:tags": ["PII"]},
			{"name": "grade", "type": {"type": "enum", "name": "Grade", "symbols": ["A", "B"]}, "confluent:tags": ["PII"]},
			{"name": "salary", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "confluent:tags": ["PII"]},
			{"name": "scores", "type": {"type": "array", "items": "int"}, "confluent:tags": ["WHOLE"]},
			{"name": "contact", "type": ["null", "string", "long"], "confluent:tags": ["WHOLE"]},
			{"name": "home", "type": {"type": "record", "name": "Home", "fields": [
				{"name": "street", "type": "string"}, {"name": "floor", "type": "int"}]}, "confluent:tags": ["WHOLE"]},
			{"name": "email", "type": "string", "confluent:tags": ["PII"]}`
		leaving = `, {"name": "legacy", "type": "string"}, {"name": "weight", "type": "int", "confluent:tags": ["PII"]}`
		coming  = `, {"name": "plan", "type": "string", "default": "basic"},
			{"name": "bonus", "type": "int", "default": 7, "confluent:tags": ["PII"]},
			{"name": "vip", "type": ["null", "boolean"], "default": null, "confluent:tags": ["PII"]},
			{"name": "city", "type": "string", "default": "none", "confluent:tags": ["PII"]},
			{"name": "level", "type": {"type": "enum", "name": "Level", "symbols": ["LOW", "HIGH"]}, "default": "LOW", "confluent:tags": ["PII"]},
			{"name": "notes", "type": {"type": "array", "items": "string"}, "default": [], "confluent:tags": ["WHOLE"]},
			{"name": "work", "type": {"type": "record", "name": "Work", "fields": [{"name": "floor", "type": "int"}]},
				"default": {"floor": 0}, "confluent:tags": ["WHOLE"]}`
		end = `]}`
	)
	// Types change too, as Avro's resolution lets them.
	promoted := strings.NewReplacer(`"age", "type": "int"`, `"age", "type": "long"`, `"account", "type": "long"`, `"account", "type": ["null", "long"]`)
	e := evolution{
		format: schema.Avro,
		texts:  []string{begin + leaving + end, begin + leaving + coming + end, promoted.Replace(begin) + coming + end},
		secrets: [][]byte{
			[]byte("ada@example.com"), []byte("Dlouha"), []byte("+1 212 555 0100"), {0x07, 0x5b, 0xcd, 0x15},
			binary.AppendVarint(nil, account),
		},
		untagged: strings.Replace(begin, `{"name": "age", "type": "int", "confluent:tags": ["PII"]}`, `{"name": "age", "type": "int"}`, 1) + leaving + end,
		incompatible: func(derived string) string {
			return strings.Replace(derived, `"name":"id"`, `"name":"other"`, 1)
		},
		read: readAvro,
	}
	v := map[string]any{
		"id": "r-1", "age": int32(36), "account": int64(account), "active": true, "grade": "B", "salary": "1234567.89",
		"scores": []any{int32(1), int32(2)}, "contact": "+1 212 555 0100", "home": map[string]any{"street": "Dlouha 1", "floor": int32(3)},
		"email": "ada@example.com", "legacy": "old", "weight": int32(80), "plan": "gold", "bonus": int32(100), "vip": true, "city": "Praha",
		"level": "HIGH", "notes": []any{"calls at night"}, "work": map[string]any{"floor": int32(9)},
	}
	for n, text := range e.texts {
		b, err := avro.MustParse(text).AppendEncode(nil, v)
		if err != nil {
			t.Fatalf("version %d: %v", n+1, err)
		}
		e.records = append(e.records, b)
	}
	return e
}

// readAvro reads with the resolution of an Avro library of others.
func readAvro(t *testing.T, derived []string, bodies [][]byte) {
	t.Helper()
	reader := avro.MustParse(derived[len(derived)-1])
	for n, text := range derived {
		resolved, err := avro.Resolve(avro.MustParse(text), reader)
		if err != nil {
			t.Errorf("version %d: %v", n+1, err)
			continue
		}
		var v any
		if rest, err := resolved.Decode(bodies[n], &v); err != nil || len(rest) > 0 {
			t.Errorf("version %d: %v, %d bytes left", n+1, err, len(rest))
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("version %d: it is %T", n+1, v)
		}
		plan := "gold"
		if n == 0 {
			plan = "basic"
		}
		if m["id"] != "r-1" || m["plan"] != plan || m["legacy"] != nil {
			t.Errorf("version %d: clear fields are %v, %v, %v", n+1, m["id"], m["plan"], m["legacy"])
		}
		for _, name := range []string{"age", "account", "active", "grade", "salary", "scores", "contact", "home"} {
			checkSealed(t, fmt.Sprintf("version %d: %s", n+1, name), m[name])
		}
		if s, ok := m["email"].(string); !ok || !strings.HasPrefix(s, "fv1:") {
			t.Errorf("version %d: email is %v", n+1, m["email"])
		}
		if n > 0 {
			for _, name := range []string{"bonus", "vip", "level", "notes", "work"} {
				checkSealed(t, fmt.Sprintf("version %d: %s", n+1, name), m[name])
			}
			continue
		}
		// What the record does not have is the default, which holds nothing sealed.
		for _, name := range []string{"bonus", "level", "notes", "work"} {
			if b, ok := m[name].([]byte); !ok || len(b) > 0 {
				t.Errorf("%s is %v where the record has none", name, m[name])
			}
		}
		if m["vip"] != nil || m["city"] != "none" {
			t.Errorf("defaults are %v, %v", m["vip"], m["city"])
		}
	}
}
