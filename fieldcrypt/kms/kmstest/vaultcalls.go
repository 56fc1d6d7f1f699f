package kmstest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/internal/aead"
)

const vaultMaxBody = 64 << 10

// A vaultInput has the parameters of all operations.
type vaultInput struct {
	Plaintext      string `json:"plaintext"`
	Ciphertext     string `json:"ciphertext"`
	Context        string `json:"context"`
	AssociatedData string `json:"associated_data"`
	KeyVersion     int    `json:"key_version"`
	Type           string `json:"type"`

	RoleID   string `json:"role_id"`
	SecretID string `json:"secret_id"`
	Role     string `json:"role"`
	JWT      string `json:"jwt"`

	context []byte // decoded
}

// A vaultAnswer is what a call answers before a fault changes it. One without
// data and auth has no body.
type vaultAnswer struct {
	plain   []byte
	wrapped string
	data    map[string]any
	auth    map[string]any
}

// A vaultCall is a call on its way.
type vaultCall struct {
	VaultRequest

	mount, name string // of transit, or of a login the mount
	in          vaultInput
}

// ServeHTTP answers one call.
func (s *VaultServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := vaultCall{VaultRequest: VaultRequest{Namespace: strings.Trim(r.Header.Get("X-Vault-Namespace"), "/"), Token: r.Header.Get("X-Vault-Token")}}
	c.Path = strings.TrimPrefix(r.URL.Path, "/v1/")
	c.route(r.Method)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, vaultMaxBody))
	s.record(c.VaultRequest)
	fault := s.takeFault(c.Op)
	if fault.before(w, r, s.done) {
		return
	}
	if err != nil {
		refuseVault(w, &vaultError{http.StatusRequestEntityTooLarge, "request body too large"})
		return
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &c.in); err != nil {
			refuseVault(w, badRequest("failed to decode JSON input"))
			return
		}
	}
	s.mu.Lock()
	out, failed := s.run(&c)
	s.mu.Unlock()
	if failed != nil {
		refuseVault(w, failed)
		return
	}
	fault.answer(w, out)
}

// route tells what a call is. A transit engine may be anywhere.
func (c *vaultCall) route(method string) {
	full := c.Path
	if c.Namespace != "" {
		full = c.Namespace + "/" + c.Path
	}
	if full == "sys/health" {
		c.Op = "health"
		return
	}
	if rest, ok := strings.CutPrefix(c.Path, "auth/token/"); ok {
		if slices.Contains([]string{"renew-self", "lookup-self", "revoke-self"}, rest) {
			c.Op = rest
		}
		return
	}
	if rest, ok := strings.CutPrefix(c.Path, "auth/"); ok {
		if mount, login := strings.CutSuffix(rest, "/login"); login && method == http.MethodPost {
			c.Op, c.mount = "login", mount
		}
		return
	}
	part := strings.Split(full, "/")
	const afterMount = 2 // the operation and the name
	if len(part) <= afterMount {
		return
	}
	op, name := part[len(part)-2], part[len(part)-1]
	mount := strings.Join(part[:len(part)-2], "/")
	switch {
	case op == "keys" && method == http.MethodGet:
		c.Op, c.mount, c.name = op, mount, name
	case method != http.MethodPost && method != http.MethodPut:
	case op == "encrypt" || op == "decrypt" || op == "rewrap":
		c.Op, c.mount, c.name = op, mount, name
	case (op == "plaintext" || op == "wrapped") && strings.HasSuffix(mount, "/datakey"):
		c.Op, c.mount, c.name = "datakey", strings.TrimSuffix(mount, "/datakey"), name
	}
}

// run answers a call. The caller holds mu.
func (s *VaultServer) run(c *vaultCall) (*vaultAnswer, *vaultError) {
	denied := &vaultError{http.StatusForbidden, "permission denied"}
	switch {
	case s.sealed:
		return nil, &vaultError{http.StatusServiceUnavailable, "Vault is sealed"}
	case c.Op == "health":
		return &vaultAnswer{data: map[string]any{"initialized": true, "sealed": false, "standby": false, "version": "2.7.2"}}, nil
	case c.Op == "login":
		return s.login(c)
	}
	t, now := s.tokens[c.Token], time.Now()
	if t == nil || !t.expires.IsZero() && !now.Before(t.expires) {
		return nil, denied
	}
	if strings.HasPrefix(c.Path, "auth/token/") {
		return s.ownToken(c, t, now)
	}
	if c.Namespace != "" && !s.isNamespace(c.Namespace) {
		return nil, &vaultError{http.StatusNotFound, "namespace not found"}
	}
	full := c.Path
	if c.Namespace != "" {
		full = c.Namespace + "/" + c.Path
	}
	k, missing := s.keys[c.mount+"/keys/"+c.name], false
	if k == nil {
		missing = true
	}
	if t.Allow != nil && (!slices.Contains(t.Allow, full) || missing && c.Op == "encrypt") {
		return nil, &vaultError{http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n"}
	}
	if c.Op == "" || !s.isMount(c.mount) {
		return nil, &vaultError{http.StatusNotFound, "no handler for route " + strconv.Quote(full) + ". route entry not found."}
	}
	if s.old {
		c.in.AssociatedData = ""
	}
	return s.transit(c, k)
}

func (s *VaultServer) isNamespace(name string) bool {
	for key := range maps.Keys(s.keys) {
		if strings.HasPrefix(key, name+"/") && !strings.HasPrefix(key, name+"/keys/") {
			return true
		}
	}
	return false
}

// login makes a token for a credential.
func (s *VaultServer) login(c *vaultCall) (*vaultAnswer, *vaultError) {
	roles, ok := s.logins[c.mount]
	if !ok {
		return nil, &vaultError{http.StatusForbidden, "permission denied"}
	}
	for _, l := range roles {
		switch {
		case l.kubernetes && c.in.Role == l.role && c.in.JWT == l.credential,
			!l.kubernetes && c.in.RoleID == l.role && c.in.SecretID == l.credential:
			value := s.addToken(l.token)
			return &vaultAnswer{auth: s.authOf(value, s.tokens[value], time.Now())}, nil
		case l.kubernetes && c.in.Role == l.role:
			return nil, &vaultError{http.StatusForbidden, "permission denied"}
		case !l.kubernetes && c.in.RoleID == l.role && c.in.SecretID == "":
			return nil, badRequest("missing secret_id")
		}
	}
	if roles[0].kubernetes {
		return nil, badRequest("invalid role name " + strconv.Quote(c.in.Role))
	}
	return nil, badRequest("invalid role or secret ID")
}

// ownToken answers what a token asks about itself.
func (s *VaultServer) ownToken(c *vaultCall, t *vaultToken, now time.Time) (*vaultAnswer, *vaultError) {
	switch c.Op {
	case "lookup-self":
		return &vaultAnswer{data: map[string]any{"id": c.Token, "ttl": t.left(now), "renewable": t.Renewable, "policies": []string{"default"}}}, nil
	case "revoke-self":
		delete(s.tokens, c.Token)
		return &vaultAnswer{}, nil
	case "renew-self":
		if !t.Renewable {
			return nil, badRequest("lease is not renewable")
		}
		t.extend(now)
		return &vaultAnswer{auth: s.authOf(c.Token, t, now)}, nil
	}
	return nil, &vaultError{http.StatusMethodNotAllowed, "1 error occurred:\n\t* unsupported operation\n\n"}
}

func (s *VaultServer) authOf(value string, t *vaultToken, now time.Time) map[string]any {
	return map[string]any{
		"client_token": value, "accessor": uuid(), "policies": []string{"default"}, "token_policies": []string{"default"},
		"metadata": nil, "lease_duration": t.left(now), "renewable": t.Renewable, "entity_id": "", "token_type": "service",
		"orphan": true, "num_uses": 0,
	}
}

// transit answers a call of a transit engine. k may be nil.
func (s *VaultServer) transit(c *vaultCall, k *vaultKey) (*vaultAnswer, *vaultError) {
	in := &c.in
	if c.Op == "keys" {
		if k == nil {
			return nil, &vaultError{http.StatusNotFound, ""}
		}
		return &vaultAnswer{data: k.describe(c.name)}, nil
	}
	var err error
	if in.context, err = base64.StdEncoding.DecodeString(in.Context); err != nil {
		return nil, badRequest(err.Error())
	}
	if in.Ciphertext == "" && (c.Op == "decrypt" || c.Op == "rewrap") {
		return nil, badRequest("missing ciphertext to decrypt")
	}
	if k == nil {
		if c.Op != "encrypt" {
			return nil, badRequest("encryption key not found")
		}
		if in.Type == "" {
			in.Type = vaultDefaultType
		}
		if !knownType(in.Type) {
			return nil, badRequest("unknown key type " + in.Type)
		}
		k = newVaultKey(VaultKey{Type: in.Type, Derived: len(in.context) > 0})
		s.keys[c.mount+"/keys/"+c.name] = k
	}
	if failed := k.usable(in); failed != nil {
		return nil, failed
	}
	switch c.Op {
	case "encrypt":
		plain, err := base64.StdEncoding.DecodeString(in.Plaintext)
		if err != nil {
			return nil, badRequest(err.Error())
		}
		return k.answer(in, plain, in.AssociatedData)
	case "decrypt":
		plain, failed := k.decrypt(in.Ciphertext, in.context, in.AssociatedData)
		if failed != nil {
			return nil, failed
		}
		return &vaultAnswer{plain: plain, data: map[string]any{}}, nil
	case "rewrap":
		// It has no parameter for associated data, and ignores what it does not know.
		plain, failed := k.decrypt(in.Ciphertext, in.context, "")
		if failed != nil {
			return nil, failed
		}
		return k.answer(in, plain, "")
	default: // datakey
		plain := random(aead.KeySize)
		out, failed := k.answer(in, plain, in.AssociatedData)
		if failed == nil && strings.Contains(c.Path, "/datakey/plaintext/") {
			out.plain = plain
		}
		return out, failed
	}
}

// answer encrypts what goes out.
func (k *vaultKey) answer(in *vaultInput, plain []byte, aad string) (*vaultAnswer, *vaultError) {
	text, version, failed := k.encrypt(plain, in.KeyVersion, in.context, aad)
	if failed != nil {
		return nil, failed
	}
	return &vaultAnswer{wrapped: text, data: map[string]any{"key_version": version}}, nil
}

// describe is what reading a key answers.
func (k *vaultKey) describe(name string) map[string]any {
	versions := map[string]int64{}
	for i := range k.versions {
		if i+1 >= k.minDecryption {
			const made = 1735689600 // 2025-01-01
			versions[strconv.Itoa(i+1)] = made
		}
	}
	return map[string]any{
		"name": name, "type": k.kind, "derived": k.derived, "keys": versions, "latest_version": len(k.versions),
		"min_decryption_version": k.minDecryption, "min_encryption_version": k.minEncryption, "soft_deleted": k.softDeleted,
		"min_available_version": 0, "exportable": false, "deletion_allowed": false, "allow_plaintext_backup": false,
		"supports_encryption": isAEAD(k.kind), "supports_decryption": isAEAD(k.kind), "supports_derivation": isAEAD(k.kind), "supports_signing": false,
		"auto_rotate_period": 0, "imported_key": false,
	}
}

// refuseVault answers with an error.
func refuseVault(w http.ResponseWriter, e *vaultError) {
	messages := []string{}
	if e.message != "" {
		messages = append(messages, e.message)
	}
	writeVault(w, e.status, mustJSON(map[string]any{"errors": messages}))
}

func writeVault(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}
