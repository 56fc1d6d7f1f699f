package formats_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
)

// everyAction has a tag for each action, and for containers as one value.
const everyAction = `
version: 1
dataset: types
keys: {k: {kek: "local:k"}}
rules:
  - {tag: WENC, action: encrypt, key: k, apply: whole}
  - {tag: WDROP, action: drop, apply: whole}
  - {tag: ENC, action: encrypt, key: k}
  - {tag: DROP, action: drop}
  - {tag: MASK, action: mask, keep_last: 1}
  - {tag: CONST, action: constant, value: "c"}
topics: [{match: t}]
`

// A typeCase is one type of one format, with a record that has a value of it.
type typeCase struct {
	name string
	text func(tag string) schema.Text
	// record is framed with id 1; the value of the field holds the canary.
	record []byte
	canary []byte
	// fits lists the tags whose actions the type takes.
	fits string
}

const all = "ENC DROP MASK CONST WENC WDROP"

func avroTypes(t *testing.T) []typeCase {
	t.Helper()
	null := func(typ string) string { return `["null", ` + typ + `]` }
	const (
		enum    = `{"type": "enum", "name": "E", "symbols": ["A", "B"]}`
		fixed   = `{"type": "fixed", "name": "F", "size": 4}`
		decimal = `{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}`
		rec     = `{"type": "record", "name": "I", "fields": [{"name": "y", "type": "string"}, {"name": "z", "type": "int"}]}`
		list    = `{"type": "record", "name": "L", "fields": [{"name": "v", "type": "string"}, {"name": "next", "type": ["null", "L"]}]}`
	)
	var out []typeCase
	add := func(typ string, value any, canary, fits string) {
		text := func(tag string) schema.Text {
			return schema.Text{Format: schema.Avro, Schema: `{"type": "record", "name": "com.example.R", "fields": [
				{"name": "before", "type": "string"}, {"name": "x", "type": ` + typ + `, "confluent:tags": ["` + tag + `"]}, {"name": "after", "type": "string"}]}`}
		}
		b, err := avro.MustParse(text("T").Schema).AppendEncode(frame(1), map[string]any{"before": "left", "x": value, "after": "right"})
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		out = append(out, typeCase{name: "Avro " + typ, text: text, record: b, canary: []byte(canary), fits: fits})
	}
	const derived, nullable = "ENC WENC", "ENC WENC DROP WDROP"
	add(`"string"`, "canary", "canary", "ENC WENC MASK CONST")
	add(null(`"string"`), "canary", "canary", all)
	add(`["string", "null"]`, "canary", "canary", all)
	add(`"bytes"`, []byte("canary"), "canary", "ENC WENC CONST")
	add(null(`"bytes"`), []byte("canary"), "canary", "ENC WENC CONST DROP WDROP")
	add(`"int"`, int32(1111111), "\x8e\xd1\x87\x01", derived)
	add(null(`"int"`), int32(1111111), "\x8e\xd1\x87\x01", nullable)
	add(`"long"`, int64(1111111), "\x8e\xd1\x87\x01", derived)
	add(null(`"long"`), int64(1111111), "\x8e\xd1\x87\x01", nullable)
	add(`"float"`, float32(1.25e10), "\xb7\x43\x3a\x50", derived)
	add(null(`"float"`), float32(1.25e10), "\xb7\x43\x3a\x50", nullable)
	add(`"double"`, 1.1, "\x99\x99\x99\x99\x99\xf1\x3f", derived)
	add(null(`"double"`), 1.1, "\x99\x99\x99\x99\x99\xf1\x3f", nullable)
	add(`"boolean"`, true, "left\x01", derived)
	add(null(`"boolean"`), true, "left\x02\x01", nullable)
	add(enum, "B", "left\x02\x0aright", derived)
	add(null(enum), "B", "left\x02\x02\x0aright", nullable)
	add(fixed, [4]byte{'c', 'n', 'r', 'y'}, "cnry", derived)
	add(null(fixed), [4]byte{'c', 'n', 'r', 'y'}, "cnry", nullable)
	add(decimal, "1234567.89", "\x07\x5b\xcd\x15", derived)
	add(null(decimal), "1234567.89", "\x07\x5b\xcd\x15", nullable)
	add(`{"type": "string", "logicalType": "uuid"}`, "11111111-2222-4333-8444-555555555555", "4333-8444", derived)
	add(null(`{"type": "string", "logicalType": "uuid"}`), "11111111-2222-4333-8444-555555555555", "4333-8444", nullable)
	for _, logical := range []string{"date", "time-millis"} {
		add(`{"type": "int", "logicalType": "`+logical+`"}`, int32(1111111), "\x8e\xd1\x87\x01", derived)
	}
	for _, logical := range []string{"time-micros", "timestamp-millis", "timestamp-micros", "timestamp-nanos", "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos"} {
		add(`{"type": "long", "logicalType": "`+logical+`"}`, int64(1111111), "\x8e\xd1\x87\x01", derived)
	}
	add(rec, map[string]any{"y": "canary", "z": 1111111}, "canary", derived)
	add(null(rec), map[string]any{"y": "canary", "z": 1111111}, "canary", "ENC WENC WDROP")
	add(`{"type": "array", "items": "string"}`, []any{"canary", "canary"}, "canary", "ENC MASK CONST WENC")
	add(`{"type": "array", "items": "int"}`, []any{1111111, 1111111}, "\x8e\xd1\x87\x01", derived)
	add(`{"type": "array", "items": `+null(`"int"`)+`}`, []any{1111111, nil}, "\x8e\xd1\x87\x01", "ENC WENC DROP")
	add(`{"type": "map", "values": "string"}`, map[string]any{"k": "canary"}, "canary", "ENC MASK CONST WENC")
	add(`{"type": "map", "values": "double"}`, map[string]any{"k": 1.1}, "\x99\x99\xf1\x3f", derived)
	add(null(`{"type": "map", "values": "double"}`), map[string]any{"k": 1.1}, "\x99\x99\xf1\x3f", "ENC WENC WDROP")
	add(`["null", "string", "int"]`, "canary", "canary", "ENC WENC DROP WDROP")
	add(`["string", "int", "boolean"]`, "canary", "canary", "WENC")
	add(`["null", "string", "bytes"]`, "canary", "canary", "ENC WENC CONST DROP WDROP")
	add(list, map[string]any{"v": "canary", "next": map[string]any{"v": "canary", "next": nil}}, "canary", "ENC MASK CONST WENC")
	return out
}

func jsonTypes(*testing.T) []typeCase {
	var out []typeCase
	add := func(typ, value, canary, fits string) {
		text := func(tag string) schema.Text {
			member := `"confluent:tags": ["` + tag + `"]`
			if inner := strings.TrimSpace(strings.Trim(typ, "{}")); inner != "" {
				member = typ[1:len(typ)-1] + ", " + member
			}
			return schema.Text{Format: schema.JSONSchema, Schema: `{"type": "object", "title": "R", "required": ["x"], "properties": {
				"before": {"type": "string"}, "x": {` + member + `}, "after": {"type": "string"}}}`}
		}
		record := append(frame(1), `{"before":"left", "x":`+value+` ,"after":"right"}`...)
		out = append(out, typeCase{name: "JSON Schema " + typ, text: text, record: record, canary: []byte(canary), fits: fits})
	}
	const whole, nullable = "ENC WENC", "ENC WENC DROP WDROP"
	add(`{"type": "string"}`, `"canary"`, "canary", "ENC WENC MASK CONST")
	add(`{"type": ["string", "null"]}`, `"canary"`, "canary", all)
	add(`{"type": "string", "format": "email"}`, `"canary@example.com"`, "canary", whole)
	add(`{"type": "string", "pattern": "^can"}`, `"canary"`, "canary", whole)
	add(`{"type": "string", "minLength": 1, "maxLength": 6}`, `"canary"`, "canary", whole)
	add(`{"type": ["string", "null"], "format": "date"}`, `"2020-12-30"`, "2020-12", nullable)
	add(`{"enum": ["canary", "b"]}`, `"canary"`, "canary", whole)
	add(`{"const": "canary"}`, `"canary"`, "canary", whole)
	add(`{"type": "integer"}`, `1111111`, "1111111", whole)
	add(`{"type": ["integer", "null"]}`, `1111111`, "1111111", nullable)
	add(`{"type": "number", "minimum": 0}`, `1111111.50e+2`, "1111111", whole)
	add(`{"type": "boolean"}`, `true`, "true", whole)
	add(`{"type": ["boolean", "null"]}`, `true`, "true", nullable)
	add(`{"type": "object", "properties": {"y": {"type": "string"}, "z": {"type": "integer"}}}`, `{"y": "canary", "z":7}`, "canary", "ENC WENC DROP")
	add(`{"type": "array", "items": {"type": "string"}}`, `["canary","canary"]`, "canary", "ENC MASK CONST WENC")
	add(`{"type": "array", "items": {"type": "integer"}}`, `[1111111]`, "1111111", whole)
	add(`{"type": "object", "additionalProperties": {"type": "string"}}`, `{"k":"canary"}`, "canary", "ENC DROP MASK CONST WENC")
	// Which of the two it is only the record tells; a mask refuses a number there.
	add(`{"oneOf": [{"type": "string"}, {"type": "integer"}]}`, `"canary"`, "canary", "ENC MASK CONST WENC")
	add(`{"anyOf": [{"type": "null"}, {"type": "string"}]}`, `"canary"`, "canary", all)
	return out
}

func protoTypes(t *testing.T) []typeCase {
	t.Helper()
	var out []typeCase
	add := func(field, value, canary, fits string) {
		text := func(tag string) schema.Text {
			decl := strings.Replace(field, " = 5", " = 5 [(confluent.field_meta).tags = \""+tag+"\"]", 1)
			return schema.Text{Format: schema.Protobuf, Schema: "syntax = \"proto3\"; package acme; import \"confluent/meta.proto\";\n" +
				"enum E { A = 0; B = 1; } message I { string y = 1; int32 z = 2; } message L { string v = 1; L next = 2; }\n" +
				"message R { string before = 1; " + decl + " string after = 9; }"}
		}
		body := marshal(t, protoMessage(t, protoFile(t, text("T").Schema).Messages().ByName("R"), `before: "left" `+value+` after: "right"`))
		// R is the third message of the file.
		record := append(append(frame(1), 2, 4), body...)
		out = append(out, typeCase{name: "Protobuf " + field, text: text, record: record, canary: []byte(canary), fits: fits})
	}
	const derived = "ENC WENC DROP WDROP"
	add("string x = 5;", `x: "canary"`, "canary", all)
	add("optional string x = 5;", `x: "canary"`, "canary", all)
	add("bytes x = 5;", `x: "canary"`, "canary", "ENC CONST DROP WENC WDROP")
	for _, typ := range []string{"int32", "int64", "uint32", "uint64"} {
		add(typ+" x = 5;", `x: 1111111`, "\xc7\xe8\x43", derived)
		add("optional "+typ+" x = 5;", `x: 1111111`, "\xc7\xe8\x43", derived)
		add("repeated "+typ+" x = 5;", `x: 1111111 x: 7`, "\xc7\xe8\x43", "ENC WENC WDROP")
	}
	for _, typ := range []string{"sint32", "sint64"} {
		add(typ+" x = 5;", `x: 1111111`, "\x8e\xd1\x87\x01", derived)
	}
	for _, typ := range []string{"fixed32", "fixed64", "sfixed32", "sfixed64"} {
		add(typ+" x = 5;", `x: 1111111`, "\x47\xf4\x10\x00", derived)
	}
	add("float x = 5;", `x: 1.25e10`, "\xb7\x43\x3a\x50", derived)
	add("double x = 5;", `x: 1.1`, "\x99\x99\x99\x99\x99\xf1\x3f", derived)
	add("bool x = 5;", `x: true`, "\x28\x01", derived)
	add("E x = 5;", `x: B`, "\x28\x01", derived)
	add("I x = 5;", `x {y: "canary" z: 7}`, "canary", "ENC WENC WDROP DROP")
	add("L x = 5;", `x {v: "canary" next {v: "canary"}}`, "canary", "ENC MASK CONST WENC WDROP DROP")
	add("repeated string x = 5;", `x: "canary" x: "canary"`, "canary", "ENC MASK CONST WENC WDROP")
	add("repeated I x = 5;", `x {y: "canary" z: 7}`, "canary", "ENC WENC DROP WDROP")
	add("map<string, string> x = 5;", `x {key: "k" value: "canary"}`, "canary", "ENC MASK CONST WENC WDROP")
	add("map<string, int32> x = 5;", `x {key: "k" value: 1111111}`, "\xc7\xe8\x43", "ENC WENC WDROP")
	add("oneof o { string x = 5; int32 w = 6; }", `x: "canary"`, "canary", all)
	add("oneof o { int32 x = 5; int32 w = 6; }", `x: 1111111`, "\xc7\xe8\x43", derived)
	return out
}

// FV-60 to FV-63. Every type under every action: what fits makes the round trip or is gone, and
// everything else is refused before the first record.
func TestEveryTypeIsProtectedOrRefusedWhenThePlanIsMade(t *testing.T) {
	cases := append(append(avroTypes(t), jsonTypes(t)...), protoTypes(t)...)
	pairs := 0
	for _, tt := range cases {
		for tag := range strings.FieldsSeq(all) {
			pairs++
			t.Run(fmt.Sprintf("%s under %s", tt.name, tag), func(t *testing.T) {
				if !bytes.Contains(tt.record, tt.canary) {
					t.Fatalf("the record %x has no canary %x", tt.record, tt.canary)
				}
				w := newWorld(t)
				w.registry.put(1, tt.text(tag))
				e := w.engine(everyAction)
				rec := fieldcrypt.Record{Topic: "t", Value: tt.record}
				out, err := e.Protect(t.Context(), rec)
				if !strings.Contains(" "+tt.fits+" ", " "+tag+" ") {
					checkCode(t, err, fieldcrypt.CodePolicy)
					if out.Value != nil {
						t.Error("something is sent")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(out.Value, tt.canary) {
					t.Errorf("the value is in clear: %q", out.Value)
				}
				for _, clear := range []string{"left", "right"} {
					if !bytes.Contains(out.Value, []byte(clear)) {
						t.Errorf("an untouched field has gone: %q", out.Value)
					}
				}
				back, err := w.engine(everyAction).Reveal(t.Context(), out)
				if err != nil {
					t.Fatal(err)
				}
				if encrypted := strings.HasSuffix(tag, "ENC"); bytes.Equal(back.Value, tt.record) != encrypted {
					t.Errorf("revealed %q\nof       %q", back.Value, tt.record)
				}
			})
		}
	}
	t.Logf("%d pairs of type and action", pairs)
}
