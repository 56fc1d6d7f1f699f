package config

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// examples are what stands, as a comment, below keys whose default is nothing.
func examples() map[string]string {
	return map[string]string{
		"vaults":                "cards: {kind: postgres, url: {env: CARDS_URL}}",
		"schemas.registry.urls": "- https://registry.example.com",
		"schemas.topics":        "orders: {format: avro, path: schemas/order.avsc, references: []}",
	}
}

// PrintDefaults writes a complete file that says nothing but the defaults, with a
// comment to each key and the variable of the environment that stands above it.
func (f *Format) PrintDefaults(w io.Writer) error {
	p := &printer{w: bufio.NewWriter(w), comments: true}
	p.comment(0, "The configuration of the sidecar. All keys are optional but version; what stands\nhere is what holds without them. A secret is {env: NAME} or {file: PATH}.")
	p.section(f.top(f.Defaults()), "", 0)
	return p.end()
}

// Print writes c as a file, without comments and without any secret: of a secret
// that stands in the file it writes "redacted".
func (f *Format) Print(w io.Writer, c *Config) error {
	p := &printer{w: bufio.NewWriter(w)}
	p.section(f.top(c), "", 0)
	return p.end()
}

// A printer writes one file. It keeps the first error.
type printer struct {
	w        *bufio.Writer
	comments bool
	err      error
}

func (p *printer) end() error {
	if err := p.w.Flush(); p.err == nil {
		p.err = err
	}
	return p.err
}

func (p *printer) linef(depth int, format string, args ...any) {
	_, err := fmt.Fprintf(p.w, strings.Repeat("  ", depth)+format+"\n", args...)
	if p.err == nil {
		p.err = err
	}
}

func (p *printer) comment(depth int, text string) {
	if !p.comments || text == "" {
		return
	}
	for line := range strings.Lines(text) {
		p.linef(depth, "# %s", strings.TrimSuffix(line, "\n"))
	}
}

func (p *printer) section(in []field, path string, depth int) {
	for _, f := range in {
		at := joined(path, f.key)
		if depth == 0 && p.comments {
			p.linef(0, "")
		}
		doc := f.doc
		if form := formOf(f.value.Type()); p.comments && (form == formScalar || form == formDuration) && at != "version" {
			doc = strings.TrimSpace(doc + " " + EnvName(at))
		}
		p.comment(depth, doc)
		p.field(f, at, depth)
	}
}

func (p *printer) field(f field, at string, depth int) {
	switch formOf(f.value.Type()) {
	case formSection:
		if f.value.Kind() == reflect.Struct {
			p.linef(depth, "%s:", f.key)
			p.section(fields(f.value), at, depth+1)
			return
		}
	case formScalar, formDuration:
		if f.value.Kind() != reflect.Pointer {
			p.linef(depth, "%s: %s", f.key, scalar(f.value))
			return
		}
	case formMap, formList, formOwn:
	}
	if f.value.IsZero() || f.value.Kind() == reflect.Map && f.value.Len() == 0 || f.value.Kind() == reflect.Slice && f.value.Len() == 0 {
		p.nothing(f, depth)
		if text := examples()[at]; text != "" {
			p.comment(depth+1, text)
		}
		return
	}
	text, err := yaml.Marshal(map[string]any{f.key: f.value.Interface()})
	if err != nil && p.err == nil {
		p.err = err
	}
	for line := range strings.Lines(string(text)) {
		p.linef(depth, "%s", strings.TrimSuffix(line, "\n"))
	}
}

// nothing writes a key without a value, which only a file with comments has.
func (p *printer) nothing(f field, depth int) {
	switch {
	case !p.comments:
	case f.value.Kind() == reflect.Map:
		p.linef(depth, "%s: {}", f.key)
	case f.value.Kind() == reflect.Slice:
		p.linef(depth, "%s: []", f.key)
	case isSecret(f.value.Type()):
		p.linef(depth, "# %s: {env: NAME}", f.key)
	default:
		p.linef(depth, "# %s:", f.key)
	}
}

// scalar writes one value, of a text in quotes.
func scalar(v reflect.Value) string {
	if d, ok := reflect.TypeAssert[time.Duration](v); ok {
		return short(d)
	}
	if v.Kind() == reflect.String {
		// JSON is a part of YAML.
		b, err := json.Marshal(v.String())
		if err != nil {
			return `""`
		}
		return string(b)
	}
	return fmt.Sprint(v.Interface())
}

// short writes a duration without the zeros at its end: 15m and not 15m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Schema writes a JSON Schema (2020-12) of the file, for editors. It knows keys and
// types, and not what goes together.
func (f *Format) Schema(w io.Writer) error {
	c := f.Defaults()
	root := object(f.top(c))
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "fieldveil"
	root["required"] = []string{"version"}
	if props, ok := root["properties"].(map[string]any); ok {
		props["version"] = map[string]any{"const": Version}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(root)
}

func object(in []field) map[string]any {
	props := map[string]any{}
	for _, f := range in {
		one := schemaOf(f.value.Type())
		if f.doc != "" {
			one["description"] = f.doc
		}
		if form := formOf(f.value.Type()); form == formScalar && !f.value.IsZero() && f.value.Kind() != reflect.Pointer {
			one["default"] = f.value.Interface()
		} else if form == formDuration {
			one["default"] = scalar(f.value)
		}
		if f.value.Kind() == reflect.Struct && formOf(f.value.Type()) == formSection {
			below := object(fields(f.value))
			one["properties"] = below["properties"]
		}
		props[f.key] = one
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": props}
}

// schemaOf returns the schema of a type.
func schemaOf(t reflect.Type) map[string]any {
	switch formOf(t) {
	case formDuration:
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`}
	case formMap:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case formList:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case formSection:
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		return object(fields(reflect.New(t).Elem()))
	case formOwn:
		if isSecret(t) {
			one := func(key string) map[string]any {
				return map[string]any{
					"type": "object", "additionalProperties": false, "required": []string{key},
					"properties": map[string]any{key: map[string]any{"type": "string", "minLength": 1}},
				}
			}
			return map[string]any{"oneOf": []any{one("env"), one("file"), one("value")}}
		}
		return map[string]any{}
	case formScalar:
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Pointer:
		return schemaOf(t.Elem())
	default:
		return map[string]any{"type": "integer"}
	}
}
