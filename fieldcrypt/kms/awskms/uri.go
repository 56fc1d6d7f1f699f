package awskms

import (
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Scheme is the scheme of the URIs that this package understands, for the key of
// a [kms.Mux].
const Scheme = "aws-kms"

// Limits of AWS.
const (
	maxKeyID = 2048 // of every form of a key id
	maxAlias = 256  // of the name behind alias/
)

// A keyRef is a key id of AWS in one of its forms.
type keyRef struct {
	partition, account string // of an ARN, empty otherwise
	region             string // of an ARN, or where the key is asked for
	resource           string // key/ID or alias/NAME; without an ARN ID or alias/NAME
}

// parseURI reads the URI of a KEK. The error does not repeat it: it may be
// anything.
func parseURI(uri string) (keyRef, error) {
	id, ok := strings.CutPrefix(uri, Scheme+":")
	switch {
	case !ok || id == "":
		return keyRef{}, fmt.Errorf("awskms: the URI of a KEK is %s: and a key id, an alias/name or an ARN: %w", Scheme, kms.ErrInvalid)
	case strings.HasPrefix(id, "/"):
		return keyRef{}, fmt.Errorf("awskms: write %s:arn:… without slashes: %w", Scheme, kms.ErrInvalid)
	case len(id) > maxKeyID:
		return keyRef{}, fmt.Errorf("awskms: a key id has at most %d characters: %w", maxKeyID, kms.ErrInvalid)
	}
	if !strings.HasPrefix(id, "arn:") {
		if !plainResource(id) {
			return keyRef{}, fmt.Errorf("awskms: neither a key id nor an alias/name nor an ARN: %w", kms.ErrInvalid)
		}
		return keyRef{resource: id}, nil
	}
	part := strings.Split(id, ":")
	if len(part) != 6 || part[2] != "kms" || !label(part[1]) || !region(part[3]) || !account(part[4]) {
		return keyRef{}, fmt.Errorf("awskms: not of the form arn:aws:kms:REGION:ACCOUNT:key/ID or …:alias/NAME: %w", kms.ErrInvalid)
	}
	r := keyRef{partition: part[1], region: part[3], account: part[4], resource: part[5]}
	if key, ok := strings.CutPrefix(r.resource, "key/"); ok && !r.isAlias() && plainKey(key) {
		return r, nil
	}
	if r.isAlias() && plainResource(r.resource) {
		return r, nil
	}
	return keyRef{}, fmt.Errorf("awskms: the ARN is neither of a key nor of an alias: %w", kms.ErrInvalid)
}

// isARN tells that r has a Region of its own.
func (r keyRef) isARN() bool { return r.partition != "" }

func (r keyRef) isAlias() bool { return strings.HasPrefix(r.resource, "alias/") }

// keyID returns the id of the key, and nothing for an alias.
func (r keyRef) keyID() string {
	if r.isAlias() {
		return ""
	}
	return strings.TrimPrefix(r.resource, "key/")
}

// replicated tells that r may mean something in other Regions: multi-Region
// keys have the same id everywhere, and an alias may be made everywhere.
func (r keyRef) replicated() bool { return r.isAlias() || strings.HasPrefix(r.keyID(), "mrk-") }

// in returns r as it is called in a Region.
func (r keyRef) in(region string) keyRef {
	r.region = region
	return r
}

// String returns r in the form that AWS takes.
func (r keyRef) String() string {
	if !r.isARN() {
		return r.resource
	}
	return "arn:" + r.partition + ":kms:" + r.region + ":" + r.account + ":" + r.resource
}

// used tells whether answered, the ARN of the key that AWS says it has used, can
// be what r means in its Region. What an alias means only AWS knows, so of an
// alias the account and the Region are all there is to compare.
func (r keyRef) used(answered string) bool {
	got, err := parseURI(Scheme + ":" + answered)
	if err != nil || !got.isARN() || got.isAlias() || got.region != r.region {
		return false
	}
	if r.isARN() && (got.partition != r.partition || got.account != r.account) {
		return false
	}
	return r.isAlias() || got.keyID() == r.keyID()
}

// plainResource tells whether s is a key id or alias/NAME.
func plainResource(s string) bool {
	name, ok := strings.CutPrefix(s, "alias/")
	if !ok {
		return plainKey(s)
	}
	if name == "" || len(name) > maxAlias {
		return false
	}
	for _, c := range []byte(name) {
		if !alnum(c) && c != '/' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func plainKey(s string) bool {
	const most = 256
	if s == "" || len(s) > most {
		return false
	}
	for _, c := range []byte(s) {
		if !alnum(c) && c != '-' {
			return false
		}
	}
	return true
}

func account(s string) bool {
	const digits = 12
	if len(s) != digits {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// region tells whether s can be the name of a Region. It becomes part of a host
// name, so nothing but a label may pass.
func region(s string) bool { return label(s) && strings.Contains(s, "-") }

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

func alnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
