package auth

import "errors"

// The kinds of an [Error].
var (
	// ErrUnauthenticated: nobody knows who calls.
	ErrUnauthenticated = errors.New("auth: not authenticated")
	// ErrDenied: the caller may not do that.
	ErrDenied = errors.New("auth: denied")
	// ErrHost: the request asks for another host, and shows no credential.
	ErrHost = errors.New("auth: the request is for another host")
	// ErrOrigin: a page of another origin sent the request, without a credential.
	ErrOrigin = errors.New("auth: the request comes from a page of another origin")
	// ErrUnavailable: who calls cannot be found out now. Retry later.
	ErrUnavailable = errors.New("auth: cannot be authenticated now")
)

// A Reason is why, of a closed set, fit for logs and metrics. It says nothing that
// helps an attacker, and is no secret.
type Reason string

// The reasons.
const (
	ReasonNone        Reason = "no_credential"
	ReasonHeader      Reason = "header_malformed"
	ReasonToken       Reason = "token_unknown"
	ReasonJWT         Reason = "jwt_invalid"
	ReasonExpired     Reason = "jwt_expired"
	ReasonNotYet      Reason = "jwt_not_yet"
	ReasonIssuer      Reason = "jwt_issuer"
	ReasonAudience    Reason = "jwt_audience"
	ReasonClaim       Reason = "jwt_claim"
	ReasonKeys        Reason = "jwt_keys_unavailable"
	ReasonCertificate Reason = "certificate"
	ReasonSPIFFE      Reason = "spiffe_id"
	ReasonUser        Reason = "user_id"
	ReasonRule        Reason = "rule"
	ReasonTenant      Reason = "tenant"
	ReasonHost        Reason = "host"
	ReasonOrigin      Reason = "origin"
)

// An Error says that a caller was not let. It is one of the kinds above, for
// [errors.Is], and holds fixed words only.
type Error struct {
	Kind   error // such as ErrUnauthenticated
	Reason Reason
}

func (e *Error) Error() string { return e.Kind.Error() + ": " + string(e.Reason) }

func (e *Error) Unwrap() error { return e.Kind }

func unauthenticated(why Reason) error { return &Error{ErrUnauthenticated, why} }

// The errors of decisions are made once: who is denied costs no memory.
var (
	errRule   error = &Error{ErrDenied, ReasonRule}
	errTenant error = &Error{ErrDenied, ReasonTenant}
	errHost   error = &Error{ErrHost, ReasonHost}
	errOrigin error = &Error{ErrOrigin, ReasonOrigin}
)
