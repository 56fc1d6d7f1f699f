// Package jsonschema reads JSON Schemas and compiles rewriters of JSON records.
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

// Parse reads a schema.
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

// A FitError says that an edit does not fit its field.
type FitError struct {
	Path   string
	Type   schema.Type
	Reason string
}

func (e *FitError) Error() string {
	return fmt.Sprintf("jsonschema: %s: %s: %s", e.Path, e.Type, e.Reason)
}

var errEdits = errors.New("jsonschema: edit of a field that there is not")

func (s *Schema) misfit(field int, reason string) error {
	return &FitError{s.fields[field].Path, s.fields[field].Type, reason}
}

// Compile implements [schema.Schema].
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

// Restore implements [schema.Schema].
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
