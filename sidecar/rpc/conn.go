package rpc

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A conn is an accepted connection whose first bytes were read to see what it
// speaks. They are read again by whoever gets it.
type conn struct {
	net.Conn // with TLS, if there is any

	below net.Conn // without
	tls   *tls.ConnectionState
	head  []byte // read already
	skip  bool   // an acknowledgement of our settings is still to come
	part  []byte // the begun header of a frame, while skip is set
	frame int    // bytes that are left of a frame, while skip is set
	once  sync.Once
	free  func()
	// come is called when what was read already is with whoever got the connection,
	// and he has done with it what is to be done at once. Nil when somebody else
	// tells.
	come func()
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.once.Do(c.free)
	return c.Conn.Close()
}

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	if c.come != nil {
		// grpc-go reads on when it has begun the calls that it has read.
		c.come()
		c.come = nil
	}
	if !c.skip || len(p) == 0 {
		return c.Conn.Read(p)
	}
	if c.frame == 0 {
		for len(c.part) < frameHeader {
			// What was read stays when a deadline passes in between.
			n, err := c.Conn.Read(c.part[len(c.part):frameHeader])
			if c.part = c.part[:len(c.part)+n]; err != nil && len(c.part) < frameHeader {
				return 0, err
			}
		}
		header := c.part
		c.part = make([]byte, 0, frameHeader)
		if isSettingsAck(header) {
			c.skip = false
			return c.Conn.Read(p)
		}
		c.frame, c.head = frameLength(header), header
		return c.Read(p)
	}
	n, err := c.Conn.Read(p[:min(len(p), c.frame)])
	c.frame -= n
	return n, err
}

// A protocol is what a connection speaks.
type protocol uint8

const (
	protocolHTTP protocol = iota // HTTP/1.1, and HTTP/2 of anything but gRPC
	protocolGRPC
)

const (
	frameHeader = 9
	// maxFrames and maxFrame bound what a client may send before its first
	// headers.
	maxFrames = 64
	maxFrame  = 16 << 10
)

func frameLength(h []byte) int { return int(binary.BigEndian.Uint32(h) >> 8) }

func isSettingsAck(h []byte) bool {
	return frameLength(h) == 0 && http2.FrameType(h[3]) == http2.FrameSettings && http2.Flags(h[4]).Has(http2.FlagSettingsAck)
}

// peek reads as much of c as shows what it speaks.
//
// Clients of gRPC send no headers before they have seen the server's settings, so
// an empty frame of settings goes out here, and those of the server that gets the
// connection follow. The client acknowledges both; net/http takes an
// acknowledgement too many for a fault, so one is taken out.
func (c *conn) peek(maxHeaders int) (protocol, error) {
	preface := make([]byte, len(http2.ClientPreface))
	for n := 0; n < len(preface); {
		m, err := c.Conn.Read(preface[n:])
		n += m
		if !bytes.HasPrefix([]byte(http2.ClientPreface), preface[:n]) {
			c.head = preface[:n]
			return protocolHTTP, nil
		}
		if err != nil {
			return 0, err
		}
	}
	if err := http2.NewFramer(c.Conn, nil).WriteSettings(); err != nil {
		return 0, err
	}
	seen := bytes.NewBuffer(preface)
	in := http2.NewFramer(io.Discard, io.TeeReader(c.Conn, seen))
	in.SetMaxReadFrameSize(maxFrame)
	in.MaxHeaderListSize = uint32(maxHeaders) //nolint:gosec // Validate bounds it
	in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.skip, c.part = true, make([]byte, 0, frameHeader)
	for range maxFrames {
		start := seen.Len()
		frame, err := in.ReadFrame()
		if err != nil {
			return 0, err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if frame.IsAck() && c.skip {
				c.skip = false
				seen.Truncate(start)
			}
		case *http2.MetaHeadersFrame:
			c.head = seen.Bytes()
			for _, field := range frame.RegularFields() {
				if field.Name == "content-type" && isGRPC(field.Value) {
					return protocolGRPC, nil
				}
			}
			return protocolHTTP, nil
		}
	}
	return 0, errPeek
}
