package kmstest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

const azureVault = "pii.vault.azure.net"

// An azureCaller makes calls as the documentation of Azure has them.
type azureCaller struct {
	client *http.Client
	token  string
}

func azureCallerOf(s *kmstest.AzureServer) *azureCaller {
	token, _ := s.Token("https://vault.azure.net")
	return &azureCaller{client: s.Client(), token: token}
}

// call returns what a call answers, and the status and codes of its error.
func (c *azureCaller) call(t *testing.T, method, at string, in any) (out map[string]any, header http.Header, code string) {
	t.Helper()
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, at, body)
	if err != nil {
		t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatalf("%s answers no JSON: %v", at, err)
	}
	if res.Header.Get("X-Ms-Request-Id") == "" {
		t.Errorf("%s answers without a request id", at)
	}
	if res.StatusCode == http.StatusOK {
		return out, res.Header, ""
	}
	code = fmt.Sprint(res.StatusCode)
	if fault, ok := out["error"].(map[string]any); ok {
		code += fmt.Sprint(" ", fault["code"])
		if inner, ok := fault["innererror"].(map[string]any); ok {
			code += fmt.Sprint(" ", inner["code"])
		}
	}
	return nil, res.Header, code
}

func text(t *testing.T, out map[string]any, member string) string {
	t.Helper()
	s, ok := out[member].(string)
	if !ok {
		t.Fatalf("%v has no %s", out, member)
	}
	return s
}

func azureKey(vault, path string) string {
	return "https://" + vault + "/keys/" + path + "?api-version=7.4"
}

func wrapping(value []byte) map[string]string {
	return map[string]string{"alg": "RSA-OAEP-256", "value": base64.RawURLEncoding.EncodeToString(value)}
}

func TestAzureServerWrapsAndUnwraps(t *testing.T) {
	s := kmstest.NewAzureServer()
	defer s.Close()
	v1 := s.AddKey(azureVault, "customers", kmstest.AzureRSA)
	v2 := s.AddKey(azureVault, "customers", kmstest.AzureRSA3k)
	c := azureCallerOf(s)
	value := bytes.Repeat([]byte{7}, 32)
	for path, version := range map[string]string{
		"customers/wrapkey": v2, "customers//wrapkey": v2, "customers/" + v1 + "/wrapkey": v1, "CUSTOMERS/" + v2 + "/wrapkey": v2,
	} {
		out, _, code := c.call(t, http.MethodPost, azureKey(azureVault, path), wrapping(value))
		if code != "" || text(t, out, "kid") != "https://"+azureVault+"/keys/customers/"+version {
			t.Errorf("%s: %v %s", path, out, code)
			continue
		}
		in := map[string]string{"alg": "RSA-OAEP-256", "value": text(t, out, "value")}
		out, _, code = c.call(t, http.MethodPost, azureKey(azureVault, "customers/"+version+"/unwrapkey"), in)
		if code != "" || text(t, out, "value") != base64.RawURLEncoding.EncodeToString(value) {
			t.Errorf("%s back: %v %s", path, out, code)
		}
		other := map[string]string{v1: v2, v2: v1}[version]
		if _, _, code = c.call(t, http.MethodPost, azureKey(azureVault, "customers/"+other+"/unwrapkey"), in); code != "400 BadParameter" {
			t.Errorf("under the other version: %s", code)
		}
	}
}

// What the public part of a key wraps here, the server unwraps: its keys are real.
func TestAzureServerShowsThePublicPart(t *testing.T) {
	s := kmstest.NewAzureServer()
	defer s.Close()
	s.AddKey(azureVault, "customers", kmstest.AzureRSA)
	c := azureCallerOf(s)
	out, _, code := c.call(t, http.MethodGet, azureKey(azureVault, "customers"), nil)
	if code != "" {
		t.Fatal(code)
	}
	key, ok := out["key"].(map[string]any)
	if !ok {
		t.Fatalf("%v", out)
	}
	n, err := base64.RawURLEncoding.DecodeString(text(t, key, "n"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := base64.RawURLEncoding.DecodeString(text(t, key, "e"))
	if err != nil {
		t.Fatal(err)
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	value := bytes.Repeat([]byte{9}, 32)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, value, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, _, code = c.call(t, http.MethodPost, azureKey(azureVault, "customers/unwrapkey"), wrapping(wrapped))
	if code != "" || text(t, out, "value") != base64.RawURLEncoding.EncodeToString(value) {
		t.Errorf("%v %s", out, code)
	}
}

func TestAzureServerChallenges(t *testing.T) {
	s := kmstest.NewAzureServer("vault.example.net")
	defer s.Close()
	hsm, _ := s.Token("https://managedhsm.azure.net")
	for name, tt := range map[string]struct{ host, token, challenge string }{
		"no token":             {azureVault, "", `resource="https://vault.azure.net"`},
		"no token for an HSM":  {"pii.managedhsm.azure.net", "", `resource="https://managedhsm.azure.net"`},
		"no token for another": {"pii.vault.example.net", "", `resource="https://vault.example.net"`},
		"a token of nobody":    {azureVault, "x", `error="invalid_token"`},
		"another audience":     {azureVault, hsm, `resource="https://vault.azure.net"`},
	} {
		c := &azureCaller{client: s.Client(), token: tt.token}
		_, header, code := c.call(t, http.MethodPost, azureKey(tt.host, "customers/wrapkey"), wrapping([]byte("x")))
		challenge := header.Get("WWW-Authenticate")
		if code != "401 Unauthorized" || !strings.Contains(challenge, tt.challenge) ||
			!strings.HasPrefix(challenge, `Bearer authorization="https://login.microsoftonline.com/`+kmstest.AzureTenant+`", `) {
			t.Errorf("%s: %s, %s", name, code, challenge)
		}
	}
	c := azureCallerOf(s)
	s.RevokeTokens()
	if _, _, code := c.call(t, http.MethodGet, azureKey(azureVault, "customers"), nil); code != "401 Unauthorized" {
		t.Errorf("a token that was revoked: %s", code)
	}
}

func TestAzureServerRefuses(t *testing.T) {
	s := kmstest.NewAzureServer()
	defer s.Close()
	s.AddKey(azureVault, "customers", kmstest.AzureRSA)
	s.AddKey(azureVault, "curve", kmstest.AzureEC)
	s.AddKey(azureVault, "aes", kmstest.AzureOctHSM)
	for name, a := range map[string]kmstest.AzureAttributes{
		"disabled": {Disabled: true}, "expired": {Expires: time.Now().Add(-time.Hour)}, "early": {NotBefore: time.Now().Add(time.Hour)},
	} {
		s.AddKey(azureVault, name, kmstest.AzureRSA)
		s.SetAttributes(azureVault, name, "", a)
	}
	c := azureCallerOf(s)
	sound := wrapping(bytes.Repeat([]byte{7}, 32))
	at := func(path string) string { return azureKey(azureVault, path) }
	for name, tt := range map[string]struct {
		method, url string
		in          any
		code        string
	}{
		"no such key":              {http.MethodPost, at("none/wrapkey"), sound, "404 KeyNotFound"},
		"no such version":          {http.MethodPost, at("customers/00/wrapkey"), sound, "404 KeyNotFound"},
		"a key of another vault":   {http.MethodPost, azureKey("other.vault.azure.net", "customers/wrapkey"), sound, "404 KeyNotFound"},
		"no such operation":        {http.MethodPost, at("customers/explode"), sound, "404 NotFound"},
		"another path":             {http.MethodPost, "https://" + azureVault + "/secrets/x?api-version=7.4", sound, "404 NotFound"},
		"another method":           {http.MethodPut, at("customers/wrapkey"), sound, "404 NotFound"},
		"no version of the API":    {http.MethodPost, "https://" + azureVault + "/keys/customers/wrapkey", sound, "400 BadParameter"},
		"no JSON":                  {http.MethodPost, at("customers/wrapkey"), "x", "400 BadParameter"},
		"no value":                 {http.MethodPost, at("customers/wrapkey"), wrapping(nil), "400 BadParameter"},
		"a value that is too long": {http.MethodPost, at("customers/wrapkey"), wrapping(make([]byte, 200)), "400 BadParameter"},
		"a value of no base64":     {http.MethodPost, at("customers/wrapkey"), map[string]string{"alg": "RSA-OAEP-256", "value": "!"}, "400 BadParameter"},
		"another algorithm":        {http.MethodPost, at("customers/wrapkey"), map[string]string{"alg": "RSA1_5", "value": "AAAA"}, "400 BadParameter"},
		"RSA with an AES key":      {http.MethodPost, at("aes/wrapkey"), sound, "400 BadParameter"},
		"what does not open":       {http.MethodPost, at("customers/unwrapkey"), wrapping(make([]byte, 256)), "400 BadParameter"},
		"a curve":                  {http.MethodPost, at("curve/wrapkey"), sound, "403 Forbidden KeyOperationForbidden"},
		"a disabled key":           {http.MethodPost, at("disabled/wrapkey"), sound, "403 Forbidden KeyDisabled"},
		"a disabled key, back":     {http.MethodPost, at("disabled/unwrapkey"), sound, "403 Forbidden KeyDisabled"},
		"an expired key":           {http.MethodPost, at("expired/wrapkey"), sound, "403 Forbidden KeyExpired"},
		"an expired key, back":     {http.MethodPost, at("expired/unwrapkey"), sound, "400 BadParameter"}, // it tries
		"an early key":             {http.MethodPost, at("early/wrapkey"), sound, "403 Forbidden KeyNotYetValid"},
	} {
		if _, _, code := c.call(t, tt.method, tt.url, tt.in); code != tt.code {
			t.Errorf("%s: %s, want %s", name, code, tt.code)
		}
	}
	s.DeleteKey(azureVault, "customers")
	if _, _, code := c.call(t, http.MethodPost, at("customers/wrapkey"), sound); code != "404 KeyNotFound" {
		t.Errorf("a deleted key: %s", code)
	}
}

func TestAzureServerHandsOutTokens(t *testing.T) {
	s := kmstest.NewAzureServer()
	defer s.Close()
	s.AddKey(azureVault, "customers", kmstest.AzureRSA)
	s.RequireClient("app", "secret")
	ask := func(form url.Values) map[string]any {
		res, err := s.Client().PostForm("https://login.microsoftonline.com/"+kmstest.AzureTenant+"/oauth2/v2.0/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var out map[string]any
		if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	sound := func() url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"}, "scope": {"https://vault.azure.net/.default openid"}}
	}
	for name, change := range map[string][3]string{
		"another grant": {"grant_type", "password", "unsupported_grant_type"}, "another secret": {"client_secret", "x", "invalid_client"},
		"another application": {"client_id", "x", "invalid_client"}, "no scope": {"scope", "openid", "invalid_scope"},
	} {
		form := sound()
		form.Set(change[0], change[1])
		if out := ask(form); out["error"] != change[2] || out["access_token"] != nil {
			t.Errorf("%s: %v", name, out)
		}
	}
	c := &azureCaller{client: s.Client(), token: text(t, ask(sound()), "access_token")}
	if _, _, code := c.call(t, http.MethodPost, azureKey(azureVault, "customers/wrapkey"), wrapping([]byte("x"))); code != "" {
		t.Errorf("with the token: %s", code)
	}
	if s.Calls("token") != 5 {
		t.Errorf("%d calls for tokens", s.Calls("token"))
	}
}

func TestAzureServerFails(t *testing.T) {
	s := kmstest.NewAzureServer()
	defer s.Close()
	version := s.AddKey(azureVault, "customers", kmstest.AzureRSA)
	c := azureCallerOf(s)
	at, sound := azureKey(azureVault, "customers/wrapkey"), wrapping([]byte("x"))
	s.Fault(kmstest.AzureFault{Op: "unwrapkey", Code: "Throttled"})
	s.Fault(kmstest.AzureFault{Op: "wrapkey", Times: 1})
	s.Fault(kmstest.AzureFault{Op: "wrapkey", Times: 2, Code: "Throttled", Reason: "VaultRequestTypeLimitReached", RetryAfter: 3 * time.Second})
	if _, _, code := c.call(t, http.MethodPost, at, sound); code != "" {
		t.Errorf("the fault without a part: %s", code)
	}
	for range 2 {
		if _, header, code := c.call(t, http.MethodPost, at, sound); code != "429 Throttled VaultRequestTypeLimitReached" || header.Get("Retry-After") != "3" {
			t.Errorf("%s, %q", code, header)
		}
	}
	s.Fault(kmstest.AzureFault{Op: "wrapkey", Times: 1, KeyID: "x"})
	if out, _, _ := c.call(t, http.MethodPost, at, sound); text(t, out, "kid") != "x" {
		t.Errorf("another key: %v", out)
	}
	s.Fault(kmstest.AzureFault{Op: "wrapkey", Times: 1, Answer: kmstest.EmptyWrapped})
	if out, _, _ := c.call(t, http.MethodPost, at, sound); text(t, out, "value") != "" {
		t.Errorf("no value: %v", out)
	}
	s.Fault(kmstest.AzureFault{Host: "other.vault.azure.net", Code: "Forbidden", Status: 403})
	if _, _, code := c.call(t, http.MethodPost, at, sound); code != "" {
		t.Errorf("a fault of another host: %s", code)
	}
	s.ClearFaults()
	if _, _, code := c.call(t, http.MethodPost, azureKey(azureVault, "customers/unwrapkey"), sound); code != "400 BadParameter" {
		t.Errorf("after ClearFaults: %s", code)
	}
	requests := s.Requests()
	last := requests[len(requests)-1]
	if last != (kmstest.AzureRequest{Op: "unwrapkey", Host: azureVault, Key: "customers", Algorithm: "RSA-OAEP-256"}) || len(version) != 32 {
		t.Errorf("%+v", last)
	}
	if n := s.Calls("wrapkey"); n != 6 {
		t.Errorf("%d calls", n)
	}
}

func TestAzureServerPanicsAtAMistakeOfATest(t *testing.T) {
	s := kmstest.NewAzureServer()
	defer s.Close()
	for name, mistake := range map[string]func(){
		"no such key":  func() { s.SetAttributes(azureVault, "none", "", kmstest.AzureAttributes{}) },
		"no such type": func() { s.AddKey(azureVault, "x", "DSA") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mistake()
		}()
	}
}
