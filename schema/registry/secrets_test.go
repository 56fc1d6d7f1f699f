package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// canaries are what must never be shown, in the forms in which they could be.
func canaries() []string {
	const secret = "CANARY"
	return []string{
		secret, base64.StdEncoding.EncodeToString([]byte("user:" + secret)), base64.StdEncoding.EncodeToString([]byte(secret)),
		fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), "67 65 78 65 82 89",
	}
}

func wantNoCanary(t *testing.T, what, shown string) {
	t.Helper()
	for _, c := range canaries() {
		if strings.Contains(shown, c) {
			t.Errorf("%s shows %q: %s", what, c, shown)
		}
	}
}

func TestNoPrintShowsACredential(t *testing.T) {
	f := newFake(nil)
	for name, opts := range map[string][]Option{
		"basic auth": {WithBasicAuth("user", "CANARY")},
		"a token":    {WithBearerToken("CANARY")},
		"a function": {WithBearerTokenFunc(func(context.Context) (string, error) { return "CANARY", nil })},
		"a header":   {WithHeader("X-Api-Key", "CANARY")},
		"a URL":      nil,
	} {
		url := "https://registry.invalid/path"
		if opts == nil {
			url = "https://user:CANARY@registry.invalid/path"
		}
		c := client(t, []string{url}, append(opts, WithTransport(f))...)
		var b strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			fmt.Fprintf(&b, verb+" "+verb+" "+verb+" "+verb, c, opts, []any{c}, struct{ C *Client }{c})
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "client", c)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "client", c, "in", struct{ C *Client }{c})
		js, err := json.Marshal(c)
		if err != nil {
			t.Error(err)
		}
		wantNoCanary(t, name, b.String()+string(js))
		if want := "registry.Client(https://registry.invalid)"; fmt.Sprint(c) != want || !strings.Contains(b.String(), want) {
			t.Errorf("%s: %v", name, c)
		}
	}
}

func TestNoErrorShowsACredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		echo := func(status int) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				message := strings.Join(r.Header["Authorization"], " ") + " " + r.Header.Get("X-Api-Key") + " " + r.URL.String()
				_ = json.NewEncoder(w).Encode(map[string]any{"error_code": 40101, "message": message})
			}
		}
		broken := roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("cannot reach %s with %s", r.URL, r.Header["Authorization"])
		})
		for name, opts := range map[string][]Option{
			"basic auth": {WithBasicAuth("user", "CANARY")},
			"a token":    {WithBearerToken("CANARY")},
			"a header":   {WithHeader("X-Api-Key", "CANARY")},
			"a URL":      nil,
		} {
			url := "https://registry.invalid"
			if opts == nil {
				url = "https://user:CANARY@registry.invalid"
			}
			for _, rt := range []http.RoundTripper{
				newFake(map[string]any{id7: echo(401)}), newFake(map[string]any{id7: echo(500)}), newFake(map[string]any{id7: echo(302)}),
				newFake(map[string]any{id7: echo(200)}), newFake(map[string]any{id7: "CANARY"}), broken,
			} {
				_, err := client(t, []string{url}, append(opts, WithTransport(rt))...).Schema(t.Context(), 7)
				if err == nil {
					t.Fatal("no error")
				}
				wantNoCanary(t, name, err.Error()+fmt.Sprintf("%+v %#v", err, err))
			}
		}
		c := inside(t, newFake(nil), WithBearerTokenFunc(func(context.Context) (string, error) { return "", errors.New("CANARY") }))
		_, err := c.Schema(t.Context(), 7)
		if !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
		wantNoCanary(t, "a source of tokens", err.Error())
	})
	for _, url := range []string{
		"https://user:CANARY@%zz", "https://user:CANARY@", "ftp://user:CANARY@host", "https://user:CANARY@host/?x", "http://user:CANARY@registry.invalid", "CANARY",
		"https://user:CANARY@host#x", ":CANARY", "https://user:CANARY@host:port",
	} {
		_, err := New([]string{url})
		if err == nil {
			t.Errorf("%s is taken", url)
			continue
		}
		wantNoCanary(t, url, err.Error())
	}
}

func TestCredentialsAreSent(t *testing.T) {
	basicAuth := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:p:w"))
	calls := 0
	for name, tt := range map[string]struct {
		opts []Option
		user string
		want string
	}{
		"basic":    {[]Option{WithBasicAuth("user", "p:w")}, "", basicAuth},
		"URL":      {nil, "user:p%3Aw@", basicAuth},
		"token":    {[]Option{WithBearerToken("t")}, "", "Bearer t"},
		"function": {[]Option{WithBearerTokenFunc(func(context.Context) (string, error) { calls++; return fmt.Sprint("t", calls), nil })}, "", "Bearer t1"},
		"none":     {[]Option{WithHeader("x-tenant", "a")}, "", ""},
	} {
		var got http.Header
		url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.Header
			_, _ = fmt.Fprint(w, `{"schema":"x"}`)
		}))
		c := client(t, []string{strings.Replace(url, "http://", "http://"+tt.user, 1)}, tt.opts...)
		if _, err := c.Schema(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if got.Get("Authorization") != tt.want || got.Get("User-Agent") != "fieldveil" || !strings.Contains(got.Get("Accept"), contentType) {
			t.Errorf("%s: %v", name, got)
		}
		if name == "none" && got.Get("X-Tenant") != "a" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	https := "https://registry.invalid"
	for name, tt := range map[string]struct {
		urls []string
		opts []Option
	}{
		"no URL":                   {nil, nil},
		"17 URLs":                  {strings.Split(repeat(https+" ", 16)+https, " "), nil},
		"no host":                  {[]string{"https://"}, nil},
		"a port alone":             {[]string{"https://:80"}, nil},
		"no scheme":                {[]string{"registry:8081"}, nil},
		"basic without TLS":        {[]string{"http://registry.invalid"}, []Option{WithBasicAuth("u", "p")}},
		"a token without TLS":      {[]string{https, "http://10.0.0.1"}, []Option{WithBearerToken("t")}},
		"a header without TLS":     {[]string{"http://registry.invalid"}, []Option{WithHeader("X-Key", "k")}},
		"a host that looks local":  {[]string{"http://localhost.registry.invalid"}, []Option{WithBearerToken("t")}},
		"two credentials":          {[]string{https}, []Option{WithBasicAuth("u", "p"), WithBearerToken("t")}},
		"credentials twice":        {[]string{"https://u:p@registry.invalid"}, []Option{WithBearerToken("t")}},
		"a user with a colon":      {[]string{https}, []Option{WithBasicAuth("u:v", "p")}},
		"an empty token":           {[]string{https}, []Option{WithBearerToken("")}},
		"a token of two lines":     {[]string{https}, []Option{WithBearerToken("a\r\nb")}},
		"no source of tokens":      {[]string{https}, []Option{WithBearerTokenFunc(nil)}},
		"a header of two lines":    {[]string{https}, []Option{WithHeader("X", "a\nb")}},
		"a header without name":    {[]string{https}, []Option{WithHeader("", "a")}},
		"another Authorization":    {[]string{https}, []Option{WithHeader("authorization", "a")}},
		"no transport":             {[]string{https}, []Option{WithTransport(nil)}},
		"TLS twice":                {[]string{https}, []Option{WithTLS(&tls.Config{}), WithTLS(&tls.Config{})}},
		"no TLS":                   {[]string{https}, []Option{WithTLS(nil)}},
		"TLS and a transport":      {[]string{https}, []Option{WithTLS(&tls.Config{}), WithTransport(newFake(nil))}},
		"TLS without https":        {[]string{"http://127.0.0.1"}, []Option{WithTLS(&tls.Config{})}},
		"no files":                 {[]string{https}, []Option{WithTLSFiles("", "", "")}},
		"a file that is not there": {[]string{https}, []Option{WithTLSFiles("/does/not/exist", "", "")}},
		"a key that is not there":  {[]string{https}, []Option{WithTLSFiles("", "/does/not/exist", "/does/not/exist")}},
		"no time":                  {[]string{https}, []Option{WithTimeout(0)}},
		"a negative budget":        {[]string{https}, []Option{WithBudget(-1)}},
		"no answer":                {[]string{https}, []Option{WithMaxAnswer(0)}},
		"no cache":                 {[]string{https}, []Option{WithCache(0, 1)}},
		"no bytes":                 {[]string{https}, []Option{WithCache(1, 0)}},
		"never fresh":              {[]string{https}, []Option{WithLatest(0, 0)}},
		"a negative staleness":     {[]string{https}, []Option{WithLatest(1, -1)}},
		"no refusals":              {[]string{https}, []Option{WithNegative(0)}},
		"no naming":                {[]string{https}, []Option{WithReferenceSubject(nil)}},
		"no snapshot":              {[]string{https}, []Option{WithSnapshot(nil)}},
	} {
		if c, err := New(tt.urls, tt.opts...); err == nil {
			t.Errorf("%s: it is taken", name)
			c.Close()
		}
	}
	for name, tt := range map[string]struct {
		url  string
		opts []Option
	}{
		"on this machine":       {"http://127.0.0.1:8081", []Option{WithBearerToken("t")}},
		"by another name":       {"http://localhost:8081", []Option{WithBearerToken("t")}},
		"by the other protocol": {"http://[::1]:8081", []Option{WithBearerToken("t")}},
		"as is said":            {"http://registry.invalid", []Option{WithBearerToken("t"), WithInsecureCredentials()}},
		"with TLS":              {https, []Option{WithBearerToken("t"), WithLatest(time.Second, 0), WithNegative(1), WithTimeout(1), WithBudget(1)}},
	} {
		c, err := New([]string{tt.url}, tt.opts...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.Close()
	}
}

func TestBothSidesShowTheirCertificates(t *testing.T) {
	s := httptest.NewUnstartedServer(newFake(map[string]any{id7: `{"schema":"x"}`}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	// The certificate of the server serves as that of the client, too.
	der, err := keyDER(s)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	write(t, dir, map[string]string{"cert.pem": cert, "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "none.pem": "none"})
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := client(t, []string{s.URL}, WithTLSFiles(certFile, certFile, keyFile)).Schema(t.Context(), 7); err != nil {
		t.Error(err)
	}
	c := client(t, []string{s.URL}, WithTLSFiles(certFile, "", ""))
	c.caller.retries.tokens = 0
	if _, err := c.Schema(t.Context(), 7); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a certificate: %v", err)
	}
	renewed := client(t, []string{s.URL}, WithTLSFiles(certFile, certFile, keyFile))
	if err := os.WriteFile(certFile, []byte("being written"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := renewed.Schema(t.Context(), 7); err != nil {
		t.Errorf("while the file is being renewed: %v", err)
	}
	for name, opt := range map[string]Option{
		"no certificate to trust": WithTLSFiles(filepath.Join(dir, "none.pem"), "", ""),
		"a certificate alone":     WithTLSFiles("", certFile, ""),
		"a key that is none":      WithTLSFiles("", certFile, filepath.Join(dir, "none.pem")),
	} {
		if c, err := New([]string{s.URL}, opt); err == nil {
			t.Errorf("%s: it is taken", name)
			c.Close()
		}
	}
}

func keyDER(s *httptest.Server) ([]byte, error) {
	return x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
}
