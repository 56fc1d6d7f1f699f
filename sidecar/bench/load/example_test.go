package load_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/load"
)

// Two thousand records a second, whatever the server makes of it.
func ExampleOpen_Run() {
	send := func(_ context.Context, n int, done func(records int, err error)) error {
		go done(n, nil) // the answer of a server
		return nil
	}
	result, err := load.Open{Rate: 2000, Burst: 20, For: 100 * time.Millisecond}.Run(context.Background(), send)
	fmt.Println(result.Due, result.Acknowledged, result.Latency.Count(), err)
	// Output: 200 200 200 <nil>
}

// Four callers, each as fast as its answers.
func ExampleClosed_Run() {
	call := func(context.Context, int) (records int, err error) { return 1, nil }
	result, err := load.Closed{Workers: 4, For: 10 * time.Millisecond}.Run(context.Background(), call)
	fmt.Println(result.Acknowledged > 0, err)
	// Output: true <nil>
}

func ExampleHistogram() {
	h := load.NewHistogram()
	h.Record(2*time.Millisecond, 99)
	h.Record(time.Second, 1)
	fmt.Println(h.Count(), h.Quantile(0.5).Round(time.Millisecond))
	// Output: 100 2ms
}

// Four requests at a time, whatever order their answers have.
func ExampleOfParts() {
	send := func(_ context.Context, n int, done func(records int, err error)) error {
		go done(n, nil) // the answer of a server
		return nil
	}
	result, err := load.Open{Rate: 2000, For: 100 * time.Millisecond, Parts: 4}.Run(context.Background(), send)
	fmt.Println(len(load.OfParts(result.Parts, 0.5).Samples), err)
	// Output: 4 <nil>
}

func ExampleWindow_Run() {
	send := func(_ context.Context, n int, done func(records int, err error)) error {
		go done(n, nil) // the answer of a server
		return nil
	}
	result, err := load.Window{Bursts: 4, Burst: 10, For: 10 * time.Millisecond}.Run(context.Background(), send)
	fmt.Println(result.Acknowledged == result.Sent, err)
	// Output: true <nil>
}
