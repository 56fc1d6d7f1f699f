package kgocrypt_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

func Example() {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	ctx, brokers := context.Background(), kgo.SeedBrokers(cluster.ListenAddrs()...)

	store, err := kgocrypt.OpenKeyTopic(ctx, kgocrypt.DefaultKeyTopic, []kgo.Opt{brokers}, kgocrypt.WithReplication(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()}, datakey.WithStore(store))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	policy, err := fieldcrypt.ParsePolicy([]byte(policyText))
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithTopicSchema(topic, schema.Text{Format: schema.Avro, Schema: text}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := kgo.NewClient(brokers, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	producer, err := kgocrypt.NewProducer(client, engine)
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := avro.MustParse(text).Encode(map[string]any{"n": int64(1), "email": "ada@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := producer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: record}).FirstErr(); err != nil {
		fmt.Println(err)
		return
	}

	consumer, err := kgocrypt.NewConsumer(client, engine)
	if err != nil {
		fmt.Println(err)
		return
	}
	for r, err := range consumer.Poll(ctx, 0).All() {
		fmt.Println(bytes.Equal(r.Value, record), err)
	}
	fmt.Println("keys in the topic:", store.Len())
	// Output:
	// true <nil>
	// keys in the topic: 1
}
