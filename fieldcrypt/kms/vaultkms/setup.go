package vaultkms

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// New returns a KMS for the server at an address such as https://vault.example:8200,
// which serves the KEKs whose URI names no host or this one. It makes no call.
//
// It fails with kms.ErrInvalid for options that are wrong or contradict each
// other, and for certificates that cannot be read.
func New(address string, auth Auth, opts ...Option) (*KMS, error) {
	s := settings{timeout: DefaultTimeout, servers: []serverSettings{{address, auth}}}
	for _, o := range opts {
		o(&s)
	}
	switch {
	case s.timeout <= 0:
		return nil, fmt.Errorf("vaultkms: a timeout of %v: %w", s.timeout, kms.ErrInvalid)
	case s.namespace != "" && !plainPath(s.namespace):
		return nil, fmt.Errorf("vaultkms: the namespace is no path of letters, digits, dashes, dots, underscores and slashes: %w", kms.ErrInvalid)
	}
	rt, err := s.roundTripper()
	if err != nil {
		return nil, err
	}
	// A redirect leads where the configuration does not, and a client of net/http
	// would take the token along.
	client := &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	k := &KMS{servers: map[string]*server{}, namespace: s.namespace, timeout: s.timeout, here: s.here}
	for _, set := range s.servers {
		srv, err := set.build(client, &s)
		if err != nil {
			return nil, err
		}
		if _, twice := k.servers[srv.host]; twice {
			return nil, fmt.Errorf("vaultkms: one host is configured twice: %w", kms.ErrInvalid)
		}
		k.servers[srv.host] = srv
		if k.home == nil {
			k.home = srv
		}
	}
	return k, nil
}

// FromEnvironment returns a KMS with the settings that the command line of Vault
// and OpenBao reads: VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT,
// VAULT_CLIENT_CERT and VAULT_CLIENT_KEY, or the same with BAO_ in place of
// VAULT_, which goes first. getenv is os.Getenv. With an auth, the token of the
// environment is not read; nil means that it must be there. Options are applied
// last.
//
// It fails as [New] does, and with kms.ErrInvalid where the environment asks for
// certificates not to be checked.
func FromEnvironment(getenv func(string) string, auth Auth, opts ...Option) (*KMS, error) {
	get := func(name string) string {
		if v := getenv("BAO_" + name); v != "" {
			return v
		}
		return getenv("VAULT_" + name)
	}
	if v := get("SKIP_VERIFY"); v != "" {
		if skip, err := strconv.ParseBool(v); err != nil || skip {
			return nil, fmt.Errorf("vaultkms: the environment switches the check of certificates off: %w", kms.ErrInvalid)
		}
	}
	address := get("ADDR")
	if address == "" {
		return nil, fmt.Errorf("vaultkms: the environment has neither BAO_ADDR nor VAULT_ADDR: %w", kms.ErrInvalid)
	}
	if auth == nil {
		auth = Token(get("TOKEN"))
	}
	var found []Option
	if ns := strings.Trim(get("NAMESPACE"), "/"); ns != "" {
		found = append(found, WithNamespace(ns))
	}
	if ca := get("CACERT"); ca != "" {
		found = append(found, WithCAFile(ca))
	}
	if cert, certKey := get("CLIENT_CERT"), get("CLIENT_KEY"); cert != "" || certKey != "" {
		found = append(found, WithClientCertificate(cert, certKey))
	}
	return New(address, auth, append(found, opts...)...)
}

func (set serverSettings) build(client *http.Client, s *settings) (*server, error) {
	host, err := parseAddress(set.address, s.plaintext)
	if err != nil {
		return nil, err
	}
	if set.auth == nil {
		return nil, fmt.Errorf("vaultkms: a server without an Auth: %w", kms.ErrInvalid)
	}
	if err := set.auth.check(); err != nil {
		return nil, err
	}
	return &server{
		base: strings.TrimSuffix(set.address, "/"), host: host, client: client, session: newSession(set.auth, s.namespace),
	}, nil
}

// parseAddress returns the host of an address, in the spelling of a URI. https
// passes, and http where it does not leave the machine. The error does not repeat
// the address: it may hold a password.
func parseAddress(address string, plaintext bool) (string, error) {
	wrong := func(what string) (string, error) {
		return "", fmt.Errorf("vaultkms: the address %s: %w", what, kms.ErrInvalid)
	}
	scheme, host, ok := strings.Cut(strings.TrimSuffix(address, "/"), "://")
	if !ok || !plainHost(host) {
		return wrong("is not https://host:port, with the host in small letters and nothing behind it")
	}
	switch {
	case scheme == "https", scheme == "http" && (plaintext || loopback(host)):
		return host, nil
	case scheme == "http":
		return wrong("is http and not on a loopback address")
	}
	return wrong("is neither https nor http")
}

func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// roundTripper returns what makes the connections.
func (s *settings) roundTripper() (http.RoundTripper, error) {
	if s.transport != nil {
		if s.caFile != "" || s.certFile != "" || s.keyFile != "" {
			return nil, fmt.Errorf("vaultkms: certificates are of no use with a transport of one's own: %w", kms.ErrInvalid)
		}
		return s.transport, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.caFile != "" {
		pem, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, fmt.Errorf("vaultkms: the file of the CA cannot be read: %w", kms.ErrInvalid)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("vaultkms: the file of the CA has no certificate: %w", kms.ErrInvalid)
		}
	}
	if s.certFile != "" || s.keyFile != "" {
		certFile, keyFile := s.certFile, s.keyFile
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				// The error of the library may repeat a part of the file.
				return nil, fmt.Errorf("vaultkms: the certificate for the server and its key cannot be read: %w", kms.ErrInvalid)
			}
			return &cert, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	const idle, idlePerHost, headerBytes = 90 * time.Second, 20, 16 << 10
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: idle, MaxResponseHeaderBytes: headerBytes,
		// What is bounded is then what comes over the wire.
		DisableCompression: true,
	}, nil
}
