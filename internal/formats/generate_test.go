package formats_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A node is one type of a generated schema, in terms that all formats have.
type node struct {
	kind     kind
	name     string // of the field that holds it, or of the type
	tag      string
	nullable bool
	kids     []*node // fields, the items, the values, or the branches
}

type kind int

const (
	kindString kind = iota
	kindBytes
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBool
	kindEnum
	kindRecord
	kindArray
	kindMap
	kindUnion
)

func (n *node) leaf() bool { return n.kind < kindRecord }

// A generator makes schemas and values that follow them.
type generator struct {
	r *rand.Rand
	n int // names and values so far
	// flat keeps to what Protobuf has: items and values are leaves or messages
	// and never null, unions are fields of messages.
	flat bool
	// untyped leaves out what only a schema can tell apart: unions.
	untyped bool
}

func (g *generator) next() int {
	g.n++
	return g.n
}

// record makes a type with one to five fields, at least one of them tagged if it
// is the root.
func (g *generator) record(depth int) *node {
	n := &node{kind: kindRecord, name: "R" + strconv.Itoa(g.next())}
	for range 1 + g.r.IntN(5) {
		n.kids = append(n.kids, g.node(depth+1, true))
	}
	return n
}

func (g *generator) root() *node {
	n := g.record(0)
	if !n.tagged() {
		n.kids[g.r.IntN(len(n.kids))].tag = "PII"
	}
	return n
}

func (n *node) tagged() bool {
	if n.tag != "" {
		return true
	}
	for _, k := range n.kids {
		if k.tagged() {
			return true
		}
	}
	return false
}

func (g *generator) node(depth int, field bool) *node {
	n := &node{name: "f" + strconv.Itoa(g.next()), kind: kind(g.r.IntN(int(kindRecord)))}
	if depth < 4 && g.r.IntN(3) == 0 {
		n.kind = kindRecord + kind(g.r.IntN(4))
	}
	if !field && g.flat && n.kind > kindRecord {
		n.kind = kindString
	}
	if n.kind == kindUnion && g.untyped {
		n.kind = kindMap
	}
	n.nullable = n.kind != kindUnion && g.r.IntN(3) == 0 && (field || !g.flat)
	switch n.kind {
	case kindString, kindBytes, kindInt, kindLong, kindFloat, kindDouble, kindBool, kindEnum:
	case kindRecord:
		n.kids = g.record(depth).kids
	case kindArray, kindMap:
		n.kids = []*node{g.node(depth+1, false)}
		if g.flat {
			n.nullable = false
		}
	case kindUnion:
		other := &node{kind: []kind{kindLong, kindBool, kindRecord}[g.r.IntN(3)], name: "f" + strconv.Itoa(g.next())}
		if other.kind == kindRecord {
			other.kids = g.record(depth + 1).kids
		}
		n.kids = []*node{{kind: kindString, name: "f" + strconv.Itoa(g.next())}, other}
	}
	switch g.r.IntN(6) {
	case 0, 1:
		n.tag = "PII"
	case 2:
		if field && !n.leaf() {
			n.tag = "WHOLE"
		}
	}
	return n
}

// Values in terms that all formats have: nil, string, []byte, int64, float64,
// bool, symbol, list, object and choice.
type (
	symbol string
	list   []any
	member struct {
		name  string
		value any
	}
	object []member // in order; of a record or a map
	choice struct {
		branch *node
		value  any
	}
)

// value makes a value of a type. Those below a tag can be told from others.
func (g *generator) value(n *node, tagged bool) any {
	tagged = tagged || n.tag != ""
	if n.nullable && g.r.IntN(4) == 0 {
		return nil
	}
	k := g.next()
	word := "clear-" + strconv.Itoa(k)
	if tagged {
		word = canary + "-" + strconv.Itoa(k)
		k += secretNumber
	}
	switch n.kind {
	case kindString:
		return word
	case kindBytes:
		return []byte(word)
	case kindInt, kindLong:
		return int64(k)
	case kindFloat, kindDouble:
		return float64(k) + 0.5
	case kindBool:
		return tagged
	case kindEnum:
		if tagged {
			return symbol("CANARY")
		}
		return symbol("CLEAR")
	case kindArray:
		out := list{}
		for range g.r.IntN(4) {
			out = append(out, g.value(n.kids[0], tagged))
		}
		return out
	case kindMap:
		out := object{}
		for i := range g.r.IntN(4) {
			out = append(out, member{"k" + strconv.Itoa(i), g.value(n.kids[0], tagged)})
		}
		return out
	case kindUnion:
		branch := n.kids[g.r.IntN(2)]
		return choice{branch, g.value(branch, tagged)}
	default:
		out := object{}
		for _, f := range n.kids {
			out = append(out, member{f.name, g.value(f, tagged)})
		}
		return out
	}
}

// holdsSecret tells whether anything in a value is to be sealed.
func holdsSecret(n *node, v any, tagged bool) bool {
	tagged = tagged || n.tag != ""
	switch v := v.(type) {
	case nil:
		return false
	case choice:
		return n.tag == "WHOLE" || holdsSecret(v.branch, v.value, tagged)
	case list:
		for _, inner := range v {
			if holdsSecret(n.kids[0], inner, tagged) {
				return true
			}
		}
		return n.tag == "WHOLE"
	case object:
		for i, m := range v {
			kid := n.kids[0]
			if n.kind == kindRecord {
				kid = n.kids[i]
			}
			if holdsSecret(kid, m.value, tagged) {
				return true
			}
		}
		return n.tag == "WHOLE"
	default:
		return tagged
	}
}

// quote spells a string as JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Sprintf("%q", s)
	}
	return string(b)
}

func tagsProperty(tag string) string {
	if tag == "" {
		return ""
	}
	return `, "confluent:tags": [` + quote(tag) + `]`
}

// json spells a value with white space here and there.
func (g *generator) json(v any) string {
	space := strings.Repeat(" ", g.r.IntN(3)/2)
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return quote(v)
	case symbol:
		return quote(string(v))
	case []byte:
		return quote(string(v))
	case choice:
		return g.json(v.value)
	case list:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = g.json(v[i])
		}
		return "[" + space + strings.Join(parts, ","+space) + "]"
	case object:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = space + quote(v[i].name) + space + ":" + g.json(v[i].value)
		}
		return "{" + strings.Join(parts, ",") + space + "}"
	case float64:
		return strconv.FormatFloat(v, "fE"[g.r.IntN(2)], -1, 64)
	default:
		return fmt.Sprint(v)
	}
}
