package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	dialTimeout = 10 * time.Second
	// metadataPause is the least time between two looks at who leads a partition.
	// While leaders move, records wait for it.
	metadataPause = 500 * time.Millisecond
)

// Options returns the options of a client for c, which it validates. It reads the
// files and secrets that c names once; they are read again for new connections
// and sessions. Options may be used for several clients.
func Options(c *Config) ([]kgo.Opt, error) {
	s, err := c.settings()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.seeds...),
		kgo.ClientID(s.clientID),
		kgo.SoftwareNameAndVersion("fieldveil", "1"),
		// Nothing about the sidecar goes to brokers that nobody asked for.
		kgo.DisableClientMetrics(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(s.linger),
		kgo.ProducerBatchCompression(s.compression...),
		kgo.MaxBufferedRecords(s.bufferedRecords),
		kgo.MaxBufferedBytes(s.bufferedBytes),
		kgo.RecordPartitioner(s.partitioner()),
		kgo.MetadataMinAge(metadataPause),
	}
	if s.maxBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(int32(s.maxBytes))) //nolint:gosec // bounded by the property
	}
	if s.requestTimeout > 0 {
		opts = append(opts, kgo.ProduceRequestTimeout(s.requestTimeout))
	}
	if s.metadataAge > 0 {
		opts = append(opts, kgo.MetadataMaxAge(s.metadataAge))
	}
	if s.idle > 0 {
		opts = append(opts, kgo.ConnIdleTimeout(s.idle))
	}
	timeout := dialTimeout
	if s.dial > 0 {
		timeout = s.dial
	}
	if s.encrypted {
		d, err := newDialer(&s.tls, timeout)
		if err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
		opts = append(opts, kgo.Dialer(d.dial))
	} else {
		opts = append(opts, kgo.DialTimeout(timeout))
	}
	if s.login {
		m, err := s.sasl.mechanismOf()
		if err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

// NewClient returns a client for c. It connects when it is first used. The extra
// options come last; a client of a pipeline gets those of the pipeline.
func NewClient(c *Config, extra ...kgo.Opt) (*kgo.Client, error) {
	opts, err := Options(c)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts, extra...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return client, nil
}
