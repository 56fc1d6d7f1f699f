package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// tlsSettings is what the ssl properties say.
type tlsSettings struct {
	caFile, caPEM     string
	certFile, certPEM string
	keyFile           string
	key               secret.Secret

	anyName, anyPeer bool
	unverifiedBy     string // the property that said so
}

func (t *tlsSettings) used() bool {
	return t.caFile != "" || t.caPEM != "" || t.hasCert() || t.hasKey()
}
func (t *tlsSettings) hasCert() bool    { return t.certFile != "" || t.certPEM != "" }
func (t *tlsSettings) hasKey() bool     { return t.keyFile != "" || t.key.IsSet() }
func (t *tlsSettings) unverified() bool { return t.anyName || t.anyPeer }

func (t *tlsSettings) check(bad func(key, format string, args ...any)) {
	if t.caFile != "" && t.caPEM != "" {
		bad("ssl.ca.pem", "there is ssl.ca.location too")
	}
	if t.certFile != "" && t.certPEM != "" {
		bad("ssl.certificate.pem", "there is ssl.certificate.location too")
	}
	if t.hasCert() != t.hasKey() {
		bad("ssl.certificate.location", "a certificate and its key come together")
	}
	if t.keyFile != "" && t.key.IsSet() {
		bad("ssl.key.location", "there is ssl.key.pem too")
	}
	for key, file := range map[string]string{"ssl.ca.location": t.caFile, "ssl.certificate.location": t.certFile} {
		switch strings.ToLower(filepath.Ext(file)) {
		case ".jks", ".p12", ".pfx":
			bad(key, "%s", onlyPEM(nil, ""))
		}
	}
}

// maxPEM is how large a file of certificates may be.
const maxPEM = 4 << 20

// A dialer connects with TLS. It reads the files for each connection, which are
// few, so that certificates that are replaced take effect; as long as what it
// finds is not good, what it found before stands.
type dialer struct {
	set     tlsSettings
	timeout time.Duration

	mu   sync.Mutex
	pool *x509.CertPool // nil for the system's
	cert *tls.Certificate
}

func newDialer(set *tlsSettings, timeout time.Duration) (*dialer, error) {
	d := &dialer{set: *set, timeout: timeout}
	if err := d.read(); err != nil {
		return nil, err
	}
	return d, nil
}

// read loads the files. With an error it has changed nothing.
func (d *dialer) read() error {
	var pool *x509.CertPool
	if pem, err := textOrFile(d.set.caPEM, d.set.caFile); err != nil {
		return fmt.Errorf("properties.ssl.ca.location: %w", err)
	} else if pem != nil {
		pool = x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return errors.New("properties.ssl.ca.location: there is no certificate in it that is PEM")
		}
	}
	cert, err := d.set.certificate()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pool, d.cert = pool, cert
	return nil
}

func (t *tlsSettings) certificate() (*tls.Certificate, error) {
	if !t.hasCert() {
		return nil, nil
	}
	chain, err := textOrFile(t.certPEM, t.certFile)
	if err != nil {
		return nil, fmt.Errorf("properties.ssl.certificate.location: %w", err)
	}
	var key []byte
	if t.key.IsSet() {
		if key, err = t.key.Read(); err != nil {
			return nil, fmt.Errorf("secrets.ssl.key.pem: %w", err)
		}
	} else if key, err = textOrFile("", t.keyFile); err != nil {
		return nil, fmt.Errorf("properties.ssl.key.location: %w", err)
	}
	if bytes.Contains(key, []byte("ENCRYPTED")) {
		return nil, errors.New("properties.ssl.key.location: keys with a password are not supported")
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		// What the error says of a key may be of the key.
		return nil, errors.New("properties.ssl.certificate.location: certificate and key are not PEM, or do not belong together")
	}
	return &cert, nil
}

func textOrFile(text, path string) ([]byte, error) {
	if path == "" {
		if text == "" {
			return nil, nil
		}
		return []byte(text), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPEM {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxPEM)
	}
	return os.ReadFile(path)
}

// config returns what a connection to host is made with.
func (d *dialer) config(host string) *tls.Config {
	// Files that are being replaced may not fit together yet.
	_ = d.read()
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: d.pool}
	if cert := d.cert; cert != nil {
		// Whatever issuers the broker names: it is the one certificate there is.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	switch {
	case d.set.anyPeer:
		c.InsecureSkipVerify = true
	case d.set.anyName:
		pool := d.pool
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s.PeerCertificates, pool) }
	}
	return c
}

// verifyChain verifies a peer, whatever its name is.
func verifyChain(peer []*x509.Certificate, roots *x509.CertPool) error {
	if len(peer) == 0 {
		return errors.New("kafka: the broker has no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range peer[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := peer[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: peer, Err: err}
	}
	return nil
}

// dial is the client's way to a broker.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return (&tls.Dialer{NetDialer: new(net.Dialer), Config: d.config(host)}).DialContext(ctx, network, addr)
}
