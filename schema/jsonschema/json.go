package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An object is a JSON object in the order in which it was written. The values
// of JSON are object, []any, string, json.Number, bool and nil: derived schemas
// say what the original says, and a number that went through a float may not.
type object []member

type member struct {
	key   string
	value any
}

func (o object) get(key string) (any, bool) {
	for i := range o {
		if o[i].key == key {
			return o[i].value, true
		}
	}
	return nil, false
}

// text returns the string under key, or "".
func (o object) text(key string) string {
	v, _ := o.get(key)
	s, _ := v.(string)
	return s
}

// keys returns the keys of the object under key, in order.
func (o object) keys(key string) []string {
	v, _ := o.get(key)
	inner, _ := v.(object)
	keys := make([]string, len(inner))
	for i := range inner {
		keys[i] = inner[i].key
	}
	return keys
}

// with returns o with another value under key, which is added behind the others
// when it is new.
func (o object) with(key string, value any) object {
	out := make(object, 0, len(o)+1)
	found := false
	for _, m := range o {
		if m.key == key {
			m.value, found = value, true
		}
		out = append(out, m)
	}
	if !found {
		out = append(out, member{key, value})
	}
	return out
}

// without returns o without a key.
func (o object) without(key string) object {
	out := make(object, 0, len(o))
	for _, m := range o {
		if m.key != key {
			out = append(out, m)
		}
	}
	return out
}

// maxNesting bounds the nesting of a schema text.
const maxNesting = 256

var errNotJSON = errors.New("is not exactly one JSON value")

// readJSON reads a text that is exactly one JSON value without duplicate members.
func readJSON(text string) (any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	return v, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, errNotJSON
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("nests deeper than %d", maxNesting)
	}
	switch token {
	case json.Delim('{'):
		out := object{}
		seen := map[string]bool{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, errNotJSON
			}
			name, ok := key.(string)
			if !ok {
				return nil, errNotJSON
			}
			if seen[name] {
				return nil, fmt.Errorf("has the member %.80q twice", name)
			}
			seen[name] = true
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, member{name, v})
		}
		if _, err := d.Token(); err != nil {
			return nil, errNotJSON
		}
		return out, nil
	case json.Delim('['):
		out := []any{}
		for d.More() {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		if _, err := d.Token(); err != nil {
			return nil, errNotJSON
		}
		return out, nil
	}
	return token, nil
}

// plain returns v with maps in the place of objects, as the validator wants it.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		out := make(map[string]any, len(v))
		for _, m := range v {
			out[m.key] = plain(m.value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	}
	return v
}

// lookup follows a JSON Pointer.
func lookup(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, true
	}
	if pointer[0] != '/' {
		return nil, false
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch x := v.(type) {
		case object:
			inner, ok := x.get(token)
			if !ok {
				return nil, false
			}
			v = inner
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// pointerToken spells one token of a JSON Pointer.
func pointerToken(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}

// appendJSON appends v without white space.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, m.key), ':')
			dst = appendJSON(dst, m.value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, x)
		}
		return append(dst, ']')
	case string:
		return appendText(dst, v)
	case json.Number:
		return append(dst, v...)
	case bool:
		return strconv.AppendBool(dst, v)
	case nil:
		return append(dst, "null"...)
	default:
		panic("jsonschema: value that JSON has not") //nolint:forbidigo // the reader makes no others
	}
}

func appendText(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("jsonschema: text that JSON has not") //nolint:forbidigo // strings and buffers do not fail
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
