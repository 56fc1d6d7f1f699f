package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// Limits on what a registry can make a Client hold or do.
const (
	maxURLs       = 16
	maxText       = 1 << 20 // bytes of one schema text
	maxReferences = 256     // of one schema, those of references included
	maxDepth      = 64      // of references
	maxSubject    = 2048    // bytes of the name of a subject
)

const (
	defaultTimeout     = 10 * time.Second
	defaultBudget      = 30 * time.Second
	defaultMaxAnswer   = 4 << 20
	defaultSchemas     = 10_000
	defaultCacheBytes  = 64 << 20
	defaultLatest      = time.Minute
	defaultStale       = time.Hour
	defaultNegative    = 10 * time.Second
	defaultUnavailable = time.Second
	userAgent          = "fieldveil"
)

// An Option changes how a [Client] works. No print of an Option shows what it
// holds.
type Option func(*config) error

type config struct {
	endpoints []endpoint
	auth      func(context.Context) (string, error) // value of Authorization, nil for none
	headers   map[string]secret.Bytes
	secrets   [][]byte // what must not stand in a message
	transport http.RoundTripper
	tls       *tls.Config
	insecure  bool
	timeout   time.Duration
	budget    time.Duration
	maxAnswer int
	schemas   int
	bytes     int
	latest    time.Duration
	stale     time.Duration
	negative  time.Duration
	normalize bool
	refTags   bool
	refName   func(subject, name string) string
	snapshot  *Dir
}

// An endpoint is one URL of a registry.
type endpoint struct {
	shown string // scheme and host
	path  string // what stands before the paths of the interface, escaped
	auth  string // value of Authorization from the URL, empty for none
}

// WithBasicAuth sends a name and a password with every request.
func WithBasicAuth(user, password string) Option {
	return func(c *config) error {
		if strings.Contains(user, ":") {
			return errors.New("registry: a user name must not hold a colon")
		}
		value := basic(user, password)
		return c.authorize(func(context.Context) (string, error) { return value, nil }, password, value)
	}
}

// WithBearerToken sends a token with every request.
func WithBearerToken(token string) Option {
	return func(c *config) error {
		if !validHeader(token) || token == "" {
			return errors.New("registry: the bearer token is empty or not printable")
		}
		return c.authorize(func(context.Context) (string, error) { return "Bearer " + token, nil }, token)
	}
}

// WithBearerTokenFunc sends a token with every request that source returns,
// which is called each time and by many goroutines: it should keep its token
// until that expires. An error of source fails the call as [ErrUnavailable],
// without the text of the error.
func WithBearerTokenFunc(source func(context.Context) (string, error)) Option {
	return func(c *config) error {
		if source == nil {
			return errors.New("registry: no source of bearer tokens")
		}
		return c.authorize(func(ctx context.Context) (string, error) {
			token, err := source(ctx)
			if err != nil || token == "" || !validHeader(token) {
				return "", errToken
			}
			return "Bearer " + token, nil
		})
	}
}

var errToken = errors.New("no bearer token could be had")

// WithHeader sends a header with every request. Its value counts as a
// credential.
func WithHeader(name, value string) Option {
	return func(c *config) error {
		name = http.CanonicalHeaderKey(name)
		switch {
		case name == "" || !validHeader(name) || strings.ContainsAny(name, " :") || !validHeader(value):
			return errors.New("registry: header that HTTP does not allow")
		case name == "Authorization" || name == "Host" || name == "Content-Length" || name == "Content-Type":
			return errors.New("registry: the header " + name + " is set by other options")
		}
		c.headers[name] = secret.Take([]byte(value))
		c.secrets = append(c.secrets, []byte(value))
		return nil
	}
}

// WithTransport makes all requests through rt, in place of a transport of the
// Client's own. It cannot go together with the TLS options. rt must not follow
// redirects.
func WithTransport(rt http.RoundTripper) Option {
	return func(c *config) error {
		if rt == nil {
			return errors.New("registry: no transport")
		}
		c.transport = rt
		return nil
	}
}

// WithInsecureCredentials lets credentials travel without TLS to other machines
// than this one.
func WithInsecureCredentials() Option {
	return func(c *config) error { c.insecure = true; return nil }
}

// WithTimeout bounds one request to one URL. Default is 10 seconds.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error { return positive(&c.timeout, d, "timeout") }
}

// WithBudget bounds one call with all requests that it takes, to all URLs and for
// all references. Default is 30 seconds.
func WithBudget(d time.Duration) Option {
	return func(c *config) error { return positive(&c.budget, d, "budget") }
}

// WithMaxAnswer bounds the size of one answer, and of one text with all its
// references, in bytes. Default is 4 MiB. One schema text is at most 1 MiB in any
// case, and has at most 256 references, nested 64 deep.
func WithMaxAnswer(bytes int) Option {
	return func(c *config) error { return positive(&c.maxAnswer, bytes, "greatest answer") }
}

// WithCache bounds how much is kept of each kind: schemas by id, by GUID and by
// version. Default is 10,000 and 64 MiB. What was used least recently goes first;
// its digest stays.
func WithCache(schemas, bytes int) Option {
	return func(c *config) error {
		return errors.Join(positive(&c.schemas, schemas, "number of schemas"), positive(&c.bytes, bytes, "size of the cache"))
	}
}

// WithLatest says how long the latest version of a subject, and the list of
// subjects of a schema, count as known, and for how long beyond that they serve
// while the registry is away. Default is a minute and an hour.
func WithLatest(fresh, stale time.Duration) Option {
	return func(c *config) error {
		if stale < 0 {
			return errors.New("registry: the time of staleness is negative")
		}
		c.stale = stale
		return positive(&c.latest, fresh, "time of freshness")
	}
}

// WithNegative says how long a refusal stands, such as that an id is not known.
// Default is 10 seconds. That a registry is unavailable stands for a second.
func WithNegative(d time.Duration) Option {
	return func(c *config) error { return positive(&c.negative, d, "time of refusals") }
}

// WithNormalize asks the registry to normalize texts when it registers them or
// looks them up.
func WithNormalize() Option {
	return func(c *config) error { c.normalize = true; return nil }
}

// WithoutReferenceTags leaves the metadata of references alone, as other clients
// do: only the tags in their texts count. By default the tags there count too,
// because a tag that nobody honours is a field in clear.
func WithoutReferenceTags() Option {
	return func(c *config) error { c.refTags = false; return nil }
}

// WithReferenceSubject names the subjects under which [Client.Register] puts
// references that are not registered yet, from the subject of the schema and the
// name of the reference. Default is both with a dot between them, and dots for
// slashes in the name.
func WithReferenceSubject(name func(subject, name string) string) Option {
	return func(c *config) error {
		if name == nil {
			return errors.New("registry: no naming of references")
		}
		c.refName = name
		return nil
	}
}

// WithSnapshot answers from dir what is there, before the registry is asked.
// Other content than that of dir under an id of dir is [ErrChanged].
func WithSnapshot(dir *Dir) Option {
	return func(c *config) error {
		if dir == nil {
			return errors.New("registry: no snapshot")
		}
		c.snapshot = dir
		return nil
	}
}

func positive[T int | time.Duration](p *T, v T, what string) error {
	if v <= 0 {
		return errors.New("registry: the " + what + " must be more than zero")
	}
	*p = v
	return nil
}

func (c *config) authorize(auth func(context.Context) (string, error), secrets ...string) error {
	if c.auth != nil {
		return errors.New("registry: two options give credentials")
	}
	c.auth = auth
	for _, s := range secrets {
		c.secrets = append(c.secrets, []byte(s))
	}
	return nil
}

// newConfig applies options and checks what they say together.
func newConfig(urls []string, opts []Option) (*config, error) {
	c := &config{
		headers: map[string]secret.Bytes{},
		timeout: defaultTimeout, budget: defaultBudget, maxAnswer: defaultMaxAnswer,
		schemas: defaultSchemas, bytes: defaultCacheBytes,
		latest: defaultLatest, stale: defaultStale, negative: defaultNegative,
		refTags: true,
		refName: func(subject, name string) string { return subject + "." + strings.ReplaceAll(name, "/", ".") },
	}
	for _, opt := range opts {
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	if len(urls) == 0 || len(urls) > maxURLs {
		return nil, fmt.Errorf("registry: want 1 to %d URLs", maxURLs)
	}
	for i, u := range urls {
		if err := c.addURL(u); err != nil {
			return nil, fmt.Errorf("registry: URL %d: %w", i+1, err)
		}
	}
	if c.transport != nil && c.tls != nil {
		return nil, errors.New("registry: a transport of one's own brings its own TLS")
	}
	if c.transport == nil {
		c.transport = newTransport(c.tls)
	}
	return c, nil
}

// addURL checks one URL. Its errors do not quote it.
func (c *config) addURL(raw string) error {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Opaque != "" || u.Host == "" || u.Hostname() == "":
		return errors.New("not a URL with a host")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the scheme is neither https nor http")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("a query or fragment has no meaning here")
	}
	e := endpoint{shown: u.Scheme + "://" + u.Host, path: strings.TrimRight(u.EscapedPath(), "/")}
	if u.User != nil {
		if c.auth != nil {
			return errors.New("the URL and an option give credentials")
		}
		password, _ := u.User.Password()
		e.auth = basic(u.User.Username(), password)
		c.secrets = append(c.secrets, []byte(password), []byte(e.auth))
	}
	credentials := e.auth != "" || c.auth != nil || len(c.headers) > 0
	if u.Scheme == "http" && credentials && !c.insecure && !loopback(u.Hostname()) {
		return errors.New("credentials would travel without TLS: use https, or WithInsecureCredentials")
	}
	if u.Scheme == "http" && c.tls != nil {
		return errors.New("TLS is configured and the scheme is http")
	}
	c.endpoints = append(c.endpoints, e)
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// validHeader tells whether s can stand in a header without changing it.
func validHeader(s string) bool {
	for _, b := range []byte(s) {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}
