package formats_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// generateAvro makes one case of Avro.
func generateAvro(t testing.TB, g *generator) corpusCase {
	t.Helper()
	g.flat, g.untyped = false, false
	root := g.root()
	v := g.value(root, false)
	text := schema.Text{Format: schema.Avro, Schema: avroType(root)}
	body, err := avroSchema(t, text).Encode(native(v))
	if err != nil {
		t.Fatalf("%v\n%s", err, text.Schema)
	}
	return corpusCase{text: text, body: body, decode: decodeAvro, none: !holdsSecret(root, v, false)}
}

// avroType spells a type, with its tag as far as a type can have one.
func avroType(n *node) string {
	tags := tagsProperty(n.tag)
	var out string
	switch n.kind {
	case kindEnum:
		out = `{"type": "enum", "name": "E` + n.name + `", "symbols": ["CLEAR", "CANARY"]` + tags + `}`
	case kindArray:
		out = `{"type": "array", "items": ` + avroType(n.kids[0]) + tags + `}`
	case kindMap:
		out = `{"type": "map", "values": ` + avroType(n.kids[0]) + tags + `}`
	case kindRecord:
		fields := make([]string, len(n.kids))
		for i, f := range n.kids {
			if f.kind == kindUnion && f.tag == "WHOLE" {
				// Only the field can say so of all branches together.
				fields[i] = `{"name": "` + f.name + `", "type": ` + avroUnion(f, "") + tagsProperty(f.tag) + `}`
				continue
			}
			fields[i] = `{"name": "` + f.name + `", "type": ` + avroType(f) + `}`
		}
		out = `{"type": "record", "name": "T` + n.name + `", "fields": [` + strings.Join(fields, ", ") + `]` + tags + `}`
	case kindUnion:
		return avroUnion(n, n.tag)
	default:
		out = `{"type": "` + []string{"string", "bytes", "int", "long", "float", "double", "boolean"}[n.kind] + `"` + tags + `}`
	}
	if n.nullable {
		out = `["null", ` + out + `]`
	}
	return out
}

func avroUnion(n *node, tag string) string {
	branches := make([]string, len(n.kids))
	for i, k := range n.kids {
		b := *k
		b.tag = tag
		branches[i] = avroType(&b)
	}
	return "[" + strings.Join(branches, ", ") + "]"
}

// native turns a value into maps and slices.
func native(v any) any {
	switch v := v.(type) {
	case symbol:
		return string(v)
	case choice:
		return native(v.value)
	case list:
		out := make([]any, len(v))
		for i := range v {
			out[i] = native(v[i])
		}
		return out
	case object:
		out := make(map[string]any)
		for _, m := range v {
			out[m.name] = native(m.value)
		}
		return out
	default:
		return v
	}
}

// generateJSONSchema makes one case of JSON with a schema.
func generateJSONSchema(_ testing.TB, g *generator) corpusCase {
	g.flat, g.untyped = false, false
	root := g.root()
	v := g.value(root, false)
	return corpusCase{
		text: schema.Text{Format: schema.JSONSchema, Schema: jsonType(root)},
		body: []byte(g.json(v)), decode: decodeJSON, none: !holdsSecret(root, v, false),
	}
}

func jsonType(n *node) string {
	named := func(typ string) string {
		if n.nullable {
			return `"type": ["` + typ + `", "null"]`
		}
		return `"type": "` + typ + `"`
	}
	var out string
	switch n.kind {
	case kindString, kindBytes:
		out = named("string")
	case kindInt, kindLong:
		out = named("integer")
	case kindFloat, kindDouble:
		out = named("number")
	case kindBool:
		out = named("boolean")
	case kindEnum:
		out = named("string") + `, "enum": ["CLEAR", "CANARY"]`
		if n.nullable {
			out = named("string") + `, "enum": ["CLEAR", "CANARY", null]`
		}
	case kindArray:
		out = named("array") + `, "items": ` + jsonType(n.kids[0])
	case kindMap:
		out = named("object") + `, "additionalProperties": ` + jsonType(n.kids[0])
	case kindUnion:
		out = `"oneOf": [` + jsonType(n.kids[0]) + ", " + jsonType(n.kids[1]) + `]`
	default:
		members := make([]string, len(n.kids))
		for i, f := range n.kids {
			members[i] = `"` + f.name + `": ` + jsonType(f)
		}
		out = named("object") + `, "properties": {` + strings.Join(members, ", ") + `}, "additionalProperties": false`
	}
	return "{" + out + tagsProperty(n.tag) + "}"
}

// generateBareJSON makes one case of JSON without a schema, where a policy has
// the paths.
func generateBareJSON(_ testing.TB, g *generator) corpusCase {
	g.flat, g.untyped = false, true
	root := g.root()
	v := g.value(root, false)
	var fields []string
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		if n.tag != "" {
			fields = append(fields, `{path: "`+path+`", action: encrypt, key: k}`)
			return
		}
		for _, k := range n.kids {
			switch n.kind {
			case kindArray:
				walk(k, path+"/[]")
			case kindMap:
				walk(k, path+"/{}")
			default:
				walk(k, path+"/"+k.name)
			}
		}
	}
	walk(root, "")
	// Every path is taken as one value here, so that what is empty counts too.
	return corpusCase{
		policy: barePolicy(fields...), bare: true, body: []byte(g.json(v)), decode: decodeJSON,
		none: !holdsSecret(outermost(root), v, false),
	}
}

// outermost copies a type with all tags made WHOLE.
func outermost(n *node) *node {
	out := *n
	if out.tag != "" {
		out.tag = "WHOLE"
	}
	out.kids = nil
	for _, k := range n.kids {
		out.kids = append(out.kids, outermost(k))
	}
	return &out
}

func barePolicy(fields ...string) string {
	return "version: 1\ndataset: corpus\nkeys: {k: {kek: \"local:k\"}}\ntopics:\n  - match: t\n    format: json\n    fields:\n      - " +
		strings.Join(fields, "\n      - ") + "\n"
}

// generateProto makes one case of Protobuf.
func generateProto(t testing.TB, g *generator) corpusCase {
	t.Helper()
	g.flat, g.untyped = true, false
	root := g.root()
	v := g.value(root, false)
	p := protoPrinter{}
	p.message(root)
	text := schema.Text{
		Format: schema.Protobuf,
		Schema: "syntax = \"proto3\";\npackage acme;\nimport \"confluent/meta.proto\";\n" + strings.Join(p.types, "") + p.rest.String(),
	}
	o, ok := v.(object)
	if !ok {
		t.Fatalf("%T", v)
	}
	c := corpusCase{text: text, body: encodeProto(t, text, protoText(root, o)), decode: decodeProto}
	// A list or map that is empty is not there, even if it is one value.
	c.none = !protoHoldsSecret(root, o, false)
	return c
}

func protoHoldsSecret(n *node, v any, tagged bool) bool {
	tagged = tagged || n.tag != ""
	switch v := v.(type) {
	case nil:
		return false
	case choice:
		return n.tag == "WHOLE" || protoHoldsSecret(v.branch, v.value, tagged)
	case list:
		for _, inner := range v {
			if protoHoldsSecret(n.kids[0], inner, tagged) {
				return true
			}
		}
		return false
	case object:
		for i, m := range v {
			kid := n.kids[0]
			if n.kind == kindRecord {
				kid = n.kids[i]
			}
			if protoHoldsSecret(kid, m.value, tagged) {
				return true
			}
		}
		return n.tag == "WHOLE" && n.kind == kindRecord
	default:
		return tagged
	}
}

// A protoPrinter writes message types, the root first.
type protoPrinter struct {
	types []string
	rest  strings.Builder
}

var protoLeaves = [...]string{"string", "bytes", "sint32", "int64", "float", "double", "bool"}

func (p *protoPrinter) message(n *node) string {
	var b strings.Builder
	name := "T" + n.name
	at := len(p.types)
	p.types = append(p.types, "")
	number := 0
	field := func(f *node, tag, label string) string {
		number++
		option := ""
		if tag != "" {
			option = ` [(confluent.field_meta).tags = "` + tag + `"]`
		}
		return fmt.Sprintf("  %s%s %s = %d%s;\n", label, p.typ(f), f.name, number, option)
	}
	for _, f := range n.kids {
		switch {
		case f.kind == kindUnion:
			b.WriteString("  oneof " + f.name + " {\n")
			for _, k := range f.kids {
				b.WriteString(field(k, f.tag, ""))
			}
			b.WriteString("  }\n")
		case f.kind == kindArray:
			item := *f.kids[0]
			item.name = f.name
			b.WriteString(field(&item, protoTag(f), "repeated "))
		case f.kind == kindMap:
			b.WriteString(field(f, protoTag(f), ""))
		case f.nullable:
			b.WriteString(field(f, f.tag, "optional "))
		default:
			b.WriteString(field(f, f.tag, ""))
		}
	}
	p.types[at] = "message " + name + " {\n" + b.String() + "}\n"
	return name
}

// protoTag is the tag of a repeated field or a map, which is also the place for
// the tag of what it holds.
func protoTag(n *node) string {
	if n.tag != "" {
		return n.tag
	}
	return n.kids[0].tag
}

func (p *protoPrinter) typ(n *node) string {
	switch n.kind {
	case kindRecord:
		return p.message(n)
	case kindMap:
		item := *n.kids[0]
		item.name = n.name
		return "map<string, " + p.typ(&item) + ">"
	case kindEnum:
		e := "E" + n.name
		p.rest.WriteString("enum " + e + " { " + e + "_CLEAR = 0; " + e + "_CANARY = 1; }\n")
		return e
	default:
		return protoLeaves[n.kind]
	}
}

// protoText spells a message in the text format.
func protoText(n *node, v object) string {
	var b strings.Builder
	for i, m := range v {
		f := n.kids[i]
		switch value := m.value.(type) {
		case nil:
		case list:
			for _, inner := range value {
				b.WriteString(protoField(f.name, f.kids[0], inner))
			}
		case choice:
			b.WriteString(protoField(value.branch.name, value.branch, value.value))
		case object:
			if f.kind == kindRecord {
				b.WriteString(protoField(f.name, f, value))
				continue
			}
			for _, entry := range value {
				b.WriteString(f.name + " {key: " + quote(entry.name) + " " + protoField("value", f.kids[0], entry.value) + "}\n")
			}
		default:
			b.WriteString(protoField(f.name, f, value))
		}
	}
	return b.String()
}

func protoField(name string, n *node, v any) string {
	switch v := v.(type) {
	case object:
		return name + " {" + protoText(n, v) + "}\n"
	case string:
		return name + ": " + quote(v) + "\n"
	case []byte:
		return name + ": " + quote(string(v)) + "\n"
	case symbol:
		if v == "CANARY" {
			return name + ": 1\n"
		}
		return name + ": 0\n"
	default:
		return fmt.Sprintf("%s: %v\n", name, v)
	}
}
