package formats_test

import (
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// jsonSchemaCorpus are the cases of JSON with a schema by hand. PII and WHOLE
// stand for the property that gives the tag.
func jsonSchemaCorpus(testing.TB) []corpusCase {
	const (
		pii     = `"confluent:tags": ["PII"]`
		whole   = `"confluent:tags": ["WHOLE"]`
		address = `"Address": {"type": "object", "properties": {"street": {"type": "string", ` + pii + `}, "city": {"type": "string"}}}`
		listOf  = `"L": {"type": "object", "properties": {"v": {"type": "string", ` + pii + `}, "n": {"type": "integer"}, "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/L"}]}}}`
	)
	object := func(members string) string { return `{"type": "object", "properties": {` + members + `}}` }
	with := func(members, defs string) string {
		return `{"type": "object", "properties": {` + members + `}, "$defs": {` + defs + `}}`
	}
	tests := []struct {
		name, schema, doc string
		refs              map[string]string
		tags              []schema.TagRule
		none              bool
	}{
		// Leaves.
		{name: "a string", schema: object(`"a": {"type": "string", ` + pii + `}, "b": {"type": "string"}`), doc: `{"a": "canary", "b": "clear"}`},
		{name: "an integer", schema: object(`"a": {"type": "integer", ` + pii + `}, "b": {"type": "integer"}`), doc: `{"a": 7000001, "b": -3}`},
		{name: "a number", schema: object(`"a": {"type": "number", ` + pii + `}, "b": {"type": "number"}`), doc: `{"a": 7.0000010e+6, "b": 1.50}`},
		{name: "a number beyond every range", schema: object(`"a": {"type": "number", ` + pii + `}, "b": {"type": "number"}`), doc: `{"a": 123456789012345678901234567890.10, "b": 0.1000}`},
		{name: "a boolean", schema: object(`"a": {"type": "boolean", ` + pii + `}, "b": {"type": "boolean"}`), doc: `{"a": true, "b": false}`},
		{name: "an enum", schema: object(`"a": {"enum": ["CANARY", "x"], ` + pii + `}, "b": {"enum": ["y", "x"]}`), doc: `{"a": "CANARY", "b": "x"}`},
		{name: "a const", schema: object(`"a": {"const": "canary", ` + pii + `}, "b": {"const": 3}`), doc: `{"a": "canary", "b": 3}`},
		{name: "a value of any type that is a string", schema: object(`"a": {` + pii + `}, "b": {}`), doc: `{"a": "canary", "b": "clear"}`},
		{name: "a value of any type that is a number", schema: object(`"a": {` + whole + `}, "b": {}`), doc: `{"a": 7000001, "b": 1}`},
		{name: "a value of any type that is an object", schema: object(`"a": {` + whole + `}, "b": {"type": "string"}`), doc: `{"a": {"x": ["canary", 7000001]}, "b": "clear"}`},
		// Formats and constraints.
		{name: "a format", schema: object(`"a": {"type": "string", "format": "email", ` + pii + `}, "b": {"type": "string", "format": "email"}`), doc: `{"a": "canary@example.com", "b": "clear@example.com"}`},
		{name: "a date", schema: object(`"a": {"type": "string", "format": "date", ` + whole + `}, "b": {"type": "string", ` + pii + `}`), doc: `{"b": "canary"}`},
		{name: "a pattern", schema: object(`"a": {"type": "string", "pattern": "^can", ` + pii + `}`), doc: `{"a": "canary"}`},
		{name: "lengths", schema: object(`"a": {"type": "string", "minLength": 1, "maxLength": 6, ` + pii + `}`), doc: `{"a": "canary"}`},
		{name: "bounds of a number", schema: object(`"a": {"type": "integer", "minimum": 0, "maximum": 9000000, "multipleOf": 1, ` + pii + `}`), doc: `{"a": 7000001}`},
		{name: "bounds of what has no tag", schema: object(`"a": {"type": "string", ` + pii + `}, "b": {"type": "integer", "minimum": 0, "exclusiveMaximum": 9}`), doc: `{"a": "canary", "b": 3}`},
		// Nulls and absence.
		{name: "a nullable string that is there", schema: object(`"a": {"type": ["string", "null"], ` + pii + `}`), doc: `{"a": "canary"}`},
		{name: "a nullable string that is null", schema: object(`"a": {"type": ["string", "null"], ` + pii + `}`), doc: `{"a": null}`, none: true},
		{name: "a nullable number", schema: object(`"a": {"type": ["null", "number"], ` + pii + `}, "b": {"type": ["null", "number"]}`), doc: `{"a": 7000001.5, "b": null}`},
		{name: "a member that is not there", schema: `{"type": "object", "required": ["b"], "properties": {"a": {"type": "string", ` + pii + `}, "b": {"type": "string"}}}`, doc: `{"b": "clear"}`, none: true},
		{name: "a required member", schema: `{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", ` + pii + `}}}`, doc: `{"a": 7000001}`},
		// Nested.
		{name: "an object in an object", schema: object(`"home": {"type": "object", "properties": {"street": {"type": "string", ` + pii + `}, "city": {"type": "string"}}}`), doc: `{"home": {"street": "canary", "city": "clear"}}`},
		{name: "a tag on an object counts for all in it", schema: object(`"a": {"type": "object", ` + pii + `, "properties": {"s": {"type": "string"}, "i": {"type": "integer"}}}, "b": {"type": "integer"}`), doc: `{"a": {"s": "canary", "i": 7000001}, "b": 1}`},
		{name: "an object as one value", schema: object(`"a": {"type": "object", ` + whole + `, "properties": {"s": {"type": "string"}, "i": {"type": "integer"}}}, "b": {"type": "integer"}`), doc: `{"a": {"s": "canary",  "i": 7000001}, "b": 1}`},
		{name: "a tag on the root", schema: `{"type": "object", ` + pii + `, "properties": {"s": {"type": "string"}, "i": {"type": "integer"}}}`, doc: `{"s": "canary", "i": 7000001}`},
		{name: "an object without members", schema: object(`"a": {"type": "string", ` + pii + `}, "e": {"type": "object", "additionalProperties": false}`), doc: `{"a": "canary", "e": {}}`},
		{name: "members in another order", schema: object(`"a": {"type": "string", ` + pii + `}, "b": {"type": "string"}`), doc: `{ "b" : "clear" ,"a":"canary"}`},
		// Arrays.
		{name: "strings in an array", schema: object(`"a": {"type": "array", "items": {"type": "string"}, ` + pii + `}, "b": {"type": "array", "items": {"type": "string"}}`), doc: `{"a": ["canary-1", "canary-2"], "b": ["clear"]}`},
		{name: "the tag on the items", schema: object(`"a": {"type": "array", "items": {"type": "integer", ` + pii + `}}`), doc: `{"a": [7000001, 7000002]}`},
		{name: "an array of arrays", schema: object(`"a": {"type": "array", "items": {"type": "array", "items": {"type": "string", ` + pii + `}}}`), doc: `{"a": [["canary-1"], [], ["canary-2", "canary-3"]]}`},
		{name: "objects in an array", schema: with(`"a": {"type": "array", "items": {"$ref": "#/$defs/Address"}}`, address), doc: `{"a": [{"street": "canary-1", "city": "clear"}, {"street": "canary-2"}]}`},
		{name: "an array without items", schema: object(`"a": {"type": "array", "items": {"type": "string"}, ` + pii + `}`), doc: `{"a": []}`, none: true},
		{name: "an array as one value", schema: object(`"a": {"type": "array", "items": {"type": "string"}, ` + whole + `}`), doc: `{"a": ["canary-1", "canary-2"]}`},
		{name: "limits of an array", schema: object(`"a": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", ` + pii + `}}`), doc: `{"a": ["canary-1", "canary-2"]}`},
		// Maps.
		{name: "a map", schema: object(`"a": {"type": "object", "additionalProperties": {"type": "string", ` + pii + `}}, "b": {"type": "object", "additionalProperties": {"type": "string"}}`), doc: `{"a": {"k": "canary"}, "b": {"k": "clear"}}`},
		{name: "a map of numbers", schema: object(`"a": {"type": "object", ` + pii + `, "additionalProperties": {"type": "number"}}`), doc: `{"a": {"k": 7000001, "l": 7000002.50}}`},
		{name: "a map of objects", schema: with(`"a": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Address"}}`, address), doc: `{"a": {"k": {"street": "canary", "city": "clear"}}}`},
		{name: "members and a map in one", schema: object(`"a": {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": {"type": "string", ` + pii + `}}`), doc: `{"a": {"x": "clear", "k": "canary"}}`},
		// Unions.
		{name: "a union whose string is met", schema: object(`"a": {"oneOf": [{"type": "string"}, {"type": "integer"}], ` + pii + `}, "b": {"oneOf": [{"type": "string"}, {"type": "integer"}]}`), doc: `{"a": "canary", "b": "clear"}`},
		{name: "a union whose number is met", schema: object(`"a": {"oneOf": [{"type": "string"}, {"type": "integer"}], ` + pii + `}, "b": {"oneOf": [{"type": "string"}, {"type": "integer"}]}`), doc: `{"a": 7000001, "b": 1}`},
		{name: "a list of types", schema: object(`"a": {"type": ["string", "integer", "null"], ` + pii + `}, "b": {"type": ["string", "integer", "null"]}`), doc: `{"a": 7000001, "b": null}`},
		{name: "anyOf with null", schema: object(`"a": {"anyOf": [{"type": "null"}, {"type": "string", ` + pii + `}]}`), doc: `{"a": "canary"}`},
		{name: "a union of an object and a string", schema: with(`"a": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/Address"}]}`, address), doc: `{"a": {"street": "canary", "city": "clear"}}`},
		{name: "a union as one value", schema: object(`"a": {"oneOf": [{"type": "string"}, {"type": "boolean"}], ` + whole + `}`), doc: `{"a": true}`},
		{name: "allOf with a reference", schema: with(`"home": {"allOf": [{"$ref": "#/$defs/Address"}], "description": "where"}`, address), doc: `{"home": {"street": "canary", "city": "clear"}}`},
		// References and recursion.
		{name: "a type that is used twice", schema: with(`"home": {"$ref": "#/$defs/Address"}, "work": {"$ref": "#/$defs/Address"}`, address), doc: `{"home": {"street": "canary-1", "city": "clear"}, "work": {"street": "canary-2", "city": "clear"}}`},
		{name: "definitions of former drafts", schema: `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"home": {"$ref": "#/definitions/Address"}}, "definitions": {` + address + `}}`, doc: `{"home": {"street": "canary", "city": "clear"}}`},
		{name: "another schema", schema: object(`"home": {"$ref": "address.json"}`), doc: `{"home": {"street": "canary", "n": 1}}`, refs: map[string]string{"address.json": object(`"street": {"type": "string", ` + pii + `}, "n": {"type": "integer"}`)}},
		{name: "a list", schema: with(`"a": {"$ref": "#/$defs/L"}`, listOf), doc: `{"a": {"v": "canary-1", "n": 1, "next": {"v": "canary-2", "n": 2, "next": null}}}`},
		{name: "a tree of roots", schema: object(`"v": {"type": "integer", ` + pii + `}, "k": {"type": "string"}, "kids": {"type": "array", "items": {"$ref": "#"}}`), doc: `{"v": 7000001, "k": "clear", "kids": [{"v": 7000002, "kids": []}, {"k": "clear", "kids": [{"v": 7000003}]}]}`},
		// Tags beside the schema.
		{name: "a tag by a qualified name", schema: object(`"a": {"type": "string"}, "b": {"type": "string"}`), doc: `{"a": "canary", "b": "clear"}`, tags: []schema.TagRule{{Pattern: "$.a", Tags: []string{"PII"}}}},
		{name: "a tag by a path", schema: object(`"home": {"type": "object", "properties": {"s": {"type": "integer"}}}, "s": {"type": "integer"}`), doc: `{"home": {"s": 7000001}, "s": 1}`, tags: []schema.TagRule{{Pattern: "/home/s", Tags: []string{"PII"}}}},
		// Spelling.
		{name: "names and strings with escapes", schema: object(`"a": {"type": "string", ` + pii + `}, "b": {"type": "string"}`), doc: `{"\u0061": "\u0063anary canary \ud83e\udd86 \/", "b": "\u0063lear \/"}`},
		{name: "white space everywhere", schema: object(`"a": {"type": "integer", ` + pii + `}, "b": {"type": "array", "items": {"type": "integer"}}`), doc: " \t{ \"a\"\n:\r7000001 ,\"b\" :[ 1 , 2 ] } \n"},
		{name: "a string without characters", schema: object(`"a": {"type": "string", ` + pii + `}, "b": {"type": "string"}`), doc: `{"a": "", "b": ""}`},
		{name: "a value that looks like an envelope", schema: object(`"a": {"type": "string"}, "b": {"type": "string", ` + pii + `}`), doc: `{"a": "fv1:AAAA", "b": "canary"}`},
	}
	var out []corpusCase
	for _, tt := range tests {
		text := schema.Text{Format: schema.JSONSchema, Schema: tt.schema, Tags: tt.tags}
		for name, ref := range tt.refs {
			text.Names, text.References = append(text.Names, name), append(text.References, ref)
		}
		out = append(out, corpusCase{name: tt.name, text: text, body: []byte(tt.doc), decode: decodeJSON, none: tt.none})
	}
	return out
}

// bareJSONCorpus are the cases of JSON without a schema by hand.
func bareJSONCorpus(testing.TB) []corpusCase {
	tests := []struct {
		name  string
		paths []string
		doc   string
		none  bool
	}{
		// What a value can be.
		{name: "a string", paths: []string{"/a"}, doc: `{"a": "canary", "b": "clear"}`},
		{name: "an integer", paths: []string{"/a"}, doc: `{"a": 7000001, "b": 1}`},
		{name: "a number and its spelling", paths: []string{"/a"}, doc: `{"a": 7.00000100e+6, "b": 1.500E-0}`},
		{name: "a number beyond every range", paths: []string{"/a"}, doc: `{"a": 123456789012345678901234567890.10, "b": 1e999999}`},
		{name: "a boolean", paths: []string{"/a"}, doc: `{"a": true, "b": false}`},
		{name: "a null", paths: []string{"/a"}, doc: `{"a": null, "b": null}`, none: true},
		{name: "an object", paths: []string{"/a"}, doc: `{"a": {"x": "canary", "y": [7000001, true]}, "b": {"x": "clear"}}`},
		{name: "an array", paths: []string{"/a"}, doc: `{"a": ["canary", {"x": 7000001}], "b": ["clear"]}`},
		{name: "an empty object", paths: []string{"/a"}, doc: `{"a": {}, "b": {}}`},
		{name: "an empty array", paths: []string{"/a"}, doc: `{"a": [], "b": []}`},
		{name: "an empty string", paths: []string{"/a"}, doc: `{"a": "", "b": ""}`},
		{name: "an object that holds white space", paths: []string{"/a"}, doc: `{"a": { "x" : "canary" , "y" : [ 7000001 ] } }`},
		{name: "a value of another type each time", paths: []string{"/a/[]"}, doc: `{"a": ["canary", 7000001, true, {"x": "canary"}, ["canary"], null]}`},
		// Where it can be.
		{name: "a member of a member", paths: []string{"/a/b/c"}, doc: `{"a": {"b": {"c": "canary", "d": "clear"}, "c": "clear"}, "c": "clear"}`},
		{name: "two members", paths: []string{"/a", "/b"}, doc: `{"b": "canary-1", "c": "clear", "a": "canary-2"}`},
		{name: "a path that is not there", paths: []string{"/a/x", "/z"}, doc: `{"a": {"y": "clear"}}`, none: true},
		{name: "a path through something else", paths: []string{"/a/x"}, doc: `{"a": ["clear"]}`, none: true},
		{name: "items", paths: []string{"/a/[]"}, doc: `{"a": ["canary-1", "canary-2"], "b": ["clear"]}`},
		{name: "a member of items", paths: []string{"/a/[]/x"}, doc: `{"a": [{"x": "canary-1", "y": "clear"}, {"y": "clear", "x": "canary-2"}]}`},
		{name: "items of items", paths: []string{"/a/[]/[]"}, doc: `{"a": [["canary-1"], [], ["canary-2", 7000001]]}`},
		{name: "values of a map", paths: []string{"/a/{}"}, doc: `{"a": {"k": "canary-1", "l": 7000001}, "b": {"k": "clear"}}`},
		{name: "a member of values of a map", paths: []string{"/a/{}/x"}, doc: `{"a": {"k": {"x": "canary", "y": "clear"}, "l": {"x": 7000001}}}`},
		{name: "the root is an array", paths: []string{"/[]/x"}, doc: `[{"x": "canary-1", "y": "clear"}, {"x": "canary-2"}]`},
		{name: "the root is an array of values", paths: []string{"/[]"}, doc: `["canary-1", 7000001, null]`},
		{name: "the root is a string, and no path is for it", paths: []string{"/a"}, doc: `"clear"`, none: true},
		{name: "the root is null", paths: []string{"/a"}, doc: `null`, none: true},
		// Wildcards.
		{name: "any member", paths: []string{"/*/x"}, doc: `{"a": {"x": "canary-1", "y": "clear"}, "b": {"x": "canary-2"}, "c": "clear"}`},
		{name: "any depth", paths: []string{"/**/x"}, doc: `{"x": "canary-1", "a": {"x": "canary-2", "b": [{"c": {"x": 7000001}, "y": "clear"}]}}`},
		{name: "any depth between two names", paths: []string{"/a/**/x"}, doc: `{"x": "clear", "a": {"x": "canary-1", "b": {"c": {"x": "canary-2"}}}}`},
		{name: "any depth twice", paths: []string{"/**/a/**/x"}, doc: `{"x": "clear", "a": {"x": "canary-1", "a": {"b": {"x": "canary-2"}}}, "b": {"x": "clear"}}`},
		{name: "everything below", paths: []string{"/a/**"}, doc: `{"a": {"x": "canary-1", "b": {"y": 7000001}}, "b": "clear"}`},
		{name: "everything", paths: []string{"/**"}, doc: `{"a": "canary-1", "b": {"x": 7000001}, "c": [true]}`},
		{name: "the outer of two that match", paths: []string{"/a/x", "/a"}, doc: `{"a": {"x": "canary-1", "y": "canary-2"}}`},
		{name: "two patterns that match one value", paths: []string{"/a/x", "/**/x"}, doc: `{"a": {"x": "canary-1"}, "b": {"x": "canary-2", "y": "clear"}}`},
		{name: "items at any depth", paths: []string{"/**/tags/[]"}, doc: `{"tags": ["canary-1"], "a": {"tags": ["canary-2", 7000001], "b": ["clear"]}}`},
		// Names.
		{name: "a name with an escape", paths: []string{"/abc"}, doc: `{"\u0061b\u0063": "canary", "abd": "clear"}`},
		{name: "a name beyond ASCII", paths: []string{"/jméno"}, doc: `{"jméno": "canary", "jmen": "clear"}`},
		{name: "a name beyond ASCII with escapes", paths: []string{"/jméno"}, doc: `{"jm\u00e9no": "canary", "x": "clear"}`},
		{name: "a name with a dot and a dollar sign", paths: []string{"/a.b/$c"}, doc: `{"a.b": {"$c": "canary"}, "a": {"b": "clear"}}`},
		{name: "names that begin alike", paths: []string{"/ab"}, doc: `{"a": "clear", "ab": "canary", "abc": "clear"}`},
		{name: "a name that is long", paths: []string{"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, doc: `{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": "canary", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": "clear"}`},
		// Spelling.
		{name: "escapes in a value", paths: []string{"/a"}, doc: `{"a": "\u0063anary canary \"\\\/\b\f\n\r\t \ud83e\udd86", "b": "\u0063lear \/"}`},
		{name: "characters of all lengths", paths: []string{"/a"}, doc: `{"a": "canary é 漢 🦆", "b": "é 漢 🦆"}`},
		{name: "white space everywhere", paths: []string{"/a", "/b/[]"}, doc: " \t{ \"a\"\n:\r7000001 ,\"b\" :[ \"canary\" , 7000002 ] } \n"},
		{name: "no white space", paths: []string{"/a", "/c/d"}, doc: `{"a":"canary","b":1,"c":{"d":7000001,"e":null}}`},
		{name: "a value that looks like an envelope", paths: []string{"/b"}, doc: `{"a": "fv1:AAAA", "b": "canary"}`},
		{name: "zero in its spellings", paths: []string{"/a"}, doc: `{"a": "canary", "b": [0, -0, 0.0, 0e0, -0.0E+0]}`},
	}
	var out []corpusCase
	for _, tt := range tests {
		var fields []string
		for _, p := range tt.paths {
			fields = append(fields, `{path: "`+p+`", action: encrypt, key: k}`)
		}
		out = append(out, corpusCase{
			name: tt.name, policy: barePolicy(fields...), bare: true, body: []byte(tt.doc), decode: decodeJSON, none: tt.none,
		})
	}
	return out
}
