package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

//go:embed policy.yaml
var policyText string

const defaultTopic = "customers.v1"

// shop is everything that the demo works with.
type shop struct {
	options
	dir      string
	cluster  *cluster
	form     *form
	policy   *fieldcrypt.Policy
	kms      *countingKMS
	keyTopic string
	plan     []fieldcrypt.FieldAction
	actions  map[string]fieldcrypt.FieldAction // plan, by path
	sent     []customers.Customer
	byID     map[string]int // index into sent
	shown    int            // index into sent of the customer to look at
	held     *kgo.Record    // of that customer, as the broker holds it
}

func demo(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "fieldveil-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newShop(o, dir)
	if err != nil {
		return err
	}
	if s.form, err = openForm(o.format, s.topic); err != nil {
		return err
	}
	defer s.form.close()
	if s.policy, err = loadPolicy(s.form.policy(), filepath.Join(dir, kekFile), o.topic); err != nil {
		return err
	}
	if s.cluster, err = openCluster(o.brokers, filepath.Join(dir, "broker")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.cluster.close(o.keep)) }()
	for _, step := range []func(context.Context) error{s.prepare, s.produce, s.look, s.readBack, s.loseHeader, s.scan} {
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

// newShop makes the KEK and names the topics: on a cluster of others so that
// they meet nobody else's.
func newShop(o options, dir string) (*shop, error) {
	s := &shop{options: o, dir: dir, keyTopic: kgocrypt.DefaultKeyTopic}
	if len(o.brokers) > 0 {
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, err
		}
		suffix := "." + hex.EncodeToString(b[:])
		s.keyTopic += suffix
		if s.topic == "" {
			s.topic = defaultTopic + suffix
		}
	}
	if s.topic == "" {
		s.topic = defaultTopic
	}
	if err := localkms.Create(filepath.Join(dir, kekFile)); err != nil {
		return nil, err
	}
	s.kms = &countingKMS{Wrapper: localkms.New()}
	return s, nil
}

const kekFile = "demo.kek"

// loadPolicy reads a policy with the KEK of this run, and for another topic if
// one is given.
func loadPolicy(text, kek, topic string) (*fieldcrypt.Policy, error) {
	for from, to := range map[string]string{`"local:./demo.kek"`: "local:" + kek, `"customers.v1*"`: topic} {
		if to == "" {
			continue
		}
		if !strings.Contains(text, from) {
			return nil, fmt.Errorf("the policy has no %s to replace by that of this run", from)
		}
		quoted, err := json.Marshal(to) // also a string of YAML
		if err != nil {
			return nil, err
		}
		text = strings.Replace(text, from, string(quoted), 1)
	}
	return fieldcrypt.ParsePolicy([]byte(text))
}

// prepare makes the topic and shows what the policy does to the schema.
func (s *shop) prepare(ctx context.Context) error {
	if err := s.cluster.createTopic(ctx, s.topic); err != nil {
		return err
	}
	s.titlef("1. %s and a policy", s.form.opening())
	parsed, err := s.form.parse()
	if err != nil {
		return err
	}
	keys, err := s.newCache()
	if err != nil {
		return err
	}
	defer keys.Close()
	plan, err := fieldcrypt.Compile(parsed, s.policy, keys, s.topic)
	if err != nil {
		return err
	}
	s.plan, s.actions = plan.Actions(), make(map[string]fieldcrypt.FieldAction)
	for _, a := range s.plan {
		s.actions[a.Path] = a
	}
	if s.form.Type == "" {
		s.printf("JSON, in which the policy names %d paths:\n\n", len(s.plan))
	} else {
		leaves := 0
		for _, f := range parsed.Fields() {
			if f.Leaf() {
				leaves++
			}
		}
		s.printf("%s, schema %d of an embedded registry,\nhas %d fields, %d of them tagged. The policy says:\n\n",
			parsed.Name(), s.form.id, leaves, len(s.plan))
	}
	s.showActions()
	return nil
}

func (s *shop) newCache(opts ...datakey.Option) (*datakey.Cache, error) {
	return datakey.New(kms.Mux{localkms.Scheme: s.kms}, opts...)
}

// A process is an engine as a process of its own would have it: with data keys
// that it got from the KMS itself, and its own view of the key topic.
type process struct {
	*fieldcrypt.Engine
	keys  *datakey.Cache
	store *kgocrypt.KeyTopic // nil without a key topic
}

func (p *process) close() {
	if p.keys != nil {
		p.keys.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
}

func (s *shop) newProcess(ctx context.Context, withKeyTopic bool) (_ *process, err error) {
	p := new(process)
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	var opts []datakey.Option
	if withKeyTopic {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if p.store, err = kgocrypt.OpenKeyTopic(ctx, s.keyTopic, s.cluster.opts()); err != nil {
			return nil, err
		}
		opts = append(opts, datakey.WithStore(p.store))
	}
	if p.keys, err = s.newCache(opts...); err != nil {
		return nil, err
	}
	p.Engine, err = fieldcrypt.New(s.policy, p.keys, s.form.options()...)
	return p, err
}

// generate makes the customers and their encoded records.
func (s *shop) generate() (values [][]byte, size int, err error) {
	gen := customers.New(s.seed)
	frame, err := s.form.frame()
	if err != nil {
		return nil, 0, err
	}
	values, s.sent, s.byID = make([][]byte, s.records), make([]customers.Customer, s.records), make(map[string]int, s.records)
	for i := range values {
		c := gen.Next()
		s.sent[i], s.byID[c.ID] = c, i
		if values[i], err = s.form.Encode(slices.Clip(frame), c); err != nil {
			return nil, 0, err
		}
		size += len(values[i])
	}
	for i, c := range s.sent {
		if c.Notes != nil && c.Phone != nil && len(c.Emails) > 0 {
			s.shown = i // the first who has everything
			break
		}
	}
	return values, size, nil
}

// produce sends all customers protected.
func (s *shop) produce(ctx context.Context) error {
	s.titlef("2. Producing %s records to %s", thousands(s.records), s.cluster.name)
	// From here on there may be a key topic to delete.
	s.cluster.created = append(s.cluster.created, s.keyTopic)
	p, err := s.newProcess(ctx, true)
	if err != nil {
		return err
	}
	defer p.close()
	client, err := kgo.NewClient(append(s.cluster.opts(), kgo.DefaultProduceTopic(s.topic))...)
	if err != nil {
		return err
	}
	defer client.Close()
	producer, err := kgocrypt.NewProducer(client, p.Engine)
	if err != nil {
		return err
	}
	values, size, err := s.generate()
	if err != nil {
		return err
	}

	bar := newProgress(s.options, s.records)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	send := func(i int) {
		r := &kgo.Record{Key: []byte(s.sent[i].ID), Value: values[i]}
		producer.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				fail(err)
				return
			}
			bar.add()
		})
	}
	// The first record waits for a data key, all others find it there.
	start := time.Now()
	send(0)
	err = producer.Flush(ctx)
	first := time.Since(start)
	for i := 1; i < len(values) && ctx.Err() == nil; i++ {
		send(i)
	}
	err = errors.Join(err, producer.Flush(ctx))
	took := time.Since(start) - first
	bar.end()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	s.printf("The first took %v: its data key was made, and kept in the key topic.\n", first.Round(time.Millisecond))
	if n := s.records - 1; n > 0 {
		size -= len(values[0])
		s.printf("%s\n", rateLine(n, size, took))
	}
	made, unwrapped := s.kms.made.Load(), s.kms.unwrapped.Load()
	s.printf("Data keys used: %d. KMS calls: %d (%d to make a key, %d to prove that it unwraps).\n",
		p.store.Len(), made+unwrapped, made, unwrapped)
	return nil
}

// rateLine says how fast n more records of size bytes in all were produced. A
// fast machine makes it longer, and it must still fit a narrow terminal.
func rateLine(n, size int, took time.Duration) string {
	return fmt.Sprintf("The other %s took %v: %s records/s, %.1f MB/s, acknowledged.", thousands(n),
		took.Round(time.Millisecond), thousands(int(float64(n)/took.Seconds())), float64(size)/took.Seconds()/1e6)
}
