package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

func brokers(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, "t")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return strings.Join(c.ListenAddrs(), ",")
}

// produce says whether a record gets through a new client.
func produce(t *testing.T, c *Config) error {
	t.Helper()
	client, err := NewClient(c, kgo.RequestRetries(0), kgo.RecordDeliveryTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()); err != nil {
		return err
	}
	return client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr()
}

func TestLoginsAreThoseOfTheMoment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for _, mechanism := range []string{mechPlain, mechScram256, mechScram512} {
		addr := brokers(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "u", canary))
		c := &Config{
			Properties: map[string]string{"bootstrap.servers": addr, "security.protocol": "sasl_plaintext", "sasl.mechanism": mechanism, "sasl.username": "u"},
			Secrets:    map[string]secret.Secret{"sasl.password": secret.File(file)},
			Insecure:   mechanism == mechPlain,
		}
		write(t, file, "wrong")
		if err := produce(t, c); err == nil || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s with another password: %v", mechanism, err)
		}
		// A client that was made with the old password goes on with the new one.
		client, err := NewClient(c)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, canary+"\n")
		if err := client.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		client.Close()
		if err := produce(t, c); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		module := moduleScram
		if mechanism == mechPlain {
			module = modulePlain
		}
		delete(c.Properties, "sasl.username")
		c.Secrets = map[string]secret.Secret{"sasl.jaas.config": secret.Value(module + ` required username="u" password="` + canary + `";`)}
		if err := produce(t, c); err != nil {
			t.Errorf("%s by JAAS: %v", mechanism, err)
		}
	}
}

func TestSecretsThatAreMissingAreFoundAtTheStart(t *testing.T) {
	for name, c := range map[string]*Config{
		"a password": {
			Properties: map[string]string{"bootstrap.servers": "b:1", "security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN", "sasl.username": "u"},
			Secrets:    map[string]secret.Secret{"sasl.password": secret.Env("KAFKA_TEST_NOT_SET")},
		},
		"a JAAS line of another mechanism": {
			Properties: map[string]string{"bootstrap.servers": "b:1", "security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-256"},
			Secrets:    map[string]secret.Secret{"sasl.jaas.config": secret.Value(moduleOAuth + " required;")},
		},
		"a client secret": {
			Properties: map[string]string{"bootstrap.servers": "b:1", "security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.client.id": "i", "sasl.oauthbearer.token.endpoint.url": "https://a/b"},
			Secrets:    map[string]secret.Secret{"sasl.oauthbearer.client.secret": secret.File("/nonexistent")},
		},
		"a CA":   {Properties: map[string]string{"bootstrap.servers": "b:1", "security.protocol": "ssl", "ssl.ca.location": "/nonexistent"}},
		"no PEM": {Properties: map[string]string{"bootstrap.servers": "b:1", "security.protocol": "ssl", "ssl.ca.pem": "x"}},
		"a key": {
			Properties: map[string]string{"bootstrap.servers": "b:1", "security.protocol": "ssl", "ssl.certificate.pem": "x"},
			Secrets:    map[string]secret.Secret{"ssl.key.pem": secret.Value(canary)},
		},
	} {
		if _, err := NewClient(c); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	// As whoever replaces files does it: written beside, and renamed.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// An authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key, a.cert, a.pem = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "test"}})
	return a
}

func (a *authority) issue(c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(a.n), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// server is a certificate for 127.0.0.1, or for another name.
func (a *authority) server(name string) *tls.Certificate {
	c := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: []string{name}}
	if ip := net.ParseIP(name); ip != nil {
		c.DNSNames, c.IPAddresses = nil, []net.IP{ip}
	}
	key, cert, _ := a.issue(c)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) client(name string) (cert, key string) {
	k, _, text := a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, Subject: pkix.Name{CommonName: name}})
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return text, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestCertificatesThatAreReplacedTakeEffect(t *testing.T) {
	old, next := newAuthority(t), newAuthority(t)
	var serving atomic.Pointer[tls.Certificate]
	var trusted atomic.Pointer[authority]
	var seen atomic.Pointer[string]
	serving.Store(old.server("127.0.0.1"))
	trusted.Store(old)
	addr := brokers(t, kfake.TLS(&tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool := x509.NewCertPool()
		pool.AddCert(trusted.Load().cert)
		return &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*serving.Load()}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
			VerifyConnection: func(s tls.ConnectionState) error { seen.Store(&s.PeerCertificates[0].Subject.CommonName); return nil },
		}, nil
	}}))
	dir := t.TempDir()
	ca, cert, key := filepath.Join(dir, "ca"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	put := func(a *authority, name string) {
		c, k := a.client(name)
		write(t, ca, a.pem)
		write(t, cert, c)
		write(t, key, k)
	}
	put(old, "first")
	config := &Config{Properties: map[string]string{
		"bootstrap.servers": addr, "security.protocol": "ssl", "ssl.ca.location": ca, "ssl.certificate.location": cert, "ssl.key.location": key,
	}}
	opts, err := Options(config)
	if err != nil {
		t.Fatal(err)
	}
	// One set of options, so one dialer, whose client is new each time.
	ping := func() error {
		client, err := kgo.NewClient(append(opts, kgo.RequestRetries(0))...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		return client.Ping(t.Context())
	}
	if err := ping(); err != nil || *seen.Load() != "first" {
		t.Fatalf("%v", err)
	}
	serving.Store(next.server("127.0.0.1"))
	trusted.Store(next)
	if err := ping(); err == nil {
		t.Error("a broker with a certificate of another authority is trusted")
	}
	put(next, "second")
	if err := ping(); err != nil || *seen.Load() != "second" {
		t.Errorf("%v, as %s", err, *seen.Load())
	}
	// Files that do not fit together are those of a replacement that is half done.
	write(t, key, "half")
	if err := ping(); err != nil || *seen.Load() != "second" {
		t.Errorf("%v, as %s", err, *seen.Load())
	}
	// A key in a secret, and both in one file, as Java's PEM stores have it.
	c, k := next.client("third")
	delete(config.Properties, "ssl.key.location")
	write(t, cert, c)
	config.Secrets = map[string]secret.Secret{"ssl.key.pem": secret.Value(k)}
	if err := produce(t, config); err != nil || *seen.Load() != "third" {
		t.Errorf("%v, as %s", err, *seen.Load())
	}
	config.Secrets = nil
	delete(config.Properties, "ssl.certificate.location")
	c, k = next.client("fourth")
	write(t, cert, k+c)
	config.Properties["ssl.keystore.location"], config.Properties["ssl.keystore.type"] = cert, "PEM"
	if err := produce(t, config); err != nil || *seen.Load() != "fourth" {
		t.Errorf("%v, as %s", err, *seen.Load())
	}
}

func TestABrokerIsVerifiedUnlessTheConfigCallsItselfInsecure(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	for _, tc := range []struct {
		name, ca string
		more     [2]string
		ok       bool
	}{
		{"127.0.0.1", a.pem, [2]string{}, true},
		{"elsewhere.example", a.pem, [2]string{}, false},
		{"elsewhere.example", a.pem, [2]string{"ssl.endpoint.identification.algorithm", "none"}, true},
		{"elsewhere.example", other.pem, [2]string{"ssl.endpoint.identification.algorithm", "none"}, false},
		{"elsewhere.example", other.pem, [2]string{"enable.ssl.certificate.verification", "false"}, true},
		{"127.0.0.1", other.pem, [2]string{}, false},
	} {
		addr := brokers(t, kfake.TLS(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*a.server(tc.name)}}))
		c := &Config{Insecure: tc.more[0] != "", Properties: map[string]string{"bootstrap.servers": addr, "security.protocol": "ssl", "ssl.ca.pem": tc.ca}}
		if tc.more[0] != "" {
			c.Properties[tc.more[0]] = tc.more[1]
		}
		if err := produce(t, c); (err == nil) != tc.ok {
			t.Errorf("%s, %v: %v", tc.name, tc.more, err)
		}
	}
}

func ExampleNewClient() {
	client, err := NewClient(&Config{
		Properties: map[string]string{
			"bootstrap.servers": "broker-1.example:9093,broker-2.example:9093",
			"security.protocol": "sasl_ssl",
			"sasl.mechanism":    "SCRAM-SHA-512",
			"sasl.username":     "fieldveil",
			"compression.type":  "zstd",
		},
		Secrets: map[string]secret.Secret{"sasl.password": secret.Value("only for a try")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	fmt.Println(client.OptValue(kgo.ClientID))
	// Output: fieldveil
}
