package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

// A container reads the records of an Avro object container file as they are
// encoded. What a library makes of them as Go values would not be the same bytes
// again.
type container struct {
	in     *bufio.Reader
	schema string            // avro.schema
	meta   map[string][]byte // all of the header
	sync   [16]byte
	codec  ocf.Codec // nil for blocks as they are
	skip   *avro.Schema
	block  []byte // what is left of the block
	left   int64  // records in it
}

// Limits on what a file can make its reader hold.
const (
	maxContainerHeader = 16 << 20
	maxContainerBlock  = 64 << 20
	maxEmptyRecords    = 1 << 16 // of a block, where records take no bytes
)

var errContainer = errors.New("not an Avro object container, or damaged")

func openContainer(r io.Reader) (*container, error) {
	c := &container{in: bufio.NewReaderSize(r, 64<<10), meta: make(map[string][]byte)}
	if err := c.header(); err != nil {
		return nil, err
	}
	c.schema = string(c.meta["avro.schema"])
	var err error
	switch string(c.meta["avro.codec"]) {
	case "", "null":
	case "deflate":
		c.codec = ocf.DeflateCodec(-1)
	case "snappy":
		c.codec = ocf.SnappyCodec()
	case "zstandard":
		c.codec, err = ocf.ZstdCodec(nil, nil)
	default:
		err = errors.New("the container has an unknown codec")
	}
	if err != nil {
		return nil, err
	}
	if c.skip, err = skipper(c.schema); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// skipper returns a schema that finds the end of a record, and decodes as little
// of it as can be.
func skipper(text string) (*avro.Schema, error) {
	s, err := avro.Parse(text)
	if err != nil {
		return nil, errors.New("the schema of the container cannot be read")
	}
	root := s.Root()
	if root.Type != "record" {
		return s, nil
	}
	root.Fields = nil
	empty, err := root.Schema()
	if err != nil {
		return s, nil //nolint:nilerr // the schema itself does it too, only slower
	}
	if resolved, err := avro.Resolve(s, empty); err == nil {
		return resolved, nil
	}
	return s, nil
}

// Close gives up what the codec holds.
func (c *container) Close() error {
	if c.codec == nil {
		return nil
	}
	return c.codec.Close()
}

func (c *container) header() error {
	var magic [4]byte
	if _, err := io.ReadFull(c.in, magic[:]); err != nil || string(magic[:]) != "Obj\x01" {
		return errContainer
	}
	room := int64(maxContainerHeader)
	for {
		n, err := c.number()
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if n < 0 { // then the size of the block follows
			if _, err := c.number(); err != nil {
				return err
			}
			n = -n
		}
		for ; n > 0; n-- {
			key, err := c.bytes(&room)
			if err != nil {
				return err
			}
			value, err := c.bytes(&room)
			if err != nil {
				return err
			}
			if _, twice := c.meta[string(key)]; twice {
				return errContainer
			}
			c.meta[string(key)] = value
		}
	}
	if _, err := io.ReadFull(c.in, c.sync[:]); err != nil {
		return errContainer
	}
	return nil
}

func (c *container) number() (int64, error) {
	v, err := binary.ReadVarint(c.in)
	if err != nil {
		return 0, errContainer
	}
	return v, nil
}

// bytes reads a length and as many bytes, which room is left for.
func (c *container) bytes(room *int64) ([]byte, error) {
	n, err := c.number()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > *room {
		return nil, errContainer
	}
	*room -= n + 1
	b, err := io.ReadAll(io.LimitReader(c.in, n)) // grows only by what is there
	if err != nil || int64(len(b)) != n {
		return nil, errContainer
	}
	return b, nil
}

// next returns the next record, or io.EOF behind the last. It is good until the
// next call.
func (c *container) next() ([]byte, error) {
	for c.left == 0 {
		if len(c.block) > 0 {
			return nil, errContainer
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
	c.left--
	var v any
	rest, err := c.skip.Decode(c.block, &v)
	if err != nil {
		return nil, errContainer // the text of err may hold data
	}
	record := c.block[:len(c.block)-len(rest)]
	c.block = rest
	return record, nil
}

// read takes the next block.
func (c *container) read() error {
	if _, err := c.in.Peek(1); errors.Is(err, io.EOF) {
		return io.EOF
	}
	count, err := c.number()
	if err != nil || count < 0 {
		return errContainer
	}
	room := int64(maxContainerBlock)
	block, err := c.bytes(&room)
	if err != nil {
		return err
	}
	var sync [16]byte
	if _, err := io.ReadFull(c.in, sync[:]); err != nil || sync != c.sync {
		return errContainer
	}
	if c.codec != nil {
		bounded, ok := c.codec.(ocf.BoundedDecompressor)
		if !ok {
			return errContainer
		}
		if block, err = bounded.DecompressBounded(block, maxContainerBlock); err != nil {
			return errContainer
		}
	}
	if count > int64(max(len(block), maxEmptyRecords)) {
		return errContainer
	}
	c.block, c.left = block, count
	return nil
}

// metaSchema is where the schema of the records stands as they were before.
const metaSchema = "fieldveil.schema"

// like returns a container on w for records of another schema, with the codec and
// the metadata of c.
func (c *container) like(w io.Writer, text string, extra map[string][]byte) (*ocf.Writer, error) {
	s, err := avro.Parse(text)
	if err != nil {
		return nil, errors.New("the schema of the new container cannot be read")
	}
	meta := make(map[string][]byte)
	for k, v := range c.meta {
		if !strings.HasPrefix(k, "avro.") && !strings.HasPrefix(k, "fieldveil.") {
			meta[k] = v
		}
	}
	maps.Copy(meta, extra)
	opts := []ocf.WriterOpt{ocf.WithMetadata(meta), ocf.WithSchema(text)}
	if c.codec != nil {
		opts = append(opts, ocf.WithCodec(ocf.NopCloser(c.codec)))
	}
	out, err := ocf.NewWriter(w, s, opts...)
	if err != nil {
		return nil, fmt.Errorf("new container: %w", err)
	}
	return out, nil
}
