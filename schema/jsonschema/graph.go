package jsonschema

import (
	"errors"
	"fmt"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

// A node is a subschema. All that refer to one share it, so the nodes of a
// recursive schema form a cycle. Which subschemas there are and what references
// mean is taken from the validator.
type node struct {
	id      int        // the same for copies
	c       *js.Schema // nil for the subschema true that a keyword stands for
	raw     object     // nil for a boolean
	doc     int
	pointer string
	tags    []string
	sealed  bool
	// same are the subschemas that apply to the same value, as far as c tells:
	// all branches, whether taken or not.
	same []*node
	// sure are those of same that apply whenever the node does.
	sure []*node
	// anyOf and oneOf are those of same that are named so.
	anyOf, oneOf []*node
	// bare is true when the node says nothing of its own about what is inside of
	// a value, or what that is.
	bare  bool
	never bool // the subschema false
	kinds jsondoc.Kinds

	patterns []nodePattern
}

type nodePattern struct {
	*pattern
	node *node
}

// graph makes nodes.
type graph struct {
	bundle *bundle
	origin *unsealer
	ids    map[position]int
	nodes  map[*js.Schema]*node
	yes    *node // the subschema true of keywords
	wraps  *node // the same, where it is wrapped
}

func newGraph(b *bundle, origin *unsealer) *graph {
	g := &graph{bundle: b, origin: origin, nodes: map[*js.Schema]*node{}, ids: map[position]int{}}
	g.yes = &node{bare: true}
	g.wraps = &node{bare: true, sealed: true}
	return g
}

// node returns the node of a compiled subschema.
func (g *graph) node(c *js.Schema) (*node, error) {
	if n, ok := g.nodes[c]; ok {
		return n, nil
	}
	v, doc, pointer, err := g.bundle.raw(c.Location)
	if err != nil {
		return nil, err
	}
	n := &node{c: c, doc: doc, pointer: pointer}
	source := position{doc, pointer}
	if doc == len(g.bundle.docs)-1 {
		source.pointer = g.origin.identity(pointer)
	}
	if _, known := g.ids[source]; !known {
		g.ids[source] = len(g.ids)
	}
	n.id = g.ids[source]
	n.raw, _ = v.(object)
	n.never = c.Bool != nil && !*c.Bool
	g.nodes[c] = n
	n.sealed = doc == len(g.bundle.docs)-1 && g.origin.sealed[pointer]
	if n.tags, err = tagsOf(n.raw, n.where()); err != nil {
		return nil, err
	}
	if n.patterns, err = g.patternsOf(n); err != nil {
		return nil, err
	}
	n.kinds = kindsOf(n)
	n.bare = len(n.tags) == 0 && n.kinds&^jsondoc.KindNull == 0 && !n.describes()
	return n, g.connect(n)
}

// where names the place of a node in errors.
func (n *node) where() string {
	if n.pointer == "" {
		return "#"
	}
	return "#" + n.pointer
}

// legacyRef tells that a reference is all that counts in n.
func (n *node) legacyRef() bool {
	return n.c != nil && n.c.DraftVersion < 2019 && n.c.Ref != nil
}

// describes tells whether n has a keyword for what is inside of values.
func (n *node) describes() bool {
	c := n.c
	if c == nil || n.legacyRef() {
		return false
	}
	return len(c.Properties)+len(c.PatternProperties)+len(c.PrefixItems) > 0 ||
		c.AdditionalProperties != nil || c.UnevaluatedProperties != nil || c.Items != nil ||
		c.AdditionalItems != nil || c.Items2020 != nil || c.Contains != nil || c.UnevaluatedItems != nil
}

// connect finds the subschemas that apply to the same value as n.
func (g *graph) connect(n *node) error {
	c := n.c
	add := func(sure bool, list ...*js.Schema) error {
		for _, s := range list {
			if s == nil {
				continue
			}
			inner, err := g.node(s)
			if err != nil {
				return err
			}
			n.same = append(n.same, inner)
			if sure {
				n.sure = append(n.sure, inner)
			}
		}
		return nil
	}
	if n.legacyRef() {
		return add(true, c.Ref)
	}
	err := errors.Join(
		add(true, c.Ref, c.RecursiveRef),
		add(true, c.AllOf...),
		add(false, c.AnyOf...),
		add(false, c.OneOf...),
		add(false, c.If, c.Then, c.Else),
	)
	if err != nil {
		return err
	}
	for _, s := range c.AnyOf {
		n.anyOf = append(n.anyOf, g.nodes[s])
	}
	for _, s := range c.OneOf {
		n.oneOf = append(n.oneOf, g.nodes[s])
	}
	if c.DynamicRef != nil {
		err = errors.Join(err, add(true, c.DynamicRef.Ref))
	}
	if err != nil {
		return err
	}
	for _, key := range n.raw.keys("dependencies") {
		if s, ok := c.Dependencies[key].(*js.Schema); ok {
			err = errors.Join(err, add(false, s))
		}
	}
	for _, key := range n.raw.keys("dependentSchemas") {
		err = errors.Join(err, add(false, c.DependentSchemas[key]))
	}
	return err
}

func (g *graph) patternsOf(n *node) ([]nodePattern, error) {
	if n.c == nil || n.legacyRef() {
		return nil, nil
	}
	byText := make(map[string]nodePattern, len(n.c.PatternProperties))
	for re, s := range n.c.PatternProperties {
		p, ok := re.(*pattern)
		if !ok {
			return nil, fmt.Errorf("jsonschema: %s: foreign regular expression", n.where())
		}
		inner, err := g.node(s)
		if err != nil {
			return nil, err
		}
		byText[p.source] = nodePattern{p, inner}
	}
	var out []nodePattern
	for _, key := range n.raw.keys("patternProperties") {
		out = append(out, byText[key])
	}
	return out, nil
}

// TagProperty is the schema keyword that holds tags.
const TagProperty = "confluent:tags"

const (
	maxTags      = 64  // written in one place
	maxFieldTags = 256 // with those of all that encloses the field
)

var errTags = errors.New("want an array of strings that are not empty")

func tagsOf(o object, where string) ([]string, error) {
	v, ok := o.get(TagProperty)
	if !ok {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("jsonschema: %s: %s: %w", where, TagProperty, errTags)
	}
	if len(list) > maxTags {
		return nil, fmt.Errorf("jsonschema: %s: more than %d tags", where, maxTags)
	}
	tags := make([]string, 0, len(list))
	for _, x := range list {
		t, ok := x.(string)
		if !ok || t == "" {
			return nil, fmt.Errorf("jsonschema: %s: %s: %w", where, TagProperty, errTags)
		}
		if !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	return tags, nil
}
