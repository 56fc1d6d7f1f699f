package registry

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// maxAnswerDepth is how deep the values of an answer may be nested. Those that
// are read have six levels.
const maxAnswerDepth = 32

// A decodeError is a fixed text: answers are not quoted.
type decodeError string

func (e decodeError) Error() string { return "registry: " + string(e) }

func (e decodeError) Is(target error) bool { return target == ErrAnswer }

// decode reads one JSON value. Package encoding/json would take members in other
// letters and the last of repeated ones, and repair text that is not UTF-8:
// another reader of the same answer may see other tags and rules then.
func decode(b []byte, read func(*cursor) error) error {
	switch {
	case !utf8.Valid(b):
		return decodeError("answer is not UTF-8")
	case !json.Valid(b):
		return decodeError("answer is not one JSON value")
	}
	return read(&cursor{b: b, most: maxAnswerDepth})
}

// A cursor moves over a JSON text that is known to be valid. A null reads as the
// zero value of what is asked for.
type cursor struct {
	b     []byte
	i     int
	depth int
	most  int // of depth
}

// peek returns the first byte of the next value or sign.
func (c *cursor) peek() byte {
	for {
		switch b := c.b[c.i]; b {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return b
		}
	}
}

// null reads a null, if there is one.
func (c *cursor) null() bool {
	if c.peek() != 'n' {
		return false
	}
	c.i += len("null")
	return true
}

func (c *cursor) enter() error {
	c.depth++
	if c.depth > c.most {
		return decodeError("answer is nested too deeply")
	}
	c.i++
	return nil
}

// more tells whether another member or item follows, and reads what stands
// before it or the end.
func (c *cursor) more(end byte) bool {
	switch c.peek() {
	case end:
		c.i++
		c.depth--
		return false
	case ',':
		c.i++
	}
	return true
}

// object reads an object, whose members member has to read.
func (c *cursor) object(member func(key string) error) error {
	if c.null() {
		return nil
	}
	if c.peek() != '{' {
		return decodeError("want an object in the answer")
	}
	if err := c.enter(); err != nil {
		return err
	}
	seen := map[string]struct{}{}
	for c.more('}') {
		key, err := c.text()
		if err != nil {
			return err
		}
		if _, twice := seen[key]; twice {
			return decodeError("answer has a member twice")
		}
		seen[key] = struct{}{}
		c.peek()
		c.i++ // the colon
		if err := member(key); err != nil {
			return err
		}
	}
	return nil
}

// array reads an array, whose items item has to read.
func (c *cursor) array(item func() error) error {
	if c.null() {
		return nil
	}
	if c.peek() != '[' {
		return decodeError("want an array in the answer")
	}
	if err := c.enter(); err != nil {
		return err
	}
	for c.more(']') {
		if err := item(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) text() (string, error) {
	if c.null() {
		return "", nil
	}
	if c.peek() != '"' {
		return "", decodeError("want a string in the answer")
	}
	start := c.i
	var high bool // a \u escape of the first half of a pair went before
	for c.i++; c.b[c.i] != '"'; c.i++ {
		if c.b[c.i] != '\\' {
			if high {
				return "", errSurrogate
			}
			continue
		}
		c.i++
		var unit uint64
		if c.b[c.i] == 'u' {
			unit, _ = strconv.ParseUint(string(c.b[c.i+1:c.i+5]), 16, 16) // valid, as the text is
			c.i += 4
		}
		if high != (unit>>10 == 0xdc00>>10) {
			return "", errSurrogate
		}
		high = unit>>10 == 0xd800>>10
	}
	c.i++
	if high {
		return "", errSurrogate
	}
	var s string
	if err := json.Unmarshal(c.b[start:c.i], &s); err != nil {
		return "", decodeError("want a string in the answer")
	}
	return s, nil
}

// errSurrogate stands for text that would be repaired, and then be equal to text
// that is different.
const errSurrogate = decodeError("answer has half a surrogate pair")

func (c *cursor) integer() (int, error) {
	if c.null() {
		return 0, nil
	}
	c.peek()
	start := c.i
	for c.i < len(c.b) && (c.b[c.i] == '-' || c.b[c.i] >= '0' && c.b[c.i] <= '9') {
		c.i++
	}
	n, err := strconv.ParseInt(string(c.b[start:c.i]), 10, 32)
	if err != nil || c.i < len(c.b) && (c.b[c.i] == '.' || c.b[c.i]|0x20 == 'e') {
		return 0, decodeError("want a whole number of 32 bits in the answer")
	}
	return int(n), nil
}

func (c *cursor) boolean() (bool, error) {
	switch c.peek() {
	case 'n':
		c.i += len("null")
		return false, nil
	case 't':
		c.i += len("true")
		return true, nil
	case 'f':
		c.i += len("false")
		return false, nil
	default:
		return false, decodeError("want true or false in the answer")
	}
}

func (c *cursor) texts() (list []string, err error) {
	err = c.array(func() error {
		if c.null() {
			return decodeError("want a string in the answer")
		}
		s, err := c.text()
		list = append(list, s)
		return err
	})
	return list, err
}

func (c *cursor) integers() (list []int, err error) {
	err = c.array(func() error {
		n, err := c.integer()
		list = append(list, n)
		return err
	})
	return list, err
}

func (c *cursor) textMap() (m map[string]string, err error) {
	err = c.object(func(key string) (err error) {
		if m == nil {
			m = map[string]string{}
		}
		m[key], err = c.text()
		return err
	})
	return m, err
}

// raw reads any value, and returns its text.
func (c *cursor) raw() (json.RawMessage, error) {
	first := c.peek()
	start := c.i
	var err error
	switch first {
	case '{':
		err = c.object(func(string) error { _, err := c.raw(); return err })
	case '[':
		err = c.array(func() error { _, err := c.raw(); return err })
	case '"':
		_, err = c.text()
	default:
		for c.i < len(c.b) && !endsScalar(c.b[c.i]) {
			c.i++
		}
	}
	return c.b[start:c.i:c.i], err
}

func endsScalar(b byte) bool {
	switch b {
	case ',', ']', '}', ' ', '\t', '\r', '\n':
		return true
	default:
		return false
	}
}

// extra keeps a member that has no field.
func (c *cursor) extra(m map[string]json.RawMessage, key string) (map[string]json.RawMessage, error) {
	raw, err := c.raw()
	if m == nil {
		m = map[string]json.RawMessage{}
	}
	m[key] = append(json.RawMessage(nil), raw...)
	return m, err
}
