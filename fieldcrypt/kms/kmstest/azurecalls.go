package kmstest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// azureMaxBody bounds a request.
const azureMaxBody = 64 << 10

// An azureInput is the body of an operation.
type azureInput struct {
	Algorithm string `json:"alg"`
	Value     string `json:"value"`
}

// An azureError is an error of Key Vault.
type azureError struct {
	status                int
	code, reason, message string
	challenge             string
	retryAfter            time.Duration
}

// An azureAnswer is what a call answers before a fault changes it.
type azureAnswer struct {
	value   []byte
	plain   bool // value is one in clear
	members map[string]any
}

// ServeHTTP answers one call.
func (s *AzureServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	if host == azureLogin {
		s.serveLogin(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, azureMaxBody))
	if err != nil {
		s.record(AzureRequest{Host: host})
		refuseAzure(w, &azureError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLarge"})
		return
	}
	op, key, version, ok := azurePath(r)
	if !ok {
		s.record(AzureRequest{Host: host})
		refuseAzure(w, &azureError{status: http.StatusNotFound, code: "NotFound"})
		return
	}
	var in azureInput
	malformed := op != "getkey" && json.Unmarshal(body, &in) != nil
	req := AzureRequest{Op: op, Host: host, Key: key, Version: version, Algorithm: in.Algorithm}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		req.Op = "challenge"
	}
	s.record(req)

	fault := s.takeAzureFault(req.Op, host)
	if fault.before(w, r, s.done) {
		return
	}
	if refused := s.unauthorized(host, token, bearer); refused != nil {
		refuseAzure(w, refused)
		return
	}
	if r.URL.Query().Get("api-version") == "" || malformed {
		refuseAzure(w, &azureError{status: http.StatusBadRequest, code: "BadParameter", message: "The parameter is incorrect."})
		return
	}
	out, failed := s.run(op, host, key, version, in)
	if failed != nil {
		refuseAzure(w, failed)
		return
	}
	fault.answer(w, out)
}

// azurePath reads keys/NAME/VERSION/OPERATION, with or without a version.
func azurePath(r *http.Request) (op, key, version string, ok bool) {
	var part []string
	for p := range strings.SplitSeq(r.URL.Path, "/") {
		if p != "" { // the SDK leaves the place of a version empty
			part = append(part, p)
		}
	}
	if len(part) < 2 || part[0] != "keys" {
		return "", "", "", false
	}
	key, part = part[1], part[2:]
	switch {
	case r.Method == http.MethodGet && len(part) <= 1:
		return "getkey", key, strings.Join(part, ""), true
	case r.Method == http.MethodPost && (len(part) == 1 || len(part) == 2):
		op = part[len(part)-1]
		return op, key, strings.Join(part[:len(part)-1], ""), op == "wrapkey" || op == "unwrapkey"
	}
	return "", "", "", false
}

func (s *AzureServer) run(op, host, name, version string, in azureInput) (*azureAnswer, *azureError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.find(host, name, version)
	if v == nil {
		return nil, &azureError{status: http.StatusNotFound, code: "KeyNotFound", message: "A key with this name and version was not found in this key vault."}
	}
	if op == "getkey" {
		return v.describe(), nil
	}
	if err := v.usable(op); err != nil {
		return nil, err
	}
	value, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(in.Value, "="))
	if err != nil || len(value) == 0 || !v.speaks(in.Algorithm) {
		return nil, badParameter()
	}
	out, ok := v.wrap(value)
	if op == "unwrapkey" {
		out, ok = v.unwrap(value)
	}
	if !ok {
		return nil, badParameter()
	}
	return &azureAnswer{value: out, plain: op == "unwrapkey", members: map[string]any{"kid": v.kid()}}, nil
}

func badParameter() *azureError {
	return &azureError{status: http.StatusBadRequest, code: "BadParameter", message: "The parameter is incorrect.\r\n"}
}

// usable tells whether the attributes of v allow an operation.
func (v *azureVersion) usable(op string) *azureError {
	refused := func(reason string) *azureError {
		return &azureError{status: http.StatusForbidden, code: "Forbidden", reason: reason, message: "The operation is not allowed on this key."}
	}
	a, now := v.attributes, time.Now()
	switch {
	case a.Disabled:
		return refused("KeyDisabled")
	case op == "wrapkey" && !a.NotBefore.IsZero() && now.Before(a.NotBefore):
		return refused("KeyNotYetValid")
	case op == "wrapkey" && !a.Expires.IsZero() && !now.Before(a.Expires):
		return refused("KeyExpired")
	case v.kind == AzureEC:
		return refused("KeyOperationForbidden")
	}
	return nil
}

// speaks tells whether v is a key for an algorithm.
func (v *azureVersion) speaks(algorithm string) bool {
	return v.rsa != nil && algorithm == "RSA-OAEP-256" || v.aes != nil && algorithm == "A256KW"
}

func (v *azureVersion) wrap(value []byte) ([]byte, bool) {
	if v.aes != nil {
		return wrapAES(v.aes, value)
	}
	out, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &v.rsa.PublicKey, value, nil)
	return out, err == nil
}

func (v *azureVersion) unwrap(value []byte) ([]byte, bool) {
	if v.aes != nil {
		return unwrapAES(v.aes, value)
	}
	out, err := rsa.DecryptOAEP(sha256.New(), nil, v.rsa, value, nil)
	return out, err == nil
}

// describe returns the public part of v.
func (v *azureVersion) describe() *azureAnswer {
	const created = 1735689600 // 2025-01-01
	key := map[string]any{"kid": v.kid(), "kty": v.kind, "key_ops": []string{"wrapKey", "unwrapKey"}}
	if v.rsa != nil {
		key["kty"] = "RSA"
		key["n"] = base64.RawURLEncoding.EncodeToString(v.rsa.N.Bytes())
		key["e"] = base64.RawURLEncoding.EncodeToString(big.NewInt(int64(v.rsa.E)).Bytes())
	}
	attributes := map[string]any{"enabled": !v.attributes.Disabled, "created": created, "updated": created, "recoveryLevel": "Recoverable"}
	if !v.attributes.Expires.IsZero() {
		attributes["exp"] = v.attributes.Expires.Unix()
	}
	return &azureAnswer{members: map[string]any{"key": key, "attributes": attributes}}
}

// refuseAzure answers with an error.
func refuseAzure(w http.ResponseWriter, e *azureError) {
	if e.challenge != "" {
		w.Header().Set("WWW-Authenticate", e.challenge)
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.retryAfter/time.Second)))
	}
	fault := map[string]any{"code": e.code, "message": e.message}
	if e.reason != "" {
		fault["innererror"] = map[string]string{"code": e.reason}
	}
	writeAzure(w, e.status, mustJSON(map[string]any{"error": fault}))
}

func writeAzure(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Ms-Request-Id", uuid())
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, for a test; the caller may be gone
}
