package fieldcrypt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// A Memory remembers what the schemas of a topic had protected, beyond the life
// of a process. With it an [Engine] refuses a schema that silently takes
// protection away: by a tag that was removed, or a field that was renamed, moved
// or given another type.
//
// Implementations are safe for concurrent use. What they hand out must be what
// was stored: an implementation detects changes by others.
type Memory interface {
	// Update calls change with what is remembered of a topic, which is nothing
	// at first, and stores what it returns unless that is the same. It returns
	// when that is durable. Nobody else changes the topic meanwhile; change may
	// be called again when somebody did. An error of change is returned as it is.
	Update(ctx context.Context, topic string, change func(old Remembered) (next Remembered, err error)) error
}

// Remembered is what a [Memory] holds of one topic.
type Remembered struct {
	// Fields are those that were protected, sorted by schema and path.
	Fields []RememberedField `json:"fields,omitempty"`
	// Schemas are the digests of the schemas that were produced with.
	Schemas []RememberedSchema `json:"schemas,omitempty"`
}

// A RememberedField is a field that was protected.
type RememberedField struct {
	Schema string `json:"schema"` // full name of the root type
	Path   string `json:"path"`
	Place  string `json:"place,omitempty"` // where it is not Path: see [schema.Field]
	Type   string `json:"type"`
	// Clear lists what stood in clear at the same path, as another branch of a
	// union: types, sorted, with a space between.
	Clear string `json:"clear,omitempty"`
}

// same tells whether two are the same field, whatever stands beside it.
func (f RememberedField) same(n RememberedField) bool {
	// A place of numbers names the field, whatever it is called now.
	if f.Place != "" && n.Place != "" && n.Place != f.Place {
		return false
	}
	return n.Path == f.Path && n.Type == f.Type
}

// keeps tells whether n protects at least what f did.
func (f RememberedField) keeps(n RememberedField) bool {
	if n.Path != f.Path && pathCovers(n.Path, f.Path) {
		return true // as a part of something that is taken as a whole
	}
	if !f.same(n) {
		return false
	}
	for typ := range strings.FieldsSeq(n.Clear) {
		if !slices.Contains(strings.Fields(f.Clear), typ) {
			return false // the values may stand in a branch that is new
		}
	}
	return true
}

// A RememberedSchema is the digest that a schema id stood for.
type RememberedSchema struct {
	ID     int    `json:"id"`
	Name   string `json:"name"` // full name of the root type
	Digest string `json:"digest"`
}

// maxRemembered bounds the schemas of a topic. Those with the lowest ids are
// forgotten first.
const maxRemembered = 10_000

// errChanged means that an id came back with another schema.
var errChanged = errors.New("the id stood for another schema before: registries never do that, so somebody has changed one")

// A LossError says what a schema leaves without protection. It is the cause of
// an [*Error] of [CodeProtectionLost].
type LossError struct {
	// Fields are those that were protected before and are not any more.
	Fields []RememberedField
	// Digest is what the policy has to list under acknowledge for the topic to
	// let this version of the schema pass.
	Digest string
}

func (e *LossError) Error() string {
	var b strings.Builder
	b.WriteString("the schema has lost ")
	for i, f := range e.Fields {
		if i == 5 {
			fmt.Fprintf(&b, " and %d more", len(e.Fields)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s)", f.Path, f.Type)
	}
	b.WriteString(", protected until now; to let it pass, put " + e.Digest + " under acknowledge of the topic in the policy")
	return b.String()
}

// Equal tells whether two memories of a topic say the same.
func (r Remembered) Equal(other Remembered) bool {
	return slices.Equal(r.Fields, other.Fields) && slices.Equal(r.Schemas, other.Schemas)
}

// recollect compares a plan with what is remembered of its topic, and returns
// what is to be remembered from now on.
func (p *Plan) recollect(text schema.Text, acknowledged bool, old Remembered) (next Remembered, err error) {
	digest := digestText(text.Digest())
	at, known := slices.BinarySearchFunc(old.Schemas, RememberedSchema{ID: p.schemaID, Name: p.name}, func(a, b RememberedSchema) int {
		// One id has a name for each message type.
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range old.Schemas {
		if s.ID == p.schemaID && s.Digest != digest && p.schemaID != 0 {
			return old, errChanged
		}
	}
	now := p.remembers()
	lost := old.lost(p.name, now)
	if len(lost) == 0 {
		lost = old.bared(p)
	}
	if len(lost) > 0 && !acknowledged {
		return old, &LossError{Fields: lost, Digest: digest}
	}
	for _, f := range old.Fields {
		if f.Schema != p.name {
			next.Fields = append(next.Fields, f)
		}
	}
	if len(lost) == 0 {
		// What other versions of the schema have stays.
		now = append(now, slices.DeleteFunc(slices.Clone(old.Fields), func(f RememberedField) bool { return f.Schema != p.name })...)
	}
	next.Fields = merged(append(next.Fields, now...))
	next.Schemas = slices.Clone(old.Schemas)
	if !known {
		next.Schemas = slices.Insert(next.Schemas, at, RememberedSchema{ID: p.schemaID, Name: p.name, Digest: digest})
		if over := len(next.Schemas) - maxRemembered; over > 0 {
			next.Schemas = slices.Delete(next.Schemas, 0, over)
		}
	}
	return next, nil
}

// lost lists what is remembered under name and missing in now. Under a name
// that is new in the topic it is what the name misses that comes closest: a
// record type that was renamed has lost nothing by that.
func (r Remembered) lost(name string, now []RememberedField) []RememberedField {
	missing := make(map[string][]RememberedField)
	for _, s := range r.Schemas {
		missing[s.Name] = nil
	}
	for _, f := range r.Fields {
		if _, ok := missing[f.Schema]; !ok {
			missing[f.Schema] = nil
		}
		if !slices.ContainsFunc(now, f.keeps) {
			missing[f.Schema] = append(missing[f.Schema], f)
		}
	}
	if lost, ok := missing[name]; ok || len(missing) == 0 {
		return lost
	}
	var least []RememberedField
	first := true
	for _, f := range r.Fields {
		if m := missing[f.Schema]; first || len(m) < len(least) {
			least, first = m, false
		}
	}
	return least
}

func (p *Plan) remembers() []RememberedField {
	var out []RememberedField
	for i := range p.fields {
		f := &p.fields[i]
		r := RememberedField{Schema: p.name, Path: f.path, Type: f.typ}
		if f.bound != f.path {
			r.Place = f.bound
		}
		r.Clear = strings.ReplaceAll(p.clearAt(f.path), "\x00", " ")
		out = append(out, r)
	}
	return merged(out)
}

// merged sorts fields and leaves each in once, with all that stood in clear
// beside it.
func merged(fields []RememberedField) []RememberedField {
	slices.SortFunc(fields, compareRemembered)
	var out []RememberedField
	for _, f := range fields {
		if n := len(out) - 1; n >= 0 && compareRemembered(out[n], f) == 0 {
			all := append(strings.Fields(out[n].Clear), strings.Fields(f.Clear)...)
			slices.Sort(all)
			out[n].Clear = strings.Join(slices.Compact(all), " ")
			continue
		}
		out = append(out, f)
	}
	return out
}

// clearAt returns the types that stand in clear at a path or below it.
func (p *Plan) clearAt(path string) string {
	var types []string
	for i := range p.described {
		if d := &p.described[i]; d.Action == actionClear && pathCovers(path, d.Path) {
			types = append(types, strings.TrimPrefix(d.Path, path)+":"+string(d.Type))
		}
	}
	slices.Sort(types)
	return strings.ReplaceAll(strings.Join(slices.Compact(types), "\x00"), " ", "_")
}

// bared returns what a root type that is new in the topic has in clear, though
// it was protected under another name: renaming the type and removing a tag at
// once would look like a type of its own.
func (r Remembered) bared(p *Plan) (lost []RememberedField) {
	if slices.ContainsFunc(r.Schemas, func(s RememberedSchema) bool { return s.Name == p.name }) {
		return nil
	}
	for _, f := range r.Fields {
		if slices.ContainsFunc(p.described, func(d FieldAction) bool { return d.Action == actionClear && d.Path == f.Path }) {
			lost = append(lost, f)
		}
	}
	return lost
}

func compareRemembered(a, b RememberedField) int {
	return cmp.Or(
		cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Place, b.Place), cmp.Compare(a.Type, b.Type))
}
