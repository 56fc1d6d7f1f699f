package protobuf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

// hexing writes every value in hex, so that nothing of it can be found, and
// strings stay strings.
func hexing(_ int, dst, value []byte) ([]byte, error) { return hex.AppendEncode(dst, value), nil }

func unhexing(_ int, dst, value []byte) ([]byte, error) { return hex.AppendDecode(dst, value) }

// read decodes a record by the descriptors of a schema.
func read(s *Schema, raw []byte) (*dynamicpb.Message, error) {
	d, err := s.file.types.files.FindDescriptorByName(protoreflect.FullName(s.root.name))
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(as[protoreflect.MessageDescriptor](d))
	return m, proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(raw, m)
}

// as is v of a type that it has.
func as[T any](v any) T {
	t, ok := v.(T)
	if !ok {
		panic("not of the type that was expected")
	}
	return t
}

// editedNames are the full names of the fields that edits name.
func editedNames(s *Schema, edits []schema.Edit) map[protoreflect.FullName]bool {
	names := make(map[protoreflect.FullName]bool)
	for _, e := range edits {
		p := s.places[e.Field]
		if p.item {
			p = p.parent
		}
		names[protoreflect.FullName(p.field.full)] = true
	}
	return names
}

// without clears the named fields everywhere, and hands out the texts that were
// inside of them.
func without(m protoreflect.Message, names map[protoreflect.FullName]bool, cleared func(text string)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if names[f.FullName()] {
			texts(f, v, cleared)
			m.Clear(f)
			return true
		}
		eachMessage(f, v, func(inner protoreflect.Message) { without(inner, names, cleared) })
		return true
	})
}

func eachMessage(f protoreflect.FieldDescriptor, v protoreflect.Value, visit func(protoreflect.Message)) {
	switch {
	case f.IsMap() && f.MapValue().Message() != nil:
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			visit(v.Message())
			return true
		})
	case f.IsMap() || f.Message() == nil:
	case f.IsList():
		for i := range v.List().Len() {
			visit(v.List().Get(i).Message())
		}
	default:
		visit(v.Message())
	}
}

// texts hands out all strings and bytes of a value, but for the keys of maps.
func texts(f protoreflect.FieldDescriptor, v protoreflect.Value, found func(string)) {
	one := func(f protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch {
		case f.Kind() == protoreflect.StringKind:
			found(v.String())
		case f.Kind() == protoreflect.BytesKind:
			found(string(v.Bytes()))
		case f.Message() != nil:
			v.Message().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				texts(f, v, found)
				return true
			})
		}
	}
	switch {
	case f.IsMap():
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			one(f.MapValue(), v)
			return true
		})
	case f.IsList():
		for i := range v.List().Len() {
			one(f, v.List().Get(i))
		}
	default:
		one(f, v)
	}
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Whatever the schema, the record, the way it is encoded and the edits: what is
// edited is gone, what is not is as it was, and the way back gives the same
// bytes, by the original schema and by the derived one.
func TestRandomRecordsOfRandomSchemas(t *testing.T) {
	schemas := 120
	if testing.Short() {
		schemas = 30
	}
	derived, wrapped, conflicts := 0, 0, 0
	for seed := range uint64(schemas) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 7))}
		text := g.schema()
		s, err := Parse(schema.Text{Format: schema.Protobuf, Schema: text})
		if err != nil {
			t.Fatalf("seed %d: %v in\n%s", seed, err, text)
		}
		for range 3 {
			edits := g.edits(s, false)
			p, err := s.Compile(edits, schema.RejectUnknown)
			if err != nil {
				t.Fatalf("seed %d: Compile: %v in\n%s", seed, err, text)
			}
			back, err := s.Restore(edits, schema.RejectUnknown)
			if err != nil {
				t.Fatalf("seed %d: Restore: %v in\n%s", seed, err, text)
			}
			reader, readBack := s, back
			derivedText, changed, err := s.Derive(edits, schema.Origin{ID: 5, Digest: s.file.text.Digest()})
			switch {
			case err != nil:
				if _, ok := errors.AsType[*FitError](err); !ok {
					t.Fatalf("seed %d: Derive: %v in\n%s", seed, err, text)
				}
				conflicts++
				reader = nil
			case changed:
				derived++
				if reader, err = Parse(derivedText); err != nil {
					t.Fatalf("seed %d: derived schema: %v in\n%s", seed, err, derivedText.Schema)
				}
				if readBack, err = reader.Restore(edits, schema.RejectUnknown); err != nil {
					t.Fatalf("seed %d: Restore by the derived schema: %v", seed, err)
				}
			}
			names, everywhere := editedNames(s, edits), len(unedited(s, edits)) == 0
			for range 6 {
				d, err := read(s, nil)
				if err != nil {
					t.Fatal(err)
				}
				src := g.scramble(d.Descriptor(), marshal(t, g.message(d.Descriptor(), 0).Interface()))
				out := rewrite(t, p, src, hexing)
				if restored := rewrite(t, back, out, unhexing); !bytes.Equal(restored, src) {
					t.Fatalf("seed %d: % x came back as % x by\n%s", seed, src, restored, text)
				}
				before, err := read(s, src)
				if err != nil {
					t.Fatalf("seed %d: the oracle does not read % x: %v", seed, src, err)
				}
				without(before, names, func(text string) {
					wrapped++
					// Elsewhere the same type may stand without an edit.
					if everywhere && len(text) > 4 && bytes.Contains(out, []byte(text)) {
						t.Fatalf("seed %d: %q stands in % x by\n%s", seed, text, out, s.file.text.Schema)
					}
				})
				if reader == nil {
					continue
				}
				if restored := rewrite(t, readBack, out, unhexing); !bytes.Equal(restored, src) {
					t.Fatalf("seed %d: by the derived schema % x came back as % x", seed, src, restored)
				}
				// Some of the edits can be undone, and none.
				for range 2 {
					var some []schema.Edit
					for _, e := range edits {
						if g.IntN(2) == 0 {
							some = append(some, e)
						}
					}
					partly, err := reader.Restore(some, schema.RejectUnknown)
					if err != nil {
						t.Fatalf("seed %d: Restore of a part: %v", seed, err)
					}
					rewrite(t, partly, out, unhexing)
				}
				if same := rewrite(t, compileEdits(t, reader, nil), out, identity); !bytes.Equal(same, out) {
					t.Fatalf("seed %d: a protected record does not pass by its schema", seed)
				}
				after, err := read(reader, out)
				if err != nil {
					t.Fatalf("seed %d: the oracle does not read % x: %v, by\n%s", seed, out, err, derivedText.Schema)
				}
				without(after, names, func(string) {})
				if !bytes.Equal(marshal(t, before), marshal(t, after)) {
					t.Fatalf("seed %d: beside the edits % x became % x by\n%s", seed, src, out, text)
				}
			}
		}
	}
	if derived < schemas/2 || wrapped < 10*schemas {
		t.Errorf("%d derived schemas and %d edited texts: too few to show anything", derived, wrapped)
	}
	t.Logf("%d derived schemas, %d texts, %d conflicts", derived, wrapped, conflicts)
}

func compileEdits(t *testing.T, s *Schema, edits []schema.Edit) schema.Program {
	t.Helper()
	p, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// unedited lists the places of edited fields that have no edit themselves.
func unedited(s *Schema, edits []schema.Edit) (out []string) {
	names := editedNames(s, edits)
	chosen := make(map[*place]bool)
	for _, e := range edits {
		p := s.places[e.Field]
		if p.item {
			p = p.parent
		}
		chosen[p] = true
	}
	for i, p := range s.places {
		if !p.item && names[protoreflect.FullName(p.field.full)] && !chosen[p] {
			out = append(out, s.fields[i].Path)
		}
	}
	return out
}

// With fields left out, what is left reads as if they had not been set.
func TestRandomRecordsWithFieldsLeftOut(t *testing.T) {
	left := 0
	for seed := range uint64(800) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 11))}
		s := parse(t, g.schema())
		var edits []schema.Edit
		for _, e := range g.edits(s, true) {
			if e.Op == schema.Nullify {
				edits = append(edits, e)
			}
		}
		p, err := s.Compile(edits, schema.RejectUnknown)
		if err != nil {
			t.Fatal(err)
		}
		if len(edits) == 0 || len(unedited(s, edits)) > 0 {
			continue
		}
		if _, changed, err := s.Derive(edits, schema.Origin{}); changed || err != nil {
			t.Fatalf("leaving fields out changes the schema: %v, %v", changed, err)
		}
		for range 8 {
			d, err := read(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			src := g.scramble(d.Descriptor(), marshal(t, g.message(d.Descriptor(), 0).Interface()))
			before, err := read(s, src)
			if err != nil {
				t.Fatal(err)
			}
			// A message in a oneof replaces what was set before it, also when it is
			// left out of the record.
			if strings.Contains(s.file.text.Schema, "oneof") {
				break
			}
			without(before, editedNames(s, edits), func(string) { left++ })
			after, err := read(s, rewrite(t, p, src, identity))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(marshal(t, before), marshal(t, after)) {
				t.Fatalf("seed %d: % x left other things out by\n%s", seed, src, s.file.text.Schema)
			}
		}
	}
	if left < 100 {
		t.Errorf("%d texts were left out: too few to show anything", left)
	}
}
