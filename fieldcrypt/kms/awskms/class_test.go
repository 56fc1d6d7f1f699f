package awskms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// message is what AWS may say, with what an error must not repeat.
const message = "User: arn:aws:sts::111122223333:assumed-role/canary/session is not authorized; x-amz-security-token:" + sessionToken

func TestEveryCodeHasItsClass(t *testing.T) {
	classes := map[error]string{
		kms.ErrDenied: "AccessDeniedException AccessDenied NotAuthorizedException NotAuthorized UnrecognizedClientException " +
			"InvalidClientTokenId MissingAuthenticationTokenException MissingAuthenticationToken IncompleteSignature " +
			"IncompleteSignatureException OptInRequired InvalidSignatureException SignatureDoesNotMatch SubscriptionRequiredException",
		kms.ErrNotFound: "NotFoundException",
		kms.ErrDisabled: "DisabledException KMSInvalidStateException",
		kms.ErrCorrupt:  "InvalidCiphertextException IncorrectKeyException IncorrectKeyMaterialException InvalidGrantTokenException",
		kms.ErrThrottled: "ThrottlingException Throttling ThrottledException TooManyRequestsException LimitExceededException " +
			"RequestLimitExceeded RequestThrottled RequestThrottledException SlowDown",
		kms.ErrUnavailable: "KeyUnavailableException KMSInternalException DependencyTimeoutException InternalFailure ServiceUnavailable " +
			"ServiceUnavailableException InternalServerError RequestTimeout RequestExpired RequestTimeTooSkewed RequestInTheFuture " +
			"SomethingNewException XksProxyUnreachableException",
		kms.ErrInvalid: "ValidationException ValidationError InvalidArnException InvalidKeyUsageException UnsupportedOperationException " +
			"UnknownOperationException SerializationException RequestEntityTooLargeException",
	}
	s := start(t)
	arn := s.AddKey(home)
	k := open(t, s)
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	n := 0
	for class, codes := range classes {
		for code := range strings.FieldsSeq(codes) {
			n++
			t.Run(code, func(t *testing.T) {
				s.Fault(kmstest.AWSFault{Code: code, Message: message})
				defer s.ClearFaults()
				for op, err := range each(t.Context(), k, "aws-kms:"+arn, wrapped) {
					check(t, op, err, class)
					e, ok := errors.AsType[*awskms.Error](err)
					if !ok || e.Op != op || e.Region != home || e.Code != code || e.Status < 400 || len(e.RequestID) != 36 || e.Via != "" {
						t.Errorf("%s: %#v", op, err)
					}
					if !strings.Contains(err.Error(), op+" in "+home+": "+code) {
						t.Errorf("%s: %v", op, err)
					}
				}
			})
		}
	}
	if calls := s.Calls("GenerateDataKey") + s.Calls("Decrypt") + s.Calls("ReEncrypt"); calls != 1+3*n {
		t.Errorf("%d calls for %d codes: each is tried once", calls, n)
	}
}

// A status alone says little: a proxy on the way answers 403 as well.
func TestTheCodeDecidesAndNotTheStatus(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	k := open(t, s)
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	for _, tt := range []struct {
		name   string
		code   string
		status int
		class  error
	}{
		{"AWS throttles with 400", "ThrottlingException", 400, kms.ErrThrottled},
		{"or with 429", "ThrottlingException", 429, kms.ErrThrottled},
		{"a code of tomorrow with 429", "SomethingNewException", 429, kms.ErrThrottled},
		{"a code of tomorrow with 403", "SomethingNewException", 403, kms.ErrUnavailable},
		{"a code of tomorrow with 503", "SomethingNewException", 503, kms.ErrUnavailable},
		{"a key that is gone, with 500", "NotFoundException", 500, kms.ErrNotFound},
		{"a denial with 500", "AccessDeniedException", 500, kms.ErrDenied},
		{"a name space before the code", "com.amazonaws.kms#DisabledException", 400, kms.ErrDisabled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Fault(kmstest.AWSFault{Code: tt.code, Status: tt.status, Message: message})
			defer s.ClearFaults()
			for op, err := range each(t.Context(), k, "aws-kms:"+arn, wrapped) {
				check(t, op, err, tt.class)
			}
		})
	}
}

func TestStatesOfAKey(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	k := open(t, s)
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	for state, code := range map[kmstest.AWSKeyState]string{
		kmstest.AWSDisabled: "DisabledException", kmstest.AWSPendingDeletion: "KMSInvalidStateException",
		kmstest.AWSPendingImport: "KMSInvalidStateException", kmstest.AWSUnavailable: "KMSInvalidStateException",
	} {
		s.SetState(home, arn, state)
		for op, err := range each(t.Context(), k, "aws-kms:"+arn, wrapped) {
			check(t, op, err, kms.ErrDisabled)
			if e, ok := errors.AsType[*awskms.Error](err); !ok || e.Code != code {
				t.Errorf("%s: %v", op, err)
			}
		}
	}
	s.SetState(home, arn, kmstest.AWSEnabled)
	for op, err := range each(t.Context(), k, "aws-kms:"+arn, wrapped) {
		if err != nil {
			t.Errorf("%s after it was enabled again: %v", op, err)
		}
	}
}
