package kmstest

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// azureTokenLife is how long a token lasts.
const azureTokenLife = time.Hour

// An azureToken is one that was handed out.
type azureToken struct {
	resource string
	expires  time.Time
}

// An azureClient is who may have tokens.
type azureClient struct{ id, secret string }

// RequireClient has the server hand out tokens only to this application of
// [AzureTenant]. Until it is called, everybody gets one.
func (s *AzureServer) RequireClient(id, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = &azureClient{id, secret}
}

// Token hands out a token for a resource such as https://vault.azure.net, for a
// test that has a credential of its own.
func (s *AzureServer) Token(resource string) (token string, expires time.Time) {
	token = base64.RawURLEncoding.EncodeToString(random(24))
	expires = time.Now().Add(azureTokenLife)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = azureToken{resource, expires}
	return token, expires
}

// RevokeTokens ends all tokens that were handed out.
func (s *AzureServer) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// unauthorized checks the token of a call.
func (s *AzureServer) unauthorized(host, token string, bearer bool) *azureError {
	_, domain, _ := strings.Cut(host, ".")
	resource := "https://" + domain
	refused := &azureError{
		status: http.StatusUnauthorized, code: "Unauthorized", message: "AKV10000: Request is missing a Bearer or PoP token.",
		challenge: `Bearer authorization="https://` + azureLogin + "/" + AzureTenant + `", resource="` + resource + `"`,
	}
	if !bearer {
		return refused
	}
	s.mu.Lock()
	t, ok := s.tokens[token]
	s.mu.Unlock()
	switch {
	case !ok || time.Now().After(t.expires):
		refused.message = "AKV10027: Error validating token."
		refused.challenge += `, error="invalid_token"`
	case t.resource != resource:
		refused.message = "AKV10022: Invalid audience."
	default:
		return nil
	}
	return refused
}

// serveLogin is Microsoft Entra: its metadata, and tokens for applications.
func (s *AzureServer) serveLogin(w http.ResponseWriter, r *http.Request) {
	const base = "https://" + azureLogin + "/" + AzureTenant
	switch {
	case r.URL.Path == "/common/discovery/instance":
		writeAzure(w, http.StatusOK, mustJSON(map[string]any{
			"tenant_discovery_endpoint": base + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
			"metadata": []any{map[string]any{
				"preferred_network": azureLogin, "preferred_cache": azureLogin, "aliases": []string{azureLogin},
			}},
		}))
		return
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/v2.0/.well-known/openid-configuration"):
		writeAzure(w, http.StatusOK, mustJSON(map[string]any{
			"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize",
			"issuer": base + "/v2.0", "tenant_region_scope": "EU",
		}))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, azureMaxBody)
	if r.Method != http.MethodPost || r.URL.Path != "/"+AzureTenant+"/oauth2/v2.0/token" || r.ParseForm() != nil {
		s.record(AzureRequest{Host: azureLogin})
		writeAzure(w, http.StatusBadRequest, mustJSON(map[string]any{"error": "invalid_request"}))
		return
	}
	scopes := strings.Fields(r.PostForm.Get("scope"))
	i := slices.IndexFunc(scopes, func(sc string) bool { return strings.HasSuffix(sc, "/.default") })
	if i < 0 {
		i, scopes = 0, []string{""}
	}
	s.record(AzureRequest{Op: "token", Host: azureLogin, Algorithm: scopes[i]})
	fault := s.takeAzureFault("token", azureLogin)
	if fault.Code != "" {
		status := fault.Status
		if status == 0 {
			status = http.StatusUnauthorized
		}
		writeAzure(w, status, mustJSON(map[string]any{"error": fault.Code, "error_description": fault.Message}))
		return
	}
	if fault.before(w, r, s.done) {
		return
	}
	s.mu.Lock()
	known := s.client == nil || r.PostForm.Get("client_id") == s.client.id && r.PostForm.Get("client_secret") == s.client.secret
	s.mu.Unlock()
	switch {
	case r.PostForm.Get("grant_type") != "client_credentials":
		writeAzure(w, http.StatusBadRequest, mustJSON(map[string]any{"error": "unsupported_grant_type"}))
	case !known:
		writeAzure(w, http.StatusUnauthorized, mustJSON(map[string]any{
			"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.", "error_codes": []int{7000215},
		}))
	case scopes[i] == "":
		writeAzure(w, http.StatusBadRequest, mustJSON(map[string]any{"error": "invalid_scope"}))
	default:
		token, _ := s.Token(strings.TrimSuffix(scopes[i], "/.default"))
		const seconds = int(azureTokenLife / time.Second)
		writeAzure(w, http.StatusOK, mustJSON(map[string]any{
			"token_type": "Bearer", "access_token": token, "expires_in": seconds, "ext_expires_in": seconds,
		}))
	}
}
