package auth

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// A verifier verifies JWTs. It is safe for concurrent use.
type verifier struct {
	c    JWT
	oidc *oidc.IDTokenVerifier
	now  func() time.Time
}

func newVerifier(c JWT, now func() time.Time) (*verifier, error) {
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"RS256", "PS256", "ES256"}
	}
	if c.PrincipalClaim == "" {
		c.PrincipalClaim = "sub"
	}
	if c.ClockSkew == 0 {
		c.ClockSkew = defaultSkew
	}
	keys, err := newKeySet(&c, now)
	if err != nil {
		return nil, err
	}
	return &verifier{c: c, now: now, oidc: oidc.NewVerifier(c.Issuer, keys, &oidc.Config{
		SupportedSigningAlgs: c.Algorithms,
		// Both are looked at below: there may be several audiences, and the library
		// has a leeway of its own.
		SkipClientIDCheck: true, SkipExpiryCheck: true, SkipIssuerCheck: true,
	})}, nil
}

// awayKey is of a flag in the context of a verification, which says that the keys
// could not be had: the library keeps the text of an error, and not the error.
type awayKey struct{}

// principal returns whose token raw is.
func (v *verifier) principal(ctx context.Context, raw string) (Principal, error) {
	var away bool
	token, err := v.oidc.Verify(context.WithValue(ctx, awayKey{}, &away), raw)
	switch {
	case away:
		return Principal{}, &Error{ErrUnavailable, ReasonKeys}
	case err != nil:
		// What the library says may quote the token.
		return Principal{}, unauthenticated(ReasonJWT)
	case token.Issuer != v.c.Issuer:
		return Principal{}, unauthenticated(ReasonIssuer)
	case !slices.ContainsFunc(token.Audience, func(a string) bool { return slices.Contains(v.c.Audience, a) }):
		return Principal{}, unauthenticated(ReasonAudience)
	}
	now := v.now()
	if token.Expiry.IsZero() || !now.Before(token.Expiry.Add(v.c.ClockSkew)) {
		return Principal{}, unauthenticated(ReasonExpired)
	}
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return Principal{}, unauthenticated(ReasonJWT)
	}
	if raw, ok := claims["nbf"]; ok {
		var seconds float64
		if json.Unmarshal(raw, &seconds) != nil {
			return Principal{}, unauthenticated(ReasonJWT)
		}
		if now.Add(v.c.ClockSkew).Before(time.Unix(int64(seconds), 0)) {
			return Principal{}, unauthenticated(ReasonNotYet)
		}
	}
	return v.claims(claims)
}

// claims returns who and for whom.
func (v *verifier) claims(claims map[string]json.RawMessage) (Principal, error) {
	var name string
	if json.Unmarshal(claims[v.c.PrincipalClaim], &name) != nil || !printable(name) || len(name) > maxClaim {
		return Principal{}, unauthenticated(ReasonClaim)
	}
	p := Principal{Name: prefixJWT + name, Method: MethodJWT}
	if v.c.TenantClaim == "" {
		return p, nil
	}
	p.Limited = true
	raw, ok := claims[v.c.TenantClaim]
	if !ok {
		return p, nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		p.Tenants = []string{one}
	} else if json.Unmarshal(raw, &p.Tenants) != nil || len(p.Tenants) > maxTenants {
		return Principal{}, unauthenticated(ReasonClaim)
	}
	if slices.Contains(p.Tenants, "") {
		// It would be that of the records of none.
		return Principal{}, unauthenticated(ReasonClaim)
	}
	return p, nil
}

const (
	maxClaim   = 256
	maxTenants = 1000
)

// looksLikeJWT tells a JWT from other tokens.
func looksLikeJWT(s string) bool { return strings.Count(s, ".") == 2 && s[0] != '{' }
