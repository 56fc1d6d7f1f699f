package gcpkms

import "crypto/x509"

// WithRoots trusts these authorities for the endpoint, in place of those of the
// machine.
func WithRoots(roots *x509.CertPool) Option { return func(s *settings) { s.roots = roots } }

// WithIAM sends requests for tokens of service accounts to a URL.
func WithIAM(url string) Option { return func(s *settings) { s.iam = url } }
