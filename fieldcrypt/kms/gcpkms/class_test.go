package gcpkms_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
)

// message is what Google may say, with what an error must not repeat.
const message = "Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource '" + ring + "one' (or it may not exist). canary@canary-project.iam.gserviceaccount.com " + token

func TestEveryCodeHasItsClass(t *testing.T) {
	tests := []struct {
		code             codes.Code
		reason           string
		encrypt, decrypt error
	}{
		{codes.PermissionDenied, "", kms.ErrDenied, kms.ErrDenied},
		{codes.PermissionDenied, "IAM_PERMISSION_DENIED", kms.ErrDenied, kms.ErrDenied},
		{codes.PermissionDenied, "SERVICE_DISABLED", kms.ErrDenied, kms.ErrDenied},
		{codes.Unauthenticated, "", kms.ErrDenied, kms.ErrDenied},
		{codes.Unauthenticated, "ACCESS_TOKEN_TYPE_UNSUPPORTED", kms.ErrDenied, kms.ErrDenied},
		{codes.Unauthenticated, "ACCESS_TOKEN_EXPIRED", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.NotFound, "", kms.ErrNotFound, kms.ErrNotFound},
		{codes.FailedPrecondition, "", kms.ErrDisabled, kms.ErrDisabled},
		{codes.FailedPrecondition, "SERVICE_DISABLED", kms.ErrDenied, kms.ErrDenied},
		{codes.FailedPrecondition, "BILLING_DISABLED", kms.ErrDenied, kms.ErrDenied},
		{codes.FailedPrecondition, "SOMETHING_NEW", kms.ErrDisabled, kms.ErrDisabled},
		{codes.ResourceExhausted, "RATE_LIMIT_EXCEEDED", kms.ErrThrottled, kms.ErrThrottled},
		{codes.ResourceExhausted, "", kms.ErrThrottled, kms.ErrThrottled},
		{codes.InvalidArgument, "", kms.ErrInvalid, kms.ErrCorrupt},
		{codes.OutOfRange, "", kms.ErrInvalid, kms.ErrInvalid},
		{codes.Unavailable, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.DeadlineExceeded, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.Canceled, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.Internal, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.Unknown, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.Aborted, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.DataLoss, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.AlreadyExists, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.Unimplemented, "", kms.ErrUnavailable, kms.ErrUnavailable},
		{codes.Code(99), "", kms.ErrUnavailable, kms.ErrUnavailable},
	}
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	for _, tt := range tests {
		t.Run(tt.code.String()+" "+tt.reason, func(t *testing.T) {
			s.Fault(gcpkmstest.Fault{Code: tt.code, Reason: tt.reason, Message: message})
			defer s.ClearFaults()
			errs := each(t.Context(), k, kek, wrapped)
			check(t, "Encrypt", errs["Encrypt"], tt.encrypt)
			check(t, "Decrypt", errs["Decrypt"], tt.decrypt)
			for op, err := range errs {
				e, ok := errors.AsType[*gcpkms.Error](err)
				if !ok || e.Op != op || e.Location != "europe-west3" || e.Code != tt.code.String() || e.Reason != tt.reason || e.Via != "" || e.Status != 0 {
					t.Errorf("%s: %#v", op, err)
				}
				if !strings.Contains(err.Error(), op+" in europe-west3: ") {
					t.Errorf("%s: %v", op, err)
				}
			}
		})
	}
	if calls := s.Calls("Encrypt") + s.Calls("Decrypt"); calls != 1+2*len(tests) {
		t.Errorf("%d calls for %d codes: each is tried once", calls, len(tests))
	}
}

func TestVersionsOfAKey(t *testing.T) {
	s := start(t)
	name := s.AddKey(ring + "one")
	kek := "gcp-kms:" + name
	k := open(t, s)
	first, wrappedFirst := generate(t, k, kek)
	if n := s.Rotate(name); n != 2 {
		t.Fatalf("version %d", n)
	}
	second, wrappedSecond := generate(t, k, kek)
	opens := func(what string, wrapped, want []byte) {
		t.Helper()
		if got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	opens("the version before the rotation", wrappedFirst, first)
	opens("the primary version", wrappedSecond, second)

	for _, state := range []gcpkmstest.State{gcpkmstest.Disabled, gcpkmstest.DestroyScheduled, gcpkmstest.Destroyed, gcpkmstest.PendingGeneration} {
		s.SetState(name, 1, state)
		_, err := k.Unwrap(t.Context(), kek, wrappedFirst, contextOf("acme"))
		check(t, state.String(), err, kms.ErrDisabled)
		opens("the other version", wrappedSecond, second)
		generate(t, k, kek) // the primary is not affected
	}
	s.SetState(name, 1, gcpkmstest.Enabled)
	opens("enabled again", wrappedFirst, first)

	// Only the primary wraps, also when there are others that could.
	s.SetState(name, 2, gcpkmstest.Disabled)
	_, _, err := k.Generate(t.Context(), kek, contextOf("acme"))
	check(t, "with a primary that is disabled", err, kms.ErrDisabled)
	opens("the version that is enabled", wrappedFirst, first)
	s.SetPrimary(name, 1)
	generate(t, k, kek)
}

func TestRolesThatSealOrOpenOnly(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	for _, op := range []string{"Encrypt", "Decrypt"} {
		s.Fault(gcpkmstest.Fault{Op: op, Code: codes.PermissionDenied, Message: message})
		for did, err := range each(t.Context(), k, kek, wrapped) {
			if did == op {
				check(t, did, err, kms.ErrDenied)
			} else if err != nil {
				t.Errorf("%s: %v", did, err)
			}
		}
		s.ClearFaults()
	}
}
