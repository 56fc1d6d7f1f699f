package bench_test

import (
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/sidecar/bench"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
)

// What protecting an order costs, beside the bare cipher.
func ExampleRun() {
	set, err := input.Builtin("order-avro")
	if err != nil {
		panic(err)
	}
	r, err := bench.Run(context.Background(), bench.Options{Sets: []*input.Set{set}, Scenarios: []string{"library"}, Rounds: 3})
	if err != nil {
		panic(err)
	}
	c := r.Cases[0]
	fmt.Println(c.Name, len(c.Ratio.Samples), c.KMSCalls)
	// Output: library/order-avro 3 0
}
