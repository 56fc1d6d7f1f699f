package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
)

// A vault answers what the proxy asks of the transit engine of HashiCorp Vault.
// It answers at once, which is the best case for the proxy.
type vault struct {
	*httptest.Server

	mu    sync.Mutex
	keys  map[string]string // data keys in base64, by what is handed out as their wrapped form
	calls int
}

func newVault() *vault {
	v := &vault{keys: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/transit/keys/{name}", func(w http.ResponseWriter, r *http.Request) {
		v.answer(w, data{Name: r.PathValue("name"), LatestVersion: 1})
	})
	mux.HandleFunc("POST /v1/transit/datakey/plaintext/{name}", func(w http.ResponseWriter, _ *http.Request) {
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		plain := base64.StdEncoding.EncodeToString(key)
		v.mu.Lock()
		wrapped := fmt.Sprintf("vault:v1:%024d", len(v.keys))
		v.keys[wrapped] = plain
		v.mu.Unlock()
		v.answer(w, data{Plaintext: plain, Ciphertext: wrapped})
	})
	mux.HandleFunc("POST /v1/transit/decrypt/{name}", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Ciphertext string `json:"ciphertext"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, "no ciphertext", http.StatusBadRequest)
			return
		}
		v.mu.Lock()
		plain, ok := v.keys[body.Ciphertext]
		v.mu.Unlock()
		if !ok {
			http.Error(w, "unknown ciphertext", http.StatusBadRequest)
			return
		}
		v.answer(w, data{Plaintext: plain})
	})
	v.Server = httptest.NewServer(mux)
	return v
}

// data is what the engine answers, of several calls.
type data struct {
	Name          string `json:"name,omitempty"`
	LatestVersion int    `json:"latest_version,omitempty"`
	Plaintext     string `json:"plaintext,omitempty"`
	Ciphertext    string `json:"ciphertext,omitempty"`
}

func (v *vault) answer(w http.ResponseWriter, d data) {
	v.mu.Lock()
	v.calls++
	v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	err := json.NewEncoder(w).Encode(struct {
		Data data `json:"data"`
	}{d})
	if err != nil {
		return // the proxy has gone
	}
}

// asked returns how many calls were answered.
func (v *vault) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}
