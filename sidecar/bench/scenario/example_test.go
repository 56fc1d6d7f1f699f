package scenario_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func ExampleProduceTrial_Trial() {
	ctx := context.Background()
	client, endBroker, err := scenario.EmbeddedBroker("orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer endBroker()
	orders := workload.Avro20()
	engine, endEngine, err := scenario.BuiltinEngine(ctx, orders, "orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer endEngine()
	p := &scenario.ProduceTrial{Engine: engine, Topic: "orders", Values: [][]byte{orders.Record}, Client: client}
	trial, err := p.Trial()
	if err != nil {
		fmt.Println(err)
		return
	}
	sample, err := trial(ctx, tune.Defaults(), 100*time.Millisecond, 0)
	fmt.Println(sample.Rate > 0, sample.Errors, err)
	// Output: true 0 <nil>
}
