package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Config says who may call and what he may do.
type Config struct {
	TLS    TLS           `yaml:"tls"`
	Tokens []TokenSource `yaml:"tokens"`
	JWT    JWT           `yaml:"jwt"`
	Unix   Unix          `yaml:"unix"`
	SPIFFE SPIFFE        `yaml:"spiffe"`
	// AnonymousLoopback lets callers on loopback in without a credential, as
	// principal "local", while no tokens, JWTs or client certificates are
	// configured. Default true.
	AnonymousLoopback *bool `yaml:"anonymous_loopback"`
	// InsecureAllowAnonymous lets everybody in without a credential, as principal
	// "anonymous", also from other hosts.
	InsecureAllowAnonymous bool `yaml:"insecure_allow_anonymous"`
	// InsecureAllowPlaintext allows addresses that other hosts reach without TLS:
	// records and credentials are then in clear on the network.
	InsecureAllowPlaintext bool `yaml:"insecure_allow_plaintext"`
	// AllowedHosts are names under which callers without a credential may ask for
	// this host, and origins of pages that may, beside loopback and the address
	// that they connected to. Names have no port, and * stands for any text.
	AllowedHosts []string `doc:"Names under which callers without a credential may ask, beside loopback and the own address." yaml:"allowed_hosts"`
	// Rules say what principals may do. Without any, everybody who was let in may
	// produce, check, protect and see metadata, and nothing else.
	Rules []Rule `yaml:"rules"`
	// ReloadInterval is how often files are looked at when nothing says that they
	// changed. Default 30s.
	ReloadInterval time.Duration `yaml:"reload_interval"`
}

// TLS is the transport. All files are in PEM, and are read again when they change.
type TLS struct {
	Cert     string `yaml:"cert"`      // the chain, the leaf first
	Key      string `yaml:"key"`       // of the leaf
	ClientCA string `yaml:"client_ca"` // who signs the certificates of callers
	// ClientAuth is "none", "optional" or "require". Default require with a
	// client_ca, none without.
	ClientAuth string `yaml:"client_auth"`
	MinVersion string `yaml:"min_version"` // "1.3" or "1.2"; default 1.3
}

// A TokenSource is a file with tokens, which is read again when it changes.
type TokenSource struct {
	// Principal is whose token the file holds. Without it, each line of the file is
	// PRINCIPAL:TOKEN, and lines that are empty or begin with # are skipped.
	Principal string `yaml:"principal"`
	File      string `yaml:"file"`
}

// JWT are tokens of an identity provider.
type JWT struct {
	Issuer   string   `yaml:"issuer"`   // must be the claim iss
	Audience []string `yaml:"audience"` // one must be in the claim aud
	// JWKSURL is where the keys are. Default as the issuer's discovery document
	// says.
	JWKSURL string `yaml:"jwks_url"`
	// CA is a file with the certificates that sign that of the provider. Default
	// those of the system.
	CA string `yaml:"ca"`
	// Algorithms are of RS256, PS256, ES256 and EdDSA. Default RS256, PS256, ES256.
	Algorithms     []string `yaml:"algorithms"`
	PrincipalClaim string   `yaml:"principal_claim"` // default sub
	// TenantClaim, if set, limits callers to the tenants that it names, a text or a
	// list. A token without it is for none.
	TenantClaim string        `yaml:"tenant_claim"`
	ClockSkew   time.Duration `yaml:"clock_skew"` // default 30s, at most 5m
	// Refresh is how old keys may be before they are fetched again, in the
	// background, and Expire how old they may be at all. Default 15m and 24h.
	Refresh time.Duration `yaml:"refresh"`
	Expire  time.Duration `yaml:"expire"`
}

// Unix is about Unix sockets, where the system says who is at the other end.
type Unix struct {
	Mode string   `yaml:"mode"` // of the socket, in octal; default 0600
	UIDs []uint32 `yaml:"uids"` // who is let in; without uids and gids the own user
	GIDs []uint32 `yaml:"gids"`
}

// SPIFFE is about certificates with a SPIFFE id.
type SPIFFE struct {
	// TrustDomain, if set, is what the id of each client certificate must be of;
	// the principal is the id.
	TrustDomain string `yaml:"trust_domain"`
}

const (
	clientNone     = "none"
	clientOptional = "optional"
	clientRequire  = "require"

	defaultSkew    = 30 * time.Second
	maxSkew        = 5 * time.Minute
	defaultRefresh = 15 * time.Minute
	defaultExpire  = 24 * time.Hour
	defaultReload  = 30 * time.Second
	defaultMode    = 0o600
)

// DefaultConfig returns the defaults: callers on loopback may produce.
func DefaultConfig() Config { return Config{} }

// Validate returns all that is wrong with c, by the paths of the keys. It reads no
// files.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	c.validateTLS(add)
	seen := make(map[string]bool)
	for i, t := range c.Tokens {
		switch {
		case t.File == "":
			add("tokens[%d].file: required", i)
		case seen[t.File]:
			add("tokens[%d].file: stands twice", i)
		}
		seen[t.File] = true
		if t.Principal != "" && !validName(t.Principal) {
			add("tokens[%d].principal: %s", i, nameForm)
		}
	}
	if c.JWT.set() {
		c.JWT.validate(add)
	}
	if _, err := c.Unix.mode(); err != nil {
		add("unix.mode: %w", err)
	}
	if d := c.SPIFFE.TrustDomain; d != "" {
		if strings.Trim(d, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
			add("spiffe.trust_domain: expected a name such as example.org")
		}
		if c.clientAuth() == clientNone {
			add("spiffe.trust_domain: needs tls.client_ca")
		}
	}
	if err := CheckAllowedHosts(c.AllowedHosts); err != nil {
		add("allowed_hosts: %w", err)
	}
	if c.ReloadInterval < 0 {
		add("reload_interval: negative")
	}
	if _, err := compileRules(c.Rules); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *Config) validateTLS(add func(string, ...any)) {
	t := &c.TLS
	if (t.Cert == "") != (t.Key == "") {
		add("tls.cert: cert and key go together")
	}
	if t.ClientCA != "" && t.Cert == "" {
		add("tls.client_ca: needs tls.cert")
	}
	switch t.ClientAuth {
	case "", clientNone:
	case clientOptional, clientRequire:
		if t.ClientCA == "" {
			add("tls.client_auth: %s needs tls.client_ca", t.ClientAuth)
		}
	default:
		add("tls.client_auth: expected none, optional or require")
	}
	if t.MinVersion != "" && t.MinVersion != "1.2" && t.MinVersion != "1.3" {
		add("tls.min_version: expected 1.3 or 1.2")
	}
}

// clientAuth returns what is asked of client certificates.
func (c *Config) clientAuth() string {
	switch {
	case c.TLS.ClientAuth != "":
		return c.TLS.ClientAuth
	case c.TLS.ClientCA != "":
		return clientRequire
	default:
		return clientNone
	}
}

// credentials tells whether anything is configured that a caller can show.
func (c *Config) credentials() bool {
	return len(c.Tokens) > 0 || c.JWT.set() || c.clientAuth() != clientNone
}

// anonymous tells whether callers on loopback are let in without a credential.
func (c *Config) anonymous() bool {
	return !c.credentials() && (c.AnonymousLoopback == nil || *c.AnonymousLoopback)
}

func (j *JWT) set() bool { return j.Issuer != "" || j.JWKSURL != "" || len(j.Audience) > 0 }

func (j *JWT) validate(add func(string, ...any)) {
	if j.Issuer == "" {
		add("jwt.issuer: required")
	}
	if len(j.Audience) == 0 || slices.Contains(j.Audience, "") {
		add("jwt.audience: required: a token for another service must not pass here")
	}
	for key, text := range map[string]string{"jwks_url": j.JWKSURL, "issuer": j.Issuer} {
		if (key == "jwks_url" && text != "" || key == "issuer" && j.JWKSURL == "") && !safeURL(text) {
			add("jwt.%s: expected a https URL, or http on a loopback address", key)
		}
	}
	for i, alg := range j.Algorithms {
		if !slices.Contains(algorithms(), alg) {
			add("jwt.algorithms[%d]: expected one of %s", i, strings.Join(algorithms(), ", "))
		}
	}
	if j.ClockSkew < 0 || j.ClockSkew > maxSkew {
		add("jwt.clock_skew: expected 0 to %v", maxSkew)
	}
	refresh, expire := j.ages()
	if refresh < minRefresh || expire < refresh {
		add("jwt.refresh: expected %v or more, and jwt.expire not below it", minRefresh)
	}
}

func (j *JWT) ages() (refresh, expire time.Duration) {
	refresh, expire = j.Refresh, j.Expire
	if refresh == 0 {
		refresh = defaultRefresh
	}
	if expire == 0 {
		expire = max(defaultExpire, refresh)
	}
	return refresh, expire
}

func algorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

// safeURL tells whether keys may be fetched from a URL: from any host they must
// come by TLS.
func safeURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || (u.Scheme == "http" && err == nil && ip.IsLoopback())
}

func (u *Unix) mode() (fs.FileMode, error) {
	if u.Mode == "" {
		return defaultMode, nil
	}
	mode, err := strconv.ParseUint(u.Mode, 8, 32)
	if err != nil || mode > 0o777 || mode&0o600 != 0o600 {
		return 0, errors.New("expected octal digits such as 0660, with reading and writing by the owner")
	}
	return fs.FileMode(mode), nil
}

const (
	maxName  = 128
	nameForm = "a name is 1 to 128 letters, digits, _, - and dots, and neither local nor anonymous"
)

// validName tells whether a token may have a principal of that name.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && name != NameLocal && name != NameAnonymous &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
}
