// Command go-producer reads sign-ups from its standard input, one JSON object a
// line, and produces them to Kafka with their personal fields protected.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

func main() {
	schemaText, err := os.ReadFile("signup.avsc")
	check(err)
	encoder, err := avro.Parse(string(schemaText))
	check(err)
	policy, err := fieldcrypt.LoadPolicy("policy.yaml")
	check(err)
	broker := kgo.SeedBrokers(os.Getenv("BROKERS"))
	store, err := kgocrypt.OpenKeyTopic(context.Background(), kgocrypt.DefaultKeyTopic, []kgo.Opt{broker})
	check(err)
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.New()}, datakey.WithStore(store))
	check(err)
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithTopicSchema("signups", schema.Text{Format: schema.Avro, Schema: string(schemaText)}))
	check(err)
	client, err := kgo.NewClient(broker, kgo.DefaultProduceTopic("signups"))
	check(err)
	producer, err := kgocrypt.NewProducer(client, engine)
	check(err)
	for in := json.NewDecoder(os.Stdin); ; {
		var s map[string]any
		if err := in.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			log.Fatal("reading a sign-up failed") // the decoder's text may quote what it read
		}
		value, err := encoder.Encode(s)
		check(err)
		check(producer.ProduceSync(context.Background(), &kgo.Record{Value: value}).FirstErr())
		log.Print("produced sign-up ", s["id"])
	}
	client.Close()
}
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
