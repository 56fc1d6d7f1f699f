package azurekms

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds an answer. The longest sound one is well below 2 KiB.
const maxAnswer = 64 << 10

var (
	errTooLong = errors.New("answer is longer than 64 KiB")
	errHost    = errors.New("call would go to another host")
	errCut     = errors.New("answer ends early")
)

// A transport calls one vault for the SDK, and hands it only what it may have:
// bounded bodies, challenges that the guard has read, codes of errors without
// what is around them.
type transport struct {
	guard

	client *http.Client
}

// Do answers a request.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	// The SDK builds its URLs from names that were checked. A token is worth a
	// second look at where it goes.
	if req.URL.Scheme != "https" || req.URL.Host != t.vault {
		return nil, errHost
	}
	req, err := ownBody(req)
	if err != nil {
		return nil, err
	}
	res, err := t.client.Do(req) //nolint:gosec // the host was compared just now
	if err != nil {
		return nil, err
	}
	body, err := read(res)
	if err != nil {
		return nil, err
	}
	switch {
	case res.StatusCode == http.StatusOK:
		res.Body = io.NopCloser(bytes.NewReader(body))
		return res, nil
	case res.StatusCode == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") != "":
		// The SDK fetches a token and asks again, once; a second answer of this
		// kind it returns.
		if err := t.challenge(res.Header); err != nil {
			return nil, err
		}
		res.Header.Del("X-Ms-Error-Code")
		code := newAnswer(res, body).code
		if code == "" {
			code = "Unauthorized"
		}
		res.Body = io.NopCloser(strings.NewReader(`{"error":{"code":"` + code + `"}}`))
		return res, nil
	}
	return nil, newAnswer(res, body)
}

// ownBody returns the request with a body of its own. The SDK rewinds the one that
// it gave, to send it once more after a challenge, and the HTTP client may still be
// sending it then, when the answer came before the end of the request.
func ownBody(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxAnswer+1))
	if err := errors.Join(err, req.Body.Close()); err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errTooLong
	}
	own := req.Clone(req.Context())
	own.Body = io.NopCloser(bytes.NewReader(body))
	own.ContentLength = int64(len(body))
	return own, nil
}

// read reads a body to its end, so that the connection is used again.
func read(res *http.Response) ([]byte, error) {
	defer res.Body.Close() //nolint:errcheck // nothing was written
	if res.ContentLength > maxAnswer {
		return nil, errTooLong
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil && errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errCut
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, errTooLong
	}
	return body, nil
}

// An answer is one that refuses.
type answer struct {
	status       int
	code, reason string
	requestID    string
	retryAfter   time.Duration
}

func (a *answer) Error() string { return "HTTP status " + strconv.Itoa(a.status) }

// NonRetriable has the SDK give up at once.
func (*answer) NonRetriable() {}

// newAnswer reads the codes of an answer. Its texts name principals, networks and
// parts of requests, and are left.
func newAnswer(res *http.Response, body []byte) *answer {
	type fault struct {
		Code  string `json:"code"`
		Inner struct {
			Code string `json:"code"`
		} `json:"innererror"`
	}
	var in struct {
		Error fault `json:"error"`
	}
	a := &answer{status: res.StatusCode, requestID: printable(res.Header.Get("X-Ms-Request-Id"))}
	if json.Unmarshal(body, &in) == nil {
		a.code, a.reason = printable(in.Error.Code), printable(in.Error.Inner.Code)
	}
	const most = time.Hour
	if n, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 16); err == nil {
		a.retryAfter = min(time.Duration(n)*time.Second, most)
	}
	return a
}

// printable returns s if it looks like a code or an id, and a fixed word
// otherwise: whoever answers chooses it.
func printable(s string) string {
	const most, unreadable = 64, "unreadable"
	if len(s) > most {
		return unreadable
	}
	for _, c := range []byte(s) {
		if !alnum(c) && c != '-' && c != '.' && c != '_' {
			return unreadable
		}
	}
	return s
}
