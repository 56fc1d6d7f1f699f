package formats_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/wire"
)

const personProto = `syntax = "proto3";
package acme;
import "confluent/meta.proto";
message Person {
  string email = 1 [(confluent.field_meta).tags = "PII"];
  int32 age = 2 [(confluent.field_meta).tags = "PII"];
  Home home = 3;
  repeated string phones = 4 [(confluent.field_meta).tags = "PII"];
  string plan = 5;
}
message Home {
  string street = 1 [(confluent.field_meta).tags = "PII"];
  string city = 2;
}
message Plain { string note = 1; }
`

const personPolicy = `
version: 1
dataset: people
untagged_schema: allow
keys: {pii: {kek: "local:k"}}
rules: [{tag: PII, action: encrypt, key: pii}]
topics: [{match: people}]
`

// FV-63, FV-67, FV-68: the record follows a derived schema, comes back byte for
// byte, and is not protected twice.
func TestProtobufThroughTheEngine(t *testing.T) {
	w := newWorld(t)
	w.registry.put(7, schema.Text{Format: schema.Protobuf, Schema: personProto})
	file := protoFile(t, personProto)
	person := protoMessage(t, file.Messages().ByName("Person"), `
		email: "ada@example.com" age: 36 home {street: "Dlouhá 1" city: "Praha"} phones: "+1 212 555 0100" phones: "+1 212 555 0101" plan: "gold"`)
	e := w.engine(personPolicy)
	value := append(append(frame(7), 0), marshal(t, person)...)
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ada@example.com", "Dlouh", "555 01"} {
		if bytes.Contains(out.Value, []byte(secret)) {
			t.Errorf("%q is in clear", secret)
		}
	}
	// The record follows a derived schema, under the topic's subject, which any
	// reader of Protobuf can use.
	id, n, err := wire.ParseFrame(out.Value)
	if err != nil || id == 7 || out.Value[n] != 0 || len(w.registry.subjects["people-value"]) != 1 {
		t.Fatalf("id %d, %v, subjects %v", id, err, w.registry.subjects)
	}
	text, err := w.registry.Schema(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	derived := protoFile(t, text.Schema).Messages().ByName("Person")
	read := unmarshal(t, derived, out.Value[n+1:])
	field := func(name string) protoreflect.Value {
		return read.Get(derived.Fields().ByName(protoreflect.Name(name)))
	}
	if field("plan").String() != "gold" || !strings.HasPrefix(field("email").String(), "fv1:") || field("age").Bytes()[0] != 1 {
		t.Errorf("%v", read)
	}
	back, err := w.engine(personPolicy).Reveal(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Value, value) {
		t.Errorf("revealed %x\nwant     %x", back.Value, value)
	}
	// Who takes the derived schema for the original is told.
	_, err = e.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: out.Value})
	checkCode(t, err, fieldcrypt.CodeProtected)
}

func TestTheMessageIndexesChooseTheMessage(t *testing.T) {
	w := newWorld(t)
	w.registry.put(7, schema.Text{Format: schema.Protobuf, Schema: personProto})
	file := protoFile(t, personProto)
	e := w.engine(personPolicy)
	for _, tt := range []struct {
		name    string
		indexes []byte
		message proto.Message
		want    fieldcrypt.Code
	}{
		{"the second message", []byte{2, 2}, protoMessage(t, file.Messages().ByName("Home"), `street: "Dlouhá 1" city: "Praha"`), ""},
		{"the third, which has no tags", []byte{2, 4}, protoMessage(t, file.Messages().ByName("Plain"), `note: "hello"`), ""},
		{"a message that is not there", []byte{2, 6}, protoMessage(t, file.Messages().ByName("Plain"), ``), fieldcrypt.CodeMalformed},
		{"a nested one that is not there", []byte{4, 0, 0}, protoMessage(t, file.Messages().ByName("Plain"), ``), fieldcrypt.CodeMalformed},
		{"a negative index", []byte{2, 1}, protoMessage(t, file.Messages().ByName("Plain"), ``), fieldcrypt.CodeMalformed},
		{"no indexes", nil, protoMessage(t, file.Messages().ByName("Plain"), ``), fieldcrypt.CodeMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			value := append(append(frame(7), tt.indexes...), marshal(t, tt.message)...)
			out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
			if tt.want != "" {
				checkCode(t, err, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(out.Value, []byte("Dlouh")) {
				t.Error("a tagged field is in clear")
			}
			back, err := w.engine(personPolicy).Reveal(t.Context(), out)
			if err != nil || !bytes.Equal(back.Value, value) {
				t.Errorf("%x, %v", back.Value, err)
			}
		})
	}
}

func TestFieldsThatTheProtobufSchemaDoesNotTellAboutAreRefused(t *testing.T) {
	w := newWorld(t)
	w.registry.put(7, schema.Text{Format: schema.Protobuf, Schema: personProto})
	value := append(frame(7), 0)
	value = protowire.AppendTag(value, 99, protowire.BytesType)
	value = protowire.AppendString(value, "ada@example.com")
	out, err := w.engine(personPolicy).Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
	checkCode(t, err, fieldcrypt.CodeMalformed)
	if out.Value != nil {
		t.Error("it is sent")
	}
	allow := w.engine("unknown_field: allow\n" + personPolicy)
	if out, err = allow.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value}); err != nil {
		t.Fatal(err)
	}
	if back, err := allow.Reveal(t.Context(), out); err != nil || !bytes.Equal(back.Value, value) {
		t.Errorf("%x, %v", back.Value, err)
	}
}

func TestWithoutARegistrarATypeThatChangesIsRefused(t *testing.T) {
	w := newWorld(t)
	w.registry.put(7, schema.Text{Format: schema.Protobuf, Schema: personProto})
	person := protoMessage(t, protoFile(t, personProto).Messages().ByName("Person"), `age: 36`)
	value := append(append(frame(7), 0), marshal(t, person)...)
	e := w.engine(personPolicy, fieldcrypt.WithRegistrar(nil))
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
	checkCode(t, err, fieldcrypt.CodePolicy)
	if out.Value != nil {
		t.Error("it is sent")
	}
	// A registry that is away now may be there later.
	w.registry.err = errors.New("away")
	e = w.engine(personPolicy)
	_, err = e.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value})
	checkCode(t, err, fieldcrypt.CodeSchema)
	if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || !f.Retryable() {
		t.Errorf("%v", err)
	}
	w.registry.err = nil
	if _, err = e.Protect(t.Context(), fieldcrypt.Record{Topic: "people", Value: value}); err != nil {
		t.Error(err)
	}
}
