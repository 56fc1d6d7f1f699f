package kmstest

import (
	"encoding/hex"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// A VaultServer is HashiCorp Vault or OpenBao on a loopback address: it speaks
// the HTTP API of the transit engine, of tokens, and of the logins by AppRole and
// Kubernetes, so that a test runs with a real client. Its statuses and messages
// are those of OpenBao 2.7, and where the two differ it is OpenBao.
// [VaultServer.Fault] has it fail as a test wants.
//
// It encrypts with AES-256-GCM whatever type an AEAD key is said to have, and
// derives with HKDF-SHA-256, so a wrong key, version, context or associated data
// fails as it does there. Keys of other types are refused, and convergent keys and
// batches are not there. Policies are a list of paths for each token. Its
// ciphertexts are of the form vault:v1:BASE64, and no other server opens them.
//
// It is safe for concurrent use, and may be changed while calls are under way.
type VaultServer struct {
	// URL is where it listens, http://127.0.0.1:port.
	URL string
	// RootToken may do everything, and does not end.
	RootToken string

	http *httptest.Server
	done chan struct{} // closed by Close

	mu       sync.Mutex           // guards all below
	keys     map[string]*vaultKey // by path, such as transit/keys/pii
	tokens   map[string]*vaultToken
	logins   map[string][]vaultLogin // by mount
	sealed   bool
	old      bool
	faults   []*VaultFault
	requests []VaultRequest
	calls    map[string]int
}

// A VaultKey says how a key of a [VaultServer] is made.
type VaultKey struct {
	// Type is that of transit; empty means aes256-gcm96.
	Type string
	// Derived keys need a context with each call.
	Derived bool
}

// A VaultToken says what a token may do, and how long. The zero value does not
// end, cannot be renewed and may do everything.
type VaultToken struct {
	// TTL is how long it lives, and what a renewal gives; zero means for ever.
	TTL time.Duration
	// MaxTTL is how long it lives with all its renewals; zero means for ever.
	MaxTTL time.Duration
	// Renewable tokens can be renewed.
	Renewable bool
	// Allow are the paths that it may update, such as transit/encrypt/pii, beside
	// those to renew itself and to look itself up. Nil means all, and the right to
	// create keys.
	Allow []string
}

type vaultToken struct {
	VaultToken

	made, expires time.Time // expires is zero for one that does not end
}

// A vaultLogin exchanges a credential for tokens.
type vaultLogin struct {
	kubernetes       bool
	role, credential string
	token            VaultToken
}

// A VaultRequest is what a call asked for. It holds no body.
type VaultRequest struct {
	// Op is the operation: encrypt, decrypt, rewrap, datakey, login, renew-self,
	// lookup-self, revoke-self, keys or health; empty for anything else.
	Op string
	// Path is below /v1/, and Namespace and Token are what the headers said.
	Path, Namespace, Token string
}

// NewVaultServer starts a server without keys. Close ends it.
func NewVaultServer() *VaultServer {
	s := &VaultServer{
		done: make(chan struct{}),
		keys: map[string]*vaultKey{}, tokens: map[string]*vaultToken{}, logins: map[string][]vaultLogin{}, calls: map[string]int{},
	}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	s.RootToken = s.AddToken(VaultToken{})
	return s
}

// Close ends the server, and calls that a fault keeps waiting.
func (s *VaultServer) Close() {
	close(s.done)
	s.http.CloseClientConnections()
	s.http.Close()
}

// AddKey makes a key, in the place of one that is there, at a path such as
// transit/keys/pii. The part before /keys/ is a mount of transit from then on; a
// namespace goes in front of it.
func (s *VaultServer) AddKey(path string, k VaultKey) {
	if k.Type == "" {
		k.Type = vaultDefaultType
	}
	key := newVaultKey(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[path] = key
}

// RotateKey gives a key a new version, which encrypts from now on.
func (s *VaultServer) RotateKey(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find(path).rotate()
}

// SetMinVersions sets the oldest versions that decrypt and that encrypt.
func (s *VaultServer) SetMinVersions(path string, decryption, encryption int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(path)
	k.minDecryption, k.minEncryption = decryption, encryption
}

// SoftDeleteKey has a key refused until it is restored.
func (s *VaultServer) SoftDeleteKey(path string, deleted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find(path).softDeleted = deleted
}

// DeleteKey deletes a key for good. Its mount stays.
func (s *VaultServer) DeleteKey(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(path)
	for _, version := range k.versions {
		secret.Wipe(version)
	}
	s.keys[path] = nil
}

// find returns a key. The caller holds mu. A key that is not there is a mistake
// of the test and panics.
func (s *VaultServer) find(path string) *vaultKey {
	k := s.keys[path]
	if k == nil {
		panic("kmstest: the VaultServer has no such key") //nolint:forbidigo // a mistake of the test
	}
	return k
}

// AddToken makes a token and returns it.
func (s *VaultServer) AddToken(t VaultToken) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addToken(t)
}

func (s *VaultServer) addToken(t VaultToken) string {
	const size = 12
	value, now := "s."+hex.EncodeToString(random(size)), time.Now()
	made := &vaultToken{VaultToken: t, made: now}
	made.extend(now)
	s.tokens[value] = made
	return value
}

// extend gives t its TTL anew, as far as its maximum lets it.
func (t *vaultToken) extend(now time.Time) {
	if t.TTL == 0 {
		return
	}
	t.expires = now.Add(t.TTL)
	if end := t.made.Add(t.MaxTTL); t.MaxTTL > 0 && t.expires.After(end) {
		t.expires = end
	}
}

// left returns how many seconds t lives, zero for one that does not end.
func (t *vaultToken) left(now time.Time) int64 {
	if t.expires.IsZero() {
		return 0
	}
	return int64(t.expires.Sub(now).Round(time.Second) / time.Second)
}

// RevokeToken ends a token.
func (s *VaultServer) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// AddAppRole lets a role id and a secret id log in at auth/MOUNT/login for tokens
// of that kind. An empty secret id is for a role that binds none.
func (s *VaultServer) AddAppRole(mount, roleID, secretID string, t VaultToken) {
	s.addLogin(mount, vaultLogin{role: roleID, credential: secretID, token: t})
}

// AddKubernetesRole lets a role and the token of a service account log in at
// auth/MOUNT/login for tokens of that kind.
func (s *VaultServer) AddKubernetesRole(mount, role, jwt string, t VaultToken) {
	s.addLogin(mount, vaultLogin{kubernetes: true, role: role, credential: jwt, token: t})
}

func (s *VaultServer) addLogin(mount string, l vaultLogin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins[mount] = append(s.logins[mount], l)
}

// RemoveLogins takes all roles away from a mount, and the mount.
func (s *VaultServer) RemoveLogins(mount string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.logins, mount)
}

// Seal has every call answered with 503 until the server is unsealed.
func (s *VaultServer) Seal(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// IgnoreAssociatedData makes the server as old as Vault 1.12, which did not know
// the parameter and ignored it.
func (s *VaultServer) IgnoreAssociatedData() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old = true
}

// Calls returns how often an operation was called, refused and failed calls
// included.
func (s *VaultServer) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Requests returns what was asked for, oldest first and at most the last 1024.
func (s *VaultServer) Requests() []VaultRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// record counts a call and remembers it.
func (s *VaultServer) record(r VaultRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.Op]++
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	s.requests = append(s.requests, r)
}

// isMount tells whether transit is at a path. The caller holds mu.
func (s *VaultServer) isMount(path string) bool {
	for key := range maps.Keys(s.keys) {
		if strings.HasPrefix(key, path+"/keys/") {
			return true
		}
	}
	return false
}
