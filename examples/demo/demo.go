package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

//go:embed policy.yaml
var policyText string

// schemaID is what a registry would have given the customer schema.
const schemaID = 1

// shop is everything that the demo works with.
type shop struct {
	options
	dir      string
	cluster  *cluster
	policy   *fieldcrypt.Policy
	kms      *countingKMS
	keyTopic string
	actions  map[string]fieldcrypt.FieldAction // by path
	plan     []fieldcrypt.FieldAction
	sent     []customers.Customer
}

func demo(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "fieldveil-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	suffix, err := newSuffix()
	if err != nil {
		return err
	}
	if o.topic == "" {
		o.topic = "customers.v1." + suffix
	}
	s := &shop{options: o, dir: dir, keyTopic: "_fieldveil_keys." + suffix}
	if s.cluster, err = openCluster(ctx, o.brokers, filepath.Join(dir, "broker"), o.topic); err != nil {
		return err
	}
	defer func() {
		if cerr := s.cluster.close(o.keep, o.topic, s.keyTopic); err == nil {
			err = cerr
		}
	}()
	for _, step := range []func(context.Context) error{s.prepare, s.produce, s.look, s.readBack, s.loseHeaders, s.scan} {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	s.farewell()
	return nil
}

func newSuffix() (string, error) {
	var b [4]byte
	_, err := rand.Read(b[:])
	return hex.EncodeToString(b[:]), err
}

// prepare makes the KEK, loads the policy and shows what it does.
func (s *shop) prepare(context.Context) error {
	s.titlef("1. A tagged schema and a policy")
	kek := filepath.Join(s.dir, "demo.kek")
	if err := localkms.Create(kek); err != nil {
		return err
	}
	policy, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, policyText, kek, s.topic))
	if err != nil {
		return err
	}
	s.policy, s.kms = policy, &countingKMS{Wrapper: localkms.New()}
	parsed, err := avro.Parse(customerText())
	if err != nil {
		return err
	}
	keys, err := s.newCache(nil)
	if err != nil {
		return err
	}
	defer keys.Close()
	plan, err := fieldcrypt.Compile(parsed, policy, keys, s.topic)
	if err != nil {
		return err
	}
	s.plan, s.actions = plan.Actions(), make(map[string]fieldcrypt.FieldAction)
	for _, a := range s.plan {
		s.actions[a.Path] = a
	}
	s.printf("%s has %d fields, %d of them tagged. The policy says:\n\n", parsed.Name(), len(parsed.Fields()), len(s.plan))
	s.showActions()
	return nil
}

func customerText() schema.Text {
	return schema.Text{Format: schema.Avro, Schema: customers.Schema()}
}

func (s *shop) newCache(store datakey.Store) (*datakey.Cache, error) {
	if store == nil {
		return datakey.New(kms.Mux{localkms.Scheme: s.kms})
	}
	return datakey.New(kms.Mux{localkms.Scheme: s.kms}, datakey.WithStore(store))
}

// newEngine returns an engine as another process would have it: with keys of its
// own, from the KMS and the key topic.
func (s *shop) newEngine(ctx context.Context) (*fieldcrypt.Engine, func(), error) {
	store, err := kgocrypt.OpenKeyTopic(ctx, s.keyTopic, s.cluster.opts())
	if err != nil {
		return nil, nil, err
	}
	keys, err := s.newCache(store)
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	e, err := fieldcrypt.New(s.policy, keys, fieldcrypt.WithSchemas(schema.Static{schemaID: customerText()}))
	if err != nil {
		keys.Close()
		store.Close()
		return nil, nil, err
	}
	return e, func() { keys.Close(); store.Close() }, nil
}

// produce sends all customers through the engine.
func (s *shop) produce(ctx context.Context) error {
	s.titlef("2. Producing %s records to %s", thousands(s.records), s.cluster.name)
	engine, done, err := s.newEngine(ctx)
	if err != nil {
		return err
	}
	defer done()
	client, err := kgo.NewClient(append(s.cluster.opts(),
		kgo.DefaultProduceTopic(s.topic), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		return err
	}
	defer client.Close()
	producer, err := kgocrypt.NewProducer(client, engine)
	if err != nil {
		return err
	}

	gen := customers.New(s.seed)
	values := make([][]byte, s.records)
	bytes := 0
	for i := range values {
		c := gen.Next()
		s.sent = append(s.sent, c)
		if values[i], err = customers.Encode(frame(), c); err != nil {
			return err
		}
		bytes += len(values[i])
	}
	bar := newProgress(s.options, s.records)
	// The promises are called one after the other.
	failed := make(chan error, 1)
	start := time.Now()
	for i, v := range values {
		r := &kgo.Record{Key: []byte(s.sent[i].ID), Value: v}
		producer.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
				return
			}
			bar.add()
		})
	}
	if err := producer.Flush(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	bar.end()
	select {
	case err := <-failed:
		return err
	default:
	}
	s.printf("%s records in %v: %s records/s, %.1f MB/s of plaintext, acknowledged and protected.\n",
		thousands(s.records), took.Round(time.Millisecond), thousands(int(float64(s.records)/took.Seconds())), float64(bytes)/took.Seconds()/1e6)
	s.printf("The KMS was called %d times: one data key, made, and proved to unwrap.\n", s.kms.calls.Load())
	return nil
}

// frame is what schema registry clients write before a value.
func frame() []byte { return binary.BigEndian.AppendUint32([]byte{0}, schemaID) }

// look shows the first record beside what a consumer without the key gets.
func (s *shop) look(ctx context.Context) error {
	s.titlef("3. What a consumer without the key sees")
	want := s.shown()
	rec, err := s.find(ctx, want.ID)
	if err != nil {
		return err
	}
	var got customers.Customer
	if err := decode(rec.Value[len(frame()):], &got); err != nil {
		return fmt.Errorf("the protected record does not decode: %w", err)
	}
	s.sideBySide("sent by the service", want, "held by the broker", got)
	return nil
}

// readBack consumes everything with the key and compares.
func (s *shop) readBack(ctx context.Context) error {
	s.titlef("4. What a consumer with the key sees")
	engine, done, err := s.newEngine(ctx)
	if err != nil {
		return err
	}
	defer done()
	client, err := s.consumerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	consumer, err := kgocrypt.NewConsumer(client, engine)
	if err != nil {
		return err
	}
	byID := make(map[string]customers.Customer, len(s.sent))
	for _, c := range s.sent {
		byID[c.ID] = c
	}
	start, seen, values, different := time.Now(), 0, 0, 0
	for seen < s.records {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for rec, err := range consumer.Poll(ctx, 0).All() {
			if err != nil {
				return err
			}
			var got customers.Customer
			if err := decode(rec.Value[len(frame()):], &got); err != nil {
				return err
			}
			n, d := s.compare(byID[got.ID], got)
			values, different = values+n, different+d
			if got.ID == s.shown().ID {
				s.sideBySide("sent by the service", byID[got.ID], "revealed by the consumer", got)
			}
			seen++
		}
	}
	s.printf("\n%s records revealed in %v; of %s encrypted values %d differ from what was sent.\n",
		thousands(seen), time.Since(start).Round(time.Millisecond), thousands(values), different)
	if different > 0 {
		return fmt.Errorf("%d values came back different", different)
	}
	return nil
}

// loseHeaders reveals a record that lost its headers, as sinks and stream jobs
// do to them.
func (s *shop) loseHeaders(ctx context.Context) error {
	rec, err := s.find(ctx, s.shown().ID)
	if err != nil {
		return err
	}
	engine, done, err := s.newEngine(ctx)
	if err != nil {
		return err
	}
	defer done()
	if _, err := engine.Reveal(ctx, fieldcrypt.Record{Topic: rec.Topic, Key: rec.Key, Value: rec.Value}); err != nil {
		return fmt.Errorf("without its headers: %w", err)
	}
	s.printf("A record without its headers opens too: the wrapped data key is in the key topic.\n")
	return nil
}
