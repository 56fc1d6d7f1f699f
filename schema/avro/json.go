package avro

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
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

// without returns o without some keys.
func (o object) without(keys ...string) object {
	out := make(object, 0, len(o))
next:
	for _, m := range o {
		for _, k := range keys {
			if m.key == k {
				continue next
			}
		}
		out = append(out, m)
	}
	return out
}

// readJSON reads a text that is exactly one JSON value.
func readJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := readValue(d)
	if err != nil {
		return nil, errNotJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	return v, nil
}

func readValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		out := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, ok := key.(string)
			if !ok {
				return nil, errNotJSON
			}
			v, err := readValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, member{name, v})
		}
		_, err := d.Token()
		return out, err
	case json.Delim('['):
		out := []any{}
		for d.More() {
			v, err := readValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.Token()
		return out, err
	}
	return token, nil
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
		panic("avro: value that JSON has not") //nolint:forbidigo // the reader makes no others
	}
}

// appendText leaves <, > and & as they are, which json.Marshal does not.
func appendText(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("avro: string that JSON has not") //nolint:forbidigo // there are none
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
