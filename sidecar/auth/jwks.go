package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeySet   = 1 << 20 // bytes
	maxKeys     = 100
	minRSABits  = 2048
	fetchLimit  = 10 * time.Second
	minRefresh  = 10 * time.Second
	firstPause  = time.Second // after a fetch that failed
	maxPause    = time.Minute
	unknownWait = 10 * time.Second // between fetches for keys that are not known
)

var (
	errKeys    = errors.New("auth: the keys of the provider cannot be fetched")
	errUnknown = errors.New("auth: no key of the provider signed it")
)

// A keySet holds the keys of a provider. They are fetched when they are needed
// first, again in the background when they grow old, and when a token names one
// that is not known, but not more often than every ten seconds: strangers must not
// make this process flood the provider. While it cannot be reached the keys stay in
// use until they expire.
type keySet struct {
	issuer, url     string // url is empty until the discovery document was read
	refresh, expire time.Duration
	client          *http.Client
	now             func() time.Time

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time     // when keys were
	next    time.Time     // when may be fetched again
	pause   time.Duration // after the last failure, 0 after a success
	running chan struct{} // closed when the fetch that runs is over; nil for none
}

var _ oidc.KeySet = (*keySet)(nil)

func newKeySet(c *JWT, now func() time.Time) (*keySet, error) {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Proxy: http.ProxyFromEnvironment,
		ResponseHeaderTimeout: fetchLimit, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
	}
	if c.CA != "" {
		pool, _, err := readPool(c.CA)
		if err != nil {
			return nil, fmt.Errorf("jwt.ca: %w", err)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	k := &keySet{issuer: c.Issuer, url: c.JWKSURL, now: now, client: &http.Client{
		Transport: transport, Timeout: fetchLimit,
		// Keys come from where the configuration says, and from nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	k.refresh, k.expire = c.ages()
	return k, nil
}

// VerifySignature returns the payload of a token that one of the keys signed. The
// algorithm was looked at before.
func (k *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	algs := make([]jose.SignatureAlgorithm, 0, len(algorithms()))
	for _, a := range algorithms() {
		algs = append(algs, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errUnknown
	}
	for again := false; ; again = true {
		keys, err := k.current(ctx, again)
		if err != nil {
			if away, ok := ctx.Value(awayKey{}).(*bool); ok {
				*away = true
			}
			return nil, err
		}
		if payload, ok := verifyWith(keys, jws); ok {
			return payload, nil
		}
		if again {
			return nil, errUnknown
		}
	}
}

// verifyWith tries the key that a token names. A token that names none is tried
// with the only key there is.
func verifyWith(keys []jose.JSONWebKey, jws *jose.JSONWebSignature) ([]byte, bool) {
	header := jws.Signatures[0].Header
	for i := range keys {
		key := &keys[i]
		if (header.KeyID == "" && len(keys) > 1) || (header.KeyID != "" && key.KeyID != header.KeyID) ||
			(key.Algorithm != "" && key.Algorithm != header.Algorithm) {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// current returns the keys. With unknown they are fetched first, if that may be.
func (k *keySet) current(ctx context.Context, unknown bool) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	now := k.now()
	age := now.Sub(k.fetched)
	usable := k.keys != nil && age < k.expire
	due := !usable || unknown || age >= k.refresh
	running := k.running
	if due && running == nil && !now.Before(k.next) {
		running = make(chan struct{})
		k.running = running
		go k.fetch(running) //nolint:gosec // it is for all who wait, and outlives the one who came first
	}
	keys, failing := k.keys, k.pause > 0
	k.mu.Unlock()
	switch {
	case usable && !unknown:
		return keys, nil
	case running == nil && usable && !failing:
		return keys, nil // they are new enough to say that nobody has the key
	case running == nil:
		return nil, errKeys
	}
	select {
	case <-running:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errKeys, ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pause > 0 || k.keys == nil {
		return nil, errKeys
	}
	return k.keys, nil
}

// fetch fetches the keys, for all who wait for them.
func (k *keySet) fetch(over chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
	defer cancel()
	keys, err := k.get(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if err == nil {
		k.keys, k.fetched, k.pause, k.next = keys, now, 0, now.Add(unknownWait)
	} else {
		k.pause = min(max(2*k.pause, firstPause), maxPause)
		k.next = now.Add(k.pause)
	}
	k.running = nil
	close(over)
}

// get asks the provider. Only one runs at a time.
func (k *keySet) get(ctx context.Context) ([]jose.JSONWebKey, error) {
	if k.url == "" {
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.client), k.issuer)
		if err != nil {
			return nil, err
		}
		var doc struct {
			URL string `json:"jwks_uri"`
		}
		if err := provider.Claims(&doc); err != nil || !safeURL(doc.URL) {
			return nil, errKeys
		}
		k.url = doc.URL
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil || resp.StatusCode != http.StatusOK || len(body) > maxKeySet {
		return nil, errKeys
	}
	return parseKeys(body)
}

// parseKeys reads a key set, and leaves out what cannot verify: private and
// symmetric keys, short ones, and those of kinds that are not known.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || len(set.Keys) > maxKeys {
		return nil, errKeys
	}
	var out []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || (key.Use != "" && key.Use != "sig") {
			continue
		}
		switch public := key.Key.(type) {
		case *rsa.PublicKey:
			if public.N.BitLen() < minRSABits {
				continue
			}
		case *ecdsa.PublicKey, ed25519.PublicKey:
		default:
			continue
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errKeys
	}
	return out, nil
}

// readPool reads certificates.
func readPool(path string) (*x509.CertPool, []byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, text, nil
}
