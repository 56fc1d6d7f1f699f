package jsonschema

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// FuzzParse reads any text. What is taken has well-formed fields, whose programs
// compile, and a derived schema that reads as it was meant, if there is one.
func FuzzParse(f *testing.F) {
	for _, c := range conformanceCases() {
		f.Add(c.schema)
	}
	f.Add(`{"$id":"https://a.example/x","type":"object","properties":{"a":{"$ref":"#/definitions/a"}},"definitions":{"a":{"$id":"y","$ref":"#/definitions/b"}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		s, err := Parse(textOf(text))
		if err != nil {
			return
		}
		fields := s.Fields()
		open := []int{len(fields)}
		for i := range fields {
			f := &fields[i]
			for len(open) > 1 && open[len(open)-1] == i {
				open = open[:len(open)-1]
			}
			if f.Path == "" || f.Type == "" || f.Wrapped != schema.TypeString {
				t.Fatalf("field %d is %+v", i, f)
			}
			if f.End != 0 {
				if f.End <= i || f.End > open[len(open)-1] {
					t.Fatalf("field %d ends at %d, outside of what encloses it", i, f.End)
				}
				open = append(open, f.End)
			}
		}
		edits := wrapTagged(s)
		if s.derived {
			return
		}
		compile(t, s, edits)
		compile(t, s, editNumbers(s))
		for i := range fields {
			edit := []schema.Edit{{Field: i, Op: schema.Number}}
			if _, err := s.Compile(edit, schema.RejectUnknown); (err == nil) != fields[i].Numeric {
				t.Fatalf("field %+v: %v", fields[i], err)
			}
		}
		out, changed, err := s.Derive(edits, schema.Origin{})
		if err != nil || !changed {
			return
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%s: %v", out.Schema, err)
		}
		if _, err := again.Restore(edits, schema.RejectUnknown); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Compile(edits, schema.RejectUnknown); err == nil {
			t.Fatal("records of a derived schema can be protected")
		}
	})
}

// FuzzRewrite protects any record, and reads it back. Records that satisfy the
// schema satisfy the derived one afterwards.
func FuzzRewrite(f *testing.F) {
	type target struct {
		schema, derived *Schema
		there, back     schema.Program
		numbers         schema.Program
	}
	var targets []target
	for i, c := range conformanceCases() {
		s := parse(f, c.schema)
		edits := wrapTagged(s)
		there, back := compile(f, s, edits)
		t := target{schema: s, there: there, back: back}
		t.numbers, _ = compile(f, s, editNumbers(s))
		if text, _, err := s.Derive(edits, schema.Origin{}); err == nil {
			t.derived = parse(f, text.Schema)
		}
		targets = append(targets, t)
		for _, record := range c.records {
			original, _ := marked(record)
			f.Add(uint8(i), []byte(original))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, record []byte) {
		target := targets[int(n)%len(targets)]
		before := bytes.Clone(record)
		checkNumbers(t, target.numbers, record)
		out, err := target.there.Rewrite(nil, record, sealing)
		if !bytes.Equal(record, before) {
			t.Fatal("the record was written to")
		}
		valid := target.schema.Validate(record) == nil
		if err != nil {
			if _, ok := errors.AsType[*schema.MalformedError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		again, err := target.back.Rewrite(nil, out, opening)
		if err != nil || !bytes.Equal(again, record) {
			t.Fatalf("%q became %q and came back as %q: %v", record, out, again, err)
		}
		if valid && target.derived != nil && !depends(record) {
			if err := target.derived.Validate(out); err != nil {
				t.Fatalf("%q satisfies the schema, %q not the derived one: %v", record, out, err)
			}
		}
	})
}

// checkNumbers puts the numbers of a record in their own places, and then others.
func checkNumbers(t *testing.T, p schema.Program, record []byte) {
	t.Helper()
	same := visit(func(_ int, dst, value []byte) ([]byte, error) { return append(dst, value...), nil })
	out, err := p.Rewrite(nil, record, same)
	if errors.Is(err, schema.ErrNumber) {
		return // a fraction in the place of an integer
	}
	if _, ok := errors.AsType[*schema.MalformedError](err); err != nil && !ok {
		t.Fatal(err)
	}
	if err == nil && !bytes.Equal(out, record) {
		t.Fatalf("%q became %q", record, out)
	}
	visits := 0
	out, again := p.Rewrite(nil, record, visit(func(_ int, dst, value []byte) ([]byte, error) {
		visits++
		return append(dst, "987654321"...), nil
	}))
	if (again == nil) != (err == nil) {
		t.Fatalf("%q: %v, and with other numbers %v", record, err, again)
	}
	if err == nil && bytes.Count(out, []byte("987654321")) < visits {
		t.Fatalf("%d numbers of %q did not all get into %q", visits, record, out)
	}
}

// depends tells of records that are close to a bound of Validate.
func depends(record []byte) bool { return len(record) > 4096 }

// FuzzPattern compares a translated expression with what it may match at all.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{`^x_`, `[^\s\d]+$`, `\u0041\x42\/\-`, `(?:a|b)*`, `[\w.-]{2,3}`, `\p{L}.`, `a[b-d]\cA`, `[[:alpha:]]`} {
		f.Add(s, "x_A ")
	}
	f.Fuzz(func(t *testing.T, source, name string) {
		p, err := newPattern(source)
		if err != nil {
			return
		}
		if p.String() != source {
			t.Fatal("the pattern forgot how it was written")
		}
		if p.MatchString(name) && p.prefix != "" && !strings.HasPrefix(name, p.prefix) {
			t.Fatalf("%q matches %q without its prefix %q", source, name, p.prefix)
		}
	})
}
