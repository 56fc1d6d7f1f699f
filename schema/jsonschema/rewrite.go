package jsonschema

import (
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// rewrite returns the subschema n as it is in the place p, which has something
// wrapped inside.
func (r *rewriter) rewrite(n *node, p *place) (any, error) {
	c := n.keywords()
	if n.raw == nil || c == nil && !n.legacyRef() {
		return !n.never, nil
	}
	if err := r.checkPlace(p); err != nil {
		return nil, err
	}
	if n.doc != len(r.s.bundle.docs)-1 {
		return nil, r.misfit(p, "is declared in a referenced text, only what holds it can be wrapped")
	}
	out := make(object, 0, len(n.raw)+1)
	for _, m := range n.raw {
		var err error
		switch m.key {
		case "$ref":
			m, err = r.referTo(m, n.c.Ref, p)
		case "$recursiveRef":
			m, err = r.referTo(m, n.c.RecursiveRef, p)
		case "$dynamicRef":
			if n.c.DynamicRef != nil {
				m, err = r.referTo(m, n.c.DynamicRef.Ref, p)
			}
		default:
			if c == nil {
				break
			}
			switch m.key {
			case "oneOf":
				if !r.touchesAny(c.OneOf, p) {
					break
				}
				if len(c.AnyOf) > 0 {
					return nil, r.misfit(p, "oneOf and anyOf stand side by side, with a value that is wrapped inside")
				}
				out = append(out, member{oneOfProperty, true})
				m.key = "anyOf"
				m.value, err = r.list(m.value, c.OneOf, p, r.inPlace)
			case "uniqueItems", "maxContains":
				if r.inArray(p) {
					m.key = ownPrefix + m.key
				}
			default:
				m.value, err = r.keyword(m, c, p)
			}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// keyword returns what a keyword says in the place p.
func (r *rewriter) keyword(m member, c *js.Schema, p *place) (any, error) {
	switch m.key {
	case "properties":
		return r.each(m.value, func(key string) *js.Schema { return c.Properties[key] }, p, r.member)
	case "patternProperties":
		byText := map[string]*js.Schema{}
		for re, s := range c.PatternProperties {
			byText[re.String()] = s
		}
		return r.each(m.value, func(key string) *js.Schema { return byText[key] }, p, r.member)
	case "additionalProperties":
		return r.extra(m.value, c.AdditionalProperties, p)
	case "unevaluatedProperties":
		return r.member(m.value, c.UnevaluatedProperties, p)
	case "prefixItems":
		return r.list(m.value, c.PrefixItems, p, r.member)
	case "items":
		switch items := c.Items.(type) {
		case []*js.Schema:
			return r.list(m.value, items, p, r.member)
		case *js.Schema:
			return r.member(m.value, items, p)
		}
		return r.member(m.value, c.Items2020, p)
	case "additionalItems":
		return r.extra(m.value, c.AdditionalItems, p)
	case "unevaluatedItems":
		return r.member(m.value, c.UnevaluatedItems, p)
	case "contains":
		return r.member(m.value, c.Contains, p)
	case "allOf":
		return r.list(m.value, c.AllOf, p, r.inPlace)
	case "anyOf":
		return r.list(m.value, c.AnyOf, p, r.inPlace)
	case "then":
		return r.inPlace(m.value, c.Then, p)
	case "else":
		return r.inPlace(m.value, c.Else, p)
	case "dependencies":
		return r.each(m.value, func(key string) *js.Schema {
			s, _ := c.Dependencies[key].(*js.Schema)
			return s
		}, p, r.inPlace)
	case "dependentSchemas":
		return r.each(m.value, func(key string) *js.Schema { return c.DependentSchemas[key] }, p, r.inPlace)
	}
	return m.value, nil
}

// A rewriting gives the new form of the subschema v, which is c when compiled, of
// something in or inside of a place.
type rewriting func(v any, c *js.Schema, p *place) (any, error)

func (r *rewriter) each(v any, of func(string) *js.Schema, p *place, f rewriting) (any, error) {
	o, ok := v.(object)
	if !ok {
		return v, nil
	}
	out := make(object, len(o))
	for i, m := range o {
		var err error
		if m.value, err = f(m.value, of(m.key), p); err != nil {
			return nil, err
		}
		out[i] = m
	}
	return out, nil
}

func (r *rewriter) list(v any, of []*js.Schema, p *place, f rewriting) (any, error) {
	list, ok := v.([]any)
	if !ok || len(list) != len(of) {
		return v, nil
	}
	out := make([]any, len(list))
	for i, x := range list {
		var err error
		if out[i], err = f(x, of[i], p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// inPlace rewrites a subschema that applies to p as the one around it does.
func (r *rewriter) inPlace(v any, c *js.Schema, p *place) (any, error) {
	n := r.s.graph.nodes[c]
	if n == nil || !r.touches(n, p) {
		return v, nil
	}
	return r.rewrite(n, p)
}

// extra rewrites what may be a boolean that is no subschema.
func (r *rewriter) extra(v, compiled any, p *place) (any, error) {
	switch c := compiled.(type) {
	case bool:
		if c {
			return r.seed(v, r.s.graph.yes, p)
		}
	case *js.Schema:
		return r.member(v, c, p)
	}
	return v, nil
}

// member rewrites a subschema that applies to something inside of p.
func (r *rewriter) member(v any, c *js.Schema, p *place) (any, error) {
	n := r.s.graph.nodes[c]
	if n == nil {
		return v, nil
	}
	return r.seed(v, n, p)
}

func (r *rewriter) seed(v any, n *node, p *place) (any, error) {
	var wrapped, changed []*place
	others := 0
	p.children(func(child *place) {
		if !slices.Contains(child.seeds, n) {
			return
		}
		c := child.real()
		_, isWrapped := r.wrapped[c]
		switch {
		case isWrapped:
			wrapped = append(wrapped, c)
		case r.changed[c]:
			if !slices.Contains(changed, c) {
				changed = append(changed, c)
			}
		default:
			others++
		}
	})
	switch {
	case len(wrapped) == 0 && len(changed) == 0:
		return v, nil
	case len(changed) == 0 && others == 0:
		return r.wrap(n, v), nil
	case len(changed) == 0 && r.takesStrings(n.c) == allOfThem:
		// It has nothing against the strings, and there is another one that says
		// what they are, or the comparison at the end will not be content.
		return v, nil
	case len(wrapped) == 0 && len(changed) == 1 && others == 0:
		return r.rewrite(n, changed[0])
	}
	return nil, r.misfit(append(wrapped, changed...)[0], "the same subschema applies to other values that stay as they are")
}

// referTo rewrites a reference.
func (r *rewriter) referTo(m member, c *js.Schema, p *place) (member, error) {
	n := r.s.graph.nodes[c]
	if n == nil || !r.touches(n, p) {
		return m, nil
	}
	to, err := r.copyOf(n, p)
	return member{"$ref", to}, err
}

func (r *rewriter) touchesAny(list []*js.Schema, p *place) bool {
	return slices.ContainsFunc(list, func(c *js.Schema) bool {
		n := r.s.graph.nodes[c]
		return n != nil && r.touches(n, p)
	})
}

// touches tells whether a subschema of p has to change, because it, or one that
// applies with it, says something about what is wrapped.
func (r *rewriter) touches(n *node, p *place) bool {
	m, ok := r.touched[p]
	if !ok {
		m = r.findTouched(p)
		r.touched[p] = m
	}
	return m[n]
}

func (r *rewriter) findTouched(p *place) map[*node]bool {
	seeds := map[*node]bool{}
	p.children(func(c *place) {
		if r.affected(c) {
			for _, n := range c.seeds {
				seeds[n] = true
			}
		}
	})
	above := map[*node][]*node{}
	touched := map[*node]bool{}
	var open []*node
	for _, n := range p.nodes {
		for _, s := range n.same {
			above[s] = append(above[s], n)
		}
		if r.says(n, p, seeds) {
			touched[n] = true
			open = append(open, n)
		}
	}
	for len(open) > 0 {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		for _, outer := range above[n] {
			if !touched[outer] {
				touched[outer] = true
				open = append(open, outer)
			}
		}
	}
	return touched
}

// says tells whether a keyword of n itself is about one of the seeds.
func (r *rewriter) says(n *node, p *place, seeds map[*node]bool) bool {
	c := n.keywords()
	if c == nil {
		return false
	}
	if (c.UniqueItems || c.MaxContains != nil) && r.inArray(p) {
		return true
	}
	if c.AdditionalProperties == true || c.AdditionalItems == true {
		if seeds[r.s.graph.yes] {
			return true
		}
	}
	for _, s := range structural(c) {
		if inner := r.s.graph.nodes[s]; inner != nil && seeds[inner] {
			return true
		}
	}
	return false
}

// structural returns the subschemas of c that apply to something inside.
func structural(c *js.Schema) []*js.Schema {
	out := append([]*js.Schema{c.UnevaluatedProperties, c.Contains, c.Items2020, c.UnevaluatedItems}, c.PrefixItems...)
	for _, s := range c.Properties {
		out = append(out, s)
	}
	for _, s := range c.PatternProperties {
		out = append(out, s)
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

// inArray tells whether the items of p have something wrapped.
func (r *rewriter) inArray(p *place) bool {
	return p.items != nil && r.affected(p.items) || slices.ContainsFunc(p.prefix, r.affected)
}

// checkPlace fails when a keyword that applies to p depends on values that are
// wrapped inside.
func (r *rewriter) checkPlace(p *place) error {
	if r.checked[p] {
		return nil
	}
	r.checked[p] = true
	for _, n := range p.nodes {
		c := n.keywords()
		if c == nil {
			continue
		}
		if listsContainers(c) {
			return r.misfit(p, "enum or const names values of which a part is wrapped")
		}
		if r.looks(c.Not, p, map[*js.Schema]bool{}) {
			return r.misfit(p, "not depends on a value that is wrapped inside")
		}
		if r.looks(c.If, p, map[*js.Schema]bool{}) {
			return r.misfit(p, "if depends on a value that is wrapped inside")
		}
	}
	return nil
}

func listsContainers(c *js.Schema) bool {
	container := func(v any) bool {
		switch v.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	}
	return c.Const != nil && container(*c.Const) || c.Enum != nil && slices.ContainsFunc(c.Enum.Values, container)
}

// looks tells whether a subschema of p may depend on something that is wrapped.
func (r *rewriter) looks(c *js.Schema, p *place, seen map[*js.Schema]bool) bool {
	if c == nil || seen[c] {
		return false
	}
	seen[c] = true
	if listsContainers(c) || (c.UniqueItems || c.Contains != nil || c.Items != nil || c.Items2020 != nil || c.PrefixItems != nil || c.UnevaluatedItems != nil) && r.inArray(p) {
		return true
	}
	for name := range c.Properties {
		if m := p.members[name]; m != nil && r.affected(m) {
			return true
		}
	}
	if len(c.PatternProperties) > 0 || c.AdditionalProperties != nil && c.AdditionalProperties != true || c.UnevaluatedProperties != nil {
		return true
	}
	same := []*js.Schema{c.Ref, c.RecursiveRef, c.Not, c.If, c.Then, c.Else}
	if c.DynamicRef != nil {
		same = append(same, c.DynamicRef.Ref)
	}
	same = slices.Concat(same, c.AllOf, c.AnyOf, c.OneOf)
	for _, s := range c.DependentSchemas {
		same = append(same, s)
	}
	for _, s := range c.Dependencies {
		if s, ok := s.(*js.Schema); ok {
			same = append(same, s)
		}
	}
	return slices.ContainsFunc(same, func(s *js.Schema) bool { return r.looks(s, p, seen) })
}
