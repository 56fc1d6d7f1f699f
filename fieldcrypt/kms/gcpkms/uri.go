package gcpkms

import (
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Scheme is the scheme of the URIs that this package understands, for the key of
// a [kms.Mux].
const Scheme = "gcp-kms"

// A keyRef is the resource name of a key, in its parts.
type keyRef struct {
	project, location, ring, key string
}

// parseURI reads the URI of a KEK. The error does not repeat it: it may be
// anything.
func parseURI(uri string) (keyRef, error) {
	name, ok := strings.CutPrefix(uri, Scheme+":")
	switch {
	case !ok || name == "":
		return keyRef{}, fmt.Errorf("gcpkms: the URI of a KEK is %s:projects/P/locations/L/keyRings/R/cryptoKeys/K: %w", Scheme, kms.ErrInvalid)
	case strings.HasPrefix(name, "/"):
		// One key has one name: fields sealed under two spellings of a KEK would
		// count as fields of two keys.
		return keyRef{}, fmt.Errorf("gcpkms: write %s:projects/… without slashes: %w", Scheme, kms.ErrInvalid)
	}
	r, rest, ok := parseName(name)
	switch {
	case !ok:
		return keyRef{}, fmt.Errorf("gcpkms: not of the form projects/P/locations/L/keyRings/R/cryptoKeys/K: %w", kms.ErrInvalid)
	case rest != "":
		return keyRef{}, fmt.Errorf("gcpkms: a KEK is a key and not one of its versions: %w", kms.ErrInvalid)
	}
	return r, nil
}

// parseName reads the resource name of a key, and what stands behind it.
func parseName(name string) (r keyRef, rest string, ok bool) {
	const parts = 8
	part := strings.SplitN(name, "/", parts+1)
	if len(part) < parts || part[0] != "projects" || part[2] != "locations" || part[4] != "keyRings" || part[6] != "cryptoKeys" {
		return keyRef{}, "", false
	}
	r = keyRef{project: part[1], location: part[3], ring: part[5], key: part[7]}
	if !isProject(r.project) || !isLocation(r.location) || !isResource(r.ring) || !isResource(r.key) {
		return keyRef{}, "", false
	}
	if len(part) > parts {
		rest = "/" + part[parts]
	}
	return r, rest, true
}

// String returns r as Cloud KMS takes it.
func (r keyRef) String() string {
	return "projects/" + r.project + "/locations/" + r.location + "/keyRings/" + r.ring + "/cryptoKeys/" + r.key
}

// used tells whether answered, the version that Cloud KMS says it has used, is
// one of r. A project has an id and a number, and only Google knows which go
// together: they are compared where both are of the same kind.
func (r keyRef) used(answered string) bool {
	got, rest, ok := parseName(answered)
	if !ok {
		return false
	}
	version, ok := strings.CutPrefix(rest, "/cryptoKeyVersions/")
	if !ok || !isNumber(version) {
		return false
	}
	if isNumber(got.project) != isNumber(r.project) {
		got.project = r.project
	}
	return got == r
}

// isProject tells whether s can be the id of a project, also one that begins
// with the domain of its organization, or its number.
func isProject(s string) bool {
	if isNumber(s) {
		return true
	}
	if domain, id, ok := strings.Cut(s, ":"); ok {
		if !isDomain(domain) {
			return false
		}
		s = id
	}
	const least, most = 6, 30
	return len(s) >= least && len(s) <= most && isLocation(s) && s[len(s)-1] != '-'
}

func isDomain(s string) bool {
	const most = 253
	if s == "" || len(s) > most {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// isLocation tells whether s can be the name of a location: a letter, then
// letters, digits and dashes.
func isLocation(s string) bool {
	const most = 63
	if s == "" || len(s) > most || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// isResource tells whether s can be the id of a key ring or a key.
func isResource(s string) bool {
	const most = 63
	if s == "" || len(s) > most {
		return false
	}
	for _, c := range []byte(s) {
		if !alnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	const most = 20
	if s == "" || len(s) > most {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

func alnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
