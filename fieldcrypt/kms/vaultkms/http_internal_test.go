package vaultkms

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestTheBodyOfARequestIsACopyThatIsWiped(t *testing.T) {
	given := []byte("a data key")
	w := newWipedBody(given)
	kept := w.b
	if got, err := io.ReadAll(w); err != nil || string(got) != "a data key" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, make([]byte, len(kept))) {
		t.Errorf("the body holds %q", kept)
	}
	if string(given) != "a data key" {
		t.Error("what was given was wiped, and another try needs it")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerIsReadToItsBound(t *testing.T) {
	for _, n := range []int{0, 1, 4 << 10, 4<<10 + 1, maxAnswer - 1, maxAnswer, maxAnswer + 1, 2 * maxAnswer} {
		text := strings.Repeat("x", n)
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(text), "in bytes": iotest.OneByteReader(strings.NewReader(text)), "with its end": iotest.DataErrReader(strings.NewReader(text)),
		} {
			for _, length := range []int64{-1, int64(min(n, maxAnswer))} {
				got, err := readBounded(r, length)
				if n > maxAnswer {
					if err == nil {
						t.Errorf("%d bytes %s: no error", n, name)
					}
				} else if err != nil || len(got) != n {
					t.Errorf("%d bytes %s: %d, %v", n, name, len(got), err)
				}
				r = strings.NewReader(text)
			}
		}
	}
}
