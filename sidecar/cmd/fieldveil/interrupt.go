package main

import (
	"context"
	"io"
)

// interruptible returns a reader that fails when ctx ends, also while r waits for
// somebody to type. A read that is under way then goes on until the program ends,
// and what it reads is lost.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	return &interruptibleReader{ctx: ctx, r: r, chunks: make(chan chunk)}
}

type interruptibleReader struct {
	ctx    context.Context //nolint:containedctx // io.Reader has no place for it, and this reader ends with it
	r      io.Reader
	chunks chan chunk
	left   []byte
	err    error
	began  bool
}

// A chunk is what one read gave.
type chunk struct {
	b   []byte
	err error
}

func (i *interruptibleReader) Read(p []byte) (int, error) {
	for len(i.left) == 0 {
		if i.err != nil {
			return 0, i.err
		}
		if !i.began {
			i.began = true
			go i.pump()
		}
		select {
		case <-i.ctx.Done():
			i.err = i.ctx.Err()
		case c := <-i.chunks:
			i.left, i.err = c.b, c.err
		}
	}
	n := copy(p, i.left)
	i.left = i.left[n:]
	return n, nil
}

// pump reads until the end. A chunk is not written to again.
func (i *interruptibleReader) pump() {
	for {
		b := make([]byte, 64<<10)
		n, err := i.r.Read(b)
		select {
		case <-i.ctx.Done():
			return
		case i.chunks <- chunk{b[:n], err}:
			if err != nil {
				return
			}
		}
	}
}
