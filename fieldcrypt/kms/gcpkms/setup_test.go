package gcpkms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"google.golang.org/grpc/codes"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
)

func TestOptionsThatAreWrong(t *testing.T) {
	const account = "seal@my-project.iam.gserviceaccount.com"
	tests := []struct {
		name string
		opts []gcpkms.Option
	}{
		{"no timeout", []gcpkms.Option{gcpkms.WithTimeout(0)}},
		{"a timeout below zero", []gcpkms.Option{gcpkms.WithTimeout(-time.Second)}},
		{"delegates and no service account", []gcpkms.Option{gcpkms.WithImpersonation("", account)}},
		{"a service account that is a path", []gcpkms.Option{gcpkms.WithImpersonation("x/../y@my-project.iam.gserviceaccount.com")}},
		{"a service account without a domain", []gcpkms.Option{gcpkms.WithImpersonation("seal")}},
		{"a service account with a query", []gcpkms.Option{gcpkms.WithImpersonation(account + "?x=y")}},
		{"a delegate that is none", []gcpkms.Option{gcpkms.WithImpersonation(account, account, "x")}},
		{"a delegate that is empty", []gcpkms.Option{gcpkms.WithImpersonation(account, "")}},
		{"a quota project that is none", []gcpkms.Option{gcpkms.WithQuotaProject("a project")}},
		{"a quota project with a line end", []gcpkms.Option{gcpkms.WithQuotaProject("my-project\r\nx: y")}},
		{"credentials without tokens", []gcpkms.Option{gcpkms.WithCredentials(&auth.Credentials{})}},
	}
	for _, url := range []string{
		"http://kms.example", "http://cloudkms.googleapis.com", "http://10.0.0.1:8080", "http://127.0.0.1.example", "http://localhost.example",
		"http://[2001:db8::1]", "https://kms.example", "https://googleapis.com.evil.example", "https://evilgoogleapis.com", "https://googleapis.com",
		"https://.googleapis.com", "https://x..googleapis.com", "https://cloudkms.googleapis.com@kms.example", "https://user:canary@cloudkms.googleapis.com",
		"https://cloudkms.googleapis.com/v1", "https://cloudkms.googleapis.com?x=canary", "https://cloudkms.googleapis.com?", "https://cloudkms.googleapis.com#x",
		"ftp://cloudkms.googleapis.com", "cloudkms.googleapis.com", "cloudkms.googleapis.com:443", "//cloudkms.googleapis.com", "https://", "https:x", "",
		"https://:443", "://", "https://cloudkms.googleapis.com\n", "unix:///tmp/socket", "https://cloudkms.googleapis.com:x", "https://bucket.storage.googleapis.com", "https://cloudkmsx.googleapis.com", "https://cloudkms..googleapis.com", "https://KMS.EXAMPLE",
	} {
		tests = append(tests, struct {
			name string
			opts []gcpkms.Option
		}{"the endpoint " + strings.ReplaceAll(url, "/", "|"), []gcpkms.Option{gcpkms.WithEndpoint(url)}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := gcpkms.New(t.Context(), append([]gcpkms.Option{gcpkms.WithCredentials(gcpkmstest.Credentials(token))}, tt.opts...)...)
			if k != nil || err == nil {
				t.Fatal("accepted")
			}
			check(t, "New", err, kms.ErrInvalid)
		})
	}
	for _, opts := range [][]gcpkms.Option{
		nil,
		{gcpkms.WithEndpoint("https://cloudkms.europe-west3.rep.googleapis.com")},
		{gcpkms.WithEndpoint("https://cloudkms-pii.p.googleapis.com:8443/")},
		{gcpkms.WithEndpoint("http://localhost:1")},
		{gcpkms.WithEndpoint("http://[::1]:1")},
		{gcpkms.WithEndpoint("http://127.9.9.9")},
		{gcpkms.WithEndpoint("https://127.0.0.1")},
		{gcpkms.WithEndpointHosts("other.example", "kms.example"), gcpkms.WithEndpoint("https://kms.example")},
		{gcpkms.WithImpersonation(account, "one@my-project.iam.gserviceaccount.com", "123-compute@developer.gserviceaccount.com")},
		{gcpkms.WithQuotaProject("example.com:my-project")},
	} {
		k, err := gcpkms.New(t.Context(), append([]gcpkms.Option{gcpkms.WithCredentials(gcpkmstest.Credentials(token))}, opts...)...)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gcpkms.New(ended, gcpkms.WithCredentials(gcpkmstest.Credentials(token))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestDefaultCredentials(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	for _, tt := range []struct {
		name  string
		env   func(t *testing.T, i *issuer) map[string]string
		asks  string
		quota string
	}{
		{"the file of a service account", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, i.URL+"/token", "")}
		}, "POST /token", ""},
		{"a file with a quota project", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, i.URL+"/token", `,"quota_project_id":"file-project"`)}
		}, "POST /token", "file-project"},
		{"a quota project of the environment", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			return map[string]string{
				"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, i.URL+"/token", `,"quota_project_id":"file-project"`),
				"GOOGLE_CLOUD_QUOTA_PROJECT":     "env-project",
			}
		}, "POST /token", "env-project"},
		{"a workload identity", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": federationFile(t, i.URL+"/sts")}
		}, "POST /sts", ""},
		{"the metadata server", func(t *testing.T, i *issuer) map[string]string {
			t.Helper()
			return map[string]string{"GCE_METADATA_HOST": strings.TrimPrefix(i.URL, "http://")}
		}, "GET /computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloudkms", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := startIssuer(t)
			environment(t, tt.env(t, i))
			k, err := gcpkms.New(t.Context(), gcpkms.WithEndpoint(s.URL))
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			if n := len(i.asked()); n != 0 {
				t.Errorf("New made %d requests for tokens", n)
			}
			plain, wrapped := generate(t, k, kek)
			if got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("Unwrap: %v", err)
			}
			if asked := i.asked(); len(asked) != 1 || !strings.HasPrefix(asked[0], tt.asks) {
				t.Errorf("asked %q", asked)
			}
			if r := s.Requests()[len(s.Requests())-1]; r.Token != token || r.UserProject != tt.quota {
				t.Errorf("%+v", r)
			}
			// A token that Google no longer takes is replaced for the next call.
			i.set(func(i *issuer) { i.token = "ya29.canary-next" })
			s.RequireTokens("ya29.canary-next")
			defer s.RequireTokens(token)
			_, err = k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
			check(t, "with the old token", err, kms.ErrUnavailable)
			if got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("with the next token: %v", err)
			}
		})
	}
}

func TestCredentialsThatCannotBeRead(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"a file that is not there":       {"GOOGLE_APPLICATION_CREDENTIALS": "/canary/file"},
		"a file that is none":            {"GOOGLE_APPLICATION_CREDENTIALS": write(t, "canary")},
		"a file of an unknown type":      {"GOOGLE_APPLICATION_CREDENTIALS": write(t, `{"type":"canary"}`)},
		"a service account without key":  {"GOOGLE_APPLICATION_CREDENTIALS": write(t, `{"type":"service_account","client_email":"canary","private_key":"canary"}`)},
		"a quota project that is a line": {"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, "https://canary.example", `,"quota_project_id":"canary project"`)},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, env)
			k, err := gcpkms.New(t.Context())
			if err == nil {
				// The key is looked at when it signs.
				defer k.Close()
				_, _, err = k.Generate(t.Context(), "gcp-kms:"+ring+"one", nil)
				check(t, "Generate", err, kms.ErrUnavailable)
				return
			}
			check(t, "New", err, kms.ErrInvalid)
		})
	}
}

func TestTokensThatCannotBeHad(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	late := http.Header{"Date": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}
	canary := `{"error":"invalid_grant","error_description":"canary ` + token + `"}`
	tests := []struct {
		name   string
		status int
		answer string
		header http.Header
		class  error
	}{
		{"refused", 400, canary, nil, kms.ErrDenied},
		{"not authorized", 401, canary, nil, kms.ErrDenied},
		{"forbidden", 403, canary, nil, kms.ErrDenied},
		{"refused by a clock of another hour", 400, canary, late, kms.ErrUnavailable},
		{"throttled", 429, canary, nil, kms.ErrThrottled},
		{"broken", 500, canary, nil, kms.ErrUnavailable},
		{"away", 503, canary, nil, kms.ErrUnavailable},
		{"a page", 200, "<html>canary</html>", nil, kms.ErrUnavailable},
		{"nothing", 200, "{}", nil, kms.ErrUnavailable},
		{"a token that has ended", 200, `{"access_token":"canary","expires_in":1,"accessToken":"canary","expireTime":"2020-01-01T00:00:00Z"}`, nil, kms.ErrUnavailable},
		{"a long answer", 200, `{"access_token":"` + strings.Repeat("canary", 20_000) + `"}`, nil, kms.ErrUnavailable},
		{"a redirect", 307, canary, http.Header{"Location": {"https://canary.example/"}}, kms.ErrUnavailable},
	}
	sources := map[string]func(t *testing.T, i *issuer) []gcpkms.Option{
		"credentials": func(t *testing.T, i *issuer) []gcpkms.Option {
			t.Helper()
			environment(t, map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, i.URL+"/token", "")})
			return nil
		},
		"federation": func(t *testing.T, i *issuer) []gcpkms.Option {
			t.Helper()
			environment(t, map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": federationFile(t, i.URL+"/sts")})
			return nil
		},
		"impersonation": func(t *testing.T, i *issuer) []gcpkms.Option {
			t.Helper()
			return []gcpkms.Option{
				gcpkms.WithCredentials(gcpkmstest.Credentials("ya29.canary-own")), gcpkms.WithIAM(i.URL),
				gcpkms.WithImpersonation("canary@canary-project.iam.gserviceaccount.com"),
			}
		},
	}
	for source, setUp := range sources {
		t.Run(source, func(t *testing.T) {
			i := startIssuer(t)
			opts := setUp(t, i)
			k, err := gcpkms.New(t.Context(), append(opts, gcpkms.WithEndpoint(s.URL))...)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			calls := len(s.Requests())
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					i.set(func(i *issuer) { i.status, i.answer, i.header = tt.status, tt.answer, tt.header })
					for op, err := range each(t.Context(), k, kek, []byte("w")) {
						check(t, op, err, tt.class)
						e, ok := errors.AsType[*gcpkms.Error](err)
						via := "credentials"
						if source == "impersonation" {
							via = source
						}
						if !ok || e.Via != via || e.Code != "" || tt.status >= 400 && e.Status != tt.status {
							t.Errorf("%s: %#v", op, err)
						}
					}
				})
			}
			if n := len(s.Requests()) - calls; n != 0 {
				t.Errorf("%d calls without a token", n)
			}
			i.set(func(i *issuer) { i.status, i.answer, i.header = 0, "", nil })
			generate(t, k, kek)
		})
	}
}

func TestCredentialsGoNowhereInClear(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	for name, file := range map[string]string{
		"an assertion": accountFile(t, "http://token.example.invalid/token", ""),
		"a federation": federationFile(t, "http://token.example.invalid/sts"),
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": file})
			k, err := gcpkms.New(t.Context(), gcpkms.WithEndpoint(s.URL))
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			_, _, err = k.Generate(t.Context(), kek, nil)
			check(t, "Generate", err, kms.ErrUnavailable)
			if !strings.Contains(err.Error(), "neither https nor") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestImpersonation(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	i := startIssuer(t)
	k := open(t, s,
		gcpkms.WithCredentials(gcpkmstest.Credentials("ya29.canary-own")), gcpkms.WithIAM(i.URL), gcpkms.WithQuotaProject("quota-project"),
		gcpkms.WithImpersonation("seal@my-project.iam.gserviceaccount.com", "between@my-project.iam.gserviceaccount.com"))
	_, wrapped := generate(t, k, kek)
	for op, err := range each(t.Context(), k, kek, wrapped) {
		if err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	want := []string{"POST /v1/projects/-/serviceAccounts/seal@my-project.iam.gserviceaccount.com:generateAccessToken Bearer ya29.canary-own quota-project " +
		"[https://www.googleapis.com/auth/cloudkms] [projects/-/serviceAccounts/between@my-project.iam.gserviceaccount.com]"}
	if asked := i.asked(); !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	// No service account of that name is no missing KEK.
	i.set(func(i *issuer) { i.status = http.StatusNotFound })
	s.Fault(gcpkmstest.Fault{Code: codes.Unauthenticated, Times: 1})
	_, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
	check(t, "a token that is refused", err, kms.ErrDenied)
	_, err = k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
	check(t, "no such service account", err, kms.ErrDenied)
}

func TestARedirectIsNotFollowed(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	first, second := startIssuer(t), startIssuer(t)
	first.set(func(i *issuer) {
		i.status, i.header = http.StatusTemporaryRedirect, http.Header{"Location": {second.URL + "/token"}}
	})
	environment(t, map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, first.URL+"/token", "")})
	k, err := gcpkms.New(t.Context(), gcpkms.WithEndpoint(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	_, _, err = k.Generate(t.Context(), kek, nil)
	check(t, "Generate", err, kms.ErrUnavailable)
	if asked := second.asked(); len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
}

// IAM refuses a token of the machine: the next call has a new one.
func TestATokenThatIAMRefusesIsReplaced(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	machine, iam := startIssuer(t), startIssuer(t)
	environment(t, map[string]string{"GCE_METADATA_HOST": strings.TrimPrefix(machine.URL, "http://")})
	k, err := gcpkms.New(t.Context(), gcpkms.WithEndpoint(s.URL), gcpkms.WithIAM(iam.URL), gcpkms.WithImpersonation("seal@my-project.iam.gserviceaccount.com"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	iam.set(func(i *issuer) { i.status = http.StatusUnauthorized })
	_, _, err = k.Generate(t.Context(), kek, nil)
	check(t, "Generate", err, kms.ErrDenied)
	iam.set(func(i *issuer) { i.status = 0 })
	generate(t, k, kek)
	want := "GET /computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform"
	if asked := machine.asked(); !slices.Equal(asked, []string{want, want}) {
		t.Errorf("asked %q", asked)
	}
}

// What answers that there is no such page has refused nothing: a metadata server
// does so in a pod that was just started.
func TestAnIssuerThatIsNotThereYetIsAskedAgain(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	i := startIssuer(t)
	environment(t, map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, i.URL+"/token", "")})
	k, err := gcpkms.New(t.Context(), gcpkms.WithEndpoint(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	i.set(func(i *issuer) { i.status = http.StatusNotFound })
	_, _, err = k.Generate(t.Context(), kek, nil)
	check(t, "Generate", err, kms.ErrUnavailable)
	i.set(func(i *issuer) { i.status = 0 })
	generate(t, k, kek)
}

// Requests hold data keys, and answers hold data keys and tokens. The libraries
// of Google write them out when they are told to.
func TestNothingIsLogged(t *testing.T) {
	s := start(t)
	kek := "gcp-kms:" + s.AddKey(ring+"one")
	i := startIssuer(t)
	environment(t, map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": accountFile(t, i.URL+"/token", ""), "GOOGLE_SDK_GO_LOGGING_LEVEL": "debug",
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, stdout := os.Stderr, os.Stdout
	os.Stderr, os.Stdout = w, w
	restore := func() { os.Stderr, os.Stdout = stderr, stdout }
	defer restore()
	k, err := gcpkms.New(t.Context(), gcpkms.WithEndpoint(s.URL), gcpkms.WithIAM(i.URL), gcpkms.WithImpersonation("seal@my-project.iam.gserviceaccount.com"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	_, wrapped := generate(t, k, kek)
	for op, err := range each(t.Context(), k, kek, wrapped) {
		if err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	restore()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || len(text) != 0 {
		t.Errorf("logged: %s, %v", text, err)
	}
	if n := len(i.asked()); n != 2 {
		t.Errorf("%d requests for tokens", n)
	}
}
