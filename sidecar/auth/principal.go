package auth

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
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

// A caller is what a context holds: the principal, what it does, and what was
// decided about the first of its records. Most others are of that topic and tenant.
type caller struct {
	who   Principal
	op    Operation // OpProduce where nobody said
	first atomic.Pointer[verdict]
}

// A verdict is a decision about the records of a caller. It is good while by is in
// force, which is immutable in that regard.
type verdict struct {
	by            *Auth
	topic, tenant string
	allowed       bool
}

// allowed tells whether the caller may act for a tenant.
func (c *caller) allowed(by *Auth, topic, tenant string) bool {
	v := c.first.Load()
	if v != nil && v.by == by && v.topic == topic && v.tenant == tenant {
		return v.allowed
	}
	ok := by.Tenants(c.who, c.op, topic).Allows(tenant)
	if v == nil || v.by != by {
		c.first.Store(&verdict{by, strings.Clone(topic), strings.Clone(tenant), ok})
	}
	return ok
}

func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(principalKey{}).(*caller)
	return c
}

// NewContext returns a context that holds p.
func NewContext(ctx context.Context, p Principal) context.Context {
	op, _ := ctx.Value(operationKey{}).(Operation)
	return context.WithValue(ctx, principalKey{}, &caller{who: p, op: op})
}

// FromContext returns the principal of a context, and false where it has none.
func FromContext(ctx context.Context) (Principal, bool) {
	c := callerOf(ctx)
	if c == nil {
		return Principal{}, false
	}
	return c.who, true
}

// WithOperation says what a caller does, for [TenantGuard].
func WithOperation(ctx context.Context, op Operation) context.Context {
	ctx = context.WithValue(ctx, operationKey{}, op)
	if c := callerOf(ctx); c != nil {
		ctx = context.WithValue(ctx, principalKey{}, &caller{who: c.who, op: op})
	}
	return ctx
}
