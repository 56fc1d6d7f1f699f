package vaultkms

import (
	"bytes"
	"io"
	"net/http"
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

// A captor answers with a data key, and keeps the array that it was read into.
type captor struct {
	text string
	into []byte
}

func (c *captor) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, ContentLength: -1, Body: io.NopCloser(c), Request: req}, nil
}

func (c *captor) Read(p []byte) (int, error) {
	n := copy(p, c.text)
	c.into = p[:n]
	return n, io.EOF
}

func TestBodiesAreWipedAfterACall(t *testing.T) {
	c := &captor{text: `{"data":{"plaintext":"AAAA"}}`}
	s := &server{base: "https://vault.example", host: "vault.example", client: &http.Client{Transport: c}}
	body := []byte(`{"plaintext":"AAAA"}`)
	out, err := s.send(t.Context(), request{op: "decrypt", method: http.MethodPost, path: "x", body: body})
	if err != nil || len(out.Data.Plaintext) != 3 {
		t.Fatalf("%v, %v", out, err)
	}
	for name, b := range map[string][]byte{"request": body, "answer": c.into} {
		if len(b) == 0 || !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("the body of the %s holds %q", name, b)
		}
	}
}
