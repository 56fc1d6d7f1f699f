package registry

import (
	"errors"
	"reflect"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/registry"
)

// What the client of this repository promises, against a registry that nobody
// here wrote. Each question is asked of a client that knows nothing yet.
func testClient(t *testing.T, url string) {
	t.Helper()
	t.Run("schemas of every format come back by id", func(t *testing.T) { clientFormats(t, url) })
	t.Run("a schema comes back with those that it names", func(t *testing.T) { clientReferences(t, url) })
	t.Run("an incompatible version is refused", func(t *testing.T) { clientCompatibility(t, url) })
	t.Run("faults are of their class", func(t *testing.T) { clientFaults(t, url) })
	t.Run("tags that the registry drops do not come back", func(t *testing.T) { clientTags(t, url) })
}

func fresh(t *testing.T, url string) *registry.Client {
	t.Helper()
	c, err := registry.New([]string{url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func register(t *testing.T, url, subject string, text schema.Text) int {
	t.Helper()
	id, err := fresh(t, url).Register(t.Context(), subject, text)
	if err != nil {
		t.Fatalf("Register under %s: %v", subject, err)
	}
	return id
}

func clientFormats(t *testing.T, url string) {
	t.Helper()
	for _, text := range []schema.Text{
		{Format: schema.Avro, Schema: `{"type":"record","name":"C1","fields":[{"name":"ssn","type":"string","confluent:tags":["PII"]}]}`},
		{Format: schema.JSONSchema, Schema: `{"type":"object","title":"C1","properties":{"ssn":{"type":"string","confluent:tags":["PII"]}}}`},
		{Format: schema.Protobuf, Schema: "syntax = \"proto3\";\npackage c1;\n\nmessage C1 {\n  string ssn = 1;\n}\n"},
	} {
		subject := "c1-" + string(text.Format)
		id := register(t, url, subject, text)
		if again := register(t, url, subject, text); again != id {
			t.Errorf("%s: registered twice, with the ids %d and %d", text.Format, id, again)
		}
		c := fresh(t, url)
		got, err := c.Schema(t.Context(), id)
		if err != nil || got.Format != text.Format || !sameSchema(string(text.Format), got.Schema, text.Schema) || len(got.References) > 0 {
			t.Errorf("%s: Schema = %+v, %v", text.Format, got, err)
		}
		subjects, err := c.SubjectsOf(t.Context(), id)
		if err != nil || !reflect.DeepEqual(subjects, []string{subject}) {
			t.Errorf("%s: SubjectsOf = %q, %v", text.Format, subjects, err)
		}
		latest, err := c.Latest(t.Context(), subject)
		if err != nil || latest.ID != id || latest.Version != 1 {
			t.Errorf("%s: Latest = %+v, %v", text.Format, latest, err)
		}
		found, err := c.Lookup(t.Context(), subject, registry.Schema{Type: string(text.Format), Text: text.Schema})
		if err != nil || found.ID != id || found.Version != 1 {
			t.Errorf("%s: Lookup = %+v, %v", text.Format, found, err)
		}
	}
}

func clientReferences(t *testing.T, url string) {
	t.Helper()
	for _, text := range []schema.Text{
		{
			Format: schema.Avro,
			Schema: `{"type":"record","name":"User","namespace":"com.example","fields":[{"name":"home","type":"com.example.Address"}]}`,
			References: []string{
				`{"type":"record","name":"Country","namespace":"com.example","fields":[{"name":"code","type":"string"}]}`,
				`{"type":"record","name":"Address","namespace":"com.example","fields":[{"name":"street","type":"string","confluent:tags":["PII"]},{"name":"country","type":"com.example.Country"}]}`,
			},
			Names: []string{"com.example.Country", "com.example.Address"},
		},
		{
			Format:     schema.JSONSchema,
			Schema:     `{"type":"object","properties":{"home":{"$ref":"http://example.com/address.json"}}}`,
			References: []string{`{"$id":"http://example.com/address.json","type":"object","properties":{"street":{"type":"string","confluent:tags":["PII"]}}}`},
			Names:      []string{"http://example.com/address.json"},
		},
		{
			Format:     schema.Protobuf,
			Schema:     "syntax = \"proto3\";\npackage example;\n\nimport \"example/address.proto\";\n\nmessage User {\n  .example.Address home = 1;\n}\n",
			References: []string{"syntax = \"proto3\";\npackage example;\n\nmessage Address {\n  string street = 1;\n}\n"},
			Names:      []string{"example/address.proto"},
		},
	} {
		id := register(t, url, "c2-"+string(text.Format), text)
		got, err := fresh(t, url).Schema(t.Context(), id)
		if err != nil || got.Format != text.Format || !sameSchema(string(text.Format), got.Schema, text.Schema) ||
			len(got.References) != len(text.References) || !reflect.DeepEqual(got.Names, text.Names) {
			t.Errorf("%s: Schema = %+v, %v", text.Format, got, err)
			continue
		}
		for i, ref := range got.References {
			if !sameSchema(string(text.Format), ref, text.References[i]) {
				t.Errorf("%s: reference %d comes back as %s", text.Format, i, ref)
			}
		}
		if text.Format == schema.Avro {
			parsed, err := avro.Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			tagged := 0
			for _, f := range parsed.Fields() {
				if len(f.Tags) > 0 {
					tagged++
				}
			}
			if tagged != 1 {
				t.Errorf("%d tagged fields in %+v", tagged, parsed.Fields())
			}
		}
		if again := register(t, url, "c2-"+string(text.Format), text); again != id {
			t.Errorf("%s: registered twice, with the ids %d and %d", text.Format, id, again)
		}
	}
}

func clientCompatibility(t *testing.T, url string) {
	t.Helper()
	record := func(fields string) schema.Text {
		return schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"C3","fields":[` + fields + `]}`}
	}
	const x, optional, required = `{"name":"x","type":"int"}`, `,{"name":"y","type":"int","default":0}`, `,{"name":"z","type":"int"}`
	first := register(t, url, "c3", record(x))
	c := fresh(t, url)
	if err := c.SetConfig(t.Context(), "c3", registry.Config{Compatibility: "BACKWARD"}); err != nil {
		t.Fatal(err)
	}
	if cfg, err := c.Config(t.Context(), "c3"); err != nil || cfg.Compatibility != "BACKWARD" {
		t.Errorf("Config = %+v, %v", cfg, err)
	}
	second, err := c.Register(t.Context(), "c3", record(x+optional))
	if err != nil || second == first {
		t.Errorf("Register = %d, %v", second, err)
	}
	if id, err := c.Register(t.Context(), "c3", record(x+required)); !errors.Is(err, registry.ErrIncompatible) || registry.Retryable(err) {
		t.Errorf("Register = %d, %v", id, err)
	}
	for fields, want := range map[string]bool{x + optional: true, x + required: false} {
		ok, _, err := c.Compatible(t.Context(), "c3", 2, registry.Schema{Text: record(fields).Schema})
		if err != nil || ok != want {
			t.Errorf("Compatible = %v, %v, want %v", ok, err, want)
		}
	}
	if versions, err := c.Versions(t.Context(), "c3"); err != nil || !reflect.DeepEqual(versions, []int{1, 2}) {
		t.Errorf("Versions = %v, %v", versions, err)
	}
}

func clientFaults(t *testing.T, url string) {
	t.Helper()
	register(t, url, "c4", schema.Text{Format: schema.Avro, Schema: `{"type":"fixed","name":"C4","size":4}`})
	c := fresh(t, url)
	_, byID := c.Schema(t.Context(), 987654)
	var byGUID error
	for range 3 { // it has no such call, and may not answer: see caller.do
		if _, byGUID = c.SchemaByGUID(t.Context(), [16]byte{1}); !registry.Retryable(byGUID) {
			break
		}
	}
	_, bySubject := c.Versions(t.Context(), "c4-none")
	_, byVersion := c.Version(t.Context(), "c4", 7)
	_, lookedUp := c.Lookup(t.Context(), "c4", registry.Schema{Text: `{"type":"fixed","name":"C4","size":5}`})
	for what, err := range map[string]error{"id": byID, "GUID": byGUID, "subject": bySubject, "version": byVersion, "text": lookedUp} {
		if !errors.Is(err, schema.ErrNotFound) || registry.Retryable(err) {
			t.Errorf("a %s that is not there: %v", what, err)
		}
	}
	if _, err := c.Register(t.Context(), "c4-bad", schema.Text{Format: schema.Avro, Schema: `{"type":"strng"}`}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("a text that is no schema: %v", err)
	}
	if _, err := fresh(t, "http://127.0.0.1:1").Schema(t.Context(), 1); !errors.Is(err, registry.ErrUnavailable) || !registry.Retryable(err) {
		t.Errorf("a registry that is away: %v", err)
	}
}

// Apicurio drops metadata without a word. Nobody who asks may be told otherwise,
// least of all by the client that has written it.
func clientTags(t *testing.T, url string) {
	t.Helper()
	text := schema.Text{
		Format: schema.Avro, Schema: `{"type":"record","name":"C5","fields":[{"name":"x","type":"string"}]}`,
		Tags: []schema.TagRule{{Pattern: "C5.x", Tags: []string{"PII"}}},
	}
	c := fresh(t, url)
	id, err := c.Register(t.Context(), "c5", text)
	if err != nil {
		return // it says that they are lost
	}
	written, err := c.Schema(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	read, err := fresh(t, url).Schema(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(written.Tags, read.Tags) {
		t.Errorf("the client that wrote the tags shows %v, and another %v", written.Tags, read.Tags)
	}
}
