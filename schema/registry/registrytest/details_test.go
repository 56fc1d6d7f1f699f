package registrytest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func fixed(size int) string { return fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, size) }

func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != code {
		t.Errorf("%s: %v, want code %d", what, err, code)
	}
}

func do(t *testing.T, s *Server, method, target, body string, status int) string {
	t.Helper()
	w := send(t, s, method, target, body)
	if w.Code != status {
		t.Fatalf("%s %s: %d %s, want %d", method, target, w.Code, w.Body, status)
	}
	return w.Body.String()
}

// Two who register the same at the same time must not both find it missing.
func TestRegistrationsDoNotOverlap(t *testing.T) {
	yield := func(Document, Document) ([]string, error) {
		for range 20 {
			runtime.Gosched()
		}
		return nil, nil
	}
	for range 50 {
		s := New(WithChecker(Avro, yield))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := s.Register("a", Schema{Text: `"int"`}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := do(t, s, "GET", "/subjects/a/versions", "", 200); got != "[1]" {
			t.Fatalf("versions %s", got)
		}
	}
}

// A checker may read from the server that calls it.
func TestCheckerMayRead(t *testing.T) {
	var s *Server
	s = New(WithChecker(Protobuf, func(Document, Document) ([]string, error) {
		s.Subjects()
		return nil, nil
	}))
	mustRegister(t, s, "a", Schema{Text: "x", Format: Protobuf})
	mustRegister(t, s, "a", Schema{Text: "y", Format: Protobuf})
}

func TestIDsGoOnAfterImportedOnes(t *testing.T) {
	s := New()
	do(t, s, "PUT", "/mode/a", `{"mode":"IMPORT"}`, 200)
	do(t, s, "POST", "/subjects/a/versions", `{"schema":"\"int\"","id":7,"version":1}`, 200)
	if id := mustRegister(t, s, "b", Schema{Text: `"long"`}); id != 8 {
		t.Errorf("id %d", id)
	}
	w := send(t, s, "POST", "/subjects/a/versions", `{"schema":"\"int\"","id":9,"version":2}`)
	if w.Code != 422 || decodedCode(w) != CodeIDMismatch {
		t.Errorf("two ids for one schema: %d %s", w.Code, w.Body)
	}
}

func TestReferencesAndContexts(t *testing.T) {
	s := New()
	mustRegister(t, s, "a", Schema{Text: `{"type":"enum","name":"E","symbols":["OUT"]}`})
	mustRegister(t, s, ":.c:a", Schema{Text: `{"type":"enum","name":"E","symbols":["IN"]}`})
	of := func(subject string) Schema {
		return Schema{Text: `{"type":"array","items":"E"}`, References: []Reference{{Name: "E", Subject: subject, Version: 1}}}
	}
	for subject, want := range map[string]string{"a": ":.c:a", ":.c:a": ":.c:a", ":.:a": "a"} {
		mustRegister(t, s, ":.c:x", of(subject))
		if got := do(t, s, "GET", "/subjects/"+want+"/versions/1/referencedby", "", 200); got == "[]" {
			t.Errorf("a reference to %s is none to %s: %s", subject, want, got)
		}
		do(t, s, "DELETE", "/subjects/:.c:x", "", 200)
		do(t, s, "DELETE", "/subjects/:.c:x?permanent=true", "", 200)
	}
}

func TestReferenceToADeletedVersion(t *testing.T) {
	s := New()
	text := `{"type":"enum","name":"E","symbols":["A"]}`
	first := mustRegister(t, s, "a", Schema{Text: text})
	do(t, s, "DELETE", "/subjects/a/versions/1", "", 200)
	mustRegister(t, s, "b", Schema{Text: `{"type":"array","items":"E"}`, References: []Reference{{Name: "E", Subject: "a", Version: 1}}})
	// The version stays, as somebody refers to it now.
	if again := mustRegister(t, s, "a", Schema{Text: text}); again != first {
		t.Errorf("ids %d, %d", first, again)
	}
	if got := do(t, s, "GET", "/subjects/a/versions?deleted=true", "", 200); got != "[1,2]" {
		t.Errorf("versions %s", got)
	}
	w := send(t, s, "DELETE", "/subjects/a/versions/1?permanent=true", "")
	if w.Code != 422 || decodedCode(w) != CodeReferenceExists {
		t.Errorf("deleted for good: %d %s", w.Code, w.Body)
	}
	checkStore(t, s.store)
}

func TestDocumentsHaveEachReferenceOnceInOrder(t *testing.T) {
	var names []string
	s := New(WithChecker(Protobuf, func(newer, _ Document) ([]string, error) {
		names = nil
		for _, r := range newer.References {
			names = append(names, fmt.Sprint(r.Name, r.Subject, r.Version, r.Text))
		}
		return nil, nil
	}))
	ref := func(name string) Reference {
		return Reference{Name: name + ".proto", Subject: name, Version: 1}
	}
	mustRegister(t, s, "a", Schema{Text: "A", Format: Protobuf})
	mustRegister(t, s, "b", Schema{Text: "B", Format: Protobuf, References: []Reference{ref("a")}})
	mustRegister(t, s, "c", Schema{Text: "C", Format: Protobuf, References: []Reference{ref("b"), ref("a")}})
	mustRegister(t, s, "d", Schema{Text: "D", Format: Protobuf, References: []Reference{ref("c"), ref("b")}})
	if want := []string{"a.protoa1A", "b.protob1B", "c.protoc1C"}; !slices.Equal(names, want) {
		t.Errorf("references %q, want %q", names, want)
	}
}

func TestReferencesAreBounded(t *testing.T) {
	s := New()
	schema := Schema{Text: `"int"`}
	for i := range maxReferences + 1 {
		name := fmt.Sprintf("s%d", i)
		mustRegister(t, s, name, Schema{Text: fmt.Sprintf(`{"type":"fixed","name":"F%d","size":1}`, i)})
		schema.References = append(schema.References, Reference{Name: name, Subject: name, Version: 1})
	}
	_, err := s.Register("all", schema)
	wantCode(t, "one too many", err, CodeInvalidSchema)
	schema.References = schema.References[1:]
	mustRegister(t, s, "all", schema)
}

func TestNormalizedReferencesHaveNoOrder(t *testing.T) {
	s := New()
	for _, name := range []string{"A", "B"} {
		mustRegister(t, s, name, Schema{Text: `{"type":"enum","name":"` + name + `","symbols":["X"]}`})
	}
	body := func(first, second string) string {
		return fmt.Sprintf(`{"schema":"[\"A\",\"B\"]","references":[{"name":"%[1]s","subject":"%[1]s","version":1},{"name":"%[2]s","subject":"%[2]s","version":1}]}`, first, second)
	}
	do(t, s, "POST", "/subjects/x/versions", body("B", "A"), 200)
	do(t, s, "POST", "/subjects/x", body("A", "B"), 404)
	do(t, s, "POST", "/subjects/x?normalize=true", body("A", "B"), 200)
}

func TestNormalTextLeavesValuesAlone(t *testing.T) {
	in := `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"map","values":{"type":"string"}},"default":{"type":"x"}},{"name":"b","type":["null",{"type":"array","items":[{"type":"int"}]}]}]}`
	want := `{"fields":[{"default":{"type":"x"},"name":"a","type":{"type":"map","values":"string"}},{"name":"b","type":["null",{"items":["int"],"type":"array"}]}],"name":"R","type":"record"}`
	if got := normalText(Avro, in); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := normalText(JSON, `{"type":"string"}`); got != `{"type":"string"}` {
		t.Errorf("JSON: %s", got)
	}
	if got := normalText(Protobuf, " b, a "); got != " b, a " {
		t.Errorf("Protobuf: %s", got)
	}
}

func TestSameTextWithOtherRulesNeedsNoChecker(t *testing.T) {
	s := New()
	text := Schema{Text: `syntax = "proto3";`, Format: Protobuf}
	one := mustRegister(t, s, "a", text)
	text.Metadata = &Metadata{Properties: map[string]string{"a": "b"}}
	if two := mustRegister(t, s, "a", text); one == two {
		t.Error("the same id")
	}
	text.Text += " "
	_, err := s.Register("a", text)
	wantCode(t, "another text", err, CodeNotPermitted)
	if !strings.Contains(err.Error(), "WithChecker") {
		t.Errorf("no help in %v", err)
	}
}

func TestDefaultsAreAppliedToWhatIsThereAlready(t *testing.T) {
	s := New()
	one := mustRegister(t, s, "a", Schema{Text: fixed(1)})
	do(t, s, "PUT", "/config/a", `{"defaultMetadata":{"properties":{"a":"b"}}}`, 200)
	if two := mustRegister(t, s, "a", Schema{Text: fixed(1)}); one == two {
		t.Error("the schema without the default was found")
	}
}

func TestConfigurationIsReplacedValueByValue(t *testing.T) {
	s := New()
	do(t, s, "PUT", "/config/a", `{"normalize":true,"defaultMetadata":{"properties":{"a":"1"}}}`, 200)
	do(t, s, "PUT", "/config/a", `{"defaultMetadata":{"properties":{"b":"2"}}}`, 200)
	if got := do(t, s, "GET", "/config/a", "", 200); got != `{"normalize":true,"defaultMetadata":{"properties":{"b":"2"}}}` {
		t.Errorf("config %s", got)
	}
	do(t, s, "PUT", "/config/a", `{"normalize":false,"defaultMetadata":{"properties":{"c":"3"}},"compatibility":"SIDEWAYS"}`, 422)
	if got := do(t, s, "GET", "/config/a", "", 200); got != `{"normalize":true,"defaultMetadata":{"properties":{"b":"2"}}}` {
		t.Errorf("a refused request changed it to %s", got)
	}
}

func TestDeletedSubjectsLoseTheirConfiguration(t *testing.T) {
	s := New()
	mustRegister(t, s, "a", Schema{Text: `"int"`})
	do(t, s, "PUT", "/config/a", `{"compatibility":"NONE"}`, 200)
	do(t, s, "PUT", "/mode/a", `{"mode":"READWRITE"}`, 200)
	do(t, s, "DELETE", "/subjects/a", "", 200)
	do(t, s, "GET", "/config/a", "", 404)
	do(t, s, "GET", "/mode/a", "", 404)
}

func TestRuleDefaults(t *testing.T) {
	s := New()
	id := mustRegister(t, s, "a", Schema{Text: `"int"`, RuleSet: &RuleSet{DomainRules: []Rule{
		{Name: "named", Type: "ENCRYPT", Params: map[string]string{paramKEKName: "mine", paramKMSKeyID: "arn:x", paramKMSType: "local-kms"}},
		{Name: "azure", Type: "ENCRYPT", Params: map[string]string{paramKMSKeyID: "https://v.vault/keys/ä/1"}},
		{Name: strings.Repeat("x", maxRuleName), Type: "CEL"},
	}}})
	got, err := s.Schema(id)
	if err != nil {
		t.Fatal(err)
	}
	if p := got.RuleSet.DomainRules[0].Params; p[paramKEKName] != "mine" || p[paramKMSType] != "local-kms" {
		t.Errorf("params given were changed to %v", p)
	}
	if p := got.RuleSet.DomainRules[1].Params; p[paramKEKName] != "https---v-vault-keys---1" || p[paramKMSType] != "" {
		t.Errorf("params %v", p)
	}
	_, err = s.Register("b", Schema{Text: `"int"`, RuleSet: &RuleSet{DomainRules: []Rule{{Name: strings.Repeat("x", maxRuleName+1), Type: "CEL"}}}})
	wantCode(t, "a long name", err, CodeInvalidRuleSet)
	// What is looked up is completed as what is registered.
	do(t, s, "POST", "/subjects/c/versions", `{"schema":"\"int\"","ruleSet":{"domainRules":[{"name":"r","type":"CEL"}]}}`, 200)
	do(t, s, "POST", "/subjects/c", `{"schema":"\"int\"","ruleSet":{"domainRules":[{"name":"r","type":"CEL"}]}}`, 200)
	do(t, s, "POST", "/subjects/c", `{"schema":"\"int\"","ruleSet":{"domainRules":[{"name":"r","type":"CEL","mode":"READ"}]}}`, 404)
}

func TestMerging(t *testing.T) {
	low := &Metadata{Tags: map[string][]string{"a": {"A"}, "b": {"B"}}, Properties: map[string]string{"p": "low"}, Sensitive: []string{"w", "x"}}
	top := &Metadata{Tags: map[string][]string{"a": {"T"}}, Properties: map[string]string{"q": "top"}, Sensitive: []string{"y", "x"}}
	if got, want := string(encode(low.merge(top))), `{"tags":{"a":["T"],"b":["B"]},"properties":{"p":"low","q":"top"},"sensitive":["w","x","y"]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := string(encode((&Metadata{}).merge(top))); got != string(encode(top.clone())) {
		t.Errorf("over nothing: %s", got)
	}
	rules := &RuleSet{EnableAt: "ALL", MigrationRules: []Rule{{Name: "m", Type: "A"}}, EncodingRules: []Rule{{Name: "e", Type: "A"}}}
	over := &RuleSet{EnableAt: "NONE", EncodingRules: []Rule{{Name: "e", Type: "B"}, {Name: "f", Type: "B"}}}
	if got, want := string(encode(rules.merge(over))), `{"migrationRules":[{"name":"m","type":"A","disabled":false}],"encodingRules":[{"name":"e","type":"B","disabled":false},{"name":"f","type":"B","disabled":false}],"enableAt":"NONE"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := rules.merge(&RuleSet{}); got.EnableAt != "ALL" {
		t.Errorf("enableAt %q", got.EnableAt)
	}
	var none *RuleSet
	if none.merge(nil) != nil || (*Metadata)(nil).merge(nil) != nil {
		t.Error("nothing over nothing is something")
	}
}

func TestPartsOfAnIdentityDoNotRunTogether(t *testing.T) {
	if (Schema{Format: "A", Text: "BC"}).identity() == (Schema{Format: "AB", Text: "C"}).identity() {
		t.Error("two schemas have one identity")
	}
}
