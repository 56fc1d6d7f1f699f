package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// A Config is how to reach a cluster and write to it.
type Config struct {
	// Properties by their familiar names, such as bootstrap.servers. Names that
	// are not known are errors.
	Properties map[string]string `yaml:"properties"`
	// Secrets are the properties whose values are secret, by the same names:
	// sasl.password, sasl.jaas.config, ssl.key.pem, ssl.keystore.key and
	// sasl.oauthbearer.client.secret. They may not be among Properties.
	Secrets map[string]secret.Secret `yaml:"secrets"`
	// Insecure admits that brokers or the token endpoint are not verified, or
	// that a password goes over a connection that is not encrypted. By itself it
	// changes nothing.
	Insecure bool `yaml:"insecure"`
}

// Defaults of properties that are not given.
const (
	DefaultClientID = "fieldveil"
	// DefaultLinger is none: whoever sends waits for the answer, and so for the
	// linger. What comes in batches, or while requests are on their way, goes
	// together without it.
	DefaultLinger          = time.Duration(0)
	DefaultDelivery        = 2 * time.Minute
	DefaultBufferedRecords = 100_000
	DefaultBufferedBytes   = 256 << 20
)

// Validate returns all that is wrong with c, each with its key. It reads no file.
func (c *Config) Validate() error {
	_, err := c.settings()
	return err
}

// Warnings returns what c asks for that is dangerous, or that has no effect. The
// config must be valid.
func (c *Config) Warnings() []string {
	s, err := c.settings()
	if err != nil {
		return nil
	}
	return s.warnings
}

// Delivery returns how long a record may take, which is delivery.timeout.ms. It
// is the pipeline's to keep.
func (c *Config) Delivery() time.Duration {
	s, err := c.settings()
	if err != nil {
		return DefaultDelivery
	}
	return s.delivery
}

// MaxBytes returns message.max.bytes, or 0 for none.
func (c *Config) MaxBytes() int {
	s, err := c.settings()
	if err != nil {
		return 0
	}
	return s.maxBytes
}

// Partitioner returns the partitioner that c names.
func (c *Config) Partitioner() (kgo.Partitioner, error) {
	s, err := c.settings()
	if err != nil {
		return nil, err
	}
	return s.partitioner(), nil
}

// SecretFiles returns the files that are read again for each new connection.
func (c *Config) SecretFiles() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		if p := c.Secrets[name].Path(); p != "" {
			out = append(out, p)
		}
	}
	for _, name := range []string{"ssl.ca.location", "ssl.truststore.location", "ssl.certificate.location", "ssl.keystore.location", "ssl.key.location", "https.ca.location"} {
		if p := c.Properties[name]; p != "" {
			out = append(out, p)
		}
	}
	return out
}

// settings is what a Config says.
type settings struct {
	seeds    []string
	clientID string
	insecure bool
	warnings []string

	encrypted bool // TLS
	login     bool // SASL
	tls       tlsSettings
	sasl      saslSettings

	linger          time.Duration
	delivery        time.Duration
	requestTimeout  time.Duration
	metadataAge     time.Duration
	idle            time.Duration
	dial            time.Duration
	compression     []kgo.CompressionCodec
	maxBytes        int
	bufferedRecords int
	bufferedBytes   int
	partitioner     func() kgo.Partitioner
}

func (c *Config) settings() (*settings, error) {
	s := &settings{
		clientID: DefaultClientID, insecure: c.Insecure, linger: DefaultLinger, delivery: DefaultDelivery,
		bufferedRecords: DefaultBufferedRecords, bufferedBytes: DefaultBufferedBytes,
		compression: []kgo.CompressionCodec{kgo.NoCompression()}, partitioner: javaDefault,
	}
	var errs []error
	said := make(map[string]string) // which name of a property was used
	for _, name := range slices.Sorted(maps.Keys(c.Properties)) {
		p, ok := properties()[name]
		key := "properties." + name
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s: %s", key, unknownProperty(name)))
			continue
		case p.secret:
			errs = append(errs, fmt.Errorf("%s: its value is secret: write it as secrets: {%s: {file: PATH}} or {env: NAME}", key, name))
			continue
		}
		if other, ok := said[p.is(name)]; ok {
			errs = append(errs, fmt.Errorf("%s: it is the same as %s", key, other))
			continue
		}
		said[p.is(name)] = key
		if err := p.set(s, c.Properties[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		p, ok := properties()[name]
		key := "secrets." + name
		switch {
		case !ok || !p.secret:
			errs = append(errs, fmt.Errorf("%s: no such secret: there are %s", key, "sasl.password, sasl.jaas.config, sasl.oauthbearer.client.secret, ssl.key.pem and ssl.keystore.key"))
			continue
		case !c.Secrets[name].IsSet():
			errs = append(errs, fmt.Errorf("%s: it is not set", key))
			continue
		case c.Secrets[name].IsLiteral():
			s.warnf("%s: the secret itself stands in the configuration", key)
		}
		if other, ok := said[p.is(name)]; ok {
			errs = append(errs, fmt.Errorf("%s: it is the same as %s", key, other))
			continue
		}
		said[p.is(name)] = key
		p.keep(s, c.Secrets[name])
	}
	errs = append(errs, s.check()...)
	return s, errors.Join(errs...)
}

func (s *settings) warnf(format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// check finds what does not fit together.
func (s *settings) check() []error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("properties."+key+": "+format, args...))
	}
	if len(s.seeds) == 0 {
		bad("bootstrap.servers", "it is missing")
	}
	if !s.encrypted && s.tls.used() {
		bad("security.protocol", "there are ssl properties, and it is neither ssl nor sasl_ssl")
	}
	if s.encrypted {
		s.tls.check(bad)
	}
	if s.tls.unverified() {
		if !s.insecure {
			bad(s.tls.unverifiedBy, "brokers would not be verified: that needs insecure: true")
		}
		s.warnf("properties.%s: the names or certificates of brokers are not verified", s.tls.unverifiedBy)
	}
	if !s.login && s.sasl.used() {
		bad("security.protocol", "there are sasl properties, and it is neither sasl_plaintext nor sasl_ssl")
	}
	if s.login {
		s.sasl.check(bad, s)
		if !s.encrypted && s.sasl.sendsSecret() {
			if !s.insecure {
				bad("security.protocol", "the login would go over a connection that is not encrypted: that needs insecure: true")
			}
			s.warnf("properties.security.protocol: the login goes over a connection that is not encrypted")
		}
	}
	return errs
}
