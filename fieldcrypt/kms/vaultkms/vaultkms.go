package vaultkms

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// A KMS is a [kms.ReEncrypter] over the transit engines of one or more servers.
// It is safe for concurrent use.
type KMS struct {
	servers   map[string]*server // by host
	home      *server            // for URIs that name no host
	namespace string             // for URIs that name none
	timeout   time.Duration
	here      bool // ReEncrypt may have a data key in clear
}

var _ kms.ReEncrypter = (*KMS)(nil)

// A key is a KEK with the server that has it.
type key struct {
	*server

	keyRef
}

// Generate makes a random data key and has transit encrypt it, under the latest
// version of the KEK, with the encryption context as associated data; or, where
// the key derives, as its context. The error is an [*Error] where a server was
// asked.
func (k *KMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	target, aad, err := k.resolve(ctx, kek, ec)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, k.timeout, errTimeout)
	defer cancel()
	plain = make([]byte, kms.DataKeySize)
	// rand.Read never fails: the process ends when the system has no randomness.
	_, _ = rand.Read(plain)
	out, err := k.seal(ctx, target, plain, aad)
	if err != nil {
		secret.Wipe(plain)
		return nil, nil, err
	}
	return plain, out.bytes(), nil
}

// Unwrap has transit decrypt the data key. The error is an [*Error] where a
// server was asked.
//
// A KEK whose min_decryption_version is above the version of the wrapped key
// counts as disabled, kms.ErrDisabled: its owner can let it open again.
func (k *KMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	target, aad, err := k.resolve(ctx, kek, ec)
	if err != nil {
		return nil, err
	}
	in, err := parseWrapped(wrapped)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, k.timeout, errTimeout)
	defer cancel()
	return k.open(ctx, target, in, aad)
}

// ReEncrypt moves a wrapped data key to the latest version of its KEK. Both URIs
// must name the same key, and it must be one that derives: the rewrap of transit
// takes no associated data. The data key then never leaves Vault in clear.
//
// Everything else fails with kms.ErrInvalid, unless [WithReEncryptHere] allows
// this process to have the data key in clear meanwhile.
func (k *KMS) ReEncrypt(ctx context.Context, fromKEK, toKEK string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	from, aad, err := k.resolve(ctx, fromKEK, ec)
	if err != nil {
		return nil, err
	}
	to, _, err := k.resolve(ctx, toKEK, ec)
	if err != nil {
		return nil, err
	}
	in, err := parseWrapped(wrapped)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, k.timeout, errTimeout)
	defer cancel()
	if from == to && in.derived {
		return k.rewrap(ctx, to, in, aad)
	}
	if !k.here {
		return nil, fmt.Errorf("vaultkms: transit moves data keys only to new versions of the same key, and only of one that derives: %w", kms.ErrInvalid)
	}
	plain, err := k.open(ctx, from, in, aad)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(plain)
	out, err := k.seal(ctx, to, plain, aad)
	if err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

// resolve reads a URI and finds its server. A host that the configuration does
// not name is never called: the URI may come from a record, and the call carries
// a token.
func (k *KMS) resolve(ctx context.Context, kek string, ec kms.EncryptionContext) (target key, aad []byte, err error) {
	if err := ctx.Err(); err != nil {
		return key{}, nil, fmt.Errorf("vaultkms: %w", err)
	}
	ref, err := parseURI(kek)
	if err != nil {
		return key{}, nil, err
	}
	srv := k.home
	if ref.host != "" {
		var ok bool
		if srv, ok = k.servers[ref.host]; !ok {
			return key{}, nil, fmt.Errorf("vaultkms: the URI of the KEK names a host that the configuration does not: %w", kms.ErrInvalid)
		}
	}
	ref.host = srv.host
	if ref.namespace == "" {
		ref.namespace = k.namespace
	}
	if aad, err = ec.AppendCanonical(nil); err != nil {
		return key{}, nil, err
	}
	return key{srv, ref}, aad, nil
}

// noUpsert is a type of key that does not exist. Encrypt would make a KEK that is
// not there, for a caller who may, and with this type it refuses to. It means
// nothing for a KEK that is there.
const noUpsert = "must-exist"

// seal encrypts a data key. Whether a key derives, only the answer tells; so
// every call asks with associated data first, and nothing is remembered that
// could be wrong after the key was deleted and made anew. A context for a key
// that does not derive would be ignored, and the data key bound to nothing.
func (k *KMS) seal(ctx context.Context, target key, plain, aad []byte) (sealed, error) {
	err := k.probe(ctx, target, "encrypt", func() []byte { return encryptBody([]byte(noUpsert), paramAAD, notBase64) })
	var out *reply
	if err == nil {
		out, err = k.call(ctx, target, "encrypt", func() []byte { return encryptBody(plain, paramAAD, encode(aad)) })
	}
	derived := hasReason(err, reasonDerives)
	if derived {
		out, err = k.call(ctx, target, "encrypt", func() []byte { return encryptBody(plain, paramContext, encode(aad)) })
	}
	if err != nil {
		return sealed{}, err
	}
	return answered(target, "encrypt", out, derived)
}

// The parameters that bind a data key to its encryption context.
const (
	paramAAD     = "associated_data"
	paramContext = "context"
)

// notBase64 is what a server that reads associated data stumbles over.
const notBase64 = "!"

func encode(aad []byte) string { return base64.StdEncoding.EncodeToString(aad) }

// probe finds out whether a server reads associated data. Vault before 1.13 does
// not, and ignores what it does not know: the data keys would be bound to
// nothing, and open under every context. The first call to a server for each
// process is therefore one that must fail.
func (k *KMS) probe(ctx context.Context, target key, op string, body func() []byte) error {
	if target.binds.Load() {
		return nil
	}
	out, err := k.call(ctx, target, op, body)
	if err == nil {
		secret.Wipe(out.Data.Plaintext)
		return wrongAnswer(op, target.server.host, "the server ignores associated data, as Vault before 1.13 does", kms.ErrInvalid)
	}
	if !hasReason(err, reasonReadsAAD) {
		return err
	}
	target.binds.Store(true)
	return nil
}

// encryptBody is the body of encrypt. Nothing in it needs to be escaped.
func encryptBody(plain []byte, param, bound string) []byte {
	const overhead = 96
	body := make([]byte, 0, overhead+base64.StdEncoding.EncodedLen(len(plain))+len(bound))
	body = append(body, `{"plaintext":"`...)
	body = base64.StdEncoding.AppendEncode(body, plain)
	return append(body, `","type":"`+noUpsert+`","`+param+`":"`+bound+`"}`...)
}

// answered returns the ciphertext of an answer.
func answered(target key, op string, out *reply, derived bool) (sealed, error) {
	text := out.Data.Ciphertext
	if derived {
		text = derivedPrefix + text
	}
	s, err := parseWrapped([]byte(text))
	if err != nil || s.derived != derived {
		return sealed{}, wrongAnswer(op, target.server.host, "answer has no ciphertext of transit", kms.ErrUnavailable)
	}
	return s, nil
}

// open decrypts a data key.
func (k *KMS) open(ctx context.Context, target key, in sealed, aad []byte) ([]byte, error) {
	var err error
	if in.derived {
		err = k.mustDerive(ctx, target, "decrypt", in)
	} else {
		err = k.probe(ctx, target, "decrypt", func() []byte { return ciphertextBody(in, paramAAD, notBase64) })
	}
	if err != nil {
		return nil, err
	}
	out, err := k.call(ctx, target, "decrypt", func() []byte { return ciphertextBody(in, in.param(), encode(aad)) })
	if err != nil {
		return nil, err
	}
	if len(out.Data.Plaintext) != kms.DataKeySize {
		secret.Wipe(out.Data.Plaintext)
		return nil, wrongAnswer("decrypt", target.server.host, fmt.Sprintf("answer has no data key of %d bytes", kms.DataKeySize), kms.ErrCorrupt)
	}
	return out.Data.Plaintext, nil
}

// rewrap has transit encrypt a data key anew.
func (k *KMS) rewrap(ctx context.Context, target key, in sealed, aad []byte) ([]byte, error) {
	if err := k.mustDerive(ctx, target, "rewrap", in); err != nil {
		return nil, err
	}
	out, err := k.call(ctx, target, "rewrap", func() []byte { return ciphertextBody(in, paramContext, encode(aad)) })
	if err != nil {
		return nil, err
	}
	s, err := answered(target, "rewrap", out, true)
	if err != nil {
		return nil, err
	}
	return s.bytes(), nil
}

// mustDerive finds out whether a key derives, as a wrapped key says of it. One
// that does not ignores the context: whatever somebody has encrypted under it
// without associated data would then open as a data key of every context. The
// first call for a key is therefore one that must fail, and a key derives for as
// long as it exists.
func (k *KMS) mustDerive(ctx context.Context, target key, op string, in sealed) error {
	if _, seen := target.derives.Load(target.keyRef); seen {
		return nil
	}
	out, err := k.call(ctx, target, op, func() []byte { return ciphertextBody(in, paramContext, "") })
	if err == nil {
		secret.Wipe(out.Data.Plaintext)
		return wrongAnswer(op, target.server.host, "the wrapped key is of a key that derives, and this one does not", kms.ErrCorrupt)
	}
	if !hasReason(err, reasonDerives) {
		return err
	}
	target.derives.Store(target.keyRef, struct{}{})
	return nil
}

// param is the parameter that binds what it was wrapped with.
func (s sealed) param() string {
	if s.derived {
		return paramContext
	}
	return paramAAD
}

// ciphertextBody is the body of decrypt and rewrap. Nothing in it needs to be
// escaped.
func ciphertextBody(in sealed, param, bound string) []byte {
	return []byte(`{"ciphertext":"` + in.ciphertext + `","` + param + `":"` + bound + `"}`)
}

// call makes one call with a token, and once more with another one when Vault
// refuses the first and there is another. body makes the body anew for each.
func (k *KMS) call(ctx context.Context, target key, op string, body func() []byte) (*reply, error) {
	srv := target.server
	t, err := srv.session.token(ctx, srv, op)
	if err != nil {
		return nil, err
	}
	out, err := k.try(ctx, target, op, t, body())
	if err == nil || !errors.Is(err, kms.ErrDenied) {
		return out, err
	}
	another, failed := srv.session.refused(ctx, srv, op, t)
	switch {
	case failed != nil:
		return nil, failed
	case another == nil:
		return nil, err
	}
	return k.try(ctx, target, op, another, body())
}

func (k *KMS) try(ctx context.Context, target key, op string, t *token, body []byte) (*reply, error) {
	out, err := target.send(ctx, request{
		op: op, method: http.MethodPost, path: target.mount + "/" + op + "/" + target.name,
		namespace: target.namespace, token: t.value, body: body,
	})
	// Every answer but a refusal says that the token lives.
	if e, ok := errors.AsType[*Error](err); err == nil || ok && e.Status == http.StatusBadRequest {
		t.proven.Store(true)
	}
	return out, err
}
