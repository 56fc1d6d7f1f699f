package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

const tagFile = `# reviewed
version: 1
tags:
  - {pattern: com.acme.C.email, tags: [PII.EMAIL]}
subjects:
  - match: "customers-*"
    tags:
      - {pattern: "$.a.b", tags: [PII, B]}
schemas:
  - match: com.acme.*
    tags:
      - {pattern: /email, tags: [E]}
`

func rule(pattern string, tags ...string) schema.TagRule {
	return schema.TagRule{Pattern: pattern, Tags: tags}
}

func TestAFileOfTags(t *testing.T) {
	want := TagFile{
		Version: 1, Tags: []schema.TagRule{rule("com.acme.C.email", "PII.EMAIL")},
		Subjects: []TagMatch{{"customers-*", []schema.TagRule{rule("$.a.b", "PII", "B")}}},
		Schemas:  []TagMatch{{"com.acme.*", []schema.TagRule{rule("/email", "E")}}},
	}
	path := filepath.Join(t.TempDir(), "tags.yaml")
	if err := os.WriteFile(path, []byte(tagFile), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadTags(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = ParseTags([]byte(`{"version": 1, "subjects": [{"match": "s", "tags": [{"pattern": "/a", "tags": ["T"]}]}]}`))
	if err != nil || !reflect.DeepEqual(got, TagFile{Version: 1, Subjects: []TagMatch{{"s", []schema.TagRule{rule("/a", "T")}}}}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := LoadTags(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("version: 2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTags(path); err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestAFileOfTagsThatIsNotUnderstood(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               "",
		"a comment":             "# x",
		"a list":                "- a",
		"no YAML":               "version: [",
		"no version":            "tags: [{pattern: a, tags: [B]}]",
		"another version":       "version: 2",
		"a version in quotes":   `version: "1"`,
		"two documents":         "version: 1\n---\nversion: 1",
		"an unknown key":        "version: 1\nTags: []",
		"a key twice":           "version: 1\ntags: [{pattern: a, tags: [B]}]\ntags: []",
		"an unknown inner key":  "version: 1\ntags: [{pattern: a, tag: [B]}]",
		"a rule without tags":   "version: 1\ntags: [{pattern: a}]",
		"a rule of no tags":     "version: 1\ntags: [{pattern: a, tags: []}]",
		"a rule of nothing":     "version: 1\ntags: [{}]",
		"an empty tag":          `{version: 1, tags: [{pattern: a, tags: [""]}]}`,
		"a tag with spaces":     `{version: 1, tags: [{pattern: a, tags: [" B"]}]}`,
		"a tag not printable":   `{version: 1, tags: [{pattern: a, tags: ["B\u200b"]}]}`,
		"a number as a tag":     "version: 1\ntags: [{pattern: a, tags: [1]}]",
		"a tag out of a list":   "version: 1\ntags: [{pattern: a, tags: B}]",
		"an alias":              "version: 1\ntags: [{pattern: a, tags: &t [B]}, {pattern: b, tags: *t}]",
		"an anchor":             "version: 1\ntags: &t [{pattern: a, tags: [B]}]",
		"a merge":               "version: 1\ntags: [{<<: {pattern: a}, tags: [B]}]",
		"a match of nothing":    `{version: 1, subjects: [{match: "", tags: [{pattern: a, tags: [B]}]}]}`,
		"a match without tags":  "version: 1\nsubjects: [{match: a}]",
		"a pattern over a mile": "version: 1\ntags: [{pattern: " + repeat("a", maxTagName+1) + ", tags: [B]}]",
		"no UTF-8":              "version: 1 # \xff",
		"two megabytes":         "version: 1\n#" + repeat("x", 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseTags([]byte(text)); err == nil || !reflect.DeepEqual(got, TagFile{}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestAMatchIsOfTheWholeName(t *testing.T) {
	for match, names := range map[string]map[string]bool{
		"a":     {"a": true, "ab": false, "ba": false, "": false},
		"a*":    {"a": true, "a.b/c": true, "ba": false},
		"*a":    {"a": true, "b.a": true, "ab": false},
		"*":     {"": true, "a.b": true},
		"a*b*c": {"abc": true, "axbxc": true, "ac": false, "acb": false, "abcbc": true, "abb": false},
		"a**b":  {"ab": true, "axb": true},
		"ab*ba": {"aba": false, "abba": true},
		"a?[b]": {"a?[b]": true, "axb": false},
	} {
		for name, want := range names {
			if got := (TagMatch{Match: match}).matches(name); got != want {
				t.Errorf("%q on %q: %v", match, name, got)
			}
		}
	}
}

// plainSource is a Source and nothing else.
type plainSource struct{ static schema.Static }

func (p plainSource) Schema(ctx context.Context, id int) (schema.Text, error) {
	return p.static.Schema(ctx, id)
}

func TestTagsAreAddedToASource(t *testing.T) {
	own := []schema.TagRule{rule("own", "O")}
	answers := map[string]any{}
	for id, s := range map[string]Schema{
		"1": {Text: `{"name":"C","namespace":"com.acme","type":"record","fields":[]}`, Metadata: &Metadata{Tags: map[string][]string{"own": {"O"}}}},
		"2": {Text: `{"type":"record","fields":[` + repeat(`{"a":`, 100) + `1` + repeat("}", 100) + `],"name":"com.other.C","namespace":"com.acme"}`},
		"3": {Text: `{"$id":"com.acme.X","title":"y"}`, Type: "JSON"},
		"4": {Text: `{"title":"com.acme.T"}`, Type: "JSON"},
		"5": {Text: `true`, Type: "JSON"},
	} {
		answers["GET /schemas/ids/"+id] = s
		answers["GET /schemas/ids/"+id+"/versions"] = `[]`
	}
	answers["GET /schemas/ids/1/versions"] = `[{"subject":"customers-value","version":1},{"subject":"x","version":1}]`
	answers["GET /schemas/ids/2/versions"] = `[{"subject":"my-customers-value","version":1}]`
	answers["GET /schemas/ids/6"] = Schema{Text: "syntax", Type: "PROTOBUF"}
	answers["GET /schemas/ids/6/versions"] = `[]`
	answers["GET /schemas/ids/7"] = Schema{Text: `"string"`}
	answers["GET /schemas/ids/7/versions"] = 503
	answers["GET /schemas/guids/"+guid9] = Schema{Text: `{"$id":"com.acme.X"}`, Type: "JSON"}
	_, c := serve(t, answers)
	file, err := ParseTags([]byte(tagFile))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Tagged(c, file)
	if err != nil {
		t.Fatal(err)
	}
	all, bySubject, byName := file.Tags[0], file.Subjects[0].Tags[0], file.Schemas[0].Tags[0]
	for id, want := range map[int][]schema.TagRule{
		1: {own[0], all, byName, bySubject}, 2: {all}, 3: {all, byName}, 4: {all, byName}, 5: {all},
	} {
		got, err := s.Schema(t.Context(), id)
		if err != nil || !reflect.DeepEqual(got.Tags, want) {
			t.Errorf("%d: %v, %v", id, got.Tags, err)
		}
	}
	if got, err := c.Schema(t.Context(), 1); err != nil || !reflect.DeepEqual(got.Tags, own) {
		t.Errorf("the source itself has changed: %v, %v", got.Tags, err)
	}
	for id, want := range map[int]error{6: ErrUnsupported, 7: ErrUnavailable, 99: schema.ErrNotFound} {
		if got, err := s.Schema(t.Context(), id); !errors.Is(err, want) || got.Schema != "" {
			t.Errorf("%d: %+v, %v", id, got, err)
		}
	}
	guid, _ := parseGUID(guid9)
	guids, ok := s.(schema.GUIDSource)
	if !ok {
		t.Fatal("no GUIDs")
	}
	if _, err := guids.SchemaByGUID(t.Context(), guid); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a GUID where tags go by subject: %v", err)
	}
	file.Subjects = nil
	if s, err = Tagged(c, file); err != nil {
		t.Fatal(err)
	}
	if guids, ok = s.(schema.GUIDSource); !ok {
		t.Fatal("no GUIDs")
	}
	got, err := guids.SchemaByGUID(t.Context(), guid)
	if err != nil || !reflect.DeepEqual(got.Tags, []schema.TagRule{all, byName}) {
		t.Errorf("%v, %v", got.Tags, err)
	}
}

func TestTagsOfTheSourceAreNotWrittenTo(t *testing.T) {
	room := append(make([]schema.TagRule, 0, 4), rule("own", "O"))
	source := schema.Static{1: {Format: schema.Avro, Schema: `"string"`, Tags: room}}
	var texts []schema.Text
	for _, pattern := range []string{"a", "b"} {
		s, err := Tagged(source, TagFile{Tags: []schema.TagRule{rule(pattern, "T"), rule("own", "O")}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.Schema(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	for i, pattern := range []string{"a", "b"} {
		if want := []schema.TagRule{rule("own", "O"), rule(pattern, "T")}; !reflect.DeepEqual(texts[i].Tags, want) {
			t.Errorf("%v, want %v", texts[i].Tags, want)
		}
	}
}

func TestTaggedIsWhatItsSourceIs(t *testing.T) {
	_, c := serve(t, nil)
	for name, tt := range map[string]struct {
		source                  schema.Source
		guids, registrar, lists bool
	}{
		"a client":    {c, true, true, true},
		"a directory": {new(Dir), true, false, true},
		"in memory":   {schema.Static{}, false, false, false},
		"a registrar": {struct {
			plainSource
			schema.Registrar
		}{}, false, true, false},
		"a lister": {struct {
			plainSource
			SubjectLister
		}{}, false, false, true},
		"both": {struct {
			plainSource
			schema.Registrar
			SubjectLister
		}{}, false, true, true},
		"GUIDs": {struct {
			plainSource
			schema.GUIDSource
		}{}, true, false, false},
		"GUIDs and a registrar": {struct {
			plainSource
			schema.GUIDSource
			schema.Registrar
		}{}, true, true, false},
	} {
		got, err := Tagged(tt.source, TagFile{})
		if err != nil {
			t.Fatal(err)
		}
		_, guids := got.(schema.GUIDSource)
		_, registrar := got.(schema.Registrar)
		_, lists := got.(SubjectLister)
		if guids != tt.guids || registrar != tt.registrar || lists != tt.lists {
			t.Errorf("%s: GUIDs %v, registrar %v, lists %v", name, guids, registrar, lists)
		}
	}
	if _, err := Tagged(schema.Static{}, TagFile{Subjects: []TagMatch{{Match: "*"}}}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}
