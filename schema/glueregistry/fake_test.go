package glueregistry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/fieldveil/fieldveil/schema"
)

// secrets are what no error may show.
const (
	accessKey    = "AKIDEXAMPLECANARY"
	secretKey    = "wJalrCanarySecretKey"
	sessionToken = "FQoCanarySessionToken"
)

// A fakeGlue answers as Glue does: one POST for each call, named in a header.
type fakeGlue struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	calls    []string // "Op body"
	versions map[string]*fakeVersion
	schemas  map[string]*fakeSchema // by registry/name
	fail     map[string]fault       // by op: how the next calls fail
	rewrite  string                 // what GetSchemaVersion shows instead of the text
}

type fakeSchema struct {
	format   string
	versions []string
	status   string // of versions to come
}

type fakeVersion struct {
	format, text, status string
	pending              int // answers until the status holds
	metadata             map[string][]string
}

type fault struct {
	status int
	code   string
	times  int
}

func newFakeGlue(t *testing.T) *fakeGlue {
	t.Helper()
	f := &fakeGlue{t: t, versions: map[string]*fakeVersion{}, schemas: map[string]*fakeSchema{}, fail: map[string]fault{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

// api returns the real SDK, set up for the fake.
func (f *fakeGlue) api() *glue.Client {
	return glue.New(glue.Options{
		BaseEndpoint: aws.String(f.url),
		Region:       "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: sessionToken}, nil
		}),
		RetryMaxAttempts: 1,
	})
}

func (f *fakeGlue) client(cfg Config) *Client {
	f.t.Helper()
	cfg.API = f.api()
	c, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// count returns how often an operation was called.
func (f *fakeGlue) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, op+" ") {
			n++
		}
	}
	return n
}

// add puts a version there, as somebody else would have registered it.
func (f *fakeGlue) add(guid [16]byte, v fakeVersion) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.metadata == nil {
		v.metadata = map[string][]string{}
	}
	f.versions[FormatGUID(guid)] = &v
}

func (f *fakeGlue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	body, err := io.ReadAll(r.Body)
	if !ok || err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" ||
		!strings.Contains(r.Header.Get("Authorization"), accessKey) {
		f.t.Errorf("a request that Glue would not take: %s %q", r.Method, r.Header)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.calls = append(f.calls, op+" "+string(body))
	if fail := f.fail[op]; fail.times > 0 {
		fail.times--
		f.fail[op] = fail
		// What AWS says when a signature is wrong repeats the headers.
		f.refuse(w, fail.status, fail.code, "The Canonical String was: x-amz-security-token:"+sessionToken+" "+string(body))
		return
	}
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		f.refuse(w, 400, "SerializationException", err.Error())
		return
	}
	str := func(path ...string) string {
		var v any = in
		for _, p := range path {
			m, ok := v.(map[string]any)
			if !ok {
				return ""
			}
			v = m[p]
		}
		s, ok := v.(string)
		if !ok {
			return ""
		}
		return s
	}
	switch op {
	case "GetSchemaVersion":
		v, ok := f.versions[str("SchemaVersionId")]
		if !ok {
			f.refuse(w, 400, "EntityNotFoundException", "Schema version is not found.")
			return
		}
		status := v.status
		if v.pending > 0 {
			v.pending--
			status = "PENDING"
		}
		f.answer(w, map[string]any{
			"SchemaVersionId": str("SchemaVersionId"), "SchemaDefinition": cmp.Or(f.rewrite, v.text), "DataFormat": v.format,
			"SchemaArn": "arn:aws:glue:eu-central-1:123456789012:schema/r/s", "VersionNumber": 1,
			"Status": status, "CreatedTime": "2026-01-02T03:04:05.678Z",
		})
	case "QuerySchemaVersionMetadata":
		v, ok := f.versions[str("SchemaVersionId")]
		if !ok {
			f.refuse(w, 400, "EntityNotFoundException", "Schema version is not found.")
			return
		}
		infos := map[string]any{}
		for key, values := range v.metadata {
			others := []any{}
			for _, o := range values[1:] {
				others = append(others, map[string]any{"MetadataValue": o, "CreatedTime": "2026-01-02T03:04:05.678Z"})
			}
			infos[key] = map[string]any{"MetadataValue": values[0], "CreatedTime": "2026-01-02T03:04:05.678Z", "OtherMetadataValueList": others}
		}
		f.answer(w, map[string]any{"MetadataInfoMap": infos, "SchemaVersionId": str("SchemaVersionId")})
	case "PutSchemaVersionMetadata":
		v, ok := f.versions[str("SchemaVersionId")]
		if !ok {
			f.refuse(w, 400, "EntityNotFoundException", "Schema version is not found.")
			return
		}
		key, value := str("MetadataKeyValue", "MetadataKey"), str("MetadataKeyValue", "MetadataValue")
		if slices.Contains(v.metadata[key], value) {
			f.refuse(w, 400, "AlreadyExistsException", "Resource already exists.")
			return
		}
		v.metadata[key] = append(v.metadata[key], value)
		f.answer(w, map[string]any{"SchemaVersionId": str("SchemaVersionId"), "MetadataKey": key, "MetadataValue": value})
	case "CreateSchema":
		name := str("RegistryId", "RegistryName") + "/" + str("SchemaName")
		if _, ok := f.schemas[name]; ok {
			f.refuse(w, 400, "AlreadyExistsException", "Schema already exists.")
			return
		}
		f.schemas[name] = &fakeSchema{format: str("DataFormat"), status: "AVAILABLE"}
		id := f.put(f.schemas[name], str("SchemaDefinition"))
		f.answer(w, map[string]any{"SchemaName": str("SchemaName"), "SchemaVersionId": id, "SchemaVersionStatus": "AVAILABLE", "DataFormat": str("DataFormat"), "Compatibility": str("Compatibility")})
	case "RegisterSchemaVersion":
		s, ok := f.schemas[str("SchemaId", "RegistryName")+"/"+str("SchemaId", "SchemaName")]
		if !ok {
			f.refuse(w, 400, "EntityNotFoundException", "Schema is not found.")
			return
		}
		for _, id := range s.versions {
			if sameText(schema.JSONSchema, f.versions[id].text, str("SchemaDefinition")) {
				f.answer(w, map[string]any{"SchemaVersionId": id, "VersionNumber": 1, "Status": f.versions[id].status})
				return
			}
		}
		id := f.put(s, str("SchemaDefinition"))
		f.answer(w, map[string]any{"SchemaVersionId": id, "VersionNumber": len(s.versions), "Status": "PENDING"})
	default:
		f.refuse(w, 400, "UnknownOperationException", "")
	}
}

func (f *fakeGlue) put(s *fakeSchema, text string) string {
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", len(f.versions)+1)
	s.versions = append(s.versions, id)
	f.versions[id] = &fakeVersion{format: s.format, text: text, status: s.status, pending: len(s.versions) - 1, metadata: map[string][]string{}}
	return id
}

func (f *fakeGlue) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "b25c7a4e-8f2a-4f8e-9d0a-request")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		f.t.Error(err)
	}
}

func (f *fakeGlue) refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "b25c7a4e-8f2a-4f8e-9d0a-request")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(map[string]string{"__type": code, "Message": message}); err != nil {
		f.t.Error(err)
	}
}
