package registry

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// WithTLS makes connections with a copy of cfg, and with TLS 1.2 at least.
func WithTLS(cfg *tls.Config) Option {
	return func(c *config) error {
		switch {
		case cfg == nil:
			return errors.New("registry: no TLS configuration")
		case c.tls != nil:
			return errors.New("registry: two options configure TLS")
		}
		c.tls = cfg.Clone()
		c.tls.MinVersion = max(c.tls.MinVersion, tls.VersionTLS12)
		return nil
	}
}

// WithTLSFiles trusts the certificates of the PEM file ca alone, and shows those
// of cert with the key of key. Either may be left out: ca alone, or cert and
// key. The certificate is read again for each new connection, so that it can be
// renewed; while its files cannot be read, the one before serves.
func WithTLSFiles(ca, cert, key string) Option {
	return func(c *config) error {
		cfg := &tls.Config{MinVersion: tls.VersionTLS12}
		if ca == "" && cert == "" {
			return errors.New("registry: no TLS files")
		}
		if ca != "" {
			pem, err := os.ReadFile(ca)
			if err != nil {
				return fmt.Errorf("registry: certificates to trust: %w", err)
			}
			cfg.RootCAs = x509.NewCertPool()
			if !cfg.RootCAs.AppendCertsFromPEM(pem) {
				return fmt.Errorf("registry: no certificate in %s", ca)
			}
		}
		if (cert == "") != (key == "") {
			return errors.New("registry: a certificate and its key go together")
		}
		if cert != "" {
			k := &keyPair{cert: cert, key: key}
			if _, err := k.read(); err != nil {
				return fmt.Errorf("registry: client certificate in %s: %w", cert, err)
			}
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k.read() }
		}
		return WithTLS(cfg)(c)
	}
}

// A keyPair is a client certificate in files.
type keyPair struct {
	cert, key string

	mu   sync.Mutex
	last *tls.Certificate
}

func (k *keyPair) read() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err == nil {
		k.last = &pair
	}
	if k.last == nil {
		return nil, err
	}
	return k.last, nil
}

// newTransport returns a transport that waits for nothing without end.
func newTransport(cfg *tls.Config) http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        cfg,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           32,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
