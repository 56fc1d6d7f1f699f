package protobuf

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

// Derive returns the .proto text of the records that the program of the edits
// writes. A wrapped field is bytes there, with the number, name, label and oneof
// that it had; a map that is wrapped as a whole is repeated bytes. Its original
// declaration stands in the parameter "fieldveil.type" of its
// (confluent.field_meta), and the file tells in its (confluent.file_meta) what it
// was derived from. All other declarations stay, in their order, so that message
// indexes hold. The text is parsed and compared before it is returned.
//
// A message type belongs to all fields of that type. When only some of them
// have an edit inside, or when the type is declared in an imported file, the text
// cannot tell, and Derive gives a [*FitError]; then the fields that hold the
// messages can be wrapped as a whole.
func (s *Schema) Derive(edits []schema.Edit, from schema.Origin) (schema.Text, bool, error) {
	chosen, err := s.check(edits, false)
	if err != nil {
		return schema.Text{}, false, err
	}
	wrapped, err := s.wrappedFields(chosen)
	if err != nil {
		return schema.Text{}, false, err
	}
	if len(wrapped) == 0 {
		return s.file.text, false, nil
	}
	if from.ID < 0 {
		return schema.Text{}, false, errors.New("protobuf: the id of the original is negative")
	}
	d := &derivation{s: s, wrapped: wrapped, from: from}
	text, err := d.text()
	if err != nil {
		return schema.Text{}, false, err
	}
	return text, true, nil
}

// A wrappedField is one that the derived schema declares anew.
type wrappedField struct {
	owner *message
	part  part
}

// wrappedFields finds what the edits wrap, and sees to it that all places of a
// message type agree.
func (s *Schema) wrappedFields(chosen map[*place]edit) (map[*field]wrappedField, error) {
	wrapped := make(map[*field]wrappedField)
	first := make(map[*field]*place)
	var visit func(p *place) error
	visit = func(p *place) error {
		if _, edited := chosen[p]; edited || p.outer != nil {
			return nil // what is inside keeps its type, or is seen at the outer place
		}
		if p.container() || p.msg == nil {
			for _, c := range p.children {
				if err := visit(c); err != nil {
					return err
				}
			}
			return nil
		}
		for _, c := range p.children {
			w := wrappedField{owner: p.msg, part: wrappedPart(c, chosen)}
			had, seen := wrapped[c.field]
			switch {
			case !seen:
				wrapped[c.field], first[c.field] = w, c
			case had != w:
				f, other := &s.fields[c.index], &s.fields[first[c.field].index]
				return &FitError{f.Path, f.Type, "the same type is wrapped in another way inside " + other.Path}
			}
			if w.part != partNone && p.msg.path != s.file.desc.Path() {
				f := &s.fields[c.index]
				return &FitError{f.Path, f.Type, "is declared in an imported file, only what holds it can be wrapped"}
			}
			if err := visit(c); err != nil {
				return err
			}
		}
		return nil
	}
	if err := visit(s.tree); err != nil {
		return nil, err
	}
	for f, w := range wrapped {
		if w.part == partNone {
			delete(wrapped, f)
		}
	}
	return wrapped, nil
}

func wrappedPart(p *place, chosen map[*place]edit) part {
	if chosen[p].op == schema.Wrap {
		return partWhole
	}
	if p.container() && chosen[p.children[0]].op == schema.Wrap {
		return partItems
	}
	return partNone
}

// derivation makes one derived schema.
type derivation struct {
	s       *Schema
	wrapped map[*field]wrappedField
	from    schema.Origin
	types   *types // of the original, and of the options that are added
}

var errDerived = errors.New("protobuf: the derived schema does not read as it was meant")

func (d *derivation) text() (schema.Text, error) {
	if err := d.withMeta(); err != nil {
		return schema.Text{}, err
	}
	file, err := d.file()
	if err != nil {
		return schema.Text{}, err
	}
	printed, err := printFile(file)
	if err != nil {
		return schema.Text{}, err
	}
	text, err := d.s.file.references()
	if err != nil {
		return schema.Text{}, err
	}
	text.Schema = printed
	if err := d.verify(text, file); err != nil {
		return schema.Text{}, d.s.file.unwritable(text, err)
	}
	return text, nil
}

// withMeta finds the types with which the file is printed: those of the original
// and the options of confluent/meta.proto.
func (d *derivation) withMeta() error {
	d.types = d.s.file.types
	if _, err := d.types.FindExtensionByName(fieldMetaName); err == nil {
		return nil
	}
	src := &sources{main: metaPath, files: make(map[string]source)}
	_, meta, err := src.compile()
	if err != nil {
		return err
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, t := range []*types{meta, d.types} {
		for path, f := range t.protos {
			if t == d.types && meta.protos[path] != nil {
				continue
			}
			set.File = append(set.File, f)
		}
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return bounded(err)
	}
	d.types = &types{files: files, Types: dynamicpb.NewTypes(files), protos: d.types.protos}
	return nil
}

// file returns the descriptor of the original with the wrapped fields.
func (d *derivation) file() (*descriptorpb.FileDescriptorProto, error) {
	out := proto.CloneOf(d.s.file.types.protos[d.s.file.desc.Path()])
	x, err := d.types.FindExtensionByName(fieldMetaName)
	if err != nil {
		return nil, bounded(err)
	}
	if path := x.TypeDescriptor().ParentFile().Path(); !slices.Contains(out.GetDependency(), path) && path != out.GetName() {
		out.Dependency = append(out.Dependency, path)
	}
	for f, w := range d.wrapped {
		if err := d.wrap(out, f, w); err != nil {
			return nil, err
		}
	}
	if out.GetOptions() == nil {
		out.Options = new(descriptorpb.FileOptions)
	}
	if err := d.setParams(out.GetOptions(), map[string]string{
		paramID: strconv.Itoa(d.from.ID), paramDigest: hex.EncodeToString(d.from.Digest[:]),
	}); err != nil {
		return nil, err
	}
	return d.types.resolve(out)
}

// wrap declares one field anew.
func (d *derivation) wrap(file *descriptorpb.FileDescriptorProto, f *field, w wrappedField) error {
	owner := findMessage(file, w.owner.name)
	if owner == nil {
		return errDerived
	}
	i := slices.IndexFunc(owner.GetField(), func(p *descriptorpb.FieldDescriptorProto) bool { return p.GetNumber() == int32(f.number) })
	if i < 0 {
		return errDerived
	}
	decl := owner.GetField()[i]
	params := map[string]string{paramType: f.declaration()}
	if w.part == partItems {
		params[paramPart] = partElement
	}
	change := decl
	if f.isMap {
		entry := findMessage(file, f.msg.name)
		if entry == nil || len(entry.GetField()) != 2 {
			return errDerived
		}
		if w.part == partItems {
			value := slices.IndexFunc(entry.GetField(), func(p *descriptorpb.FieldDescriptorProto) bool { return p.GetNumber() == 2 })
			if value < 0 {
				return errDerived
			}
			change = entry.GetField()[value]
		} else {
			// The entry becomes an ordinary message: it keeps its place among the
			// nested types, on which message indexes depend.
			entry.GetOptions().MapEntry = nil
		}
	}
	change.Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
	change.TypeName, change.DefaultValue = nil, nil
	if decl.GetOptions() == nil {
		decl.Options = new(descriptorpb.FieldOptions)
	}
	for _, o := range []*descriptorpb.FieldOptions{decl.GetOptions(), change.GetOptions()} {
		dropTypeOptions(o)
	}
	return d.setParams(decl.GetOptions(), params)
}

// dropTypeOptions removes options that fit only the original type.
func dropTypeOptions(o *descriptorpb.FieldOptions) {
	if o == nil {
		return
	}
	o.Packed, o.Lazy, o.UnverifiedLazy, o.Jstype, o.Ctype = nil, nil, nil, nil, nil
	if f := o.GetFeatures(); f != nil {
		f.RepeatedFieldEncoding, f.MessageEncoding, f.Utf8Validation, f.EnumType = nil, nil, nil, nil
		if proto.Size(f) == 0 {
			o.Features = nil
		}
	}
}

// setParams adds parameters to the confluent.Meta of options, as it is encoded:
// what stands there already is joined with it.
func (d *derivation) setParams(options proto.Message, params map[string]string) error {
	raw, err := proto.MarshalOptions{AllowPartial: true}.Marshal(options)
	if err != nil {
		return bounded(err)
	}
	var meta []byte
	for _, k := range slices.Sorted(maps.Keys(params)) {
		entry := protowire.AppendTag(nil, 1, protowire.BytesType)
		entry = protowire.AppendString(entry, k)
		entry = protowire.AppendTag(entry, 2, protowire.BytesType)
		entry = protowire.AppendString(entry, params[k])
		meta = protowire.AppendTag(meta, 2, protowire.BytesType)
		meta = protowire.AppendBytes(meta, entry)
	}
	raw = protowire.AppendTag(raw, metaNumber, protowire.BytesType)
	raw = protowire.AppendBytes(raw, meta)
	if err := (proto.UnmarshalOptions{Resolver: d.types, AllowPartial: true}).Unmarshal(raw, options); err != nil {
		return bounded(err)
	}
	return nil
}

// findMessage finds a message type by its full name.
func findMessage(file *descriptorpb.FileDescriptorProto, name string) *descriptorpb.DescriptorProto {
	if file.GetPackage() != "" {
		var ok bool
		if name, ok = strings.CutPrefix(name, file.GetPackage()+"."); !ok {
			return nil
		}
	}
	list := file.GetMessageType()
	for {
		part, rest, more := strings.Cut(name, ".")
		i := slices.IndexFunc(list, func(m *descriptorpb.DescriptorProto) bool { return m.GetName() == part })
		if i < 0 {
			return nil
		}
		if !more {
			return list[i]
		}
		list, name = list[i].GetNestedType(), rest
	}
}

// references is the text of f without the schema, with the files that stood in
// the same set as references.
func (f *file) references() (schema.Text, error) {
	text := f.text
	text.References, text.Names = slices.Clone(text.References), slices.Clone(text.Names)
	src, err := newSources(f.text)
	if err != nil {
		return text, err
	}
	if len(text.Names) == 0 {
		// Descriptors as references name themselves.
		text.References = nil
	}
	for _, name := range src.order {
		if name == src.main || slices.Contains(text.Names, name) {
			continue
		}
		raw, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(src.files[name].desc)
		if err != nil {
			return text, bounded(err)
		}
		text.References = append(text.References, base64.StdEncoding.EncodeToString(raw))
		text.Names = append(text.Names, name)
	}
	return text, nil
}

// verify parses the derived text, and compares the file with the one that was
// meant and the fields with the original ones.
func (d *derivation) verify(text schema.Text, want *descriptorpb.FileDescriptorProto) error {
	got, err := Parse(text)
	if err != nil {
		return fmt.Errorf("%w: %w", errDerived, err)
	}
	t := got.file.types
	is, err := t.resolve(t.protos[got.file.desc.Path()])
	if err != nil {
		return err
	}
	if want, err = t.resolve(want); err != nil {
		return err
	}
	if !proto.Equal(normal(is), normal(want)) {
		return errDerived
	}
	if got.root.name != d.s.root.name {
		if got, err = got.file.schema(protoreflect.FullName(d.s.root.name)); err != nil {
			return errDerived
		}
	}
	if !got.file.derived || got.file.origin != d.from || len(got.fields) != len(d.s.fields) {
		return errDerived
	}
	for i := range got.fields {
		f, p := got.fields[i], d.s.places[i]
		if f.Sealed != d.seals(p) {
			return errDerived
		}
		f.Sealed = false
		if !equalFields(&f, &d.s.fields[i]) {
			return errDerived
		}
	}
	return nil
}

// seals tells whether the derived schema has to describe p as sealed.
func (d *derivation) seals(p *place) bool {
	for up := p.parent; up != nil; up = up.parent {
		if up.field != nil && d.marks(up) {
			return false
		}
	}
	return d.marks(p)
}

func (d *derivation) marks(p *place) bool {
	if p.item {
		return d.wrapped[p.parent.field].part == partItems
	}
	return d.wrapped[p.field].part == partWhole
}

func equalFields(a, b *schema.Field) bool {
	return a.Path == b.Path && a.Place == b.Place && a.Type == b.Type && a.Logical == b.Logical && a.Nullable == b.Nullable &&
		a.Numeric == b.Numeric && a.End == b.End && a.Wrapped == b.Wrapped && a.Encoding == b.Encoding && slices.Equal(a.Tags, b.Tags)
}
