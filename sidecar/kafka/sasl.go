package kafka

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/sasl"
	saslaws "github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// Mechanisms that a sidecar logs in with.
const (
	mechPlain    = "PLAIN"
	mechScram256 = "SCRAM-SHA-256"
	mechScram512 = "SCRAM-SHA-512"
	mechOAuth    = "OAUTHBEARER"
	mechMSK      = "AWS_MSK_IAM"
)

// saslSettings is what the sasl properties say.
type saslSettings struct {
	mechanism string
	user      string
	password  secret.Secret
	jaas      secret.Secret

	endpoint   string
	oidcID     string
	oidcSecret secret.Secret
	scope      string
	extensions map[string]string
	urlencode  bool
	caFile     string
}

func (s *saslSettings) used() bool {
	return s.mechanism != "" || s.user != "" || s.password.IsSet() || s.jaas.IsSet() || s.endpoint != "" || s.oidcID != "" || s.oidcSecret.IsSet()
}

// sendsSecret says whether who listens learns what he needs to log in himself.
func (s *saslSettings) sendsSecret() bool {
	return s.mechanism == mechPlain || s.mechanism == mechOAuth
}

func (s *saslSettings) check(bad func(key, format string, args ...any), all *settings) {
	switch s.mechanism {
	case mechPlain, mechScram256, mechScram512:
		if s.jaas.IsSet() {
			if s.user != "" || s.password.IsSet() {
				bad("sasl.username", "there is sasl.jaas.config too")
			}
		} else if s.user == "" || !s.password.IsSet() {
			bad("sasl.username", "%s needs sasl.username, and sasl.password among the secrets", s.mechanism)
		}
	case mechOAuth:
		if s.endpoint == "" {
			bad("sasl.oauthbearer.token.endpoint.url", "OAUTHBEARER needs it")
		} else if u, err := url.Parse(s.endpoint); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			bad("sasl.oauthbearer.token.endpoint.url", "it is no https URL without a login in it")
		} else if u.Scheme == "http" {
			if !all.insecure {
				bad("sasl.oauthbearer.token.endpoint.url", "the client secret would go over a connection that is not encrypted: that needs insecure: true")
			}
			all.warnf("properties.sasl.oauthbearer.token.endpoint.url: the client secret goes over a connection that is not encrypted")
		}
		if !s.jaas.IsSet() && (s.oidcID == "" || !s.oidcSecret.IsSet()) {
			bad("sasl.oauthbearer.client.id", "OAUTHBEARER needs sasl.oauthbearer.client.id, and sasl.oauthbearer.client.secret among the secrets")
		}
	case mechMSK:
		if !all.encrypted {
			bad("sasl.mechanism", "AWS_MSK_IAM needs security.protocol: sasl_ssl")
		}
	case "":
		bad("sasl.mechanism", "it is missing")
	case "GSSAPI":
		bad("sasl.mechanism", "Kerberos is not supported")
	default:
		bad("sasl.mechanism", "it is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM")
	}
}

func (s *settings) setExtensions(v string) error {
	s.sasl.extensions = make(map[string]string)
	for pair := range strings.SplitSeq(v, ",") {
		k, val, ok := strings.Cut(strings.TrimSpace(pair), "=")
		// RFC 7628: keys are letters, values are printable.
		if !ok || k == "" || k == "auth" || strings.ContainsFunc(k, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) ||
			strings.ContainsFunc(val, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			return errors.New("it is a list of key=value, with commas; keys are of letters, and none is auth")
		}
		s.sasl.extensions[k] = val
	}
	return nil
}

// credentials reads what to log in with, which may have changed since the last
// time.
func (s *saslSettings) credentials() (user, password string, err error) {
	if s.jaas.IsSet() {
		j, err := s.login(modulePlain, moduleScram)
		if err != nil {
			return "", "", err
		}
		return j.options["username"], j.options["password"], nil
	}
	b, err := s.password.Read()
	if err != nil {
		return "", "", fmt.Errorf("secrets.sasl.password: %w", err)
	}
	return s.user, string(b), nil
}

// login reads sasl.jaas.config, which names one of modules.
func (s *saslSettings) login(modules ...string) (*jaas, error) {
	b, err := s.jaas.Read()
	if err != nil {
		return nil, fmt.Errorf("secrets.sasl.jaas.config: %w", err)
	}
	j, err := parseJAAS(string(b))
	if err != nil {
		return nil, fmt.Errorf("secrets.sasl.jaas.config: %w", err)
	}
	if !slices.Contains(modules, j.module) {
		return nil, fmt.Errorf("secrets.sasl.jaas.config: its module does not belong to %s", s.mechanism)
	}
	return j, nil
}

// mechanismOf returns how to log in. Secrets are read once now, so that what is
// missing is found at the start, and again for each session.
func (s *saslSettings) mechanismOf() (sasl.Mechanism, error) {
	set := *s
	switch s.mechanism {
	case mechPlain:
		if _, _, err := set.credentials(); err != nil {
			return nil, err
		}
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			user, password, err := set.credentials()
			return plain.Auth{User: user, Pass: password}, err
		}), nil
	case mechScram256, mechScram512:
		if _, _, err := set.credentials(); err != nil {
			return nil, err
		}
		auth := func(context.Context) (scram.Auth, error) {
			user, password, err := set.credentials()
			return scram.Auth{User: user, Pass: password}, err
		}
		if s.mechanism == mechScram256 {
			return scram.Sha256(auth), nil
		}
		return scram.Sha512(auth), nil
	case mechOAuth:
		source, err := newTokenSource(&set)
		if err != nil {
			return nil, err
		}
		return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
			token, err := source.token(ctx)
			return oauth.Auth{Token: token, Extensions: set.extensions}, err
		}), nil
	case mechMSK:
		return mskIAM(awsCredentials()), nil
	}
	return nil, fmt.Errorf("properties.sasl.mechanism: %s is not known", s.mechanism)
}

// mskIAM signs each session with the credentials of that moment. The client finds
// the region in the name of the broker, else in AWS_REGION or AWS_DEFAULT_REGION.
func mskIAM(retrieve func(context.Context) (aws.Credentials, error)) sasl.Mechanism {
	return saslaws.ManagedStreamingIAM(func(ctx context.Context) (saslaws.Auth, error) {
		c, err := retrieve(ctx)
		if err != nil {
			return saslaws.Auth{}, fmt.Errorf("kafka: no AWS credentials: %w", err)
		}
		return saslaws.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
	})
}

// awsCredentials is the SDK's chain: environment, shared files, web identity,
// container, instance. The SDK renews what expires.
func awsCredentials() func(context.Context) (aws.Credentials, error) {
	var mu sync.Mutex
	var provider aws.CredentialsProvider
	return func(ctx context.Context) (aws.Credentials, error) {
		mu.Lock()
		p := provider
		if p == nil {
			cfg, err := awsconfig.LoadDefaultConfig(ctx)
			if err != nil {
				mu.Unlock()
				return aws.Credentials{}, err
			}
			p, provider = cfg.Credentials, cfg.Credentials
		}
		mu.Unlock()
		return p.Retrieve(ctx)
	}
}
