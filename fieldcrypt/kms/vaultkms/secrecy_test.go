package vaultkms_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

// The URI of a KEK stands in records. Whoever writes one must not get a token.
func TestNoCallGoesToAHostThatTheConfigurationDoesNotName(t *testing.T) {
	var asked atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer evil.Close()
	s := server(t)
	k := root(t, s)
	_, wrapped := generate(t, k, plainKey)
	host, good := strings.TrimPrefix(evil.URL, "http://"), strings.TrimPrefix(s.URL, "http://")
	for _, kek := range []string{
		"vault://" + host + "/transit/keys/plain",
		"vault://" + good + "@" + host + "/transit/keys/plain",
		"vault://" + host + "#" + good + "/transit/keys/plain",
		"vault://" + host + "\\@" + good + "/transit/keys/plain",
		"vault://127.0.0.1/transit/keys/plain",
		"vault://localhost:" + good[strings.LastIndexByte(good, ':')+1:] + "/transit/keys/plain",
		"vault:///" + host + "/transit/keys/plain",
		"vault:@" + host + "/transit/keys/plain",
		"vault:transit/../../@" + host + "/keys/plain",
	} {
		wants(t, tryGenerate(t, k, kek), kms.ErrInvalid, "")
		_, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
		wants(t, err, kms.ErrInvalid, "")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d calls to a host of the URI", n)
	}
	generate(t, k, "vault://"+good+"/transit/keys/plain")
}

func TestATokenGoesOnlyToTheServerThatItIsFor(t *testing.T) {
	one, two := server(t), server(t)
	k := root(t, one, vaultkms.WithServer(two.URL, vaultkms.Token(two.RootToken)))
	generate(t, k, plainKey)
	generate(t, k, "vault://"+strings.TrimPrefix(two.URL, "http://")+"/transit/keys/plain")
	for _, s := range []*kmstest.VaultServer{one, two} {
		for _, r := range s.Requests() {
			if r.Token != s.RootToken {
				t.Errorf("%s got the token of the other", r.Path)
			}
		}
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	var asked atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer evil.Close()
	s := server(t)
	s.AddAppRole("approle", "role", "secret", kmstest.VaultToken{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{evil.URL, s.URL + "/v1/sys/health"} {
			s.ClearFaults()
			s.Fault(kmstest.VaultFault{Status: status, Location: location})
			before := len(s.Requests())
			wants(t, tryGenerate(t, root(t, s), plainKey), kms.ErrUnavailable, "redirect")
			wants(t, tryGenerate(t, client(t, s.URL, vaultkms.AppRole("role", file(t, "secret"))), plainKey), kms.ErrUnavailable, "redirect")
			if n := len(s.Requests()) - before; n != 2 {
				t.Errorf("%d: %d calls, want 2", status, n)
			}
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d calls to where a redirect leads", n)
	}
}

// echo answers with what it was sent, in each place that an answer has.
func echo(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		text := strings.NewReplacer(`"`, "", "\\", "").Replace(string(body)) + r.Header.Get("X-Vault-Token")
		w.Header().Set("Location", "/"+text)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors":["%s"],"data":{"ciphertext":"%s"},"auth":{"client_token":"%s "}}`, text, text, text)
	})
}

func TestErrorsHoldNoCredentialAndNoKey(t *testing.T) {
	const token, secret, role = "s.CANARYTOKEN", "CANARYSECRET", "CANARYROLE"
	for _, status := range []int{200, 204, 301, 400, 401, 403, 404, 429, 500, 503} {
		srv := httptest.NewServer(echo(status))
		for name, auth := range map[string]vaultkms.Auth{
			"token": vaultkms.Token(token), "file": vaultkms.TokenFile(file(t, token)),
			"approle": vaultkms.AppRole(role, file(t, secret)), "kubernetes": vaultkms.Kubernetes(role, file(t, secret)),
		} {
			k := client(t, srv.URL, auth)
			wrapped := []byte("vault:v1:" + base64.StdEncoding.EncodeToString([]byte("CANARYWRAPPED")))
			_, generated := generateError(t, k)
			_, unwrapped := k.Unwrap(t.Context(), plainKey, wrapped, kms.EncryptionContext{"CANARYNAME": "CANARYVALUE"})
			for _, err := range []error{generated, unwrapped} {
				if err == nil {
					t.Fatalf("%s, %d: no error", name, status)
				}
				shown := fmt.Sprintf("%v %+v %#v", err, err, err)
				if e, ok := errors.AsType[*vaultkms.Error](err); ok {
					shown += fmt.Sprintf("%#v", *e)
				}
				if strings.Contains(shown, "CANARY") || strings.Contains(shown, "plaintext") || strings.Contains(shown, "Q0FOQVJZ") {
					t.Errorf("%s, %d: %s", name, status, shown)
				}
			}
		}
		srv.Close()
	}
}

func generateError(t *testing.T, k kms.Wrapper) (plain []byte, err error) {
	t.Helper()
	plain, _, err = k.Generate(t.Context(), plainKey, kms.EncryptionContext{"CANARYNAME": "CANARYVALUE"})
	return plain, err
}

func TestNothingThatPrintsShowsACredential(t *testing.T) {
	const canary = "CANARYCREDENTIAL"
	type holder struct {
		Auth   vaultkms.Auth
		hidden vaultkms.Auth
	}
	for _, a := range []vaultkms.Auth{
		vaultkms.Token(canary), vaultkms.TokenFile("/run/" + canary), vaultkms.AppRole("id", "").At(canary), vaultkms.Kubernetes("role", ""),
	} {
		k := client(t, "https://vault.example", vaultkms.Token(canary))
		h := holder{a, a}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown := fmt.Sprintf(verb+verb+verb, a, h.Auth, k)
			if name := fmt.Sprint(a); name == "vaultkms.Token" {
				shown += fmt.Sprintf(verb, h) // no Format is called for what is not exported
			}
			if strings.Contains(shown, canary) || strings.Contains(shown, fmt.Sprintf("%x", canary)) || strings.Contains(shown, "67 65 78") {
				t.Errorf("%s shows %s", verb, shown)
			}
		}
	}
}

// seen keeps the bodies of requests, to look at them after the call.
type seen struct {
	http.RoundTripper

	bodies *[]io.ReadCloser
}

func (s seen) RoundTrip(req *http.Request) (*http.Response, error) {
	*s.bodies = append(*s.bodies, req.Body)
	if req.Header.Get("X-Vault-Request") != "true" {
		return nil, errors.New("a call that an agent may refuse")
	}
	return s.RoundTripper.RoundTrip(req)
}

func TestTheBodyOfARequestIsOverWhenItIsClosed(t *testing.T) {
	s := server(t)
	var bodies []io.ReadCloser
	generate(t, root(t, s, vaultkms.WithTransport(seen{http.DefaultTransport, &bodies})), derivedKey)
	n := 0
	for _, b := range bodies {
		if b == http.NoBody {
			continue
		}
		n++
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("after the call a body reads: %v", err)
		}
	}
	if n == 0 {
		t.Error("no request had a body")
	}
}
