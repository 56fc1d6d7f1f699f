package auth

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// pair is the certificate of this process, and those that sign callers'.
type pair struct {
	config *tls.Config
	roots  map[string]bool // by their bytes; nil where no certificates are asked for
}

// newPair makes a pair of the contents of files. The error holds nothing of them.
func newPair(c *Config, cert, key, ca []byte) (*pair, error) {
	leaf, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert: %s: certificate and key are not a pair in PEM", c.TLS.Cert)
	}
	p := &pair{config: &tls.Config{
		Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"},
	}}
	if c.TLS.MinVersion == "1.2" {
		p.config.MinVersion = tls.VersionTLS12
	}
	how := c.clientAuth()
	if how == clientNone {
		return p, nil
	}
	p.config.ClientAuth = tls.RequireAndVerifyClientCert
	if how == clientOptional {
		p.config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	// A session that is taken up again shows no certificate, and the authority that
	// signed it may be gone since.
	p.config.SessionTicketsDisabled = true
	p.config.ClientCAs, p.roots = x509.NewCertPool(), make(map[string]bool)
	for rest := ca; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, fmt.Errorf("tls.client_ca: %s holds something that is no certificate", c.TLS.ClientCA)
		}
		p.config.ClientCAs.AddCert(root)
		p.roots[string(root.Raw)] = true
	}
	if len(p.roots) == 0 {
		return nil, fmt.Errorf("tls.client_ca: %s holds no certificate", c.TLS.ClientCA)
	}
	return p, nil
}

// principal returns who is at the other end of a connection, and false where it
// showed no certificate. A connection lives longer than a handshake: its
// certificate may have expired since, and its authority may be gone.
func (p *pair) principal(state *tls.ConnectionState, domain string, now time.Time) (Principal, bool, error) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return Principal{}, false, nil
	}
	trusted := false
	for _, chain := range state.VerifiedChains {
		trusted = trusted || p.trusts(chain, now)
	}
	if !trusted {
		return Principal{}, true, unauthenticated(ReasonCertificate)
	}
	leaf := state.PeerCertificates[0]
	if domain != "" {
		id, ok := spiffeID(leaf.URIs, domain)
		if !ok {
			return Principal{}, true, unauthenticated(ReasonSPIFFE)
		}
		return Principal{Name: id, Method: MethodMTLS}, true, nil
	}
	switch {
	case validCertName(leaf.Subject.CommonName):
		return Principal{Name: prefixCN + leaf.Subject.CommonName, Method: MethodMTLS}, true, nil
	case len(leaf.DNSNames) > 0 && validCertName(leaf.DNSNames[0]):
		return Principal{Name: prefixDNS + leaf.DNSNames[0], Method: MethodMTLS}, true, nil
	default:
		return Principal{}, true, unauthenticated(ReasonCertificate)
	}
}

func (p *pair) trusts(chain []*x509.Certificate, now time.Time) bool {
	for _, cert := range chain {
		if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
			return false
		}
	}
	return len(chain) > 0 && p.roots[string(chain[len(chain)-1].Raw)]
}

func validCertName(name string) bool {
	return name != "" && len(name) <= maxClaim && strings.Trim(name, "*") != "" && isPrint(name)
}

// isPrint tells whether a name can stand in a line of a log.
func isPrint(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}

const maxSPIFFE = 2048

// spiffeID returns the SPIFFE id of a certificate, which has one URI and no other.
func spiffeID(uris []*url.URL, domain string) (string, bool) {
	if len(uris) != 1 {
		return "", false
	}
	u := uris[0]
	id := u.String()
	if u.Scheme != "spiffe" || u.Host != domain || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" ||
		len(id) > maxSPIFFE || len(u.Path) < 2 || id != prefixSPIFFE+domain+u.Path {
		return "", false
	}
	for part := range strings.SplitSeq(u.Path[1:], "/") {
		if part == "" || part == "." || part == ".." ||
			strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" {
			return "", false
		}
	}
	return id, true
}
