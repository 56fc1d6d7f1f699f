package formats_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/wire"
)

const personJSON = `{
  "$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.com/person.json", "type": "object",
  "required": ["email"],
  "properties": {
    "email": {"type": "string", "confluent:tags": ["PII"]},
    "age": {"type": "integer", "minimum": 0, "confluent:tags": ["PII"]},
    "home": {"$ref": "#/definitions/home"},
    "plan": {"enum": ["gold", "tin"]}
  },
  "definitions": {"home": {"type": "object", "properties": {"street": {"type": "string", "confluent:tags": ["PII"]}, "city": {"type": "string", "maxLength": 6}}}}
}`

func jsonWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.registry.put(7, schema.Text{Format: schema.JSONSchema, Schema: personJSON})
	return w
}

func TestJSONSchemaThroughTheEngine(t *testing.T) {
	w := jsonWorld(t)
	const doc = ` {"email":"ada@example.com", "age" : 36,"home":{"street":"Dlouh\u00e1 1","city":"Praha"},"plan":"gold"}`
	value := append(frame(7), doc...)
	out, err := w.engine(personPolicy).Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ada@", ": 36", "Dlouh"} {
		if strings.Contains(string(out.Value[5:]), secret) {
			t.Errorf("%q is in clear: %s", secret, out.Value)
		}
	}
	// A number became a string, so the record follows a derived schema, which
	// it satisfies.
	id, n, err := wire.ParseFrame(out.Value)
	if err != nil || id == 7 {
		t.Fatalf("id %d, %v", id, err)
	}
	text, err := w.registry.Schema(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := jsonschema.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := derived.Validate(out.Value[n:]); err != nil {
		t.Errorf("%v: %s", err, out.Value[n:])
	}
	var read struct {
		Plan string
		Home struct{ City string }
	}
	if err := json.Unmarshal(out.Value[n:], &read); err != nil || read.Plan != "gold" || read.Home.City != "Praha" {
		t.Errorf("%+v, %v", read, err)
	}
	back, err := w.engine(personPolicy).Reveal(t.Context(), out)
	if err != nil || !bytes.Equal(back.Value, value) {
		t.Errorf("revealed %s, %v", back.Value, err)
	}
}

func TestJSONThatItsSchemaDoesNotDescribeIsRefused(t *testing.T) {
	w := jsonWorld(t)
	for _, tt := range []struct {
		name, policy, doc string
		code              fieldcrypt.Code // empty: it passes
	}{
		{"a member that nothing describes", personPolicy, `{"email":"a","e-mail":"CANARY@example.com"}`, fieldcrypt.CodeMalformed},
		{"the same, allowed", "unknown_field: allow\n" + personPolicy, `{"email":"a","e-mail":"b@example.com"}`, ""},
		{"text where an object with tags should be", personPolicy, `{"email":"a","home":"CANARY street 1"}`, fieldcrypt.CodeMalformed},
		{"the same, where unknown content is allowed", "unknown_field: allow\n" + personPolicy, `{"email":"a","home":"CANARY street 1"}`, fieldcrypt.CodeMalformed},
		{"an array where an object with tags should be", personPolicy, `{"email":"a","home":["CANARY"]}`, fieldcrypt.CodeMalformed},
		{"a value that only validation refuses", personPolicy, `{"email":"a","plan":"brass"}`, ""},
		{"the same, with validation", "validate: true\n" + personPolicy, `{"email":"a","plan":"CANARY"}`, fieldcrypt.CodeInvalid},
		{"a city that is too long, with validation", "validate: true\n" + personPolicy, `{"email":"a","home":{"city":"CANARY-CANARY"}}`, fieldcrypt.CodeInvalid},
		{"a number below its minimum, with validation", "validate: true\n" + personPolicy, `{"email":"a","age":-77001}`, fieldcrypt.CodeInvalid},
		{"a member that is required, with validation", "validate: true\n" + personPolicy, `{"age":1}`, fieldcrypt.CodeInvalid},
		{"a valid record, with validation", "validate: true\n" + personPolicy, `{"email":"a","age":1,"home":{"city":"Praha"},"plan":"tin"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := w.engine(tt.policy).Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: append(frame(7), tt.doc...)})
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkCode(t, err, tt.code)
			if out.Value != nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "77001") {
				t.Errorf("%s, %v", out.Value, err)
			}
		})
	}
}
