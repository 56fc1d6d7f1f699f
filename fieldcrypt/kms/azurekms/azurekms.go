package azurekms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A KMS is a [kms.Wrapper] over the keys of the vaults that it was made for. It
// is safe for concurrent use.
//
// It is no [kms.ReEncrypter]: Key Vault has no call that moves a wrapped key, so
// the data key would be in clear in this process. Whether that is wanted is for
// the caller to decide, with Unwrap and a KEK to wrap anew.
type KMS struct {
	vaults  map[string]*azkeys.Client // by host name; nothing else is ever asked
	aes     map[keyRef]bool           // keys, without versions, that wrap by AES
	timeout time.Duration
}

var _ kms.Wrapper = (*KMS)(nil)

// Generate returns a new data key that was drawn here and wrapped by WrapKey
// under the newest version of the KEK, or under the one that its URI names.
//
// It fails with kms.ErrInvalid for a URI that is none, for a vault that [New] was
// not told of, and for a key that cannot wrap. The error is an [*Error] where Key
// Vault was asked.
func (k *KMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	ref, client, canonical, err := k.reference(ctx, kek, ec)
	if err != nil {
		return nil, nil, err
	}
	w := wrappedKey{algorithm: rsaOAEP256}
	if k.aes[ref.key()] {
		w.algorithm = aesKW
	}
	secret := random(secretSize)
	defer clear(secret)
	var out azkeys.WrapKeyResponse
	err = k.call(ctx, opWrap, ref, func(ctx context.Context) (err error) {
		out, err = client.WrapKey(ctx, ref.name, ref.version, parameters(w.algorithm, secret), nil)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	used, ok := answered(ref, out.KID)
	switch {
	case !ok:
		return nil, nil, &Error{Op: opWrap, Vault: ref.vault, class: kms.ErrUnavailable, cause: errOtherKey}
	case !w.algorithm.fits(len(out.Result)):
		return nil, nil, &Error{Op: opWrap, Vault: ref.vault, class: kms.ErrUnavailable, cause: errWrapSize}
	}
	w.version, w.inner = []byte(used.version), out.Result
	plain = random(kms.DataKeySize)
	if wrapped, err = w.seal(secret, plain, canonical); err != nil {
		clear(plain)
		return nil, nil, err
	}
	return plain, wrapped, nil
}

// What is wrong with an answer that is no error.
var (
	errOtherKey   = errors.New("answer names another key than was asked for")
	errWrapSize   = errors.New("answer has no wrapped secret of a size that the algorithm makes")
	errSecretSize = fmt.Errorf("answer has no secret of %d bytes", secretSize)
)

// Unwrap returns the data key that UnwrapKey and the encryption context open. It
// asks for the version of the KEK that the wrapped key names, below the KEK and
// nowhere else; under a URI with a version, for that one only.
//
// It fails as Generate does, and with kms.ErrCorrupt when wrapped was made under
// another KEK or version, or with another context, or was changed.
func (k *KMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	ref, client, canonical, err := k.reference(ctx, kek, ec)
	if err != nil {
		return nil, err
	}
	w, err := parseWrapped(wrapped)
	if err != nil {
		return nil, err
	}
	version := string(w.version)
	if ref.version != "" && ref.version != version {
		return nil, fmt.Errorf("azurekms: unwrap: %w: it names another version than the URI of the KEK", kms.ErrCorrupt)
	}
	secret, err := k.unwrap(ctx, client, ref, version, w)
	if err != nil && ref.version == "" && errors.Is(err, kms.ErrNotFound) {
		err = k.missing(ctx, client, ref, w, err)
	}
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return w.open(secret, canonical)
}

// unwrap returns the secret of w from one version of a key, or from the newest
// where version is empty.
func (k *KMS) unwrap(ctx context.Context, client *azkeys.Client, ref keyRef, version string, w wrappedKey) ([]byte, error) {
	var out azkeys.UnwrapKeyResponse
	err := k.call(ctx, opUnwrap, ref, func(ctx context.Context) (err error) {
		out, err = client.UnwrapKey(ctx, ref.name, version, parameters(w.algorithm, w.inner), nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	ref.version = version
	var wrong error
	if _, ok := answered(ref, out.KID); !ok {
		wrong = errOtherKey
	} else if len(out.Result) != secretSize {
		wrong = errSecretSize
	}
	if wrong != nil {
		clear(out.Result)
		return nil, &Error{Op: opUnwrap, Vault: ref.vault, class: kms.ErrCorrupt, cause: wrong}
	}
	return out.Result, nil
}

// missing tells a KEK that does not exist from one that has no such version,
// which Key Vault says in the same words: it asks the newest version. A KEK that
// answers at all is there, so the wrapped key belongs to another.
func (k *KMS) missing(ctx context.Context, client *azkeys.Client, ref keyRef, w wrappedKey, notFound error) error {
	secret, err := k.unwrap(ctx, client, ref, "", w)
	clear(secret)
	switch {
	case errors.Is(err, kms.ErrNotFound):
		return notFound
	case err == nil, errors.Is(err, kms.ErrCorrupt):
		return fmt.Errorf("azurekms: unwrap: %w: the KEK has no version of the name that it has", kms.ErrCorrupt)
	}
	return err
}

// reference reads a URI and finds who is asked for it.
func (k *KMS) reference(ctx context.Context, kek string, ec kms.EncryptionContext) (keyRef, *azkeys.Client, []byte, error) {
	if err := ctx.Err(); err != nil {
		return keyRef{}, nil, nil, fmt.Errorf("azurekms: %w", err)
	}
	ref, err := parseURI(kek)
	if err != nil {
		return keyRef{}, nil, nil, err
	}
	client, ok := k.vaults[ref.vault]
	if !ok {
		return keyRef{}, nil, nil, fmt.Errorf("azurekms: the KEK is of a vault that the configuration does not list: %w", kms.ErrInvalid)
	}
	canonical, err := ec.AppendCanonical(nil)
	if err != nil {
		return keyRef{}, nil, nil, err
	}
	return ref, client, canonical, nil
}

// parameters of one call. value stays the caller's.
func parameters(a algorithm, value []byte) azkeys.KeyOperationParameters {
	return azkeys.KeyOperationParameters{Algorithm: new(a.sdk()), Value: value}
}

// answered reads the id of the key that an answer names, if ref asked for it.
func answered(ref keyRef, kid *azkeys.ID) (keyRef, bool) {
	if kid == nil {
		return keyRef{}, false
	}
	used, ok := parseKID(string(*kid))
	return used, ok && ref.used(used)
}

// call makes one call within the timeout.
func (k *KMS) call(ctx context.Context, op string, ref keyRef, f func(ctx context.Context) error) error {
	bound, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	if err := f(bound); err != nil {
		return failure(ctx, op, ref.vault, err)
	}
	return nil
}
