package gcpkmstest_test

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	vendor "cloud.google.com/go/kms/apiv1"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

const name = "projects/my-project/locations/europe-west3/keyRings/pii/cryptoKeys/customer"

// client returns the library of Google, set up for s.
func client(t *testing.T, s *gcpkmstest.Server) *vendor.KeyManagementClient {
	t.Helper()
	conn, err := grpc.NewClient(s.URL[len("http://"):], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := vendor.NewKeyManagementClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func start(t *testing.T) *gcpkmstest.Server {
	t.Helper()
	s := gcpkmstest.NewServer()
	t.Cleanup(s.Close)
	return s
}

func sum(b []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))))
}

// code checks an error as the library of Google shows it.
func code(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	api, ok := errors.AsType[*apierror.APIError](err)
	if !ok || api.GRPCStatus().Code() != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// reason checks an error with details.
func reason(t *testing.T, what string, err error, want codes.Code, reason string) {
	t.Helper()
	code(t, what, err, want)
	if api, ok := errors.AsType[*apierror.APIError](err); ok && (api.Reason() != reason || api.Domain() != "googleapis.com") {
		t.Errorf("%s: %v, want the reason %s", what, err, reason)
	}
}

func TestTheLibraryOfGoogleEncryptsAndDecrypts(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	c := client(t, s)
	plain, aad := []byte("a text"), []byte("bound")
	for _, under := range []string{name, name + "/cryptoKeyVersions/1"} {
		out, err := c.Encrypt(t.Context(), &kmspb.EncryptRequest{
			Name: under, Plaintext: plain, PlaintextCrc32C: sum(plain),
			AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: sum(aad),
		})
		if err != nil {
			t.Fatal(err)
		}
		if out.GetName() != name+"/cryptoKeyVersions/1" || !out.GetVerifiedPlaintextCrc32C() || !out.GetVerifiedAdditionalAuthenticatedDataCrc32C() ||
			out.GetCiphertextCrc32C().GetValue() != sum(out.GetCiphertext()).GetValue() || out.GetProtectionLevel() != kmspb.ProtectionLevel_SOFTWARE {
			t.Errorf("%v", out)
		}
		back, err := c.Decrypt(t.Context(), &kmspb.DecryptRequest{
			Name: name, Ciphertext: out.GetCiphertext(), CiphertextCrc32C: sum(out.GetCiphertext()),
			AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: sum(aad),
		})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.GetPlaintext(), plain) || !back.GetUsedPrimary() || back.GetPlaintextCrc32C().GetValue() != sum(plain).GetValue() {
			t.Errorf("%v", back)
		}
	}
	k, err := c.GetCryptoKey(t.Context(), &kmspb.GetCryptoKeyRequest{Name: name})
	if err != nil || k.GetName() != name || k.GetPurpose() != kmspb.CryptoKey_ENCRYPT_DECRYPT || k.GetPrimary().GetState() != gcpkmstest.Enabled {
		t.Errorf("%v, %v", k, err)
	}
	r := s.Requests()[0]
	if r.Routing == "" || r.Time <= 0 || !bytes.Equal(r.AAD, aad) {
		t.Errorf("%+v", r)
	}
}

// Without checksums the service says that it has verified none.
func TestChecksumsAreOptional(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	c := client(t, s)
	out, err := c.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: name, Plaintext: []byte("a text")})
	if err != nil || out.GetVerifiedPlaintextCrc32C() || out.GetVerifiedAdditionalAuthenticatedDataCrc32C() || out.GetCiphertextCrc32C() == nil {
		t.Fatalf("%v, %v", out, err)
	}
	back, err := c.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: name, Ciphertext: out.GetCiphertext()})
	if err != nil || string(back.GetPlaintext()) != "a text" {
		t.Fatalf("%v, %v", back, err)
	}
}

func TestWhatTheServiceRefuses(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	other := s.AddKey(name + "2")
	c := client(t, s)
	plain, aad := []byte("a text"), []byte("bound")
	sealed := func() []byte {
		t.Helper()
		out, err := c.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: name, Plaintext: plain, AdditionalAuthenticatedData: aad})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetCiphertext()
	}()
	huge := make([]byte, 64<<10+1)
	for what, tt := range map[string]struct {
		in   *kmspb.EncryptRequest
		code codes.Code
	}{
		"no name":                      {&kmspb.EncryptRequest{Plaintext: plain}, codes.InvalidArgument},
		"a name of something else":     {&kmspb.EncryptRequest{Name: "projects/p", Plaintext: plain}, codes.InvalidArgument},
		"no such key":                  {&kmspb.EncryptRequest{Name: name + "3", Plaintext: plain}, codes.NotFound},
		"no such version":              {&kmspb.EncryptRequest{Name: name + "/cryptoKeyVersions/2", Plaintext: plain}, codes.NotFound},
		"a version that is no number":  {&kmspb.EncryptRequest{Name: name + "/cryptoKeyVersions/x", Plaintext: plain}, codes.InvalidArgument},
		"nothing to encrypt":           {&kmspb.EncryptRequest{Name: name}, codes.InvalidArgument},
		"a text that is too long":      {&kmspb.EncryptRequest{Name: name, Plaintext: huge}, codes.InvalidArgument},
		"a wrong checksum of the text": {&kmspb.EncryptRequest{Name: name, Plaintext: plain, PlaintextCrc32C: sum(aad)}, codes.InvalidArgument},
		"a wrong checksum of the AAD": {
			&kmspb.EncryptRequest{Name: name, Plaintext: plain, AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: sum(plain)}, codes.InvalidArgument,
		},
	} {
		_, err := c.Encrypt(t.Context(), tt.in)
		code(t, "Encrypt with "+what, err, tt.code)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for what, tt := range map[string]struct {
		in   *kmspb.DecryptRequest
		code codes.Code
	}{
		"no such key":            {&kmspb.DecryptRequest{Name: name + "3", Ciphertext: sealed, AdditionalAuthenticatedData: aad}, codes.NotFound},
		"another key":            {&kmspb.DecryptRequest{Name: other, Ciphertext: sealed, AdditionalAuthenticatedData: aad}, codes.InvalidArgument},
		"a version":              {&kmspb.DecryptRequest{Name: name + "/cryptoKeyVersions/1", Ciphertext: sealed, AdditionalAuthenticatedData: aad}, codes.InvalidArgument},
		"no AAD":                 {&kmspb.DecryptRequest{Name: name, Ciphertext: sealed}, codes.InvalidArgument},
		"other AAD":              {&kmspb.DecryptRequest{Name: name, Ciphertext: sealed, AdditionalAuthenticatedData: plain}, codes.InvalidArgument},
		"nothing":                {&kmspb.DecryptRequest{Name: name, AdditionalAuthenticatedData: aad}, codes.InvalidArgument},
		"a short ciphertext":     {&kmspb.DecryptRequest{Name: name, Ciphertext: sealed[:4], AdditionalAuthenticatedData: aad}, codes.InvalidArgument},
		"a changed ciphertext":   {&kmspb.DecryptRequest{Name: name, Ciphertext: changed, AdditionalAuthenticatedData: aad}, codes.InvalidArgument},
		"AAD that is too long":   {&kmspb.DecryptRequest{Name: name, Ciphertext: sealed, AdditionalAuthenticatedData: huge}, codes.InvalidArgument},
		"a wrong checksum":       {&kmspb.DecryptRequest{Name: name, Ciphertext: sealed, CiphertextCrc32C: sum(aad), AdditionalAuthenticatedData: aad}, codes.InvalidArgument},
		"a wrong checksum of it": {&kmspb.DecryptRequest{Name: name, Ciphertext: sealed, AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: sum(plain)}, codes.InvalidArgument},
	} {
		_, err := c.Decrypt(t.Context(), tt.in)
		code(t, "Decrypt with "+what, err, tt.code)
	}
	_, err := c.GetCryptoKey(t.Context(), &kmspb.GetCryptoKeyRequest{Name: name + "3"})
	code(t, "GetCryptoKey of no key", err, codes.NotFound)
	_, err = c.MacSign(t.Context(), &kmspb.MacSignRequest{Name: name, Data: plain})
	code(t, "a call that it does not know", err, codes.Unimplemented)
}

func TestTokensAndReasonsAsTheLibraryShowsThem(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	s.RequireTokens("right")
	c := client(t, s)
	in := &kmspb.EncryptRequest{Name: name, Plaintext: []byte("a text")}
	_, err := c.Encrypt(t.Context(), in)
	reason(t, "no token", err, codes.Unauthenticated, "CREDENTIALS_MISSING")
	s.RequireTokens()
	if _, err = c.Encrypt(t.Context(), in); err != nil {
		t.Error(err)
	}
	s.Fault(gcpkmstest.Fault{Op: "Encrypt", Code: codes.ResourceExhausted, Reason: "RATE_LIMIT_EXCEEDED", Message: "Quota exceeded."})
	_, err = c.Encrypt(t.Context(), in)
	reason(t, "a quota", err, codes.ResourceExhausted, "RATE_LIMIT_EXCEEDED")
}

func TestFaultsAreTakenInTheirOrder(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	c := client(t, s)
	call := func() codes.Code {
		_, err := c.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: name, Plaintext: []byte("a text")})
		return status.Code(errors.Unwrap(err))
	}
	s.Fault(gcpkmstest.Fault{Op: "Decrypt", Code: codes.NotFound})
	s.Fault(gcpkmstest.Fault{Location: "global", Code: codes.NotFound})
	s.Fault(gcpkmstest.Fault{Times: 1})
	s.Fault(gcpkmstest.Fault{Location: "europe-west3", Times: 2, Code: codes.PermissionDenied})
	for i, want := range []codes.Code{codes.OK, codes.PermissionDenied, codes.PermissionDenied, codes.OK} {
		if got := call(); got != want {
			t.Errorf("call %d: %v, want %v", i, got, want)
		}
	}
	if n := s.Calls("Encrypt"); n != 4 {
		t.Errorf("%d calls", n)
	}
	s.Fault(gcpkmstest.Fault{Code: codes.PermissionDenied})
	s.ClearFaults()
	if got := call(); got != codes.OK {
		t.Error(got)
	}
}

func TestFaultsOfConnections(t *testing.T) {
	for what, f := range map[string]gcpkmstest.Fault{
		"cut before the answer": {Cut: true}, "cut within the answer": {CutBody: true}, "a wait": {Delay: time.Hour},
	} {
		t.Run(what, func(t *testing.T) {
			s := start(t)
			s.AddKey(name)
			c := client(t, s)
			s.Fault(f)
			// The library of Google repeats what was Unavailable, until this ends.
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := c.Encrypt(ctx, &kmspb.EncryptRequest{Name: name, Plaintext: []byte("a text")}); err == nil {
				t.Error("it answered")
			}
			if s.Calls("Encrypt") == 0 {
				t.Error("it was not called")
			}
		})
	}
}

func TestAnswersThatLie(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	c := client(t, s)
	plain := []byte("a text")
	encrypt := func(f gcpkmstest.Fault) *kmspb.EncryptResponse {
		t.Helper()
		s.Fault(f)
		defer s.ClearFaults()
		out, err := c.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: name, Plaintext: plain, PlaintextCrc32C: sum(plain)})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	sealed := encrypt(gcpkmstest.Fault{}).GetCiphertext()
	decrypt := func(f gcpkmstest.Fault) *kmspb.DecryptResponse {
		t.Helper()
		s.Fault(f)
		defer s.ClearFaults()
		out, err := c.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: name, Ciphertext: sealed})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := encrypt(gcpkmstest.Fault{Unverified: true}); out.GetVerifiedPlaintextCrc32C() {
		t.Error("Unverified")
	}
	if out := encrypt(gcpkmstest.Fault{NoChecksum: true}); out.GetCiphertextCrc32C() != nil {
		t.Error("NoChecksum of Encrypt")
	}
	if out := encrypt(gcpkmstest.Fault{OtherKey: true}); out.GetName() == name+"/cryptoKeyVersions/1" {
		t.Error("OtherKey")
	}
	if out := encrypt(gcpkmstest.Fault{Corrupt: true}); out.GetCiphertextCrc32C().GetValue() == sum(out.GetCiphertext()).GetValue() {
		t.Error("Corrupt of Encrypt")
	}
	if out := encrypt(gcpkmstest.Fault{Answer: kmstest.EmptyWrapped}); len(out.GetCiphertext()) != 0 {
		t.Error("EmptyWrapped")
	}
	if out := encrypt(gcpkmstest.Fault{Answer: kmstest.HugeWrapped}); len(out.GetCiphertext()) < 60<<10 {
		t.Error("HugeWrapped")
	}
	if out := encrypt(gcpkmstest.Fault{Oversized: 9000}); len(out.GetCiphertext()) < 9000 {
		t.Error("Oversized")
	}
	wrong := encrypt(gcpkmstest.Fault{Answer: kmstest.WrongWrapped}).GetCiphertext()
	_, err := c.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: name, Ciphertext: wrong})
	code(t, "WrongWrapped", err, codes.InvalidArgument)
	if out := decrypt(gcpkmstest.Fault{Corrupt: true}); out.GetPlaintextCrc32C().GetValue() == sum(out.GetPlaintext()).GetValue() {
		t.Error("Corrupt of Decrypt")
	}
	if out := decrypt(gcpkmstest.Fault{NoChecksum: true}); out.GetPlaintextCrc32C() != nil {
		t.Error("NoChecksum of Decrypt")
	}
	for fault, n := range map[kmstest.Fault]int{
		kmstest.EmptyPlain: 0, kmstest.ShortPlain: len(plain) - 1, kmstest.LongPlain: len(plain) + 1, kmstest.WrongPlain: len(plain), kmstest.Sound: len(plain),
	} {
		out := decrypt(gcpkmstest.Fault{Answer: fault})
		if len(out.GetPlaintext()) != n || bytes.Equal(out.GetPlaintext(), plain) != (fault == kmstest.Sound) || out.GetPlaintextCrc32C().GetValue() != sum(out.GetPlaintext()).GetValue() {
			t.Errorf("%v: %v", fault, out)
		}
	}
}

func TestMistakesOfATestPanic(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	for what, f := range map[string]func(){
		"a key without a ring":  func() { s.AddKey("projects/p/cryptoKeys/k") },
		"a key twice":           func() { s.AddKey(name) },
		"rotation of no key":    func() { s.Rotate(name + "x") },
		"a version of no key":   func() { s.SetPrimary(name+"x", 1) },
		"a version 0":           func() { s.SetPrimary(name, 0) },
		"a version that is not": func() { s.SetState(name, 2, gcpkmstest.Disabled) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s went through", what)
				}
			}()
			f()
		}()
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := start(t)
	s.AddKey(name)
	c := client(t, s)
	for range 1100 {
		if _, err := c.GetCryptoKey(t.Context(), &kmspb.GetCryptoKeyRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Requests()); n != 1024 {
		t.Errorf("%d", n)
	}
	if n := s.Calls("GetCryptoKey"); n != 1100 {
		t.Errorf("%d", n)
	}
}
