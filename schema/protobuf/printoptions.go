package protobuf

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// mapEntryNumber is the option that only compilers set.
const mapEntryNumber = 7

// options writes each option as "name = value".
func (p *printer) options(options proto.Message) []string {
	m := options.ProtoReflect()
	if !m.IsValid() {
		return nil
	}
	var out []string
	for _, s := range p.set(m) {
		if !s.desc.IsExtension() && s.desc.Number() == mapEntryNumber && m.Descriptor().FullName() == "google.protobuf.MessageOptions" {
			continue
		}
		name := string(s.desc.Name())
		if s.desc.IsExtension() {
			name = p.optionName(string(s.desc.FullName()))
		}
		if !s.desc.IsList() {
			out = append(out, name+" = "+p.value(s.desc, s.value))
			continue
		}
		for i := range s.value.List().Len() {
			out = append(out, name+" = "+p.value(s.desc, s.value.List().Get(i)))
		}
	}
	return out
}

// optionName is how an extension is named in the file. A name that the scope
// could take for another begins with a dot.
func (p *printer) optionName(full string) string {
	first, _, _ := strings.Cut(full, ".")
	if p.taken[first] {
		return "(." + full + ")"
	}
	return "(" + full + ")"
}

type setField struct {
	desc  protoreflect.FieldDescriptor
	value protoreflect.Value
}

// set lists the fields of a message that are set, by number. It fails when there
// is something that no descriptor describes.
func (p *printer) set(m protoreflect.Message) []setField {
	if len(m.GetUnknown()) > 0 {
		p.err = fmt.Errorf("%w: it has options that no import describes", errPrint)
	}
	var out []setField
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		out = append(out, setField{d, v})
		return true
	})
	slices.SortFunc(out, func(x, y setField) int { return int(x.desc.Number()) - int(y.desc.Number()) })
	return out
}

func (p *printer) value(d protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch d.Kind() {
	case protoreflect.BoolKind:
		return strconv.FormatBool(v.Bool())
	case protoreflect.EnumKind:
		if e := d.Enum().Values().ByNumber(v.Enum()); e != nil {
			return string(e.Name())
		}
		p.fail("an option has a value that its enum does not have")
		return ""
	case protoreflect.StringKind:
		return quote(v.String())
	case protoreflect.BytesKind:
		return quote(string(v.Bytes()))
	case protoreflect.FloatKind:
		return float(v.Float(), 32)
	case protoreflect.DoubleKind:
		return float(v.Float(), 64)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return p.aggregate(v.Message())
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.FormatUint(v.Uint(), 10)
	default:
		return strconv.FormatInt(v.Int(), 10)
	}
}

func float(v float64, bits int) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case math.IsNaN(v):
		return "nan"
	default:
		return strconv.FormatFloat(v, 'g', -1, bits)
	}
}

// aggregate writes a message in braces.
func (p *printer) aggregate(m protoreflect.Message) string {
	var parts []string
	for _, s := range p.set(m) {
		var items []string
		switch {
		case s.desc.IsMap():
			items = p.entries(s.desc, s.value.Map())
		case s.desc.IsList():
			for i := range s.value.List().Len() {
				items = append(items, p.value(s.desc, s.value.List().Get(i)))
			}
		default:
			parts = append(parts, s.desc.TextName()+": "+p.value(s.desc, s.value))
			continue
		}
		parts = append(parts, s.desc.TextName()+": ["+strings.Join(items, ", ")+"]")
	}
	if len(parts) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func (p *printer) entries(d protoreflect.FieldDescriptor, m protoreflect.Map) []string {
	var out []string
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		out = append(out, "{ key: "+p.value(d.MapKey(), k.Value())+", value: "+p.value(d.MapValue(), v)+" }")
		return true
	})
	slices.Sort(out)
	return out
}

// quote writes a string literal.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(s[0])
		case r == '\n':
			b.WriteString(`\n`)
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for i := range n {
				fmt.Fprintf(&b, `\%03o`, s[i])
			}
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	b.WriteByte('"')
	return b.String()
}

// declaredNames are the names in a file at which a search in the scopes could
// stop: all that it declares, and the parts of its package but the first.
func declaredNames(f *descriptorpb.FileDescriptorProto) map[string]bool {
	names := make(map[string]bool)
	if parts := strings.Split(f.GetPackage(), "."); len(parts) > 1 {
		for _, n := range parts[1:] {
			names[n] = true
		}
	}
	enums := func(list []*descriptorpb.EnumDescriptorProto) {
		for _, e := range list {
			names[e.GetName()] = true
			for _, v := range e.GetValue() {
				names[v.GetName()] = true
			}
		}
	}
	fields := func(list []*descriptorpb.FieldDescriptorProto) {
		for _, x := range list {
			names[x.GetName()] = true
		}
	}
	var messages func(list []*descriptorpb.DescriptorProto)
	messages = func(list []*descriptorpb.DescriptorProto) {
		for _, m := range list {
			names[m.GetName()] = true
			fields(m.GetField())
			fields(m.GetExtension())
			for _, o := range m.GetOneofDecl() {
				names[o.GetName()] = true
			}
			enums(m.GetEnumType())
			messages(m.GetNestedType())
		}
	}
	messages(f.GetMessageType())
	enums(f.GetEnumType())
	fields(f.GetExtension())
	for _, s := range f.GetService() {
		names[s.GetName()] = true
		for _, m := range s.GetMethod() {
			names[m.GetName()] = true
		}
	}
	return names
}
