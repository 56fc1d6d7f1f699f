package protobuf

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

// generator makes schemas, records and edits at random.
type generator struct {
	*rand.Rand
	proto2  bool
	strings int
}

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) scalar() string {
	return g.pick("int32", "int64", "uint32", "uint64", "sint32", "sint64", "bool", "fixed32", "fixed64", "sfixed32", "sfixed64", "float", "double",
		"string", "string", "string", "bytes", ".acme.E")
}

// schema is the text of a file with a few messages that may hold each other and
// themselves.
func (g *generator) schema() string {
	var b strings.Builder
	g.proto2 = g.IntN(2) == 0
	if g.proto2 {
		b.WriteString("syntax = \"proto2\";\n")
	} else {
		b.WriteString("syntax = \"proto3\";\n")
	}
	b.WriteString("package acme;\nimport \"google/protobuf/timestamp.proto\";\nenum E { A = 0; B = 1; C = 5; }\n")
	messages := 1 + g.IntN(4)
	for i := range messages {
		fmt.Fprintf(&b, "message M%d {\n", i)
		number, open := 0, false
		for f := range 1 + g.IntN(8) {
			number += 1 + g.IntN(3)
			if g.IntN(12) == 0 {
				number += g.IntN(5000)
			}
			typ := g.scalar()
			// The first types hold the later ones, and now and then an earlier one.
			if to := i + 1 + g.IntN(3); g.IntN(3) == 0 && to < messages {
				typ = fmt.Sprintf(".acme.M%d", to)
			} else if g.IntN(12) == 0 {
				typ = fmt.Sprintf(".acme.M%d", g.IntN(messages))
			} else if g.IntN(15) == 0 {
				typ = ".google.protobuf.Timestamp"
			}
			kind := g.IntN(10)
			inOneof := kind == 9
			if open && !inOneof {
				b.WriteString("}\n")
				open = false
			}
			switch {
			case kind < 3:
				fmt.Fprintf(&b, "repeated %s f%d = %d;\n", typ, f, number)
			case kind == 3:
				fmt.Fprintf(&b, "map<%s, %s> f%d = %d;\n", g.pick("string", "int32", "bool", "fixed64"), typ, f, number)
			case kind == 4 && g.proto2:
				fmt.Fprintf(&b, "%s group G%d = %d { optional string s = 1; repeated int32 i = 2; optional M%d m = 3; }\n", g.pick("optional", "repeated"), f, number, g.IntN(messages))
			case inOneof:
				if !open {
					fmt.Fprintf(&b, "oneof o%d {\n", f)
				}
				open = true
				fmt.Fprintf(&b, "%s f%d = %d;\n", typ, f, number)
			case g.proto2:
				fmt.Fprintf(&b, "%s %s f%d = %d;\n", g.pick("optional", "optional", "required"), typ, f, number)
			default:
				fmt.Fprintf(&b, "%s %s f%d = %d;\n", g.pick("", "optional"), typ, f, number)
			}
		}
		if open {
			b.WriteString("}\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// text is one that no other field of the run holds.
func (g *generator) text() string {
	g.strings++
	return fmt.Sprintf("text-%d-%s.", g.strings, strings.Repeat("é", g.IntN(40)*g.IntN(4)))
}

func (g *generator) value(d protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	n := g.Uint64() >> g.IntN(64)
	switch d.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n%2 == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum([]protoreflect.EnumNumber{0, 1, 5}[n%3])
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(g.text())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(g.text()))
	default:
		return protoreflect.ValueOfMessage(g.message(d.Message(), depth+1))
	}
}

// message is a record of the type.
func (g *generator) message(d protoreflect.MessageDescriptor, depth int) protoreflect.Message {
	m := dynamicpb.NewMessage(d)
	if d.FullName() == timestampName {
		g.timestamp(m)
		return m
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Cardinality() != protoreflect.Required && (g.IntN(4) == 0 || f.Message() != nil && depth > 3) || depth > 8 {
			continue
		}
		switch {
		case f.IsMap():
			for range g.IntN(3) {
				m.Mutable(f).Map().Set(g.value(f.MapKey(), depth).MapKey(), g.value(f.MapValue(), depth))
			}
		case f.IsList():
			for range g.IntN(4) {
				m.Mutable(f).List().Append(g.value(f, depth))
			}
		default:
			m.Set(f, g.value(f, depth))
		}
	}
	return m
}

// timestamp sets a point in time, of which parts may be zero.
func (g *generator) timestamp(m protoreflect.Message) {
	seconds := minSeconds + g.Int64N(maxSeconds-minSeconds+1)
	if g.IntN(3) == 0 {
		seconds = g.Int64N(5) - 2
	}
	m.Set(m.Descriptor().Fields().ByNumber(secondsNumber), protoreflect.ValueOfInt64(seconds))
	if g.IntN(3) != 0 {
		m.Set(m.Descriptor().Fields().ByNumber(nanosNumber), protoreflect.ValueOfInt32(g.Int32N(second)))
	}
}

// scramble writes a record in another way that a parser takes: fields in another
// order or twice, messages in parts, runs packed and unpacked.
func (g *generator) scramble(d protoreflect.MessageDescriptor, raw []byte) []byte {
	var parts [][]byte
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeField(raw)
		if n < 0 {
			panic("a marshaled message is malformed")
		}
		_, _, head := protowire.ConsumeTag(raw)
		parts = append(parts, g.field(d.Fields().ByNumber(num), typ, raw[:n], raw[head:n])...)
		raw = raw[n:]
	}
	if g.IntN(2) == 0 {
		g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	}
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
		if g.IntN(12) == 0 {
			out = append(out, p...)
		}
	}
	return out
}

// field scrambles one occurrence: whole is all of it, rest what follows the tag.
func (g *generator) field(f protoreflect.FieldDescriptor, typ protowire.Type, whole, rest []byte) [][]byte {
	num := f.Number()
	switch {
	case f.Kind() == protoreflect.GroupKind:
		content, _ := protowire.ConsumeGroup(num, rest)
		out := protowire.AppendTag(nil, num, protowire.StartGroupType)
		out = append(out, g.scramble(f.Message(), content)...)
		return [][]byte{protowire.AppendTag(out, num, protowire.EndGroupType)}
	case f.Message() != nil:
		content, _ := protowire.ConsumeBytes(rest)
		content = g.scramble(f.Message(), content)
		contents := [][]byte{content}
		if !f.IsList() && !f.IsMap() && g.IntN(3) == 0 {
			for at := 0; at < len(content); {
				_, _, n := protowire.ConsumeField(content[at:])
				if at += n; g.IntN(2) == 0 {
					contents = [][]byte{content[:at], content[at:]}
					break
				}
			}
		}
		var out [][]byte
		for _, c := range contents {
			out = append(out, protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), c))
		}
		return out
	case f.IsList() && f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.BytesKind && g.IntN(2) == 0:
		if typ != protowire.BytesType {
			return [][]byte{protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), rest)}
		}
		run, _ := protowire.ConsumeBytes(rest)
		single := shape(&field{kind: f.Kind()}).wire
		var out [][]byte
		for len(run) > 0 {
			n := protowire.ConsumeFieldValue(num, single, run)
			out = append(out, append(protowire.AppendTag(nil, num, single), run[:n]...))
			run = run[n:]
		}
		return out
	default:
		return [][]byte{whole}
	}
}

// edits are some that fit, none inside another.
func (g *generator) edits(s *Schema, nullify bool) (edits []schema.Edit) {
	for i := 0; i < len(s.Fields()); i++ {
		f := &s.Fields()[i]
		if g.IntN(3) != 0 {
			continue
		}
		op := schema.Wrap
		if f.Type == schema.TypeString || f.Type == schema.TypeBytes {
			op = schema.Replace
		}
		if nullify && f.Nullable && g.IntN(3) == 0 {
			op = schema.Nullify
		}
		edits = append(edits, schema.Edit{Field: i, Op: op})
		if !f.Leaf() {
			i = f.End - 1
		}
	}
	return edits
}
