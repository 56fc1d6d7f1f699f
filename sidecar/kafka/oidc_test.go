package kafka

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// endpoint is a token endpoint whose certificate is in a file.
func endpoint(t *testing.T, answer http.HandlerFunc) (c *Config) {
	t.Helper()
	srv := httptest.NewTLSServer(answer)
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Config{
		Properties: map[string]string{
			"bootstrap.servers": "b:9092", "security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER",
			"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.token.endpoint.url": srv.URL + "/token",
			"sasl.oauthbearer.client.id": "fieldveil", "sasl.oauthbearer.scope": "kafka write",
			"sasl.oauthbearer.extensions": "logicalCluster=lkc-1,identityPoolId=pool-2", "https.ca.location": ca,
		},
		Secrets: map[string]secret.Secret{"sasl.oauthbearer.client.secret": secret.Value(canary)},
	}
}

func TestATokenIsFetchedAndSentAsRFC7628Says(t *testing.T) {
	var asked atomic.Int64
	c := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		id, pw, ok := r.BasicAuth()
		if !ok || id != "fieldveil" || pw != canary || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka write" {
			t.Errorf("asked with %q, %q", id, r.PostForm)
		}
		sayf(w, "%s", `{"access_token":"abc.def.ghi","token_type":"Bearer","expires_in":300}`)
	})
	s, err := c.settings()
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.sasl.mechanismOf()
	if err != nil || m.Name() != "OAUTHBEARER" {
		t.Fatal(err)
	}
	for range 3 {
		_, first, err := m.Authenticate(t.Context(), "b:9092")
		if want := "n,,\x01auth=Bearer abc.def.ghi\x01identityPoolId=pool-2\x01logicalCluster=lkc-1\x01\x01"; err != nil || string(first) != want {
			t.Errorf("%q, %v", first, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times for one token", n)
	}
}

func TestTokenEndpointsThatMisbehaveAreErrorsWithoutData(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a refusal": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			sayf(w, "%s", `{"error":"invalid_client","error_description":"`+canary+`"}`)
		},
		"another refusal": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			sayf(w, "%s", `{"error":"`+canary+`"}`)
		},
		"no end": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte(canary), maxTokenBody))
		},
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { sayf(w, "%s", canary) },
		"no token": func(w http.ResponseWriter, _ *http.Request) { sayf(w, "%s", `{"expires_in":1,"x":"`+canary+`"}`) },
		"a token that ends its message": func(w http.ResponseWriter, _ *http.Request) {
			sayf(w, "%s", `{"access_token":"`+canary+`\u0001auth=x"}`)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+canary+".example/", http.StatusTemporaryRedirect)
		},
		"a cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		c := endpoint(t, answer)
		s, err := c.settings()
		if err != nil {
			t.Fatal(err)
		}
		source, err := newTokenSource(&s.sasl)
		if err != nil {
			t.Fatal(err)
		}
		if token, err := source.token(t.Context()); err == nil || token != "" || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %q, %v", name, token, err)
		}
	}
}

// fetching replaces the network.
type fetching func(*http.Request) (*http.Response, error)

func (f fetching) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTokensAreRenewedBeforeTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		var down atomic.Bool
		s := &saslSettings{endpoint: "https://a/b", oidcID: "i", oidcSecret: secret.Value("p")}
		source, err := newTokenSource(s)
		if err != nil {
			t.Fatal(err)
		}
		source.client.Transport = fetching(func(*http.Request) (*http.Response, error) {
			if down.Load() {
				return nil, errors.New("down")
			}
			w := httptest.NewRecorder()
			sayf(w, `{"access_token":"t%d","expires_in":100}`, n.Add(1))
			return w.Result(), nil
		})
		expect := func(want string) {
			t.Helper()
			if got, err := source.token(t.Context()); got != want || (err == nil) != (want != "") {
				t.Errorf("%q, %v, not %q", got, err, want)
			}
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { expect("t1") })
		}
		all.Wait()
		time.Sleep(79 * time.Second) //nolint:forbidigo // of a fake clock
		expect("t1")
		time.Sleep(2 * time.Second) //nolint:forbidigo // of a fake clock
		expect("t2")
		down.Store(true)
		time.Sleep(90 * time.Second) //nolint:forbidigo // of a fake clock
		expect("t2")                 // which is still good
		time.Sleep(11 * time.Second) //nolint:forbidigo // of a fake clock
		expect("")
		down.Store(false)
		expect("t3")
	})
}

func TestWhoWaitsForATokenMayLeave(t *testing.T) {
	source, err := newTokenSource(&saslSettings{endpoint: "https://a/b", oidcID: "i", oidcSecret: secret.Value("p")})
	if err != nil {
		t.Fatal(err)
	}
	source.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.token(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"a","expires_in":300}`))
	f.Add(200, []byte(`{"access_token":"a","expires_in":1e400}`))
	f.Add(401, []byte(`{"error":"invalid_client"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		token, life, err := parseToken(status, body)
		if (err == nil) != (token != "") || life < 0 || life > 24*time.Hour {
			t.Errorf("%q, %v, %v", token, life, err)
		}
		if strings.ContainsAny(token, "\x01\x00 \n") {
			t.Errorf("token %q", token)
		}
	})
}

// No MSK can be had here. What the mechanism sends first can be.
func TestMSKIAMSignsWithTheCredentialsOfTheMoment(t *testing.T) {
	n := 0
	m := mskIAM(func(context.Context) (aws.Credentials, error) {
		n++
		return aws.Credentials{AccessKeyID: fmt.Sprint("AKID", n), SecretAccessKey: canary, SessionToken: "session"}, nil
	})
	for i := 1; i <= 2; i++ {
		_, first, err := m.Authenticate(t.Context(), "b-1.demo.abc123.c2.kafka.eu-central-1.amazonaws.com:9098")
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal(first, &got); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got["x-amz-credential"], fmt.Sprintf("AKID%d/", i)) || !strings.Contains(got["x-amz-credential"], "/eu-central-1/kafka-cluster/aws4_request") ||
			got["action"] != "kafka-cluster:Connect" || got["x-amz-security-token"] != "session" || got["x-amz-signature"] == "" || bytes.Contains(first, []byte(canary)) {
			t.Errorf("%v", got)
		}
	}
	t.Setenv("AWS_REGION", "us-east-2")
	if _, first, err := m.Authenticate(t.Context(), "kafka.internal:9098"); err != nil || !bytes.Contains(first, []byte("/us-east-2/")) {
		t.Errorf("%s, %v", first, err)
	}
	failing := mskIAM(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("none") })
	if _, _, err := failing.Authenticate(t.Context(), "a:1"); err == nil {
		t.Error("no credentials, and no error")
	}
}

func TestAWSCredentialsComeFromTheSDKsChain(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", canary)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	c, err := awsCredentials()(t.Context())
	if err != nil || c.AccessKeyID != "AKID" || c.SecretAccessKey != canary {
		t.Errorf("%q, %v", c.AccessKeyID, err)
	}
}

func TestBasicCredentialsAreEncodedOnlyWhereItIsAskedFor(t *testing.T) {
	for urlencode, want := range map[bool]string{false: "i d:p+ä", true: "i+d:p%2B%C3%A4"} {
		source, err := newTokenSource(&saslSettings{endpoint: "https://a/b", oidcID: "i d", oidcSecret: secret.Value("p+ä"), urlencode: urlencode})
		if err != nil {
			t.Fatal(err)
		}
		source.client.Transport = fetching(func(r *http.Request) (*http.Response, error) {
			got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
			if err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
			w := httptest.NewRecorder()
			sayf(w, "%s", `{"access_token":"t"}`)
			return w.Result(), nil
		})
		if _, err := source.token(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func sayf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
