package jsonschema

import (
	"encoding/json"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

// kindInteger is a kind of the schema language alone: a number like others in a
// document.
const kindInteger = jsondoc.KindNull << 1

const scalarKinds = jsondoc.KindString | jsondoc.KindNumber | jsondoc.KindBoolean | kindInteger

// kindOf returns the kind that a type has.
func kindOf(name string) jsondoc.Kinds {
	switch name {
	case "object":
		return jsondoc.KindObject
	case "array":
		return jsondoc.KindArray
	case "string":
		return jsondoc.KindString
	case "number":
		return jsondoc.KindNumber
	case "integer":
		return kindInteger
	case "boolean":
		return jsondoc.KindBoolean
	case "null":
		return jsondoc.KindNull
	}
	return 0
}

// kindOfValue returns the kind of a value in a schema.
func kindOfValue(v any) jsondoc.Kinds {
	switch v.(type) {
	case object:
		return jsondoc.KindObject
	case []any:
		return jsondoc.KindArray
	case string:
		return jsondoc.KindString
	case json.Number:
		return jsondoc.KindNumber
	case bool:
		return jsondoc.KindBoolean
	}
	return jsondoc.KindNull
}

// kindsOf returns the kinds that a subschema itself names, by type or else by the
// values that it lists. Zero means that it names none.
func kindsOf(n *node) jsondoc.Kinds {
	if n.raw == nil || n.legacyRef() {
		return 0
	}
	var kinds jsondoc.Kinds
	switch t, _ := n.raw.get("type"); t := t.(type) {
	case string:
		return kindOf(t)
	case []any:
		for _, x := range t {
			name, _ := x.(string)
			kinds |= kindOf(name)
		}
		return kinds
	}
	if v, ok := n.raw.get("const"); ok && n.c.Const != nil {
		return kindOfValue(v)
	}
	if v, _ := n.raw.get("enum"); n.c.Enum != nil {
		list, _ := v.([]any)
		for _, x := range list {
			kinds |= kindOfValue(x)
		}
	}
	return kinds
}

// scalarType returns the type of a leaf whose values have the kinds, apart from
// null. It is TypeJSON when there is no single one.
func scalarType(kinds jsondoc.Kinds) schema.Type {
	null := kinds&jsondoc.KindNull != 0
	switch kinds &^ jsondoc.KindNull {
	case jsondoc.KindString:
		return schema.TypeString
	case jsondoc.KindNumber, jsondoc.KindNumber | kindInteger:
		return schema.TypeNumber
	case kindInteger:
		return schema.TypeInteger
	case jsondoc.KindBoolean:
		return schema.TypeBoolean
	case 0:
		if null {
			return schema.TypeNull
		}
	default:
	}
	return schema.TypeJSON
}

const allKinds = ^jsondoc.Kinds(0)

// allowed holds the kinds that values may have where a subschema applies, by what
// it says of types.
type allowed map[*node]jsondoc.Kinds

func (m allowed) of(n *node) jsondoc.Kinds {
	if n.never {
		return 0
	}
	if kinds, known := m[n]; known {
		return kinds
	}
	m[n] = allKinds // for references in a circle
	kinds := allKinds
	if n.kinds != 0 {
		kinds = n.kinds
		if kinds&jsondoc.KindNumber != 0 {
			kinds |= kindInteger
		}
	}
	for _, s := range n.sure {
		kinds &= m.of(s)
	}
	for _, branches := range [][]*node{n.anyOf, n.oneOf} {
		if len(branches) == 0 {
			continue
		}
		var some jsondoc.Kinds
		for _, s := range branches {
			some |= m.of(s)
		}
		kinds &= some
	}
	m[n] = kinds
	return kinds
}

// nulls tells which subschemas null satisfies. Keywords for other kinds of values
// have no say.
type nulls map[*js.Schema]bool

func (m nulls) takes(c *js.Schema) bool {
	if c == nil {
		return true
	}
	if ok, known := m[c]; known {
		return ok
	}
	m[c] = false // nothing satisfies a cycle of references
	ok := m.decide(c)
	m[c] = ok
	return ok
}

func (m nulls) decide(c *js.Schema) bool {
	if c.Bool != nil {
		return *c.Bool
	}
	if c.Ref != nil && c.DraftVersion < 2019 {
		return m.takes(c.Ref)
	}
	if c.Types != nil && !slices.Contains(c.Types.ToStrings(), "null") ||
		c.Const != nil && *c.Const != nil ||
		c.Enum != nil && !slices.Contains(c.Enum.Values, nil) ||
		!m.takes(c.Ref) || !m.takes(c.RecursiveRef) || c.Not != nil && m.takes(c.Not) {
		return false
	}
	if c.DynamicRef != nil && !m.takes(c.DynamicRef.Ref) {
		return false
	}
	taken := func(list []*js.Schema) int {
		n := 0
		for _, s := range list {
			if m.takes(s) {
				n++
			}
		}
		return n
	}
	if taken(c.AllOf) < len(c.AllOf) || c.AnyOf != nil && taken(c.AnyOf) == 0 || c.OneOf != nil && taken(c.OneOf) != 1 {
		return false
	}
	if c.If != nil {
		if m.takes(c.If) {
			return m.takes(c.Then)
		}
		return m.takes(c.Else)
	}
	return true
}
