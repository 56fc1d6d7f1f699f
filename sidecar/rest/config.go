package rest

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// A Config is the limits and the switches of the HTTP surface. The zero value of
// a limit stands for its default; a switch is off unless set.
type Config struct {
	// MaxBodyBytes is how large the body of a request may be, uncompressed.
	// Default 16 MiB. Streams are not bound by it.
	MaxBodyBytes int `yaml:"max_body_bytes"`
	// MaxRecordBytes is how large one record may be as it comes: one object of a
	// stream, or a body that is a record. Default 4 MiB.
	MaxRecordBytes int `yaml:"max_record_bytes"`
	// MaxRecords is how many records one request of version 2 may hold. Default
	// 10,000.
	MaxRecords int `yaml:"max_records"`
	// MaxBatchEntries is how many entries one records:batch may hold. Default
	// 1,000.
	MaxBatchEntries int `yaml:"max_batch_entries"`
	// MaxRecordHeaders is how many headers one record may have. Default 128.
	MaxRecordHeaders int `yaml:"max_record_headers"`
	// MaxHeaderBytes is how large the header of a request may be. Default 64 KiB.
	// The limits of the server say it, for all listeners.
	MaxHeaderBytes int `yaml:"-"`
	// MaxGzipRatio is how many times larger than it came a gzip body may become.
	// Default 100.
	MaxGzipRatio int `yaml:"max_gzip_ratio"`
	// HeaderTimeout is how long the header of a request may take. Default 5s.
	// As above.
	HeaderTimeout time.Duration `yaml:"-"`
	// BodyTimeout is how long the body of a request may take. Default 30s.
	// Streams have limits of their own.
	BodyTimeout time.Duration `yaml:"body_timeout"`
	// KeepAlive is how long an idle connection stays open. Default 2m.
	// As above.
	KeepAlive time.Duration `yaml:"-"`
	// ProduceTimeout is how long the records of a request may take from the end
	// of its body to the answer. Default 30s. What is not known then is said to
	// be not known.
	ProduceTimeout time.Duration `yaml:"produce_timeout"`
	// StreamWindowRecords and StreamWindowBytes bound what one stream has in
	// flight: no more is read until receipts are out. Default 256 and 8 MiB. One
	// record goes in any case.
	StreamWindowRecords int `yaml:"stream_window_records"`
	StreamWindowBytes   int `yaml:"stream_window_bytes"`
	// StreamIdle ends a stream that sends nothing. Default 5m.
	StreamIdle time.Duration `yaml:"stream_idle"`
	// StreamTotal ends any stream. Default 24h.
	StreamTotal time.Duration `yaml:"stream_total"`
	// StreamGrace is how long the receipts of a stream that has ended may still
	// take. Default 30s.
	StreamGrace time.Duration `yaml:"stream_grace"`
	// StreamRecheck is how often the permission of a stream is asked for again,
	// with the header that it began with. Default 1m.
	StreamRecheck time.Duration `yaml:"stream_recheck"`
	// StrictCluster refuses a cluster id of version 3 that is not that of the
	// cluster. It needs the cluster to answer.
	StrictCluster bool `yaml:"strict_cluster"`
	// StrictStatus answers a request of version 2 of which a record failed with
	// 503, or with 500 when repeating it would not help, in place of 200.
	StrictStatus bool `yaml:"strict_status"`
	// StrictNulls refuses a null value where the schema given does not admit
	// null. Without it, a null is a tombstone.
	StrictNulls bool `yaml:"strict_nulls"`
	// PublicURL stands before the paths of links in version 3, such as
	// "https://kafka.example.com". Default none: links are paths.
	PublicURL string `yaml:"public_url"`
}

// DefaultConfig returns the Config of a surface that nobody configured.
func DefaultConfig() Config {
	return Config{
		MaxBodyBytes: 16 << 20, MaxRecordBytes: 4 << 20, MaxRecords: 10_000, MaxBatchEntries: 1_000,
		MaxRecordHeaders: 128, MaxHeaderBytes: 64 << 10, MaxGzipRatio: 100,
		HeaderTimeout: 5 * time.Second, BodyTimeout: 30 * time.Second, KeepAlive: 2 * time.Minute,
		ProduceTimeout: 30 * time.Second, StreamWindowRecords: 256, StreamWindowBytes: 8 << 20,
		StreamIdle: 5 * time.Minute, StreamTotal: 24 * time.Hour, StreamGrace: 30 * time.Second,
		StreamRecheck: time.Minute,
	}
}

type limit struct {
	key        string
	value      *int
	preset     int
	least, top int
}

type duration struct {
	key    string
	value  *time.Duration
	preset time.Duration
}

func (c *Config) limits() []limit {
	d := DefaultConfig()
	return []limit{
		{"max_body_bytes", &c.MaxBodyBytes, d.MaxBodyBytes, 1 << 10, 1 << 30},
		{"max_record_bytes", &c.MaxRecordBytes, d.MaxRecordBytes, 1 << 10, 1 << 30},
		{"max_records", &c.MaxRecords, d.MaxRecords, 1, 1 << 20},
		{"max_batch_entries", &c.MaxBatchEntries, d.MaxBatchEntries, 1, 1 << 20},
		{"max_record_headers", &c.MaxRecordHeaders, d.MaxRecordHeaders, 1, 1 << 16},
		{"max_header_bytes", &c.MaxHeaderBytes, d.MaxHeaderBytes, 4 << 10, 16 << 20},
		{"max_gzip_ratio", &c.MaxGzipRatio, d.MaxGzipRatio, 1, 1100},
		{"stream_window_records", &c.StreamWindowRecords, d.StreamWindowRecords, 1, 1 << 16},
		{"stream_window_bytes", &c.StreamWindowBytes, d.StreamWindowBytes, 1 << 10, 1 << 30},
	}
}

func (c *Config) durations() []duration {
	d := DefaultConfig()
	return []duration{
		{"header_timeout", &c.HeaderTimeout, d.HeaderTimeout},
		{"body_timeout", &c.BodyTimeout, d.BodyTimeout},
		{"keep_alive", &c.KeepAlive, d.KeepAlive},
		{"produce_timeout", &c.ProduceTimeout, d.ProduceTimeout},
		{"stream_idle", &c.StreamIdle, d.StreamIdle},
		{"stream_total", &c.StreamTotal, d.StreamTotal},
		{"stream_grace", &c.StreamGrace, d.StreamGrace},
		{"stream_recheck", &c.StreamRecheck, d.StreamRecheck},
	}
}

// Validate returns all that is wrong with c, each with its key.
func (c *Config) Validate() error {
	var all []error
	for _, l := range c.limits() {
		if v := *l.value; v != 0 && (v < l.least || v > l.top) {
			all = append(all, fmt.Errorf("%s: must be from %d to %d", l.key, l.least, l.top))
		}
	}
	for _, d := range c.durations() {
		if *d.value < 0 {
			all = append(all, fmt.Errorf("%s: must not be negative", d.key))
		}
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			all = append(all, errors.New("public_url: must be http or https, a host, and no more than a path"))
		}
	}
	return errors.Join(all...)
}

// filled returns c with the defaults of what is zero.
func filled(c Config) Config {
	for _, l := range c.limits() {
		if *l.value == 0 {
			*l.value = l.preset
		}
	}
	for _, d := range c.durations() {
		if *d.value == 0 {
			*d.value = d.preset
		}
	}
	return c
}
