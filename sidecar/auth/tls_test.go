package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// serve answers with the name of the caller on a TLS listener, and returns its
// address.
func serve(t *testing.T, a *Auth) string {
	t.Helper()
	l, err := a.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: a.HTTPMiddleware(nameHandler()), ConnContext: ConnContext, ReadHeaderTimeout: time.Minute, ErrorLog: quiet()}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(tls.NewListener(l, c)) })
	t.Cleanup(func() {
		_ = s.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func nameHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := FromContext(r.Context())
		_, _ = io.WriteString(w, p.Name+" "+r.Proto+r.Header.Get("Authorization"))
	})
}

// get asks over a connection of its own.
func get(t *testing.T, addr string, server *authority, version uint16, certs ...tls.Certificate) (status int, body string, err error) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(server.cert)
	conf := &tls.Config{RootCAs: pool, MaxVersion: version}
	if len(certs) > 0 {
		// It is sent whatever authorities the server asks for.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
	}
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: conf}
	defer transport.CloseIdleConnections()
	return fetch(t, &http.Client{Transport: transport}, addr)
}

func fetch(t *testing.T, c *http.Client, addr string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, string(b), err
}

func TestHandshakesWithClientCertificates(t *testing.T) {
	server, clients, others := newAuthority(t, "server CA"), newAuthority(t, "client CA"), newAuthority(t, "another CA")
	files := tlsFiles(t, t.TempDir(), server, clients)
	good := clients.client(nil)
	expired := clients.client(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	serverOnly := clients.client(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	dns := clients.client(func(c *x509.Certificate) {
		c.Subject.CommonName = ""
		c.DNSNames = []string{"billing.example.org"}
	})
	nameless := clients.client(func(c *x509.Certificate) { c.Subject.CommonName = "" })
	tests := []struct {
		name    string
		auth    string
		domain  string
		version uint16
		certs   []tls.Certificate
		want    string // empty: no handshake; otherwise the body
	}{
		{name: "a good one", certs: []tls.Certificate{good}, want: "cn:billing HTTP/2.0"},
		{name: "a DNS name", certs: []tls.Certificate{dns}, want: "dns:billing.example.org HTTP/2.0"},
		{name: "none", want: ""},
		{name: "of another authority", certs: []tls.Certificate{others.client(nil)}, want: ""},
		{name: "expired", certs: []tls.Certificate{expired}, want: ""},
		{name: "of a server", certs: []tls.Certificate{serverOnly}, want: ""},
		{name: "without a name", certs: []tls.Certificate{nameless}, want: "auth: not authenticated\n"},
		{name: "TLS 1.2", version: tls.VersionTLS12, certs: []tls.Certificate{good}, want: ""},
		{name: "none, where it is optional", auth: clientOptional, want: "auth: not authenticated\n"},
		{name: "of another authority, where it is optional", auth: clientOptional, certs: []tls.Certificate{others.client(nil)}, want: ""},
		{name: "a good one, where it is optional", auth: clientOptional, certs: []tls.Certificate{good}, want: "cn:billing HTTP/2.0"},
		{
			name: "a SPIFFE id", domain: "example.org", certs: []tls.Certificate{clients.client(withURI(t, "spiffe://example.org/ns/prod/sa/billing"))},
			want: "spiffe://example.org/ns/prod/sa/billing HTTP/2.0",
		},
		{name: "no SPIFFE id", domain: "example.org", certs: []tls.Certificate{good}, want: "auth: not authenticated\n"},
		{name: "a SPIFFE id of another domain", domain: "example.org", certs: []tls.Certificate{clients.client(withURI(t, "spiffe://example.com/a"))}, want: "auth: not authenticated\n"},
		{name: "two ids", domain: "example.org", certs: []tls.Certificate{clients.client(withURI(t, "spiffe://example.org/a", "spiffe://example.org/b"))}, want: "auth: not authenticated\n"},
		{name: "an id with dots", domain: "example.org", certs: []tls.Certificate{clients.client(withURI(t, "spiffe://example.org/a/../b"))}, want: "auth: not authenticated\n"},
		{name: "an id with a query", domain: "example.org", certs: []tls.Certificate{clients.client(withURI(t, "spiffe://example.org/a?b"))}, want: "auth: not authenticated\n"},
		{name: "an id without path", domain: "example.org", certs: []tls.Certificate{clients.client(withURI(t, "spiffe://example.org"))}, want: "auth: not authenticated\n"},
		{name: "another scheme", domain: "example.org", certs: []tls.Certificate{clients.client(withURI(t, "https://example.org/a"))}, want: "auth: not authenticated\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{TLS: files, SPIFFE: SPIFFE{TrustDomain: tt.domain}}
			c.TLS.ClientAuth = tt.auth
			_, body, err := get(t, serve(t, mustNew(t, c)), server, tt.version, tt.certs...)
			if body != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	c := Config{TLS: files}
	c.TLS.MinVersion = "1.2"
	if _, body, err := get(t, serve(t, mustNew(t, c)), server, tls.VersionTLS12, good); err != nil || body != "cn:billing HTTP/2.0" {
		t.Errorf("TLS 1.2 where it is allowed: %q, %v", body, err)
	}
}

// A connection that is there already is looked at again at each request.
func TestACertificateIsLookedAtAgainAtEachRequest(t *testing.T) {
	server, clients, next := newAuthority(t, "server CA"), newAuthority(t, "client CA"), newAuthority(t, "next CA")
	files := tlsFiles(t, t.TempDir(), server, clients)
	var mu sync.Mutex
	late := time.Duration(0)
	a := mustNew(t, Config{TLS: files}, WithClock(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(late)
	}))
	pool := x509.NewCertPool()
	pool.AddCert(server.cert)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{clients.client(nil)}}}
	defer transport.CloseIdleConnections()
	client, addr := &http.Client{Transport: transport}, serve(t, a)
	ask := func(what string, want int) {
		t.Helper()
		if status, body, err := fetch(t, client, addr); err != nil || status != want {
			t.Errorf("%s: %d %q, %v", what, status, body, err)
		}
	}
	ask("a good one", http.StatusOK)
	mu.Lock()
	late = 2 * time.Hour
	mu.Unlock()
	ask("expired since", http.StatusUnauthorized)
	mu.Lock()
	late = 0
	mu.Unlock()
	write(t, files.ClientCA, next.pem())
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	ask("of an authority that is gone", http.StatusUnauthorized)
	write(t, files.ClientCA, next.pem()+clients.pem())
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	ask("of one that is back", http.StatusOK)
}

// Certificates change under load, by the swap of a link as Kubernetes does it, and
// no handshake fails.
func TestCertificatesRotateUnderLoad(t *testing.T) {
	server, clients := newAuthority(t, "server CA"), newAuthority(t, "client CA")
	root := t.TempDir()
	version := func(name string) {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		cert, key := server.server(name)
		write(t, filepath.Join(dir, "cert"), cert)
		write(t, filepath.Join(dir, "key"), key)
		write(t, filepath.Join(dir, "ca"), clients.pem())
		tmp := filepath.Join(root, "..tmp")
		if err := errors.Join(os.Symlink(name, tmp), os.Rename(tmp, filepath.Join(root, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	version("v0")
	c := Config{TLS: TLS{}, ReloadInterval: time.Hour}
	for name, path := range map[string]*string{"cert": &c.TLS.Cert, "key": &c.TLS.Key, "ca": &c.TLS.ClientCA} {
		*path = filepath.Join(root, name)
		if err := os.Symlink(filepath.Join("..data", name), *path); err != nil {
			t.Fatal(err)
		}
	}
	reloads := make(chan Reload, 100)
	a := mustNew(t, c, WithObserver(func(r Reload) { reloads <- r }))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	addr, good := serve(t, a), clients.client(nil)
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if status, body, err := get(t, addr, server, 0, good); (err != nil || status != http.StatusOK) && ctx.Err() == nil {
					t.Errorf("%d %q, %v", status, body, err)
					return
				}
			}
		})
	}
	for _, name := range []string{"v1", "v2", "v3"} {
		version(name)
		for serverName(t, addr, server, good) != name {
			select {
			case <-reloads: // files of both versions may have been read in between
			case <-t.Context().Done():
				t.Fatal("no reload")
			}
		}
	}
	stop()
	wg.Wait()
}

// serverName returns the name in the certificate of a server.
func serverName(t *testing.T, addr string, server *authority, cert tls.Certificate) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(server.cert)
	d := tls.Dialer{Config: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, ok := conn.(*tls.Conn)
	if !ok {
		t.Fatalf("%T", conn)
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestABadFileChangesNothing(t *testing.T) {
	server, clients := newAuthority(t, "server CA"), newAuthority(t, "client CA")
	dir := t.TempDir()
	c := Config{TLS: tlsFiles(t, dir, server, clients), Tokens: []TokenSource{{Principal: "a", File: write(t, filepath.Join(dir, "token"), secretA)}}}
	var seen []Reload
	a := mustNew(t, c, WithObserver(func(r Reload) { seen = append(seen, r) }))
	cert, key := server.server("other")
	for name, change := range map[string]func(){
		"a certificate of another key": func() {
			other, _ := server.server("another")
			write(t, c.TLS.Cert, other)
		},
		"no certificate": func() { write(t, c.TLS.Cert, "CANARY") },
		"no authority":   func() { write(t, c.TLS.ClientCA, "") },
		"half an authority": func() {
			write(t, c.TLS.ClientCA, clients.pem()+"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		},
		"no token": func() { write(t, c.Tokens[0].File, "CANARY short") },
		"no key":   func() { _ = os.Remove(c.TLS.Key) },
	} {
		before := a.state.Load()
		seen = nil
		change()
		err := a.Reload()
		if err == nil || a.state.Load() != before {
			t.Errorf("%s: %v", name, err)
		}
		clean(t, name, err)
		if err := a.Reload(); err != nil || len(seen) != 1 || seen[0].Err == nil {
			t.Errorf("%s: told %d times, %v", name, len(seen), err)
		}
		write(t, c.TLS.ClientCA, clients.pem())
		write(t, c.TLS.Cert, cert)
		write(t, c.TLS.Key, key)
		write(t, c.Tokens[0].File, secretB)
		if err := a.Reload(); err != nil || a.state.Load() == before {
			t.Errorf("%s: good again: %v", name, err)
		}
	}
	_, err := a.Authenticate(t.Context(), Request{Authorization: "Bearer " + secretA})
	refused(t, "the token before", err, ErrUnauthenticated, ReasonToken)
	if p, err := a.Authenticate(t.Context(), Request{Authorization: "Bearer " + secretB}); err != nil || p.Name != "a" {
		t.Errorf("the token now: %v, %v", p, err)
	}
}

func TestAddressesThatOthersReachNeedCredentialsAndTLS(t *testing.T) {
	server, clients := newAuthority(t, "server CA"), newAuthority(t, "client CA")
	files := tlsFiles(t, t.TempDir(), server, clients)
	plain := TLS{Cert: files.Cert, Key: files.Key}
	tokens := []TokenSource{{Principal: "a", File: write(t, filepath.Join(t.TempDir(), "t"), secretA)}}
	for name, tt := range map[string]struct {
		c    Config
		addr string
		ok   bool
	}{
		"loopback":                              {Config{}, "127.0.0.1:0", true},
		"loopback by name":                      {Config{}, "localhost:0", true},
		"everywhere":                            {Config{}, ":0", false},
		"everywhere, with tokens":               {Config{Tokens: tokens}, "0.0.0.0:0", false},
		"everywhere, with TLS":                  {Config{TLS: plain}, "0.0.0.0:0", false},
		"everywhere, with tokens and TLS":       {Config{TLS: plain, Tokens: tokens}, "0.0.0.0:0", true},
		"everywhere, with client certificates":  {Config{TLS: files}, "0.0.0.0:0", true},
		"everywhere, in clear by name":          {Config{Tokens: tokens, InsecureAllowPlaintext: true}, "0.0.0.0:0", true},
		"everywhere, anonymous in clear":        {Config{InsecureAllowAnonymous: true}, "0.0.0.0:0", false},
		"everywhere, all by name":               {Config{InsecureAllowAnonymous: true, InsecureAllowPlaintext: true}, "0.0.0.0:0", true},
		"everywhere, where loopback is allowed": {Config{AnonymousLoopback: new(true)}, "0.0.0.0:0", false},
		"no address":                            {Config{}, "nonsense", false},
	} {
		l, err := mustNew(t, tt.c).Listen(t.Context(), tt.addr)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			l.Close()
		}
	}
	if _, err := mustNew(t, Config{}).TLSConfig(); err == nil {
		t.Error("a configuration of TLS where there is none")
	}
}

var _ net.Addr = (*PeerAddr)(nil)
