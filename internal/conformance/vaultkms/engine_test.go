package vaultkms

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// An engine is a server with what the tests do to it beside the calls that they
// are about.
type engine interface {
	where() (url, root string)
	// addKey makes a key at transit/keys/NAME, in a namespace or none.
	addKey(t *testing.T, namespace, name string, k kmstest.VaultKey)
	rotate(t *testing.T, name string)
	minVersions(t *testing.T, name string, decryption, encryption int)
	softDelete(t *testing.T, name string)
	remove(t *testing.T, name string)
	// appRole makes a role whose tokens may update paths, and returns what logs in.
	appRole(t *testing.T, name string, ttl, maxTTL time.Duration, paths ...string) (roleID, secretID string)
	revoke(t *testing.T, token string)
	seal(t *testing.T)
}

// engines are the servers that every test of this package runs against.
func engines() map[string]func(t *testing.T) engine {
	return map[string]func(t *testing.T) engine{
		"OpenBao": func(t *testing.T) engine {
			t.Helper()
			b := startBao(t)
			b.must(t, http.MethodPost, "", "sys/auth/approle", map[string]any{"type": "approle"})
			return b
		},
		"fake": func(t *testing.T) engine {
			t.Helper()
			s := kmstest.NewVaultServer()
			t.Cleanup(s.Close)
			return fake{s}
		},
	}
}

func (b *bao) where() (url, root string) { return b.url, b.root }

func (b *bao) addKey(t *testing.T, namespace, name string, k kmstest.VaultKey) {
	t.Helper()
	if namespace != "" {
		b.must(t, http.MethodPost, "", "sys/namespaces/"+namespace, map[string]any{})
		b.must(t, http.MethodPost, namespace, "sys/mounts/transit", map[string]any{"type": "transit"})
	}
	in := map[string]any{"derived": k.Derived}
	if k.Type != "" {
		in["type"] = k.Type
	}
	b.must(t, http.MethodPost, namespace, "transit/keys/"+name, in)
}

func (b *bao) rotate(t *testing.T, name string) {
	t.Helper()
	b.must(t, http.MethodPost, "", "transit/keys/"+name+"/rotate", nil)
}

func (b *bao) minVersions(t *testing.T, name string, decryption, encryption int) {
	t.Helper()
	b.must(t, http.MethodPost, "", "transit/keys/"+name+"/config", map[string]any{"min_decryption_version": decryption, "min_encryption_version": encryption})
}

func (b *bao) softDelete(t *testing.T, name string) {
	t.Helper()
	b.must(t, http.MethodDelete, "", "transit/keys/"+name+"/soft-delete", nil)
}

func (b *bao) remove(t *testing.T, name string) {
	t.Helper()
	b.must(t, http.MethodPost, "", "transit/keys/"+name+"/config", map[string]any{"deletion_allowed": true})
	b.must(t, http.MethodDelete, "", "transit/keys/"+name, nil)
}

func (b *bao) appRole(t *testing.T, name string, ttl, maxTTL time.Duration, paths ...string) (roleID, secretID string) {
	t.Helper()
	var policy strings.Builder
	for _, p := range paths {
		policy.WriteString("path \"" + p + "\" { capabilities = [\"update\"] }\n")
	}
	b.must(t, http.MethodPost, "", "sys/policies/acl/"+name, map[string]any{"policy": policy.String()})
	b.must(t, http.MethodPost, "", "auth/approle/role/"+name, map[string]any{
		"token_policies": []string{name}, "token_ttl": ttl.String(), "token_max_ttl": maxTTL.String(),
	})
	text := func(out answer, name string) string {
		s, ok := out.Data[name].(string)
		if !ok {
			t.Fatalf("no %s", name)
		}
		return s
	}
	return text(b.must(t, http.MethodGet, "", "auth/approle/role/"+name+"/role-id", nil), "role_id"),
		text(b.must(t, http.MethodPost, "", "auth/approle/role/"+name+"/secret-id", nil), "secret_id")
}

func (b *bao) revoke(t *testing.T, token string) {
	t.Helper()
	b.must(t, http.MethodPost, "", "auth/token/revoke", map[string]any{"token": token})
}

func (b *bao) seal(t *testing.T) {
	t.Helper()
	b.must(t, http.MethodPost, "", "sys/seal", nil)
}

type fake struct{ *kmstest.VaultServer }

func (f fake) where() (url, root string) { return f.URL, f.RootToken }
func (f fake) addKey(_ *testing.T, namespace, name string, k kmstest.VaultKey) {
	path := "transit/keys/" + name
	if namespace != "" {
		path = namespace + "/" + path
	}
	f.AddKey(path, k)
}
func (f fake) rotate(_ *testing.T, name string) { f.RotateKey("transit/keys/" + name) }
func (f fake) minVersions(_ *testing.T, name string, decryption, encryption int) {
	f.SetMinVersions("transit/keys/"+name, decryption, encryption)
}
func (f fake) softDelete(_ *testing.T, name string) { f.SoftDeleteKey("transit/keys/"+name, true) }
func (f fake) remove(_ *testing.T, name string)     { f.DeleteKey("transit/keys/" + name) }
func (f fake) revoke(_ *testing.T, token string)    { f.RevokeToken(token) }
func (f fake) seal(*testing.T)                      { f.Seal(true) }

func (f fake) appRole(_ *testing.T, name string, ttl, maxTTL time.Duration, paths ...string) (roleID, secretID string) {
	roleID, secretID = "id-of-"+name, "secret-of-"+name
	f.AddAppRole("approle", roleID, secretID, kmstest.VaultToken{TTL: ttl, MaxTTL: maxTTL, Renewable: true, Allow: paths})
	return roleID, secretID
}
