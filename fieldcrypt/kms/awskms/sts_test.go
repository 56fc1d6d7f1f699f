package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/logging"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

var awsThrottle = kmstest.AWSFault{Code: "ThrottlingException"}

// A fakeSTS hands out credentials as STS does, and as a container and an
// instance do.
type fakeSTS struct {
	URL string

	mu       sync.Mutex
	requests []string
	code     string // of the error that every call gets
	status   int
}

func startSTS(t *testing.T) *fakeSTS {
	t.Helper()
	f := &fakeSTS{}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.URL = s.URL
	return f
}

func (f *fakeSTS) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *fakeSTS) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

func (f *fakeSTS) fail(code string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.code, f.status = code, status
}

func (f *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	document := fmt.Sprintf(`{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q,"LastUpdated":%q}`,
		accessKey, secretKey, sessionToken, expires, expires)
	if r.Method == http.MethodGet {
		f.requests = append(f.requests, "GET "+r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/security-credentials/") {
			answerf(w, "role")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		answerf(w, "%s", document)
		return
	}
	if r.Method == http.MethodPut { // the token of an instance
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
		answerf(w, "token")
		return
	}
	action := r.FormValue("Action")
	f.requests = append(f.requests, action+" "+r.FormValue("RoleArn")+" "+r.FormValue("ExternalId"))
	w.Header().Set("Content-Type", "text/xml")
	if f.code != "" {
		w.WriteHeader(f.status)
		answerf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`, f.code, message)
		return
	}
	answerf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		action, accessKey, secretKey, sessionToken, expires)
}

func assuming(t *testing.T, s *kmstest.AWSServer, sts *fakeSTS) *awskms.KMS {
	t.Helper()
	cfg := config()
	// These may only assume the role.
	cfg.Credentials = credentials.NewStaticCredentialsProvider("other", "another secret", "")
	cfg.BaseEndpoint = aws.String(sts.URL)
	return open(t, s, awskms.WithConfig(cfg), awskms.WithAssumeRole("arn:aws:iam::111122223333:role/seal", ""))
}

func TestARoleIsAssumedOnce(t *testing.T) {
	s, sts := start(t), startSTS(t)
	arn := s.AddKey(home)
	k := assuming(t, s, sts)
	if n := len(sts.asked()); n != 0 {
		t.Errorf("New made %d calls", n)
	}
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	for op, err := range each(t.Context(), k, "aws-kms:"+arn, wrapped) {
		if err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	if asked := sts.asked(); !slices.Equal(asked, []string{"AssumeRole arn:aws:iam::111122223333:role/seal "}) {
		t.Errorf("asked %q", asked)
	}
}

func TestARoleThatCannotBeAssumed(t *testing.T) {
	for code, want := range map[string]struct {
		status int
		class  error
	}{
		"AccessDenied":               {403, kms.ErrDenied},
		"InvalidClientTokenId":       {403, kms.ErrDenied},
		"RegionDisabledException":    {403, kms.ErrDenied},
		"Throttling":                 {400, kms.ErrThrottled},
		"InternalFailure":            {500, kms.ErrUnavailable},
		"ServiceUnavailable":         {503, kms.ErrUnavailable},
		"ValidationError":            {400, kms.ErrInvalid},
		"ExpiredTokenException":      {400, kms.ErrUnavailable},
		"IDPCommunicationError":      {400, kms.ErrUnavailable},
		"SomethingOfTomorrowFailure": {400, kms.ErrUnavailable},
	} {
		t.Run(code, func(t *testing.T) {
			s, sts := start(t), startSTS(t)
			arn := s.AddKey(home)
			k := assuming(t, s, sts)
			sts.fail(code, want.status)
			_, _, err := k.Generate(t.Context(), "aws-kms:"+arn, nil)
			check(t, "Generate", err, want.class)
			e, ok := errors.AsType[*awskms.Error](err)
			if !ok || e.Via != "STS AssumeRole" || e.Code != code || e.Op != "GenerateDataKey" {
				t.Errorf("%#v", err)
			}
			if n := len(sts.asked()); n != 1 {
				t.Errorf("STS was asked %d times", n)
			}
			sts.fail("", 0)
			generate(t, k, "aws-kms:"+arn)
		})
	}
}

func TestExpiredCredentialsAreFetchedAnew(t *testing.T) {
	s, sts := start(t), startSTS(t)
	arn := s.AddKey(home)
	k := assuming(t, s, sts)
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	s.Fault(kmstest.AWSFault{Code: "ExpiredTokenException", Times: 1})
	_, err := k.Unwrap(t.Context(), "aws-kms:"+arn, wrapped, contextOf("acme"))
	check(t, "a role that expired", err, kms.ErrUnavailable)
	if _, err := k.Unwrap(t.Context(), "aws-kms:"+arn, wrapped, contextOf("acme")); err != nil {
		t.Errorf("the next call: %v", err)
	}
	if n := len(sts.asked()); n != 2 {
		t.Errorf("STS was asked %d times, want 2", n)
	}
	// Credentials that nobody renews stay expired.
	fixed := open(t, s)
	s.Fault(kmstest.AWSFault{Code: "ExpiredTokenException", Times: 1})
	_, err = fixed.Unwrap(t.Context(), "aws-kms:"+arn, wrapped, contextOf("acme"))
	check(t, "fixed credentials that expired", err, kms.ErrDenied)
}

func TestWrongCredentialsAreDenied(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	for name, provider := range map[string]aws.CredentialsProvider{
		"another secret": credentials.NewStaticCredentialsProvider(accessKey, "another secret", sessionToken),
		"another id":     credentials.NewStaticCredentialsProvider("other", secretKey, sessionToken),
		"no token":       credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	} {
		cfg := config()
		cfg.Credentials = provider
		_, _, err := open(t, s, awskms.WithConfig(cfg)).Generate(t.Context(), "aws-kms:"+arn, nil)
		check(t, name, err, kms.ErrDenied)
	}
}

// A wrong signature is a wrong clock where the answer shows another time.
func TestAWrongClockIsNoDenial(t *testing.T) {
	for _, tt := range []struct {
		name  string
		date  time.Time
		class error
	}{
		{"the same time", time.Now(), kms.ErrDenied},
		{"an hour later", time.Now().Add(time.Hour), kms.ErrUnavailable},
		{"an hour ago", time.Now().Add(-time.Hour), kms.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", tt.date.UTC().Format(http.TimeFormat))
				w.WriteHeader(http.StatusBadRequest)
				answerf(w, `{"__type":"InvalidSignatureException","message":"Signature expired: canary"}`)
			}))
			defer server.Close()
			k, err := awskms.New(t.Context(), awskms.WithConfig(config()), awskms.WithEndpoint(server.URL))
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = k.Generate(t.Context(), "aws-kms:alias/x", nil)
			check(t, "Generate", err, tt.class)
		})
	}
}

func TestARedirectIsNotFollowedToAnAnswer(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, s.URL+"/", status)
		}))
		k, err := awskms.New(t.Context(), awskms.WithConfig(config()), awskms.WithEndpoint(server.URL))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = k.Generate(t.Context(), "aws-kms:"+arn, nil)
		check(t, fmt.Sprint(status), err, kms.ErrUnavailable)
		server.Close()
	}
}

// answerf writes an answer. The caller may be gone.
func answerf(w http.ResponseWriter, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// failing is a source of credentials that has none.
type failing struct{ err error }

func (f failing) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials{}, f.err }

// A buffer is a log.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Logf(_ logging.Classification, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(&b.b, format+"\n", args...)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
