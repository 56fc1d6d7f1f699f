package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// fuzzTarget is a schema with what the oracle needs to know of it.
type fuzzTarget struct {
	s    *Schema
	root spot
}

func fuzzTargets(t testing.TB) (out []fuzzTarget) {
	t.Helper()
	for _, list := range []string{"/a /b/[] /**/ssn", "/* /[]", "/x/**", "/a/*/ssn /**/a"} {
		paths := strings.Fields(list)
		at := pathSpot{}
		for _, p := range paths {
			at.patterns = append(at.patterns, strings.Split(p[1:], "/"))
		}
		out = append(out, fuzzTarget{forPaths(t, paths...), at})
	}
	leaf := &Shape{Field: 0, Omit: true}
	inner := &Shape{Field: NoField, Members: map[string]*Shape{"ssn": {Field: 1, Integral: true}, "b": leaf, "a name of more than eight": leaf}}
	inner.Members["in"] = inner
	root := &Shape{
		Field: NoField, Members: map[string]*Shape{"a": leaf, "ssn": {Field: 1}, "in": inner, "b": {Field: 2, Members: map[string]*Shape{"a": leaf}}},
		Match: func(name []byte) (*Shape, bool) { return inner, bytes.HasPrefix(name, []byte("x")) }, Prefix: []*Shape{leaf}, Items: inner,
	}
	fields := []schema.Field{field("/a"), field("/ssn"), field("/b")}
	out = append(out, fuzzTarget{newSchema(t, root, fields...), shapeSpot{root}})
	open := &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"a": leaf, "ssn": {Field: 1}, "x": {Field: 2}}}
	return append(out, fuzzTarget{newSchema(t, open, fields...), shapeSpot{open}})
}

func seedDocuments() []string {
	return []string{
		``, `{}`, `[]`, `null`, `"x"`, `-0.5e+7`, order,
		`{"a":"\u0041","b":[1,"two",null,{"ssn":3}],"in":{"in":{"ssn":"x","b":{}}},"xy":{"ssn":[1]}}`,
		"{ \"a\" : 1 ,\r\n\"ssn\" : {\"a\":1} , \"x\" : [ true , false ] }",
		`{"a":1,"\u0061":2}`, `{"SSN":1}`, `{"\u017fsn":1}`, "{\"\u017fsn\":1}", `{"in":{"a name of more than eight":"é","b":1}}`,
		`["\ud83d\ude00","\ud800"]`, "\ufeff{}", "[\"\xff\"]", `[01]`, `{"a":1}{}`, strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"{" + manyNames(20) + `,"n3":0}`, `{"a":"k","b":["x","{\"ssn\":1}","1 2"],"ssn":"\u0031"}`,
	}
}

// FuzzRewrite compares programs that protect with the oracle, over any bytes.
func FuzzRewrite(f *testing.F) {
	targets := fuzzTargets(f)
	for i, doc := range seedDocuments() {
		for op := range uint8(18) {
			f.Add(uint8(i), op, []byte(doc))
		}
	}
	f.Fuzz(func(t *testing.T, which, mode uint8, doc []byte) {
		target := targets[int(which)%len(targets)]
		unknown := schema.Unknown(mode / 3 % 2)
		edits := all(target.s, schema.Replace+schema.Op(mode%3))
		for i := range edits {
			if mode >= 6 && (mode < 12 || i%2 == 0) {
				edits[i].Op = schema.Number
			}
		}
		answer := answers(edits)
		p, err := target.s.Compile(edits, unknown)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(doc)
		got, err := p.Rewrite([]byte("dst"), doc, answer)
		if !bytes.Equal(doc, before) {
			t.Fatal("the document was written to")
		}
		if _, ok := errors.AsType[*schema.MalformedError](err); err != nil && (ok == errors.Is(err, schema.ErrNumber) || len(got) != 3) {
			t.Fatalf("refused with %v and dst %q", err, got)
		}
		want, wantErr := newOracle(edits, unknown, false, answer).rewrite(doc, target.root)
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got[3:], want) {
			t.Fatalf("of %q\ngot  %q, %v\nwant %q, %v", doc, got, err, want, wantErr)
		}
		if err != nil {
			return
		}
		if _, ok := treeOf(got[3:]); !ok || !json.Valid(got[3:]) {
			t.Fatalf("%q became %q, which is refused", doc, got[3:])
		}
		// A second time, when the order of names has been learned.
		again, err := p.Rewrite(nil, doc, answer)
		if err != nil || !bytes.Equal(again, got[3:]) {
			t.Fatalf("of %q at first %q, then %q, %v", doc, got[3:], again, err)
		}
	})
}

// FuzzRestore compares programs of the way back with the oracle. The visitor keeps
// what begins with a k, and restores the content of other strings as it is.
func FuzzRestore(f *testing.F) {
	targets := fuzzTargets(f)
	for i, doc := range seedDocuments() {
		for mode := range uint8(8) {
			f.Add(uint8(i), mode, []byte(doc))
		}
	}
	f.Fuzz(func(t *testing.T, which, mode uint8, doc []byte) {
		target := targets[int(which)%len(targets)]
		unknown := schema.Unknown(mode / 2 % 2)
		op := schema.Wrap
		if mode%2 == 1 {
			op = schema.Replace
		}
		if mode/4%2 == 1 {
			op = schema.Number
		}
		edits := all(target.s, op)
		p, err := target.s.Restore(edits, unknown)
		if err != nil {
			t.Fatal(err)
		}
		answer := func(_ int, dst, value []byte) ([]byte, error) {
			if bytes.HasPrefix(value, []byte("k")) || bytes.HasPrefix(value, []byte("7")) {
				return nil, schema.ErrKeep
			}
			return append(dst, value...), nil
		}
		got, err := p.Rewrite(nil, doc, visit(answer))
		want, wantErr := newOracle(edits, unknown, true, answer).rewrite(doc, target.root)
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("of %q\ngot  %q, %v\nwant %q, %v", doc, got, err, want, wantErr)
		}
		if _, ok := errors.AsType[*schema.MalformedError](err); err != nil && !ok {
			t.Fatalf("refused with %v", err)
		}
		if op == schema.Number && err == nil && !bytes.Equal(got, doc) {
			t.Fatalf("%q became %q, with every number in its own place", doc, got)
		}
		// There and back gives the same bytes.
		if op != schema.Wrap {
			return
		}
		there, err := target.s.Compile(edits, unknown)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := there.Rewrite(nil, doc, visit(seal)); err == nil {
			if back, err := p.Rewrite(nil, out, visit(unseal)); err != nil || !bytes.Equal(back, doc) {
				t.Fatalf("%q became %q and came back as %q, %v", doc, out, back, err)
			}
		}
	})
}

// FuzzNumber puts any text in the place of any other one, and compares what becomes
// of a document with what encoding/json and exact arithmetic say of both.
func FuzzNumber(f *testing.F) {
	for _, n := range numberTexts() {
		f.Add([]byte("7"), []byte(n), true)
		f.Add([]byte(n), []byte("-0.5"), false)
	}
	typed := newSchema(f, &Shape{Field: 0}, schema.Field{Path: "/", Type: schema.TypeInteger, Numeric: true})
	open := newSchema(f, &Shape{Field: 0}, schema.Field{Path: "/", Type: schema.TypeNumber, Numeric: true})
	programs := map[bool]schema.Program{true: compile(f, typed, all(typed, schema.Number)...), false: compile(f, open, all(open, schema.Number)...)}
	f.Fuzz(func(t *testing.T, value, answer []byte, integral bool) {
		text := bytes.Trim(value, " \t\r\n")
		_, isNumber := numberOf(text)
		visits := 0
		out, err := programs[integral].Rewrite([]byte("dst"), value, visit(func(_ int, dst, got []byte) ([]byte, error) {
			// What stands behind a value is not known when it is handed over.
			visits++
			if isNumber && !bytes.Equal(got, text) || !bytes.HasPrefix(text, got) {
				t.Fatalf("visited %q of %q", got, value)
			}
			return append(dst, answer...), nil
		}))
		switch {
		case string(text) == "null":
			if visits > 0 || err != nil || string(out) != "dst"+string(value) {
				t.Fatalf("null: %q, %v", out, err)
			}
		case !isNumber:
			_, ok := errors.AsType[*schema.MalformedError](err)
			if !ok && (visits == 0 || !errors.Is(err, schema.ErrNumber)) || string(out) != "dst" {
				t.Fatalf("%q is no number: %q, %v", value, out, err)
			}
		case mayStandFor(answer, text, integral):
			if want := "dst" + string(bytes.Replace(value, text, answer, 1)); err != nil || visits != 1 || string(out) != want {
				t.Fatalf("%q for %q: %q, %v, want %q", answer, value, out, err, want)
			}
		default:
			if !errors.Is(err, schema.ErrNumber) || visits != 1 || string(out) != "dst" {
				t.Fatalf("%q for %q: %q, %v", answer, value, out, err)
			}
		}
	})
}

// FuzzForPaths makes schemas of any patterns and compares what they match with
// their definition.
func FuzzForPaths(f *testing.F) {
	for _, p := range []string{"/a", "/a/b\n/a", "/**/x\n/a/*", "/a/[]/{}\n/**", "/~0~1~2~3~4~5~6", "/***", "//", "", "/a*", "/**/a/*/*\n/**/b/*", "/**/[]/**/x"} {
		f.Add(p, []byte(`{"a":{"b":1,"x":[{"x":2}]},"x":{"a":{"y":[1,[2]]},"b":3},"~/*[]{}":4}`))
	}
	f.Fuzz(func(t *testing.T, list string, doc []byte) {
		if len(list) > 60 || len(doc) > 300 {
			return
		}
		paths := strings.Split(list, "\n")
		s, err := ForPaths("n", paths)
		if err != nil {
			if s != nil || !strings.HasPrefix(err.Error(), "jsondoc: ") {
				t.Fatalf("%v, %v", s, err)
			}
			return
		}
		at := pathSpot{}
		for _, p := range paths {
			at.patterns = append(at.patterns, strings.Split(p[1:], "/"))
		}
		var edits []schema.Edit
		for _, e := range all(s, schema.Wrap) {
			if _, err := s.Compile([]schema.Edit{e}, schema.RejectUnknown); err == nil {
				edits = append(edits, e)
			}
		}
		p, err := s.Compile(edits, schema.RejectUnknown)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Rewrite(nil, doc, visit(numbered))
		if bad, ok := errors.AsType[*schema.MalformedError](err); ok && bad.Reason == reasonCase {
			return // which the oracle of names does not tell for every depth
		}
		want, wantErr := newOracle(edits, schema.RejectUnknown, false, numbered).rewrite(doc, lenient{at})
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q of %q\ngot  %q, %v\nwant %q, %v", paths, doc, got, err, want, wantErr)
		}
	})
}

// lenient is a pathSpot that refuses no names.
type lenient struct{ pathSpot }

func (s lenient) member(name string) spot      { return lenient{s.inner("n" + name)} }
func (s lenient) item(int) spot                { return lenient{s.inner("i")} }
func (lenient) protected(*oracle, string) bool { return false }
