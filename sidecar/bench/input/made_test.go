package input

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/avro"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/sidecar/serde"
)

// decodes reads a record with a decoder that is not the project's.
func decodes(t *testing.T, text schema.Text, body []byte) {
	t.Helper()
	switch text.Format {
	case schema.Avro:
		var texts avro.SchemaCache
		var s *avro.Schema
		for _, one := range append(append([]string{}, text.References...), text.Schema) {
			var err error
			if s, err = texts.Parse(one); err != nil {
				t.Fatal(err)
			}
		}
		var v any
		rest, err := s.Decode(body, &v, avro.TaggedUnions())
		if err != nil || len(rest) > 0 {
			t.Fatalf("decode leaves %d bytes: %v\n%x", len(rest), err, body)
		}
	case schema.Protobuf:
		d, err := serde.Message(text)
		if err != nil {
			t.Fatal(err)
		}
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(body, m); err != nil {
			t.Fatalf("decode: %v\n%x", err, body)
		}
		if len(m.GetUnknown()) > 0 {
			t.Fatalf("%d bytes are unknown", len(m.GetUnknown()))
		}
	case schema.JSONSchema:
		c := js.NewCompiler()
		c.AssertFormat()
		c.DefaultDraft(js.Draft7)
		for i, ref := range append([]string{text.Schema}, text.References...) {
			doc, err := js.UnmarshalJSON(strings.NewReader(ref))
			if err != nil {
				t.Fatal(err)
			}
			at := "file:///root.json"
			if i > 0 {
				at = "file:///" + text.Names[i-1]
			}
			if err := c.AddResource(at, doc); err != nil {
				t.Fatal(err)
			}
		}
		s, err := c.Compile("file:///root.json")
		if err != nil {
			t.Fatal(err)
		}
		v, err := js.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("decode: %v\n%s", err, body)
		}
		if err := s.Validate(v); err != nil {
			t.Fatalf("not valid: %v\n%s", err, body)
		}
	}
}

// passes copies a record with the project's own program, which reads all of it.
func passes(t *testing.T, s schema.Schema, body []byte) {
	t.Helper()
	p, err := s.Compile(nil, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Rewrite(nil, body, new(seen))
	if err != nil {
		t.Fatalf("refused: %v\n%x", err, body)
	}
	if !bytes.Equal(out, body) {
		t.Fatalf("changed without an edit:\n%x\n%x", body, out)
	}
}

func avroField(typ string) schema.Text {
	return schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"n.R","fields":[{"name":"a","type":` + typ + `},{"name":"b","type":"int"}]}`}
}

func jsonText(text string) schema.Text { return schema.Text{Format: schema.JSONSchema, Schema: text} }

func protoText(body string) schema.Text {
	return schema.Text{Format: schema.Protobuf, Schema: "syntax = \"proto3\";\npackage n;\nimport \"google/protobuf/timestamp.proto\";\nimport \"google/protobuf/duration.proto\";\nimport \"google/protobuf/struct.proto\";\nimport \"google/protobuf/any.proto\";\nimport \"google/protobuf/wrappers.proto\";\nimport \"confluent/type/decimal.proto\";\n" + body}
}

type schemaCase struct {
	name string
	text schema.Text
}

func satisfiable() []schemaCase {
	out := []schemaCase{
		{"avro: a root that is no record", schema.Text{Format: schema.Avro, Schema: `"string"`}},
		{"avro: a root that is a union", schema.Text{Format: schema.Avro, Schema: `["null",{"type":"record","name":"R","fields":[]},"long"]`}},
		{"avro: references", schema.Text{
			Format: schema.Avro, Schema: `{"type":"record","name":"n.R","fields":[{"name":"home","type":"Address"},{"name":"other","type":["null","n.Address"]}]}`,
			References: []string{`{"type":"record","name":"n.Address","fields":[{"name":"street","type":"string"}]}`},
		}},
		{"avro: a recursion by a union", schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"N","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","N"]}]}`}},
		{"avro: a recursion by a union without null", schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"N","fields":[{"name":"next","type":["N","int"]}]}`}},
		{"avro: a tree by an array", schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"N","fields":[{"name":"kids","type":{"type":"array","items":"N"}},{"name":"more","type":{"type":"map","values":"N"}}]}`}},
		{"avro: two types that hold each other", schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"A","fields":[{"name":"b","type":{"type":"record","name":"B","fields":[{"name":"a","type":["string","A"]}]}}]}`}},
		{"avro: names of the same end in two namespaces", schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"a.R","fields":[{"name":"x","type":{"type":"record","name":"b.E","fields":[{"name":"y","type":{"type":"fixed","name":"F","size":3}}]}},{"name":"z","type":{"type":"enum","name":"E","symbols":["P","Q"]}},{"name":"u","type":"E"},{"name":"v","type":"b.E"}]}`}},
	}
	for _, typ := range []string{
		`"null"`, `"boolean"`, `"int"`, `"long"`, `"float"`, `"double"`, `"string"`, `"bytes"`,
		`{"type":"int","logicalType":"date"}`, `{"type":"int","logicalType":"time-millis"}`, `{"type":"long","logicalType":"time-micros"}`,
		`{"type":"long","logicalType":"timestamp-millis"}`, `{"type":"long","logicalType":"timestamp-micros"}`, `{"type":"long","logicalType":"timestamp-nanos"}`,
		`{"type":"long","logicalType":"local-timestamp-millis"}`, `{"type":"string","logicalType":"uuid"}`, `{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}`,
		`{"type":"bytes","logicalType":"decimal","precision":1}`, `{"type":"bytes","logicalType":"decimal","precision":30,"scale":10}`,
		`{"type":"fixed","name":"D","size":2,"logicalType":"decimal","precision":4,"scale":2}`, `{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`,
		`{"type":"fixed","name":"F","size":0}`, `{"type":"enum","name":"E","symbols":["A","B","C"]}`,
		`{"type":"array","items":["null","string","int"]}`, `{"type":"map","values":{"type":"array","items":"long"}}`,
		`["null","string"]`, `["string","null"]`, `["null"]`, `["null","int","long","string","bytes",{"type":"fixed","name":"F","size":4},{"type":"enum","name":"E","symbols":["A"]},{"type":"record","name":"I","fields":[]}]`,
	} {
		out = append(out, schemaCase{"avro: " + typ, avroField(typ)})
	}
	for _, one := range [][2]string{
		{"all scalar kinds", `message R { double a = 1; float b = 2; int32 c = 3; int64 d = 4; uint32 e = 5; uint64 f = 6; sint32 g = 7; sint64 h = 8; fixed32 i = 9; fixed64 j = 10; sfixed32 k = 11; sfixed64 l = 12; bool m = 13; string n = 14; bytes o = 15; }`},
		{"repeated and optional", `message R { repeated int32 a = 1; repeated string b = 2; optional string c = 3; optional int64 d = 4; repeated double e = 5 [packed = false]; }`},
		{"maps", `message R { map<string, string> a = 1; map<int32, R> b = 2; map<bool, E> c = 3; map<string, bytes> d = 4; } enum E { Z = 0; Y = 1; }`},
		{"a oneof", `message R { oneof a { string b = 1; int64 c = 2; R d = 3; } string e = 4; }`},
		{"a recursion", `message R { R next = 1; repeated R kids = 2; string name = 3; }`},
		{"a recursion by a oneof of messages alone", `message R { oneof k { R a = 1; S b = 2; } } message S { R r = 1; }`},
		{"well-known types", `message R { google.protobuf.Timestamp a = 1; google.protobuf.Duration b = 2; google.protobuf.Struct c = 3; google.protobuf.StringValue d = 4; confluent.type.Decimal e = 5; google.protobuf.Any f = 6; }`},
		{"nested types", `message R { message I { string email = 1; enum K { A = 0; B = 7; } K k = 2; } I i = 1; repeated I more = 2; }`},
		{"no fields", `message R {}`},
	} {
		out = append(out, schemaCase{"protobuf: " + one[0], protoText(one[1])})
	}
	out = append(out,
		schemaCase{"protobuf: required fields, groups and closed enums of proto2", schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto2"; message R { required string a = 1; optional int32 b = 2 [default = 4]; repeated group G = 3 { required bool c = 4; } enum E { X = 3; } required E e = 5; }`}},
		schemaCase{"json: references by name", schema.Text{
			Format: schema.JSONSchema, Schema: `{"type":"object","properties":{"home":{"$ref":"address.json"},"work":{"$ref":"address.json#/definitions/short"}}}`,
			References: []string{`{"type":"object","properties":{"street":{"type":"string"}},"definitions":{"short":{"type":"string","maxLength":5}}}`}, Names: []string{"address.json"},
		}},
	)
	return append(out, satisfiableJSON()...)
}

func satisfiableJSON() []schemaCase {
	var out []schemaCase
	const d2020 = `"$schema":"https://json-schema.org/draft/2020-12/schema",`
	for _, one := range [][2]string{
		{"any value", `{}`},
		{"true", `true`},
		{"every simple type", `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"number"},"d":{"type":"boolean"},"e":{"type":"null"},"f":{"type":["string","null"]},"g":{}}}`},
		{"formats", `{"type":"object","required":["a","b","c","d","e","f","g","h","i","j"],"properties":{"a":{"type":"string","format":"email"},"b":{"type":"string","format":"date"},"c":{"type":"string","format":"date-time"},"d":{"type":"string","format":"time"},"e":{"type":"string","format":"uuid"},"f":{"type":"string","format":"ipv4"},"g":{"type":"string","format":"ipv6"},"h":{"type":"string","format":"uri"},"i":{"type":"string","format":"hostname"},"j":{"type":"string","format":"json-pointer"}}}`},
		{"formats of rare use", `{` + d2020 + `"type":"object","required":["a","b","c","d","e"],"properties":{"a":{"type":"string","format":"duration"},"b":{"type":"string","format":"regex"},"c":{"type":"string","format":"relative-json-pointer"},"d":{"type":"string","format":"uri-template"},"e":{"type":"string","format":"unheard-of"}}}`},
		{"lengths", `{"type":"object","required":["a","b","c"],"properties":{"a":{"type":"string","minLength":40},"b":{"type":"string","maxLength":3},"c":{"type":"string","minLength":3,"maxLength":3}}}`},
		{"an empty string only", `{"type":"string","maxLength":0}`},
		{"patterns", `{"type":"object","required":["a","b","c","d","e"],"properties":{"a":{"type":"string","pattern":"^[A-Z]{2}[0-9]{6}$"},"b":{"type":"string","pattern":"^(foo|bar)-\\d+$"},"c":{"type":"string","pattern":"^[^@ ]+@[^@ ]+$"},"d":{"type":"string","pattern":"colou?r"},"e":{"type":"string","pattern":"^\\+?[1-9]\\d{1,14}$","minLength":6}}}`},
		{"bounds of numbers", `{"type":"object","required":["a","b","c","d","e","f","g"],"properties":{"a":{"type":"integer","minimum":5,"maximum":5},"b":{"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":2},"c":{"type":"number","minimum":0.001,"maximum":0.002},"d":{"type":"number","multipleOf":0.25,"minimum":-3},"e":{"type":"integer","multipleOf":7,"minimum":100,"maximum":110},"f":{"type":"integer","maximum":-1000000},"g":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}}}`},
		{"two steps at once", `{"allOf":[{"type":"integer","multipleOf":4},{"multipleOf":6}]}`},
		{"bounds of draft 4", `{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer","minimum":1,"exclusiveMinimum":true,"maximum":3,"exclusiveMaximum":true}`},
		{"const and enum", `{"type":"object","required":["a","b","c"],"properties":{"a":{"const":"x"},"b":{"enum":[1,"two",null,{"k":[true]}]},"c":{"const":null}}}`},
		{"an enum narrowed by another", `{"allOf":[{"enum":["a","b","c"]},{"enum":["c","d"]}]}`},
		{"arrays", `{"type":"object","required":["a","b","c"],"properties":{"a":{"type":"array","minItems":3,"maxItems":3,"items":{"type":"string"}},"b":{"type":"array","uniqueItems":true,"minItems":3,"items":{"type":"integer","minimum":1,"maximum":3}},"c":{"type":"array","maxItems":0}}}`},
		{"tuples", `{"type":"array","items":[{"type":"string"},{"type":"integer"}],"additionalItems":false,"minItems":2}`},
		{"tuples of 2020-12", `{` + d2020 + `"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":{"type":"boolean"},"minItems":3}`},
		{"contains", `{` + d2020 + `"type":"array","items":{"type":"integer"},"contains":{"const":5},"minContains":2}`},
		{"members that are not named", `{"type":"object","required":["a","b"],"properties":{"a":{"type":"object","additionalProperties":{"type":"integer"},"minProperties":2},"b":{"type":"object","patternProperties":{"^x-[a-z]{3}$":{"type":"string"}},"additionalProperties":false}}}`},
		{"how many members", `{"type":"object","properties":{"a":{},"b":{},"c":{},"d":{}},"required":["a"],"maxProperties":2}`},
		{"members that ask for others", `{` + d2020 + `"type":"object","properties":{"card":{"type":"string"},"street":{"type":"string"}},"required":["card"],"dependentRequired":{"card":["street"]}}`},
		{"members that cannot be", `{"type":"object","properties":{"a":{"type":"string"},"b":false}}`},
		{"closed objects by allOf", `{` + d2020 + `"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"integer"}}}],"unevaluatedProperties":false}`},
		{"oneOf by kinds", `{"type":"object","required":["pay"],"properties":{"pay":{"oneOf":[{"type":"object","required":["kind","iban"],"properties":{"kind":{"const":"iban"},"iban":{"type":"string"}}},{"type":"object","required":["kind","pan"],"properties":{"kind":{"const":"card"},"pan":{"type":"string"}}}]}}}`},
		{"anyOf with null", `{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"string","format":"email"}]}}}`},
		{"if, then and else", `{"type":"object","required":["country","zip"],"properties":{"country":{"enum":["US","CZ"]},"zip":{"type":"string"}},"if":{"properties":{"country":{"const":"US"}}},"then":{"properties":{"zip":{"pattern":"^000[0-9]{2}$"}}},"else":{"properties":{"zip":{"pattern":"^[0-9]{3} [0-9]{2}$"}}}}`},
		{"not", `{"type":"object","required":["a"],"properties":{"a":{"enum":[1,2,3],"not":{"const":2}}}}`},
		{"a recursion by reference", `{"$ref":"#/definitions/n","definitions":{"n":{"type":"object","required":["v"],"properties":{"v":{"type":"string"},"next":{"$ref":"#/definitions/n"},"kids":{"type":"array","items":{"$ref":"#/definitions/n"}}}}}}`},
		{"a recursion that has to be there, and may be null", `{"$ref":"#/definitions/n","definitions":{"n":{"type":["object","null"],"required":["next"],"properties":{"next":{"$ref":"#/definitions/n"}}}}}`},
		{"a recursion by anyOf", `{"$ref":"#/definitions/n","definitions":{"n":{"anyOf":[{"type":"object","required":["next"],"properties":{"next":{"$ref":"#/definitions/n"}}},{"type":"string"}]}}}`},
		{"an identifier of its own", `{"$id":"https://example.com/a/b.json","type":"object","properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"type":"integer"}}}`},
		{"names that paths spell otherwise", `{"type":"object","required":["a/b","c~d","e{}"],"properties":{"a/b":{"type":"string"},"c~d":{"type":"string"},"e{}":{"type":"string"}}}`},
	} {
		out = append(out, schemaCase{"json: " + one[0], jsonText(one[1])})
	}
	return out
}

func TestRecordsThatAreMadeUpFollowTheirSchema(t *testing.T) {
	for _, tt := range satisfiable() {
		t.Run(tt.name, func(t *testing.T) {
			parsed, err := parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(3) {
				m, err := newRecordMaker(tt.text, seed, DefaultSpread())
				if err != nil {
					t.Fatal(err)
				}
				for range 6 {
					body, err := m.record(nil)
					if err != nil {
						t.Fatal(err)
					}
					if len(body) > 1<<20 {
						t.Errorf("a record of %d bytes", len(body))
					}
					decodes(t, tt.text, body)
					passes(t, parsed, body)
				}
			}
		})
	}
}

func TestTheSameSeedGivesTheSameRecords(t *testing.T) {
	differ := 0
	for _, tt := range satisfiable() {
		records := func(seed uint64) string {
			m, err := newRecordMaker(tt.text, seed, DefaultSpread())
			if err != nil {
				t.Fatal(err)
			}
			var all []byte
			for range 5 {
				if all, err = m.record(all); err != nil {
					t.Fatal(err)
				}
			}
			return string(all)
		}
		if a, b := records(7), records(7); a != b {
			t.Errorf("%s: two runs differ", tt.name)
		}
		if records(7) != records(8) {
			differ++
		}
	}
	if differ < len(satisfiable())/2 {
		t.Errorf("another seed makes other records for %d schemas only", differ)
	}
}

func TestSchemasThatNothingSatisfiesAreRefusedInPlainWords(t *testing.T) {
	tests := []struct {
		name string
		text schema.Text
		want string
	}{
		{"a bound above the other", jsonText(`{"type":"object","required":["a"],"properties":{"a":{"type":"integer","minimum":9,"maximum":3}}}`), "/a: keyword minimum"},
		{"a value that is forbidden", jsonText(`{"type":"object","required":["a"],"properties":{"a":{"const":4,"not":{"type":"integer"}}}}`), "keyword not"},
		{"types that exclude each other", jsonText(`{"allOf":[{"type":"string"},{"type":"integer"}]}`), "keyword type"},
		{"false", jsonText(`false`), "takes no value"},
		{"a length that its pattern does not have", jsonText(`{"type":"string","pattern":"^a$","minLength":4}`), "keyword minLength"},
		{"more distinct items than there are values", jsonText(`{"type":"array","uniqueItems":true,"minItems":3,"items":{"type":"boolean"}}`), "keyword uniqueItems"},
		{"lists without a common value", jsonText(`{"allOf":[{"enum":[1]},{"enum":[2]}]}`), "keyword enum"},
		{"a record in itself", schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"N","fields":[{"name":"n","type":"N"}]}`}, "no finite value"},
		{"a message that has to hold itself", schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto2"; message R { required R r = 1; }`}, "no finite value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := newRecordMaker(tt.text, 1, DefaultSpread())
			if err == nil {
				var body []byte
				if body, err = m.record(nil); err == nil {
					t.Fatalf("made %q", body)
				}
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
		})
	}
}

func TestItemsAreAsManyAsAskedFor(t *testing.T) {
	text := jsonText(`{"type":"object","required":["a"],"properties":{"a":{"type":"array","items":{"type":"integer"}}}}`)
	m, err := newRecordMaker(text, 1, Spread{7, 9})
	if err != nil {
		t.Fatal(err)
	}
	known := map[int]bool{}
	for range 50 {
		body, err := m.record(nil)
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ A []int }
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		known[len(v.A)] = true
	}
	if fmt.Sprint(known) != "map[7:true 8:true 9:true]" {
		t.Errorf("lengths %v", known)
	}
}
