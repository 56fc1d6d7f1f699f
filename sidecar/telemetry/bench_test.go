package telemetry

import (
	"testing"
	"time"
)

func BenchmarkRecordDone(b *testing.B) {
	o := NewObserver(Options{})
	b.ReportAllocs()
	for b.Loop() {
		o.RecordDone("v3", "delivered", "", 600, 800, 3*time.Microsecond)
	}
}

func BenchmarkTracingOff(b *testing.B) {
	var tr *Tracing
	b.ReportAllocs()
	for b.Loop() {
		ctx, s := tr.Protect(b.Context(), "orders")
		_ = ctx
		s.End("")
	}
}
