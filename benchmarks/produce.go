package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

// withProcesses are the parameters of scenarios with processes.
func (s *state) withProcesses(set *input.Set) scenario.Params {
	p := scenario.Params{Set: set, Rounds: 15, Slice: 400 * time.Millisecond, Rates: []float64{0.25, 0.5, 0.75, 0.9}, Hold: 2 * time.Second, Split: true}
	if s.quick {
		p.Rounds, p.Slice, p.Rates, p.Hold = 3, 100*time.Millisecond, []float64{0.5}, 300*time.Millisecond
	}
	if s.rounds > 0 {
		p.Rounds = s.rounds
	}
	return p
}

// producers measures producers that protect on the way: before Apache Kafka, for
// which the goals are, and before a broker that costs nothing, which shows the
// producer's own part.
func producers(ctx context.Context, s *state) error {
	set, err := input.Builtin("order-avro")
	if err != nil {
		return err
	}
	p := s.withProcesses(set)
	p.Compression = "none" // there is one record, and copies of it compress as no batch does
	calls, err := beforeDiscarding(ctx, s, p)
	if err != nil {
		return err
	}
	if err := beforeKafka(ctx, s, p); err != nil {
		return err
	}
	s.goal("calls to the KMS for a record, in steady state", "calls", 0, false, []float64{float64(calls)})
	return nil
}

const (
	unitBeforehand = "of the rate of the same bytes protected beforehand"
	unitPlain      = "of the rate of plain records"
)

// beforeDiscarding measures before a broker that checks what it gets and forgets it.
// It returns the calls to the KMS.
func beforeDiscarding(ctx context.Context, s *state, p scenario.Params) (calls int64, err error) {
	c, err := scenario.Produce(ctx, p)
	if err != nil {
		return 0, err
	}
	c.Name = "produce/order-avro"
	s.report.Cases = append(s.report.Cases, *c)
	s.say("  before a broker that costs nothing: %.2f (%.2f-%.2f) %s", c.Ratio.Median, c.Ratio.Low, c.Ratio.High, unitBeforehand)
	broker, err := scenario.StartBroker(p.Set.Topic)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	plain, err := besidePlain(ctx, p, broker.Addrs())
	if err != nil {
		return 0, err
	}
	plain.Name = "produce/order-avro/beside-plain"
	s.report.Cases = append(s.report.Cases, *plain)
	s.say("  before a broker that costs nothing: %.2f (%.2f-%.2f) %s", plain.Ratio.Median, plain.Ratio.Low, plain.Ratio.High, unitPlain)
	return c.KMSCalls, nil
}

// beforeKafka measures before the broker that everybody runs, on this host.
func beforeKafka(ctx context.Context, s *state, p scenario.Params) error {
	const (
		inline      = "produce to Apache Kafka, protecting inline"
		beside      = "the same, beside plain records"
		wantInline  = 0.85
		wantBeside  = 0.65
		name        = "produce-kafka/order-avro"
		besideName  = "produce-kafka/order-avro/beside-plain"
		rewarmShare = 3 // its compiler is still at work when ours has long been warm
	)
	err := kafkabroker.Run(ctx, func(b *kafkabroker.Broker) error {
		if err := topicOn(ctx, b.Addr(), p.Set.Topic); err != nil {
			return err
		}
		p.Split = false
		p.Kafka = &kafka.Config{Properties: map[string]string{"bootstrap.servers": b.Addr()}}
		warm := p
		warm.Rounds, warm.Rates = max(p.Rounds/rewarmShare, 1), nil
		if _, err := scenario.Produce(ctx, warm); err != nil {
			return err
		}
		c, err := scenario.Produce(ctx, p)
		if err != nil {
			return err
		}
		c.Name = name
		s.report.Cases = append(s.report.Cases, *c)
		s.goal(inline, unitBeforehand, wantInline, true, c.Ratio.Samples)
		p.Kafka = nil
		plain, err := besidePlain(ctx, p, []string{b.Addr()})
		if err != nil {
			return err
		}
		plain.Name = besideName
		s.report.Cases = append(s.report.Cases, *plain)
		s.goal(beside, unitPlain, wantBeside, true, plain.Ratio.Samples)
		s.report.Notes = append(s.report.Notes, "produce-kafka: Apache Kafka "+b.Version()+" on the same host, six partitions, acks of all.")
		return nil
	})
	if missing, ok := errors.AsType[kafkabroker.UnavailableError](err); ok {
		s.skip(inline, unitBeforehand, wantInline, missing.Error())
		s.skip(beside, unitPlain, wantBeside, missing.Error())
		return nil
	}
	return err
}

// topicOn makes a topic of as many partitions as the broker of a run has, which
// keeps little: a measurement is not to fill the disk.
func topicOn(ctx context.Context, addr, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	const partitions, mib = 6, 1 << 20
	text := func(n int) *string { return new(strconv.Itoa(n)) }
	_, err = kadm.NewClient(client).CreateTopic(ctx, partitions, 1, map[string]*string{
		"segment.bytes": text(16 * mib), "retention.bytes": text(64 * mib), "file.delete.delay.ms": text(0),
	}, topic)
	return err
}

// besidePlain compares a producer that protects with one that sends records as they
// are, to a broker of this run. The records are made up. It stands here because the
// product has nothing that sends them so.
func besidePlain(ctx context.Context, p scenario.Params, brokers []string) (_ *report.Case, err error) {
	protecting, err := scenario.NewProtecting(ctx, p, brokers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, protecting.Close()) }()
	records := make([]*kgo.Record, len(p.Set.Records))
	for i := range p.Set.Records {
		records[i] = &kgo.Record{Topic: p.Set.Topic, Key: p.Set.Records[i].Key, Value: p.Set.Records[i].Value}
	}
	plain, err := scenario.NewProducer(&p, brokers, records, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plain.Close()) }()
	const workers = 4
	var rates, floors, ratios []float64
	for round := range p.Rounds + 1 { // the first to warm up
		ours, _, err := protecting.Run(ctx, workers, p.Slice)
		if err != nil {
			return nil, err
		}
		theirs, _, err := plain.Run(ctx, workers, p.Slice)
		if err != nil {
			return nil, err
		}
		if round > 0 {
			rates, floors, ratios = append(rates, ours), append(floors, theirs), append(ratios, ours/theirs)
		}
	}
	f, r := report.NewSeries(floors), report.NewSeries(ratios)
	return &report.Case{
		Scenario: scenario.NameProduce, Rate: report.NewSeries(rates), Floor: &f, Ratio: &r,
		Yardstick: "plain records, by the same client", Allocs: -1,
	}, nil
}
