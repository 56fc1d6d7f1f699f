package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const contentType = "application/vnd.schemaregistry.v1+json"

// A caller speaks plain HTTP to one registry.
type caller struct {
	url  string
	http http.Client
}

func newCaller(url string) *caller {
	return &caller{url: url, http: http.Client{Timeout: 20 * time.Second}}
}

// do makes one call and returns status and body.
//
// On a busy machine Apicurio 3.3.3 now and then leaves a call without an answer
// for which it has no route. Such a call is made again.
func (c *caller) do(t *testing.T, method, path, mediaType string, body []byte) (int, []byte) {
	t.Helper()
	for try := 1; ; try++ {
		status, out, err := c.once(t.Context(), method, path, mediaType, body)
		if err == nil {
			return status, out
		}
		if late, ok := errors.AsType[net.Error](err); !ok || !late.Timeout() || try == 3 {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		t.Logf("%s %s: no answer in %v, asking again", method, path, c.http.Timeout)
	}
}

func (c *caller) once(ctx context.Context, method, path, mediaType string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", contentType+", application/json; q=0.5")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	return res.StatusCode, out, err
}

type object = map[string]any

// call makes one call, demands a status and returns the answer.
func (c *caller) call(t *testing.T, status int, method, path string, body any) any {
	t.Helper()
	var in []byte
	if body != nil {
		var err error
		if in, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	got, out := c.do(t, method, path, contentType, in)
	if got != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, out)
	}
	var v any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("%s %s: answer is no JSON: %s", method, path, out)
	}
	return v
}

// get returns the value of a key of an answer.
func get(t *testing.T, v any, key string) any {
	t.Helper()
	m, ok := v.(object)
	if !ok {
		t.Fatalf("not an object: %v", v)
	}
	return m[key]
}

// Every release is started once, because that takes long. The tests of it share
// no subjects.
func TestRegistry(t *testing.T) {
	for _, r := range Releases() {
		t.Run("Apicurio "+r.Version, func(t *testing.T) {
			url := r.Start(t)
			t.Run("protocol", func(t *testing.T) { testProtocol(t, newCaller(url)) })
			t.Run("client", func(t *testing.T) { testClient(t, url) })
			t.Run("derived schemas", func(t *testing.T) { testDerived(t, url, r) })
		})
	}
}

// What the protocol is, as far as a client depends on it.
func testProtocol(t *testing.T, c *caller) {
	t.Helper()
	t.Run("schemas of every format come back by id", func(t *testing.T) { testFormats(t, c) })
	t.Run("a text with other tags is another schema", func(t *testing.T) { testTags(t, c) })
	t.Run("a schema names others", func(t *testing.T) { testReferences(t, c) })
	t.Run("an incompatible version is refused", func(t *testing.T) { testCompatibility(t, c) })
	t.Run("what is not there has its codes", func(t *testing.T) { testMissing(t, c) })
	t.Run("metadata and rules are kept as a whole or not at all", func(t *testing.T) { testMetadata(t, c) })
}

func testFormats(t *testing.T, c *caller) {
	t.Helper()
	for _, test := range []struct{ format, text string }{
		{"AVRO", `{"type":"record","name":"P1","fields":[{"name":"ssn","type":"string","confluent:tags":["PII"]}]}`},
		{"JSON", `{"type":"object","properties":{"ssn":{"type":"string","confluent:tags":["PII"]}}}`},
		{"PROTOBUF", "syntax = \"proto3\";\npackage p1;\n\nmessage P1 {\n  string ssn = 1;\n}\n"},
	} {
		subject := "/subjects/p1-" + test.format
		body := object{"schema": test.text, "schemaType": test.format}
		id := get(t, c.call(t, 200, "POST", subject+"/versions", body), "id")
		if again := get(t, c.call(t, 200, "POST", subject+"/versions", body), "id"); again != id {
			t.Errorf("%s: registered twice, with the ids %v and %v", test.format, id, again)
		}
		got := c.call(t, 200, "GET", fmt.Sprintf("/schemas/ids/%v", id), nil)
		text, ok := get(t, got, "schema").(string)
		if !ok || !sameSchema(test.format, text, test.text) {
			t.Errorf("%s: the text comes back as %q", test.format, text)
		}
		if format := get(t, got, "schemaType"); format != test.format && (format != nil || test.format != "AVRO") {
			t.Errorf("%s: the format comes back as %v", test.format, format)
		}
		found := c.call(t, 200, "POST", subject, body)
		if get(t, found, "id") != id || get(t, found, "version") != 1.0 || get(t, found, "subject") != "p1-"+test.format {
			t.Errorf("%s: looked up as %v", test.format, found)
		}
		if versions := c.call(t, 200, "GET", subject+"/versions", nil); !reflect.DeepEqual(versions, []any{1.0}) {
			t.Errorf("%s: versions are %v", test.format, versions)
		}
	}
}

// sameSchema tells whether two texts say the same, as far as this can tell.
func sameSchema(format, a, b string) bool {
	if format == "PROTOBUF" {
		return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// Some registries compare texts by what they regard as essential. If tags were
// not, a text that gained one would get the id of the text without.
func testTags(t *testing.T, c *caller) {
	t.Helper()
	for format, text := range map[string]string{
		"AVRO": `{"type":"record","name":"P6","fields":[{"name":"ssn","type":"string"TAGS}]}`,
		"JSON": `{"type":"object","properties":{"ssn":{"type":"string"TAGS}}}`,
	} {
		ids := map[any]string{}
		for _, tags := range []string{``, `,"confluent:tags":["PII"]`, `,"confluent:tags":["PII","SSN"]`} {
			body := object{"schema": strings.Replace(text, "TAGS", tags, 1), "schemaType": format}
			id := get(t, c.call(t, 200, "POST", "/subjects/p6-"+format+"/versions", body), "id")
			if other, taken := ids[id]; taken {
				t.Errorf("%s: the id of a text with %q is that of one with %q", format, tags, other)
			}
			ids[id] = tags
		}
	}
}

func testReferences(t *testing.T, c *caller) {
	t.Helper()
	for _, test := range []struct{ format, name, inner, outer string }{
		{
			"AVRO", "com.example.Address",
			`{"type":"record","name":"Address","namespace":"com.example","fields":[{"name":"street","type":"string"}]}`,
			`{"type":"record","name":"User","namespace":"com.example","fields":[{"name":"home","type":"com.example.Address"}]}`,
		},
		{
			"JSON", "http://example.com/address.json",
			`{"$id":"http://example.com/address.json","type":"object","properties":{"street":{"type":"string"}}}`,
			`{"type":"object","properties":{"home":{"$ref":"http://example.com/address.json"}}}`,
		},
		{
			"PROTOBUF", "example/address.proto",
			"syntax = \"proto3\";\npackage example;\n\nmessage Address {\n  string street = 1;\n}\n",
			"syntax = \"proto3\";\npackage example;\n\nimport \"example/address.proto\";\n\nmessage User {\n  .example.Address home = 1;\n}\n",
		},
	} {
		c.call(t, 200, "POST", "/subjects/p2-inner-"+test.format+"/versions", object{"schema": test.inner, "schemaType": test.format})
		reference := object{"name": test.name, "subject": "p2-inner-" + test.format, "version": 1.0}
		id := get(t, c.call(t, 200, "POST", "/subjects/p2-outer-"+test.format+"/versions",
			object{"schema": test.outer, "schemaType": test.format, "references": []any{reference}}), "id")
		got := c.call(t, 200, "GET", fmt.Sprintf("/schemas/ids/%v", id), nil)
		if references := get(t, got, "references"); !reflect.DeepEqual(references, []any{reference}) {
			t.Errorf("%s: the references come back as %v", test.format, references)
		}
	}
}

func testCompatibility(t *testing.T, c *caller) {
	t.Helper()
	record := func(fields string) object {
		return object{"schema": `{"type":"record","name":"P3","fields":[` + fields + `]}`}
	}
	const x, optional, required = `{"name":"x","type":"int"}`, `,{"name":"y","type":"int","default":0}`, `,{"name":"z","type":"int"}`
	c.call(t, 200, "POST", "/subjects/p3/versions", record(x))
	c.call(t, 200, "PUT", "/config/p3", object{"compatibility": "BACKWARD"})
	if level := get(t, c.call(t, 200, "GET", "/config/p3", nil), "compatibilityLevel"); level != "BACKWARD" {
		t.Errorf("the level is %v", level)
	}
	c.call(t, 200, "POST", "/subjects/p3/versions", record(x+optional))
	c.call(t, 409, "POST", "/subjects/p3/versions", record(x+required))
	for fields, want := range map[string]bool{x: true, x + optional: true, x + required: false} {
		got := get(t, c.call(t, 200, "POST", "/compatibility/subjects/p3/versions/latest", record(fields)), "is_compatible")
		if got != want {
			t.Errorf("%s: is compatible: %v, want %v", fields, got, want)
		}
	}
	if versions := c.call(t, 200, "GET", "/subjects/p3/versions", nil); !reflect.DeepEqual(versions, []any{1.0, 2.0}) {
		t.Errorf("versions are %v", versions)
	}
}

func testMissing(t *testing.T, c *caller) {
	t.Helper()
	c.call(t, 200, "POST", "/subjects/p4/versions", object{"schema": `{"type":"fixed","name":"P4","size":4}`})
	for path, code := range map[string]float64{
		"/schemas/ids/987654":        40403,
		"/subjects/p4-none/versions": 40401,
		"/subjects/p4/versions/7":    40402,
	} {
		if got := get(t, c.call(t, 404, "GET", path, nil), "error_code"); got != code {
			t.Errorf("%s: code %v, want %v", path, got, code)
		}
	}
	if got := get(t, c.call(t, 404, "POST", "/subjects/p4", object{"schema": `{"type":"fixed","name":"P4","size":5}`}), "error_code"); got != 40403.0 {
		t.Errorf("looked up a text that is not there: code %v", got)
	}
}

// A registry that keeps half of what protects a field would be worse than one
// that keeps nothing and is known to.
func testMetadata(t *testing.T, c *caller) {
	t.Helper()
	metadata := object{"tags": object{"P5.x": []any{"PII"}}}
	rules := object{"domainRules": []any{object{
		"name": "seal", "kind": "TRANSFORM", "type": "ENCRYPT", "mode": "WRITEREAD", "tags": []any{"PII"}, "params": object{"encrypt.kek.name": "k"},
	}}}
	c.call(t, 200, "POST", "/subjects/p5/versions", object{
		"schema": `{"type":"record","name":"P5","fields":[{"name":"x","type":"string"}]}`, "metadata": metadata, "ruleSet": rules,
	})
	got := c.call(t, 200, "GET", "/subjects/p5/versions/1", nil)
	keptMetadata, keptRules := get(t, got, "metadata"), get(t, got, "ruleSet")
	switch {
	case keptMetadata == nil && keptRules == nil:
		t.Log("this registry drops metadata and rule sets and answers 200")
	case keptMetadata == nil || keptRules == nil:
		t.Errorf("only one of metadata and rule set is kept: %v", got)
	default:
		if tags := get(t, keptMetadata, "tags"); !reflect.DeepEqual(tags, metadata["tags"]) {
			t.Errorf("the tags come back as %v", tags)
		}
	}
}
