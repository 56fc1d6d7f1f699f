package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// web posts one body over and over, on a few connections. It does as little as
// can be: what the client does is in both sides of a ratio.
type web struct {
	conns   []*webConn
	request []byte
	each    int // records in a body
	look    bool
}

type webConn struct {
	net.Conn

	r    *bufio.Reader
	body []byte
}

func newWeb(addr, path, media string, body []byte, conns, each int, look bool) (load, error) {
	w := &web{each: each, look: look}
	w.request = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", path, addr, media, len(body))
	w.request = append(w.request, body...)
	for range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			w.close()
			return nil, err
		}
		w.conns = append(w.conns, &webConn{Conn: c, r: bufio.NewReaderSize(c, 64<<10)})
	}
	return w, nil
}

func (w *web) close() {
	for _, c := range w.conns {
		_ = c.Close() // nothing is under way
	}
}

var errAnswer = errors.New("not all was accepted")

func (w *web) call(c *webConn) error {
	if _, err := c.Write(w.request); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end
	buf := bytes.NewBuffer(c.body[:0])
	if _, err := io.Copy(buf, res.Body); err != nil {
		return err
	}
	c.body = buf.Bytes()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %d %s", errAnswer, res.StatusCode, c.body)
	}
	if w.look && bytes.Count(c.body, []byte(`"offset":`)) != w.each {
		return fmt.Errorf("%w: %s", errAnswer, c.body)
	}
	return nil
}

// run implements load.
func (w *web) run(d time.Duration) (int, error) {
	return together(len(w.conns), d, w.each, func(i int) error { return w.call(w.conns[i]) })
}
