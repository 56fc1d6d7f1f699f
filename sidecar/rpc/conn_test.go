package rpc

import (
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A canned connection gives out bytes in small pieces and takes whatever comes.
type canned struct {
	net.Conn

	in   *bytes.Reader
	step int
	out  bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)  { return c.in.Read(p[:min(len(p), c.step)]) }
func (c *canned) Write(p []byte) (int, error) { return c.out.Write(p) }
func (*canned) Close() error                  { return nil }

// opening returns what a client sends first. Its acknowledgement of the settings
// is before the headers or after them.
func opening(contentType string, ackFirst bool) []byte {
	var out, headers bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&out, nil)
	enc := hpack.NewEncoder(&headers)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/x"}, {"content-type", contentType}} {
		_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingEnablePush})
	if ackFirst {
		_ = f.WriteSettingsAck()
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers.Bytes(), EndHeaders: true})
	_ = f.WriteData(1, false, bytes.Repeat([]byte("data"), 20))
	if !ackFirst {
		_ = f.WriteSettingsAck()
	}
	_ = f.WriteSettingsAck() // of the server that gets the connection
	_ = f.WriteData(1, true, []byte("end"))
	return out.Bytes()
}

func TestConnectionsGoWhereTheirFirstCallBelongs(t *testing.T) {
	tests := []struct {
		contentType string
		want        protocol
	}{
		{"application/grpc", protocolGRPC},
		{"application/grpc+proto", protocolGRPC},
		{"Application/GRPC+proto; charset=x", protocolGRPC},
		{"application/grpc;x", protocolGRPC},
		{"application/grpc+json", protocolHTTP},
		{"application/grpc-web", protocolHTTP},
		{"application/grpc-web+proto", protocolHTTP},
		{"application/json", protocolHTTP},
		{"", protocolHTTP},
	}
	for _, test := range tests {
		for _, ackFirst := range []bool{false, true} {
			for _, step := range []int{1, 7, 1 << 20} {
				in := opening(test.contentType, ackFirst)
				below := &canned{in: bytes.NewReader(in), step: step}
				c := &conn{Conn: below}
				got, err := c.peek(16 << 10)
				if err != nil || got != test.want {
					t.Errorf("%q: got %v, %v", test.contentType, got, err)
					continue
				}
				// Everything is read again, but for one acknowledgement.
				out, err := io.ReadAll(c)
				if err != nil {
					t.Error(err)
				}
				ack := []byte{0, 0, 0, byte(http2.FrameSettings), byte(http2.FlagSettingsAck), 0, 0, 0, 0}
				if want := bytes.Replace(in, ack, nil, 1); !bytes.Equal(out, want) {
					t.Errorf("%q, in steps of %d: got %d bytes, want %d", test.contentType, step, len(out), len(want))
				}
				if settings := append([]byte(nil), below.out.Bytes()...); !bytes.Equal(settings, []byte{0, 0, 0, byte(http2.FrameSettings), 0, 0, 0, 0, 0}) {
					t.Errorf("sent %x", settings)
				}
			}
		}
	}
}

func TestWhatIsNoHTTP2IsReadAgainWhole(t *testing.T) {
	for _, in := range []string{"GET / HTTP/1.1\r\n\r\n", "POST /x HTTP/1.1\r\n\r\nbody", "PRI * HTTP/1.1\r\n\r\n"} {
		for _, step := range []int{1, 3, 100} {
			c := &conn{Conn: &canned{in: bytes.NewReader([]byte(in)), step: step}}
			if got, err := c.peek(16 << 10); err != nil || got != protocolHTTP {
				t.Fatal(got, err)
			}
			if out, err := io.ReadAll(c); err != nil || string(out) != in {
				t.Errorf("got %q, %v", out, err)
			}
		}
	}
}

// FuzzPeek feeds openings of any bytes. What was read to decide is read again,
// and at most one acknowledgement is missing.
func FuzzPeek(f *testing.F) {
	f.Add(opening("application/grpc", true), 1000)
	f.Add(opening("application/json", false), 3)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 5)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		c := &conn{Conn: &canned{in: bytes.NewReader(in), step: max(1, step)}}
		if _, err := c.peek(16 << 10); err != nil {
			return
		}
		out, err := io.ReadAll(c)
		if err != nil && len(out) == 0 {
			return
		}
		if n := len(in) - len(out); n != 0 && n > 2*frameHeader || len(out) > len(in) {
			t.Errorf("%d bytes went in and %d came out", len(in), len(out))
		}
	})
}
