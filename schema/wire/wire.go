// Package wire reads and writes what stands before or beside a record to name
// its schema: the framing of Confluent's clients, and the subjects under which
// schemas are registered.
//
// It promises to be strict, because two readers that take the same bytes for
// different schemas are a way around protection: there is one spelling of
// everything, and all else is a [*schema.MalformedError], which never holds
// data. It does no I/O and links no network code. All functions are safe for
// concurrent use.
package wire

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"

	"github.com/fieldveil/fieldveil/schema"
)

// Names of the record headers that hold the GUID of a schema. The value of such
// a header is a byte 1, the 16 bytes of the GUID and, for Protobuf, the message
// indexes.
const (
	HeaderKeySchemaID   = "__key_schema_id"
	HeaderValueSchemaID = "__value_schema_id"
)

const (
	// FrameSize is the length of the framing by id: a zero byte and the id as a
	// big-endian number of four bytes.
	FrameSize = 5
	// GUIDSize is the length of the framing by GUID: a byte 1 and the GUID.
	GUIDSize = 17

	magicID   = 0x00
	magicGUID = 0x01
)

// AppendFrame appends the framing by id to dst. It fails when id is not between
// 1 and 2^31-1, as no registry gives others.
func AppendFrame(dst []byte, id int) ([]byte, error) {
	if id <= 0 || id > math.MaxInt32 {
		return dst, errors.New("wire: schema id out of range")
	}
	dst = append(dst, magicID)
	return binary.BigEndian.AppendUint32(dst, uint32(id)), nil
}

// ParseFrame reads the framing by id at the start of b, and returns the id and
// the length of the framing, [FrameSize]. On an error both are zero.
func ParseFrame(b []byte) (id, n int, err error) {
	switch {
	case len(b) == 0:
		return 0, 0, malformed(0, "no schema framing: want a zero byte and a four-byte schema id")
	case b[0] != magicID:
		return 0, 0, malformed(0, "no schema framing: the first byte is not zero")
	case len(b) < FrameSize:
		return 0, 0, malformed(len(b), "truncated schema framing")
	}
	v := binary.BigEndian.Uint32(b[1:])
	if v == 0 || v > math.MaxInt32 {
		return 0, 0, malformed(1, "schema id out of range")
	}
	return int(v), FrameSize, nil
}

// AppendGUID appends the framing by GUID to dst. In the value of a header it
// stands alone, or before message indexes.
func AppendGUID(dst []byte, guid [16]byte) []byte {
	return append(append(dst, magicGUID), guid[:]...)
}

// ParseGUID reads the framing by GUID at the start of b, and returns the GUID
// and what follows it. A GUID of zeros is refused, as it names no schema.
func ParseGUID(b []byte) (guid [16]byte, rest []byte, err error) {
	switch {
	case len(b) == 0 || b[0] != magicGUID:
		return guid, nil, malformed(0, "no schema GUID: the first byte is not one")
	case len(b) < GUIDSize:
		return guid, nil, malformed(len(b), "truncated schema GUID")
	}
	guid = [16]byte(b[1:GUIDSize])
	if guid == ([16]byte{}) {
		return guid, nil, malformed(1, "schema GUID is zero")
	}
	return guid, b[GUIDSize:], nil
}

// FormatGUID returns a GUID as registries write it, in lower case with dashes.
func FormatGUID(guid [16]byte) string {
	var b [36]byte
	hex.Encode(b[0:8], guid[0:4])
	hex.Encode(b[9:13], guid[4:6])
	hex.Encode(b[14:18], guid[6:8])
	hex.Encode(b[19:23], guid[8:10])
	hex.Encode(b[24:36], guid[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// ReadGUID reads what FormatGUID writes, and no other spelling.
func ReadGUID(s string) (guid [16]byte, err error) {
	if len(s) == 36 {
		bare := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
		if _, err := hex.Decode(guid[:], []byte(bare)); err == nil && FormatGUID(guid) == s {
			return guid, nil
		}
	}
	return [16]byte{}, errors.New("wire: not a GUID")
}

func malformed(at int, reason string) error {
	return &schema.MalformedError{Offset: at, Reason: reason}
}
