// Package protobuf reads Protobuf schemas and compiles rewriters of Protobuf's
// binary encoding.
//
// [Parse] turns the text of a .proto file, or a serialized descriptor, into a
// [Schema], whose fields carry the tags of the options (confluent.field_meta)
// and (fieldveil.v1.field), those of messages, enums and files, and those that
// stand beside the text. A tag on a message, group, repeated field or map counts
// for everything inside. [Schema] compiles edits into tables by field number,
// with which a record is walked once: what nobody touches is copied in runs, and
// only the chosen values are handed out. Nothing is decoded, so the encoder of
// the records does not matter, and every occurrence of a field counts, however
// often it stands there.
//
// Records are checked while they are walked, whether edited or not: tags,
// lengths, wire types, packed runs, groups, nesting and the end. Tags and lengths
// must be as short as they can be, so that no two readers see different records.
// A field that the schema does not describe, an extension too, is refused or
// copied, as the caller decides; so is what a google.protobuf.Any holds, unless
// it is edited. Work and memory are bounded by the size of the record. UTF-8 is
// checked only in strings that are edited.
//
// # What is not on the wire
//
// A field without presence that has its zero value, as in proto3, is not
// encoded. Then there is nothing to protect, and whoever sees the record knows
// that the value is zero. Fields for which that is too much are to be declared
// optional. A number that an edit makes zero is written.
//
// # Maps
//
// The keys of a map are no fields of their own. Edits of the values ("/labels/{}")
// leave them in clear; an edit of the map itself ("/labels") covers them.
//
// # Numbers
//
// [schema.Number] fits the ten integer types, float, double and, as a whole,
// google.protobuf.Timestamp; not bool and enum. Each element of a repeated field
// is a number of its own, packed or not, and so is each occurrence of a singular
// field. Of a varint of a type with 32 bits only those count, as for all readers
// of Protobuf, and it may be longer than it needs to be; what is written is as
// short as it can be. Every number that JSON can write is taken when its value is
// one that the type holds: "5.0" and "50e-1" are 5.
//
// A Timestamp is shown as its seconds with nine digits behind the point, so that
// half a second before 1970 is "-0.500000000", and written within the years 1 to
// 9999. One beyond them, or whose nanoseconds are not from 0 to 999,999,999, is
// malformed. Seconds and nanoseconds are written in this order without zeros, as
// encoders do, but for a zero that stood in the record and stays. Unknown fields
// that are kept follow them. Of a Timestamp in two parts, which readers would
// join, each part is a number.
//
// # Wrapped values
//
// What [schema.Wrap] hands out is one occurrence of the field: a byte with the
// wire type (0, 1, 2, 3 or 5), and then what stands on the wire between the tag
// and the next field, with the length where there is one, and without the tag
// that ends a group. The result takes the place of the occurrence as a
// length-delimited field of the same number. Of a repeated field or map each
// occurrence is wrapped by itself, a packed run of numbers as one, whether the
// edit names the container or its elements. The way back gives the same bytes.
package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/schema"
)

// Bounds of a schema.
const (
	maxText       = 1 << 20 // bytes, with the references
	maxReferences = 256
	maxImports    = 1024 // of all files
	maxRanges     = 2048 // reserved and extensions, of all files
	maxNesting    = 64   // of brackets in a text, of declarations in a descriptor
	maxFields     = 65_536
	maxPlaceDepth = 128
	maxPath       = 4096    // bytes of one path
	maxTags       = 64      // written in one place
	maxFieldTags  = 256     // with those of all that encloses the field
	maxExpanded   = 1 << 26 // bytes of all paths and tags
	maxHashed     = 1 << 21 // fields that are looked at to name message types
	maxEntries    = 1 << 20 // of the tables of one program
)

// A Schema is one message type of a parsed file. It is immutable and safe for
// concurrent use.
type Schema struct {
	file   *file
	root   *message
	fields []schema.Field
	tree   *place
	places []*place // of each field
}

// file is what all message types of one text share.
type file struct {
	text    schema.Text
	desc    protoreflect.FileDescriptor
	types   *types
	model   *builder
	origin  schema.Origin
	derived bool
}

var (
	_ schema.Messages = (*Schema)(nil)
	_ schema.Derived  = (*Schema)(nil)
	_ schema.Parser   = Parser
)

// Parse reads a schema. Text.Schema is the text of a .proto file, or in base64
// a serialized FileDescriptorProto, or a FileDescriptorSet whose last file is
// meant. References are written in the same ways and imported by their Names, or
// by the names in their descriptors. Well-known types, confluent/meta.proto,
// confluent/type/decimal.proto and fieldveil/v1/options.proto need no reference.
//
// The Schema is the first message type of the file; Message finds the others.
func Parse(text schema.Text) (*Schema, error) {
	s, err := parseFirst(text)
	if err != nil {
		return nil, limited(err)
	}
	return s, nil
}

func parseFirst(text schema.Text) (*Schema, error) {
	src, err := newSources(text)
	if err != nil {
		return nil, err
	}
	desc, types, err := src.compile()
	if err != nil {
		return nil, err
	}
	f := &file{text: text, desc: desc, types: types}
	if f.model, err = newBuilder(types); err != nil {
		return nil, err
	}
	if err := f.readOrigin(); err != nil {
		return nil, err
	}
	if desc.Messages().Len() == 0 {
		return nil, fmt.Errorf("protobuf: the file declares no message")
	}
	return f.schema(desc.Messages().Get(0).FullName())
}

// Parser is [Parse] as a [schema.Parser].
func Parser(text schema.Text) (schema.Schema, error) {
	s, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (f *file) schema(name protoreflect.FullName) (*Schema, error) {
	root, err := f.model.message(name)
	if err != nil {
		return nil, err
	}
	s := &Schema{file: f, root: root}
	if err := s.expand(); err != nil {
		return nil, limited(err)
	}
	return s, nil
}

// Name returns the full name of the message type.
func (s *Schema) Name() string { return s.root.name }

// Fields returns the fields in the order of their numbers, each container before
// what it holds.
func (s *Schema) Fields() []schema.Field { return s.fields }

// Origin returns what the schema was derived from, and false for an original.
func (s *Schema) Origin() (schema.Origin, bool) { return s.file.origin, s.file.derived }

// Message returns the schema of the message type that the indexes lead to: the
// first is the position among the types of the file, each further one that among
// the types nested in the one before. The entries that the compiler makes for
// maps take positions too, as schema registries count them, but cannot be
// chosen.
func (s *Schema) Message(indexes []int) (schema.Schema, error) {
	if len(indexes) == 0 {
		return nil, fmt.Errorf("protobuf: no message indexes")
	}
	if len(indexes) > maxNesting {
		return nil, fmt.Errorf("protobuf: more than %d message indexes", maxNesting)
	}
	list := s.file.desc.Messages()
	var desc protoreflect.MessageDescriptor
	for _, i := range indexes {
		if i < 0 || i >= list.Len() {
			return nil, fmt.Errorf("protobuf: message index %d, there are %d", i, list.Len())
		}
		desc = list.Get(i)
		list = desc.Messages()
	}
	if desc.IsMapEntry() {
		return nil, fmt.Errorf("protobuf: the message indexes lead to the entry of a map")
	}
	if string(desc.FullName()) == s.root.name {
		return s, nil
	}
	return s.file.schema(desc.FullName())
}
