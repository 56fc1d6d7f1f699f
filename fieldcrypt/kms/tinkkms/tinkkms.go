package tinkkms

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/core/registry"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Scheme is the scheme of the URIs that this package understands, for the key of
// a [kms.Mux].
const Scheme = "tink"

// maxWrapped bounds a wrapped key: what a key block has room for.
const maxWrapped = 12 << 10

// A KMS is a [kms.Wrapper] over Tink AEADs. It is safe for concurrent use if the
// clients and AEADs that it was given are.
type KMS struct {
	aeads     map[string]tink.AEADWithContext // by URI
	clients   []registry.KMSClient
	masters   map[string]string // by path: the key URI of a client
	cleartext bool
	timeout   time.Duration
	classify  func(error) error
	slots     chan struct{} // calls of AEADs without a context that may be under way
}

var _ kms.ReEncrypter = (*KMS)(nil)

// Generate returns a new data key that was drawn here and encrypted by the AEAD of
// the KEK.
//
// It fails with kms.ErrInvalid for a URI that is none, a KEK that the options do
// not allow and a file that is no keyset for AEAD, kms.ErrNotFound where there is
// no file, kms.ErrDenied where its mode is too open or the process may not read
// it, and kms.ErrUnavailable, or what the classifier says, where a call fails.
func (k *KMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	p, canonical, err := k.primitive(ctx, kek, ec)
	if err != nil {
		return nil, nil, err
	}
	plain = make([]byte, kms.DataKeySize)
	// rand.Read never fails: the process ends when the system has no randomness.
	_, _ = rand.Read(plain)
	if wrapped, err = k.wrap(ctx, p, plain, canonical); err != nil {
		clear(plain)
		return nil, nil, err
	}
	return plain, wrapped, nil
}

// Unwrap returns the data key. It fails as Generate does, and with kms.ErrCorrupt
// when wrapped was made under another keyset or with another context, or was
// changed; for a KMS client only a classifier can tell that.
func (k *KMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	p, canonical, err := k.primitive(ctx, kek, ec)
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return nil, fmt.Errorf("tinkkms: unwrap: %w: it has %d bytes, and 1 to %d are possible", kms.ErrCorrupt, len(wrapped), maxWrapped)
	}
	plain, err := p.DecryptWithContext(ctx, wrapped, canonical)
	if err != nil {
		return nil, k.failure(ctx, "unwrap", p, kms.ErrCorrupt, err)
	}
	if len(plain) != kms.DataKeySize {
		clear(plain)
		return nil, fmt.Errorf("tinkkms: unwrap: %w: it holds no key of %d bytes", kms.ErrCorrupt, kms.DataKeySize)
	}
	return plain, nil
}

// ReEncrypt opens a wrapped key under from and wraps it under to. Tink has no
// other place to do that in: the key is in clear in this process meanwhile.
//
// It fails as Unwrap does for from, and as Generate does for to.
func (k *KMS) ReEncrypt(ctx context.Context, from, to string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	plain, err := k.Unwrap(ctx, from, wrapped, ec)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	p, canonical, err := k.primitive(ctx, to, ec)
	if err != nil {
		return nil, err
	}
	return k.wrap(ctx, p, plain, canonical)
}

// wrap encrypts a data key.
func (k *KMS) wrap(ctx context.Context, p primitive, plain, canonical []byte) ([]byte, error) {
	wrapped, err := p.EncryptWithContext(ctx, plain, canonical)
	if err != nil {
		return nil, k.failure(ctx, "wrap", p, kms.ErrInvalid, err)
	}
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return nil, fmt.Errorf("tinkkms: wrap: the AEAD made %d bytes, and 1 to %d are possible: %w", len(wrapped), maxWrapped, kms.ErrInvalid)
	}
	return wrapped, nil
}

// A primitive is what a KEK stands for.
type primitive struct {
	tink.AEADWithContext

	local bool // it calls nobody, so a failure is about the bytes
}

// primitive finds the AEAD of a KEK.
func (k *KMS) primitive(ctx context.Context, kek string, ec kms.EncryptionContext) (primitive, []byte, error) {
	if err := ctx.Err(); err != nil {
		return primitive{}, nil, fmt.Errorf("tinkkms: %w", err)
	}
	rest, ok := strings.CutPrefix(kek, Scheme+":")
	switch {
	case !ok || rest == "":
		return primitive{}, nil, fmt.Errorf("tinkkms: the URI of a KEK is %s:PATH or %s:KEY-URI: %w", Scheme, Scheme, kms.ErrInvalid)
	case strings.HasPrefix(rest, "//"):
		// tink://pii.json would silently name a file in the root directory.
		return primitive{}, nil, fmt.Errorf("tinkkms: write %s:/absolute/path or %s:./relative/path, without //: %w", Scheme, Scheme, kms.ErrInvalid)
	case strings.ContainsRune(rest, 0):
		return primitive{}, nil, fmt.Errorf("tinkkms: the URI of a KEK holds a zero byte: %w", kms.ErrInvalid)
	}
	canonical, err := ec.AppendCanonical(nil)
	if err != nil {
		return primitive{}, nil, err
	}
	if a, ok := k.aeads[kek]; ok {
		return primitive{AEADWithContext: a}, canonical, nil
	}
	if isKeyURI(rest) {
		a, err := k.remote(rest)
		return primitive{AEADWithContext: a}, canonical, err
	}
	a, err := k.keyset(ctx, rest)
	return primitive{AEADWithContext: a, local: true}, canonical, err
}

// isKeyURI tells the key URI of a KMS client, which has a scheme of its own, from
// a path.
func isKeyURI(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	if !ok || scheme == "" {
		return false
	}
	for _, c := range []byte(scheme) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '+' {
			return false
		}
	}
	return true
}

// remote returns the AEAD of a client for a key URI.
func (k *KMS) remote(uri string) (tink.AEADWithContext, error) {
	for _, c := range k.clients {
		if !c.Supported(uri) {
			continue
		}
		a, err := c.GetAEAD(uri)
		if err != nil {
			// The only thing that a client has looked at is the URI.
			return nil, fmt.Errorf("tinkkms: the KMS client takes no such key URI: %w", kms.ErrNotFound)
		}
		return k.withContext(a), nil
	}
	return nil, fmt.Errorf("tinkkms: no KMS client of the options supports the key URI: %w", kms.ErrInvalid)
}

// shown returns a path for messages: quoted unless it is plain, so that no path
// can break a line of a log.
func shown(path string) string {
	for _, c := range path {
		if c <= ' ' || c > '~' || strings.ContainsRune("\"'`\\$", c) {
			return strconv.Quote(path)
		}
	}
	return path
}
