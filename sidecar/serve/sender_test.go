package serve

import (
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
