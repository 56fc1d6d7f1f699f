package awskms_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

const (
	home  = "eu-central-1"
	away  = "eu-west-1"
	third = "us-east-1"

	accessKey    = "AKIDEXAMPLECANARY"
	secretKey    = "wJalrCanarySecretKey"
	sessionToken = "FQoCanarySessionToken"
)

func config() aws.Config {
	return aws.Config{
		Region:      home,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(accessKey, secretKey, sessionToken)),
	}
}

func start(t *testing.T) *kmstest.AWSServer {
	t.Helper()
	s := kmstest.NewAWSServer()
	s.RequireCredentials(accessKey, secretKey, sessionToken)
	t.Cleanup(s.Close)
	return s
}

// open returns a KMS that calls s.
func open(t *testing.T, s *kmstest.AWSServer, opts ...awskms.Option) *awskms.KMS {
	t.Helper()
	k, err := awskms.New(t.Context(), append([]awskms.Option{awskms.WithConfig(config()), awskms.WithEndpoint(s.URL)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func generate(t *testing.T, w kms.Wrapper, kek string) (plain, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := w.Generate(t.Context(), kek, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return plain, wrapped
}

// check tells whether err is of a class and of no other, and shows nothing that
// is secret.
func check(t *testing.T, what string, err, class error) {
	t.Helper()
	for _, c := range []error{
		kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrInvalid,
	} {
		if errors.Is(err, c) != errors.Is(class, c) {
			t.Errorf("%s: %v, want the class %v alone", what, err, class)
			return
		}
	}
	if e, ok := errors.AsType[*awskms.Error](err); ok && e.Region == "" {
		t.Errorf("%s: %#v names no Region", what, e)
	}
	secretless(t, what, err)
}

func secretless(t *testing.T, what string, err error) {
	t.Helper()
	shown := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, secret := range []string{accessKey, secretKey, sessionToken, "Canary", "canary"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s: the error shows %q: %s", what, secret, shown)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: the error has a line end: %q", what, err)
	}
}

// each calls the three operations and gives back their errors.
func each(ctx context.Context, k *awskms.KMS, kek string, wrapped []byte) map[string]error {
	_, _, generated := k.Generate(ctx, kek, contextOf("acme"))
	_, unwrapped := k.Unwrap(ctx, kek, wrapped, contextOf("acme"))
	_, again := k.ReEncrypt(ctx, kek, kek, wrapped, contextOf("acme"))
	return map[string]error{"GenerateDataKey": generated, "Decrypt": unwrapped, "ReEncrypt": again}
}

// cancelAfter calls cancel once the server has seen n calls of an operation.
func cancelAfter(ctx context.Context, cancel func(), s *kmstest.AWSServer, op string, n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.Calls(op) < n {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	cancel()
}
