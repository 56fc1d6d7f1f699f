package serde

import (
	"bytes"
	"encoding/binary"
)

// union encodes a value of a union. An object whose only member has the name of a
// branch is the tagged form, always: so whatever Avro's own JSON encoding means, it
// means here.
func (w *avroWalker) union(n *avroNode, c byte) *Error {
	if c == 'n' {
		if n.null < 0 {
			return unfit("must not be null")
		}
		w.token()
		w.out = binary.AppendVarint(w.out, int64(n.null))
		return nil
	}
	if c == '{' {
		if branch := w.tagged(n); branch >= 0 {
			w.out = binary.AppendVarint(w.out, int64(branch))
			if err := w.value(n.branches[branch]); err != nil {
				return err
			}
			if w.next() != '}' {
				return unfit("more than one member beside the name of a branch")
			}
			w.at++
			return nil
		}
	}
	if w.strict {
		return &Error{code: CodeAmbiguous, reason: `want an object with the name of a branch, such as {"string": ...}`}
	}
	branch, err := w.bare(n, c)
	if err != nil {
		return err
	}
	w.out = binary.AppendVarint(w.out, int64(branch))
	return w.value(n.branches[branch])
}

// tagged returns the branch that the object at the position names, with the
// position at its value, or -1 with the position as it was.
func (w *avroWalker) tagged(n *avroNode) int {
	from := w.at
	w.at++
	if w.next() == '}' {
		w.at = from
		return -1
	}
	tag := w.text()
	branch := -1
	for i, b := range n.branches {
		if b.tag == string(tag) && b.kind != "null" {
			branch = i
			break
		}
	}
	if branch >= 0 {
		w.colon()
		w.next()
		value := w.at
		if !n.clash {
			return branch
		}
		w.skip()
		if w.next() == '}' {
			w.at = value
			return branch
		}
	}
	w.at = from
	return -1
}

// bare returns the only branch that can hold the value at the position. It looks
// at the value itself and at the names of its members, and no deeper: what is
// inside is then encoded, or refused, as that branch.
func (w *avroWalker) bare(n *avroNode, c byte) (int, *Error) {
	from := w.at
	var token, text []byte
	switch {
	case c == '"':
		text = w.text()
	case isNumber(c):
		token = w.token()
	}
	w.at = from
	found := -1
	for i, b := range n.branches {
		fits := false
		switch b.kind {
		case "boolean":
			fits = c == 't' || c == 'f'
		case "int":
			if isNumber(c) {
				_, fits = integer(token, 32)
			}
		case "long":
			if isNumber(c) {
				_, fits = integer(token, 64)
			}
		case "float", "double":
			fits = isNumber(c)
			if c == '"' {
				_, fits = notFinite(text)
			}
		case "string":
			fits = c == '"'
		case "bytes", "fixed":
			if c == '"' {
				size, ok := latin1(text)
				fits = ok && (b.kind == "bytes" || size == b.size)
			}
		case "enum":
			if c == '"' {
				_, fits = b.index[string(text)]
			}
		case "array":
			fits = c == '['
		case "map":
			fits = c == '{'
		case "record":
			fits = c == '{' && w.names(b)
			w.at = from
		}
		switch {
		case fits && found >= 0:
			return 0, &Error{code: CodeAmbiguous, reason: "more than one branch can hold the value: name it"}
		case fits:
			found = i
		}
	}
	if found < 0 {
		return 0, unfit("no branch of the union can hold the value")
	}
	return found, nil
}

// names tells whether the object at the position has the fields of a record and no
// others.
func (w *avroWalker) names(n *avroNode) bool {
	w.at++
	met := 0
	for w.next() != '}' {
		if w.src[w.at] == ',' {
			w.at++
			w.next()
		}
		i, ok := n.index[string(w.text())]
		if !ok {
			return false
		}
		if !n.fields[i].optional {
			met++
		}
		w.colon()
		w.skip()
	}
	for i := range n.fields {
		if !n.fields[i].optional {
			met--
		}
	}
	return met == 0
}

// integer reads a number of JSON that is an integer of that many bits, however it
// is written: 5, 5.0 and 50e-1 are the same number.
func integer(lexeme []byte, bits int) (int64, bool) {
	if v, ok := digits(lexeme); ok {
		return v, bits == 64 || v == int64(int32(v)) //nolint:gosec // to see whether it fits
	}
	if !bytes.ContainsAny(lexeme, ".eE") {
		return slowInteger(lexeme, nil, 0, bits)
	}
	mantissa, exponent := lexeme, 0
	if i := bytes.IndexAny(lexeme, "eE"); i >= 0 {
		mantissa = lexeme[:i]
		var ok bool
		if exponent, ok = smallExponent(lexeme[i+1:]); !ok {
			return 0, allZero(mantissa)
		}
	}
	var fraction []byte
	if i := bytes.IndexByte(mantissa, '.'); i >= 0 {
		mantissa, fraction = mantissa[:i], mantissa[i+1:]
	}
	return slowInteger(mantissa, fraction, exponent, bits)
}

// digits reads an integer of up to 18 digits, without point and exponent.
func digits(lexeme []byte) (int64, bool) {
	b := lexeme
	if b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 18 {
		return 0, false
	}
	var v int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	if lexeme[0] == '-' {
		v = -v
	}
	return v, true
}

// maxExponent bounds the exponents that are followed. An int64 has 19 digits, and
// a lexeme with more zeros than this behind its point is nobody's integer.
const maxExponent = 4096

func smallExponent(b []byte) (int, bool) {
	sign := 1
	if b[0] == '-' || b[0] == '+' {
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
	}
	v := 0
	for _, c := range b {
		if v = v*10 + int(c-'0'); v > maxExponent {
			return 0, false
		}
	}
	return sign * v, true
}

func allZero(mantissa []byte) bool {
	for _, c := range mantissa {
		if c >= '1' && c <= '9' {
			return false
		}
	}
	return true
}

// slowInteger returns whole.fraction × 10^exponent, if that is an integer.
func slowInteger(whole, fraction []byte, exponent, bits int) (int64, bool) {
	negative := whole[0] == '-'
	if negative {
		whole = whole[1:]
	}
	all := append(append(make([]byte, 0, len(whole)+len(fraction)), whole...), fraction...)
	point := len(whole) + exponent // position of the point in all
	all = bytes.TrimRight(all, "0")
	lead := len(all)
	all = bytes.TrimLeft(all, "0")
	point -= lead - len(all)
	switch {
	case len(all) == 0:
		return 0, true
	case len(all) > point || point > 19:
		return 0, false
	}
	limit := uint64(1) << (bits - 1)
	var v uint64
	for i := range point {
		d := uint64(0)
		if i < len(all) {
			d = uint64(all[i] - '0')
		}
		v = v*10 + d // 19 digits fit into 64 bits without a sign
	}
	switch {
	case negative && v <= limit:
		return -int64(v), true // also for -2^63, which is its own negative
	case !negative && v < limit:
		return int64(v), true
	default:
		return 0, false
	}
}
