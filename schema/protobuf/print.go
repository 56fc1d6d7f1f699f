package protobuf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// printer writes a descriptor as the text of a .proto file. What it cannot write
// it refuses, and whoever uses the text compares what a compiler makes of it.
type printer struct {
	out      strings.Builder
	indent   string
	syntax   string
	editions bool
	pkg      string
	taken    map[string]bool // names that may stand for something else in an inner scope
	err      error
}

var errPrint = errors.New("protobuf: the schema cannot be written as text")

// printFile returns the text of a file whose options are resolved.
func printFile(f *descriptorpb.FileDescriptorProto) (string, error) {
	if err := printable(f.ProtoReflect()); err != nil {
		return "", err
	}
	p := &printer{syntax: f.GetSyntax(), pkg: f.GetPackage(), taken: declaredNames(f)}
	switch p.syntax {
	case "", "proto2":
		p.syntax = "proto2"
		p.linef("syntax = %q;", p.syntax)
	case "proto3":
		p.linef("syntax = %q;", p.syntax)
	case "editions":
		p.editions = true
		p.linef("edition = %q;", strings.TrimPrefix(f.GetEdition().String(), "EDITION_"))
	default:
		return "", fmt.Errorf("%w: its syntax has no name", errPrint)
	}
	if p.pkg != "" {
		p.linef("")
		p.linef("package %s;", p.pkg)
	}
	if len(f.GetDependency()) > 0 {
		p.linef("")
	}
	for i, path := range f.GetDependency() {
		how := ""
		if slices.Contains(f.GetPublicDependency(), int32(i)) {
			how = "public "
		} else if slices.Contains(f.GetWeakDependency(), int32(i)) {
			how = "weak "
		}
		p.linef("import %s%s;", how, quote(path))
	}
	p.statements(f.GetOptions(), true)
	p.extensions(f.GetExtension())
	for _, m := range f.GetMessageType() {
		p.linef("")
		p.openf("message %s {", m.GetName())
		p.message(m, "."+joinName(p.pkg, m.GetName()))
		p.close()
	}
	p.enums(f.GetEnumType())
	for _, s := range f.GetService() {
		p.service(s)
	}
	if p.err != nil {
		return "", p.err
	}
	return p.out.String(), nil
}

func joinName(scope, name string) string {
	if scope == "" {
		return name
	}
	return scope + "." + name
}

func (p *printer) linef(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text != "" {
		p.out.WriteString(p.indent)
	}
	p.out.WriteString(text)
	p.out.WriteByte('\n')
}

func (p *printer) openf(format string, args ...any) {
	p.linef(format, args...)
	p.indent += "  "
}

func (p *printer) close() {
	p.indent = p.indent[2:]
	p.linef("}")
}

func (p *printer) fail(reason string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", errPrint, reason)
	}
}

// message writes the body of a message. Nested types, map entries and groups
// share one order, which message indexes count.
func (p *printer) message(m *descriptorpb.DescriptorProto, name string) {
	p.statements(m.GetOptions(), false)
	for _, r := range m.GetReservedRange() {
		p.linef("reserved %s;", numbers(r.GetStart(), r.GetEnd()-1, maxNumber))
	}
	p.reservedNames(m.GetReservedName())
	for _, r := range m.GetExtensionRange() {
		p.linef("extensions %s%s;", numbers(r.GetStart(), r.GetEnd()-1, maxNumber), brackets(p.options(r.GetOptions())))
	}
	body := &nestedTypes{p: p, list: m.GetNestedType(), name: name}
	open := int32(-1) // oneof
	for _, f := range m.GetField() {
		oneof := int32(-1)
		if f.OneofIndex != nil && !f.GetProto3Optional() {
			oneof = f.GetOneofIndex()
		}
		if open >= 0 && oneof != open {
			p.close()
			open = -1
		}
		group, entry := body.of(f)
		if oneof >= 0 && open != oneof {
			if int(oneof) >= len(m.GetOneofDecl()) {
				p.fail("a oneof is not declared")
				return
			}
			// Types cannot be declared among the members, only groups.
			if first := body.groupIn(m.GetField(), oneof); first != nil {
				body.upTo(first)
			}
			o := m.GetOneofDecl()[oneof]
			p.openf("oneof %s {", o.GetName())
			p.statements(o.GetOptions(), false)
			open = oneof
		}
		if group != nil {
			p.group(body, f, group, oneof >= 0, name)
			continue
		}
		if entry != nil {
			body.upTo(entry)
			body.next++
		}
		p.field(f, entry, oneof >= 0)
	}
	if open >= 0 {
		p.close()
	}
	body.upTo(nil)
	p.enums(m.GetEnumType())
	p.extensions(m.GetExtension())
}

// nestedTypes are the types that stand inside a message, in their order.
type nestedTypes struct {
	p    *printer
	list []*descriptorpb.DescriptorProto
	name string // of the message
	next int    // the first one that is not written yet
}

// of finds the type that is declared by a field itself: a group, or the entry of
// a map.
func (n *nestedTypes) of(f *descriptorpb.FieldDescriptorProto) (group, entry *descriptorpb.DescriptorProto) {
	for _, m := range n.list {
		if f.GetTypeName() != n.name+"."+m.GetName() {
			continue
		}
		if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP {
			return m, nil
		}
		if m.GetOptions().GetMapEntry() {
			return nil, m
		}
	}
	return nil, nil
}

// groupIn finds the first group among the members of a oneof.
func (n *nestedTypes) groupIn(fields []*descriptorpb.FieldDescriptorProto, oneof int32) *descriptorpb.DescriptorProto {
	for _, f := range fields {
		if f.OneofIndex == nil || f.GetOneofIndex() != oneof {
			continue
		}
		if group, _ := n.of(f); group != nil {
			return group
		}
	}
	return nil
}

// upTo writes the types before last, or all.
func (n *nestedTypes) upTo(last *descriptorpb.DescriptorProto) {
	for ; n.next < len(n.list) && n.list[n.next] != last; n.next++ {
		m := n.list[n.next]
		if m.GetOptions().GetMapEntry() {
			n.p.fail("the entry of a map stands apart from its field")
			return
		}
		n.p.openf("message %s {", m.GetName())
		n.p.message(m, n.name+"."+m.GetName())
		n.p.close()
	}
}

func (p *printer) group(body *nestedTypes, f *descriptorpb.FieldDescriptorProto, group *descriptorpb.DescriptorProto, oneof bool, name string) {
	body.upTo(group)
	body.next++
	p.openf("%sgroup %s = %d%s {", p.labelText(f, oneof), group.GetName(), f.GetNumber(), brackets(p.fieldOptions(f)))
	p.message(group, name+"."+group.GetName())
	p.close()
}

func (p *printer) field(f *descriptorpb.FieldDescriptorProto, entry *descriptorpb.DescriptorProto, oneof bool) {
	typ := p.typeText(f)
	label := p.labelText(f, oneof)
	if entry != nil {
		if len(entry.GetField()) != 2 {
			p.fail("the entry of a map has other fields than a key and a value")
			return
		}
		label, typ = "", "map<"+p.typeText(entry.GetField()[0])+", "+p.typeText(entry.GetField()[1])+">"
	}
	p.linef("%s%s %s = %d%s;", label, typ, f.GetName(), f.GetNumber(), brackets(p.fieldOptions(f)))
}

func (p *printer) typeText(f *descriptorpb.FieldDescriptorProto) string {
	switch f.GetType() {
	case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		return f.GetTypeName()
	case descriptorpb.FieldDescriptorProto_TYPE_GROUP:
		p.fail("a group stands apart from its field")
		return ""
	default:
		return strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
	}
}

func (p *printer) labelText(f *descriptorpb.FieldDescriptorProto, oneof bool) string {
	if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED {
		return "repeated "
	}
	if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED {
		if p.syntax != "proto2" {
			p.fail("a field is required, which only proto2 has a word for")
		}
		return "required "
	}
	if oneof || p.syntax != "proto2" && !f.GetProto3Optional() {
		return ""
	}
	return "optional "
}

func (p *printer) fieldOptions(f *descriptorpb.FieldDescriptorProto) []string {
	var out []string
	if f.DefaultValue != nil {
		value := f.GetDefaultValue()
		if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_STRING {
			value = quote(value)
		}
		if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_BYTES {
			value = `"` + value + `"` // escaped in the descriptor already
		}
		out = append(out, "default = "+value)
	}
	if name := f.GetJsonName(); name != "" && f.Extendee == nil && name != jsonName(f.GetName()) {
		out = append(out, "json_name = "+quote(name))
	}
	return append(out, p.options(f.GetOptions())...)
}

func brackets(options []string) string {
	if len(options) == 0 {
		return ""
	}
	return " [" + strings.Join(options, ", ") + "]"
}

const (
	maxNumber     = 1<<29 - 1
	maxEnumNumber = 1<<31 - 1
)

func numbers(first, last, highest int32) string {
	switch {
	case first == last:
		return strconv.Itoa(int(first))
	case last == highest:
		return strconv.Itoa(int(first)) + " to max"
	default:
		return strconv.Itoa(int(first)) + " to " + strconv.Itoa(int(last))
	}
}

// reservedNames writes the names that no field may take. A descriptor may hold
// one that no field could take, a compiler of text does not.
func (p *printer) reservedNames(names []string) {
	for _, n := range names {
		if !protoreflect.Name(n).IsValid() {
			p.fail("a reserved name is none")
			return
		}
		if !p.editions {
			n = quote(n)
		}
		p.linef("reserved %s;", n)
	}
}

func (p *printer) enums(list []*descriptorpb.EnumDescriptorProto) {
	for _, e := range list {
		p.linef("")
		p.openf("enum %s {", e.GetName())
		p.statements(e.GetOptions(), false)
		for _, r := range e.GetReservedRange() {
			p.linef("reserved %s;", numbers(r.GetStart(), r.GetEnd(), maxEnumNumber))
		}
		p.reservedNames(e.GetReservedName())
		for _, v := range e.GetValue() {
			p.linef("%s = %d%s;", v.GetName(), v.GetNumber(), brackets(p.options(v.GetOptions())))
		}
		p.close()
	}
}

func (p *printer) extensions(list []*descriptorpb.FieldDescriptorProto) {
	for _, x := range list {
		p.linef("")
		p.openf("extend %s {", x.GetExtendee())
		p.field(x, nil, false)
		p.close()
	}
}

func (p *printer) service(s *descriptorpb.ServiceDescriptorProto) {
	p.linef("")
	p.openf("service %s {", s.GetName())
	p.statements(s.GetOptions(), false)
	for _, m := range s.GetMethod() {
		in, out := m.GetInputType(), m.GetOutputType()
		if m.GetClientStreaming() {
			in = "stream " + in
		}
		if m.GetServerStreaming() {
			out = "stream " + out
		}
		p.openf("rpc %s(%s) returns (%s) {", m.GetName(), in, out)
		p.statements(m.GetOptions(), false)
		p.close()
	}
	p.close()
}

// statements writes options on lines of their own.
func (p *printer) statements(options proto.Message, blank bool) {
	for i, o := range p.options(options) {
		if blank && i == 0 {
			p.linef("")
		}
		p.linef("option %s;", o)
	}
}

// jsonName is the name that compilers give to a field in JSON.
func jsonName(name string) string {
	var out []byte
	for i := range len(name) {
		c := name[i]
		if c == '_' {
			continue
		}
		if i > 0 && name[i-1] == '_' && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}
