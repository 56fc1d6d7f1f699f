package telemetry

import (
	"regexp"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestWhatARealClientDoesIsCounted(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	o := NewObserver(Options{})
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.WithHooks(o.Kafka("produce")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 3 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("sealed")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	text := scrape(t, o)
	wantLines(t, text, `fieldveil_kafka_produced_records_total{client="produce",node="0"} 3`,
		`fieldveil_kafka_connects_total{client="produce",node="seed",outcome="ok"} 1`)
	for _, want := range []string{
		`fieldveil_kafka_produced_bytes_total\{client="produce",node="0"\} [1-9]`,
		`fieldveil_kafka_requests_total\{client="produce",node="0",outcome="ok"\} [1-9]`,
		`fieldveil_kafka_request_seconds_count\{client="produce"\} [1-9]`,
	} {
		if !regexp.MustCompile("(?m)^" + want).MatchString(text) {
			t.Errorf("no line %s", want)
		}
	}
}
