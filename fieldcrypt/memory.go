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
	next.Fields = append(next.Fields, now...)
	slices.SortFunc(next.Fields, compareRemembered)
	next.Fields = slices.Compact(next.Fields)
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
		has := slices.ContainsFunc(now, func(n RememberedField) bool {
			// A place of numbers names the field, whatever it is called now.
			if f.Place != "" && n.Place != "" {
				return n.Place == f.Place && n.Type == f.Type && n.Path == f.Path
			}
			return n.Path == f.Path && n.Type == f.Type
		})
		if !has {
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
		out = append(out, r)
	}
	slices.SortFunc(out, compareRemembered)
	return slices.Compact(out)
}

func compareRemembered(a, b RememberedField) int {
	return cmp.Or(
		cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Place, b.Place), cmp.Compare(a.Type, b.Type))
}
