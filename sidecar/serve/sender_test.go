package serve

import (
	"context"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// A streamSender counts the streams that are open.
type streamSender struct {
	produce.Sender

	open int
}

func (s *streamSender) AdmitStream() (release func(), err *produce.Error) {
	s.open++
	return func() { s.open-- }, nil
}

// Send implements [produce.Sender]: whoever sends is told at once.
func (*streamSender) Send(_ context.Context, rec produce.Record, done func(produce.Result)) {
	done(produce.Result{Outcome: produce.Delivered, Offset: int64(len(rec.Value))})
}

func TestEverySenderIsToldOfHisOwnRecord(t *testing.T) {
	c := &counted{Sender: &streamSender{}, observe: telemetry.NewObserver(telemetry.Options{})}
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

func TestAStreamGivesItsRoomBackOnce(t *testing.T) {
	inner := &streamSender{}
	c := &counted{Sender: inner, observe: telemetry.NewObserver(telemetry.Options{})}
	release, err := c.AdmitStream()
	if err != nil || inner.open != 1 {
		t.Fatalf("%v, %d open", err, inner.open)
	}
	release()
	release()
	if inner.open != 0 {
		t.Errorf("%d open", inner.open)
	}
}
