package formats_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

const removalAvro = `{"type": "record", "name": "com.acme.Person", "fields": [
	{"name": "before", "type": "string"},
	{"name": "email", "type": "string", "confluent:tags": ["PII"]},
	{"name": "phone", "type": ["null", "string"], "default": null, "confluent:tags": ["PII.PHONE"]},
	{"name": "home", "type": {"type": "record", "name": "Address", "fields": [
		{"name": "street", "type": "string", "confluent:tags": ["PII", "HOME"]},
		{"name": "city", "type": "string"}]}},
	{"name": "office", "type": "Address"},
	{"name": "cards", "type": {"type": "array", "items": {"type": "record", "name": "Card", "fields": [
		{"name": "pan", "type": "string", "confluent:tags": ["PCI", "PII"]},
		{"name": "brand", "type": "string"}]}}},
	{"name": "names", "type": {"type": "array", "items": {"type": "string", "confluent:tags": ["PII.NAME"]}}},
	{"name": "labels", "type": {"type": "map", "values": {"type": "string", "confluent:tags": ["PII.LABEL"]}}},
	{"name": "contact", "type": ["null", "string", {"type": "record", "name": "Fax", "fields": [
		{"name": "fax", "type": "string"}]}], "confluent:tags": ["PII.CONTACT"]},
	{"name": "kin", "type": {"type": "record", "name": "Kin", "confluent:tags": ["PII.KIN"], "fields": [
		{"name": "first", "type": "string"},
		{"name": "last", "type": "string"}]}},
	{"name": "bank", "confluent:tags": ["WHOLE"], "type": {"type": "record", "name": "Bank", "fields": [
		{"name": "iban", "type": "string"},
		{"name": "year", "type": "int"}]}},
	{"name": "passport", "type": "com.acme.Passport"},
	{"name": "nick", "type": "string"},
	{"name": "after", "type": "string"}
]}`

const removalAvroReference = `{"type": "record", "name": "com.acme.Passport", "fields": [
	{"name": "number", "type": "string", "confluent:tags": ["PII"]},
	{"name": "country", "type": "string"}]}`

// In the JSON encoding of Avro.
const removalAvroValue = `{
	"before": "left",
	"email": "canary-email",
	"phone": {"string": "canary-phone"},
	"home": {"street": "canary-home", "city": "Praha"},
	"office": {"street": "canary-office", "city": "Brno"},
	"cards": [{"pan": "canary-pan-1", "brand": "a"}, {"pan": "canary-pan-2", "brand": "b"}],
	"names": ["canary-name-1", "canary-name-2"],
	"labels": {"k": "canary-label"},
	"contact": {"com.acme.Fax": {"fax": "canary-fax"}},
	"kin": {"first": "canary-first", "last": "canary-last"},
	"bank": {"iban": "canary-iban", "year": 2001},
	"passport": {"number": "canary-number", "country": "CZ"},
	"nick": "canary-nick",
	"after": "right"
}`

// encodeAvro encodes a value that is given in the JSON encoding of Avro.
func encodeAvro(t testing.TB, text schema.Text, value string) []byte {
	t.Helper()
	s := avroSchema(t, text)
	var v any
	if err := s.DecodeJSON([]byte(value), &v, avro.TaggedUnions()); err != nil {
		t.Fatalf("%v\n%s", err, value)
	}
	b, err := s.Encode(v)
	if err != nil {
		t.Fatalf("%v\n%s", err, value)
	}
	return b
}

// avroSchema parses a schema and those that it refers to, without their logical
// types, so that values are what is encoded.
func avroSchema(t testing.TB, text schema.Text) *avro.Schema {
	t.Helper()
	var cache avro.SchemaCache
	var out *avro.Schema
	for _, s := range append(slices.Clone(text.References), text.Schema) {
		var tree any
		if err := json.Unmarshal([]byte(s), &tree); err != nil {
			t.Fatalf("%v\n%s", err, s)
		}
		withoutLogicalTypes(tree)
		plain, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if out, err = cache.Parse(string(plain)); err != nil {
			t.Fatalf("%v\n%s", err, s)
		}
	}
	return out
}

func withoutLogicalTypes(tree any) {
	switch tree := tree.(type) {
	case map[string]any:
		delete(tree, "logicalType")
		for _, inner := range tree {
			withoutLogicalTypes(inner)
		}
	case []any:
		for _, inner := range tree {
			withoutLogicalTypes(inner)
		}
	}
}

func avroRemovals() removable {
	const (
		email   = `{"name": "email", "type": "string", "confluent:tags": ["PII"]}`
		inValue = `"email": "canary-email"`
	)
	return removable{
		name: "Avro", encode: encodeAvro, value: removalAvroValue,
		base: schema.Text{
			Format: schema.Avro, Schema: removalAvro, References: []string{removalAvroReference},
			Tags: []schema.TagRule{{Pattern: "com.acme.Person.nick", Tags: []string{"PII"}}},
		},
		paths: []string{"/email", "/phone", "/home/street", "/office/street", "/cards/[]/pan", "/names/[]", "/labels/{}", "/contact", "/kin", "/bank", "/passport/number", "/nick"},
		changes: []change{
			{name: "the tag of a field removed", schema: []string{email, `{"name": "email", "type": "string"}`}},
			{name: "the tags of a field emptied", schema: []string{email, `{"name": "email", "type": "string", "confluent:tags": []}`}},
			{name: "a tag misspelled", schema: []string{email, `{"name": "email", "type": "string", "confluent:tags": ["PIl"]}`}},
			{name: "a tag in another case", schema: []string{email, `{"name": "email", "type": "string", "confluent:tags": ["pii"]}`}},
			{name: "a tag that is ignored instead", schema: []string{email, `{"name": "email", "type": "string", "confluent:tags": ["PUBLIC"]}`}},
			{name: "the property of the tags misspelled", schema: []string{email, `{"name": "email", "type": "string", "confluent.tags": ["PII"]}`}},
			{name: "a field renamed and its tag lost", schema: []string{email, `{"name": "mail", "type": "string"}`}, value: []string{inValue, `"mail": "canary-email"`}},
			{name: "a field renamed with an alias", schema: []string{email, `{"name": "mail", "aliases": ["email"], "type": "string", "confluent:tags": ["PII"]}`}, value: []string{inValue, `"mail": "canary-email"`}},
			{name: "from string to bytes, and the tag lost", schema: []string{email, `{"name": "email", "type": "bytes"}`}},
			{name: "from string to int, with its tag", kept: true, schema: []string{email, `{"name": "email", "type": "int", "confluent:tags": ["PII"]}`}, value: []string{inValue, `"email": 1111111`}},
			{name: "made nullable without its tag", schema: []string{email, `{"name": "email", "type": ["null", "string"]}`}, value: []string{inValue, `"email": {"string": "canary-email"}`}},
			{name: "moved into a record without its tag", schema: []string{email, `{"name": "login", "type": {"type": "record", "name": "Login", "fields": [{"name": "email", "type": "string"}]}}`}, value: []string{inValue, `"login": {"email": "canary-email"}`}},
			{name: "moved into a record with its tag", schema: []string{email, `{"name": "login", "type": {"type": "record", "name": "Login", "fields": [` + email + `]}}`}, value: []string{inValue, `"login": {"email": "canary-email"}`}},
			{name: "moved into an array", schema: []string{email, `{"name": "email", "type": {"type": "array", "items": "string"}}`}, value: []string{inValue, `"email": ["canary-email"]`}},
			{name: "moved into a map", schema: []string{email, `{"name": "email", "type": {"type": "map", "values": "string"}}`}, value: []string{inValue, `"email": {"k": "canary-email"}`}},
			{name: "moved into a union", schema: []string{email, `{"name": "email", "type": ["int", "string"]}`}, value: []string{inValue, `"email": {"string": "canary-email"}`}},
			{name: "a field deleted", schema: []string{email + ",", ""}, value: []string{inValue + ",", "", `"left"`, `"canary-email"`}},
			{name: "a field deleted, and one like it added", schema: []string{email, `{"name": "e_mail", "type": "string"}`}, value: []string{inValue, `"e_mail": "canary-email"`}},
			{name: "the tag of a union removed", beyond: true, schema: []string{`, "confluent:tags": ["PII.CONTACT"]`, ""}},
			{name: "the tag of a container removed", beyond: true, schema: []string{`"confluent:tags": ["PII.KIN"], `, ""}},
			{name: "the tag of a container on one of its fields only", beyond: true, schema: []string{`"confluent:tags": ["PII.KIN"], `, "", `{"name": "first", "type": "string"}`, `{"name": "first", "type": "string", "confluent:tags": ["PII.KIN"]}`}},
			{name: "the tag in a type that is used twice removed", beyond: true, schema: []string{`, "confluent:tags": ["PII", "HOME"]`, ""}},
			{name: "a reference to another type without tags", beyond: true, refs: []string{`, "confluent:tags": ["PII"]`, ""}},
			{name: "a named type renamed and its tags lost", beyond: true, schema: []string{`"name": "Kin", "confluent:tags": ["PII.KIN"]`, `"name": "Relative"`}},
			{name: "the root renamed and a tag removed", schema: []string{"com.acme.Person", "com.acme.Human", email, `{"name": "email", "type": "string"}`}, tags: []schema.TagRule{{Pattern: "com.acme.Human.nick", Tags: []string{"PII"}}}},
			{name: "a tag beside the schema removed", beyond: true, tags: []schema.TagRule{}},
			{name: "the pattern of a tag beside the schema misses", beyond: true, tags: []schema.TagRule{{Pattern: "com.acme.Person.nik", Tags: []string{"PII"}}}},
			{name: "two fields swapped below their tags", schema: []string{email, `{"name": "after", "type": "string", "confluent:tags": ["PII"]}`, `{"name": "after", "type": "string"}` + "\n", `{"name": "email", "type": "string"}` + "\n"}},
			{name: "the tag of items and of values removed", beyond: true, schema: []string{`{"type": "string", "confluent:tags": ["PII.NAME"]}`, `"string"`, `{"type": "string", "confluent:tags": ["PII.LABEL"]}`, `"string"`}},
			{name: "the tag of a whole container removed", beyond: true, schema: []string{`"confluent:tags": ["WHOLE"], `, ""}},
		},
	}
}
