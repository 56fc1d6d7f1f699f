package serve

import (
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
