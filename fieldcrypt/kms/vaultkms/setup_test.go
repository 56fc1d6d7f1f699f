package vaultkms_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://vault.example": true, "https://vault.example:8200": true, "https://vault.example:8200/": true, "https://10.0.0.1:8200": true,
		"https://[2001:db8::1]:8200": true, "http://127.0.0.1:8200": true, "http://localhost:8200": true, "http://[::1]:8200": true, "http://127.0.0.1": true,
		"": false, "vault.example": false, "http://vault.example": false, "http://10.0.0.1:8200": false, "http://127.0.0.1.evil.example": false,
		"ftp://127.0.0.1": false, "unix:///run/vault.sock": false, "HTTPS://vault.example": false, "https://Vault.example": false,
		"https://user:CANARY@vault.example": false, "https://vault.example/prefix": false, "https://vault.example?x=y": false, "https://vault.example#x": false,
		"https://": false, "https:///": false, "https://vault.example:": false, "https://vault.example:99999": false, "https://localhost@evil.example": false,
	} {
		_, err := vaultkms.New(address, vaultkms.Token("s.x"))
		if ok && err != nil {
			t.Errorf("%q: %v", address, err)
		} else if !ok {
			wants(t, err, kms.ErrInvalid, "the address")
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("the error repeats the address: %v", err)
			}
		}
	}
	if _, err := vaultkms.New("http://vault.example:8200", vaultkms.Token("s.x"), vaultkms.WithPlaintextServer()); err != nil {
		t.Error(err)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	good := vaultkms.Token("s.x")
	certFile, keyFile := certificate(t, nil, nil)
	for _, tt := range []struct {
		name string
		auth vaultkms.Auth
		opts []vaultkms.Option
		text string
	}{
		{"no Auth", nil, nil, "without an Auth"},
		{"an empty token", vaultkms.Token(""), nil, "token"},
		{"a token with a line break", vaultkms.Token("s.x\r\nX-Evil: 1"), nil, "token"},
		{"a token with white space at its end", vaultkms.Token("s.x "), nil, "token"},
		{"a token of 8 KiB and more", vaultkms.Token(strings.Repeat("x", 8<<10+1)), nil, "token"},
		{"a token file without a name", vaultkms.TokenFile(""), nil, "without a file"},
		{"a token file with a zero in its name", vaultkms.TokenFile("a\x00b"), nil, "without a file"},
		{"an AppRole without a role", vaultkms.AppRole("", "/secret"), nil, "without a role"},
		{"a Kubernetes login without a role", vaultkms.Kubernetes("", ""), nil, "without a role"},
		{"a login without anything", vaultkms.Login{}, nil, "without a role"},
		{"a login at a mount that leads elsewhere", vaultkms.Kubernetes("role", "").At("../sys"), nil, "mount of the login"},
		{"a login at no mount", vaultkms.Kubernetes("role", "").At(""), nil, "mount of the login"},
		{"no time", good, []vaultkms.Option{vaultkms.WithTimeout(0)}, "timeout"},
		{"a namespace with a line break", good, []vaultkms.Option{vaultkms.WithNamespace("a\nb")}, "namespace"},
		{"a host twice", good, []vaultkms.Option{vaultkms.WithServer("https://vault.example", good)}, "twice"},
		{"a second server that is wrong", good, []vaultkms.Option{vaultkms.WithServer("http://other.example", good)}, "not on a loopback"},
		{"a second server without an Auth", good, []vaultkms.Option{vaultkms.WithServer("https://other.example", nil)}, "without an Auth"},
		{"a CA that is not there", good, []vaultkms.Option{vaultkms.WithCAFile("/nowhere/ca.pem")}, "cannot be read"},
		{"a CA without a certificate", good, []vaultkms.Option{vaultkms.WithCAFile(file(t, "CANARY"))}, "no certificate"},
		{"a certificate that is not there", good, []vaultkms.Option{vaultkms.WithClientCertificate("/nowhere", keyFile)}, "cannot be read"},
		{"a certificate without a key", good, []vaultkms.Option{vaultkms.WithClientCertificate(certFile, "")}, "cannot be read"},
		{"a key without a certificate", good, []vaultkms.Option{vaultkms.WithClientCertificate("", keyFile)}, "cannot be read"},
		{"a CA and a transport", good, []vaultkms.Option{vaultkms.WithCAFile(certFile), vaultkms.WithTransport(http.DefaultTransport)}, "transport"},
		{"a certificate and a transport", good, []vaultkms.Option{vaultkms.WithClientCertificate(certFile, keyFile), vaultkms.WithTransport(http.DefaultTransport)}, "transport"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := vaultkms.New("https://vault.example", tt.auth, tt.opts...)
			wants(t, err, kms.ErrInvalid, tt.text)
			if k != nil {
				t.Error("a KMS beside the error")
			}
		})
	}
}

// certificate writes a certificate with its key, signed by a parent or itself.
func certificate(t *testing.T, parent *x509.Certificate, signer *ecdsa.PrivateKey) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if parent == nil {
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	return certFile, keyFile
}

func TestTLS(t *testing.T) {
	s := server(t)
	certFile, keyFile := certificate(t, nil, nil)
	pool := x509.NewCertPool()
	b, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(b)
	secure := httptest.NewUnstartedServer(s)
	secure.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail
	secure.StartTLS()
	defer secure.Close()
	ca := vaultkms.WithCAFile(file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))))
	auth := vaultkms.Token(s.RootToken)

	k := client(t, secure.URL, auth, ca, vaultkms.WithClientCertificate(certFile, keyFile))
	plain, wrapped := generate(t, k, plainKey)
	opens(t, k, plainKey, wrapped, plain)
	wants(t, tryGenerate(t, client(t, secure.URL, auth, ca), plainKey), kms.ErrUnavailable, "no answer")
	wants(t, tryGenerate(t, client(t, secure.URL, auth, vaultkms.WithClientCertificate(certFile, keyFile)), plainKey), kms.ErrUnavailable, "the certificate of the server is not trusted")
	// Another certificate for new connections, and none while the files are wrong.
	secure.CloseClientConnections()
	write(t, keyFile, "CANARY")
	wants(t, tryGenerate(t, k, plainKey), kms.ErrUnavailable, "no answer")
}

func TestOldTLSIsNotSpoken(t *testing.T) {
	s := server(t)
	old := httptest.NewUnstartedServer(s)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10} // what must be refused
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.StartTLS()
	defer old.Close()
	ca := vaultkms.WithCAFile(file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: old.Certificate().Raw}))))
	wants(t, tryGenerate(t, client(t, old.URL, vaultkms.Token(s.RootToken), ca), plainKey), kms.ErrUnavailable, "no answer")
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestTheEnvironment(t *testing.T) {
	s := server(t)
	s.AddKey("team/transit/keys/pii", kmstest.VaultKey{})
	certFile, keyFile := certificate(t, nil, nil)
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	for _, tt := range []struct {
		name string
		env  []string
		auth vaultkms.Auth
		kek  string
	}{
		{"of Vault", []string{"VAULT_ADDR", s.URL, "VAULT_TOKEN", s.RootToken}, nil, plainKey},
		{"of OpenBao", []string{"BAO_ADDR", s.URL, "BAO_TOKEN", s.RootToken}, nil, plainKey},
		{"of both, where that of OpenBao holds", []string{"VAULT_ADDR", "x", "BAO_ADDR", s.URL, "VAULT_TOKEN", "y", "BAO_TOKEN", s.RootToken}, nil, plainKey},
		{"with a namespace", []string{"VAULT_ADDR", s.URL, "VAULT_TOKEN", s.RootToken, "VAULT_NAMESPACE", "/team/"}, nil, "vault:transit/keys/pii"},
		{"with an Auth", []string{"VAULT_ADDR", s.URL, "VAULT_TOKEN", "not\nread"}, vaultkms.Token(s.RootToken), plainKey},
		{"with the check of certificates", []string{"VAULT_ADDR", s.URL, "VAULT_TOKEN", s.RootToken, "VAULT_SKIP_VERIFY", "false"}, nil, plainKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := vaultkms.FromEnvironment(env(tt.env...), tt.auth)
			if err != nil {
				t.Fatal(err)
			}
			generate(t, k, tt.kek)
		})
	}
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	k, err := vaultkms.FromEnvironment(env("VAULT_ADDR", secure.URL, "VAULT_TOKEN", s.RootToken, "VAULT_CACERT", ca, "VAULT_CLIENT_CERT", certFile, "VAULT_CLIENT_KEY", keyFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	generate(t, k, plainKey)
	for _, tt := range []struct {
		env  []string
		text string
	}{
		{[]string{"VAULT_TOKEN", "s.x"}, "neither BAO_ADDR nor VAULT_ADDR"},
		{[]string{"VAULT_ADDR", s.URL}, "token"},
		{[]string{"VAULT_ADDR", s.URL, "VAULT_TOKEN", "s.x", "VAULT_SKIP_VERIFY", "1"}, "switches the check of certificates off"},
		{[]string{"VAULT_ADDR", s.URL, "VAULT_TOKEN", "s.x", "BAO_SKIP_VERIFY", "yes"}, "switches the check of certificates off"},
		{[]string{"VAULT_ADDR", s.URL, "VAULT_TOKEN", "s.x", "VAULT_CLIENT_CERT", certFile}, "cannot be read"},
	} {
		_, err := vaultkms.FromEnvironment(env(tt.env...), nil)
		wants(t, err, kms.ErrInvalid, tt.text)
	}
}
