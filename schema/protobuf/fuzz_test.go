package protobuf

import (
	"bytes"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

// stricter are the reasons for which a record is refused that the oracle takes.
func stricter(reason string) bool {
	switch reason {
	case reasonPadded, reasonDepth:
		return true // shortest tags and lengths, and 64 levels
	case reasonMismatch:
		return true // the oracle takes the field for an unknown one
	case reasonUnknown, reasonAny:
		return true // asked for
	case reasonTruncated, reasonVarint, reasonLength, reasonNumber, reasonWire, reasonGroup, reasonOpenGroup:
		return false
	default:
		return false
	}
}

// wideNumbers are edits of all numbers of wideText.
const wideNumbers = "number /i number /f32 number /f64 number /n/i number /g/i number /g/n/i number /ri/[] number /rf/[] number /rd/[] number /rn/[]/i number /mi/{} number /mn/{}/i number /oi number /on/i number /z"

// FuzzProgram runs programs over any bytes. What is accepted comes back as it
// was, whatever is edited, and the edits do not decide what is accepted; what the
// oracle reads is accepted, but for the differences that stricter lists.
func FuzzProgram(f *testing.F) {
	s := parse(f, wideText)
	desc, err := s.file.types.files.FindDescriptorByName("acme.P")
	if err != nil {
		f.Fatal(err)
	}
	type target struct{ there, back schema.Program }
	numbers := []schema.Program{compile(f, s, wideNumbers), compile(f, s, wideNumbers, schema.KeepUnknown)}
	plain := []schema.Program{compile(f, s, ""), compile(f, s, "", schema.KeepUnknown)}
	var targets []target
	for _, edits := range everyEdit() {
		for _, unknown := range []schema.Unknown{schema.RejectUnknown, schema.KeepUnknown} {
			p := target{there: compile(f, s, edits, unknown)}
			if edits != everyEdit()[2] {
				p.back = restore(f, s, edits, unknown)
			}
			targets = append(targets, p)
		}
	}
	for _, seed := range []string{
		"", str(1, "a"), num(3, 1<<63), f32(4, 1) + f64(5, 2), str(6, str(1, "a"), str(3, num(2, 1))), grp(7, str(1, "a"), str(3)),
		str(8, "a") + str(9, "\x01\x80\x01") + num(9, 1), str(10, "aaaa") + f32(10, 1), grp(13, str(1, "a")), str(14, str(1, "k"), str(2, "v")),
		str(15, num(2, 1), str(1, "k")), str(16, num(1, 1), str(2, str(1, "a"))), str(17, "a") + num(18, 1), str(22, str(22, str(1, "a"))),
		str(536870911, "x") + num(2048, 1), num(99, 1) + grp(98, num(1, 1)), tag(1, 2) + "\x80\x00", "\x8a\x00\x01a", tag(7, 3), tag(7, 4),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for i := range numbers {
			sameNumbers(t, s, plain[i], numbers[i], src)
		}
		before := bytes.Clone(src)
		accepted := make(map[schema.Unknown]int)
		for i, target := range targets {
			visits := 0
			out, err := target.there.Rewrite([]byte("dst"), src, visit(func(edit int, dst, value []byte) ([]byte, error) {
				visits++
				return sealing(edit, dst, value)
			}))
			if !bytes.Equal(src, before) {
				t.Fatal("the record was written to")
			}
			if visits > len(src) {
				t.Fatalf("%d visits for %d bytes", visits, len(src))
			}
			if err != nil {
				bad, ok := errors.AsType[*schema.MalformedError](err)
				if !ok || string(out) != "dst" || bad.Offset < 0 || bad.Offset > len(src) {
					t.Fatalf("refused with %v, dst %q", err, out)
				}
				if !stricter(bad.Reason) {
					if proto.Unmarshal(src, dynamicpb.NewMessage(as[protoreflect.MessageDescriptor](desc))) == nil {
						t.Fatalf("the oracle reads % x where we say %v", src, bad)
					}
				}
				// What goes on the way back may be anything, too.
				if target.back != nil {
					_, _ = target.back.Rewrite(nil, src, visit(identity))
				}
				continue
			}
			accepted[schema.Unknown(i%2)]++
			if target.back == nil {
				if _, err := target.there.Rewrite(nil, out[3:], visit(sealing)); err != nil {
					t.Fatalf("with fields left out % x became % x, which is %v", src, out[3:], err)
				}
				continue
			}
			again, err := target.back.Rewrite(nil, out[3:], visit(opening))
			if err != nil || !bytes.Equal(again, src) {
				t.Fatalf("% x became % x and then % x with error %v", src, out[3:], again, err)
			}
			_, _ = target.back.Rewrite(nil, src, visit(identity))
		}
		// Unknown fields inside of what is wrapped or left out are covered, so
		// those programs may take more than the others, and none takes less.
		if n := accepted[schema.KeepUnknown]; n != 0 && n != len(targets)/2 {
			t.Fatalf("edits decide what is accepted: %d of %d take % x", n, len(targets)/2, src)
		}
		if accepted[schema.RejectUnknown] > 0 && accepted[schema.KeepUnknown] == 0 {
			t.Fatalf("% x is taken only when unknown fields are rejected", src)
		}
	})
}

// FuzzRestore gives a program of the way back any bytes as what was wrapped, or
// for a number. What it takes is a record of the schema.
func FuzzRestore(f *testing.F) {
	s := parse(f, wideText)
	fields := []string{"/i", "/f32", "/f64", "/n", "/g", "/ri", "/rf", "/rn", "/rg", "/mi", "/self", "/z"}
	numbers := []protowire.Number{3, 4, 5, 6, 7, 9, 10, 12, 13, 15, 22, 2048}
	plain := compile(f, s, "", schema.KeepUnknown)
	var back []schema.Program
	var there []schema.Program
	for i, path := range fields {
		back = append(back, restore(f, s, "wrap "+path))
		there = append(there, compile(f, s, "wrap "+path))
		for _, seed := range []string{"\x00\x01", "\x05aaaa", "\x01aaaaaaaa", "\x02\x02\x10\x01", "\x02\x00", "\x03" + num(2, 1), "\x03", "\x02\x01\x01", "\x02\x04aaaa"} {
			f.Add(uint8(i), []byte(seed))
		}
	}
	answers := map[string]string{"/i": num(3, 5), "/f32": f32(4, 5), "/f64": f64(5, 5), "/g/i": grp(7, num(2, 5)), "/ri/[]": str(9, "\x05\x05"), "/rd/[]": str(11, "12345678"), "/mi/{}": str(15, num(2, 5)), "/z": num(2048, 5)}
	paths := slices.Sorted(maps.Keys(answers))
	var written []schema.Program
	for i, path := range paths {
		written = append(written, restore(f, s, "number "+path))
		for _, seed := range []string{"0", "-2147483649", "4294967295", "1e400", "NaN", "1.50e1"} {
			f.Add(uint8(len(fields)+i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, value []byte) {
		give := visit(func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, value...), nil })
		i := int(n) % (len(fields) + len(paths))
		if i >= len(fields) {
			path := paths[i-len(fields)]
			out, err := written[i-len(fields)].Rewrite(nil, []byte(answers[path]), give)
			if err != nil {
				if !errors.Is(err, schema.ErrNumber) {
					t.Fatal(err)
				}
				return
			}
			if same, err := plain.Rewrite(nil, out, nil); err != nil || !bytes.Equal(same, out) {
				t.Fatalf("%q for %s was written as % x, which is no record: %v", value, path, out, err)
			}
			sameNumbers(t, s, plain, written[i-len(fields)], out)
			return
		}
		out, err := back[i].Rewrite(nil, []byte(str(numbers[i], "x")), give)
		if err != nil {
			if _, ok := errors.AsType[*schema.MalformedError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		if same, err := plain.Rewrite(nil, out, nil); err != nil || !bytes.Equal(same, out) {
			t.Fatalf("% x of %s was restored as % x, which is no record: %v", value, fields[i], out, err)
		}
		visits := 0
		if _, err := there[i].Rewrite(nil, out, visit(func(_ int, dst, again []byte) ([]byte, error) {
			visits++
			if !bytes.Equal(again, value) {
				t.Fatalf("% x of %s was restored as % x, which is wrapped as % x", value, fields[i], out, again)
			}
			return dst, nil
		})); err != nil || visits != 1 {
			t.Fatalf("% x of %s was restored as % x: %d visits, error %v", value, fields[i], out, visits, err)
		}
	})
}

// FuzzParse reads any text. Nothing panics, and what is accepted is within the
// bounds, compiles, and derives to what says the same.
func FuzzParse(f *testing.F) {
	f.Add(flatText)
	f.Add(wideText)
	f.Add(imports + `message P { Q q = 1 [(confluent.field_meta) = {tags: ["X"]}]; map<string, Q> m = 2; } message Q { option (fieldveil.v1.message).tags = "Y"; P p = 1; }`)
	f.Add(`edition = "2023"; message P { int32 i = 1 [features.field_presence = LEGACY_REQUIRED]; P p = 2 [features.message_encoding = DELIMITED]; }`)
	f.Add(`syntax = "proto2"; message P { optional bytes b = 1 [default = "\001"]; extensions 5 to max; oneof o { group G = 2 { optional int32 i = 1; } } } extend P { optional int32 x = 5; }`)
	f.Add(`syntax = "proto3"; import "google/protobuf/any.proto"; import "google/protobuf/struct.proto"; message P { google.protobuf.Any a = 1; google.protobuf.Struct s = 2; }`)
	raw, err := proto.Marshal(parse(f, wideText).file.types.protos["schema.proto"])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(base64.StdEncoding.EncodeToString(raw))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(schema.Text{Format: schema.Protobuf, Schema: text})
		if err != nil {
			if len(err.Error()) > 2*maxError {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		var wraps []schema.Edit
		for i := 0; i < len(s.Fields()); i++ {
			f := &s.Fields()[i]
			if f.End != 0 && (f.End <= i || f.End > len(s.Fields())) || len(f.Path) > maxPath || len(f.Tags) > maxFieldTags {
				t.Fatalf("field %d is %+v", i, f)
			}
			if f.Wrapped != "" && !f.Sealed {
				wraps = append(wraps, schema.Edit{Field: i, Op: schema.Wrap})
				if !f.Leaf() {
					i = f.End - 1
				}
			}
		}
		if _, derived := s.Origin(); derived {
			return
		}
		p, err := s.Compile(wraps, schema.RejectUnknown)
		if err != nil {
			t.Fatalf("%v does not compile: %v", wraps, err)
		}
		_, _ = p.Rewrite(nil, []byte(num(1, 1)+str(2, num(1, 1))), visit(identity))
		// Derive compares what it makes. It may refuse, and says why: not every
		// descriptor can be written as text.
		if _, _, err := s.Derive(wraps, schema.Origin{}); errors.Is(err, errDerived) {
			t.Fatalf("%v, of\n%s", err, text)
		}
	})
}
