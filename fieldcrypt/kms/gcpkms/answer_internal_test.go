package gcpkms

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Whatever an answer says, a wrapped key is taken only if it is what its checksum
// says and was made under the key that was asked for.
func FuzzEncryptResponse(f *testing.F) {
	ref, err := parseURI("gcp-kms:projects/my-project/locations/global/keyRings/r/cryptoKeys/k")
	if err != nil {
		f.Fatal(err)
	}
	good := &kmspb.EncryptResponse{
		Name: ref.String() + "/cryptoKeyVersions/1", Ciphertext: []byte("wrapped"), CiphertextCrc32C: checksum([]byte("wrapped")),
		VerifiedPlaintextCrc32C: true, VerifiedAdditionalAuthenticatedDataCrc32C: true,
	}
	if err := checkEncrypted(ref, good); err != nil {
		f.Fatal(err)
	}
	for _, change := range []func(*kmspb.EncryptResponse){
		func(*kmspb.EncryptResponse) {},
		func(r *kmspb.EncryptResponse) { r.Ciphertext = nil },
		func(r *kmspb.EncryptResponse) { r.CiphertextCrc32C.Value += 1 << 32 },
		func(r *kmspb.EncryptResponse) { r.VerifiedPlaintextCrc32C = false },
		func(r *kmspb.EncryptResponse) { r.Name = ref.String() },
	} {
		r := proto.CloneOf(good)
		change(r)
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r kmspb.EncryptResponse
		if proto.Unmarshal(b, &r) != nil || checkEncrypted(ref, &r) != nil {
			return
		}
		if n := len(r.GetCiphertext()); n == 0 || n > maxWrapped || r.GetCiphertextCrc32C().GetValue() != int64(crc(r.GetCiphertext())) {
			t.Errorf("took %d bytes with the checksum %v", n, r.GetCiphertextCrc32C())
		}
		if !r.GetVerifiedPlaintextCrc32C() || !r.GetVerifiedAdditionalAuthenticatedDataCrc32C() {
			t.Error("took what was not verified")
		}
		if !strings.HasSuffix(strings.TrimRight(r.GetName(), "0123456789"), "/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/") {
			t.Errorf("took a key of %q", r.GetName())
		}
	})
}

// Whatever a service says, its error has one class and shows none of its words.
func FuzzFailure(f *testing.F) {
	f.Add(uint32(codes.PermissionDenied), "Permission denied on resource projects/p", "IAM_PERMISSION_DENIED")
	f.Add(uint32(codes.InvalidArgument), "The checksum in field ciphertext_crc32c did not match", "")
	f.Add(uint32(codes.ResourceExhausted), "grpc: received message larger than max (1 vs. 0)", "x\ny")
	f.Add(uint32(codes.Unknown), "unexpected HTTP status code received from server: 403", strings.Repeat("A", 64))
	f.Add(uint32(99), "", "")
	f.Fuzz(func(t *testing.T, code uint32, message, reason string) {
		if codes.Code(code) == codes.OK {
			return
		}
		st := status.New(codes.Code(code), message)
		if with, err := st.WithDetails(&errdetails.ErrorInfo{Reason: reason}); err == nil {
			st = with
		}
		for _, op := range []string{opEncrypt, opDecrypt} {
			e := failure(t.Context(), op, keyRef{location: "global"}, st.Err())
			classes := 0
			for _, c := range []error{
				kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrInvalid,
			} {
				if errors.Is(e, c) {
					classes++
				}
			}
			if classes != 1 {
				t.Errorf("%v has %d classes", e, classes)
			}
			const telling = 12 // shorter texts are in ours by chance
			text := e.Error()
			if len(message) > telling && strings.Contains(text, message) || len(text) > 250 || strings.ContainsAny(text, "\n\r\x1b\x00") {
				t.Errorf("%q shows %q", text, message)
			}
		}
	})
}

// A server that knows the deadline may say that it has passed before the context of
// the caller has ended.
func TestADeadlineThatTheServerSawFirstIsThatOfWhoSetIt(t *testing.T) {
	callers, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	late := status.Error(codes.DeadlineExceeded, "late")
	for name, tt := range map[string]struct {
		ctx     context.Context
		timeout time.Duration
		callers bool
	}{
		"the caller's deadline is earlier": {callers, 2 * time.Hour, true},
		"the timeout of the call is":       {callers, time.Minute, false},
		"the caller has none":              {t.Context(), time.Minute, false},
	} {
		bound, end := context.WithTimeout(tt.ctx, tt.timeout)
		e := failure(tt.ctx, opDecrypt, keyRef{location: "global"}, late).within(tt.ctx, bound)
		end()
		if !errors.Is(e, kms.ErrUnavailable) || errors.Is(e, context.DeadlineExceeded) != tt.callers {
			t.Errorf("%s: %v", name, e)
		}
	}
}
