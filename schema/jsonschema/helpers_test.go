package jsonschema

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

const (
	draft7    = `"$schema":"http://json-schema.org/draft-07/schema#"`
	draft2020 = `"$schema":"https://json-schema.org/draft/2020-12/schema"`
)

func textOf(s string, rules ...schema.TagRule) schema.Text {
	return schema.Text{Format: schema.JSONSchema, Schema: s, Tags: rules}
}

func parse(tb testing.TB, s string, rules ...schema.TagRule) *Schema {
	tb.Helper()
	out, err := Parse(textOf(s, rules...))
	if err != nil {
		tb.Fatalf("Parse(%s): %v", s, err)
	}
	return out
}

type visit func(edit int, dst, value []byte) ([]byte, error)

func (f visit) Visit(edit int, dst, value []byte) ([]byte, error) { return f(edit, dst, value) }

const envelope = "fv1:"

// seal writes what a protected value looks like.
func seal(value string) string {
	return envelope + base64.RawURLEncoding.EncodeToString([]byte(value))
}

var errNotSealed = errors.New("not sealed")

var (
	sealing = visit(func(_ int, dst, value []byte) ([]byte, error) { return append(dst, seal(string(value))...), nil })
	opening = visit(func(_ int, dst, value []byte) ([]byte, error) {
		text, ok := strings.CutPrefix(string(value), envelope)
		if !ok {
			return nil, errNotSealed
		}
		plain, err := base64.RawURLEncoding.DecodeString(text)
		return append(dst, plain...), err
	})
)

// wrapTagged wraps every leaf that has a tag.
func wrapTagged(s *Schema) []schema.Edit {
	var edits []schema.Edit
	fields := s.Fields()
	for i := range fields {
		if fields[i].Leaf() && len(fields[i].Tags) > 0 {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
		}
	}
	return edits
}

// editNumbers edits every field that is Numeric.
func editNumbers(s *Schema) []schema.Edit {
	var edits []schema.Edit
	fields := s.Fields()
	for i := range fields {
		if fields[i].Numeric {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Number})
		}
	}
	return edits
}

func compile(tb testing.TB, s *Schema, edits []schema.Edit) (there, back schema.Program) {
	tb.Helper()
	there, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		tb.Fatalf("Compile: %v", err)
	}
	back, err = s.Restore(edits, schema.RejectUnknown)
	if err != nil {
		tb.Fatalf("Restore: %v", err)
	}
	return there, back
}

func rewrite(tb testing.TB, p schema.Program, record string, v schema.Visitor) string {
	tb.Helper()
	out, err := p.Rewrite(nil, []byte(record), v)
	if err != nil {
		tb.Fatalf("Rewrite(%s): %v", record, err)
	}
	return string(out)
}

// marked reads a record in which what is to be protected stands between « and ».
func marked(record string) (original, protected string) {
	var plain, sealed strings.Builder
	for part := range strings.SplitSeq(record, "«") {
		value, rest, found := strings.Cut(part, "»")
		if !found {
			plain.WriteString(part)
			sealed.WriteString(part)
			continue
		}
		plain.WriteString(value + rest)
		sealed.WriteString(strconv.Quote(seal(value)) + rest)
	}
	return plain.String(), sealed.String()
}

func describe(s *Schema) string {
	var b strings.Builder
	fields := s.Fields()
	for i := range fields {
		f := &fields[i]
		b.WriteString(f.Path + " " + string(f.Type))
		if f.Logical != "" {
			b.WriteString("(" + f.Logical + ")")
		}
		if f.Nullable {
			b.WriteString("?")
		}
		if f.Sealed {
			b.WriteString("!")
		}
		if len(f.Tags) > 0 {
			b.WriteString(" " + strings.Join(f.Tags, ","))
		}
		b.WriteString("\n")
	}
	return b.String()
}
