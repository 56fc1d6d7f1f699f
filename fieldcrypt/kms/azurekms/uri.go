package azurekms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Scheme is the scheme of the URIs that this package understands, for the key of
// a [kms.Mux].
const Scheme = "azure-kms"

// Limits of Azure.
const (
	maxKeyName = 127
	maxVersion = 64 // Azure's have 32
)

// A keyRef is a key of a vault, with or without a version.
type keyRef struct {
	vault, name, version string
}

// parseURI reads the URI of a KEK. The error does not repeat it: it may be
// anything.
func parseURI(uri string) (keyRef, error) {
	wrong := func(what string) (keyRef, error) {
		return keyRef{}, fmt.Errorf("azurekms: the URI of a KEK is %s:VAULT/keys/NAME or %s:VAULT/keys/NAME/VERSION: %s: %w", Scheme, Scheme, what, kms.ErrInvalid)
	}
	rest, ok := strings.CutPrefix(uri, Scheme+":")
	switch {
	case !ok || rest == "":
		return wrong("it begins otherwise")
	case strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "https:"):
		return wrong("the vault is a host name alone, without https://")
	}
	part := strings.Split(rest, "/")
	if len(part) != 3 && len(part) != 4 || part[1] != "keys" {
		return wrong("it has other parts")
	}
	r := keyRef{vault: part[0], name: part[2]}
	switch {
	case !host(r.vault):
		return wrong("the vault is no host name in small letters")
	case !keyName(r.name):
		return wrong("the name of a key is 1 to 127 letters, digits and hyphens")
	}
	if len(part) == 4 {
		if r.version = part[3]; !keyVersion(r.version) {
			return wrong("the version of a key is letters and digits")
		}
	}
	return r, nil
}

// parseKID reads the id of a key in an answer.
func parseKID(kid string) (keyRef, bool) {
	rest, ok := strings.CutPrefix(kid, "https://")
	if !ok {
		return keyRef{}, false
	}
	vault, path, _ := strings.Cut(rest, "/")
	r, err := parseURI(Scheme + ":" + strings.TrimSuffix(vault, ":443") + "/" + path)
	return r, err == nil && r.version != ""
}

// String returns the URI of r.
func (r keyRef) String() string {
	s := Scheme + ":" + r.vault + "/keys/" + r.name
	if r.version != "" {
		s += "/" + r.version
	}
	return s
}

// key returns r without its version.
func (r keyRef) key() keyRef {
	r.version = ""
	return r
}

// used tells whether answered, the id in an answer, can be what r asked for:
// Azure does not tell large letters in the name of a key from small ones.
func (r keyRef) used(answered keyRef) bool {
	return answered.vault == r.vault && strings.EqualFold(answered.name, r.name) &&
		(r.version == "" || answered.version == r.version)
}

// Vault returns the host name of the vault that the URI of a KEK names. A
// program uses it to tell [New] the vaults of the KEKs in its policy. It fails
// with kms.ErrInvalid.
func Vault(kek string) (string, error) {
	r, err := parseURI(kek)
	return r.vault, err
}

// A suffix is where the vaults of a cloud are, and what tokens for them are made
// out to.
type suffix struct {
	domain string
	hsm    bool
	cloud  cloud.Configuration
}

// suffixes lists the clouds of Azure. The audience of a token for a vault is its
// domain.
func suffixes() []suffix {
	return []suffix{
		{"vault.azure.net", false, cloud.AzurePublic},
		{"managedhsm.azure.net", true, cloud.AzurePublic},
		{"vault.azure.cn", false, cloud.AzureChina},
		{"managedhsm.azure.cn", true, cloud.AzureChina},
		{"vault.usgovcloudapi.net", false, cloud.AzureGovernment},
		{"managedhsm.usgovcloudapi.net", true, cloud.AzureGovernment},
	}
}

// suffixOf finds the suffix of a vault's host name, which is one label and the
// suffix.
func suffixOf(vault string, known []suffix) (suffix, bool) {
	name, domain, _ := strings.Cut(vault, ".")
	i := slices.IndexFunc(known, func(s suffix) bool { return s.domain == domain })
	if i < 0 || !label(name) {
		return suffix{}, false
	}
	return known[i], true
}

// host tells whether s is a host name of at least two labels. It may be no
// address, and has no port, no user and no dot at its end.
func host(s string) bool {
	const most = 253
	labels := strings.Split(s, ".")
	if len(s) > most || len(labels) < 2 || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return false
	}
	return !slices.ContainsFunc(labels, func(l string) bool { return !label(l) })
}

// label tells whether s is a DNS label in small letters.
func label(s string) bool {
	const most = 63
	if s == "" || len(s) > most || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !alnum(c) && c != '-' || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

func keyName(s string) bool {
	if s == "" || len(s) > maxKeyName {
		return false
	}
	for _, c := range []byte(s) {
		if !alnum(c) && c != '-' {
			return false
		}
	}
	return true
}

func keyVersion[T string | []byte](s T) bool {
	if len(s) == 0 || len(s) > maxVersion {
		return false
	}
	for _, c := range []byte(s) {
		if !alnum(c) {
			return false
		}
	}
	return true
}

func alnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
