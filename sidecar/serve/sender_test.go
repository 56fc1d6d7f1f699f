package serve

import (
	"context"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// A gate counts what is let in and out.
type gate struct {
	produce.Sender

	in, out int
	closed  bool
}

func (g *gate) AdmitStream() (func(), *produce.Error) {
	if g.closed {
		return nil, &produce.Error{Code: produce.CodeOverloaded, Outcome: produce.Retryable}
	}
	g.in++
	return func() { g.out++ }, nil
}

// Send implements [produce.Sender]: whoever sends is told at once.
func (*gate) Send(_ context.Context, rec produce.Record, done func(produce.Result)) {
	done(produce.Result{Outcome: produce.Delivered, Offset: int64(len(rec.Value))})
}

func TestEverySenderIsToldOfHisOwnRecord(t *testing.T) {
	c := &counted{Sender: &gate{}, observe: telemetry.NewObserver(telemetry.Options{})}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 200 {
				told := 0
				c.Send(t.Context(), produce.Record{Topic: "t", Value: make([]byte, n)}, func(res produce.Result) {
					told++
					if res.Offset != int64(n) {
						t.Errorf("%d is told of %d", n, res.Offset)
					}
				})
				if told != 1 {
					t.Errorf("told %d times", told)
				}
			}
		})
	}
	wg.Wait()
}

func TestAStreamThatEndsGivesItsPlaceBack(t *testing.T) {
	g := &gate{}
	c := &counted{Sender: g, observe: telemetry.NewObserver(telemetry.Options{})}
	release, err := c.AdmitStream()
	if err != nil {
		t.Fatal(err)
	}
	release()
	release() // which Sender allows
	if g.in != 1 || g.out != 2 {
		t.Errorf("%d in, %d out", g.in, g.out)
	}
	g.closed = true
	if release, err = c.AdmitStream(); err == nil || release != nil {
		t.Errorf("a stream that is refused: %v", err)
	}
}
