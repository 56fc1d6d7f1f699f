package protobuf

import (
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// tagsOf is "path:tag,tag" of all fields that have any.
func tagsOf(s *Schema) (out []string) {
	for _, f := range s.Fields() {
		if len(f.Tags) > 0 {
			out = append(out, f.Path+":"+strings.Join(f.Tags, ","))
		}
	}
	return out
}

const imports = `syntax = "proto3"; package acme; import "confluent/meta.proto"; import "fieldveil/v1/options.proto"; `

func TestTagsAreRead(t *testing.T) {
	tests := []struct {
		name, text string
		rules      []schema.TagRule
		want       []string
	}{
		{"one tag by its name", `message P { string a = 1 [(confluent.field_meta).tags = "PII"]; string b = 2; }`, nil, []string{"/a:PII"}},
		{"several by their name", `message P { string a = 1 [(confluent.field_meta).tags = "X", (confluent.field_meta).tags = "Y"]; }`, nil, []string{"/a:X,Y"}},
		{"an aggregate", `message P { string a = 1 [(confluent.field_meta) = {tags: ["X", "Y"], doc: "d"}]; }`, nil, []string{"/a:X,Y"}},
		{"an aggregate with one tag at a time", `message P { string a = 1 [(confluent.field_meta) = {tags: "X" tags: "Y" tags: "X"}]; }`, nil, []string{"/a:X,Y"}},
		{"our own option", `message P { string a = 1 [(fieldveil.v1.field).tags = "PII"]; string b = 2 [(fieldveil.v1.field) = {tags: ["X", "Y"]}]; }`, nil, []string{"/a:PII", "/b:X,Y"}},
		{"both options", `message P { string a = 1 [(confluent.field_meta).tags = "X", (fieldveil.v1.field).tags = "Y", (fieldveil.v1.field).tags = "X"]; }`, nil, []string{"/a:X,Y"}},
		{"a message", `message P { option (fieldveil.v1.message).tags = "PII"; string a = 1; Q q = 2; } message Q { int32 i = 1; }`, nil, []string{"/a:PII", "/q:PII", "/q/i:PII"}},
		{"a message by the other option", `message P { string a = 1; Q q = 2; } message Q { option (confluent.message_meta).tags = "PII"; int32 i = 1; }`, nil, []string{"/q:PII", "/q/i:PII"}},
		{"a file", `option (confluent.file_meta).tags = "PII"; message P { string a = 1; Q q = 2; } message Q { int32 i = 1; }`, nil, []string{"/a:PII", "/q:PII", "/q/i:PII"}},
		{"an enum", `message P { E e = 1; repeated E r = 2; map<string, E> m = 3; } enum E { option (confluent.enum_meta).tags = "PII"; Z = 0; }`, nil, []string{"/e:PII", "/r:PII", "/r/[]:PII", "/m/{}:PII"}},
		{"a field of messages", `message P { Q q = 1 [(confluent.field_meta).tags = "PII"]; } message Q { int32 i = 1; R r = 2; } message R { string s = 1; }`, nil, []string{"/q:PII", "/q/i:PII", "/q/r:PII", "/q/r/s:PII"}},
		{"a repeated field", `message P { repeated string r = 1 [(confluent.field_meta).tags = "PII"]; }`, nil, []string{"/r:PII", "/r/[]:PII"}},
		{"a repeated field of messages", `message P { repeated Q q = 1 [(confluent.field_meta).tags = "PII"]; } message Q { int32 i = 1; }`, nil, []string{"/q:PII", "/q/[]:PII", "/q/[]/i:PII"}},
		{"a map", `message P { map<string, Q> m = 1 [(confluent.field_meta).tags = "PII"]; } message Q { int32 i = 1; }`, nil, []string{"/m:PII", "/m/{}:PII", "/m/{}/i:PII"}},
		{"inner before outer", `message P { Q q = 1 [(confluent.field_meta).tags = "A"]; } message Q { option (confluent.message_meta).tags = "B"; int32 i = 1 [(confluent.field_meta).tags = "C"]; string s = 2 [(confluent.field_meta).tags = "A"]; }`, nil, []string{"/q:B,A", "/q/i:C,B,A", "/q/s:A,B"}},
		{"a oneof", `message P { oneof o { string a = 1 [(confluent.field_meta).tags = "PII"]; int32 b = 2; } }`, nil, []string{"/a:PII"}},
		{"a message inside itself", `message P { string a = 1 [(confluent.field_meta).tags = "PII"]; P p = 2; }`, nil, []string{"/a:PII"}},

		{"a rule by full name", `message P { string ssn = 1; Q q = 2; } message Q { string ssn = 1; }`, []schema.TagRule{{Pattern: "acme.Q.ssn", Tags: []string{"PII"}}}, []string{"/q/ssn:PII"}},
		{"a rule by any name", `message P { string ssn = 1; Q q = 2; } message Q { string ssn = 1; }`, []schema.TagRule{{Pattern: "**.ssn", Tags: []string{"PII"}}}, []string{"/ssn:PII", "/q/ssn:PII"}},
		{"a rule by path", `message P { Q a = 1; Q b = 2; } message Q { string ssn = 1; }`, []schema.TagRule{{Pattern: "/b/ssn", Tags: []string{"PII"}}}, []string{"/b/ssn:PII"}},
		{"a rule for elements", `message P { repeated Q a = 1; } message Q { string ssn = 1; }`, []schema.TagRule{{Pattern: "/a/[]", Tags: []string{"PII"}}}, []string{"/a/[]:PII", "/a/[]/ssn:PII"}},
		{"a rule for the values of a map", `message P { map<string, string> m = 1; }`, []schema.TagRule{{Pattern: "acme.P.MEntry.value", Tags: []string{"PII"}}}, []string{"/m/{}:PII"}},
		{"a rule for the values of a map by path", `message P { map<string, string> m = 1; }`, []schema.TagRule{{Pattern: "/m/{}", Tags: []string{"PII"}}}, []string{"/m/{}:PII"}},
		{"a rule for everything", `message P { map<string, string> m = 1; }`, []schema.TagRule{{Pattern: "**", Tags: []string{"PII"}}}, []string{"/m:PII", "/m/{}:PII"}},
		{"a rule beside an option", `message P { string a = 1 [(confluent.field_meta).tags = "X"]; }`, []schema.TagRule{{Pattern: "/a", Tags: []string{"Y", "X"}}}, []string{"/a:X,Y"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parseText(t, schema.Text{Schema: imports + tt.text, Tags: tt.rules})
			if got := tagsOf(s); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What cannot be honoured must not look as if it were.
func TestTagsThatCannotCountAreRefused(t *testing.T) {
	const p2 = `syntax = "proto2"; package acme; import "confluent/meta.proto"; import "fieldveil/v1/options.proto"; `
	tests := []struct {
		name, text string
		rules      []schema.TagRule
		want       string
	}{
		{"a value of an enum", imports + `message P { E e = 1; } enum E { Z = 0 [(confluent.enum_value_meta).tags = "PII"]; }`, nil, "tag the enum"},
		{"a value of a nested enum", imports + `message P { message Q { enum E { Z = 0 [(confluent.enum_value_meta).tags = "PII"]; } } }`, nil, "tag the enum"},
		{"an extension", p2 + `message P { extensions 100 to 200; } extend P { optional string ssn = 100 [(confluent.field_meta).tags = "PII"]; }`, nil, "extension"},
		{"an extension in a message", p2 + `message P { extensions 100 to 200; extend P { optional string ssn = 100 [(fieldveil.v1.field).tags = "PII"]; } }`, nil, "extension"},
		{"a message inside itself", imports + `message P { string a = 1; P p = 2 [(confluent.field_meta).tags = "PII"]; }`, nil, "does not stand on its type"},
		{"a message inside itself by a rule", imports + `message P { string a = 1; P p = 2; }`, []schema.TagRule{{Pattern: "acme.P.p", Tags: []string{"PII"}}}, "does not stand on its type"},
		{"the keys of a map", imports + `message P { map<string, string> m = 1; }`, []schema.TagRule{{Pattern: "**.key", Tags: []string{"PII"}}}, "tag the map"},
		{"an empty tag", imports + `message P { string a = 1 [(confluent.field_meta).tags = ""]; }`, nil, "not empty"},
		{"too many tags", imports + `message P { string a = 1 [(confluent.field_meta) = {tags: [` + manyTags(65) + `]}]; }`, nil, "more than 64 tags"},
		{"another option of the same number", `syntax = "proto3"; import "google/protobuf/descriptor.proto"; message X { repeated string tags = 3; } extend google.protobuf.FieldOptions { X x = 1088; } message P { string a = 1 [(x).tags = "PII"]; }`, nil, "is not the confluent.field_meta"},
		{"the option with another number", `syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto"; message X { repeated string tags = 3; map<string, string> params = 2; } extend google.protobuf.FieldOptions { X field_meta = 1089; } message P { string a = 1 [(field_meta).tags = "PII"]; }`, nil, "has the number 1089"},
		{"the option with other fields", `syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto"; message X { repeated string tags = 4; map<string, string> params = 2; } extend google.protobuf.FieldOptions { X field_meta = 1088; } message P { string a = 1 [(field_meta).tags = "PII"]; }`, nil, "is not the confluent.field_meta"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(schema.Text{Format: schema.Protobuf, Schema: tt.text, Tags: tt.rules})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

func manyTags(n int) string {
	var tags []string
	for i := range n {
		tags = append(tags, `"T`+strings.Repeat("x", i)+`"`)
	}
	return strings.Join(tags, ",")
}

// Tags of imported files count, and so does a newer confluent/meta.proto that
// comes as a reference.
func TestTagsOfReferences(t *testing.T) {
	newer := strings.Replace(builtinText(t, metaPath), "message Meta {", "message Meta { message R { string a = 1; } repeated R rules = 4;", 1)
	text := schema.Text{
		Schema:     `syntax = "proto3"; package acme; import "common/address.proto"; message P { common.Address a = 1; }`,
		References: []string{newer, `syntax = "proto3"; package common; import "confluent/meta.proto"; message Address { string street = 1 [(confluent.field_meta) = {tags: ["PII"], rules: {a: "b"}}]; }`},
		Names:      []string{"confluent/meta.proto", "common/address.proto"},
	}
	if got := tagsOf(parseText(t, text)); !slices.Equal(got, []string{"/a/street:PII"}) {
		t.Errorf("tags are %q", got)
	}
}

func builtinText(t testing.TB, path string) string {
	t.Helper()
	text, err := builtin.ReadFile("proto/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
