package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	maxRounds     = 3        // over all URLs, for one call
	maxErrorBody  = 64 << 10 // bytes of an answer that is no success
	maxRedirects  = 3
	firstWait     = 100 * time.Millisecond
	longestWait   = 5 * time.Second
	contentType   = "application/vnd.schemaregistry.v1+json"
	acceptedTypes = "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json"
)

// A caller makes HTTP calls to the first URL that answers.
type caller struct {
	cfg     *config
	http    *http.Client
	good    atomic.Int32 // index of the URL that answered last
	retries retryBudget
}

func newCaller(cfg *config) *caller {
	return &caller{cfg: cfg, http: &http.Client{Transport: cfg.transport, CheckRedirect: checkRedirect}, retries: retryBudget{tokens: maxRetryTokens}}
}

// A call is one question to a registry.
type call struct {
	method string
	path   string // escaped, begins with a slash
	query  url.Values
	body   []byte
	once   bool // asking twice is not the same as asking once
}

// do asks until a URL answers: all of them in turn, beginning with the one that
// answered last, and up to twice again after a pause. A success is read by read,
// which starts over for each answer. ctx ends it all.
func (c *caller) do(ctx context.Context, q call, read func(*cursor) error) error {
	c.retries.earn()
	last := &failure{}
	for round := range maxRounds {
		if round > 0 && (q.once || !c.retries.take() || !pause(ctx, round, last.after)) {
			return last.Error
		}
		start := int(c.good.Load())
		for i := range c.cfg.endpoints {
			at := (start + i) % len(c.cfg.endpoints)
			err := c.ask(ctx, &c.cfg.endpoints[at], q, read)
			if err == nil {
				c.good.Store(int32(at)) //nolint:gosec // at most maxURLs
				return nil
			}
			last = err
			if ctx.Err() != nil || err.final(q.once) {
				return last.Error
			}
		}
		if !errors.Is(last.cause, ErrUnavailable) {
			return last.Error
		}
	}
	return last.Error
}

// A failure is an error of one request, with what decides on another one.
type failure struct {
	*Error

	dialing bool          // the registry was not reached
	after   time.Duration // what it asked to wait
}

// final tells whether another URL cannot do better. An answer that cannot be read
// may come from something that stands in front of one of them.
func (f *failure) final(once bool) bool {
	if once && !f.dialing {
		return true
	}
	return !errors.Is(f.cause, ErrUnavailable) && !errors.Is(f.cause, ErrAnswer)
}

// ask makes one request to one URL.
func (c *caller) ask(ctx context.Context, e *endpoint, q call, read func(*cursor) error) *failure {
	fail := &failure{Error: &Error{Method: q.method, URL: e.shown, Path: q.path}}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, c.cfg.timeout)
	defer cancel()

	req, err := c.request(ctx, e, q)
	if err != nil {
		fail.cause, fail.Message = ErrUnavailable, errToken.Error()
		if !errors.Is(err, errToken) {
			fail.cause, fail.Message = ErrInvalid, "no HTTP request can be made of it"
		}
		return fail
	}
	resp, err := c.http.Do(req)
	if resp != nil {
		defer resp.Body.Close() //nolint:errcheck // it was only read
	}
	if err != nil {
		fail.network(outer, err)
		return fail
	}
	fail.Status = resp.StatusCode
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		fail.cause = classOf(resp.StatusCode)
		fail.after = retryAfter(resp)
		c.explain(fail, resp)
		return fail
	}
	body, err := c.body(resp)
	switch {
	case errors.Is(err, ErrLimit):
		fail.cause, fail.Message = ErrLimit, "the answer is larger than "+strconv.Itoa(c.cfg.maxAnswer)+" bytes"
		return fail
	case err != nil:
		fail.network(outer, err)
		return fail
	case read == nil:
		return nil
	}
	if err := decode(body, read); err != nil {
		fail.cause, fail.Message = ErrAnswer, strings.TrimPrefix(err.Error(), "registry: ")
		return fail
	}
	return nil
}

func (c *caller) request(ctx context.Context, e *endpoint, q call) (*http.Request, error) {
	target := e.shown + e.path + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body) // which can be read again for a redirect or a lost connection
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, errors.New("request") // err quotes the URL
	}
	req.Header.Set("Accept", acceptedTypes)
	req.Header.Set("User-Agent", userAgent)
	if q.body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	for name, value := range c.cfg.headers {
		req.Header.Set(name, string(value.Expose()))
	}
	if e.auth != "" {
		req.Header.Set("Authorization", e.auth)
	} else if c.cfg.auth != nil {
		value, err := c.cfg.auth(ctx)
		if err != nil {
			return nil, errToken
		}
		req.Header.Set("Authorization", value)
	}
	return req, nil
}

// body reads an answer up to the limit, whatever length it claims.
func (c *caller) body(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > int64(c.cfg.maxAnswer) {
		return nil, ErrLimit
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.cfg.maxAnswer)+1))
	if err == nil && len(b) > c.cfg.maxAnswer {
		err = ErrLimit
	}
	return b, err
}

// explain adds what the registry says about a failure. What stands in front of
// one, such as a proxy, says it in other ways, which are ignored.
func (c *caller) explain(fail *failure, resp *http.Response) {
	if fail.Status >= 300 && fail.Status <= 399 {
		fail.Message = "a redirect that is not followed"
		return
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return
	}
	var code int
	var message string
	err = decode(b, func(cur *cursor) error {
		return cur.object(func(key string) (err error) {
			switch key {
			case "error_code":
				code, err = cur.integer()
			case "message":
				message, err = cur.text()
			default:
				_, err = cur.raw()
			}
			return err
		})
	})
	if err != nil {
		return
	}
	fail.Code = code
	for _, s := range c.cfg.secrets {
		if len(s) > 0 {
			message = strings.ReplaceAll(message, string(s), "[secret]")
		}
	}
	fail.Message = clean(message)
}

// network says what kept a request from being answered. The texts of such errors
// quote the URL, and addresses that a redirect named.
func (f *failure) network(outer context.Context, err error) {
	f.cause = ErrUnavailable
	if cause := context.Cause(outer); cause != nil {
		f.Message = "given up"
		f.cause = &gaveUpError{cause}
		return
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		f.dialing = true
	}
	_, dns := errors.AsType[*net.DNSError](err)
	_, cert := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errRedirect):
		f.cause, f.Message = ErrAnswer, errRedirect.Error()
	case dns:
		f.Message, f.dialing = "the host is not known", true
	case cert:
		f.Message, f.dialing = "the certificate of the server is not trusted", true
	case record, errors.Is(err, http.ErrSchemeMismatch):
		f.Message, f.dialing = "the server does not speak TLS", true
	case alert:
		f.Message, f.dialing = "the server ended the TLS handshake", true
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Message = "connection refused"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isNet && timeout.Timeout():
		f.Message = "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		f.Message = "connection lost"
	default:
		f.Message = "network error"
	}
}

// A gaveUpError is a call that its context ended. It is no fault of the registry for a
// caller that left, and one for a budget that ran out.
type gaveUpError struct{ cause error }

func (g *gaveUpError) Error() string { return g.cause.Error() }

func (g *gaveUpError) Unwrap() []error {
	if errors.Is(g.cause, errBudget) {
		return []error{ErrUnavailable}
	}
	return []error{g.cause}
}

var errBudget = errors.New("the call took longer than its budget")

var errRedirect = errors.New("a redirect to another host, or too many")

// checkRedirect follows a few redirects on the same host: credentials must not
// leave it.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case first.Method != http.MethodGet:
		return http.ErrUseLastResponse
	case len(via) > maxRedirects, req.URL.Scheme != first.URL.Scheme, req.URL.Host != first.URL.Host, req.URL.User != nil:
		return errRedirect
	default:
		return nil
	}
}

// retryAfter returns how long a registry asks to be left alone.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestWait)
}

// pause waits before another round, and tells whether there is time for one.
func pause(ctx context.Context, round int, after time.Duration) bool {
	most := firstWait << (2 * (round - 1))
	wait := max(after, most/2+rand.N(most/2+1)) //nolint:gosec // jitter
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

const (
	maxRetryTokens = 10
	retryShare     = 0.1
)

// A retryBudget keeps retries to a tenth of the calls, so that a registry in
// trouble is not asked three times as much.
type retryBudget struct {
	mu     sync.Mutex
	tokens float64
}

func (r *retryBudget) earn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = min(r.tokens+retryShare, maxRetryTokens)
}

func (r *retryBudget) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}
