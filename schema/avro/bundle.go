package avro

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// bundleRoot is the field of the bundle that holds the schema itself.
const bundleRoot = "schema"

// bundle returns one record whose fields have the references and the schema as
// types, and the index of the field that is the schema. So all names resolve in
// one text, in order, and each reference stays where it was written, with the
// tags it has there. Texts that say the same are kept once, as definitions
// must not be repeated.
func bundle(text schema.Text) (doc string, root int, err error) {
	var b strings.Builder
	b.WriteString(`{"type":"record","name":"fieldveil_bundle_of_texts","fields":[`)
	seen := make(map[string]int)
	for i, t := range append(slices.Clip(text.References), text.Schema) {
		name := bundleRoot
		if i < len(text.References) {
			name = "reference" + strconv.Itoa(i)
		}
		same, err := normal(t)
		if err != nil {
			return "", 0, fmt.Errorf("avro: %s: %w", name, err)
		}
		if at, ok := seen[same]; ok {
			root = at
			continue
		}
		if root = len(seen); root > 0 {
			b.WriteByte(',')
		}
		seen[same] = root
		fmt.Fprintf(&b, `{"name":%q,"type":%s}`, name, t)
	}
	b.WriteString("]}")
	return b.String(), root, nil
}

var (
	errNotJSON  = errors.New("not one JSON value")
	errKeyTwice = errors.New("an object has a key twice")
)

// normal returns a JSON text in one spelling. It fails when the text is not
// exactly one value, in which case it could end the bundle early, and when a key
// stands twice: readers differ in which one they take, and one of them may have
// the tags.
func normal(text string) (string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", errNotJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", errNotJSON
	}
	if keyTwice(text) {
		return "", errKeyTwice
	}
	out, err := json.Marshal(v)
	if err != nil {
		return "", errNotJSON
	}
	return string(out), nil
}

// keyTwice tells whether any object of a valid JSON text has a key twice.
func keyTwice(text string) bool {
	type level struct {
		keys  map[string]bool // of an object, else nil
		value bool            // the next token is the value of a key
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	open := []level{{}}
	for {
		token, err := d.Token()
		if err != nil {
			return !errors.Is(err, io.EOF)
		}
		top := &open[len(open)-1]
		if key, ok := token.(string); ok && top.keys != nil && !top.value {
			if top.keys[key] {
				return true
			}
			top.keys[key], top.value = true, true
			continue
		}
		switch token {
		case json.Delim('{'):
			top.value = false
			open = append(open, level{keys: make(map[string]bool)})
		case json.Delim('['):
			top.value = false
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			top.value = false
		}
	}
}
