package vaultkms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// maxAnswer bounds an answer. The longest sound one has a few kilobytes.
const maxAnswer = 64 << 10

// A server is one Vault, and the tokens for it.
type server struct {
	base    string // https://host:port
	host    string
	client  *http.Client
	session *session
	binds   atomic.Bool // it was seen to read associated data
	derives sync.Map    // of keyRef: keys that were seen to derive
}

// A request is one call of the HTTP API.
type request struct {
	op        string // for the error
	method    string
	path      string // below /v1/
	namespace string
	token     string
	body      []byte // taken over and wiped
}

// A reply is what the calls of this package read of an answer.
type reply struct {
	Data struct {
		Ciphertext string `json:"ciphertext"`
		Plaintext  []byte `json:"plaintext"`
		// Of a token that looks itself up.
		TTL       int64 `json:"ttl"`
		Renewable bool  `json:"renewable"`
	} `json:"data"`
	Auth *struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int64  `json:"lease_duration"`
		Renewable     bool   `json:"renewable"`
	} `json:"auth"`
	Errors []string `json:"errors"`
}

// send makes one call. The body is wiped when it returns.
func (s *server) send(ctx context.Context, r request) (*reply, error) {
	defer secret.Wipe(r.body)
	req, err := http.NewRequestWithContext(ctx, r.method, s.base+"/v1/"+r.path, http.NoBody)
	if err != nil {
		return nil, failed(ctx, r.op, s.host, err)
	}
	if r.body != nil {
		// The transport may go on reading a body after it has answered, and reads it
		// anew on another connection: each reader has a copy and wipes it.
		req.GetBody = func() (io.ReadCloser, error) { return newWipedBody(r.body), nil }
		req.Body, req.ContentLength = newWipedBody(r.body), int64(len(r.body))
		req.Header.Set("Content-Type", "application/json")
	}
	// Agents and proxies of Vault can be told to take no call without it, against
	// requests that a server is tricked into.
	req.Header.Set("X-Vault-Request", "true")
	if r.token != "" {
		req.Header.Set("X-Vault-Token", r.token)
	}
	if r.namespace != "" {
		req.Header.Set("X-Vault-Namespace", r.namespace)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, failed(ctx, r.op, s.host, err)
	}
	body, err := readBounded(res.Body, res.ContentLength)
	err = errors.Join(err, res.Body.Close())
	defer secret.Wipe(body)
	if err != nil {
		return nil, failed(ctx, r.op, s.host, err)
	}
	var out reply
	malformed := len(body) > 0 && json.Unmarshal(body, &out) != nil
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return nil, refusal(r.op, s.host, res.StatusCode, out.Errors)
	}
	if malformed {
		secret.Wipe(out.Data.Plaintext)
		e := failed(ctx, r.op, s.host, nil)
		e.Reason, e.Status = "answer is no JSON of Vault", res.StatusCode
		return nil, e
	}
	return &out, nil
}

// readBounded reads the body of an answer that says how long it is, or -1. What it
// has read comes back also with an error.
func readBounded(r io.Reader, length int64) ([]byte, error) {
	if length > maxAnswer {
		return nil, errTooLong
	}
	// One array from the beginning, for one that grows leaves copies behind.
	const usual = 4 << 10
	size := usual
	if length >= 0 {
		size = int(length) + 1
	}
	body := make([]byte, 0, size)
	for {
		if len(body) == cap(body) {
			grown := append(make([]byte, 0, min(2*cap(body), maxAnswer+1)), body...)
			secret.Wipe(body)
			body = grown
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxAnswer:
			return body, errTooLong
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return body, err
		}
	}
}

// A wipedBody is the body of a request that is overwritten once it is closed. The
// transport may close it while it reads.
type wipedBody struct {
	mu sync.Mutex
	b  []byte
	r  *bytes.Reader
}

func newWipedBody(b []byte) *wipedBody {
	c := bytes.Clone(b)
	return &wipedBody{b: c, r: bytes.NewReader(c)}
}

// Read reads, and fails after Close.
func (w *wipedBody) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.b == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return w.r.Read(p)
}

// Close wipes.
func (w *wipedBody) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	secret.Wipe(w.b)
	w.b = nil
	return nil
}
