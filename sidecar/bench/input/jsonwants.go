package input

import (
	"math/big"
	"reflect"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// wants are what all the schemas that apply to one value ask of it.
type wants struct {
	typed  bool
	types  []string
	listed bool // there is an enum or a const
	values []any

	least, most                     *big.Rat // nil for none
	leastOpen, mostOpen             bool     // the bound itself is no value
	steps                           []*big.Rat
	minLength, maxLength            int // -1 for none
	expressions                     []js.Regexp
	formats                         []*js.Format
	minItems, maxItems, minContains int
	unique                          bool
	contains                        []*js.Schema

	minProperties, maxProperties int
	required                     map[string]bool
	dependent                    map[string][]string
	properties                   map[string][]*js.Schema
	patterns                     []js.Regexp
	additional                   []*js.Schema // of members without a name
	schemas                      []*js.Schema // all that apply
}

// gather follows references and chooses branches.
func (j *jsonMaker) gather(list []*js.Schema, path string, depth int) (*wants, error) {
	w := &wants{
		minLength: -1, maxLength: -1, maxItems: -1, maxProperties: -1, required: make(map[string]bool),
		dependent: make(map[string][]string), properties: make(map[string][]*js.Schema),
	}
	known := make(map[*js.Schema]bool)
	for len(list) > 0 {
		s := list[0]
		list = list[1:]
		if s == nil || known[s] {
			continue
		}
		known[s] = true
		if s.Bool != nil && !*s.Bool {
			return nil, &KeywordError{path, "false"}
		}
		if s.Ref != nil && s.DraftVersion < 2019 {
			list = append(list, s.Ref) // what stands beside it does not count
			continue
		}
		list = append(list, s.Ref, s.RecursiveRef)
		if s.DynamicRef != nil {
			list = append(list, s.DynamicRef.Ref)
		}
		list = append(list, s.AllOf...)
		for _, of := range [][]*js.Schema{s.AnyOf, s.OneOf} {
			if len(of) > 0 {
				list = append(list, j.branch(of, depth))
			}
		}
		switch {
		case s.If == nil:
		case s.Then != nil && j.chance(2):
			list = append(list, s.If, s.Then)
		default:
			list = append(list, s.Else)
		}
		w.add(s)
	}
	return w, nil
}

// branch chooses one of several schemas. Where the record is to end, it is one
// that ends.
func (j *jsonMaker) branch(of []*js.Schema, depth int) *js.Schema {
	if j.tight(depth) {
		for _, s := range of {
			if s.Types != nil && !slices.ContainsFunc(s.Types.ToStrings(), func(t string) bool { return t == "object" || t == "array" }) {
				return s
			}
		}
		if i := slices.IndexFunc(of, j.ends); i >= 0 {
			return of[i]
		}
	}
	return of[j.n(0, len(of)-1)]
}

func (w *wants) add(s *js.Schema) {
	w.schemas = append(w.schemas, s)
	if s.Types != nil && !s.Types.IsEmpty() {
		w.narrow(s.Types.ToStrings())
	}
	if s.Const != nil {
		w.list([]any{*s.Const})
	}
	if s.Enum != nil {
		w.list(s.Enum.Values)
	}
	w.addNumber(s)
	w.minLength, w.maxLength = stronger(w.minLength, s.MinLength, true), stronger(w.maxLength, s.MaxLength, false)
	if s.Pattern != nil {
		w.expressions = append(w.expressions, s.Pattern)
	}
	if s.Format != nil {
		w.formats = append(w.formats, s.Format)
	}
	w.minItems, w.maxItems = max(stronger(w.minItems, s.MinItems, true), 0), stronger(w.maxItems, s.MaxItems, false)
	w.unique = w.unique || s.UniqueItems
	if s.Contains != nil {
		w.contains = append(w.contains, s.Contains)
		w.minContains = max(w.minContains, 1)
		if s.MinContains != nil {
			w.minContains = *s.MinContains
		}
	}
	w.addObject(s)
}

func (w *wants) addObject(s *js.Schema) {
	w.minProperties = max(stronger(w.minProperties, s.MinProperties, true), 0)
	w.maxProperties = stronger(w.maxProperties, s.MaxProperties, false)
	for _, name := range s.Required {
		w.required[name] = true
	}
	for name, also := range s.DependentRequired {
		w.dependent[name] = append(w.dependent[name], also...)
	}
	for name, d := range s.Dependencies {
		if also, ok := d.([]string); ok {
			w.dependent[name] = append(w.dependent[name], also...)
		}
	}
	for name, of := range s.Properties {
		w.properties[name] = append(w.properties[name], of)
	}
	patterns := make([]js.Regexp, 0, len(s.PatternProperties))
	for re := range s.PatternProperties {
		patterns = append(patterns, re)
	}
	slices.SortFunc(patterns, func(a, b js.Regexp) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	w.patterns = append(w.patterns, patterns...)
	if of, ok := s.AdditionalProperties.(*js.Schema); ok && (of.Bool == nil || *of.Bool) {
		w.additional = append(w.additional, of)
	}
}

// narrow keeps the types that are in both lists. A number may be an integer.
func (w *wants) narrow(types []string) {
	if !w.typed {
		w.typed, w.types = true, types
		return
	}
	var both []string
	for _, t := range w.types {
		switch {
		case slices.Contains(types, t), t == "integer" && slices.Contains(types, "number"):
			both = append(both, t)
		case t == "number" && slices.Contains(types, "integer"):
			both = append(both, "integer")
		}
	}
	w.types = both
}

// list keeps the values that are in both lists.
func (w *wants) list(values []any) {
	if !w.listed {
		w.listed, w.values = true, values
		return
	}
	w.values = slices.DeleteFunc(slices.Clone(w.values), func(v any) bool {
		return !slices.ContainsFunc(values, func(o any) bool { return reflect.DeepEqual(v, o) })
	})
}

// guess returns a type for a value of which no keyword tells it.
func (w *wants) guess(s shape) string {
	switch {
	case len(w.properties) > 0 || len(w.required) > 0 || len(w.patterns) > 0 || w.additional != nil:
		return "object"
	case w.minItems > 0 || w.contains != nil || slices.ContainsFunc(w.schemas, func(s *js.Schema) bool {
		return s.Items != nil || s.Items2020 != nil || len(s.PrefixItems) > 0
	}):
		return "array"
	case w.least != nil || w.most != nil || w.steps != nil || s >= shapeLatitude && s <= shapeRatio && w.minLength < 0 && w.expressions == nil:
		return "number"
	default:
		return "string"
	}
}

// itemsAt returns the schemas of an item, nil where there may be none or where no
// schema describes it.
func (w *wants) itemsAt(i int) []*js.Schema {
	var out []*js.Schema
	for _, s := range w.schemas {
		first := s.PrefixItems
		rest := s.Items2020
		switch items := s.Items.(type) {
		case *js.Schema:
			rest = items
		case []*js.Schema:
			first = items
			if also, ok := s.AdditionalItems.(*js.Schema); ok {
				rest = also
			}
		}
		switch {
		case i < len(first):
			out = append(out, first[i])
		case rest != nil && rest.Bool != nil && !*rest.Bool:
			return nil
		case s.AdditionalItems == false && len(first) > 0:
			return nil
		case rest != nil:
			out = append(out, rest)
		}
	}
	if out == nil && i < w.minContains {
		return []*js.Schema{}
	}
	return out
}

// member returns the schemas of a member, nil where none describes it, and how a
// path spells it where that is not by its name.
func (w *wants) member(name string) (list []*js.Schema, segment string) {
	list = slices.Clone(w.properties[name])
	if len(list) == 0 {
		segment = "{}"
	}
	for _, s := range w.schemas {
		matched := s.Properties[name] != nil
		for _, re := range w.patterns {
			if of := s.PatternProperties[re]; of != nil && re.MatchString(name) {
				list, matched = append(list, of), true
			}
		}
		if of, ok := s.AdditionalProperties.(*js.Schema); ok && !matched {
			list = append(list, of)
		}
	}
	return list, segment
}

// barred tells whether a member can have no value.
func (w *wants) barred(name string) bool {
	return slices.ContainsFunc(w.properties[name], func(s *js.Schema) bool { return s.Bool != nil && !*s.Bool })
}

// stronger returns the stronger of two bounds, where -1 and nil are none.
func stronger(have int, also *int, least bool) int {
	switch {
	case also == nil:
		return have
	case have < 0:
		return *also
	case least:
		return max(have, *also)
	default:
		return min(have, *also)
	}
}
