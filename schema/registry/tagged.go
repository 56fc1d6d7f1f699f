package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/schema"
)

// Limits on a file of tags.
const (
	maxTagFile  = 1 << 20 // bytes
	maxTagItems = 10_000  // entries of one list
	maxTagName  = 1024    // bytes of a pattern, a tag or a match

	// maxSchemaDepth is how deep a schema text may be nested for its name to be
	// read. Parsers allow less.
	maxSchemaDepth = 1000
)

// A TagFile gives tags to schemas that cannot be changed. It is written in YAML,
// or in JSON, which is YAML:
//
//	version: 1
//	tags:                           # for all schemas
//	  - {pattern: com.acme.Customer.email, tags: [PII.EMAIL]}
//	subjects:                       # for the schemas of a subject
//	  - match: customers-*
//	    tags:
//	      - {pattern: $.address.street, tags: [PII]}
//	schemas:                        # for schemas of a full name
//	  - match: com.acme.*
//	    tags:
//	      - {pattern: /email, tags: [PII.EMAIL]}
//
// Patterns are those of [schema.TagRule]. In a match, * stands for any number of
// any characters, and all else for itself; the whole name has to match. The full
// name is that of the root record in Avro, and the $id of a JSON schema, or its
// title where it has none. Protobuf schemas have many roots, so they are chosen by
// subject, or by patterns that name the message in full.
//
// All entries that match count. The zero TagFile gives no tags.
type TagFile struct {
	Version  int
	Tags     []schema.TagRule
	Subjects []TagMatch
	Schemas  []TagMatch
}

// A TagMatch gives tags to what matches.
type TagMatch struct {
	Match string
	Tags  []schema.TagRule
}

// LoadTags reads a file of tags. Whatever is not understood is an error.
func LoadTags(path string) (TagFile, error) {
	b, err := readFile(path)
	if err != nil {
		return TagFile{}, err
	}
	f, err := ParseTags(b)
	if err != nil {
		return TagFile{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// ParseTags reads the text of a file of tags.
func ParseTags(text []byte) (TagFile, error) {
	if len(text) > maxTagFile || !utf8.Valid(text) {
		return TagFile{}, errors.New("registry: the tags are larger than 1 MiB or not UTF-8")
	}
	var root yaml.Node
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := d.Decode(&root); err != nil {
		return TagFile{}, fmt.Errorf("registry: the tags are not YAML: %w", err)
	}
	var more yaml.Node
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return TagFile{}, errors.New("registry: the tags are followed by another document")
	}
	if len(root.Content) != 1 {
		return TagFile{}, errors.New("registry: the tags are empty")
	}
	var f TagFile
	r := tagReader{}
	r.mapping(root.Content[0], func(key, value *yaml.Node) {
		switch key.Value {
		case "version":
			if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!int" || value.Value != "1" {
				r.failf(value, "this release reads version 1 only, written as the number 1")
			}
			f.Version = 1
		case "tags":
			f.Tags = r.rules(value)
		case "subjects":
			f.Subjects = r.matches(value)
		case "schemas":
			f.Schemas = r.matches(value)
		default:
			r.failf(key, "unknown key: version, tags, subjects and schemas are known")
		}
	})
	if r.err == nil && f.Version == 0 {
		r.failf(root.Content[0], `"version" is missing: begin with version: 1`)
	}
	if r.err != nil {
		return TagFile{}, r.err
	}
	return f, nil
}

// A tagReader keeps the first error.
type tagReader struct{ err error }

func (r *tagReader) failf(node *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("registry: tags, line %d: %s", node.Line, fmt.Sprintf(format, args...))
	}
}

func (r *tagReader) mapping(node *yaml.Node, member func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode || node.Anchor != "" {
		r.failf(node, "expected a mapping")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content) && r.err == nil; i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || seen[key.Value] {
			r.failf(key, "a key that is no text, or stands twice")
			return
		}
		seen[key.Value] = true
		member(key, node.Content[i+1])
	}
}

func (r *tagReader) list(node *yaml.Node, item func(*yaml.Node)) {
	if node.Kind != yaml.SequenceNode || node.Anchor != "" || len(node.Content) > maxTagItems {
		r.failf(node, "expected a list of at most %d items", maxTagItems)
		return
	}
	for _, n := range node.Content {
		if r.err != nil {
			return
		}
		item(n)
	}
}

// name reads a text that is not empty and holds nothing that does not show.
func (r *tagReader) name(node *yaml.Node) string {
	v := node.Value
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" || node.Anchor != "" {
		r.failf(node, "expected text")
		return ""
	}
	if v == "" || len(v) > maxTagName || strings.TrimSpace(v) != v ||
		strings.ContainsFunc(v, func(c rune) bool { return !unicode.IsPrint(c) }) {
		r.failf(node, "text that is empty, longer than %d bytes or not printable", maxTagName)
	}
	return v
}

func (r *tagReader) rules(node *yaml.Node) (rules []schema.TagRule) {
	r.list(node, func(n *yaml.Node) {
		var rule schema.TagRule
		r.mapping(n, func(key, value *yaml.Node) {
			switch key.Value {
			case "pattern":
				rule.Pattern = r.name(value)
			case "tags":
				r.list(value, func(n *yaml.Node) { rule.Tags = append(rule.Tags, r.name(n)) })
			default:
				r.failf(key, "unknown key: pattern and tags are known")
			}
		})
		if rule.Pattern == "" || len(rule.Tags) == 0 {
			r.failf(n, "a rule needs a pattern and tags")
		}
		rules = append(rules, rule)
	})
	return rules
}

func (r *tagReader) matches(node *yaml.Node) (list []TagMatch) {
	r.list(node, func(n *yaml.Node) {
		var m TagMatch
		r.mapping(n, func(key, value *yaml.Node) {
			switch key.Value {
			case "match":
				m.Match = r.name(value)
			case "tags":
				m.Tags = r.rules(value)
			default:
				r.failf(key, "unknown key: match and tags are known")
			}
		})
		if m.Match == "" || len(m.Tags) == 0 {
			r.failf(n, "an entry needs a match and tags")
		}
		list = append(list, m)
	})
	return list
}

// A SubjectLister is a [schema.Source] that tells under which subjects an id is
// registered. A [Client] and a [Dir] are.
type SubjectLister interface {
	SubjectsOf(ctx context.Context, id int) ([]string, error)
}

var (
	_ SubjectLister = (*Client)(nil)
	_ SubjectLister = (*Dir)(nil)
)

// Tagged returns a Source that adds the tags of a file to those of the schemas of
// source. It is also a [schema.GUIDSource], a [schema.Registrar] and a
// [SubjectLister] if source is.
//
// Tags by subject need a source that is a SubjectLister, and that can be asked
// whenever a schema is. What counts are the subjects of the schema at that time.
// A GUID does not lead to subjects, so a file with tags by subject fails it with
// [ErrUnsupported]; so do tags by full name for a Protobuf schema.
func Tagged(source schema.Source, tags TagFile) (schema.Source, error) {
	t := tagged{source: source, tags: tags}
	lister, lists := source.(SubjectLister)
	if len(tags.Subjects) > 0 && !lists {
		return nil, wrap(ErrUnsupported, "tags by subject for a source that knows no subjects")
	}
	t.lister = lister
	guids, byGUID := source.(schema.GUIDSource)
	registrar, registers := source.(schema.Registrar)
	g := taggedGUIDs{tagged: t, guids: guids}
	switch {
	case byGUID && registers && lists:
		return struct {
			taggedGUIDs
			schema.Registrar
			SubjectLister
		}{g, registrar, lister}, nil
	case byGUID && registers:
		return struct {
			taggedGUIDs
			schema.Registrar
		}{g, registrar}, nil
	case byGUID && lists:
		return struct {
			taggedGUIDs
			SubjectLister
		}{g, lister}, nil
	case registers && lists:
		return struct {
			tagged
			schema.Registrar
			SubjectLister
		}{t, registrar, lister}, nil
	case byGUID:
		return g, nil
	case registers:
		return struct {
			tagged
			schema.Registrar
		}{t, registrar}, nil
	case lists:
		return struct {
			tagged
			SubjectLister
		}{t, lister}, nil
	default:
		return t, nil
	}
}

type tagged struct {
	source schema.Source
	lister SubjectLister // nil if the source is none
	tags   TagFile
}

// Schema returns the text under id with its additional tags.
func (t tagged) Schema(ctx context.Context, id int) (schema.Text, error) {
	text, err := t.source.Schema(ctx, id)
	if err != nil {
		return schema.Text{}, err
	}
	rules, err := t.byName(text)
	if err != nil {
		return schema.Text{}, err
	}
	if len(t.tags.Subjects) > 0 {
		subjects, err := t.lister.SubjectsOf(ctx, id)
		if err != nil {
			return schema.Text{}, err
		}
		for _, m := range t.tags.Subjects {
			if slices.ContainsFunc(subjects, m.matches) {
				rules = append(rules, m.Tags...)
			}
		}
	}
	return withTags(text, rules), nil
}

type taggedGUIDs struct {
	tagged

	guids schema.GUIDSource
}

// SchemaByGUID returns the text under a GUID with its additional tags.
func (t taggedGUIDs) SchemaByGUID(ctx context.Context, guid [16]byte) (schema.Text, error) {
	if len(t.tags.Subjects) > 0 {
		return schema.Text{}, wrap(ErrUnsupported, "tags by subject for a schema that is named by GUID")
	}
	text, err := t.guids.SchemaByGUID(ctx, guid)
	if err != nil {
		return schema.Text{}, err
	}
	rules, err := t.byName(text)
	if err != nil {
		return schema.Text{}, err
	}
	return withTags(text, rules), nil
}

// byName returns the tags for all schemas and those by full name.
func (t tagged) byName(text schema.Text) ([]schema.TagRule, error) {
	rules := slices.Clone(t.tags.Tags)
	if len(t.tags.Schemas) == 0 {
		return rules, nil
	}
	name, err := fullName(text)
	if err != nil {
		return nil, err
	}
	for _, m := range t.tags.Schemas {
		if m.matches(name) {
			rules = append(rules, m.Tags...)
		}
	}
	return rules, nil
}

func (m TagMatch) matches(name string) bool {
	parts := strings.Split(m.Match, "*")
	last := len(parts) - 1
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || last == 0 {
		return ok && rest == ""
	}
	for _, part := range parts[1:last] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[last])
}

// withTags returns text with more tags, and changes nothing that it shares.
func withTags(text schema.Text, rules []schema.TagRule) schema.Text {
	text.Tags = slices.Clip(text.Tags)
	for _, r := range rules {
		if !slices.ContainsFunc(text.Tags, func(t schema.TagRule) bool {
			return t.Pattern == r.Pattern && slices.Equal(t.Tags, r.Tags)
		}) {
			text.Tags = append(text.Tags, r)
		}
	}
	return text
}

// fullName returns the name of a schema that stands in its text.
func fullName(text schema.Text) (string, error) {
	// A text that is a name in quotes, or a union, has none of its own.
	var root struct {
		name, namespace, id, title string
	}
	read := func(c *cursor) error {
		c.most = maxSchemaDepth
		if c.peek() != '{' {
			_, err := c.raw()
			return err
		}
		return c.object(func(key string) (err error) {
			target := map[string]*string{"name": &root.name, "namespace": &root.namespace, "$id": &root.id, "title": &root.title}[key]
			if target == nil || c.peek() != '"' {
				_, err = c.raw()
				return err
			}
			*target, err = c.text()
			return err
		})
	}
	var err error
	switch text.Format {
	case schema.Avro, schema.JSONSchema:
		err = decode([]byte(text.Schema), read)
	default:
		return "", wrap(ErrUnsupported, "tags by full name for a schema that is neither Avro nor JSON")
	}
	switch {
	case err != nil:
		return "", wrap(ErrInvalid, "the name of a schema cannot be read")
	case text.Format == schema.JSONSchema && root.id != "":
		return root.id, nil
	case text.Format == schema.JSONSchema:
		return root.title, nil
	case root.namespace == "" || strings.Contains(root.name, "."):
		return root.name, nil
	default:
		return root.namespace + "." + root.name, nil
	}
}
