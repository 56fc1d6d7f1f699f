package config

import (
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// A field is one key of a section.
type field struct {
	key   string
	doc   string
	value reflect.Value
}

// fields returns the keys of the struct v in their order. Structs that are inlined
// give theirs.
func fields(v reflect.Value) []field {
	var out []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-":
		case strings.Contains(options, "inline"):
			out = append(out, fields(v.Field(i))...)
		case name == "":
			out = append(out, field{strings.ToLower(f.Name), f.Tag.Get("doc"), v.Field(i)})
		default:
			out = append(out, field{name, f.Tag.Get("doc"), v.Field(i)})
		}
	}
	return out
}

// top returns the keys at the top of the file.
func (f *Format) top(c *Config) []field {
	out := fields(reflect.ValueOf(c).Elem())
	for _, p := range f.parts {
		out = append(out, field{p.Key, p.Doc, reflect.ValueOf(c.parts[p.Key]).Elem()})
	}
	return out
}

// A form is how a value is written.
type form uint8

const (
	formSection  form = iota // a mapping with known keys
	formMap                  // a mapping from names
	formList                 // a list
	formScalar               // one value
	formDuration             // one value, with a unit
	formOwn                  // whatever its type reads
)

func formOf(t reflect.Type) form {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return formDuration
	case reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]()):
		return formOwn
	}
	switch t.Kind() {
	case reflect.Struct:
		return formSection
	case reflect.Map:
		return formMap
	case reflect.Slice, reflect.Array:
		return formList
	case reflect.Pointer:
		return formOf(t.Elem())
	default:
		return formScalar
	}
}

func isSecret(t reflect.Type) bool { return t == reflect.TypeFor[secret.Secret]() }

// walk calls each for every key below the given ones, the sections before what is
// in them. Paths are dotted.
func walk(in []field, path string, each func(path string, f field)) {
	for _, f := range in {
		at := joined(path, f.key)
		each(at, f)
		if f.value.Kind() == reflect.Struct && formOf(f.value.Type()) == formSection {
			walk(fields(f.value), at, each)
		}
	}
}

func joined(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
