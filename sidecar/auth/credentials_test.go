package auth

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func basic(user, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+secret))
}

func TestTokensOfFiles(t *testing.T) {
	dir := t.TempDir()
	a := mustNew(t, Config{Tokens: []TokenSource{
		{Principal: "billing", File: write(t, filepath.Join(dir, "one"), secretA+"\n")},
		{File: write(t, filepath.Join(dir, "many"), "# who: what\n\nshop:"+secretB+"\r\nweb:"+secretB+"x/y\n")},
	}})
	for header, want := range map[string]string{
		"Bearer " + secretA:          "billing",
		"bearer  " + secretB:         "shop",
		"Bearer " + secretB + "x/y":  "web",
		basic("billing", secretA):    "billing",
		basic("web", secretB+"x/y"):  "web",
		basic("shop", secretA):       "",
		basic("", secretA):           "?",
		"Bearer " + secretA[:20]:     "",
		"Bearer " + secretA + "x":    "",
		"Bearer x.y.z":               "",
		"Bearer":                     "?",
		"Bearer ":                    "?",
		"Bearer a b":                 "?",
		"Basic " + secretA:           "?",
		"Digest " + secretA:          "?",
		secretA:                      "?",
		"Basic Og==":                 "?",
		"Bearer \x00":                "?",
		strings.Repeat("x", 1<<20):   "?",
		"Bearer " + secretA + "\nX:": "?",
	} {
		// A credential that is wrong is refused on loopback too.
		p, err := a.Authenticate(t.Context(), Request{Authorization: header, Remote: loopback()})
		switch want {
		case "":
			refused(t, header[:min(len(header), 9)], err, ErrUnauthenticated, ReasonToken)
		case "?":
			refused(t, header[:min(len(header), 9)], err, ErrUnauthenticated, ReasonHeader)
		default:
			if err != nil || p.Name != want || p.Method != MethodToken {
				t.Errorf("%s: %+v, %v", want, p, err)
			}
		}
	}
	_, err := a.Authenticate(t.Context(), Request{Remote: loopback(), Target: Target{Host: "localhost"}})
	refused(t, "loopback, where tokens are configured", err, ErrUnauthenticated, ReasonNone)
}

func TestTokenFilesThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ principal, text string }{
		"empty":                       {"", ""},
		"comments only":               {"", "# x\n"},
		"empty, of one":               {"a", "\n"},
		"short":                       {"a", "CANARYaaaa12345678901"},
		"a few characters only":       {"a", strings.Repeat("CANARY", 9)},
		"a space":                     {"a", secretA + " x"},
		"two lines":                   {"a", secretA + "\n" + secretB},
		"no name":                     {"", ":" + secretA},
		"no colon":                    {"", secretA},
		"a name of another method":    {"", "uid:0:" + secretA},
		"the name of those without":   {"", "local:" + secretA},
		"the name of those elsewhere": {"", "anonymous:" + secretA},
		"a name with a slash":         {"", "spiffe//x:" + secretA},
		"a short one below":           {"", "a:" + secretA + "\nb:CANARY\n"},
		"one twice":                   {"", "a:" + secretA + "\nb:" + secretA + "\n"},
		"long":                        {"a", secretA + strings.Repeat("x", maxToken)},
	} {
		path := write(t, filepath.Join(t.TempDir(), "tokens"), tt.text)
		_, err := New(Config{Tokens: []TokenSource{{Principal: tt.principal, File: path}}})
		if err == nil {
			t.Errorf("%s was taken", name)
		}
		clean(t, name, err)
	}
	if _, err := New(Config{Tokens: []TokenSource{{File: filepath.Join(t.TempDir(), "none")}}}); err == nil {
		t.Error("no file was taken")
	}
}

func TestWhoIsLetInWithoutCredential(t *testing.T) {
	no := false
	tokens := []TokenSource{{Principal: "a", File: write(t, filepath.Join(t.TempDir(), "t"), secretA)}}
	for name, tt := range map[string]struct {
		c    Config
		from string // the principal on loopback, and elsewhere
		away string
	}{
		"by default":                 {Config{}, NameLocal, ""},
		"where it is switched off":   {Config{AnonymousLoopback: &no}, "", ""},
		"with tokens":                {Config{Tokens: tokens}, "", ""},
		"where everybody is":         {Config{InsecureAllowAnonymous: true}, NameLocal, NameAnonymous},
		"with tokens, and everybody": {Config{Tokens: tokens, InsecureAllowAnonymous: true}, NameAnonymous, NameAnonymous},
	} {
		a := mustNew(t, tt.c)
		here, err := a.Authenticate(t.Context(), Request{Remote: loopback(), Target: Target{Host: "localhost"}})
		if here.Name != tt.from || (err == nil) != (tt.from != "") {
			t.Errorf("%s: on loopback %q, %v", name, here.Name, err)
		}
		away, err := a.Authenticate(t.Context(), Request{Remote: elsewhere(), Target: Target{Host: "localhost"}})
		if away.Name != tt.away || (err == nil) != (tt.away != "") {
			t.Errorf("%s: elsewhere %q, %v", name, away.Name, err)
		}
	}
	if _, err := mustNew(t, Config{}).Authenticate(t.Context(), Request{}); err == nil {
		t.Error("somebody of whom nothing is known was let in")
	}
}

func TestConfigurationsThatMakeNoSenseAreRefused(t *testing.T) {
	jwt := JWT{Issuer: "https://idp.example.org", Audience: []string{"fieldveil"}}
	for name, tt := range map[string]struct {
		c    Config
		want string
	}{
		"a certificate without key":    {Config{TLS: TLS{Cert: "x"}}, "tls.cert:"},
		"an authority without TLS":     {Config{TLS: TLS{ClientCA: "x"}}, "tls.client_ca:"},
		"require without an authority": {Config{TLS: TLS{Cert: "x", Key: "x", ClientAuth: "require"}}, "tls.client_auth:"},
		"an unknown word":              {Config{TLS: TLS{ClientAuth: "maybe"}}, "tls.client_auth:"},
		"an old version":               {Config{TLS: TLS{MinVersion: "1.1"}}, "tls.min_version:"},
		"a token without a file":       {Config{Tokens: []TokenSource{{Principal: "a"}}}, "tokens[0].file:"},
		"a file twice":                 {Config{Tokens: []TokenSource{{File: "a"}, {File: "a"}}}, "tokens[1].file:"},
		"a name with a colon":          {Config{Tokens: []TokenSource{{Principal: "uid:1", File: "a"}}}, "tokens[0].principal:"},
		"no issuer":                    {Config{JWT: JWT{Audience: []string{"a"}, JWKSURL: "https://x"}}, "jwt.issuer:"},
		"no audience":                  {Config{JWT: JWT{Issuer: "https://x"}}, "jwt.audience:"},
		"an issuer in clear":           {Config{JWT: JWT{Issuer: "http://idp.example.org", Audience: []string{"a"}}}, "jwt.issuer:"},
		"keys in clear":                {Config{JWT: JWT{Issuer: "x", JWKSURL: "http://idp.example.org", Audience: []string{"a"}}}, "jwt.jwks_url:"},
		"a password in the URL":        {Config{JWT: JWT{Issuer: "x", JWKSURL: "https://u:CANARY@x", Audience: []string{"a"}}}, "jwt.jwks_url:"},
		"HS256":                        {Config{JWT: with(jwt, func(j *JWT) { j.Algorithms = []string{"HS256"} })}, "jwt.algorithms[0]:"},
		"none":                         {Config{JWT: with(jwt, func(j *JWT) { j.Algorithms = []string{"RS256", "none"} })}, "jwt.algorithms[1]:"},
		"a wide skew":                  {Config{JWT: with(jwt, func(j *JWT) { j.ClockSkew = maxSkew + 1 })}, "jwt.clock_skew:"},
		"keys that never rest":         {Config{JWT: with(jwt, func(j *JWT) { j.Refresh = 1 })}, "jwt.refresh:"},
		"a mode of others":             {Config{Unix: Unix{Mode: "7777"}}, "unix.mode:"},
		"a mode not in octal":          {Config{Unix: Unix{Mode: "rw"}}, "unix.mode:"},
		"a domain without certs":       {Config{SPIFFE: SPIFFE{TrustDomain: "example.org"}}, "spiffe.trust_domain:"},
		"a domain that is a URL":       {Config{SPIFFE: SPIFFE{TrustDomain: "spiffe://x"}}, "spiffe.trust_domain:"},
		"a negative interval":          {Config{ReloadInterval: -1}, "reload_interval:"},
	} {
		err := tt.c.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		clean(t, name, err)
	}
	c := Config{JWT: jwt}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func with(j JWT, change func(*JWT)) JWT {
	change(&j)
	return j
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{"", "Bearer x", basic("a", "b:c"), "Basic \x00", "basic " + strings.Repeat("A", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, ok := parseHeader(header)
		if !ok {
			return
		}
		again := "Bearer " + c.secret
		if c.basic {
			again = basic(c.user, c.secret)
		}
		if back, ok := parseHeader(again); !ok && len(again) <= maxHeader || ok && back != c {
			t.Errorf("%q is %+v, and that is %q, which is %+v", header, c, again, back)
		}
		if strings.ContainsAny(c.secret+c.user, " \r\n\t\x00") {
			t.Errorf("%q: %+v", header, c)
		}
	})
}

func FuzzParseTokens(f *testing.F) {
	f.Add("a:"+secretA+"\n", "")
	f.Add(secretA, "a")
	f.Add("#\n\n:\n", "")
	f.Fuzz(func(t *testing.T, text, principal string) {
		tokens, err := parseTokens([]byte(text), principal)
		if err != nil {
			for line := range strings.Lines(text) {
				if _, secret, _ := strings.Cut(strings.TrimSpace(line), ":"); len(secret) >= minToken && strings.Contains(fmt.Sprint(err), secret) {
					t.Errorf("%v shows %q", err, secret)
				}
			}
			return
		}
		if len(tokens) == 0 {
			t.Fatal("no token and no error")
		}
		for _, tok := range tokens {
			if principal == "" && !validName(tok.name) {
				t.Errorf("name %q", tok.name)
			}
		}
	})
}
