package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

// ProduceTrial says what a trial of producing does.
type ProduceTrial struct {
	// Engine protects each record. It must govern Topic, and is warm after the
	// first trial.
	Engine *fieldcrypt.Engine
	// Topic takes the records. It has to be there.
	Topic string
	// Records are produced in turn, to Topic.
	Records []*kgo.Record
	// Client are the options that reach the cluster. Those that the settings of a
	// trial stand for come behind them.
	Client []kgo.Opt
}

// Trial returns a trial that produces protected records with a client of its own:
// as many goroutines as the settings say each hand a burst to the client, and go on
// when all of it is acknowledged by all in-sync replicas.
//
// In an open loop each record is due at a moment of its own. A burst begins when its
// last record is due, or later, when no goroutine is free; what a record waited
// from its own moment counts. Records that were due and that nobody came to count
// with the time until the end. p must not be changed afterwards.
func (p *ProduceTrial) Trial() (tune.Trial, error) {
	if p.Engine == nil || p.Topic == "" || len(p.Records) == 0 {
		return nil, errors.New("scenario: a trial needs an engine, a topic and records")
	}
	return p.run, nil
}

// options returns the options of a client for settings.
func (p *ProduceTrial) options(s tune.Settings, sent *written) ([]kgo.Opt, error) {
	opts := append([]kgo.Opt{}, p.Client...)
	opts = append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgocrypt.Partitioner(kgo.StickyKeyPartitioner(nil))),
		kgo.ProducerLinger(s.Linger),
		// The end of a trial must not wait for a broker that is gone. The records are
		// not sent again.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.WithHooks(sent),
	)
	if s.Compression != "" {
		codec, ok := map[string]kgo.CompressionCodec{
			"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
			"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
		}[s.Compression]
		if !ok {
			return nil, fmt.Errorf("scenario: compression: %q is none of none, gzip, snappy, lz4 and zstd", s.Compression)
		}
		opts = append(opts, kgo.ProducerBatchCompression(codec))
	}
	if s.BatchBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(s.BatchBytes))
	}
	if s.MaxBuffered > 0 {
		opts = append(opts, kgo.MaxBufferedRecords(s.MaxBuffered))
	}
	return opts, nil
}

// warmUp is how long a trial runs before it measures, at most a quarter of what it
// measures.
const warmUp = 200 * time.Millisecond

// patience is how long a trial waits, behind its end, for what is under way.
const patience = 10 * time.Second

func (p *ProduceTrial) run(ctx context.Context, s tune.Settings, d time.Duration, rate float64) (tune.Sample, error) {
	sent := new(written)
	opts, err := p.options(s, sent)
	if err != nil {
		return tune.Sample{}, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return tune.Sample{}, fmt.Errorf("scenario: %w", err)
	}
	defer client.Close()
	producer, err := kgocrypt.NewProducer(client, p.Engine)
	if err != nil {
		return tune.Sample{}, err
	}
	// A cluster that does not answer is no property of the settings.
	hello, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := client.Ping(hello); err != nil {
		return tune.Sample{}, fmt.Errorf("scenario: reach the cluster: %w", err)
	}
	// The first record of a client waits until it knows the topic and has an id.
	first := p.record(0)
	_ = producer.ProduceSync(hello, &first) // those that follow tell
	ctx, end := context.WithTimeout(ctx, warmUp+d+patience)
	defer end()
	l := &loop{
		trial: p, producer: producer, batch: max(1, s.BatchRecords), rate: rate,
		begin: time.Now(), warm: min(warmUp, d/4), length: d,
	}
	cpu := processCPU()
	var wg sync.WaitGroup
	workers := make([]worker, max(1, s.Concurrency))
	for i := range workers {
		wg.Go(func() { workers[i].work(ctx, l) })
	}
	wg.Wait()
	used := processCPU() - cpu
	return l.sample(workers, used, sent.bytes.Load()), nil
}

// record returns a copy of one of the records: a producer writes into it.
func (p *ProduceTrial) record(n int64) kgo.Record {
	r := p.Records[n%int64(len(p.Records))]
	return kgo.Record{Topic: p.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
}

// A loop is what the goroutines of one trial share.
type loop struct {
	trial        *ProduceTrial
	producer     *kgocrypt.Producer
	batch        int
	rate         float64 // 0: as fast as it goes
	begin        time.Time
	warm, length time.Duration
	next         atomic.Int64 // the burst that nobody has taken
}

// due returns when a record is due, from the beginning.
func (l *loop) due(record int64) time.Duration {
	return time.Duration(float64(record) / l.rate * float64(time.Second))
}

// over tells whether a moment lies behind the end.
func (l *loop) over(at time.Duration) bool { return at >= l.warm+l.length }

// take waits until a burst is due and returns the number of its first record, or
// false at the end. In a closed loop nobody leaves with nothing: must asks for a
// burst however late it is.
func (l *loop) take(ctx context.Context, must bool) (first int64, ok bool) {
	n := l.next.Add(1) - 1
	first = n * int64(l.batch)
	if l.rate > 0 {
		at := l.due(first + int64(l.batch) - 1)
		if l.over(at) {
			return 0, false
		}
		if wait := at - time.Since(l.begin); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return 0, false
			}
		}
	}
	return first, ctx.Err() == nil && (l.rate == 0 && must || !l.over(time.Since(l.begin)))
}

// A worker hands bursts to the client, one after the other.
type worker struct {
	// acked are records that were acknowledged in the measured time, last is when the
	// last of them was. In a closed loop that time begins with the measuring, in the
	// middle of a burst, and ends with the end of a burst, so that it does not matter
	// how long those take; in an open loop they are the records that were due in it.
	acked  float64
	last   time.Duration
	lost   float64         // were due in an open loop, and nobody came
	all    int64           // acknowledged at any time
	failed int64           // at any time
	waits  []time.Duration // of records whose wait is measured
}

func (w *worker) work(ctx context.Context, l *loop) {
	records := make([]kgo.Record, l.batch)
	done := make([]time.Duration, l.batch) // 0 is an error
	for {
		first, ok := l.take(ctx, w.acked == 0 && w.failed == 0)
		if !ok {
			if l.rate > 0 && first > 0 {
				w.missed(l, first)
			}
			return
		}
		start := time.Since(l.begin)
		var burst sync.WaitGroup
		burst.Add(l.batch)
		for i := range records {
			records[i] = l.trial.record(first + int64(i))
			l.producer.Produce(ctx, &records[i], func(_ *kgo.Record, err error) {
				done[i] = 0
				if err == nil {
					done[i] = time.Since(l.begin)
				}
				burst.Done()
			})
		}
		burst.Wait()
		w.count(l, first, start, done)
	}
}

// count takes down what became of a burst that was handed over at start. done are
// the moments of its acknowledgements, 0 for a record that was refused.
func (w *worker) count(l *loop, first int64, start time.Duration, done []time.Duration) {
	end := slices.Max(done)
	part := 1.0 // of the burst, in the measured time
	switch {
	case end <= l.warm:
		part = 0
	case start < l.warm:
		part = float64(end-l.warm) / float64(end-start)
	}
	for i, at := range done {
		if at == 0 {
			w.failed++
			continue
		}
		w.all++
		from := start
		if l.rate > 0 {
			from = l.due(first + int64(i))
			part = 1
			if from < l.warm || l.over(from) {
				continue
			}
		}
		if part > 0 {
			w.acked += part
			w.last = max(w.last, at)
			w.waits = append(w.waits, at-from)
		}
	}
}

// missed takes down a burst that was due, and that came too late to be sent.
func (w *worker) missed(l *loop, first int64) {
	for i := range int64(l.batch) {
		if due := l.due(first + i); due >= l.warm && !l.over(due) {
			w.waits = append(w.waits, l.warm+l.length-due)
			w.lost++
		}
	}
}
