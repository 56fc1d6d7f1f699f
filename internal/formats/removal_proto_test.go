package formats_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/schema"
)

const removalProto = `syntax = "proto3";
package acme;
import "confluent/meta.proto";
import "acme/passport.proto";
message Person {
  string before = 1;
  string email = 2 [(confluent.field_meta).tags = "PII"];
  optional string phone = 3 [(confluent.field_meta).tags = "PII.PHONE"];
  Address home = 4;
  Address office = 5;
  repeated Card cards = 6;
  repeated string names = 7 [(confluent.field_meta).tags = "PII.NAME"];
  map<string, string> labels = 8 [(confluent.field_meta).tags = "PII.LABEL"];
  oneof contact {
    string call = 9 [(confluent.field_meta).tags = "PII.CALL"];
    Fax fax = 10 [(confluent.field_meta).tags = "PII.FAX"];
  }
  Kin kin = 11;
  Bank bank = 12 [(confluent.field_meta).tags = "WHOLE"];
  acme.id.Passport passport = 13;
  string nick = 14;
  string after = 15;
}
message Address {
  string street = 1 [(confluent.field_meta) = {tags: ["PII", "HOME"]}];
  string city = 2;
}
message Card {
  string pan = 1 [(confluent.field_meta) = {tags: ["PCI", "PII"]}];
  string brand = 2;
}
message Fax { string fax = 1; }
message Kin {
  option (confluent.message_meta).tags = "PII.KIN";
  string first = 1;
  string last = 2;
}
message Bank { string iban = 1; int32 year = 2; }
`

const removalProtoReference = `syntax = "proto3";
package acme.id;
import "confluent/meta.proto";
message Passport {
  string number = 1 [(confluent.field_meta).tags = "PII"];
  string country = 2;
}
`

// In the text format.
const removalProtoValue = `
	before: "left"
	email: "canary-email"
	phone: "canary-phone"
	home {street: "canary-home" city: "Praha"}
	office {street: "canary-office" city: "Brno"}
	cards {pan: "canary-pan-1" brand: "a"} cards {pan: "canary-pan-2" brand: "b"}
	names: "canary-name-1" names: "canary-name-2"
	labels {key: "k" value: "canary-label"}
	fax {fax: "canary-fax"}
	kin {first: "canary-first" last: "canary-last"}
	bank {iban: "canary-iban" year: 2001}
	passport {number: "canary-number" country: "CZ"}
	nick: "canary-nick"
	after: "right"
`

// encodeProto encodes the first message of the file, with the message indexes
// before it.
func encodeProto(t testing.TB, text schema.Text, value string) []byte {
	t.Helper()
	return append([]byte{0}, marshal(t, protoMessage(t, protoFileOf(t, text).Messages().Get(0), value))...)
}

// protoFileOf compiles a schema and those that it imports.
func protoFileOf(t testing.TB, text schema.Text) protoreflect.FileDescriptor {
	t.Helper()
	files := make(map[string]string)
	for i, name := range text.Names {
		files[name] = text.References[i]
	}
	return protoFileWith(t, text.Schema, files)
}

func protoRemovals() removable {
	const (
		tagged  = ` [(confluent.field_meta).tags = "PII"];`
		email   = `string email = 2` + tagged
		inValue = `email: "canary-email"`
		nested  = "message Address {"
	)
	return removable{
		name: "Protobuf", encode: encodeProto, value: removalProtoValue,
		base: schema.Text{
			Format: schema.Protobuf, Schema: removalProto,
			References: []string{removalProtoReference}, Names: []string{"acme/passport.proto"},
			Tags: []schema.TagRule{{Pattern: "acme.Person.nick", Tags: []string{"PII"}}},
		},
		paths: []string{"/email", "/phone", "/home/street", "/office/street", "/cards/[]/pan", "/names/[]", "/labels/{}", "/call", "/fax", "/kin", "/bank", "/passport/number", "/nick"},
		changes: []change{
			{name: "the tag of a field removed", schema: []string{email, `string email = 2;`}},
			{name: "the tags of a field emptied", schema: []string{email, `string email = 2 [(confluent.field_meta) = {tags: []}];`}},
			{name: "a tag misspelled", schema: []string{email, `string email = 2 [(confluent.field_meta).tags = "PIl"];`}},
			{name: "a tag in another case", schema: []string{email, `string email = 2 [(confluent.field_meta).tags = "pii"];`}},
			{name: "a tag that is ignored instead", schema: []string{email, `string email = 2 [(confluent.field_meta).tags = "PUBLIC"];`}},
			{name: "the tag in the text that is for people", schema: []string{email, `string email = 2 [(confluent.field_meta).doc = "PII"];`}},
			{name: "a field renamed and its tag lost", schema: []string{email, `string mail = 2;`}, value: []string{inValue, `mail: "canary-email"`}},
			{name: "a field renamed under its number", schema: []string{email, `string mail = 2` + tagged}, value: []string{inValue, `mail: "canary-email"`}},
			{name: "from string to bytes, and the tag lost", schema: []string{email, `bytes email = 2;`}},
			{name: "from string to int32, with its tag", kept: true, schema: []string{email, `int32 email = 2` + tagged}, value: []string{inValue, `email: 1111111`}},
			{name: "made optional without its tag", schema: []string{email, `optional string email = 2;`}},
			{name: "moved into a message without its tag", schema: []string{email, `Login login = 2;`, nested, `message Login { string email = 2; } ` + nested}, value: []string{inValue, `login {email: "canary-email"}`}},
			{name: "moved into a message with its tag", schema: []string{email, `Login login = 2;`, nested, `message Login { ` + email + ` } ` + nested}, value: []string{inValue, `login {email: "canary-email"}`}},
			{name: "made repeated without its tag", schema: []string{email, `repeated string email = 2;`}},
			{name: "moved into a map", schema: []string{email, `map<string, string> email = 2;`}, value: []string{inValue, `email {key: "k" value: "canary-email"}`}},
			{name: "moved into a oneof", schema: []string{email, `oneof login { string email = 2; int32 user = 20; }`}},
			{name: "a field deleted", schema: []string{email, ""}, value: []string{inValue, "", `"left"`, `"canary-email"`}},
			{name: "a field deleted, and one like it added", schema: []string{email, `reserved 2; reserved "email"; string e_mail = 22;`}, value: []string{inValue, `e_mail: "canary-email"`}},
			{name: "the tag of a branch removed", beyond: true, schema: []string{` [(confluent.field_meta).tags = "PII.FAX"]`, ""}},
			{name: "the tag of a container removed", beyond: true, schema: []string{`option (confluent.message_meta).tags = "PII.KIN";`, ""}},
			{name: "the tag of a container on one of its fields only", beyond: true, schema: []string{`option (confluent.message_meta).tags = "PII.KIN";`, "", `string first = 1;`, `string first = 1` + tagged}},
			{name: "the tag in a type that is used twice removed", beyond: true, schema: []string{` [(confluent.field_meta) = {tags: ["PII", "HOME"]}]`, ""}},
			{name: "a reference to another type without tags", beyond: true, refs: []string{tagged, ";"}},
			{name: "a named type renamed and its tags lost", beyond: true, schema: []string{`option (confluent.message_meta).tags = "PII.KIN";`, "", "message Kin", "message Relative", "Kin kin", "Relative kin"}},
			{name: "the root renamed and a tag removed", schema: []string{"message Person", "message Human", email, `string email = 2;`}, tags: []schema.TagRule{{Pattern: "acme.Human.nick", Tags: []string{"PII"}}}},
			{name: "a tag beside the schema removed", beyond: true, tags: []schema.TagRule{}},
			{name: "the pattern of a tag beside the schema misses", beyond: true, tags: []schema.TagRule{{Pattern: "acme.Person.nik", Tags: []string{"PII"}}}},
			{name: "two field numbers swapped below their tags", schema: []string{email, `string email = 15;`, `string after = 15;`, `string after = 2` + tagged}},
			{name: "the tag of items and of values removed", beyond: true, schema: []string{` [(confluent.field_meta).tags = "PII.NAME"]`, "", ` [(confluent.field_meta).tags = "PII.LABEL"]`, ""}},
			{name: "the tag of a whole container removed", beyond: true, schema: []string{` [(confluent.field_meta).tags = "WHOLE"]`, ""}},
		},
	}
}
