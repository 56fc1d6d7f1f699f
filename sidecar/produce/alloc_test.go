//go:build !race

package produce

import (
	"context"
	"testing"
)

// The race detector has pools forget things, so this runs without it.
func TestARecordCostsNoAllocation(t *testing.T) {
	p := pipeline(t, sealing{}, atOnce{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	recs := make([]Record, 100)
	for i := range recs {
		recs[i] = Record{Topic: topic, Partition: AnyPartition, Key: make([]byte, 16), Value: make([]byte, 300), Headers: []Header{{"h", nil}}}
	}
	done := func(Result) {}
	// A collection in between may empty a pool, once.
	if n := testing.AllocsPerRun(1000, func() { p.Send(ctx, recs[0], done) }); n > 0.5 {
		t.Errorf("Send allocates %v times", n)
	}
	// The results are the caller's.
	if n := testing.AllocsPerRun(1000, func() { p.Produce(ctx, recs, Each) }); n > 1.5 {
		t.Errorf("Produce allocates %v times for %d records", n, len(recs))
	}
	results, told := make([]Result, len(recs)), func() {}
	if n := testing.AllocsPerRun(1000, func() { p.SendBatch(ctx, recs, results, told) }); n > 0.5 {
		t.Errorf("SendBatch allocates %v times for %d records", n, len(recs))
	}
}
