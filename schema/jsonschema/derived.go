package jsonschema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// Keywords of a derived schema.
const (
	// TypeProperty stands in the subschema of a wrapped value, and holds the
	// subschema that was there before.
	TypeProperty = ownPrefix + "type"
	// copyProperty stands in a definition that Derive made, and holds the JSON
	// Pointer of the subschema that it was made of.
	copyProperty = ownPrefix + "copy"
	// oneOfProperty stands beside an anyOf that was a oneOf.
	oneOfProperty = ownPrefix + "oneOf"
	// DerivedProperty stands on the root and names the original schema.
	DerivedProperty = ownPrefix + "derived"

	ownPrefix = "fieldveil."
)

var (
	errOrigin = errors.New("jsonschema: " + DerivedProperty + ` is not an object of "id" and "sha256"`)
	errSealed = errors.New("jsonschema: " + TypeProperty + " stands beside another type than string, or string and null")
)

// relaxed tells whether Derive puts a keyword out of force, by a prefix.
func relaxed(keyword string) bool { return keyword == "uniqueItems" || keyword == "maxContains" }

// findOrigin takes what Derive did to a schema back, but for the definitions that
// it added. What it returns is nil when there is nothing to take back.
func (s *Schema) findOrigin(b *bundle) (*bundle, *unsealer, error) {
	last := len(b.docs) - 1
	root, _ := b.docs[last].(object)
	property, ok := root.get(DerivedProperty)
	if !ok {
		return b, &unsealer{}, nil
	}
	var err error
	if s.origin, err = originOf(property); err != nil {
		return nil, nil, err
	}
	s.derived = true
	u := &unsealer{sealed: map[string]bool{}, copies: map[string]string{}, texts: map[string]object{}}
	doc := u.subschema(root.without(DerivedProperty), "")
	if u.err != nil {
		return nil, nil, u.err
	}
	if err := u.checkCopies(doc); err != nil {
		return nil, nil, err
	}
	out := &bundle{byURL: b.byURL, docs: append([]any(nil), b.docs...), index: append([]map[string]any(nil), b.index...)}
	out.docs[last], out.index[last] = doc, indexOf(doc)
	return out, u, nil
}

func originOf(v any) (schema.Origin, error) {
	o, _ := v.(object)
	number, _ := o.get("id")
	id, _ := number.(json.Number)
	n, err := strconv.ParseInt(id.String(), 10, 32)
	digest, hexErr := hex.DecodeString(o.text("sha256"))
	if len(o) != 2 || err != nil || hexErr != nil || n < 0 || len(digest) != 32 {
		return schema.Origin{}, errOrigin
	}
	return schema.Origin{ID: int(n), Digest: [32]byte(digest)}, nil
}

// How keywords hold subschemas.
const (
	holdsNone = iota
	holdsOne  // or a list of them
	holdsNamed
)

func holds(keyword string) int {
	switch keyword {
	case "properties", "patternProperties", "dependencies", "dependentSchemas", "definitions", "$defs":
		return holdsNamed
	case "additionalProperties", "unevaluatedProperties", "propertyNames", "items", "prefixItems", "additionalItems",
		"unevaluatedItems", "contains", "allOf", "anyOf", "oneOf", "not", "if", "then", "else":
		return holdsOne
	}
	return holdsNone
}

// unsealer puts original subschemas back where they were.
type unsealer struct {
	sealed map[string]bool   // pointers
	copies map[string]string // pointers of definitions, and of what they are copies of
	texts  map[string]object // subschemas as they are in the derived schema, by pointer
	err    error
}

// identity returns what tells a subschema from others. Copies that say the same,
// also of what is wrapped, have the same one.
func (u *unsealer) identity(pointer string) string {
	text, ok := u.texts[pointer]
	if !ok {
		return pointer
	}
	sum := sha256.Sum256(appendJSON(nil, text.without(copyProperty)))
	return u.source(pointer) + " " + hex.EncodeToString(sum[:])
}

// source returns the pointer that a subschema had in the original.
func (u *unsealer) source(pointer string) string {
	// Copies are definitions of the root.
	end := 0
	for range 2 {
		if i := strings.IndexByte(pointer[min(end+1, len(pointer)):], '/'); i >= 0 {
			end += 1 + i
		} else {
			end = len(pointer)
		}
	}
	if source, ok := u.copies[pointer[:end]]; ok {
		return source + pointer[end:]
	}
	return pointer
}

func (u *unsealer) subschema(v any, pointer string) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = u.subschema(x, pointer+"/"+strconv.Itoa(i))
		}
		return out
	case object:
		u.texts[pointer] = v
		if original, ok := v.get(TypeProperty); ok {
			if !wrappedType(v) {
				u.err = fmt.Errorf("%w, at #%s", errSealed, pointer)
			}
			u.sealed[pointer] = true
			return original
		}
		out := make(object, 0, len(v))
		either, _ := v.get(oneOfProperty)
		for _, m := range v {
			rest, own := strings.CutPrefix(m.key, ownPrefix)
			switch {
			case own && relaxed(rest):
				m.key = rest
			case m.key == copyProperty:
				u.copies[pointer], _ = m.value.(string)
				continue
			case m.key == oneOfProperty && m.value == true:
				continue
			case m.key == "anyOf" && either == true:
				m.key = "oneOf"
			}
			at := pointer + "/" + pointerToken(m.key)
			switch holds(m.key) {
			case holdsOne:
				m.value = u.subschema(m.value, at)
			case holdsNamed:
				m.value = u.named(m.value, at)
			}
			out = append(out, m)
		}
		return out
	}
	return v
}

func (u *unsealer) named(v any, pointer string) any {
	o, ok := v.(object)
	if !ok {
		return v
	}
	out := make(object, len(o))
	for i, m := range o {
		out[i] = member{m.key, u.subschema(m.value, pointer+"/"+pointerToken(m.key))}
	}
	return out
}

// wrappedType tells whether o has the type of wrapped values.
func wrappedType(o object) bool {
	t, _ := o.get("type")
	switch t := t.(type) {
	case string:
		return t == "string"
	case []any:
		return len(t) == 2 && t[0] == "string" && t[1] == "null"
	}
	return false
}
