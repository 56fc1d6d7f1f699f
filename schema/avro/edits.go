package avro

import (
	"fmt"

	"github.com/fieldveil/fieldveil/schema"
)

// A FitError says that an edit does not fit its field.
type FitError struct {
	Path   string // empty when there is no such field
	Type   schema.Type
	Reason string
}

// Field returns the path, as [schema.MisfitError] wants it.
func (e *FitError) Field() string { return e.Path }

func (e *FitError) Error() string {
	if e.Path == "" {
		return "avro: " + e.Reason
	}
	return fmt.Sprintf("avro: %s: %s: %s", e.Path, e.Type, e.Reason)
}

const (
	reasonProtected = "records of this schema are protected already"
	reasonInside    = "is inside another field, which is edited as a whole"
	reasonSecond    = "the union would hold bytes twice: wrap the union as a whole"
	reasonVersions  = "its type would have two versions, because it is used elsewhere and other fields are wrapped there: protect the type's field everywhere, or wrap the field that holds it as a whole"
)

// An edited is the edit of one place.
type edited struct {
	op    schema.Op
	index int // of the edit
}

// edits returns the edits by place. back tells that they are to be undone.
func (s *Schema) edits(edits []schema.Edit, back bool) (map[*place]edited, error) {
	out := make(map[*place]edited, len(edits))
	for i, e := range edits {
		if e.Field < 0 || e.Field >= len(s.fields) {
			return nil, &FitError{Reason: fmt.Sprintf("edit of field %d, there are %d", e.Field, len(s.fields))}
		}
		p := s.places[e.Field]
		if _, twice := out[p]; twice {
			return nil, s.unfit(e.Field, "edited twice")
		}
		if reason := s.fits(e, back); reason != "" {
			return nil, s.unfit(e.Field, reason)
		}
		out[p] = edited{e.Op, i}
	}
	// Containers come before what they hold.
	end, sealed := 0, 0
	for i, p := range s.places {
		_, found := out[p]
		if p.sealed {
			sealed = max(sealed, s.fields[i].End)
		}
		switch {
		case found && i < end:
			return nil, s.unfit(i, reasonInside)
		case found && i < sealed && !p.sealed:
			return nil, s.unfit(i, reasonProtected) // as part of what is wrapped
		case found && s.fields[i].End > 0:
			end = s.fields[i].End
		case !found && i >= end && p.sealed && back:
			return nil, s.unfit(i, "the schema says that it was wrapped, and no edit restores it")
		}
	}
	if s.derived {
		return out, nil // the types of its records are there to be seen
	}
	if err := s.oneBytes(s.tree, out); err != nil {
		return nil, err
	}
	v := versions{s: s, edits: out, first: make(map[string]string)}
	return out, v.check(s.tree, -1)
}

func (s *Schema) unfit(field int, reason string) error {
	return &FitError{s.fields[field].Path, s.fields[field].Type, reason}
}

// fits returns why an edit does not fit its field.
func (s *Schema) fits(e schema.Edit, back bool) string {
	f := &s.fields[e.Field]
	switch e.Op {
	case schema.Replace:
		switch {
		case f.Type != schema.TypeString && f.Type != schema.TypeBytes:
			return "only string and bytes can be replaced"
		case f.Sealed:
			return reasonProtected
		}
	case schema.Nullify:
		switch {
		case back:
			return "a null cannot be undone"
		case !f.Nullable:
			return "cannot be null"
		case s.holdsSealed(e.Field):
			return reasonProtected
		}
	case schema.Number:
		switch {
		case !f.Numeric:
			return "is not a number"
		case f.Sealed:
			return reasonProtected
		}
	case schema.Wrap:
		switch {
		case f.Wrapped == "":
			return "its content can be replaced, so it is not wrapped"
		case s.derived && !back:
			return reasonProtected
		case s.derived && !f.Sealed:
			return "is not wrapped in records of this schema"
		}
	default:
		return "unknown operation"
	}
	return ""
}

// holdsSealed tells whether a field or one inside it is sealed.
func (s *Schema) holdsSealed(field int) bool {
	for i := field; i == field || i < s.fields[field].End; i++ {
		if s.fields[i].Sealed {
			return true
		}
	}
	return false
}

// oneBytes refuses unions that would hold bytes twice.
func (s *Schema) oneBytes(p *place, edits map[*place]edited) error {
	if edits[p].op == schema.Wrap {
		return nil
	}
	if p.node.kind == "union" {
		var wrapped *place
		count := 0
		for _, c := range p.children {
			if edits[c].op == schema.Wrap {
				wrapped = c
				count++
			} else if c.node.kind == "bytes" {
				count++
			}
		}
		if wrapped != nil && count > 1 {
			return s.unfit(wrapped.field, reasonSecond)
		}
	}
	for _, c := range p.children {
		if err := s.oneBytes(c, edits); err != nil {
			return err
		}
	}
	return nil
}

// versions checks that the fields of a record type are wrapped wherever it is
// used, or nowhere: a schema has one definition of each name.
type versions struct {
	s     *Schema
	edits map[*place]edited
	first map[string]string // by name: how its fields are wrapped
}

// check checks p, which lies at or inside field.
func (v *versions) check(p *place, field int) error {
	if v.edits[p].op == schema.Wrap || p.outer != nil {
		return nil // the original stays, or it follows the outer one
	}
	if p.field >= 0 {
		field = p.field
	}
	if p.node.kind == "record" {
		var marks []byte
		for _, c := range p.children {
			marks = v.marks(marks, c)
		}
		if before, ok := v.first[p.node.name]; !ok {
			v.first[p.node.name] = string(marks)
		} else if before != string(marks) {
			if field < 0 {
				return &FitError{Path: "/", Type: schema.TypeRecord, Reason: reasonVersions}
			}
			return v.s.unfit(field, reasonVersions)
		}
	}
	for _, c := range p.children {
		if err := v.check(c, field); err != nil {
			return err
		}
	}
	return nil
}

// marks appends where p is wrapped, up to the records in it.
func (v *versions) marks(out []byte, p *place) []byte {
	if v.edits[p].op == schema.Wrap {
		return append(out, 'w')
	}
	if p.outer != nil || p.node.kind == "record" {
		return append(out, '.')
	}
	out = append(out, '(')
	for _, c := range p.children {
		out = v.marks(out, c)
	}
	return append(out, ')')
}
