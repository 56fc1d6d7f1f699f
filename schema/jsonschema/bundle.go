package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema"
)

// Bounds of a text.
const (
	maxText       = 1 << 20
	maxReferences = 256
	maxSubschemas = 16_384   // objects and booleans of a text
	maxLookups    = 8 << 20  // of references to places where no schema has to be
	maxBases      = 16       // that names of references are relative to
	maxIdentities = 256      // subschemas with an identifier of their own
	maxPointers   = 16 << 20 // bytes of the JSON Pointers of all subschemas
	rootURL       = "fieldveil:///schema.json"
)

// A bundle is a text with its references.
type bundle struct {
	docs  []any            // the references, and last the schema
	byURL map[string]int   // under which the docs are known
	index []map[string]any // of each doc: what may be a subschema, by JSON Pointer
}

var errTextSize = fmt.Errorf("jsonschema: schema and references are longer than %d bytes", maxText)

func newBundle(text schema.Text) (*bundle, error) {
	if len(text.References) > maxReferences {
		return nil, fmt.Errorf("jsonschema: more than %d references", maxReferences)
	}
	if len(text.Names) != 0 && len(text.Names) != len(text.References) {
		return nil, fmt.Errorf("jsonschema: %d names for %d references", len(text.Names), len(text.References))
	}
	size := len(text.Schema)
	for i, ref := range text.References {
		size += len(ref)
		if len(text.Names) > 0 {
			size += len(text.Names[i])
		}
	}
	if size > maxText {
		return nil, errTextSize
	}
	b := &bundle{byURL: map[string]int{}}
	var census census
	for i, t := range append(append([]string(nil), text.References...), text.Schema) {
		doc, err := readJSON(t)
		if err == nil {
			err = checkDialect(doc)
		}
		if err == nil {
			err = census.count(doc)
		}
		if err != nil {
			return nil, fmt.Errorf("jsonschema: %s%w", reference(i, len(text.References)), err)
		}
		b.docs = append(b.docs, doc)
		b.index = append(b.index, indexOf(doc))
	}
	if census.lookups*census.schemas > maxLookups {
		return nil, errors.New("jsonschema: too many references to places where no schema has to be")
	}
	if err := b.identify(text.Names); err != nil {
		return nil, err
	}
	return b, nil
}

// reference names a text in errors.
func reference(i, root int) string {
	if i == root {
		return ""
	}
	return fmt.Sprintf("reference %d ", i+1)
}

// checkDialect refuses languages that are none of the drafts known here.
func checkDialect(doc any) error {
	o, ok := doc.(object)
	if !ok {
		if _, ok := doc.(bool); ok {
			return nil
		}
		return errors.New("is neither an object nor a boolean")
	}
	v, ok := o.get("$schema")
	if !ok {
		return nil
	}
	s, _ := v.(string)
	s = strings.TrimSuffix(s, "#")
	if rest, ok := strings.CutPrefix(s, "https://"); ok {
		s = "http://" + rest
	}
	switch s {
	case "http://json-schema.org/draft-04/schema", "http://json-schema.org/draft-06/schema",
		"http://json-schema.org/draft-07/schema", "http://json-schema.org/draft/2019-09/schema",
		"http://json-schema.org/draft/2020-12/schema":
		return nil
	}
	return fmt.Errorf("is of the language %.80q, which is unknown here", s)
}

// A census counts what makes a text expensive to compile.
type census struct {
	schemas    int
	pointers   int
	lookups    int
	identities int
	numbers    bool // that exact arithmetic is not meant for
	targets    map[string]bool
	dynamic    map[string]int // anchors that are resolved when a record is read
}

func (c *census) count(v any) error {
	if c.targets == nil {
		c.targets, c.dynamic = map[string]bool{}, map[string]int{}
	}
	c.walk(v, 0)
	if c.pointers > maxPointers {
		return errors.New("has member names that are too long, all together")
	}
	if c.schemas > maxSubschemas {
		return fmt.Errorf("has more than %d subschemas", maxSubschemas)
	}
	if c.numbers {
		return errors.New("has a number of too many digits")
	}
	if c.identities > maxIdentities {
		return fmt.Errorf("has more than %d identifiers", maxIdentities)
	}
	for name, n := range c.dynamic {
		if n > 1 {
			return fmt.Errorf("has the dynamic anchor %.80q more than once, so that what refers to it is only known when a record is read", name)
		}
	}
	return nil
}

func (c *census) walk(v any, pointer int) {
	switch v := v.(type) {
	case bool:
		c.schemas++
		c.pointers += pointer
	case json.Number:
		c.numbers = c.numbers || !boundedNumber(v)
	case []any:
		c.pointers += pointer
		for _, x := range v {
			c.walk(x, pointer+6)
		}
	case object:
		c.schemas++
		c.pointers += pointer
		for _, m := range v {
			s, text := m.value.(string)
			switch {
			case m.key == "$ref" && text && !c.targets[s]:
				c.targets[s] = true
				_, pointer, _ := strings.Cut(s, "#")
				if pointer != "" && (!strings.HasPrefix(pointer, "/definitions/") || strings.Count(pointer, "/") != 2) {
					c.lookups++
				}
			case (m.key == "$id" || m.key == "id") && text:
				c.identities++
			case m.key == "$dynamicAnchor" && text:
				c.dynamic[s]++
			case m.key == "$recursiveAnchor" && m.value == true:
				c.dynamic[""]++
			}
			c.walk(m.value, pointer+1+len(m.key))
		}
	}
}

// identify finds the URLs of the docs: their own identifiers, and the names of
// the references, which may be relative to any of them.
func (b *bundle) identify(names []string) error {
	root := len(b.docs) - 1
	base, err := url.Parse(rootURL)
	if err != nil {
		return err
	}
	b.byURL[rootURL] = root
	bases := []*url.URL{base}
	claim := func(u string, doc int) error {
		if other, taken := b.byURL[u]; taken && other != doc {
			return fmt.Errorf("jsonschema: two texts have the name %.200q", u)
		}
		b.byURL[u] = doc
		return nil
	}
	for i := root; i >= 0; i-- {
		o, _ := b.docs[i].(object)
		id := o.text("$id")
		if id == "" && strings.Contains(o.text("$schema"), "draft-04") {
			id = o.text("id")
		}
		id, _, _ = strings.Cut(id, "#")
		if id == "" {
			continue
		}
		u, err := url.Parse(id)
		if err != nil {
			return fmt.Errorf("jsonschema: %sidentifier: %w", reference(i, root), errURL)
		}
		u = base.ResolveReference(u)
		if err := claim(u.String(), i); err != nil {
			return err
		}
		if len(bases) < maxBases {
			bases = append(bases, u)
		}
	}
	parsed := make([]*url.URL, len(names))
	for i, name := range names {
		if parsed[i], err = url.Parse(name); err != nil || name == "" {
			return fmt.Errorf("jsonschema: name of reference %d: %w", i+1, errURL)
		}
		if err := claim(base.ResolveReference(parsed[i]).String(), i); err != nil {
			return err
		}
	}
	for _, base := range bases[1:] {
		for i, name := range parsed {
			u := base.ResolveReference(name).String()
			if _, taken := b.byURL[u]; !taken {
				b.byURL[u] = i
			}
		}
	}
	return nil
}

var errURL = errors.New("is no URI reference")

// Load implements the validator's interface. There is nothing beyond the bundle.
func (b *bundle) Load(u string) (any, error) {
	if i, ok := b.byURL[u]; ok {
		return plain(b.docs[i]), nil
	}
	return nil, errors.New("is not among the references")
}

// compile checks the schema and makes a validator of it.
func (b *bundle) compile() (*js.Schema, error) {
	c := js.NewCompiler()
	c.DefaultDraft(js.Draft7)
	c.UseLoader(b)
	c.UseRegexpEngine(compilePattern)
	compiled, err := c.Compile(rootURL)
	if err != nil {
		return nil, fmt.Errorf("jsonschema: %w", shorten(err))
	}
	return compiled, nil
}

// maxMessage bounds what an error repeats of a schema.
const maxMessage = 400

// shorten cuts the validator's account of a bad schema.
func shorten(err error) error {
	text := strings.ReplaceAll(err.Error(), rootURL, "")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "..."
	}
	return errors.New(text)
}

// raw returns what stands at the location of a subschema, as the validator spells
// it.
func (b *bundle) raw(location string) (v any, doc int, pointer string, err error) {
	u, fragment, _ := strings.Cut(location, "#")
	doc, ok := b.byURL[u]
	if ok {
		if pointer, err = url.PathUnescape(fragment); err == nil {
			if v, ok = b.index[doc][pointer]; !ok {
				v, ok = lookup(b.docs[doc], pointer)
			}
		}
	}
	if !ok || err != nil {
		return nil, 0, "", fmt.Errorf("jsonschema: %.200q is not among the references", location)
	}
	return v, doc, pointer, nil
}

// indexOf returns the objects and booleans of a doc by JSON Pointer.
func indexOf(doc any) map[string]any {
	out := map[string]any{}
	var walk func(v any, pointer string)
	walk = func(v any, pointer string) {
		switch v := v.(type) {
		case bool:
			out[pointer] = v
		case []any:
			for i, x := range v {
				if nests(x) {
					walk(x, pointer+"/"+strconv.Itoa(i))
				}
			}
		case object:
			out[pointer] = v
			for _, m := range v {
				if nests(m.value) {
					walk(m.value, pointer+"/"+pointerToken(m.key))
				}
			}
		}
	}
	walk(doc, "")
	return out
}

// nests tells whether v may be a subschema or hold one.
func nests(v any) bool {
	switch v.(type) {
	case object, []any, bool:
		return true
	}
	return false
}
