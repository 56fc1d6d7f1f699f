package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
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

// producers measures producers that protect on the way.
func producers(ctx context.Context, s *state) error {
	set, err := input.Builtin("order-avro")
	if err != nil {
		return err
	}
	p := s.withProcesses(set)
	p.Compression = "none" // there is one record, and copies of it compress as no batch does
	c, err := scenario.Produce(ctx, p)
	if err != nil {
		return err
	}
	c.Name = "produce/order-avro"
	s.report.Cases = append(s.report.Cases, *c)
	s.goal("produce, protecting inline", "of the rate of the same bytes protected beforehand", 0.85, true, c.Ratio.Samples)
	plain, err := besidePlain(ctx, p)
	if err != nil {
		return err
	}
	s.goal("the same, beside plain records", "of the rate of plain records", 0.65, true, plain)
	s.goal("calls to the KMS for a record, in steady state", "calls", 0, false, []float64{float64(c.KMSCalls)})
	return nil
}

// besidePlain compares a producer that protects with one that sends records as they
// are, to a broker of this run that forgets them. The records are made up. It stands
// here because the product has nothing that sends them so.
func besidePlain(ctx context.Context, p scenario.Params) (ratios []float64, err error) {
	broker, err := scenario.StartBroker(p.Set.Topic)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	protecting, err := scenario.NewProtecting(ctx, p, broker.Addrs())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, protecting.Close()) }()
	records := make([]*kgo.Record, len(p.Set.Records))
	for i := range p.Set.Records {
		records[i] = &kgo.Record{Topic: p.Set.Topic, Key: p.Set.Records[i].Key, Value: p.Set.Records[i].Value}
	}
	plain, err := scenario.NewProducer(&p, broker.Addrs(), records, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plain.Close()) }()
	const workers = 4
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
			ratios = append(ratios, ours/theirs)
		}
	}
	return ratios, nil
}
