package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

const (
	maxText  = 1 << 20
	maxDepth = 32
	maxFound = 50
)

// A reader reads one file, and notes what is wrong with it and where each key is.
// One goroutine uses it, once.
type reader struct {
	found []fieldcrypt.Finding
	lines map[string]int // by path
	names []string       // variables of the environment that secrets name
}

// Codes of findings.
const (
	codeSyntax  = "config-syntax"
	codeKey     = "config-key"
	codeType    = "config-type"
	codeValue   = "config-value"
	codePolicy  = "config-policy"
	codeEnv     = "config-env"
	codeUnknown = "config-env-unknown"
)

func (r *reader) addf(code string, line int, path, format string, args ...any) {
	if len(r.found) < maxFound {
		r.found = append(r.found, fieldcrypt.Finding{
			Code: code, Severity: fieldcrypt.SeverityError, Line: line, Path: path, Text: fmt.Sprintf(format, args...),
		})
	}
}

// document returns the root of text, or nil.
func (r *reader) document(text []byte) *yaml.Node {
	if len(text) > maxText {
		r.addf(codeSyntax, 0, "", "longer than 1 MiB")
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	switch err := d.Decode(&first); {
	case errors.Is(err, io.EOF):
		r.addf(codeSyntax, 0, "", "empty: begin with version: 1")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	if err := d.Decode(&second); err == nil {
		r.addf(codeSyntax, second.Line, "", "a second document: a configuration is one")
		return nil
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
		return nil
	}
	root := first.Content[0]
	r.plain(root, 0)
	if len(r.found) > 0 {
		return nil
	}
	return root
}

// syntax notes an error of the YAML parser, of which it takes the line: its text
// may quote the file.
func (r *reader) syntax(err error) {
	line := 1
	if rest, ok := strings.CutPrefix(err.Error(), "yaml: line "); ok {
		number, _, _ := strings.Cut(rest, ":")
		if n, err := strconv.Atoi(number); err == nil {
			line = n
		}
	}
	r.addf(codeSyntax, line, "", "not YAML")
}

// plain refuses what makes a text mean something else than it shows.
func (r *reader) plain(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		r.addf(codeSyntax, n.Line, "", "nested more than %d deep", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		r.addf(codeSyntax, n.Line, "", "aliases are not allowed; put text that begins with * in quotes")
		return
	case n.Anchor != "":
		r.addf(codeSyntax, n.Line, "", "anchors are not allowed; put text that begins with & in quotes")
	case n.Style&yaml.TaggedStyle != 0:
		r.addf(codeSyntax, n.Line, "", "type tags are not allowed; put text that begins with ! in quotes")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!merge":
		r.addf(codeSyntax, n.Line, "", "merge keys are not allowed")
	}
	for _, child := range n.Content {
		r.plain(child, depth+1)
	}
}

// section reads a mapping with the keys in known.
func (r *reader) section(n *yaml.Node, path string, known []field) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // a section of which only comments are left
	}
	if n.Kind != yaml.MappingNode {
		r.addf(codeType, n.Line, path, "expected a section, found %s", kindOf(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(known, func(f field) bool { return f.key == key.Value })
		switch before := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || at < 0:
			r.addf(codeKey, key.Line, path, "unknown key%s (known: %s)", shown(key, value), keysOf(known))
		case before > 0:
			r.addf(codeKey, key.Line, joined(path, key.Value), "given before, on line %d", before)
		default:
			seen[key.Value] = key.Line
			r.lines[joined(path, key.Value)] = key.Line
			r.value(value, joined(path, key.Value), known[at].value)
		}
	}
}

// shown returns the name of an unknown key if it is fit to be shown. A word
// without a value is rather a value that lost its key.
func shown(key, value *yaml.Node) string {
	if key.Kind != yaml.ScalarNode || len(key.Value) > 40 || value.ShortTag() == "!!null" ||
		strings.Trim(key.Value, "abcdefghijklmnopqrstuvwxyz_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return " " + strconv.Quote(key.Value)
}

func keysOf(known []field) string {
	var keys []string
	for _, f := range known {
		keys = append(keys, f.key)
	}
	return strings.Join(keys, ", ")
}

// value reads n into v.
func (r *reader) value(n *yaml.Node, path string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch formOf(v.Type()) {
	case formOwn:
		r.own(n, path, v)
	case formSection:
		r.section(n, path, fields(v))
	case formMap:
		r.mapping(n, path, v)
	case formList:
		r.list(n, path, v)
	case formScalar, formDuration:
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
			r.addf(codeType, n.Line, path, "expected %s, found %s", wanted(v.Type()), kindOf(n))
			return
		}
		if reason := set(v, n.Value, n.ShortTag()); reason != "" {
			r.addf(codeType, n.Line, path, "%s", reason)
		}
	}
}

// own lets a type read itself. Where its error repeats what stands there, fixed
// words take its place.
func (r *reader) own(n *yaml.Node, path string, v reflect.Value) {
	into, ok := reflect.TypeAssert[yaml.Unmarshaler](v.Addr())
	if !ok {
		return
	}
	if isSecret(v.Type()) {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
			return
		}
		if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "env" {
			r.names = append(r.names, n.Content[1].Value)
		}
	}
	if err := into.UnmarshalYAML(n); err != nil {
		text := err.Error()
		if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, "line ") {
			text = rest
		}
		if repeats(text, n) {
			text = "not of the form that is expected here"
		}
		r.addf(codeType, n.Line, path, "%s", text)
	}
}

// repeats tells whether text holds a value below n.
func repeats(text string, n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value != "" && strings.Contains(text, n.Value) ||
		slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return repeats(text, c) })
}

func (r *reader) mapping(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.addf(codeType, n.Line, path, "expected a mapping, found %s", kindOf(n))
		return
	}
	out := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := strings.TrimPrefix(shown(key, &yaml.Node{}), " ")
		switch at := reflect.ValueOf(key.Value); {
		case key.Kind != yaml.ScalarNode || key.Value == "":
			r.addf(codeKey, key.Line, path, "expected a name")
		case out.MapIndex(at.Convert(v.Type().Key())).IsValid():
			r.addf(codeKey, key.Line, path, "a name stands here twice")
		default:
			item := reflect.New(v.Type().Elem()).Elem()
			if name == "" {
				name = strconv.Itoa(i / 2)
			}
			below := joined(path, strings.Trim(name, `"`))
			r.lines[below] = key.Line
			if item.Kind() == reflect.String && value.Kind == yaml.ScalarNode && value.ShortTag() != "!!null" {
				// Properties of other programs are texts, however they look.
				item.SetString(value.Value)
			} else {
				r.value(value, below, item)
			}
			out.SetMapIndex(at.Convert(v.Type().Key()), item)
		}
	}
	v.Set(out)
}

func (r *reader) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode || v.Kind() != reflect.Slice {
		r.addf(codeType, n.Line, path, "expected a list, found %s", kindOf(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.lines[at] = item.Line
		r.value(item, at, out.Index(i))
	}
	v.Set(out)
}

// set sets v to what text says, and tells what is wrong with it. The tag is that of
// YAML, empty for a text that has no types.
func set(v reflect.Value, text, tag string) string {
	wrong := "expected " + wanted(v.Type())
	if formOf(v.Type()) == formDuration {
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong
		}
		v.SetInt(int64(d))
		return ""
	}
	switch v.Kind() {
	case reflect.String:
		if tag != "" && tag != "!!str" {
			return wrong + "; put it in quotes"
		}
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" || tag == "!!str" {
			return wrong
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil || tag == "!!str" || strings.HasPrefix(text, "+") || len(text) > 1 && strings.HasPrefix(strings.TrimPrefix(text, "-"), "0") {
			return wrong
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil || tag == "!!str" || len(text) > 1 && strings.HasPrefix(text, "0") {
			return wrong
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || tag == "!!str" || strings.ContainsAny(text, "xXpPnN_") {
			return wrong
		}
		v.SetFloat(x)
	default:
		return "this release cannot read this key"
	}
	return ""
}

// wanted names a type for a person.
func wanted(t reflect.Type) string {
	switch formOf(t) {
	case formDuration:
		return "a duration with a unit, such as 15m or 500ms"
	case formSection:
		return "a section"
	case formMap:
		return "a mapping"
	case formList:
		return "a list"
	case formScalar, formOwn:
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number in decimal digits"
	}
}

// kindOf names the type of a node for a person.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
	}
	if n.ShortTag() == "!!null" {
		return "nothing"
	}
	return "one value"
}
