//go:build cgo

package main

import (
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row/rowtest"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func TestConfluentIsMeasuredAndCallsItsKMSForEachField(t *testing.T) {
	d := rowtest.Run(t, program())
	if len(d.Rows) != 5 {
		t.Fatalf("%d rows", len(d.Rows))
	}
	calls := d.Rows[4]
	if calls.Ours.Value != 0 || calls.Rival.Value != 5 {
		t.Errorf("calls of the KMS a record: ours %v, theirs %v", calls.Ours.Value, calls.Rival.Value)
	}
}

func TestWithoutTheRuleTheSerializerHidesNothing(t *testing.T) {
	c := workload.Avro20()
	var order product.Order
	if _, err := avro.MustParse(c.Schema).Decode(c.Record, &order); err != nil {
		t.Fatal(err)
	}
	r, err := newRival("bare", c.Schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.check(order, c.Tagged); err == nil {
		t.Error("a plain record passes for a protected one")
	}
}
