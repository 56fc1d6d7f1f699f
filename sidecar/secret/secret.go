// Package secret holds a value of a configuration that must not be shown. A file
// names where it is, in the environment or in a file of its own:
//
//	password: {env: KAFKA_PASSWORD}
//	password: {file: /run/secrets/kafka-password}
//	password: {value: only for a try}
//
// A Secret is read each time that it is needed, so a file that is replaced takes
// effect without a reload. However it is printed, it shows where it comes from
// and never what it is.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.yaml.in/yaml/v3"
)

// MaxBytes is how long a secret may be.
const MaxBytes = 64 << 10

// A Secret says where a secret value is. The zero Secret is unset. It is
// immutable.
type Secret struct {
	from  source
	value string // name, path or the value itself
}

type source uint8

const (
	unset source = iota
	fromEnv
	fromFile
	literal
)

// Env returns a Secret in an environment variable.
func Env(name string) Secret { return Secret{fromEnv, name} }

// File returns a Secret in a file, without the line ends at its end.
func File(path string) Secret { return Secret{fromFile, path} }

// Value returns a Secret that is value itself.
func Value(value string) Secret { return Secret{literal, value} }

// IsSet says whether there is a secret at all.
func (s Secret) IsSet() bool { return s.from != unset }

// IsLiteral says whether the secret itself stands in the configuration.
func (s Secret) IsLiteral() bool { return s.from == literal }

// Path returns the file of the secret, or "" when it is in none. Who keeps what
// he read watches it.
func (s Secret) Path() string {
	if s.from == fromFile {
		return s.value
	}
	return ""
}

// Read returns the secret. An empty one is an error, and so is one that is unset.
// The error names where it was looked for.
func (s Secret) Read() ([]byte, error) {
	var value []byte
	switch s.from {
	case fromEnv:
		value = []byte(os.Getenv(s.value))
	case fromFile:
		f, err := os.Open(s.value)
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		defer func() { _ = f.Close() }()
		if value, err = io.ReadAll(io.LimitReader(f, MaxBytes+1)); err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		if len(value) > MaxBytes {
			return nil, fmt.Errorf("secret: %s is longer than %d bytes", s.value, MaxBytes)
		}
		value = bytes.TrimRight(value, "\r\n")
	case literal:
		value = []byte(s.value)
	case unset:
		return nil, errors.New("secret: not set")
	}
	if len(value) == 0 {
		return nil, fmt.Errorf("secret: %v is empty", s)
	}
	return value, nil
}

// String says where the secret is.
func (s Secret) String() string {
	switch s.from {
	case fromEnv:
		return "{env: " + s.value + "}"
	case fromFile:
		return "{file: " + s.value + "}"
	case literal:
		return "{value: redacted}"
	case unset:
	}
	return ""
}

// Format keeps every verb from showing more than [Secret.String] does.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText implements [encoding.TextMarshaler], for JSON among others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalYAML implements [yaml.Marshaler].
func (s Secret) MarshalYAML() (any, error) {
	switch s.from {
	case fromEnv:
		return map[string]string{"env": s.value}, nil
	case fromFile:
		return map[string]string{"file": s.value}, nil
	case literal:
		return map[string]string{"value": "redacted"}, nil
	case unset:
	}
	return nil, nil //nolint:nilnil // that is how YAML writes null
}

var errForm = errors.New("a secret is written {env: NAME}, {file: PATH} or {value: TEXT}")

// UnmarshalYAML implements [yaml.Unmarshaler]. A plain text is refused, so that
// nobody writes a password where he meant the name of a file.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[1].Kind != yaml.ScalarNode || n.Content[1].Value == "" {
		return fmt.Errorf("line %d: %w", n.Line, errForm)
	}
	switch value := n.Content[1].Value; n.Content[0].Value {
	case "env":
		*s = Env(value)
	case "file":
		*s = File(value)
	case "value":
		*s = Value(value)
	default:
		return fmt.Errorf("line %d: %w", n.Line, errForm)
	}
	return nil
}
