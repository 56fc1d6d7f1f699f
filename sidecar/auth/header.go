package auth

import (
	"encoding/base64"
	"strings"
)

// maxHeader is how long an Authorization header may be.
const maxHeader = 16 << 10

// A credential is what an Authorization header holds.
type credential struct {
	user   string // of Basic
	basic  bool
	secret string
}

// parseHeader reads an Authorization header: "Bearer TOKEN", or "Basic" and base64
// of "PRINCIPAL:TOKEN", because some clients know nothing else.
func parseHeader(header string) (credential, bool) {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok || len(header) > maxHeader {
		return credential{}, false
	}
	rest = strings.Trim(rest, " ")
	switch {
	case strings.EqualFold(scheme, "bearer"):
		return credential{secret: rest}, printable(rest)
	case strings.EqualFold(scheme, "basic"):
		text, err := base64.StdEncoding.Strict().DecodeString(rest)
		if err != nil {
			return credential{}, false
		}
		user, secret, ok := strings.Cut(string(text), ":")
		return credential{user: user, basic: true, secret: secret}, ok && printable(secret) && printable(user)
	default:
		return credential{}, false
	}
}

// printable tells whether s is ASCII without spaces and controls, and not empty.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
