package serde

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/schema/wire"
)

const orderText = `{"type":"record","name":"Order","namespace":"acme","fields":[{"name":"id","type":"string"}]}`

func register(t *testing.T, server *registrytest.Server, subject, format, text string) int {
	t.Helper()
	id, err := server.Register(subject, registrytest.Schema{Text: text, Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSchemasAreFound(t *testing.T) {
	s, server := start(t, DefaultConfig())
	first := register(t, server, "orders-value", registrytest.Avro, orderText)
	latest := register(t, server, "orders-value", registrytest.Avro,
		`{"type":"record","name":"Order","namespace":"acme","fields":[{"name":"id","type":"string"},{"name":"n","type":"int","default":0}]}`)
	key := register(t, server, "orders-key", registrytest.JSON, `{"type":"string"}`)
	other := register(t, server, "acme.Order", registrytest.Avro, orderText)
	topicRecord := register(t, server, "orders-acme.Order", registrytest.Avro, orderText)
	proto := register(t, server, "p-value", registrytest.Protobuf, `syntax = "proto3"; message M { string a = 1; }`)
	tests := []struct {
		name   string
		ask    Ask
		id     int
		format Format
	}{
		{"by id", Ask{Topic: "orders", SchemaID: first}, first, Avro},
		{"by id and format", Ask{Topic: "x", SchemaID: key, Format: JSONSchema}, key, JSONSchema},
		{"by id of Protobuf", Ask{SchemaID: proto}, proto, Protobuf},
		{"by version", Ask{Topic: "orders", SchemaVersion: 1}, first, Avro},
		{"by version of a subject", Ask{Topic: "x", Subject: "orders-value", SchemaVersion: 2}, latest, Avro},
		{"the latest of a value", Ask{Topic: "orders"}, latest, Avro},
		{"the latest by number", Ask{Topic: "orders", SchemaVersion: -1}, latest, Avro},
		{"the latest of a key", Ask{Topic: "orders", IsKey: true}, key, JSONSchema},
		{"the latest of a subject", Ask{Topic: "x", Subject: "acme.Order"}, other, Avro},
		{"by text under the topic", Ask{Topic: "orders", Format: Avro, SchemaText: orderText}, first, Avro},
		{"by text under the record", Ask{Topic: "x", Format: Avro, SchemaText: orderText, Strategy: RecordName}, other, Avro},
		{"by text under both", Ask{Topic: "orders", Format: Avro, SchemaText: orderText, Strategy: TopicRecordName}, topicRecord, Avro},
		{"by text under a subject", Ask{Topic: "x", Format: Avro, SchemaText: orderText, Subject: "acme.Order"}, other, Avro},
		{"no schema", Ask{Topic: "x", Format: JSON}, 0, JSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // and again, from what is kept
				e, err := s.Encoder(t.Context(), tt.ask)
				if err != nil {
					t.Fatal(err)
				}
				if e.ID() != tt.id || e.Format() != tt.format {
					t.Errorf("got id %d, %s, want %d, %s", e.ID(), e.Format(), tt.id, tt.format)
				}
			}
		})
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	s, server := start(t, DefaultConfig())
	id := register(t, server, "orders-value", registrytest.Avro, orderText)
	for name, tt := range map[string]struct {
		ask  Ask
		code string
	}{
		"id and text":                   {Ask{Topic: "orders", SchemaID: id, SchemaText: orderText, Format: Avro}, CodeSchemaInvalid},
		"id and version":                {Ask{Topic: "orders", SchemaID: id, SchemaVersion: 1}, CodeSchemaInvalid},
		"another format":                {Ask{Topic: "orders", SchemaID: id, Format: JSONSchema}, CodeSchemaInvalid},
		"an unknown format":             {Ask{Topic: "orders", Format: "xml"}, CodeSchemaInvalid},
		"a schema for JSON":             {Ask{Topic: "orders", Format: JSON, SchemaID: id}, CodeSchemaInvalid},
		"a subject for binary":          {Ask{Topic: "orders", Format: Binary, Subject: "x"}, CodeSchemaInvalid},
		"a text without format":         {Ask{Topic: "orders", SchemaText: orderText}, CodeSchemaInvalid},
		"a text that is no schema":      {Ask{Topic: "orders", Format: Avro, SchemaText: `{"type":"secret"}`}, CodeSchemaInvalid},
		"a text of another format":      {Ask{Topic: "orders", Format: Protobuf, SchemaText: orderText}, CodeSchemaInvalid},
		"a text that is not compatible": {Ask{Topic: "orders", Format: Avro, SchemaText: strings.ReplaceAll(orderText, "string", "int")}, CodeSchemaInvalid},
		"a subject and a strategy":      {Ask{Topic: "orders", Subject: "x", Strategy: TopicName}, CodeSchemaInvalid},
		"an unknown strategy":           {Ask{Topic: "orders", Strategy: "BY_MOON"}, CodeSchemaInvalid},
		"the latest by a record's name": {Ask{Topic: "orders", Strategy: RecordName}, CodeSchemaMissing},
		"a version by a record's name":  {Ask{Topic: "orders", Strategy: TopicRecordName, SchemaVersion: 1}, CodeSchemaMissing},
		"an id that is not there":       {Ask{Topic: "orders", SchemaID: 99}, CodeSchemaNotFound},
		"a negative id":                 {Ask{Topic: "orders", SchemaID: -1}, CodeSchemaNotFound},
		"a version that is not there":   {Ask{Topic: "orders", SchemaVersion: 9}, CodeSchemaNotFound},
		"a negative version":            {Ask{Topic: "orders", SchemaVersion: -2}, CodeSchemaInvalid},
		"a subject that is not there":   {Ask{Topic: "nothing"}, CodeSchemaNotFound},
		"the latest of another format":  {Ask{Topic: "orders", Format: Protobuf}, CodeSchemaInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := s.Encoder(t.Context(), tt.ask)
			code, _ := fault(t, err)
			if code != tt.code || e != nil {
				t.Fatalf("got %v, %v, want %s", e, err, tt.code)
			}
			if strings.Contains(err.Error(), "secret") || errors.Is(err, &Error{code: CodeInternal}) || !errors.Is(err, &Error{code: code}) {
				t.Errorf("error %v", err)
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Retryable() {
				t.Error("the request would never succeed")
			}
		})
	}
}

func TestTextsAreRegisteredWhereTheConfigurationSaysSo(t *testing.T) {
	s, server := start(t, DefaultConfig())
	ask := Ask{Topic: "fresh", Format: Avro, SchemaText: orderText}
	e, err := s.Encoder(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := server.Schema(e.ID()); err != nil || got.Text != orderText {
		t.Errorf("registered %q, %v", got.Text, err)
	}
	calls := len(server.Calls())
	if _, err := s.Encoder(t.Context(), ask); err != nil || len(server.Calls()) != calls {
		t.Errorf("%d calls for a text that is known, %v", len(server.Calls())-calls, err)
	}

	cfg := DefaultConfig()
	cfg.AutoRegister = false
	s, server = start(t, cfg)
	_, err = s.Encoder(t.Context(), ask)
	if code, _ := fault(t, err); code != CodeSchemaNotFound || len(server.Subjects()) != 0 {
		t.Errorf("got %v, subjects %v", err, server.Subjects())
	}
	register(t, server, "fresh-value", registrytest.Avro, orderText)
	if _, err = s.Encoder(t.Context(), ask); err != nil {
		t.Errorf("a text that is there: %v", err)
	}
}

func TestARegistryThatIsAwayIsWorthAnotherTry(t *testing.T) {
	s, server := start(t, DefaultConfig())
	id := register(t, server, "orders-value", registrytest.Avro, orderText)
	server.Fail(func(*http.Request) int { return http.StatusServiceUnavailable })
	_, err := s.Encoder(t.Context(), Ask{Topic: "orders", SchemaID: id})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code() != CodeRegistry || !e.Retryable() {
		t.Errorf("got %v", err)
	}
	server.Fail(func(*http.Request) int { return http.StatusForbidden })
	_, err = s.Encoder(t.Context(), Ask{Topic: "orders", SchemaID: 2})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code() != CodeRegistry || e.Retryable() {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Encoder(ctx, Ask{Topic: "orders", SchemaID: 3})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code() != CodeRegistry || !e.Retryable() {
		t.Errorf("got %v", err)
	}
}

func TestWithoutARegistryThereAreNoSchemas(t *testing.T) {
	s, err := New(nil, DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Encoder(t.Context(), Ask{Topic: "x", Format: String}); err != nil {
		t.Error(err)
	}
	_, err = s.Encoder(t.Context(), Ask{Topic: "x"})
	if code, _ := fault(t, err); code != CodeSchemaMissing {
		t.Errorf("got %v", err)
	}
}

// The latest version of a protected topic is the schema of the protected records.
// Clients send what is to be protected.
func TestTheLatestVersionLeadsToTheOriginal(t *testing.T) {
	const text = `{"type":"record","name":"P","fields":[{"name":"age","type":"int"}]}`
	s, server := start(t, DefaultConfig())
	if err := server.SetCompatibility("", registrytest.LevelNone); err != nil {
		t.Fatal(err)
	}
	id := register(t, server, "people-value", registrytest.Avro, text)
	original := schema.Text{Format: schema.Avro, Schema: text}
	parsed, err := avro.Parse(original)
	if err != nil {
		t.Fatal(err)
	}
	derived, changed, err := parsed.Derive([]schema.Edit{{Field: 0, Op: schema.Wrap}}, schema.Origin{ID: id, Digest: original.Digest()})
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	protected := register(t, server, "people-value", registrytest.Avro, derived.Schema)
	e, err := s.Encoder(t.Context(), Ask{Topic: "people"})
	if err != nil || e.ID() != id {
		t.Fatalf("got %v, %v, want id %d", e, err, id)
	}
	if got, err := e.Append(nil, []byte(`{"age":1}`)); err != nil || got[wire.FrameSize] != 2 {
		t.Errorf("got %q, %v", got, err)
	}
	for _, ask := range []Ask{
		{Topic: "people", SchemaID: protected},
		{Topic: "people", SchemaVersion: 2},
		{Topic: "people", Format: Avro, SchemaText: derived.Schema},
	} {
		_, err := s.Encoder(t.Context(), ask)
		if code, _ := fault(t, err); code != CodeSchemaInvalid {
			t.Errorf("%+v: got %v", ask, err)
		}
	}
}

func TestSchemasThatCannotBeReadAreCompiledOnce(t *testing.T) {
	s, err := New(broken{}, DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := s.Encoder(t.Context(), Ask{Topic: "x", SchemaID: 5})
		if code, _ := fault(t, err); code != CodeSchemaInvalid {
			t.Errorf("got %v", err)
		}
	}
	if c, ok := s.schema.get(5); !ok || c.err == nil {
		t.Error("the refusal was not kept")
	}
}

type broken struct{ Registry }

func (broken) Schema(context.Context, int) (schema.Text, error) {
	return schema.Text{Format: schema.Avro, Schema: `{`}, nil
}

func TestEncodersAreShared(t *testing.T) {
	s, server := start(t, DefaultConfig())
	id := register(t, server, "orders-value", registrytest.Avro, orderText)
	var all sync.WaitGroup
	encoders := make([]*Encoder, 16)
	for i := range encoders {
		all.Go(func() {
			e, err := s.Encoder(t.Context(), Ask{SchemaID: id})
			if err != nil {
				t.Error(err)
				return
			}
			encoders[i] = e
			for range 100 {
				if got, err := e.Append(nil, []byte(`{"id":"\u0061b"}`)); err != nil || string(got[5:]) != "\x04ab" {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	all.Wait()
	for _, e := range encoders {
		if e != encoders[0] {
			t.Error("the same schema was kept twice")
		}
	}
}

func TestTheCacheHasBounds(t *testing.T) {
	l := newLRU[int, string](2)
	l.put(1, "a")
	l.put(2, "b")
	if v := l.put(1, "x"); v != "a" {
		t.Errorf("put again gives %q", v)
	}
	l.put(3, "c") // 2 was used least recently
	if _, ok := l.get(2); ok {
		t.Error("2 is still there")
	}
	for k, want := range map[int]string{1: "a", 3: "c"} {
		if v, ok := l.get(k); !ok || v != want {
			t.Errorf("%d: got %q, %v", k, v, ok)
		}
	}
	if len(l.known) != 2 || l.order.Len() != 2 {
		t.Errorf("%d keys, %d entries", len(l.known), l.order.Len())
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	for size, good := range map[int]bool{0: false, -1: false, 1: true, maxCached: true, maxCached + 1: false} {
		c := Config{CachedSchemas: size}
		err := c.Validate()
		if (err == nil) != good || err != nil && !strings.HasPrefix(err.Error(), "cached_schemas: ") {
			t.Errorf("%d: %v", size, err)
		}
		if _, nerr := New(nil, c); (nerr == nil) != good {
			t.Errorf("New with %d: %v", size, nerr)
		}
	}
}

var _ Registry = (*registry.Client)(nil)
