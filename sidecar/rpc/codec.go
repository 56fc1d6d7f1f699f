package rpc

import (
	"errors"
	"regexp"
	"slices"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto" // registers the codec that is asked for below
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// errForm is a message that is neither ours nor generated, which only a fault of
// this package can bring.
var errForm = errors.New("rpc: not a message of this service")

// A grpcCodec is the codec of grpc-go. Requests refer to the received bytes.
type grpcCodec struct {
	proto encoding.CodecV2
	pool  mem.BufferPool
}

func newGRPCCodec(pool mem.BufferPool) grpcCodec {
	return grpcCodec{encoding.GetCodecV2(grpcproto.Name), pool}
}

// Name implements [encoding.CodecV2].
func (grpcCodec) Name() string { return grpcproto.Name }

// Unmarshal implements [encoding.CodecV2].
func (c grpcCodec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*request)
	if !ok {
		return c.proto.Unmarshal(data, v)
	}
	r.buf = data.MaterializeToBuffer(c.pool)
	r.decode(r.buf.ReadOnlyData())
	return nil
}

// Marshal implements [encoding.CodecV2].
func (c grpcCodec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*response)
	if !ok {
		return c.proto.Marshal(v)
	}
	// A result has some 25 bytes; what needs more grows.
	buf := c.pool.Get(64 + 48*len(r.results))
	out := r.encode((*buf)[:0])
	r.release()
	if cap(out) != cap(*buf) {
		c.pool.Put(buf)
		return mem.BufferSlice{mem.SliceBuffer(out)}, nil
	}
	*buf = out
	return mem.BufferSlice{mem.NewBuffer(buf, c.pool)}, nil
}

// A protoCodec is Connect's codec for binary messages. Connect uses the received
// bytes again, so requests get a copy.
type protoCodec struct{}

// Name implements [connect.Codec].
func (protoCodec) Name() string { return "proto" }

// Unmarshal implements [connect.Codec].
func (protoCodec) Unmarshal(b []byte, v any) error {
	switch m := v.(type) {
	case *request:
		m.decode(slices.Clone(b))
		return nil
	case proto.Message:
		return proto.Unmarshal(b, m)
	default:
		return errForm
	}
}

// Marshal implements [connect.Codec].
func (protoCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *response:
		defer m.release()
		return m.encode(nil), nil
	case proto.Message:
		return proto.Marshal(m)
	default:
		return nil, errForm
	}
}

// A jsonCodec is Connect's codec for JSON. Unlike Connect's own it refuses fields
// that are not known.
type jsonCodec struct{ name string }

// Name implements [connect.Codec].
func (c jsonCodec) Name() string { return c.name }

// Unmarshal implements [connect.Codec]. An empty body is an empty message, as
// Connect has it.
func (jsonCodec) Unmarshal(b []byte, v any) error {
	switch m := v.(type) {
	case *request:
		m.fault = m.json(b)
		return nil
	case proto.Message:
		if len(b) == 0 {
			return nil
		}
		if err := protojson.Unmarshal(b, m); err != nil {
			return errors.New(jsonWords(err))
		}
		return nil
	default:
		return errForm
	}
}

// Marshal implements [connect.Codec].
func (jsonCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *response:
		defer m.release()
		return protojson.Marshal(m.message())
	case proto.Message:
		return protojson.Marshal(m)
	default:
		return nil, errForm
	}
}

// json reads a request in JSON and turns it into the binary form, so that one
// decoder decides for all.
func (r *request) json(b []byte) *failure {
	m := r.kind.request()
	if len(b) != 0 {
		if err := protojson.Unmarshal(b, m); err != nil {
			return invalid("request", jsonWords(err))
		}
	}
	binary, err := proto.Marshal(m)
	if err != nil {
		return invalid("request", wordsMalformed)
	}
	r.decode(binary)
	return r.fault
}

var position = regexp.MustCompile(`\(line \d+:\d+\)`)

// jsonWords keeps of an error of protojson only where it is: its texts repeat
// what they read.
func jsonWords(err error) string {
	const words = "not the JSON of this request: bad syntax, a field that is not known or stands twice, or a value of another type"
	if at := position.FindString(err.Error()); at != "" {
		return words + " " + at
	}
	return words
}
