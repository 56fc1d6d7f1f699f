package avro

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

var update = flag.Bool("update", false, "write the golden files")

// A golden is one file of testdata/derived.
type golden struct {
	Edits    []string        `json:"edits"`
	Original json.RawMessage `json:"original"`
	Derived  json.RawMessage `json:"derived"`
	// Encodings are those of all fields that can be wrapped, by path and type.
	// Values are bound to them, so that they must never change.
	Encodings map[string]string `json:"encodings"`
}

// Derived schemas stay in registries for as long as records do, so those of one
// release are those of all.
func TestDerivedSchemasAreWhatTheyWere(t *testing.T) {
	files, err := filepath.Glob("testdata/derived/*.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(content, &g); err != nil {
				t.Fatal(err)
			}
			s := parse(t, string(g.Original))
			edits := editsOf(t, s, g.Edits...)
			got := derive(t, s, edits)
			encodings := make(map[string]string)
			for _, f := range s.Fields() {
				if f.Wrapped != "" {
					encodings[f.Path+" "+string(f.Type)] = f.Encoding
				}
			}
			if *update {
				g.Derived, g.Encodings = json.RawMessage(got.Schema), encodings
				out, err := json.MarshalIndent(g, "", "\t")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, append(out, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var want bytes.Buffer
			if err := json.Compact(&want, g.Derived); err != nil {
				t.Fatal(err)
			}
			if got.Schema != want.String() {
				t.Errorf("the derived schema is\n%s, want\n%s", got.Schema, want.String())
			}
			for at, encoding := range encodings {
				if g.Encodings[at] != encoding {
					t.Errorf("the encoding of %s is %q, was %q", at, encoding, g.Encodings[at])
				}
			}
			restore(t, parse(t, want.String()), edits...)
		})
	}
}

// Each step that a registry takes of a schema is one of its derived schemas too,
// whether the new version is to read old records or the old one new records. A
// reader of a later version finds what nobody protected as it was.
func TestDerivedSchemasEvolve(t *testing.T) {
	versions := []string{
		record(`{"name":"id","type":"long"},{"name":"age","type":"int"},{"name":"home","type":{"type":"record","name":"Home","fields":[{"name":"no","type":"int"},{"name":"street","type":"string"}]}}`),
		record(`{"name":"id","type":"long"},{"name":"age","type":"int"},{"name":"income","type":"long","default":7},{"name":"home","type":{"type":"record","name":"Home","fields":[{"name":"no","type":"int"},{"name":"street","type":"string"},{"name":"floor","type":"int","default":3}]}},{"name":"office","type":["null","Home"],"default":null}`),
		record(`{"name":"id","type":"long"},{"name":"born","type":["null","int"],"default":null},{"name":"income","type":"long","default":7},{"name":"home","type":{"type":"record","name":"Home","fields":[{"name":"no","type":"int"},{"name":"street","type":"string"}]},"default":{"no":1,"street":"?"}},{"name":"scores","type":{"type":"array","items":"double"},"default":[1.5]}`),
	}
	wraps := [][]string{{"/age", "/home/no"}, {"/age", "/income", "/home/no", "/home/floor", "/office/no", "/office/floor"}, {"/born", "/income", "/home/no", "/scores/[]"}}
	records := []string{
		"\x02\x04\x06\x02s", "\x02\x04\x08\x06\x02s\x02\x00", "\x02\x02\x04\x08\x06\x02s\x00",
	}
	var derived []*avro.Schema
	var protected [][]byte
	for i, text := range versions {
		s := parse(t, text)
		edits := wrapAt(t, s, wraps[i]...)
		derived = append(derived, avro.MustParse(derive(t, s, edits).Schema))
		protected = append(protected, rewrite(t, forth(t, s, edits...), []byte(records[i]), bracketed))
	}
	for from := range derived {
		for to := range derived {
			original := avro.CheckCompatibility(avro.MustParse(versions[from]), avro.MustParse(versions[to]))
			if original != nil {
				continue
			}
			if err := avro.CheckCompatibility(derived[from], derived[to]); err != nil {
				t.Errorf("derived version %d does not read version %d, as the original does: %v", to+1, from+1, err)
				continue
			}
			resolved, err := avro.Resolve(derived[from], derived[to])
			if err != nil {
				t.Errorf("version %d to %d: %v", from+1, to+1, err)
				continue
			}
			var v map[string]any
			rest, err := resolved.Decode(protected[from], &v)
			if err != nil || len(rest) > 0 || v["id"] != int64(1) {
				t.Errorf("version %d as %d reads as %v, rest %q, %v", from+1, to+1, v, rest, err)
			}
		}
	}
}

func TestADefaultThatStandsForAWrappedValueIsEmpty(t *testing.T) {
	old := avro.MustParse(record(`{"name":"id","type":"long"}`))
	s := parse(t, record(`{"name":"id","type":"long"},{"name":"age","type":"int","default":7},{"name":"u","type":["null","int","string"],"default":null},{"name":"w","type":["int","null","string"],"default":5}`))
	text := derive(t, s, wrapAt(t, s, "/age", "union /u", "union /w"))
	resolved, err := avro.Resolve(old, avro.MustParse(text.Schema))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if _, err := resolved.Decode([]byte("\x02"), &v); err != nil {
		t.Fatal(err)
	}
	age, _ := v["age"].([]byte)
	w, _ := v["w"].([]byte)
	if v["id"] != int64(1) || age == nil || len(age) != 0 || v["u"] != nil || w == nil || len(w) != 0 {
		t.Errorf("an old record reads as %v", v)
	}
}

func TestTagsBesideTheTextStayBesideTheDerivedOne(t *testing.T) {
	text := schema.Text{
		Format: schema.Avro, Schema: record(`{"name":"n","type":"int"},{"name":"p","type":{"type":"record","name":"P","fields":[{"name":"m","type":"long"}]}}`),
		Tags: []schema.TagRule{{Pattern: "R.n", Tags: []string{"A"}}, {Pattern: "/p/m", Tags: []string{"B"}}, {Pattern: "**", Tags: []string{"C"}}},
	}
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(derive(t, s, wrapAt(t, s, "/n", "/p")))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"A,C", "C", "B,C"} {
		if got := strings.Join(d.Fields()[i].Tags, ","); got != want {
			t.Errorf("%s has the tags %s, want %s", d.Fields()[i].Path, got, want)
		}
	}
}

func TestTagRulesAreBounded(t *testing.T) {
	rule := func(pattern string, n int) []schema.TagRule {
		rules := make([]schema.TagRule, n)
		for i := range rules {
			rules[i] = schema.TagRule{Pattern: pattern, Tags: []string{"T"}}
		}
		return rules
	}
	wide := strings.TrimSuffix(strings.Repeat(`{"name":"a#","type":"int"},`, 20_000), ",")
	var b strings.Builder
	for i, part := range strings.Split(wide, "#") {
		if i > 0 {
			b.WriteString(itoa(i))
		}
		b.WriteString(part)
	}
	for name, text := range map[string]schema.Text{
		"too many":         {Schema: `"int"`, Tags: rule("x", maxRules+1)},
		"a long pattern":   {Schema: `"int"`, Tags: rule(strings.Repeat("*", maxPath+1), 1)},
		"an empty tag":     {Schema: `"int"`, Tags: []schema.TagRule{{Pattern: "x", Tags: []string{""}}}},
		"many tags":        {Schema: `"int"`, Tags: []schema.TagRule{{Pattern: "x", Tags: strings.Split(strings.Repeat("a,", maxTags), ",")}}},
		"too much to look": {Schema: record(b.String()), Tags: rule("**"+strings.Repeat("a", 4000), maxRules)},
	} {
		t.Run(name, func(t *testing.T) {
			text.Format = schema.Avro
			if _, err := Parse(text); err == nil || !strings.HasPrefix(err.Error(), "avro: ") {
				t.Errorf("error is %v", err)
			}
		})
	}
}
