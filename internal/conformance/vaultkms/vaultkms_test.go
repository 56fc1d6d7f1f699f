package vaultkms

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

func open(t *testing.T, e engine, opts ...vaultkms.Option) *vaultkms.KMS {
	t.Helper()
	url, root := e.where()
	k, err := vaultkms.New(url, vaultkms.Token(root), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func generate(t *testing.T, k kms.Wrapper, kek string) (plain, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := k.Generate(t.Context(), kek, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return plain, wrapped
}

func opens(t *testing.T, k kms.Wrapper, kek string, wrapped, plain []byte) {
	t.Helper()
	if got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("Unwrap: %v, or another key", err)
	}
}

func TestTheSuitePasses(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			for kind, k := range map[string]kmstest.VaultKey{
				"aes256-gcm96": {}, "aes128-gcm96": {Type: "aes128-gcm96"}, "chacha20-poly1305": {Type: "chacha20-poly1305"},
				"derived": {Derived: true},
			} {
				t.Run(kind, func(t *testing.T) {
					e.addKey(t, "", kind+"-one", k)
					e.addKey(t, "", kind+"-two", k)
					kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
						t.Helper()
						return open(t, e), "vault:transit/keys/" + kind + "-one", "vault:transit/keys/" + kind + "-two"
					})
				})
			}
		})
	}
}

func TestANamespaceHasKeysOfItsOwn(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			e.addKey(t, "team", "pii", kmstest.VaultKey{Derived: true})
			kek := "vault:transit/keys/pii?namespace=team"
			plain, wrapped := generate(t, open(t, e), kek)
			opens(t, open(t, e), kek, wrapped, plain)
			if _, err := open(t, e).Unwrap(t.Context(), "vault:transit/keys/pii", wrapped, contextOf("acme")); !errors.Is(err, kms.ErrNotFound) {
				t.Errorf("in the root namespace: %v", err)
			}
			if _, err := open(t, e).Unwrap(t.Context(), kek+"-b", wrapped, contextOf("acme")); !errors.Is(err, kms.ErrNotFound) {
				t.Errorf("in a namespace that does not exist: %v", err)
			}
		})
	}
}

func TestADataKeyMovesToANewVersionWithoutLeavingTheServer(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			const kek = "vault:transit/keys/pii"
			e.addKey(t, "", "pii", kmstest.VaultKey{Derived: true})
			k := open(t, e)
			plain, wrapped := generate(t, k, kek)
			e.rotate(t, "pii")
			moved, err := k.ReEncrypt(t.Context(), kek, kek, wrapped, contextOf("acme"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(moved, []byte("context:vault:v2:")) {
				t.Errorf("moved to %.20q", moved)
			}
			if _, err := k.ReEncrypt(t.Context(), kek, kek, wrapped, contextOf("other")); !errors.Is(err, kms.ErrCorrupt) {
				t.Errorf("with another context: %v", err)
			}
			e.minVersions(t, "pii", 2, 2)
			opens(t, k, kek, moved, plain)
			if _, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); !errors.Is(err, kms.ErrDisabled) {
				t.Errorf("under an archived version: %v", err)
			}
			e.minVersions(t, "pii", 1, 2)
			opens(t, k, kek, wrapped, plain)
		})
	}
}

func TestADataKeyMovesBetweenKeysOnlyWhereThatIsAllowed(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			const from, to = "vault:transit/keys/old", "vault:transit/keys/new"
			e.addKey(t, "", "old", kmstest.VaultKey{})
			e.addKey(t, "", "new", kmstest.VaultKey{Derived: true})
			plain, wrapped := generate(t, open(t, e), from)
			for _, other := range []string{from, to} {
				if _, err := open(t, e).ReEncrypt(t.Context(), from, other, wrapped, contextOf("acme")); !errors.Is(err, kms.ErrInvalid) {
					t.Errorf("to %s: %v", other, err)
				}
				moved, err := open(t, e, vaultkms.WithReEncryptHere()).ReEncrypt(t.Context(), from, other, wrapped, contextOf("acme"))
				if err != nil {
					t.Fatal(err)
				}
				opens(t, open(t, e), other, moved, plain)
			}
		})
	}
}

// The reason why data keys are drawn here and not by the server, and why the one
// of a key that takes associated data is not rewrapped there.
func TestWhatTheServerDoesWithAssociatedData(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			e.addKey(t, "", "pii", kmstest.VaultKey{})
			url, root := e.where()
			post := func(path string, in map[string]any) answer {
				return call(t, url, root, http.MethodPost, "", "transit/"+path, in)
			}
			made := post("encrypt/pii", map[string]any{"plaintext": "cGxhaW4=", "associated_data": "YQ=="})
			if got := post("rewrap/pii", map[string]any{"ciphertext": made.Data["ciphertext"], "associated_data": "YQ=="}); got.Status != http.StatusBadRequest {
				t.Errorf("rewrap reads associated data by now (%d): ReEncrypt could use it", got.Status)
			}
		})
	}
}

func TestClassesOfRefusal(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			e.addKey(t, "", "pii", kmstest.VaultKey{})
			e.addKey(t, "", "gone", kmstest.VaultKey{})
			e.addKey(t, "", "soft", kmstest.VaultKey{})
			e.addKey(t, "", "signs", kmstest.VaultKey{Type: "ed25519"})
			e.addKey(t, "", "rsa", kmstest.VaultKey{Type: "rsa-2048"})
			k := open(t, e)
			_, gone := generate(t, k, "vault:transit/keys/gone")
			_, soft := generate(t, k, "vault:transit/keys/soft")
			e.remove(t, "gone")
			e.softDelete(t, "soft")
			for _, tt := range []struct {
				name, kek string
				wrapped   []byte
				want      error
			}{
				{"a key that was deleted opens nothing", "vault:transit/keys/gone", gone, kms.ErrNotFound},
				{"a key that was deleted is not made anew", "vault:transit/keys/gone", nil, kms.ErrNotFound},
				{"a soft-deleted key opens nothing", "vault:transit/keys/soft", soft, kms.ErrDisabled},
				{"a soft-deleted key wraps nothing", "vault:transit/keys/soft", nil, kms.ErrDisabled},
				{"a key that signs is of the wrong type", "vault:transit/keys/signs", nil, kms.ErrInvalid},
				{"an RSA key takes no associated data", "vault:transit/keys/rsa", nil, kms.ErrInvalid},
				{"a mount that is not there is not found", "vault:nowhere/keys/pii", nil, kms.ErrNotFound},
				{"a mount of another engine is not found", "vault:secret/keys/pii", nil, kms.ErrNotFound},
				{"a version that is not there is corrupt", "vault:transit/keys/pii", []byte("vault:v7:" + string(soft[9:])), kms.ErrCorrupt},
				{"a wrapped key of a key that derives is corrupt under one that does not", "vault:transit/keys/pii", append([]byte("context:"), soft...), kms.ErrCorrupt},
			} {
				t.Run(tt.name, func(t *testing.T) {
					var err error
					if tt.wrapped == nil {
						_, _, err = k.Generate(t.Context(), tt.kek, contextOf("acme"))
					} else {
						_, err = k.Unwrap(t.Context(), tt.kek, tt.wrapped, contextOf("acme"))
					}
					if !errors.Is(err, tt.want) {
						t.Errorf("err = %v, want %v", err, tt.want)
					}
				})
			}
			e.seal(t)
			if _, _, err := k.Generate(t.Context(), "vault:transit/keys/pii", contextOf("acme")); !errors.Is(err, kms.ErrUnavailable) {
				t.Errorf("sealed: %v", err)
			}
		})
	}
}

func appRole(t *testing.T, e engine, ttl time.Duration, paths ...string) *vaultkms.KMS {
	t.Helper()
	role, secret := e.appRole(t, "role", ttl, time.Hour, paths...)
	file := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, _ := e.where()
	k, err := vaultkms.New(url, vaultkms.AppRole(role, file))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPoliciesOfTheDocumentationAreEnough(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			const kek = "vault:transit/keys/pii"
			e.addKey(t, "", "pii", kmstest.VaultKey{Derived: true})
			seals := appRole(t, e, time.Hour, "transit/encrypt/pii")
			_, wrapped := generate(t, seals, kek)
			if _, err := seals.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); !errors.Is(err, kms.ErrDenied) {
				t.Errorf("a role that seals opens: %v", err)
			}
			if _, _, err := seals.Generate(t.Context(), "vault:transit/keys/none", contextOf("acme")); !errors.Is(err, kms.ErrDenied) {
				t.Errorf("a role without create, for a key that is not there: %v", err)
			}
		})
	}
}

func TestATokenThatEndsIsRenewedOrReplaced(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			const kek = "vault:transit/keys/pii"
			e.addKey(t, "", "pii", kmstest.VaultKey{})
			k := appRole(t, e, 3*time.Second, "transit/encrypt/pii", "transit/decrypt/pii")
			plain, wrapped := generate(t, k, kek)
			// Over two thirds of the first token's life, and past the end of it.
			end := time.NewTimer(5 * time.Second)
			defer end.Stop()
			tick := time.NewTicker(250 * time.Millisecond)
			defer tick.Stop()
			for running := true; running; {
				opens(t, k, kek, wrapped, plain)
				select {
				case <-end.C:
					running = false
				case <-tick.C:
				}
			}
		})
	}
}

// Data keys as the library uses them: made, proven, sealed with, and opened by a
// process that has nothing but the block.
func TestDataKeysUnderTransit(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			e.addKey(t, "", "pii", kmstest.VaultKey{Derived: true})
			scope := func() *datakey.Scope {
				c, err := datakey.New(kms.Mux{vaultkms.Scheme: open(t, e)})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.Close)
				s, err := c.Scope(datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{"vault:transit/keys/pii"}})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			place, secret := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte("zq@example.com")
			w := scope().NewSealer()
			if err := w.Reserve(t.Context(), 1, len(secret)); err != nil {
				t.Fatal(err)
			}
			defer w.Done()
			envelope, err := w.Append(nil, secret, w.Head(place))
			if err != nil {
				t.Fatal(err)
			}
			v, err := datakey.ParseValue(envelope)
			if err != nil {
				t.Fatal(err)
			}
			opener, err := scope().Opener(t.Context(), v.KeyID(), [][]byte{w.KeyBlock()})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := opener.Append(nil, &v); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("opened %q, %v", got, err)
			}
		})
	}
}

func TestATokenFileThatIsReplacedIsReadAnew(t *testing.T) {
	for name, start := range engines() {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			const kek = "vault:transit/keys/pii"
			e.addKey(t, "", "pii", kmstest.VaultKey{})
			url, _ := e.where()
			role, secret := e.appRole(t, "agent", time.Hour, time.Hour, "transit/encrypt/pii", "transit/decrypt/pii")
			file := filepath.Join(t.TempDir(), "token")
			login := func() string {
				out := call(t, url, "", http.MethodPost, "", "auth/approle/login", map[string]string{"role_id": role, "secret_id": secret})
				token, ok := out.Auth["client_token"].(string)
				if !ok {
					t.Fatalf("login: %d %q", out.Status, out.Errors)
				}
				if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return token
			}
			first := login()
			k, err := vaultkms.New(url, vaultkms.TokenFile(file))
			if err != nil {
				t.Fatal(err)
			}
			plain, wrapped := generate(t, k, kek)
			e.revoke(t, first)
			if _, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); !errors.Is(err, kms.ErrDenied) {
				t.Errorf("with the token that was revoked: %v", err)
			}
			login()
			opens(t, k, kek, wrapped, plain)
		})
	}
}
