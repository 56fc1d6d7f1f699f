package serde

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	twmb "github.com/twmb/avro"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/schema/wire"
)

const fuzzAvro = `{"type":"record","name":"t.Z","fields":[
	{"name":"n","type":"null"},{"name":"t","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":"long"},
	{"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"s","type":"string"},{"name":"b","type":"bytes"},
	{"name":"x","type":{"type":"fixed","name":"F","size":2}},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
	{"name":"a","type":{"type":"array","items":"long"}},{"name":"m","type":{"type":"map","values":"string"}},
	{"name":"u","type":["null","string","long",{"type":"map","values":"int"},"t.Z"]}]}`

var fuzzValues = []string{
	`{"n":null,"t":true,"i":1,"l":-1,"f":1.5,"d":"NaN","s":"\u0041","b":"\u00ff","x":"ab","e":"B","a":[1,2],"m":{"k":"v"},"u":{"string":"s"}}`,
	`{"u":{"map":{"map":1}},"n":null,"t":false,"i":5.0,"l":1e3,"f":0,"d":-0,"s":"","b":"","x":"\u00c2\u0080","e":"A","a":[],"m":{}}`,
	`{"n":null,"t":true,"i":1,"l":1,"f":1,"d":1,"s":"","b":"","x":"ab","e":"A","a":[],"m":{},"u":{"t.Z":{"u":null,"n":null,"t":true,"i":1,"l":1,"f":1,"d":1,"s":"","b":"","x":"ab","e":"A","a":[],"m":{}}}}`,
	`{"i":2147483648}`, `{"a":[`, `{"u":{"string":"s","long":1}}`, `{"u":5}`, `nul`, `""`, `{"n":null,"n":null}`,
}

// FuzzAvro compares with an encoder that goes by way of Go values, and with the
// walker of the engine, which checks every byte.
func FuzzAvro(f *testing.F) {
	for _, v := range fuzzValues {
		f.Add([]byte(v), false)
		f.Add([]byte(v), true)
	}
	strictConfig := DefaultConfig()
	strictConfig.StrictUnions = true
	encoders := map[bool]*Encoder{false: encoderOf(f, Avro, fuzzAvro, DefaultConfig()), true: encoderOf(f, Avro, fuzzAvro, strictConfig)}
	other := twmb.MustParse(fuzzAvro)
	parsed, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: fuzzAvro})
	if err != nil {
		f.Fatal(err)
	}
	walk, err := parsed.Compile(nil, schema.RejectUnknown)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte, strict bool) {
		kept := bytes.Clone(value)
		out, err := encoders[strict].Append([]byte("pre"), value)
		if !bytes.Equal(kept, value) {
			t.Fatal("the value was changed")
		}
		if err != nil {
			_, _ = fault(t, err)
			if string(out) != "pre" {
				t.Fatalf("dst is %q after %v", out, err)
			}
			return
		}
		id, n, err := wire.ParseFrame(out[3:])
		if err != nil || id != 7 {
			t.Fatalf("frame: %d, %v", id, err)
		}
		record := out[3+n:]
		if same, err := walk.Rewrite(nil, record, nil); err != nil || !bytes.Equal(same, record) {
			t.Fatalf("the engine does not read %q: %v", record, err)
		}
		if !strict {
			return
		}
		var v any
		if err := other.DecodeJSON(value, &v, twmb.TaggedUnions()); err != nil {
			return // it refuses integers with an exponent
		}
		want, err := other.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) != len(record) { // members of maps come in any order
			t.Fatalf("%s: got %q, want %q", value, record, want)
		}
		if bytes.Count(value, []byte{':'}) <= 14 && !bytes.Equal(want, record) && !bytes.Contains(value, []byte("NaN")) {
			t.Fatalf("%s: got %q, want %q", value, record, want)
		}
	})
}

// FuzzPlain compares with the standard library.
func FuzzPlain(f *testing.F) {
	for _, v := range append(fuzzValues, `"AP8="`, `"\/w=="`, "\"\xff\"", `[1.0e+1 , {"a b":"\\\""}]`, `"\ud800"`) {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		valid := jsontext.Value(value).IsValid() && !deep(value)
		out, err := plain(JSON).Append(nil, value)
		if null := string(bytes.TrimSpace(value)) == "null"; (err == nil) != (valid && !null) {
			t.Fatalf("valid %v, got %q, %v", valid, out, err)
		}
		if err == nil {
			var want bytes.Buffer
			if err := json.Compact(&want, value); err != nil || !bytes.Equal(want.Bytes(), out) {
				t.Fatalf("got %q, want %q, %v", out, want.Bytes(), err)
			}
		}
		var text string
		isText := valid && json.Unmarshal(value, &text) == nil && bytes.HasPrefix(bytes.TrimSpace(value), []byte{'"'})
		out, err = plain(String).Append(nil, value)
		if (err == nil) != isText || isText && string(out) != text || !utf8.Valid(out) {
			t.Fatalf("got %q, %v, want %q, %v", out, err, text, isText)
		}
		out, err = plain(Binary).Append(nil, value)
		if err == nil && (!isText || base64.StdEncoding.EncodeToString(out) != text) {
			t.Fatalf("got %q of %q", out, text)
		}
	})
}

// FuzzJSONSchema checks that what passes satisfies the schema as it was stored.
func FuzzJSONSchema(f *testing.F) {
	for _, v := range []string{`{"id":1}`, `{"id": 1.0,"tags":["abc", "x"]}`, `{"id":1,"email":"a@b"}`, `{"id":"x"}`, `null`} {
		f.Add([]byte(v))
	}
	e := encoderOf(f, JSONSchema, jsonSchemaText, DefaultConfig())
	f.Fuzz(func(t *testing.T, value []byte) {
		out, err := e.Append(nil, value)
		if err != nil {
			_, _ = fault(t, err)
			return
		}
		again, err := e.Append(nil, out[wire.FrameSize:])
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%q again: %q, %v", out, again, err)
		}
	})
}

// FuzzProtobuf checks that the walker of the engine reads what was encoded.
func FuzzProtobuf(f *testing.F) {
	for _, v := range []string{
		`{"id":"x","totalCents":"5","lines":[{"sku":"s","count":2}],"by_name":{"k":{"sku":"m"}},"raw":"/w==","at":"1970-01-01T00:00:01Z","kind":"BIG"}`,
		`{"lines":[null]}`, `{"by_name":{"":{"count":1.0}}}`, `{"kind":1}`, `{"at":""}`, `[[{"a":[]}]]`, `{"id":null}`, "{\"é\":1}",
	} {
		f.Add([]byte(v))
	}
	e := encoderOf(f, Protobuf, protoText, DefaultConfig())
	text := schema.Text{Format: schema.Protobuf, Schema: protoText}
	parsed, err := protobuf.Parse(text)
	if err != nil {
		f.Fatal(err)
	}
	walk, err := parsed.Compile(nil, schema.RejectUnknown)
	if err != nil {
		f.Fatal(err)
	}
	message, _ := compileProtobuf(&text)
	f.Fuzz(func(t *testing.T, value []byte) {
		out, err := e.Append(nil, value)
		if err != nil {
			_, _ = fault(t, err)
			return
		}
		indexes, n, err := wire.ParseIndexes(out[wire.FrameSize:])
		if err != nil || len(indexes) != 1 || indexes[0] != 0 {
			t.Fatalf("indexes %v, %v", indexes, err)
		}
		record := out[wire.FrameSize+n:]
		if same, err := walk.Rewrite(nil, record, nil); err != nil || !bytes.Equal(same, record) {
			t.Fatalf("the engine does not read %q: %v", record, err)
		}
		if err := proto.Unmarshal(record, dynamicpb.NewMessage(message.message.Descriptor())); err != nil {
			t.Fatal(err)
		}
	})
}
