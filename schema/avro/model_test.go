package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// The tests have a second reading of Avro, that shares nothing with the package:
// it knows values, writes them with blocks of any kind, and reads strictly.

// mtype is a type. Named types are shared, so recursive ones form a cycle.
type mtype struct {
	kind     string
	name     string // full
	fields   []mfield
	items    *mtype
	branches []*mtype
	size     int
	symbols  int

	// Of a decimal, which bytes and a fixed are when there is a precision.
	precision, scale int
}

// decimal writes the properties of a decimal.
func (m *mtype) decimal() string {
	if m.precision == 0 {
		return ""
	}
	return `,"logicalType":"decimal","precision":` + strconv.Itoa(m.precision) + `,"scale":` + strconv.Itoa(m.scale)
}

// integer is the unscaled number of a decimal, and unscaled the way back.
func (m *mtype) integer(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

func (m *mtype) unscaled(n *big.Int) []byte {
	size := m.size
	if m.kind == "bytes" {
		// The first that is enough.
		for size = 1; ; size++ {
			half := new(big.Int).Lsh(big.NewInt(1), uint(8*size-1))
			if n.Cmp(half) < 0 && n.Cmp(new(big.Int).Neg(half)) >= 0 {
				break
			}
		}
	}
	mod := new(big.Int).Lsh(big.NewInt(1), uint(8*size))
	return new(big.Int).Mod(n, mod).FillBytes(make([]byte, size))
}

// half is what the tests make of a number: half of it, towards zero.
func (m *mtype) half(v any) any {
	switch m.kind {
	case "int", "long":
		return as[int64](v) / 2
	case "float":
		b := as[[]byte](v)
		f := math.Float32frombits(binary.LittleEndian.Uint32(b)) / 2
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(f))
	case "double":
		b := as[[]byte](v)
		f := math.Float64frombits(binary.LittleEndian.Uint64(b)) / 2
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))
	default:
		n := m.integer(as[[]byte](v))
		return m.unscaled(n.Quo(n, big.NewInt(2)))
	}
}

// numeric tells whether values are numbers, by the types alone.
func (m *mtype) numeric() bool {
	return m.precision > 0 || slices.Contains([]string{"int", "long", "float", "double"}, m.kind)
}

type mfield struct {
	name string
	typ  *mtype
}

// A munion is a value of a union. Other values are nil, bool, int64 (int, long,
// enum), []byte (string, bytes, fixed, float, double), []any (record, array) and
// []mentry.
type munion struct {
	branch int
	value  any
}

type mentry struct {
	key   string
	value any
}

// text writes the schema. Names that are written in full where they need not be
// are chosen by rng.
func (m *mtype) text(rng *rand.Rand, namespace string, defined map[string]bool) string {
	if m.name != "" && defined[m.name] {
		if space, short := split(m.name); space == namespace && rng.IntN(2) == 0 {
			return strconv.Quote(short)
		}
		if !strings.Contains(m.name, ".") && namespace != "" {
			return strconv.Quote("." + m.name)
		}
		return strconv.Quote(m.name)
	}
	head := `{"type":` + strconv.Quote(m.kind)
	if m.name != "" {
		defined[m.name] = true
		space, short := split(m.name)
		switch {
		case space == namespace && rng.IntN(2) == 0:
			head += `,"name":` + strconv.Quote(short)
		case space == "" || rng.IntN(2) == 0:
			head += `,"name":` + strconv.Quote(short) + `,"namespace":` + strconv.Quote(space)
		default:
			head += `,"name":` + strconv.Quote(m.name)
		}
		namespace = space
	}
	switch m.kind {
	case "record":
		var fields []string
		for _, f := range m.fields {
			fields = append(fields, `{"name":`+strconv.Quote(f.name)+`,"type":`+f.typ.text(rng, namespace, defined)+`}`)
		}
		return head + `,"fields":[` + strings.Join(fields, ",") + `]}`
	case "enum":
		var symbols []string
		for i := range m.symbols {
			symbols = append(symbols, `"S`+strconv.Itoa(i)+`"`)
		}
		return head + `,"symbols":[` + strings.Join(symbols, ",") + `]}`
	case "fixed":
		return head + `,"size":` + strconv.Itoa(m.size) + m.decimal() + `}`
	case "array":
		return head + `,"items":` + m.items.text(rng, namespace, defined) + `}`
	case "map":
		return head + `,"values":` + m.items.text(rng, namespace, defined) + `}`
	case "union":
		var branches []string
		for _, b := range m.branches {
			branches = append(branches, b.text(rng, namespace, defined))
		}
		return `[` + strings.Join(branches, ",") + `]`
	default:
		if m.precision > 0 {
			return head + m.decimal() + `}`
		}
		return strconv.Quote(m.kind)
	}
}

func split(name string) (space, short string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// An mplace is a type at its place: leaves are numbered, recursion leads back.
type mplace struct {
	typ      *mtype
	children []*mplace
	leaf     int
}

// places expands m and returns the fields that the schema must have.
func places(m *mtype) (root *mplace, fields []schema.Field) {
	type open struct {
		typ   *mtype
		place *mplace
	}
	var above []open
	var expand func(m *mtype, path string, nullable bool) *mplace
	expand = func(m *mtype, path string, nullable bool) *mplace {
		p := &mplace{typ: m, leaf: -1}
		switch m.kind {
		case "null":
		case "record":
			for _, o := range above {
				if o.typ == m {
					return o.place
				}
			}
			above = append(above, open{m, p})
			for _, f := range m.fields {
				p.children = append(p.children, expand(f.typ, path+"/"+f.name, false))
			}
			above = above[:len(above)-1]
		case "array":
			p.children = []*mplace{expand(m.items, path+"/[]", false)}
		case "map":
			p.children = []*mplace{expand(m.items, path+"/{}", false)}
		case "union":
			null := slices.ContainsFunc(m.branches, func(b *mtype) bool { return b.kind == "null" })
			for _, b := range m.branches {
				p.children = append(p.children, expand(b, path, null))
			}
		default:
			p.leaf = len(fields)
			if path == "" {
				path = "/"
			}
			f := schema.Field{Path: path, Type: schema.Type(m.kind), Nullable: nullable, Numeric: m.numeric()}
			if m.precision > 0 {
				f.Logical = "decimal"
			}
			fields = append(fields, f)
		}
		return p
	}
	return expand(m, "", false), fields
}

// encode appends v. With an rng, arrays and maps are cut into blocks at random,
// with and without sizes, and numbers are now and then longer than needed.
func (m *mtype) encode(dst []byte, v any, rng *rand.Rand) []byte {
	switch m.kind {
	case "null":
		return dst
	case "boolean":
		if as[bool](v) {
			return append(dst, 1)
		}
		return append(dst, 0)
	case "int", "long", "enum":
		return binary.AppendVarint(dst, as[int64](v))
	case "float", "double", "fixed":
		return append(dst, as[[]byte](v)...)
	case "string", "bytes":
		return append(binary.AppendVarint(dst, int64(len(as[[]byte](v)))), as[[]byte](v)...)
	case "record":
		for i, f := range m.fields {
			dst = f.typ.encode(dst, as[[]any](v)[i], rng)
		}
		return dst
	case "union":
		u := as[munion](v)
		return m.branches[u.branch].encode(binary.AppendVarint(dst, int64(u.branch)), u.value, rng)
	case "array":
		items := as[[]any](v)
		return blocks(dst, len(items), rng, func(dst []byte, i int) []byte { return m.items.encode(dst, items[i], rng) })
	case "map":
		entries := as[[]mentry](v)
		return blocks(dst, len(entries), rng, func(dst []byte, i int) []byte {
			dst = append(binary.AppendVarint(dst, int64(len(entries[i].key))), entries[i].key...)
			return m.items.encode(dst, entries[i].value, rng)
		})
	default:
		panic("unknown kind " + m.kind)
	}
}

func blocks(dst []byte, n int, rng *rand.Rand, item func(dst []byte, i int) []byte) []byte {
	for i := 0; i < n; {
		count := n - i
		if rng != nil {
			count = 1 + rng.IntN(count)
		}
		var body []byte
		for j := range count {
			body = item(body, i+j)
		}
		if rng != nil && rng.IntN(2) == 0 {
			dst = binary.AppendVarint(binary.AppendVarint(dst, int64(-count)), int64(len(body)))
		} else {
			dst = binary.AppendVarint(dst, int64(count))
		}
		dst, i = append(dst, body...), i+count
	}
	return append(dst, 0)
}

var errStrict = errors.New("not what a strict reader takes")

// decode reads one value of m, and checks all that can be checked.
func (m *mtype) decode(src []byte) (v any, rest []byte, err error) {
	number := func(low, high int64) (n int64) {
		var used int
		if n, used = binary.Varint(src); used <= 0 || n < low || n > high {
			err = fmt.Errorf("%w: number", errStrict)
			return 0
		}
		src = src[used:]
		return n
	}
	take := func(n int64) (b []byte) {
		if err != nil || n > int64(len(src)) {
			err = errors.Join(err, errStrict)
			return nil
		}
		b, src = src[:n:n], src[n:]
		return b
	}
	switch m.kind {
	case "null":
	case "boolean":
		b := take(1)
		if err == nil && b[0] > 1 {
			err = errStrict
		}
		v = err == nil && b[0] == 1
	case "int":
		v = number(math.MinInt32, math.MaxInt32)
	case "long":
		v = number(math.MinInt64, math.MaxInt64)
	case "enum":
		v = number(0, int64(m.symbols)-1)
	case "float":
		v = take(4)
	case "double":
		v = take(8)
	case "fixed":
		v = take(int64(m.size))
	case "string", "bytes":
		v = take(number(0, math.MaxInt64))
	case "record":
		values := make([]any, len(m.fields))
		for i, f := range m.fields {
			if values[i], src, err = f.typ.decode(src); err != nil {
				return nil, nil, err
			}
		}
		v = values
	case "union":
		u := munion{branch: int(number(0, int64(len(m.branches))-1))}
		if err == nil {
			u.value, src, err = m.branches[u.branch].decode(src)
		}
		v = u
	case "array", "map":
		items, entries := []any{}, []mentry{}
		for {
			count, size := number(math.MinInt64+1, math.MaxInt64), int64(-1)
			if count < 0 {
				count, size = -count, number(0, math.MaxInt64)
			}
			if err != nil || count == 0 {
				break
			}
			before := len(src)
			for range count {
				var key []byte
				if m.kind == "map" {
					key = take(number(0, math.MaxInt64))
				}
				var item any
				if err == nil {
					item, src, err = m.items.decode(src)
				}
				if err != nil {
					return nil, nil, err
				}
				items, entries = append(items, item), append(entries, mentry{string(key), item})
			}
			if size >= 0 && int64(before-len(src)) != size {
				return nil, nil, fmt.Errorf("%w: block of %d bytes says %d", errStrict, before-len(src), size)
			}
		}
		if v = items; m.kind == "map" {
			v = entries
		}
	default:
		panic("unknown kind " + m.kind)
	}
	return v, src, err
}

// transform carries edits out on a value: leaf by leaf, replace, null or another
// number.
func (p *mplace) transform(v any, ops map[int]schema.Op, replace func(leaf int, value []byte) []byte) any {
	if p.leaf >= 0 {
		if ops[p.leaf] == schema.Replace {
			return replace(p.leaf, as[[]byte](v))
		}
		if ops[p.leaf] == schema.Number {
			return p.typ.half(v)
		}
		return v
	}
	switch p.typ.kind {
	case "record":
		out := make([]any, len(p.children))
		for i, c := range p.children {
			out[i] = c.transform(as[[]any](v)[i], ops, replace)
		}
		return out
	case "array":
		out := make([]any, len(as[[]any](v)))
		for i, item := range as[[]any](v) {
			out[i] = p.children[0].transform(item, ops, replace)
		}
		return out
	case "map":
		out := make([]mentry, len(as[[]mentry](v)))
		for i, e := range as[[]mentry](v) {
			out[i] = mentry{e.key, p.children[0].transform(e.value, ops, replace)}
		}
		return out
	case "union":
		u := as[munion](v)
		c := p.children[u.branch]
		if c.leaf >= 0 && ops[c.leaf] == schema.Nullify {
			return munion{branch: slices.IndexFunc(p.typ.branches, func(b *mtype) bool { return b.kind == "null" })}
		}
		return munion{u.branch, c.transform(u.value, ops, replace)}
	default:
		return v
	}
}
