package auth

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// An Auth says who calls and what he may do, by one configuration. It is made by
// [New] and safe for concurrent use. For another configuration make another one;
// files that the configuration names are read again by [Auth.Run].
type Auth struct {
	config  Config
	rules   *rules
	jwt     *verifier // nil for none
	now     func() time.Time
	observe func(Reload)

	reloading sync.Mutex
	last      string // what the files held when they were read last
	state     atomic.Pointer[state]
}

// A state is what files hold. It is immutable.
type state struct {
	pair   *pair // nil without TLS
	tokens []token
}

// An Option changes an Auth.
type Option func(*Auth)

// WithObserver has f told of every reload, one at a time. f must not wait.
func WithObserver(f func(Reload)) Option { return func(a *Auth) { a.observe = f } }

// WithClock puts now in the place of the system's clock.
func WithClock(now func() time.Time) Option { return func(a *Auth) { a.now = now } }

// New returns an Auth, and reads the files of c. It makes no connection: the keys of
// an identity provider are fetched when the first token comes.
func New(c Config, opts ...Option) (*Auth, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	a := &Auth{config: c, now: time.Now, observe: func(Reload) {}}
	for _, o := range opts {
		o(a)
	}
	var err error
	if a.rules, err = compileRules(c.Rules); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if c.JWT.set() {
		if a.jwt, err = newVerifier(c.JWT, a.now); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
	}
	s, sum, err := a.read()
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	a.state.Store(s)
	a.last = sum
	return a, nil
}

// A Request is what is known of a caller.
type Request struct {
	TLS           *tls.ConnectionState // nil without TLS
	Authorization string               // the header, or empty
	Remote        net.Addr             // the other end of the connection
	Peer          *PeerCred            // of a Unix socket; not needed where Remote is a *PeerAddr
	Target        Target               // looked at where the caller shows no credential
}

// Authenticate returns who calls. A credential in the header counts before a
// certificate, and that before a user id; a credential that is wrong is refused
// whatever else there is. Who shows none must ask for this host by a name that it
// has: see [Target.Check]. The error is an [*Error]. ctx ends the waiting for the
// keys of an identity provider.
func (a *Auth) Authenticate(ctx context.Context, r Request) (Principal, error) {
	s := a.state.Load()
	if r.Authorization != "" {
		return a.byHeader(ctx, s, r.Authorization)
	}
	if s.pair != nil && s.pair.roots != nil {
		if p, shown, err := s.pair.principal(r.TLS, a.config.SPIFFE.TrustDomain, a.now()); shown {
			return p, err
		}
	}
	peer := r.Peer
	if addr, ok := r.Remote.(*PeerAddr); ok {
		peer = &addr.PeerCred
	}
	if peer != nil {
		return a.byUser(peer)
	}
	tcp, ok := r.Remote.(*net.TCPAddr)
	name := NameAnonymous
	switch {
	case ok && tcp.IP.IsLoopback() && a.config.anonymous():
		name = NameLocal
	case a.config.InsecureAllowAnonymous:
	default:
		return Principal{}, unauthenticated(ReasonNone)
	}
	if err := r.Target.Check(a.config.AllowedHosts); err != nil {
		return Principal{}, err
	}
	return Principal{Name: name, Method: MethodAnonymous}, nil
}

func (a *Auth) byHeader(ctx context.Context, s *state, header string) (Principal, error) {
	c, ok := parseHeader(header)
	if !ok {
		return Principal{}, unauthenticated(ReasonHeader)
	}
	if name, ok := find(s.tokens, c.secret); ok && (!c.basic || c.user == name) {
		return Principal{Name: name, Method: MethodToken}, nil
	}
	if a.jwt == nil || !looksLikeJWT(c.secret) {
		return Principal{}, unauthenticated(ReasonToken)
	}
	p, err := a.jwt.principal(ctx, c.secret)
	if err == nil && c.basic && prefixJWT+c.user != p.Name {
		return Principal{}, unauthenticated(ReasonToken)
	}
	return p, err
}

func (a *Auth) byUser(peer *PeerCred) (Principal, error) {
	u := &a.config.Unix
	own := len(u.UIDs) == 0 && len(u.GIDs) == 0 && int64(peer.UID) == int64(os.Getuid())
	if !own && !slices.Contains(u.UIDs, peer.UID) && !slices.Contains(u.GIDs, peer.GID) {
		return Principal{}, unauthenticated(ReasonUser)
	}
	return Principal{Name: prefixUID + strconv.FormatUint(uint64(peer.UID), 10), Method: MethodUnix}, nil
}

// Authorize returns nil where p may do op with a topic, for some tenant at least,
// and an [*Error] otherwise. topic is empty for what is about none.
func (a *Auth) Authorize(p Principal, op Operation, topic string) error {
	if p.Name == "" {
		return unauthenticated(ReasonNone)
	}
	s := a.Tenants(p, op, topic)
	switch {
	case !s.Empty():
		return nil
	case len(s.scopes) > 0 && p.Limited:
		return errTenant
	default:
		return errRule
	}
}

// Tenants returns for whom p may do op with a topic.
func (a *Auth) Tenants(p Principal, op Operation, topic string) TenantSet {
	if p.Name == "" {
		return TenantSet{}
	}
	return TenantSet{scopes: a.rules.decide(p.Name, op, topic), who: p}
}

// TenantGuard returns what asks, for each record, whether the principal in the
// context may write for its tenant, for fieldcrypt.WithTenantGuard. The operation is
// that of [WithOperation], or to produce. current returns the Auth that is in force.
func TenantGuard(current func() *Auth) func(ctx context.Context, topic, tenant string) error {
	return func(ctx context.Context, topic, tenant string) error {
		c := callerOf(ctx)
		if c == nil {
			return unauthenticated(ReasonNone)
		}
		if !c.allowed(current(), topic, tenant) {
			return errTenant
		}
		return nil
	}
}
