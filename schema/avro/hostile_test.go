package avro

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

const (
	reasonLength  = "length is negative or beyond the end"
	reasonLong    = "varint is too long"
	reasonRange   = "number out of range"
	reasonCount   = "block count is beyond the end"
	reasonNoBytes = "too many items that take no bytes"
	reasonSize    = "block size differs from its content"
)

// zigzag joins numbers as Avro encodes them.
func zigzag(numbers ...int64) string {
	var b []byte
	for _, n := range numbers {
		b = binary.AppendVarint(b, n)
	}
	return string(b)
}

func TestHostileRecords(t *testing.T) {
	const (
		strs   = `{"type":"array","items":"string"}`
		maps   = `{"type":"map","values":"string"}`
		recs   = `{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"n","type":"int"},{"name":"s","type":"string"}]}}`
		longs  = `{"type":"array","items":"long"}`
		nulls  = `{"type":"array","items":"null"}`
		empty  = `{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"n","type":"null"}]}}`
		fixed0 = `{"type":"array","items":{"type":"fixed","name":"F","size":0}}`
		rec    = `{"type":"record","name":"R","fields":[`
		union  = `["null","string",{"type":"enum","name":"E","symbols":["A","B","C"]}]`
	)
	ten := strings.Repeat("\xff", 10)
	tests := []struct{ name, text, in, reason string }{
		{"nothing where a string should be", `"string"`, "", reasonTruncated},
		{"a string that ends early", `"string"`, "\x04a", reasonLength},
		{"a length of -1", `"string"`, "\x01", reasonLength},
		{"a negative length before bytes that would do", rec + `{"name":"a","type":"string"},{"name":"b","type":"string"}]}`, "\x01\x02x", reasonLength},
		{"a negative length of two bytes before bytes that would do", rec + `{"name":"a","type":"string"},{"name":"b","type":"string"}]}`, "\x81\x00\x02x", reasonLength},
		{"the least length there is", `"bytes"`, zigzag(math.MinInt64), reasonLength},
		{"the greatest length there is", `"bytes"`, zigzag(math.MaxInt64), reasonLength},
		{"a length of 11 bytes", `"bytes"`, ten + "\x01", reasonLong},
		{"a length that ends in its middle", `"bytes"`, "\x80", reasonTruncated},
		{"a byte behind the end", `"string"`, "\x02a\x00", "trailing bytes"},
		{"a record behind the record", `"int"`, "\x02\x02", "trailing bytes"},
		{"bytes where null is all", `"null"`, "\x00", "trailing bytes"},

		{"a boolean of 2", `"boolean"`, "\x02", "boolean is neither 0 nor 1"},
		{"a boolean of 255", `"boolean"`, "\xff", "boolean is neither 0 nor 1"},
		{"no boolean", `"boolean"`, "", reasonTruncated},
		{"an int of 2^31", `"int"`, zigzag(math.MaxInt32 + 1), reasonRange},
		{"an int of -2^31-1", `"int"`, zigzag(math.MinInt32 - 1), reasonRange},
		{"an int of 11 bytes", `"int"`, ten + "\x01", reasonLong},
		{"an int that ends in its middle", `"int"`, "\x80\x80", reasonTruncated},
		{"a long of 11 bytes", `"long"`, ten + "\x01", reasonLong},
		{"a long of 65 bits", `"long"`, strings.Repeat("\xff", 9) + "\x02", reasonLong},
		{"a long of 10 bytes without an end", `"long"`, ten, reasonLong},
		{"a long that ends in its middle", `"long"`, "\xff", reasonTruncated},
		{"a float of 3 bytes", `"float"`, "abc", reasonTruncated},
		{"a double of 7 bytes", `"double"`, "abcdefg", reasonTruncated},
		{"a fixed of 15 bytes where 16 belong", `{"type":"fixed","name":"F","size":16}`, "0123456789abcde", reasonTruncated},

		{"a union index of -1", union, "\x01", reasonUnion},
		{"a union index behind the last", union, "\x06", reasonUnion},
		{"a union index of 2^32", union, zigzag(1 << 32), reasonUnion},
		{"a union index of 2^62", union, zigzag(1 << 62), reasonUnion},
		{"a union index of 11 bytes", union, ten + "\x01", reasonLong},
		{"no union index", union, "", reasonTruncated},
		{"an index of 2 of null and one other", `["null","string"]`, "\x04", reasonUnion},
		{"an index of -1 of null and one other", `["string","null"]`, "\x01", reasonUnion},
		{"an index of 2^32 of null and one other", `["string","null"]`, zigzag(1 << 32), reasonUnion},
		{"an enum index of -1", union, "\x04\x01", "enum index out of range"},
		{"an enum index behind the last", union, "\x04\x06", "enum index out of range"},
		{"an enum index of 2^32", union, "\x04" + zigzag(1<<32), "enum index out of range"},

		{"2^62 strings", strs, zigzag(1 << 62), reasonCount},
		{"-2^62 strings", strs, zigzag(-1<<62, 0), reasonCount},
		{"-2^63 strings", strs, zigzag(math.MinInt64, 0, 0), "block count out of range"},
		{"2^63-1 strings", strs, zigzag(math.MaxInt64) + "\x00", reasonCount},
		{"2^62 longs", longs, zigzag(1<<62) + "\x00", reasonCount},
		{"2^62 entries", maps, zigzag(1<<62) + "\x00", reasonCount},
		{"2^63-1 entries", maps, zigzag(math.MaxInt64) + "\x00", reasonCount},
		{"-2^63 entries", maps, zigzag(math.MinInt64) + "\x00", "block count out of range"},
		{"more items than bytes are left", recs, zigzag(3) + "\x00\x00", reasonCount},
		{"no end of the blocks", strs, "\x02\x00", reasonTruncated},
		{"no blocks at all", maps, "", reasonTruncated},
		{"a count of 11 bytes", strs, ten + "\x01", reasonLong},
		{"an item less than counted", strs, "\x04\x02a", reasonTruncated},
		{"a key that ends early", maps, "\x02\x08k", reasonLength},
		{"a key of negative length", maps, "\x02\x01k", reasonLength},
		{"a key of negative length before bytes that would do", maps, "\x02\x01\x02v\x00", reasonLength},
		{"an entry without value", maps, "\x02\x02k", reasonTruncated},

		{"2^40 items that take no bytes", nulls, zigzag(1<<40) + "\x00", reasonNoBytes},
		{"2^63-1 items that take no bytes", nulls, zigzag(math.MaxInt64) + "\x00", reasonNoBytes},
		{"-2^40 items that take no bytes", nulls, zigzag(-1<<40, 0) + "\x00", reasonNoBytes},
		{"4097 nulls", nulls, zigzag(4097) + "\x00", reasonNoBytes},
		{"4097 nulls in two blocks", nulls, zigzag(4096) + "\x02\x00", reasonNoBytes},
		{"4097 nulls in two sized blocks", nulls, zigzag(-4096, 0, -1, 0) + "\x00", reasonNoBytes},
		{"two blocks that would overflow a sum", nulls, zigzag(4096, math.MaxInt64) + "\x00", reasonNoBytes},
		{"4097 empty records", empty, zigzag(4097) + "\x00", reasonNoBytes},
		{"4097 fixed of no bytes", fixed0, zigzag(4097) + "\x00", reasonNoBytes},
		{"4097 nulls in two arrays", rec + `{"name":"a","type":` + nulls + `},{"name":"b","type":` + nulls + `}]}`, zigzag(4096) + "\x00\x02\x00", reasonNoBytes},
		{"4097 nulls in arrays in an array", `{"type":"array","items":` + nulls + `}`, zigzag(2, 4096) + "\x00\x02\x00\x00", reasonNoBytes},

		{"a block size one too small", strs, zigzag(-1, 1) + "\x02a\x00", reasonSize},
		{"a block size one too large", strs, zigzag(-1, 3) + "\x02a\x00\x00", reasonSize},
		{"a block size of nothing", strs, zigzag(-1, 0) + "\x02a\x00", reasonSize},
		{"a negative block size", strs, zigzag(-1, -2) + "\x02a\x00", reasonLength},
		{"a block size beyond the end", strs, zigzag(-1, 4) + "\x02a\x00", reasonLength},
		{"the greatest block size there is", strs, zigzag(-1, math.MaxInt64) + "\x02a\x00", reasonLength},
		{"a lying size around longs, which nobody edits", longs, zigzag(-2, 3) + "\x02\x02\x00", reasonSize},
		{"a lying size around nulls", nulls, zigzag(-1, 1) + "\x00", reasonSize},
		{"a lying size around entries", maps, zigzag(-1, 3) + "\x02k\x02v\x00", reasonSize},
		{"a lying size around records", recs, zigzag(-1, 2) + "\x00\x02a\x00", reasonSize},
		{"a lying size of the second block", strs, zigzag(-1, 2) + "\x02a" + zigzag(-1, 3) + "\x02b\x00\x00", reasonSize},
		{"a lying size inside a true one", `{"type":"array","items":` + strs + `}`, zigzag(-1, 5, -1, 1) + "\x02a\x00\x00", reasonSize},
		{"a true size inside a lying one", `{"type":"array","items":` + strs + `}`, zigzag(-1, 4, -1, 2) + "\x02a\x00\x00", reasonSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			for _, edits := range [][]schema.Edit{nil, replaceAll(s), nullifyAll(s)} {
				visits := 0
				wantMalformed(t, compile(t, s, edits...), []byte(tt.in), tt.reason, func(_ int, dst, value []byte) ([]byte, error) {
					visits++
					return append(dst, value...), nil
				})
				if visits > len(tt.in) {
					t.Errorf("%d visits for %d bytes", visits, len(tt.in))
				}
			}
		})
	}
}

func TestAtTheBoundsRecordsAreAccepted(t *testing.T) {
	tests := []struct{ name, text, in string }{
		{"4096 nulls", `{"type":"array","items":"null"}`, zigzag(4096) + "\x00"},
		{"4096 nulls in two blocks", `{"type":"array","items":"null"}`, zigzag(4095, -1, 0) + "\x00"},
		{"the least int", `"int"`, zigzag(math.MinInt32)},
		{"the greatest int", `"int"`, zigzag(math.MaxInt32)},
		{"the least long", `"long"`, zigzag(math.MinInt64)},
		{"the greatest long", `"long"`, zigzag(math.MaxInt64)},
		{"the last symbol", `{"type":"enum","name":"E","symbols":["A","B"]}`, "\x02"},
		{"no items", `{"type":"array","items":"string"}`, "\x00"},
		{"a string of no bytes", `"string"`, "\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			if got := rewrite(t, compile(t, s, replaceAll(s)...), []byte(tt.in), identity); string(got) != tt.in {
				t.Errorf("% x became % x", tt.in, got)
			}
		})
	}
}

// richText is a record of every type, and a value of it.
const richText = `{"type":"record","name":"R","fields":[
	{"name":"s","type":"string"},{"name":"b","type":"bytes"},{"name":"i","type":"int"},{"name":"l","type":"long"},
	{"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"o","type":"boolean"},{"name":"n","type":"null"},
	{"name":"x","type":{"type":"fixed","name":"F","size":3}},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
	{"name":"u","type":["null","string"]},{"name":"w","type":["int","null","bytes","E"]},
	{"name":"a","type":{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"s","type":"string"},{"name":"n","type":["null","P"]}]}}},
	{"name":"m","type":{"type":"map","values":{"type":"array","items":"string"}}},
	{"name":"z","type":"string"}]}`

func rich() []byte {
	long := strings.Repeat("y", 100)
	return []byte("\x04ab" + "\x02\xff" + zigzag(-70_000) + zigzag(1<<40) + "ffff" + "dddddddd" + "\x01" + "xyz" + "\x02" +
		"\x02\x02u" + "\x04\x02w" +
		zigzag(2) + "\x02p\x02\x02q\x00" + "\x00\x00" + zigzag(-1, 3) + "\x02r\x00" + "\x00" +
		zigzag(-1, 9) + "\x02k" + zigzag(-2, 4) + "\x02g\x02h" + "\x00" + "\x00" +
		zigzag(100) + long)
}

func TestTruncationAtEveryByte(t *testing.T) {
	s := parse(t, richText)
	for _, edits := range [][]schema.Edit{nil, replaceAll(s), nullifyAll(s)} {
		p := compile(t, s, edits...)
		whole := rich()
		rewrite(t, p, whole, identity)
		for n := range whole {
			visits := 0
			wantMalformed(t, p, bytes.Clone(whole[:n]), "", func(_ int, dst, value []byte) ([]byte, error) {
				visits++
				return append(dst, value...), nil
			})
			if visits > n {
				t.Errorf("%d visits for %d bytes", visits, n)
			}
		}
		wantMalformed(t, p, append(whole, 0), "trailing bytes", identity)
	}
}

// A few bytes of a record must not stand for much work, whatever the schema.
func TestTypesWithoutBytesCostNothing(t *testing.T) {
	text := `{"type":"record","name":"E0","fields":[]}`
	var before []string
	for i := range 14 {
		before = append(before, text)
		text = `{"type":"record","name":"E` + itoa(i+1) + `","fields":[{"name":"a","type":"E` + itoa(i) + `"},{"name":"b","type":"E` + itoa(i) + `"}]}`
	}
	s := parse(t, `{"type":"array","items":"E14"}`, append(before, text)...)
	p := as[*program](compile(t, s))
	if len(p.code) != 3 {
		t.Errorf("an array of records without bytes takes %d instructions, want the loop and two ends", len(p.code))
	}
	in := []byte(zigzag(4096) + "\x00")
	if got := rewrite(t, p, in, identity); !bytes.Equal(got, in) {
		t.Errorf("% x became % x", in, got)
	}
}
