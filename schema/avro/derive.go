package avro

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// Derive returns the schema of the records that the program of the edits writes.
// It says all that the original says, in one text without references; fields
// that are wrapped have the type bytes and keep their own in [TypeProperty].
// Nulls stay what they were.
//
// A default of a wrapped field becomes the empty value, unless it is null: so a
// reader with a newer derived schema still resolves records that were written
// before the field existed. Such a reader sees empty bytes, which are no
// protected value. Records are restored with the schema that they were written
// with, so no default gets there.
//
// The tags and demands beside the text stay beside it. Errors are [*FitError],
// but for one when the derived schema would be beyond the bounds of Parse.
func (s *Schema) Derive(edits []schema.Edit, from schema.Origin) (schema.Text, bool, error) {
	places, err := s.edits(edits, false)
	if err != nil {
		return schema.Text{}, false, err
	}
	if !slices.ContainsFunc(edits, func(e schema.Edit) bool { return e.Op == schema.Wrap }) {
		return s.text, false, nil
	}
	d := &deriver{wrapped: make(map[*place]bool), defined: make(map[string]bool), names: make(map[string]bool)}
	for p, e := range places {
		d.wrapped[p] = e.op == schema.Wrap
	}
	d.collect(s.root)
	root := appendJSON(nil, rooted(d.typ(s.root, s.tree, ""), from))
	text := schema.Text{Format: schema.Avro, Schema: string(root), Tags: s.text.Tags, Demands: s.text.Demands}
	if err := s.readsBack(text, edits, from); err != nil {
		return schema.Text{}, false, err
	}
	return text, true, nil
}

var errReadsBack = errors.New("avro: the derived schema does not read back as the original")

// readsBack checks that a derived schema tells what the original does: nobody
// could open what is written with one that does not.
func (s *Schema) readsBack(text schema.Text, edits []schema.Edit, from schema.Origin) error {
	back, err := Parse(text)
	if err != nil {
		return fmt.Errorf("%w: %w", errReadsBack, err)
	}
	if origin, ok := back.Origin(); !ok || origin != from || back.Name() != s.Name() {
		return errReadsBack
	}
	want := slices.Clone(s.fields)
	for _, e := range edits {
		want[e.Field].Sealed = e.Op == schema.Wrap
	}
	if !reflect.DeepEqual(want, back.fields) {
		return errReadsBack
	}
	return nil
}

// A deriver writes types. Names are written in full, so that they mean the same
// wherever a definition comes to stand.
type deriver struct {
	wrapped map[*place]bool
	defined map[string]bool // in the text or the property that is written
	names   map[string]bool // of all types
}

func (d *deriver) collect(n *node) {
	n = n.bare()
	if n.name != "" {
		if d.names[n.name] {
			return
		}
		d.names[n.name] = true
	}
	for i := range n.fields {
		d.collect(n.fields[i].typ)
	}
	for _, b := range n.branches {
		d.collect(b)
	}
	if n.items != nil {
		d.collect(n.items)
	}
}

// typ returns n at p, or as the original has it when p is nil. space is the
// namespace around it.
func (d *deriver) typ(n *node, p *place, space string) any {
	if p != nil && d.wrapped[p] {
		sealed := object{{"type", "bytes"}, {TypeProperty, d.original(n)}}
		return besideNull(n, sealed)
	}
	switch n.kind {
	case kindReference:
		return d.reference(n, p, space)
	case "union":
		out := make([]any, len(n.branches))
		for i, b := range n.branches {
			out[i] = d.typ(b, child(p, i), space)
		}
		return out
	case "array":
		return n.written("items", d.typ(n.items, child(p, 0), space))
	case "map":
		return n.written("values", d.typ(n.items, child(p, 0), space))
	case "record", "enum", "fixed":
		if d.defined[n.name] {
			return d.name(n.name, space)
		}
		return d.definition(n, p, space)
	}
	return n.written("", nil)
}

func child(p *place, i int) *place {
	if p == nil {
		return nil
	}
	return p.children[i]
}

// besideNull returns what stands for a type once it is wrapped: of a union with
// null, the null stays.
func besideNull(n *node, sealed any) any {
	switch {
	case nullBranch(n) < 0:
		return sealed
	case nullLast(n):
		return []any{sealed, "null"}
	default:
		return []any{"null", sealed}
	}
}

// written returns n as it was written, but for one property. A logical type that
// stood beside it is not among them, as the field keeps that.
func (n *node) written(key string, value any) any {
	if n.raw == nil {
		return n.kind
	}
	out := slices.Clone(n.raw)
	for i := range out {
		if out[i].key == key {
			out[i].value = value
		}
	}
	return out
}

// original returns n as the property holds it.
func (d *deriver) original(n *node) any {
	in := &deriver{defined: make(map[string]bool), names: d.names}
	if n.kind != "union" {
		return in.typ(n.withLifted(), nil, "")
	}
	union := *n
	union.branches = nil
	for _, b := range n.branches {
		union.branches = append(union.branches, b.withLifted())
	}
	return in.typ(&union, nil, "")
}

// withLifted returns n as if the logical type that stood beside it had been
// written in it.
func (n *node) withLifted() *node {
	if n.lifted == nil {
		return n
	}
	out := *n
	if out.raw == nil {
		out.raw = object{{"type", out.kind}}
	}
	for _, m := range out.lifted {
		out.raw = append(out.raw.without(m.key), m)
	}
	return &out
}

// name spells a reference, from inside a namespace.
func (d *deriver) name(name, space string) string {
	if space != "" && !strings.Contains(name, ".") && d.names[space+"."+name] {
		return "." + name
	}
	return name
}

// reference returns a reference with tags of its own. Where the definition has to
// stand there, they go into a property of it, as they count for no other use.
func (d *deriver) reference(n *node, p *place, space string) any {
	var tags []any
	for ; n.kind == kindReference; n = n.items {
		for _, t := range n.tags {
			tags = append(tags, t)
		}
	}
	if d.defined[n.name] {
		return object{{"type", d.name(n.name, space)}, {TagProperty, tags}}
	}
	return append(d.definition(n, p, space), member{UseTagsProperty, tags})
}

// definition returns a named type.
func (d *deriver) definition(n *node, p *place, space string) object {
	d.defined[n.name] = true
	own := namespaceOf(n.name)
	var out object
	for _, m := range n.raw.without("namespace", UseTagsProperty) {
		switch {
		case m.key == "name":
			out = append(out, member{"name", n.name})
			if own == "" && space != "" {
				out = append(out, member{"namespace", ""})
			}
		case m.key == "fields" && n.kind == "record":
			fields := make([]any, len(n.fields))
			for i := range n.fields {
				fields[i] = d.field(&n.fields[i], child(p, i), own)
			}
			out = append(out, member{"fields", fields})
		default:
			out = append(out, m)
		}
	}
	return out
}

// field returns a record field.
func (d *deriver) field(f *nodeField, p *place, space string) object {
	typ, property, whole := d.fieldType(f.typ, p, space)
	raw := f.raw
	if whole || d.movesLogical(f.typ, p) {
		// It has become part of the original type, or belonged to none.
		raw = raw.without("logicalType", "precision", "scale")
	}
	var out object
	for _, m := range raw {
		switch m.key {
		case "type":
			out = append(out, member{"type", typ})
			if whole {
				out = append(out, member{TypeProperty, property})
			}
		case "default":
			if p != nil {
				m.value = d.defaultOf(f.typ, p, m.value)
			}
			out = append(out, m)
		default:
			out = append(out, m)
		}
	}
	return out
}

// fieldType returns the type of a field, and the original when it is wrapped as a
// whole, but for null.
func (d *deriver) fieldType(n *node, p *place, space string) (typ, property any, whole bool) {
	if p != nil && d.wrapped[p] {
		return besideNull(n, "bytes"), d.original(n), true
	}
	if i := firstBranch(n); p != nil && n.kind == "union" && others(n) == 1 && d.wrapped[p.children[i]] {
		out := make([]any, len(n.branches))
		for j := range out {
			out[j] = "null"
		}
		out[i] = "bytes"
		return out, d.original(n), true
	}
	return d.typ(n, p, space), nil, false
}

// movesLogical tells whether the branch is wrapped that has the logical type
// which stands beside the union.
func (d *deriver) movesLogical(n *node, p *place) bool {
	i := firstBranch(n)
	return p != nil && i >= 0 && d.wrapped[p.children[i]]
}

// firstBranch returns the index of the first branch that is not null, or -1.
func firstBranch(n *node) int {
	return slices.IndexFunc(n.branches, func(b *node) bool { return b.kind != "null" })
}

// defaultOf returns a default as the derived type has it.
func (d *deriver) defaultOf(n *node, p *place, v any) any {
	n = n.bare()
	if p.outer != nil {
		p = p.outer
	}
	if d.wrapped[p] {
		if v == nil && nullBranch(n) >= 0 {
			return nil
		}
		return ""
	}
	switch n.kind {
	case "union":
		for i, b := range n.branches {
			if accepts(b.bare(), v) {
				return d.defaultOf(b, p.children[i], v)
			}
		}
	case "record":
		members, _ := v.(object)
		out := slices.Clone(members)
		for i := range n.fields {
			for j := range out {
				if out[j].key == n.fields[i].name {
					out[j].value = d.defaultOf(n.fields[i].typ, p.children[i], out[j].value)
				}
			}
		}
		return out
	case "array":
		items, _ := v.([]any)
		out := make([]any, len(items))
		for i := range items {
			out[i] = d.defaultOf(n.items, p.children[0], items[i])
		}
		return out
	case "map":
		members, _ := v.(object)
		out := slices.Clone(members)
		for i := range out {
			out[i].value = d.defaultOf(n.items, p.children[0], out[i].value)
		}
		return out
	}
	return v
}

// accepts tells whether v can be a default of n, which decides to what branch of
// a union it belongs.
func accepts(n *node, v any) bool {
	switch v := v.(type) {
	case nil:
		return n.kind == "null"
	case bool:
		return n.kind == "boolean"
	case json.Number:
		_, long := strconv.ParseInt(v.String(), 10, 64)
		_, short := strconv.ParseInt(v.String(), 10, 32)
		return n.kind == "float" || n.kind == "double" || n.kind == "long" && long == nil || n.kind == "int" && short == nil
	case string:
		return n.kind == "string" || n.kind == "bytes" || n.kind == "fixed" || n.kind == "enum" && slices.Contains(n.symbols, v)
	case []any:
		return n.kind == "array" && !slices.ContainsFunc(v, func(x any) bool { return !acceptsAny(n.items, x) })
	case object:
		if n.kind == "map" {
			return !slices.ContainsFunc(v, func(m member) bool { return !acceptsAny(n.items, m.value) })
		}
		for i := range n.fields {
			f := &n.fields[i]
			x, ok := v.get(f.name)
			if _, has := f.raw.get("default"); !ok && !has || ok && !acceptsAny(f.typ, x) {
				return false
			}
		}
		return n.kind == "record"
	}
	return false
}

func acceptsAny(n *node, v any) bool {
	n = n.bare()
	if n.kind != "union" {
		return accepts(n, v)
	}
	return slices.ContainsFunc(n.branches, func(b *node) bool { return accepts(b.bare(), v) })
}

// rooted adds the property of the derived schema.
func rooted(root any, from schema.Origin) any {
	switch root := root.(type) {
	case object:
		return append(slices.Clone(root), member{DerivedProperty, object{
			{"id", json.Number(strconv.Itoa(from.ID))}, {"sha256", hex.EncodeToString(from.Digest[:])},
		}})
	case []any:
		root[0] = rooted(root[0], from)
		return root
	case string:
		return rooted(object{{"type", root}}, from)
	}
	return root
}
