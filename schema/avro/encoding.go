package avro

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// maxCanonical bounds the bytes that are hashed for one schema.
const maxCanonical = 1 << 24

// encodings names the types of values that are wrapped. Names take part in what
// values are bound to, so what they are made of never changes.
type encodings struct {
	known map[*node]string
	size  int // of all canonical forms so far
}

// of returns the Encoding of n: of a leaf its type with all that decides what
// its bytes mean, of other types a digest of their canonical form.
func (e *encodings) of(n *node) string {
	n = n.bare()
	if name, ok := e.known[n]; ok {
		return name
	}
	var name string
	switch n.kind {
	case "record", "array", "map", "union", "enum":
		c := canonical{defined: make(map[string]bool), room: maxCanonical - e.size}
		c.typ(n)
		e.size += len(c.out)
		sum := sha256.Sum256(c.out)
		name = n.kind + ":" + hex.EncodeToString(sum[:8])
	case "fixed":
		name = "fixed(" + strconv.Itoa(n.size) + ")" + n.logicalText()
	default:
		name = n.kind + n.logicalText()
	}
	e.known[n] = name
	return name
}

// logicalText spells a logical type with its parameters behind a colon.
func (n *node) logicalText() string {
	if n.logical == "" {
		return ""
	}
	name := n.logical
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			// It could read like a type with parameters.
			name = strconv.QuoteToASCII(name)
			break
		}
	}
	if n.decimal() {
		name += "(" + strconv.Itoa(n.precision) + "," + strconv.Itoa(n.scale) + ")"
	}
	return ":" + name
}

// decimal tells whether n has a precision and a scale.
func (n *node) decimal() bool {
	return n.logical == "decimal" && (n.kind == "bytes" || n.kind == "fixed")
}

// canonical writes a type in one spelling, without what its values do not depend
// on: documentation, tags, aliases, defaults. Named types are written out where
// they come first, and by name after that.
type canonical struct {
	out     []byte
	defined map[string]bool
	room    int // when it is used up, the rest is left out, and the schema refused
}

func (c *canonical) typ(n *node) {
	n = n.bare()
	if len(c.out) > c.room {
		return
	}
	switch n.kind {
	case "record", "enum", "fixed":
		if c.defined[n.name] {
			c.add("the ")
			c.quote(n.name)
			return
		}
		c.defined[n.name] = true
		c.add(n.kind, " ")
		c.quote(n.name)
	default:
		c.add(n.kind)
	}
	switch n.kind {
	case "record":
		c.add("{")
		for i := range n.fields {
			c.quote(n.fields[i].name)
			c.add(" ")
			c.typ(n.fields[i].typ)
			c.add(";")
		}
		c.add("}")
	case "enum":
		c.add("{")
		for _, s := range n.symbols {
			c.quote(s)
			c.add(";")
		}
		c.add("}")
	case "fixed":
		c.add("(", strconv.Itoa(n.size), ")")
	case "array", "map":
		c.add("[")
		c.typ(n.items)
		c.add("]")
	case "union":
		c.add("[")
		for _, b := range n.branches {
			c.typ(b)
			c.add("|")
		}
		c.add("]")
	}
	c.add(n.logicalText())
}

func (c *canonical) add(parts ...string) {
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
}

func (c *canonical) quote(s string) { c.out = strconv.AppendQuoteToASCII(c.out, s) }
