package gcpkms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// maxWrapped bounds a wrapped key. Cloud KMS makes some 110 bytes of a data key,
// and an external key manager may add to that.
const maxWrapped = 8 << 10

// A KMS is a [kms.Wrapper] over Cloud KMS. It is safe for concurrent use.
type KMS struct {
	conn    *grpc.ClientConn
	client  kmspb.KeyManagementServiceClient
	tokens  *tokens
	quota   string // the project that pays for the calls, empty for that of the caller
	timeout time.Duration
}

var _ kms.Wrapper = (*KMS)(nil)

// Close ends the connection. Calls that are under way, and those that come
// later, fail with kms.ErrUnavailable.
func (k *KMS) Close() error {
	if err := k.conn.Close(); err != nil {
		return errors.New("gcpkms: the connection was closed before")
	}
	return nil
}

// Generate returns a new data key from crypto/rand, and what Encrypt makes of it
// under the primary version of the KEK. The error is an [*Error] where Cloud KMS
// was asked.
func (k *KMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	ref, aad, err := prepare(ctx, kek, ec)
	if err != nil {
		return nil, nil, err
	}
	plain = make([]byte, kms.DataKeySize)
	_, _ = rand.Read(plain) // never fails
	var out *kmspb.EncryptResponse
	err = k.call(ctx, opEncrypt, ref, func(ctx context.Context) (err error) {
		out, err = k.client.Encrypt(ctx, &kmspb.EncryptRequest{
			Name: ref.String(), Plaintext: plain, PlaintextCrc32C: checksum(plain),
			AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: checksum(aad),
		})
		return err
	})
	if err != nil {
		clear(plain)
		return nil, nil, err
	}
	if wrong := checkEncrypted(ref, out); wrong != nil {
		clear(plain)
		return nil, nil, &Error{Op: opEncrypt, Location: ref.location, class: kms.ErrUnavailable, cause: wrong}
	}
	return plain, out.GetCiphertext(), nil
}

// checkEncrypted returns what is wrong with an answer of Encrypt that is no
// error. A wrapped key that does not open is lost data, so nothing is taken on
// trust that can be compared.
func checkEncrypted(ref keyRef, out *kmspb.EncryptResponse) error {
	wrapped := out.GetCiphertext()
	switch {
	case len(wrapped) == 0 || len(wrapped) > maxWrapped:
		return errBlobSize
	case !out.GetVerifiedPlaintextCrc32C() || !out.GetVerifiedAdditionalAuthenticatedDataCrc32C():
		return errUnverified
	case !sound(wrapped, out.GetCiphertextCrc32C()):
		return errChecksum
	case !ref.used(out.GetName()):
		return errOtherKey
	}
	return nil
}

// Unwrap returns the data key from Decrypt. Any version of the KEK opens, as long
// as it is enabled. The error is an [*Error] where Cloud KMS was asked.
func (k *KMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	ref, aad, err := prepare(ctx, kek, ec)
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return nil, fmt.Errorf("gcpkms: a wrapped key of %d bytes, there are those of 1 to %d: %w", len(wrapped), maxWrapped, kms.ErrCorrupt)
	}
	var out *kmspb.DecryptResponse
	err = k.call(ctx, opDecrypt, ref, func(ctx context.Context) (err error) {
		out, err = k.client.Decrypt(ctx, &kmspb.DecryptRequest{
			Name: ref.String(), Ciphertext: wrapped, CiphertextCrc32C: checksum(wrapped),
			AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: checksum(aad),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	plain := out.GetPlaintext()
	switch {
	case !sound(plain, out.GetPlaintextCrc32C()):
		clear(plain)
		return nil, &Error{Op: opDecrypt, Location: ref.location, class: kms.ErrUnavailable, cause: errChecksum}
	case len(plain) != kms.DataKeySize:
		clear(plain)
		return nil, &Error{Op: opDecrypt, Location: ref.location, class: kms.ErrCorrupt, cause: errKeySize}
	}
	return plain, nil
}

// The operations.
const (
	opEncrypt = "Encrypt"
	opDecrypt = "Decrypt"
)

// What is wrong with an answer that is no error.
var (
	errOtherKey   = errors.New("answer names another key than was asked for")
	errKeySize    = fmt.Errorf("answer has no data key of %d bytes", kms.DataKeySize)
	errBlobSize   = fmt.Errorf("answer has no wrapped key of at most %d bytes", maxWrapped)
	errChecksum   = errors.New("answer does not match its checksum")
	errUnverified = errors.New("answer does not say that the checksums of the request were verified")
)

// prepare reads a URI and encodes the context that goes with it.
func prepare(ctx context.Context, kek string, ec kms.EncryptionContext) (ref keyRef, aad []byte, err error) {
	if err := ctx.Err(); err != nil {
		return keyRef{}, nil, fmt.Errorf("gcpkms: %w", err)
	}
	if ref, err = parseURI(kek); err != nil {
		return keyRef{}, nil, err
	}
	if aad, err = ec.AppendCanonical(nil); err != nil {
		return keyRef{}, nil, err
	}
	return ref, aad, nil
}

// call makes one call within the timeout.
func (k *KMS) call(ctx context.Context, op string, ref keyRef, f func(context.Context) error) error {
	bound, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	token, err := k.tokens.get(bound)
	if err != nil {
		return failure(ctx, op, ref, err).within(ctx, bound)
	}
	// The metadata of the caller's own gRPC calls, if any, is not for Google.
	md := metadata.Pairs(
		"authorization", "Bearer "+token,
		// Cloud KMS finds the location of a key by it.
		"x-goog-request-params", "name="+url.QueryEscape(ref.String()),
	)
	if k.quota != "" {
		md.Set("x-goog-user-project", k.quota)
	}
	if err := f(metadata.NewOutgoingContext(bound, md)); err != nil {
		e := failure(ctx, op, ref, err).within(ctx, bound)
		if e.Code == codeUnauthenticated {
			k.tokens.drop(token)
		}
		return e
	}
	return nil
}

// checksum returns the CRC-32C of b as the API takes it.
func checksum(b []byte) *wrapperspb.Int64Value { return wrapperspb.Int64(int64(crc(b))) }

// sound tells whether b has the checksum that came with it.
func sound(b []byte, sum *wrapperspb.Int64Value) bool {
	return sum != nil && sum.GetValue() == int64(crc(b))
}

// crc finds what goes wrong by accident on the way between here and the cipher
// of Cloud KMS. Against intent there is TLS.
func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
