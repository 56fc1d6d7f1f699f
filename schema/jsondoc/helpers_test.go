package jsondoc

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// visit is a Visitor made of one function.
type visit func(edit int, dst, value []byte) ([]byte, error)

func (f visit) Visit(edit int, dst, value []byte) ([]byte, error) { return f(edit, dst, value) }

// identity writes every value as it is.
func identity(_ int, dst, value []byte) ([]byte, error) { return append(dst, value...), nil }

// numbered writes the number of the edit before every value.
func numbered(edit int, dst, value []byte) ([]byte, error) {
	return append(fmt.Appendf(dst, "%d:", edit), value...), nil
}

// field is one that every edit fits.
func field(path string) schema.Field {
	return schema.Field{Path: path, Type: schema.TypeJSON, Nullable: true, Wrapped: schema.TypeString, Encoding: "json", Numeric: true}
}

func newSchema(t testing.TB, root *Shape, fields ...schema.Field) *Schema {
	t.Helper()
	s, err := New("test", schema.JSONSchema, fields, root)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s
}

func forPaths(t testing.TB, paths ...string) *Schema {
	t.Helper()
	s, err := ForPaths("test", paths)
	if err != nil {
		t.Fatalf("ForPaths: %v", err)
	}
	return s
}

// all edits every field by op.
func all(s *Schema, op schema.Op) (edits []schema.Edit) {
	for i := range s.Fields() {
		edits = append(edits, schema.Edit{Field: i, Op: op})
	}
	return edits
}

func compile(t testing.TB, s *Schema, edits ...schema.Edit) schema.Program {
	t.Helper()
	p, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return p
}

func restore(t testing.TB, s *Schema, edits ...schema.Edit) schema.Program {
	t.Helper()
	p, err := s.Restore(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	return p
}

func rewrite(t testing.TB, p schema.Program, src string, v visit) string {
	t.Helper()
	out, err := p.Rewrite([]byte("before"), []byte(src), v)
	if err != nil {
		t.Fatalf("Rewrite of %.200q: %v", src, err)
	}
	if string(out[:6]) != "before" {
		t.Fatalf("Rewrite did not append, it returned %q", out)
	}
	return string(out[6:])
}

// wantMalformed runs p over src and wants the reason, and dst at its length.
func wantMalformed(t testing.TB, p schema.Program, src, reason string, v visit) {
	t.Helper()
	dst := append(make([]byte, 0, 64), "before"...)
	out, err := p.Rewrite(dst, []byte(src), v)
	bad, ok := errors.AsType[*schema.MalformedError](err)
	if !ok {
		t.Fatalf("error of %.200q is %v, want a MalformedError", src, err)
	}
	if reason != "" && bad.Reason != reason {
		t.Errorf("reason of %.200q is %q, want %q", src, bad.Reason, reason)
	}
	if bad.Offset < 0 || bad.Offset > len(src) {
		t.Errorf("offset %d lies outside the record of %d bytes", bad.Offset, len(src))
	}
	if len(out) != len("before") {
		t.Errorf("on an error dst is %q, want it at its length", out)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
