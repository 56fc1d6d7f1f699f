package vaultkms_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

func TestTheSuitePasses(t *testing.T) {
	s := server(t)
	s.AddKey("transit/keys/plain-2", kmstest.VaultKey{})
	s.AddKey("transit/keys/derived-2", kmstest.VaultKey{Derived: true})
	for _, kek := range []string{plainKey, derivedKey} {
		t.Run(kek, func(t *testing.T) {
			kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, first, second string) {
				t.Helper()
				return root(t, s), kek, kek + "-2"
			})
		})
	}
}

func TestAWrappedKeyIsTheCiphertextOfTransit(t *testing.T) {
	k := root(t, server(t))
	_, plain := generate(t, k, plainKey)
	_, derived := generate(t, k, derivedKey)
	if !bytes.HasPrefix(plain, []byte("vault:v1:")) || !bytes.HasPrefix(derived, []byte("context:vault:v1:")) {
		t.Errorf("%.20q and %.20q", plain, derived)
	}
}

// Encrypt of transit makes a key where there is none, for a token that may.
func TestNoKeyIsEverMade(t *testing.T) {
	s := server(t)
	wants(t, tryGenerate(t, root(t, s), "vault:transit/keys/misspelled"), kms.ErrNotFound, "no such key")
	wants(t, tryGenerate(t, root(t, s), "vault:transit/keys/misspelled"), kms.ErrNotFound, "no such key")
}

func TestAServerThatIgnoresAssociatedDataIsRefused(t *testing.T) {
	s := server(t)
	_, wrapped := generate(t, root(t, s), plainKey)
	s.IgnoreAssociatedData()
	wants(t, tryGenerate(t, root(t, s), plainKey), kms.ErrInvalid, "ignores associated data")
	_, err := root(t, s).Unwrap(t.Context(), plainKey, wrapped, contextOf("acme"))
	if err == nil {
		t.Error("opened at a server that cannot check the context")
	}
	// One that has become old in a way that the ciphertext opens there.
	unbound := unboundCiphertext(t, s, "YQ==")
	_, err = root(t, s).Unwrap(t.Context(), plainKey, []byte(unbound), contextOf("acme"))
	wants(t, err, kms.ErrInvalid, "ignores associated data")
	// A key that derives binds by its context, which every version reads.
	plain, wrapped := generate(t, root(t, s), derivedKey)
	opens(t, root(t, s), derivedKey, wrapped, plain)
}

// unboundCiphertext has a server encrypt a data key as another program does.
func unboundCiphertext(t *testing.T, s *kmstest.VaultServer, aad string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/transit/encrypt/plain",
		strings.NewReader(`{"plaintext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","associated_data":"`+aad+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", s.RootToken)
	res, err := direct{s}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(body.String(), `"ciphertext":"`)
	text, _, _ = strings.Cut(text, `"`)
	return text
}

func TestTheServerIsAskedOnceWhetherItReadsAssociatedData(t *testing.T) {
	s := server(t)
	k := root(t, s)
	for range 3 {
		plain, wrapped := generate(t, k, plainKey)
		opens(t, k, plainKey, wrapped, plain)
	}
	if e, d := s.Calls("encrypt"), s.Calls("decrypt"); e != 4 || d != 3 {
		t.Errorf("%d calls to encrypt and %d to decrypt, want 4 and 3", e, d)
	}
}

// Between two calls the key may have been deleted and made anew.
func TestWhetherAKeyDerivesIsAskedEachTime(t *testing.T) {
	s := server(t)
	k := root(t, s)
	generate(t, k, derivedKey)
	s.AddKey("transit/keys/derived", kmstest.VaultKey{})
	_, wrapped := generate(t, k, derivedKey)
	if !bytes.HasPrefix(wrapped, []byte("vault:")) {
		t.Fatalf("wrapped with a context that binds nothing: %.20q", wrapped)
	}
	if _, err := k.Unwrap(t.Context(), derivedKey, wrapped, contextOf("other")); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("opened with another context: %v", err)
	}
}

func TestAWrappedKeyOfOneKindIsCorruptAsTheOther(t *testing.T) {
	k := root(t, server(t))
	_, plain := generate(t, k, plainKey)
	_, derived := generate(t, k, derivedKey)
	for kek, wrapped := range map[string][]byte{
		plainKey: append([]byte("context:"), plain...), derivedKey: bytes.TrimPrefix(derived, []byte("context:")),
	} {
		_, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
		wants(t, err, kms.ErrCorrupt, "")
	}
}

// Another program may use the same key, without associated data.
func TestWhatIsBoundToNothingOpensUnderNoContext(t *testing.T) {
	s := server(t)
	for _, wrapped := range []string{unboundCiphertext(t, s, ""), "context:" + unboundCiphertext(t, s, "")} {
		got, err := root(t, s).Unwrap(t.Context(), plainKey, []byte(wrapped), contextOf("acme"))
		wants(t, err, kms.ErrCorrupt, "")
		moved, err := root(t, s, vaultkms.WithReEncryptHere()).ReEncrypt(t.Context(), plainKey, plainKey, []byte(wrapped), contextOf("acme"))
		wants(t, err, kms.ErrCorrupt, "")
		if got != nil || moved != nil {
			t.Error("a key beside the error")
		}
	}
}

func TestAKeyIsAskedOnceWhetherItDerives(t *testing.T) {
	s := server(t)
	k := root(t, s)
	plain, wrapped := generate(t, k, derivedKey)
	for range 3 {
		opens(t, k, derivedKey, wrapped, plain)
	}
	if n := s.Calls("decrypt"); n != 4 {
		t.Errorf("%d calls, want 4", n)
	}
}

func TestReEncryptMovesToTheLatestVersion(t *testing.T) {
	s := server(t)
	k := root(t, s)
	plain, wrapped := generate(t, k, derivedKey)
	s.RotateKey("transit/keys/derived")
	moved, err := k.ReEncrypt(t.Context(), derivedKey, derivedKey, wrapped, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(moved, []byte("context:vault:v2:")) {
		t.Errorf("moved to %.20q", moved)
	}
	if d := s.Calls("decrypt"); d != 0 {
		t.Errorf("the data key was in clear %d times", d)
	}
	opens(t, k, derivedKey, moved, plain)
	_, err = k.ReEncrypt(t.Context(), derivedKey, derivedKey, wrapped, contextOf("other"))
	wants(t, err, kms.ErrCorrupt, "")
	// The same key, written with the host of the configuration.
	host := strings.TrimPrefix(s.URL, "http://")
	if _, err := k.ReEncrypt(t.Context(), derivedKey, "vault://"+host+"/transit/keys/derived", wrapped, contextOf("acme")); err != nil {
		t.Error(err)
	}
}

func TestReEncryptHasTheKeyInClearOnlyWhereThatIsAllowed(t *testing.T) {
	s, other := server(t), server(t)
	elsewhere := "vault://" + strings.TrimPrefix(other.URL, "http://") + "/transit/keys/derived"
	with := []vaultkms.Option{vaultkms.WithServer(other.URL, vaultkms.Token(other.RootToken))}
	for _, tt := range []struct{ name, from, to string }{
		{"a key that does not derive", plainKey, plainKey},
		{"another key", derivedKey, plainKey},
		{"another server", derivedKey, elsewhere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := root(t, s, with...)
			plain, wrapped := generate(t, k, tt.from)
			before := s.Calls("decrypt")
			_, err := k.ReEncrypt(t.Context(), tt.from, tt.to, wrapped, contextOf("acme"))
			wants(t, err, kms.ErrInvalid, "")
			if s.Calls("decrypt") != before {
				t.Error("the data key was in clear")
			}
			k = root(t, s, append(with, vaultkms.WithReEncryptHere())...)
			moved, err := k.ReEncrypt(t.Context(), tt.from, tt.to, wrapped, contextOf("acme"))
			if err != nil {
				t.Fatal(err)
			}
			opens(t, k, tt.to, moved, plain)
			_, err = k.ReEncrypt(t.Context(), tt.from, tt.to, wrapped, contextOf("other"))
			wants(t, err, kms.ErrCorrupt, "")
			_, err = k.ReEncrypt(t.Context(), tt.from, tt.to+"-none", wrapped, contextOf("acme"))
			wants(t, err, kms.ErrNotFound, "")
		})
	}
}

func TestReEncryptRefusesWhatItCannotRead(t *testing.T) {
	k := root(t, server(t))
	_, wrapped := generate(t, k, derivedKey)
	for _, tt := range []struct {
		name, from, to string
		wrapped        []byte
		class          error
	}{
		{"a wrong source", "vault:x", derivedKey, wrapped, kms.ErrInvalid},
		{"a wrong target", derivedKey, "vault:x", wrapped, kms.ErrInvalid},
		{"a target of a foreign host", derivedKey, "vault://evil.example/transit/keys/derived", wrapped, kms.ErrInvalid},
		{"a wrong wrapped key", derivedKey, derivedKey, wrapped[1:], kms.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := k.ReEncrypt(t.Context(), tt.from, tt.to, tt.wrapped, contextOf("acme"))
			wants(t, err, tt.class, "")
		})
	}
}

func TestArchivedVersionsAreDisabledAndNotCorrupt(t *testing.T) {
	s := server(t)
	k := root(t, s)
	plain, wrapped := generate(t, k, plainKey)
	s.RotateKey("transit/keys/plain")
	s.SetMinVersions("transit/keys/plain", 2, 0)
	_, err := k.Unwrap(t.Context(), plainKey, wrapped, contextOf("acme"))
	wants(t, err, kms.ErrDisabled, "min_decryption_version")
	s.SetMinVersions("transit/keys/plain", 1, 0)
	opens(t, k, plainKey, wrapped, plain)
}

func TestANamespaceOfTheURIGoesBeforeThatOfTheConfiguration(t *testing.T) {
	s := server(t)
	s.AddKey("one/transit/keys/pii", kmstest.VaultKey{})
	s.AddKey("two/sub/transit/keys/pii", kmstest.VaultKey{})
	k := root(t, s, vaultkms.WithNamespace("one"))
	plain, wrapped := generate(t, k, "vault:transit/keys/pii")
	opens(t, root(t, s), "vault:transit/keys/pii?namespace=one", wrapped, plain)
	other, err := root(t, s).Unwrap(t.Context(), "vault:transit/keys/pii?namespace=two/sub", wrapped, contextOf("acme"))
	wants(t, err, kms.ErrCorrupt, "")
	if other != nil {
		t.Error("a key of another namespace")
	}
	generate(t, k, "vault:transit/keys/pii?namespace=two/sub")
	last := s.Requests()[len(s.Requests())-1]
	if last.Namespace != "two/sub" {
		t.Errorf("asked in %q", last.Namespace)
	}
}

func TestTheDeadlineHolds(t *testing.T) {
	s := server(t)
	s.Fault(kmstest.VaultFault{Delay: time.Hour})
	for _, tt := range []struct {
		name string
		ctx  func(t *testing.T) (context.Context, context.CancelFunc)
		opts []vaultkms.Option
		want error
	}{
		{"of the context", func(t *testing.T) (context.Context, context.CancelFunc) {
			t.Helper()
			return context.WithTimeout(t.Context(), 10*time.Millisecond)
		}, nil, context.DeadlineExceeded},
		{"of the option", func(t *testing.T) (context.Context, context.CancelFunc) {
			t.Helper()
			return context.WithCancel(t.Context())
		}, []vaultkms.Option{vaultkms.WithTimeout(10 * time.Millisecond)}, kms.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := tt.ctx(t)
			defer cancel()
			_, _, err := root(t, s, tt.opts...).Generate(ctx, plainKey, nil)
			wants(t, err, tt.want, "")
			wants(t, err, kms.ErrUnavailable, "")
			// The end of our own timeout is not that of the caller's context.
			if len(tt.opts) > 0 && errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("err = %v says that the caller's deadline is over", err)
			}
		})
	}
}

func TestAContextOverFourKilobytesIsRefusedBeforeACall(t *testing.T) {
	s := server(t)
	_, _, err := root(t, s).Generate(t.Context(), plainKey, kms.EncryptionContext{"k": strings.Repeat("v", 4096)})
	wants(t, err, kms.ErrInvalid, "")
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d calls", n)
	}
}
