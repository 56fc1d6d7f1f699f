package kgocrypt_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// Count what the records of a topic need, and ask whether a KEK can go.
func ExampleRetire() {
	ctx := context.Background()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "clicks"))
	if err != nil {
		panic(err)
	}
	defer cluster.Close()
	opts := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	policy, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: web
keys: {pii: {kek: "local:2025"}}
topics: [{match: clicks, format: json, fields: [{path: /user, action: encrypt, key: pii}]}]
`))
	if err != nil {
		panic(err)
	}
	keys, err := datakey.New(localkms.NewInMemory())
	if err != nil {
		panic(err)
	}
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys)
	if err != nil {
		panic(err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	producer, err := kgocrypt.NewProducer(client, engine)
	if err != nil {
		panic(err)
	}
	if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "clicks", Value: []byte(`{"user":"ada"}`)}).FirstErr(); err != nil {
		panic(err)
	}

	census, err := kgocrypt.TakeCensus(ctx, opts, engine, []string{"clicks"}, kgocrypt.CensusOptions{})
	if err != nil {
		panic(err)
	}
	for _, k := range census.KEKs() {
		fmt.Println(k.KEK, k.Keys, k.Records)
	}
	_, err = kgocrypt.Retire(ctx, opts, engine, []string{"clicks"}, kgocrypt.CensusOptions{}, keyops.Retirement{KEK: "local:2025"})
	if _, needed := errors.AsType[*keyops.NeededError](err); needed {
		fmt.Println("local:2025 is needed")
	}
	// Output:
	// local:2025 1 1
	// local:2025 is needed
}
