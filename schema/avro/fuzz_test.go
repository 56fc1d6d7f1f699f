package avro

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

func fuzzSchemas() []string {
	return []string{
		richText, listText, treeText, mutualText,
		`["string","null","bytes",{"type":"map","values":["null","long"]}]`,
		`{"type":"array","items":{"type":"array","items":["null","string"]}}`,
		`{"type":"map","values":{"type":"map","values":"boolean"}}`,
		`{"type":"array","items":{"type":"record","name":"Z","fields":[{"name":"n","type":"null"},{"name":"f","type":{"type":"fixed","name":"F","size":0}}]}}`,
		`{"type":"array","items":"int"}`,
		`{"type":"record","name":"D","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B","C"]}},{"name":"d","type":"double"},{"name":"a","type":{"type":"array","items":"string"}},{"name":"u","type":["E","null"]}]}`,
		numbersText,
		`{"type":"array","items":["null","float",` + money + `]}`,
	}
}

// numbersText is a record of every type that is a number.
const numbersText = `{"type":"record","name":"N","fields":[
	{"name":"i","type":"int"},{"name":"l","type":"long"},{"name":"f","type":"float"},{"name":"d","type":"double"},
	{"name":"b","type":` + money + `},{"name":"x","type":` + tiny + `},{"name":"t","type":{"type":"int","logicalType":"date"}},
	{"name":"u","type":["null","long","string",` + units + `]},{"name":"a","type":{"type":"array","items":{"type":"map","values":"int"}}},
	{"name":"s","type":"string"},{"name":"n","type":["null","N"]}]}`

// numbers is a value of numbersText.
func numbers() string {
	one := zigzag(-5, 1<<40) + float32le(1.5) + float64le(-2.25) + "\x04\x04\xd2" + "\x9d" + zigzag(19_000) + "\x02" + zigzag(7) +
		zigzag(-1, 6, -1, 3) + "\x02k\x08" + "\x00" + "\x00" + "\x02s"
	return one + "\x02" + one + "\x00"
}

// stricter are the reasons for which a record is refused that the oracle takes.
func stricter(reason string) bool {
	switch reason {
	case "nested too deeply":
		return true // 64 levels here, 1000 there
	case reasonSize, reasonLength:
		return true // the oracle does not look at block sizes
	case reasonNoBytes:
		return true // it counts each array for itself, here all of a record count
	case "boolean is neither 0 nor 1":
		return true // it takes any other byte as true
	}
	return false
}

// FuzzProgram runs programs over any bytes. What is accepted comes back as it
// was, or with nothing changed but numbers that were longer than needed; what the
// oracle reads is accepted, but for the differences that stricter lists.
func FuzzProgram(f *testing.F) {
	type target struct {
		plain, same, null, numbers schema.Program
		oracle                     *avro.Schema
	}
	var targets []target
	for i, text := range fuzzSchemas() {
		s := parse(f, text)
		targets = append(targets, target{compile(f, s), compile(f, s, replaceAll(s)...), compile(f, s, nullifyAll(s)...), compile(f, s, numberAll(s)...), avro.MustParse(text)})
		f.Add(uint8(i), []byte{})
	}
	f.Add(uint8(0), rich())
	f.Add(uint8(1), list(64))
	f.Add(uint8(2), []byte("\x02x\x01\x0a\x02y\x00\x00\x00\x00\x00"))
	f.Add(uint8(4), []byte("\x06\x01\x08\x02k\x02\x02\x00"))
	f.Add(uint8(5), []byte("\x01\x0e\x01\x06\x02\x02x\x00\x00"))
	f.Add(uint8(7), []byte(zigzag(4096)+"\x00"))
	f.Add(uint8(10), []byte(numbers()))
	f.Add(uint8(11), []byte(zigzag(-3, 12)+"\x00\x02\x00\x00\xc0\xff\x04\x06\x00\x00\x01"+"\x00"))
	f.Fuzz(func(t *testing.T, n uint8, src []byte) {
		target := targets[int(n)%len(targets)]
		visits := 0
		count := func(_ int, dst, value []byte) ([]byte, error) {
			visits++
			return append(dst, value...), nil
		}
		before := bytes.Clone(src)
		out, err := target.plain.Rewrite(nil, src, nil)
		same, sameErr := target.same.Rewrite([]byte("dst"), src, visit(count))
		nulled, nullErr := target.null.Rewrite(nil, src, nil)
		if !bytes.Equal(src, before) {
			t.Fatal("the record was written to")
		}
		if visits > len(src) {
			t.Fatalf("%d visits for %d bytes", visits, len(src))
		}
		numbersSame(t, target.numbers, target.oracle, src, err)
		if sameErr != nil && strings.Contains(sameErr.Error(), reasonMinimal) || nullErr != nil && strings.Contains(nullErr.Error(), reasonMinimal) {
			return // written anew, it would not be the same
		}
		if (err == nil) != (sameErr == nil) || (err == nil) != (nullErr == nil) {
			t.Fatalf("edits decide what is accepted: %v, %v, %v", err, sameErr, nullErr)
		}
		var tree any
		rest, oracleErr := target.oracle.Decode(src, &tree)
		if err != nil {
			var bad *schema.MalformedError
			if !errors.As(err, &bad) || !errors.As(sameErr, &bad) || string(same) != "dst" || len(out) > 0 {
				t.Fatalf("refused with %v and %v, dst %q", err, sameErr, same)
			}
			if oracleErr == nil && len(rest) == 0 && !stricter(bad.Reason) {
				t.Fatalf("the oracle reads %v where we say %v", tree, bad)
			}
			return
		}
		if !bytes.Equal(out, src) {
			t.Fatalf("% x became % x", src, out)
		}
		// It reads int, and the indices of enums, in five bytes at most.
		if oracleErr != nil && !strings.Contains(oracleErr.Error(), "overflows 32 bits") {
			t.Fatalf("the oracle refuses % x: %v", src, oracleErr)
		}
		same = same[3:]
		again, err := target.same.Rewrite(nil, same, visit(identity))
		if err != nil || !bytes.Equal(again, same) || len(same) > len(src) {
			t.Fatalf("% x became % x and then % x with error %v", src, same, again, err)
		}
		if _, err := target.null.Rewrite(nil, nulled, nil); err != nil {
			t.Fatalf("with nulls % x became % x, which is %v", src, nulled, err)
		}
	})
}

// numbersSame has a program write every number as it is. What is accepted without
// edits is accepted then too, but for decimals beyond their precision and what
// takes more bytes than it needs; and another reader finds the same values.
func numbersSame(t *testing.T, p schema.Program, oracle *avro.Schema, src []byte, plainErr error) {
	t.Helper()
	out, err := p.Rewrite(nil, src, visit(identity))
	if err != nil {
		bad, ok := errors.AsType[*schema.MalformedError](err)
		if !ok || plainErr == nil && bad.Reason != reasonMinimal && bad.Reason != reasonPrecision {
			t.Fatalf("numbers of % x: %v, where without edits it is %v", src, err, plainErr)
		}
		return
	}
	if plainErr != nil || len(out) > len(src) {
		t.Fatalf("% x became % x, where without edits it is %v", src, out, plainErr)
	}
	if again, err := p.Rewrite(nil, out, visit(identity)); err != nil || !bytes.Equal(again, out) {
		t.Fatalf("% x became % x and then % x with error %v", src, out, again, err)
	}
	var before, after any
	if _, err := oracle.Decode(src, &before); err != nil {
		return // int in more than five bytes
	}
	// What is no number is not equal to itself, but has the same text.
	if _, err := oracle.Decode(out, &after); err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Fatalf("% x became % x, which the oracle reads as %v with error %v, want %v", src, out, after, err, before)
	}
}

// FuzzParse reads any text. Nothing panics, and what is accepted is within the
// bounds and compiles.
func FuzzParse(f *testing.F) {
	for _, text := range fuzzSchemas() {
		f.Add(text, "")
	}
	f.Add(`{"type":"record","name":"C","fields":[{"name":"x","type":{"type":"A","confluent:tags":["X"]}},{"name":"y","type":"A"}]}`, `{"type":"record","name":"A","confluent:tags":["A"],"fields":[{"name":"s","type":"string","logicalType":"uuid","aliases":["t"]}]}`)
	f.Add(`{"type":"record","name":"a.R","fields":[{"name":"x","type":"array","items":"string","confluent:tags":["T"]},{"name":"y","type":{"type":".R"}}]}`, `{"type":"fixed","name":"R","size":0}`)
	f.Fuzz(func(t *testing.T, text, reference string) {
		in := schema.Text{Format: schema.Avro, Schema: text}
		if reference != "" {
			in.References = []string{reference}
		}
		s, err := Parse(in)
		if err != nil {
			if s != nil || !strings.HasPrefix(err.Error(), "avro: ") {
				t.Fatalf("error is %q", err)
			}
			return
		}
		if s.Name() == "" || s.Name() == kindReference && !strings.Contains(text+reference, kindReference) {
			t.Fatalf("name is %q", s.Name())
		}
		for _, f := range s.Fields() {
			if !strings.HasPrefix(f.Path, "/") || len(f.Path) > maxPath || len(f.Former) > maxFormer || !utf8.ValidString(f.Path) {
				t.Fatalf("field %+v", f)
			}
		}
		for _, edits := range [][]schema.Edit{nil, replaceAll(s), nullifyAll(s)} {
			p, err := s.Compile(ofLeaves(s, edits), schema.RejectUnknown)
			if fit, ok := errors.AsType[*FitError](err); ok && s.derived && fit.Reason == reasonProtected {
				continue
			}
			if err != nil {
				t.Fatalf("%v does not compile: %v", edits, err)
			}
			// Whatever the schema, a few bytes do not take long.
			_, _ = p.Rewrite(nil, []byte{2, 2, 2, 2, 0, 0, 0, 0}, visit(identity))
		}
	})
}

// FuzzDerived reads any text as a schema. What can be wrapped in it gives a
// derived schema that reads back; what says that it is derived restores, or
// refuses, whatever its records hold.
func FuzzDerived(f *testing.F) {
	for _, text := range fuzzSchemas() {
		f.Add(text, uint64(5), []byte{2, 2, 0})
		s := parse(f, text)
		for _, containers := range []bool{false, true} {
			if edits := wrapEach(s, containers); slices.ContainsFunc(edits, func(e schema.Edit) bool { return e.Op == schema.Wrap }) {
				f.Add(derive(f, s, edits).Schema, uint64(0), []byte{2, 2, 0})
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string, choice uint64, src []byte) {
		s, err := Parse(schema.Text{Format: schema.Avro, Schema: text})
		if err != nil {
			return
		}
		var edits []schema.Edit
		_, derived := s.Origin()
		end := 0
		for i, fd := range s.Fields() {
			if i >= end && (fd.Sealed || !derived && fd.Wrapped != "" && choice>>(i%64)&1 == 1) {
				edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
				end = fd.End
			}
		}
		back, err := s.Restore(edits, schema.RejectUnknown)
		if err != nil {
			if _, ok := errors.AsType[*FitError](err); derived || !ok {
				t.Fatalf("Restore: %v", err)
			}
			return
		}
		_, _ = back.Rewrite(nil, src, visit(identity))
		if derived {
			if _, err := s.Compile(edits, schema.RejectUnknown); err == nil {
				t.Fatal("records can be protected twice")
			}
			p, err := s.Compile(nil, schema.RejectUnknown)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = p.Rewrite(nil, src, visit(identity))
			return
		}
		out, changed, err := s.Derive(edits, schema.Origin{ID: 1})
		if err != nil || changed != (len(edits) > 0) {
			t.Fatalf("Derive of %v: %v, %v", edits, changed, err)
		}
		d := parse(t, out.Schema)
		viaDerived := restore(t, d, edits...)
		p, err := s.Compile(edits, schema.RejectUnknown)
		if err != nil {
			t.Fatal(err)
		}
		protected, err := p.Rewrite(nil, src, visit(sealed))
		if err != nil {
			return
		}
		for _, way := range []schema.Program{back, viaDerived} {
			if got, err := way.Rewrite(nil, protected, visit(opened)); err != nil || !bytes.Equal(got, src) {
				t.Fatalf("% x became % x and then % x, %v", src, protected, got, err)
			}
		}
		if again, err := avro.Parse(out.Schema); err != nil {
			t.Fatalf("the oracle refuses it: %v", err)
		} else {
			var tree any
			if rest, err := again.Decode(protected, &tree); (err != nil || len(rest) > 0) && !strings.Contains(err.Error(), "overflows 32 bits") {
				t.Fatalf("the oracle does not read % x: %v", protected, err)
			}
		}
	})
}
