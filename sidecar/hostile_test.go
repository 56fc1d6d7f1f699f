package sidecar

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// A client that begins requests and resets them as fast as it can is bound by the
// number of streams that it may have, counted until their handlers have ended.
func TestRapidResetsStartNoMoreHandlersThanAllowed(t *testing.T) {
	w := newWorld(t)
	w.opts.Env = config.Environment{"FIELDVEIL_LIMITS_HTTP2_STREAMS=10"}
	inner := w.build
	most, goOn := make(chan int, 1), make(chan struct{})
	most <- 0
	w.opts.Build = func(ctx context.Context, cfg *config.Config) (*Generation, error) {
		gen, err := inner(ctx, cfg)
		fast := gen.REST
		gen.REST = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/slow" {
				fast.ServeHTTP(rw, r)
				return
			}
			n := <-most
			most <- n + 1
			<-goOn // a handler that does not notice at once that nobody waits for it
		})
		return gen, err
	}
	w.start()
	conn, err := net.Dial("tcp", w.addrs["rest"].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
	}()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, nil)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for id := uint32(1); id < 20_000; id += 2 {
		block.Reset()
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "127.0.0.1"}, {":path", "/slow"}} {
			if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			break // the server hung up, as it should
		}
		if err := f.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
			break
		}
	}
	// Another client is served meanwhile.
	if status, body := w.get("rest", "/"); status != 200 || body != "1" {
		t.Errorf("%d %s", status, body)
	}
	if n := <-most; n > 10 {
		t.Errorf("%d handlers ran at a time", n)
	} else {
		most <- n
	}
	conn.Close()
	<-gone
	close(goOn)
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestTLSIsSpokenWhereItIsAskedFor(t *testing.T) {
	// It lends its certificate, which is for 127.0.0.1.
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	defer lender.Close()
	w := newWorld(t)
	w.opts.TLS = func(*config.Config) *tls.Config {
		return &tls.Config{Certificates: lender.TLS.Certificates, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	}
	w.start()
	client := lender.Client()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatal("another transport")
	}
	transport.ForceAttemptHTTP2 = true
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addrs["rest"].String()+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "1" || res.TLS == nil || res.TLS.Version != tls.VersionTLS13 {
		t.Errorf("%s %v %s", b, err, res.Proto)
	}
	// Nothing is served in clear on that port.
	plain, body := w.get("rest", "/")
	if plain == http.StatusOK {
		t.Errorf("in clear: %d %s", plain, body)
	}
	client.CloseIdleConnections()
	if err := w.end(); err != nil {
		t.Error(err)
	}
}
