package tinkkms

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/core/registry"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// An Option sets up a [KMS].
type Option func(*settings)

type settings struct {
	aeads     map[string]tink.AEAD
	aware     map[string]tink.AEADWithContext
	clients   []registry.KMSClient
	masters   map[string]string
	cleartext bool
	timeout   time.Duration
	classify  func(error) error
}

// DefaultTimeout is how long one call of an AEAD may take.
const DefaultTimeout = 5 * time.Second

// WithCleartextKeysets allows keyset files in clear. It is for development: who
// reads such a file opens every data key.
func WithCleartextKeysets() Option { return func(s *settings) { s.cleartext = true } }

// WithClients adds KMS clients of Tink, for KEKs that are key URIs and for master
// keys. Of those that support a key URI the first is asked.
func WithClients(clients ...registry.KMSClient) Option {
	return func(s *settings) { s.clients = append(s.clients, clients...) }
}

// WithMasterKey says that the keyset file at path, as the URI of the KEK spells
// it, is encrypted under the key of this key URI, by a client of [WithClients] and
// without associated data. Such a file is never read as one in clear.
func WithMasterKey(path, keyURI string) Option {
	return func(s *settings) {
		if s.masters == nil {
			s.masters = map[string]string{}
		}
		s.masters[path] = keyURI
	}
}

// WithAEAD has a stand for the KEK of this URI, which is tink: and any name.
func WithAEAD(uri string, a tink.AEAD) Option {
	return func(s *settings) {
		if s.aeads == nil {
			s.aeads = map[string]tink.AEAD{}
		}
		s.aeads[uri] = a
	}
}

// WithAEADWithContext is as [WithAEAD], for an AEAD that ends its calls by
// itself.
func WithAEADWithContext(uri string, a tink.AEADWithContext) Option {
	return func(s *settings) {
		if s.aware == nil {
			s.aware = map[string]tink.AEADWithContext{}
		}
		s.aware[uri] = a
	}
}

// WithTimeout sets how long one call of an AEAD may take. A call ends earlier
// where its context does. The default is [DefaultTimeout].
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithClassifier has f look at each error of a KMS client or an AEAD of the
// options and return the class of package kms that it is of, or nil where it does
// not know. f sees the error as it came, which may hold anything; nothing of it
// gets into the errors of this package. It must be safe for concurrent use.
func WithClassifier(f func(error) error) Option { return func(s *settings) { s.classify = f } }

// maxUnderWay bounds how many calls of AEADs without a context are under way,
// those included that nobody waits for any more.
const maxUnderWay = 64

// New returns a KMS. It reads no file and makes no call. It fails with
// kms.ErrInvalid for options that are wrong or contradict each other.
func New(opts ...Option) (*KMS, error) {
	s := settings{timeout: DefaultTimeout}
	for _, o := range opts {
		o(&s)
	}
	if s.timeout <= 0 {
		return nil, fmt.Errorf("tinkkms: a timeout of %v: %w", s.timeout, kms.ErrInvalid)
	}
	k := &KMS{
		aeads: map[string]tink.AEADWithContext{}, clients: s.clients, masters: maps.Clone(s.masters),
		cleartext: s.cleartext, timeout: s.timeout, classify: s.classify, slots: make(chan struct{}, maxUnderWay),
	}
	for _, c := range s.clients {
		if c == nil {
			return nil, fmt.Errorf("tinkkms: a KMS client is nil: %w", kms.ErrInvalid)
		}
	}
	for path, uri := range s.masters {
		if path == "" || !isKeyURI(uri) {
			return nil, fmt.Errorf("tinkkms: a master key is a path and the key URI of a KMS client: %w", kms.ErrInvalid)
		}
		if _, err := k.remote(uri); err != nil {
			return nil, err
		}
	}
	for uri, a := range s.aeads {
		if a == nil || !ownURI(uri) {
			return nil, fmt.Errorf("tinkkms: an AEAD has a URI that is %s: and a name: %w", Scheme, kms.ErrInvalid)
		}
		k.aeads[uri] = k.withContext(a)
	}
	for uri, a := range s.aware {
		if _, twice := k.aeads[uri]; twice || a == nil || !ownURI(uri) {
			return nil, fmt.Errorf("tinkkms: an AEAD has a URI that is %s: and a name, and no other has it: %w", Scheme, kms.ErrInvalid)
		}
		k.aeads[uri] = limited{a, k.timeout}
	}
	return k, nil
}

// FromAEAD returns a KMS with one KEK, for which a stands. The URI is tink: and
// any name. It fails with kms.ErrInvalid.
func FromAEAD(uri string, a tink.AEAD, opts ...Option) (*KMS, error) {
	return New(append([]Option{WithAEAD(uri, a)}, opts...)...)
}

func ownURI(uri string) bool {
	name, ok := strings.CutPrefix(uri, Scheme+":")
	return ok && name != "" && !strings.HasPrefix(name, "//") && !strings.ContainsRune(name, 0)
}

// limited ends the calls of an AEAD after a time.
type limited struct {
	tink.AEADWithContext

	timeout time.Duration
}

func (l limited) EncryptWithContext(ctx context.Context, plaintext, ad []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return l.AEADWithContext.EncryptWithContext(ctx, plaintext, ad)
}

func (l limited) DecryptWithContext(ctx context.Context, ciphertext, ad []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return l.AEADWithContext.DecryptWithContext(ctx, ciphertext, ad)
}
