package registry_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
)

func record(name, field string) string {
	return `{"type":"record","name":"` + name + `","fields":[` + field + `]}`
}

// The client and a whole registry, from nothing to a snapshot.
func TestWithARegistry(t *testing.T) {
	server, err := registrytest.Start(registrytest.WithBasicAuth("user", "password"))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx := t.Context()
	c, err := registry.New([]string{server.URL()}, registry.WithBasicAuth("user", "password"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	street := record("Street", `{"name":"name","type":"string"}`)
	if _, err := c.RegisterSchema(ctx, "street", registry.Schema{Text: street}); err != nil {
		t.Fatal(err)
	}
	person := registry.Schema{
		Text:       record("Person", `{"name":"street","type":"Street"}`),
		References: []registry.Reference{{Name: "Street", Subject: "street", Version: 1}},
		Metadata:   &registry.Metadata{Tags: map[string][]string{"Street.name": {"PII"}}},
		RuleSet: &registry.RuleSet{
			DomainRules:   []registry.Rule{{Name: "fields", Type: "ENCRYPT", Tags: []string{"PII"}, Params: map[string]string{"encrypt.kms.key.id": "arn:aws:kms:x"}}},
			EncodingRules: []registry.Rule{{Name: "whole", Type: "ENCRYPT_PAYLOAD"}},
		},
	}
	registered, err := c.RegisterSchema(ctx, "a/b:c-value", person)
	if err != nil || registered.ID == 0 {
		t.Fatalf("%+v, %v", registered, err)
	}
	want := schema.Text{
		Format: schema.Avro, Schema: person.Text, References: []string{street}, Names: []string{"Street"},
		Tags:    []schema.TagRule{{Pattern: "Street.name", Tags: []string{"PII"}}},
		Demands: []schema.Demand{{Name: "fields", Tags: []string{"PII"}}, {Name: "whole", Payload: true}},
	}
	text, err := c.Schema(ctx, registered.ID)
	if err != nil || !reflect.DeepEqual(text, want) {
		t.Fatalf("got  %+v, %v\nwant %+v", text, err, want)
	}
	full, err := c.Latest(ctx, "a/b:c-value")
	if err != nil || full.RuleSet.DomainRules[0].Params["encrypt.kek.name"] == "" || full.RuleSet.EncodingRules[0].Mode != "WRITEREAD" || full.GUID == "" {
		t.Errorf("what the registry fills in: %+v, %v", full, err)
	}
	if subjects, err := c.SubjectsOf(ctx, registered.ID); err != nil || !slices.Equal(subjects, []string{"a/b:c-value"}) {
		t.Errorf("%v, %v", subjects, err)
	}
	found, err := c.Lookup(ctx, "a/b:c-value", full)
	if err != nil || found.ID != registered.ID || found.Version != 1 {
		t.Errorf("%+v, %v", found, err)
	}

	derived := text
	derived.Schema = record("Person", `{"name":"street","type":"Street"},{"name":"note","type":["null","string"],"default":null}`)
	id, err := c.Register(ctx, "a/b:c-value", derived)
	if err != nil || id == registered.ID {
		t.Fatal(id, err)
	}
	again, err := c.Schema(ctx, id)
	if err != nil || again.Schema != derived.Schema || !reflect.DeepEqual(again.References, text.References) || !reflect.DeepEqual(again.Demands, text.Demands) {
		t.Errorf("%+v, %v", again, err)
	}
	breaking := schema.Text{Format: schema.Avro, Schema: record("Person", `{"name":"street","type":"int"}`)}
	if _, err := c.Register(ctx, "a/b:c-value", breaking); !errors.Is(err, registry.ErrIncompatible) {
		t.Errorf("%v", err)
	}
	ok, reasons, err := c.Compatible(ctx, "a/b:c-value", 0, registry.Schema{Text: breaking.Schema})
	if err != nil || ok || len(reasons) == 0 {
		t.Errorf("%v, %v, %v", ok, reasons, err)
	}
	if _, err := c.Register(ctx, "x", schema.Text{Format: schema.Avro, Schema: `{"type":`}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if err := c.SetConfig(ctx, "a/b:c-value", registry.Config{Compatibility: "NONE"}); err != nil {
		t.Error(err)
	}
	if cfg, err := c.Config(ctx, "a/b:c-value"); err != nil || cfg.Compatibility != "NONE" {
		t.Errorf("%+v, %v", cfg, err)
	}
	types, err := c.Types(ctx)
	if err != nil || !slices.Contains(types, "AVRO") {
		t.Errorf("%v, %v", types, err)
	}
	if err := c.DeleteVersion(ctx, "street", 1, false); err == nil {
		t.Error("what is referred to was deleted")
	}

	dir := t.TempDir()
	if err := c.Snapshot(dir); err != nil {
		t.Fatal(err)
	}
	snapshot, err := registry.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := snapshot.Schema(ctx, registered.ID); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	stranger, err := registry.New([]string{server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Schema(ctx, registered.ID); !errors.Is(err, registry.ErrDenied) {
		t.Error(err)
	}
}
