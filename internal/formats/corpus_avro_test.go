package formats_test

import (
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// avroCorpus are the cases of Avro by hand. The text holds the fields of a record
// com.acme.R, the value stands in the JSON encoding of Avro.
func avroCorpus(t testing.TB) []corpusCase {
	t.Helper()
	const (
		address = `{"type": "record", "name": "Address", "fields": [{"name": "street", "type": "string", "confluent:tags": ["PII"]}, {"name": "city", "type": "string"}]}`
		suit    = `{"type": "enum", "name": "Suit", "symbols": ["CLEAR", "CANARY"]}`
		six     = `{"type": "fixed", "name": "Six", "size": 6}`
		listOf  = `{"type": "record", "name": "L", "fields": [{"name": "v", "type": "string", "confluent:tags": ["PII"]}, {"name": "n", "type": "int"}, {"name": "next", "type": ["null", "L"]}]}`
		treeOf  = `{"type": "record", "name": "N", "fields": [{"name": "v", "type": "long", "confluent:tags": ["PII"]}, {"name": "k", "type": "string"}, {"name": "kids", "type": {"type": "array", "items": "N"}}]}`
	)
	tests := []struct {
		name, fields, value string
		refs                []string
		tags                []schema.TagRule
		none                bool
	}{
		// Leaves.
		{name: "a string", fields: `{"name": "a", "type": "string", "confluent:tags": ["PII"]}, {"name": "b", "type": "string"}`, value: `{"a": "canary", "b": "clear"}`},
		{name: "bytes", fields: `{"name": "a", "type": "bytes", "confluent:tags": ["PII"]}, {"name": "b", "type": "bytes"}`, value: `{"a": "canary\u0000", "b": "\u0000clear"}`},
		{name: "an int", fields: `{"name": "a", "type": "int", "confluent:tags": ["PII"]}, {"name": "b", "type": "int"}`, value: `{"a": 7000001, "b": -3}`},
		{name: "a long", fields: `{"name": "a", "type": "long", "confluent:tags": ["PII"]}, {"name": "b", "type": "long"}`, value: `{"a": 9223372036854775807, "b": -9223372036854775808}`},
		{name: "a float", fields: `{"name": "a", "type": "float", "confluent:tags": ["PII"]}, {"name": "b", "type": "float"}`, value: `{"a": 7000001.5, "b": -0.5}`},
		{name: "a double", fields: `{"name": "a", "type": "double", "confluent:tags": ["PII"]}, {"name": "b", "type": "double"}`, value: `{"a": 1e300, "b": 1e-300}`},
		{name: "a boolean", fields: `{"name": "a", "type": "boolean", "confluent:tags": ["PII"]}, {"name": "b", "type": "boolean"}`, value: `{"a": true, "b": false}`},
		{name: "an enum", fields: `{"name": "a", "type": ` + suit + `, "confluent:tags": ["PII"]}, {"name": "b", "type": "Suit"}`, value: `{"a": "CANARY", "b": "CLEAR"}`},
		{name: "a fixed", fields: `{"name": "a", "type": ` + six + `, "confluent:tags": ["PII"]}, {"name": "b", "type": "Six"}`, value: `{"a": "canary", "b": "clear."}`},
		{name: "an enum whose type has the tag", fields: `{"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["CANARY"], "confluent:tags": ["PII"]}}, {"name": "b", "type": "E"}`, value: `{"a": "CANARY", "b": "CANARY"}`},
		// Nulls.
		{name: "a nullable string that is there", fields: `{"name": "a", "type": ["null", "string"], "confluent:tags": ["PII"]}`, value: `{"a": {"string": "canary"}}`},
		{name: "a nullable string that is null", fields: `{"name": "a", "type": ["null", "string"], "confluent:tags": ["PII"]}`, value: `{"a": null}`, none: true},
		{name: "null as the second branch", fields: `{"name": "a", "type": ["int", "null"], "confluent:tags": ["PII"]}, {"name": "b", "type": ["int", "null"]}`, value: `{"a": {"int": 7000001}, "b": null}`},
		{name: "nullable items", fields: `{"name": "a", "type": {"type": "array", "items": ["null", "long"]}, "confluent:tags": ["PII"]}`, value: `{"a": [{"long": 7000001}, null, {"long": 7000002}]}`},
		{name: "a null among the fields", fields: `{"name": "n", "type": "null"}, {"name": "a", "type": "string", "confluent:tags": ["PII"]}, {"name": "m", "type": "null"}`, value: `{"n": null, "a": "canary", "m": null}`},
		// Nested.
		{name: "a record in a record", fields: `{"name": "home", "type": ` + address + `}`, value: `{"home": {"street": "canary", "city": "clear"}}`},
		{name: "a type that is used twice", fields: `{"name": "home", "type": ` + address + `}, {"name": "work", "type": "Address"}`, value: `{"home": {"street": "canary-1", "city": "clear"}, "work": {"street": "canary-2", "city": "clear"}}`},
		{name: "a nullable record", fields: `{"name": "home", "type": ["null", ` + address + `]}, {"name": "work", "type": ["null", "Address"]}`, value: `{"home": {"com.acme.Address": {"street": "canary", "city": "clear"}}, "work": null}`},
		{name: "five levels", fields: `{"name": "a", "type": {"type": "record", "name": "A", "fields": [{"name": "b", "type": {"type": "record", "name": "B", "fields": [{"name": "c", "type": {"type": "record", "name": "C", "fields": [{"name": "d", "type": ` + address + `}]}}]}}]}}`, value: `{"a": {"b": {"c": {"d": {"street": "canary", "city": "clear"}}}}}`},
		{name: "a tag on a record counts for all in it", fields: `{"name": "a", "confluent:tags": ["PII"], "type": {"type": "record", "name": "A", "fields": [{"name": "s", "type": "string"}, {"name": "i", "type": "int"}]}}, {"name": "b", "type": "int"}`, value: `{"a": {"s": "canary", "i": 7000001}, "b": 1}`},
		{name: "a tag on a type counts wherever it is used", fields: `{"name": "a", "type": {"type": "record", "name": "A", "confluent:tags": ["PII"], "fields": [{"name": "s", "type": "string"}]}}, {"name": "b", "type": {"type": "map", "values": "A"}}`, value: `{"a": {"s": "canary-1"}, "b": {"k": {"s": "canary-2"}}}`},
		{name: "a record without fields", fields: `{"name": "e", "type": {"type": "record", "name": "E", "fields": []}}, {"name": "a", "type": "string", "confluent:tags": ["PII"]}`, value: `{"e": {}, "a": "canary"}`},
		{name: "a record as one value", fields: `{"name": "a", "confluent:tags": ["WHOLE"], "type": ` + address + `}, {"name": "b", "type": "string"}`, value: `{"a": {"street": "canary-1", "city": "canary-2"}, "b": "clear"}`},
		{name: "a nullable record as one value", fields: `{"name": "a", "confluent:tags": ["WHOLE"], "type": ["null", ` + address + `]}`, value: `{"a": {"com.acme.Address": {"street": "canary-1", "city": "canary-2"}}}`},
		// Arrays and maps.
		{name: "strings in an array", fields: `{"name": "a", "type": {"type": "array", "items": "string"}, "confluent:tags": ["PII"]}, {"name": "b", "type": {"type": "array", "items": "string"}}`, value: `{"a": ["canary-1", "canary-2"], "b": ["clear-1", "clear-2"]}`},
		{name: "the tag on the items", fields: `{"name": "a", "type": {"type": "array", "items": {"type": "double", "confluent:tags": ["PII"]}}}`, value: `{"a": [7000001.5, 7000002.5]}`},
		{name: "an array without items", fields: `{"name": "a", "type": {"type": "array", "items": "int"}, "confluent:tags": ["PII"]}`, value: `{"a": []}`, none: true},
		{name: "an array without items as one value", fields: `{"name": "a", "type": {"type": "array", "items": "int"}, "confluent:tags": ["WHOLE"]}`, value: `{"a": []}`},
		{name: "records in an array", fields: `{"name": "a", "type": {"type": "array", "items": ` + address + `}}`, value: `{"a": [{"street": "canary-1", "city": "clear"}, {"street": "canary-2", "city": "clear"}]}`},
		{name: "an array of arrays", fields: `{"name": "a", "type": {"type": "array", "items": {"type": "array", "items": {"type": "string", "confluent:tags": ["PII"]}}}}`, value: `{"a": [["canary-1"], [], ["canary-2", "canary-3"]]}`},
		{name: "a map", fields: `{"name": "a", "type": {"type": "map", "values": "string"}, "confluent:tags": ["PII"]}, {"name": "b", "type": {"type": "map", "values": "string"}}`, value: `{"a": {"k": "canary"}, "b": {"k": "clear"}}`},
		{name: "a map of numbers with the tag on the values", fields: `{"name": "a", "type": {"type": "map", "values": {"type": "int", "confluent:tags": ["PII"]}}}`, value: `{"a": {"k": 7000001}}`},
		{name: "a map of maps", fields: `{"name": "a", "type": {"type": "map", "values": {"type": "map", "values": ` + address + `}}}`, value: `{"a": {"k": {"l": {"street": "canary", "city": "clear"}}}}`},
		{name: "a map as one value", fields: `{"name": "a", "type": {"type": "map", "values": "long"}, "confluent:tags": ["WHOLE"]}, {"name": "b", "type": "long"}`, value: `{"a": {"k": 7000001}, "b": 1}`},
		// Unions.
		{name: "a union whose string is met", fields: `{"name": "a", "type": ["null", "string", "int"], "confluent:tags": ["PII"]}, {"name": "b", "type": ["null", "string", "int"]}`, value: `{"a": {"string": "canary"}, "b": {"string": "clear"}}`},
		{name: "a union whose number is met", fields: `{"name": "a", "type": ["null", "string", "int"], "confluent:tags": ["PII"]}, {"name": "b", "type": ["null", "string", "int"]}`, value: `{"a": {"int": 7000001}, "b": {"int": 1}}`},
		{name: "a tag on one branch, which is met", fields: `{"name": "a", "type": [{"type": "string", "confluent:tags": ["PII"]}, "long"]}`, value: `{"a": {"string": "canary"}}`},
		{name: "a tag on one branch, and the other is met", fields: `{"name": "a", "type": [{"type": "string", "confluent:tags": ["PII"]}, "long"]}`, value: `{"a": {"long": 3}}`, none: true},
		{name: "a union of records", fields: `{"name": "a", "type": [{"type": "record", "name": "A", "fields": [{"name": "x", "type": "string", "confluent:tags": ["PII"]}]}, {"type": "record", "name": "B", "fields": [{"name": "y", "type": "string"}, {"name": "z", "type": "int", "confluent:tags": ["PII"]}]}]}`, value: `{"a": {"com.acme.B": {"y": "clear", "z": 7000001}}}`},
		{name: "a union as one value", fields: `{"name": "a", "type": ["int", "string", "boolean"], "confluent:tags": ["WHOLE"]}`, value: `{"a": {"boolean": true}}`},
		{name: "a union in an array", fields: `{"name": "a", "type": {"type": "array", "items": ["null", "string", "long"]}, "confluent:tags": ["PII"]}`, value: `{"a": [{"string": "canary"}, null, {"long": 7000001}]}`},
		// Recursion.
		{name: "a list", fields: `{"name": "a", "type": ` + listOf + `}`, value: `{"a": {"v": "canary-1", "n": 1, "next": {"com.acme.L": {"v": "canary-2", "n": 2, "next": null}}}}`},
		{name: "a tree", fields: `{"name": "a", "type": ` + treeOf + `}`, value: `{"a": {"v": 7000001, "k": "clear", "kids": [{"v": 7000002, "k": "clear", "kids": []}, {"v": 7000003, "k": "clear", "kids": [{"v": 7000004, "k": "clear", "kids": []}]}]}}`},
		{name: "a list as one value", fields: `{"name": "a", "confluent:tags": ["WHOLE"], "type": {"type": "record", "name": "L", "fields": [{"name": "v", "type": "string"}, {"name": "next", "type": ["null", "L"]}]}}`, value: `{"a": {"v": "canary-1", "next": {"com.acme.L": {"v": "canary-2", "next": null}}}}`},
		// References, defaults, aliases, names.
		{name: "a reference", fields: `{"name": "a", "type": "com.other.P"}`, value: `{"a": {"x": "canary", "y": 1}}`, refs: []string{`{"type": "record", "name": "com.other.P", "fields": [{"name": "x", "type": "string", "confluent:tags": ["PII"]}, {"name": "y", "type": "int"}]}`}},
		{name: "a reference to a reference", fields: `{"name": "a", "type": {"type": "array", "items": "com.other.P"}}`, value: `{"a": [{"q": {"x": 7000001}}]}`, refs: []string{`{"type": "record", "name": "com.other.Q", "fields": [{"name": "x", "type": "int", "confluent:tags": ["PII"]}]}`, `{"type": "record", "name": "com.other.P", "fields": [{"name": "q", "type": "Q"}]}`}},
		{name: "defaults", fields: `{"name": "a", "type": "int", "default": 5, "confluent:tags": ["PII"]}, {"name": "b", "type": ["null", "long"], "default": null, "confluent:tags": ["PII"]}, {"name": "c", "type": "string", "default": "x"}`, value: `{"a": 7000001, "b": {"long": 7000002}, "c": "clear"}`},
		{name: "a default of a container", fields: `{"name": "a", "type": {"type": "array", "items": "int"}, "default": [], "confluent:tags": ["PII"]}`, value: `{"a": [7000001]}`},
		{name: "aliases", fields: `{"name": "a", "aliases": ["z"], "type": "int", "confluent:tags": ["PII"]}`, value: `{"a": 7000001}`},
		{name: "a type in another namespace", fields: `{"name": "a", "type": {"type": "record", "name": "A", "namespace": "org.other", "fields": [{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["CANARY"]}, "confluent:tags": ["PII"]}]}}, {"name": "b", "type": "org.other.A"}`, value: `{"a": {"e": "CANARY"}, "b": {"e": "CANARY"}}`},
		// Logical types.
		{name: "a date", fields: `{"name": "a", "type": {"type": "int", "logicalType": "date"}, "confluent:tags": ["PII"]}, {"name": "b", "type": {"type": "int", "logicalType": "date"}}`, value: `{"a": 7000001, "b": 1}`},
		{name: "a timestamp", fields: `{"name": "a", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "confluent:tags": ["PII"]}, {"name": "b", "type": {"type": "long", "logicalType": "timestamp-micros"}}`, value: `{"a": {"long": 1700000000000}, "b": 1}`},
		{name: "a decimal of bytes", fields: `{"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}, "confluent:tags": ["PII"]}`, value: `{"a": "canary"}`},
		{name: "a decimal of fixed", fields: `{"name": "a", "type": {"type": "fixed", "name": "D", "size": 6, "logicalType": "decimal", "precision": 10, "scale": 2}, "confluent:tags": ["PII"]}`, value: `{"a": "canary"}`},
		{name: "a uuid", fields: `{"name": "a", "type": {"type": "string", "logicalType": "uuid"}, "confluent:tags": ["PII"]}`, value: `{"a": "canary00-2222-4333-8444-555555555555"}`},
		{name: "a logical type of others", fields: `{"name": "a", "type": {"type": "string", "logicalType": "url"}, "confluent:tags": ["PII"]}`, value: `{"a": "https://example.com/canary"}`},
		// Tags beside the schema.
		{name: "a tag by a qualified name", fields: `{"name": "a", "type": "string"}, {"name": "b", "type": "string"}`, value: `{"a": "canary", "b": "clear"}`, tags: []schema.TagRule{{Pattern: "com.acme.R.a", Tags: []string{"PII"}}}},
		{name: "a tag by a pattern of names", fields: `{"name": "home", "type": {"type": "record", "name": "A", "fields": [{"name": "street", "type": "string"}, {"name": "city", "type": "string"}]}}, {"name": "street", "type": "long"}`, value: `{"home": {"street": "canary", "city": "clear"}, "street": 7000001}`, tags: []schema.TagRule{{Pattern: "**.street", Tags: []string{"PII"}}}},
		{name: "a tag by a path", fields: `{"name": "home", "type": {"type": "record", "name": "A", "fields": [{"name": "s", "type": "string"}]}}, {"name": "work", "type": "A"}`, value: `{"home": {"s": "canary"}, "work": {"s": "clear"}}`, tags: []schema.TagRule{{Pattern: "/home/s", Tags: []string{"PII"}}}},
		{name: "a tag on the root", fields: `{"name": "a", "type": "string"}, {"name": "b", "type": "int"}, {"name": "c", "type": {"type": "map", "values": "boolean"}}`, value: `{"a": "canary", "b": 7000001, "c": {"k": true}}`, tags: []schema.TagRule{{Pattern: "/*", Tags: []string{"PII"}}}},
		// Values.
		{name: "a string without characters", fields: `{"name": "a", "type": "string", "confluent:tags": ["PII"]}, {"name": "b", "type": "string"}`, value: `{"a": "", "b": ""}`},
		{name: "characters of all lengths", fields: `{"name": "a", "type": "string", "confluent:tags": ["PII"]}, {"name": "b", "type": "string"}`, value: `{"a": "canary é 漢 🦆", "b": "é 漢 🦆"}`},
		{name: "a value that looks like an envelope", fields: `{"name": "a", "type": "string"}, {"name": "b", "type": "string", "confluent:tags": ["PII"]}`, value: `{"a": "fv1:AAAA", "b": "canary"}`},
	}
	var out []corpusCase
	for _, tt := range tests {
		text := schema.Text{
			Format: schema.Avro, References: tt.refs, Tags: tt.tags,
			Schema: `{"type": "record", "name": "com.acme.R", "fields": [` + tt.fields + `]}`,
		}
		out = append(out, corpusCase{
			name: tt.name, text: text, body: encodeAvro(t, text, tt.value), decode: decodeAvro, none: tt.none,
		})
	}
	return out
}
