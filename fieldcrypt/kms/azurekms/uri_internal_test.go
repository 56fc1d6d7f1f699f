package azurekms

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func TestParseURI(t *testing.T) {
	long := strings.Repeat("a", 127)
	for uri, want := range map[string]keyRef{
		"azure-kms:pii.vault.azure.net/keys/customers":         {"pii.vault.azure.net", "customers", ""},
		"azure-kms:p-1.vault.azure.cn/keys/C-1/00aaFF":         {"p-1.vault.azure.cn", "C-1", "00aaFF"},
		"azure-kms:a.b/keys/" + long + "/" + long[:maxVersion]: {"a.b", long, long[:maxVersion]},
	} {
		got, err := parseURI(uri)
		if err != nil || got != want || got.String() != uri {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	for _, uri := range []string{
		"", "azure-kms", "azure-kms:", "aws-kms:x", "Azure-KMS:pii.vault.azure.net/keys/x", "azure-kms:pii.vault.azure.net",
		"azure-kms:pii.vault.azure.net/", "azure-kms:pii.vault.azure.net/keys", "azure-kms:pii.vault.azure.net/keys/",
		"azure-kms:pii.vault.azure.net/keys//v", "azure-kms:pii.vault.azure.net/keys/x/", "azure-kms:pii.vault.azure.net/keys/x/v/wrapkey",
		"azure-kms:pii.vault.azure.net/Keys/x", "azure-kms:pii.vault.azure.net/secrets/x", "azure-kms://pii.vault.azure.net/keys/x",
		"azure-kms:https://pii.vault.azure.net/keys/x", "azure-kms:pii/keys/x", "azure-kms:PII.vault.azure.net/keys/x",
		"azure-kms:pii.vault.azure.net./keys/x", "azure-kms:.vault.azure.net/keys/x", "azure-kms:pii..azure.net/keys/x",
		"azure-kms:-p.vault.azure.net/keys/x", "azure-kms:p-.vault.azure.net/keys/x", "azure-kms:pii.vault.azure.net:443/keys/x",
		"azure-kms:u@pii.vault.azure.net/keys/x", "azure-kms:[::1]/keys/x", "azure-kms:127.0.0.1/keys/x", "azure-kms:pii.vault.azure.net/keys/x_y",
		"azure-kms:pii.vault.azure.net/keys/x.y", "azure-kms:pii.vault.azure.net/keys/..", "azure-kms:pii.vault.azure.net/keys/x/..",
		"azure-kms:pii.vault.azure.net/keys/x/a-b", "azure-kms:pii.vault.azure.net/keys/x%2fy", "azure-kms:pii.vault.azure.net/keys/x?y",
		"azure-kms:pii.vault.azure.net/keys/x#y", "azure-kms:pii.vault.azure.net/keys/x y", "azure-kms:pii.vault.azure.net/keys/\u00e4",
		"azure-kms:pii.vault.azure.net/keys/x\n", "azure-kms:pii.vault.azure.net/keys/x\x00", "azure-kms:pii.vault.azure.net\\keys\\x",
		"azure-kms:pii.vault.azure.net/keys/" + long + "a", "azure-kms:pii.vault.azure.net/keys/x/" + long[:maxVersion+1],
		"azure-kms:" + strings.Repeat("a", 64) + ".vault.azure.net/keys/x", "azure-kms:" + strings.Repeat("a.", 127) + "net/keys/x",
	} {
		if got, err := parseURI(uri); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("%q: %+v, %v", uri, got, err)
		} else if len(uri) > 12 && strings.Contains(err.Error(), uri[11:]) {
			t.Errorf("%q: the error repeats it", uri)
		}
	}
}

func TestVault(t *testing.T) {
	if v, err := Vault("azure-kms:pii.vault.azure.net/keys/customers"); v != "pii.vault.azure.net" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if v, err := Vault("local:x"); v != "" || !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("%q, %v", v, err)
	}
}

// What is accepted comes back as it was, and as a URL means the same to net/url:
// no reading of it leads to another host or path.
func FuzzParseURI(f *testing.F) {
	for _, seed := range []string{
		"azure-kms:pii.vault.azure.net/keys/customers", "azure-kms:pii.vault.azure.net/keys/customers/0a", "azure-kms:pii.vault.azure.net@evil/keys/x",
		"azure-kms:a.b/keys/..", "azure-kms:a.b%2f/keys/x", "azure-kms:1.2.3.4/keys/x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		r, err := parseURI(uri)
		if err != nil {
			if !errors.Is(err, kms.ErrInvalid) || r != (keyRef{}) {
				t.Errorf("%+v, %v", r, err)
			}
			return
		}
		if r.String() != uri {
			t.Errorf("%q becomes %q", uri, r.String())
		}
		u, err := url.Parse("https://" + strings.TrimPrefix(uri, "azure-kms:"))
		if err != nil || u.Host != r.vault || u.Hostname() != r.vault || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.JoinPath().Path != u.Path {
			t.Errorf("%q is %+v, and as a URL %+v, %v", uri, r, u, err)
		}
		if _, ok := suffixOf(r.vault, suffixes()); ok && strings.Count(r.vault, ".") != 3 {
			t.Errorf("%q is a vault", r.vault)
		}
	})
}

// A challenge that passes has one form, which the SDK reads without harm: the
// audience is that of the vault, and what it cuts at slashes has enough of them.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{
		`Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"`,
		`Bearer authorization="https://login.microsoftonline.com/t", scope="https://vault.azure.net/.default"`,
		`Bearer error="insufficient_claims", claims="e30=", authorization_uri="https://a.b/c", resource="https://vault.azure.net"`,
		`Bearer authorization="x", resource="y"`, `Bearer a="b" c="d"`, `Basic x`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g := guard{vault: "pii.vault.azure.net", resource: "https://vault.azure.net"}
		h := map[string][]string{"Www-Authenticate": {s, `Bearer resource="https://evil.example"`}}
		if err := g.challenge(h); err != nil {
			return
		}
		got := h["Www-Authenticate"]
		if len(got) != 1 || !strings.HasSuffix(got[0], `, resource="https://vault.azure.net"`) || strings.ContainsAny(got[0], "\r\n") {
			t.Errorf("%q becomes %q", s, got)
		}
		_, authority, _ := strings.Cut(got[0], `authorization="`)
		if authority, _, _ = strings.Cut(authority, `"`); strings.Count(authority, "/") != 3 || strings.ContainsAny(authority, "= ,") {
			t.Errorf("%q has the authority %q", s, authority)
		}
		again := map[string][]string{"Www-Authenticate": {got[0]}}
		if err := g.challenge(again); err != nil || again["Www-Authenticate"][0] != got[0] {
			t.Errorf("%q becomes %q, %v", got, again, err)
		}
	})
}
