package serde

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/fieldveil/fieldveil/schema"
)

func TestPlainFormats(t *testing.T) {
	tests := []struct {
		name   string
		format Format
		value  string
		want   string
		code   string
	}{
		{name: "base64", format: Binary, value: `"AP8="`, want: "\x00\xff"},
		{name: "base64 with an escaped slash", format: Binary, value: `"\/\/\/\/"`, want: "\xff\xff\xff"},
		{name: "empty base64", format: Binary, value: `""`},
		{name: "base64 without padding", format: Binary, value: `"AP8"`, code: CodeBase64},
		{name: "base64 with stray bits", format: Binary, value: `"AP9="`, code: CodeBase64},
		{name: "base64 of the URL alphabet", format: Binary, value: `"____"`, code: CodeBase64},
		{name: "base64 with a line end", format: Binary, value: `"AP8=\n"`, code: CodeBase64},
		{name: "a number for base64", format: Binary, value: `1`, code: CodeBase64},
		{name: "null for base64", format: Binary, value: `null`, code: CodeBase64},
		{name: "a string", format: String, value: ` "a\u00e9\n" `, want: "aé\n"},
		{name: "a number for a string", format: String, value: `1`, code: CodeUnfit},
		{name: "an object for a string", format: String, value: `{}`, code: CodeUnfit},
		{name: "JSON without white space", format: JSON, value: " { \"a b\" : [ 1.0E+2 , \"\\u0061 \\\" x\" , null ] }\n", want: `{"a b":[1.0E+2,"\u0061 \" x",null]}`},
		{name: "a number as it is written", format: JSON, value: `12345678901234567890.10`, want: `12345678901234567890.10`},
		{name: "null alone", format: JSON, value: `null`, code: CodeUnfit},
		{name: "a member twice", format: JSON, value: `{"a":1,"\u0061":2}`, code: CodeJSON},
		{name: "a member twice deep down", format: JSON, value: `[{"x":{"a":1,"a":2}}]`, code: CodeJSON},
		{name: "invalid UTF-8", format: JSON, value: "\"\xff\"", code: CodeJSON},
		{name: "half a character", format: JSON, value: `"\ud800"`, code: CodeJSON},
		{name: "NaN", format: JSON, value: `NaN`, code: CodeJSON},
		{name: "two values", format: JSON, value: `1 2`, code: CodeJSON},
		{name: "no value", format: JSON, value: ` `, code: CodeJSON},
		{name: "no text", format: JSON, value: ``, code: CodeJSON},
		{name: "a byte order mark", format: JSON, value: "\xef\xbb\xbf1", code: CodeJSON},
		{name: "a comma too many", format: JSON, value: `[1,]`, code: CodeJSON},
		{name: "a leading zero", format: JSON, value: `01`, code: CodeJSON},
		{name: "nesting to the limit", format: JSON, value: strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), want: strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)},
		{name: "nesting beyond", format: JSON, value: strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), code: CodeJSON},
		{name: "a bad string that does not end", format: String, value: `"` + strings.Repeat("[", 300), code: CodeJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := plain(tt.format)
			got, err := e.Append([]byte("pre"), []byte(tt.value))
			if code, _ := fault(t, err); code != tt.code || string(got) != "pre"+tt.want {
				t.Errorf("got %q, %v, want %q, %s", got, err, "pre"+tt.want, tt.code)
			}
			if e.ID() != 0 || !e.AdmitsNull() || e.Format() != tt.format {
				t.Errorf("id %d, nulls %v, format %s", e.ID(), e.AdmitsNull(), e.Format())
			}
		})
	}
}

const jsonSchemaText = `{"type":"object","additionalProperties":false,"required":["id"],"properties":{
	"id":{"type":"integer"},
	"email":{"type":"string","pattern":"^[^@]+@[^@]+$"},
	"tags":{"type":"array","items":{"type":"string","maxLength":3}}}}`

func TestJSONSchemaRecordsAreValidated(t *testing.T) {
	e := encoderOf(t, JSONSchema, jsonSchemaText, DefaultConfig())
	got, err := e.Append(nil, []byte(` {"id": 1.0, "email": "a@b"} `))
	if want := framed(`{"id":1.0,"email":"a@b"}`); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for value, path := range map[string]string{
		`{}`:                         "",
		`{"id":"secret"}`:            "/id",
		`{"id":1,"email":"secret"}`:  "/email",
		`{"id":1,"secret":2}`:        "",
		`{"id":1,"tags":["secret"]}`: "/tags/[]",
		`null`:                       "",
	} {
		got, err := e.Append([]byte("pre"), []byte(value))
		code, at := fault(t, err)
		if code != CodeUnfit || at != path || string(got) != "pre" {
			t.Errorf("%s: got %q, %v, want %s at %q", value, got, err, CodeUnfit, path)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the value: %v", err)
		}
	}
	if e.AdmitsNull() {
		t.Error("the schema does not admit null")
	}
	if e := encoderOf(t, JSONSchema, `{"type":["null","string"]}`, DefaultConfig()); !e.AdmitsNull() {
		t.Error("the schema admits null")
	}
}

const protoText = `syntax = "proto3";
package acme;
import "confluent/meta.proto";
import "google/protobuf/timestamp.proto";
message Order {
  string id = 1 [(confluent.field_meta).tags = "PII"];
  int64 total_cents = 2;
  repeated Line lines = 3;
  map<string, Line> by_name = 4;
  bytes raw = 5;
  google.protobuf.Timestamp at = 6;
  Kind kind = 7;
}
message Line { string sku = 1; uint32 count = 2; }
enum Kind { NONE = 0; BIG = 1; }
`

func TestProtobufRecordsFollowTheJSONMapping(t *testing.T) {
	e := encoderOf(t, Protobuf, protoText, DefaultConfig())
	value := `{"id":"x","totalCents":"5","lines":[{"sku":"s","count":2}],"by_name":{"k":{"sku":"m"}},"raw":"/w==","at":"1970-01-01T00:00:01Z","kind":"BIG"}`
	got, err := e.Append(nil, []byte(value))
	want := framed("\x00\x0a\x01x\x10\x05\x1a\x05\x0a\x01s\x10\x02\x22\x08\x0a\x01k\x12\x03\x0a\x01m\x2a\x01\xff\x32\x02\x08\x01\x38\x01")
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if got, err := e.Append(nil, []byte(`{}`)); err != nil || string(got) != framed("\x00") {
		t.Errorf("empty: got %q, %v", got, err)
	}
	if e.AdmitsNull() {
		t.Error("no message is null")
	}
	for value, path := range map[string]string{
		`{"id":1}`:                                   "/id",
		`{"id":"é","totalCents":"secret"}`:           "/total_cents",
		`{"lines":[{"sku":"s"},{"count":"secret"}]}`: "/lines/[]/count",
		`{"byName":{"secret":{"sku":7}}}`:            "/by_name/{}/sku",
		`{"secret":1}`:                               "/{}",
		`{"lines":[{"secret":1}]}`:                   "/lines/[]/{}",
		`{"totalCents":1,"total_cents":2}`:           "/total_cents",
		`{"kind":"secret"}`:                          "/kind",
		`{"raw":"secret!"}`:                          "/raw",
		`{"at":"secret"}`:                            "/at",
		`{"lines":{"sku":"secret"}}`:                 "/lines",
		`["secret"]`:                                 "",
		`null`:                                       "",
	} {
		got, err := e.Append([]byte("pre"), []byte(value))
		code, at := fault(t, err)
		if code != CodeUnfit || at != path || string(got) != "pre" {
			t.Errorf("%s: got %q, %v, want %s at %q", value, got, err, CodeUnfit, path)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the value: %v", err)
		}
	}
}

// The files that a schema may import without a reference are those that the parser
// of the engine has.
func TestCommonFilesAreThoseOfTheParser(t *testing.T) {
	const theirs = "../../schema/protobuf/proto"
	if _, err := os.Stat(theirs); err != nil {
		t.Skip("the parser is not beside this module")
	}
	n := 0
	err := fs.WalkDir(os.DirFS(theirs), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		want, err := os.ReadFile(filepath.Join(theirs, path))
		if err != nil {
			return err
		}
		got, err := commonProtos.ReadFile("proto/" + path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs: %v", path, err)
		}
		return nil
	})
	if err != nil || n < 3 {
		t.Errorf("%d files, %v", n, err)
	}
}

// A registry may have a descriptor in place of a text.
func TestProtobufSchemasMayBeDescriptors(t *testing.T) {
	_, file, err := linkProtobuf(&schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3"; message M { int32 order_count = 1; }`})
	if err != nil {
		t.Fatal(err)
	}
	desc := protodesc.ToFileDescriptorProto(file)
	for _, f := range desc.GetMessageType()[0].GetField() {
		f.JsonName = nil // as registries have them
	}
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{desc}}
	for name, m := range map[string]proto.Message{"a file": desc, "a set": set} {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		e := encoderOf(t, Protobuf, base64.StdEncoding.EncodeToString(raw), DefaultConfig())
		for _, value := range []string{`{"orderCount":5}`, `{"order_count":5}`} {
			if got, err := e.Append(nil, []byte(value)); err != nil || string(got) != framed("\x00\x08\x05") {
				t.Errorf("%s: %s: got %q, %v", name, value, got, err)
			}
		}
	}
}

func TestProtobufReferencesAreImported(t *testing.T) {
	text := schema.Text{
		Format: schema.Protobuf, Schema: `syntax = "proto3"; import "line.proto"; message M { acme.Line line = 1; }`,
		References: []string{`syntax = "proto3"; package acme; message Line { string sku = 1; }`}, Names: []string{"line.proto"},
	}
	cfg := DefaultConfig()
	c := compile(7, &text, &cfg)
	if c.err != nil {
		t.Fatal(c.err)
	}
	if got, err := c.enc.Append(nil, []byte(`{"line":{"sku":"a"}}`)); err != nil || string(got) != framed("\x00\x0a\x03\x0a\x01a") {
		t.Errorf("got %q, %v", got, err)
	}
}
