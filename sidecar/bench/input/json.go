package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
)

// A jsonMaker makes documents that satisfy a JSON Schema. It makes them by the
// keywords that say what a value is, and looks afterwards whether those that only
// forbid are satisfied too.
type jsonMaker struct {
	bounded

	root   *js.Schema
	finite map[*js.Schema]bool
	// check says whether a document satisfies the schema, as the project reads it.
	check schema.Validator
}

// attempts is how many documents are made before a schema counts as one that
// cannot be satisfied.
const attempts = 24

// A KeywordError says which part of a JSON Schema no values could be made for.
type KeywordError struct {
	Path    string // canonical path of the field; empty for the document
	Keyword string
}

// Error names the place and the keyword.
func (e *KeywordError) Error() string {
	at := e.Path
	if at == "" {
		at = "/"
	}
	return fmt.Sprintf("no value could be made up for %s: keyword %s is not satisfied; give records of your own", at, e.Keyword)
}

const jsonRoot = "fieldveil:///schema.json"

func newJSONMaker(text schema.Text, b bounded) (*jsonMaker, error) {
	// The project's own parser bounds what a text can make the compiler do.
	check, err := jsonschema.Parse(text.Bare())
	if err != nil {
		return nil, err
	}
	c := js.NewCompiler()
	c.DefaultDraft(js.Draft7)
	c.AssertFormat()
	docs := make(documents)
	if err := docs.all(text); err != nil {
		return nil, err
	}
	c.UseLoader(docs)
	root, err := c.Compile(jsonRoot)
	if err != nil {
		return nil, errors.New("the schema cannot be compiled") // the error may quote it
	}
	return &jsonMaker{bounded: b, root: root, finite: make(map[*js.Schema]bool), check: check}, nil
}

// documents are schema texts by the URLs that lead to them.
type documents map[string]any

// all takes a text with its references, each under its name, seen from the root
// and from where the root says that it is, and under its own identifier.
func (d documents) all(text schema.Text) error {
	bases := []string{jsonRoot}
	for i, t := range append([]string{text.Schema}, text.References...) {
		doc, err := js.UnmarshalJSON(strings.NewReader(t))
		if err != nil {
			return errors.New("the schema is no JSON")
		}
		if i == 0 {
			d[jsonRoot] = doc
		} else if i <= len(text.Names) {
			for _, base := range bases {
				d.put(base, text.Names[i-1], doc)
			}
		}
		object, _ := doc.(map[string]any)
		id, _ := object["$id"].(string)
		if id == "" {
			id, _ = object["id"].(string)
		}
		if id == "" {
			continue
		}
		if at := d.put(jsonRoot, id, doc); i == 0 && at != "" {
			bases = append(bases, at)
		}
	}
	return nil
}

func (d documents) put(base, name string, doc any) string {
	from, err := url.Parse(base)
	if err != nil {
		return ""
	}
	to, err := from.Parse(name)
	if err != nil {
		return ""
	}
	to.Fragment = ""
	if _, taken := d[to.String()]; !taken {
		d[to.String()] = doc
	}
	return to.String()
}

// Load implements the loader of the compiler. There is nothing beyond the texts.
func (d documents) Load(at string) (any, error) {
	if doc, ok := d[at]; ok {
		return doc, nil
	}
	return nil, errors.New("not among the references")
}

// record appends one document.
func (j *jsonMaker) record(dst []byte) ([]byte, error) {
	var last error
	for range attempts {
		j.values = 0
		v, err := j.value([]*js.Schema{j.root}, "", 0)
		if err != nil {
			last = err
			continue
		}
		out, err := encodeJSON(v)
		if err != nil {
			return nil, err
		}
		err = j.check.Validate(out)
		if err == nil {
			// Formats that the project's validator leaves alone are looked at too.
			if err = j.root.Validate(v); err == nil {
				return append(dst, out...), nil
			}
		}
		last = unsatisfied(err)
	}
	return nil, last
}

// unsatisfied says what an error of validation is about.
func unsatisfied(err error) error {
	if e, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return &KeywordError{Path: strings.TrimSuffix(e.Path, "/"), Keyword: e.Keyword}
	}
	if e, ok := errors.AsType[*js.ValidationError](err); ok {
		for len(e.Causes) > 0 {
			e = e.Causes[0]
		}
		if words := e.ErrorKind.KeywordPath(); len(words) > 0 {
			return &KeywordError{Keyword: words[len(words)-1]}
		}
	}
	return &KeywordError{Keyword: "unknown"}
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, errors.New("a value cannot be encoded")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// value makes a value that all of the schemas apply to.
func (j *jsonMaker) value(list []*js.Schema, path string, depth int) (any, error) {
	j.values++
	if depth > deepest {
		return nil, errEndless
	}
	w, err := j.gather(list, path, depth)
	if err != nil {
		return nil, err
	}
	if w.listed {
		if len(w.values) == 0 {
			return nil, &KeywordError{path, "enum"}
		}
		return w.values[j.n(0, len(w.values)-1)], nil
	}
	switch kind := j.kind(w, path, depth); kind {
	case "null":
		return nil, nil
	case "boolean":
		return j.chance(2), nil
	case "integer", "number":
		return j.numeral(w, path, kind == "integer")
	case "string":
		return j.string(w, path)
	case "array":
		return j.array(w, path, depth)
	case "object":
		return j.object(w, path, depth)
	default:
		return nil, &KeywordError{path, "type"}
	}
}

// kind chooses among the types that a value may have. A null is one in eight.
func (j *jsonMaker) kind(w *wants, path string, depth int) string {
	types := w.types
	if !w.typed {
		return w.guess(j.of(path))
	}
	if nullable := slices.Contains(types, "null"); nullable && len(types) > 1 {
		if j.tight(depth) || j.chance(8) {
			return "null"
		}
		types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t == "null" })
	}
	if len(types) == 0 {
		return ""
	}
	if j.tight(depth) {
		for _, t := range types {
			if t != "object" && t != "array" {
				return t
			}
		}
	}
	return types[j.n(0, len(types)-1)]
}

// array makes the items that come first each by its own schema, the others by that
// of all.
func (j *jsonMaker) array(w *wants, path string, depth int) (any, error) {
	n := w.minItems
	if more := j.items(depth); more > n && !j.tight(depth) {
		n = more
	}
	n = max(n, w.minContains)
	if w.maxItems >= 0 {
		n = min(n, w.maxItems)
	}
	out := []any{}
	known := make(map[string]bool)
	for i := 0; len(out) < n; i++ {
		if i > n+attempts {
			return nil, &KeywordError{path, "uniqueItems"}
		}
		list := w.itemsAt(len(out))
		if list == nil {
			if len(out) < w.minItems {
				return nil, &KeywordError{path, "minItems"}
			}
			break
		}
		if len(out) < w.minContains {
			list = append(slices.Clone(list), w.contains...)
		}
		v, err := j.value(list, path+"/[]", depth+1)
		if err != nil {
			return nil, err
		}
		if w.unique {
			text, err := encodeJSON(v)
			if err != nil {
				return nil, err
			}
			if known[string(text)] {
				continue
			}
			known[string(text)] = true
		}
		out = append(out, v)
	}
	return out, nil
}

// object makes the members that have to be there, and most of the others.
func (j *jsonMaker) object(w *wants, path string, depth int) (any, error) {
	out := make(map[string]any)
	room := 1 << 20
	if w.maxProperties >= 0 {
		room = w.maxProperties
	}
	add := func(name, segment string, list []*js.Schema) error {
		v, err := j.value(list, path+"/"+segment, depth+1)
		if err == nil {
			out[name] = v
		}
		return err
	}
	names := slices.Sorted(maps.Keys(w.properties))
	names = append(slices.Sorted(maps.Keys(w.required)), names...)
	for _, name := range names {
		must := w.required[name]
		if _, there := out[name]; there || !must && (len(out) >= room || j.tight(depth) || w.barred(name) || j.chance(8)) {
			continue
		}
		list, segment := w.member(name)
		if !must && j.tight(depth+1) && !slices.ContainsFunc(list, j.ends) && len(list) > 0 {
			continue
		}
		if segment == "" {
			segment = jsondoc.Segment(name)
		}
		if err := add(name, segment, list); err != nil {
			return nil, err
		}
		for _, also := range w.dependent[name] {
			if !w.required[also] {
				w.required[also] = true
				names = append(names, also)
			}
		}
	}
	return out, j.others(w, out, room, depth, add)
}

// others adds members that have no name in the schema.
func (j *jsonMaker) others(w *wants, out map[string]any, room, depth int, add func(name, segment string, list []*js.Schema) error) error {
	count := 0
	if len(w.patterns) > 0 || w.additional != nil && len(w.properties) == 0 {
		count = j.items(depth)
	}
	count = min(max(count, w.minProperties-len(out)), max(room-len(out), 0))
	for i := range count {
		name := j.pick(loremWords) + fmt.Sprint(i)
		if len(w.patterns) > 0 {
			made, err := j.matching(w.patterns[i%len(w.patterns)].String())
			if err != nil {
				return err
			}
			name = made
		}
		if _, there := out[name]; there {
			continue
		}
		list, _ := w.member(name)
		if list == nil {
			return nil // the schema would not describe it
		}
		if err := add(name, "{}", list); err != nil {
			return err
		}
	}
	return nil
}

// ends tells whether a value of the schema can end without a value of the schema
// in it.
func (j *jsonMaker) ends(s *js.Schema) bool {
	if known, ok := j.finite[s]; ok {
		return known
	}
	j.finite[s] = false // for references in a circle
	out := s.Bool == nil || *s.Bool
	for _, of := range []*js.Schema{s.Ref, s.RecursiveRef} {
		out = out && (of == nil || j.ends(of))
	}
	for _, of := range s.AllOf {
		out = out && j.ends(of)
	}
	for _, of := range [][]*js.Schema{s.AnyOf, s.OneOf} {
		out = out && (len(of) == 0 || slices.ContainsFunc(of, j.ends))
	}
	if s.Types == nil || !slices.Contains(s.Types.ToStrings(), "null") {
		for _, name := range s.Required {
			if of := s.Properties[name]; of != nil {
				out = out && j.ends(of)
			}
		}
	}
	j.finite[s] = out
	return out
}
