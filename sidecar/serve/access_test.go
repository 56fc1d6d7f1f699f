package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key, a.pem, _ = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return a
}

// issue returns a certificate and its key, both in PEM too.
func issue(t *testing.T, template *x509.Certificate, by *authority) (cert *x509.Certificate, key *ecdsa.PrivateKey, certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

// server writes a certificate for the sidecar.
func (a *authority) server(w *world) *x509.Certificate {
	w.t.Helper()
	cert, _, certPEM, keyPEM := issue(w.t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "sidecar"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a)
	w.write("cert.pem", certPEM)
	w.write("key.pem", keyPEM)
	return cert
}

// client returns how one called name connects; without a name he shows nothing.
func (a *authority) client(t *testing.T, trust *authority, name string) *tls.Config {
	t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	c.RootCAs.AddCert(trust.cert)
	if name != "" {
		_, _, certPEM, keyPEM := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a)
		pair, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

const (
	tenantPolicy = `version: 1
dataset: people
tenant: {from: "value:/tenant", required: true}
keys: {pii: {kek: "local:k"}}
topics: [{match: people, format: json, fields: [{path: /mail, action: encrypt, key: pii}]}]
`
	accessRules = `audit: {to: file, path: audit.log}
auth:
  tls: {cert: cert.pem, key: key.pem, client_ca: ca.pem, client_auth: optional}
  tokens: [{principal: desk, file: tokens}]
  rules:
    - {principals: ["cn:shop"], operations: [produce, protect, reveal], topics: [people], tenants: [acme]}
    - {principals: [desk], operations: [produce, protect], topics: ["*"]}
`
	deskToken = "ZGVzay10b2tlbi1mb3ItYS10ZXN0LW9ubHk"
)

// An answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   string
	server *x509.Certificate
}

// post posts over TLS.
func post(t *testing.T, url string, c *tls.Config, token, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", v2JSON)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	tr := &http.Transport{TLSClientConfig: c}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b), res.TLS.PeerCertificates[0]}
}

func newGuarded(t *testing.T) (*world, *authority) {
	t.Helper()
	a := newAuthority(t)
	w := start(t, func(w *world) {
		a.server(w)
		w.write("ca.pem", a.pem)
		w.write("tokens", deskToken+"\n")
		w.write("policy.yaml", tenantPolicy)
		w.write("fieldveil.yaml", w.config("reload: {watch: false}\n"+accessRules))
	}, nil)
	return w, a
}

func recordOf(tenant string) string {
	return `{"records":[{"value":{"tenant":"` + tenant + `","mail":"ann@example.org"}}]}`
}

func TestCallersShowWhoTheyAreAndDoWhatRulesLet(t *testing.T) {
	w, a := newGuarded(t)
	stranger := newAuthority(t)
	url := "https://" + w.addrs["rest"] + "/topics/"
	for _, tt := range []struct {
		name, who, token, topic, tenant string
		status                          int
		want                            string
		challenge                       bool
	}{
		{"a certificate", "shop", "", "people", "acme", 200, `"offset"`, false},
		{"a token", "", deskToken, "people", "umbrella", 200, `"offset"`, false},
		{"nothing", "", "", "people", "acme", 401, `"error_code":40101`, true},
		{"a token that nobody has", "", "bm9ib2R5LWhhcy10aGlzLXRva2VuLWF0LWFsbA", "people", "acme", 401, `"error_code":40101`, true},
		{"a topic that no rule lets", "shop", "", "secrets", "acme", 403, `"error_code":40301`, false},
		{"a name that no rule knows", "thief", "", "people", "acme", 403, `"error_code":40301`, false},
		{"another's tenant", "shop", "", "people", "umbrella", 422, "tenant_denied", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := post(t, url+tt.topic, a.client(t, a, tt.who), tt.token, recordOf(tt.tenant))
			if got.status != tt.status || !strings.Contains(got.body, tt.want) || (len(got.header.Values("WWW-Authenticate")) > 0) != tt.challenge {
				t.Errorf("%d %v\n%s", got.status, got.header, got.body)
			}
			if strings.Contains(got.body, "umbrella") || strings.Contains(got.body, "ann@") {
				t.Errorf("the answer shows what was sent: %s", got.body)
			}
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addrs["rest"]+"/topics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: stranger.client(t, a, "shop")}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(req)
	if err == nil {
		_ = res.Body.Close()
		t.Errorf("a certificate of a stranger is taken: %d", res.StatusCode)
	}
}

// call makes calls of gRPC in somebody's name.
func call(t *testing.T, w *world, c *tls.Config) (v1.ProduceServiceClient, v1.ProtectServiceClient) {
	t.Helper()
	cc, err := grpc.NewClient(w.addrs["grpc"], grpc.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return v1.NewProduceServiceClient(cc), v1.NewProtectServiceClient(cc)
}

func TestCallersOfGRPCGetTheSameRules(t *testing.T) {
	w, a := newGuarded(t)
	rec := func(tenant string) *v1.Record {
		return &v1.Record{Topic: "people", Value: []byte(`{"tenant":"` + tenant + `","mail":"ann@example.org"}`)}
	}
	desk := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+deskToken)
	for _, tt := range []struct {
		name, who, topic, tenant string
		ctx                      context.Context
		code                     codes.Code
		record                   string
	}{
		{"a certificate", "shop", "people", "acme", t.Context(), codes.OK, ""},
		{"a token", "", "people", "umbrella", desk, codes.OK, ""},
		{"nothing", "", "people", "acme", t.Context(), codes.Unauthenticated, ""},
		{"a topic that no rule lets", "shop", "secrets", "acme", t.Context(), codes.PermissionDenied, ""},
		{"another's tenant", "shop", "people", "umbrella", t.Context(), codes.OK, "tenant_denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			produced, _ := call(t, w, a.client(t, a, tt.who))
			r := rec(tt.tenant)
			r.Topic = tt.topic
			res, err := produced.Produce(tt.ctx, &v1.ProduceRequest{Records: []*v1.Record{r}})
			if status.Code(err) != tt.code {
				t.Fatal(err)
			}
			if err == nil && res.GetResults()[0].GetCode() != tt.record {
				t.Errorf("%v", res)
			}
		})
	}
	// What one may write, another may not read.
	_, protect := call(t, w, a.client(t, a, ""))
	other, err := protect.Protect(desk, &v1.ProtectRequest{Record: rec("umbrella")})
	if err != nil {
		t.Fatal(err)
	}
	_, shop := call(t, w, a.client(t, a, "shop"))
	back, err := shop.Reveal(t.Context(), &v1.RevealRequest{Record: other.GetRecord(), Purpose: "case-7"})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "tenant_denied") {
		t.Errorf("another tenant's record: %v, %v", back, err)
	}
	own, err := shop.Protect(t.Context(), &v1.ProtectRequest{Record: rec("acme")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shop.Reveal(t.Context(), &v1.RevealRequest{Record: own.GetRecord(), Purpose: "case-7"}); err != nil {
		t.Errorf("his own: %v", err)
	}
	if back, err := protect.Reveal(desk, &v1.RevealRequest{Record: own.GetRecord(), Purpose: "case-7"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("one who may not reveal: %v, %v", back, err)
	}
}

func TestCertificatesAreReplacedWithoutARestartBeforeAndAfterAReload(t *testing.T) {
	w, a := newGuarded(t)
	url := "https://" + w.addrs["rest"] + "/topics/people"
	shop := a.client(t, a, "shop")
	for round := range 2 {
		fresh := a.server(w)
		for { // files are watched; the test's own time limit ends the wait
			got := post(t, url, shop, "", recordOf("acme"))
			if got.status != http.StatusOK {
				t.Fatalf("round %d: %d %s", round, got.status, got.body)
			}
			if got.server.Equal(fresh) {
				break
			}
		}
		if _, body := w.do("admin", http.MethodGet, "/metrics", "", ""); !strings.Contains(body, `fieldveil_certificate_expiry_timestamp_seconds{certificate="listen"} `) {
			t.Errorf("round %d: nobody can see when the certificate ends", round)
		}
		// A reload makes another Auth, whose files count from then on.
		w.write("fieldveil.yaml", w.config("reload: {watch: false}\n"+strings.Replace(accessRules, "  rules:", "  reload_interval: 29s\n  rules:", 1)))
		if outcome, _ := w.reload(); outcome != "ok" {
			t.Fatalf("%s\n%s", outcome, w.log)
		}
	}
	w.write("fieldveil.yaml", w.config("reload: {watch: false}\naudit: {to: file, path: audit.log}\n"))
	if outcome, _ := w.acknowledged(); outcome != "failed" {
		t.Errorf("TLS was turned off while it ran: %s", outcome)
	}
}

func TestAUnixSocketKnowsItsPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	w := start(t, func(w *world) {
		w.write("policy.yaml", peoplePolicy)
		w.write("fieldveil.yaml", strings.Replace(w.config("auth: {rules: [{principals: ['uid:*'], operations: [produce], topics: [people]}]}\n"), "listen: {", "listen: {unix: '"+path+"', ", 1))
	}, nil)
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer tr.CloseIdleConnections()
	send := func(topic string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sidecar/topics/"+topic, strings.NewReader(`{"records":[{"value":{"mail":"`+mail+`"}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", v2JSON)
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if status, body := send("people"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	if status, body := send("secrets"); status != http.StatusForbidden {
		t.Errorf("%d %s", status, body)
	}
	var doc struct{ Offsets []any }
	status, body := w.do("rest", http.MethodPost, "/topics/people", v2JSON, `{"records":[{"value":{"mail":"`+mail+`"}}]}`)
	if err := json.Unmarshal([]byte(body), &doc); status != http.StatusForbidden || err != nil || len(doc.Offsets) > 0 {
		t.Errorf("on loopback he is another: %d %s", status, body)
	}
}
