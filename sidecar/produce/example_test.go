package produce_test

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// masker stands for what protects.
type masker struct{}

func (masker) Protect(_ context.Context, dst []byte, rec *produce.Record) (produce.Record, error) {
	out := *rec
	for range rec.Value {
		dst = append(dst, '*')
	}
	out.Value = dst
	return out, nil
}

func ExamplePipeline() {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "people"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	// The pipeline's options come last.
	opts := append([]kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}, produce.ClientOptions(nil, 0)...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	pipeline, err := produce.New(masker{}, client)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	release, full := pipeline.Admit(2, 20)
	if full != nil {
		fmt.Println(full)
		return
	}
	for _, r := range pipeline.Produce(ctx, []produce.Record{
		{Topic: "people", Partition: 2, Value: []byte("ann@example.test")},
		{Topic: "nowhere", Partition: produce.AnyPartition, Value: []byte("bob")},
	}, produce.Each) {
		fmt.Println(r.Outcome, r.Partition, r.Offset, r.ValueSize, r.Err)
	}
	release()
	fmt.Println(pipeline.Drain(ctx), "records unknown")
	// Output:
	// delivered 2 0 16 <nil>
	// rejected -1 -1 -1 topic_unknown
	// 0 records unknown
}
