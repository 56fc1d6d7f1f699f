package awskms

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// New returns a KMS. Without options it finds credentials and Region as every
// AWS tool does: in the environment, the shared configuration, a web identity
// (IRSA), the container, the instance. It makes no call to AWS KMS.
//
// It fails with kms.ErrInvalid for options that are wrong or contradict each
// other, and for a configuration that cannot be loaded.
func New(ctx context.Context, opts ...Option) (*KMS, error) {
	s := settings{timeout: DefaultTimeout}
	for _, o := range opts {
		o(&s)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	cfg, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	k := &KMS{timeout: s.timeout, replicas: s.replicas}
	if k.former, err = formerKeys(s.former); err != nil {
		return nil, err
	}
	k.client = sdk.NewFromConfig(cfg, func(o *sdk.Options) {
		if s.endpoint != "" {
			o.BaseEndpoint = aws.String(s.endpoint)
		}
		if s.fips {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		// One try: package datakey repeats calls, within a budget for all.
		o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 1
		o.HTTPClient = bounded{o.HTTPClient}
		o.Credentials = tagged{o.Credentials}
	})
	k.credentials = cfg.Credentials
	set := k.client.Options()
	k.region = set.Region
	if set.BaseEndpoint != nil {
		if set.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled {
			return nil, fmt.Errorf("awskms: FIPS endpoints are those of AWS, and another endpoint is set: %w", kms.ErrInvalid)
		}
		if k.endpoint, err = parseEndpoint(*set.BaseEndpoint, "kms", &s); err != nil {
			return nil, err
		}
	}
	for _, r := range s.replicas {
		if k.endpoint != nil && !k.endpoint.serves(r, k.region) {
			return nil, fmt.Errorf("awskms: the endpoint has no {region} in its host, so it cannot serve the replica in %s: %w", r, kms.ErrInvalid)
		}
	}
	return k, nil
}

// check looks at what is wrong whatever the configuration is.
func (s *settings) check() error {
	if s.timeout <= 0 {
		return fmt.Errorf("awskms: a timeout of %v: %w", s.timeout, kms.ErrInvalid)
	}
	for _, r := range append(slices.Clone(s.replicas), s.region) {
		if r != "" && !region(r) {
			return fmt.Errorf("awskms: %q is no name of a Region: %w", r, kms.ErrInvalid)
		}
	}
	if slices.Contains(s.replicas, "") || len(slices.Compact(slices.Sorted(slices.Values(s.replicas)))) != len(s.replicas) {
		return fmt.Errorf("awskms: the Regions of the replicas hold an empty name or one twice: %w", kms.ErrInvalid)
	}
	if s.role == "" && s.externalID != "" {
		return fmt.Errorf("awskms: an external id without a role: %w", kms.ErrInvalid)
	}
	return nil
}

// load returns the configuration for the calls to AWS KMS. Its logging is off: a
// body holds a data key, and one of STS holds credentials.
func (s *settings) load(ctx context.Context) (aws.Config, error) {
	var cfg aws.Config
	if s.config != nil {
		cfg = s.config.Copy()
	} else {
		var err error
		cfg, err = config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}), config.WithRegion(s.region))
		if err != nil {
			return aws.Config{}, loadError(err)
		}
	}
	cfg.ClientLogMode, cfg.Logger = 0, logging.Nop{}
	if s.region != "" {
		cfg.Region = s.region
	}
	if cfg.Region != "" && !region(cfg.Region) {
		return aws.Config{}, fmt.Errorf("awskms: the configured Region is no name of one: %w", kms.ErrInvalid)
	}
	if cfg.Credentials == nil || aws.IsCredentialsProvider(cfg.Credentials, aws.AnonymousCredentials{}) {
		return aws.Config{}, fmt.Errorf("awskms: a configuration without credentials: %w", kms.ErrInvalid)
	}
	if s.role == "" {
		return cfg, nil
	}
	if cfg.Region == "" {
		return aws.Config{}, fmt.Errorf("awskms: assuming a role needs a Region: %w", kms.ErrInvalid)
	}
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		// One try here too: three of them with pauses are longer than a call may take.
		o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 1
		o.HTTPClient = bounded{o.HTTPClient}
	})
	if base := client.Options().BaseEndpoint; base != nil {
		if _, err := parseEndpoint(*base, "sts", s); err != nil {
			return aws.Config{}, err
		}
	}
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, s.role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "fieldveil"
		if s.externalID != "" {
			o.ExternalID = aws.String(s.externalID)
		}
	}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute })
	return cfg, nil
}

// loadError says what is wrong with a configuration without repeating any of it.
func loadError(err error) error {
	what := "the configuration of AWS cannot be loaded"
	if _, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		what = "the shared configuration does not have the profile that the environment names"
	} else if _, ok := errors.AsType[config.SharedConfigLoadError](err); ok {
		what = "the shared configuration cannot be read"
	}
	return fmt.Errorf("awskms: %s: %w", what, kms.ErrInvalid)
}

func formerKeys(uris map[string][]string) (map[string][]keyRef, error) {
	former := map[string][]keyRef{}
	for alias, keys := range uris {
		a, err := parseURI(alias)
		if err != nil {
			return nil, err
		}
		if !a.isAlias() {
			return nil, fmt.Errorf("awskms: only an alias has former keys: %w", kms.ErrInvalid)
		}
		for _, key := range keys {
			r, err := parseURI(key)
			if err != nil {
				return nil, err
			}
			if r.isAlias() {
				return nil, fmt.Errorf("awskms: a former key is named by its id or ARN, not by an alias: %w", kms.ErrInvalid)
			}
			former[a.String()] = append(former[a.String()], r)
		}
	}
	return former, nil
}

// An endpoint is a URL that calls go to instead of the addresses of AWS.
type endpoint struct {
	url      string
	template bool // with {region} in its host
	loopback bool
}

const regionMark = "{region}"

// parseEndpoint lets https pass to the hosts of a service and to those that the
// program allows, and http where it does not leave the machine. The error does
// not repeat the URL: it may hold a password.
func parseEndpoint(raw, service string, s *settings) (*endpoint, error) {
	wrong := func(what string) (*endpoint, error) {
		return nil, fmt.Errorf("awskms: the endpoint %s: %w", what, kms.ErrInvalid)
	}
	u, err := url.Parse(strings.ReplaceAll(raw, regionMark, "region"))
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return wrong("is no URL with a host")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return wrong("has more than a host and a path")
	}
	_, rest, _ := strings.Cut(raw, "://")
	if _, path, _ := strings.Cut(rest, "/"); strings.Contains(path, regionMark) {
		return wrong("has {region} outside of its host")
	}
	e := &endpoint{url: raw, template: strings.Contains(raw, regionMark), loopback: loopback(u.Hostname())}
	host, _, _ := strings.Cut(rest, "/")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	switch {
	case u.Scheme == "http" && (e.loopback || s.plaintext), u.Scheme == "https" && e.loopback:
		return e, nil
	case u.Scheme == "https" && (ofAWS(u.Hostname(), service) || slices.Contains(s.hosts, host)):
		return e, nil
	case u.Scheme == "https":
		return wrong("is of a host that is not allowed, see WithEndpointHosts")
	case u.Scheme == "http":
		return wrong("is http and not on a loopback address")
	default:
		return wrong("is neither https nor http")
	}
}

// ofAWS tells whether a host is one of a service of AWS, public or of a VPC
// endpoint: kms.eu-central-1.amazonaws.com, or with vpce-ID. before it and
// .vpce behind the Region. Other hosts below these domains belong to customers.
func ofAWS(host, service string) bool {
	for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".api.amazonwebservices.com.cn"} {
		name, ok := strings.CutSuffix(host, domain)
		if !ok {
			continue
		}
		part := strings.Split(name, ".")
		if n := len(part); n > 2 && part[n-1] == "vpce" && strings.HasPrefix(part[0], "vpce-") {
			part = part[1 : n-1]
		}
		if len(part) == 1 {
			return service == "sts" && part[0] == service // the one without a Region
		}
		if len(part) == 2 && (part[0] == service || part[0] == service+"-fips") && regionName(part[1]) {
			return true
		}
	}
	return false
}

// regionName tells whether s is a Region and nothing that a customer may have
// named: words of letters, and a number at the end. region stands for {region}.
func regionName(s string) bool {
	if s == "region" {
		return true
	}
	word := strings.Split(s, "-")
	if len(word) < 3 || len(word[len(word)-1]) != 1 || strings.Trim(word[len(word)-1], "0123456789") != "" {
		return false
	}
	return !strings.ContainsFunc(strings.Join(word[:len(word)-1], ""), func(r rune) bool { return r < 'a' || r > 'z' })
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// serves tells whether calls to a Region may go to e.
func (e *endpoint) serves(region, configured string) bool {
	return e.template || e.loopback || region == configured
}

// of returns the URL for a Region.
func (e *endpoint) of(region string) string { return strings.ReplaceAll(e.url, regionMark, region) }
