package vaultkms

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// A script is a conversation with a server, in plain HTTP. It writes down what
// came back in words that do not depend on the server.
type script struct {
	t       *testing.T
	e       engine
	url     string
	lines   []string
	vars    map[string]string
	clients map[string]string // tokens by name
}

// say makes a call and writes its outcome down. $name in the body stands for what
// was kept, and keep names a member of the answer to keep.
func (s *script) say(name, token, method, namespace, path, body, keep string) {
	s.t.Helper()
	secret := strings.Contains(path, "/datakey/") || strings.Contains(body, "$dk")
	body = os.Expand(body, func(name string) string { return s.vars[name] })
	var in any
	if body != "" {
		in = body
	}
	out := call(s.t, s.url, s.clients[token], method, namespace, path, in)
	line := fmt.Sprintf("%s: %d", name, out.Status)
	switch {
	case out.Auth != nil:
		line += fmt.Sprintf(" auth lease=%v renewable=%v token=%t", out.Auth["lease_duration"], out.Auth["renewable"], out.Auth["client_token"] != "")
	case out.Errors != nil:
		// What follows a colon of the parser is worded by another one.
		line += " " + strings.ReplaceAll(fmt.Sprintf("%q", out.Errors), "failed to decode JSON input: invalid character 'b' looking for beginning of value", "failed to decode JSON input")
	case out.Data != nil:
		line += " data " + fmt.Sprint(slices.Sorted(maps.Keys(out.Data)))
		for _, member := range []string{"key_version", "plaintext"} {
			if v, ok := out.Data[member]; ok && (!secret || member == "key_version") {
				line += fmt.Sprintf(" %s=%v", member, v)
			}
		}
		if text, ok := out.Data["ciphertext"].(string); ok {
			line += " ciphertext=" + text[:strings.LastIndexByte(text, ':')] + fmt.Sprint(" of ", len(text))
		}
	}
	s.lines = append(s.lines, line)
	if from, ok := strings.CutPrefix(keep, "token:"); ok {
		value, _ := out.Auth["client_token"].(string)
		s.clients[from] = value
	} else if keep != "" {
		value, _ := out.Data["ciphertext"].(string)
		s.vars[keep] = value
	}
}

// talk is the conversation.
func talk(t *testing.T, e engine) []string {
	t.Helper()
	url, root := e.where()
	s := &script{
		t: t, e: e, url: url, clients: map[string]string{"root": root, "bad": "s.000000000000000000000000", "": ""},
		vars: map[string]string{"key": base64.StdEncoding.EncodeToString(make([]byte, 32)), "a": "YWFh", "b": "YmJi"},
	}
	post := func(name, path, body, keep string) {
		t.Helper()
		s.say(name, "root", http.MethodPost, "", path, body, keep)
	}
	e.addKey(t, "", "pii", kmstest.VaultKey{})
	e.addKey(t, "", "der", kmstest.VaultKey{Derived: true})
	e.addKey(t, "", "cha", kmstest.VaultKey{Type: "chacha20-poly1305"})
	e.addKey(t, "", "rsa", kmstest.VaultKey{Type: "rsa-2048"})
	e.addKey(t, "", "sig", kmstest.VaultKey{Type: "ed25519"})
	e.addKey(t, "team", "pii", kmstest.VaultKey{})

	for _, k := range []string{"pii", "der", "cha", "rsa", "sig"} {
		post("encrypt with associated data under "+k, "transit/encrypt/"+k, `{"plaintext":"$key","associated_data":"$a","type":"must-exist"}`, k)
	}
	post("encrypt under none", "transit/encrypt/none", `{"plaintext":"$key","associated_data":"$a","type":"must-exist"}`, "")
	post("encrypt under none with a type", "transit/encrypt/made", `{"plaintext":"$key","associated_data":"$a"}`, "made")
	post("decrypt under what was made", "transit/decrypt/made", `{"ciphertext":"$made","associated_data":"$a"}`, "")
	post("encrypt with a context", "transit/encrypt/der", `{"plaintext":"$key","context":"$a"}`, "der")
	post("encrypt with a context under a key that does not derive", "transit/encrypt/pii", `{"plaintext":"$key","context":"$a"}`, "ctx")
	post("decrypt that without", "transit/decrypt/pii", `{"ciphertext":"$ctx"}`, "")
	post("encrypt with both", "transit/encrypt/der", `{"plaintext":"$key","context":"$a","associated_data":"$b"}`, "both")
	post("decrypt with both", "transit/decrypt/der", `{"ciphertext":"$both","context":"$a","associated_data":"$b"}`, "")
	post("decrypt with one", "transit/decrypt/der", `{"ciphertext":"$both","context":"$a"}`, "")
	post("encrypt no plaintext", "transit/encrypt/pii", `{"plaintext":"!"}`, "")
	post("encrypt with wrong associated data", "transit/encrypt/pii", `{"plaintext":"$key","associated_data":"!","type":"must-exist"}`, "")
	post("encrypt with wrong associated data under a key that derives", "transit/encrypt/der", `{"plaintext":"$key","associated_data":"!","type":"must-exist"}`, "")
	post("encrypt with wrong associated data under none", "transit/encrypt/none", `{"plaintext":"$key","associated_data":"!","type":"must-exist"}`, "")
	post("encrypt under a version too new", "transit/encrypt/pii", `{"plaintext":"$key","key_version":9}`, "")
	post("decrypt", "transit/decrypt/pii", `{"ciphertext":"$pii","associated_data":"$a"}`, "")
	post("decrypt with other associated data", "transit/decrypt/pii", `{"ciphertext":"$pii","associated_data":"$b"}`, "")
	post("decrypt with none", "transit/decrypt/pii", `{"ciphertext":"$pii"}`, "")
	post("decrypt with wrong associated data", "transit/decrypt/pii", `{"ciphertext":"$pii","associated_data":"!"}`, "")
	post("decrypt garbage with wrong associated data", "transit/decrypt/pii", `{"ciphertext":"garbage","associated_data":"!"}`, "")
	post("decrypt nothing", "transit/decrypt/pii", `{"ciphertext":"","associated_data":"$a"}`, "")
	for _, text := range []string{
		"garbage", "vault:v9:AAAA", "vault:v1:AAAA", "vault:v1:!!!!", "vault:v1", "vault:vx:AAAA", "vault:v-1:AAAA",
	} {
		post("decrypt "+text, "transit/decrypt/pii", `{"ciphertext":"`+text+`","associated_data":"$a"}`, "")
		post("decrypt "+text+" under a key that derives", "transit/decrypt/der", `{"ciphertext":"`+text+`","associated_data":"$a"}`, "")
		post("rewrap "+text, "transit/rewrap/pii", `{"ciphertext":"`+text+`"}`, "")
	}
	post("decrypt under none", "transit/decrypt/none", `{"ciphertext":"$pii"}`, "")
	post("decrypt under rsa", "transit/decrypt/rsa", `{"ciphertext":"$pii","associated_data":"$a"}`, "")
	post("decrypt with a context", "transit/decrypt/der", `{"ciphertext":"$der","context":"$a"}`, "")
	post("decrypt with another context", "transit/decrypt/der", `{"ciphertext":"$der","context":"$b"}`, "")
	post("decrypt without a context", "transit/decrypt/der", `{"ciphertext":"$der","associated_data":"$a"}`, "")
	post("rewrap with associated data", "transit/rewrap/pii", `{"ciphertext":"$pii","associated_data":"$a"}`, "")
	post("rewrap under none", "transit/rewrap/none", `{"ciphertext":"$pii"}`, "")
	e.rotate(t, "pii")
	e.rotate(t, "der")
	post("rewrap with a context", "transit/rewrap/der", `{"ciphertext":"$der","context":"$a"}`, "der2")
	post("rewrap without a context", "transit/rewrap/der", `{"ciphertext":"$der"}`, "")
	post("decrypt what was rewrapped", "transit/decrypt/der", `{"ciphertext":"$der2","context":"$a"}`, "")
	post("encrypt under the new version", "transit/encrypt/pii", `{"plaintext":"$key","associated_data":"$a"}`, "")
	post("encrypt under the old version", "transit/encrypt/pii", `{"plaintext":"$key","associated_data":"$a","key_version":1}`, "")
	e.minVersions(t, "pii", 1, 2)
	post("encrypt under a version below the minimum", "transit/encrypt/pii", `{"plaintext":"$key","associated_data":"$a","key_version":1}`, "")
	e.minVersions(t, "pii", 2, 2)
	post("decrypt a version below the minimum", "transit/decrypt/pii", `{"ciphertext":"$pii","associated_data":"$a"}`, "")
	post("data key", "transit/datakey/plaintext/pii", `{}`, "")
	post("wrapped data key", "transit/datakey/wrapped/pii", `{}`, "")
	post("data key that derives", "transit/datakey/plaintext/der", `{}`, "")
	post("data key under none", "transit/datakey/plaintext/none", `{}`, "")
	post("data key with associated data", "transit/datakey/wrapped/cha", `{"associated_data":"$a"}`, "dk")
	post("data key with wrong associated data", "transit/datakey/wrapped/cha", `{"associated_data":"!"}`, "")
	post("decrypt that data key without", "transit/decrypt/cha", `{"ciphertext":"$dk"}`, "")
	e.softDelete(t, "cha")
	post("encrypt under a key soft-deleted", "transit/encrypt/cha", `{"plaintext":"$key","associated_data":"$a","type":"must-exist"}`, "")
	post("no JSON", "transit/encrypt/pii", `{bad`, "")
	post("no mount", "nowhere/encrypt/pii", `{"plaintext":"$key"}`, "")
	s.say("a namespace", "root", http.MethodPost, "team", "transit/encrypt/pii", `{"plaintext":"$key"}`, "")
	s.say("no namespace", "root", http.MethodPost, "none", "transit/encrypt/pii", `{"plaintext":"$key"}`, "")
	s.say("no token", "", http.MethodPost, "", "transit/encrypt/pii", `{"plaintext":"$key"}`, "")
	s.say("a bad token", "bad", http.MethodPost, "", "transit/encrypt/pii", `{"plaintext":"$key"}`, "")
	s.say("read a key", "root", http.MethodGet, "", "transit/keys/none", "", "")
	s.say("renew root", "root", http.MethodPost, "", "auth/token/renew-self", `{}`, "")

	s.vars["role"], s.vars["secret"] = e.appRole(t, "seals", time.Minute, time.Hour, "transit/encrypt/pii")
	login := func(name, mount, body, keep string) {
		t.Helper()
		s.say(name, "", http.MethodPost, "", "auth/"+mount+"/login", body, keep)
	}
	login("login", "approle", `{"role_id":"$role","secret_id":"$secret"}`, "token:seals")
	login("login with a wrong secret", "approle", `{"role_id":"$role","secret_id":"x"}`, "")
	login("login without a secret", "approle", `{"role_id":"$role"}`, "")
	login("login with a wrong role", "approle", `{"role_id":"x","secret_id":"$secret"}`, "")
	login("login nowhere", "nowhere", `{"role_id":"x"}`, "")
	own := func(name, method, path, body string) { t.Helper(); s.say(name, "seals", method, "", path, body, "") }
	own("allowed", http.MethodPost, "transit/encrypt/pii", `{"plaintext":"$key","associated_data":"$a"}`)
	own("not allowed", http.MethodPost, "transit/decrypt/pii", `{"ciphertext":"$pii"}`)
	own("not allowed, and not there", http.MethodPost, "transit/encrypt/none", `{"plaintext":"$key"}`)
	own("renew", http.MethodPost, "auth/token/renew-self", `{}`)
	own("revoke", http.MethodPost, "auth/token/revoke-self", `{}`)
	own("after that", http.MethodPost, "transit/encrypt/pii", `{"plaintext":"$key"}`)
	own("renew after that", http.MethodPost, "auth/token/renew-self", `{}`)
	e.seal(t)
	post("sealed", "transit/encrypt/pii", `{"plaintext":"$key"}`, "")
	slices.Sort(s.lines)
	return s.lines
}

func TestTheFakeAnswersAsOpenBaoDoes(t *testing.T) {
	theirs := talk(t, engines()["OpenBao"](t))
	ours := talk(t, engines()["fake"](t))
	for i := range max(len(theirs), len(ours)) {
		if theirs[i] != ours[i] {
			t.Errorf("OpenBao: %s\n   fake: %s", theirs[i], ours[i])
		}
	}
	t.Logf("%d calls", len(theirs))
}
