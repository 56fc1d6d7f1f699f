package vaultkms

import (
	"net/http"
	"time"
)

// An Option sets up a [KMS].
type Option func(*settings)

type settings struct {
	servers   []serverSettings
	namespace string
	caFile    string
	certFile  string
	keyFile   string
	plaintext bool
	transport http.RoundTripper
	timeout   time.Duration
	here      bool
}

type serverSettings struct {
	address string
	auth    Auth
}

// DefaultTimeout is how long a call of this package may take.
const DefaultTimeout = 5 * time.Second

// WithServer adds another server, for KEKs whose URI names its host, with the
// tokens for it. All other options hold for all servers.
func WithServer(address string, auth Auth) Option {
	return func(s *settings) { s.servers = append(s.servers, serverSettings{address, auth}) }
}

// WithNamespace sets the namespace of logins, and of KEKs whose URI names none.
// The default is the root namespace.
func WithNamespace(namespace string) Option { return func(s *settings) { s.namespace = namespace } }

// WithCAFile trusts the certificates of a PEM file, and no others, to have signed
// that of the server. The default are those of the system.
func WithCAFile(path string) Option { return func(s *settings) { s.caFile = path } }

// WithClientCertificate shows a certificate to the server, from two PEM files.
// They are read for each connection, so that they can be replaced.
func WithClientCertificate(certFile, keyFile string) Option {
	return func(s *settings) { s.certFile, s.keyFile = certFile, keyFile }
}

// WithPlaintextServer allows http to an address that is not loopback. Tokens and
// data keys then cross the network in clear. It is for a test network and for
// nothing else.
func WithPlaintextServer() Option { return func(s *settings) { s.plaintext = true } }

// WithTransport makes the connections, in place of a transport of net/http with
// TLS 1.2 or later. It must end a call with its context, and be safe for
// concurrent use. It does not go together with [WithCAFile] and
// [WithClientCertificate].
func WithTransport(rt http.RoundTripper) Option { return func(s *settings) { s.transport = rt } }

// WithTimeout sets how long a call of this package may take, logins included. It
// ends earlier where its context does. The default is [DefaultTimeout].
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithReEncryptHere lets [KMS.ReEncrypt] decrypt a data key and encrypt it anew
// where transit cannot rewrap it: from one key to another, from one server to
// another, and under a key that does not derive. This process then has the data
// key in clear for the time between the two calls, and wipes it. It needs the
// rights to decrypt and to encrypt. The default is not to.
func WithReEncryptHere() Option { return func(s *settings) { s.here = true } }
