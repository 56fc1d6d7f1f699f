package formats_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
)

// protoTypes returns the types of Protobuf.
func protoTypes(t *testing.T) []typeCase {
	t.Helper()
	var out []typeCase
	files := make(map[string]protoreflect.FileDescriptor)
	compiled := func(t testing.TB, text schema.Text) protoreflect.FileDescriptor {
		t.Helper()
		if files[text.Schema] == nil {
			files[text.Schema] = protoFileOf(t, text)
		}
		return files[text.Schema]
	}
	decode := func(t testing.TB, text schema.Text, body []byte) any {
		t.Helper()
		return decodeWholeProto(t, compiled(t, text), body)
	}
	add := func(row, field string, value func(s sample) string, unit string, scalars ...any) {
		decl := strings.Replace(field, " = 5", " = 5 [(confluent.field_meta).tags = \"T\"]", 1)
		syntax, optional := "proto3", ""
		if strings.HasPrefix(field, "required ") {
			syntax, optional = "proto2", "optional "
		}
		text := schema.Text{Format: schema.Protobuf, Schema: "syntax = \"" + syntax + "\"; package acme; import \"confluent/meta.proto\";\n" +
			"import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\"; import \"google/protobuf/wrappers.proto\";\n" +
			"message R { " + optional + "string before = 1; " + decl + " " + optional + "string person = 8; " + optional + "string after = 9; }\n" +
			"enum E { A = 0; B = 1; } message I { " + optional + "string y = 1; " + optional + "int32 z = 2; }\n" +
			"message S { " + optional + "string y = 1; } message L { " + optional + "string v = 1; " + optional + "L next = 2; }\n"}
		descriptor := compiled(t, text).Messages().ByName("R")
		out = append(out, typeCase{
			name: "Protobuf " + field, row: row, unit: unit, scalars: scalars, text: text, decode: decode,
			record: func(t *testing.T, s sample, person string) []byte {
				t.Helper()
				m := protoMessage(t, descriptor, `before: "left" `+value(s)+` person: "`+person+`" after: "right"`)
				return append(append(frame(1), 0), marshal(t, m)...)
			},
		})
	}
	is := func(v string) func(sample) string { return func(sample) string { return v } }
	inText := func(s sample) string { return "x: " + quote(s.text) + " " }
	nothing := is("")
	twice := func(value func(s sample) string) func(sample) string {
		return func(s sample) string { return value(s) + " " + value(s) }
	}
	entry := func(value func(s sample) string) func(sample) string {
		return func(s sample) string { return `x {key: "k" ` + strings.Replace(value(s), "x", "value", 1) + "}" }
	}
	type leaf struct {
		row, typ, unit string
		value          func(s sample) string
		scalars        []any
	}
	n, integer := is("x: 1122334455"), []any{int64(number)}
	var leaves []leaf
	for _, typ := range []string{"int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64"} {
		leaves = append(leaves, leaf{"number", typ, "", n, integer})
	}
	leaves = append(leaves,
		leaf{"number", "float", "float", is("x: 1122334464"), []any{float32(numberFloat)}},
		leaf{"number", "double", "", n, []any{float64(number)}},
		leaf{"string", "string", "", inText, nil},
		leaf{"bytes", "bytes", "", inText, nil},
		leaf{"few", "bool", "", is("x: true"), nil},
		leaf{"few", "E", "", is("x: B"), nil},
		leaf{"timestamp", "google.protobuf.Timestamp", "", is("x {seconds: 1122334455}"), integer},
		leaf{"message of string", "google.protobuf.StringValue", "", func(s sample) string { return "x {value: " + quote(s.text) + "}" }, nil},
		leaf{"imported number", "google.protobuf.Int64Value", "", is("x {value: 1122334455}"), integer},
		leaf{"imported number", "google.protobuf.Duration", "", is("x {seconds: 1122334455}"), integer},
		leaf{"message", "I", "", func(s sample) string { return "x {y: " + quote(s.text) + " z: 1122334455}" }, integer},
		leaf{"message of string", "S", "", func(s sample) string { return "x {y: " + quote(s.text) + "}" }, nil},
	)
	for _, l := range leaves {
		add(l.row+"?", l.typ+" x = 5;", l.value, l.unit, l.scalars...)
		add(l.row+"?", "optional "+l.typ+" x = 5;", l.value, l.unit, l.scalars...)
		add("repeated "+l.row, "repeated "+l.typ+" x = 5;", twice(l.value), l.unit, l.scalars...)
		add("map of "+l.row, "map<string, "+l.typ+"> x = 5;", entry(l.value), l.unit, l.scalars...)
		add(l.row+"?", "oneof o { "+l.typ+" x = 5; int32 w = 6; }", l.value, l.unit, l.scalars...)
		add(l.row, "required "+l.typ+" x = 5;", l.value, l.unit, l.scalars...)
		add(l.row+"?", "optional "+l.typ+" x = 5;", nothing, "null")
	}
	add("message of string?", "L x = 5;", func(s sample) string { return "x {v: " + quote(s.text) + " next {v: " + quote(s.text) + "}}" }, "")
	add("timestamp?", "google.protobuf.Timestamp x = 5;", is("x {seconds: 1122334455 nanos: 123456789}"), "fraction", integer...)
	return out
}

// The first second of 1970 is a message of no bytes, and a time like others.
func TestATimestampOfNoBytesIsRejectedAndDroppedAsAnyOther(t *testing.T) {
	const text = `syntax = "proto3"; package acme; import "confluent/meta.proto"; import "google/protobuf/timestamp.proto";
		message R { google.protobuf.Timestamp x = 5 [(confluent.field_meta).tags = "T"]; string after = 9; }`
	w := newWorld(t)
	w.registry.put(1, schema.Text{Format: schema.Protobuf, Schema: text})
	record := append(append(frame(1), 0), marshal(t, protoMessage(t, protoFile(t, text).Messages().Get(0), `x {} after: "right"`))...)
	rule := func(action string) *fieldcrypt.Engine {
		return w.engine("version: 1\nrules: [{tag: T, " + action + "}]\n")
	}
	out, err := rule("action: reject").Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: record})
	if err == nil {
		t.Fatalf("sent: %x", out.Value)
	}
	checkCode(t, err, fieldcrypt.CodeRejected)
	out, err = rule("action: drop").Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: record})
	if err != nil {
		t.Fatal(err)
	}
	if m := unmarshal(t, protoFile(t, text).Messages().Get(0), out.Value[6:]); m.Has(m.Descriptor().Fields().ByName("x")) {
		t.Errorf("a time is left: %x", out.Value)
	}
}

// decodeWholeProto reads a record, which must not have fields that its schema does
// not know of.
func decodeWholeProto(t testing.TB, file protoreflect.FileDescriptor, body []byte) any {
	t.Helper()
	if body[0] != 0 {
		t.Fatalf("message indexes %x", body[:1])
	}
	m := dynamicpb.NewMessage(file.Messages().Get(0))
	if err := proto.Unmarshal(body[1:], m); err != nil {
		t.Fatal(err)
	}
	if hasUnknown(m) {
		t.Errorf("fields that the schema does not have: %x", body)
	}
	return protoTree(m)
}

func hasUnknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				found = found || f.MapValue().Message() != nil && hasUnknown(v.Message())
				return true
			})
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				found = found || hasUnknown(v.List().Get(i).Message())
			}
		case f.Message() != nil:
			found = found || hasUnknown(v.Message())
		}
		return true
	})
	return found
}
