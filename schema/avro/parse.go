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
// A value of any type can be wrapped: its encoded bytes then stand as bytes in a
// record of the derived schema, which [Schema.Derive] writes and [Parse] reads
// back. [Schema.Restore] compiles the way back, which gives the record as it was,
// byte by byte; so numbers that take more bytes than they need are refused where
// they would have to be written anew.
//
// A number can be edited as text, which [schema.Number] describes: int, long,
// float and double, whatever their logical type, and decimals of up to 1024
// digits. A big-decimal, a duration, a boolean and an enum are none. An answer
// that is a number in the grammar of JSON is taken when the type holds its value
// exactly, so that 5, 5.0 and 50e-1 are the same int; float and double are
// rounded once, to the nearest, and take NaN, Infinity and -Infinity as well. What
// is written is the shortest encoding there is. A decimal with more sign bytes
// than it needs, and a NaN with a payload, are read and not kept that way: once
// edited, they come back with the same value in the canonical bytes. A decimal
// of no bytes or of more digits than its precision is malformed where it is
// edited, and an int or a length in more bytes than it needs as everywhere.
//
// Differences from the specification: an array or map of items that take no
// bytes may have 4096 items, all of them in a record together, and a record may
// hold a recursive type 64 levels deep. A schema must define a type before it
// names it, and must not write a key twice.
package avro

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
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
	kind      string // Avro type name; "record" for errors too
	name      string // full name of a named type
	logical   string
	precision int // of a decimal
	scale     int
	tags      []string
	fields    []nodeField
	items     *node // of arrays and maps
	branches  []*node
	size      int      // of fixed
	symbols   []string // of enum
	raw       object   // as it was written; nil for a type that is only a name
	lifted    object   // logical type that stood beside the type
}

type nodeField struct {
	name    string
	aliases []string
	tags    []string
	typ     *node
	raw     object // as it was written, without what belongs to the type
}

// Kinds of nodes that stand for another one, which is items.
const (
	// kindReference is a named type with further tags.
	kindReference = "reference"
	// kindSealed is a type whose values are wrapped: see sealed.go.
	kindSealed = "sealed"
)

// bare returns the type that n stands for.
func (n *node) bare() *node {
	for n.kind == kindReference || n.kind == kindSealed {
		n = n.items
	}
	return n
}

// A Schema is a parsed Avro schema. It is immutable and safe for concurrent
// use.
type Schema struct {
	text    schema.Text
	root    *node
	fields  []schema.Field
	places  []*place // of the fields
	tree    *place
	origin  schema.Origin
	derived bool
}

var (
	_ schema.Schema  = (*Schema)(nil)
	_ schema.Derived = (*Schema)(nil)
)

// Parse reads a schema. The texts of the references may be used by those after
// them and by the schema itself. The tags beside the text count like those in
// it: a rule by name, such as "com.acme.Customer.email", for a field of a record
// wherever that record is used, and a rule by path for that path alone.
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
	if err := checkRules(text.Tags); err != nil {
		return nil, err
	}
	doc, last, err := bundle(text)
	if err != nil {
		return nil, err
	}
	parsed, err := avro.Parse(doc)
	if err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	raws, err := rawTypes(doc)
	if err != nil {
		return nil, err
	}
	s := &Schema{text: text}
	b := &builder{named: make(map[string]*node)}
	if err := s.findOrigin(raws[last], b); err != nil {
		return nil, err
	}
	fields := parsed.Root().Fields
	for i := range fields {
		f := &fields[i]
		n, err := b.build(&f.Type, raws[i], "", "", 0)
		switch {
		case err != nil && f.Name != bundleRoot:
			return nil, fmt.Errorf("%w, in %s", err, f.Name)
		case err != nil:
			return nil, err
		case i == last:
			s.root = n
		}
	}
	if err := s.checkSealed(b, len(raws)); err != nil {
		return nil, err
	}
	if err := s.expand(); err != nil {
		return nil, err
	}
	return s, nil
}

var errTextSize = fmt.Errorf("avro: schema and references are longer than %d bytes", maxText)

// Name returns the full name of the root type, or its type name when it has
// none.
func (s *Schema) Name() string {
	n := s.root.bare()
	if n.name != "" {
		return n.name
	}
	return n.kind
}

// Fields returns the fields in the order of encoding, each container before what
// it holds. The root is none, unless it is a leaf.
func (s *Schema) Fields() []schema.Field { return s.fields }

// builder turns the parser's tree into nodes, with references resolved.
type builder struct {
	named  map[string]*node
	defs   []*node // all definitions, those in properties too
	root   object  // where the property of a derived schema may stand
	sealed int     // properties that hold a type
	inside bool    // such a property
	// loose are wrapped unions with null that the null beside them has not been
	// found for, with their places.
	loose map[*node]string
}

// build returns the node of n, which raw is the text of. where names the place
// for error texts.
func (b *builder) build(n *avro.SchemaNode, raw any, namespace, where string, depth int) (*node, error) {
	limit := maxNesting
	if b.inside || b.root != nil {
		limit *= 2 // derived schemas hold what references of the original held
	}
	if depth > limit {
		return nil, fmt.Errorf("avro: %s: schema nests deeper than %d", at(where), limit)
	}
	tags, err := tagsOf(n.Props, where)
	if err != nil {
		return nil, err
	}
	obj, _ := raw.(object)
	if err := b.checkProperties(n, obj, where); err != nil {
		return nil, err
	}
	switch n.Type {
	case "null", "boolean", "int", "long", "float", "double", "string", "bytes":
		if property, ok := obj.get(TypeProperty); ok {
			return b.sealedType(n, property, where, depth)
		}
		out := &node{kind: n.Type, logical: n.LogicalType, tags: tags, raw: obj}
		if err := out.parameters(); err != nil {
			return nil, err
		}
		return out, nil
	case "record", "error":
		out := &node{kind: "record", name: fullName(n), logical: n.LogicalType, tags: tags, raw: obj}
		b.define(out)
		if err := b.recordFields(out, n, where, depth); err != nil {
			return nil, err
		}
		return useOf(out, where)
	case "enum":
		out := &node{kind: n.Type, name: fullName(n), logical: n.LogicalType, tags: tags, symbols: n.Symbols, raw: obj}
		b.define(out)
		return useOf(out, where)
	case "fixed":
		if n.Size < 0 || n.Size > math.MaxInt32 {
			return nil, fmt.Errorf("avro: %s: fixed of %d bytes", at(where), n.Size)
		}
		out := &node{kind: n.Type, name: fullName(n), logical: n.LogicalType, tags: tags, size: n.Size, raw: obj}
		if err := out.parameters(); err != nil {
			return nil, err
		}
		b.define(out)
		return useOf(out, where)
	case "array", "map":
		inner, step, key := n.Items, "/[]", "items"
		if n.Type == "map" {
			inner, step, key = n.Values, "/{}", "values"
		}
		of, _ := obj.get(key)
		items, err := b.build(inner, of, namespace, where+step, depth+1)
		if err != nil {
			return nil, err
		}
		return &node{kind: n.Type, logical: n.LogicalType, tags: tags, items: items, raw: obj}, nil
	case "union":
		return b.union(n, raw, tags, namespace, where, depth)
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
func (b *builder) define(n *node) {
	b.named[n.name] = n
	b.defs = append(b.defs, n)
}

func (b *builder) union(n *avro.SchemaNode, raw any, tags []string, namespace, where string, depth int) (*node, error) {
	out := &node{kind: n.Type, tags: tags}
	list, _ := raw.([]any)
	if len(list) != len(n.Branches) {
		return nil, fmt.Errorf("avro: %s: union is not an array", at(where))
	}
	for i := range n.Branches {
		br, err := b.build(&n.Branches[i], list[i], namespace, where, depth+1)
		if err != nil {
			return nil, err
		}
		out.branches = append(out.branches, br)
	}
	if len(out.branches) == 0 {
		return nil, fmt.Errorf("avro: %s: union without branches", at(where))
	}
	return b.sealedUnion(out, where)
}

func (b *builder) recordFields(out *node, n *avro.SchemaNode, where string, depth int) error {
	list, _ := out.raw.get("fields")
	raws, _ := list.([]any)
	if len(raws) != len(n.Fields) {
		return fmt.Errorf("avro: %s: fields are not an array", at(where))
	}
	space := namespaceOf(out.name)
	for i := range n.Fields {
		f := &n.Fields[i]
		path := where + "/" + f.Name
		if len(path) > maxPath {
			return fmt.Errorf("avro: a path is longer than %d bytes", maxPath)
		}
		own, err := tagsOf(f.Props, path)
		if err != nil {
			return err
		}
		written, _ := raws[i].(object)
		raw, of := splitField(written)
		var typ *node
		if property, ok := raw.get(TypeProperty); ok {
			typ, err = b.sealedField(f, property, path, depth+1)
		} else {
			typ, err = b.build(&f.Type, of, space, path, depth+1)
		}
		if err != nil {
			return err
		}
		if err := checkFieldProperties(raw, path); err != nil {
			return err
		}
		if err := liftLogical(typ, raw, path); err != nil {
			return err
		}
		// No more aliases than that can become former paths.
		aliases := slices.Clone(f.Aliases[:min(len(f.Aliases), maxFormer)])
		out.fields = append(out.fields, nodeField{name: f.Name, aliases: aliases, tags: own, typ: typ, raw: raw})
	}
	return nil
}

// splitField parts a record field from its type. A type may be written flat,
// among the properties of the field, which then belong to the type.
func splitField(f object) (field object, typ any) {
	typ, _ = f.get("type")
	kind, _ := typ.(string)
	defining := map[string]string{
		"enum": "symbols", "array": "items", "map": "values", "record": "fields", "error": "fields", "fixed": "size",
	}[kind]
	if _, flat := f.get(defining); defining == "" || !flat {
		return f, typ
	}
	named := kind != "array" && kind != "map"
	var of object
	for _, m := range f {
		switch m.key {
		case "default", "order", "aliases":
			field = append(field, m)
		case "name":
			field = append(field, m)
			if named {
				of = append(of, m)
			}
		case "namespace":
			if named {
				of = append(of, m)
			}
		case "type":
			field, of = append(field, m), append(of, m)
		default:
			of = append(of, m)
		}
	}
	return field, of
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
func liftLogical(n *node, field object, where string) error {
	logical := field.text("logicalType")
	if logical == "" {
		return nil
	}
	if n.kind == "union" {
		i := slices.IndexFunc(n.branches, func(b *node) bool { return b.kind != "null" })
		if i < 0 {
			return nil
		}
		n = n.branches[i]
	}
	if n.kind == kindSealed {
		// Other readers would give it to the bytes that stand there.
		return fmt.Errorf("avro: %s: %w", at(where), errLies)
	}
	if n.name != "" || n.kind == kindReference {
		return nil
	}
	if n.logical == "" {
		n.logical = logical
		n.lifted = object{{"logicalType", logical}}
	}
	for _, key := range []string{"precision", "scale"} {
		v, ok := field.get(key)
		if _, own := n.raw.get(key); ok && !own && n.decimal() {
			n.lifted = append(n.lifted, member{key, v})
		}
	}
	return n.parameters()
}

var errDecimal = errors.New("avro: precision and scale of a decimal must be numbers")

// parameters reads the precision and the scale of a decimal.
func (n *node) parameters() error {
	if !n.decimal() {
		return nil
	}
	for key, to := range map[string]*int{"precision": &n.precision, "scale": &n.scale} {
		v, ok := n.raw.get(key)
		if !ok {
			v, ok = n.lifted.get(key)
		}
		if !ok {
			continue
		}
		number, _ := v.(json.Number)
		i, err := strconv.Atoi(number.String())
		if err != nil {
			return errDecimal
		}
		*to = i
	}
	return nil
}

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
	return tagList(v, TagProperty, path)
}

// tagList reads the tags in a property.
func tagList(v any, property, path string) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("avro: %s: %s: %w", at(path), property, errTags)
	}
	if len(list) > maxTags {
		return nil, fmt.Errorf("avro: %s: more than %d tags", at(path), maxTags)
	}
	tags := make([]string, len(list))
	for i, x := range list {
		if tags[i], ok = x.(string); !ok || tags[i] == "" {
			return nil, fmt.Errorf("avro: %s: %s: %w", at(path), property, errTags)
		}
	}
	return tags, nil
}
