package endtoend

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/twmb/avro"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
	avroparser "github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
)

// A codec is one format as those write and read it who know nothing of this
// repository.
type codec struct {
	name    string
	schema  schema.Format // empty for none
	file    string        // in testdata
	parse   schema.Parser // for the engine
	message []byte        // between the framing and the record
	open    func(t *testing.T, text string) coder
	// number and binary are how the format writes those, to look for.
	number func(v any) []byte
	binary func(b []byte) []byte
}

// A coder writes and reads records of one schema.
type coder interface {
	encode(t *testing.T, v map[string]any) []byte
	decode(t *testing.T, b []byte) any
}

func codecs() []codec {
	asIs := func(b []byte) []byte { return b }
	return []codec{
		{
			name: "avro", schema: schema.Avro, file: "stay.avsc", parse: func(s schema.Text) (schema.Schema, error) { return avroparser.Parse(s) },
			open:   func(_ *testing.T, text string) coder { return avroCoder{avro.MustParse(text)} },
			binary: asIs, number: func(v any) []byte {
				if n, ok := v.(int64); ok {
					return binary.AppendVarint(nil, n)
				}
				return double(v)
			},
		},
		{
			name: "protobuf", schema: schema.Protobuf, file: "stay.proto", parse: protobuf.Parser, message: []byte{0},
			open:   openProto,
			binary: asIs, number: func(v any) []byte {
				if n, ok := v.(int64); ok {
					return binary.AppendUvarint(nil, uint64(n))
				}
				return double(v)
			},
		},
		{
			name: "jsonschema", schema: schema.JSONSchema, file: "stay.schema.json",
			parse: func(s schema.Text) (schema.Schema, error) { return jsonschema.Parse(s) },
			open:  func(*testing.T, string) coder { return jsonCoder{} }, number: jsonNumber, binary: inBase64,
		},
		{name: "json", open: func(*testing.T, string) coder { return jsonCoder{} }, number: jsonNumber, binary: inBase64},
	}
}

func double(v any) []byte {
	f, ok := v.(float64)
	if !ok {
		panic("no number")
	}
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))
}

func inBase64(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }

func jsonNumber(v any) []byte {
	if n, ok := v.(int64); ok {
		return strconv.AppendInt(nil, n, 10)
	}
	f, ok := v.(float64)
	if !ok {
		panic("no number")
	}
	return strconv.AppendFloat(nil, f, 'f', -1, 64)
}

// text returns the schema.
func (c codec) text(t *testing.T) schema.Text {
	t.Helper()
	if c.file == "" {
		return schema.Text{}
	}
	b, err := os.ReadFile(filepath.Join("testdata", c.file))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Text{Format: c.schema, Schema: string(b)}
}

// needle is how a value stands in the bytes of a record. It is empty for values
// too short to be looked for.
func (c codec) needle(v any) []byte {
	switch v := v.(type) {
	case string:
		if len(v) > 8 {
			return []byte(v)
		}
	case []byte:
		return c.binary(v)
	case int64, float64:
		return c.number(v)
	}
	return nil
}

type avroCoder struct{ schema *avro.Schema }

func (c avroCoder) encode(t *testing.T, v map[string]any) []byte {
	t.Helper()
	b, err := c.schema.AppendEncode(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c avroCoder) decode(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if rest, err := c.schema.Decode(b, &v); err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes left", err, len(rest))
	}
	return v
}

type jsonCoder struct{}

func (jsonCoder) encode(t *testing.T, v map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (jsonCoder) decode(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatal(err)
	}
	return v
}

// metaProto is the file that the schema imports.
const metaProto = `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
`

type protoCoder struct {
	stay protoreflect.MessageDescriptor
}

func openProto(t *testing.T, text string) coder {
	t.Helper()
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"stay.proto": text, "confluent/meta.proto": metaProto}),
	})}
	files, err := c.Compile(t.Context(), "stay.proto")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return protoCoder{files[0].Messages().ByName("Stay")}
}

func (c protoCoder) encode(t *testing.T, v map[string]any) []byte {
	t.Helper()
	m := dynamicpb.NewMessage(c.stay)
	fill(m, v)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fill sets the fields of a message by their names.
func fill(m protoreflect.Message, v map[string]any) {
	for name, e := range v {
		f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		switch e := e.(type) {
		case nil:
		case map[string]any:
			if !f.IsMap() {
				fill(m.Mutable(f).Message(), e)
				continue
			}
			for k, s := range e {
				m.Mutable(f).Map().Set(protoreflect.ValueOf(k).MapKey(), protoreflect.ValueOf(s))
			}
		case []any:
			for _, item := range e {
				if in, ok := item.(map[string]any); ok {
					fill(m.Mutable(f).List().AppendMutable().Message(), in)
					continue
				}
				m.Mutable(f).List().Append(protoreflect.ValueOf(item))
			}
		case string:
			if d := f.Enum(); d != nil {
				m.Set(f, protoreflect.ValueOf(d.Values().ByName(protoreflect.Name(e)).Number()))
				continue
			}
			m.Set(f, protoreflect.ValueOf(e))
		default:
			m.Set(f, protoreflect.ValueOf(e))
		}
	}
}

func (c protoCoder) decode(t *testing.T, b []byte) any {
	t.Helper()
	m := dynamicpb.NewMessage(c.stay)
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	if len(m.GetUnknown()) > 0 {
		t.Fatal("the schema does not know all fields")
	}
	return plain(m)
}

// plain turns a message into what leaves reads.
func plain(m protoreflect.Message) map[string]any {
	out := make(map[string]any)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		v := m.Get(f)
		switch {
		case f.IsMap():
			in := make(map[string]any)
			v.Map().Range(func(k protoreflect.MapKey, e protoreflect.Value) bool {
				in[k.String()] = e.Interface()
				return true
			})
			out[string(f.Name())] = in
		case f.IsList():
			var in []any
			for i := range v.List().Len() {
				in = append(in, single(f, v.List().Get(i)))
			}
			out[string(f.Name())] = in
		default:
			out[string(f.Name())] = single(f, v)
		}
	}
	return out
}

func single(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return plain(v.Message())
	case protoreflect.EnumKind:
		return string(f.Enum().Values().ByNumber(v.Enum()).Name())
	default:
		return v.Interface()
	}
}
