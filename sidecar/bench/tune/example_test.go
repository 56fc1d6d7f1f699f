package tune_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

// A target whose rate follows its callers until eight of them keep it busy.
func ExampleSearch() {
	trial := func(_ context.Context, s tune.Settings, _ time.Duration, _ float64) (tune.Sample, error) {
		return tune.Sample{Rate: 10_000 * float64(min(s.Concurrency, 8)), P50: 0.001, P99: 0.003, P999: 0.004}, nil
	}
	r, err := tune.Search(context.Background(), trial, tune.Options{Goal: tune.MaxRate})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Confirmed, r.Final.Ratio)
	for _, c := range r.Changes() {
		fmt.Println(c.Name, c.From, "->", c.To)
	}
	// Output:
	// true 2
	// concurrency 4 -> 8
}

func ExampleSizing() {
	bill, err := tune.Sizing(tune.Fleet{
		Pods: 50, Tenants: 200, Restarts: 30, KEKs: 1,
		Keys: []tune.FleetKey{{Name: "pii", Kind: tune.DataKey}},
	}, tune.Prices()["aws-kms"])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.1f calls a second, %.0f USD a month, %.0f calls at a start\n", bill.PerSecond, bill.USD, bill.Start)
	// Output: 22.7 calls a second, 177 USD a month, 20000 calls at a start
}

func ExampleSettings_SidecarYAML() {
	s := tune.Defaults()
	s.Linger, s.Compression, s.Concurrency, s.BatchRecords = 10*time.Millisecond, "zstd", 64, 1000
	_, _ = os.Stdout.WriteString(s.SidecarYAML())
	// Output:
	// kafka:
	//   properties:
	//     linger.ms: "10"
	//     compression.type: "zstd"
	// limits:
	//   in_flight_records: 80000
}

func ExampleSettings_GoOptions() {
	_, _ = os.Stdout.WriteString(tune.Defaults().GoOptions())
	// Output:
	// kgo.ProducerLinger(0),
	// kgo.ProducerBatchCompression(kgo.NoCompression()),
	// kgo.ProducerBatchMaxBytes(1000012),
	// kgo.MaxBufferedRecords(100000),
}
