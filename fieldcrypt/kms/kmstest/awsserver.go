package kmstest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// AWSAccount is the account whose keys an [AWSServer] holds.
const AWSAccount = "111122223333"

// An AWSServer is AWS KMS on a loopback address: it speaks the JSON 1.1 protocol
// over HTTP, so that a test runs with the real SDK, or anything else that calls
// AWS, and with its own set-up. It knows GenerateDataKey, Decrypt, ReEncrypt and
// DescribeKey, checks arguments as AWS documents it, and fails with the codes of
// AWS. [AWSServer.Fault] has it fail as a test wants.
//
// It serves every Region, and tells them apart by the Region that a request is
// signed for. Whether a signature is right it checks only after
// [AWSServer.RequireCredentials]. There are no policies and no grants: everybody
// may use every key, unless a fault says otherwise. Wrapped keys are of a format
// of its own.
//
// It is safe for concurrent use, and may be changed while calls are under way.
type AWSServer struct {
	// URL is where it listens, http://127.0.0.1:port.
	URL string

	http *httptest.Server
	done chan struct{} // closed by Close

	mu       sync.Mutex // guards all below
	keys     map[string]map[string]*awsKey
	aliases  map[string]map[string]string // by Region and alias/name: a key id
	require  *awsCredentials
	faults   []*AWSFault
	requests []AWSRequest
	calls    map[string]int
}

// An AWSKeyState is the state of a key, in the words of DescribeKey.
type AWSKeyState string

// The states.
const (
	AWSEnabled         AWSKeyState = "Enabled"
	AWSDisabled        AWSKeyState = "Disabled"
	AWSPendingDeletion AWSKeyState = "PendingDeletion"
	AWSPendingImport   AWSKeyState = "PendingImport"
	AWSUnavailable     AWSKeyState = "Unavailable"
)

// An awsKey is a key in one Region. Replicas share the cipher.
type awsKey struct {
	id, arn string
	multi   bool
	cipher  *aead.GCM
	state   AWSKeyState
}

// An AWSRequest is what a call asked for. It holds no wrapped key.
type AWSRequest struct {
	// Op is the operation, such as "Decrypt".
	Op string
	// Region and AccessKeyID are those of the signature.
	Region, AccessKeyID string
	// KeyID is the key as the caller named it; of ReEncrypt that which wraps
	// anew.
	KeyID string
	// SourceKeyID is the key that ReEncrypt was told to open with.
	SourceKeyID string
	// Context is the encryption context; of ReEncrypt that of the source.
	Context map[string]string
}

// maxRequests bounds how many requests an AWSServer remembers.
const maxRequests = 1024

// NewAWSServer starts a server without keys. Close ends it.
func NewAWSServer() *AWSServer {
	s := &AWSServer{
		done: make(chan struct{}),
		keys: map[string]map[string]*awsKey{}, aliases: map[string]map[string]string{}, calls: map[string]int{},
	}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close ends the server, and calls that a fault keeps waiting.
func (s *AWSServer) Close() {
	close(s.done)
	s.http.CloseClientConnections()
	s.http.Close()
}

// AddKey makes a key and returns its ARN.
func (s *AWSServer) AddKey(region string) string {
	id := uuid()
	s.add(id, region)
	return awsARN(region, "key/"+id)
}

// AddMultiRegionKey makes a key with replicas in these Regions, the primary
// first, and returns its id, which begins with mrk-. Each replica has a state of
// its own.
func (s *AWSServer) AddMultiRegionKey(regions ...string) string {
	id := "mrk-" + hex.EncodeToString(random(16))
	s.add(id, regions...)
	return id
}

func (s *AWSServer) add(id string, regions ...string) {
	key := random(aead.KeySize)
	defer secret.Wipe(key)
	c, err := aead.NewGCM(secret.Take(key))
	if err != nil {
		panic("kmstest: " + err.Error()) //nolint:forbidigo // the size of the key is right
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, region := range regions {
		if s.keys[region] == nil {
			s.keys[region] = map[string]*awsKey{}
		}
		s.keys[region][id] = &awsKey{
			id: id, arn: awsARN(region, "key/"+id), multi: strings.HasPrefix(id, "mrk-"), cipher: c, state: AWSEnabled,
		}
	}
}

// SetAlias has alias/NAME stand for a key in a Region from now on; an empty key
// deletes the alias. The key is an id or an ARN and must be of that Region:
// anything else is a mistake of the test and panics.
func (s *AWSServer) SetAlias(region, alias, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(alias, "alias/") {
		panic("kmstest: an alias is named alias/NAME") //nolint:forbidigo // a mistake of the test
	}
	if s.aliases[region] == nil {
		s.aliases[region] = map[string]string{}
	}
	if key == "" {
		delete(s.aliases[region], alias)
		return
	}
	s.aliases[region][alias] = s.find(region, key).id
}

// SetState puts a key into a state. The key is an id or an ARN and must be of
// that Region: anything else is a mistake of the test and panics.
func (s *AWSServer) SetState(region, key string, state AWSKeyState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find(region, key).state = state
}

// find returns a key of a Region. The caller holds mu.
func (s *AWSServer) find(region, key string) *awsKey {
	id := strings.TrimPrefix(key, awsARN(region, "key/"))
	k, ok := s.keys[region][id]
	if !ok {
		panic("kmstest: the AWSServer has no such key in " + region) //nolint:forbidigo // a mistake of the test
	}
	return k
}

// Calls returns how often an operation was called, refused and failed calls
// included. Requests that were no call of a known operation count under "".
func (s *AWSServer) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Requests returns what was asked for, oldest first and at most the last 1024.
func (s *AWSServer) Requests() []AWSRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.requests)
	for i := range out {
		out[i].Context = maps.Clone(out[i].Context)
	}
	return out
}

// record counts a call and remembers it.
func (s *AWSServer) record(r AWSRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.Op]++
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	s.requests = append(s.requests, r)
}

// resolve returns the key that a key id names, in any of its forms. The caller
// holds mu.
func (s *AWSServer) resolve(region, keyID string) (*awsKey, *awsError) {
	if keyID == "" {
		return nil, &awsError{code: "ValidationException", message: "1 validation error detected: Value at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"}
	}
	id := keyID
	if strings.HasPrefix(keyID, "arn:") {
		var ok bool
		if id, ok = strings.CutPrefix(keyID, awsARN(region, "")); !ok {
			return nil, &awsError{code: "NotFoundException", message: "Invalid arn " + keyID}
		}
		if rest, isKey := strings.CutPrefix(id, "key/"); isKey {
			id = rest
		} else if !strings.HasPrefix(id, "alias/") {
			return nil, &awsError{code: "NotFoundException", message: "Invalid arn " + keyID}
		}
	}
	if strings.HasPrefix(id, "alias/") {
		target, ok := s.aliases[region][id]
		if !ok {
			return nil, &awsError{code: "NotFoundException", message: fmt.Sprintf("Alias %s is not found.", awsARN(region, id))}
		}
		id = target
	}
	k, ok := s.keys[region][id]
	if !ok {
		return nil, &awsError{code: "NotFoundException", message: fmt.Sprintf("Key '%s' does not exist", awsARN(region, "key/"+id))}
	}
	return k, nil
}

// usable tells whether the state of k allows cryptography.
func (k *awsKey) usable() *awsError {
	switch k.state {
	case AWSEnabled:
		return nil
	case AWSDisabled:
		return &awsError{code: "DisabledException", message: k.arn + " is disabled."}
	case AWSPendingDeletion:
		return &awsError{code: "KMSInvalidStateException", message: k.arn + " is pending deletion."}
	case AWSPendingImport:
		return &awsError{code: "KMSInvalidStateException", message: k.arn + " is pending import."}
	default:
		return &awsError{code: "KMSInvalidStateException", message: k.arn + " is unavailable."}
	}
}

func awsARN(region, resource string) string {
	return "arn:aws:kms:" + region + ":" + AWSAccount + ":" + resource
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
