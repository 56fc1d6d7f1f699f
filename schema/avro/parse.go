// Package avro reads Avro schemas and compiles rewriters of Avro's binary
// encoding.
//
// [Parse] turns schema text into a [Schema], whose fields carry the tags of
// the property "confluent:tags", wherever it stands: on a record field, on the
// type of a field, on a named type, on items, values or branches. [Schema]
// compiles edits into a flat program that walks the encoded bytes once, copies
// what nobody touches in runs, and hands only the chosen values out. Nothing
// is decoded, so the encoder of the records does not matter.
//
// Records are checked while they are walked, whether edited or not: lengths,
// counts, block sizes, union and enum indices, booleans, the range of int and
// long, nesting and the end. Work and memory are bounded by the size of the
// record. Not checked are UTF-8 in strings and the content of logical types.
//
// Differences from the specification: an array or map of items that take no
// bytes may have 4096 items, all of them in a record together, and a record may
// hold a recursive type 64 levels deep. A schema must define a type before it
// names it, and must not write a key twice.
package avro

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// TagProperty is the schema property that holds tags.
const TagProperty = "confluent:tags"

// Bounds of a schema.
const (
	maxText       = 1 << 20
	maxReferences = 256
	maxNesting    = 64
	maxFields     = 65_536
	maxCode       = 1 << 20
	maxPath       = 4096    // bytes of one path
	maxTags       = 64      // written in one place
	maxFieldTags  = 256     // with those of all that encloses the field
	maxExpanded   = 1 << 26 // bytes of all paths and tags
)

// node is a type of a schema. Named types are shared by all who refer to them,
// so the nodes of a recursive schema form a cycle.
type node struct {
	kind     string // Avro type name; "record" for errors too
	name     string // full name of a named type
	logical  string
	tags     []string
	fields   []nodeField
	items    *node // of arrays and maps
	branches []*node
	size     int // of fixed
	symbols  []string
	// precision and scale are those of a decimal.
	precision, scale int
	joined           bool // of kindWrapped: the null beside it belongs to it
}

type nodeField struct {
	name    string
	aliases []string
	tags    []string
	typ     *node
}

// A Schema is a parsed Avro schema. It is immutable and safe for concurrent
// use.
type Schema struct {
	root   *node
	fields []schema.Field
	tree   *place
	text   schema.Text
	// raw is the root as the parser has it, and defs are the named types of the
	// schema and its references by full name, for Derive.
	raw    *avro.SchemaNode
	defs   map[string]*avro.SchemaNode
	origin *schema.Origin // of a derived schema
}

var (
	_ schema.Schema  = (*Schema)(nil)
	_ schema.Derived = (*Schema)(nil)
)

// Parse reads a schema. The texts of the references may be used by those after
// them and by the schema itself.
func Parse(text schema.Text) (*Schema, error) {
	if text.Format != schema.Avro {
		return nil, fmt.Errorf("avro: schema of format %q", text.Format)
	}
	if len(text.References) > maxReferences {
		return nil, fmt.Errorf("avro: more than %d references", maxReferences)
	}
	size := len(text.Schema)
	for _, ref := range text.References {
		size += len(ref)
	}
	if size > maxText {
		return nil, errTextSize
	}
	doc, last, err := bundle(text)
	if err != nil {
		return nil, err
	}
	parsed, err := avro.Parse(doc)
	if err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	b := &builder{rules: text.Tags, named: make(map[string]*node), defs: make(map[string]*avro.SchemaNode)}
	var (
		root   *node
		raw    *avro.SchemaNode
		fields = parsed.Root().Fields
	)
	for i := range fields {
		f := &fields[i]
		n, err := b.build(&f.Type, "", "", 0)
		switch {
		case err != nil && f.Name != bundleRoot:
			return nil, fmt.Errorf("%w, in %s", err, f.Name)
		case err != nil:
			return nil, err
		case i == last:
			root, raw = n, &f.Type
		}
	}
	s := &Schema{root: root, text: text, raw: raw, defs: b.defs}
	if s.origin, err = originOf(raw); err != nil {
		return nil, err
	}
	if err := s.expand(); err != nil {
		return nil, err
	}
	sealed := slices.ContainsFunc(s.fields, func(f schema.Field) bool { return f.Sealed })
	if sealed != (s.origin != nil) {
		return nil, errDerived
	}
	return s, nil
}

var errTextSize = fmt.Errorf("avro: schema and references are longer than %d bytes", maxText)

// Name returns the full name of the root type, or its type name when it has
// none.
func (s *Schema) Name() string {
	n := s.root
	for n.kind == kindReference || n.kind == kindWrapped {
		n = n.items
	}
	if n.name != "" {
		return n.name
	}
	return n.kind
}

// Fields returns the leaves in the order of encoding.
func (s *Schema) Fields() []schema.Field { return s.fields }

// builder turns the parser's tree into nodes, with references resolved.
type builder struct {
	rules []schema.TagRule // those that name fields by their types
	named map[string]*node
	defs  map[string]*avro.SchemaNode
	// inside is true within the original type of a wrapped field, where nothing
	// is wrapped again.
	inside bool
}

// build returns the node of n. where names the place for error texts.
func (b *builder) build(n *avro.SchemaNode, namespace, where string, depth int) (*node, error) {
	out, err := b.buildBranch(n, namespace, where, depth)
	if err == nil && halfWrapped(out) {
		return nil, errShape(where)
	}
	return out, err
}

// buildBranch is build for the branch of a union.
func (b *builder) buildBranch(n *avro.SchemaNode, namespace, where string, depth int) (*node, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("avro: %s: schema nests deeper than %d", at(where), maxNesting)
	}
	tags, err := tagsOf(n.Props, where)
	if err == nil {
		err = ownProperties(n.Props, where, n.Type == "bytes", where == "" && depth == 0 && !b.inside)
	}
	if err != nil {
		return nil, err
	}
	switch n.Type {
	case "null", "boolean", "int", "long", "float", "double", "string", "bytes":
		if original, ok := n.Props[TypeProperty]; ok {
			return b.wrapped(n, original, tags, where, depth)
		}
		return &node{kind: n.Type, logical: n.LogicalType, tags: tags, precision: n.Precision, scale: n.Scale}, nil
	case "record", "error":
		out := &node{kind: "record", name: fullName(n), tags: tags}
		b.define(out, n)
		space := namespaceOf(out.name)
		for i := range n.Fields {
			f := &n.Fields[i]
			path := where + "/" + f.Name
			if len(path) > maxPath {
				return nil, fmt.Errorf("avro: a path is longer than %d bytes", maxPath)
			}
			own, err := tagsOf(f.Props, path)
			if err == nil {
				err = ownProperties(f.Props, path, true, false)
			}
			if err != nil {
				return nil, err
			}
			for _, t := range schema.TagsFor(b.rules, "", out.name+"."+f.Name) {
				if !slices.Contains(own, t) {
					own = append(own, t)
				}
			}
			typ, err := b.fieldType(f, space, path, depth+1)
			if err != nil {
				return nil, err
			}
			if logical, ok := f.Props["logicalType"].(string); ok {
				liftLogical(typ, logical, numberOf(f.Props["precision"]), numberOf(f.Props["scale"]))
			}
			// No more aliases than that can become former paths.
			aliases := slices.Clone(f.Aliases[:min(len(f.Aliases), maxFormer)])
			out.fields = append(out.fields, nodeField{name: f.Name, aliases: aliases, tags: own, typ: typ})
		}
		return out, nil
	case "enum":
		out := &node{kind: n.Type, name: fullName(n), logical: n.LogicalType, tags: tags, symbols: n.Symbols}
		b.define(out, n)
		return out, nil
	case "fixed":
		if n.Size < 0 || n.Size > math.MaxInt32 {
			return nil, fmt.Errorf("avro: %s: fixed of %d bytes", at(where), n.Size)
		}
		out := &node{
			kind: n.Type, name: fullName(n), logical: n.LogicalType, tags: tags, size: n.Size, precision: n.Precision, scale: n.Scale,
		}
		b.define(out, n)
		return out, nil
	case "array", "map":
		inner, step := n.Items, "/[]"
		if n.Type == "map" {
			inner, step = n.Values, "/{}"
		}
		items, err := b.build(inner, namespace, where+step, depth+1)
		if err != nil {
			return nil, err
		}
		return &node{kind: n.Type, tags: tags, items: items}, nil
	case "union":
		out := &node{kind: n.Type, tags: tags}
		for i := range n.Branches {
			br, err := b.buildBranch(&n.Branches[i], namespace, where, depth+1)
			if err != nil {
				return nil, err
			}
			out.branches = append(out.branches, br)
		}
		if slices.ContainsFunc(out.branches, halfWrapped) {
			return joinWrapped(n, out, where)
		}
		if len(out.branches) == 0 {
			return nil, fmt.Errorf("avro: %s: union without branches", at(where))
		}
		return out, nil
	}
	def := b.lookup(n.Type, namespace)
	if def == nil {
		return nil, fmt.Errorf("avro: %s: type %.80q is unknown here", at(where), n.Type)
	}
	if len(tags) == 0 {
		return def, nil
	}
	// A reference with tags of its own is a type that differs in them from the
	// definition, which may not be complete when the reference stands inside it.
	return &node{kind: kindReference, tags: tags, items: def}, nil
}

// define makes a named type known, to those after it and to itself.
func (b *builder) define(out *node, n *avro.SchemaNode) {
	b.named[out.name] = out
	if !b.inside {
		b.defs[out.name] = n
	}
}

// lookup finds the type that a name means inside a namespace: a name with a dot
// is a full name, one without is sought in the namespace before it counts as a
// full name. Binding another type of the same short name would lose the tags of
// the one that is meant.
func (b *builder) lookup(name, namespace string) *node {
	if !strings.Contains(name, ".") && namespace != "" {
		if def := b.named[namespace+"."+name]; def != nil {
			return def
		}
	}
	return b.named[strings.TrimPrefix(name, ".")]
}

// liftLogical gives a logical type that stands beside the type of a field,
// where it does not belong but is often found, to the type it was meant for:
// that of the field, or the first branch that is not null. One that the type
// has of its own wins. Named types are shared and keep theirs.
func liftLogical(n *node, logical string, precision, scale int) {
	if n.kind == "union" {
		i := slices.IndexFunc(n.branches, func(b *node) bool { return b.kind != "null" })
		if i < 0 {
			return
		}
		n = n.branches[i]
	}
	if n.kind == kindWrapped {
		liftLogical(n.items, logical, precision, scale)
		return
	}
	if n.name == "" && n.kind != kindReference && n.logical == "" {
		n.logical, n.precision, n.scale = logical, precision, scale
	}
}

// numberOf returns a property that is a small number, and 0 for any other.
func numberOf(v any) int {
	if n, ok := v.(int64); ok && n >= 0 && n < 1<<31 {
		return int(n)
	}
	return 0
}

// kindReference is a named type with further tags; items is the definition.
const kindReference = "reference"

func fullName(n *avro.SchemaNode) string {
	if n.Namespace == "" || strings.Contains(n.Name, ".") {
		return strings.TrimPrefix(n.Name, ".") // ".x" is x without a namespace
	}
	return n.Namespace + "." + n.Name
}

func namespaceOf(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return ""
}

func at(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

var errTags = errors.New("want an array of strings that are not empty")

func tagsOf(props map[string]any, path string) ([]string, error) {
	v, ok := props[TagProperty]
	if !ok {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("avro: %s: %s: %w", at(path), TagProperty, errTags)
	}
	if len(list) > maxTags {
		return nil, fmt.Errorf("avro: %s: more than %d tags", at(path), maxTags)
	}
	tags := make([]string, len(list))
	for i, x := range list {
		if tags[i], ok = x.(string); !ok || tags[i] == "" {
			return nil, fmt.Errorf("avro: %s: %s: %w", at(path), TagProperty, errTags)
		}
	}
	return tags, nil
}
