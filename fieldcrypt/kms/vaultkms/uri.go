package vaultkms

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Scheme is the scheme of the URIs that this package understands, for the key of
// a [kms.Mux].
const Scheme = "vault"

// Bounds of the parts of a URI. Vault has none for most of them.
const (
	maxURI     = 1024
	maxSegment = 128
)

// keysSegment stands between the mount and the name of a key, as in the path
// that reads a key.
const keysSegment = "/keys/"

// A keyRef is a KEK as its URI names it.
type keyRef struct {
	host      string // host or host:port; empty for the server of [New]
	mount     string // where the transit engine is, without slashes at its ends
	name      string
	namespace string // empty for that of the configuration
}

// parseURI reads the URI of a KEK. There is one spelling for each KEK: nothing is
// escaped, cleaned or folded, because the parts become a path, a header and the
// choice of who gets a token. The error does not repeat the URI: it may be
// anything.
func parseURI(uri string) (keyRef, error) {
	wrong := func(what string) (keyRef, error) {
		return keyRef{}, fmt.Errorf("vaultkms: the URI of a KEK %s: %w", what, kms.ErrInvalid)
	}
	rest, ok := strings.CutPrefix(uri, Scheme+":")
	if !ok || len(uri) > maxURI {
		return wrong("is " + Scheme + ":MOUNT/keys/NAME or " + Scheme + "://HOST/MOUNT/keys/NAME, with ?namespace=NAME or without")
	}
	var r keyRef
	if after, found := strings.CutPrefix(rest, "//"); found {
		if r.host, rest, found = strings.Cut(after, "/"); !found || !plainHost(r.host) {
			return wrong("names no host in small letters, with a port or without, before its path")
		}
	}
	if path, query, found := strings.Cut(rest, "?"); found {
		namespace, isNamespace := strings.CutPrefix(query, "namespace=")
		if !isNamespace || !plainPath(namespace) {
			return wrong("has another query than namespace=NAME")
		}
		rest, r.namespace = path, namespace
	}
	i := strings.LastIndex(rest, keysSegment)
	if i < 0 {
		return wrong("has no " + keysSegment + " between the mount and the name of the key")
	}
	r.mount, r.name = rest[:i], rest[i+len(keysSegment):]
	switch {
	case !plainPath(r.mount):
		return wrong("names no mount of letters, digits, dashes, dots, underscores and slashes")
	case !plainName(r.name):
		return wrong("names no key of letters, digits, dashes, dots and underscores")
	}
	return r, nil
}

// String returns the URI.
func (r keyRef) String() string {
	var b strings.Builder
	b.WriteString(Scheme + ":")
	if r.host != "" {
		b.WriteString("//" + r.host + "/")
	}
	b.WriteString(r.mount + keysSegment + r.name)
	if r.namespace != "" {
		b.WriteString("?namespace=" + r.namespace)
	}
	return b.String()
}

// plainPath tells whether s is one or more segments. No segment is . or .., which
// a proxy on the way would resolve.
func plainPath(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." || len(part) > maxSegment {
			return false
		}
		for _, c := range []byte(part) {
			if !word(c) && c != '-' && c != '.' {
				return false
			}
		}
	}
	return true
}

// plainName tells whether transit takes s as the name of a key.
func plainName(s string) bool {
	return s != "" && plainPath(s) && !strings.Contains(s, "/") && word(s[0]) && word(s[len(s)-1])
}

// plainHost tells whether s is a host of small letters or an address, with a
// port or without.
func plainHost(s string) bool {
	host, port, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port, hasPort = s[:i], s[i+1:], true
	}
	if hasPort {
		const bits = 16
		n, err := strconv.ParseUint(port, 10, bits)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && ip.Zone() == "" && ip.String() == inner
	}
	return plainDNS(host)
}

// plainDNS tells whether s is labels in small letters. That holds IPv4 addresses.
func plainDNS(s string) bool {
	const mostName, mostLabel = 253, 63
	if s == "" || len(s) > mostName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > mostLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !word(c) && c != '-' || c >= 'A' && c <= 'Z' {
				return false
			}
		}
	}
	return true
}

func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}
