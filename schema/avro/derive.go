package avro

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// Derive returns the schema of what the program of the edits writes. It is one
// text: what the original refers to is part of it.
//
// A default of a wrapped field cannot stay, because it would have to be
// encrypted. A null that is the default stays; any other default becomes an
// empty value, so that a schema which adds the field stays readable for those
// who have older records. Whoever resolves such a record gets no bytes, and
// can tell that from an envelope; restoring works with the schema that a record
// was written with, where no defaults are used.
func (s *Schema) Derive(edits []schema.Edit, from schema.Origin) (schema.Text, bool, error) {
	c, err := s.newCompiler(edits, false)
	if err != nil {
		return schema.Text{}, false, err
	}
	if !slices.ContainsFunc(edits, func(e schema.Edit) bool { return e.Op == schema.Wrap }) {
		return s.text, false, nil
	}
	if s.raw.Type == "union" {
		return schema.Text{}, false, errRootUnion
	}
	d := &deriver{c: c, s: s, defined: make(map[string]bool)}
	root, err := d.typ(*s.raw, "", s.tree)
	if err != nil {
		return schema.Text{}, false, err
	}
	root.Props = withProperty(root.Props, DerivedProperty, map[string]any{
		"id": int64(from.ID), "sha256": hex.EncodeToString(from.Digest[:]),
	})
	out, err := root.Schema()
	if err != nil {
		return schema.Text{}, false, fmt.Errorf("avro: derived schema: %w", err)
	}
	text := schema.Text{Format: schema.Avro, Schema: out.String(), Tags: s.text.Tags}
	// What is registered must mean what was protected: it is read again.
	again, err := Parse(text)
	if err != nil {
		return schema.Text{}, false, fmt.Errorf("avro: derived schema: %w", err)
	}
	if !sameFields(again.fields, s.fields, c) {
		return schema.Text{}, false, errDiffers
	}
	return text, true, nil
}

var errRootUnion = errors.New("avro: a schema that is a union has no place to say what it was derived from: put the union into a record")

var errDiffers = errors.New("avro: the derived schema would not describe the same fields")

// sameFields compares the fields of a derived schema with those of its
// original, where the wrapped ones must be marked.
func sameFields(derived, original []schema.Field, c *compiler) bool {
	if len(derived) != len(original) {
		return false
	}
	for i := range derived {
		d, o := &derived[i], &original[i]
		if d.Path != o.Path || d.Type != o.Type || d.Logical != o.Logical || d.Nullable != o.Nullable || d.Encoding != o.Encoding ||
			d.End != o.End || d.Wrapped != o.Wrapped || !slices.Equal(d.Tags, o.Tags) || !slices.Equal(d.Former, o.Former) ||
			d.Sealed != (c.ops[i] == schema.Wrap) {
			return false
		}
	}
	return true
}

// A deriver copies the parser's tree with other types for wrapped places.
type deriver struct {
	c       *compiler
	s       *Schema
	defined map[string]bool // named types that stand in the copy
}

func withProperty(props map[string]any, key string, v any) map[string]any {
	out := maps.Clone(props)
	if out == nil {
		out = make(map[string]any)
	}
	out[key] = v
	return out
}

// wrapsAt tells whether the place itself is wrapped.
func (d *deriver) wrapsAt(p *place) bool {
	return p.field >= 0 && d.c.ops[p.field] == schema.Wrap
}

// property returns a type as the content of a property: complete in itself.
// namespace is that of the place where it stood.
func (d *deriver) property(n avro.SchemaNode, namespace string) (any, error) {
	n = d.complete(n, namespace, make(map[string]bool))
	text, err := n.Schema()
	if err != nil {
		return nil, fmt.Errorf("avro: derived schema: %w", err)
	}
	dec := json.NewDecoder(strings.NewReader(text.String()))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("avro: derived schema: %w", err)
	}
	return v, nil
}

// complete returns a copy of a type in which each named type is defined where it
// is named first.
func (d *deriver) complete(n avro.SchemaNode, namespace string, defined map[string]bool) avro.SchemaNode {
	switch n.Type {
	case "null", "boolean", "int", "long", "float", "double", "string", "bytes":
	case "record", "error", "enum", "fixed":
		name := fullName(&n)
		if defined[name] {
			return avro.SchemaNode{Type: referenceTo(name, namespace)}
		}
		defined[name] = true
		n.Fields = slices.Clone(n.Fields)
		for i := range n.Fields {
			n.Fields[i].Type = d.complete(n.Fields[i].Type, namespaceOf(name), defined)
		}
	case "array":
		items := d.complete(*n.Items, namespace, defined)
		n.Items = &items
	case "map":
		values := d.complete(*n.Values, namespace, defined)
		n.Values = &values
	case "union":
		n.Branches = slices.Clone(n.Branches)
		for i := range n.Branches {
			n.Branches[i] = d.complete(n.Branches[i], namespace, defined)
		}
	default:
		name := d.nameOf(n.Type, namespace)
		if def := d.s.defs[name]; def != nil && !defined[name] {
			return d.complete(*def, "", defined)
		}
		n.Type = referenceTo(name, namespace)
	}
	return n
}

// nameOf returns the full name that a name means inside a namespace.
func (d *deriver) nameOf(name, namespace string) string {
	if !strings.Contains(name, ".") && namespace != "" && d.s.defs[namespace+"."+name] != nil {
		return namespace + "." + name
	}
	return strings.TrimPrefix(name, ".")
}

// referenceTo spells a full name so that the namespace around it does not change
// it.
func referenceTo(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return "." + name
}

// typ returns the type of a place, in a namespace.
func (d *deriver) typ(n avro.SchemaNode, namespace string, p *place) (avro.SchemaNode, error) {
	if d.wrapsAt(p) {
		v, err := d.property(n, namespace)
		if err != nil {
			return n, err
		}
		out := avro.SchemaNode{Type: "bytes", Props: map[string]any{TypeProperty: v}}
		if tags, ok := n.Props[TagProperty]; ok {
			out.Props[TagProperty] = tags
		}
		// The null of a union that is wrapped as a whole stays beside it.
		want := plainNode(wrappedType(&node{kind: kindWrapped, items: p.node}))
		for i := range want.Branches {
			if want.Branches[i].Type == "bytes" {
				want.Branches[i] = out
				return want, nil
			}
		}
		return out, nil
	}
	switch n.Type {
	case "record", "error":
		if d.defined[p.node.name] {
			return avro.SchemaNode{Type: referenceTo(p.node.name, namespace)}, nil
		}
		d.defined[p.node.name] = true
		n.Fields = slices.Clone(n.Fields)
		for i := range n.Fields {
			if err := d.field(&n.Fields[i], namespaceOf(p.node.name), p.children[i]); err != nil {
				return n, err
			}
		}
	case "array":
		items, err := d.typ(*n.Items, namespace, p.children[0])
		n.Items = &items
		return n, err
	case "map":
		values, err := d.typ(*n.Values, namespace, p.children[0])
		n.Values = &values
		return n, err
	case "union":
		n.Branches = slices.Clone(n.Branches)
		for i := range n.Branches {
			var err error
			if n.Branches[i], err = d.typ(n.Branches[i], namespace, p.children[i]); err != nil {
				return n, err
			}
		}
	case "enum", "fixed":
		if d.defined[p.node.name] {
			return avro.SchemaNode{Type: referenceTo(p.node.name, namespace)}, nil
		}
		d.defined[p.node.name] = true
	case "null", "boolean", "int", "long", "float", "double", "string", "bytes":
	default:
		// A name. Its definition may have gone into a property.
		def := d.s.defs[p.node.name]
		if def == nil || d.defined[p.node.name] {
			n.Type = referenceTo(p.node.name, namespace)
			return n, nil
		}
		out, err := d.typ(*def, "", p)
		if tags, ok := n.Props[TagProperty]; ok && err == nil {
			// The reference has tags of its own, which count for this place.
			return n, fmt.Errorf("avro: derived schema: the type %s is defined inside a wrapped value and used elsewhere with tags %v: give it its tags where it is defined", p.node.name, tags)
		}
		return out, err
	}
	return n, nil
}

// field changes a record field in place.
func (d *deriver) field(f *avro.SchemaField, namespace string, p *place) error {
	// A nullable type is wrapped below its null, and the field tells.
	wrapped, nullable := d.wrapsAt(p), isNullable(p.node)
	if nullable {
		for _, c := range p.children {
			wrapped = wrapped || d.wrapsAt(c)
		}
	}
	if !wrapped {
		typ, err := d.typ(f.Type, namespace, p)
		f.Type = typ
		return err
	}
	v, err := d.property(f.Type, namespace)
	if err != nil {
		return err
	}
	f.Props = withProperty(f.Props, TypeProperty, v)
	n := &node{kind: kindWrapped, items: p.node}
	if nullable {
		i := 1 - nullBranch(p.node)
		n = &node{kind: "union", branches: slices.Clone(p.node.branches)}
		n.branches[i] = &node{kind: kindWrapped, items: p.node.branches[i]}
	}
	f.Type = plainNode(wrappedType(n))
	null := f.Default == nil && f.Type.Type == "union" && f.Type.Branches[0].Type == "null"
	if f.HasDefault && !null {
		f.Default = []byte{}
	}
	return nil
}

// plainNode turns null, bytes or a union of them into a node of the parser.
func plainNode(n *node) avro.SchemaNode {
	out := avro.SchemaNode{Type: n.kind}
	for _, b := range n.branches {
		out.Branches = append(out.Branches, plainNode(b))
	}
	return out
}
