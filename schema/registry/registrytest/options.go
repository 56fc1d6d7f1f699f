package registrytest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
)

type options struct {
	level    string
	users    map[string]string
	tokens   []string
	tls      *tls.Config
	checkers map[string]Checker
}

// An Option changes how a Server is made.
type Option func(*options)

// WithCompatibility sets the level of subjects for which none is configured.
// The default is [LevelBackward].
func WithCompatibility(level string) Option { return func(o *options) { o.level = level } }

// WithBasicAuth lets a user in, and nobody who is not named by this option or by
// [WithBearerToken]. By default everybody may do everything.
func WithBasicAuth(user, password string) Option {
	return func(o *options) { o.users[user] = password }
}

// WithBearerToken lets everybody in who has the token. See [WithBasicAuth].
func WithBearerToken(token string) Option {
	return func(o *options) { o.tokens = append(o.tokens, token) }
}

// WithTLS makes [Start] listen with TLS. The configuration must hold a
// certificate. By default the server speaks plain HTTP.
func WithTLS(config *tls.Config) Option { return func(o *options) { o.tls = config } }

// WithChecker sets what checks the schemas of a format: [Protobuf], which has
// no checker by default, or another than the default one for [Avro] or [JSON].
// A name of one's own makes a new format.
func WithChecker(format string, check Checker) Option {
	return func(o *options) { o.checkers[format] = check }
}

func newOptions(opts []Option) (options, error) {
	o := options{
		level:    LevelBackward,
		users:    make(map[string]string),
		checkers: map[string]Checker{Avro: AvroChecker, JSON: JSONChecker, Protobuf: nil},
	}
	given := o
	given.checkers = make(map[string]Checker)
	for _, opt := range opts {
		opt(&given)
	}
	for format, check := range given.checkers {
		if format == "" || check == nil {
			return o, errors.New("registrytest: WithChecker needs a format and a checker")
		}
	}
	maps.Copy(o.checkers, given.checkers)
	given.checkers = o.checkers
	switch {
	case !knownLevel(given.level):
		return o, fmt.Errorf("registrytest: unknown compatibility level %q", given.level)
	case given.tls != nil && len(given.tls.Certificates) == 0 && given.tls.GetCertificate == nil:
		return o, errors.New("registrytest: WithTLS needs a certificate")
	case slices.Contains(given.tokens, ""):
		return o, errors.New("registrytest: an empty bearer token")
	}
	return given, nil
}
