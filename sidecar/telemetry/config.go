package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// A Config says what is shown, and to whom. Start from [DefaultConfig].
type Config struct {
	Log     LogConfig     `yaml:"log"`
	Metrics MetricsConfig `yaml:"metrics"`
	Traces  TracesConfig  `yaml:"traces"`
}

// A LogConfig describes the log.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn or error. Default info
	Format string `yaml:"format"` // json or text. Default json
	// Requests is what gets a line: all of them, errors for those that failed or
	// of which a record failed, or none. Default all.
	Requests string `yaml:"requests"`
	// Burst is how many equal warnings and errors are written in a second; the
	// rest is counted. 0 writes all. Default 10.
	Burst int `yaml:"burst"`
}

// MaxTopics is how many topics may have metrics of their own.
const MaxTopics = 100

// A MetricsConfig describes the metrics.
type MetricsConfig struct {
	// Topics have metrics of their own; the others are counted together. At most
	// [MaxTopics]. Default none.
	Topics []string `yaml:"topics"`
}

// A TracesConfig describes where spans go. They are off while OTLPEndpoint is
// empty.
type TracesConfig struct {
	// OTLPEndpoint is the URL that takes OTLP over HTTP, such as
	// https://collector:4318/v1/traces. A path is added where there is none.
	OTLPEndpoint string `yaml:"otlp_endpoint"`
	// Headers are sent with each export, such as a token. They are read anew each
	// time.
	Headers map[string]secret.Secret `yaml:"headers"`
	// SampleRatio is the share of requests without a traceparent that get spans, 0
	// to 1. Those with one do what it says. Default 0.01.
	SampleRatio float64 `yaml:"sample_ratio"`
	// Insecure allows http in the endpoint: spans then go in clear, and so do the
	// headers. Default false.
	Insecure bool `yaml:"insecure"`
	// ForwardTracestate hands the tracestate of a request on, to the record and
	// to the collector. It is text that a caller writes and that no policy looks
	// at. Default false: it is dropped.
	ForwardTracestate bool `yaml:"forward_tracestate"`
}

// DefaultConfig returns what holds where a file says nothing.
func DefaultConfig() Config {
	return Config{
		Log:    LogConfig{Level: "info", Format: "json", Requests: requestsAll, Burst: 10},
		Traces: TracesConfig{SampleRatio: 0.01},
	}
}

// What gets a line of the log.
const (
	requestsAll    = "all"
	requestsErrors = "errors"
	requestsNone   = "none"
)

// Validate returns all that is wrong, each with the path of its key.
func (c *Config) Validate() error {
	var all []error
	wrong := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if _, err := level(c.Log.Level); err != nil {
		all = append(all, err)
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		wrong("log.format: must be json or text")
	}
	switch c.Log.Requests {
	case requestsAll, requestsErrors, requestsNone:
	default:
		wrong("log.requests: must be all, errors or none")
	}
	if c.Log.Burst < 0 {
		wrong("log.burst: must not be negative")
	}
	if len(c.Metrics.Topics) > MaxTopics {
		wrong("metrics.topics: %d topics, at most %d have metrics of their own", len(c.Metrics.Topics), MaxTopics)
	}
	for i, t := range c.Metrics.Topics {
		if !isTopic(t) {
			wrong("metrics.topics[%d]: is no name of a topic", i)
		}
	}
	c.Traces.validate(wrong)
	return errors.Join(all...)
}

func (c *TracesConfig) validate(wrong func(string, ...any)) {
	if math.IsNaN(c.SampleRatio) || c.SampleRatio < 0 || c.SampleRatio > 1 {
		wrong("traces.sample_ratio: must be from 0 to 1")
	}
	for name, value := range c.Headers {
		switch {
		case !isHeaderName(name):
			wrong("traces.headers: a name is no name of a header")
		case !value.IsSet():
			wrong("traces.headers.%s: is not set", name)
		}
	}
	if c.OTLPEndpoint == "" {
		if len(c.Headers) > 0 {
			wrong("traces.headers: there is no traces.otlp_endpoint to send them to")
		}
		return
	}
	// The text of the error of url.Parse holds the URL, and that may hold a
	// password.
	u, err := url.Parse(c.OTLPEndpoint)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		wrong("traces.otlp_endpoint: is no URL such as https://collector:4318")
	case u.User != nil:
		wrong("traces.otlp_endpoint: must not hold a password; use traces.headers")
	case u.RawQuery != "" || u.Fragment != "":
		wrong("traces.otlp_endpoint: must have no query")
	case u.Scheme == "http" && !c.Insecure:
		wrong("traces.otlp_endpoint: is in clear; use https, or say insecure: true")
	case u.Scheme != "http" && u.Scheme != "https":
		wrong("traces.otlp_endpoint: must begin with https://")
	}
}

// level parses the level of a log.
func level(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	default:
		return 0, errors.New("log.level: must be debug, info, warn or error")
	}
}

// isTopic tells whether Kafka would take s as the name of a topic.
func isTopic(s string) bool {
	if s == "" || len(s) > 249 || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return true
}

func isHeaderName(s string) bool {
	return isTopic(s) && len(s) <= maxLabelLen && !strings.Contains(s, ".")
}
