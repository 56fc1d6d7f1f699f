package kafka_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/fieldveil/fieldveil/sidecar/kafka"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

type copying struct{}

func (copying) Protect(_ context.Context, dst []byte, rec *produce.Record) (produce.Record, error) {
	out := *rec
	dst = append(dst, rec.Value...)
	out.Value = dst
	return out, nil
}

// Whatever the properties say, a pipeline takes the client that is made with its
// options, and the smaller of both limits holds.
func TestAClientServesAPipeline(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(7, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cfg := &kafka.Config{Properties: map[string]string{
		"bootstrap.servers": c.ListenAddrs()[0], "partitioner": "consistent_random", "message.max.bytes": "2000",
		"linger.ms": "0", "compression.type": "zstd", "request.timeout.ms": "5000", "metadata.max.age.ms": "60000",
		"connections.max.idle.ms": "60000", "socket.connection.setup.timeout.ms": "5000", "delivery.timeout.ms": "60000",
	}}
	inner, err := cfg.Partitioner()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.NewClient(cfg, produce.ClientOptions(inner, cfg.MaxBytes())...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p, err := produce.New(copying{}, client, produce.WithDelivery(cfg.Delivery()))
	if err != nil {
		t.Fatal(err)
	}
	rs := p.Produce(t.Context(), []produce.Record{
		{Topic: "t", Partition: produce.AnyPartition, Key: []byte("user-1"), Value: []byte("v")},
		{Topic: "t", Partition: produce.AnyPartition, Value: bytes.Repeat([]byte("v"), 2000)},
	}, produce.Each)
	// CRC-32 of the key, of 7: see the vectors.
	if rs[0].Outcome != produce.Delivered || rs[0].Partition != 5 {
		t.Errorf("%+v, %v", rs[0], rs[0].Err)
	}
	if rs[1].Outcome != produce.Rejected || rs[1].Err.Code != produce.CodeTooLarge {
		t.Errorf("%+v, %v", rs[1], rs[1].Err)
	}
	if n := p.Drain(t.Context()); n != 0 {
		t.Errorf("%d records unknown", n)
	}
}
