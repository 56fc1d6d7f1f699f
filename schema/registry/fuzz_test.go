package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/schema"
)

// FuzzAnswer reads any answer. What is accepted says the same when it is written
// and read again, and encoding/json reads the same of it.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"schema":"\"string\"","id":7,"references":[{"name":"a","subject":"b","version":1}],"metadata":{"tags":{"a.**.*":["PII"]}},"ruleSet":` + ruleSet + `}`,
		`{"schema":"\ud83d\ude00","schemaType":"JSON","ruleSet":null,"metadata":{"x":[1e5,true,null,{}]}}`,
		`{"a":1,"a":1}`, `{"schema":"\ud83d"}`, ` { "schema" : "" , "id" : -0 } `, `[`, `{"id":1.5}`, "{\"\xff\":1}",
		`{"version":2147483648}`, `{"ruleSet":{"domainRules":[{"disabled":tru}]}}`, `null`, `{"schema":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var s Schema
		err := s.UnmarshalJSON(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the answer was written to")
		}
		if err != nil {
			if !errors.Is(err, ErrAnswer) {
				t.Fatal(err)
			}
			return
		}
		var loose struct {
			Schema  string `json:"schema"`
			RuleSet struct {
				DomainRules, EncodingRules []struct{ Type, Name string }
			} `json:"ruleSet"`
		}
		if !json.Valid(b) || !utf8.Valid(b) {
			t.Fatal("it is not JSON")
		}
		if err := json.Unmarshal(b, &loose); err == nil && s.RuleSet != nil {
			for i, r := range s.RuleSet.EncodingRules {
				if len(loose.RuleSet.EncodingRules) == len(s.RuleSet.EncodingRules) && loose.RuleSet.EncodingRules[i].Type != r.Type && len(s.RuleSet.Extra)+len(r.Extra) == 0 {
					t.Fatalf("rule %d is %q, not %q", i, loose.RuleSet.EncodingRules[i].Type, r.Type)
				}
			}
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again Schema
		if err := again.UnmarshalJSON(out); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if s.core() != again.core() && s.Type != typeAvro && s.Type != "" {
			t.Fatalf("%+v became %+v", s, again)
		}
		if s.digest() != again.digest() && s.Type == again.Type {
			t.Fatalf("%+v became %+v", s, again)
		}
		if s.check() != nil {
			return
		}
		r := &resolver{fetch: func(place) (*Schema, error) { return nil, schema.ErrNotFound }, maxBytes: defaultMaxAnswer, tags: true}
		text, err := r.text(&s)
		if err == nil && len(s.References) > 0 {
			t.Fatal("references that are not there")
		}
		if err == nil && text.Schema != s.Text {
			t.Fatal("another text")
		}
	})
}

// FuzzTags reads any file of tags. What is accepted has something to say in each
// entry, and says the same in JSON.
func FuzzTags(f *testing.F) {
	for _, s := range []string{tagFile, `{"version": 1, "tags": [{"pattern": "/a", "tags": ["T"]}]}`, "version: 1\ntags: &a [*a]", "version: 1\n---\n", "a: {b: [c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := ParseTags(b)
		if err != nil {
			return
		}
		type entry struct {
			Match string           `json:"match,omitempty"`
			Tags  []map[string]any `json:"tags"`
		}
		rules := func(list []schema.TagRule) []map[string]any {
			out := []map[string]any{}
			for _, r := range list {
				if r.Pattern == "" || len(r.Tags) == 0 {
					t.Fatalf("%+v", r)
				}
				out = append(out, map[string]any{"pattern": r.Pattern, "tags": r.Tags})
			}
			return out
		}
		entries := func(list []TagMatch) []entry {
			out := []entry{}
			for _, m := range list {
				if m.Match == "" || len(m.Tags) == 0 {
					t.Fatalf("%+v", m)
				}
				out = append(out, entry{m.Match, rules(m.Tags)})
			}
			return out
		}
		text, err := json.Marshal(map[string]any{"version": 1, "tags": rules(file.Tags), "subjects": entries(file.Subjects), "schemas": entries(file.Schemas)})
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseTags(text)
		if len(text) > maxTagFile {
			return
		}
		if err != nil || len(again.Tags) != len(file.Tags) || len(file.Tags) > 0 && !reflect.DeepEqual(again.Tags, file.Tags) {
			t.Fatalf("%s: %v", text, err)
		}
	})
}
