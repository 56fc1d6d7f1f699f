package glueregistry

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/fieldveil/fieldveil/schema"
)

// HeaderLen is the length of what stands before the record.
const HeaderLen = 18

const (
	frameVersion     = 0x03
	compressionNone  = 0x00
	compressionZlib  = 0x05
	guidOffset       = 2
	alwaysAllowed    = 1 << 20
	defaultMaxRecord = 16 << 20
	defaultMaxRatio  = 64
)

// A Frame is a framed record, taken apart.
type Frame struct {
	// GUID is the id of the schema version.
	GUID [16]byte
	// Compressed is true when Payload is a zlib stream.
	Compressed bool
	// Payload is the record as it stands in the frame. It is part of the slice
	// that was parsed.
	Payload []byte
}

// ParseFrame takes a framed record apart, without unpacking it. It returns a
// [*schema.MalformedError] when src does not begin with a header of Glue.
func ParseFrame(src []byte) (Frame, error) {
	switch {
	case len(src) == 0:
		return Frame{}, &schema.MalformedError{Offset: 0, Reason: "empty, without a Glue header"}
	case src[0] != frameVersion:
		return Frame{}, &schema.MalformedError{Offset: 0, Reason: "not framed for the Glue Schema Registry"}
	case len(src) < HeaderLen:
		return Frame{}, &schema.MalformedError{Offset: len(src), Reason: "truncated Glue header"}
	case src[1] != compressionNone && src[1] != compressionZlib:
		return Frame{}, &schema.MalformedError{Offset: 1, Reason: "unknown compression in the Glue header"}
	}
	return Frame{
		GUID:       [16]byte(src[guidOffset:HeaderLen]),
		Compressed: src[1] == compressionZlib,
		Payload:    src[HeaderLen:],
	}, nil
}

// AppendFrame appends payload with its header to dst, uncompressed.
func AppendFrame(dst []byte, guid [16]byte, payload []byte) []byte {
	return append(appendHeader(dst, compressionNone, guid), payload...)
}

func appendHeader(dst []byte, compression byte, guid [16]byte) []byte {
	dst = slices.Grow(dst, HeaderLen)
	dst = append(dst, frameVersion, compression)
	return append(dst, guid[:]...)
}

// A Codec unpacks and packs compressed records. The zero Codec is ready to use.
// It is safe for concurrent use and must not be copied after the first.
type Codec struct {
	// MaxRecord is the greatest size of an unpacked record in bytes. Zero means
	// 16 MiB.
	MaxRecord int
	// MaxRatio is how many times its packed size a record may have, where that
	// is more than 1 MiB. Zero means 64.
	MaxRatio int

	readers sync.Pool // *unpacker
	writers sync.Pool // *zlib.Writer
}

// AppendPayload appends the unpacked record of f to dst. It returns a
// [*schema.MalformedError] when the stream is damaged or followed by anything,
// and a [*TooLargeError] when the record is larger than the limits allow. dst is
// then returned as it was.
//
// The record is unpacked twice, the first time only to count and check, so that
// nothing is allocated for one that is refused.
func (c *Codec) AppendPayload(dst []byte, f Frame) ([]byte, error) {
	if !f.Compressed {
		if most := c.maxRecord(); len(f.Payload) > most {
			return dst, &TooLargeError{Limit: most}
		}
		return append(dst, f.Payload...), nil
	}
	u, ok := c.readers.Get().(*unpacker)
	if !ok {
		u = new(unpacker)
	}
	defer c.readers.Put(u)
	defer u.src.Reset(nil) // the pool must not hold on to the caller's bytes

	n, err := u.count(f.Payload, c.limit(len(f.Payload)))
	if err != nil {
		return dst, err
	}
	out := slices.Grow(dst, n)[:len(dst)+n]
	if err := u.fill(out[len(dst):], f.Payload); err != nil {
		return dst, err
	}
	return out, nil
}

// AppendCompressed appends payload with its header to dst, packed with zlib.
func (c *Codec) AppendCompressed(dst []byte, guid [16]byte, payload []byte) ([]byte, error) {
	out := appender(appendHeader(dst, compressionZlib, guid))
	w, ok := c.writers.Get().(*zlib.Writer)
	if ok {
		w.Reset(&out)
	} else {
		w = zlib.NewWriter(&out)
	}
	_, err := w.Write(payload)
	err = errors.Join(err, w.Close())
	w.Reset(io.Discard) // as above
	c.writers.Put(w)
	if err != nil {
		return dst, fmt.Errorf("glueregistry: compress: %w", err)
	}
	return out, nil
}

// limit returns how large the record in a stream of n bytes may be.
func (c *Codec) limit(n int) int {
	most, ratio := c.maxRecord(), c.MaxRatio
	if ratio <= 0 {
		ratio = defaultMaxRatio
	}
	if n > most/ratio { // and the product could overflow
		return most
	}
	return min(most, max(alwaysAllowed, n*ratio))
}

func (c *Codec) maxRecord() int {
	if c.MaxRecord <= 0 {
		return defaultMaxRecord
	}
	return c.MaxRecord
}

// A TooLargeError says that a record is larger than a [Codec] allows.
type TooLargeError struct {
	Limit int // in bytes, for this record
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("glueregistry: record is larger than %d bytes", e.Limit)
}

// An unpacker holds what it takes to read one stream.
type unpacker struct {
	src     bytes.Reader
	zlib    io.ReadCloser
	scratch [16 << 10]byte
}

// count returns the length of the record in a stream, and checks all of it.
func (u *unpacker) count(stream []byte, limit int) (int, error) {
	if err := u.open(stream); err != nil {
		return 0, err
	}
	total := 0
	for {
		n, err := u.zlib.Read(u.scratch[:])
		total += n
		switch {
		case total > limit:
			return 0, &TooLargeError{Limit: limit}
		case errors.Is(err, io.EOF):
			if u.src.Len() > 0 {
				return 0, &schema.MalformedError{Offset: HeaderLen + len(stream) - u.src.Len(), Reason: "bytes behind the compressed record"}
			}
			return total, nil
		case err != nil:
			return 0, u.damaged(stream)
		}
	}
}

// fill unpacks into dst, which has the length that count told.
func (u *unpacker) fill(dst, stream []byte) error {
	if err := u.open(stream); err != nil {
		return err
	}
	if _, err := io.ReadFull(u.zlib, dst); err != nil {
		return u.damaged(stream)
	}
	return nil
}

func (u *unpacker) open(stream []byte) error {
	u.src.Reset(stream)
	if u.zlib == nil {
		z, err := zlib.NewReader(&u.src)
		if err != nil {
			return u.damaged(stream)
		}
		u.zlib = z
		return nil
	}
	// Every reader of zlib has this method.
	if err := u.zlib.(zlib.Resetter).Reset(&u.src, nil); err != nil { //nolint:errcheck // says what the package documents
		return u.damaged(stream)
	}
	return nil
}

// damaged makes an error that tells nothing of the content.
func (u *unpacker) damaged(stream []byte) error {
	return &schema.MalformedError{Offset: HeaderLen + len(stream) - u.src.Len(), Reason: "damaged compressed record"}
}

// appender is a slice to write to.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// FormatGUID returns a GUID as Glue writes it.
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

// ParseGUID reads a GUID as Glue writes it, in lower case.
func ParseGUID(s string) ([16]byte, error) {
	if len(s) == 36 {
		var guid [16]byte
		bare := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
		if _, err := hex.Decode(guid[:], []byte(bare)); err == nil && FormatGUID(guid) == s {
			return guid, nil
		}
	}
	return [16]byte{}, errors.New("glueregistry: not a GUID")
}
