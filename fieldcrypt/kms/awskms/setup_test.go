package awskms_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms"
)

func TestOptionsThatAreWrong(t *testing.T) {
	anonymous := config()
	anonymous.Credentials = aws.AnonymousCredentials{}
	nobody := config()
	nobody.Credentials = nil
	nowhere := config()
	nowhere.Region = ""
	odd := config()
	odd.Region = "evil.example/"
	elsewhere := config()
	elsewhere.BaseEndpoint = aws.String("http://kms.example")
	tests := []struct {
		name string
		opts []awskms.Option
	}{
		{"no timeout", []awskms.Option{awskms.WithTimeout(0)}},
		{"a timeout below zero", []awskms.Option{awskms.WithTimeout(-time.Second)}},
		{"a Region that is a host", []awskms.Option{awskms.WithRegion("evil.example")}},
		{"a configured Region that is a host", []awskms.Option{awskms.WithConfig(odd)}},
		{"a replica that is a host", []awskms.Option{awskms.WithReplicas("eu-west-1", "evil.example")}},
		{"a replica without a name", []awskms.Option{awskms.WithReplicas("")}},
		{"a replica twice", []awskms.Option{awskms.WithReplicas("eu-west-1", "us-east-1", "eu-west-1")}},
		{"an external id without a role", []awskms.Option{awskms.WithAssumeRole("", "x")}},
		{"a role without a Region", []awskms.Option{awskms.WithConfig(nowhere), awskms.WithAssumeRole("arn:aws:iam::111122223333:role/x", "")}},
		{"no credentials", []awskms.Option{awskms.WithConfig(nobody)}},
		{"anonymous credentials", []awskms.Option{awskms.WithConfig(anonymous)}},
		{"FIPS and an endpoint", []awskms.Option{awskms.WithFIPS(), awskms.WithEndpointHosts("kms.example"), awskms.WithEndpoint("https://kms.example")}},
		{"a replica behind an endpoint of one Region", []awskms.Option{awskms.WithReplicas("eu-west-1"), awskms.WithEndpointHosts("kms.example"), awskms.WithEndpoint("https://kms.example")}},
		{"http in the configuration", []awskms.Option{awskms.WithConfig(elsewhere)}},
		{"former keys of a key", []awskms.Option{awskms.WithFormerKeys("aws-kms:mrk-1", "aws-kms:mrk-2")}},
		{"former keys of nothing", []awskms.Option{awskms.WithFormerKeys("x", "aws-kms:mrk-2")}},
		{"an alias as a former key", []awskms.Option{awskms.WithFormerKeys("aws-kms:alias/x", "aws-kms:alias/y")}},
		{"a former key of another scheme", []awskms.Option{awskms.WithFormerKeys("aws-kms:alias/x", "local:y")}},
	}
	for _, url := range []string{
		"http://kms.example", "http://10.0.0.1:8080", "http://127.0.0.1.example", "http://localhost.example", "http://[2001:db8::1]",
		"http://127.0.0.1@kms.example", "https://user:canary@kms.example", "ftp://kms.example", "kms.example", "//kms.example", "https://",
		"https:kms.example", "https://kms.example?x=canary", "https://kms.example?", "https://kms.example#x", "https://kms.example/{region}",
		"https://kms.example\n", "://", "http://{region}.example", "file:///etc/passwd", "https://:443",
		"https://kms.example", "https://kms.evil.example", "https://amazonaws.com", "https://kms.amazonaws.com", "https://sts.eu-central-1.amazonaws.com",
		"https://kms.s3.eu-central-1.amazonaws.com", "https://kms.s3-eu-central-1.amazonaws.com", "https://kms.execute-api.eu-central-1.amazonaws.com",
		"https://kms.eu-central-1.amazonaws.com.evil.example", "https://kms.eu-central-1.evilamazonaws.com", "https://x.kms.eu-central-1.amazonaws.com",
		"https://vpce-1.s3.eu-central-1.vpce.amazonaws.com", "https://ec2-10-0-0-1.eu-central-1.compute.amazonaws.com", "https://KMS.EXAMPLE",
	} {
		tests = append(tests, struct {
			name string
			opts []awskms.Option
		}{"the endpoint " + strings.ReplaceAll(url, "/", "|"), []awskms.Option{awskms.WithEndpoint(url)}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := awskms.New(t.Context(), append([]awskms.Option{awskms.WithConfig(config())}, tt.opts...)...)
			if k != nil || err == nil {
				t.Fatal("accepted")
			}
			check(t, "New", err, kms.ErrInvalid)
		})
	}
	for _, opts := range [][]awskms.Option{
		{awskms.WithFIPS()},
		{awskms.WithFIPS(), awskms.WithReplicas("eu-west-1")},
		{awskms.WithConfig(nowhere)},
		{awskms.WithEndpoint("https://vpce-1.kms.eu-central-1.vpce.amazonaws.com")},
		{awskms.WithEndpointHosts("kms.{region}.example"), awskms.WithEndpoint("https://kms.{region}.example:8443/base"), awskms.WithReplicas("eu-west-1")},
		{awskms.WithEndpoint("http://localhost:1"), awskms.WithReplicas("eu-west-1")},
		{awskms.WithEndpoint("http://[::1]:1")},
		{awskms.WithEndpoint("http://127.9.9.9:1")},
		{awskms.WithPlaintextEndpoint(), awskms.WithEndpoint("http://kms.example")},
		{awskms.WithPlaintextEndpoint(), awskms.WithConfig(elsewhere)},
		{awskms.WithEndpointHosts("other.example", "kms.example"), awskms.WithEndpoint("https://kms.example"), awskms.WithConfig(elsewhere)},
		{awskms.WithEndpoint("https://kms.{region}.amazonaws.com"), awskms.WithReplicas("eu-west-1")},
		{awskms.WithEndpoint("https://kms-fips.us-gov-west-1.amazonaws.com")},
		{awskms.WithEndpoint("https://kms.cn-north-1.amazonaws.com.cn:443")},
		{awskms.WithEndpoint("https://kms.eu-central-1.api.aws")},
		{awskms.WithEndpoint("https://127.0.0.1:8443")},
		{awskms.WithReplicas()},
	} {
		if _, err := awskms.New(t.Context(), append([]awskms.Option{awskms.WithConfig(config())}, opts...)...); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestAnEndpointOfOneRegionServesNoOther(t *testing.T) {
	k, err := awskms.New(t.Context(), awskms.WithConfig(config()), awskms.WithEndpointHosts("kms.invalid"), awskms.WithEndpoint("https://kms.invalid"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = k.Generate(t.Context(), "aws-kms:arn:aws:kms:eu-west-1:111122223333:alias/x", nil)
	check(t, "an ARN of another Region", err, kms.ErrInvalid)
	_, err = k.Unwrap(t.Context(), "aws-kms:arn:aws:kms:eu-west-1:111122223333:alias/x", []byte("w"), nil)
	check(t, "an ARN of another Region", err, kms.ErrInvalid)
}

func TestWithoutARegionOnlyAnARNCanBeAskedFor(t *testing.T) {
	s := start(t)
	arn := s.AddKey(away)
	nowhere := config()
	nowhere.Region = ""
	k := open(t, s, awskms.WithConfig(nowhere))
	generate(t, k, "aws-kms:"+arn)
	_, _, err := k.Generate(t.Context(), "aws-kms:alias/x", nil)
	check(t, "an alias", err, kms.ErrInvalid)
}

// environment clears what the machine has, and keeps the default chain from
// asking for the metadata of an instance.
func environment(t *testing.T, set map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // back after the test
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
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

func TestTheDefaultChain(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	s.SetAlias(home, "alias/pii", arn)
	sts := startSTS(t)
	keys := "aws_access_key_id = " + accessKey + "\naws_secret_access_key = " + secretKey + "\naws_session_token = " + sessionToken + "\n"
	tests := []struct {
		name string
		env  map[string]string
		asks string // what the service of credentials was asked
	}{
		{"the environment", map[string]string{
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": sessionToken, "AWS_REGION": home,
		}, ""},
		{"shared files", map[string]string{
			"AWS_SHARED_CREDENTIALS_FILE": write(t, "[pii]\n"+keys), "AWS_CONFIG_FILE": write(t, "[profile pii]\nregion = "+home+"\n"), "AWS_PROFILE": "pii",
		}, ""},
		{"a web identity, as in Kubernetes", map[string]string{
			"AWS_WEB_IDENTITY_TOKEN_FILE": write(t, "jwt"), "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/pod", "AWS_REGION": home, "AWS_ENDPOINT_URL_STS": sts.URL,
		}, "AssumeRoleWithWebIdentity arn:aws:iam::111122223333:role/pod "},
		{"a container", map[string]string{
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": sts.URL + "/container", "AWS_REGION": home,
		}, "GET /container"},
		{"an instance", map[string]string{
			"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": sts.URL, "AWS_REGION": home,
		}, "GET /latest/meta-data/iam/security-credentials/role"},
		{"an endpoint of the environment", map[string]string{
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": sessionToken, "AWS_REGION": home, "AWS_ENDPOINT_URL_KMS": s.URL,
		}, ""},
		{"attempts of the environment, which do not count", map[string]string{
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": sessionToken, "AWS_REGION": home,
			"AWS_MAX_ATTEMPTS": "5", "AWS_RETRY_MODE": "adaptive",
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, tt.env)
			sts.reset()
			var opts []awskms.Option
			if tt.env["AWS_ENDPOINT_URL_KMS"] == "" {
				opts = append(opts, awskms.WithEndpoint(s.URL))
			}
			k, err := awskms.New(t.Context(), opts...)
			if err != nil {
				t.Fatal(err)
			}
			plain, wrapped := generate(t, k, "aws-kms:alias/pii")
			if got, err := k.Unwrap(t.Context(), "aws-kms:alias/pii", wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("Unwrap: %v", err)
			}
			if asked := sts.asked(); tt.asks != "" && !strings.Contains(strings.Join(asked, "\n"), tt.asks) {
				t.Errorf("asked %q", asked)
			}
			calls := s.Calls("Decrypt")
			s.Fault(awsThrottle)
			defer s.ClearFaults()
			_, err = k.Unwrap(t.Context(), "aws-kms:alias/pii", wrapped, contextOf("acme"))
			check(t, "Unwrap", err, kms.ErrThrottled)
			if n := s.Calls("Decrypt") - calls; n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

func TestAConfigurationThatCannotBeLoaded(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"a profile that is not there": {"AWS_PROFILE": "canary-profile"},
		"a file that is none":         {"AWS_CONFIG_FILE": write(t, "[default]\nregion = eu-central-1\nsource_profile = canary\nrole_arn = canary\n")},
		"http in the environment": {
			"AWS_ENDPOINT_URL_KMS": "http://kms.example", "AWS_REGION": home, "AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
		},
		"http for every service": {
			"AWS_ENDPOINT_URL": "http://kms.example", "AWS_REGION": home, "AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
		},
		"a host of somebody else in the environment": {
			"AWS_ENDPOINT_URL": "https://canary.example", "AWS_REGION": home, "AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
		},
		"FIPS and an endpoint": {
			"AWS_ENDPOINT_URL": "https://kms.eu-central-1.amazonaws.com", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": home,
			"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey,
		},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, env)
			_, err := awskms.New(t.Context())
			if err == nil {
				t.Fatal("accepted")
			}
			check(t, "New", err, kms.ErrInvalid)
		})
	}
}

func TestCredentialsThatCannotBeHad(t *testing.T) {
	s := start(t)
	arn := s.AddKey(home)
	for name, fetch := range map[string]struct {
		err   error
		class error
	}{
		"nowhere": {errors.New("canary: no credentials in " + secretKey), kms.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.Credentials = failing{fetch.err}
			_, _, err := open(t, s, awskms.WithConfig(cfg)).Generate(t.Context(), "aws-kms:"+arn, nil)
			check(t, "Generate", err, fetch.class)
			if e, ok := errors.AsType[*awskms.Error](err); !ok || e.Via != "credentials" || e.Code != "" {
				t.Errorf("%#v", err)
			}
		})
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// Bodies hold data keys, and the SDK writes them into a log when it is told to.
func TestNothingIsLogged(t *testing.T) {
	s := start(t)
	sts := startSTS(t)
	arn := s.AddKey(home)
	var log buffer
	cfg := config()
	cfg.Logger = &log
	cfg.ClientLogMode = aws.LogRequestWithBody | aws.LogResponseWithBody | aws.LogSigning | aws.LogRetries | aws.LogRequest | aws.LogResponse
	cfg.BaseEndpoint = aws.String(sts.URL)
	k := open(t, s, awskms.WithConfig(cfg), awskms.WithAssumeRole("arn:aws:iam::111122223333:role/seal", "external"))
	_, wrapped := generate(t, k, "aws-kms:"+arn)
	for op, err := range each(t.Context(), k, "aws-kms:"+arn, wrapped) {
		if err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	if text := log.String(); text != "" {
		t.Errorf("logged: %s", text)
	}
	if asked := strings.Join(sts.asked(), "\n"); asked != "AssumeRole arn:aws:iam::111122223333:role/seal external" {
		t.Errorf("asked %q", asked)
	}
}
