package rpc

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1/fieldveilv1connect"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// serves says whether a server still does what it should for others.
func serves(t *testing.T, r *rig) {
	t.Helper()
	for name, opt := range protocols() {
		c := fieldveilv1connect.NewProduceServiceClient(client(t, true), "http://"+r.addr, opt)
		if _, err := c.Produce(t.Context(), connect.NewRequest(&v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}}})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// raw is a connection of HTTP/2 by hand.
type raw struct {
	net.Conn
	*http2.Framer

	enc *hpack.Encoder
	buf bytes.Buffer
}

func dialRaw(t *testing.T, r *rig) *raw {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	out := &raw{Conn: c, Framer: http2.NewFramer(c, c)}
	out.enc = hpack.NewEncoder(&out.buf)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := out.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *raw) begin(stream uint32, contentType string) error {
	c.buf.Reset()
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", v1.ProduceService_ProduceStream_FullMethodName}, {":authority", "x"},
		{"content-type", contentType}, {"te", "trailers"},
	} {
		_ = c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.buf.Bytes(), EndHeaders: true})
}

// goaway reads until the server sends the connection away, or closes it.
func (c *raw) goaway(t *testing.T) http2.ErrCode {
	t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return 0
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			return g.ErrCode
		}
	}
}

func TestFloodsEndTheirOwnConnection(t *testing.T) {
	tests := []struct {
		name, contentType string
		flood             func(*raw) error
	}{
		{"pings", "application/grpc", func(c *raw) error { return c.WritePing(false, [8]byte{}) }},
		{"settings before a call", "", func(c *raw) error { return c.WriteSettings() }},
		{"headers without end", "", func(c *raw) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: bytes.Repeat([]byte{0, 1, 'a', 1, 'b'}, 3000)})
		}},
		{"no frames at all", "", func(c *raw) error { _, err := c.Write(bytes.Repeat([]byte{0xff}, 100)); return err }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, nil)
			c := dialRaw(t, r)
			if test.contentType != "" {
				if err := c.begin(1, test.contentType); err != nil {
					t.Fatal(err)
				}
			}
			go func() {
				for test.flood(c) == nil {
				}
			}()
			c.goaway(t)
			_ = c.Close()
			serves(t, r)
		})
	}
}

// TestRapidResetsDoNotPileUp opens streams and takes them back at once. However
// many they are, no more run at a time than one connection may have.
func TestRapidResetsDoNotPileUp(t *testing.T) {
	for _, contentType := range []string{"application/grpc", "application/connect+proto"} {
		t.Run(contentType, func(t *testing.T) {
			r := newRig(t, func(c *Config, _ *Deps) { c.MaxStreamsPerConnection = 10 })
			c := dialRaw(t, r)
			go func() {
				for id := uint32(1); id < 20_000; id += 2 {
					if c.begin(id, contentType) != nil || c.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
						return
					}
				}
				_ = c.Close()
			}()
			c.goaway(t)
			_ = c.Close()
			serves(t, r)
			r.sender.mu.Lock()
			defer r.sender.mu.Unlock()
			if r.sender.peak > r.cfg.MaxStreamsPerConnection {
				t.Errorf("%d streams at a time", r.sender.peak)
			}
		})
	}
}

func TestSocketsThatSayNothingAreClosed(t *testing.T) {
	r := newRig(t, func(c *Config, _ *Deps) { c.HandshakeTimeout = 50 * time.Millisecond })
	var conns []net.Conn
	for _, start := range []string{"", "PRI * HT", http2.ClientPreface, "POST / HTTP/1.1\r\nHost: x\r\n"} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, start); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for i, c := range conns {
		// It ends when the server closes the connection, and not before.
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	serves(t, r)
}

func TestConnectionsBeyondTheLimitAreClosed(t *testing.T) {
	r := newRig(t, func(c *Config, _ *Deps) { c.MaxConnections = 1 })
	first := r.dial(t)
	if _, err := healthpb.NewHealthClient(first).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if _, err := healthpb.NewHealthClient(first).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}

// TestNoDataLeavesInErrorsOrLogs sends a marked value wherever a client can put
// one, in every protocol, and looks for it in all that comes back.
func TestNoDataLeavesInErrorsOrLogs(t *testing.T) {
	const mark = "c4n4ry-ann@example.test"
	marks := []string{mark, base64.StdEncoding.EncodeToString([]byte(mark)), base64.RawStdEncoding.EncodeToString([]byte(mark))[:24]}
	r := newRig(t, nil)
	look := func(what string, got ...string) {
		t.Helper()
		for _, s := range append(got, r.logs.String()) {
			for _, m := range marks {
				if strings.Contains(s, m) {
					t.Errorf("%s: %s", what, s)
				}
			}
		}
	}
	// Failures of every part behind, whose own texts hold the mark.
	leak := errors.New(mark)
	steps := []struct {
		name   string
		change func()
	}{
		{"nothing fails", func() {}},
		{"the guard fails", func() { r.guard.fault = leak }},
		{"the protector fails", func() { r.guard.fault, r.protect.err = nil, leak }},
		{"the audit log fails", func() { r.protect.err, r.audit.err = nil, leak }},
		{"every record is refused", func() {
			r.audit.err = nil
			r.sender.script = func(produce.Record) *produce.Result { return refused(produce.Rejected, "value_rejected") }
		}},
		{"the sender panics", func() { r.sender.script = func(produce.Record) *produce.Result { panic(mark) } }},
	}
	records := []*v1.Record{
		{Value: []byte(mark)}, {Key: []byte(mark)}, {Headers: []*v1.Header{{Name: mark, Value: []byte(mark)}}}, {Topic: mark, Value: []byte(mark)},
	}
	for _, step := range steps {
		step.change()
		for name, opt := range protocols() {
			hc := client(t, true)
			pc := fieldveilv1connect.NewProduceServiceClient(hc, "http://"+r.addr, opt)
			oc := fieldveilv1connect.NewProtectServiceClient(hc, "http://"+r.addr, opt)
			for _, rec := range records {
				var texts []string
				note := func(err error) {
					var cerr *connect.Error
					if !errors.As(err, &cerr) {
						return
					}
					texts = append(texts, err.Error())
					for _, d := range cerr.Details() {
						texts = append(texts, string(d.Bytes()))
					}
					for name, values := range cerr.Meta() {
						texts = append(texts, name+": "+strings.Join(values, " "))
					}
				}
				in := &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{rec}}
				out, err := pc.Produce(t.Context(), connect.NewRequest(in))
				note(err)
				if err == nil {
					texts = append(texts, out.Msg.String())
				}
				in.Topic = mark
				_, err = pc.Produce(t.Context(), connect.NewRequest(in))
				note(err)
				check, err := pc.Check(t.Context(), connect.NewRequest(&v1.CheckRequest{Topic: "t", Records: in.GetRecords()}))
				note(err)
				if err == nil {
					texts = append(texts, check.Msg.String())
				}
				one := proto.CloneOf(rec)
				if one.GetTopic() == "" {
					one.Topic = "t"
				}
				_, err = oc.Protect(t.Context(), connect.NewRequest(&v1.ProtectRequest{Record: one}))
				note(err)
				_, err = oc.Reveal(t.Context(), connect.NewRequest(&v1.RevealRequest{Record: one, Purpose: mark}))
				note(err)
				_, err = oc.Reveal(t.Context(), connect.NewRequest(&v1.RevealRequest{Record: one, Purpose: "support"}))
				note(err)
				s := pc.ProduceStream(t.Context())
				_ = s.Send(openMessage("t"))
				_ = s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: &v1.StreamBatch{Sequence: 1, Records: []*v1.Record{rec}}}})
				_ = s.CloseRequest()
				for {
					m, err := s.Receive()
					if err != nil {
						note(err)
						break
					}
					texts = append(texts, m.String())
				}
				_ = s.CloseResponse()
				look(step.name+", "+name, texts...)
			}
		}
	}

	// What is no method, and what is no message at all.
	for _, method := range []string{"/" + mark + "/Produce", "/fieldveil.v1.ProduceService/" + mark} {
		err := r.dial(t).Invoke(t.Context(), method, &v1.ProduceRequest{}, &v1.ProduceResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", method, err)
		}
		look(method, err.Error())
	}
	hc := client(t, false)
	for _, contentType := range []string{"application/json", "application/proto", "application/grpc-web+proto", "application/" + mark} {
		for _, body := range []string{
			mark, `"` + mark + `"`, `{"` + mark + `":1}`, `{"topic":"` + mark + `"}`, `{"records":[{"value":"` + mark + `"}]}`,
			`{"records":[{"timestamp":"` + mark + `"}]}`, `{"mode":"` + mark + `"}`, `{"records":"` + mark, "\x00\x00\x00\x00\x05" + mark, "\x01\x00\x00\x00\x05" + mark,
		} {
			for _, path := range []string{v1.ProduceService_Produce_FullMethodName, v1.ProtectService_Reveal_FullMethodName, "/" + mark} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", contentType)
				resp, err := hc.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				out, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				headers := &bytes.Buffer{}
				_ = resp.Header.Write(headers)
				look(contentType+" "+body, string(out), headers.String())
			}
		}
	}
}

func TestTLSServesEveryProtocol(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sidecar"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"sidecar.test"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	r := newRig(t, func(_ *Config, d *Deps) {
		d.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert}
	})
	config := &tls.Config{RootCAs: pool, ServerName: "sidecar.test", MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}}

	cc, err := grpc.NewClient(r.addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	in := &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}}}
	if _, err := v1.NewProduceServiceClient(cc).Produce(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for _, http2 := range []bool{false, true} {
		tr := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: http2}
		c := fieldveilv1connect.NewProduceServiceClient(&http.Client{Transport: tr}, "https://"+r.addr, connect.WithGRPCWeb())
		if _, err := c.Produce(t.Context(), connect.NewRequest(in)); err != nil {
			t.Error(err)
		}
		tr.CloseIdleConnections()
	}
	if len(r.guard.callers) != 3 {
		t.Fatalf("%d callers", len(r.guard.callers))
	}
	for _, c := range r.guard.callers {
		if c.TLS == nil || len(c.TLS.PeerCertificates) != 1 || c.TLS.PeerCertificates[0].Subject.CommonName != "sidecar" {
			t.Errorf("%s: %+v", c.Protocol, c.TLS)
		}
	}
}

func TestUnixSocketServesEveryProtocol(t *testing.T) {
	r := newRig(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.Serve(l) }()
	cc, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	in := &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{}}}
	if _, err := v1.NewProduceServiceClient(cc).Produce(t.Context(), in); err != nil {
		t.Error(err)
	}
	_ = cc.Close()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	c := fieldveilv1connect.NewProduceServiceClient(&http.Client{Transport: tr}, "http://sidecar")
	if _, err := c.Produce(t.Context(), connect.NewRequest(in)); err != nil {
		t.Error(err)
	}
	tr.CloseIdleConnections()
	for _, c := range r.guard.callers {
		if _, ok := c.Conn.(*net.UnixConn); !ok {
			t.Errorf("%s: %T", c.Protocol, c.Conn)
		}
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
