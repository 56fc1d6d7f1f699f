package protobuf

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/schema"
)

// The options that tell of tags, and the names by which texts know them.
const (
	metaNumber    = 1088  // (confluent.*_meta)
	ownNumber     = 74813 // (fieldveil.v1.*)
	metaPath      = "confluent/meta.proto"
	fieldMetaName = "confluent.field_meta"
	fileMetaName  = "confluent.file_meta"
)

// The parameters of a derived schema.
const (
	paramType   = "fieldveil.type"           // of a field: its original declaration
	paramPart   = "fieldveil.part"           // "[]" where elements were wrapped and not the container
	paramID     = "fieldveil.derived.id"     // of the file: id of the original
	paramDigest = "fieldveil.derived.sha256" // of the file: digest of the original, in hex
)

const partElement = "[]"

// annotations are what the options of one declaration tell.
type annotations struct {
	tags     []string
	params   map[string]string
	original string // of our own option
}

// optionNames are the extensions that may stand under a number that is read
// here. Another one of the same number would be mistaken for it.
func optionNames(options protoreflect.FullName) (meta, own protoreflect.FullName) {
	switch options {
	case "google.protobuf.FileOptions":
		return fileMetaName, ""
	case "google.protobuf.MessageOptions":
		return "confluent.message_meta", "fieldveil.v1.message"
	case "google.protobuf.FieldOptions":
		return fieldMetaName, "fieldveil.v1.field"
	case "google.protobuf.EnumOptions":
		return "confluent.enum_meta", ""
	case "google.protobuf.EnumValueOptions":
		return "confluent.enum_value_meta", ""
	default:
		return "", ""
	}
}

// checkExtensions sees to it that the numbers of the options mean what is read
// from them.
func checkExtensions(t *types) error {
	var bad error
	check := func(list protoreflect.ExtensionDescriptors) {
		for i := range list.Len() {
			x := list.Get(i)
			on := x.ContainingMessage().FullName()
			meta, own := optionNames(on)
			want := protoreflect.FullName("")
			if x.Number() == metaNumber {
				want = meta
			}
			if x.Number() == ownNumber {
				want = own
			}
			if want != "" && (x.FullName() != want || !readable(x)) {
				bad = fmt.Errorf("protobuf: extension %d of %s is not the %s that is known", x.Number(), on, want)
			}
			if want == "" && (x.FullName() == meta || x.FullName() == own) {
				bad = fmt.Errorf("protobuf: extension %s of %s has the number %d", x.FullName(), on, x.Number())
			}
		}
	}
	var nested func(list protoreflect.MessageDescriptors)
	nested = func(list protoreflect.MessageDescriptors) {
		for i := range list.Len() {
			check(list.Get(i).Extensions())
			nested(list.Get(i).Messages())
		}
	}
	t.files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		check(f.Extensions())
		nested(f.Messages())
		return bad == nil
	})
	return bad
}

// readable tells whether the message of an option has the fields that are read
// from it.
func readable(x protoreflect.ExtensionDescriptor) bool {
	if x.Kind() != protoreflect.MessageKind || x.IsList() {
		return false
	}
	tags, params := protoreflect.FieldNumber(3), protoreflect.FieldNumber(2)
	if x.Number() == ownNumber {
		tags, params = 1, 0
	}
	f := x.Message().Fields().ByNumber(tags)
	if f == nil || f.Kind() != protoreflect.StringKind || !f.IsList() {
		return false
	}
	if params == 0 {
		return true
	}
	p := x.Message().Fields().ByNumber(params)
	return p != nil && p.IsMap() && p.MapKey().Kind() == protoreflect.StringKind && p.MapValue().Kind() == protoreflect.StringKind
}

// annotationsOf reads the options of a declaration as they are encoded, so that
// it does not matter who compiled them. where names the declaration for errors.
func annotationsOf(options proto.Message, where string) (annotations, error) {
	var a annotations
	if !options.ProtoReflect().IsValid() {
		return a, nil
	}
	raw, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(options)
	if err != nil {
		return a, bounded(err)
	}
	err = eachField(raw, func(num protowire.Number, value []byte) error {
		if num == metaNumber {
			return a.meta(value)
		}
		if num == ownNumber {
			return a.own(value)
		}
		return nil
	})
	if err != nil {
		return a, fmt.Errorf("protobuf: %.200s: %w", where, err)
	}
	if len(a.tags) > maxTags {
		return a, fmt.Errorf("protobuf: %.200s: more than %d tags", where, maxTags)
	}
	return a, nil
}

var (
	errOptions = errors.New("options are malformed")
	errTags    = errors.New("tags are to be strings that are not empty")
)

// eachField calls f for each length-delimited field.
func eachField(raw []byte, f func(num protowire.Number, value []byte) error) error {
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return errOptions
		}
		raw = raw[n:]
		size := protowire.ConsumeFieldValue(num, typ, raw)
		if size < 0 {
			return errOptions
		}
		if typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(raw)
			if err := f(num, value); err != nil {
				return err
			}
		}
		raw = raw[size:]
	}
	return nil
}

// meta reads a confluent.Meta.
func (a *annotations) meta(raw []byte) error {
	return eachField(raw, func(num protowire.Number, value []byte) error {
		if num == 2 {
			return a.param(value)
		}
		if num == 3 {
			return a.tag(value)
		}
		return nil
	})
}

// own reads a fieldveil.v1.FieldOptions or MessageOptions.
func (a *annotations) own(raw []byte) error {
	return eachField(raw, func(num protowire.Number, value []byte) error {
		if num == 1 {
			return a.tag(value)
		}
		if num == 2 {
			a.original = string(value)
		}
		return nil
	})
}

// param reads an entry of the parameters.
func (a *annotations) param(raw []byte) error {
	var entry [3]string
	err := eachField(raw, func(num protowire.Number, v []byte) error {
		if num == 1 || num == 2 {
			entry[num] = string(v)
		}
		return nil
	})
	if a.params == nil {
		a.params = make(map[string]string)
	}
	a.params[entry[1]] = entry[2]
	return err
}

func (a *annotations) tag(value []byte) error {
	if len(value) == 0 || !utf8.Valid(value) {
		return errTags
	}
	if len(a.tags) > maxTags {
		return fmt.Errorf("more than %d tags", maxTags)
	}
	if t := string(value); !slices.Contains(a.tags, t) {
		a.tags = append(a.tags, t)
	}
	return nil
}

// declaration returns the original declaration that the options of a wrapped
// field name, or nothing.
func (a *annotations) declaration() (string, error) {
	param := a.params[paramType]
	if param != "" && a.original != "" && param != a.original {
		return "", errors.New("two original types")
	}
	if param == "" {
		param = a.original
	}
	if param == "" && a.params[paramPart] != "" {
		return "", errors.New("a wrapped part without an original type")
	}
	return param, nil
}

// readOrigin reads what the file was derived from. Only a derived file may have
// fields with original types.
func (f *file) readOrigin() error {
	a, err := annotationsOf(f.desc.Options(), "file options")
	if err != nil {
		return err
	}
	id, hasID := a.params[paramID]
	digest, hasDigest := a.params[paramDigest]
	if !hasID && !hasDigest {
		if f.model.sealed != "" {
			return fmt.Errorf("protobuf: %s has an original type, but the file does not tell what it was derived from", f.model.sealed)
		}
		return nil
	}
	if f.model.sealed == "" {
		return errors.New("protobuf: the file says that it was derived, but no field has an original type")
	}
	n, err := strconv.Atoi(id)
	raw, hexErr := hex.DecodeString(digest)
	if err != nil || n < 0 || strconv.Itoa(n) != id || hexErr != nil || len(raw) != len(f.origin.Digest) {
		return errors.New("protobuf: the file does not tell properly what it was derived from")
	}
	f.origin = schema.Origin{ID: n, Digest: [32]byte(raw)}
	f.derived = true
	return nil
}
