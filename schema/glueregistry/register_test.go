package glueregistry

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/fieldveil/fieldveil/schema"
)

func avro(fields string) schema.Text {
	return schema.Text{Format: schema.Avro, Schema: `{"type":"record","name":"C","fields":[` + fields + `]}`}
}

func TestRegisterCreatesAndAddsVersions(t *testing.T) {
	f := newFakeGlue(t)
	c := f.client(Config{Registry: "clinic", CreateSchemas: true, Compatibility: types.CompatibilityFull})
	first := avro(`{"name":"a","type":"string"}`)
	first.Tags = []schema.TagRule{{Pattern: "C.a", Tags: []string{"PII"}}, {Pattern: "/b", Tags: []string{"X"}}}
	// The id that the fake gives, asked for before it has a meaning.
	if _, err := c.SchemaByGUID(t.Context(), [16]byte{6: 0x40, 8: 0x80, 15: 1}); !errors.Is(err, schema.ErrNotFound) {
		t.Fatalf("SchemaByGUID: %v", err)
	}
	id, err := c.Register(t.Context(), "patients-value", first)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.SchemaByGUID(t.Context(), id); err != nil || got.Schema != first.Schema || len(got.Tags) != 2 {
		t.Errorf("SchemaByGUID = %+v, %v", got, err)
	}
	if !strings.Contains(strings.Join(f.calls, "\n"), `"Compatibility":"FULL"`) {
		t.Errorf("the compatibility mode is not set: %q", f.calls)
	}
	// The same again makes no call, also for somebody who spells it in another way.
	calls := len(f.calls)
	if again, err := c.Register(t.Context(), "patients-value", first); err != nil || again != id || len(f.calls) != calls {
		t.Errorf("Register = %x, %v after %d more calls", again, err, len(f.calls)-calls)
	}
	spaced := first
	spaced.Schema = strings.ReplaceAll(first.Schema, ",", ", ")
	if again, err := f.client(Config{Registry: "clinic"}).Register(t.Context(), "patients-value", spaced); err != nil || again != id {
		t.Errorf("Register = %x, %v, want %x", again, err, id)
	}
	// The second version is pending for a while.
	second, err := c.Register(t.Context(), "patients-value", avro(`{"name":"a","type":"string"},{"name":"b","type":"int","default":0}`))
	if err != nil || second == id {
		t.Fatalf("Register = %x, %v", second, err)
	}
	if n := f.count("CreateSchema"); n != 1 {
		t.Errorf("CreateSchema was called %d times", n)
	}
}

func TestRegisterRefuses(t *testing.T) {
	long := schema.Text{Format: schema.Avro, Schema: strings.Repeat("x", maxDefinition+1)}
	tooMany := avro("")
	tooMany.Tags = []schema.TagRule{{Pattern: strings.Repeat("x", 300), Tags: []string{"A"}}}
	noTag := avro("")
	noTag.Tags = []schema.TagRule{{Pattern: "a"}}
	for _, test := range []struct {
		name, schema string
		text         schema.Text
		want         error
	}{
		{"a name with a slash", "a/b", avro(""), ErrUnsupported},
		{"no name", "", avro(""), ErrUnsupported},
		{"references", "a", schema.Text{Format: schema.Avro, Schema: `"A"`, References: []string{`"B"`}}, ErrUnsupported},
		{"demands", "a", schema.Text{Format: schema.Avro, Schema: `"A"`, Demands: []schema.Demand{{Name: "d"}}}, ErrUnsupported},
		{"a format of another name", "a", schema.Text{Format: "THRIFT", Schema: "x"}, ErrUnsupported},
		{"no format", "a", schema.Text{Schema: "x"}, ErrUnsupported},
		{"no text", "a", schema.Text{Format: schema.Avro}, ErrUnsupported},
		{"a text that is too long", "a", long, ErrUnsupported},
		{"tags that do not fit", "a", tooMany, ErrTooManyTags},
		{"a rule without tags", "a", noTag, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeGlue(t)
			_, err := f.client(Config{CreateSchemas: true}).Register(t.Context(), test.schema, test.text)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Register: %v", err)
			}
			if len(f.calls) > 0 {
				t.Errorf("it was not refused before the first call: %q", f.calls)
			}
		})
	}
}

func TestRegisterMeetsFaults(t *testing.T) {
	text := avro(`{"name":"a","type":"string"}`)
	tagged := text
	tagged.Tags = []schema.TagRule{{Pattern: "C.a", Tags: []string{"PII"}}}
	for _, test := range []struct {
		name    string
		prepare func(*fakeGlue)
		create  bool
		text    schema.Text
		want    error
		code    string
	}{
		{name: "a schema that is missing and may not be created", text: text, want: schema.ErrNotFound, code: codeNotFound},
		{
			name: "an incompatible version", text: text, want: ErrIncompatible,
			prepare: func(f *fakeGlue) {
				f.schemas["default-registry/s"] = &fakeSchema{format: "AVRO", status: "FAILURE"}
			},
		},
		{
			name: "a schema of another format", text: text, want: ErrDifferent,
			prepare: func(f *fakeGlue) {
				f.schemas["default-registry/s"] = &fakeSchema{format: "JSON", status: "AVAILABLE"}
			},
		},
		{
			name: "a version that says something else", text: text, want: ErrDifferent,
			prepare: func(f *fakeGlue) {
				// As if Glue took the tags for no part of the schema.
				f.schemas["default-registry/s"] = &fakeSchema{format: "AVRO", status: "AVAILABLE"}
				f.rewrite = strings.Replace(text.Schema, `"name":"a"`, `"name":"a","confluent:tags":["X"]`, 1)
			},
		},
		{name: "no permission to create", create: true, text: text, code: "AccessDeniedException", prepare: func(f *fakeGlue) { f.fail["CreateSchema"] = fault{400, "AccessDeniedException", 1} }},
		{name: "no permission for tags", create: true, text: tagged, code: "AccessDeniedException", prepare: func(f *fakeGlue) { f.fail["PutSchemaVersionMetadata"] = fault{400, "AccessDeniedException", 1} }},
		{name: "a race that never ends", create: true, text: text, code: codeConcurrent, prepare: func(f *fakeGlue) { f.fail["RegisterSchemaVersion"] = fault{400, codeConcurrent, 99} }},
		{name: "a race that ends", create: true, text: text, prepare: func(f *fakeGlue) { f.fail["RegisterSchemaVersion"] = fault{400, codeConcurrent, 3} }},
		{name: "tags that are there already", create: true, text: tagged, prepare: func(f *fakeGlue) { f.fail["PutSchemaVersionMetadata"] = fault{400, codeExists, 1} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeGlue(t)
			if test.prepare != nil {
				test.prepare(f)
			}
			id, err := f.client(Config{CreateSchemas: test.create}).Register(t.Context(), "s", test.text)
			switch {
			case test.want == nil && test.code == "":
				if err != nil || id == [16]byte{} {
					t.Errorf("Register: %v", err)
				}
			case err == nil || id != [16]byte{} || test.want != nil && !errors.Is(err, test.want) || test.code != "" && !hasCode(err, test.code):
				t.Errorf("Register = %x, %v", id, err)
			}
			checkNoSecret(t, err)
		})
	}
}

func TestRegisterAgainAfterTagsFailed(t *testing.T) {
	f := newFakeGlue(t)
	c := f.client(Config{CreateSchemas: true})
	text := avro(`{"name":"a","type":"string"}`)
	text.Tags = []schema.TagRule{{Pattern: "C.a", Tags: []string{"PII"}}}
	f.fail["PutSchemaVersionMetadata"] = fault{500, "InternalServiceException", 1}
	if _, err := c.Register(t.Context(), "s", text); err == nil {
		t.Fatal("Register succeeds without the tags")
	}
	id, err := c.Register(t.Context(), "s", text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.SchemaByGUID(t.Context(), id); err != nil || !reflect.DeepEqual(got, text) {
		t.Errorf("SchemaByGUID = %+v, %v", got, err)
	}
}

func TestRegisterGivesUpWithItsContext(t *testing.T) {
	f := newFakeGlue(t)
	f.schemas["default-registry/s"] = &fakeSchema{format: "AVRO", status: "PENDING"}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := f.client(Config{}).Register(ctx, "s", avro(""))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Register: %v", err)
	}
}

func TestSameText(t *testing.T) {
	for _, test := range []struct {
		a, b   string
		format schema.Format
		want   bool
	}{
		{`{"a":1,"b":[1,2]}`, `{ "b": [1, 2], "a": 1 }`, schema.Avro, true},
		{`{"a":1}`, `{"a":1,"confluent:tags":["PII"]}`, schema.Avro, false},
		{`[1,2]`, `[2,1]`, schema.JSONSchema, false},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, schema.JSONSchema, false},
		{`{"a":1}`, `{"a":1} {}`, schema.JSONSchema, false},
		{`{`, `{ `, schema.Avro, false},
		{"message A {}\n", "message A {}", schema.Protobuf, true},
		{"message A {}", "message A { }", schema.Protobuf, false},
	} {
		if got := sameText(test.format, test.a, test.b); got != test.want {
			t.Errorf("sameText(%s, %s) = %v", test.a, test.b, got)
		}
	}
}
