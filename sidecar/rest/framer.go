package rest

import (
	"errors"
	"io"
	"os"
	"slices"
)

// A framer cuts concatenated JSON objects out of a stream. It only counts
// brackets; whoever parses an object finds what else is wrong with it.
type framer struct {
	r    io.Reader
	most int    // bytes of one object
	buf  []byte // what was read and not yet handed out
	from int    // where the next object begins, or white space before it
	// Where the scan stands, how deep, and in a string.
	pos, depth      int
	inside, escaped bool
	begun           bool
	before          func() // called before each read
}

var (
	errFrameSyntax = errors.New("rest: not a JSON object")
	errFrameLarge  = errors.New("rest: a record over the limit")
	errFrameHalf   = errors.New("rest: the stream ended within a record")
)

const frameChunk = 16 << 10

// next returns the next object, which is good until the call after it, or the
// error that ends the stream: io.EOF at its proper end.
func (f *framer) next() ([]byte, error) {
	f.pos, f.depth, f.inside, f.escaped, f.begun = f.from, 0, false, false, false
	for {
		done, err := f.scan()
		if err != nil {
			return nil, err
		}
		if f.pos-f.from > f.most {
			return nil, errFrameLarge
		}
		if done {
			object := f.buf[f.from:f.pos:f.pos]
			f.from = f.pos
			return object, nil
		}
		if err := f.fill(); err != nil {
			if errors.Is(err, io.EOF) && f.begun {
				return nil, errFrameHalf
			}
			return nil, err
		}
	}
}

// scan looks at what has been read. done says that an object ends at pos.
func (f *framer) scan() (done bool, err error) {
	for f.pos < len(f.buf) {
		c := f.buf[f.pos]
		f.pos++
		switch {
		case f.inside:
			switch {
			case f.escaped:
				f.escaped = false
			case c == '\\':
				f.escaped = true
			case c == '"':
				f.inside = false
			}
		case c == '{' || c == '[' && f.begun:
			f.begun = true
			f.depth++
		case !f.begun:
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				return false, errFrameSyntax
			}
			f.from = f.pos
		case c == '"':
			f.inside = true
		case c == '}' || c == ']':
			f.depth--
			if f.depth == 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// fill reads more. What has been handed out before is overwritten.
func (f *framer) fill() error {
	if f.from > 0 {
		n := copy(f.buf, f.buf[f.from:])
		f.buf = f.buf[:n]
		f.pos -= f.from
		f.from = 0
	}
	f.buf = slices.Grow(f.buf, frameChunk)
	f.before()
	for range 100 {
		n, err := f.r.Read(f.buf[len(f.buf):cap(f.buf)])
		f.buf = f.buf[:len(f.buf)+n]
		switch {
		case n > 0:
			return nil // an error comes again with the next read
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

// frameFailure returns the last receipt of a stream that ended with err, and nil
// when there is nobody to read it.
func frameFailure(err error) *failure {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, errFrameSyntax), errors.Is(err, errFrameHalf):
		return badJSON(faultSyntax)
	case errors.Is(err, errFrameLarge):
		return tooLarge("the record is larger than the limit, and ends the stream")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{status: 408, code: 408, reason: "stream_timeout", text: "the stream was idle, or open, for too long"}
	default:
		return nil
	}
}
