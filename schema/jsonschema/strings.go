package jsonschema

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// verdict says how many strings satisfy a subschema.
type verdict uint8

const (
	someOfThem verdict = iota // or it is not known
	noneOfThem
	allOfThem
)

// takesStrings tells which strings satisfy a subschema, as far as can be told
// without one. Nil stands for true.
func (r *rewriter) takesStrings(c *js.Schema) verdict {
	if c == nil {
		return allOfThem
	}
	if v, ok := r.strings[c]; ok {
		return v
	}
	r.strings[c] = someOfThem // for references in a circle
	v := r.judge(c)
	r.strings[c] = v
	return v
}

func both(list ...verdict) verdict {
	out := allOfThem
	for _, v := range list {
		if v == noneOfThem {
			return noneOfThem
		}
		if v == someOfThem {
			out = someOfThem
		}
	}
	return out
}

func (r *rewriter) judge(c *js.Schema) verdict {
	if c.Bool != nil {
		if *c.Bool {
			return allOfThem
		}
		return noneOfThem
	}
	if c.Ref != nil && c.DraftVersion < 2019 {
		return r.takesStrings(c.Ref)
	}
	out := both(r.takesStrings(c.Ref), r.takesStrings(c.RecursiveRef), r.listed(c))
	if c.DynamicRef != nil {
		out = both(out, r.takesStrings(c.DynamicRef.Ref))
	}
	for _, s := range c.AllOf {
		out = both(out, r.takesStrings(s))
	}
	count := func(list []*js.Schema) (all, none int) {
		for _, s := range list {
			switch r.takesStrings(s) {
			case allOfThem:
				all++
			case noneOfThem:
				none++
			case someOfThem:
			}
		}
		return all, none
	}
	if c.AnyOf != nil {
		switch all, none := count(c.AnyOf); {
		case none == len(c.AnyOf):
			return noneOfThem
		case all == 0:
			out = both(out, someOfThem)
		}
	}
	if c.OneOf != nil {
		switch all, none := count(c.OneOf); {
		case none == len(c.OneOf):
			return noneOfThem
		case all != 1 || all+none < len(c.OneOf):
			out = both(out, someOfThem)
		}
	}
	if c.Not != nil {
		switch r.takesStrings(c.Not) {
		case allOfThem:
			return noneOfThem
		case someOfThem:
			out = both(out, someOfThem)
		case noneOfThem:
		}
	}
	if c.If != nil {
		switch r.takesStrings(c.If) {
		case allOfThem:
			out = both(out, r.takesStrings(c.Then))
		case noneOfThem:
			out = both(out, r.takesStrings(c.Else))
		default:
			if then := r.takesStrings(c.Then); then == r.takesStrings(c.Else) {
				out = both(out, then)
			} else {
				out = both(out, someOfThem)
			}
		}
	}
	return out
}

// listed looks at the keywords that speak of strings themselves.
func (r *rewriter) listed(c *js.Schema) verdict {
	if c.Types != nil && !slices.Contains(c.Types.ToStrings(), "string") {
		return noneOfThem
	}
	isString := func(v any) bool { _, ok := v.(string); return ok }
	if c.Const != nil && !isString(*c.Const) || c.Enum != nil && !slices.ContainsFunc(c.Enum.Values, isString) {
		return noneOfThem
	}
	v, _, _, err := r.s.bundle.raw(c.Location)
	o, _ := v.(object)
	if err != nil {
		return someOfThem
	}
	for _, key := range []string{
		"const", "enum", "format", "pattern", "minLength", "maxLength", "contentEncoding", "contentMediaType", "contentSchema",
	} {
		if _, ok := o.get(key); ok {
			return someOfThem
		}
	}
	return allOfThem
}

func jsonNumber(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// escapeFragment spells a token for the fragment of a URI.
func escapeFragment(s string) string { return url.PathEscape(s) }
