package serde

import (
	"bytes"
	"regexp"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

// protobufBody encodes values of a message type.
type protobufBody struct {
	message protoreflect.MessageType
	types   *dynamicpb.Types
}

// compileProtobuf returns the first message of a file, which the project's own
// parser takes.
func compileProtobuf(text *schema.Text) (*protobufBody, *Error) {
	files, main, err := linkProtobuf(text)
	if err != nil {
		return nil, invalidSchema("the schema cannot be read")
	}
	if main.Messages().Len() == 0 {
		return nil, invalidSchema("the schema has no message")
	}
	return &protobufBody{
		message: dynamicpb.NewMessageType(main.Messages().Get(0)),
		types:   dynamicpb.NewTypes(files),
	}, nil
}

// Message returns the first message type of a Protobuf schema, which is the one
// that an [Encoder] of it writes: for programs that make values of any schema.
// Text is read with the project's own parser first, which bounds what it can make
// the compiler do. The error holds nothing of the text.
func Message(text schema.Text) (protoreflect.MessageDescriptor, error) {
	if text.Format != schema.Protobuf {
		return nil, invalidSchema("not a Protobuf schema")
	}
	bare := text.Bare()
	if _, err := parse(&bare); err != nil {
		return nil, err
	}
	body, err := compileProtobuf(&bare)
	if err != nil {
		return nil, err
	}
	return body.message.Descriptor(), nil
}

func (b *protobufBody) append(dst, value []byte) ([]byte, *Error) {
	// In one line, so that positions in it are columns.
	line, err := compact(nil, value)
	if err != nil {
		return dst, err
	}
	m := b.message.New().Interface()
	// A name that the schema does not have is an error, and so is a member twice
	// under its two names.
	if jerr := (protojson.UnmarshalOptions{Resolver: b.types}).Unmarshal(line, m); jerr != nil {
		e := unfit("does not follow the message type")
		e.path = pathAt(line, offsetIn(line, jerr), b.message.Descriptor())
		return dst, e
	}
	out, merr := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m)
	if merr != nil {
		return dst, unfit("cannot be encoded")
	}
	return out, nil
}

// position finds the place in the text of an error of protojson. The rest of the
// text quotes the value.
var position = regexp.MustCompile(`\(line 1:(\d{1,9})\)`)

// offsetIn returns the position that an error of protojson names, or -1.
func offsetIn(line []byte, err error) int {
	found := position.FindStringSubmatch(err.Error())
	if found == nil {
		return -1
	}
	column, cerr := strconv.Atoi(found[1])
	if cerr != nil {
		return -1
	}
	at := 0
	for range column - 1 {
		if at >= len(line) {
			return -1
		}
		_, n := utf8.DecodeRune(line[at:])
		at += n
	}
	return at
}

// pathAt returns the path of what stands at a position in a value of a message
// type: its names as the schema has them, and "{}" for all others. The value is
// strict JSON without white space.
func pathAt(line []byte, at int, m protoreflect.MessageDescriptor) string {
	if at < 0 {
		return ""
	}
	type level struct {
		message protoreflect.MessageDescriptor // nil where nothing is known
		field   protoreflect.FieldDescriptor   // of the last member
		entries bool                           // of a map
		segment string                         // of the last member
		open    byte
	}
	levels := []level{}
	name := false // the next string is the name of a member
	for i := 0; i < len(line) && i <= at; {
		switch c := line[i]; c {
		case '{', '[':
			next := level{message: m, open: c}
			if len(levels) > 0 {
				top := &levels[len(levels)-1]
				next.message = nil
				switch f := top.field; {
				case f == nil:
				case c == '[' && f.IsList():
					next.field = f
				case c == '{' && f.IsMap() && !top.entries:
					next.entries, next.field = true, f
				case c == '{' && f.IsMap():
					next.message = f.MapValue().Message()
				case c == '{':
					next.message = f.Message()
				}
			}
			if next.segment = ""; c == '[' && i < at {
				next.segment = "/[]"
			}
			levels = append(levels, next)
			name = c == '{'
			i++
		case '}', ']':
			if i == at && c == '}' {
				levels[len(levels)-1].segment = ""
			}
			if i < at {
				levels = levels[:len(levels)-1]
			}
			name = false
			i++
		case ',':
			name = len(levels) > 0 && levels[len(levels)-1].open == '{'
			i++
		case '"':
			end := stringEnd(line, i)
			if end == 0 {
				return ""
			}
			if name {
				top := &levels[len(levels)-1]
				top.segment = "/{}"
				if !top.entries {
					top.field = nil
					if top.message != nil {
						top.field = member(top.message, unquoted(nil, line[i:end]))
					}
					if top.field != nil {
						top.segment = "/" + string(top.field.Name())
					}
				}
				name = false
			}
			i = end
		default:
			i++
		}
	}
	var path bytes.Buffer
	for _, l := range levels {
		path.WriteString(l.segment)
	}
	return path.String()
}

// member returns the field of a name in JSON, of either kind.
func member(m protoreflect.MessageDescriptor, name []byte) protoreflect.FieldDescriptor {
	if f := m.Fields().ByJSONName(string(name)); f != nil {
		return f
	}
	return m.Fields().ByTextName(string(name))
}
