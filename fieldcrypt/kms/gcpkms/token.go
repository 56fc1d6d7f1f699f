package gcpkms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/auth"
)

const (
	viaCredentials   = "credentials"
	viaImpersonation = "impersonation"
)

const (
	// refreshAhead is how long before its end a token is replaced, in the
	// background. Metadata servers have no newer one before the last 5 minutes.
	refreshAhead = 225 * time.Second
	// lastUse is how long before its end a token is no longer sent.
	lastUse = 10 * time.Second
	// retryAfter is the pause after a replacement that failed.
	retryAfter = 5 * time.Second
)

var errNoToken = errors.New("answer has no token that is still good")

// tokens keeps one access token and replaces it before it ends. Any number of
// callers make one request, and each waits no longer than its context. It does
// what the cache of the auth library does, which makes callers wait for each
// other, and after one failed request makes no other until the token has ended.
type tokens struct {
	via string
	// open makes the source anew, because a source keeps its token until that
	// ends, also one that was revoked. It is nil for a source that was given.
	open func() (auth.TokenProvider, error)

	mu      sync.Mutex // guards all below, and is not held while a token is fetched
	source  auth.TokenProvider
	token   *auth.Token // nil before the first, and after drop
	flight  *flight     // nil when nobody fetches
	pausing time.Time   // no replacement before
}

// A flight is one request for a token.
type flight struct {
	done  chan struct{} // closed at its end
	token *auth.Token
	err   error
}

// get returns a token. The error is a *sourceError, or that of the context.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	now := time.Now()
	if ends(t.token, now, lastUse) {
		f := t.start(ctx)
		t.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if f.err != nil {
			return "", f.err
		}
		return f.token.Value, nil
	}
	defer t.mu.Unlock()
	if ends(t.token, now, refreshAhead) && !now.Before(t.pausing) {
		t.start(ctx)
	}
	return t.token.Value, nil
}

// drop has the next call fetch a new token, if the last is still this one.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == nil || t.token.Value != token {
		return
	}
	t.token = nil
	if t.open != nil {
		t.source = nil
	}
}

// start returns the request that is under way, or begins one. The caller holds
// mu. The request goes on when its caller does not, for those who come after.
func (t *tokens) start(ctx context.Context) *flight {
	if t.flight != nil {
		return t.flight
	}
	f := &flight{done: make(chan struct{})}
	t.flight = f
	source := t.source
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenTimeout)
	go func() {
		defer cancel()
		source, f.token, f.err = t.fetch(ctx, source)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.flight, t.source = nil, source
		if f.err == nil {
			t.token = f.token
		}
		t.pausing = time.Now().Add(retryAfter)
		close(f.done)
	}()
	return f
}

func (t *tokens) fetch(ctx context.Context, source auth.TokenProvider) (auth.TokenProvider, *auth.Token, error) {
	var a answer
	ctx = withAnswer(ctx, &a)
	var err error
	if source == nil {
		if source, err = t.open(); err != nil {
			return nil, nil, &sourceError{via: t.via}
		}
	}
	token, err := source.Token(ctx)
	if err != nil {
		if of, ok := errors.AsType[*sourceError](err); ok {
			return source, nil, of
		}
		return source, nil, &sourceError{via: t.via, status: a.status, skewed: a.skewed, cause: fixed(err)}
	}
	if ends(token, time.Now(), lastUse) {
		return source, nil, &sourceError{via: t.via, cause: errNoToken}
	}
	return source, token, nil
}

// fixed returns the cause that may be shown, which is one of ours.
func fixed(err error) error {
	for _, cause := range []error{errLongToken, errInsecure, errRedirected} {
		if errors.Is(err, cause) {
			return cause
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errTimeout
	}
	return nil
}

// ends tells whether a token is none, or none any more after the time ahead.
func ends(t *auth.Token, now time.Time, ahead time.Duration) bool {
	return t == nil || t.Value == "" || !t.Expiry.IsZero() && now.Add(ahead).After(t.Expiry)
}

// An impersonator has tokens of a service account, which it asks the IAM service
// for with tokens of its own.
type impersonator struct {
	base      *tokens
	client    *http.Client
	url       string
	delegates []string
	quota     string
}

// Token asks for a token that is good for an hour.
func (i *impersonator) Token(ctx context.Context) (*auth.Token, error) {
	own, err := i.base.get(ctx)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"delegates": i.delegates, "scope": []string{scopeKMS}, "lifetime": "3600s"})
	if err != nil {
		return nil, err
	}
	var a answer
	req, err := http.NewRequestWithContext(withAnswer(ctx, &a), http.MethodPost, i.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+own)
	if i.quota != "" {
		req.Header.Set("X-Goog-User-Project", i.quota)
	}
	failed := func(cause error) (*auth.Token, error) {
		return nil, &sourceError{via: viaImpersonation, status: a.status, skewed: a.skewed, cause: cause}
	}
	res, err := i.client.Do(req)
	if err != nil {
		return failed(fixed(err))
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end, or is of no use
	var out struct {
		AccessToken string    `json:"accessToken"`
		ExpireTime  time.Time `json:"expireTime"`
	}
	decoded := json.NewDecoder(res.Body).Decode(&out)
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		i.base.drop(own)
		return failed(nil)
	case res.StatusCode != http.StatusOK:
		return failed(nil)
	case errors.Is(decoded, errLongToken):
		return failed(errLongToken)
	case decoded != nil || out.ExpireTime.IsZero():
		return failed(errNoToken)
	}
	return &auth.Token{Value: out.AccessToken, Expiry: out.ExpireTime}, nil
}

// isAccount tells whether s can be the e-mail address of a service account. It
// becomes part of a URL.
func isAccount(s string) bool {
	name, domain, ok := strings.Cut(s, "@")
	const most = 128
	return ok && len(s) <= most && isDomain(name) && isDomain(domain) && strings.Contains(domain, ".")
}
