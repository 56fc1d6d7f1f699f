package gcpkms_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// An issuer hands out access tokens as Google does in its several places: for
// the assertion of a service account, for a token of another provider, as the
// metadata server of a machine, and as IAM for another service account.
type issuer struct {
	URL string

	mu       sync.Mutex
	token    string
	life     time.Duration
	requests []string
	status   int    // of the error that every request gets
	answer   string // in place of the sound one
	header   http.Header
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{token: token, life: time.Hour}
	s := httptest.NewServer(i)
	t.Cleanup(s.Close)
	i.URL = s.URL
	return i
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) asked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.requests)
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	what := r.Method + " " + r.URL.RequestURI()
	if auth := r.Header.Get("Authorization"); auth != "" {
		what += " " + auth
	}
	if project := r.Header.Get("X-Goog-User-Project"); project != "" {
		what += " " + project
	}
	i.requests = append(i.requests, what)
	maps.Copy(w.Header(), i.header)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Metadata-Flavor", "Google")
	if i.status != 0 {
		w.WriteHeader(i.status)
	}
	body := i.answer
	switch {
	case body != "" || i.status != 0:
	case strings.HasSuffix(r.URL.Path, ":generateAccessToken"):
		var in struct {
			Delegates, Scope []string
			Lifetime         string
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Scope) != 1 || in.Lifetime != "3600s" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		i.requests[len(i.requests)-1] += fmt.Sprint(" ", in.Scope, in.Delegates)
		body = fmt.Sprintf(`{"accessToken":%q,"expireTime":%q}`, i.token, time.Now().Add(i.life).UTC().Format(time.RFC3339))
	default:
		body = fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","expires_in":%d}`,
			i.token, int(i.life.Seconds()))
	}
	_, _ = w.Write([]byte(body)) // the caller may be gone
}

// environment takes away what the machine has of Google.
func environment(t *testing.T, set map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "GOOGLE_") || strings.HasPrefix(name, "CLOUDSDK_") || strings.HasPrefix(name, "GCE_") {
			t.Setenv(name, "") // back after the test
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("HOME", t.TempDir())
	for name, value := range set {
		t.Setenv(name, value)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// accountFile is the file of a service account whose assertions go to a URL.
func accountFile(t *testing.T, url, more string) string {
	t.Helper()
	const bits = 2048
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, fmt.Sprintf(`{"type":"service_account","project_id":"canary-project","private_key_id":"canary-key","private_key":%q,
		"client_email":"canary@canary-project.iam.gserviceaccount.com","token_uri":%q%s}`,
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), url, more))
}

// federationFile is the file of a workload identity.
func federationFile(t *testing.T, url string) string {
	t.Helper()
	return write(t, fmt.Sprintf(`{"type":"external_account","audience":"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
		"subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":%q,"credential_source":{"file":%q}}`, url, write(t, "canary-jwt")))
}
