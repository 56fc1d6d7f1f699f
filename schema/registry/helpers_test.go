package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A fake answers by "METHOD path?query", without what fetchMaxId says, and counts.
type fake struct {
	mu      sync.Mutex
	answers map[string]any // string, int (a status), http.HandlerFunc, or what marshals
	calls   map[string]int
	bodies  map[string]string
}

func newFake(answers map[string]any) *fake {
	return &fake{answers: answers, calls: map[string]int{}, bodies: map[string]string{}}
}

func key(r *http.Request) string {
	q := r.URL.Query()
	q.Del("fetchMaxId")
	k := r.Method + " " + r.URL.EscapedPath()
	if len(q) > 0 {
		k += "?" + q.Encode()
	}
	return k
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k := key(r)
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.calls[k]++
	f.bodies[k] = string(body)
	answer, ok := f.answers[k]
	f.mu.Unlock()
	if !ok {
		answer = 404
	}
	w.Header().Set("Content-Type", contentType)
	switch a := answer.(type) {
	case http.HandlerFunc:
		a(w, r)
	case func(http.ResponseWriter, *http.Request):
		a(w, r)
	case int:
		w.WriteHeader(a)
		if a >= 400 {
			_, _ = fmt.Fprintf(w, `{"error_code":%d01,"message":"answer %d"}`, a, a)
		}
	case string:
		_, _ = io.WriteString(w, a)
	default:
		b, err := json.Marshal(a)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(b)
	}
}

func (f *fake) set(k string, answer any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[k] = answer
}

func (f *fake) count(k string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[k]
}

func (f *fake) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		n += c
	}
	return n
}

// RoundTrip makes the fake a transport, for tests with a clock of their own.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// serve returns a client of a fake on this machine.
func serve(t *testing.T, answers map[string]any, opts ...Option) (*fake, *Client) {
	t.Helper()
	f := newFake(answers)
	return f, client(t, []string{start(t, f)}, opts...)
}

// start returns the URL of a server on this machine.
func start(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// inside returns a client of a fake without a network.
func inside(t *testing.T, f *fake, opts ...Option) *Client {
	t.Helper()
	return client(t, []string{"https://registry.invalid"}, append(opts, WithTransport(f))...)
}

func client(t *testing.T, urls []string, opts ...Option) *Client {
	t.Helper()
	c, err := New(urls, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func avro(name string) string {
	return `{"type":"record","name":"` + name + `","fields":[{"name":"f","type":"string"}]}`
}

// version is the answer for a version of a subject.
func version(subject string, version, id int, text string, refs ...Reference) Schema {
	return Schema{Subject: subject, Version: version, ID: id, Text: text, References: refs}
}

const id7 = "GET /schemas/ids/7"

func repeat(s string, n int) string { return strings.Repeat(s, n) }
