package jsonschema

import (
	"fmt"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

// inside expands the places inside p.
func (e *expansion) inside(p *place) error {
	for _, name := range namesOf(p) {
		if e.visits += len(p.nodes); e.visits > maxVisits {
			return errVisits
		}
		seeds, err := e.named(p, name)
		if err != nil {
			return err
		}
		segment := jsondoc.Segment(name)
		c, err := e.place(p.child(seeds, segment, "."+name, "."+name), p.tags, omittable(p, name))
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		if p.members == nil {
			p.members = map[string]*place{}
		}
		p.members[name] = c
		p.order = append(p.order, name)
	}
	if err := e.unnamed(p); err != nil {
		return err
	}
	return e.inArray(p)
}

// keywords returns the compiled keywords of n, or nil when it has none that count.
func (n *node) keywords() *js.Schema {
	if n.c == nil || n.c.Bool != nil || n.legacyRef() {
		return nil
	}
	return n.c
}

// namesOf returns the names of members that are written in the schema.
func namesOf(p *place) []string {
	var names []string
	seen := map[string]bool{}
	for _, n := range p.nodes {
		if c := n.keywords(); c == nil || len(c.Properties) == 0 {
			continue
		}
		for _, name := range n.raw.keys("properties") {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// named returns the subschemas for a member of a name.
func (e *expansion) named(p *place, name string) ([]*node, error) {
	var seeds []*node
	add := func(n *node, err error) error {
		if err == nil && n != nil && !slices.Contains(seeds, n) {
			seeds = append(seeds, n)
		}
		return err
	}
	for _, n := range p.nodes {
		c := n.keywords()
		if c == nil {
			continue
		}
		own := false
		if s, ok := c.Properties[name]; ok {
			own = true
			if err := add(e.g.node(s)); err != nil {
				return nil, err
			}
		}
		for _, np := range n.patterns {
			e.visits++
			if np.MatchString(name) {
				own = true
				if err := add(np.node, nil); err != nil {
					return nil, err
				}
			}
		}
		if !own {
			if err := add(e.additional(n, "additionalProperties", c.AdditionalProperties)); err != nil {
				return nil, err
			}
		}
		if c.UnevaluatedProperties != nil && !e.evaluates(n, name, map[*node]bool{}) {
			if err := add(e.g.node(c.UnevaluatedProperties)); err != nil {
				return nil, err
			}
		}
	}
	return seeds, nil
}

// additional returns the node of additionalProperties or additionalItems, or nil.
func (e *expansion) additional(n *node, keyword string, v any) (*node, error) {
	switch v := v.(type) {
	case bool:
		if v && n.doc == len(e.g.bundle.docs)-1 && e.g.origin.sealed[n.pointer+"/"+keyword] {
			return e.g.wraps, nil
		}
		if v {
			return e.g.yes, nil
		}
	case *js.Schema:
		return e.g.node(v)
	}
	return nil, nil
}

// evaluates tells whether n covers a member whenever it applies, so that its
// unevaluatedProperties have no say.
func (e *expansion) evaluates(n *node, name string, above map[*node]bool) bool {
	if above[n] {
		return false
	}
	above[n] = true
	e.visits++
	if c := n.keywords(); c != nil {
		if _, ok := c.Properties[name]; ok || c.AdditionalProperties != nil {
			return true
		}
		for _, np := range n.patterns {
			if np.MatchString(name) {
				return true
			}
		}
	}
	return slices.ContainsFunc(n.sure, func(s *node) bool { return e.evaluates(s, name, above) })
}

// omittable tells whether the schema lets an object be without a member.
func omittable(p *place, name string) bool {
	for _, n := range p.nodes {
		c := n.keywords()
		if c == nil {
			continue
		}
		if slices.Contains(c.Required, name) || c.MinProperties != nil {
			return false
		}
		for _, list := range c.DependentRequired {
			if slices.Contains(list, name) {
				return false
			}
		}
		for _, v := range c.Dependencies {
			if list, ok := v.([]string); ok && slices.Contains(list, name) {
				return false
			}
		}
	}
	return true
}

// unnamed expands the places of members that the schema has no name for.
func (e *expansion) unnamed(p *place) error {
	var patterns []*pattern
	for _, n := range p.nodes {
		for _, np := range n.patterns {
			if !slices.ContainsFunc(patterns, func(q *pattern) bool { return q.source == np.source }) {
				patterns = append(patterns, np.pattern)
			}
		}
		if len(patterns) > maxPatterns {
			return fmt.Errorf("jsonschema: %s: more than %d patterns", at(p.path), maxPatterns)
		}
	}
	u := unnamed{e: e, p: p, optional: omittable(p, "")}
	overlap := map[string]bool{}
	for i, re := range patterns {
		one := map[string]bool{re.source: true}
		c, err := u.place(one, false)
		if err != nil {
			return err
		}
		p.patterns = append(p.patterns, patternPlace{re, c})
		for _, other := range patterns[:i] {
			if !re.disjoint(other) {
				overlap[re.source], overlap[other.source] = true, true
			}
		}
	}
	var err error
	if len(overlap) > 0 {
		if p.several, err = u.place(overlap, true); err != nil {
			return err
		}
	}
	p.rest, err = u.place(nil, false)
	if len(patterns) > 0 && !slices.ContainsFunc(p.patterns, func(pp patternPlace) bool { return pp.place != nil }) && p.several == nil {
		// All that they do is to forbid, or to keep members from the rest.
		if p.rest == nil {
			p.patterns = nil
		}
	}
	return err
}

// unnamed makes the places of members without a name. Those that the same
// subschemas apply to are one.
type unnamed struct {
	e        *expansion
	p        *place
	optional bool
	made     []*place
}

// place returns the place of members that match the patterns and no others. When
// several is true, they match at least two of them.
func (u *unnamed) place(matching map[string]bool, several bool) (*place, error) {
	var seeds []*node
	add := func(n *node) {
		if n != nil && !n.never && !slices.Contains(seeds, n) {
			seeds = append(seeds, n)
		}
	}
	for _, n := range u.p.nodes {
		c := n.keywords()
		if c == nil {
			continue
		}
		own := 0
		for _, np := range n.patterns {
			if matching[np.source] {
				own++
				add(np.node)
			}
		}
		if own == 0 || several && len(matching)-own > 1 {
			extra, err := u.e.additional(n, "additionalProperties", c.AdditionalProperties)
			if err != nil {
				return nil, err
			}
			add(extra)
		}
		if c.UnevaluatedProperties != nil && !evaluatesAll(n, map[*node]bool{}) {
			extra, err := u.e.g.node(c.UnevaluatedProperties)
			if err != nil {
				return nil, err
			}
			add(extra)
		}
	}
	if len(seeds) == 0 {
		return nil, nil
	}
	for _, c := range u.made {
		if slices.Equal(c.seeds, seeds) {
			return c, nil
		}
	}
	c, err := u.e.place(u.p.child(seeds, "{}", "", "{}"), u.p.tags, u.optional)
	if err != nil || c == nil {
		return nil, err
	}
	u.e.share(c, u.made)
	u.made = append(u.made, c)
	return c, nil
}

// evaluatesAll tells whether n covers every member whenever it applies.
func evaluatesAll(n *node, above map[*node]bool) bool {
	if above[n] {
		return false
	}
	above[n] = true
	if c := n.keywords(); c != nil && c.AdditionalProperties != nil {
		return true
	}
	return slices.ContainsFunc(n.sure, func(s *node) bool { return evaluatesAll(s, above) })
}

// share drops the field of c when it is a leaf that another place beside it
// describes in the same way.
func (e *expansion) share(c *place, others []*place) {
	if c.outer != nil || !c.leaf() {
		return
	}
	for _, o := range others {
		if o.outer == nil && o.leaf() && sameField(e, o.field, c.field) && o.omit == c.omit {
			e.fields = e.fields[:c.field]
			c.field = o.field
			return
		}
	}
}

func sameField(e *expansion, i, j int) bool {
	f, g := &e.fields[i], &e.fields[j]
	return f.Path == g.Path && f.Type == g.Type && f.Logical == g.Logical && f.Nullable == g.Nullable &&
		f.Sealed == g.Sealed && f.Numeric == g.Numeric && slices.Equal(f.Tags, g.Tags)
}

// inArray expands the places of items.
func (e *expansion) inArray(p *place) error {
	longest := 0
	for _, n := range p.nodes {
		if c := n.keywords(); c != nil {
			longest = max(longest, len(c.PrefixItems))
			if list, ok := c.Items.([]*js.Schema); ok {
				longest = max(longest, len(list))
			}
		}
	}
	var made []*place
	item := func(i int) (*place, error) {
		seeds, err := e.itemSeeds(p, i)
		if err != nil || len(seeds) == 0 {
			return nil, err
		}
		for _, c := range made {
			if slices.Equal(c.seeds, seeds) {
				return c, nil
			}
		}
		c, err := e.place(p.child(seeds, "[]", "", "[]"), p.tags, false)
		if err != nil || c == nil {
			return nil, err
		}
		e.share(c, made)
		made = append(made, c)
		return c, nil
	}
	for i := range longest {
		if e.visits += len(p.nodes); e.visits > maxVisits {
			return errVisits
		}
		c, err := item(i)
		if err != nil {
			return err
		}
		p.prefix = append(p.prefix, c)
	}
	var err error
	if p.items, err = item(-1); err != nil {
		return err
	}
	if i := slices.Index(p.prefix, nil); i >= 0 {
		// Where no item may stand, none may come behind.
		if p.items != nil || slices.ContainsFunc(p.prefix[i:], func(c *place) bool { return c != nil }) {
			return fmt.Errorf("jsonschema: %s: item %d is not allowed, and items behind it are", at(p.path), i)
		}
		p.prefix = p.prefix[:i]
	}
	return nil
}

// itemSeeds returns the subschemas for the item of an index, which is negative for
// those behind all that have their own.
func (e *expansion) itemSeeds(p *place, i int) ([]*node, error) {
	var seeds []*node
	add := func(n *node, err error) error {
		if err == nil && n != nil && !n.never && !slices.Contains(seeds, n) {
			seeds = append(seeds, n)
		}
		return err
	}
	for _, n := range p.nodes {
		c := n.keywords()
		if c == nil {
			continue
		}
		prefix, rest := c.PrefixItems, any(c.Items2020)
		switch items := c.Items.(type) {
		case []*js.Schema:
			prefix, rest = items, c.AdditionalItems
		case *js.Schema:
			rest = items
		}
		if s, ok := rest.(*js.Schema); ok && s == nil {
			rest = nil
		}
		var err error
		if i >= 0 && i < len(prefix) {
			err = add(e.g.node(prefix[i]))
		} else {
			err = add(e.additional(n, "additionalItems", rest))
		}
		if c.Contains != nil && err == nil {
			err = add(e.g.node(c.Contains))
		}
		if c.UnevaluatedItems != nil && rest == nil && (i < 0 || i >= len(prefix)) && err == nil {
			err = add(e.g.node(c.UnevaluatedItems))
		}
		if err != nil {
			return nil, err
		}
	}
	return seeds, nil
}
