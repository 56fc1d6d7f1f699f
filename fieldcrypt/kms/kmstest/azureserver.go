package kmstest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// AzureTenant is the tenant that an [AzureServer] sends its callers to.
const AzureTenant = "11111111-2222-4333-8444-555555555555"

// azureLogin is the host that hands out tokens.
const azureLogin = "login.microsoftonline.com"

// An AzureServer is Azure Key Vault and Managed HSM on a loopback address, with
// the part of Microsoft Entra that hands out tokens: it speaks their REST
// protocols over TLS, so that a test runs with the real SDK, or anything else that
// calls Azure. It knows WrapKey and UnwrapKey with RSA-OAEP-256 and A256KW, and
// GetKey; it challenges who comes without a token, and fails with the codes of
// Azure. [AzureServer.Fault] has it fail as a test wants.
//
// It is every vault at once, and tells them apart by the host that a request is
// made to; [AzureServer.Client] takes all hosts to it. There are no roles: who has
// a token for the audience of a vault may do everything, unless a fault says
// otherwise.
//
// It is safe for concurrent use, and may be changed while calls are under way.
type AzureServer struct {
	http *httptest.Server
	cert *x509.Certificate
	done chan struct{} // closed by Close

	mu       sync.Mutex                 // guards all below
	keys     map[string][]*azureVersion // by vault and name in small letters: oldest first
	tokens   map[string]azureToken
	client   *azureClient
	faults   []*AzureFault
	requests []AzureRequest
	calls    map[string]int
}

// An AzureKeyType is what a key is made of.
type AzureKeyType string

// The types.
const (
	AzureRSA    AzureKeyType = "RSA"     // of 2048 bits
	AzureRSA3k  AzureKeyType = "RSA-3k"  // of 3072 bits
	AzureRSA4k  AzureKeyType = "RSA-4k"  // of 4096 bits
	AzureOctHSM AzureKeyType = "oct-HSM" // of 256 bits; only in Managed HSM
	AzureEC     AzureKeyType = "EC"      // which cannot wrap
)

// AzureAttributes are what an operator sets of a version of a key.
type AzureAttributes struct {
	// Disabled keeps it from everything.
	Disabled bool
	// NotBefore and Expires bound the time in which it wraps. What it has wrapped
	// it unwraps at any time. Zero means no bound.
	NotBefore, Expires time.Time
}

// An azureVersion is one version of a key.
type azureVersion struct {
	vault, name, version string
	kind                 AzureKeyType
	rsa                  *rsa.PrivateKey
	aes                  cipher.Block
	attributes           AzureAttributes
}

func (v *azureVersion) kid() string {
	return "https://" + v.vault + "/keys/" + v.name + "/" + v.version
}

// An AzureRequest is what a call asked for. It holds no key and no token.
type AzureRequest struct {
	// Op is "wrapkey", "unwrapkey", "getkey", "token", or "challenge" for a call
	// that came without a token.
	Op string
	// Host is where it was made to.
	Host string
	// Key and Version are those of the path.
	Key, Version string
	// Algorithm is that of the body, and of a token the scope.
	Algorithm string
}

// NewAzureServer starts a server without keys, that is also every vault in the
// given domains. Close ends it.
func NewAzureServer(domains ...string) *AzureServer {
	s := &AzureServer{
		done: make(chan struct{}), keys: map[string][]*azureVersion{}, tokens: map[string]azureToken{}, calls: map[string]int{},
	}
	names := []string{azureLogin}
	for _, d := range slices.Concat(azureDomains(), domains) {
		names = append(names, "*."+d)
	}
	cert := s.certificate(names)
	s.http = httptest.NewUnstartedServer(s)
	s.http.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.http.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // a client that hangs up is no news
	s.http.StartTLS()
	return s
}

// azureDomains are those of the vaults of all clouds.
func azureDomains() []string {
	return []string{
		"vault.azure.net", "managedhsm.azure.net", "vault.azure.cn", "managedhsm.azure.cn",
		"vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net",
	}
}

// certificate makes the certificate of the server.
func (s *AzureServer) certificate(names []string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("kmstest: " + err.Error()) //nolint:forbidigo // the curve is known
	}
	const life = 24 * time.Hour
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		DNSNames: names, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err == nil {
		s.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		panic("kmstest: " + err.Error()) //nolint:forbidigo // all of it was chosen here
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Close ends the server, and calls that a fault keeps waiting.
func (s *AzureServer) Close() {
	close(s.done)
	s.http.CloseClientConnections()
	s.http.Close()
}

// Addr returns the loopback address where it listens, host and port.
func (s *AzureServer) Addr() string { return s.http.Listener.Addr().String() }

// Certificate returns the certificate that it is trusted by, in DER.
func (s *AzureServer) Certificate() []byte { return slices.Clone(s.cert.Raw) }

// Client returns a client that reaches the server whatever host it asks for, and
// trusts its certificate and no other. Each call makes one with connections of
// its own.
func (s *AzureServer) Client() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.cert)
	dialer := &net.Dialer{}
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.Addr())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}
}

// AddKey gives a key of a vault, by its host name, a new version, and returns the
// name of the version. The first one makes the key.
func (s *AzureServer) AddKey(vault, name string, kind AzureKeyType) string {
	v := &azureVersion{vault: vault, name: name, version: hex.EncodeToString(random(16)), kind: kind}
	bits := map[AzureKeyType]int{AzureRSA: 2048, AzureRSA3k: 3072, AzureRSA4k: 4096}[kind]
	var err error
	switch {
	case bits != 0:
		v.rsa, err = rsa.GenerateKey(rand.Reader, bits)
	case kind == AzureOctHSM:
		v.aes, err = aes.NewCipher(random(32))
	case kind != AzureEC:
		panic("kmstest: no type of key " + string(kind)) //nolint:forbidigo // a mistake of the test
	}
	if err != nil {
		panic("kmstest: " + err.Error()) //nolint:forbidigo // the sizes are right
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := azureID(vault, name)
	s.keys[at] = append(s.keys[at], v)
	return v.version
}

// SetAttributes sets the attributes of a version of a key, and of the newest one
// where version is empty. One that does not exist is a mistake of the test and
// panics.
func (s *AzureServer) SetAttributes(vault, name, version string, a AzureAttributes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.find(vault, name, version)
	if v == nil {
		panic(fmt.Sprintf("kmstest: the AzureServer has no key %s in %s", name, vault)) //nolint:forbidigo // a mistake of the test
	}
	v.attributes = a
}

// DeleteKey deletes a key with all its versions.
func (s *AzureServer) DeleteKey(vault, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, azureID(vault, name))
}

// find returns a version of a key, or nil. The caller holds mu.
func (s *AzureServer) find(vault, name, version string) *azureVersion {
	versions := s.keys[azureID(vault, name)]
	if version == "" && len(versions) > 0 {
		return versions[len(versions)-1]
	}
	i := slices.IndexFunc(versions, func(v *azureVersion) bool { return v.version == version })
	if i < 0 {
		return nil
	}
	return versions[i]
}

func azureID(vault, name string) string { return vault + "/" + strings.ToLower(name) }

// Calls returns how often an operation was called, refused and failed calls
// included. Requests that were no call of a known operation count under "".
func (s *AzureServer) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Requests returns what was asked for, oldest first and at most the last 1024.
func (s *AzureServer) Requests() []AzureRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// record counts a call and remembers it.
func (s *AzureServer) record(r AzureRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.Op]++
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	s.requests = append(s.requests, r)
}
