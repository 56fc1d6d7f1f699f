package kms

import "strings"

// An Endpointer is a Wrapper that can tell which KEKs share one service: those
// that fail together. Who calls a KMS keeps what it learns about failures by
// endpoint.
type Endpointer interface {
	// Endpoint returns the name of the service that answers for kek, such as a
	// host and Region. It does no I/O, gives few different names, and none that
	// holds a credential: the name stands in metrics and error texts.
	Endpoint(kek string) string
}

// Endpoint returns the name of the service behind a KEK: what w says when it is
// an [Endpointer] and says something, and otherwise what the URI shows, which is
// its scheme with the host, Region or location that follows.
func Endpoint(w Wrapper, kek string) string {
	if e, ok := w.(Endpointer); ok {
		if name := e.Endpoint(kek); name != "" {
			return label(name)
		}
	}
	return uriEndpoint(kek)
}

// Endpoint asks the provider of kek's scheme.
func (m Mux) Endpoint(kek string) string {
	w, err := m.provider(kek)
	if err != nil {
		return uriEndpoint(kek)
	}
	return Endpoint(w, kek)
}

// uriEndpoint knows the three forms in which URIs of KEKs name a service: a
// host behind two slashes, the Region of an ARN, and the location of a resource
// path. Anything else is of its scheme.
func uriEndpoint(kek string) string {
	scheme, rest, ok := strings.Cut(kek, ":")
	if !ok {
		return "none"
	}
	// Some write two slashes before an ARN as well.
	if parts := strings.SplitN(strings.TrimPrefix(rest, "//"), ":", 5); len(parts) == 5 && parts[0] == "arn" && parts[3] != "" {
		return label(scheme + ":" + parts[3])
	}
	if _, after, ok := strings.Cut(rest, "//"); ok {
		host, _, _ := strings.Cut(after, "/")
		// What stands before an at sign is a credential.
		host = host[strings.LastIndexByte(host, '@')+1:]
		if host != "" && host != "projects" {
			return label(scheme + ":" + host)
		}
	}
	if _, after, ok := strings.Cut(rest, "/locations/"); ok {
		place, _, _ := strings.Cut(after, "/")
		return label(scheme + ":" + place)
	}
	return label(scheme)
}

// maxLabel bounds the name of an endpoint, in bytes.
const maxLabel = 128

// label makes a name fit for a metric.
func label(s string) string {
	if len(s) > maxLabel {
		s = s[:maxLabel]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(".:-_[]", r):
			return r
		default:
			return '_'
		}
	}, s)
}
