package serde

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// maxDepth is how deep the JSON of a value may nest. Avro's encoding of unions
// adds a level to each, so it is more than what a record may have.
const maxDepth = 256

// An Encoder turns JSON values into the bytes of records. It is immutable and safe
// for concurrent use, and does no I/O.
type Encoder struct {
	id     int
	format Format
	frame  []byte // what stands before every record
	nulls  bool
	body   body
}

// A body appends the encoding of a value, without its framing. value is strict
// JSON without white space around it.
type body interface {
	append(dst, value []byte) ([]byte, *Error)
}

// ID returns the id of the schema, 0 where there is none.
func (e *Encoder) ID() int { return e.id }

// Format returns the format. Where the request named a schema only, the schema
// told it.
func (e *Encoder) Format() Format { return e.format }

// AdmitsNull says whether null is a value of the schema, or there is no schema.
// Then a record that is null may be sent as a tombstone, which has no bytes at
// all. Where it is not, null is a value that does not fit.
func (e *Encoder) AdmitsNull() bool { return e.nulls }

// Append appends the bytes of the record to dst: the framing, where there is a
// schema, and the encoded value. value is one JSON text. Null is encoded only
// where a schema admits it: whoever means a tombstone does not call Append.
//
// On an error, which is an [*Error], it returns dst as it was.
func (e *Encoder) Append(dst, value []byte) ([]byte, error) {
	value, err := strict(value)
	if err != nil {
		return dst, err
	}
	out, err := e.body.append(append(dst, e.frame...), value)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// strict returns value without white space around it.
func strict(value []byte) ([]byte, *Error) {
	if deep(value) {
		return nil, &Error{code: CodeJSON, reason: "nested too deep"}
	}
	if !jsontext.Value(value).IsValid() {
		return nil, &Error{code: CodeJSON, reason: "not exactly one JSON value, a member twice, or invalid UTF-8"}
	}
	return bytes.Trim(value, " \t\r\n"), nil
}

// deep tells whether a text nests deeper than maxDepth, whatever else is wrong
// with it.
func deep(text []byte) bool {
	if len(text) <= maxDepth {
		return false
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
			if depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			if i = stringEnd(text, i) - 1; i < 0 {
				return false // it does not end: not JSON
			}
		}
	}
	return false
}

// stringEnd returns the position behind the string that begins at text[at], or 0.
func stringEnd(text []byte, at int) int {
	for i := at + 1; i < len(text); {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return 0
		}
		i += n
		slashes := 0
		for text[i-1-slashes] == '\\' {
			slashes++
		}
		i++
		if slashes%2 == 0 {
			return i
		}
	}
	return 0
}

// unquoted returns the content of a valid JSON string, which may share memory with
// it, or be appended to scratch.
func unquoted(scratch, quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	out, _ := jsontext.AppendUnquote(scratch, quoted) // it is valid: strict has seen to it
	return out
}

// plain returns the encoder of a format without a schema.
func plain(f Format) *Encoder {
	e := &Encoder{format: f, nulls: true}
	switch f {
	case Binary:
		e.body = binaryBody{}
	case String:
		e.body = stringBody{}
	case JSON, Avro, JSONSchema, Protobuf:
		e.body = jsonBody{}
	}
	return e
}

type binaryBody struct{}

func (binaryBody) append(dst, value []byte) ([]byte, *Error) {
	if value[0] != '"' {
		return dst, &Error{code: CodeBase64, reason: "want base64 in a string"}
	}
	text := unquoted(nil, value)
	// The decoder passes over line ends, which then would be two ways to write one
	// record.
	if bytes.ContainsAny(text, "\r\n") {
		return dst, &Error{code: CodeBase64, reason: "line ends"}
	}
	out, err := base64.StdEncoding.Strict().AppendDecode(dst, text)
	if err != nil {
		return dst, &Error{code: CodeBase64, reason: "want the standard alphabet with padding"}
	}
	return out, nil
}

type stringBody struct{}

func (stringBody) append(dst, value []byte) ([]byte, *Error) {
	if value[0] != '"' {
		return dst, unfit("want a string")
	}
	return append(dst, unquoted(nil, value)...), nil
}

type jsonBody struct{}

func (jsonBody) append(dst, value []byte) ([]byte, *Error) {
	if value[0] == 'n' {
		return dst, unfit("null stands for no record value, and not for the letters of it")
	}
	return compact(dst, value)
}

// compact appends value without white space. Strings and numbers stay as they are
// written.
func compact(dst, value []byte) ([]byte, *Error) {
	at := len(dst)
	dst = append(dst, value...)
	// It is done in place: what goes is only ever in front of what stays.
	out := dst[:at]
	for i := at; i < len(dst); {
		switch c := dst[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '"':
			end := stringEnd(dst, i)
			if end == 0 {
				return dst[:at], &Error{code: CodeInternal}
			}
			out = append(out, dst[i:end]...)
			i = end
		default:
			out = append(out, c)
			i++
		}
	}
	return out, nil
}

type jsonSchemaBody struct{ validator schema.Validator }

func (b jsonSchemaBody) append(dst, value []byte) ([]byte, *Error) {
	out, err := compact(dst, value)
	if err != nil {
		return dst, err
	}
	if verr := b.validator.Validate(out[len(dst):]); verr != nil {
		fault, ok := errors.AsType[*jsonschema.ValidationError](verr)
		if !ok {
			// Too deep, too many digits, or too much work.
			return dst, unfit("cannot be validated within the limits")
		}
		e := unfit("does not satisfy " + keyword(fault.Keyword))
		if fault.Path != "/" {
			e.path = fault.Path
		}
		return dst, e
	}
	return out, nil
}

// keyword returns the name of a keyword that JSON Schema has, so that no text of a
// schema, however it came there, gets into an error.
func keyword(name string) string {
	switch name {
	case "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
		"maxLength", "minLength", "pattern", "format", "items", "prefixItems", "additionalItems", "maxItems", "minItems",
		"uniqueItems", "contains", "minContains", "maxContains", "maxProperties", "minProperties", "required",
		"dependentRequired", "dependencies", "dependentSchemas", "propertyNames", "additionalProperties",
		"patternProperties", "unevaluatedItems", "unevaluatedProperties", "allOf", "anyOf", "oneOf", "not",
		"contentEncoding", "contentMediaType", "contentSchema", "$ref", "false":
		return name
	default:
		return "its schema"
	}
}

// parse reads a schema with the parser of its language, which bounds what a text
// can make it do.
func parse(text *schema.Text) (schema.Schema, *Error) {
	var parsed schema.Schema
	var err error
	switch text.Format {
	case schema.Avro:
		parsed, err = avro.Parse(*text)
	case schema.JSONSchema:
		parsed, err = jsonschema.Parser(*text)
	case schema.Protobuf:
		parsed, err = protobuf.Parser(*text)
	default:
		return nil, invalidSchema("unknown format")
	}
	if err != nil {
		return nil, invalidSchema("the schema cannot be read") // the error may quote it
	}
	return parsed, nil
}

func originOf(s schema.Schema) (schema.Origin, bool) {
	if d, ok := s.(schema.Derived); ok {
		return d.Origin()
	}
	return schema.Origin{}, false
}

// compile makes the encoder of a schema. Tags and rules beside the text do not
// matter here, and those that cannot be read are for the engine to refuse.
func compile(id int, text *schema.Text, cfg *Config) *compiled {
	bare := text.Bare()
	text = &bare
	parsed, err := parse(text)
	if err != nil {
		return &compiled{err: err}
	}
	c := &compiled{}
	c.origin, c.derived = originOf(parsed)
	enc := &Encoder{id: id, format: ofSchema(text.Format)}
	var ferr error
	if enc.frame, ferr = wire.AppendFrame(nil, id); ferr != nil {
		return &compiled{err: &Error{code: CodeInternal}}
	}
	switch text.Format {
	case schema.Avro:
		root, err := compileAvro(text, cfg)
		if err != nil {
			return &compiled{err: err}
		}
		enc.body, enc.nulls = avroBody{root, cfg.StrictUnions}, root.admitsNull()
	case schema.JSONSchema:
		validator, ok := parsed.(schema.Validator)
		if !ok {
			return &compiled{err: &Error{code: CodeInternal}}
		}
		enc.body, enc.nulls = jsonSchemaBody{validator}, validator.Validate([]byte("null")) == nil
	case schema.Protobuf:
		message, err := compileProtobuf(text)
		if err != nil {
			return &compiled{err: err}
		}
		// The first message of the file is the one that is meant.
		if enc.frame, ferr = wire.AppendIndexes(enc.frame, []int{0}); ferr != nil {
			return &compiled{err: &Error{code: CodeInternal}}
		}
		enc.body = message
	}
	c.enc = enc
	return c
}
