package protobuf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/schema"
)

// A place is one occurrence of a field, or of its elements, in the expanded
// schema. A message inside a message of the same type is a place that points to
// the outer one.
type place struct {
	field    *field   // nil for the root
	item     bool     // the elements or values, and not the field itself
	msg      *message // what the children belong to
	children []*place // of msg's fields; of a repeated field or map the items
	outer    *place   // of a message that contains itself
	parent   *place
	tags     []string
	index    int  // into fields; -1 for the root
	sealed   bool // the records hold it wrapped
	inside   bool // of something wrapped
}

// container tells whether p holds all occurrences of a repeated field or map.
func (p *place) container() bool { return p.field != nil && p.field.repeated() && !p.item }

// expansion is one walk over the schema from the root.
type expansion struct {
	s     *Schema
	above []*place // messages on the way from the root
	bytes int      // of paths and tags
}

func (s *Schema) expand() error {
	s.file.model.mu.Lock()
	defer s.file.model.mu.Unlock()
	s.file.model.hashed = 0
	e := &expansion{s: s}
	s.tree = &place{msg: s.root, index: -1, tags: s.root.tags}
	return e.contents(s.tree, "", "", 0)
}

// contents expands the fields of a message.
func (e *expansion) contents(p *place, path, number string, depth int) error {
	for _, a := range e.above {
		if a.msg != p.msg {
			continue
		}
		// The fields below are those of the outer place. A tag that only the
		// inner one has would be lost, and its values with it.
		for _, t := range p.tags {
			if !slices.Contains(a.tags, t) {
				return fmt.Errorf("protobuf: %s: tag %q on a message inside itself does not stand on its type", at(path), t)
			}
		}
		p.outer = a
		return nil
	}
	e.above = append(e.above, p)
	for _, f := range p.msg.fields {
		c, err := e.field(p, f, path, number, depth+1)
		if err != nil {
			return err
		}
		p.children = append(p.children, c)
	}
	e.above = e.above[:len(e.above)-1]
	return nil
}

// field expands a field of the message at path.
func (e *expansion) field(parent *place, f *field, path, number string, depth int) (*place, error) {
	path += "/" + f.name
	number += "/" + strconv.Itoa(int(f.number))
	p := &place{
		field: f, parent: parent, inside: parent.inside || parent.sealed,
		tags: joinTags(joinTags(f.tags, e.rules(path, f.full)), parent.tags),
	}
	if !f.repeated() {
		return p, e.value(p, f, path, number, depth)
	}
	p.sealed = f.sealed == partWhole && !p.inside
	desc := schema.Field{Type: schema.TypeArray}
	step, of, name := "/[]", f, ""
	if f.isMap {
		desc = schema.Field{Type: schema.TypeMap}
		step, of, name = "/{}", f.value(), f.value().full
		if err := e.keyRules(p, f, path); err != nil {
			return nil, err
		}
	}
	encoding, err := e.s.file.model.encoding(f)
	if err != nil {
		return nil, err
	}
	desc.Encoding, desc.Nullable, desc.Wrapped = encoding, true, schema.TypeBytes
	if err := e.add(p, desc, path, number, depth); err != nil {
		return nil, err
	}
	own := e.rules(path+step, name)
	if f.isMap {
		own = joinTags(of.tags, own)
	}
	item := &place{field: of, item: true, parent: p, inside: p.inside || p.sealed, tags: joinTags(own, p.tags)}
	p.children = []*place{item}
	if err := e.value(item, f, path+step, number+step, depth+1); err != nil {
		return nil, err
	}
	e.s.fields[p.index].End = len(e.s.fields)
	return p, nil
}

// value expands what stands in one occurrence of a field. f is the field, p.field
// the one that describes the value, which differ in maps.
func (e *expansion) value(p *place, f *field, path, number string, depth int) error {
	of := p.field
	p.sealed = of.sealed == partWhole && !p.inside && (!p.item || f.isMap) || p.item && f.sealed == partItems && !p.inside
	desc := schema.Field{Type: typeOf(of.kind)}
	desc.Nullable = !p.item && !of.required
	desc.Numeric = numberOf(of) != numberNone
	if of.kind != protoreflect.StringKind && of.kind != protoreflect.BytesKind {
		desc.Wrapped = schema.TypeBytes
		encoding, err := e.s.file.model.encoding(of)
		if err != nil {
			return err
		}
		desc.Encoding = encoding
	}
	if of.msg == nil {
		return e.add(p, desc, path, number, depth)
	}
	p.msg = of.msg
	p.tags = joinTags(of.msg.tags, p.tags)
	desc.Logical = logical(of.msg.name)
	if err := e.add(p, desc, path, number, depth); err != nil {
		return err
	}
	if err := e.contents(p, path, number, depth); err != nil {
		return err
	}
	e.s.fields[p.index].End = len(e.s.fields)
	return nil
}

// add lists a field.
func (e *expansion) add(p *place, desc schema.Field, path, number string, depth int) error {
	if len(e.s.fields) >= maxFields {
		return fmt.Errorf("protobuf: schema expands to more than %d fields", maxFields)
	}
	if depth > maxPlaceDepth {
		return fmt.Errorf("protobuf: %s: schema nests deeper than %d", at(path), maxPlaceDepth)
	}
	if len(p.tags) > maxFieldTags {
		return fmt.Errorf("protobuf: %s: more than %d tags", at(path), maxFieldTags)
	}
	e.bytes += len(path) + len(number) + len(p.tags)*16
	if len(path) > maxPath || e.bytes > maxExpanded {
		return errors.New("protobuf: paths and tags are too long, all together")
	}
	p.index = len(e.s.fields)
	desc.Path, desc.Place, desc.Tags, desc.Sealed = path, number, p.tags, p.sealed
	e.s.fields = append(e.s.fields, desc)
	e.s.places = append(e.s.places, p)
	return nil
}

func (e *expansion) rules(path, name string) []string {
	if len(e.s.file.text.Tags) == 0 {
		return nil
	}
	return schema.TagsFor(e.s.file.text.Tags, path, name)
}

// keyRules refuses tags of which only the keys of a map would be meant: keys are
// protected with the whole map or not at all.
func (e *expansion) keyRules(p *place, f *field, path string) error {
	for _, t := range joinTags(f.key().tags, e.rules("", f.key().full)) {
		if !slices.Contains(p.tags, t) {
			return fmt.Errorf("protobuf: %s: tag %q on the keys of a map cannot be honoured, tag the map", path, t)
		}
	}
	return nil
}

// logical is the full name of a type that readers know.
func logical(name string) string {
	for _, known := range []string{"google.protobuf.", "google.type.", "confluent.type."} {
		if strings.HasPrefix(name, known) {
			return name
		}
	}
	return ""
}

func typeOf(k protoreflect.Kind) schema.Type {
	switch k {
	case protoreflect.BoolKind:
		return schema.TypeBoolean
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return schema.TypeRecord
	default:
		// The others have the names that Protobuf gives them.
		return schema.Type(k.String())
	}
}

func at(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
