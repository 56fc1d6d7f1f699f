package registry

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/schema"
)

// same tells whether two JSON texts say the same.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

func TestRegisteringAsksOnce(t *testing.T) {
	const path = "POST /subjects/s/versions"
	f, c := serve(t, map[string]any{path: `{"id":12}`})
	text := schema.Text{Format: schema.Avro, Schema: `"string"`, Tags: []schema.TagRule{{Pattern: "a", Tags: []string{"Z", "A"}}, {Pattern: "a", Tags: []string{"A", "B"}}},
		Demands: []schema.Demand{{Name: "x"}}}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if id, err := c.Register(t.Context(), "s", text); err != nil || id != 12 {
				t.Errorf("%d, %v", id, err)
			}
		})
	}
	wg.Wait()
	if n := f.count(path); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if want := `{"schema":"\"string\"","metadata":{"tags":{"a":["A","B","Z"]}}}`; !same(t, f.bodies[path], want) {
		t.Errorf("told %s", f.bodies[path])
	}
	text.Format, text.Schema, text.Tags = schema.Protobuf, `syntax = "proto3"; // <&>`, nil
	f.set(path+"?normalize=true", `{"id":13,"version":2,"guid":"g","schema":"x"}`)
	c = client(t, []string{start(t, f)}, WithNormalize())
	if id, err := c.Register(t.Context(), "s", text); err != nil || id != 13 {
		t.Errorf("%d, %v", id, err)
	}
	if want := `{"schema":"syntax = \"proto3\"; // <&>","schemaType":"PROTOBUF"}`; !same(t, f.bodies[path+"?normalize=true"], want) {
		t.Errorf("told %s", f.bodies[path+"?normalize=true"])
	}
}

func TestARegistrationThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const path = "POST /subjects/s/versions"
		f := newFake(map[string]any{})
		c := inside(t, f)
		text := schema.Text{Format: schema.Avro, Schema: `"string"`}
		for answer, want := range map[any]error{409: ErrIncompatible, 422: ErrInvalid, 403: ErrDenied, 503: ErrUnavailable, `{}`: ErrAnswer, `{"id":-1}`: ErrAnswer} {
			f.set(path, answer)
			before := f.count(path)
			for range 2 {
				if id, err := c.Register(t.Context(), "s", text); id != 0 || !errors.Is(err, want) {
					t.Errorf("%v: %d, %v", answer, id, err)
				}
			}
			if n := f.count(path) - before; n > maxRounds {
				t.Errorf("%v: asked %d times", answer, n)
			}
			time.Sleep(time.Minute) //nolint:forbidigo // a clock of the test's own
		}
		before := f.total()
		for name, text := range map[string]schema.Text{
			"no text":                    {Format: schema.Avro},
			"no UTF-8":                   {Format: schema.Avro, Schema: "\xff"},
			"names that do not fit":      {Format: schema.Avro, Schema: "x", References: []string{"a"}, Names: []string{"a", "b"}},
			"references without names":   {Format: schema.Protobuf, Schema: "x", References: []string{"a"}},
			"a pattern nobody can read":  {Format: schema.Avro, Schema: "x", Tags: []schema.TagRule{{Pattern: "a[0]", Tags: []string{"B"}}}},
			"more text than is read":     {Format: schema.Avro, Schema: repeat("x", maxText+1)},
			"more references than it is": {Format: schema.Avro, Schema: "x", References: make([]string, maxReferences+1)},
		} {
			if _, err := c.Register(t.Context(), "s", text); err == nil || Retryable(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if f.total() != before {
			t.Error("asked although it cannot be")
		}
	})
}

func TestReferencesAreRegisteredByName(t *testing.T) {
	known, changed := avro("Known"), avro("Changed")
	f, c := serve(t, map[string]any{
		id7:            Schema{Text: avro("R"), References: []Reference{ref("a/K", "known", 5), ref("C", "changed", 1)}},
		at("known", 5): version("known", 5, 2, known), at("changed", 1): version("changed", 1, 3, changed),
		"POST /subjects/s/versions":   `{"id":20}`,
		"POST /subjects/s.C/versions": `{"id":21}`,
		"POST /subjects/s.C":          Schema{Subject: "s.C", ID: 21, Version: 4, Text: "x"},
	})
	text, err := c.Schema(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := c.Register(t.Context(), "s", text); err != nil || id != 20 {
		t.Fatal(id, err)
	}
	if want := (Schema{Text: avro("R"), References: []Reference{ref("a/K", "known", 5), ref("C", "changed", 1)}}); !same(t, f.bodies["POST /subjects/s/versions"], string(mustJSON(t, want))) {
		t.Errorf("the original: told %s", f.bodies["POST /subjects/s/versions"])
	}
	derived := text
	derived.Schema = avro("Derived")
	derived.References = []string{known, avro("New")}
	if _, err := c.Register(t.Context(), "s", derived); err != nil {
		t.Fatal(err)
	}
	if want := (Schema{Text: avro("New"), References: []Reference{ref("a/K", "known", 5)}}); !same(t, f.bodies["POST /subjects/s.C/versions"], string(mustJSON(t, want))) {
		t.Errorf("its reference: told %s", f.bodies["POST /subjects/s.C/versions"])
	}
	if want := (Schema{Text: avro("Derived"), References: []Reference{ref("a/K", "known", 5), ref("C", "s.C", 4)}}); !same(t, f.bodies["POST /subjects/s/versions"], string(mustJSON(t, want))) {
		t.Errorf("the derived one: told %s", f.bodies["POST /subjects/s/versions"])
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRegisteringMakesTheLatestKnown(t *testing.T) {
	f, c := serve(t, map[string]any{
		"GET /subjects/s/versions/latest": version("s", 1, 7, `"string"`),
		"POST /subjects/s/versions":       `{"id":8}`,
	})
	if _, err := c.Latest(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Schema(t.Context(), 8); !errors.Is(err, schema.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := c.RegisterSchema(t.Context(), "s", Schema{Text: `"bytes"`}); err != nil {
		t.Fatal(err)
	}
	f.set("GET /subjects/s/versions/latest", version("s", 2, 8, `"bytes"`))
	f.set("GET /schemas/ids/8", `{"schema":"\"bytes\""}`)
	if s, err := c.Latest(t.Context(), "s"); err != nil || s.Version != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := c.Schema(t.Context(), 8); err != nil {
		t.Error(err)
	}
}

const ruleSet = `{"migrationRules":[{"name":"m","kind":"TRANSFORM","mode":"UPGRADE","type":"JSONATA","expr":"a","disabled":false}],
	"domainRules":[{"name":"d","doc":"why","kind":"TRANSFORM","mode":"WRITEREAD","type":"ENCRYPT","tags":["PII"],"params":{"encrypt.kek.name":"k"},
		"onSuccess":"NONE,NONE","onFailure":"ERROR,NONE","disabled":true,"later":{"x":[1.50,"<"]}}],
	"encodingRules":[{"name":"e","kind":"TRANSFORM","mode":"WRITE","type":"ENCRYPT_PAYLOAD","disabled":false}],
	"enableAt":"CLIENT","moreRules":[{"name":"f","type":"X"}]}`

func TestRulesSurviveTheWayThroughAClient(t *testing.T) {
	text := `{"subject":"s","version":3,"id":7,"guid":"89791762-2336-4186-9674-000000000001","schemaType":"JSON","schema":"{}",
		"references":[{"name":"a","subject":"b","version":4}],
		"metadata":{"tags":{"$.a":["PII"]},"properties":{"p":"q"},"sensitive":["p"],"later":true},"ruleSet":` + ruleSet + `}`
	var s Schema
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if out := mustJSON(t, s); !same(t, string(out), text) {
		t.Errorf("got %s", out)
	}
	body, err := requestBody(s)
	if err != nil || !strings.Contains(string(body), "ENCRYPT_PAYLOAD") || !strings.Contains(string(body), "moreRules") || strings.Contains(string(body), "guid") {
		t.Errorf("%s, %v", body, err)
	}
	s.RuleSet.Extra["domainRules"] = json.RawMessage(`[]`)
	if _, err := json.Marshal(s); err == nil {
		t.Error("a member stands twice")
	}
	for _, bad := range []string{`{"schema":"a","schema":"b"}`, `{"ruleSet":{"domainRules":[{"type":1}]}}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), new(Schema)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	for v, bad := range map[json.Unmarshaler]string{new(RuleSet): `{"enableAt":1}`, new(Rule): `{"tags":"a"}`, new(Metadata): `{"sensitive":{}}`} {
		if err := v.UnmarshalJSON([]byte(bad)); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTheOtherQuestions(t *testing.T) {
	f, c := serve(t, map[string]any{
		"GET /subjects":                 `["a","b"]`,
		"GET /subjects?subjectPrefix=a": `["a"]`,
		"GET /schemas/types":            `["AVRO","JSON"]`,
		"GET /subjects/s/versions":      `[1,3]`,
		"GET /schemas/ids/7/versions":   `[{"subject":"s","version":3},{"subject":"r","version":1},{"subject":"s","version":4}]`,
		"POST /subjects/s":              version("s", 3, 7, `"string"`),
		"GET /config":                   `{"compatibilityLevel":"FULL"}`,
		"GET /config/s?defaultToGlobal=true": `{"compatibilityLevel":"NONE","normalize":true,"alias":"a","compatibilityGroup":"g","defaultMetadata":{"tags":{"x":["Y"]}},
			"overrideRuleSet":` + ruleSet + `,"later":1}`,
		"PUT /config/s": `{"compatibility":"BACKWARD"}`,
		"POST /compatibility/subjects/s/versions/latest?verbose=true": `{"is_compatible":false,"messages":["it\u0007 is not"]}`,
		"POST /compatibility/subjects/s/versions/3?verbose=true":      `{"is_compatible":true}`,
		"POST /compatibility/subjects/t/versions/3?verbose=true":      `{}`,
	})
	check := func(name string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	all, err := c.Subjects(t.Context(), "")
	check("subjects", all, []string{"a", "b"}, err)
	all, err = c.Subjects(t.Context(), "a")
	check("subjects by prefix", all, []string{"a"}, err)
	types, err := c.Types(t.Context())
	check("types", types, []string{"AVRO", "JSON"}, err)
	numbers, err := c.Versions(t.Context(), "s")
	check("versions", numbers, []int{1, 3}, err)
	pairs, err := c.SubjectVersions(t.Context(), 7)
	check("places", pairs, []SubjectVersion{{"s", 3}, {"r", 1}, {"s", 4}}, err)
	names, err := c.SubjectsOf(t.Context(), 7)
	check("subjects of an id", names, []string{"r", "s"}, err)
	s, err := c.Lookup(t.Context(), "s", Schema{Text: `"string"`, ID: 99, Subject: "other"})
	check("lookup", s, Schema{Subject: "s", Version: 3, ID: 7, Text: `"string"`, Type: "AVRO"}, err)
	if !same(t, f.bodies["POST /subjects/s"], `{"schema":"\"string\""}`) {
		t.Errorf("lookup: told %s", f.bodies["POST /subjects/s"])
	}
	ok, reasons, err := c.Compatible(t.Context(), "s", 0, Schema{Text: "x"})
	check("compatible with the latest", []any{ok, reasons}, []any{false, []string{"it is not"}}, err)
	ok, reasons, err = c.Compatible(t.Context(), "s", 3, Schema{Text: "x"})
	check("compatible with one", []any{ok, len(reasons)}, []any{true, 0}, err)
	if _, _, err = c.Compatible(t.Context(), "t", 3, Schema{Text: "x"}); !errors.Is(err, ErrAnswer) {
		t.Errorf("compatible without a word: %v", err)
	}
	cfg, err := c.Config(t.Context(), "")
	check("global config", cfg, Config{Compatibility: "FULL"}, err)
	cfg, err = c.Config(t.Context(), "s")
	if err != nil || cfg.Compatibility != "NONE" || cfg.Normalize == nil || !*cfg.Normalize || cfg.Alias != "a" || cfg.OverrideRuleSet.EncodingRules[0].Name != "e" || cfg.DefaultMetadata.Tags["x"][0] != "Y" {
		t.Errorf("config: %+v, %v", cfg, err)
	}
	if err := c.SetConfig(t.Context(), "s", cfg); err != nil {
		t.Error(err)
	}
	want := `{"compatibility":"NONE","normalize":true,"alias":"a","compatibilityGroup":"g","defaultMetadata":{"tags":{"x":["Y"]}},"overrideRuleSet":` + ruleSet + `,"later":1}`
	if !same(t, f.bodies["PUT /config/s"], want) {
		t.Errorf("config: told %s", f.bodies["PUT /config/s"])
	}
	for _, answer := range []any{`[1,"2"]`, `["a",null]`, `{}`, http.HandlerFunc(cutShort)} {
		f.set("GET /subjects/s/versions", answer)
		f.set("GET /subjects", answer)
		if got, err := c.Versions(t.Context(), "s"); err == nil && len(got) > 0 {
			t.Errorf("%v is taken: %v", answer, got)
		}
		if got, err := c.Subjects(t.Context(), ""); err == nil {
			t.Errorf("%v is taken: %v", answer, got)
		}
	}
}
