package rpc

import (
	"errors"
	"fmt"
	"time"
)

// A Config holds the limits of a [Server]. Use [DefaultConfig] as the start: a
// zero is no default and does not pass Validate, except where it says so.
type Config struct {
	// MaxMessageBytes is how large one message may be, as it is received and
	// after decompression. 4 MiB.
	MaxMessageBytes int `yaml:"max_message_bytes"`
	// MaxRecords is how many records one message may hold. 10,000.
	MaxRecords int `yaml:"max_records"`
	// MaxHeaderBytes is how large the headers of a call may be. 16 KiB.
	MaxHeaderBytes int `yaml:"max_header_bytes"`
	// MaxConnections is how many connections may be open; more are closed at
	// once. 4,096.
	MaxConnections int `yaml:"max_connections"`
	// MaxStreamsPerConnection is how many calls one connection may have at a
	// time. 250.
	MaxStreamsPerConnection int `yaml:"max_streams_per_connection"`
	// MaxCallTime is the deadline of a unary call that has none, or a later one.
	// 30s.
	MaxCallTime time.Duration `yaml:"max_call_time"`
	// HandshakeTimeout is how long a new connection may take to say what it
	// wants, and a request over HTTP/1.1 to send its headers. 5s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	// IdleTimeout closes connections without a call. 5m.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// StreamIdleTimeout ends a produce stream of which nothing was received, and
	// nothing is in flight, for so long. 10m.
	StreamIdleTimeout time.Duration `yaml:"stream_idle_timeout"`
	// MinPingInterval is how often a gRPC client may ping; one that pings more
	// often is sent away. 10s.
	MinPingInterval time.Duration `yaml:"min_ping_interval"`
	// WindowRecords is how many records of one stream may wait for their results
	// before the server stops reading it. 2,000.
	WindowRecords int `yaml:"window_records"`
	// WindowBytes is the same in bytes of keys, values and headers. 4 MiB.
	WindowBytes int `yaml:"window_bytes"`
	// RetryAfter is when a caller who was turned away for lack of room is told to
	// come back. 1s.
	RetryAfter time.Duration `yaml:"retry_after"`
	// MixedConnections is for a proxy before the sidecar that sends calls of gRPC
	// and of other protocols over one connection of HTTP/2. Without it, a
	// connection whose first call is gRPC takes nothing else; with it, gRPC has
	// less than half of its rate. Off.
	MixedConnections bool `yaml:"mixed_connections"`
	// Reflection lets callers list the services. On.
	Reflection bool `yaml:"reflection"`
}

// DefaultConfig returns the defaults that the fields of [Config] name.
func DefaultConfig() Config {
	return Config{
		MaxMessageBytes:         4 << 20,
		MaxRecords:              10_000,
		MaxHeaderBytes:          16 << 10,
		MaxConnections:          4096,
		MaxStreamsPerConnection: 250,
		MaxCallTime:             30 * time.Second,
		HandshakeTimeout:        5 * time.Second,
		IdleTimeout:             5 * time.Minute,
		StreamIdleTimeout:       10 * time.Minute,
		MinPingInterval:         10 * time.Second,
		WindowRecords:           2_000,
		WindowBytes:             4 << 20,
		RetryAfter:              time.Second,
		Reflection:              true,
	}
}

// Validate returns all that is wrong with c, joined.
func (c *Config) Validate() error {
	var errs []error
	between := func(key string, value, low, high int) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("%s: must be between %d and %d", key, low, high))
		}
	}
	spans := func(key string, value, low, high time.Duration) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("%s: must be between %v and %v", key, low, high))
		}
	}
	between("max_message_bytes", c.MaxMessageBytes, 1<<10, 256<<20)
	between("max_records", c.MaxRecords, 1, 1_000_000)
	between("max_header_bytes", c.MaxHeaderBytes, 1<<10, 1<<20)
	between("max_connections", c.MaxConnections, 1, 1_000_000)
	between("max_streams_per_connection", c.MaxStreamsPerConnection, 1, 10_000)
	between("window_records", c.WindowRecords, 1, 1_000_000)
	between("window_bytes", c.WindowBytes, 1<<10, 1<<30)
	spans("max_call_time", c.MaxCallTime, time.Millisecond, time.Hour)
	spans("handshake_timeout", c.HandshakeTimeout, time.Millisecond, time.Minute)
	spans("idle_timeout", c.IdleTimeout, time.Second, 24*time.Hour)
	spans("stream_idle_timeout", c.StreamIdleTimeout, time.Second, 24*time.Hour)
	spans("min_ping_interval", c.MinPingInterval, time.Second, time.Hour)
	spans("retry_after", c.RetryAfter, time.Millisecond, time.Hour)
	return errors.Join(errs...)
}
