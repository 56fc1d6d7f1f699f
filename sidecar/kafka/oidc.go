package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limits of what a token endpoint may answer, and how long it may take.
const (
	maxTokenBody = 64 << 10
	tokenTimeout = 10 * time.Second
)

// A tokenSource fetches tokens by OAuth's client credentials. A token is used
// until four fifths of its life are over, and one that is still good stands when
// the endpoint does not answer. It is safe for concurrent use.
type tokenSource struct {
	set    *saslSettings
	client *http.Client
	turn   chan struct{} // one fetches, the others wait

	value        string // in the turn, as the rest
	renew, until time.Time
}

func newTokenSource(set *saslSettings) (*tokenSource, error) {
	if _, _, _, err := set.client(); err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if set.caFile != "" {
		pem, err := textOrFile("", set.caFile)
		if err != nil {
			return nil, fmt.Errorf("properties.https.ca.location: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("properties.https.ca.location: there is no certificate in it that is PEM")
		}
	}
	return &tokenSource{set: set, turn: make(chan struct{}, 1), client: &http.Client{
		Timeout:   tokenTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, TLSHandshakeTimeout: tokenTimeout, MaxResponseHeaderBytes: maxTokenBody, DisableKeepAlives: true},
		// A redirect would take the client secret along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// client reads who asks for tokens.
func (s *saslSettings) client() (id, password, scope string, err error) {
	if s.jaas.IsSet() {
		j, err := s.login(moduleOAuth)
		if err != nil {
			return "", "", "", err
		}
		id, password, scope = j.options["clientId"], j.options["clientSecret"], j.options["scope"]
		if id == "" || password == "" {
			return "", "", "", errors.New("secrets.sasl.jaas.config: clientId and clientSecret are missing")
		}
		return id, password, scope, nil
	}
	b, err := s.oidcSecret.Read()
	if err != nil {
		return "", "", "", fmt.Errorf("secrets.sasl.oauthbearer.client.secret: %w", err)
	}
	return s.oidcID, string(b), s.scope, nil
}

// token returns a token that is good for a session that begins now.
func (t *tokenSource) token(ctx context.Context) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	now := time.Now()
	if t.value != "" && now.Before(t.renew) {
		return t.value, nil
	}
	value, life, err := t.fetch(ctx)
	if err != nil {
		if t.value != "" && now.Before(t.until) {
			return t.value, nil
		}
		return "", err
	}
	t.value, t.renew, t.until = value, now.Add(life/5*4), now.Add(life)
	return value, nil
}

func (t *tokenSource) fetch(ctx context.Context) (token string, life time.Duration, err error) {
	id, password, scope, err := t.set.client()
	if err != nil {
		return "", 0, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if scope != "" {
		form.Set("scope", scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.set.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, errors.New("kafka: the token endpoint is no URL")
	}
	if t.set.urlencode {
		id, password = url.QueryEscape(id), url.QueryEscape(password)
	}
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+password)))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := t.client.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("kafka: the token endpoint cannot be reached: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBody+1))
	if err != nil {
		return "", 0, errors.New("kafka: the token endpoint's answer broke off")
	}
	if len(body) > maxTokenBody {
		return "", 0, fmt.Errorf("kafka: the token endpoint's answer is longer than %d bytes", maxTokenBody)
	}
	return parseToken(resp.StatusCode, body)
}

// parseToken reads what a token endpoint answers. The error shows nothing of it
// but a reason of the closed set that OAuth has.
func parseToken(status int, body []byte) (token string, life time.Duration, err error) {
	var answer struct {
		Token     string  `json:"access_token"`
		ExpiresIn float64 `json:"expires_in"`
		Error     string  `json:"error"`
	}
	failed := json.Unmarshal(body, &answer) != nil
	if status != http.StatusOK {
		switch answer.Error {
		case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
			return "", 0, fmt.Errorf("kafka: the token endpoint refuses with %d, %s", status, answer.Error)
		}
		return "", 0, fmt.Errorf("kafka: the token endpoint refuses with %d", status)
	}
	// RFC 7628 puts the token between control characters.
	if failed || answer.Token == "" || strings.ContainsFunc(answer.Token, func(r rune) bool { return r <= 0x20 || r > 0x7e }) {
		return "", 0, errors.New("kafka: the token endpoint's answer has no token")
	}
	// Without a time, and with one that makes no sense, it is for this session.
	if seconds := answer.ExpiresIn; seconds > 0 && !math.IsInf(seconds, 0) {
		life = time.Duration(min(seconds, 24*3600) * float64(time.Second))
	}
	return answer.Token, life, nil
}
