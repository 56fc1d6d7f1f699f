package rest

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// buffers is what one request needs. They go back to their pool when nothing
// refers to them.
type buffers struct {
	body    []byte
	arena   []byte // what encoders wrote
	out     []byte
	scan    scanner
	records []produce.Record
	headers []produce.Header
	pairs   []pair
	entries []entry
}

// mostKept is how large a buffer may be that waits for the next request.
const mostKept = 4 << 20

func (s *Server) buffers() *buffers {
	b, _ := s.bufs.Get().(*buffers)
	return b
}

// recycle takes b back. After an outcome that is not known, or a panic, it is
// left to the garbage collector: nobody shall find out what still reads it.
func (s *Server) recycle(b *buffers) {
	if cap(b.body) > mostKept || cap(b.arena) > mostKept || cap(b.out) > mostKept || cap(b.records) > 1<<14 {
		return
	}
	clear(b.records)
	clear(b.headers)
	clear(b.pairs)
	clear(b.entries)
	b.body, b.arena, b.out = b.body[:0], b.arena[:0], b.out[:0]
	b.records, b.headers, b.pairs, b.entries = b.records[:0], b.headers[:0], b.pairs[:0], b.entries[:0]
	b.scan.b = nil
	s.bufs.Put(b)
}

//nolint:gochecknoglobals // a pool is of use only to all
var unzippers sync.Pool

// A counter counts what it hands on.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// smallest is what a body may unpack to whatever its ratio, and the least room
// that is taken for a body whose length is not known.
const smallest = 64 << 10

// readBody appends the body of the request to dst. Room for it is taken before
// it is read.
func (c *call) readBody(dst []byte, most int) ([]byte, *failure) {
	zipped, f := c.encoding()
	if f != nil {
		c.unread = true
		return dst, f
	}
	if c.r.ContentLength > int64(most) {
		c.unread = true
		return dst, tooLarge("the body is larger than the limit")
	}
	in := counter{r: c.r.Body}
	defer func() { c.info.BytesIn = in.n }()
	_ = c.control.SetReadDeadline(time.Now().Add(c.s.cfg.BodyTimeout))
	var src io.Reader = &in
	room := 0
	if zipped {
		z, f := unzipper(&in)
		if f != nil {
			c.unread = true
			return dst, f
		}
		defer unzippers.Put(z)
		src = z
	} else if n := int(c.r.ContentLength); n >= 0 {
		if f := c.admit(0, n); f != nil {
			c.unread = true
			return dst, f
		}
		room = n
		dst = slices.Grow(dst, n+1)
	}
	for {
		if len(dst) >= room {
			// One byte more than there is room for is read to see the end.
			if len(dst) > room || c.r.ContentLength < 0 || zipped {
				more := max(smallest, room)
				if f := c.admit(0, more); f != nil {
					c.unread = true
					return dst, f
				}
				room += more
			}
		}
		if len(dst) == cap(dst) {
			// To all the room at once: growing little by little leaves many times the
			// body behind as garbage.
			dst = slices.Grow(dst, max(1, min(room, most)+1-len(dst)))
		}
		n, err := src.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > most {
			c.unread = true
			return dst, tooLarge("the body is larger than the limit")
		}
		if zipped && int64(len(dst)) > smallest+in.n*int64(c.s.cfg.MaxGzipRatio) {
			c.unread = true
			return dst, tooLarge("the body unpacks to too much")
		}
		if err != nil {
			// The server reads on to see whether the client is still there; that must
			// not end with the time for the body.
			_ = c.control.SetReadDeadline(time.Time{})
			if errors.Is(err, io.EOF) {
				return dst, nil
			}
			c.unread = true
			return dst, readFailure(err, zipped)
		}
	}
}

func tooLarge(text string) *failure {
	return &failure{status: 413, code: 413, reason: "request_too_large", text: text}
}

func readFailure(err error, zipped bool) *failure {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{status: 408, code: 408, reason: "body_timeout", text: "the body did not come in time"}
	case zipped:
		return badRequest("", "the body is not gzip, or not all of it came")
	default:
		return badRequest("", "the body did not come in full")
	}
}

// encoding says whether the body is packed.
func (c *call) encoding() (zipped bool, f *failure) {
	all := c.r.Header["Content-Encoding"]
	switch {
	case len(all) == 0 || len(all) == 1 && strings.EqualFold(all[0], "identity"):
		return false, nil
	case len(all) == 1 && (strings.EqualFold(all[0], "gzip") || strings.EqualFold(all[0], "x-gzip")):
		return true, nil
	default:
		return false, unsupported("a body may be packed with gzip, and with nothing else")
	}
}

func unzipper(r io.Reader) (*gzip.Reader, *failure) {
	z, ok := unzippers.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	if err := z.Reset(r); err != nil {
		return nil, readFailure(err, true)
	}
	return z, nil
}
