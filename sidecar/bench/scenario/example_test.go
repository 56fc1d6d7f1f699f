package scenario_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

// What protecting an order in memory costs, beside the bare cipher.
func ExampleLibrary() {
	set, err := input.Builtin("order-avro")
	if err != nil {
		panic(err)
	}
	c, err := scenario.Library(context.Background(), scenario.Params{Set: set, Rounds: 3})
	if err != nil {
		panic(err)
	}
	fmt.Println(len(c.Ratio.Samples), c.KMSCalls)
	// Output: 3 0
}

// Two settings beside each other, before a broker in a process of its own. A program
// that does so begins its main with: if scenario.IsPart() { os.Exit(scenario.Play()) }
func ExampleNewTrial() {
	ctx := context.Background()
	set, err := input.Builtin("order-avro")
	if err != nil {
		panic(err)
	}
	trial, end, err := scenario.NewTrial(ctx, scenario.Params{Set: set, Surface: scenario.SurfaceProduce})
	if err != nil {
		panic(err)
	}
	defer func() { _ = end() }()
	for _, linger := range []time.Duration{0, 5 * time.Millisecond} {
		s := tune.Defaults()
		s.Linger = linger
		sample, err := trial(ctx, s, 50*time.Millisecond, 0)
		fmt.Println(sample.Rate > 0, sample.Errors, err)
	}
	// Output:
	// true 0 <nil>
	// true 0 <nil>
}
