package azurekms

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A guard says for what a token may be asked for. A vault chooses that by its
// challenge, and whoever answers in its place would like another.
type guard struct {
	vault    string // host name
	resource string // audience of its tokens
	tenant   string // the only one, where it is set
}

var (
	errChallenge = errors.New("challenge asks for a token that is not for this vault")
	errTenant    = errors.New("challenge names another tenant than the configuration")
)

// allows tells whether a scope is that of the vault.
func (g guard) allows(scope string) bool {
	return strings.TrimSuffix(strings.TrimSuffix(scope, "/.default"), "/") == g.resource
}

// challenge replaces the challenges of an answer with one that says the same in
// the one form that the SDK reads without harm: it splits what it finds without
// looking, and a server must not end a process.
func (g guard) challenge(h http.Header) error {
	const name = "WWW-Authenticate"
	values := h.Values(name)
	if len(values) == 0 {
		return nil
	}
	p, ok := parameters401(values[0])
	if !ok {
		return errChallenge
	}
	out := "Bearer "
	if claims, ok := p["claims"]; ok && p["error"] == "insufficient_claims" {
		if _, err := base64.StdEncoding.DecodeString(claims); err != nil {
			return errChallenge
		}
		out += `error="insufficient_claims", claims="` + claims + `", `
	}
	authority, ok := strings.CutPrefix(p["authorization"], "https://")
	if !ok {
		authority, ok = strings.CutPrefix(p["authorization_uri"], "https://")
	}
	login, tenant, _ := strings.Cut(authority, "/")
	if !ok || !host(login) || !tenantName(tenant) {
		return errChallenge
	}
	scope := p["scope"]
	if scope == "" {
		scope = p["resource"]
	}
	if !g.allows(scope) {
		return errChallenge
	}
	out += `authorization="https://` + login + "/" + tenant + `", resource="` + g.resource + `"`
	h.Del(name)
	h.Set(name, out)
	return nil
}

// parameters401 reads the parameters of a Bearer challenge.
func parameters401(s string) (map[string]string, bool) {
	const most = 4 << 10
	rest, ok := strings.CutPrefix(s, "Bearer ")
	if !ok || len(s) > most {
		return nil, false
	}
	p := map[string]string{}
	for rest = strings.TrimLeft(rest, ", "); rest != ""; rest = strings.TrimLeft(rest, ", ") {
		name, after, ok := strings.Cut(rest, `="`)
		if !ok || name == "" || strings.ContainsAny(name, " ,\"=") {
			return nil, false
		}
		value, after, ok := strings.Cut(after, `"`)
		if _, twice := p[name]; !ok || twice {
			return nil, false
		}
		p[name], rest = value, after
	}
	return p, true
}

// tenantName tells whether s is the id of a tenant, or a domain of it.
func tenantName(s string) bool { return label(strings.ToLower(s)) || host(strings.ToLower(s)) }

// A credential is a source of tokens behind a guard.
type credential struct {
	guard

	from azcore.TokenCredential
}

// GetToken asks for a token for the vault, and for nothing else.
func (c *credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 || !c.allows(o.Scopes[0]) {
		return azcore.AccessToken{}, errChallenge
	}
	if c.tenant != "" && !strings.EqualFold(o.TenantID, c.tenant) {
		return azcore.AccessToken{}, errTenant
	}
	t, err := c.from.GetToken(ctx, o)
	if err != nil {
		return azcore.AccessToken{}, &credentialError{err}
	}
	return t, nil
}

// A credentialError says that there is no token for a call.
type credentialError struct{ err error }

func (e *credentialError) Error() string { return "no token" }
func (e *credentialError) Unwrap() error { return e.err }

// NonRetriable has the SDK give up at once.
func (*credentialError) NonRetriable() {}
