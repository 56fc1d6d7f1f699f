package audit

import (
	"errors"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// Where a trail may be kept.
const (
	ToFile   = "file"
	ToStdout = "stdout"
	ToKafka  = "kafka"
)

// A Config says where the audit trail is kept. Without To there is none, and
// whatever must be audited is refused.
type Config struct {
	// To is "file", "kafka" or "stdout". A line on standard output is as durable
	// as whoever collects it makes it.
	To string `yaml:"to"`
	// Path is the file. Its directory must exist.
	Path string `yaml:"path"`
	// MaxBytes is the size at which a file is renamed and another begun. Default
	// 64 MiB; at least 64 KiB. Files are never removed.
	MaxBytes int64 `yaml:"max_bytes"`
	// Topic is the topic.
	Topic string `yaml:"topic"`
	// Timeout is how long brokers may take to acknowledge. Default 10s.
	Timeout time.Duration `yaml:"timeout"`
	// Seal has each line sealed by a key. Default none.
	Seal SealConfig `yaml:"seal"`
}

// A SealConfig names the key that seals, one at most.
type SealConfig struct {
	// HMAC is a secret of 32 bytes or more.
	HMAC secret.Secret `yaml:"hmac"`
	// Ed25519 is a private key in PEM (PKCS #8). Who verifies needs its public
	// half only, so he cannot forge.
	Ed25519 secret.Secret `yaml:"ed25519"`
}

const (
	defaultMaxBytes = 64 << 20
	minMaxBytes     = 64 << 10
	defaultTimeout  = 10 * time.Second
	maxTimeout      = 5 * time.Minute
)

// DefaultConfig returns the defaults: no trail.
func DefaultConfig() Config {
	return Config{MaxBytes: defaultMaxBytes, Timeout: defaultTimeout}
}

// Enabled tells whether there is a trail.
func (c *Config) Enabled() bool { return c.To != "" }

// Validate returns all that is wrong with c, by the paths of the keys.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch c.To {
	case "", ToStdout, ToFile, ToKafka:
	default:
		add("to: expected file, kafka or stdout")
	}
	if (c.To == ToFile) != (c.Path != "") {
		add("path: it goes with to: file, and to: file with it")
	}
	if (c.To == ToKafka) != (c.Topic != "") {
		add("topic: it goes with to: kafka, and to: kafka with it")
	}
	if c.MaxBytes != 0 && c.MaxBytes < minMaxBytes {
		add("max_bytes: %d is less than %d", c.MaxBytes, minMaxBytes)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		add("timeout: %v is not between 0 and %v", c.Timeout, maxTimeout)
	}
	if c.Seal.HMAC.IsSet() && c.Seal.Ed25519.IsSet() {
		add("seal: hmac and ed25519 do not go together")
	}
	if c.Seal.HMAC.IsLiteral() {
		add("seal.hmac: a key does not stand in the configuration; name a file or a variable")
	}
	if c.Seal.Ed25519.IsLiteral() {
		add("seal.ed25519: a key does not stand in the configuration; name a file or a variable")
	}
	return errors.Join(errs...)
}
