package protobuf

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// normal changes what has two spellings into one.
func normal(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	f = proto.CloneOf(f)
	f.Name, f.SourceCodeInfo = nil, nil
	if f.GetSyntax() == "proto2" {
		f.Syntax = nil
	}
	if f.GetPackage() == "" {
		f.Package = nil
	}
	var messages func(list []*descriptorpb.DescriptorProto)
	messages = func(list []*descriptorpb.DescriptorProto) {
		for _, m := range list {
			for _, x := range slices.Concat(m.GetField(), m.GetExtension()) {
				normalField(x)
			}
			if o := m.GetOptions(); o != nil && !o.GetMapEntry() {
				o.MapEntry = nil
			}
			messages(m.GetNestedType())
		}
	}
	messages(f.GetMessageType())
	for _, x := range f.GetExtension() {
		normalField(x)
	}
	for _, s := range f.GetService() {
		for _, m := range s.GetMethod() {
			if !m.GetClientStreaming() {
				m.ClientStreaming = nil
			}
			if !m.GetServerStreaming() {
				m.ServerStreaming = nil
			}
		}
	}
	dropEmptyOptions(f.ProtoReflect())
	return f
}

// dropEmptyOptions removes options of which none is set.
func dropEmptyOptions(m protoreflect.Message) {
	if f := m.Descriptor().Fields().ByName("options"); f != nil && m.Has(f) && emptyMessage(m.Get(f).Message()) {
		m.Clear(f)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.Name() == "options":
		case f.IsList():
			for i := range v.List().Len() {
				dropEmptyOptions(v.List().Get(i).Message())
			}
		default:
			dropEmptyOptions(v.Message())
		}
		return true
	})
}

func normalField(f *descriptorpb.FieldDescriptorProto) {
	if f.GetJsonName() == "" {
		name := jsonName(f.GetName())
		f.JsonName = &name
	}
	if f.Label == nil {
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	}
	if !f.GetProto3Optional() {
		f.Proto3Optional = nil
	}
	if f.DefaultValue != nil && f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_BYTES {
		value := unescape(f.GetDefaultValue())
		f.DefaultValue = &value
	}
}

// unescape reads what a descriptor has for bytes: \n and the like, up to three
// octal digits, or two hexadecimal ones. Each compiler escapes in its own way.
func unescape(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		base, digits, most := 8, i, 3
		if s[i] == 'x' {
			base, digits, most = 16, i+1, 2
		}
		end := digits
		for end < len(s) && end < digits+most && digitIn(s[end], base) {
			end++
		}
		if v, err := strconv.ParseUint(s[digits:end], base, 8); err == nil {
			out = append(out, byte(v))
			i = end - 1
			continue
		}
		if at := strings.IndexByte("abfnrtv", s[i]); at >= 0 {
			out = append(out, "\a\b\f\n\r\t\v"[at])
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func digitIn(c byte, base int) bool {
	_, err := strconv.ParseUint(string(c), base, 8)
	return err == nil
}

func emptyMessage(m protoreflect.Message) bool {
	empty := len(m.GetUnknown()) == 0
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		empty = false
		return false
	})
	return empty
}
