package gcpkmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
)

// A State is the state of a version of a key, in the words of Google.
type State = kmspb.CryptoKeyVersion_CryptoKeyVersionState

// The states.
const (
	Enabled           = kmspb.CryptoKeyVersion_ENABLED
	Disabled          = kmspb.CryptoKeyVersion_DISABLED
	Destroyed         = kmspb.CryptoKeyVersion_DESTROYED
	DestroyScheduled  = kmspb.CryptoKeyVersion_DESTROY_SCHEDULED
	PendingGeneration = kmspb.CryptoKeyVersion_PENDING_GENERATION
)

// A Server is Cloud KMS on a loopback address. It is safe for concurrent use, and
// may be changed while calls are under way.
type Server struct {
	// URL is where it listens, http://127.0.0.1:port.
	URL string

	grpc     *grpc.Server
	listener *listener
	served   chan struct{} // closed when the gRPC server has ended
	done     chan struct{} // closed by Close

	mu       sync.Mutex // guards all below
	keys     map[string]*key
	tokens   []string
	faults   []*Fault
	requests []Request
	calls    map[string]int
}

// A key is a key with its versions, the first of which has the number 1.
type key struct {
	name     string
	primary  int // number of a version
	versions []*version
}

type version struct {
	name   string
	cipher cipher.AEAD
	state  State
}

// A Request is what a call asked for. It holds no key, wrapped or not.
type Request struct {
	// Op is the operation, such as "Decrypt".
	Op string
	// Name is the key as the caller named it.
	Name string
	// Token is what the caller has shown, without "Bearer ".
	Token string
	// Routing is the header x-goog-request-params, and UserProject the header
	// x-goog-user-project.
	Routing, UserProject string
	// AAD is the additional authenticated data.
	AAD []byte
	// Time is what the caller has left for the call, and zero when it set no
	// deadline.
	Time time.Duration
}

// maxRequests bounds how many requests a Server remembers.
const maxRequests = 1024

// NewServer starts a server without keys. Close ends it.
func NewServer() *Server {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test has no context before it begins
	if err != nil {
		panic("gcpkmstest: " + err.Error()) //nolint:forbidigo // as net/http/httptest does
	}
	s := &Server{
		URL: "http://" + l.Addr().String(), listener: &listener{Listener: l, conns: map[string]*conn{}},
		served: make(chan struct{}), done: make(chan struct{}),
		keys: map[string]*key{}, calls: map[string]int{},
	}
	const maxRequest = 256 << 10
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest))
	kmspb.RegisterKeyManagementServiceServer(s.grpc, service{Server: s})
	go func() {
		defer close(s.served)
		_ = s.grpc.Serve(s.listener) // ends with Close
	}()
	return s
}

// Close ends the server, and calls that a fault keeps waiting.
func (s *Server) Close() {
	close(s.done)
	s.grpc.Stop()
	<-s.served
}

var keyName = regexp.MustCompile(`^projects/([^/]+)/locations/([^/]+)/keyRings/([a-zA-Z0-9_-]{1,63})/cryptoKeys/([a-zA-Z0-9_-]{1,63})$`)

// AddKey makes a key with one enabled version and returns name, which is
// projects/P/locations/L/keyRings/R/cryptoKeys/K: anything else, and a key that
// is there, is a mistake of the test and panics.
func (s *Server) AddKey(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keyName.MatchString(name) {
		panic("gcpkmstest: a key is named projects/P/locations/L/keyRings/R/cryptoKeys/K") //nolint:forbidigo // a mistake of the test
	}
	if s.keys[name] != nil {
		panic("gcpkmstest: there is such a key") //nolint:forbidigo // a mistake of the test
	}
	k := &key{name: name}
	k.add()
	s.keys[name] = k
	return name
}

// Rotate gives a key a new version, which is its primary from now on, and returns
// its number.
func (s *Server) Rotate(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(name).add()
}

// SetPrimary makes a version the primary one. Both must be there.
func (s *Server) SetPrimary(name string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(name)
	k.version(number)
	k.primary = number
}

// SetState puts a version of a key into a state. Both must be there.
func (s *Server) SetState(name string, number int, state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find(name).version(number).state = state
}

// RequireTokens has the server take calls with one of these access tokens only.
// Without any it takes every call.
func (s *Server) RequireTokens(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = slices.Clone(tokens)
}

// Calls returns how often an operation was called, refused and failed calls
// included.
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Requests returns what was asked for, oldest first and at most the last 1024.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.requests)
	for i := range out {
		out[i].AAD = slices.Clone(out[i].AAD)
	}
	return out
}

// CutConnections closes all connections, as a server does that is restarted.
func (s *Server) CutConnections() { s.listener.cut() }

// Credentials are credentials with a token that never ends, for a KMS that calls
// a Server.
func Credentials(token string) *auth.Credentials {
	return auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: staticToken(token)})
}

// record counts a call and remembers it.
func (s *Server) record(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.Op]++
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	s.requests = append(s.requests, *r)
}

// find returns a key that must be there. The caller holds mu.
func (s *Server) find(name string) *key {
	k, ok := s.keys[name]
	if !ok {
		panic("gcpkmstest: there is no such key") //nolint:forbidigo // a mistake of the test
	}
	return k
}

func (k *key) version(number int) *version {
	if number < 1 || number > len(k.versions) {
		panic("gcpkmstest: there is no such version") //nolint:forbidigo // a mistake of the test
	}
	return k.versions[number-1]
}

// add makes a version, the primary one.
func (k *key) add() int {
	raw := make([]byte, 32) // AES-256
	_, _ = rand.Read(raw)   // never fails
	defer clear(raw)
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic("gcpkmstest: " + err.Error()) //nolint:forbidigo // the size of the key is right
	}
	c, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("gcpkmstest: " + err.Error()) //nolint:forbidigo // the block is one of AES
	}
	k.primary = len(k.versions) + 1
	k.versions = append(k.versions, &version{name: k.name + "/cryptoKeyVersions/" + strconv.Itoa(k.primary), cipher: c, state: Enabled})
	return k.primary
}

// lookup returns the key that a request names, with a version when it names one.
// The caller holds mu.
func (s *Server) lookup(name string) (k *key, number int, err error) {
	keyPart, versionPart, hasVersion := strings.Cut(name, "/cryptoKeyVersions/")
	if !keyName.MatchString(keyPart) {
		return nil, 0, invalidf("Resource name %q is invalid.", name)
	}
	k, ok := s.keys[keyPart]
	if !ok {
		return nil, 0, notFoundf("CryptoKey %s not found.", keyPart)
	}
	if !hasVersion {
		return k, 0, nil
	}
	number, bad := strconv.Atoi(versionPart)
	if bad != nil {
		return nil, 0, invalidf("Resource name %q is invalid.", name)
	}
	if number < 1 || number > len(k.versions) {
		return nil, 0, notFoundf("CryptoKeyVersion %s not found.", name)
	}
	return k, number, nil
}

// usable tells whether the state of v allows cryptography.
func (v *version) usable() error {
	if v.state == Enabled {
		return nil
	}
	return preconditionf("%s is not enabled, current state is: %s.", v.name, v.state)
}

// additional is what a version seals a wrapped key with, beside what the caller
// gives: the name holds no zero byte.
func (v *version) additional(aad []byte) []byte {
	return append(fmt.Append(nil, v.name, "\x00"), aad...)
}
