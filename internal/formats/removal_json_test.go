package formats_test

import (
	"encoding/json"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

const removalJSON = `{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Person", "type": "object",
	"properties": {
		"before": {"type": "string"},
		"email": {"type": "string", "confluent:tags": ["PII"]},
		"phone": {"type": ["null", "string"], "confluent:tags": ["PII.PHONE"]},
		"home": {"$ref": "#/definitions/Address"},
		"office": {"$ref": "#/definitions/Address"},
		"cards": {"type": "array", "items": {"$ref": "#/definitions/Card"}},
		"names": {"type": "array", "items": {"type": "string", "confluent:tags": ["PII.NAME"]}},
		"labels": {"type": "object", "additionalProperties": {"type": "string", "confluent:tags": ["PII.LABEL"]}},
		"contact": {"confluent:tags": ["PII.CONTACT"], "oneOf": [{"type": "null"}, {"type": "string"}, {"$ref": "#/definitions/Fax"}]},
		"kin": {"$ref": "#/definitions/Kin"},
		"bank": {"confluent:tags": ["WHOLE"], "type": "object", "properties": {
			"iban": {"type": "string"}, "year": {"type": "integer"}}},
		"passport": {"$ref": "passport.json"},
		"nick": {"type": "string"},
		"after": {"type": "string"}
	},
	"definitions": {
		"Address": {"type": "object", "properties": {
			"street": {"type": "string", "confluent:tags": ["PII", "HOME"]}, "city": {"type": "string"}}},
		"Card": {"type": "object", "properties": {
			"pan": {"type": "string", "confluent:tags": ["PCI", "PII"]}, "brand": {"type": "string"}}},
		"Fax": {"type": "object", "properties": {"fax": {"type": "string"}}},
		"Kin": {"confluent:tags": ["PII.KIN"], "type": "object", "properties": {
			"first": {"type": "string"}, "last": {"type": "string"}}}
	}
}`

const removalJSONReference = `{"title": "Passport", "type": "object", "properties": {
	"number": {"type": "string", "confluent:tags": ["PII"]}, "country": {"type": "string"}}}`

const removalJSONValue = `{
	"before": "left",
	"email": "canary-email",
	"phone": "canary-phone",
	"home": {"street": "canary-home", "city": "Praha"},
	"office": {"street": "canary-office", "city": "Brno"},
	"cards": [{"pan": "canary-pan-1", "brand": "a"}, {"pan": "canary-pan-2", "brand": "b"}],
	"names": ["canary-name-1", "canary-name-2"],
	"labels": {"k": "canary-label"},
	"contact": {"fax": "canary-fax"},
	"kin": {"first": "canary-first", "last": "canary-last"},
	"bank": {"iban": "canary-iban", "year": 2001},
	"passport": {"number": "canary-number", "country": "CZ"},
	"nick": "canary-nick",
	"after": "right"
}`

func encodeJSON(t testing.TB, _ schema.Text, value string) []byte {
	t.Helper()
	if !json.Valid([]byte(value)) {
		t.Fatalf("no JSON:\n%s", value)
	}
	return []byte(value)
}

func jsonRemovals() removable {
	const (
		email   = `"email": {"type": "string", "confluent:tags": ["PII"]}`
		inValue = `"email": "canary-email"`
	)
	return removable{
		name: "JSON Schema", encode: encodeJSON, value: removalJSONValue,
		base: schema.Text{
			Format: schema.JSONSchema, Schema: removalJSON,
			References: []string{removalJSONReference}, Names: []string{"passport.json"},
			Tags: []schema.TagRule{{Pattern: "$.nick", Tags: []string{"PII"}}},
		},
		paths: []string{"/email", "/phone", "/home/street", "/office/street", "/cards/[]/pan", "/names/[]", "/labels/{}", "/contact", "/kin", "/bank", "/passport/number", "/nick"},
		changes: []change{
			{name: "the tag of a field removed", schema: []string{email, `"email": {"type": "string"}`}},
			{name: "the tags of a field emptied", schema: []string{email, `"email": {"type": "string", "confluent:tags": []}`}},
			{name: "a tag misspelled", schema: []string{email, `"email": {"type": "string", "confluent:tags": ["PIl"]}`}},
			{name: "a tag in another case", schema: []string{email, `"email": {"type": "string", "confluent:tags": ["pii"]}`}},
			{name: "a tag that is ignored instead", schema: []string{email, `"email": {"type": "string", "confluent:tags": ["PUBLIC"]}`}},
			{name: "the property of the tags misspelled", schema: []string{email, `"email": {"type": "string", "confluent.tags": ["PII"]}`}},
			{name: "a field renamed and its tag lost", schema: []string{email, `"mail": {"type": "string"}`}, value: []string{inValue, `"mail": "canary-email"`}},
			{name: "a field renamed with its tag", schema: []string{email, `"mail": {"type": "string", "confluent:tags": ["PII"]}`}, value: []string{inValue, `"mail": "canary-email"`}},
			{name: "the type forgotten, and the tag lost", schema: []string{email, `"email": {}`}},
			{name: "from string to integer, and the tag lost", schema: []string{email, `"email": {"type": "integer"}`}, value: []string{inValue, `"email": 1111111`}},
			{name: "made nullable without its tag", schema: []string{email, `"email": {"type": ["null", "string"]}`}},
			{name: "moved into a record without its tag", schema: []string{email, `"login": {"type": "object", "properties": {"email": {"type": "string"}}}`}, value: []string{inValue, `"login": {"email": "canary-email"}`}},
			{name: "moved into a record with its tag", schema: []string{email, `"login": {"type": "object", "properties": {` + email + `}}`}, value: []string{inValue, `"login": {"email": "canary-email"}`}},
			{name: "moved into an array", schema: []string{email, `"email": {"type": "array", "items": {"type": "string"}}`}, value: []string{inValue, `"email": ["canary-email"]`}},
			{name: "moved into a map", schema: []string{email, `"email": {"type": "object", "additionalProperties": {"type": "string"}}`}, value: []string{inValue, `"email": {"k": "canary-email"}`}},
			{name: "moved into a union", schema: []string{email, `"email": {"oneOf": [{"type": "string"}, {"type": "integer"}]}`}},
			{name: "a field deleted", schema: []string{email + ",", ""}, value: []string{inValue + ",", "", `"left"`, `"canary-email"`}},
			{name: "a field deleted, and one like it added", schema: []string{email, `"e_mail": {"type": "string"}`}, value: []string{inValue, `"e_mail": "canary-email"`}},
			{name: "the tag of a union removed", beyond: true, schema: []string{`"confluent:tags": ["PII.CONTACT"], `, ""}},
			{name: "the tag of a container removed", beyond: true, schema: []string{`"confluent:tags": ["PII.KIN"], `, ""}},
			{name: "the tag of a container on one of its fields only", beyond: true, schema: []string{`"confluent:tags": ["PII.KIN"], `, "", `"first": {"type": "string"}`, `"first": {"type": "string", "confluent:tags": ["PII.KIN"]}`}},
			{name: "the tag in a type that is used twice removed", beyond: true, schema: []string{`, "confluent:tags": ["PII", "HOME"]`, ""}},
			{name: "a reference to another type without tags", beyond: true, refs: []string{`, "confluent:tags": ["PII"]`, ""}},
			{name: "a named type renamed and its tags lost", beyond: true, schema: []string{`"$ref": "#/definitions/Kin"`, `"$ref": "#/definitions/Relative"`, `"Kin": {"confluent:tags": ["PII.KIN"], `, `"Relative": {`}},
			{name: "the root renamed and a tag removed", schema: []string{`"title": "Person"`, `"title": "Human"`, email, `"email": {"type": "string"}`}},
			{name: "a tag beside the schema removed", beyond: true, tags: []schema.TagRule{}},
			{name: "the pattern of a tag beside the schema misses", beyond: true, tags: []schema.TagRule{{Pattern: "$.nik", Tags: []string{"PII"}}}},
			{name: "two fields swapped below their tags", schema: []string{email, `"after": {"type": "string", "confluent:tags": ["PII"]}`, `"after": {"type": "string"}` + "\n", `"email": {"type": "string"}` + "\n"}},
			{name: "the tag of items and of values removed", beyond: true, schema: []string{`, "confluent:tags": ["PII.NAME"]`, "", `, "confluent:tags": ["PII.LABEL"]`, ""}},
			{name: "the tag of a whole container removed", beyond: true, schema: []string{`"confluent:tags": ["WHOLE"], `, ""}},
		},
	}
}
