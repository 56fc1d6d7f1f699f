package kmstest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

const region = "eu-central-1"

// A caller makes calls as the documentation of AWS has them.
type caller struct {
	url, region, service  string
	access, secret, token string
	at                    time.Time
	client                http.Client
}

func callerOf(s *kmstest.AWSServer) *caller {
	return &caller{url: s.URL, region: region, service: "kms", access: "AKID", secret: "secret of a test", at: time.Now()}
}

// call returns what a call answers and the code of its error.
func (c *caller) call(t *testing.T, op string, in any) (out map[string]any, code string) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	status, answer, err := c.send(t, op, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatalf("%s answers %q: %v", op, answer, err)
	}
	if status != http.StatusOK {
		return nil, fmt.Sprint(status, " ", out["__type"])
	}
	return out, ""
}

func (c *caller) send(t *testing.T, op string, body []byte) (status int, answer []byte, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService."+op)
	c.sign(req, body)
	res, err := c.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	if err == nil && res.StatusCode < 500 && (res.Header.Get("Content-Type") != "application/x-amz-json-1.1" || len(res.Header.Get("X-Amzn-Requestid")) != 36) {
		t.Errorf("headers %q", res.Header)
	}
	return res.StatusCode, answer, err
}

// sign signs with Signature Version 4, spelt out for this one kind of request.
func (c *caller) sign(req *http.Request, body []byte) {
	at := c.at.UTC().Format("20060102T150405Z")
	day := at[:8]
	req.Header.Set("X-Amz-Date", at)
	signed, token := "content-type;host;x-amz-date;x-amz-target", ""
	if c.token != "" {
		req.Header.Set("X-Amz-Security-Token", c.token)
		signed, token = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target", "x-amz-security-token:"+c.token+"\n"
	}
	canonical := fmt.Sprintf("POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:%s\nx-amz-date:%s\n%sx-amz-target:%s\n\n%s\n%x",
		req.URL.Host, at, token, req.Header.Get("X-Amz-Target"), signed, sha256.Sum256(body))
	scope := day + "/" + c.region + "/" + c.service + "/aws4_request"
	text := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", at, scope, sha256.Sum256([]byte(canonical)))
	key := []byte("AWS4" + c.secret)
	for _, part := range []string{day, c.region, c.service, "aws4_request", text} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+c.access+"/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(key))
}

func awsServer(t *testing.T) *kmstest.AWSServer {
	t.Helper()
	s := kmstest.NewAWSServer()
	t.Cleanup(s.Close)
	return s
}

type object = map[string]any

func blobOf(t *testing.T, out object) []byte {
	t.Helper()
	text, _ := out["CiphertextBlob"].(string)
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		t.Fatalf("no blob in %v", out)
	}
	return b
}

func TestAWSCallsAndTheirErrors(t *testing.T) {
	s := awsServer(t)
	one, two, off := s.AddKey(region), s.AddKey(region), s.AddKey(region)
	multi := s.AddMultiRegionKey(region, "eu-west-1")
	s.SetAlias(region, "alias/one", one)
	c := callerOf(s)
	ec := object{"tenant": "acme"}
	made, code := c.call(t, "GenerateDataKey", object{"KeyId": "alias/one", "KeySpec": "AES_256", "EncryptionContext": ec})
	if code != "" || made["KeyId"] != one {
		t.Fatalf("%v, %s", made, code)
	}
	blob := blobOf(t, made)
	changed := bytes.Clone(blob)
	changed[len(changed)-1] ^= 1
	fromOff, _ := c.call(t, "GenerateDataKey", object{"KeyId": off, "KeySpec": "AES_256"})
	s.SetState(region, off, kmstest.AWSDisabled)
	foreign := bytes.Clone(blob)
	copy(foreign[1:], "00000000-0000-4000-8000-000000000000")
	id := one[strings.LastIndexByte(one, '/')+1:]
	tests := []struct {
		name string
		op   string
		in   any
		code string
	}{
		{"decrypt by alias", "Decrypt", object{"KeyId": "alias/one", "CiphertextBlob": blob, "EncryptionContext": ec}, ""},
		{"decrypt by ARN", "Decrypt", object{"KeyId": one, "CiphertextBlob": blob, "EncryptionContext": ec, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, ""},
		{"decrypt by id", "Decrypt", object{"KeyId": id, "CiphertextBlob": blob, "EncryptionContext": ec}, ""},
		{"decrypt under the key that the blob names", "Decrypt", object{"CiphertextBlob": blob, "EncryptionContext": ec}, ""},
		{"a blob of a key that is not here", "Decrypt", object{"CiphertextBlob": foreign, "EncryptionContext": ec}, "400 AccessDeniedException"},
		{"another key", "Decrypt", object{"KeyId": two, "CiphertextBlob": blob, "EncryptionContext": ec}, "400 IncorrectKeyException"},
		{"another context", "Decrypt", object{"KeyId": one, "CiphertextBlob": blob, "EncryptionContext": object{"tenant": "b"}}, "400 InvalidCiphertextException"},
		{"no context", "Decrypt", object{"KeyId": one, "CiphertextBlob": blob}, "400 InvalidCiphertextException"},
		{"a changed blob", "Decrypt", object{"KeyId": one, "CiphertextBlob": changed, "EncryptionContext": ec}, "400 InvalidCiphertextException"},
		{"a short blob", "Decrypt", object{"KeyId": one, "CiphertextBlob": blob[:3]}, "400 InvalidCiphertextException"},
		{"an empty blob", "Decrypt", object{"KeyId": one, "CiphertextBlob": ""}, "400 ValidationException"},
		{"no blob", "Decrypt", object{"KeyId": one}, "400 ValidationException"},
		{"a blob that is too long", "Decrypt", object{"KeyId": one, "CiphertextBlob": make([]byte, 6145)}, "400 ValidationException"},
		{"a blob that is no base64", "Decrypt", object{"KeyId": one, "CiphertextBlob": "!"}, "400 SerializationException"},
		{"an algorithm of other keys", "Decrypt", object{"KeyId": one, "CiphertextBlob": blob, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}, "400 InvalidKeyUsageException"},
		{"an algorithm that is none", "Decrypt", object{"KeyId": one, "CiphertextBlob": blob, "EncryptionAlgorithm": "ROT13"}, "400 ValidationException"},
		{"a disabled key", "Decrypt", object{"KeyId": off, "CiphertextBlob": blobOf(t, fromOff)}, "400 DisabledException"},
		{"an alias that is not there", "Decrypt", object{"KeyId": "alias/none", "CiphertextBlob": blob}, "400 NotFoundException"},
		{"an ARN of another Region", "Decrypt", object{"KeyId": strings.Replace(one, region, "eu-west-1", 1), "CiphertextBlob": blob}, "400 NotFoundException"},
		{"an ARN of something else", "Decrypt", object{"KeyId": strings.Replace(one, ":key/", ":grant/", 1), "CiphertextBlob": blob}, "400 NotFoundException"},
		{"no key id", "GenerateDataKey", object{"KeySpec": "AES_256"}, "400 ValidationException"},
		{"no size", "GenerateDataKey", object{"KeyId": one}, "400 ValidationException"},
		{"two sizes", "GenerateDataKey", object{"KeyId": one, "KeySpec": "AES_256", "NumberOfBytes": 32}, "400 ValidationException"},
		{"a size of nothing", "GenerateDataKey", object{"KeyId": one, "NumberOfBytes": 0}, "400 ValidationException"},
		{"a size of too much", "GenerateDataKey", object{"KeyId": one, "NumberOfBytes": 1025}, "400 ValidationException"},
		{"another spec", "GenerateDataKey", object{"KeyId": one, "KeySpec": "AES_512"}, "400 ValidationException"},
		{"a context that is too long", "GenerateDataKey", object{"KeyId": one, "KeySpec": "AES_256", "EncryptionContext": object{"a": strings.Repeat("a", 5000)}}, "400 ValidationException"},
		{"a disabled key that generates", "GenerateDataKey", object{"KeyId": off, "KeySpec": "AES_256"}, "400 DisabledException"},
		{"a body that is no object", "GenerateDataKey", "text", "400 SerializationException"},
		{"from the right key", "ReEncrypt", object{"SourceKeyId": one, "DestinationKeyId": two, "CiphertextBlob": blob, "SourceEncryptionContext": ec}, ""},
		{"from another key", "ReEncrypt", object{"SourceKeyId": two, "DestinationKeyId": two, "CiphertextBlob": blob, "SourceEncryptionContext": ec}, "400 IncorrectKeyException"},
		{"to a disabled key", "ReEncrypt", object{"SourceKeyId": one, "DestinationKeyId": off, "CiphertextBlob": blob, "SourceEncryptionContext": ec}, "400 DisabledException"},
		{"to no key", "ReEncrypt", object{"SourceKeyId": one, "CiphertextBlob": blob, "SourceEncryptionContext": ec}, "400 ValidationException"},
		{"with the context of the destination", "ReEncrypt", object{"SourceKeyId": one, "DestinationKeyId": two, "CiphertextBlob": blob, "DestinationEncryptionContext": ec}, "400 InvalidCiphertextException"},
		{"with an algorithm of other keys", "ReEncrypt", object{"SourceKeyId": one, "DestinationKeyId": two, "CiphertextBlob": blob, "DestinationEncryptionAlgorithm": "SM2PKE"}, "400 InvalidKeyUsageException"},
		{"describe a multi-Region key", "DescribeKey", object{"KeyId": multi}, ""},
		{"describe no key", "DescribeKey", object{"KeyId": "alias/none"}, "400 NotFoundException"},
		{"an operation of AWS that is not there", "Encrypt", object{"KeyId": one}, "400 UnknownOperationException"},
		{"a request that is too long", "Decrypt", object{"KeyId": strings.Repeat("a", 64<<10)}, "413 RequestEntityTooLargeException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Calls(tt.op)
			out, code := c.call(t, tt.op, tt.in)
			if code != tt.code {
				t.Fatalf("code %q, want %q", code, tt.code)
			}
			if tt.code == "" && tt.op == "Decrypt" && (out["Plaintext"] != made["Plaintext"] || out["KeyId"] != one || out["EncryptionAlgorithm"] != "SYMMETRIC_DEFAULT") {
				t.Errorf("%v", out)
			}
			if known := tt.op != "Encrypt" && !strings.HasPrefix(code, "413"); known != (s.Calls(tt.op) == before+1) {
				t.Errorf("%d calls after %d", s.Calls(tt.op), before)
			}
		})
	}
	if s.Calls("") != 2 {
		t.Errorf("%d requests that were no call, want 2", s.Calls(""))
	}
	for state, code := range map[kmstest.AWSKeyState]string{
		kmstest.AWSPendingDeletion: "400 KMSInvalidStateException", kmstest.AWSPendingImport: "400 KMSInvalidStateException",
		kmstest.AWSUnavailable: "400 KMSInvalidStateException", kmstest.AWSEnabled: "",
	} {
		s.SetState(region, one, state)
		if _, got := c.call(t, "GenerateDataKey", object{"KeyId": one, "KeySpec": "AES_128"}); got != code {
			t.Errorf("%s: %q", state, got)
		}
		out, _ := c.call(t, "DescribeKey", object{"KeyId": "alias/one"})
		metadata, _ := out["KeyMetadata"].(object)
		if metadata["KeyState"] != string(state) || metadata["Enabled"] != (state == kmstest.AWSEnabled) || metadata["Arn"] != one || metadata["MultiRegion"] != false {
			t.Errorf("%v", metadata)
		}
	}
}

func TestAWSReplicasShareTheirMaterialAndNotTheirState(t *testing.T) {
	s := awsServer(t)
	multi := s.AddMultiRegionKey(region, "eu-west-1")
	here, there := callerOf(s), callerOf(s)
	there.region = "eu-west-1"
	made, _ := here.call(t, "GenerateDataKey", object{"KeyId": multi, "KeySpec": "AES_256"})
	s.SetState(region, multi, kmstest.AWSDisabled)
	out, code := there.call(t, "Decrypt", object{"KeyId": multi, "CiphertextBlob": blobOf(t, made)})
	if code != "" || out["Plaintext"] != made["Plaintext"] || out["KeyId"] != "arn:aws:kms:eu-west-1:"+kmstest.AWSAccount+":key/"+multi {
		t.Errorf("%v, %s", out, code)
	}
	if _, code := here.call(t, "Decrypt", object{"KeyId": multi, "CiphertextBlob": blobOf(t, made)}); code != "400 DisabledException" {
		t.Errorf("code %q", code)
	}
	requests := s.Requests()
	if len(requests) != 3 || requests[1].Region != "eu-west-1" || requests[1].AccessKeyID != "AKID" || requests[1].KeyID != multi {
		t.Errorf("%+v", requests)
	}
}

func TestAWSSignatures(t *testing.T) {
	s := awsServer(t)
	arn := s.AddKey(region)
	s.RequireCredentials("AKID", "secret of a test", "token")
	for _, tt := range []struct {
		name   string
		change func(c *caller)
		code   string
	}{
		{"the right ones", func(*caller) {}, ""},
		{"another secret", func(c *caller) { c.secret = "another secret" }, "400 InvalidSignatureException"},
		{"another id", func(c *caller) { c.access = "other" }, "400 UnrecognizedClientException"},
		{"another token", func(c *caller) { c.token = "other" }, "400 UnrecognizedClientException"},
		{"no token", func(c *caller) { c.token = "" }, "400 UnrecognizedClientException"},
		{"another service", func(c *caller) { c.service = "s3" }, "400 InvalidSignatureException"},
		{"ten minutes ago", func(c *caller) { c.at = c.at.Add(-10 * time.Minute) }, "400 InvalidSignatureException"},
		{"in ten minutes", func(c *caller) { c.at = c.at.Add(10 * time.Minute) }, "400 InvalidSignatureException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := callerOf(s)
			c.token = "token"
			tt.change(c)
			if _, code := c.call(t, "GenerateDataKey", object{"KeyId": arn, "KeySpec": "AES_256"}); code != tt.code {
				t.Errorf("code %q, want %q", code, tt.code)
			}
		})
	}
	// A body that was changed on the way.
	c := callerOf(s)
	c.token = "token"
	c.client.Transport = rewriting{}
	if _, code := c.call(t, "GenerateDataKey", object{"KeyId": arn, "KeySpec": "AES_256"}); code != "400 InvalidSignatureException" {
		t.Errorf("a changed body: %q", code)
	}
	for header, code := range map[string]string{
		"":                              "MissingAuthenticationTokenException",
		"Basic YTpi":                    "MissingAuthenticationTokenException",
		"AWS4-HMAC-SHA256 Credential=a": "IncompleteSignatureException",
		"AWS4-HMAC-SHA256 Credential=a/b/c/kms/aws4_request":                  "IncompleteSignatureException",
		"AWS4-HMAC-SHA256 Credential=a/b/kms, SignedHeaders=host, Signature=": "IncompleteSignatureException",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "TrentService.Decrypt")
		req.Header.Set("Authorization", header)
		res, err := c.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(body), code) {
			t.Errorf("%q: %s, %v", header, body, err)
		}
	}
}

// rewriting asks for another size than was signed.
type rewriting struct{}

func (rewriting) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(bytes.Replace(body, []byte("256"), []byte("128"), 1)))
	return http.DefaultTransport.RoundTrip(req)
}

func TestAWSFaults(t *testing.T) {
	s := awsServer(t)
	arn := s.AddKey(region)
	c := callerOf(s)
	in, err := json.Marshal(object{"KeyId": arn, "KeySpec": "AES_256"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		fault  kmstest.AWSFault
		status int
		says   string // a part of the answer
		size   int    // at least
		breaks bool
	}{
		{"a code", kmstest.AWSFault{Code: "ThrottlingException", Message: "Rate exceeded"}, 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`, 0, false},
		{"a denial, with its other spelling", kmstest.AWSFault{Code: "AccessDeniedException", Message: "no"}, 400, `{"Message":"no","__type":"AccessDeniedException"}`, 0, false},
		{"a code of a broken service", kmstest.AWSFault{Code: "KMSInternalException"}, 500, "KMSInternalException", 0, false},
		{"a code of a broken part", kmstest.AWSFault{Code: "DependencyTimeoutException"}, 503, "DependencyTimeoutException", 0, false},
		{"a code with a status", kmstest.AWSFault{Code: "ThrottlingException", Status: 429}, 429, "Throttling", 0, false},
		{"a status", kmstest.AWSFault{Status: 502}, 502, "", 0, false},
		{"a body", kmstest.AWSFault{Body: []byte("<html>")}, 200, "<html>", 0, false},
		{"a body with a status", kmstest.AWSFault{Body: []byte("<html>"), Status: 403}, 403, "<html>", 0, false},
		{"a cut connection", kmstest.AWSFault{Cut: true}, 0, "", 0, true},
		{"a cut answer", kmstest.AWSFault{CutBody: true}, 0, "", 0, true},
		{"a long answer", kmstest.AWSFault{Oversized: 1 << 20}, 200, "Plaintext", 1 << 20, false},
		{"no key", kmstest.AWSFault{Answer: kmstest.EmptyPlain}, 200, `"Plaintext":""`, 0, false},
		{"no wrapped key", kmstest.AWSFault{Answer: kmstest.EmptyWrapped}, 200, `"CiphertextBlob":""`, 0, false},
		{"another key", kmstest.AWSFault{OtherKey: true}, 200, ":key/00000000-0000-4000-8000-000000000000", 0, false},
		{"a delay", kmstest.AWSFault{Delay: time.Millisecond}, 200, arn, 0, false},
		{"of another operation", kmstest.AWSFault{Op: "Decrypt", Cut: true}, 200, arn, 0, false},
		{"of another Region", kmstest.AWSFault{Region: "eu-west-1", Cut: true}, 200, arn, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Fault(tt.fault)
			defer s.ClearFaults()
			status, answer, err := c.send(t, "GenerateDataKey", in)
			if (err != nil) != tt.breaks {
				t.Fatalf("%v", err)
			}
			if !tt.breaks && (status != tt.status || !strings.Contains(string(answer), tt.says) || len(answer) < tt.size) {
				t.Errorf("%d %.200s", status, answer)
			}
		})
	}
	s.Fault(kmstest.AWSFault{Times: 1})
	s.Fault(kmstest.AWSFault{Times: 2, Code: "KMSInternalException"})
	s.Fault(kmstest.AWSFault{Code: "NotFoundException"})
	var codes []string
	for range 5 {
		_, code := c.call(t, "GenerateDataKey", object{"KeyId": arn, "KeySpec": "AES_256"})
		codes = append(codes, code)
	}
	if got, want := fmt.Sprintf("%q", codes), `["" "500 KMSInternalException" "500 KMSInternalException" "400 NotFoundException" "400 NotFoundException"]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAWSWrongAnswersOpenToAnotherKey(t *testing.T) {
	s := awsServer(t)
	arn := s.AddKey(region)
	c := callerOf(s)
	s.Fault(kmstest.AWSFault{Answer: kmstest.WrongPlain, Times: 1})
	made, _ := c.call(t, "GenerateDataKey", object{"KeyId": arn, "KeySpec": "AES_256"})
	out, code := c.call(t, "Decrypt", object{"KeyId": arn, "CiphertextBlob": blobOf(t, made)})
	if code != "" || out["Plaintext"] == made["Plaintext"] {
		t.Errorf("%q, or the same key", code)
	}
}

func TestCloseEndsCallsThatWait(t *testing.T) {
	s := kmstest.NewAWSServer()
	arn := s.AddKey(region)
	s.Fault(kmstest.AWSFault{Delay: time.Hour})
	c := callerOf(s)
	ended := make(chan error)
	go func() {
		in, err := json.Marshal(object{"KeyId": arn, "KeySpec": "AES_256"})
		if err == nil {
			_, _, err = c.send(t, "GenerateDataKey", in)
		}
		ended <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.Calls("GenerateDataKey") == 0 {
		<-tick.C
	}
	s.Close()
	if err := <-ended; err == nil {
		t.Error("an answer after all")
	} else if errors.Is(err, http.ErrHandlerTimeout) {
		t.Error(err)
	}
}

func TestMistakesOfATestPanic(t *testing.T) {
	s := awsServer(t)
	arn := s.AddKey(region)
	for name, mistake := range map[string]func(){
		"a state of no key":               func() { s.SetState(region, "none", kmstest.AWSDisabled) },
		"a state in another Region":       func() { s.SetState("eu-west-1", arn, kmstest.AWSDisabled) },
		"an alias without its name":       func() { s.SetAlias(region, "pii", arn) },
		"an alias of no key":              func() { s.SetAlias(region, "alias/pii", "none") },
		"an alias of a key of elsewhere":  func() { s.SetAlias("eu-west-1", "alias/pii", arn) },
		"an alias of a key in no Region ": func() { s.SetAlias("", "alias/pii", arn) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mistake()
		}()
	}
	// No lock is left behind.
	if _, code := callerOf(s).call(t, "DescribeKey", object{"KeyId": arn}); code != "" {
		t.Error(code)
	}
}

func ExampleAWSServer() {
	s := kmstest.NewAWSServer()
	defer s.Close()
	arn := s.AddKey("eu-central-1")
	s.SetAlias("eu-central-1", "alias/customer-pii", arn)
	// The first call is sound, the next is throttled.
	s.Fault(kmstest.AWSFault{Times: 1})
	s.Fault(kmstest.AWSFault{Times: 1, Code: "ThrottlingException"})

	// Here the program under test calls s.URL instead of AWS, for instance
	// because of AWS_ENDPOINT_URL_KMS. It does so by its SDK; this is what goes
	// over the wire.
	for range 2 {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL, strings.NewReader(`{"KeyId":"alias/customer-pii"}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "TrentService.DescribeKey")
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=id/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=00")
		client := http.Client{Timeout: time.Minute}
		res, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(res.StatusCode)
		if err := res.Body.Close(); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(s.Calls("DescribeKey"), "calls, the last about", s.Requests()[1].KeyID)
	// Output:
	// 200
	// 400
	// 2 calls, the last about alias/customer-pii
}
