package scenario

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/load"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

const beforehand = "the same records, protected beforehand, by the same client"

// Produce measures a producer that protects records on their way to a broker in
// another process, beside one that sends the same bytes protected beforehand.
//
// It is as fast as the broker lets it, and for each of the rates in an open loop.
func Produce(ctx context.Context, p Params) (_ *report.Case, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Concurrency == 0 {
		p.Concurrency = 4
	}
	w, err := newProduceWorld(ctx, &p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	c := &report.Case{Scenario: NameProduce, Settings: p.settings(), Yardstick: beforehand}
	if err := w.compare(ctx, c, &p); err != nil {
		return nil, err
	}
	if err := w.curve(ctx, c, &p); err != nil {
		return nil, err
	}
	if c.Size, err = sizes(ctx, w.rig, &p); err != nil {
		return nil, err
	}
	p.progress(1)
	return c, nil
}

// A produceWorld is two producers and a broker.
type produceWorld struct {
	rig    *rig
	broker *Broker // nil with brokers of the user
	// inline protects on the way; ready sends what is protected already.
	inline, ready *Producer
}

func newProduceWorld(ctx context.Context, p *Params) (_ *produceWorld, err error) {
	w := new(produceWorld)
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.rig, err = newRig(ctx, p); err != nil {
		return nil, err
	}
	var brokers []string
	if p.Kafka == nil {
		if w.broker, err = StartBroker(p.Set.Topic); err != nil {
			return nil, err
		}
		brokers = w.broker.Addrs()
	}
	plain := make([]*kgo.Record, len(w.rig.records))
	for i, rec := range w.rig.records {
		plain[i] = toKafka(rec)
	}
	sealed, err := protectedBeforehand(ctx, w.rig)
	if err != nil {
		return nil, err
	}
	if w.inline, err = NewProducer(p, brokers, plain, w.rig.engine); err != nil {
		return nil, err
	}
	w.ready, err = NewProducer(p, brokers, sealed, nil)
	return w, err
}

// distinct is how many different records are protected beforehand, at least: a
// batch of equal ones would compress as no batch of protected records does.
const distinct = 2048

func protectedBeforehand(ctx context.Context, r *rig) ([]*kgo.Record, error) {
	n := len(r.records)
	n *= (distinct + n - 1) / n
	out := make([]*kgo.Record, n)
	for i := range out {
		sealed, err := r.engine.Protect(ctx, r.records[i%len(r.records)])
		if err != nil {
			return nil, err
		}
		out[i] = toKafka(sealed)
	}
	return out, nil
}

func toKafka(r fieldcrypt.Record) *kgo.Record {
	out := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return out
}

func (w *produceWorld) close() error {
	var all error
	for _, p := range []*Producer{w.inline, w.ready} {
		if p != nil {
			all = errors.Join(all, p.Close())
		}
	}
	if w.broker != nil {
		all = errors.Join(all, w.broker.Close())
	}
	if w.rig != nil {
		all = errors.Join(all, w.rig.close())
	}
	return all
}

// A Producer sends records, again and again, to measure how fast that is. It is safe
// for concurrent use.
type Producer struct {
	client  *kgo.Client
	send    func(context.Context, *kgo.Record, func(*kgo.Record, error))
	records []*kgo.Record
	next    atomic.Uint64
	rig     *rig // of NewProtecting
}

// NewProducer makes a Producer with the settings of p for a client of Kafka. With an
// engine it protects the records on their way; without one it sends them as they
// are, so they have been protected beforehand.
func NewProducer(p *Params, brokers []string, records []*kgo.Record, engine *fieldcrypt.Engine) (*Producer, error) {
	opts, err := p.clientOptions(brokers)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	out := &Producer{client: client, send: client.Produce, records: records}
	if engine != nil {
		protecting, err := kgocrypt.NewProducer(client, engine)
		if err != nil {
			client.Close()
			return nil, err
		}
		out.send = protecting.Produce
	}
	return out, nil
}

// clientOptions are those of the client of Kafka: what reaches the user's cluster
// first, then what is varied.
func (p *Params) clientOptions(brokers []string) ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(brokers...)}
	if p.Kafka != nil {
		var err error
		if opts, err = kafka.Options(p.Kafka); err != nil {
			return nil, err
		}
	}
	opts = append(opts, kgo.RecordPartitioner(kgocrypt.Partitioner(kgo.StickyKeyPartitioner(nil))))
	if p.Kafka == nil || p.Compression != "" {
		cc, err := codec(p.Compression)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.ProducerBatchCompression(cc))
	}
	if p.Kafka == nil || p.Linger > 0 {
		opts = append(opts, kgo.ProducerLinger(p.Linger))
	}
	if p.BatchBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(p.BatchBytes))
	}
	return opts, nil
}

// NewProtecting makes a Producer with an engine of its own.
func NewProtecting(ctx context.Context, p Params, brokers []string) (*Producer, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r, err := newRig(ctx, &p)
	if err != nil {
		return nil, err
	}
	records := make([]*kgo.Record, len(r.records))
	for i, rec := range r.records {
		records[i] = toKafka(rec)
	}
	out, err := NewProducer(&p, brokers, records, r.engine)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	out.rig = r
	return out, nil
}

// Close ends its client, and its engine if that is its own.
func (p *Producer) Close() error {
	p.client.Close()
	if p.rig != nil {
		return p.rig.close()
	}
	return nil
}

// record returns a copy of the next one: a producer writes into it.
func (p *Producer) record() *kgo.Record {
	n := p.next.Add(1)
	r := *p.records[n%uint64(len(p.records))]
	return &r
}

// Run produces for a time, as fast as it can, waits until all is acknowledged and
// returns how many records a second that were.
func (p *Producer) Run(ctx context.Context, workers int, d time.Duration) (rate float64, n int64, err error) {
	var (
		wg    sync.WaitGroup
		sent  atomic.Int64
		done  atomic.Int64
		first atomic.Pointer[error]
	)
	begin := time.Now()
	for range workers {
		wg.Go(func() {
			for time.Since(begin) < d && first.Load() == nil && ctx.Err() == nil {
				sent.Add(1)
				p.send(ctx, p.record(), func(_ *kgo.Record, err error) {
					if err != nil {
						first.CompareAndSwap(nil, &err)
						return
					}
					done.Add(1)
				})
			}
		})
	}
	wg.Wait()
	if err := p.client.Flush(ctx); err != nil {
		return 0, 0, err
	}
	if err := first.Load(); err != nil {
		return 0, 0, *err
	}
	n = done.Load()
	return float64(n) / time.Since(begin).Seconds(), n, ctx.Err()
}

// compare fills in rates, ratios and what they cost.
func (w *produceWorld) compare(ctx context.Context, c *report.Case, p *Params) error {
	rounds, slice := p.inProcesses()
	var (
		rates, floors, ratios []float64
		mine, brokers         time.Duration
		records               int64
		mallocs               uint64
	)
	calls := w.rig.kms.calls.Load()
	for round := range rounds + 1 { // the first to warm up
		f, _, err := w.ready.Run(ctx, p.Concurrency, slice)
		if err != nil {
			return err
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		cpu, broker := cpuOf(os.Getpid()), w.brokerCPU()
		r, n, err := w.inline.Run(ctx, p.Concurrency, slice)
		if err != nil {
			return err
		}
		if round > 0 {
			runtime.ReadMemStats(&after)
			mine += cpuOf(os.Getpid()) - cpu
			brokers += w.brokerCPU() - broker
			mallocs += after.Mallocs - before.Mallocs
			records += n
			rates, floors, ratios = append(rates, r), append(floors, f), append(ratios, r/f)
		}
		p.progress(0.6 * float64(round+1) / float64(rounds+1))
	}
	c.KMSCalls = w.rig.kms.calls.Load() - calls
	c.Rate = report.NewSeries(rates)
	f, r := report.NewSeries(floors), report.NewSeries(ratios)
	c.Floor, c.Ratio = &f, &r
	c.Allocs = float64(mallocs) / float64(max(records, 1))
	c.Processes = []report.Process{{Name: "producer", CPU: perRecord(mine, records), RSS: rssOf(os.Getpid())}}
	if w.broker != nil {
		c.Processes = append(c.Processes, report.Process{Name: "broker", CPU: perRecord(brokers, records), RSS: rssOf(w.broker.p.cmd.Process.Pid)})
	}
	if !p.Split {
		return nil
	}
	var n int64
	var wall time.Duration
	var err error
	c.Split, err = splitOf(func() int {
		begin := time.Now()
		var runErr error
		_, n, runErr = w.inline.Run(ctx, p.Concurrency, max(slice, time.Second))
		wall = time.Since(begin)
		if runErr != nil {
			return 0
		}
		return int(n)
	})
	c.Split = withWaiting(c.Split, wall, n)
	return err
}

// withWaiting adds the time in which a process had threads to spare: it waited for
// others.
func withWaiting(s []report.Share, wall time.Duration, n int64) []report.Share {
	if n == 0 {
		return s
	}
	busy := 0.0
	for _, share := range s {
		busy += share.Ns
	}
	all := float64(wall) * float64(runtime.GOMAXPROCS(0)) / float64(n)
	if all <= busy {
		return s
	}
	for i := range s {
		s[i].Fraction = s[i].Ns / all
	}
	return append(s, report.Share{Name: partWaiting, Fraction: (all - busy) / all, Ns: all - busy})
}

func perRecord(d time.Duration, n int64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(n, 1))
}

func (w *produceWorld) brokerCPU() time.Duration {
	if w.broker == nil {
		return 0
	}
	return cpuOf(w.broker.p.cmd.Process.Pid)
}

// curve measures latencies at parts of the highest rate.
func (w *produceWorld) curve(ctx context.Context, c *report.Case, p *Params) error {
	send := func(ctx context.Context, n int, done func(int, error)) error {
		for range n {
			w.inline.send(ctx, w.inline.record(), func(_ *kgo.Record, err error) { done(1, err) })
		}
		return nil
	}
	return curve(ctx, c, p, send, 1)
}

// latencyParts is into how many parts the time at one rate is cut, to tell two runs
// apart from chance: enough for an interval, and long enough for a 99th percentile.
const latencyParts = 10

// holding is how long a rate is held: long enough for a burst in each part, also where
// bursts are rare, but not for ever.
func holding(hold time.Duration, rate float64, burst int) time.Duration {
	const longest = 30 * time.Second
	every := float64(time.Second) * float64(max(burst, 1)) / rate
	needed := time.Duration(min(latencyParts*every, float64(longest)))
	return max(hold, needed)
}

// curve holds each rate for a time, in an open loop, and fills in what it finds.
// The latency of the case is that at the rate closest to a half of the highest.
func curve(ctx context.Context, c *report.Case, p *Params, send load.Send, burst int) error {
	nearest := math.Inf(1)
	for i, part := range p.Rates {
		rate := part * c.Rate.Median
		hold := holding(p.hold(), rate, burst)
		o := load.Open{Rate: rate, Burst: burst, For: hold + hold/4, Warm: hold / 4, Parts: latencyParts}
		r, err := o.Run(ctx, send)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if r.Err != nil {
			return r.Err
		}
		l := r.Latency.Latency()
		l.P50, l.P99 = load.OfParts(r.Parts, 0.5), load.OfParts(r.Parts, 0.99)
		c.Curve = append(c.Curve, report.Point{Offered: o.Rate, Achieved: r.Rate(), Latency: l})
		if d := math.Abs(part - 0.5); d < nearest {
			nearest, c.Latency = d, &l
		}
		p.progress(0.6 + 0.4*float64(i+1)/float64(len(p.Rates)))
	}
	return nil
}
