package input

import (
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/sidecar/serde"
)

// A protoMaker makes records of the first message type of a Protobuf schema.
type protoMaker struct {
	bounded

	root protoreflect.MessageDescriptor
}

func newProtoMaker(text schema.Text, b bounded) (*protoMaker, error) {
	root, err := serde.Message(text)
	if err != nil {
		return nil, err
	}
	return &protoMaker{bounded: b, root: root}, nil
}

// record appends one record.
func (p *protoMaker) record(dst []byte) ([]byte, error) {
	p.values = 0
	m, err := p.message(p.root, "", 0)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m.Interface())
}

func (p *protoMaker) message(d protoreflect.MessageDescriptor, path string, depth int) (protoreflect.Message, error) {
	if depth > deepest {
		return nil, errEndless
	}
	m := dynamicpb.NewMessage(d)
	switch d.FullName() {
	case "google.protobuf.Timestamp":
		at := p.moment()
		m.Set(d.Fields().ByNumber(1), protoreflect.ValueOfInt64(at.Unix()))
		m.Set(d.Fields().ByNumber(2), protoreflect.ValueOfInt32(int32(at.Nanosecond()))) //nolint:gosec // below 10^9
		return m, nil
	case "google.protobuf.Duration":
		m.Set(d.Fields().ByNumber(1), protoreflect.ValueOfInt64(int64(p.n(0, 86_399))))
		return m, nil
	case "google.protobuf.Any":
		// What it holds would be of a type that the schema does not tell.
		return m, nil
	}
	for i := range d.Oneofs().Len() {
		if o := d.Oneofs().Get(i); !o.IsSynthetic() {
			if err := p.oneof(m, o, path, depth); err != nil {
				return nil, err
			}
		}
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			continue
		}
		if err := p.field(m, f, path, depth); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// oneof sets one of the fields. Where the record is to end, it is one that holds no
// message, if there is one, and otherwise none.
func (p *protoMaker) oneof(m protoreflect.Message, o protoreflect.OneofDescriptor, path string, depth int) error {
	var fit []protoreflect.FieldDescriptor
	for i := range o.Fields().Len() {
		if f := o.Fields().Get(i); f.Message() == nil || !p.tight(depth) {
			fit = append(fit, f)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	f := fit[p.n(0, len(fit)-1)]
	v, err := p.value(f, path+"/"+string(f.Name()), depth)
	if err == nil {
		m.Set(f, v)
	}
	return err
}

func (p *protoMaker) field(m protoreflect.Message, f protoreflect.FieldDescriptor, path string, depth int) error {
	path += "/" + string(f.Name())
	switch {
	case f.IsMap():
		return p.entries(m, f, path, depth)
	case f.IsList():
		list := m.Mutable(f).List()
		for range p.items(depth) {
			v, err := p.value(f, path+"/[]", depth)
			if err != nil {
				return err
			}
			list.Append(v)
		}
		return nil
	case f.Cardinality() != protoreflect.Required && f.HasPresence() && (f.Message() != nil && p.tight(depth) || p.chance(8)):
		return nil
	}
	v, err := p.value(f, path, depth)
	if err == nil {
		m.Set(f, v)
	}
	return err
}

func (p *protoMaker) entries(m protoreflect.Message, f protoreflect.FieldDescriptor, path string, depth int) error {
	entries := m.Mutable(f).Map()
	for range p.items(depth) {
		// Keys are no fields: their names say nothing.
		key := p.scalar(f.MapKey(), shapeWords)
		if f.MapKey().Kind() == protoreflect.StringKind {
			key = protoreflect.ValueOfString(p.pick(loremWords))
		}
		v := p.scalar(f.MapValue(), p.of(path+"/{}"))
		if f.MapValue().Message() != nil {
			inner, err := p.message(f.MapValue().Message(), path+"/{}", depth+1)
			if err != nil {
				return err
			}
			v = protoreflect.ValueOfMessage(inner)
		}
		entries.Set(key.MapKey(), v)
	}
	return nil
}

// value returns one value of a field, or one element of a list.
func (p *protoMaker) value(f protoreflect.FieldDescriptor, path string, depth int) (protoreflect.Value, error) {
	p.values++
	if f.Message() == nil {
		return p.scalar(f, p.of(path)), nil
	}
	m, err := p.message(f.Message(), path, depth+1)
	if err != nil {
		return protoreflect.Value{}, err
	}
	return protoreflect.ValueOfMessage(m), nil
}

// scalar returns a value of any kind but messages, for which it is the zero Value.
func (p *protoMaker) scalar(f protoreflect.FieldDescriptor, s shape) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(p.chance(2))
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(p.n(0, values.Len()-1)).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(p.whole(s, math.MinInt32, math.MaxInt32))) //nolint:gosec // within the bounds given
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(p.whole(s, 0, math.MaxUint32))) //nolint:gosec // within the bounds given
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(p.whole(s, math.MinInt64, math.MaxInt64))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(p.whole(s, 0, math.MaxInt64))) //nolint:gosec // not below zero
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(p.number(s)))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(p.number(s))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(p.text(s))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(p.bytes(p.n(8, 24)))
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return protoreflect.Value{}
	default:
		return protoreflect.Value{}
	}
}
