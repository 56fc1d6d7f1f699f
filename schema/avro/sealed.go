package avro

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// Properties of derived schemas. Readers of Avro pass over properties that they
// do not know, so to them a derived schema is one with fields of type bytes.
const (
	// TypeProperty holds the complete original type of what is wrapped: on a
	// record field, that of the field; on a type {"type":"bytes"} that is an
	// item, a value, a branch or the root, that of this place. All names in it
	// are defined in it.
	TypeProperty = "fieldveil.type"
	// DerivedProperty stands at the root, or on the first branch of a root that
	// is a union: {"id": 7, "sha256": "..."} of the original.
	DerivedProperty = "fieldveil.derived"
	// UseTagsProperty stands on a definition, and holds tags that count for this
	// use of the type alone, as tags on a reference do.
	UseTagsProperty = "fieldveil.tags"

	propertyPrefix = "fieldveil."
)

// Origin returns what the schema was derived from, and false for an original.
func (s *Schema) Origin() (schema.Origin, bool) { return s.origin, s.derived }

// rawTypes returns the types in a bundle as they were written.
func rawTypes(doc string) ([]any, error) {
	v, err := readJSON(doc)
	if err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	root, _ := v.(object)
	list, _ := root.get("fields")
	fields, _ := list.([]any)
	var types []any
	for _, f := range fields {
		field, _ := f.(object)
		typ, _ := field.get("type")
		types = append(types, typ)
	}
	return types, nil
}

var errOrigin = fmt.Errorf(`avro: %s: want an id and the SHA-256 of the original`, DerivedProperty)

// findOrigin reads the property of a derived schema.
func (s *Schema) findOrigin(root any, b *builder) error {
	if union, ok := root.([]any); ok && len(union) > 0 {
		root = union[0]
	}
	obj, _ := root.(object)
	v, ok := obj.get(DerivedProperty)
	if !ok {
		return nil
	}
	origin, _ := v.(object)
	id, _ := origin.get("id")
	number, _ := id.(json.Number)
	n, err := strconv.Atoi(number.String())
	digest, bad := hex.DecodeString(origin.text("sha256"))
	if err != nil || n < 0 || bad != nil || len(digest) != len(s.origin.Digest) || len(origin) != 2 {
		return errOrigin
	}
	s.derived, s.origin, b.root = true, schema.Origin{ID: n, Digest: [32]byte(digest)}, obj
	return nil
}

// checkProperties refuses our properties where they say nothing: someone
// believed that they do.
func (b *builder) checkProperties(n *avro.SchemaNode, obj object, where string) error {
	for _, m := range obj {
		if !strings.HasPrefix(m.key, propertyPrefix) {
			continue
		}
		fits := false
		switch m.key {
		case TypeProperty:
			fits = n.Type == "bytes"
		case DerivedProperty:
			fits = len(b.root) > 0 && &b.root[0] == &obj[0]
		case UseTagsProperty:
			fits = n.Type == "record" || n.Type == "error" || n.Type == "enum" || n.Type == "fixed"
		}
		if !fits {
			return fmt.Errorf("avro: %s: property %.80q has no meaning here", at(where), m.key)
		}
	}
	return nil
}

// checkFieldProperties does the same for a record field.
func checkFieldProperties(field object, where string) error {
	for _, m := range field {
		if strings.HasPrefix(m.key, propertyPrefix) && m.key != TypeProperty {
			return fmt.Errorf("avro: %s: property %.80q has no meaning here", at(where), m.key)
		}
	}
	return nil
}

// useOf returns the use of a definition where it stands, which may have tags of
// its own.
func useOf(def *node, where string) (*node, error) {
	v, ok := def.raw.get(UseTagsProperty)
	if !ok {
		return def, nil
	}
	tags, err := tagList(v, UseTagsProperty, where)
	if err != nil {
		return nil, err
	}
	return &node{kind: kindReference, tags: tags, items: def}, nil
}

var (
	errLies   = errors.New(TypeProperty + " does not fit the type that stands there")
	errNested = errors.New(TypeProperty + " stands inside another one")
)

// original reads the type in a property.
func (b *builder) original(property any, where string, depth int) (*node, error) {
	if b.inside {
		return nil, fmt.Errorf("avro: %s: %w", at(where), errNested)
	}
	parsed, err := avro.Parse(string(appendJSON(nil, property)))
	if err != nil {
		return nil, fmt.Errorf("avro: %s: %s: %w", at(where), TypeProperty, err)
	}
	in := &builder{named: make(map[string]*node), inside: true}
	n, err := in.build(parsed.Root(), property, "", where, depth)
	if err != nil {
		return nil, err
	}
	b.sealed++
	b.defs = append(b.defs, in.defs...)
	if bare := n.bare(); !wrappable(bare) && bare.kind != "union" {
		return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
	}
	return n, nil
}

// wrappable tells whether values of n have to be wrapped to be hidden. The
// content of plain strings and bytes can be replaced.
func wrappable(n *node) bool {
	switch n.kind {
	case "null":
		return false
	case "string", "bytes":
		return n.logical != ""
	}
	return true
}

// others counts the branches of a union that are not null.
func others(n *node) int {
	count := 0
	for _, b := range n.branches {
		if b.kind != "null" {
			count++
		}
	}
	return count
}

// nullLast tells where null stands in the union that a union turns into when it
// is wrapped as a whole: where it was first it stays first, so that a default of
// null stays one.
func nullLast(n *node) bool { return nullBranch(n) > 0 }

func plain(n *avro.SchemaNode, kind string) bool {
	return n.Type == kind && n.LogicalType == "" && len(n.Props) == 0
}

// sealedField returns the type of a record field with the property, which the
// type beside it must be made from.
func (b *builder) sealedField(f *avro.SchemaField, property any, where string, depth int) (*node, error) {
	orig, err := b.original(property, where, depth)
	if err != nil {
		return nil, err
	}
	var want []string
	out := &node{kind: kindSealed, items: orig}
	switch {
	case orig.kind != "union":
		if !plain(&f.Type, "bytes") {
			return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
		}
		return out, nil
	case others(orig) == 0:
		return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
	case others(orig) == 1:
		out = &node{kind: orig.kind, tags: orig.tags}
		for _, br := range orig.branches {
			if br.kind == "null" {
				want = append(want, "null")
				out.branches = append(out.branches, br)
				continue
			}
			if !wrappable(br.bare()) {
				return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
			}
			want = append(want, "bytes")
			out.branches = append(out.branches, &node{kind: kindSealed, items: br})
		}
	case nullBranch(orig) < 0:
		if !plain(&f.Type, "bytes") {
			return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
		}
		return out, nil
	default:
		want = []string{"null", "bytes"}
		if nullLast(orig) {
			slices.Reverse(want)
		}
	}
	same := f.Type.Type == "union" && len(f.Type.Branches) == len(want)
	for i := range want {
		same = same && plain(&f.Type.Branches[i], want[i])
	}
	if !same {
		return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
	}
	return out, nil
}

// sealedType returns the type that {"type":"bytes"} with the property holds.
func (b *builder) sealedType(n *avro.SchemaNode, property any, where string, depth int) (*node, error) {
	orig, err := b.original(property, where, depth)
	if err != nil {
		return nil, err
	}
	props := len(n.Props) - 1
	if _, ok := n.Props[DerivedProperty]; ok {
		props--
	}
	if n.LogicalType != "" || props > 0 || orig.kind == "union" && others(orig) < 2 {
		return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
	}
	out := &node{kind: kindSealed, items: orig}
	if orig.kind == "union" && nullBranch(orig) >= 0 {
		// Null must stand beside it: the union around it takes it out.
		if b.loose == nil {
			b.loose = make(map[*node]string)
		}
		b.loose[out] = where
	}
	return out, nil
}

// sealedUnion returns the union that a union of null and bytes was made from,
// or n itself.
func (b *builder) sealedUnion(n *node, where string) (*node, error) {
	for i, br := range n.branches {
		if br.kind != kindSealed || br.items.kind != "union" {
			continue
		}
		_, null := b.loose[br]
		if !null || len(n.branches) != 2 || n.branches[1-i].kind != "null" || nullLast(br.items) != (i == 0) {
			return nil, fmt.Errorf("avro: %s: %w", at(where), errLies)
		}
		delete(b.loose, br)
		return br, nil
	}
	return n, nil
}

// checkSealed refuses properties that do not belong together.
func (s *Schema) checkSealed(b *builder, texts int) error {
	if s.derived != (b.sealed > 0) {
		return fmt.Errorf("avro: %s and %s stand in derived schemas, and nowhere without the other", DerivedProperty, TypeProperty)
	}
	if s.derived && texts > 1 {
		return errors.New("avro: a derived schema has no references")
	}
	for _, where := range slices.Sorted(maps.Values(b.loose)) {
		return fmt.Errorf("avro: %s: %w", at(where), errLies)
	}
	if !s.derived {
		return nil
	}
	// A type that is named in several properties has its definition in each. If
	// they differed, values of one would be read as those of another.
	seen := make(map[string]string)
	for _, def := range b.defs {
		text := definition(def)
		if before, ok := seen[def.name]; ok && before != text {
			return fmt.Errorf("avro: type %.80q is defined in two ways", def.name)
		}
		seen[def.name] = text
	}
	return nil
}

// definition spells one named type, with others in it by name.
func definition(n *node) string {
	var b strings.Builder
	var typ func(t *node, top bool)
	typ = func(t *node, top bool) {
		for t.kind == kindReference || t.kind == kindSealed {
			if t.kind == kindReference {
				fmt.Fprintf(&b, "%q", t.tags)
			}
			t = t.items
		}
		if t.name != "" && !top {
			fmt.Fprintf(&b, "%q", t.name)
			return
		}
		fmt.Fprintf(&b, "%s%s%q%q%d[", t.kind, t.logicalText(), t.tags, t.symbols, t.size)
		for i := range t.fields {
			f := &t.fields[i]
			fmt.Fprintf(&b, "%q%q%q", f.name, f.aliases, f.tags)
			typ(f.typ, false)
		}
		for _, br := range t.branches {
			typ(br, false)
		}
		if t.items != nil {
			typ(t.items, false)
		}
		b.WriteByte(']')
	}
	typ(n, true)
	return b.String()
}
