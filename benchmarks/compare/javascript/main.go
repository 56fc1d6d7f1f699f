// Command javascript compares this project with Confluent's JavaScript client
// and its client-side field level encryption: its serializer for Avro, with the
// rule and without, in a Node process beside this one. No broker is needed.
package main

import (
	"context"
	"time"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func main() { row.Main(program()) }

// version is the one that package.json asks for.
const version = "1.10.1"

func program() row.Program {
	return row.Program{
		Rival: "@confluentinc/schemaregistry CSFLE", Version: version, Rounds: 61, Slice: 50 * time.Millisecond, Run: run,
	}
}

func run(ctx context.Context, d *row.Document, o ratio.Options) error {
	c := workload.Avro20()
	codec, err := avro.Parse(c.Schema)
	if err != nil {
		return err
	}
	var order product.Order
	if _, err := codec.Decode(c.Record, &order); err != nil {
		return err
	}
	us, err := product.Lane(c)
	if err != nil {
		return err
	}
	floor, err := product.Floor(c)
	if err != nil {
		return err
	}
	node, err := startNode(ctx)
	if err != nil {
		return err
	}
	defer node.end()
	nodeVersion, err := node.setup(c, order)
	if err != nil {
		return err
	}
	if err := node.warm(40 * o.Slice); err != nil {
		return err
	}
	encrypts := &row.Lane{Name: "serializer with the rule", Do: node.do("rule"), Elsewhere: true}
	plain := &row.Lane{Name: "the serializer without", Do: node.do("plain"), Elsewhere: true}
	d.Measure(o, floor, us, encrypts, plain)
	d.Added("encryption alone: the rule, against our whole record", 0, us, encrypts, plain, floor)
	d.Times("object to wire, against record to protected record", 0, us, encrypts, floor)
	d.Notef("The rival runs in Node %s and encodes an object. Ours gets an encoded record, so the second row flatters it by one encoding: compare/confluent has the same row from a struct.", nodeVersion)
	d.Notef("Each time of the rival has the round trip of one command over a pipe in it, once for %v of work.", o.Slice)
	d.Notef("Two languages are compared here and not two programs in one: a service in JavaScript that wants ours asks the sidecar, and pays for the request.")
	return nil
}
