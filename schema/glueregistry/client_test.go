package glueregistry

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/fieldveil/fieldveil/schema"
)

const avroText = `{"type":"record","name":"Customer","fields":[{"name":"email","type":"string"}]}`

func TestSchemaByGUID(t *testing.T) {
	for _, test := range []struct {
		name    string
		version fakeVersion
		want    schema.Text
	}{
		{"an Avro schema", fakeVersion{format: "AVRO", text: avroText}, schema.Text{Format: schema.Avro, Schema: avroText}},
		{"a JSON schema", fakeVersion{format: "JSON", text: `{"type":"object"}`}, schema.Text{Format: schema.JSONSchema, Schema: `{"type":"object"}`}},
		{"a Protobuf schema", fakeVersion{format: "PROTOBUF", text: `syntax = "proto3"; message A {}`}, schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3"; message A {}`}},
		{
			"tags beside the text, in an order of their own",
			fakeVersion{format: "AVRO", text: avroText, metadata: map[string][]string{
				"owner":            {"team@example.com"},
				"fieldveil.tags":   {"/z@PII", "Customer.email@PII+EMAIL"},
				"fieldveil.tags.2": {"/cards/=5B=5D/pan@PCI@@/z@PII"},
			}},
			schema.Text{Format: schema.Avro, Schema: avroText, Tags: []schema.TagRule{
				{Pattern: "/cards/[]/pan", Tags: []string{"PCI"}}, {Pattern: "/z", Tags: []string{"PII"}}, {Pattern: "Customer.email", Tags: []string{"PII", "EMAIL"}},
			}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeGlue(t)
			test.version.status = "AVAILABLE"
			f.add(testGUID, test.version)
			c := f.client(Config{})
			for range 3 {
				got, err := c.SchemaByGUID(t.Context(), testGUID)
				if err != nil || !reflect.DeepEqual(got, test.want) {
					t.Fatalf("SchemaByGUID = %+v, %v, want %+v", got, err, test.want)
				}
			}
			if n := len(f.calls); n != 2 {
				t.Errorf("%d calls, want one for the text and one for the tags: %q", n, f.calls)
			}
		})
	}
}

func TestSchemaByGUIDRefuses(t *testing.T) {
	ok := fakeVersion{format: "AVRO", text: avroText, status: "AVAILABLE"}
	with := func(change func(*fakeVersion)) *fakeVersion {
		v := ok
		change(&v)
		return &v
	}
	for _, test := range []struct {
		name     string
		version  *fakeVersion
		op       string
		fault    fault
		notFound bool
		is       error
		text     string // that the error holds
	}{
		{name: "a version that does not exist", notFound: true, text: "EntityNotFoundException"},
		{name: "a version that is pending", version: with(func(v *fakeVersion) { v.status = "PENDING" }), notFound: true, text: `"PENDING"`},
		{name: "a version that failed", version: with(func(v *fakeVersion) { v.status = "FAILURE" }), notFound: true, text: `"FAILURE"`},
		{name: "a version that is being deleted", version: with(func(v *fakeVersion) { v.status = "DELETING" }), notFound: true, text: `"DELETING"`},
		{name: "a version of no status", version: with(func(v *fakeVersion) { v.status = "" }), notFound: true, text: `""`},
		{name: "a status that is no word", version: with(func(v *fakeVersion) { v.status = "x\n" }), notFound: true, text: `"unreadable"`},
		{name: "a format to come", version: with(func(v *fakeVersion) { v.format = "THRIFT" }), is: ErrUnsupported},
		{name: "no text", version: with(func(v *fakeVersion) { v.text = "" }), is: ErrUnsupported},
		{name: "a text larger than Glue has", version: with(func(v *fakeVersion) { v.text = strings.Repeat("x", maxDefinition+1) }), is: ErrUnsupported},
		{name: "tags that cannot be understood", version: with(func(v *fakeVersion) { v.metadata = map[string][]string{TagKey: {"PII"}} }), is: errTagRule},
		{name: "no permission to read", version: &ok, op: "GetSchemaVersion", fault: fault{400, "AccessDeniedException", 9}, text: "AccessDeniedException"},
		{name: "no permission to read the tags", version: &ok, op: "QuerySchemaVersionMetadata", fault: fault{400, "AccessDeniedException", 9}, text: "AccessDeniedException"},
		{name: "a wrong signature", version: &ok, op: "GetSchemaVersion", fault: fault{403, "InvalidSignatureException", 9}, text: "InvalidSignatureException (request b25c7a4e-8f2a-4f8e-9d0a-request)"},
		{name: "an outage", version: &ok, op: "GetSchemaVersion", fault: fault{500, "InternalServiceException", 9}, text: "InternalServiceException"},
		{name: "a code that is no word", version: &ok, op: "GetSchemaVersion", fault: fault{400, "two words", 9}, text: "unreadable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeGlue(t)
			if test.version != nil {
				f.add(testGUID, *test.version)
			}
			if test.op != "" {
				f.fail[test.op] = test.fault
			}
			_, err := f.client(Config{}).SchemaByGUID(t.Context(), testGUID)
			if err == nil || errors.Is(err, schema.ErrNotFound) != test.notFound || !strings.Contains(err.Error(), test.text) ||
				test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("SchemaByGUID: %v", err)
			}
			checkNoSecret(t, err)
		})
	}
}

// checkNoSecret fails when an error shows what it must not, however it is
// printed.
func checkNoSecret(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%+v %#v", e, e)} {
			for _, secret := range []string{accessKey, secretKey, sessionToken, "Canonical"} {
				if strings.Contains(text, secret) {
					t.Errorf("an error shows %s: %s", secret, text)
				}
			}
		}
	}
}

func TestIgnoreTagsAsksForNone(t *testing.T) {
	f := newFakeGlue(t)
	f.add(testGUID, fakeVersion{format: "AVRO", text: avroText, status: "AVAILABLE", metadata: map[string][]string{TagKey: {"/email@PII"}}})
	f.fail["QuerySchemaVersionMetadata"] = fault{400, "AccessDeniedException", 9}
	got, err := f.client(Config{IgnoreTags: true}).SchemaByGUID(t.Context(), testGUID)
	if err != nil || got.Tags != nil || f.count("QuerySchemaVersionMetadata") != 0 {
		t.Errorf("SchemaByGUID = %+v, %v after %q", got, err, f.calls)
	}
}

func TestNothingAnswers(t *testing.T) {
	f := newFakeGlue(t)
	f.url = "http://127.0.0.1:1"
	_, err := f.client(Config{}).SchemaByGUID(t.Context(), testGUID)
	e, ok := errors.AsType[*APIError](err)
	if !ok || e.Status != 0 || e.Code != "" || errors.Is(err, schema.ErrNotFound) || e.Error() != "glueregistry: GetSchemaVersion: no answer" {
		t.Errorf("SchemaByGUID: %#v", err)
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	api := newFakeGlue(t).api()
	for name, cfg := range map[string]Config{
		"no API":                       {},
		"a negative limit":             {API: api, MaxSchemas: -1},
		"a negative time":              {API: api, Refresh: -1},
		"a name with a slash":          {API: api, Registry: "a/b"},
		"a name with a space":          {API: api, Registry: "a b"},
		"a name that is too long":      {API: api, Registry: strings.Repeat("a", 256)},
		"an unknown compatibility":     {API: api, Compatibility: "SIDEWAYS"},
		"a compatibility in lowercase": {API: api, Compatibility: "backward"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: New succeeds", name)
		}
	}
	if _, err := New(Config{API: api, Registry: "a.b-c_d$e#f", Compatibility: types.CompatibilityFullAll}); err != nil {
		t.Error(err)
	}
}
