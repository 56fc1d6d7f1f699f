package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

// A ValidationError says that a record does not satisfy its schema. It holds no
// data.
type ValidationError struct {
	// Path is where the value stands that is at fault, with "[]" for an item and
	// "{}" for a member that the schema has no name for.
	Path string
	// Keyword is the keyword that refuses it, such as "maxLength". It is "false"
	// for a schema that refuses everything.
	Keyword string
}

func (e *ValidationError) Error() string {
	return fmt.Sprintf("record does not satisfy its schema: %s: %s", e.Path, e.Keyword)
}

var (
	errRecord = errors.New("jsonschema: record is not exactly one JSON value")
	errNumber = errors.New("jsonschema: record has a number of too many digits to validate")
	errEffort = errors.New("jsonschema: record takes too much work to validate")
)

// Validate implements [schema.Validator]. A record that does not satisfy the
// schema gives a [*ValidationError].
func (s *Schema) Validate(record []byte) error {
	v, err := decodeRecord(record)
	if err != nil {
		return err
	}
	if !s.effort.affordable(s.validator, v, len(record)) {
		return errEffort
	}
	err = s.validator.Validate(v)
	if err == nil {
		return nil
	}
	fault, ok := errors.AsType[*js.ValidationError](err)
	if !ok {
		return &ValidationError{"/", "unknown"}
	}
	for len(fault.Causes) > 0 {
		fault = fault.Causes[0]
	}
	return &ValidationError{s.pathOf(v, fault.InstanceLocation), keywordOf(fault.ErrorKind)}
}

// decodeRecord reads a record with its numbers as they are written.
func decodeRecord(record []byte) (any, error) {
	if !json.Valid(record) || nesting(record) > maxDepth {
		return nil, errRecord
	}
	d := json.NewDecoder(strings.NewReader(string(record)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errRecord
	}
	if !boundedNumbers(v) {
		return nil, errNumber
	}
	return v, nil
}

// Bounds of a number that is compared exactly.
const (
	maxDigits   = 1024
	maxExponent = 1024
)

// boundedNumbers tells whether exact arithmetic with the numbers of a record takes
// little memory, which a few bytes of exponent can make very much.
func boundedNumbers(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return boundedNumber(v)
	case []any:
		for _, x := range v {
			if !boundedNumbers(x) {
				return false
			}
		}
	case map[string]any:
		for _, x := range v {
			if !boundedNumbers(x) {
				return false
			}
		}
	}
	return true
}

func boundedNumber(n json.Number) bool {
	if len(n) > maxDigits {
		return false
	}
	i := strings.IndexAny(string(n), "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.Atoi(strings.TrimPrefix(string(n)[i+1:], "+"))
	return err == nil && exponent >= -maxExponent && exponent <= maxExponent
}

// nesting returns how deep a JSON text nests.
func nesting(text []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// keywordOf names what refused a value. The validator's own account would repeat
// the value.
func keywordOf(k js.ErrorKind) string {
	switch k.(type) {
	case *kind.FalseSchema:
		return "false"
	case *kind.Not:
		return "not"
	case *kind.RefCycle:
		return "$ref"
	}
	if path := k.KeywordPath(); len(path) > 0 {
		return path[0]
	}
	return "unknown"
}

// pathOf spells the location of a value in a record without names that are data.
func (s *Schema) pathOf(v any, location []string) string {
	var b strings.Builder
	p := s.root
	for _, token := range location {
		if p != nil && p.outer != nil {
			p = p.outer
		}
		switch x := v.(type) {
		case map[string]any:
			v = x[token]
			named := false
			if p != nil {
				if p, named = p.members[token]; !named {
					p = nil
				}
			}
			if named {
				b.WriteString("/" + jsondoc.Segment(token))
			} else {
				b.WriteString("/{}")
			}
		case []any:
			b.WriteString("/[]")
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(x) {
				v = x[i]
				if p != nil {
					p = p.item(i)
				}
			}
		}
	}
	return at(b.String())
}

// item returns the place of an item, or nil.
func (p *place) item(i int) *place {
	if i < len(p.prefix) {
		return p.prefix[i]
	}
	return p.items
}
