package rest

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestReadsComeFromKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(3, "orders", "customers"), kfake.ClusterID("k1"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := t.Context()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "customers", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	k := NewKafkaCluster(kadm.NewClient(client))
	info, err := k.Cluster(ctx)
	if err != nil || info.ID != "k1" || len(info.Brokers) != 2 {
		t.Errorf("%+v, %v", info, err)
	}
	all, err := k.Topics(ctx)
	if err != nil || len(all) != 2 || all[0].Name != "customers" || len(all[1].Partitions) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	one, err := k.Topic(ctx, "customers")
	if err != nil || len(one.Partitions) != 3 || one.Partitions[2].ID != 2 || len(one.Partitions[0].Replicas) == 0 {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := k.Topic(ctx, "nothing"); !errors.Is(err, ErrNoTopic) {
		t.Errorf("a topic that is none: %v", err)
	}
	if _, err := k.Configs(ctx, "nothing"); !errors.Is(err, ErrNoTopic) {
		t.Errorf("settings of a topic that is none: %v", err)
	}
	settings, err := k.Configs(ctx, "customers")
	if err != nil || len(settings) == 0 {
		t.Errorf("%+v, %v", settings, err)
	}
	var sum int64
	for p := range int32(3) {
		begin, end, err := k.Offsets(ctx, "customers", p)
		if err != nil {
			t.Fatal(err)
		}
		sum += end - begin
	}
	if sum != 1 {
		t.Errorf("%d records", sum)
	}
	if _, _, err := k.Offsets(ctx, "customers", 9); !errors.Is(err, ErrNoTopic) {
		t.Errorf("offsets of a partition that is none: %v", err)
	}
}
