package avro

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// Properties of a derived schema.
const (
	// TypeProperty stands beside the type of a wrapped value and holds the type
	// that it had: on the record field, or on the type itself where that is the
	// item of an array, the value of a map or a branch of a union.
	TypeProperty = "fieldveil.type"
	// DerivedProperty stands on the root and names the original schema.
	DerivedProperty = "fieldveil.derived"
)

// kindWrapped is a type whose values are wrapped; items is the original.
const kindWrapped = "wrapped"

var errDerived = errors.New("avro: " + DerivedProperty + " and " + TypeProperty + " stand together or not at all")

// fieldType returns the type of a record field, with what it was before it was
// wrapped.
func (b *builder) fieldType(f *avro.SchemaField, space, path string, depth int) (*node, error) {
	original, ok := f.Props[TypeProperty]
	if !ok {
		return b.build(&f.Type, space, path, depth)
	}
	n, err := b.original(original, path, depth)
	if err != nil {
		return nil, err
	}
	// A nullable type was wrapped below its null.
	if isNullable(n) {
		i := 1 - nullBranch(n)
		if plain(n.branches[i]) {
			return nil, errShape(path)
		}
		out := *n
		out.branches = slices.Clone(n.branches)
		out.branches[i] = &node{kind: kindWrapped, items: n.branches[i]}
		n = &out
	} else {
		n = &node{kind: kindWrapped, items: n}
	}
	if !sameShape(&f.Type, wrappedType(n)) || n.kind == kindWrapped && (plain(n.items) || n.items.kind == "null" || single(n.items)) {
		return nil, errShape(path)
	}
	return n, nil
}

// single tells whether n is a union of one type, which is no field of its own.
func single(n *node) bool { return n.kind == "union" && len(n.branches) == 1 }

// ownProperties refuses properties of ours where they have no meaning: whoever
// wrote them believed that something is wrapped.
func ownProperties(props map[string]any, path string, typ, derived bool) error {
	for name := range props {
		switch {
		case !strings.HasPrefix(name, "fieldveil."), name == TypeProperty && typ, name == DerivedProperty && derived:
		default:
			return fmt.Errorf("avro: %s: property %.40q has no meaning here", at(path), name)
		}
	}
	return nil
}

// plain tells whether n is text or bytes, whose content is replaced and never
// wrapped.
func plain(n *node) bool {
	return (n.kind == "string" || n.kind == "bytes") && n.logical == ""
}

func errShape(path string) error {
	return fmt.Errorf("avro: %s: %s: the type beside it is not that of a wrapped value", at(path), TypeProperty)
}

// halfWrapped tells whether n is what remains of a union with null that was
// wrapped: it makes sense beside a null only.
func halfWrapped(n *node) bool {
	return n.kind == kindWrapped && !n.joined && n.items.kind == "union" && nullBranch(n.items) >= 0
}

// joinWrapped puts a union with null that was wrapped together again. Of such a
// union, null and bytes remain; the bytes tell what it was.
func joinWrapped(n *avro.SchemaNode, u *node, path string) (*node, error) {
	i := slices.IndexFunc(u.branches, halfWrapped)
	out := *u.branches[i]
	out.joined = true
	want := wrappedType(&out)
	if len(u.branches) != 2 || nullBranch(u) != nullBranch(want) || n.Branches[i].Type != "bytes" {
		return nil, errShape(path)
	}
	return &out, nil
}

// isNullable tells whether n is a union of null and one other type.
func isNullable(n *node) bool {
	return n.kind == "union" && len(n.branches) == 2 && nullBranch(n) >= 0
}

// wrapped returns the type of a wrapped value that is no record field's.
func (b *builder) wrapped(n *avro.SchemaNode, original any, tags []string, path string, depth int) (*node, error) {
	out, err := b.original(original, path, depth)
	if err != nil {
		return nil, err
	}
	w := &node{kind: kindWrapped, tags: tags, items: out}
	if n.Type != "bytes" || n.LogicalType != "" || out.kind == "null" || plain(out) || isNullable(out) || single(out) {
		return nil, errShape(path)
	}
	return w, nil
}

// original reads the type that a wrapped value had.
func (b *builder) original(v any, path string, depth int) (*node, error) {
	if b.inside {
		return nil, fmt.Errorf("avro: %s: %s inside another", at(path), TypeProperty)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("avro: %s: %s is no type", at(path), TypeProperty)
	}
	parsed, err := avro.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("avro: %s: %s: %w", at(path), TypeProperty, err)
	}
	// Names mean what they mean in this text alone.
	in := &builder{rules: b.rules, named: make(map[string]*node), inside: true}
	return in.build(parsed.Root(), "", path, depth)
}

// wrappedType is the type that a wrapped place has in the derived schema.
func wrappedType(n *node) *node {
	bytes, null := &node{kind: "bytes"}, &node{kind: "null"}
	switch {
	case n.kind == "union": // of null and one that is wrapped
		out := &node{kind: "union"}
		for _, b := range n.branches {
			if b.kind == kindWrapped {
				b = bytes
			}
			out.branches = append(out.branches, b)
		}
		return out
	case n.items.kind == "union" && nullBranch(n.items) == 0:
		return &node{kind: "union", branches: []*node{null, bytes}}
	case n.items.kind == "union" && nullBranch(n.items) > 0:
		return &node{kind: "union", branches: []*node{bytes, null}}
	default:
		return bytes
	}
}

// sameShape compares a parsed type with null, bytes or a union of them.
func sameShape(n *avro.SchemaNode, want *node) bool {
	if n.Type != want.kind || n.LogicalType != "" || len(n.Branches) != len(want.branches) {
		return false
	}
	for i := range n.Branches {
		if !sameShape(&n.Branches[i], want.branches[i]) {
			return false
		}
	}
	return true
}

// Origin returns the schema that this one was derived from, and false when it
// was not.
func (s *Schema) Origin() (schema.Origin, bool) {
	if s.origin == nil {
		return schema.Origin{}, false
	}
	return *s.origin, true
}

func originOf(root *avro.SchemaNode) (*schema.Origin, error) {
	v, ok := root.Props[DerivedProperty]
	if !ok {
		return nil, nil //nolint:nilnil // no origin is no error
	}
	m, ok := v.(map[string]any)
	if !ok || len(m) != 2 {
		return nil, errOrigin
	}
	id, ok := m["id"].(int64)
	digest, ok2 := m["sha256"].(string)
	b, err := hex.DecodeString(digest)
	if !ok || !ok2 || err != nil || len(b) != 32 || id < 0 || id >= 1<<31 {
		return nil, errOrigin
	}
	return &schema.Origin{ID: int(id), Digest: [32]byte(b)}, nil
}

var errOrigin = errors.New("avro: " + DerivedProperty + `: want an object of "id" and "sha256"`)

// encoding names how the bytes of a value of n are to be read.
func (e *expansion) encoding(n *node) (string, error) {
	switch n.kind {
	case "record", "array", "map", "union", "enum":
	default:
		return shortForm(n), nil
	}
	if known, ok := e.encodings[n]; ok {
		return known, nil
	}
	// Types that name large ones again and again would take long to write.
	w := &meter{Hash: sha256.New(), left: maxCanonical - e.written}
	canonical(w, n, make(map[string]bool))
	if e.written += maxCanonical - e.written - w.left; w.left <= 0 {
		return "", errors.New("avro: the types of the schema are too long, all together")
	}
	if e.encodings == nil {
		e.encodings = make(map[*node]string)
	}
	e.encodings[n] = n.kind + ":" + hex.EncodeToString(w.Sum(nil)[:8])
	return e.encodings[n], nil
}

// maxCanonical bounds what is written to name the encodings of one schema.
const maxCanonical = 1 << 26

// A meter is a hash that takes no more than what is left.
type meter struct {
	hash.Hash
	left int
}

func (m *meter) Write(b []byte) (int, error) {
	if m.left -= len(b); m.left <= 0 {
		return len(b), nil
	}
	return m.Hash.Write(b)
}

// shortForm is the type and logical type of a leaf with their parameters.
func shortForm(n *node) string {
	out := n.kind
	if n.kind == "fixed" {
		out += "(" + strconv.Itoa(n.size) + ")"
	}
	if n.logical != "" {
		// A name that is none could pass for one with parameters.
		if strings.Trim(n.logical, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			out += ":" + strconv.Quote(n.logical)
		} else {
			out += ":" + n.logical
		}
	}
	if n.logical == "decimal" {
		out += "(" + strconv.Itoa(n.precision) + "," + strconv.Itoa(n.scale) + ")"
	}
	return out
}

// canonical writes all of a type that decides how its bytes are read and what
// they mean. Every string has its length in front.
func canonical(w *meter, n *node, known map[string]bool) {
	if w.left <= 0 {
		return
	}
	for n.kind == kindReference || n.kind == kindWrapped {
		n = n.items
	}
	put := func(s string) { _, _ = fmt.Fprintf(w, "%d:%s,", len(s), s) }
	put(n.kind)
	if n.name != "" {
		put(n.name)
		if known[n.name] {
			return
		}
		known[n.name] = true
	}
	switch n.kind {
	case "record":
		put(strconv.Itoa(len(n.fields)))
		for i := range n.fields {
			put(n.fields[i].name)
			canonical(w, n.fields[i].typ, known)
		}
	case "array", "map":
		canonical(w, n.items, known)
	case "union":
		put(strconv.Itoa(len(n.branches)))
		for _, b := range n.branches {
			canonical(w, b, known)
		}
	case "enum":
		put(strconv.Itoa(len(n.symbols)))
		for _, s := range n.symbols {
			put(s)
		}
	default:
		put(shortForm(n))
	}
}
