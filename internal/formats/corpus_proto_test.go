package formats_test

import (
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// protoCorpus are the cases of Protobuf by hand. The first message of the schema
// is the one that is sent; its value stands in the text format.
func protoCorpus(t testing.TB) []corpusCase {
	t.Helper()
	const (
		head    = "syntax = \"proto3\";\npackage acme;\nimport \"confluent/meta.proto\";\n"
		two     = "syntax = \"proto2\";\npackage acme;\nimport \"confluent/meta.proto\";\n"
		pii     = ` [(confluent.field_meta).tags = "PII"]`
		whole   = ` [(confluent.field_meta).tags = "WHOLE"]`
		address = "message Address { string street = 1" + pii + "; string city = 2; }\n"
		suit    = "enum Suit { CLEAR = 0; CANARY = 1; HARMLESS = 2; }\n"
	)
	tests := []struct {
		name, schema, value string
		refs                map[string]string
		tags                []schema.TagRule
		none                bool
	}{
		// Leaves.
		{name: "a string", schema: head + `message R { string a = 1` + pii + `; string b = 2; }`, value: `a: "canary" b: "clear"`},
		{name: "bytes", schema: head + `message R { bytes a = 1` + pii + `; bytes b = 2; }`, value: `a: "canary\xff" b: "clear\xff"`},
		{name: "int32", schema: head + `message R { int32 a = 1` + pii + `; int32 b = 2; }`, value: `a: 7000001 b: -1`},
		{name: "int64", schema: head + `message R { int64 a = 1` + pii + `; int64 b = 2; }`, value: `a: 9223372036854775807 b: -1`},
		{name: "uint32", schema: head + `message R { uint32 a = 1` + pii + `; uint32 b = 2; }`, value: `a: 4294967295 b: 1`},
		{name: "uint64", schema: head + `message R { uint64 a = 1` + pii + `; uint64 b = 2; }`, value: `a: 18446744073709551615 b: 1`},
		{name: "sint32", schema: head + `message R { sint32 a = 1` + pii + `; sint32 b = 2; }`, value: `a: 7000001 b: -1`},
		{name: "sint64", schema: head + `message R { sint64 a = 1` + pii + `; sint64 b = 2; }`, value: `a: 7000001 b: -1`},
		{name: "fixed32", schema: head + `message R { fixed32 a = 1` + pii + `; fixed32 b = 2; }`, value: `a: 7000001 b: 1`},
		{name: "fixed64", schema: head + `message R { fixed64 a = 1` + pii + `; fixed64 b = 2; }`, value: `a: 7000001 b: 1`},
		{name: "sfixed32", schema: head + `message R { sfixed32 a = 1` + pii + `; sfixed32 b = 2; }`, value: `a: 7000001 b: -1`},
		{name: "sfixed64", schema: head + `message R { sfixed64 a = 1` + pii + `; sfixed64 b = 2; }`, value: `a: 7000001 b: -1`},
		{name: "float", schema: head + `message R { float a = 1` + pii + `; float b = 2; }`, value: `a: 7000001.5 b: -1.5`},
		{name: "double", schema: head + `message R { double a = 1` + pii + `; double b = 2; }`, value: `a: 1e300 b: 1e-300`},
		{name: "bool", schema: head + `message R { bool a = 1` + pii + `; bool b = 2; }`, value: `a: true`},
		{name: "an enum", schema: head + suit + `message R { Suit a = 1` + pii + `; Suit b = 2; }`, value: `a: CANARY b: HARMLESS`},
		{name: "a tag on the enum itself", schema: head + `enum E { option (confluent.enum_meta).tags = "PII"; ZERO = 0; CANARY = 1; } message R { E a = 1; repeated E b = 2; int32 c = 3; }`, value: `a: CANARY b: CANARY c: 1`},
		// Presence.
		{name: "an optional string that is there and has nothing", schema: head + `message R { optional string a = 1` + pii + `; optional string b = 2; string c = 3` + pii + `; }`, value: `a: "" b: "" c: "canary"`},
		{name: "an optional number that is zero", schema: head + `message R { optional int32 a = 1` + pii + `; optional int32 b = 2; string c = 3` + pii + `; }`, value: `b: 0 c: "canary"`},
		{name: "an optional string that is not there", schema: head + `message R { optional string a = 1` + pii + `; string b = 2; }`, value: `b: "clear"`, none: true},
		{name: "a message without fields", schema: head + `message R { string a = 1` + pii + `; E e = 2; } message E {}`, value: `a: "canary" e {}`},
		{name: "required and optional of proto2", schema: two + `message R { required string a = 1` + pii + `; optional int32 b = 2` + pii + `; required string c = 3; }`, value: `a: "canary" b: 7000001 c: "clear"`},
		{name: "a default of proto2", schema: two + `message R { optional int32 a = 1 [default = 7, (confluent.field_meta).tags = "PII"]; optional string b = 2 [default = "x"]; }`, value: `a: 7000001 b: "clear"`},
		{name: "a group of proto2", schema: two + `message R { optional group G = 1 { optional string a = 2` + pii + `; optional int32 b = 3; } optional string c = 4; }`, value: `G {a: "canary" b: 3} c: "clear"`},
		// Nested.
		{name: "a message in a message", schema: head + `message R { Address home = 1; } ` + address, value: `home {street: "canary" city: "clear"}`},
		{name: "a type that is used twice", schema: head + `message R { Address home = 1; Address work = 2; } ` + address, value: `home {street: "canary-1" city: "clear"} work {street: "canary-2" city: "clear"}`},
		{name: "a type inside of another", schema: head + `message R { message In { message Deep { sint32 x = 1` + pii + `; } Deep deep = 1; } In in = 1; In.Deep deep = 2; }`, value: `in {deep {x: 7000001}} deep {x: 7000002}`},
		{name: "five levels", schema: head + `message R { A a = 1; } message A { B b = 1; } message B { C c = 1; } message C { Address d = 1; } ` + address, value: `a {b {c {d {street: "canary" city: "clear"}}}}`},
		{name: "a tag on a field counts for all in its message", schema: head + `message R { A a = 1` + pii + `; A b = 2; } message A { string s = 1; bytes i = 2; }`, value: `a {s: "canary-1" i: "canary-2"} b {s: "clear" i: "clear"}`},
		{name: "a tag on a message counts wherever it is used", schema: head + `message R { A a = 1; map<string, A> b = 2; } message A { option (confluent.message_meta).tags = "PII"; string s = 1; }`, value: `a {s: "canary-1"} b {key: "k" value {s: "canary-2"}}`},
		{name: "a tag on the file", schema: head + `option (confluent.file_meta).tags = "PII"; message R { string a = 1; A b = 2; } message A { int32 i = 1; }`, value: `a: "canary" b {i: 7000001}`},
		{name: "a message as one value", schema: head + `message R { Address a = 1` + whole + `; string b = 2; } ` + address, value: `a {street: "canary-1" city: "canary-2"} b: "clear"`},
		// Repeated.
		{name: "repeated strings", schema: head + `message R { repeated string a = 1` + pii + `; repeated string b = 2; }`, value: `a: "canary-1" a: "canary-2" b: "clear-1" b: "clear-2"`},
		{name: "packed numbers", schema: head + `message R { repeated int32 a = 1` + pii + `; repeated int32 b = 2; }`, value: `a: 7000001 a: 7000002 b: 1 b: 2`},
		{name: "numbers that are not packed", schema: head + `message R { repeated sint64 a = 1 [packed = false, (confluent.field_meta).tags = "PII"]; repeated sint64 b = 2 [packed = false]; }`, value: `a: 7000001 a: 7000002 b: 1 b: 2`},
		{name: "packed doubles", schema: head + `message R { repeated double a = 1` + pii + `; repeated double b = 2; }`, value: `a: 7000001.5 a: 7000002.5 b: 1.5`},
		{name: "repeated enums", schema: head + suit + `message R { repeated Suit a = 1` + pii + `; repeated Suit b = 2; }`, value: `a: CANARY a: CANARY b: HARMLESS b: CLEAR`},
		{name: "repeated messages", schema: head + `message R { repeated Address a = 1; } ` + address, value: `a {street: "canary-1" city: "clear"} a {street: "canary-2" city: "clear"}`},
		{name: "repeated messages as one value", schema: head + `message R { repeated Address a = 1` + whole + `; string b = 2; } ` + address, value: `a {street: "canary-1" city: "canary-3"} a {street: "canary-2"} b: "clear"`},
		{name: "packed numbers as one value", schema: head + `message R { repeated int32 a = 1` + whole + `; int32 b = 2; }`, value: `a: 7000001 a: 7000002 b: 1`},
		{name: "no items", schema: head + `message R { repeated int32 a = 1` + pii + `; int32 b = 2; }`, value: `b: 1`, none: true},
		// Maps.
		{name: "a map of strings", schema: head + `message R { map<string, string> a = 1` + pii + `; map<string, string> b = 2; }`, value: `a {key: "k" value: "canary"} b {key: "k" value: "clear"}`},
		{name: "a map with numbers as keys", schema: head + `message R { map<int32, sint32> a = 1` + pii + `; map<bool, sint32> b = 2; }`, value: `a {key: -3 value: 7000001} b {key: true value: 1}`},
		{name: "a map of messages", schema: head + `message R { map<string, Address> a = 1; } ` + address, value: `a {key: "k" value {street: "canary" city: "clear"}}`},
		{name: "a map of enums", schema: head + suit + `message R { map<string, Suit> a = 1` + pii + `; map<string, Suit> b = 2; }`, value: `a {key: "k" value: CANARY} b {key: "k" value: HARMLESS}`},
		{name: "a map as one value", schema: head + `message R { map<string, int32> a = 1` + whole + `; int32 b = 2; }`, value: `a {key: "k" value: 7000001} b: 1`},
		// Oneofs.
		{name: "a oneof whose string is met", schema: head + `message R { oneof o { string a = 1` + pii + `; int32 b = 2` + pii + `; bool c = 3; } }`, value: `a: "canary"`},
		{name: "a oneof whose number is met", schema: head + `message R { oneof o { string a = 1` + pii + `; int32 b = 2` + pii + `; bool c = 3; } }`, value: `b: 7000001`},
		{name: "a oneof whose member without a tag is met", schema: head + `message R { oneof o { string a = 1` + pii + `; bool c = 3; } }`, value: `c: false`, none: true},
		{name: "a oneof whose message is met", schema: head + `message R { oneof o { string a = 1; Address b = 2; } string c = 3; } ` + address, value: `b {street: "canary" city: "clear"} c: "clear"`},
		// Recursion.
		{name: "a list", schema: head + `message R { L a = 1; } message L { string v = 1` + pii + `; int32 n = 2; L next = 3; }`, value: `a {v: "canary-1" n: 1 next {v: "canary-2" n: 2}}`},
		{name: "a tree", schema: head + `message R { N a = 1; } message N { sint64 v = 1` + pii + `; string k = 2; repeated N kids = 3; }`, value: `a {v: 7000001 k: "clear" kids {v: 7000002 kids {v: 7000003}} kids {k: "clear"}}`},
		{name: "two types in one another", schema: head + `message R { A a = 1; } message A { string s = 1` + pii + `; B b = 2; } message B { int32 i = 1; A a = 2; }`, value: `a {s: "canary-1" b {i: 1 a {s: "canary-2"}}}`},
		{name: "the root inside itself", schema: head + `message R { string s = 1` + pii + `; string t = 2; R r = 3; }`, value: `s: "canary-1" t: "clear" r {s: "canary-2" t: "clear"}`},
		// References and well-known types.
		{name: "an import", schema: head + `import "other/p.proto"; message R { other.P a = 1; }`, value: `a {x: "canary" y: 1}`, refs: map[string]string{"other/p.proto": `syntax = "proto3"; package other; import "confluent/meta.proto"; message P { string x = 1` + pii + `; int32 y = 2; }`}},
		{name: "a timestamp as one value", schema: head + `import "google/protobuf/timestamp.proto"; message R { google.protobuf.Timestamp a = 1` + whole + `; google.protobuf.Timestamp b = 2; }`, value: `a {seconds: 1700000000} b {seconds: 3}`},
		{name: "a wrapper as one value", schema: head + `import "google/protobuf/wrappers.proto"; message R { google.protobuf.Int64Value a = 1` + whole + `; google.protobuf.Int32Value b = 2; }`, value: `a {value: 7000001} b {value: 3}`},
		{name: "a wrapper", schema: head + `import "google/protobuf/wrappers.proto"; message R { google.protobuf.StringValue a = 1` + pii + `; google.protobuf.Int32Value b = 2; }`, value: `a {value: "canary"} b {value: 3}`},
		// Tags beside the schema, and tags of other forms.
		{name: "a tag by a full name", schema: head + `message R { string a = 1; string b = 2; }`, value: `a: "canary" b: "clear"`, tags: []schema.TagRule{{Pattern: "acme.R.a", Tags: []string{"PII"}}}},
		{name: "a tag by a path", schema: head + `message R { A home = 1; A work = 2; } message A { string s = 1; }`, value: `home {s: "canary"} work {s: "clear"}`, tags: []schema.TagRule{{Pattern: "/home/s", Tags: []string{"PII"}}}},
		{name: "several tags", schema: head + `message R { string a = 1 [(confluent.field_meta) = {tags: ["PII"], doc: "of a person"}]; string b = 2 [(confluent.field_meta).doc = "PII"]; }`, value: `a: "canary" b: "clear"`},
		// Values and numbers of fields.
		{name: "field numbers of all lengths", schema: head + `message R { string a = 15` + pii + `; int32 b = 16` + pii + `; sint32 c = 2047; string d = 2048` + pii + `; int32 e = 536870911` + pii + `; }`, value: `a: "canary-1" b: 7000001 c: 1 d: "canary-2" e: 7000002`},
		{name: "characters of all lengths", schema: head + `message R { string a = 1` + pii + `; string b = 2; }`, value: `a: "canary é 漢 🦆" b: "é 漢 🦆"`},
		{name: "a value that looks like an envelope", schema: head + `message R { string a = 1; string b = 2` + pii + `; }`, value: `a: "fv1:AAAA" b: "canary"`},
		{name: "a name in JSON of its own", schema: head + `message R { int32 a_b = 1 [json_name = "x", (confluent.field_meta).tags = "PII"]; int32 c_d = 2; }`, value: `a_b: 7000001 c_d: 1`},
	}
	var out []corpusCase
	for _, tt := range tests {
		text := schema.Text{Format: schema.Protobuf, Schema: tt.schema, Tags: tt.tags}
		for name, ref := range tt.refs {
			text.Names, text.References = append(text.Names, name), append(text.References, ref)
		}
		out = append(out, corpusCase{
			name: tt.name, text: text, body: encodeProto(t, text, tt.value), decode: decodeProto, none: tt.none,
		})
	}
	return out
}
