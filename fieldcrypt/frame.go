package fieldcrypt

import (
	"encoding/binary"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// A frame is what stands before the content of a record, or in a header, to
// name its schema.
type frame struct {
	key planKey
	// size is the length of what stands before the content, message indexes
	// included.
	size int
	// indexes are the message indexes as they are encoded, for formats that have
	// them.
	indexes []byte
	glue    bool
}

// A planKey names a schema: by its id in one registry, or by the id that holds
// in all of them. Zero is the schema of a topic without framing.
type planKey struct {
	id   int
	guid [16]byte
}

var errGlueMessage = &schema.MalformedError{Reason: "messages of Protobuf under the framing of the Glue schema registry are not supported"}

var errHeaderTwice = &schema.MalformedError{Reason: "the header that names the schema stands twice"}

// read reads the framing of a record into f, which is zero. Message indexes are
// not known yet: only the schema tells whether there are any.
func (f *frame) read(rec *Record) error {
	found := false
	for i := range rec.Headers {
		if rec.Headers[i].Key != wire.HeaderValueSchemaID {
			continue
		}
		if found {
			// Readers differ in which of two they believe.
			return errHeaderTwice
		}
		found = true
		guid, rest, err := wire.ParseGUID(rec.Headers[i].Value)
		if err != nil {
			return err
		}
		f.key.guid, f.indexes = guid, rest
	}
	if found {
		return nil
	}
	if len(rec.Value) > 0 && rec.Value[0] == glueVersion {
		return f.readGlue(rec.Value)
	}
	id, n, err := wire.ParseFrame(rec.Value)
	f.key.id, f.size = id, n
	return err
}

// The framing of the AWS Glue Schema Registry: a version, how the content is
// compressed, and the id of the schema version. What stands behind is the
// content, as with the other framings.
const (
	glueVersion = 3
	glueSize    = 18
)

var (
	errGlueFrame      = &schema.MalformedError{Reason: "the framing of the Glue schema registry is cut"}
	errGlueCompressed = &schema.MalformedError{Reason: "content is compressed; protect it first, or turn compression off in the serializer"}
)

func (f *frame) readGlue(value []byte) error {
	if len(value) < glueSize {
		return errGlueFrame
	}
	if value[1] != 0 {
		return errGlueCompressed
	}
	copy(f.key.guid[:], value[2:glueSize])
	f.size, f.glue = glueSize, true
	return nil
}

// message reads the indexes that lead to the type of the record.
func (f *frame) message(value []byte) ([]int, error) {
	if f.glue {
		return nil, errGlueMessage
	}
	if f.key.guid != ([16]byte{}) {
		indexes, n, err := wire.ParseIndexes(f.indexes)
		if err == nil && n != len(f.indexes) {
			err = &schema.MalformedError{Reason: "bytes behind the message indexes"}
		}
		return indexes, err
	}
	start := f.size
	indexes, n, err := wire.ParseIndexes(value[start:])
	if err != nil {
		return nil, err
	}
	f.size += n
	f.indexes = value[start:f.size]
	return indexes, nil
}

// append writes the framing of value, with another id unless that is 0.
func (f *frame) append(dst, value []byte, id int) []byte {
	start := len(dst)
	dst = append(dst, value[:f.size]...)
	if id != 0 && !f.glue && f.size >= wire.FrameSize {
		binary.BigEndian.PutUint32(dst[start+1:], uint32(id)) //nolint:gosec // ids have 31 bits
	}
	return dst
}
