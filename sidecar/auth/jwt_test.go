package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// An idp is an identity provider.
type idp struct {
	t      *testing.T
	server *httptest.Server
	ca     string

	mu      sync.Mutex
	at      time.Time
	keys    []jose.JSONWebKey
	down    bool
	raw     string // in the place of the keys
	fetches int
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	p := &idp{t: t, at: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if p.isDown() {
			http.Error(w, "CANARY", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.server.URL, "jwks_uri": p.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.fetches++
		switch {
		case p.down:
			http.Error(w, "CANARY", http.StatusInternalServerError)
		case p.raw != "":
			_, _ = w.Write([]byte(p.raw))
		default:
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
		}
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	p.server = httptest.NewTLSServer(mux)
	p.server.Config.ErrorLog = quiet()
	t.Cleanup(p.server.Close)
	p.ca = write(t, filepath.Join(t.TempDir(), "ca"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})))
	return p
}

func (p *idp) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

func (p *idp) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *idp) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

func (p *idp) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func (p *idp) config() JWT {
	return JWT{Issuer: p.server.URL, Audience: []string{"fieldveil", "other"}, CA: p.ca, Algorithms: algorithms()}
}

func (p *idp) auth(change func(*JWT)) *Auth {
	p.t.Helper()
	c := p.config()
	if change != nil {
		change(&c)
	}
	return mustNew(p.t, Config{JWT: c}, WithClock(p.now))
}

// claims are those of a good token.
func (p *idp) claims() jwt.MapClaims {
	return jwt.MapClaims{"iss": p.server.URL, "aud": "fieldveil", "sub": "CANARYclient", "exp": p.now().Add(time.Minute).Unix(), "iat": p.now().Unix()}
}

func (p *idp) sign(method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims) string {
	p.t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	s, err := token.SignedString(key)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// bearer authenticates with a token, from loopback, where others are let in
// without one.
func bearer(t *testing.T, a *Auth, token string) (Principal, error) {
	t.Helper()
	return a.Authenticate(t.Context(), Request{Authorization: "Bearer " + token, Remote: loopback()})
}

// keyring is a key of each kind.
type keyring struct {
	rsa, other *rsa.PrivateKey
	ec         *ecdsa.PrivateKey
	ed         ed25519.PrivateKey
}

func newKeyring(t *testing.T) *keyring {
	t.Helper()
	k := &keyring{}
	var err [4]error
	k.rsa, err[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.other, err[1] = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, err[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, err[3] = ed25519.GenerateKey(rand.Reader)
	for _, e := range err {
		if e != nil {
			t.Fatal(e)
		}
	}
	return k
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: kid, Key: key.Public(), Use: "sig"}
}

func TestTokensOfAnIdentityProvider(t *testing.T) {
	p, keys := newIDP(t), newKeyring(t)
	p.keys = []jose.JSONWebKey{public("rsa", keys.rsa), public("ec", keys.ec), public("ed", keys.ed), {KeyID: "enc", Key: keys.other.Public(), Use: "enc"}}
	der, err := x509.MarshalPKIXPublicKey(keys.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := p.claims()
		change(c)
		return c
	}
	good := p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, p.claims())
	parts := strings.Split(good, ".")
	tests := []struct {
		name, token string
		why         Reason // empty: it is let in
	}{
		{"RS256", good, ""},
		{"PS256", p.sign(jwt.SigningMethodPS256, "rsa", keys.rsa, p.claims()), ""},
		{"ES256", p.sign(jwt.SigningMethodES256, "ec", keys.ec, p.claims()), ""},
		{"EdDSA", p.sign(jwt.SigningMethodEdDSA, "ed", keys.ed, p.claims()), ""},
		{"RS512", p.sign(jwt.SigningMethodRS512, "rsa", keys.rsa, p.claims()), ReasonJWT},
		{"alg none", p.sign(jwt.SigningMethodNone, "rsa", jwt.UnsafeAllowNoneSignatureType, p.claims()), ReasonJWT},
		{"HS256 with the public key", p.sign(jwt.SigningMethodHS256, "rsa", publicPEM, p.claims()), ReasonJWT},
		{"no signature", parts[0] + "." + parts[1] + ".", ReasonJWT},
		{"a changed signature", good[:len(good)-8] + "AAAAAAAA", ReasonJWT},
		{"claims of another token", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"CANARYroot"}`)) + "." + parts[2], ReasonJWT},
		{"another key", p.sign(jwt.SigningMethodRS256, "rsa", keys.other, p.claims()), ReasonJWT},
		{"a key for encryption", p.sign(jwt.SigningMethodRS256, "enc", keys.other, p.claims()), ReasonJWT},
		{"an unknown key id", p.sign(jwt.SigningMethodRS256, "CANARYkid", keys.rsa, p.claims()), ReasonJWT},
		{"no key id, where there are many", p.sign(jwt.SigningMethodRS256, "", keys.rsa, p.claims()), ReasonJWT},
		{"the key of another kind", p.sign(jwt.SigningMethodES256, "rsa", keys.ec, p.claims()), ReasonJWT},
		{"another issuer", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["iss"] = "https://CANARY" })), ReasonIssuer},
		{"the issuer of Google's exception", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["iss"] = "accounts.google.com" })), ReasonIssuer},
		{"no issuer", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { delete(c, "iss") })), ReasonIssuer},
		{"another audience", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["aud"] = "CANARY" })), ReasonAudience},
		{"no audience", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { delete(c, "aud") })), ReasonAudience},
		{"one of many audiences", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["aud"] = []string{"x", "other"} })), ""},
		{"expired", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["exp"] = p.now().Add(-31 * time.Second).Unix() })), ReasonExpired},
		{"expired within the skew", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["exp"] = p.now().Add(-20 * time.Second).Unix() })), ""},
		{"no end", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { delete(c, "exp") })), ReasonExpired},
		{"not yet", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["nbf"] = p.now().Add(time.Minute).Unix() })), ReasonNotYet},
		{"soon, within the skew", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["nbf"] = p.now().Add(20 * time.Second).Unix() })), ""},
		{"a text as its beginning", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["nbf"] = "CANARY" })), ReasonJWT},
		{"nobody", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { delete(c, "sub") })), ReasonClaim},
		{"somebody with a line feed", p.sign(jwt.SigningMethodRS256, "rsa", keys.rsa, claims(func(c jwt.MapClaims) { c["sub"] = "CANARY\n" })), ReasonClaim},
		{"something else", "CANARY.x.y", ReasonJWT},
		{"no token at all", "CANARY", ReasonToken},
	}
	a := p.auth(nil)
	for _, tt := range tests {
		who, err := bearer(t, a, tt.token)
		if tt.why != "" {
			refused(t, tt.name, err, ErrUnauthenticated, tt.why)
		} else if err != nil || who.Name != "jwt:CANARYclient" || who.Method != MethodJWT || who.Limited {
			t.Errorf("%s: %+v, %v", tt.name, who, err)
		}
	}
	if n := p.count(); n != 1 {
		t.Errorf("the keys were fetched %d times: the clock stands, so once", n)
	}
	// Where fewer algorithms are allowed.
	only := p.auth(func(c *JWT) { c.Algorithms = []string{"ES256"} })
	_, err = bearer(t, only, good)
	refused(t, "RS256 where only ES256 is", err, ErrUnauthenticated, ReasonJWT)
	if _, err := only.Authenticate(t.Context(), Request{Authorization: basic("CANARYclient", tests[2].token)}); err != nil {
		t.Errorf("by Basic: %v", err)
	}
	_, err = only.Authenticate(t.Context(), Request{Authorization: basic("another", tests[2].token)})
	refused(t, "by Basic, of another", err, ErrUnauthenticated, ReasonToken)
}

func TestClaimsSayWhoAndForWhom(t *testing.T) {
	p, keys := newIDP(t), newKeyring(t)
	p.keys = []jose.JSONWebKey{public("", keys.ec)} // one key needs no name
	a := p.auth(func(c *JWT) { c.PrincipalClaim, c.TenantClaim = "client_id", "tenants" })
	for name, tt := range map[string]struct {
		tenants any
		want    []string
		bad     bool
	}{
		"a text":    {"acme", []string{"acme"}, false},
		"a list":    {[]string{"acme", "b"}, []string{"acme", "b"}, false},
		"none":      {nil, nil, false},
		"a number":  {7, nil, true},
		"an empty":  {"", nil, true},
		"one empty": {[]string{"a", ""}, nil, true},
		"too many":  {make([]string, maxTenants+1), nil, true},
	} {
		c := p.claims()
		c["client_id"] = "shop"
		if tt.tenants != nil {
			c["tenants"] = tt.tenants
		}
		who, err := bearer(t, a, p.sign(jwt.SigningMethodES256, "", keys.ec, c))
		if tt.bad {
			refused(t, name, err, ErrUnauthenticated, ReasonClaim)
			continue
		}
		if err != nil || who.Name != "jwt:shop" || !who.Limited || strings.Join(who.Tenants, ",") != strings.Join(tt.want, ",") {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
}

// The keys of a provider that is away stay in use until they expire, and nobody can
// make this process ask it again and again.
func TestAProviderThatIsAwayAndBack(t *testing.T) {
	p, keys := newIDP(t), newKeyring(t)
	p.keys = []jose.JSONWebKey{public("one", keys.ec)}
	p.down = true
	a := p.auth(func(c *JWT) { c.JWKSURL = p.server.URL + "/keys" })
	token := func(kid string, key *ecdsa.PrivateKey) string {
		return p.sign(jwt.SigningMethodES256, kid, key, p.claims())
	}
	forward := func(d time.Duration) { p.set(func() { p.at = p.at.Add(d) }) }

	for range 20 {
		_, err := bearer(t, a, token("one", keys.ec))
		refused(t, "away from the start", err, ErrUnavailable, ReasonKeys)
	}
	if n := p.count(); n != 1 {
		t.Errorf("asked %d times in a moment", n)
	}
	p.set(func() { p.down = false })
	forward(firstPause)
	if _, err := bearer(t, a, token("one", keys.ec)); err != nil {
		t.Fatalf("back: %v", err)
	}
	asked := p.count()
	for range 20 {
		_, err := bearer(t, a, token("unknown", keys.ec))
		refused(t, "an unknown key", err, ErrUnauthenticated, ReasonJWT)
	}
	if n := p.count(); n != asked {
		t.Errorf("asked %d times for a key that nobody has, %v after it answered", n-asked, time.Duration(0))
	}
	// The provider changes its key.
	next, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.keys = []jose.JSONWebKey{public("two", next)} })
	forward(unknownWait)
	if _, err := bearer(t, a, token("two", next)); err != nil {
		t.Errorf("a new key: %v", err)
	}
	_, err = bearer(t, a, token("one", keys.ec))
	refused(t, "a key that is gone", err, ErrUnauthenticated, ReasonJWT)

	p.set(func() { p.down = true })
	forward(defaultExpire - time.Second)
	if _, err := bearer(t, a, token("two", next)); err != nil {
		t.Errorf("away, and the keys are not too old: %v", err)
	}
	forward(time.Second)
	_, err = bearer(t, a, token("two", next))
	refused(t, "away for too long", err, ErrUnavailable, ReasonKeys)
	p.set(func() { p.down = false })
	forward(maxPause)
	if _, err := bearer(t, a, token("two", next)); err != nil {
		t.Errorf("back again: %v", err)
	}
}

func TestKeySetsThatAreRefused(t *testing.T) {
	keys := newKeyring(t)
	small := jose.JSONWebKey{KeyID: "k", Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "k", Key: keys.ec}}})
	if err != nil {
		t.Fatal(err)
	}
	short, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{small}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no JSON": "CANARY", "none": `{"keys":[]}`, "no set": `[]`, "a secret": `{"keys":[{"kty":"oct","k":"Q0FOQVJZ"}]}`,
		"an unknown kind": `{"keys":[{"kty":"CANARY"}]}`, "a private key": string(private), "a short one": string(short),
		"too many": `{"keys":[` + strings.Repeat("{},", maxKeys) + `{}]}`, "too long": `{"keys":["` + strings.Repeat("x", maxKeySet) + `"]}`,
	} {
		if _, err := parseKeys([]byte(text)); err == nil {
			t.Errorf("%s was taken", name)
		}
		p := newIDP(t)
		p.raw = text
		_, err := bearer(t, p.auth(nil), p.sign(jwt.SigningMethodES256, "k", keys.ec, p.claims()))
		refused(t, name, err, ErrUnavailable, ReasonKeys)
	}
	p := newIDP(t)
	p.keys = []jose.JSONWebKey{public("k", keys.ec)}
	_, err = bearer(t, p.auth(func(c *JWT) { c.JWKSURL = p.server.URL + "/moved" }), p.sign(jwt.SigningMethodES256, "k", keys.ec, p.claims()))
	refused(t, "keys from elsewhere", err, ErrUnavailable, ReasonKeys)
	_, err = bearer(t, p.auth(func(c *JWT) { c.CA = "" }), p.sign(jwt.SigningMethodES256, "k", keys.ec, p.claims()))
	refused(t, "a provider whose certificate nobody signed", err, ErrUnavailable, ReasonKeys)
	if _, err := New(Config{JWT: func() JWT { c := p.config(); c.CA = "/nonexistent"; return c }()}); err == nil {
		t.Error("no authority")
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeys(text)
		if (err == nil) == (len(keys) == 0) {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for i := range keys {
			if !keys[i].Valid() || !keys[i].IsPublic() {
				t.Errorf("key %d is of no use", i)
			}
		}
	})
}
