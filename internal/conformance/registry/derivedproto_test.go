package registry

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

// metaProto is the file that tagged schemas import.
const metaProto = `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
`

func readingOf(t *testing.T, text string) protoreflect.MessageDescriptor {
	t.Helper()
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"reading.proto": text, "confluent/meta.proto": metaProto}),
	})}
	files, err := c.Compile(t.Context(), "reading.proto")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return files[0].Messages().ByName("Reading")
}

// protoEvolution has fields that go in the last version where the registry lets
// them.
func protoEvolution(t *testing.T, removal bool) evolution {
	t.Helper()
	const (
		begin = `syntax = "proto3";
package com.example;

import "confluent/meta.proto";

message Reading {
  string id = 1;
  int32 age = 2 [(confluent.field_meta).tags = "PII"];
  uint64 account = 3 [(confluent.field_meta).tags = "PII"];
  optional bool active = 4 [(confluent.field_meta).tags = "PII"];
  Grade grade = 5 [(confluent.field_meta).tags = "PII"];
  repeated int32 scores = 6 [(confluent.field_meta).tags = "WHOLE"];
  Home home = 7 [(confluent.field_meta).tags = "WHOLE"];
  string email = 8 [(confluent.field_meta).tags = "PII"];
`
		leaving = `  string legacy = 9;
  int32 weight = 10 [(confluent.field_meta).tags = "PII"];
`
		left = `  reserved 9, 10;
  reserved "legacy", "weight";
`
		coming = `  string plan = 11;
  int32 bonus = 12 [(confluent.field_meta).tags = "PII"];
`
		more = `  int64 extra = 13 [(confluent.field_meta).tags = "PII"];
`
		end = `}

message Home {
  string street = 1;
  int32 floor = 2;
}

enum Grade {
  GRADE_UNKNOWN = 0;
  A = 1;
  B = 2;
}
`
		values = `id: "r-1" age: 36 account: 4987654321000448 active: true grade: B scores: [1, 2] ` +
			`home {street: "Dlouha 1" floor: 3} email: "ada@example.com" `
	)
	last := begin + left + coming + end
	if !removal {
		last = begin + leaving + coming + more + end
	}
	e := evolution{
		format:   schema.Protobuf,
		texts:    []string{begin + leaving + end, begin + leaving + coming + end, last},
		secrets:  [][]byte{[]byte("ada@example.com"), []byte("Dlouha"), binary.AppendUvarint(nil, account)},
		untagged: strings.Replace(begin, `int32 age = 2 [(confluent.field_meta).tags = "PII"]`, `int32 age = 2`, 1) + leaving + end,
		incompatible: func(derived string) string {
			return strings.Replace(derived, "string id = 1", "int64 id = 1", 1)
		},
		read: readProto,
	}
	for n, text := range e.texts {
		m := dynamicpb.NewMessage(readingOf(t, text))
		add := []string{`legacy: "old" weight: 80`, `legacy: "old" weight: 80 plan: "gold" bonus: 100`, `plan: "gold" bonus: 100`}[n]
		if err := prototext.Unmarshal([]byte(values+add), m); err != nil {
			t.Fatal(err)
		}
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		e.records = append(e.records, append([]byte{0}, b...)) // with the indexes of the first message
	}
	return e
}

// readProto reads with a Protobuf library of others.
func readProto(t *testing.T, derived []string, bodies [][]byte) {
	t.Helper()
	d := readingOf(t, derived[len(derived)-1])
	for n, body := range bodies {
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(body[1:], m); err != nil {
			t.Errorf("version %d: %v", n+1, err)
			continue
		}
		get := func(name protoreflect.Name) any { return m.Get(d.Fields().ByName(name)).Interface() }
		plan := "gold"
		if n == 0 {
			plan = ""
		}
		if get("id") != "r-1" || get("plan") != plan {
			t.Errorf("version %d: clear fields are %v, %v", n+1, get("id"), get("plan"))
		}
		for _, name := range []protoreflect.Name{"age", "account", "active", "grade", "home"} {
			checkSealed(t, string(name), get(name))
		}
		if s, ok := get("email").(string); !ok || !strings.HasPrefix(s, "fv1:") {
			t.Errorf("version %d: email is %v", n+1, get("email"))
		}
		if b, ok := get("bonus").([]byte); !ok || (len(b) > 0) != (n > 0) {
			t.Errorf("version %d: bonus is %v", n+1, b)
		}
	}
}
