package jsonschema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

// Bounds of an expansion.
const (
	maxFields   = 65_536
	maxDepth    = 64      // of containers in a record
	maxPath     = 4096    // bytes of one path
	maxExpanded = 1 << 26 // bytes of all paths and tags
	maxVisits   = 1 << 22 // of subschemas
	maxPatterns = 64      // that apply in one place
	maxRules    = 1024
	maxRuleWork = 1 << 28
)

// A place is where values stand that the same subschemas apply to. Below a
// recursive reference is a place that points to the outer one.
type place struct {
	seeds []*node // that what encloses the place names for it
	nodes []*node // these, and all that may apply with them
	outer *place  // of a recursive reference
	path  string
	names [2]string // qualified: without what is no property, and with it
	tags  []string
	key   string // of what the subschemas say about the inside
	kinds jsondoc.Kinds
	field int // index into fields, or jsondoc.NoField
	omit  bool
	// sealed is true when a derived schema has the wrapped form here.
	sealed bool
	// integral is true when numbers here have no fraction.
	integral bool

	members  map[string]*place
	order    []string // of members
	patterns []patternPlace
	// several is the place of members that more than one pattern matches.
	several *place
	rest    *place // of members that no name and no pattern covers
	prefix  []*place
	items   *place
}

// A patternPlace is the place of members that one pattern matches, and no other.
// It is nil when nothing describes them.
type patternPlace struct {
	*pattern
	place *place
}

// children calls f for the places inside p, in the order of their fields.
func (p *place) children(f func(*place)) {
	for _, name := range p.order {
		f(p.members[name])
	}
	for _, pp := range p.patterns {
		if pp.place != nil {
			f(pp.place)
		}
	}
	for _, c := range []*place{p.several, p.rest} {
		if c != nil {
			f(c)
		}
	}
	for _, c := range p.prefix {
		if c != nil {
			f(c)
		}
	}
	if p.items != nil {
		f(p.items)
	}
}

// leaf tells whether p describes nothing inside of its values.
func (p *place) leaf() bool {
	return len(p.members) == 0 && len(p.patterns) == 0 && p.several == nil && p.rest == nil && len(p.prefix) == 0 && p.items == nil
}

var errVisits = errors.New("jsonschema: too many subschemas that apply in too many places")

// expansion is one walk over the schema from the root.
type expansion struct {
	g       *graph
	rules   []schema.TagRule
	fields  []schema.Field
	above   []*place
	places  []*place
	visited map[*node]bool
	order   []*node // of visited
	nulls   nulls
	allowed allowed
	bytes   int // of paths and tags
	visits  int // of nodes
	work    int // with rules
}

// expand finds the places of the schema.
func (g *graph) expand(root *node, rules []schema.TagRule) (*place, *expansion, error) {
	e := &expansion{g: g, rules: rules, visited: map[*node]bool{}, nulls: nulls{}, allowed: allowed{}}
	p, err := e.place(&place{seeds: []*node{root}, names: [2]string{"$", "$"}}, nil, false)
	if err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, nil, errors.New("jsonschema: the schema takes no value")
	}
	if err := checkHollow(p); err != nil {
		return nil, nil, err
	}
	return p, e, g.checkTags(e.order)
}

// checkHollow fails when tags stand on a container that holds only containers,
// however deep one looks: there is no field for what they protect.
func checkHollow(root *place) error {
	above := map[*place][]*place{}
	full := map[*place]bool{}
	var all, open []*place
	root.walk(func(p *place) bool {
		all = append(all, p)
		if p.leaf() {
			full[p] = true
			open = append(open, p)
		}
		p.children(func(c *place) { above[c.real()] = append(above[c.real()], p) })
		return true
	})
	for len(open) > 0 {
		p := open[len(open)-1]
		open = open[:len(open)-1]
		for _, outer := range above[p] {
			if !full[outer] {
				full[outer] = true
				open = append(open, outer)
			}
		}
	}
	for _, p := range all {
		if len(p.tags) > 0 && !full[p] {
			return fmt.Errorf("jsonschema: %s: has tags, and holds nothing but containers", at(p.path))
		}
	}
	return nil
}

// at names a path in errors.
func at(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// gather fills in the nodes of p from its seeds. It returns false when no value
// can stand there.
func (e *expansion) gather(p *place) (bool, error) {
	seen := map[*node]bool{}
	open := make([]*node, 0, len(p.seeds))
	for _, n := range slices.Backward(p.seeds) {
		if !n.never {
			open = append(open, n)
		}
	}
	if len(open) == 0 {
		return false, nil
	}
	for len(open) > 0 {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		e.visits++
		if e.visits > maxVisits {
			return false, errVisits
		}
		if !e.visited[n] {
			e.visited[n] = true
			e.order = append(e.order, n)
		}
		p.nodes = append(p.nodes, n)
		for _, inner := range slices.Backward(n.same) {
			if !seen[inner] {
				open = append(open, inner)
			}
		}
	}
	var ids []int
	for _, n := range p.nodes {
		if !n.bare {
			ids = append(ids, n.id)
		}
		p.sealed = p.sealed || n.sealed
	}
	slices.Sort(ids)
	var key strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&key, "%d,", id)
	}
	p.key = key.String()
	return true, nil
}

// place expands p, which has its seeds, path and names. outer are the tags of what
// encloses it, innermost first. It is nil when no value can stand there.
func (e *expansion) place(p *place, outer []string, omittable bool) (*place, error) {
	ok, err := e.gather(p)
	if err != nil || !ok {
		return nil, err
	}
	if e.places = append(e.places, p); len(e.places) > maxFields {
		return nil, fmt.Errorf("jsonschema: schema expands to more than %d places", maxFields)
	}
	if err := e.tag(p, outer); err != nil {
		return nil, err
	}
	if p.key != "" {
		for _, a := range slices.Backward(e.above) {
			if a.key == p.key && sameTags(a.tags, p.tags) {
				same, err := e.sameRules(a, p)
				if err != nil {
					return nil, err
				}
				if same {
					p.outer, p.field = a, a.field
					return p, nil
				}
			}
		}
	}
	if len(e.above) > maxDepth {
		return nil, fmt.Errorf("jsonschema: %s: nests deeper than records can", at(p.path))
	}
	p.field = len(e.fields)
	e.fields = append(e.fields, schema.Field{})
	e.above = append(e.above, p)
	err = e.inside(p)
	e.above = e.above[:len(e.above)-1]
	if err != nil {
		return nil, err
	}
	e.describe(p, omittable)
	return p, nil
}

// tag finds the tags of p.
func (e *expansion) tag(p *place, outer []string) error {
	var own []string
	for _, n := range p.nodes {
		own = append(own, n.tags...)
	}
	for _, r := range e.rules {
		e.work += len(r.Pattern) * (len(p.path) + len(p.names[0]) + len(p.names[1]))
	}
	if e.work > maxRuleWork {
		return errors.New("jsonschema: too many tags beside the schema for a schema of that size")
	}
	own = append(own, schema.TagsFor(e.rules, at(p.path), p.names[0])...)
	if p.names[1] != p.names[0] {
		own = append(own, schema.TagsFor(e.rules, "", p.names[1])...)
	}
	p.tags = joinTags(own, outer)
	if len(p.tags) > maxFieldTags {
		return fmt.Errorf("jsonschema: %s: more than %d tags", at(p.path), maxFieldTags)
	}
	e.bytes += len(p.path) + len(p.names[0]) + len(p.names[1]) + len(p.tags)*16
	if len(p.path) > maxPath || e.bytes > maxExpanded {
		return errors.New("jsonschema: paths and tags are too long, all together")
	}
	return nil
}

// joinTags returns own and then outer, without repeats.
func joinTags(own, outer []string) []string {
	if len(own) == 0 {
		return outer
	}
	out := make([]string, 0, len(own)+len(outer))
	seen := make(map[string]bool, len(own)+len(outer))
	for _, list := range [][]string{own, outer} {
		for _, t := range list {
			if !seen[t] {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	return out
}

// sameTags tells whether inner, which has all of outer, has no more.
func sameTags(outer, inner []string) bool {
	return len(outer) == len(inner) && !slices.ContainsFunc(inner, func(t string) bool { return !slices.Contains(outer, t) })
}

// child returns a place inside p.
func (p *place) child(seeds []*node, step, name, form string) *place {
	return &place{
		seeds: seeds, path: p.path + "/" + step,
		names: [2]string{p.names[0] + name, p.names[1] + form},
	}
}

// describe makes the field of p, whose inside is known.
func (e *expansion) describe(p *place, omittable bool) {
	f := &e.fields[p.field]
	*f = schema.Field{
		Path: at(p.path), Tags: p.tags, Wrapped: schema.TypeString, Encoding: "json", Sealed: p.sealed,
	}
	kinds := e.kinds(p)
	f.Nullable = !slices.ContainsFunc(p.seeds, func(n *node) bool { return n.never || !e.nulls.takes(n.c) })
	if !f.Nullable && omittable {
		f.Nullable, p.omit = true, true
	}
	if !p.leaf() && len(p.tags) > 0 && kinds&scalarKinds != 0 {
		// A scalar here would be tagged, and nobody's field.
		e.collapse(p)
		kinds = 0
	}
	switch {
	case p.leaf():
		f = &e.fields[p.field]
		f.Type = scalarType(kinds)
		f.Numeric = kinds == 0 || kinds&(jsondoc.KindNumber|kindInteger) != 0
		f.Logical = logical(p.nodes, kinds)
		p.integral = kinds&kindInteger != 0 && kinds&jsondoc.KindNumber == 0
		return
	case kinds&^jsondoc.KindNull == jsondoc.KindObject:
		f.Type = schema.TypeRecord
		if len(p.members) == 0 {
			f.Type = schema.TypeMap
		}
	case kinds&^jsondoc.KindNull == jsondoc.KindArray:
		f.Type = schema.TypeArray
	default:
		f.Type = schema.TypeUnion
	}
	p.kinds = kinds
	if p.path == "" {
		// The root is no field, unless it is a leaf. Nothing refers to the fields by
		// index from outside yet.
		e.dropRoot()
		return
	}
	f.End = len(e.fields)
}

// kinds returns the kinds of values that are described at p.
func (e *expansion) kinds(p *place) jsondoc.Kinds {
	var kinds jsondoc.Kinds
	for _, n := range p.nodes {
		kinds |= n.kinds
	}
	if len(p.members)+len(p.patterns) > 0 || p.several != nil || p.rest != nil {
		kinds |= jsondoc.KindObject
	}
	if len(p.prefix) > 0 || p.items != nil {
		kinds |= jsondoc.KindArray
	}
	// A type that a branch names is none that values have when the schema around it
	// forbids it.
	var possible jsondoc.Kinds
	for _, n := range p.seeds {
		possible |= e.allowed.of(n)
	}
	if kinds&possible != 0 {
		kinds &= possible
	}
	return kinds
}

// collapse makes a leaf of p, which has the tags of everything inside.
func (e *expansion) collapse(p *place) {
	var tags []string
	for i := range e.fields[p.field+1:] {
		tags = append(tags, e.fields[p.field+1+i].Tags...)
	}
	e.fields = e.fields[:p.field+1]
	p.members, p.order, p.patterns, p.several, p.rest, p.prefix, p.items = nil, nil, nil, nil, nil, nil, nil
	p.tags = joinTags(tags, p.tags)
	e.fields[p.field].Tags = p.tags
}

// dropRoot takes the field of the root away, which comes before all others.
func (e *expansion) dropRoot() {
	e.fields = e.fields[1:]
	for _, p := range e.places {
		p.field--
	}
	for i := range e.fields {
		if e.fields[i].End != 0 {
			e.fields[i].End--
		}
	}
}
