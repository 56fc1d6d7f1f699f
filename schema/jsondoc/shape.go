// Package jsondoc rewrites chosen values inside JSON documents, byte by byte,
// without decoding them.
//
// A [Shape] says which field of a schema stands where in a document. [New] joins
// shapes and fields to a [Schema]; [ForPaths] makes one of path patterns, for
// documents that have no schema. The programs of both promise:
//
//   - Every byte that no edit covers comes out as it went in: numbers keep their
//     lexemes, strings their escapes, and white space stays.
//   - A document is one that any reader of JSON reads in the same way, or it is
//     refused: no member twice, whatever its escapes, no invalid UTF-8, no lone
//     surrogates, no numbers or literals beyond RFC 8259, nothing before or
//     behind it, at most 64 levels of nesting. No member may have a name that
//     differs only in case from one that is protected, because some readers
//     would take it for that one.
//   - Work and memory are bounded by the size of the document.
//
// A program notes names of members that it meets, to find them faster the next
// time: about a thousand at most, of up to 64 bytes, and only out of objects of
// which its schema names some members. It never notes values.
//
// What it does not promise is that a document satisfies its schema: types,
// ranges and required members are for validators.
package jsondoc

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/schema"
)

// NoField is the [Shape.Field] of a value that is no field.
const NoField = -1

// A Shape tells what a value at one place of a document may hold. Shapes may form
// cycles; they must not change once given to [New]. Beware of the zero value: it
// is that of field 0.
//
// The value itself may be of any type. A value of a field without Members, Match,
// Prefix and Items is described with whatever it holds.
type Shape struct {
	// Field is an index into the fields of the value here, or NoField.
	Field int
	// Members are the members of an object, by decoded name.
	Members map[string]*Shape
	// Match gives the shape of members whose name is not in Members, one of a
	// fixed set of shapes; false means that nothing describes the member. Nil:
	// none are described. It must be pure and safe for concurrent use, and must
	// not keep or change name, which is decoded.
	Match func(name []byte) (*Shape, bool)
	// Prefix are the shapes of the first items of an array.
	Prefix []*Shape
	// Items is the shape of the further items; nil: they are not described.
	Items *Shape
	// Omit makes Nullify leave a member out of its object, where else it writes
	// null.
	Omit bool
	// Any says that whatever is inside is described, without fields but for
	// those that Members, Match, Prefix and Items tell of.
	Any bool
	// Kinds are the kinds of values that may stand here without an edit of their
	// own, when there are edits inside: of another kind, a value would pass by
	// them. Zero stands for all, and null may always stand here.
	Kinds Kinds
	// Integral says that a number which stands here after an edit by
	// schema.Number has no fraction. One of a field of schema.TypeInteger has none
	// anyway.
	Integral bool

	// rest is the shape of members whose name is not in Members.
	rest *Shape
}

// Kinds is a set of the kinds of JSON values.
type Kinds uint8

// The kinds of JSON values.
const (
	KindObject Kinds = 1 << iota
	KindArray
	KindString
	KindNumber
	KindBoolean
	KindNull
)

// kindAt returns the kind of the value that begins with c. It is KindNull where
// none does, which is found when the value is read.
func kindAt(c byte) Kinds {
	switch c {
	case '{':
		return KindObject
	case '[':
		return KindArray
	case '"':
		return KindString
	case 't', 'f':
		return KindBoolean
	}
	if c == '-' || digit(c) {
		return KindNumber
	}
	return KindNull
}

// leaf tells whether s says nothing of what is inside.
func (s *Shape) leaf() bool {
	return len(s.Members) == 0 && s.Match == nil && len(s.Prefix) == 0 && s.Items == nil && s.rest == nil
}

// Schema is a [schema.Schema] of JSON documents. It is immutable and safe for
// concurrent use.
type Schema struct {
	name   string
	format schema.Format
	fields []schema.Field
	root   *Shape
}

// New returns the schema of documents of the shape root. fields are in the order
// that [schema.Schema] demands, with End set on containers. It fails when a shape
// is nil or names a field that is not there, and when a field is Numeric that is no
// leaf of [schema.TypeNumber], [schema.TypeInteger] or [schema.TypeJSON].
func New(name string, format schema.Format, fields []schema.Field, root *Shape) (*Schema, error) {
	if root == nil {
		return nil, errors.New("jsondoc: no shape")
	}
	for i := range fields {
		f := &fields[i]
		if f.End != 0 && (f.End <= i || f.End > len(fields)) {
			return nil, fmt.Errorf("jsondoc: %s: field %d ends before %d", f.Path, i, f.End)
		}
		if f.Wrapped != "" && f.Wrapped != schema.TypeString {
			return nil, fmt.Errorf("jsondoc: %s: wrapped as %s, JSON knows strings only", f.Path, f.Wrapped)
		}
		if f.Numeric && !mayBeNumber(f) {
			return nil, fmt.Errorf("jsondoc: %s: numeric and of type %s", f.Path, f.Type)
		}
	}
	s := &Schema{name: name, format: format, fields: fields, root: root}
	seen := map[*Shape]bool{}
	open := []*Shape{root}
	for len(open) > 0 {
		shape := open[len(open)-1]
		open = open[:len(open)-1]
		if seen[shape] {
			continue
		}
		seen[shape] = true
		if err := s.check(shape); err != nil {
			return nil, err
		}
		open = shape.inner(open)
	}
	return s, nil
}

// mayBeNumber tells whether values of a field can be numbers.
func mayBeNumber(f *schema.Field) bool {
	return f.Leaf() && (f.Type == schema.TypeNumber || f.Type == schema.TypeInteger || f.Type == schema.TypeJSON)
}

// check looks at one shape. What Match gives is checked when it is met.
func (s *Schema) check(shape *Shape) error {
	if shape.Field < NoField || shape.Field >= len(s.fields) {
		return fmt.Errorf("jsondoc: a shape is of field %d, there are %d", shape.Field, len(s.fields))
	}
	for name, member := range shape.Members {
		if member == nil {
			return errors.New("jsondoc: a member has no shape")
		}
		if !utf8.ValidString(name) {
			return errors.New("jsondoc: a member has a name that is not UTF-8")
		}
	}
	for _, item := range shape.Prefix {
		if item == nil {
			return errors.New("jsondoc: an item has no shape")
		}
	}
	return nil
}

// inner appends the shapes that s leads to.
func (s *Shape) inner(to []*Shape) []*Shape {
	for _, member := range s.Members {
		to = append(to, member)
	}
	to = append(to, s.Prefix...)
	if s.Items != nil {
		to = append(to, s.Items)
	}
	if s.rest != nil {
		to = append(to, s.rest)
	}
	return to
}

// Name implements [schema.Schema].
func (s *Schema) Name() string { return s.name }

// Format is the schema language that was given to [New].
func (s *Schema) Format() schema.Format { return s.format }

// Fields implements [schema.Schema].
func (s *Schema) Fields() []schema.Field { return s.fields }
