package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

// Params are the settings of one cell of the matrix. The zero value of each is its
// default.
type Params struct {
	// Set is what is measured.
	Set *input.Set
	// Rounds is how many rounds are measured, and Slice how long each side of a
	// round is: 101 rounds of 3 ms in memory, 11 of 400 ms with processes.
	Rounds int
	Slice  time.Duration
	// Concurrency is how many goroutines protect, or how many connections or calls
	// a client has; 1 in memory, 4 for the produce scenario, and what Surface says
	// for the sidecar.
	Concurrency int
	// Batch is how many records a request to the sidecar has; 100 if it is 0.
	Batch int
	// BatchBytes bounds what is sent to a partition at once; 1,000,000 if it is 0.
	BatchBytes int32
	// Linger is how long the client of Kafka waits for more records to send.
	Linger time.Duration
	// Compression is none, snappy, lz4, zstd or gzip; none if it is empty.
	Compression string
	// KMSLatency is how long the KMS that stands in for the real one takes for a
	// call.
	KMSLatency time.Duration
	// MaxScopes bounds the data keys that the cache keeps to seal with; 0 is the
	// cache's own default.
	MaxScopes int
	// Kafka reaches the user's cluster, and SecretFiles are the files of its secrets,
	// for the process of the sidecar. Without it a broker runs in a process of its
	// own, and forgets what it is sent.
	Kafka       *kafka.Config
	SecretFiles map[string]string
	// Surface is how the sidecar is called: grpc-stream, grpc-unary, rest-binary,
	// rest-raw or rest-json.
	Surface string
	// Rates are parts of the highest rate at which latencies are measured, such as
	// 0.5; none measures no latencies.
	Rates []float64
	// Hold is how long each of these rates is held; 3 s if it is 0.
	Hold time.Duration
	// Split asks for a profile of where the time goes.
	Split bool
	// Progress is told what is under way, as a part of the cell, 0 to 1.
	Progress func(part float64)
}

var (
	errNoRecords = errors.New("scenario: there are no records")
	errCodec     = errors.New("compression must be none, snappy, lz4, zstd or gzip")
)

func (p *Params) progress(part float64) {
	if p.Progress != nil {
		p.Progress(part)
	}
}

func (p *Params) check() error {
	if p.Set == nil || len(p.Set.Records) == 0 {
		return errNoRecords
	}
	_, err := codec(p.Compression)
	return err
}

func (p *Params) batch() int {
	if p.Batch > 0 {
		return p.Batch
	}
	return 100
}

func (p *Params) hold() time.Duration {
	if p.Hold > 0 {
		return p.Hold
	}
	return 3 * time.Second
}

// inProcesses are the defaults of scenarios with processes.
func (p *Params) inProcesses() (rounds int, slice time.Duration) {
	rounds, slice = p.Rounds, p.Slice
	if rounds == 0 {
		rounds = 11
	}
	if slice == 0 {
		slice = 400 * time.Millisecond
	}
	return rounds, slice
}

// codec returns the codec of a word.
func codec(word string) (kgo.CompressionCodec, error) {
	switch word {
	case "", "none":
		return kgo.NoCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	}
	return kgo.NoCompression(), fmt.Errorf("scenario: %w", errCodec)
}

// settings are what a report says of the cell, for the scenarios that send.
func (p *Params) settings(more ...string) map[string]string {
	out := map[string]string{}
	put := func(name, value string, is bool) {
		if is {
			out[name] = value
		}
	}
	put("concurrency", strconv.Itoa(p.Concurrency), p.Concurrency > 0)
	put("batch.bytes", strconv.Itoa(int(p.BatchBytes)), p.BatchBytes > 0)
	put("linger", p.Linger.String(), p.Linger > 0)
	put("compression", p.Compression, p.Compression != "")
	put("kms.latency", p.KMSLatency.String(), p.KMSLatency > 0)
	put("max.scopes", strconv.Itoa(p.MaxScopes), p.MaxScopes > 0)
	for i := 0; i+1 < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}
