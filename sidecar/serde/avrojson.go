package serde

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"
)

// avroBody encodes values of an Avro schema.
type avroBody struct {
	root   *avroNode
	strict bool // unions in their tagged form only
}

// An avroWalker encodes one value. It reads a text that is known to be strict
// JSON, so it checks only what the schema asks for.
type avroWalker struct {
	src     []byte
	at      int
	out     []byte
	strict  bool
	scratch []byte // unquoted content of one string
	members []int  // positions of the members of the records that are open
}

var avroWalkers = sync.Pool{New: func() any { return new(avroWalker) }} //nolint:gochecknoglobals // a pool of scratch space

// maxScratch is how much scratch space is kept, in bytes.
const maxScratch = 64 << 10

func (b avroBody) append(dst, value []byte) ([]byte, *Error) {
	w, _ := avroWalkers.Get().(*avroWalker) // the pool holds nothing else
	w.src, w.at, w.out, w.strict, w.members = value, 0, dst, b.strict, w.members[:0]
	err := w.value(b.root)
	out := w.out
	// Nothing of the record stays behind in the pool.
	clear(w.scratch[:cap(w.scratch)])
	w.src, w.out = nil, nil
	if cap(w.scratch) <= maxScratch && cap(w.members) <= maxScratch {
		avroWalkers.Put(w)
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// next returns the first byte of the next token.
func (w *avroWalker) next() byte {
	for {
		switch c := w.src[w.at]; c {
		case ' ', '\t', '\r', '\n':
			w.at++
		default:
			return c
		}
	}
}

// token takes the scalar or string at the position.
func (w *avroWalker) token() []byte {
	from := w.at
	if w.src[from] == '"' {
		w.at = stringEnd(w.src, from)
		return w.src[from:w.at]
	}
	for w.at < len(w.src) {
		switch w.src[w.at] {
		case ' ', '\t', '\r', '\n', ',', ':', ']', '}':
			return w.src[from:w.at]
		}
		w.at++
	}
	return w.src[from:w.at]
}

// skip passes over the value at the position.
func (w *avroWalker) skip() {
	depth := 0
	for {
		switch w.next() {
		case '{', '[':
			depth++
			w.at++
		case '}', ']':
			depth--
			w.at++
		case ',', ':':
			w.at++
			continue
		default:
			w.token()
		}
		if depth == 0 {
			return
		}
	}
}

// text returns the content of the string at the position, until the next call.
func (w *avroWalker) text() []byte {
	quoted := w.token()
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	w.scratch = unquoted(w.scratch[:0], quoted)
	return w.scratch
}

// value encodes the value at the position.
func (w *avroWalker) value(n *avroNode) *Error {
	c := w.next()
	switch n.kind {
	case "null":
		if c != 'n' {
			return unfit("want null")
		}
		w.at += len("null")
	case "boolean":
		switch c {
		case 't':
			w.out = append(w.out, 1)
		case 'f':
			w.out = append(w.out, 0)
		default:
			return unfit("want a boolean")
		}
		w.token()
	case "int", "long":
		bits := 64
		if n.kind == "int" {
			bits = 32
		}
		if !isNumber(c) {
			return unfit("want " + article(n.kind))
		}
		v, ok := integer(w.token(), bits)
		if !ok {
			return unfit("want " + article(n.kind))
		}
		w.out = binary.AppendVarint(w.out, v)
	case "float", "double":
		return w.float(n, c)
	case "string":
		if c != '"' {
			return unfit("want a string")
		}
		text := w.text()
		w.out = append(binary.AppendVarint(w.out, int64(len(text))), text...)
	case "bytes", "fixed":
		return w.bytes(n, c)
	case "enum":
		if c != '"' {
			return unfit("want a symbol")
		}
		i, ok := n.index[string(w.text())]
		if !ok {
			return unfit("not a symbol of the enum")
		}
		w.out = binary.AppendVarint(w.out, int64(i))
	case "array":
		return w.array(n, c)
	case "map":
		return w.mapping(n, c)
	case "record":
		if c != '{' {
			return unfit("want an object")
		}
		return w.record(n)
	case "union":
		return w.union(n, c)
	default:
		return &Error{code: CodeInternal}
	}
	return nil
}

func article(kind string) string {
	if kind == "int" {
		return "an int"
	}
	return "a " + kind
}

func isNumber(c byte) bool { return c == '-' || c >= '0' && c <= '9' }

// float encodes a float or a double, rounded to the nearest that there is. What
// JSON has no numbers for is written as Avro's Java implementation does.
func (w *avroWalker) float(n *avroNode, c byte) *Error {
	bits := 64
	if n.kind == "float" {
		bits = 32
	}
	var v float64
	switch {
	case isNumber(c):
		var err error
		if v, err = strconv.ParseFloat(string(w.token()), bits); err != nil {
			return unfit("beyond the range of " + article(n.kind))
		}
	case c == '"':
		var ok bool
		if v, ok = notFinite(w.text()); !ok {
			return unfit("want " + article(n.kind))
		}
	default:
		return unfit("want " + article(n.kind))
	}
	if bits == 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, math.Float32bits(float32(v)))
	} else {
		w.out = binary.LittleEndian.AppendUint64(w.out, math.Float64bits(v))
	}
	return nil
}

func notFinite(text []byte) (float64, bool) {
	switch string(text) {
	case "NaN":
		return math.Float64frombits(0x7ff8000000000000), true // as Java and C have it
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	default:
		return 0, false
	}
}

// bytes encodes a string whose characters stand for one byte each.
func (w *avroWalker) bytes(n *avroNode, c byte) *Error {
	if c != '"' {
		return unfit("want bytes as a string")
	}
	text := w.text()
	size, ok := latin1(text)
	switch {
	case !ok:
		return unfit("a character is none of U+0000 to U+00FF, which stand for bytes")
	case n.kind == "fixed" && size != n.size:
		return unfit("not as long as its type")
	case n.kind == "bytes":
		w.out = binary.AppendVarint(w.out, int64(size))
	}
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf {
			w.out = append(w.out, b)
			i++
			continue
		}
		// Two bytes of UTF-8, of which the first is 0xC2 or 0xC3.
		w.out = append(w.out, text[i]<<6|text[i+1]&0x3f)
		i += 2
	}
	return nil
}

// latin1 returns how many characters a text has, and whether all are bytes.
func latin1(text []byte) (int, bool) {
	size := 0
	for i := 0; i < len(text); size++ {
		switch b := text[i]; {
		case b < utf8.RuneSelf:
			i++
		case b == 0xC2 || b == 0xC3:
			i += 2
		default:
			return 0, false
		}
	}
	return size, true
}

func (w *avroWalker) array(n *avroNode, c byte) *Error {
	if c != '[' {
		return unfit("want an array")
	}
	w.at++
	from, count := len(w.out), 0
	for w.next() != ']' {
		if w.src[w.at] == ',' {
			w.at++
		}
		if err := w.value(n.items); err != nil {
			return err.under("/[]")
		}
		count++
	}
	w.at++
	w.block(from, count)
	return nil
}

func (w *avroWalker) mapping(n *avroNode, c byte) *Error {
	if c != '{' {
		return unfit("want an object")
	}
	w.at++
	from, count := len(w.out), 0
	for w.next() != '}' {
		if w.src[w.at] == ',' {
			w.at++
			w.next()
		}
		key := w.text()
		w.out = append(binary.AppendVarint(w.out, int64(len(key))), key...)
		w.colon()
		if err := w.value(n.items); err != nil {
			return err.under("/{}")
		}
		count++
	}
	w.at++
	w.block(from, count)
	return nil
}

func (w *avroWalker) colon() {
	w.next()
	w.at++
}

// block makes the items that stand in the output behind from one block, and ends
// the array or map.
func (w *avroWalker) block(from, count int) {
	if count > 0 {
		var head [binary.MaxVarintLen64]byte
		n := binary.PutVarint(head[:], int64(count))
		w.out = append(w.out, head[:n]...)
		copy(w.out[from+n:], w.out[from:len(w.out)-n])
		copy(w.out[from:], head[:n])
	}
	w.out = append(w.out, 0)
}
