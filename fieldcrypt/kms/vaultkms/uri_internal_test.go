package vaultkms

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func TestURIs(t *testing.T) {
	long := strings.Repeat("a", maxSegment)
	for _, tt := range []struct {
		uri  string
		want keyRef
	}{
		{"vault:transit/keys/pii", keyRef{mount: "transit", name: "pii"}},
		{"vault:a/b-c/d.e_F/keys/p-i.i_2", keyRef{mount: "a/b-c/d.e_F", name: "p-i.i_2"}},
		{"vault:transit/keys/keys/pii", keyRef{mount: "transit/keys", name: "pii"}},
		{"vault:transit/keys/pii?namespace=team", keyRef{mount: "transit", name: "pii", namespace: "team"}},
		{"vault:transit/keys/pii?namespace=a/b", keyRef{mount: "transit", name: "pii", namespace: "a/b"}},
		{"vault://vault.example/transit/keys/pii", keyRef{host: "vault.example", mount: "transit", name: "pii"}},
		{"vault://vault.example:8200/t/keys/pii?namespace=n", keyRef{host: "vault.example:8200", mount: "t", name: "pii", namespace: "n"}},
		{"vault://127.0.0.1:8200/transit/keys/pii", keyRef{host: "127.0.0.1:8200", mount: "transit", name: "pii"}},
		{"vault://[::1]:8200/transit/keys/pii", keyRef{host: "[::1]:8200", mount: "transit", name: "pii"}},
		{"vault://[2001:db8::1]/transit/keys/pii", keyRef{host: "[2001:db8::1]", mount: "transit", name: "pii"}},
		{"vault:" + long + "/keys/" + long, keyRef{mount: long, name: long}},
	} {
		t.Run(tt.uri, func(t *testing.T) {
			got, err := parseURI(tt.uri)
			if err != nil || got != tt.want {
				t.Fatalf("%+v, %v", got, err)
			}
			if got.String() != tt.uri {
				t.Errorf("written as %s", got)
			}
		})
	}
}

func TestURIsThatAreRefused(t *testing.T) {
	for _, uri := range []string{
		"", "vault", "vault:", "vault:pii", "vault:transit/pii", "vault:keys/pii", "vault:/keys/pii", "vault:transit/keys/", "vault:transit/keys",
		"Vault:transit/keys/pii", "aws-kms:transit/keys/pii", "vault:/transit/keys/pii", "vault:transit//keys/pii", "vault:transit/keys//pii",
		"vault:transit/keys/pii/", "vault:../keys/pii", "vault:a/../b/keys/pii", "vault:./keys/pii", "vault:a/./b/keys/pii", "vault:transit/keys/..",
		"vault:transit/keys/-pii", "vault:transit/keys/pii-", "vault:transit/keys/.pii", "vault:transit/keys/pii.", "vault:transit/keys/p%69i",
		"vault:transit/keys/p i", "vault:transit/keys/pii\n", "vault:trans\x00it/keys/pii", "vault:tränsit/keys/pii", "vault:transit/keys/pii#x",
		"vault:transit/keys/pii?", "vault:transit/keys/pii?namespace=", "vault:transit/keys/pii?namespace=/a", "vault:transit/keys/pii?namespace=a/",
		"vault:transit/keys/pii?namespace=..", "vault:transit/keys/pii?namespace=a&x=y", "vault:transit/keys/pii?Namespace=a", "vault:transit/keys/pii?x=y",
		"vault:transit/keys/pii?namespace=a?namespace=b", "vault:transit/keys/pii?namespace=a\r\nX-Vault-Token: b",
		"vault://", "vault://host", "vault:///transit/keys/pii", "vault://Host/transit/keys/pii", "vault://host:/transit/keys/pii",
		"vault://host:0/transit/keys/pii", "vault://host:08200/transit/keys/pii", "vault://host:65536/transit/keys/pii", "vault://host:+80/transit/keys/pii",
		"vault://user@host/transit/keys/pii", "vault://ho st/transit/keys/pii", "vault://-host/transit/keys/pii", "vault://host-/transit/keys/pii",
		"vault://host./transit/keys/pii", "vault://.host/transit/keys/pii", "vault://a..b/transit/keys/pii", "vault://[::1/transit/keys/pii",
		"vault://[::01]/transit/keys/pii", "vault://[127.0.0.1]/transit/keys/pii", "vault://[fe80::1%25eth0]/transit/keys/pii", "vault://::1/transit/keys/pii",
		"vault://host\\x/transit/keys/pii", "vault://host?x/transit/keys/pii", "vault:host:8200/transit/keys/pii",
		"vault:" + strings.Repeat("a", maxSegment+1) + "/keys/pii", "vault:" + strings.Repeat("a/", maxURI) + "keys/pii",
		"vault://" + strings.Repeat("a.", 127) + "a/transit/keys/pii", "vault://" + strings.Repeat("a", 64) + "/transit/keys/pii",
	} {
		got, err := parseURI(uri)
		if !errors.Is(err, kms.ErrInvalid) || got != (keyRef{}) {
			t.Errorf("%q: %+v, %v", uri, got, err)
		}
		if len(uri) > 12 && err != nil && strings.Contains(err.Error(), uri) {
			t.Errorf("the error repeats the URI: %v", err)
		}
	}
}

// What is accepted has one spelling, and means to everybody what it means here.
func FuzzAURIThatIsAcceptedIsWrittenAsItWasRead(f *testing.F) {
	for _, uri := range []string{
		"vault:transit/keys/pii", "vault:a/b/keys/pii?namespace=team/a", "vault://vault.example:8200/transit/keys/pii", "vault://[::1]:8200/t/keys/k",
		"vault:transit/keys/keys/pii", "vault://h/t/keys/k?namespace=n", "vault:transit/keys/../keys/pii", "vault://user@h/t/keys/k",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		r, err := parseURI(uri)
		if err != nil {
			if !errors.Is(err, kms.ErrInvalid) || r != (keyRef{}) {
				t.Fatalf("%+v, %v", r, err)
			}
			return
		}
		if r.String() != uri {
			t.Fatalf("%q is written as %q", uri, r)
		}
		host := r.host
		if host == "" {
			host = "home"
		}
		path := "/v1/" + r.mount + "/decrypt/" + r.name
		u, err := url.Parse("https://" + host + path)
		if err != nil || u.Host != host || u.Path != path || u.EscapedPath() != path || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			t.Fatalf("%q leads to %v, %v", uri, u, err)
		}
		if clean := u.JoinPath(); clean.Path != path {
			t.Fatalf("%q is cleaned to %s", uri, clean)
		}
	})
}
