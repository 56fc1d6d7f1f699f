package input

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// Bounds of what is made up: behind them only what a schema demands is made.
const (
	maxNesting = 6
	maxValues  = 4096
	// deepest is where a value ends that a schema makes no end of. Formats refuse
	// records that are nested deeper.
	deepest = 60
)

// Spread says how many items arrays and maps have that are made up.
type Spread struct{ Least, Most int }

// A bounded counts what was made of one record.
type bounded struct {
	*maker
	*shaper

	spread Spread
	values int
}

// tight tells whether only what has to be there is made from here on.
func (b *bounded) tight(depth int) bool { return depth > maxNesting || b.values > maxValues }

// items returns how many items an array or map gets.
func (b *bounded) items(depth int) int {
	if b.tight(depth) {
		return 0
	}
	return b.n(b.spread.Least, b.spread.Most)
}

// An avroType is one type of a schema.
type avroType struct {
	kind    string
	logical string
	scale   int
	digits  int // the precision of a decimal
	size    int // of a fixed
	symbols int
	names   []string    // of the fields
	of      []*avroType // fields, branches, or the one type of items or values
	least   int         // how deep the shallowest value is; endless where there is none
}

const endless = 1 << 20

// An avroMaker makes records of an Avro schema, in its binary encoding.
type avroMaker struct {
	bounded

	root *avroType
}

var (
	errEndless  = errors.New("the schema has no finite value: a type holds itself without a null or an array in between")
	errAvroName = errors.New("the schema uses a name of no type")
)

func newAvroMaker(text schema.Text, b bounded) (*avroMaker, error) {
	var texts avro.SchemaCache
	c := avroTypes{named: make(map[string]*avroType)}
	var root *avroType
	for _, t := range append(append([]string{}, text.References...), text.Schema) {
		parsed, err := texts.Parse(t)
		if err != nil {
			return nil, errors.New("the schema cannot be read")
		}
		node := parsed.Root()
		if root, err = c.compile(node, ""); err != nil {
			return nil, err
		}
	}
	c.measure()
	if root.least >= endless {
		return nil, errEndless
	}
	return &avroMaker{bounded: b, root: root}, nil
}

// avroTypes compiles schemas. All that it made is in all.
type avroTypes struct {
	named map[string]*avroType
	all   []*avroType
}

func (c *avroTypes) add(n *avro.SchemaNode) *avroType {
	out := &avroType{
		kind: n.Type, logical: n.LogicalType, scale: n.Scale, digits: n.Precision, size: n.Size, symbols: len(n.Symbols), least: endless,
	}
	c.all = append(c.all, out)
	return out
}

func (c *avroTypes) compile(n *avro.SchemaNode, namespace string) (*avroType, error) {
	switch n.Type {
	case "null", "boolean", "int", "long", "float", "double", "string", "bytes":
		return c.add(n), nil
	case "record", "error", "enum", "fixed":
		return c.define(n)
	case "array", "map", "union":
		out := c.add(n)
		inner := n.Branches
		switch n.Type {
		case "array":
			inner = []avro.SchemaNode{*n.Items}
		case "map":
			inner = []avro.SchemaNode{*n.Values}
		}
		for i := range inner {
			of, err := c.compile(&inner[i], namespace)
			if err != nil {
				return nil, err
			}
			out.of = append(out.of, of)
		}
		return out, nil
	}
	if known, ok := c.named[namespace+"."+n.Type]; ok {
		return known, nil
	}
	if known, ok := c.named[n.Type]; ok {
		return known, nil
	}
	return nil, errAvroName
}

// define compiles a named type, which a reference may have brought already.
func (c *avroTypes) define(n *avro.SchemaNode) (*avroType, error) {
	name := n.Name
	if n.Namespace != "" && !strings.Contains(name, ".") {
		name = n.Namespace + "." + name
	}
	if known, ok := c.named[name]; ok {
		return known, nil
	}
	out := c.add(n)
	c.named[name] = out
	namespace := ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		namespace = name[:i]
	}
	for i := range n.Fields {
		of, err := c.compile(&n.Fields[i].Type, namespace)
		if err != nil {
			return nil, err
		}
		out.names, out.of = append(out.names, n.Fields[i].Name), append(out.of, of)
	}
	return out, nil
}

// measure finds how deep the shallowest value of each type is.
func (c *avroTypes) measure() {
	for changed := true; changed; {
		changed = false
		for _, t := range c.all {
			if least := t.measure(); least < t.least {
				t.least, changed = least, true
			}
		}
	}
}

func (t *avroType) measure() int {
	switch t.kind {
	case "record", "error":
		deep := 0
		for _, of := range t.of {
			deep = max(deep, of.least)
		}
		return min(deep+1, endless)
	case "union":
		shallow := endless
		for _, of := range t.of {
			shallow = min(shallow, of.least)
		}
		return shallow
	case "enum":
		if t.symbols == 0 {
			return endless
		}
	}
	return 0
}

// record appends one record.
func (a *avroMaker) record(dst []byte) ([]byte, error) {
	a.values = 0
	return a.append(dst, a.root, "", 0)
}

func (a *avroMaker) append(dst []byte, t *avroType, path string, depth int) ([]byte, error) {
	a.values++
	if depth > deepest {
		return nil, errEndless
	}
	var err error
	switch t.kind {
	case "null":
	case "boolean":
		if a.chance(2) {
			return append(dst, 1), nil
		}
		dst = append(dst, 0)
	case "int", "long":
		dst = appendLong(dst, a.integer(t, path))
	case "float":
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(a.number(a.of(path)))))
	case "double":
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(a.number(a.of(path))))
	case "string":
		dst = appendBytes(dst, []byte(a.string(t, path)))
	case "bytes", "fixed":
		content := a.content(t)
		if t.kind == "bytes" {
			dst = appendLong(dst, int64(len(content)))
		}
		dst = append(dst, content...)
	case "enum":
		dst = appendLong(dst, int64(a.n(0, t.symbols-1)))
	case "array", "map":
		return a.block(dst, t, path, depth)
	case "union":
		i := a.branch(t, depth)
		return a.append(appendLong(dst, int64(i)), t.of[i], path, depth)
	case "record", "error":
		for i, of := range t.of {
			if dst, err = a.append(dst, of, path+"/"+t.names[i], depth+1); err != nil {
				return nil, err
			}
		}
	}
	return dst, err
}

// block appends an array or a map in one block.
func (a *avroMaker) block(dst []byte, t *avroType, path string, depth int) ([]byte, error) {
	n := a.items(depth)
	if t.of[0].least >= endless {
		n = 0
	}
	if n > 0 {
		dst = appendLong(dst, int64(n))
	}
	var err error
	for i := range n {
		inner := path + "/[]"
		if t.kind == "map" {
			inner = path + "/{}"
			dst = appendBytes(dst, []byte(a.pick(loremWords)+strconv.Itoa(i)))
		}
		if dst, err = a.append(dst, t.of[0], inner, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, 0), nil
}

// branch chooses from a union. A null is one in eight, so that nullable fields are
// there in most records.
func (a *avroMaker) branch(t *avroType, depth int) int {
	best, least := 0, endless
	var full []int
	for i, of := range t.of {
		if of.least < least {
			best, least = i, of.least
		}
		if of.kind != "null" && of.least < endless {
			full = append(full, i)
		}
	}
	if a.tight(depth) || len(full) == 0 || len(full) < len(t.of) && a.chance(8) {
		return best
	}
	return full[a.n(0, len(full)-1)]
}

// integer returns an int or a long by its logical type and its name.
func (a *avroMaker) integer(t *avroType, path string) int64 {
	moment := a.moment()
	switch t.logical {
	case "date":
		if a.of(path) == shapeDate {
			return a.day().Unix() / 86_400
		}
		return moment.Unix() / 86_400
	case "time-millis":
		return int64(a.n(0, 86_399_999))
	case "time-micros":
		return int64(a.n(0, 86_399_999)) * 1000
	case "timestamp-millis", "local-timestamp-millis":
		return moment.UnixMilli()
	case "timestamp-micros", "local-timestamp-micros":
		return moment.UnixMicro()
	case "timestamp-nanos", "local-timestamp-nanos":
		return moment.UnixNano()
	}
	if t.kind == "int" {
		return a.whole(a.of(path), math.MinInt32, math.MaxInt32)
	}
	return a.whole(a.of(path), math.MinInt64, math.MaxInt64)
}

func (a *avroMaker) string(t *avroType, path string) string {
	switch t.logical {
	case "uuid":
		return a.uuid()
	case "decimal", "big-decimal":
		return strconv.Itoa(a.n(0, 1000))
	}
	return a.text(a.of(path))
}

// content returns what stands in bytes or a fixed.
func (a *avroMaker) content(t *avroType) []byte {
	size := t.size
	if t.kind == "bytes" {
		size = a.n(8, 24)
	}
	switch t.logical {
	case "decimal":
		return a.decimal(t)
	case "big-decimal":
		unscaled := minimal(big.NewInt(int64(a.n(0, 1_000_000))))
		return appendLong(appendBytes(nil, unscaled), 2)
	case "duration":
		if size == 12 {
			out := binary.LittleEndian.AppendUint32(nil, a.r.Uint32N(13))         // months
			out = binary.LittleEndian.AppendUint32(out, a.r.Uint32N(31))          // days
			return binary.LittleEndian.AppendUint32(out, a.r.Uint32N(86_400_000)) // milliseconds
		}
	}
	return a.bytes(size)
}

// decimal returns an unscaled value within the precision, in two's complement.
func (a *avroMaker) decimal(t *avroType) []byte {
	const most = 9 // digits, which are enough for any amount
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(min(max(t.digits, 1), most))), nil)
	if t.kind == "fixed" && t.size > 0 {
		if room := new(big.Int).Lsh(big.NewInt(1), uint(8*t.size-1)); room.Cmp(limit) < 0 {
			limit = room
		}
	}
	content := minimal(big.NewInt(a.r.Int64N(limit.Int64())))
	if t.kind == "fixed" {
		return append(make([]byte, max(t.size-len(content), 0)), content...)
	}
	return content
}

// minimal returns a number that is not negative in as few bytes of two's complement
// as there can be.
func minimal(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0] >= 0x80 {
		return append([]byte{0}, b...)
	}
	return b
}

// appendLong appends an int or a long: zigzag, then seven bits a byte.
func appendLong(dst []byte, n int64) []byte { return binary.AppendVarint(dst, n) }

// appendBytes appends bytes or a string with its length.
func appendBytes(dst, b []byte) []byte { return append(appendLong(dst, int64(len(b))), b...) }
