package formats_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/schema"
)

const bombProto = `syntax = "proto3";
package acme;
import "confluent/meta.proto";
import "google/protobuf/any.proto";
message R {
  string ssn = 1 [(confluent.field_meta).tags = "PII"];
  repeated string names = 2 [(confluent.field_meta).tags = "PII"];
  int32 age = 3 [(confluent.field_meta).tags = "PII"];
  repeated int32 scores = 4;
  Node tree = 5;
  map<string, string> labels = 6;
  google.protobuf.Any any = 7;
  Bank bank = 8 [(confluent.field_meta).tags = "WHOLE"];
  repeated int32 marks = 9 [(confluent.field_meta).tags = "PII"];
  string note = 10;
}
message Node {
  string v = 1 [(confluent.field_meta).tags = "PII"];
  Node next = 2;
  repeated Node kids = 3;
}
message Bank { string iban = 1; }
`

const plainProto = `syntax = "proto3"; package acme; message R { string ssn = 1; }`

// chunk is a field with content.
func chunk(number protowire.Number, content string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func varint(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
}

// levels nests a message n times in the field of a number.
func levels(n int, number, outer protowire.Number) []byte {
	// From the inside out, written backwards: the content is what is there
	// already.
	var reversed []byte
	for i := range n {
		if i == n-1 {
			number = outer
		}
		head := protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.BytesType), uint64(len(reversed)))
		slices.Reverse(head)
		reversed = append(reversed, head...)
	}
	slices.Reverse(reversed)
	return reversed
}

func protoBombs(t testing.TB) arsenal {
	t.Helper()
	of := func(parts ...[]byte) []byte { return append(append(frame(1), 0), slices.Concat(parts...)...) }
	framed := func(id int, parts ...[]byte) []byte { return append(frame(id), slices.Concat(parts...)...) }
	ssn := chunk(1, "secret")
	const mega = 1 << 20
	good := of(marshal(t, protoMessage(t, protoFile(t, bombProto).Messages().ByName("R"),
		`ssn: "x" names: "x" age: 7 scores: 7 tree {v: "x" next {v: "x"}} bank {iban: "x"} marks: 7 marks: 8 note: "x"`)))
	return arsenal{
		name: "Protobuf", topic: "proto", good: good,
		texts: map[int]schema.Text{1: {Format: schema.Protobuf, Schema: bombProto}, 2: {Format: schema.Protobuf, Schema: plainProto}},
		bombs: []bomb{
			{name: "a string that is cut", value: of(ssn[:len(ssn)-1])},
			{name: "a number of eleven bytes", value: of([]byte{3 << 3}, times(10, 0xff), []byte{1})},
			{name: "a length of 2^31", value: of([]byte{1<<3 | 2}, binary.AppendUvarint(nil, 1<<31), times(mega, 'x'))},
			{name: "a length of 2^63", value: of([]byte{1<<3 | 2}, binary.AppendUvarint(nil, 1<<63), times(mega, 'x'))},
			{name: "10,000 levels", value: of(levels(10_000, 2, 5))},
			{name: "10,000 levels of items", value: of(levels(10_000, 3, 5))},
			{name: "100,000 fields that nobody knows", value: of(ssn, bytes.Repeat(varint(99, 1), 100_000))},
			{name: "a mebibyte in a field that nobody knows", value: of(chunk(99, strings.Repeat("x", mega)))},
			{name: "50,000 groups in one another", value: of(bytes.Repeat(protowire.AppendTag(nil, 99, protowire.StartGroupType), 50_000))},
			{name: "the end of a group that has not begun", value: of(protowire.AppendTag(nil, 4, protowire.EndGroupType))},
			{name: "a group where a message must be", value: of(protowire.AppendTag(nil, 5, protowire.StartGroupType), protowire.AppendTag(nil, 5, protowire.EndGroupType))},
			{name: "field number 0", value: of([]byte{2, 1, 'x'})},
			{name: "a field number beyond all", value: of(binary.AppendUvarint(nil, 1<<40|2), []byte{1, 'x'})},
			{name: "wire type 7", value: of([]byte{1<<3 | 7, 0})},
			{name: "a number where a string must be", value: of(varint(1, 7))},
			{name: "a count of 2^40 message indexes", value: framed(1, long(1<<40), ssn)},
			{name: "100,000 message indexes", value: framed(1, long(100_000), times(100_000, 2), ssn)},
			{name: "a message index of 2^40", value: framed(1, long(1, 1<<40), ssn)},
			{name: "a negative count of message indexes", value: framed(1, long(-1), ssn)},
			{name: "no magic byte", value: append([]byte{1}, of(ssn)[1:]...)},
			{name: "an id that nobody knows", value: framed(3, []byte{0}, ssn)},
			{name: "an id of a schema without tags", value: framed(2, []byte{0}, ssn)},
			{name: "a protected string twice", value: of(ssn, ssn), fine: true},
			{name: "a protected message in 5,000 parts", value: of(bytes.Repeat(chunk(8, string(chunk(1, "x"))), 5_000)), fine: true},
			{name: "packed and unpacked numbers in turn", value: of(bytes.Repeat(append(varint(4, 1), chunk(4, "\x01\x02")...), 50_000)), fine: true},
			{name: "protected numbers, packed and unpacked", value: of(bytes.Repeat(append(varint(9, 1), chunk(9, "\x01\x02")...), 3_000)), fine: true},
			{name: "2,000 protected strings without content", value: of(bytes.Repeat(chunk(2, ""), 2_000)), fine: true},
			{name: "something of a type that nobody knows", value: of(ssn, chunk(7, string(slices.Concat(chunk(1, "type.example.com/unknown"), chunk(2, "secret")))))},
			{name: "200,000 entries of a map without content", value: of(bytes.Repeat(chunk(6, ""), 200_000)), fine: true},
			{name: "200,000 empty items in one another's parent", value: of(chunk(5, strings.Repeat(string(chunk(3, "")), 200_000))), fine: true},
		},
	}
}
