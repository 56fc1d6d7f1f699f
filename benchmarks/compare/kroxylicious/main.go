// Command kroxylicious compares this project with the record encryption of
// Kroxylicious, a proxy for the protocol of Kafka: records a second of one
// producer to a real Apache Kafka broker, through the proxy or with protection
// inline, on the same records in the same run.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func main() { row.Main(program()) }

// version is the one that pom.xml asks for.
const version = "0.12.0"

func program() row.Program {
	return row.Program{Rival: "kroxylicious record encryption", Version: version, Rounds: 11, Slice: 250 * time.Millisecond, Run: run}
}

// The topics, one for each lane.
const (
	topicPlain     = "plain"
	topicOurs      = "ours"
	topicProxied   = "proxied"
	topicEncrypted = "encrypted"
)

const (
	schemaID = 1
	policy   = `
version: 1
keys: {pii: {kek: "local:bench"}}
rules:
  - {tag: PII, action: encrypt, key: pii}
topics: [{match: ours}]
`
)

// patience bounds what waits for the broker outside the measurement.
const patience = time.Minute

func run(ctx context.Context, d *row.Document, o ratio.Options) error {
	jars, err := jars(ctx)
	if err != nil {
		return row.MissingError{Err: err}
	}
	err = kafkabroker.Run(ctx, func(b *kafkabroker.Broker) error {
		v := newVault()
		defer v.Close()
		p, err := startProxy(ctx, jars, v.URL, b.Addr())
		if err != nil {
			return err
		}
		defer p.end()
		r := race{c: workload.Avro20(), broker: b.Addr(), proxy: p, vault: v}
		if err := r.run(ctx, d, o); err != nil {
			return err
		}
		d.Notef("The broker is Apache Kafka %s on the same host, with one partition for each topic. Batches are not compressed, so that equal records do not shrink to nothing.", b.Version())
		return nil
	})
	if missing, ok := errors.AsType[kafkabroker.UnavailableError](err); ok {
		return row.MissingError{Err: missing}
	}
	return err
}

// A race is one run of all lanes beside one broker.
type race struct {
	c      workload.Case
	broker string
	proxy  *proxy
	vault  *vault
}

func (r race) run(ctx context.Context, d *row.Document, o ratio.Options) error {
	if err := r.topics(ctx); err != nil {
		return err
	}
	record := append([]byte{0, 0, 0, 0, schemaID}, r.c.Record...)
	engine, err := r.engine()
	if err != nil {
		return err
	}
	var (
		lanes   []*row.Lane
		clients []*kgo.Client
		sizes   []int
	)
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for _, l := range []struct {
		topic, addr, name string
		ours              bool
	}{
		{topicPlain, r.broker, "plain records, straight to the broker", false},
		{topicOurs, r.broker, "fieldveil: five fields encrypted in the producer", true},
		{topicProxied, r.proxy.plain, "plain records through the proxy, which does nothing", false},
		{topicEncrypted, r.proxy.secure, "whole records encrypted by the proxy", false},
	} {
		client, err := client(l.addr)
		if err != nil {
			return err
		}
		clients = append(clients, client)
		produce := client.Produce
		if l.ours {
			producer, err := kgocrypt.NewProducer(client, engine)
			if err != nil {
				return err
			}
			produce = producer.Produce
		}
		lane := &row.Lane{Name: l.name, Do: load(ctx, client, produce, l.topic, record), Elsewhere: true, Batch: batch}
		lane.Do(1)
		size, err := r.check(ctx, l.topic, record, engine)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		sizes = append(sizes, size)
		lanes = append(lanes, lane)
	}
	// The proxy runs in a virtual machine, which compiles what runs often.
	for start := time.Now(); time.Since(start) < 10*o.Slice; {
		for _, l := range lanes[2:] {
			l.Do(1)
		}
	}
	before := r.vault.asked()
	d.Measure(o, lanes...)
	plain, ours, proxied, encrypted := lanes[0], lanes[1], lanes[2], lanes[3]
	d.Throughput("produce protected records: through the encrypting proxy, against inline", 0, ours, encrypted, plain)
	d.Throughput("the proxy without encryption, against ours with it", 0, ours, proxied, plain)
	d.Notef("The floor is the same client with plain records. Of %d bytes ours makes %d and the proxy %d, and the broker stores a wrapped key with each record of ours beside that.",
		sizes[0], sizes[1], sizes[3])
	d.Notef("The proxy asked its KMS %d times during all rounds. The KMS is a fake of Vault's transit engine on the same host and answers at once.", r.vault.asked()-before)
	d.Notef("Batches are half of their usual size. A full one of 1 MB grows in the proxy past what the broker takes, and is refused; ours is cut after it was encrypted.")
	d.Notef("The proxy is a third process on a host with %d CPUs. On a host of its own it would not take them from the producer and the broker, and would add a hop.", d.Machine.CPUs)
	d.Notef("The proxy hides the whole value from everybody without the key, and knows no fields. Ours leaves fifteen of twenty fields readable; a proxy has to be told nothing of schemas.")
	return nil
}

func (r race) topics(ctx context.Context) error {
	client, err := client(r.broker)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res, err := kadm.NewClient(client).CreateTopics(ctx, 1, 1, nil, topicPlain, topicOurs, topicProxied, topicEncrypted)
	if err != nil {
		return err
	}
	return res.Error()
}

func (r race) engine() (*fieldcrypt.Engine, error) {
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		return nil, err
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		return nil, err
	}
	return fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(schema.Static{schemaID: {Format: schema.Avro, Schema: r.c.Schema}}))
}

// batchBytes leaves the proxy room: a batch of the client's default size grows by
// encryption past what the broker takes, and is refused.
const batchBytes = 512 << 10

func client(addr string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(batchBytes))...)
}

type produceFunc = func(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))

// batch is how many records are produced before the producer waits for them. The
// time of one record alone would be the time of one request.
const batch = 2000

// load produces n batches of records and waits until the broker has acknowledged them all.
func load(ctx context.Context, client *kgo.Client, produce produceFunc, topic string, value []byte) func(n int) {
	return func(n int) {
		var (
			once  sync.Once
			first error
			acked sync.WaitGroup
		)
		promise := func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { first = err })
			}
			acked.Done()
		}
		n *= batch
		acked.Add(n)
		for range n {
			produce(ctx, &kgo.Record{Topic: topic, Value: value}, promise)
		}
		if err := client.Flush(ctx); err != nil {
			panic(err)
		}
		acked.Wait()
		if first != nil {
			panic(first)
		}
	}
}

// check reads the first record of a topic as the broker holds it, and as its
// reader gets it: what should hide the values does, and all give the record. It
// returns how long the value is that the broker holds.
func (r race) check(ctx context.Context, topic string, record []byte, engine *fieldcrypt.Engine) (int, error) {
	stored, err := r.first(ctx, r.broker, topic, nil)
	if err != nil {
		return 0, err
	}
	hidden := product.Hidden(stored, r.c.Tagged) == nil
	if want := topic == topicOurs || topic == topicEncrypted; hidden != want {
		return 0, fmt.Errorf("the broker holds hidden values: %v, and should: %v", hidden, want)
	}
	addr := map[string]string{topicProxied: r.proxy.plain, topicEncrypted: r.proxy.secure}[topic]
	if addr == "" {
		addr = r.broker
	}
	var reveal *fieldcrypt.Engine
	if topic == topicOurs {
		reveal = engine
	}
	read, err := r.first(ctx, addr, topic, reveal)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(read, record) {
		return 0, fmt.Errorf("a reader gets another record than was produced")
	}
	return len(stored), nil
}

// first returns the value of the first record of a topic.
func (race) first(ctx context.Context, addr, topic string, reveal *fieldcrypt.Engine) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := client(addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if reveal != nil {
		consumer, err := kgocrypt.NewConsumer(c, reveal)
		if err != nil {
			return nil, err
		}
		for rec, err := range consumer.Poll(ctx, 1).All() {
			return rec.Value, err
		}
		return nil, fmt.Errorf("no record in %s", topic)
	}
	fetches := c.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return nil, err
	}
	return fetches.Records()[0].Value, nil
}
