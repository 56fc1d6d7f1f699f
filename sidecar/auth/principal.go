package auth

import (
	"context"
	"slices"
)

// A Method is how a principal was authenticated.
type Method string

// The methods.
const (
	MethodToken     Method = "token"
	MethodJWT       Method = "jwt"
	MethodMTLS      Method = "mtls"
	MethodUnix      Method = "unix"
	MethodAnonymous Method = "anonymous"
)

// The names of callers that showed no credential. No other principal has one of
// them.
const (
	NameLocal     = "local"     // on loopback
	NameAnonymous = "anonymous" // anywhere
)

// The prefixes of names, by method. Names of tokens have none, so that no method
// can name the principals of another.
const (
	prefixJWT    = "jwt:"
	prefixCN     = "cn:"
	prefixDNS    = "dns:"
	prefixUID    = "uid:"
	prefixSPIFFE = "spiffe://"
)

// A Principal is a caller that was authenticated. The zero Principal is nobody.
type Principal struct {
	// Name is such as "billing" of a token, "jwt:client-7", "cn:billing",
	// "dns:billing.example.org", "spiffe://example.org/billing", "uid:1000" or
	// "local".
	Name   string
	Method Method
	// Limited is set where the credential itself says for which tenants it is,
	// which are Tenants then, beside what the rules say. It must not be changed.
	Limited bool
	Tenants []string
}

// has tells whether the credential lets p act for a tenant.
func (p *Principal) has(tenant string) bool { return !p.Limited || slices.Contains(p.Tenants, tenant) }

type (
	principalKey struct{}
	operationKey struct{}
)

// NewContext returns a context that holds p.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, &p)
}

// FromContext returns the principal of a context, and false where it has none.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(*Principal)
	if !ok {
		return Principal{}, false
	}
	return *p, true
}

// WithOperation says what a caller does, for [TenantGuard].
func WithOperation(ctx context.Context, op Operation) context.Context {
	return context.WithValue(ctx, operationKey{}, op)
}
