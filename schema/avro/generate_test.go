package avro

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// generator makes random schemas and values.
type generator struct {
	rng   *rand.Rand
	named []*mtype // finished
	open  []*mtype // records around the place
	count int
	// A schema with decimals and with unions of several branches. In those the
	// oracle chooses by what fits, and writes bytes that are none to a decimal.
	decimals, choices bool
}

func (g *generator) name() string {
	g.count++
	return []string{"", "a.", "a.b.", "c."}[g.rng.IntN(4)] + "T" + strconv.Itoa(g.count)
}

func (g *generator) root() *mtype {
	if g.rng.IntN(5) == 0 {
		return g.typ(3, true)
	}
	return g.record(3)
}

func (g *generator) record(depth int) *mtype {
	m := &mtype{kind: "record", name: g.name()}
	g.open = append(g.open, m)
	for i := range g.rng.IntN(6) {
		m.fields = append(m.fields, mfield{"f" + strconv.Itoa(i), g.typ(depth-1, true)})
	}
	g.open = g.open[:len(g.open)-1]
	g.named = append(g.named, m)
	return m
}

var primitives = []string{"null", "boolean", "int", "long", "float", "double", "string", "string", "string", "bytes", "bytes"}

func (g *generator) typ(depth int, union bool) *mtype {
	kinds := 14
	if depth <= 0 {
		kinds = 7
	}
	switch n := g.rng.IntN(kinds); n {
	case 5:
		m := &mtype{kind: "enum", name: g.name(), symbols: 1 + g.rng.IntN(80)}
		g.named = append(g.named, m)
		return m
	case 6:
		m := &mtype{kind: "fixed", name: g.name(), size: g.rng.IntN(9)}
		if m.size > 0 && g.rng.IntN(2) == 0 {
			// As many digits as are there for certain.
			g.decimals, m.precision = true, 1+g.rng.IntN(m.size*2)
			m.scale = g.rng.IntN(m.precision + 1)
		}
		g.named = append(g.named, m)
		return m
	case 7:
		return g.record(depth)
	case 8:
		// A finished type once more.
		if len(g.named) > 0 {
			return g.named[g.rng.IntN(len(g.named))]
		}
		return g.record(depth)
	case 9, 10:
		return &mtype{kind: []string{"array", "map"}[n-9], items: g.inner(depth-1, true)}
	case 11, 12, 13:
		if union {
			return g.union(depth)
		}
		return g.record(depth)
	default:
		m := &mtype{kind: primitives[g.rng.IntN(len(primitives))]}
		if m.kind == "bytes" && g.rng.IntN(3) == 0 {
			g.decimals, m.precision = true, []int{1, 5, 18, 19, 20, 38, 39, 64, 1024}[g.rng.IntN(9)]
			m.scale = g.rng.IntN(m.precision + 1)
		}
		return m
	}
}

// inner is a type behind which recursion can end.
func (g *generator) inner(depth int, union bool) *mtype {
	if len(g.open) > 0 && g.rng.IntN(4) == 0 {
		return g.open[g.rng.IntN(len(g.open))]
	}
	return g.typ(depth, union)
}

func (g *generator) union(depth int) *mtype {
	m := &mtype{kind: "union"}
	seen := make(map[string]bool)
	if g.rng.IntN(4) > 0 {
		m.branches, seen["null"] = []*mtype{{kind: "null"}}, true
	}
	// Without null beside it recursion would not end.
	for range 1 + g.rng.IntN(4) {
		b := g.typ(depth-1, false)
		if seen["null"] {
			b = g.inner(depth-1, false)
		}
		if key := b.kind + b.name; !seen[key] {
			seen[key] = true
			m.branches = append(m.branches, b)
		}
	}
	g.choices = g.choices || len(m.branches) > 2 || !seen["null"]
	g.rng.Shuffle(len(m.branches), func(i, j int) { m.branches[i], m.branches[j] = m.branches[j], m.branches[i] })
	return m
}

// value makes a value of m. Below depth 0 containers are empty and unions null.
func (g *generator) value(m *mtype, depth int) any {
	if m.precision > 0 {
		return m.unscaled(g.integer(m.precision))
	}
	switch m.kind {
	case "boolean":
		return g.rng.IntN(2) == 0
	case "int":
		return int64(int32(g.rng.Uint32() >> g.rng.IntN(32)))
	case "long":
		return int64(g.rng.Uint64() >> g.rng.IntN(64))
	case "enum":
		return int64(g.rng.IntN(m.symbols))
	case "float":
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(g.rng.Float32()))
	case "double":
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(g.rng.NormFloat64()))
	case "fixed":
		return g.bytes(m.size)
	case "string", "bytes":
		return g.bytes([]int{0, 1, g.rng.IntN(20), 63 + g.rng.IntN(3), g.rng.IntN(200)}[g.rng.IntN(5)])
	case "record":
		values := make([]any, len(m.fields))
		for i, f := range m.fields {
			values[i] = g.value(f.typ, depth-1)
		}
		return values
	case "array":
		items := []any{}
		if depth > 0 {
			for range g.rng.IntN(4) {
				items = append(items, g.value(m.items, depth-1))
			}
		}
		return items
	case "map":
		entries := []mentry{}
		if depth > 0 {
			for i := range g.rng.IntN(4) {
				entries = append(entries, mentry{string(g.bytes(g.rng.IntN(5))) + strconv.Itoa(i), g.value(m.items, depth-1)})
			}
		}
		return entries
	case "union":
		if null := slices.IndexFunc(m.branches, func(b *mtype) bool { return b.kind == "null" }); null >= 0 && depth <= 0 {
			return munion{branch: null}
		}
		branch := g.rng.IntN(len(m.branches))
		return munion{branch, g.value(m.branches[branch], depth-1)}
	default:
		return nil
	}
}

// integer has up to that many digits, and often all or one.
func (g *generator) integer(digits int) *big.Int {
	text := strings.Repeat("9", 1+g.rng.IntN(digits))
	if g.rng.IntN(4) == 0 {
		text = strings.Repeat("9", digits)
	}
	n, _ := new(big.Int).SetString(text, 10)
	if g.rng.IntN(3) > 0 {
		// A number below it, from its digits.
		digits := []byte(text)
		for i := range digits {
			digits[i] = byte('0' + g.rng.IntN(10))
		}
		n.SetString(string(digits), 10)
	}
	if g.rng.IntN(2) == 0 {
		n.Neg(n)
	}
	return n
}

// bytes are printable, so that they are a string too.
func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(' ' + g.rng.IntN(95))
	}
	return b
}
