package serve

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

// A trailProducer writes lines of the audit trail to a topic, by a client of its
// own: no record of a user delays them.
type trailProducer struct{ client *kgo.Client }

func newTrailProducer(c *kafka.Config) (*trailProducer, error) {
	client, err := kafka.NewClient(c, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	return &trailProducer{client}, nil
}

// Produce implements [audit.Producer]. One key is one partition.
func (p *trailProducer) Produce(ctx context.Context, topic string, key []byte, values [][]byte) error {
	recs := make([]*kgo.Record, len(values))
	for i, v := range values {
		recs[i] = &kgo.Record{Topic: topic, Key: key, Value: v}
	}
	return p.client.ProduceSync(ctx, recs...).FirstErr()
}
