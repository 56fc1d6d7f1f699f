//go:build cgo

package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/benchmarks/ours"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// frame is what precedes a record of a registered schema: a zero and the id.
var frame = []byte{0, 0, 0, 0, 1}

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
	plan, err := ours.Plan(c, "gcm")
	if err != nil {
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
	p := pipe{codec, plan}
	if err := p.check(ctx, order, c.Tagged); err != nil {
		return fmt.Errorf("ours: %w", err)
	}
	with, err := newRival("protected", c.Schema, rules("local-kms"))
	if err != nil {
		return err
	}
	if err := with.check(order, c.Tagged); err != nil {
		return fmt.Errorf("the rival: %w", err)
	}
	without, err := newRival("plain", c.Schema, nil)
	if err != nil {
		return err
	}
	ourWire, keys, err := p.wire(ctx, nil, nil, &order)
	if err != nil {
		return err
	}
	theirWire, err := with.wire(order)
	if err != nil {
		return err
	}

	fresh := row.NewLane("fieldveil: twmb/avro and protect, a fresh slice for each record", p.write(ctx, order, true))
	reused := row.NewLane("fieldveil: twmb/avro and protect, one buffer for all", p.write(ctx, order, false))
	read := row.NewLane("fieldveil: reveal and twmb/avro", p.read(ctx, ourWire, keys))
	encrypts := row.NewLane("serializer with the rule", with.serialize(order))
	plain := row.NewLane("the serializer without", without.serialize(order))
	reads := row.NewLane("deserializer with the rule", with.deserialize(theirWire))
	d.Measure(o, floor, us, fresh, reused, read, encrypts, plain, reads)
	d.Added("encryption alone: the rule, against our whole record", 60, us, encrypts, plain, floor)
	d.Times("struct to wire, a fresh slice", 20, fresh, encrypts, floor)
	d.Times("struct to wire, a reused buffer", 35, reused, encrypts, floor)
	d.Times("wire to struct", 0, read, reads, nil)

	const records = 200
	first, rest, err := product.KMSCalls(ctx, c, records)
	if err != nil {
		return err
	}
	theirs, err := kmsCalls(c, order, records)
	if err != nil {
		return err
	}
	d.Counts("calls of the KMS, steady state", "calls/record", float64(rest)/(records-1), theirs)
	d.Notef("Before its first record ours made %d calls of the KMS, and none for the %d records after it.", first, records-1)
	d.Notef("The rival's KMS is its local one, which answers at once: a network KMS would add a round trip to each of its calls.")
	d.Notef("The rival's wire form is %d bytes, ours %d and a record header of %d. Its values are bound to nothing; ours to dataset, schema and field.",
		len(theirWire), len(ourWire), size(keys))
	d.Notef("The rival always gives a fresh slice; it has no call that takes a buffer. It encrypts in the caller's struct, which is put back in its time.")
	return nil
}

// kmsCalls counts the calls a record that the rival makes after its first.
func kmsCalls(c workload.Case, order product.Order, records int) (float64, error) {
	register()
	r, err := newRival("counted", c.Schema, rules(countedKMS))
	if err != nil {
		return 0, err
	}
	if err := r.check(order, c.Tagged); err != nil {
		return 0, err
	}
	counted.calls.Store(0)
	r.serialize(order)(records)
	return float64(counted.calls.Load()) / float64(records), nil
}

// pipe is our way from a struct to the wire: an encoder that producers have
// already, then protection of its bytes.
type pipe struct {
	codec *avro.Schema
	plan  *fieldcrypt.Plan
}

// wire appends the framed, protected record to dst. scratch holds the encoded
// record in between, and is handed back with what it has become.
func (p pipe) wire(ctx context.Context, dst, scratch []byte, o *product.Order) (wire []byte, keys [][]byte, err error) {
	wire, _, keys, err = p.appendWire(ctx, dst, scratch, nil, o)
	return wire, keys, err
}

func (p pipe) appendWire(ctx context.Context, dst, scratch []byte, keys [][]byte, o *product.Order) (wire, plain []byte, wrapped [][]byte, err error) {
	plain, err = p.codec.AppendEncode(scratch, o)
	if err != nil {
		return dst, plain, keys, err
	}
	wire, wrapped, err = p.plan.AppendProtected(ctx, "", append(dst, frame...), plain, keys)
	return wire, plain, wrapped, err
}

func (p pipe) write(ctx context.Context, o product.Order, fresh bool) func(n int) {
	var (
		dst, scratch []byte
		keys         [][]byte
	)
	return func(n int) {
		for range n {
			if fresh {
				// The record goes to a producer, which keeps it. The encoder's
				// buffer does not, and a producer reuses that in any case.
				dst = make([]byte, 0, len(dst))
			}
			var err error
			if dst, scratch, keys, err = p.appendWire(ctx, dst[:0], scratch[:0], keys[:0], &o); err != nil {
				panic(err)
			}
		}
	}
}

func (p pipe) read(ctx context.Context, wire []byte, keys [][]byte) func(n int) {
	var plain []byte
	return func(n int) {
		for range n {
			var o product.Order
			var err error
			if plain, err = p.plan.AppendRevealed(ctx, "", plain[:0], wire[len(frame):], keys); err != nil {
				panic(err)
			}
			if _, err = p.codec.Decode(plain, &o); err != nil {
				panic(err)
			}
		}
	}
}

// check tells whether the wire form hides the values and opens to the order.
func (p pipe) check(ctx context.Context, o product.Order, values [][]byte) error {
	wire, keys, err := p.wire(ctx, nil, nil, &o)
	if err != nil {
		return err
	}
	if err := product.Hidden(wire, values); err != nil {
		return err
	}
	if !bytes.HasPrefix(wire, frame) {
		return fmt.Errorf("the record has no frame")
	}
	plain, err := p.plan.AppendRevealed(ctx, "", nil, wire[len(frame):], keys)
	if err != nil {
		return err
	}
	var back product.Order
	if _, err := p.codec.Decode(plain, &back); err != nil {
		return err
	}
	if !product.Same(back, o) {
		return fmt.Errorf("the order comes back as another")
	}
	return nil
}

func size(parts [][]byte) int {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	return n
}
