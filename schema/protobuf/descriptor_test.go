package protobuf

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/fieldveil/fieldveil/schema"
)

const registeredText = `syntax = "proto3";
package acme;
import "confluent/meta.proto";
import "google/protobuf/timestamp.proto";
message P {
  string name = 1 [(confluent.field_meta).tags = "PII"];
  optional int32 born = 2;
  Address home = 3;
  repeated Kind kinds = 4;
  map<string, Address> others = 5;
  oneof contact { string mail_address = 6; int64 phone = 7; }
  google.protobuf.Timestamp at = 8;
  message Address { string street = 1; Kind kind = 2; }
  enum Kind { UNKNOWN = 0; HOME = 1; }
  reserved 20 to 30;
  reserved "old";
}
service S { rpc Get(P) returns (P); }
`

const registeredEdits = "replace /name wrap /born wrap /kinds wrap /others wrap /phone wrap /at"

// everyField visits the fields of all messages, those of map entries too.
func everyField(list []*descriptorpb.DescriptorProto, visit func(m *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto)) {
	for _, m := range list {
		for _, f := range m.GetField() {
			visit(m, f)
		}
		everyField(m.GetNestedType(), visit)
	}
}

// Programs and registries write descriptors in different ways. All of them say
// the same as the text.
func TestDescriptorsAsProgramsWriteThemDerive(t *testing.T) {
	original := parse(t, registeredText)
	want, changed, err := original.Derive(on(t, original, registeredEdits), schema.Origin{ID: 9})
	if err != nil || !changed {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(f *descriptorpb.FileDescriptorProto)
	}{
		{"as it is compiled", func(*descriptorpb.FileDescriptorProto) {}},
		{"without a name", func(f *descriptorpb.FileDescriptorProto) { f.Name = nil }},
		{"without names in JSON", func(f *descriptorpb.FileDescriptorProto) {
			everyField(f.GetMessageType(), func(_ *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) { f.JsonName = nil })
		}},
		{"without labels", func(f *descriptorpb.FileDescriptorProto) {
			everyField(f.GetMessageType(), func(_ *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) {
				if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL {
					f.Label = nil
				}
			})
		}},
		{"with relative names and without the kinds of types, as a registry does", func(f *descriptorpb.FileDescriptorProto) {
			everyField(f.GetMessageType(), func(_ *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) {
				if f.TypeName != nil {
					name := strings.TrimPrefix(strings.TrimPrefix(f.GetTypeName(), ".acme.P."), ".")
					f.TypeName, f.Type = &name, nil
				}
			})
		}},
		{"with everything that could be left out", func(f *descriptorpb.FileDescriptorProto) {
			for _, m := range f.GetMessageType() {
				m.Options = new(descriptorpb.MessageOptions)
				m.OneofDecl[0].Options = new(descriptorpb.OneofOptions)
				m.EnumType[0].Options = new(descriptorpb.EnumOptions)
				m.EnumType[0].Value[0].Options = new(descriptorpb.EnumValueOptions)
			}
			everyField(f.GetMessageType(), func(m *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) {
				if f.GetOptions() == nil {
					f.Options = new(descriptorpb.FieldOptions)
				}
				if f.Proto3Optional == nil {
					f.Proto3Optional = new(false)
				}
				if !m.GetOptions().GetMapEntry() {
					m.Options = &descriptorpb.MessageOptions{MapEntry: new(false)}
				}
			})
			f.Service[0].Options = new(descriptorpb.ServiceOptions)
			f.Service[0].Method[0].Options = new(descriptorpb.MethodOptions)
			f.Service[0].Method[0].ClientStreaming, f.Service[0].Method[0].ServerStreaming = new(false), new(false)
		}},
		{"with the places in a text that there was", func(f *descriptorpb.FileDescriptorProto) {
			f.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{Path: []int32{4, 0}, Span: []int32{1, 2, 3}, LeadingComments: new(" P\n")}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := serialized(t, "default", registeredText)
			tt.change(f)
			raw, err := proto.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
				s := parse(t, enc.EncodeToString(raw))
				text, changed, err := s.Derive(on(t, s, registeredEdits), schema.Origin{ID: 9})
				if err != nil || !changed {
					t.Fatalf("changed %t, error %v", changed, err)
				}
				if text.Schema != want.Schema {
					t.Errorf("derived\n%s\nwant\n%s", text.Schema, want.Schema)
				}
				if got := lines(parseText(t, text)); strings.Join(got, "\n") != strings.Join(lines(parseText(t, want)), "\n") {
					t.Errorf("it reads as %q", got)
				}
			}
		})
	}
}

// Without a package there is nothing to be relative to, and compilers escape the
// bytes of a default in different ways.
func TestDescriptorsOfProto2Derive(t *testing.T) {
	f, _ := serialized(t, "default", `syntax = "proto2"; message P { optional int32 i = 1; optional bytes b = 2 [default = "A\001\t\"\\\377\n"]; optional group G = 3 { optional string s = 1; } }`)
	empty := ""
	f.Package = &empty
	for _, escaped := range []string{`A\001\t\"\\\377\n`, `\101\1\011\"\\\xff\012`, `\x41\x01\011\"\\\xff\n`} {
		for _, syntax := range []*string{nil, new("proto2")} {
			f.Syntax, f.MessageType[0].Field[1].DefaultValue = syntax, &escaped
			raw, err := proto.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			s := parse(t, base64.StdEncoding.EncodeToString(raw))
			if _, changed, err := s.Derive(on(t, s, "wrap /i"), schema.Origin{}); err != nil || !changed {
				t.Errorf("%s: changed %t, error %v", escaped, changed, err)
			}
		}
	}
}

// What no text says is refused for what it is. Such a schema protects all that
// keeps its type.
func TestDescriptorsThatNoTextStandsFor(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		change       func(f *descriptorpb.FileDescriptorProto)
	}{
		{"a field that no file has", "there is a field that no FileDescriptorProto has", func(f *descriptorpb.FileDescriptorProto) {
			f.ProtoReflect().SetUnknown([]byte(str(99, "x")))
		}},
		{"a field that no message type has", "there is a field that no DescriptorProto has", func(f *descriptorpb.FileDescriptorProto) {
			f.GetMessageType()[0].ProtoReflect().SetUnknown([]byte(num(99, 1)))
		}},
		{"a field that no value of an enum has", "there is a field that no EnumValueDescriptorProto has", func(f *descriptorpb.FileDescriptorProto) {
			f.GetMessageType()[0].GetEnumType()[0].GetValue()[0].ProtoReflect().SetUnknown([]byte(num(99, 1)))
		}},
		{"an option that nothing describes", "it has options that no import describes", func(f *descriptorpb.FileDescriptorProto) {
			f.Options = new(descriptorpb.FileOptions)
			f.GetOptions().ProtoReflect().SetUnknown([]byte(num(60000, 1)))
		}},
		{"an unusual name in JSON of the key of a map", "a compiler makes another descriptor of the text", func(f *descriptorpb.FileDescriptorProto) {
			everyField(f.GetMessageType(), func(m *descriptorpb.DescriptorProto, _ *descriptorpb.FieldDescriptorProto) {
				if m.GetOptions().GetMapEntry() {
					m.Field[0].JsonName = new("other")
				}
			})
		}},
		{"a oneof of one optional field with another name", "a compiler makes another descriptor of the text", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].OneofDecl[1].Name = new("other")
		}},
		{"an edition that the compiler does not know", "edition", func(f *descriptorpb.FileDescriptorProto) {
			f.Syntax, f.Edition = new("editions"), descriptorpb.Edition_EDITION_2024.Enum()
			f.MessageType[0].Field[1].Proto3Optional = nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := serialized(t, "default", registeredText)
			tt.change(f)
			raw, err := proto.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			s := parse(t, base64.StdEncoding.EncodeToString(raw))
			_, _, err = s.Derive(on(t, s, "wrap /phone"), schema.Origin{})
			if !errors.Is(err, errPrint) || errors.Is(err, errDerived) || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error is %v, want %q", err, tt.reason)
			}
			if _, changed, err := s.Derive(on(t, s, "replace /name"), schema.Origin{}); changed || err != nil {
				t.Errorf("without a wrap: changed %t, error %v", changed, err)
			}
		})
	}
}

// The linker lets some of them pass.
func TestLabelsThatNoTextHas(t *testing.T) {
	for label, reason := range map[descriptorpb.FieldDescriptorProto_Label]string{
		9: "there is a label that does not exist", descriptorpb.FieldDescriptorProto_LABEL_REQUIRED: "a field is required, which only proto2 has a word for",
	} {
		f, _ := serialized(t, "default", `edition = "2023"; message P { int32 i = 1; extensions 5; }`)
		f.MessageType[0].Field[0].Label = &label
		if _, err := printFile(f); !errors.Is(err, errPrint) || !strings.Contains(err.Error(), reason) {
			t.Errorf("error is %v, want %q", err, reason)
		}
	}
}
