package avro

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// visit is a Visitor made of one function.
type visit func(edit int, dst, value []byte) ([]byte, error)

func (f visit) Visit(edit int, dst, value []byte) ([]byte, error) { return f(edit, dst, value) }

// identity writes every value as it is.
func identity(_ int, dst, value []byte) ([]byte, error) { return append(dst, value...), nil }

// negated writes every number with the other sign, but for those that have no
// other.
func negated(_ int, dst, value []byte) ([]byte, error) {
	switch text := string(value); {
	case text == wordNaN || text == strconv.Itoa(math.MinInt32) || text == strconv.Itoa(math.MinInt64):
		return append(dst, value...), nil
	case text[0] == '-':
		return append(dst, value[1:]...), nil
	}
	return append(append(dst, '-'), value...), nil
}

// numbersBy shows numbers to one visitor and other values to another.
func numbersBy(edits []schema.Edit, numbers, others visit) visit {
	return func(edit int, dst, value []byte) ([]byte, error) {
		if edits[edit].Op == schema.Number {
			return numbers(edit, dst, value)
		}
		return others(edit, dst, value)
	}
}

// numbered writes the number of the edit before every value.
func numbered(edit int, dst, value []byte) ([]byte, error) {
	return append(fmt.Appendf(dst, "%d:", edit), value...), nil
}

func parse(t testing.TB, text string, references ...string) *Schema {
	t.Helper()
	s, err := Parse(schema.Text{Format: schema.Avro, Schema: text, References: references})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return s
}

func compile(t testing.TB, s *Schema, edits ...schema.Edit) schema.Program {
	t.Helper()
	p, err := s.Compile(ofLeaves(s, edits), schema.RejectUnknown)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return p
}

// leaves returns the fields that hold no others.
func leaves(s *Schema) (out []schema.Field) {
	for _, f := range s.Fields() {
		if f.Leaf() {
			out = append(out, f)
		}
	}
	return out
}

// ofLeaves returns edits that count the leaves as edits that count all fields.
func ofLeaves(s *Schema, edits []schema.Edit) (out []schema.Edit) {
	var at []int
	for i, f := range s.Fields() {
		if f.Leaf() {
			at = append(at, i)
		}
	}
	for _, e := range edits {
		if e.Field >= 0 && e.Field < len(at) {
			e.Field = at[e.Field]
		}
		out = append(out, e)
	}
	return out
}

// replaceAll replaces every leaf that can be.
func replaceAll(s *Schema) (edits []schema.Edit) {
	for i, f := range leaves(s) {
		if f.Type == schema.TypeString || f.Type == schema.TypeBytes {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Replace})
		}
	}
	return edits
}

// numberAll replaces every leaf that can be, and edits all others that are
// numbers.
func numberAll(s *Schema) (edits []schema.Edit) {
	for i, f := range leaves(s) {
		switch {
		case f.Numeric:
			edits = append(edits, schema.Edit{Field: i, Op: schema.Number})
		case f.Type == schema.TypeString || f.Type == schema.TypeBytes:
			edits = append(edits, schema.Edit{Field: i, Op: schema.Replace})
		}
	}
	return edits
}

// nullifyAll nullifies every leaf that can be.
func nullifyAll(s *Schema) (edits []schema.Edit) {
	for i, f := range leaves(s) {
		if f.Nullable {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Nullify})
		}
	}
	return edits
}

// wantMalformed runs p over src and wants the reason, and dst at its length.
func wantMalformed(t *testing.T, p schema.Program, src []byte, reason string, v visit) {
	t.Helper()
	dst := append(make([]byte, 0, 64), "before"...)
	out, err := p.Rewrite(dst, src, v)
	var bad *schema.MalformedError
	if !errors.As(err, &bad) {
		t.Fatalf("error of % x is %v, want a MalformedError", src, err)
	}
	if reason != "" && bad.Reason != reason {
		t.Errorf("reason of % x is %q, want %q", src, bad.Reason, reason)
	}
	if bad.Offset < 0 || bad.Offset > len(src) {
		t.Errorf("offset %d lies outside the record of %d bytes", bad.Offset, len(src))
	}
	if string(out) != "before" {
		t.Errorf("on an error dst is %q, want it as it was", out)
	}
}

func rewrite(t *testing.T, p schema.Program, src []byte, v visit) []byte {
	t.Helper()
	out, err := p.Rewrite([]byte("before"), src, v)
	if err != nil {
		t.Fatalf("Rewrite of % x: %v", src, err)
	}
	if string(out[:6]) != "before" {
		t.Fatalf("Rewrite did not append, it returned %q", out)
	}
	return out[6:]
}

func itoa(n int) string { return strconv.Itoa(n) }

// as is v of a type that it has.
func as[T any](v any) T {
	t, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("%T is not what was expected", v))
	}
	return t
}
