package protobuf

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/fieldveil/fieldveil/schema"
)

// printable refuses what a descriptor may hold and the text of a .proto file has
// no words for: fields that descriptors do not have, and values of enums that
// have no name. Options are left to the printer, and comments are dropped.
func printable(m protoreflect.Message) error {
	name := m.Descriptor().Name()
	if strings.HasSuffix(string(name), "Options") || name == "SourceCodeInfo" {
		return nil
	}
	if len(m.GetUnknown()) > 0 {
		return fmt.Errorf("%w: there is a field that no %s has", errPrint, name)
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() == protoreflect.EnumKind && !f.IsList():
			if f.Enum().Values().ByNumber(v.Enum()) == nil {
				err = fmt.Errorf("%w: there is a %s that does not exist", errPrint, f.Name())
			}
		case f.Message() != nil && f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = printable(v.List().Get(i).Message())
			}
		case f.Message() != nil:
			err = printable(v.Message())
		}
		return err == nil
	})
	return err
}

// unwritable tells why a derived text is not what was meant. Where f came as a
// text, that is err. A descriptor may say what no text says, such as that the key
// of a map has an unusual name in JSON, or what the compiler of texts refuses.
func (f *file) unwritable(derived schema.Text, err error) error {
	if _, serialized := unarmor(f.text.Schema); !serialized {
		return err
	}
	was, same := f.types.resolve(f.types.protos[f.desc.Path()])
	if same != nil {
		return same
	}
	text := derived
	if text.Schema, same = printFile(was); same != nil {
		return same
	}
	is, same := readBack(text)
	if same == nil && !proto.Equal(normal(is), normal(was)) {
		return fmt.Errorf("%w: a compiler makes another descriptor of the text", errPrint)
	}
	if same == nil {
		_, same = readBack(derived)
	}
	if same != nil {
		return fmt.Errorf("%w: %w", errPrint, same)
	}
	return err
}

// readBack compiles a text, and returns the descriptor with its options.
func readBack(text schema.Text) (*descriptorpb.FileDescriptorProto, error) {
	src, err := newSources(text)
	if err != nil {
		return nil, err
	}
	desc, t, err := src.compile()
	if err != nil {
		return nil, err
	}
	return t.resolve(t.protos[desc.Path()])
}
