package jsonschema

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema"
)

// Derive returns the schema of the records that the program of the edits writes.
// A wrapped value is a string there, or null where it could be null, and its
// original subschema stands in the keyword "fieldveil.type"; the root tells in
// "fieldveil.derived" what it was derived from. The text is parsed and compared
// before it is returned.
//
// A wrapped string stays a string, so where the schema takes every string nothing
// changes, and when that is so for all edits, the schema is its own derived one. The
// same holds for edits that keep the type: by Replace, Nullify and Number.
//
// The rest of the schema stays as it is, with these differences. A subschema that
// is used by reference in a place with something wrapped inside is copied. A oneOf
// whose branches have wrapped values becomes an anyOf, because strings cannot tell
// the branches apart any more. For the same reason, uniqueItems and maxContains
// are out of force for arrays with wrapped values inside.
//
// Derive gives a [*FitError] where no schema would both take the records and keep
// what the original says: when not, if, enum or const look into a value that is
// wrapped, when one subschema, such as that of additionalProperties, applies to
// members of which only some are wrapped, and when a wrapped value is declared in
// a referenced text. Then what encloses the value can be wrapped as a whole.
func (s *Schema) Derive(edits []schema.Edit, from schema.Origin) (schema.Text, bool, error) {
	r := &rewriter{
		s: s, wrapped: map[*place]int{}, changed: map[*place]bool{}, touched: map[*place]map[*node]bool{},
		made: map[copied]string{}, strings: map[*js.Schema]verdict{}, checked: map[*place]bool{},
	}
	if err := r.choose(edits); err != nil {
		return schema.Text{}, false, err
	}
	if len(r.wrapped) == 0 {
		return s.text, false, nil
	}
	if s.derived {
		return schema.Text{}, false, errors.New("jsonschema: a derived schema has no derived one")
	}
	if from.ID < 0 {
		return schema.Text{}, false, errors.New("jsonschema: the id of the original is negative")
	}
	r.spread()
	doc, err := r.document(from)
	if err != nil {
		return schema.Text{}, false, err
	}
	text := s.text
	text.Schema = string(appendJSON(nil, doc))
	text.Demands = nil
	again, err := Parse(text)
	if err != nil {
		return schema.Text{}, false, fmt.Errorf("jsonschema: derived schema: %w", err)
	}
	return text, true, r.compare(again)
}

// rewriter makes one derived schema.
type rewriter struct {
	s       *Schema
	wrapped map[*place]int  // to the index of the field
	changed map[*place]bool // with something wrapped inside
	touched map[*place]map[*node]bool
	made    map[copied]string // names of copies
	copies  object
	strings map[*js.Schema]verdict
	checked map[*place]bool
}

// copied is a subschema as it is in one place.
type copied struct {
	node  *node
	place *place
}

// choose finds the places that the edits wrap, and whose schema has to change.
func (r *rewriter) choose(edits []schema.Edit) error {
	fields := map[int]bool{}
	for _, e := range edits {
		if e.Field < 0 || e.Field >= len(r.s.fields) {
			return errEdits
		}
		if e.Op == schema.Wrap {
			fields[e.Field] = true
		}
	}
	r.s.root.walk(func(p *place) bool {
		if !fields[p.field] {
			return true
		}
		if !r.keepsString(p) {
			r.wrapped[p] = p.field
		}
		return false
	})
	return nil
}

// walk calls f for p and the places inside, each once, as long as f says so.
func (p *place) walk(f func(*place) bool) {
	seen := map[*place]bool{}
	var visit func(*place)
	visit = func(p *place) {
		if p.outer != nil || seen[p] {
			return
		}
		seen[p] = true
		if f(p) {
			p.children(visit)
		}
	}
	visit(p)
}

// keepsString tells whether values of p are strings before and after, which the
// schema takes whatever they are.
func (r *rewriter) keepsString(p *place) bool {
	return r.s.fields[p.field].Type == schema.TypeString &&
		!slices.ContainsFunc(p.seeds, func(n *node) bool { return r.takesStrings(n.c) != allOfThem })
}

// spread finds the places that have something wrapped inside.
func (r *rewriter) spread() {
	above := map[*place][]*place{}
	r.s.root.walk(func(p *place) bool {
		if _, ok := r.wrapped[p]; ok {
			return false
		}
		p.children(func(c *place) {
			above[c.real()] = append(above[c.real()], p)
		})
		return true
	})
	var open []*place
	for p := range r.wrapped {
		open = append(open, p)
	}
	for len(open) > 0 {
		p := open[len(open)-1]
		open = open[:len(open)-1]
		for _, outer := range above[p] {
			if !r.changed[outer] {
				r.changed[outer] = true
				open = append(open, outer)
			}
		}
	}
}

// real returns the place that p stands for.
func (p *place) real() *place {
	if p.outer != nil {
		return p.outer
	}
	return p
}

// affected tells whether the schema has to change at p or inside.
func (r *rewriter) affected(p *place) bool {
	_, wrapped := r.wrapped[p.real()]
	return wrapped || r.changed[p.real()]
}

func (r *rewriter) misfit(p *place, reason string) error {
	f := schema.Field{Path: at(p.path), Type: schema.TypeJSON}
	if p.field >= 0 {
		f = r.s.fields[p.field]
	}
	return &FitError{f.Path, f.Type, reason}
}

// document returns the derived schema.
func (r *rewriter) document(from schema.Origin) (object, error) {
	root := r.s.root
	n := root.seeds[0]
	var doc object
	if _, ok := r.wrapped[root]; ok {
		var original any = n.raw
		if n.raw == nil {
			original = true
		}
		doc = r.wrap(n, original)
		for _, key := range []string{"$id", "id", "$schema"} {
			if v, ok := n.raw.get(key); ok {
				doc = slices.Insert(doc, 0, member{key, v})
			}
		}
	} else {
		v, err := r.rewrite(n, root)
		if err != nil {
			return nil, err
		}
		doc, _ = v.(object)
		if len(r.copies) > 0 {
			key := r.definitions()
			v, _ := doc.get(key)
			old, _ := v.(object)
			doc = doc.with(key, append(slices.Clone(old), r.copies...))
		}
	}
	return append(doc, member{DerivedProperty, object{
		{"id", jsonNumber(from.ID)}, {"sha256", hex.EncodeToString(from.Digest[:])},
	}}), nil
}

// definitions names the keyword for the copies.
func (r *rewriter) definitions() string {
	root := r.s.root.seeds[0]
	if _, ok := root.raw.get("$defs"); ok || root.c.DraftVersion >= 2019 {
		return "$defs"
	}
	return "definitions"
}

// wrap returns the subschema of wrapped values, which had another one before.
func (r *rewriter) wrap(n *node, original any) object {
	var out object
	o, _ := original.(object)
	for _, m := range o {
		switch m.key {
		case "title", "description", "$comment", "deprecated", "readOnly", "writeOnly", TagProperty:
			out = append(out, m)
		}
	}
	var typ any = "string"
	if (nulls{}).takes(n.c) {
		typ = []any{"string", "null"}
	}
	return append(out, member{"type", typ}, member{TypeProperty, original})
}

// compare sees to it that a derived schema reads as it was meant.
func (r *rewriter) compare(again *Schema) error {
	sealed := map[int]bool{}
	for _, f := range r.wrapped {
		sealed[f] = true
	}
	if len(again.fields) != len(r.s.fields) {
		for i := range min(len(again.fields), len(r.s.fields)) {
			if f := &r.s.fields[i]; f.Path != again.fields[i].Path {
				return &FitError{f.Path, f.Type, "the derived schema would not end its recursion here"}
			}
		}
		return &FitError{"/", schema.TypeJSON, "the derived schema would describe other fields"}
	}
	for i := range again.fields {
		f, g := &r.s.fields[i], &again.fields[i]
		if f.Path != g.Path || f.Type != g.Type || f.Logical != g.Logical || f.End != g.End || !slices.Equal(f.Tags, g.Tags) {
			return &FitError{f.Path, f.Type, "the derived schema would describe it in another way"}
		}
		if g.Sealed != sealed[i] {
			return &FitError{f.Path, f.Type, "the schema refers to a value that is wrapped from a place where it is not"}
		}
	}
	return nil
}

// copyOf returns a reference to the subschema n as it is in a place.
func (r *rewriter) copyOf(n *node, p *place) (string, error) {
	if n == r.s.root.seeds[0] && p == r.s.root {
		return "#", nil
	}
	key := copied{n, p}
	if name, ok := r.made[key]; ok {
		return r.reference(name), nil
	}
	if n.doc != len(r.s.bundle.docs)-1 {
		return "", r.misfit(p, "is declared in a referenced text, only what holds it can be wrapped")
	}
	if r.foreign(n.pointer) {
		return "", r.misfit(p, "is declared in a part with an identifier of its own, only what holds it can be wrapped")
	}
	name := r.newName(n)
	r.made[key] = name
	at := len(r.copies)
	r.copies = append(r.copies, member{key: name})
	v, err := r.rewrite(n, p)
	if o, ok := v.(object); ok {
		for _, key := range notCopied() {
			o = o.without(key)
		}
		v = o.with(copyProperty, n.pointer)
	}
	r.copies[at].value = v
	return r.reference(name), err
}

func (r *rewriter) reference(name string) string {
	return "#/" + r.definitions() + "/" + escapeFragment(pointerToken(name))
}

// newName finds a name for a copy.
func (r *rewriter) newName(n *node) string {
	base := n.pointer[strings.LastIndexByte(n.pointer, '/')+1:]
	if base == "" || strings.Trim(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
		base = "root"
	}
	taken := append(r.s.root.seeds[0].raw.keys("definitions"), r.s.root.seeds[0].raw.keys("$defs")...)
	for _, m := range r.copies {
		taken = append(taken, m.key)
	}
	for i := 1; ; i++ {
		name := "fieldveil." + base + "." + strconv.Itoa(i)
		if !slices.Contains(taken, name) {
			return name
		}
	}
}

// foreign tells whether a pointer leads into a part of the schema that has an
// identifier of its own, which references inside are relative to.
func (r *rewriter) foreign(pointer string) bool {
	for i := len(pointer); i > 0; i = strings.LastIndexByte(pointer[:i], '/') {
		v, _ := lookup(r.s.root.seeds[0].raw, pointer[:i])
		if o, ok := v.(object); ok {
			for _, key := range []string{"$id", "id"} {
				if id := o.text(key); id != "" && id[0] != '#' {
					return true
				}
			}
		}
	}
	return false
}
