package jsonschema

import (
	"fmt"
	"strconv"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// lost looks for tags that would be lost, because they stand where no value is.
type lost struct {
	graph   *graph
	visited map[position]bool
	seen    map[*js.Schema]bool
}

// position is where a subschema stands.
type position struct {
	doc     int
	pointer string
}

// checkTags fails when a tag stands somewhere inside a subschema of a place, and
// is not that of a place itself.
func (g *graph) checkTags(visited []*node) error {
	l := &lost{g, map[position]bool{}, map[*js.Schema]bool{}}
	for _, n := range visited {
		l.visited[position{n.doc, n.pointer}] = true
	}
	for _, n := range visited {
		if err := l.check(n); err != nil {
			return err
		}
	}
	return nil
}

func (l *lost) check(n *node) error {
	for _, m := range n.raw {
		switch m.key {
		case "definitions", "$defs", "default", "const", "enum", "examples", "example", TagProperty:
			// Definitions count where they are used; the others hold data.
			continue
		}
		if strings.HasPrefix(m.key, ownPrefix) {
			return fmt.Errorf("jsonschema: %s: %s stands where no derived schema has it", n.where(), m.key)
		}
		if err := l.lexical(m.value, position{n.doc, n.pointer + "/" + pointerToken(m.key)}); err != nil {
			return err
		}
	}
	if n.c == nil {
		return nil
	}
	if err := l.unplaced(n.c.Not); err != nil {
		return err
	}
	return l.unplaced(n.c.PropertyNames)
}

func errLost(pointer string) error {
	return fmt.Errorf("jsonschema: #%s: %s stands where it applies to no value", pointer, TagProperty)
}

// lexical looks at what stands in the text at a position, which may be a keyword
// that has no effect.
func (l *lost) lexical(v any, at position) error {
	switch v := v.(type) {
	case []any:
		for i, x := range v {
			if nests(x) {
				if err := l.lexical(x, position{at.doc, at.pointer + "/" + strconv.Itoa(i)}); err != nil {
					return err
				}
			}
		}
	case object:
		if l.visited[at] {
			return nil // it is checked itself
		}
		for _, m := range v {
			if !nests(m.value) {
				continue
			}
			if _, list := m.value.([]any); list && m.key == TagProperty {
				return errLost(at.pointer)
			}
			if err := l.lexical(m.value, position{at.doc, at.pointer + "/" + pointerToken(m.key)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// unplaced looks at subschemas that apply to no value, such as those under not,
// and at what they refer to.
func (l *lost) unplaced(c *js.Schema) error {
	open := []*js.Schema{c}
	for len(open) > 0 {
		c := open[len(open)-1]
		open = open[:len(open)-1]
		if c == nil || l.seen[c] {
			continue
		}
		l.seen[c] = true
		v, doc, pointer, err := l.graph.bundle.raw(c.Location)
		if err != nil {
			return err
		}
		if l.visited[position{doc, pointer}] {
			continue
		}
		if o, ok := v.(object); ok {
			if _, tagged := o.get(TagProperty); tagged {
				return errLost(pointer)
			}
		}
		open = append(open, inner(c)...)
	}
	return nil
}

// inner returns the subschemas that c leads to.
func inner(c *js.Schema) []*js.Schema {
	out := []*js.Schema{
		c.Ref, c.RecursiveRef, c.Not, c.If, c.Then, c.Else, c.PropertyNames, c.UnevaluatedProperties,
		c.Contains, c.Items2020, c.UnevaluatedItems,
	}
	if c.DynamicRef != nil {
		out = append(out, c.DynamicRef.Ref)
	}
	for _, list := range [][]*js.Schema{c.AllOf, c.AnyOf, c.OneOf, c.PrefixItems} {
		out = append(out, list...)
	}
	for _, s := range c.Properties {
		out = append(out, s)
	}
	for _, s := range c.PatternProperties {
		out = append(out, s)
	}
	for _, s := range c.DependentSchemas {
		out = append(out, s)
	}
	for _, s := range c.Dependencies {
		if s, ok := s.(*js.Schema); ok {
			out = append(out, s)
		}
	}
	for _, v := range []any{c.AdditionalProperties, c.AdditionalItems, c.Items} {
		switch v := v.(type) {
		case *js.Schema:
			out = append(out, v)
		case []*js.Schema:
			out = append(out, v...)
		}
	}
	return out
}
