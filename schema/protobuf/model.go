package protobuf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A message is a type of messages, groups or map entries. All who refer to it
// share it, so the messages of a recursive type form a cycle.
type message struct {
	name   string
	path   string   // of the file that declares it
	fields []*field // by number
	tags   []string
	hash   string
	any    bool // google.protobuf.Any, which may hold anything
}

// A field describes what a field means: of a wrapped field, what it was before.
type field struct {
	name     string
	full     string
	number   protowire.Number
	label    label
	kind     protoreflect.Kind // of the value, or of one element
	msg      *message          // of message and group kinds; of a map the entry
	enum     string
	isMap    bool
	required bool
	oneof    bool
	utf8     bool // strings must be UTF-8
	tags     []string
	sealed   part // what of it the records hold wrapped
}

type label uint8

const (
	labelNone label = iota // without presence, or part of a oneof
	labelOptional
	labelRequired
	labelRepeated
)

// A part of a field that is wrapped.
type part uint8

const (
	partNone  part = iota
	partWhole      // a singular field, or each occurrence of a container
	partItems      // elements of a repeated field, values of a map
)

func (f *field) repeated() bool { return f.label == labelRepeated || f.isMap }

// value is the field of a map's entry that holds the value.
func (f *field) value() *field { return f.msg.fields[len(f.msg.fields)-1] }

// key is the field of a map's entry that holds the key.
func (f *field) key() *field { return f.msg.fields[0] }

// builder makes messages of descriptors.
type builder struct {
	types    *types
	messages map[protoreflect.FullName]*message
	files    map[string][]string // tags of files
	fields   int
	sealed   string // a field that has an original type

	// mu guards what is computed when a message type is first asked for.
	mu     sync.Mutex
	hashed int // fields looked at for hashes, for one schema
}

// newBuilder reads all declarations. One with a tag in a place where it cannot
// count is an error, whether a record can reach it or not.
func newBuilder(t *types) (*builder, error) {
	if err := checkExtensions(t); err != nil {
		return nil, err
	}
	b := &builder{types: t, messages: make(map[protoreflect.FullName]*message), files: make(map[string][]string)}
	var files []protoreflect.FileDescriptor
	t.files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		// What the options themselves are made of is no data.
		if f.Path() != descriptorPath {
			files = append(files, f)
		}
		return true
	})
	slices.SortFunc(files, func(x, y protoreflect.FileDescriptor) int { return strings.Compare(x.Path(), y.Path()) })
	// The tags of all files first: their messages take them over.
	for _, f := range files {
		a, err := annotationsOf(f.Options(), f.Path())
		if err != nil {
			return nil, err
		}
		b.files[f.Path()] = a.tags
	}
	for _, f := range files {
		if err := b.unreachable(f.Extensions(), f.Enums()); err != nil {
			return nil, err
		}
		if err := b.declared(f.Messages()); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *builder) declared(list protoreflect.MessageDescriptors) error {
	for i := range list.Len() {
		m := list.Get(i)
		if err := b.unreachable(m.Extensions(), m.Enums()); err != nil {
			return err
		}
		if _, err := b.message(m.FullName()); err != nil {
			return err
		}
		if err := b.declared(m.Messages()); err != nil {
			return err
		}
	}
	return nil
}

// unreachable refuses tags where they would not protect anything.
func (b *builder) unreachable(extensions protoreflect.ExtensionDescriptors, enums protoreflect.EnumDescriptors) error {
	for i := range extensions.Len() {
		x := extensions.Get(i)
		a, err := annotationsOf(x.Options(), string(x.FullName()))
		if err != nil {
			return err
		}
		if len(a.tags) > 0 {
			return fmt.Errorf("protobuf: %s: tags on an extension cannot be honoured, because records with extensions are refused", x.FullName())
		}
	}
	for i := range enums.Len() {
		values := enums.Get(i).Values()
		for j := range values.Len() {
			v := values.Get(j)
			a, err := annotationsOf(v.Options(), string(v.FullName()))
			if err != nil {
				return err
			}
			if len(a.tags) > 0 {
				return fmt.Errorf("protobuf: %s: tags on a value of an enum cannot be honoured, tag the enum", v.FullName())
			}
		}
	}
	return nil
}

// message returns the message type of that name.
func (b *builder) message(name protoreflect.FullName) (*message, error) {
	if m, ok := b.messages[name]; ok {
		return m, nil
	}
	d, err := b.types.files.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("protobuf: %.200s is not declared", name)
	}
	desc, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("protobuf: %.200s is no message", name)
	}
	m := &message{name: string(name), path: desc.ParentFile().Path(), any: name == "google.protobuf.Any"}
	b.messages[name] = m
	a, err := annotationsOf(desc.Options(), m.name)
	if err != nil {
		return nil, err
	}
	m.tags = joinTags(a.tags, b.files[m.path])
	if desc.IsMapEntry() {
		m.tags = nil
	}
	if o, ok := desc.Options().(interface{ GetMessageSetWireFormat() bool }); ok && o.GetMessageSetWireFormat() {
		return nil, fmt.Errorf("protobuf: %s: message sets are not supported", m.name)
	}
	list := desc.Fields()
	if b.fields += list.Len(); b.fields > maxFields {
		return nil, fmt.Errorf("protobuf: more than %d fields", maxFields)
	}
	for i := range list.Len() {
		f, err := b.field(list.Get(i))
		if err != nil {
			return nil, err
		}
		m.fields = append(m.fields, f)
	}
	slices.SortFunc(m.fields, func(x, y *field) int { return int(x.number) - int(y.number) })
	return m, nil
}

func (b *builder) field(d protoreflect.FieldDescriptor) (*field, error) {
	f := &field{
		name: string(d.Name()), full: string(d.FullName()), number: d.Number(), kind: d.Kind(), isMap: d.IsMap(),
		label: labelOf(d), required: d.Cardinality() == protoreflect.Required, oneof: realOneof(d), utf8: checksUTF8(d),
	}
	a, err := annotationsOf(d.Options(), f.full)
	if err != nil {
		return nil, err
	}
	f.tags = a.tags
	if f.msg, f.enum, err = b.named(d.Message(), d.Enum()); err != nil {
		return nil, err
	}
	original, err := a.declaration()
	if err == nil && original != "" {
		if b.sealed == "" {
			b.sealed = f.full
		}
		err = b.unseal(f, original, a.params[paramPart])
	}
	if err != nil {
		return nil, fmt.Errorf("protobuf: %.200s: %w", f.full, err)
	}
	if f.enum != "" {
		if err := b.enumTags(f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func labelOf(d protoreflect.FieldDescriptor) label {
	switch {
	case d.IsMap():
		return labelNone
	case d.IsList():
		return labelRepeated
	case d.Cardinality() == protoreflect.Required:
		return labelRequired
	case d.HasOptionalKeyword():
		return labelOptional
	default:
		return labelNone
	}
}

func realOneof(d protoreflect.FieldDescriptor) bool {
	o := d.ContainingOneof()
	return o != nil && !o.IsSynthetic()
}

// checksUTF8 tells whether parsers refuse strings that are not UTF-8.
func checksUTF8(d protoreflect.FieldDescriptor) bool {
	if d.Kind() != protoreflect.StringKind {
		return false
	}
	if f, ok := d.(interface{ EnforceUTF8() bool }); ok {
		return f.EnforceUTF8()
	}
	return d.ParentFile().Syntax() != protoreflect.Proto2
}

func (b *builder) named(m protoreflect.MessageDescriptor, e protoreflect.EnumDescriptor) (*message, string, error) {
	if m != nil {
		msg, err := b.message(m.FullName())
		return msg, "", err
	}
	if e != nil {
		return nil, string(e.FullName()), nil
	}
	return nil, "", nil
}

// enumTags gives a field the tags of its enum.
func (b *builder) enumTags(f *field) error {
	d, err := b.types.files.FindDescriptorByName(protoreflect.FullName(f.enum))
	if err != nil {
		return fmt.Errorf("protobuf: %.200s is not declared", f.enum)
	}
	a, err := annotationsOf(d.Options(), f.enum)
	if err != nil {
		return err
	}
	f.tags = joinTags(joinTags(f.tags, a.tags), b.files[d.ParentFile().Path()])
	return nil
}

var errOriginal = errors.New("the original type does not fit the field")

// unseal turns the description of a wrapped field, which is bytes, into that of
// the original, as the declaration spells it.
func (b *builder) unseal(f *field, declaration, wrapped string) error {
	if wrapped != "" && wrapped != partElement {
		return fmt.Errorf("unknown wrapped part %.20q", wrapped)
	}
	f.sealed = partWhole
	if wrapped == partElement {
		f.sealed = partItems
	}
	if f.isMap {
		// The values of a map were wrapped: what stands there is map<key, bytes>.
		key, value, ok := cutMap(declaration)
		if !ok || f.sealed != partItems || scalarName(f.key().kind) != key || f.value().kind != protoreflect.BytesKind {
			return errOriginal
		}
		return b.entry(f, key, value)
	}
	if f.kind != protoreflect.BytesKind {
		return errOriginal
	}
	word, typ, found := strings.Cut(declaration, " ")
	want := map[string]label{"optional": labelOptional, "required": labelRequired, "repeated": labelRepeated}[word]
	if !found || want == labelNone {
		want, typ = labelNone, declaration
	}
	if key, value, ok := cutMap(typ); ok {
		if f.label != labelRepeated || want != labelNone || f.sealed != partWhole {
			return errOriginal
		}
		f.label, f.isMap = labelNone, true
		return b.entry(f, key, value)
	}
	if want != f.label || f.sealed == partItems && want != labelRepeated {
		return errOriginal
	}
	return b.typeOf(f, typ)
}

// cutMap cuts "map<string, .acme.Address>".
func cutMap(typ string) (key, value string, ok bool) {
	inner, ok := strings.CutPrefix(typ, "map<")
	if !ok {
		return "", "", false
	}
	inner, ok = strings.CutSuffix(inner, ">")
	if !ok {
		return "", "", false
	}
	return strings.Cut(inner, ", ")
}

// entry makes the entry of a map whose declaration is known by its spelling.
func (b *builder) entry(f *field, key, value string) error {
	name := f.full[:len(f.full)-len(f.name)] + entryName(f.name)
	k := &field{name: "key", full: name + ".key", number: 1}
	v := &field{name: "value", full: name + ".value", number: 2}
	if err := b.typeOf(k, key); err != nil {
		return err
	}
	for _, none := range []protoreflect.Kind{protoreflect.DoubleKind, protoreflect.FloatKind, protoreflect.BytesKind} {
		if k.kind == none || k.msg != nil || k.enum != "" {
			return errOriginal
		}
	}
	if err := b.typeOf(v, value); err != nil {
		return err
	}
	if v.kind == protoreflect.GroupKind {
		return errOriginal
	}
	v.utf8 = v.kind == protoreflect.StringKind
	if v.enum != "" {
		if err := b.enumTags(v); err != nil {
			return err
		}
	}
	if f.sealed == partItems {
		v.sealed = partWhole
	}
	f.kind = protoreflect.MessageKind
	f.msg = &message{name: name, fields: []*field{k, v}}
	return nil
}

// entryName is the name that compilers give to the entry of a map.
func entryName(name string) string {
	var out []byte
	upper := true
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_':
			upper = true
		case upper && 'a' <= c && c <= 'z':
			out = append(out, c-'a'+'A')
			upper = false
		default:
			out = append(out, c)
			upper = false
		}
	}
	return string(out) + "Entry"
}

// typeOf gives f the type that a declaration names.
func (b *builder) typeOf(f *field, typ string) error {
	for _, k := range scalarKinds() {
		if typ == k.String() {
			f.kind = k
			f.utf8 = k == protoreflect.StringKind
			return nil
		}
	}
	name, group := strings.CutPrefix(typ, "group ")
	name, ok := strings.CutPrefix(name, ".")
	if !ok {
		return errOriginal
	}
	d, err := b.types.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return errOriginal
	}
	switch d := d.(type) {
	case protoreflect.MessageDescriptor:
		f.kind = protoreflect.MessageKind
		if group {
			f.kind = protoreflect.GroupKind
		}
		if d.IsMapEntry() {
			return errOriginal
		}
		f.msg, err = b.message(d.FullName())
		return err
	case protoreflect.EnumDescriptor:
		if group {
			return errOriginal
		}
		f.kind, f.enum = protoreflect.EnumKind, name
		return nil
	default:
		return errOriginal
	}
}

func scalarKinds() []protoreflect.Kind {
	return []protoreflect.Kind{
		protoreflect.BoolKind, protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Uint32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Uint64Kind, protoreflect.Sfixed32Kind,
		protoreflect.Fixed32Kind, protoreflect.FloatKind, protoreflect.Sfixed64Kind, protoreflect.Fixed64Kind,
		protoreflect.DoubleKind, protoreflect.StringKind, protoreflect.BytesKind,
	}
}

func scalarName(k protoreflect.Kind) string {
	if slices.Contains(scalarKinds(), k) {
		return k.String()
	}
	return ""
}

// declaration spells a field as unseal reads it.
func (f *field) declaration() string {
	if f.isMap {
		return "map<" + f.key().typeName() + ", " + f.value().typeName() + ">"
	}
	switch f.label {
	case labelOptional:
		return "optional " + f.typeName()
	case labelRequired:
		return "required " + f.typeName()
	case labelRepeated:
		return "repeated " + f.typeName()
	default:
		return f.typeName()
	}
}

func (f *field) typeName() string {
	switch {
	case f.kind == protoreflect.GroupKind:
		return "group ." + f.msg.name
	case f.msg != nil:
		return "." + f.msg.name
	case f.enum != "":
		return "." + f.enum
	default:
		return f.kind.String()
	}
}

// joinTags returns own and then outer, which has no repeats, without repeats.
func joinTags(own, outer []string) []string {
	if len(own) == 0 {
		return outer
	}
	out := make([]string, 0, len(own)+len(outer))
	for _, list := range [][]string{own, outer} {
		for _, t := range list {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}
