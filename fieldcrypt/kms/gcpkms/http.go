package gcpkms

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// maxAnswer bounds an answer: of Cloud KMS, and of what hands out tokens. The
// longest sound one is a wrapped key of some KiB.
const maxAnswer = 64 << 10

var (
	errLongToken  = errors.New("answer with a token is longer than 64 KiB")
	errInsecure   = errors.New("address is neither https nor on this machine or link")
	errRedirected = errors.New("answer leads to another address")
)

// tokenClient returns the client that fetches tokens.
func tokenClient(next http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: bounded{next},
		Timeout:   tokenTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			// An assertion is for whom it was written.
			return errRedirected
		},
	}
}

// bounded is the transport of requests for tokens. It reads answers up to
// maxAnswer, sends nothing in clear over a network, and leaves the status with
// whoever asked, since errors of the libraries above have it in their text only.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !near(req.URL.Hostname()) {
		if req.Body != nil {
			return nil, errors.Join(errInsecure, req.Body.Close())
		}
		return nil, errInsecure
	}
	res, err := b.next.RoundTrip(req)
	if err != nil {
		return res, err
	}
	if a, ok := req.Context().Value(answerKey{}).(*answer); ok && res.StatusCode >= http.StatusBadRequest {
		a.status, a.skewed = res.StatusCode, skewed(res.Header)
	}
	if res.ContentLength > maxAnswer {
		return nil, errors.Join(errLongToken, res.Body.Close())
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: maxAnswer}
	return res, nil
}

// An answer is what the last refusal said. One request for a token runs one
// after the other, so nothing guards it.
type answer struct {
	status int
	skewed bool
}

type answerKey struct{}

func withAnswer(ctx context.Context, a *answer) context.Context {
	return context.WithValue(ctx, answerKey{}, a)
}

// near tells whether a host is on this machine or link, as the metadata servers
// of clouds are, which speak http.
func near(host string) bool {
	if host == "metadata.google.internal" || host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// A boundedBody fails where a longer body would go on.
type boundedBody struct {
	io.ReadCloser

	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	// One byte more than is left tells the end from too much.
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		n, err = b.left, errLongToken
	}
	b.left -= n
	return n, err
}

// tokenTimeout is how long a token may take. It is longer than a call: who waits
// for it gives up earlier, and the next finds it.
const tokenTimeout = 10 * time.Second
