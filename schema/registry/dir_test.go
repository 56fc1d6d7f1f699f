package registry

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

const guid9 = "89791762-2336-4186-9674-000000000009"

func handMade() map[string]string {
	return map[string]string{
		"7.avsc": avro("R"),
		"7.meta.json": `{"guid":"89791762-2336-4186-9674-000000000007","versions":[{"subject":"r-value","version":1},{"subject":"other","version":2},{"subject":"other","version":3}],
			"references":[{"name":"A","subject":"a","version":1}],"metadata":{"tags":{"R.f":["PII"]}},
			"ruleSet":{"encodingRules":[{"name":"e","type":"ENCRYPT_PAYLOAD"}]}}`,
		"8.avsc":        avro("A"),
		"8.meta.json":   `{"versions":[{"subject":"a","version":1}]}`,
		"9.json":        `{}`,
		"10.proto":      `syntax = "proto3";`,
		guid9 + ".json": `{"type":"object"}`,
	}
}

func TestADirectoryIsASource(t *testing.T) {
	d, err := LoadDir(write(t, t.TempDir(), handMade()))
	if err != nil {
		t.Fatal(err)
	}
	want := schema.Text{
		Format: schema.Avro, Schema: avro("R"), References: []string{avro("A")}, Names: []string{"A"},
		Tags: []schema.TagRule{{Pattern: "R.f", Tags: []string{"PII"}}}, Demands: []schema.Demand{{Name: "e", Payload: true}},
	}
	got, err := d.Schema(t.Context(), 7)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	guid, _ := parseGUID("89791762-2336-4186-9674-000000000007")
	if got, err = d.SchemaByGUID(t.Context(), guid); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if subjects, err := d.SubjectsOf(t.Context(), 7); err != nil || !slices.Equal(subjects, []string{"other", "r-value"}) {
		t.Errorf("%v, %v", subjects, err)
	}
	guid, _ = parseGUID(guid9)
	if got, err = d.SchemaByGUID(t.Context(), guid); err != nil || got.Format != schema.JSONSchema {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = d.Schema(t.Context(), 10); err != nil || got.Format != schema.Protobuf {
		t.Errorf("%+v, %v", got, err)
	}
	_, missing := d.Schema(t.Context(), 11)
	_, missingGUID := d.SchemaByGUID(t.Context(), [16]byte{1})
	_, missingSubjects := d.SubjectsOf(t.Context(), 11)
	for _, err := range []error{missing, missingGUID, missingSubjects} {
		if !errors.Is(err, schema.ErrNotFound) {
			t.Error(err)
		}
	}
}

func TestADirectoryThatIsNotUnderstood(t *testing.T) {
	for name, change := range map[string]map[string]string{
		"another ending":             {"1.txt": "x"},
		"no id":                      {"x.avsc": "x"},
		"an id with a zero in front": {"07.avsc": "x"},
		"id zero":                    {"0.avsc": "x"},
		"the same id twice":          {"7.json": "{}"},
		"an empty schema":            {"11.avsc": ""},
		"a schema that is too long":  {"11.avsc": repeat("x", maxText+1)},
		"beside nothing":             {"11.meta.json": `{}`},
		"a key that nobody knows":    {"8.meta.json": `{"versions":[{"subject":"a","version":1}],"metaData":{}}`},
		"a key twice":                {"8.meta.json": `{"versions":[{"subject":"a","version":1}],"versions":null}`},
		"no JSON":                    {"8.meta.json": `tags`},
		"a version twice":            {"8.meta.json": `{"versions":[{"subject":"a","version":1},{"subject":"a","version":1}]}`},
		"version zero":               {"8.meta.json": `{"versions":[{"subject":"a","version":1},{"subject":"a","version":0}]}`},
		"a missing reference":        {"8.meta.json": `{}`},
		"a cycle":                    {"8.meta.json": `{"versions":[{"subject":"a","version":1}],"references":[{"name":"A","subject":"a","version":1}]}`},
		"a GUID that is none":        {"8.meta.json": `{"guid":"x","versions":[{"subject":"a","version":1}]}`},
		"a GUID twice":               {"8.meta.json": `{"guid":"` + guid9 + `","versions":[{"subject":"a","version":1}]}`},
		"another GUID than its own":  {guid9 + ".meta.json": `{"guid":"89791762-2336-4186-9674-000000000001"}`},
		"tags that nobody reads":     {"9.meta.json": `{"metadata":{"tags":{"a[b]":["PII"]}}}`},
		"a manifest that is none":    {manifestName: `x`},
		"a later manifest":           {manifestName: `{"version":2,"files":{}}`},
		"a manifest of other keys":   {manifestName: `{"version":1,"file":{}}`},
		"a file elsewhere":           {manifestName: `{"version":1,"files":{"../x.avsc":"00"}}`},
		"a file that is not there":   {manifestName: `{"version":1,"files":{"99.avsc":"00"}}`},
		"a file of other content":    {manifestName: `{"version":1,"files":{"7.avsc":"00"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), handMade())
			if d, err := LoadDir(write(t, dir, change)); err == nil || d != nil {
				t.Errorf("it is taken")
			}
		})
	}
	if _, err := LoadDir(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	below := t.TempDir()
	if err := os.Mkdir(filepath.Join(below, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, below, map[string]string{"x/7.avsc": "x", manifestName: `{"version":1,"files":{"x/7.avsc":"` + hexDigest([]byte("x")) + `"}}`})
	if _, err := LoadDir(below); !errors.Is(err, ErrInvalid) {
		t.Errorf("a file in another directory: %v", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "7.avsc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDir(dir); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func snapshotAnswers() map[string]any {
	tagged := Schema{ID: 7, GUID: "89791762-2336-4186-9674-000000000007", Text: avro("R"), References: []Reference{ref("A", "a", 1)},
		Metadata: &Metadata{Tags: map[string][]string{"R.f": {"PII"}}}, RuleSet: &RuleSet{EncodingRules: []Rule{{Name: "e", Type: "ENCRYPT_PAYLOAD"}}}}
	byGUID := Schema{GUID: guid9, Subject: ":.c:t", Type: "JSON", Text: "{}", References: []Reference{ref("B", "b", 1)}}
	inContext := version(":.c:b", 1, 7, `{"a":1}`)
	inContext.Type = "JSON"
	sameByGUID := tagged
	sameByGUID.ID = 0
	known := version("n", 2, 9, avro("N"))
	known.GUID = "89791762-2336-4186-9674-00000000000a"
	knownByGUID := known
	knownByGUID.ID, knownByGUID.Subject, knownByGUID.Version = 0, "", 0
	return map[string]any{
		id7: tagged, at("a", 1): version("a", 1, 8, avro("A"), ref("N", "n", 2)), at("n", 2): known, "GET /schemas/guids/" + known.GUID: knownByGUID,
		"GET /schemas/ids/10":                   `{"schema":"syntax","schemaType":"PROTOBUF"}`,
		"GET /schemas/ids/7/versions":           `[{"subject":"r-value","version":1}]`,
		"GET /schemas/guids/" + guid9:           byGUID,
		"GET /schemas/guids/" + tagged.GUID:     sameByGUID,
		at(":.c:b", 1):                          inContext,
		"GET /subjects/r-value/versions/latest": version("r-value", 1, 7, avro("R"), ref("A", "a", 1)),
		"GET /subjects/a/versions/latest":       version("a", 9, 8, avro("Forged")),
	}
}

func TestASnapshotStartsWhereTheRegistryIsAway(t *testing.T) {
	f, c := serve(t, snapshotAnswers())
	guid, _ := parseGUID(guid9)
	guid7, _ := parseGUID("89791762-2336-4186-9674-000000000007")
	guidN, _ := parseGUID("89791762-2336-4186-9674-00000000000a")
	texts := func(s interface {
		schema.Source
		schema.GUIDSource
	}) []schema.Text {
		t.Helper()
		var out []schema.Text
		for _, id := range []int{7, 10} {
			text, err := s.Schema(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		for _, g := range [][16]byte{guid, guid7, guidN} {
			text, err := s.SchemaByGUID(t.Context(), g)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		return out
	}
	want := texts(c)
	if _, err := c.SubjectsOf(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // the second time changes nothing
		if err := c.Snapshot(dir); err != nil {
			t.Fatal(err)
		}
	}
	files := read(t, dir)
	if names := slices.Sorted(maps.Keys(files)); len(names) != 13 {
		t.Errorf("files: %v", names)
	}
	d, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(d); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if subjects, err := d.SubjectsOf(t.Context(), 7); err != nil || !slices.Equal(subjects, []string{"r-value"}) {
		t.Errorf("%v, %v", subjects, err)
	}
	away := inside(t, newFake(nil), WithSnapshot(d))
	if got := texts(away); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	again := filepath.Join(t.TempDir(), "again")
	if err := away.Snapshot(again); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadDir(again); err != nil || !reflect.DeepEqual(texts(got), want) {
		t.Errorf("a snapshot of a snapshot: %v", err)
	}
	pinned := inside(t, f, WithSnapshot(d))
	if _, err := pinned.Latest(t.Context(), "r-value"); err != nil {
		t.Error(err)
	}
	if _, err := pinned.Latest(t.Context(), "a"); !errors.Is(err, ErrChanged) {
		t.Errorf("another text under a pinned id: %v", err)
	}
}

func TestASnapshotThatWasTouchedIsRefused(t *testing.T) {
	_, c := serve(t, snapshotAnswers())
	if _, err := c.Schema(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	for name, touch := range map[string]func(map[string]string){
		"a schema is changed": func(f map[string]string) { f["7.avsc"] += " " },
		"tags are taken away": func(f map[string]string) { f["7.meta.json"] = strings.Replace(f["7.meta.json"], "PII", "", 1) },
		"a file is emptied":   func(f map[string]string) { f["8.avsc"] = "" },
		"a manifest is cut":   func(f map[string]string) { f[manifestName] = f[manifestName][:20] },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.Snapshot(dir); err != nil {
				t.Fatal(err)
			}
			files := read(t, dir)
			touch(files)
			write(t, dir, files)
			if _, err := LoadDir(dir); err == nil {
				t.Error("it is loaded")
			}
			if err := c.Snapshot(dir); err == nil {
				t.Error("it is written over")
			}
			if got := read(t, dir); !reflect.DeepEqual(got, files) {
				t.Error("it was changed")
			}
		})
	}
	t.Run("a file is removed", func(t *testing.T) {
		dir := t.TempDir()
		if err := c.Snapshot(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "7.meta.json")); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadDir(dir); err == nil {
			t.Error("it is loaded")
		}
	})
	t.Run("files that are not listed do not count", func(t *testing.T) {
		dir := t.TempDir()
		if err := c.Snapshot(dir); err != nil {
			t.Fatal(err)
		}
		write(t, dir, map[string]string{"99.avsc": avro("X"), "note.txt": "x"})
		d, err := LoadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Schema(t.Context(), 99); !errors.Is(err, schema.ErrNotFound) {
			t.Error(err)
		}
	})
	t.Run("a directory of other things is left alone", func(t *testing.T) {
		dir := write(t, t.TempDir(), handMade())
		if err := c.Snapshot(dir); !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	})
	t.Run("another registry under the same name", func(t *testing.T) {
		dir := t.TempDir()
		if err := c.Snapshot(dir); err != nil {
			t.Fatal(err)
		}
		before := read(t, dir)
		for name, other := range map[string]any{
			"text":           Schema{Text: avro("Q"), References: []Reference{ref("A", "a", 1)}},
			"language":       Schema{Type: "JSON", Text: "{}"},
			"no tags":        Schema{Text: avro("R"), References: []Reference{ref("A", "a", 1)}},
			"nothing beside": Schema{Text: avro("R")},
		} {
			answers := snapshotAnswers()
			answers[id7] = other
			_, c := serve(t, answers)
			if _, err := c.Schema(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			if err := c.Snapshot(dir); !errors.Is(err, ErrChanged) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !reflect.DeepEqual(read(t, dir), before) {
			t.Error("the directory was changed")
		}
	})
}

func TestAFirstSnapshotThatFailsIsEmpty(t *testing.T) {
	_, c := serve(t, snapshotAnswers())
	if _, err := c.Schema(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	broken := &snapshot{files: map[string][]byte{"10.proto": []byte("syntax"), "no/such/directory": nil}}
	if err := broken.write(dir); err == nil {
		t.Fatal("it is written")
	}
	d, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Schema(t.Context(), 10); !errors.Is(err, schema.ErrNotFound) {
		t.Error(err)
	}
	if err := c.Snapshot(dir); err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(read(t, dir))); !slices.Equal(names, []string{"10.proto", manifestName}) {
		t.Errorf("files: %v", names)
	}
}

// However much of a snapshot was written before the process died, what loads is
// the one before.
func TestASnapshotThatIsCutShortDoesNotCount(t *testing.T) {
	_, c := serve(t, snapshotAnswers())
	if _, err := c.Schema(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := c.Snapshot(dir); err != nil {
		t.Fatal(err)
	}
	first := read(t, dir)
	if _, err := c.Schema(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if err := c.Snapshot(dir); err != nil {
		t.Fatal(err)
	}
	second := read(t, dir)
	if len(second) <= len(first) {
		t.Fatal("nothing was added")
	}
	// All files but the manifest, and a temporary one.
	cut := maps.Clone(second)
	cut[manifestName] = first[manifestName]
	cut[tempPrefix+"123"] = "half"
	dir = write(t, t.TempDir(), cut)
	d, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Schema(t.Context(), 7); !errors.Is(err, schema.ErrNotFound) {
		t.Error(err)
	}
	if err := c.Snapshot(dir); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir); !bytes.Equal([]byte(got[manifestName]), []byte(second[manifestName])) {
		t.Errorf("got %s, want %s", got[manifestName], second[manifestName])
	}
}
