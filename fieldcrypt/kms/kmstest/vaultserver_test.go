package kmstest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// That the answers are those of a real server, a run of the conformance module
// shows. These are tests of what a test sets up.

func vault(t *testing.T) *kmstest.VaultServer {
	t.Helper()
	s := kmstest.NewVaultServer()
	t.Cleanup(s.Close)
	s.AddKey("transit/keys/pii", kmstest.VaultKey{})
	return s
}

type vaultReply struct {
	status int
	Errors []string       `json:"errors"`
	Data   map[string]any `json:"data"`
	Auth   map[string]any `json:"auth"`
}

// ask calls the server without a network.
func ask(t *testing.T, s *kmstest.VaultServer, token, path string, in map[string]any) vaultReply {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	method := http.MethodPost
	if in == nil {
		method = http.MethodGet
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/v1/"+path, bytes.NewReader(b))
	r.Header.Set("X-Vault-Token", token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	out := vaultReply{status: w.Code}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatalf("%q: %v", w.Body, err)
		}
	}
	return out
}

var vaultPlain = map[string]any{"plaintext": base64.StdEncoding.EncodeToString(make([]byte, 32))}

func answers(t *testing.T, r vaultReply, status int, text string) {
	t.Helper()
	if r.status != status || !strings.Contains(strings.Join(r.Errors, "\n"), text) {
		t.Errorf("answered %d %q, want %d %q", r.status, r.Errors, status, text)
	}
}

func TestATokenOfAVaultServerEnds(t *testing.T) {
	s := vault(t)
	synctest.Test(t, func(t *testing.T) {
		token := s.AddToken(kmstest.VaultToken{TTL: time.Hour, MaxTTL: 90 * time.Minute, Renewable: true})
		try := func(status int) {
			t.Helper()
			if r := ask(t, s, token, "transit/encrypt/pii", vaultPlain); r.status != status {
				t.Errorf("answered %d, want %d", r.status, status)
			}
		}
		try(http.StatusOK)
		<-time.After(50 * time.Minute)
		r := ask(t, s, token, "auth/token/renew-self", map[string]any{})
		if lease, ok := r.Auth["lease_duration"].(float64); !ok || lease != 40*60 {
			t.Errorf("renewed for %v s, want what is left of the maximum", r.Auth["lease_duration"])
		}
		<-time.After(39 * time.Minute)
		try(http.StatusOK)
		<-time.After(time.Minute)
		try(http.StatusForbidden)
		answers(t, ask(t, s, token, "auth/token/lookup-self", nil), http.StatusForbidden, "permission denied")
	})
}

func TestATokenOfAVaultServerMayDoWhatItIsAllowed(t *testing.T) {
	s := vault(t)
	token := s.AddToken(kmstest.VaultToken{Allow: []string{"transit/encrypt/pii", "transit/encrypt/new"}})
	answers(t, ask(t, s, token, "transit/encrypt/pii", vaultPlain), http.StatusOK, "")
	answers(t, ask(t, s, token, "transit/encrypt/new", vaultPlain), http.StatusForbidden, "permission denied")
	answers(t, ask(t, s, token, "transit/decrypt/pii", vaultPlain), http.StatusForbidden, "permission denied")
	answers(t, ask(t, s, token, "auth/token/renew-self", map[string]any{}), http.StatusBadRequest, "not renewable")
	answers(t, ask(t, s, s.RootToken, "transit/encrypt/new", vaultPlain), http.StatusOK, "")
	s.RevokeToken(token)
	answers(t, ask(t, s, token, "transit/encrypt/pii", vaultPlain), http.StatusForbidden, "permission denied")
}

func TestLoginsAtAVaultServer(t *testing.T) {
	s := vault(t)
	s.AddAppRole("approle", "role", "secret", kmstest.VaultToken{TTL: time.Minute})
	s.AddKubernetesRole("k8s/eu", "producer", "jwt", kmstest.VaultToken{})
	for _, tt := range []struct {
		mount  string
		in     map[string]any
		status int
		text   string
	}{
		{"approle", map[string]any{"role_id": "role", "secret_id": "secret"}, 200, ""},
		{"approle", map[string]any{"role_id": "role", "secret_id": "x"}, 400, "invalid role or secret ID"},
		{"approle", map[string]any{"role_id": "role"}, 400, "missing secret_id"},
		{"approle", map[string]any{"role": "producer", "jwt": "jwt"}, 400, "invalid role or secret ID"},
		{"k8s/eu", map[string]any{"role": "producer", "jwt": "jwt"}, 200, ""},
		{"k8s/eu", map[string]any{"role": "producer", "jwt": "x"}, 403, "permission denied"},
		{"k8s/eu", map[string]any{"role": "x", "jwt": "jwt"}, 400, "invalid role name"},
		{"nowhere", map[string]any{"role_id": "role", "secret_id": "secret"}, 403, "permission denied"},
	} {
		r := ask(t, s, "", "auth/"+tt.mount+"/login", tt.in)
		answers(t, r, tt.status, tt.text)
		token, ok := r.Auth["client_token"].(string)
		if ok != (tt.status == http.StatusOK) {
			t.Errorf("%v: token %q", tt.in, token)
		}
		if ok {
			answers(t, ask(t, s, token, "transit/encrypt/pii", vaultPlain), http.StatusOK, "")
		}
	}
	s.RemoveLogins("approle")
	answers(t, ask(t, s, "", "auth/approle/login", map[string]any{"role_id": "role", "secret_id": "secret"}), http.StatusForbidden, "permission denied")
}

func TestKeysOfAVaultServerCanBeChanged(t *testing.T) {
	s := vault(t)
	seal := func() any {
		t.Helper()
		return ask(t, s, s.RootToken, "transit/encrypt/pii", vaultPlain).Data["ciphertext"]
	}
	open := func(text any) vaultReply {
		t.Helper()
		return ask(t, s, s.RootToken, "transit/decrypt/pii", map[string]any{"ciphertext": text})
	}
	first := seal()
	s.RotateKey("transit/keys/pii")
	second := seal()
	if !strings.HasPrefix(fmt.Sprint(first), "vault:v1:") || !strings.HasPrefix(fmt.Sprint(second), "vault:v2:") {
		t.Errorf("%v, %v", first, second)
	}
	answers(t, open(first), http.StatusOK, "")
	s.SetMinVersions("transit/keys/pii", 2, 2)
	answers(t, open(first), http.StatusBadRequest, "too old")
	answers(t, open(second), http.StatusOK, "")
	if keys, ok := ask(t, s, s.RootToken, "transit/keys/pii", nil).Data["keys"].(map[string]any); !ok || len(keys) != 1 {
		t.Errorf("the key shows %v", keys)
	}
	s.SoftDeleteKey("transit/keys/pii", true)
	answers(t, open(second), http.StatusBadRequest, "soft-deleted")
	s.SoftDeleteKey("transit/keys/pii", false)
	answers(t, open(second), http.StatusOK, "")
	s.DeleteKey("transit/keys/pii")
	answers(t, open(second), http.StatusBadRequest, "encryption key not found")
	s.AddKey("transit/keys/pii", kmstest.VaultKey{})
	answers(t, open(seal()), http.StatusOK, "")
	answers(t, open(second), http.StatusBadRequest, "version is too new")
	s.Seal(true)
	answers(t, open(second), http.StatusServiceUnavailable, "sealed")
	s.Seal(false)
	answers(t, open(seal()), http.StatusOK, "")
}

func TestAKeyThatIsNotThereIsAMistakeOfTheTest(t *testing.T) {
	s := vault(t)
	for name, f := range map[string]func(){
		"RotateKey": func() { s.RotateKey("x/keys/y") }, "DeleteKey": func() { s.DeleteKey("x/keys/y") },
		"SetMinVersions": func() { s.SetMinVersions("x/keys/y", 1, 1) }, "SoftDeleteKey": func() { s.SoftDeleteKey("x/keys/y", true) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
	answers(t, ask(t, s, s.RootToken, "transit/encrypt/pii", vaultPlain), http.StatusOK, "")
}

func TestFaultsOfAVaultServer(t *testing.T) {
	s := vault(t)
	post := func() (*http.Response, error) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/transit/encrypt/pii", strings.NewReader(`{"plaintext":"AAAA"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Vault-Token", s.RootToken)
		return http.DefaultTransport.RoundTrip(r)
	}
	for _, tt := range []struct {
		name   string
		fault  kmstest.VaultFault
		status int    // zero for no answer
		body   string // a part of it
		cut    bool
	}{
		{"none", kmstest.VaultFault{Op: "decrypt", Status: 500}, 200, "vault:v1:", false},
		{"a status", kmstest.VaultFault{Status: 429, Errors: []string{"slow down"}}, 429, `{"errors":["slow down"]}`, false},
		{"a status alone", kmstest.VaultFault{Op: "encrypt", Status: 472}, 472, `{"errors":[]}`, false},
		{"a redirect", kmstest.VaultFault{Status: 307, Location: "https://other.example"}, 307, "", false},
		{"a body", kmstest.VaultFault{Body: []byte("odd")}, 200, "odd", false},
		{"a body with a status", kmstest.VaultFault{Body: []byte("odd"), Status: 502}, 502, "odd", false},
		{"cut", kmstest.VaultFault{Cut: true}, 0, "", false},
		{"cut in the middle", kmstest.VaultFault{CutBody: true}, 200, `{"auth`, true},
		{"oversized", kmstest.VaultFault{Oversized: 1000}, 200, strings.Repeat("x", 1000), false},
		{"an empty ciphertext", kmstest.VaultFault{Answer: kmstest.EmptyWrapped}, 200, `"ciphertext":""`, false},
		{"late", kmstest.VaultFault{Delay: time.Millisecond}, 200, "vault:v1:", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Times = 1
			s.Fault(tt.fault)
			defer s.ClearFaults()
			res, err := post()
			if (err != nil) != (tt.status == 0) {
				t.Fatalf("err = %v", err)
			}
			if err != nil {
				return
			}
			body, err := io.ReadAll(res.Body)
			if (err != nil) != tt.cut {
				t.Errorf("the body ends with %v", err)
			}
			if err := res.Body.Close(); err != nil {
				t.Error(err)
			}
			if res.StatusCode != tt.status || !strings.Contains(string(body), tt.body) || res.Header.Get("Location") != tt.fault.Location {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	// Times was 1 for each, and one is over.
	s.Fault(kmstest.VaultFault{Status: 500, Times: 1})
	for _, want := range []int{500, 200} {
		res, err := post()
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != want {
			t.Errorf("status %d, want %d, %v", res.StatusCode, want, err)
		}
	}
}

func TestAVaultServerCountsItsCalls(t *testing.T) {
	s := vault(t)
	ask(t, s, s.RootToken, "transit/encrypt/pii", vaultPlain)
	ask(t, s, "x", "transit/decrypt/pii", vaultPlain)
	ask(t, s, "x", "sys/mounts", nil)
	ask(t, s, "", "sys/health", nil)
	if s.Calls("encrypt") != 1 || s.Calls("decrypt") != 1 || s.Calls("health") != 1 || s.Calls("") != 1 {
		t.Errorf("%+v", s.Requests())
	}
	want := kmstest.VaultRequest{Op: "encrypt", Path: "transit/encrypt/pii", Token: s.RootToken}
	if got := s.Requests(); len(got) != 4 || got[0] != want {
		t.Errorf("%+v", got)
	}
	for range 1100 {
		ask(t, s, "", "sys/health", nil)
	}
	if got := s.Requests(); len(got) != 1024 || got[0].Op != "health" {
		t.Errorf("%d requests are remembered", len(got))
	}
}

func TestAVaultServerReadsSixtyFourKilobytes(t *testing.T) {
	s := vault(t)
	r := ask(t, s, s.RootToken, "transit/encrypt/pii", map[string]any{"plaintext": strings.Repeat("A", 64<<10)})
	answers(t, r, http.StatusRequestEntityTooLarge, "too large")
}

func ExampleVaultServer() {
	s := kmstest.NewVaultServer()
	defer s.Close()
	s.AddKey("transit/keys/pii", kmstest.VaultKey{Derived: true})
	s.AddAppRole("approle", "role-id", "secret-id", kmstest.VaultToken{TTL: time.Hour, Renewable: true})
	s.Fault(kmstest.VaultFault{Op: "encrypt", Times: 1, Status: http.StatusTooManyRequests})

	res, err := http.Get(s.URL + "/v1/sys/health")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	fmt.Println(res.StatusCode, s.Calls("health"))
	// Output: 200 1
}
