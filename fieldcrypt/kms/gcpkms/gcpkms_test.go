package gcpkms_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func TestTheSuiteOfProvidersPasses(t *testing.T) {
	s := start(t)
	one, two := "gcp-kms:"+s.AddKey(ring+"one"), "gcp-kms:"+s.AddKey(ring+"two")
	kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
		t.Helper()
		return open(t, s), one, two
	})
}

func TestThisIsNoReEncrypter(t *testing.T) {
	s := start(t)
	var w kms.Wrapper = open(t, s)
	if _, ok := w.(kms.ReEncrypter); ok {
		t.Error("Cloud KMS has no such operation")
	}
}

func TestARequestSaysWhatItMustAndNothingElse(t *testing.T) {
	s := start(t)
	name := s.AddKey(ring + "one")
	k := open(t, s, gcpkms.WithQuotaProject("quota-project"))
	// What the caller's own calls carry is not for Google.
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-canary", "canary", "authorization", "Bearer other")
	plain, wrapped, err := k.Generate(ctx, "gcp-kms:"+name, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Unwrap(ctx, "gcp-kms:"+name, wrapped, contextOf("acme"))
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Unwrap: %v", err)
	}
	aad, err := contextOf("acme").AppendCanonical(nil)
	if err != nil {
		t.Fatal(err)
	}
	requests := s.Requests()
	if len(requests) != 2 {
		t.Fatalf("%d requests", len(requests))
	}
	routing := "name=" + strings.ReplaceAll(name, "/", "%2F")
	for i, op := range []string{"Encrypt", "Decrypt"} {
		r := requests[i]
		if r.Op != op || r.Name != name || r.Token != token || r.Routing != routing || r.UserProject != "quota-project" || !bytes.Equal(r.AAD, aad) {
			t.Errorf("request %d: %+v", i, r)
		}
		if r.Time <= 0 || r.Time > gcpkms.DefaultTimeout {
			t.Errorf("request %d has %v left", i, r.Time)
		}
	}
}

func TestAnswersThatAreWrong(t *testing.T) {
	tests := []struct {
		name  string
		fault gcpkmstest.Fault
		class error
	}{
		{"Encrypt without a wrapped key", gcpkmstest.Fault{Op: "Encrypt", Answer: kmstest.EmptyWrapped}, kms.ErrUnavailable},
		{"Encrypt with a wrapped key that is too long", gcpkmstest.Fault{Op: "Encrypt", Answer: kmstest.HugeWrapped}, kms.ErrUnavailable},
		{"Encrypt with a wrapped key that is a little too long", gcpkmstest.Fault{Op: "Encrypt", Oversized: 8<<10 + 1}, kms.ErrUnavailable},
		{"Encrypt that is too long", gcpkmstest.Fault{Op: "Encrypt", Oversized: 64 << 10}, kms.ErrUnavailable},
		{"Encrypt that was changed", gcpkmstest.Fault{Op: "Encrypt", Corrupt: true}, kms.ErrUnavailable},
		{"Encrypt whose request was changed", gcpkmstest.Fault{Op: "Encrypt", CorruptRequest: true}, kms.ErrUnavailable},
		{"Encrypt without a checksum", gcpkmstest.Fault{Op: "Encrypt", NoChecksum: true}, kms.ErrUnavailable},
		{"Encrypt that verified nothing", gcpkmstest.Fault{Op: "Encrypt", Unverified: true}, kms.ErrUnavailable},
		{"Encrypt under another key", gcpkmstest.Fault{Op: "Encrypt", OtherKey: true}, kms.ErrUnavailable},
		{"Encrypt that is cut", gcpkmstest.Fault{Op: "Encrypt", CutBody: true}, kms.ErrUnavailable},
		{"Encrypt that is cut before it answers", gcpkmstest.Fault{Op: "Encrypt", Cut: true}, kms.ErrUnavailable},
		{"Decrypt without a key", gcpkmstest.Fault{Op: "Decrypt", Answer: kmstest.EmptyPlain}, kms.ErrCorrupt},
		{"Decrypt with a short key", gcpkmstest.Fault{Op: "Decrypt", Answer: kmstest.ShortPlain}, kms.ErrCorrupt},
		{"Decrypt with a long key", gcpkmstest.Fault{Op: "Decrypt", Answer: kmstest.LongPlain}, kms.ErrCorrupt},
		{"Decrypt that was changed", gcpkmstest.Fault{Op: "Decrypt", Corrupt: true}, kms.ErrUnavailable},
		{"Decrypt whose request was changed", gcpkmstest.Fault{Op: "Decrypt", CorruptRequest: true}, kms.ErrUnavailable},
		{"Decrypt without a checksum", gcpkmstest.Fault{Op: "Decrypt", NoChecksum: true}, kms.ErrUnavailable},
		{"Decrypt that is too long", gcpkmstest.Fault{Op: "Decrypt", Oversized: 64 << 10}, kms.ErrUnavailable},
		{"Decrypt that is far too long", gcpkmstest.Fault{Op: "Decrypt", Oversized: 16 << 20}, kms.ErrUnavailable},
		{"Decrypt that is cut", gcpkmstest.Fault{Op: "Decrypt", CutBody: true}, kms.ErrUnavailable},
		{"Decrypt that is cut before it answers", gcpkmstest.Fault{Op: "Decrypt", Cut: true}, kms.ErrUnavailable},
		{"Decrypt that fails with a long text", gcpkmstest.Fault{Op: "Decrypt", Code: codes.PermissionDenied, Message: strings.Repeat("canary ", 30_000)}, kms.ErrUnavailable},
		{"Decrypt with a reason that is none", gcpkmstest.Fault{Op: "Decrypt", Code: codes.Unavailable, Reason: "canary\n\x1b[31m"}, kms.ErrUnavailable},
		{"Decrypt with a reason that is long", gcpkmstest.Fault{Op: "Decrypt", Code: codes.Unavailable, Reason: strings.Repeat("CANARY", 20)}, kms.ErrUnavailable},
	}
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Calls(tt.fault.Op)
			s.Fault(tt.fault)
			defer s.ClearFaults()
			for op, err := range each(t.Context(), k, kek, wrapped) {
				if op != tt.fault.Op {
					continue
				}
				check(t, op, err, tt.class)
				if _, ok := errors.AsType[*gcpkms.Error](err); !ok {
					t.Errorf("%s: %T is no Error", op, err)
				}
			}
			if n := s.Calls(tt.fault.Op) - before; n != 1 {
				t.Errorf("%d calls, want 1: repeating is the matter of the caller", n)
			}
			// Whatever happened, the next call is sound.
			s.ClearFaults()
			eventually(t, k, kek, wrapped)
		})
	}
}

func TestWhatGoogleWouldNotTakeIsNotSent(t *testing.T) {
	s := start(t)
	k, kek := open(t, s), "gcp-kms:"+s.AddKey(ring+"one")
	for _, n := range []int{0, 8<<10 + 1, 1 << 20} {
		_, err := k.Unwrap(t.Context(), kek, make([]byte, n), contextOf("acme"))
		check(t, "Unwrap", err, kms.ErrCorrupt)
	}
	long := kms.EncryptionContext{"a": strings.Repeat("a", 4096)}
	_, _, err := k.Generate(t.Context(), kek, long)
	check(t, "Generate", err, kms.ErrInvalid)
	_, err = k.Unwrap(t.Context(), kek, []byte("w"), long)
	check(t, "Unwrap", err, kms.ErrInvalid)
	for _, uri := range []string{"", "gcp-kms:", kek + "/cryptoKeyVersions/1", strings.Replace(kek, ":", "://", 1)} {
		_, _, err := k.Generate(t.Context(), uri, nil)
		check(t, "Generate", err, kms.ErrInvalid)
		_, err = k.Unwrap(t.Context(), uri, []byte("w"), nil)
		check(t, "Unwrap", err, kms.ErrInvalid)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	k := open(t, s, gcpkms.WithTimeout(time.Minute))
	_, wrapped := generate(t, k, kek)
	s.Fault(gcpkmstest.Fault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := k.Unwrap(ctx, kek, wrapped, contextOf("acme"))
	check(t, "Unwrap", err, kms.ErrUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Unwrap: %v, want the error of the context as well", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go cancelAfter(ctx, stop, s, "Encrypt", 2)
	_, _, err = k.Generate(ctx, kek, contextOf("acme"))
	check(t, "Generate", err, kms.ErrUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Generate: %v, want the error of the context as well", err)
	}
}

func TestACallEndsWithItsTimeout(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	_, wrapped := generate(t, open(t, s), kek)
	k := open(t, s, gcpkms.WithTimeout(30*time.Millisecond))
	s.Fault(gcpkmstest.Fault{Delay: time.Hour})
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, and the context of the caller goes on", op, err)
		}
	}
}

func TestAServerThatIsAwayAndComesBack(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	s.Fault(gcpkmstest.Fault{Cut: true})
	for range 3 {
		for op, err := range each(t.Context(), k, kek, wrapped) {
			check(t, op, err, kms.ErrUnavailable)
		}
	}
	s.ClearFaults()
	eventually(t, k, kek, wrapped)
	s.CutConnections()
	eventually(t, k, kek, wrapped)

	gone := gcpkmstest.NewServer()
	gone.Close()
	k = open(t, gone)
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
	}
}

// A proxy on the way refuses with pages of its own, and is no word on a KEK.
func TestAPageIsNoAnswer(t *testing.T) {
	for _, code := range []int{200, 400, 401, 403, 404, 429, 500, 502, 503} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(code)
				if _, err := w.Write([]byte("<html>canary</html>")); err != nil {
					t.Error(err)
				}
			}))
			var protocols http.Protocols
			protocols.SetUnencryptedHTTP2(true)
			s.Config.Protocols = &protocols
			s.Start()
			defer s.Close()
			k, err := gcpkms.New(t.Context(), gcpkms.WithCredentials(gcpkmstest.Credentials(token)), gcpkms.WithEndpoint(s.URL))
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			for op, err := range each(t.Context(), k, "gcp-kms:"+ring+"one", []byte("w")) {
				check(t, op, err, kms.ErrUnavailable)
				if e, ok := errors.AsType[*gcpkms.Error](err); !ok || e.Code != "" {
					t.Errorf("%#v", err)
				}
			}
		})
	}
}

func TestCloseEndsTheCalls(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	k, err := gcpkms.New(t.Context(), gcpkms.WithCredentials(gcpkmstest.Credentials(token)), gcpkms.WithEndpoint(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	_, wrapped := generate(t, k, kek)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
	}
	if err := k.Close(); err == nil {
		t.Error("closed twice")
	}
}
