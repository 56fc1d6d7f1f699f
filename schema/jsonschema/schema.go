// Package jsonschema reads JSON Schemas and compiles rewriters of JSON records.
//
// [Parse] turns schema text into a [Schema], whose fields carry the tags of the
// keyword "confluent:tags", in whatever subschema it stands. The programs are those
// of package jsondoc: they walk the bytes of a record once, hand out the chosen
// values, and leave every other byte as it is.
//
// # Which subschemas apply
//
// The same value may have to do with many subschemas, through $ref, allOf, anyOf,
// oneOf, if, dependencies and, for members and items, through several keywords at
// once. A field stands for all subschemas that may apply to a value: of every
// branch, whether the record takes it or not. Its tags are those of all of them,
// and of everything that encloses it. So a tag is never missed because another
// branch matched first; the price is that a value may be protected for the sake of
// a branch that it did not take.
//
// A tag that stands where no value is found fails Parse: under not and
// propertyNames, inside unknown keywords, in keywords that the draft does not have
// or that others put out of force, and on a container that holds nothing but
// containers. Definitions that nobody refers to are no part of the schema.
//
// # Fields
//
// Named members have paths such as "/address/street", items "/cards/[]", and
// members that only a pattern or additionalProperties describes "/labels/{}".
// Members that different patterns match are fields of their own with the same
// path, as are the first items of a tuple, unless they are described alike. Names
// in paths are spelled as [jsondoc.Segment] does. A recursive schema folds onto the
// first place where the same subschemas apply with the same tags.
//
// The type is that of the keyword type, or else that of the values in const or
// enum. A value of several types, or of none, is a leaf of [schema.TypeJSON], as
// are objects and arrays of which nothing is described. Where members or items are
// described beside other types, it is a [schema.TypeUnion], or, when it is tagged
// and a scalar may stand there, a single leaf with everything inside.
//
// Logical names what a string or a number has to look like, by the keyword that
// tells most: "format:email", "enum", "pattern", "minimum" and so on. It is "date",
// "date-time" or "time" for a string of that format of which nothing else is
// asked, so that another date can stand in the place of a date. Where something
// else is, it is "format:date" and so on. A leaf is Numeric when the schema lets a
// number stand there. An answer to an edit by [schema.Number] that a keyword forbids
// is not found by the program, but by Validate.
//
// What no keyword describes is refused under [schema.RejectUnknown], also when
// additionalProperties is absent. And where a program has something to protect
// inside of objects, it refuses scalars that the schema does not describe, which
// would pass by it.
//
// # Drafts
//
// The drafts are 4, 6, 7, 2019-09 and 2020-12; without $schema it is draft 7.
// Regular expressions mean what they mean in ECMA-262; those that look ahead or
// back are refused. References lead to the schema and the texts beside it, by
// their names or identifiers, and nowhere else. A dynamic or recursive anchor must
// be the only one of its name, so that what refers to it is known.
package jsonschema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

// A Schema is a parsed JSON Schema. It is immutable and safe for concurrent use.
type Schema struct {
	text      schema.Text
	bundle    *bundle
	graph     *graph
	root      *place
	fields    []schema.Field
	docs      *jsondoc.Schema
	validator *js.Schema
	effort    *effort
	origin    schema.Origin
	derived   bool
}

var (
	_ schema.Schema    = (*Schema)(nil)
	_ schema.Derived   = (*Schema)(nil)
	_ schema.Validator = (*Schema)(nil)
)

// Parse reads a schema. The references of the text are found under their names,
// which may be relative to each other, and under their own identifiers.
//
// The tags beside the text count like those in it. A pattern that begins with a
// slash is matched against the path of a field, another one against its qualified
// name: "$" and the names of the members from the root, each behind a dot, for which
// arrays and members without a name add nothing. The form with "[]" for items and
// "{}" for such members matches, too: the street in an array of addresses is
// "$.addresses.street" and "$.addresses[].street".
//
// The errors name places in the schema. They hold no more than a short part of it.
func Parse(text schema.Text) (*Schema, error) {
	if text.Format != schema.JSONSchema {
		return nil, fmt.Errorf("jsonschema: schema of format %q", text.Format)
	}
	if err := checkRules(text.Tags); err != nil {
		return nil, err
	}
	b, err := newBundle(text)
	if err != nil {
		return nil, err
	}
	validator, err := b.compile()
	if err != nil {
		return nil, err
	}
	s := &Schema{text: text, validator: validator}
	if s.effort, err = newEffort(validator); err != nil {
		return nil, err
	}
	original, origin, err := s.findOrigin(b)
	if err != nil {
		return nil, err
	}
	compiled := validator
	if s.derived {
		b = original
		if compiled, err = b.compile(); err != nil {
			return nil, err
		}
	}
	s.bundle, s.graph = b, newGraph(b, origin)
	root, err := s.graph.node(compiled)
	if err != nil {
		return nil, err
	}
	p, e, err := s.graph.expand(root, text.Tags)
	if err != nil {
		return nil, err
	}
	s.root, s.fields = p, e.fields
	s.docs, err = jsondoc.New(s.Name(), schema.JSONSchema, s.fields, shapes{}.of(p))
	return s, err
}

// Name returns the schema's own identifier, without a fragment, or else its title,
// or else "json-schema". None of these needs to be stable between versions: a
// policy that names the dataset does not depend on them.
func (s *Schema) Name() string {
	root, _ := s.bundle.docs[len(s.bundle.docs)-1].(object)
	for _, key := range []string{"$id", "id"} {
		if id, _, _ := strings.Cut(root.text(key), "#"); id != "" {
			return id
		}
	}
	if title := root.text("title"); title != "" {
		return title
	}
	return "json-schema"
}

// Fields implements [schema.Schema].
func (s *Schema) Fields() []schema.Field { return s.fields }

// Origin implements [schema.Derived].
func (s *Schema) Origin() (schema.Origin, bool) { return s.origin, s.derived }

// A FitError says that an edit does not fit its field, or that the schema has no
// derived one for it.
type FitError struct {
	Path   string
	Type   schema.Type
	Reason string
}

// Field returns the path, as [schema.MisfitError] wants it.
func (e *FitError) Field() string { return e.Path }

func (e *FitError) Error() string {
	return fmt.Sprintf("jsonschema: %s: %s: %s", e.Path, e.Type, e.Reason)
}

var errEdits = errors.New("jsonschema: edit of a field that there is not")

func (s *Schema) misfit(field int, reason string) error {
	return &FitError{s.fields[field].Path, s.fields[field].Type, reason}
}

// Compile implements [schema.Schema]. An edit of a field that a derived schema has
// in its wrapped form fails with a [*FitError], other ones fail as those of package
// jsondoc do.
func (s *Schema) Compile(edits []schema.Edit, unknown schema.Unknown) (schema.Program, error) {
	for _, e := range edits {
		if e.Field < 0 || e.Field >= len(s.fields) {
			return nil, errEdits
		}
		if s.holdsSealed(e.Field) {
			return nil, s.misfit(e.Field, "records of this schema are protected already")
		}
	}
	return s.docs.Compile(edits, unknown)
}

// Restore implements [schema.Schema]. Fields of a derived schema that are wrapped
// can only be restored as they are, as a whole.
func (s *Schema) Restore(edits []schema.Edit, unknown schema.Unknown) (schema.Program, error) {
	for _, e := range edits {
		if e.Field < 0 || e.Field >= len(s.fields) {
			return nil, errEdits
		}
		if s.fields[e.Field].Sealed && e.Op != schema.Wrap {
			return nil, s.misfit(e.Field, "was wrapped")
		}
		if s.holdsSealed(e.Field) && !s.fields[e.Field].Sealed || s.insideSealed(e.Field) {
			return nil, s.misfit(e.Field, "was not wrapped itself")
		}
	}
	return s.docs.Restore(edits, unknown)
}

// holdsSealed tells whether a field or one inside of it is sealed, or one that
// encloses it.
func (s *Schema) holdsSealed(field int) bool {
	end := max(field+1, s.fields[field].End)
	return slices.ContainsFunc(s.fields[field:end], func(f schema.Field) bool { return f.Sealed }) || s.insideSealed(field)
}

// insideSealed tells whether a sealed field encloses one.
func (s *Schema) insideSealed(field int) bool {
	return slices.ContainsFunc(s.fields[:field], func(f schema.Field) bool { return f.Sealed && f.End > field })
}
