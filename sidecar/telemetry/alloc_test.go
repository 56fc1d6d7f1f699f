//go:build !race

package telemetry

import (
	"testing"
	"time"
)

func TestCountingARecordDoesNotAllocate(t *testing.T) {
	o := NewObserver(Options{})
	code := string(append([]byte(nil), "value_rejected"...)) // not the constant that the table holds
	done := func() {
		o.RecordDone("v3", "delivered", "", 600, 800, 3*time.Microsecond)
		o.RecordDone("v3", "rejected", code, 600, -1, 5*time.Microsecond)
		o.RecordDone("nobody", "nothing", "nowhere", 600, -1, -1)
		o.InFlight(600, 1, 0)
		o.Request("v3", "POST /topics/{topic}", 200, time.Millisecond)
		o.Auth("token", "allowed")
	}
	done()
	if n := testing.AllocsPerRun(1000, done); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTracingThatIsOffDoesNotAllocate(t *testing.T) {
	var tr *Tracing
	ctx := t.Context()
	header := map[string][]string{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	headers := []pairHeader{{"a", nil}}
	if n := testing.AllocsPerRun(1000, func() {
		ctx, request := tr.Request(ctx, header, "v3", "POST /topics/{topic}")
		ctx, protect := tr.Protect(ctx, "orders")
		protect.End("")
		ctx, publish := tr.Publish(ctx, "orders", 1)
		headers = addPairs(ctx, tr, headers, nil)
		publish.Partition(1, 2)
		publish.End("")
		request.Status(200)
		request.End("")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
