package formats_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/fieldveil/fieldveil/schema"
)

const bombAvro = `{"type": "record", "name": "R", "fields": [
	{"name": "ssn", "type": "string", "confluent:tags": ["PII"]},
	{"name": "nulls", "type": {"type": "array", "items": "null"}},
	{"name": "empties", "type": {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}}},
	{"name": "grid", "type": {"type": "array", "items": {"type": "array", "items": "null"}}},
	{"name": "names", "type": {"type": "array", "items": "string"}, "confluent:tags": ["PII"]},
	{"name": "ages", "type": {"type": "array", "items": "int"}, "confluent:tags": ["PII"]},
	{"name": "whole", "type": {"type": "array", "items": "null"}, "confluent:tags": ["WHOLE"]},
	{"name": "labels", "type": {"type": "map", "values": "string"}},
	{"name": "pick", "type": ["null", "string", "long"]},
	{"name": "tree", "type": ["null", {"type": "record", "name": "Node", "fields": [
		{"name": "v", "type": "string", "confluent:tags": ["PII"]},
		{"name": "next", "type": ["null", "Node"]},
		{"name": "kids", "type": {"type": "array", "items": "Node"}}]}]},
	{"name": "last", "type": "boolean"}
]}`

// avroRecord joins the encoded fields, which are all but the first empty unless
// they are given.
func avroRecord(fields map[string][]byte) []byte {
	out := frame(1)
	for _, name := range []string{"ssn", "nulls", "empties", "grid", "names", "ages", "whole", "labels", "pick", "tree", "last"} {
		b, ok := fields[name]
		switch {
		case ok:
		case name == "ssn":
			b = append(long(6), "secret"...)
		default:
			b = []byte{0}
		}
		out = append(out, b...)
	}
	return out
}

// long is a number as Avro writes it.
func long(n ...int64) (out []byte) {
	for _, n := range n {
		out = binary.AppendVarint(out, n)
	}
	return out
}

func times(n int, b ...byte) []byte { return bytes.Repeat(b, n) }

func avroBombs() arsenal {
	one := func(field string, b ...[]byte) []byte {
		return avroRecord(map[string][]byte{field: slices.Concat(b...)})
	}
	const (
		many = 1 << 40
		mega = 1 << 20
	)
	// A tree of n levels on the left side, or n levels of kids.
	chain := slices.Concat(long(1), times(100_000, 0, 2))
	kids := slices.Concat(long(1), times(100_000, 0, 0, 2))
	return arsenal{
		name: "Avro", topic: "avro", good: avroRecord(nil),
		texts: map[int]schema.Text{1: {Format: schema.Avro, Schema: bombAvro}},
		bombs: []bomb{
			{name: "a string that is cut", value: append(frame(1), append(long(mega), "secret"...)...)},
			{name: "a string of a negative length", value: one("ssn", long(-1))},
			{name: "a string of 2^62 bytes", value: one("ssn", long(1<<62), times(mega, 'x'))},
			{name: "a number of eleven bytes", value: one("ssn", times(10, 0xff), []byte{1})},
			{name: "2^40 nulls that need no bytes", value: one("nulls", long(many, 0))},
			{name: "2^62 nulls", value: one("nulls", long(1<<62, 0))},
			{name: "the least of all block counts", value: one("nulls", long(math.MinInt64, 0, 0))},
			{name: "2^40 nulls in a block with a size", value: one("nulls", long(-many, 0, 0))},
			{name: "a block size beyond the end", value: one("nulls", long(-1, many, 0))},
			{name: "2^40 empty records", value: one("empties", long(many, 0))},
			{name: "2^40 nulls as one protected value", value: one("whole", long(many, 0))},
			{name: "100,000 arrays with 2^30 nulls each", value: one("grid", long(100_000), bytes.Repeat(long(1<<30, 0), 100_000), long(0))},
			{name: "100,000 blocks of one null", value: one("nulls", bytes.Repeat(long(1), 100_000), long(0))},
			{name: "a branch that the union does not have", value: one("pick", long(3))},
			{name: "a negative branch", value: one("pick", long(-1))},
			{name: "branch 2^62", value: one("pick", long(1<<62))},
			{name: "100,000 levels", value: one("tree", chain)},
			{name: "100,000 levels through arrays", value: one("tree", kids)},
			{name: "a mebibyte behind the end", value: append(avroRecord(nil), times(mega, 0)...)},
			{name: "a map of 2^40 entries", value: one("labels", long(many), times(mega, 0))},
			{name: "a map with a key of 2^62 bytes", value: one("labels", long(1, 1<<62))},
			{name: "a block of 2^40 protected strings", value: one("names", long(many), times(1000, 0))},
			// What is protected grows: one byte becomes an envelope of 73. So it is
			// the number of such values that counts here, more than the bytes.
			{name: "2,000 protected strings without content", value: one("names", long(2_000), times(2_000, 0), long(0)), fine: true},
			{name: "2,000 protected numbers", value: one("ages", long(2_000), times(2_000, 2), long(0)), fine: true},
			{name: "500,000 labels without content", value: one("labels", long(500_000), times(1_000_000, 0), long(0)), fine: true},
		},
	}
}
