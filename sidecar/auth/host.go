package auth

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// What a browser does for a page that somebody else wrote. A page can have it send
// a request to any address that the browser reaches. It can hide neither where it
// comes from, which is the Origin, nor the name under which it asks, which is the
// Host; not even when it has turned a name of its own to 127.0.0.1. So where no
// credential tells callers apart, those two must do.

// A Target is for whom a request says that it is.
type Target struct {
	// Host is the header Host, or the pseudo-header :authority.
	Host string
	// Origin are the values of the header Origin.
	Origin []string
	// Local is this end of the connection, or nil.
	Local net.Addr
}

// Check returns nil where a request without a credential may go on. Its Host must
// name loopback, the address that the connection came in at, or a name in allowed,
// where * stands for any text; its Origin, if it has one, the very same as its
// Host, or a name in allowed. The error is an [*Error] of kind [ErrHost] or
// [ErrOrigin].
func (t Target) Check(allowed []string) error {
	if !t.named(hostOf(t.Host), allowed) {
		return errHost
	}
	switch len(t.Origin) {
	case 0:
		return nil
	case 1:
		if t.same(t.Origin[0], allowed) {
			return nil
		}
	}
	return errOrigin
}

func (t Target) named(host string, allowed []string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.WithZone("").Unmap()
		if ip.IsLoopback() || ip == addrOf(t.Local) {
			return true
		}
	} else if host == "localhost" {
		return true
	}
	return host != "" && listed(host, allowed)
}

// same tells whether a page of that origin may ask.
func (t Target) same(origin string, allowed []string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false // such as null, which any page can be
	}
	var port string
	switch u.Scheme {
	case "http":
		port = "80"
	case "https":
		port = "443"
	default:
		return false
	}
	if listed(hostOf(u.Host), allowed) {
		return true
	}
	return withPort(u.Host, port) == withPort(t.Host, port)
}

func listed(host string, allowed []string) bool {
	for _, pattern := range allowed {
		if glob(strings.ToLower(pattern)).match(host) {
			return true
		}
	}
	return false
}

// hostOf returns the name or the address in host or host:port, in lower case and
// without the brackets of an address and the dot at the end of a name.
func hostOf(text string) string {
	host, _, err := net.SplitHostPort(text)
	if err != nil {
		host = text
		if in, ok := strings.CutPrefix(text, "["); ok {
			host = strings.TrimSuffix(in, "]")
		}
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// withPort returns host:port, with the port given where text has none.
func withPort(text, port string) string {
	if _, p, err := net.SplitHostPort(text); err == nil && p != "" {
		port = p
	}
	return net.JoinHostPort(hostOf(text), port)
}

func addrOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().WithZone("").Unmap()
}

// CheckAllowedHosts returns what is wrong with a list for [Target.Check], or nil.
func CheckAllowedHosts(allowed []string) error {
	for _, pattern := range allowed {
		_, err := netip.ParseAddr(pattern)
		if err != nil && (pattern == "" || len(pattern) > maxHost || strings.Trim(strings.ToLower(pattern), "abcdefghijklmnopqrstuvwxyz0123456789.-_*?") != "") {
			return errAllowedHosts
		}
	}
	return nil
}

const maxHost = 253

var errAllowedHosts = errors.New("expected names such as sidecar.example.org or *.example.org, or addresses, without ports")
