package jsonschema

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// generator makes random schemas, and records for them.
type generator struct {
	*rand.Rand
	latest bool // 2020-12, else draft 7
}

type dict = map[string]any

func (g *generator) one(list ...string) string { return list[g.IntN(len(list))] }

// document returns a schema with definitions that may refer to each other.
func (g *generator) document() dict {
	g.latest = g.IntN(2) == 0
	root := g.schema(4)
	for len(root) == 0 {
		root = g.schema(4)
	}
	defs := dict{}
	for i := range 3 {
		defs["d"+strconv.Itoa(i)] = g.schema(2)
	}
	if _, ref := root["$ref"]; ref && !g.latest {
		root = dict{"allOf": []any{root}}
	}
	root["definitions"] = defs
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	if g.latest {
		root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	}
	return root
}

func (g *generator) schema(depth int) dict {
	out := dict{}
	kind := g.IntN(12)
	if depth == 0 {
		kind = g.IntN(5)
	}
	switch kind {
	case 0, 1:
		out["type"] = g.one("string", "integer", "number", "boolean")
	case 2:
		out["type"] = []any{g.one("string", "integer"), g.one("null", "boolean", "object")}
	case 3:
		if g.IntN(2) == 0 {
			out["enum"] = []any{"p", "q"}
		} else {
			out["type"], out["maxLength"] = "string", 9
		}
	case 4:
		// Anything.
	case 5, 6, 7:
		g.object(out, depth)
	case 8:
		g.array(out, depth)
	case 9:
		key := g.one("allOf", "anyOf", "oneOf")
		var list []any
		for range 1 + g.IntN(2) {
			list = append(list, g.schema(depth-1))
		}
		out[key] = list
		if g.IntN(2) == 0 {
			g.object(out, depth)
		}
	case 10:
		out["$ref"] = "#/definitions/d" + strconv.Itoa(g.IntN(3))
	case 11:
		g.object(out, depth)
		out["if"] = dict{"properties": dict{"a": dict{"const": g.one("p", "q")}}}
		out["then"] = g.schema(depth - 1)
		if g.IntN(2) == 0 {
			out["else"] = g.schema(depth - 1)
		}
	}
	if g.IntN(5) == 0 {
		out["confluent:tags"] = []any{"T" + strconv.Itoa(g.IntN(3))}
	}
	return out
}

func (g *generator) object(out dict, depth int) {
	if g.IntN(2) == 0 {
		out["type"] = "object"
	}
	props := dict{}
	for range 1 + g.IntN(3) {
		props[g.one("a", "b", "c", "x_1")] = g.schema(depth - 1)
	}
	out["properties"] = props
	switch g.IntN(6) {
	case 0:
		out["patternProperties"] = dict{"^x_": g.schema(depth - 1)}
	case 1:
		out["additionalProperties"] = g.schema(depth - 1)
	case 2:
		out["patternProperties"] = dict{"^x_": g.schema(depth - 1), "^y_": g.schema(depth - 1)}
		out["additionalProperties"] = g.IntN(2) == 0
	case 3:
		if g.latest {
			out["unevaluatedProperties"] = g.schema(depth - 1)
		}
	}
}

func (g *generator) array(out dict, depth int) {
	if g.IntN(2) == 0 {
		out["type"] = "array"
	}
	switch {
	case g.IntN(3) > 0:
		out["items"] = g.schema(depth - 1)
	case g.latest:
		out["prefixItems"], out["items"] = []any{g.schema(depth - 1)}, g.schema(depth-1)
	default:
		out["items"], out["additionalItems"] = []any{g.schema(depth - 1)}, g.schema(depth-1)
	}
	if g.IntN(6) == 0 {
		out["contains"] = g.schema(depth - 1)
	}
}

// flat follows references and chooses branches.
func (g *generator) flat(root dict, schemas []any, depth int) []dict {
	var out []dict
	if depth > 8 {
		return nil
	}
	for _, s := range schemas {
		o, ok := s.(dict)
		if !ok {
			continue
		}
		if ref, ok := o["$ref"].(string); ok {
			out = append(out, g.flat(root, []any{resolve(root, ref)}, depth+1)...)
			if root["$schema"] == "http://json-schema.org/draft-07/schema#" {
				continue
			}
		}
		out = append(out, o)
		if list, ok := o["allOf"].([]any); ok {
			out = append(out, g.flat(root, list, depth+1)...)
		}
		for _, key := range []string{"anyOf", "oneOf"} {
			if list, ok := o[key].([]any); ok {
				out = append(out, g.flat(root, list[g.IntN(len(list)):][:1], depth+1)...)
			}
		}
		for _, key := range []string{"then", "else"} {
			if s, ok := o[key]; ok {
				out = append(out, g.flat(root, []any{s}, depth+1)...)
			}
		}
	}
	return out
}

func resolve(root dict, ref string) any {
	defs, _ := root["definitions"].(dict)
	return defs[strings.TrimPrefix(ref, "#/definitions/")]
}

// value writes a value that has a chance to satisfy the schemas.
func (g *generator) value(root dict, schemas []any, depth int) string {
	flat := g.flat(root, schemas, 0)
	types := map[string]int{}
	for _, s := range flat {
		switch t := s["type"].(type) {
		case string:
			types[t]++
		case []any:
			x, _ := t[g.IntN(len(t))].(string)
			types[x]++
		}
		if _, ok := s["enum"]; ok {
			return `"` + g.one("p", "q") + `"`
		}
		if _, ok := s["properties"]; ok && g.IntN(8) > 0 {
			types["object"]++
		}
		if _, ok := s["items"]; ok && g.IntN(8) > 0 {
			types["array"]++
		}
	}
	kind, most := g.one("string", "number", "boolean"), 0
	for _, t := range []string{"string", "integer", "number", "boolean", "null", "object", "array"} {
		if types[t] > most {
			kind, most = t, types[t]
		}
	}
	if depth > 6 && (kind == "object" || kind == "array") {
		kind = "null"
	}
	switch kind {
	case "string":
		return g.one(`"p"`, `"q"`, `"\u0070"`, `""`, `"12345678"`)
	case "integer":
		return g.one("0", "-1", "1e2", "12345678901234567890")
	case "number":
		return g.one("0.50", "-1E-2", "3")
	case "boolean":
		return g.one("true", "false")
	case "null":
		return "null"
	case "array":
		var items []string
		for i := range g.IntN(4) {
			var inner []any
			for _, s := range flat {
				inner = append(inner, itemOf(s, i)...)
			}
			items = append(items, g.value(root, inner, depth+1))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	var members []string
	for _, name := range []string{"a", "b", "c", "x_1", "x_2", "y_1", "z"} {
		var inner []any
		for _, s := range flat {
			inner = append(inner, memberOf(s, name)...)
		}
		if len(inner) == 0 && g.IntN(40) > 0 || g.IntN(4) == 0 {
			continue
		}
		members = append(members, fmt.Sprintf("%q: %s", name, g.value(root, inner, depth+1)))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// memberOf returns the subschemas that a schema has for a member.
func memberOf(s dict, name string) []any {
	var out []any
	props, _ := s["properties"].(dict)
	if x, ok := props[name]; ok {
		out = append(out, x)
	}
	patterns, _ := s["patternProperties"].(dict)
	for _, p := range []string{"^x_", "^y_"} {
		if x, ok := patterns[p]; ok && strings.HasPrefix(name, p[1:]) {
			out = append(out, x)
		}
	}
	if x, ok := s["additionalProperties"]; ok && len(out) == 0 && x != false {
		out = append(out, x)
	}
	if x, ok := s["unevaluatedProperties"]; ok && len(out) == 0 {
		out = append(out, x)
	}
	return out
}

// itemOf returns the subschemas that a schema has for an item.
func itemOf(s dict, i int) []any {
	var out []any
	if x, ok := s["contains"]; ok {
		out = append(out, x)
	}
	prefix, _ := s["prefixItems"].([]any)
	rest := s["items"]
	if list, ok := rest.([]any); ok {
		prefix, rest = list, s["additionalItems"]
	}
	if i < len(prefix) {
		return append(out, prefix[i])
	}
	if rest != nil {
		out = append(out, rest)
	}
	return out
}

// oracle finds the values that are tagged by going through the schema and a record
// side by side. It follows every branch.
type oracle struct {
	root   dict
	tagged map[string]bool
}

// apply notes the scalars below path that the schemas, or what encloses them, tag.
func (o *oracle) apply(schemas []any, v any, path string, tagged bool) {
	all := o.all(schemas)
	for _, s := range all {
		if _, ok := s["confluent:tags"]; ok {
			tagged = true
		}
	}
	switch v := v.(type) {
	case dict:
		for name, x := range v {
			var inner []any
			for _, s := range all {
				inner = append(inner, o.member(s, name)...)
			}
			o.apply(inner, x, path+"/"+name, tagged)
		}
	case []any:
		for i, x := range v {
			var inner []any
			for _, s := range all {
				inner = append(inner, itemOf(s, i)...)
			}
			o.apply(inner, x, path+"/"+strconv.Itoa(i), tagged)
		}
	case nil:
	default:
		o.tagged[path] = tagged
	}
}

// member is memberOf, but for what other schemas evaluate for sure.
func (o *oracle) member(s dict, name string) []any {
	plain := dict{}
	for k, x := range s {
		if k != "unevaluatedProperties" {
			plain[k] = x
		}
	}
	out := memberOf(plain, name)
	if x, ok := s["unevaluatedProperties"]; ok && !o.covers(s, name, 0) {
		out = append(out, x)
	}
	return out
}

func (o *oracle) covers(s dict, name string, depth int) bool {
	plain := dict{}
	for k, x := range s {
		if k != "unevaluatedProperties" {
			plain[k] = x
		}
	}
	if _, ok := s["additionalProperties"]; ok || len(memberOf(plain, name)) > 0 {
		return true
	}
	if depth > 8 {
		return false
	}
	var sure []any
	if list, ok := s["allOf"].([]any); ok {
		sure = append(sure, list...)
	}
	if ref, ok := s["$ref"].(string); ok {
		sure = append(sure, resolve(o.root, ref))
	}
	for _, x := range sure {
		if inner, ok := x.(dict); ok && o.covers(inner, name, depth+1) {
			return true
		}
	}
	return false
}

// all returns the schemas with all that may apply to the same value.
func (o *oracle) all(schemas []any) []dict {
	var out []dict
	seen := map[string]bool{}
	var visit func(s any)
	visit = func(s any) {
		x, ok := s.(dict)
		if !ok {
			return
		}
		key := fmt.Sprintf("%p", x)
		if seen[key] {
			return
		}
		seen[key] = true
		if ref, ok := x["$ref"].(string); ok {
			visit(resolve(o.root, ref))
			if o.root["$schema"] == "http://json-schema.org/draft-07/schema#" {
				if tags, ok := x["confluent:tags"]; ok {
					out = append(out, dict{"confluent:tags": tags})
				}
				return
			}
		}
		out = append(out, x)
		for _, key := range []string{"allOf", "anyOf", "oneOf"} {
			list, _ := x[key].([]any)
			for _, s := range list {
				visit(s)
			}
		}
		for _, key := range []string{"if", "then", "else"} {
			visit(x[key])
		}
	}
	for _, s := range schemas {
		visit(s)
	}
	return out
}

func decode(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil
	}
	return v
}
