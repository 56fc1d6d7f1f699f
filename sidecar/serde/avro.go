package serde

import (
	"errors"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// An avroNode is one type of an Avro schema, ready to encode JSON. It is immutable
// once compiled.
type avroNode struct {
	kind     string
	name     string // full name, of a record, enum or fixed
	tag      string // what names it as the branch of a union
	fields   []avroField
	index    map[string]int // of fields by name, or of symbols
	size     int            // of a fixed
	items    *avroNode      // of an array, or the values of a map
	branches []*avroNode
	null     int // index of that branch, or -1
	// clash is set where an object with several members, of which the first has the
	// name of a branch, may still be a bare value.
	clash bool
}

type avroField struct {
	name     string
	of       *avroNode
	fill     []byte // the encoded default
	optional bool   // fill is to be taken where the field is missing
}

func (n *avroNode) admitsNull() bool {
	return n.kind == "null" || n.kind == "union" && n.null >= 0
}

// compileAvro compiles a schema that the project's own parser takes.
func compileAvro(text *schema.Text, cfg *Config) (*avroNode, *Error) {
	// The cache resolves names across the texts. A reference stands in the tree of
	// its own text, so the definitions are collected from all of them.
	var texts avro.SchemaCache
	c := &avroCompiler{named: make(map[string]*avroNode), fill: cfg.FillDefaults}
	var root *avroNode
	for _, t := range append(append([]string{}, text.References...), text.Schema) {
		parsed, err := texts.Parse(t)
		if err != nil {
			return nil, invalidSchema("the schema cannot be read")
		}
		node := parsed.Root()
		if root, err = c.compile(node, ""); err != nil {
			return nil, invalidSchema("the schema cannot be read")
		}
	}
	for _, u := range c.unions {
		u.clash = u.clashes()
	}
	return root, nil
}

// clashes tells whether a branch of a union may have a member with the name of a
// branch.
func (n *avroNode) clashes() bool {
	for _, b := range n.branches {
		if b.kind == "map" {
			return true
		}
		if b.kind != "record" {
			continue
		}
		for _, other := range n.branches {
			if _, ok := b.index[other.tag]; ok {
				return true
			}
		}
	}
	return false
}

type avroCompiler struct {
	unions []*avroNode
	named  map[string]*avroNode
	fill   bool
}

var errType = errors.New("serde: a name of no type")

func (c *avroCompiler) compile(n *avro.SchemaNode, namespace string) (*avroNode, error) {
	switch n.Type {
	case "null", "boolean", "int", "long", "float", "double", "string", "bytes":
		return &avroNode{kind: n.Type, tag: n.Type}, nil
	case "record", "error":
		return c.record(n)
	case "enum":
		out := c.define(n)
		if out.index == nil {
			out.index = make(map[string]int, len(n.Symbols))
			for i, s := range n.Symbols {
				out.index[s] = i
			}
		}
		return out, nil
	case "fixed":
		out := c.define(n)
		out.size = n.Size
		return out, nil
	case "array", "map":
		inner := n.Items
		if n.Type == "map" {
			inner = n.Values
		}
		items, err := c.compile(inner, namespace)
		if err != nil {
			return nil, err
		}
		return &avroNode{kind: n.Type, tag: n.Type, items: items}, nil
	case "union":
		out := &avroNode{kind: "union", null: -1}
		c.unions = append(c.unions, out)
		for i := range n.Branches {
			branch, err := c.compile(&n.Branches[i], namespace)
			if err != nil {
				return nil, err
			}
			if branch.kind == "null" {
				out.null = i
			}
			out.branches = append(out.branches, branch)
		}
		return out, nil
	}
	// A name means the type of the same namespace first.
	if namespace != "" {
		if def, ok := c.named[namespace+"."+n.Type]; ok {
			return def, nil
		}
	}
	if def, ok := c.named[n.Type]; ok {
		return def, nil
	}
	return nil, errType
}

// define returns the node of a named type, which is new unless a reference has
// the same text twice.
func (c *avroCompiler) define(n *avro.SchemaNode) *avroNode {
	name := n.Name
	if n.Namespace != "" && namespaceOf(name) == "" {
		name = n.Namespace + "." + name
	}
	if known, ok := c.named[name]; ok {
		return known
	}
	kind := n.Type
	if kind == "error" {
		kind = "record"
	}
	out := &avroNode{kind: kind, name: name, tag: name}
	c.named[name] = out
	return out
}

func (c *avroCompiler) record(n *avro.SchemaNode) (*avroNode, error) {
	out := c.define(n)
	if out.index != nil {
		return out, nil
	}
	out.index = make(map[string]int, len(n.Fields))
	fields := make([]avroField, len(n.Fields))
	for i := range n.Fields {
		f := &n.Fields[i]
		of, err := c.compile(&f.Type, namespaceOf(out.name))
		if err != nil {
			return nil, err
		}
		fields[i] = avroField{name: f.Name, of: of}
		out.index[f.Name] = i
		if !c.fill || !f.HasDefault {
			continue
		}
		// A default that this library cannot encode is none.
		if s, err := f.Type.Schema(); err == nil {
			fill, err := s.Encode(f.Default)
			fields[i].fill, fields[i].optional = fill, err == nil
		}
	}
	out.fields = fields
	return out, nil
}

// namespaceOf returns what stands before the last dot of a full name.
func namespaceOf(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			return name[:i]
		}
	}
	return ""
}
