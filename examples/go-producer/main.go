// Command go-producer produces sign-ups, JSON lines on its standard input, protected.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/hygiene"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

func main() {
	hygiene.Harden()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	text := schema.Text{Format: schema.Avro, Schema: string(must(os.ReadFile("signup.avsc")))}
	encoder := must(avro.Parse(text.Schema))
	brokers := kgo.SeedBrokers(strings.Split(os.Getenv("BROKERS"), ",")...)
	store := must(kgocrypt.OpenKeyTopic(ctx, kgocrypt.DefaultKeyTopic, []kgo.Opt{brokers}))
	keys := must(datakey.New(kms.Mux{localkms.Scheme: localkms.New()}, datakey.WithStore(store)))
	engine := must(fieldcrypt.New(must(fieldcrypt.LoadPolicy("policy.yaml")), keys, fieldcrypt.WithTopicSchema("signups", text)))
	client := must(kgo.NewClient(brokers, kgo.DefaultProduceTopic("signups")))
	producer := must(kgocrypt.NewProducer(client, engine))
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			var s map[string]any
			err := json.Unmarshal(in.Bytes(), &s)
			value, invalid := encoder.Encode(s)
			if err != nil || invalid != nil {
				log.Fatal("a line is no sign-up") // the errors may quote it
			}
			producer.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
				log.Print("produced sign-up ", must(s, err)["id"])
			})
		}
		must(in, in.Err())
		stop()
	}()
	<-ctx.Done() // the end of the input, or a signal
	stop()       // so that a second signal ends a wait for a broker that is gone
	must(client, producer.Flush(context.Background())).Close()
}
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
