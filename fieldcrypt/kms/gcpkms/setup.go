package gcpkms

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

const (
	defaultEndpoint = "https://cloudkms.googleapis.com"
	defaultIAM      = "https://iamcredentials.googleapis.com"

	scopeKMS   = "https://www.googleapis.com/auth/cloudkms"
	scopeCloud = "https://www.googleapis.com/auth/cloud-platform" // which IAM asks for
)

// New returns a KMS. Without options it finds credentials as every Google tool
// does (Application Default Credentials): the file that
// GOOGLE_APPLICATION_CREDENTIALS names, which may be a workload identity
// federation; that of the gcloud command; the metadata server of a machine or of
// GKE. It makes no call to Cloud KMS, and fetches no token.
//
// It fails with kms.ErrInvalid for options that are wrong or contradict each
// other, and when there are no credentials.
func New(ctx context.Context, opts ...Option) (*KMS, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("gcpkms: %w", err)
	}
	s := settings{timeout: DefaultTimeout, endpoint: defaultEndpoint, iam: defaultIAM}
	for _, o := range opts {
		o(&s)
	}
	to, err := s.check()
	if err != nil {
		return nil, err
	}
	k := &KMS{timeout: s.timeout, quota: s.quota}
	if k.tokens, err = s.source(ctx, &k.quota); err != nil {
		return nil, err
	}
	if k.conn, err = to.dial(&s); err != nil {
		return nil, err
	}
	k.client = kmspb.NewKeyManagementServiceClient(k.conn)
	return k, nil
}

func (s *settings) check() (*endpoint, error) {
	if s.timeout <= 0 {
		return nil, fmt.Errorf("gcpkms: a timeout of %v: %w", s.timeout, kms.ErrInvalid)
	}
	if s.principal == "" && len(s.delegates) > 0 {
		return nil, fmt.Errorf("gcpkms: delegates and nobody to impersonate: %w", kms.ErrInvalid)
	}
	for _, account := range append(slices.Clone(s.delegates), s.principal) {
		if !isAccount(account) && (account != "" || s.principal != "") {
			return nil, fmt.Errorf("gcpkms: a service account is named by its e-mail address: %w", kms.ErrInvalid)
		}
	}
	if s.quota != "" && !isProject(s.quota) {
		return nil, fmt.Errorf("gcpkms: the quota project is no id of a project: %w", kms.ErrInvalid)
	}
	return parseEndpoint(s.endpoint, s.hosts)
}

// source returns where tokens come from, and fills in the quota project that the
// credentials name.
func (s *settings) source(ctx context.Context, quota *string) (*tokens, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		// Somebody replaced it, and it may write down what passes.
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	client := tokenClient(transport.Clone())
	detect := func() (*auth.Credentials, error) {
		scope := scopeKMS
		if s.principal != "" {
			scope = scopeCloud
		}
		return credentials.DetectDefault(&credentials.DetectOptions{
			Scopes: []string{scope}, Client: client, DisableAsyncRefresh: true, EarlyTokenRefresh: refreshAhead,
			// It would otherwise log tokens when an environment variable says so.
			Logger: slog.New(slog.DiscardHandler),
		})
	}
	base := &tokens{via: viaCredentials}
	found := s.credentials
	if found == nil {
		var err error
		if found, err = detect(); err != nil {
			// The error repeats what is in the file.
			return nil, fmt.Errorf("gcpkms: there are no credentials that can be read: %w", kms.ErrInvalid)
		}
		base.open = func() (auth.TokenProvider, error) { return detect() }
	}
	if found.TokenProvider == nil {
		return nil, fmt.Errorf("gcpkms: credentials without tokens: %w", kms.ErrInvalid)
	}
	base.source = found
	if *quota == "" {
		project, err := found.QuotaProjectID(ctx)
		if err != nil || project != "" && !isProject(project) {
			return nil, fmt.Errorf("gcpkms: the credentials name a quota project that is none: %w", kms.ErrInvalid)
		}
		*quota = project
	}
	if s.principal == "" {
		return base, nil
	}
	i := &impersonator{
		base: base, client: client, quota: *quota,
		url: s.iam + "/v1/projects/-/serviceAccounts/" + s.principal + ":generateAccessToken",
	}
	for _, d := range s.delegates {
		i.delegates = append(i.delegates, "projects/-/serviceAccounts/"+d)
	}
	return &tokens{via: viaImpersonation, source: i}, nil
}

// An endpoint is where calls go.
type endpoint struct {
	address string // host:port
	tls     bool
}

// parseEndpoint reads a URL, and refuses hosts that nobody has allowed. The error
// does not repeat it: it may hold a password.
func parseEndpoint(raw string, hosts []string) (*endpoint, error) {
	wrong := func(what string) (*endpoint, error) {
		return nil, fmt.Errorf("gcpkms: the endpoint %s: %w", what, kms.ErrInvalid)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return wrong("is no URL with a host")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return wrong("has more than a host and a port")
	}
	host, port := u.Hostname(), u.Port()
	e := &endpoint{tls: u.Scheme == "https"}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return wrong("is neither https nor http")
	case !e.tls && !loopback(host):
		return wrong("is http and not on a loopback address")
	case !loopback(host) && !ofGoogle(host) && !slices.Contains(hosts, host):
		return wrong("is of a host that is not allowed, see WithEndpointHosts")
	case port == "" && e.tls:
		port = "443"
	case port == "":
		port = "80"
	}
	e.address = net.JoinHostPort(host, port)
	return e, nil
}

// ofGoogle tells whether a host is one of Cloud KMS: global, regional or private.
// There are others below googleapis.com, and some of them are named by customers.
func ofGoogle(host string) bool {
	return isDomain(host) && strings.HasSuffix(host, ".googleapis.com") &&
		(strings.HasPrefix(host, "cloudkms.") || strings.HasPrefix(host, "cloudkms-"))
}

// dial returns a connection that is made when it is first needed.
func (e *endpoint) dial(s *settings) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if e.tls {
		transport = grpccredentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots})
	}
	const (
		firstPause, longestPause = 100 * time.Millisecond, 2 * time.Second
		quiet, noPong            = 30 * time.Second, 5 * time.Second
	)
	conn, err := grpc.NewClient("dns:///"+e.address,
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent("fieldveil"),
		// One try: package datakey repeats calls, within a budget for all. And no
		// record of the DNS decides how a call is made.
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(maxAnswer)),
		grpc.WithMaxHeaderListSize(maxAnswer),
		// gRPC by itself lets up to two minutes go by before it tries a service
		// again that is back.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: longestPause},
			MinConnectTimeout: s.timeout,
		}),
		// A connection that something on the way has forgotten looks sound for a
		// quarter of an hour. A ping with the first call after a quiet time finds
		// it out.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: quiet, Timeout: noPong}),
	)
	if err != nil {
		return nil, fmt.Errorf("gcpkms: the endpoint cannot be used: %w", kms.ErrInvalid)
	}
	return conn, nil
}
