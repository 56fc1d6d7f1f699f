//go:build !race

package serve

import (
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// The race detector has pools forget things, so this runs without it.
func TestARecordThatIsSentIsCountedWithoutAllocations(t *testing.T) {
	c := &counted{Sender: &streamSender{}, observe: telemetry.NewObserver(telemetry.Options{})}
	rec := produce.Record{Topic: "t", Value: []byte("v")}
	done := func(produce.Result) {}
	if n := testing.AllocsPerRun(1000, func() { c.Send(t.Context(), rec, done) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	batch := &counted{Sender: batchSender{}, observe: telemetry.NewObserver(telemetry.Options{})}
	recs, results, told := []produce.Record{rec, rec}, make([]produce.Result, 2), func() {}
	if n := testing.AllocsPerRun(1000, func() { batch.SendBatch(t.Context(), recs, results, told) }); n > 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}
