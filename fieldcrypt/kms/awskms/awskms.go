package awskms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// maxWrapped is the longest CiphertextBlob that Decrypt takes.
const maxWrapped = 6144

// A KMS is a [kms.Wrapper] over AWS KMS. It is safe for concurrent use.
type KMS struct {
	client      *sdk.Client
	credentials aws.CredentialsProvider
	region      string    // for URIs that name none; may be empty
	endpoint    *endpoint // nil for the addresses of AWS
	replicas    []string
	timeout     time.Duration
	former      map[string][]keyRef // by alias
}

var _ kms.ReEncrypter = (*KMS)(nil)

// Generate returns a new data key from GenerateDataKey. The error is an [*Error]
// where AWS was asked.
func (k *KMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	ref, err := k.reference(ctx, kek, ec)
	if err != nil {
		return nil, nil, err
	}
	var out *sdk.GenerateDataKeyOutput
	err = k.call(ctx, "GenerateDataKey", ref.region, func(ctx context.Context, in func(*sdk.Options)) (err error) {
		out, err = k.client.GenerateDataKey(ctx, &sdk.GenerateDataKeyInput{
			KeyId: aws.String(ref.String()), KeySpec: types.DataKeySpecAes256, EncryptionContext: maps.Clone(ec),
		}, in)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	var wrong error
	switch {
	case !ref.used(aws.ToString(out.KeyId)):
		wrong = errOtherKey
	case len(out.Plaintext) != kms.DataKeySize:
		wrong = errKeySize
	case len(out.CiphertextBlob) == 0 || len(out.CiphertextBlob) > maxWrapped:
		wrong = errBlobSize
	}
	if wrong != nil {
		clear(out.Plaintext)
		return nil, nil, &Error{Op: "GenerateDataKey", Region: ref.region, class: kms.ErrUnavailable, cause: wrong}
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// What is wrong with an answer that is no error.
var (
	errOtherKey = errors.New("answer names another key than was asked for")
	errKeySize  = fmt.Errorf("answer has no data key of %d bytes", kms.DataKeySize)
	errBlobSize = fmt.Errorf("answer has no wrapped key of at most %d bytes", maxWrapped)
)

// Unwrap returns the data key from Decrypt. It tries the Regions of
// [WithReplicas] while that of the KEK is unavailable or throttles, and the keys
// of [WithFormerKeys] when the alias stands for another key by now. The error is
// an [*Error] where AWS was asked.
func (k *KMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	ref, err := k.reference(ctx, kek, ec)
	if err != nil {
		return nil, err
	}
	if err := checkWrapped(wrapped); err != nil {
		return nil, err
	}
	plain, moved, err := k.unwrap(ctx, ref, wrapped, ec)
	if !moved {
		return plain, err
	}
	for _, old := range k.former[ref.String()] {
		if !old.isARN() {
			old.region = ref.region
		}
		plain, _, other := k.unwrap(ctx, old, wrapped, ec)
		if other == nil {
			return plain, nil
		}
		// An answer that may change decides: the data key may be under this one.
		if kms.Retryable(other) || errors.Is(err, kms.ErrCorrupt) && !errors.Is(other, kms.ErrCorrupt) {
			err = other
		}
	}
	return nil, err
}

// unwrap asks for one KEK in its Region, and in the others while that one cannot
// answer. moved tells that in a Region the KEK was not that of the wrapped key.
func (k *KMS) unwrap(ctx context.Context, ref keyRef, wrapped []byte, ec kms.EncryptionContext) (plain []byte, moved bool, err error) {
	plain, err = k.decrypt(ctx, ref, wrapped, ec)
	moved = hasCode(err, codeIncorrectKey)
	if err == nil || !ref.replicated() {
		return plain, moved, err
	}
	if !errors.Is(err, kms.ErrUnavailable) && !errors.Is(err, kms.ErrThrottled) {
		return nil, moved, err
	}
	for _, region := range k.replicas {
		if region == ref.region || ctx.Err() != nil {
			continue
		}
		plain, other := k.decrypt(ctx, ref.in(region), wrapped, ec)
		if other == nil {
			return plain, false, nil
		}
		moved = moved || hasCode(other, codeIncorrectKey)
	}
	// What a replica says of its own policy, state or alias is not the answer.
	return nil, moved, err
}

// decrypt asks in the Region of ref.
func (k *KMS) decrypt(ctx context.Context, ref keyRef, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	var out *sdk.DecryptOutput
	err := k.call(ctx, "Decrypt", ref.region, func(ctx context.Context, in func(*sdk.Options)) (err error) {
		out, err = k.client.Decrypt(ctx, &sdk.DecryptInput{
			KeyId: aws.String(ref.String()), CiphertextBlob: wrapped, EncryptionContext: maps.Clone(ec),
			EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
		}, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	var wrong error
	switch {
	case !ref.used(aws.ToString(out.KeyId)):
		wrong = errOtherKey
	case len(out.Plaintext) != kms.DataKeySize:
		wrong = errKeySize
	}
	if wrong != nil {
		clear(out.Plaintext)
		return nil, &Error{Op: "Decrypt", Region: ref.region, class: kms.ErrCorrupt, cause: wrong}
	}
	return out.Plaintext, nil
}

// ReEncrypt has AWS open a wrapped key under fromKEK and wrap it under toKEK with
// an equal context. The data key never leaves AWS in clear. Both KEKs must be of
// one Region, or fromKEK be one that has replicas, in the Region of toKEK.
//
// It fails as Unwrap does. The result opens under toKEK only.
func (k *KMS) ReEncrypt(ctx context.Context, fromKEK, toKEK string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	from, err := k.reference(ctx, fromKEK, ec)
	if err != nil {
		return nil, err
	}
	to, err := k.reference(ctx, toKEK, ec)
	if err != nil {
		return nil, err
	}
	if from.region != to.region {
		if !from.replicated() {
			return nil, fmt.Errorf("awskms: ReEncrypt works within one Region, and these KEKs are of two: %w", kms.ErrInvalid)
		}
		from = from.in(to.region)
	}
	if err := checkWrapped(wrapped); err != nil {
		return nil, err
	}
	var out *sdk.ReEncryptOutput
	err = k.call(ctx, "ReEncrypt", to.region, func(ctx context.Context, in func(*sdk.Options)) (err error) {
		out, err = k.client.ReEncrypt(ctx, &sdk.ReEncryptInput{
			CiphertextBlob: wrapped,
			SourceKeyId:    aws.String(from.String()), SourceEncryptionContext: maps.Clone(ec),
			SourceEncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
			DestinationKeyId:          aws.String(to.String()), DestinationEncryptionContext: maps.Clone(ec),
			DestinationEncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
		}, in)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !from.used(aws.ToString(out.SourceKeyId)):
		return nil, &Error{Op: "ReEncrypt", Region: to.region, class: kms.ErrCorrupt, cause: errOtherKey}
	case !to.used(aws.ToString(out.KeyId)):
		return nil, &Error{Op: "ReEncrypt", Region: to.region, class: kms.ErrUnavailable, cause: errOtherKey}
	case len(out.CiphertextBlob) == 0 || len(out.CiphertextBlob) > maxWrapped:
		return nil, &Error{Op: "ReEncrypt", Region: to.region, class: kms.ErrUnavailable, cause: errBlobSize}
	}
	return out.CiphertextBlob, nil
}

// reference reads a URI and gives it a Region.
func (k *KMS) reference(ctx context.Context, kek string, ec kms.EncryptionContext) (keyRef, error) {
	if err := ctx.Err(); err != nil {
		return keyRef{}, fmt.Errorf("awskms: %w", err)
	}
	ref, err := parseURI(kek)
	if err != nil {
		return keyRef{}, err
	}
	if !ref.isARN() {
		ref.region = k.region
	}
	if ref.region == "" {
		return keyRef{}, fmt.Errorf("awskms: neither the KEK nor the configuration names a Region: %w", kms.ErrInvalid)
	}
	// The bound of every provider, for contexts that go with all of them.
	if _, err := ec.AppendCanonical(nil); err != nil {
		return keyRef{}, err
	}
	return ref, nil
}

func checkWrapped(wrapped []byte) error {
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return fmt.Errorf("awskms: a wrapped key of %d bytes, AWS makes 1 to %d: %w", len(wrapped), maxWrapped, kms.ErrCorrupt)
	}
	return nil
}

// call makes one call to a Region within the timeout.
func (k *KMS) call(ctx context.Context, op, region string, f func(ctx context.Context, in func(*sdk.Options)) error) error {
	if k.endpoint != nil && !k.endpoint.serves(region, k.region) {
		return fmt.Errorf("awskms: the endpoint is not of Region %s: %w", region, kms.ErrInvalid)
	}
	bound, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	err := f(bound, func(o *sdk.Options) {
		o.Region = region
		if k.endpoint != nil {
			o.BaseEndpoint = aws.String(k.endpoint.of(region))
		}
	})
	if err != nil {
		return k.failure(ctx, op, region, err)
	}
	return nil
}

// hasCode tells whether err is a call that failed with a code.
func hasCode(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}
