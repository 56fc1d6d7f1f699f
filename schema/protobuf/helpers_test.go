package protobuf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/schema"
)

// visit is a Visitor made of one function.
type visit func(edit int, dst, value []byte) ([]byte, error)

func (f visit) Visit(edit int, dst, value []byte) ([]byte, error) { return f(edit, dst, value) }

// identity writes every value as it is.
func identity(_ int, dst, value []byte) ([]byte, error) { return append(dst, value...), nil }

// sealing writes every value behind a mark with the number of the edit; opening
// takes it away again.
func sealing(edit int, dst, value []byte) ([]byte, error) {
	return append(fmt.Appendf(dst, "sealed-%d:", edit), value...), nil
}

func opening(edit int, dst, value []byte) ([]byte, error) {
	rest, ok := strings.CutPrefix(string(value), fmt.Sprintf("sealed-%d:", edit))
	if !ok {
		return dst, fmt.Errorf("edit %d is not sealed", edit)
	}
	return append(dst, rest...), nil
}

func parseText(t testing.TB, text schema.Text) *Schema {
	t.Helper()
	text.Format = schema.Protobuf
	s, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return s
}

func parse(t testing.TB, text string) *Schema {
	t.Helper()
	return parseText(t, schema.Text{Schema: text})
}

// fieldAt is the index of the field with that path.
func fieldAt(t testing.TB, s *Schema, path string) int {
	t.Helper()
	for i, f := range s.Fields() {
		if f.Path == path {
			return i
		}
	}
	t.Fatalf("there is no field %s", path)
	return 0
}

// on makes edits of "replace /name wrap /age".
func on(t testing.TB, s *Schema, spec string) (edits []schema.Edit) {
	t.Helper()
	words := strings.Fields(spec)
	for i := 0; i+1 < len(words); i += 2 {
		op := map[string]schema.Op{"replace": schema.Replace, "nullify": schema.Nullify, "wrap": schema.Wrap, "number": schema.Number}[words[i]]
		edits = append(edits, schema.Edit{Field: fieldAt(t, s, words[i+1]), Op: op})
	}
	return edits
}

func compile(t testing.TB, s *Schema, spec string, unknown ...schema.Unknown) schema.Program {
	t.Helper()
	p, err := s.Compile(on(t, s, spec), append(unknown, schema.RejectUnknown)[0])
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return p
}

func restore(t testing.TB, s *Schema, spec string, unknown ...schema.Unknown) schema.Program {
	t.Helper()
	p, err := s.Restore(on(t, s, spec), append(unknown, schema.RejectUnknown)[0])
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	return p
}

func rewrite(t testing.TB, p schema.Program, src []byte, v visit) []byte {
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

// The pieces of a record, as text.

func tag(n protowire.Number, t protowire.Type) string { return string(protowire.AppendTag(nil, n, t)) }

func varint(v uint64) string { return string(protowire.AppendVarint(nil, v)) }

// num is a field with a number, str one with a length, grp a group.
func num(n protowire.Number, v uint64) string { return tag(n, protowire.VarintType) + varint(v) }

func str(n protowire.Number, content ...string) string {
	return tag(n, protowire.BytesType) + string(protowire.AppendString(nil, strings.Join(content, "")))
}

func grp(n protowire.Number, content ...string) string {
	return tag(n, protowire.StartGroupType) + strings.Join(content, "") + tag(n, protowire.EndGroupType)
}

func f32(n protowire.Number, v uint32) string {
	return tag(n, protowire.Fixed32Type) + string(protowire.AppendFixed32(nil, v))
}

func f64(n protowire.Number, v uint64) string {
	return tag(n, protowire.Fixed64Type) + string(protowire.AppendFixed64(nil, v))
}

// wantMalformed runs p over src and wants the reason, and dst at its length.
func wantMalformed(t testing.TB, p schema.Program, src, reason string, v visit) {
	t.Helper()
	dst := append(make([]byte, 0, 64), "before"...)
	out, err := p.Rewrite(dst, []byte(src), v)
	bad, ok := errors.AsType[*schema.MalformedError](err)
	if !ok {
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
