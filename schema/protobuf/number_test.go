package protobuf

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/schema"
)

// numbersText has a field of every type that is a number, in every shape.
const numbersText = `
syntax = "proto2";
package acme;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message N {
  optional int32 i32 = 1;
  optional int64 i64 = 2;
  optional uint32 u32 = 3;
  optional uint64 u64 = 4;
  optional sint32 s32 = 5;
  optional sint64 s64 = 6;
  optional fixed32 f32 = 7;
  optional fixed64 f64 = 8;
  optional sfixed32 sf32 = 9;
  optional sfixed64 sf64 = 10;
  optional float f = 11;
  optional double d = 12;
  optional google.protobuf.Timestamp t = 13;
  repeated sint64 rs = 14;
  repeated float rf = 15 [packed = true];
  repeated google.protobuf.Timestamp rt = 16;
  map<string, int32> mi = 17;
  map<string, google.protobuf.Timestamp> mt = 18;
  oneof o { uint64 ou = 19; google.protobuf.Timestamp ot = 20; string os = 21; }
  optional group G = 22 { optional int64 i = 1; optional google.protobuf.Timestamp t = 2; }
  optional N n = 23;
  optional google.protobuf.Int64Value w = 24;
  repeated fixed64 rx = 25;
  optional string s = 26;
  repeated int32 ri = 27;
  required int32 far = 300000;
}
`

// delimitedText has a Timestamp that stands on the wire as a group.
const delimitedText = `
edition = "2023";
package acme;
import "google/protobuf/timestamp.proto";
message D {
  google.protobuf.Timestamp t = 1 [features.message_encoding = DELIMITED];
  repeated google.protobuf.Timestamp rt = 20 [features.message_encoding = DELIMITED];
}
`

// answering gives one answer to everything, and keeps what it was shown.
func answering(answer string, shown *string) visit {
	return func(_ int, dst, value []byte) ([]byte, error) {
		*shown += string(value) + ";"
		return append(dst, answer...), nil
	}
}

// stampOf is the content of a Timestamp as encoders write it.
func stampOf(seconds int64, nanos uint64) string {
	out := ""
	if seconds != 0 {
		out += num(1, uint64(seconds))
	}
	if nanos != 0 {
		out += num(2, nanos)
	}
	return out
}

func minus(v uint64) uint64 { return -v }

func TestNumbersAreShownAsText(t *testing.T) {
	zig := protowire.EncodeZigZag
	tests := []struct{ name, path, in, want string }{
		{"an int32 of zero that stands there", "/i32", num(1, 0), "0"},
		{"the greatest int32", "/i32", num(1, math.MaxInt32), "2147483647"},
		{"the least int32, in ten bytes", "/i32", num(1, minus(1<<31)), "-2147483648"},
		{"a negative int32 in five bytes", "/i32", num(1, math.MaxUint32), "-1"},
		{"an int32 of more than 32 bits, cut as readers cut it", "/i32", num(1, 7<<32|5), "5"},
		{"an int32 in more bytes than it needs", "/i32", tag(1, 0) + "\x87\x80\x00", "7"},
		{"the least int64", "/i64", num(2, 1<<63), "-9223372036854775808"},
		{"the greatest int64", "/i64", num(2, math.MaxInt64), "9223372036854775807"},
		{"the greatest uint32", "/u32", num(3, math.MaxUint32), "4294967295"},
		{"a uint32 of more than 32 bits, cut as readers cut it", "/u32", num(3, 1<<32), "0"},
		{"the greatest uint64", "/u64", num(4, math.MaxUint64), "18446744073709551615"},
		{"the least sint32", "/s32", num(5, math.MaxUint32), "-2147483648"},
		{"a sint32 of more than 32 bits, cut as readers cut it", "/s32", num(5, 1<<32|3), "-2"},
		{"the least sint64", "/s64", num(6, math.MaxUint64), "-9223372036854775808"},
		{"minus one as a sint64", "/s64", num(6, zig(-1)), "-1"},
		{"the greatest fixed32", "/f32", f32(7, math.MaxUint32), "4294967295"},
		{"the greatest fixed64", "/f64", f64(8, math.MaxUint64), "18446744073709551615"},
		{"minus one as an sfixed32", "/sf32", f32(9, math.MaxUint32), "-1"},
		{"the least sfixed64", "/sf64", f64(10, 1<<63), "-9223372036854775808"},
		{"a float has the shortest text of 32 bits", "/f", f32(11, math.Float32bits(0.1)), "0.1"},
		{"a double has the shortest text of 64 bits", "/d", f64(12, math.Float64bits(float64(float32(0.1)))), "0.10000000149011612"},
		{"a great double has an exponent", "/d", f64(12, math.Float64bits(1e21)), "1e+21"},
		{"a whole double has no point", "/d", f64(12, math.Float64bits(1e20)), "100000000000000000000"},
		{"a small double has an exponent without a zero before it", "/d", f64(12, math.Float64bits(-1e-7)), "-1e-7"},
		{"a small float that is none of 64 bits", "/f", f32(11, math.Float32bits(1e-6)), "0.000001"},
		{"a negative zero", "/f", f32(11, 1<<31), "-0"},
		{"what is no number", "/f", f32(11, 0x7fc00001), "NaN"},
		{"infinity", "/d", f64(12, math.Float64bits(math.Inf(1))), "Infinity"},
		{"negative infinity", "/f", f32(11, math.Float32bits(float32(math.Inf(-1)))), "-Infinity"},
		{"a timestamp", "/t", str(13, stampOf(1_700_000_000, 123_456_789)), "1700000000.123456789"},
		{"a timestamp of nothing is 1970", "/t", str(13), "0.000000000"},
		{"a timestamp without nanoseconds", "/t", str(13, stampOf(5, 0)), "5.000000000"},
		{"a timestamp of nanoseconds alone", "/t", str(13, stampOf(0, 7)), "0.000000007"},
		{"half a second before 1970", "/t", str(13, stampOf(-1, 500_000_000)), "-0.500000000"},
		{"a whole second before 1970", "/t", str(13, stampOf(-1, 0)), "-1.000000000"},
		{"a nanosecond before 1970", "/t", str(13, stampOf(-1, 999_999_999)), "-0.000000001"},
		{"one and a half seconds before 1970", "/t", str(13, stampOf(-2, 500_000_000)), "-1.500000000"},
		{"the first point in time", "/t", str(13, stampOf(minSeconds, 0)), "-62135596800.000000000"},
		{"one nanosecond later", "/t", str(13, stampOf(minSeconds, 1)), "-62135596799.999999999"},
		{"the last point in time", "/t", str(13, stampOf(maxSeconds, 999_999_999)), "253402300799.999999999"},
		{"a timestamp with its nanoseconds first", "/t", str(13, num(2, 5), num(1, 9)), "9.000000005"},
		{"a timestamp with its seconds twice, of which the last count", "/t", str(13, num(1, 1), num(2, 5), num(1, 9)), "9.000000005"},
		{"a timestamp with its nanoseconds in more than 32 bits", "/t", str(13, num(2, 3<<32|5)), "0.000000005"},
		{"two timestamps of a singular field", "/t", str(13, stampOf(1, 0)) + str(13, stampOf(0, 1)), "1.000000000;0.000000001"},
		{"every occurrence of a singular number", "/i32", num(1, 1) + num(26, 0)[:0] + num(1, 2), "1;2"},
		{"single elements", "/rs/[]", num(14, zig(-1)) + num(14, zig(300)), "-1;300"},
		{"elements of a packed run", "/rs/[]", str(14, varint(zig(-1)), varint(zig(300))), "-1;300"},
		{"elements of both", "/rs/[]", num(14, 2) + str(14) + str(14, "\x04\x06") + num(14, 8), "1;2;3;4"},
		{"elements of four bytes in a run", "/rf/[]", str(15, f32(1, math.Float32bits(1.5))[1:], f32(1, 0)[1:]), "1.5;0"},
		{"elements of four bytes that stand alone though they should be packed", "/rf/[]", f32(15, math.Float32bits(1.5)), "1.5"},
		{"elements of eight bytes in a run that should not be packed", "/rx/[]", str(25, f64(1, 5)[1:], f64(1, 6)[1:]), "5;6"},
		{"timestamps in a list", "/rt/[]", str(16, stampOf(1, 2)) + str(16), "1.000000002;0.000000000"},
		{"values of a map", "/mi/{}", str(17, str(1, "k"), num(2, 5)) + str(17, num(2, minus(1)), str(1, "l")), "5;-1"},
		{"an entry of a map without a value has none", "/mi/{}", str(17, str(1, "k")), ""},
		{"timestamps in a map", "/mt/{}", str(18, str(1, "k"), str(2, stampOf(1, 0))), "1.000000000"},
		{"a member of a oneof", "/ou", num(19, 5), "5"},
		{"a timestamp in a oneof", "/ot", str(20, stampOf(5, 0)), "5.000000000"},
		{"a number in a group", "/g/i", grp(22, num(1, 5)), "5"},
		{"a timestamp in a group", "/g/t", grp(22, str(2, stampOf(5, 0))), "5.000000000"},
		{"a number of a message inside itself", "/i32", str(23, num(1, 5), str(23, num(1, 6))) + num(1, 7), "5;6;7"},
		{"a number that is wrapped for its presence", "/w/value", str(24, num(1, 5)), "5"},
		{"one field of a timestamp", "/t/seconds", str(13, stampOf(5, 6)), "5"},
		{"a field number of three bytes", "/far", num(300000, 5), "5"},
		{"a field that is not there", "/i32", num(2, 5), ""},
	}
	s := parse(t, numbersText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range []schema.Program{compile(t, s, "number "+tt.path), restore(t, s, "number "+tt.path)} {
				shown := ""
				rewrite(t, p, []byte(tt.in), answering("0", &shown))
				if strings.TrimSuffix(shown, ";") != tt.want {
					t.Errorf("% x was shown as %q, want %q", tt.in, shown, tt.want)
				}
			}
		})
	}
}

// Without a want the answer is refused.
func TestAnswersAreWrittenInTheTypeOrRefused(t *testing.T) {
	sec := func(seconds int64, nanos uint64) string { return str(13, stampOf(seconds, nanos)) }
	float := func(v float32) string { return f32(11, math.Float32bits(v)) }
	double := func(v float64) string { return f64(12, math.Float64bits(v)) }
	tests := []struct{ name, path, answer, want string }{
		{"an int32", "/i32", "70", num(1, 70)},
		{"a negative int32 takes ten bytes", "/i32", "-1", num(1, math.MaxUint64)},
		{"an int32 of zero is written", "/i32", "0", num(1, 0)},
		{"the least int32", "/i32", "-2147483648", num(1, minus(1<<31))},
		{"the greatest int32", "/i32", "2147483647", num(1, math.MaxInt32)},
		{"one below the least int32", "/i32", "-2147483649", ""},
		{"one above the greatest int32", "/i32", "2147483648", ""},
		{"an int32 that would wrap around", "/i32", "4294967297", ""},
		{"the least int64", "/i64", "-9223372036854775808", num(2, 1<<63)},
		{"the greatest int64", "/i64", "9223372036854775807", num(2, math.MaxInt64)},
		{"one below the least int64", "/i64", "-9223372036854775809", ""},
		{"one above the greatest int64", "/i64", "9223372036854775808", ""},
		{"an int64 that would wrap around", "/i64", "18446744073709551617", ""},
		{"the greatest uint32", "/u32", "4294967295", num(3, math.MaxUint32)},
		{"one above the greatest uint32", "/u32", "4294967296", ""},
		{"a negative uint32", "/u32", "-1", ""},
		{"a negative zero uint32", "/u32", "-0", num(3, 0)},
		{"the greatest uint64", "/u64", "18446744073709551615", num(4, math.MaxUint64)},
		{"one above the greatest uint64", "/u64", "18446744073709551616", ""},
		{"ten above the greatest uint64", "/u64", "18446744073709551625", ""},
		{"a negative uint64", "/u64", "-1", ""},
		{"the least sint32", "/s32", "-2147483648", num(5, math.MaxUint32)},
		{"one above the greatest sint32", "/s32", "2147483648", ""},
		{"the least sint64", "/s64", "-9223372036854775808", num(6, math.MaxUint64)},
		{"one below the least sint64", "/s64", "-9223372036854775809", ""},
		{"the greatest fixed32", "/f32", "4294967295", f32(7, math.MaxUint32)},
		{"one above the greatest fixed32", "/f32", "4294967296", ""},
		{"the greatest fixed64", "/f64", "18446744073709551615", f64(8, math.MaxUint64)},
		{"a negative fixed64", "/f64", "-1", ""},
		{"a negative sfixed32", "/sf32", "-1", f32(9, math.MaxUint32)},
		{"one above the greatest sfixed32", "/sf32", "2147483648", ""},
		{"the least sfixed64", "/sf64", "-9223372036854775808", f64(10, 1<<63)},
		{"one above the greatest sfixed64", "/sf64", "9223372036854775808", ""},
		{"an int with zeros behind the point", "/i32", "5.000", num(1, 5)},
		{"an int with an exponent", "/i32", "5e2", num(1, 500)},
		{"an int whose exponent moves the point behind the last digit", "/i32", "1.25E+2", num(1, 125)},
		{"an int with a negative exponent", "/i32", "500e-2", num(1, 5)},
		{"an int with zeros before and behind its only digit", "/i32", "0." + strings.Repeat("0", 50) + "5e53", num(1, 500)},
		{"an int that is a fraction", "/i32", "5.5", ""},
		{"an int that an exponent makes a fraction", "/i32", "5e-1", ""},
		{"an int with a fraction far behind the point", "/i32", "5.0000000000000000001", ""},
		{"an int with an exponent out of all bounds", "/i32", "1e99999999999999999999", ""},
		{"a zero with an exponent out of all bounds", "/i32", "0e99999999999999999999", num(1, 0)},
		{"a fraction that is nearly nothing", "/i64", "1e-99999999999999999999", ""},
		{"a negative zero", "/i32", "-0", num(1, 0)},
		{"nothing", "/i32", "", ""},
		{"a sign", "/i32", "-", ""},
		{"two signs", "/i32", "--1", ""},
		{"a plus", "/i32", "+1", ""},
		{"a zero before other digits", "/i32", "01", ""},
		{"no digit before the point", "/d", ".5", ""},
		{"no digit behind the point", "/d", "5.", ""},
		{"no exponent behind its letter", "/d", "5e", ""},
		{"an exponent of only a sign", "/d", "5e-", ""},
		{"something behind the exponent", "/i32", "5e0x", ""},
		{"two exponents", "/i32", "5e0e0", ""},
		{"a fraction of an exponent", "/i32", "5e0.0", ""},
		{"a space before", "/i32", " 1", ""},
		{"a space behind", "/i32", "1 ", ""},
		{"a letter", "/i32", "a", ""},
		{"a hexadecimal number", "/d", "0x1p4", ""},
		{"underscores", "/i32", "1_000", ""},
		{"digits of another script", "/i32", "\u0661", ""},
		{"a byte below the digits", "/i32", "1/", ""},
		{"a byte above the digits", "/i32", "1:", ""},
		{"no number for an int", "/i32", "NaN", ""},
		{"infinity for a fixed64", "/f64", "Infinity", ""},
		{"a float", "/f", "-1.5", float(-1.5)},
		{"a float is rounded", "/f", "16777217", float(16777216)},
		{"a float is rounded once, not twice", "/f", "1.00000005960464484", float(math.Float32frombits(0x3f800001))},
		{"a float from a long text", "/f", "0." + strings.Repeat("3", 100), float(1.0 / 3)},
		{"a negative zero float", "/f", "-0", f32(11, 1<<31)},
		{"a double that a float could not hold", "/d", "16777217", double(16777217)},
		{"a double too small to be told from zero", "/d", "-1e-400", f64(12, 1<<63)},
		{"a double that is too large", "/d", "1e309", ""},
		{"a float that is too large", "/f", "-1e39", ""},
		{"the greatest float", "/f", "3.4028235e38", float(math.MaxFloat32)},
		{"no number for a float", "/f", "NaN", f32(11, 0x7fc00000)},
		{"no number for a double", "/d", "NaN", f64(12, 0x7ff8<<48)},
		{"infinity for a double", "/d", "Infinity", double(math.Inf(1))},
		{"negative infinity for a float", "/f", "-Infinity", float(float32(math.Inf(-1)))},
		{"another word for infinity", "/d", "inf", ""},
		{"a word in other letters", "/d", "nan", ""},
		{"a timestamp", "/t", "1700000000.123456789", sec(1_700_000_000, 123_456_789)},
		{"a timestamp of whole seconds has no nanoseconds", "/t", "5", sec(5, 0)},
		{"a timestamp of zero is empty", "/t", "0", sec(0, 0)},
		{"a timestamp of negative zero is empty", "/t", "-0.000000000", sec(0, 0)},
		{"a timestamp with one digit behind the point", "/t", "5.1", sec(5, 100_000_000)},
		{"half a second before 1970", "/t", "-0.5", sec(-1, 500_000_000)},
		{"a nanosecond before 1970", "/t", "-0.000000001", sec(-1, 999_999_999)},
		{"a second before 1970", "/t", "-1.000", sec(-1, 0)},
		{"a timestamp with zeros behind the nanoseconds", "/t", "5.0000000010000", sec(5, 1)},
		{"a timestamp with a digit behind the nanoseconds", "/t", "5.0000000001", ""},
		{"a timestamp with an exponent", "/t", "17e8", sec(1_700_000_000, 0)},
		{"a timestamp with an exponent that moves the point through its digits", "/t", "12345678901e-9", sec(12, 345_678_901)},
		{"a timestamp that an exponent makes too fine", "/t", "5e-10", ""},
		{"the first point in time", "/t", "-62135596800", sec(minSeconds, 0)},
		{"a nanosecond before it", "/t", "-62135596800.000000001", ""},
		{"a second before it", "/t", "-62135596801", ""},
		{"the last point in time", "/t", "253402300799.999999999", sec(maxSeconds, 999_999_999)},
		{"a nanosecond behind it", "/t", "253402300800", ""},
		{"as late as the first point is early", "/t", "62135596800", sec(-minSeconds, 0)},
		{"the last point in time before 1970", "/t", "-253402300799", ""},
		{"a timestamp that wraps around", "/t", "18446744073709551616", ""},
		{"a timestamp that is no number", "/t", "NaN", ""},
		{"a timestamp that is a text", "/t", "2024-01-01T00:00:00Z", ""},
	}
	zeros := singular()
	s := parse(t, numbersText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range []schema.Program{compile(t, s, "number "+tt.path), restore(t, s, "number "+tt.path)} {
				shown := ""
				out, err := p.Rewrite([]byte("before"), []byte(zeros[tt.path]+str(26, "x")), answering(tt.answer, &shown))
				if tt.want == "" {
					if !errors.Is(err, schema.ErrNumber) || string(out) != "before" {
						t.Errorf("%q gave % x and error %v, want ErrNumber", tt.answer, out, err)
					}
					continue
				}
				if want := "before" + tt.want + str(26, "x"); err != nil || string(out) != want {
					t.Errorf("%q was written as % x with error %v, want % x", tt.answer, out, err, want)
				}
			}
		})
	}
}

// The answers are 0, 300, 90000 and so on.
func TestNumbersStandInTheirPlaces(t *testing.T) {
	zig := func(v int64) string { return varint(protowire.EncodeZigZag(v)) }
	filler := strings.Repeat("x", 110)
	tests := []struct{ name, edits, in, want string }{
		{"single elements", "number /ri/[]", num(27, 1) + num(27, 2), num(27, 0) + num(27, 300)},
		{"a packed run gets a new length", "number /rs/[]", str(14, "\x02\x04\x06"), str(14, zig(0), zig(300), zig(90000))},
		{"a packed run gets a length of two bytes", "number /rs/[]", str(14, strings.Repeat("\x02", 60)), ""},
		{"a packed run without elements", "number /rs/[]", str(14), str(14)},
		{"a packed run whose length stays", "number /rx/[]", str(25, f64(1, 5)[1:], f64(1, 6)[1:]), str(25, f64(1, 0)[1:], f64(1, 300)[1:])},
		{"a run in a message inside itself", "number /ri/[]", str(23, str(27, "\x01\x01"), str(23, num(27, 1))), str(23, str(27, varint(0), varint(300)), str(23, num(27, 90000)))},
		{"a value of a map", "number /mi/{}", str(17, str(1, "a"), num(2, 9)) + str(17, num(2, 9), str(1, "b")), str(17, str(1, "a"), num(2, 0)) + str(17, num(2, 300), str(1, "b"))},
		{"a timestamp in a map", "number /mt/{}", str(18, str(1, "a"), str(2)) + str(18, str(2), str(1, "b")), str(18, str(1, "a"), str(2)) + str(18, str(2, num(1, 300)), str(1, "b"))},
		{"timestamps in a list", "number /rt/[]", str(16) + str(16, num(1, 1)), str(16) + str(16, num(1, 300))},
		{"the members of a oneof", "number /ou number /ot replace /os", num(19, 1) + str(20) + str(21, "x"), num(19, 0) + str(20, num(1, 300)) + str(21, "90000")},
		{"numbers in a group", "number /g/i number /g/t", grp(22, num(1, 1), str(2)), grp(22, num(1, 0), str(2, num(1, 300)))},
		{"a message whose length gets two bytes", "number /i32", num(1, 1) + str(23, num(1, 1), str(26, filler, strings.Repeat("y", 12))), num(1, 0) + str(23, num(1, 300), str(26, filler, strings.Repeat("y", 12)))},
		{"a message whose length gets one byte", "number /i32", str(23, num(1, minus(1)), str(26, filler, "12345")), str(23, num(1, 0), str(26, filler, "12345"))},
		{"a wrapper and the one beside it", "number /w/value number /far", str(24, num(1, 1)) + num(300000, 1), str(24, num(1, 0)) + num(300000, 300)},
		{"a wrapper of nothing stays", "number /w/value", str(24), str(24)},
		{"one field of a timestamp alone", "number /t/nanos", str(13, stampOf(5, 6)), str(13, num(1, 5), num(2, 0))},
		{"a timestamp whose zeros stood there", "number /t", str(13, num(1, 0), num(2, 0)), str(13, num(1, 0), num(2, 0))},
		{"what another edit does between them", "number /i32 replace /s nullify /i64 wrap /u32 number /s32", num(1, 1) + str(26, "s") + num(2, 1) + num(3, 1) + num(5, 1), num(1, 0) + str(26, "300") + str(3, "90000") + num(5, protowire.EncodeZigZag(27000000))},
	}
	s := parse(t, numbersText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			edits, back := tt.edits, tt.edits
			if strings.Contains(edits, "nullify") {
				back = strings.Replace(edits, "nullify /i64 ", "", 1)
			}
			var was []string
			n := int64(0)
			got := rewrite(t, compile(t, s, edits), []byte(tt.in), func(_ int, dst, value []byte) ([]byte, error) {
				was = append(was, string(value))
				n++
				switch n {
				case 1:
					return append(dst, "0"...), nil
				case 2:
					return append(dst, "300"...), nil
				case 3:
					return append(dst, "90000"...), nil
				default:
					return append(dst, "27000000"...), nil
				}
			})
			want := tt.want
			if want == "" {
				want = str(14, zig(0), zig(300), zig(90000), strings.Repeat(zig(27000000), 57))
			}
			if string(got) != want {
				t.Errorf("got  % x\nwant % x", got, want)
			}
			// The same values the other way make the record that it was.
			if again := rewrite(t, restore(t, s, back), got, func(_ int, dst, _ []byte) ([]byte, error) {
				first := was[0]
				was = was[1:]
				return append(dst, first...), nil
			}); back == edits && string(again) != tt.in || len(was) > 0 {
				t.Errorf("restored % x\nwant     % x, %d values left", again, tt.in, len(was))
			}
			if strings.Contains(edits, "wrap") {
				return // what is wrapped cannot stay
			}
			if kept := rewrite(t, restore(t, s, back), got, func(int, []byte, []byte) ([]byte, error) { return nil, schema.ErrKeep }); !bytes.Equal(kept, got) {
				t.Errorf("kept % x\nwant % x", kept, got)
			}
		})
	}
}

func TestTimestampsThatAreGroups(t *testing.T) {
	s := parse(t, delimitedText)
	edits := "number /t number /rt/[]"
	in := grp(1, num(2, 500_000_000), num(1, minus(1))) + grp(20, num(1, 7)) + grp(20)
	shown := ""
	got := rewrite(t, compile(t, s, edits), []byte(in), answering("1.5", &shown))
	one := num(1, 1) + num(2, 500_000_000)
	if want := grp(1, one) + grp(20, one) + grp(20, one); string(got) != want || shown != "-0.500000000;7.000000000;0.000000000;" {
		t.Errorf("%s became % x, want % x", shown, got, want)
	}
	unknown := grp(1, grp(9, str(3, "u")), num(1, 7), f32(8, 1))
	wantMalformed(t, compile(t, s, edits), unknown, reasonUnknown, identity)
	got = rewrite(t, compile(t, s, edits, schema.KeepUnknown), []byte(unknown+grp(20)), identity)
	if want := grp(1, num(1, 7), grp(9, str(3, "u")), f32(8, 1)) + grp(20); string(got) != want {
		t.Errorf("got  % x\nwant % x", got, want)
	}
	for _, tt := range []struct{ name, in, reason string }{
		{"no end", tag(1, 3) + num(1, 7), reasonOpenGroup},
		{"the end of another", tag(1, 3) + tag(2, 4), reasonGroup},
		{"a message", str(1, num(1, 7)), reasonMismatch},
		{"seconds out of range", grp(1, num(1, maxSeconds+1)), reasonTimestamp},
	} {
		t.Run(tt.name, func(t *testing.T) { wantMalformed(t, compile(t, s, edits), tt.in, tt.reason, identity) })
	}
}

func TestUnknownFieldsOfATimestamp(t *testing.T) {
	s := parse(t, numbersText)
	in := str(13, str(3, "one"), num(1, 5), grp(9, num(1, 1)), num(2, 6), f64(4, 7), num(1, 8), f32(536870911, 1)) + num(1, 1)
	wantMalformed(t, compile(t, s, "number /t"), in, reasonUnknown, identity)
	want := str(13, num(1, 8), num(2, 6), str(3, "one"), grp(9, num(1, 1)), f64(4, 7), f32(536870911, 1)) + num(1, 1)
	if got := rewrite(t, compile(t, s, "number /t", schema.KeepUnknown), []byte(in), identity); string(got) != want {
		t.Errorf("got  % x\nwant % x", got, want)
	}
	long := str(13, str(3, strings.Repeat("u", 200)), num(1, 5))
	want = str(13, num(1, 5), str(3, strings.Repeat("u", 200)))
	if got := rewrite(t, compile(t, s, "number /t", schema.KeepUnknown), []byte(long), identity); string(got) != want {
		t.Errorf("got  % x\nwant % x", got, want)
	}
	keep := func(int, []byte, []byte) ([]byte, error) { return nil, schema.ErrKeep }
	if got := rewrite(t, restore(t, s, "number /t", schema.KeepUnknown), []byte(in), keep); string(got) != in {
		t.Errorf("a timestamp that stays became % x", got)
	}
}

func TestFieldsThatAreNumbers(t *testing.T) {
	s := parse(t, numbersText)
	none := map[string]bool{
		"/rs": true, "/rf": true, "/rt": true, "/mi": true, "/mt": true, "/os": true, "/g": true, "/n": true, "/w": true, "/rx": true, "/s": true, "/ri": true,
	}
	check := func(s *Schema, i int, want bool) {
		t.Helper()
		f := &s.Fields()[i]
		if f.Numeric != want {
			t.Errorf("%s %s: Numeric is %v, want %v", f.Path, f.Type, f.Numeric, want)
		}
		for _, compile := range []func([]schema.Edit, schema.Unknown) (schema.Program, error){s.Compile, s.Restore} {
			_, err := compile([]schema.Edit{{Field: i, Op: schema.Number}}, schema.RejectUnknown)
			fit, ok := errors.AsType[*FitError](err)
			if (err == nil) != want || !want && (!ok || fit.Path != f.Path || fit.Reason != "is not a number") {
				t.Errorf("%s: error is %v", f.Path, err)
			}
		}
	}
	for i, f := range s.Fields() {
		check(s, i, !none[f.Path])
		if stamp := f.Logical == "google.protobuf.Timestamp"; stamp && !f.Numeric || stamp != (f.Type == schema.TypeRecord && f.Numeric) {
			t.Errorf("%s: %+v", f.Path, f)
		}
	}
	others := parse(t, `syntax = "proto3"; import "google/protobuf/duration.proto"; import "google/protobuf/timestamp.proto";
		message M { bool b = 1; E e = 2; string s = 3; bytes y = 4; N n = 5; repeated E re = 6; map<int32, bool> m = 7;
		google.protobuf.Duration d = 8; repeated google.protobuf.Timestamp rt = 9; }
		message N { bool b = 1; } enum E { A = 0; }`)
	for i, f := range others.Fields() {
		check(others, i, strings.HasPrefix(f.Path, "/d/") || strings.HasPrefix(f.Path, "/rt/"))
	}
}

// A type with the name of the well-known one may be another.
func TestTimestampsOfAnotherShapeAreNoNumbers(t *testing.T) {
	for name, body := range map[string]string{
		"another type":    "int64 seconds = 1; int64 nanos = 2;",
		"a further field": "int64 seconds = 1; int32 nanos = 2; string zone = 3;",
		"one field":       "int64 seconds = 1;",
		"other numbers":   "int64 seconds = 2; int32 nanos = 3;",
		"a list":          "repeated int64 seconds = 1; int32 nanos = 2;",
	} {
		t.Run(name, func(t *testing.T) {
			s := parse(t, `syntax = "proto3"; package google.protobuf; message M { Timestamp t = 1; } message Timestamp { `+body+` }`)
			if f := s.Fields()[fieldAt(t, s, "/t")]; f.Numeric {
				t.Errorf("%+v", f)
			}
			if _, err := s.Compile(on(t, s, "number /t"), schema.RejectUnknown); err == nil {
				t.Error("it compiles")
			}
		})
	}
}

func TestNumbersTogetherWithOtherEdits(t *testing.T) {
	s := parse(t, numbersText)
	for _, tt := range []struct{ name, edits, reason string }{
		{"twice", "number /i32 wrap /i32", "edited twice"},
		{"a timestamp and its seconds", "number /t number /t/seconds", "edited together with what encloses it"},
		{"a timestamp in a list that is wrapped", "wrap /rt number /rt/[]", "edited together with what encloses it"},
		{"a map and its values", "wrap /mi number /mi/{}", "edited together with what encloses it"},
		{"a message that is left out", "nullify /g number /g/i", "edited together with what encloses it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Compile(on(t, s, tt.edits), schema.RejectUnknown)
			if fit, ok := errors.AsType[*FitError](err); !ok || fit.Reason != tt.reason || fit.Path == "" {
				t.Errorf("error is %v, want %q with a path", err, tt.reason)
			}
		})
	}
}

func TestNumbersInADerivedSchema(t *testing.T) {
	s := parse(t, numbersText)
	edits := "wrap /t wrap /u32 wrap /rs/[] wrap /mt number /i32 number /rt/[] number /mi/{} replace /s"
	text, changed, err := s.Derive(on(t, s, edits), schema.Origin{ID: 3})
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	d := parseText(t, text)
	for i, f := range d.Fields() {
		if want := s.Fields()[i]; f.Numeric != want.Numeric || f.Logical != want.Logical {
			t.Errorf("%s: Numeric is %v and Logical %q", f.Path, f.Numeric, f.Logical)
		}
	}
	for _, tt := range []struct{ name, edit, want string }{
		{"a timestamp that is wrapped", "number /t", "is wrapped"},
		{"a number inside of it", "number /t/seconds", "lies inside a value that is wrapped"},
		{"a number that is wrapped", "number /u32", "is wrapped"},
		{"elements that are wrapped", "number /rs/[]", "is wrapped"},
		{"values of a map that is wrapped", "number /mt/{}", "lies inside a value that is wrapped"},
		{"a number", "number /i32", ""},
		{"a timestamp in a list", "number /rt/[]", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.Restore(on(t, d, tt.edit), schema.RejectUnknown)
			fit, ok := errors.AsType[*FitError](err)
			if tt.want == "" && err != nil || tt.want != "" && (!ok || fit.Reason != tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	if text, changed, err := s.Derive(on(t, s, "number /i32 number /t"), schema.Origin{}); changed || err != nil || text.Schema != numbersText {
		t.Errorf("numbers alone: changed %v, error %v", changed, err)
	}
	src := []byte(num(1, 5) + num(3, 7) + str(13, stampOf(1, 2)) + str(14, "\x02\x04") + str(16, stampOf(-5, 6)) + str(17, str(1, "k"), num(2, 8)) + str(26, "s"))
	list := on(t, s, edits)
	swap := func(there bool) visit {
		return func(edit int, dst, value []byte) ([]byte, error) {
			switch {
			case list[edit].Op == schema.Number:
				return negated(edit, dst, value)
			case there:
				return sealing(edit, dst, value)
			default:
				return opening(edit, dst, value)
			}
		}
	}
	protected := rewrite(t, compile(t, s, edits), src, swap(true))
	for _, from := range []*Schema{s, d} {
		if got := rewrite(t, restore(t, from, edits), protected, swap(false)); !bytes.Equal(got, src) {
			t.Errorf("% x was restored to % x", src, got)
		}
	}
}

// negated takes the sign away from a number that has one, and gives one to the
// others.
func negated(_ int, dst, value []byte) ([]byte, error) {
	if value[0] == '-' {
		return append(dst, value[1:]...), nil
	}
	return append(append(dst, '-'), value...), nil
}

func TestNumbersThatAreMalformed(t *testing.T) {
	ten := strings.Repeat("\xff", 10)
	tests := []struct{ name, path, in, reason string }{
		{"half a number", "/i32", tag(1, 0) + "\x80", reasonTruncated},
		{"a number of 11 bytes", "/i64", tag(2, 0) + ten + "\x01", reasonVarint},
		{"a number of 65 bits", "/u64", tag(4, 0) + ten[:9] + "\x02", reasonVarint},
		{"a number that reaches behind its message", "/i32", tag(23, 2) + "\x02" + tag(1, 0) + "\x80\x01", reasonTruncated},
		{"three of four bytes", "/f", tag(11, 5) + "abc", reasonTruncated},
		{"seven of eight bytes", "/d", tag(12, 1) + "abcdefg", reasonTruncated},
		{"eight bytes that reach behind their message", "/d", tag(23, 2) + "\x02" + tag(12, 1) + "abcdefgh", reasonTruncated},
		{"a string where a number belongs", "/i32", str(1, "a"), reasonMismatch},
		{"a packed run of a field that is not repeated", "/i32", str(1, "\x01"), reasonMismatch},
		{"a number where a timestamp belongs", "/t", num(13, 1), reasonMismatch},
		{"eight bytes in a list of numbers", "/rs/[]", f64(14, 1), reasonMismatch},
		{"a packed run that begins with half a number", "/rs/[]", str(14, "\x80"), reasonTruncated},
		{"a packed run of three bytes where four are one", "/rf/[]", str(15, "aaa"), reasonTruncated},
		{"a packed run with a length in two bytes", "/rs/[]", tag(14, 2) + "\x81\x00\x01", reasonPadded},
		{"a packed run with a length beyond the end", "/rs/[]", tag(14, 2) + "\x05\x01", reasonLength},
		{"a packed run as the value of a map", "/mi/{}", str(17, str(2, "\x01")), reasonMismatch},
		{"a timestamp with a length beyond the end", "/t", tag(13, 2) + "\x05", reasonLength},
		{"a timestamp with a length in two bytes", "/t", tag(13, 2) + "\x80\x00", reasonPadded},
		{"a timestamp with half its seconds", "/t", str(13, tag(1, 0)), reasonTruncated},
		{"a timestamp whose seconds reach behind it", "/t", tag(13, 2) + "\x02" + tag(1, 0) + "\x80\x01", reasonTruncated},
		{"a timestamp with seconds of four bytes", "/t", str(13, f32(1, 1)), reasonMismatch},
		{"a timestamp with nanoseconds of eight bytes", "/t", str(13, f64(2, 1)), reasonMismatch},
		{"a timestamp with a text of seconds", "/t", str(13, str(1, "1")), reasonMismatch},
		{"a timestamp with field number 0", "/t", str(13, "\x00\x01"), reasonNumber},
		{"a timestamp with wire type 7", "/t", str(13, tag(1, 7)), reasonWire},
		{"a timestamp with the end of a group", "/t", str(13, tag(1, 4)), reasonGroup},
		{"a timestamp with a tag in two bytes where one does", "/t", str(13, "\x88\x00\x01"), reasonPadded},
		{"a timestamp with an unknown field", "/t", str(13, num(3, 1)), reasonUnknown},
		{"a timestamp before the first point in time", "/t", str(13, stampOf(minSeconds-1, 0)), reasonTimestamp},
		{"a timestamp behind the last point in time", "/t", str(13, stampOf(maxSeconds+1, 0)), reasonTimestamp},
		{"a timestamp of milliseconds", "/t", str(13, stampOf(1_700_000_000_000, 0)), reasonTimestamp},
		{"a timestamp of the least seconds", "/t", str(13, stampOf(math.MinInt64, 0)), reasonTimestamp},
		{"a timestamp with negative nanoseconds", "/t", str(13, num(2, minus(1))), reasonTimestamp},
		{"a timestamp with a second of nanoseconds", "/t", str(13, stampOf(0, second)), reasonTimestamp},
	}
	s := parse(t, numbersText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range []schema.Program{compile(t, s, "number "+tt.path), restore(t, s, "number "+tt.path)} {
				wantMalformed(t, p, tt.in, tt.reason, func(_ int, dst, _ []byte) ([]byte, error) {
					t.Error("a malformed value was shown to the visitor")
					return dst, nil
				})
			}
			if tt.reason != reasonUnknown {
				wantMalformed(t, compile(t, s, "number "+tt.path, schema.KeepUnknown), tt.in, tt.reason, identity)
			}
		})
	}
	t.Run("a timestamp 65 levels deep", func(t *testing.T) {
		p := compile(t, s, "number /t")
		deep := func(levels int) string {
			return nested(levels, func(in string) string { return str(23, in) }, str(13, num(1, 1)))
		}
		rewrite(t, p, []byte(deep(63)), identity)
		wantMalformed(t, p, deep(64), reasonDepth, identity)
	})
}

func TestGreatAnswersEnd(t *testing.T) {
	s := parse(t, numbersText)
	nines, shown := strings.Repeat("9", 1<<20), ""
	in := []byte(num(2, 1) + str(13, stampOf(1, 0)))
	for _, edits := range []string{"number /i64", "number /t"} {
		p := compile(t, s, edits)
		for name, answer := range map[string]string{"digits": nines, "a fraction": "0." + nines, "an exponent": "1e" + nines, "a small exponent": "1e-" + nines} {
			if _, err := p.Rewrite(nil, in, answering(answer, &shown)); !errors.Is(err, schema.ErrNumber) {
				t.Errorf("%s, %s: error is %v", edits, name, err)
			}
		}
		// It is 5, however it is written.
		for _, long := range []string{"5" + strings.Repeat("0", 1<<20) + "e-1048576", "0." + strings.Repeat("0", 1<<20) + "5e1048577"} {
			out := rewrite(t, p, in, answering(long, &shown))
			if want := rewrite(t, p, in, answering("5", &shown)); !bytes.Equal(out, want) {
				t.Errorf("%s: five is % x", edits, out)
			}
		}
	}
}

func TestErrorsOfTheVisitorOfNumbersComeBack(t *testing.T) {
	s := parse(t, numbersText)
	want := errors.New("no key")
	for edits, src := range map[string]string{
		"number /i32": num(1, 1) + num(1, 2), "number /rs/[]": str(14, "\x02\x04"), "number /t": str(13) + str(13), "number /mt/{}": str(18, str(2), str(2)),
	} {
		for _, err := range []error{want, schema.ErrKeep} {
			calls := 0
			out, got := compile(t, s, edits).Rewrite([]byte("before"), []byte(src), visit(func(_ int, dst, value []byte) ([]byte, error) {
				calls++
				if calls == 2 {
					return append(dst, "junk"...), err
				}
				return append(dst, value...), nil
			}))
			if got != err || string(out) != "before" || calls != 2 { //nolint:errorlint // as it is
				t.Errorf("%s: %q, error %v", edits, out, got)
			}
		}
	}
}

// The text that a visitor is shown is gone when it returns, from its own slice
// and from the buffer, and so is what is left of the answer.
func TestTheTextOfANumberDoesNotStay(t *testing.T) {
	s := parse(t, numbersText)
	p := compile(t, s, "number /i64 number /t number /rs/[]")
	src := []byte(num(2, 1234567890123456789) + str(13, stampOf(1_700_000_000, 123_456_789)) + str(14, "\xfe\xff\xff\xff\xff\x0f"))
	before := bytes.Clone(src)
	var kept [][]byte
	for _, room := range []int{0, len(src), 4096} {
		dst, err := p.Rewrite(make([]byte, 0, room), src, visit(func(_ int, dst, value []byte) ([]byte, error) {
			if cap(value) != len(value) {
				t.Errorf("there is room behind the value: %d of %d bytes", len(value), cap(value))
			}
			// The same program inside itself.
			if _, err := p.Rewrite(nil, src, visit(identity)); err != nil {
				return dst, err
			}
			kept = append(kept, value)
			return append(dst, "7"+strings.Repeat("0", 30)+"e-30"...), nil
		}))
		if err != nil || !bytes.Equal(src, before) {
			t.Fatal(err)
		}
		if want := num(2, 7) + str(13, num(1, 7)) + str(14, "\x0e"); string(dst) != want {
			t.Fatalf("% x", dst)
		}
		if behind := dst[len(dst):cap(dst)]; len(bytes.Trim(behind, "\x00")) > 0 {
			t.Errorf("%q stands behind the end of the result", behind)
		}
	}
	for _, value := range kept {
		if strings.Contains(string(value), "123456789") || len(value) == 0 {
			t.Errorf("%q is still there", value)
		}
	}
}

func TestAProgramOfNumbersRunsConcurrently(t *testing.T) {
	p := compile(t, parse(t, numbersText), "number /rs/[] number /rt/[]")
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			var src, want strings.Builder
			for i := range 100 {
				v := int64(worker*100 + i + 1)
				src.WriteString(str(14, varint(protowire.EncodeZigZag(v))) + str(16, num(1, uint64(v))))
				want.WriteString(str(14, varint(protowire.EncodeZigZag(-v))) + str(16, num(1, minus(uint64(v)))))
			}
			for range 20 {
				if got, err := p.Rewrite(nil, []byte(src.String()), visit(negated)); err != nil || string(got) != want.String() {
					t.Errorf("worker %d: error %v", worker, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRewriteOfNumbersDoesNotAllocate(t *testing.T) {
	s := parse(t, numbersText)
	edits, src := everyNumber()
	for _, p := range []schema.Program{compile(t, s, edits), restore(t, s, edits)} {
		dst := make([]byte, 0, 4096)
		var v schema.Visitor = visit(identity)
		if n := testing.AllocsPerRun(100, func() {
			out, err := p.Rewrite(dst, src, v)
			if err != nil || len(out) != len(src) {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// everyNumber are edits of all numbers of numbersText, and a record with all of
// them.
func everyNumber() (edits string, record []byte) {
	for _, path := range []string{
		"/i32", "/i64", "/u32", "/u64", "/s32", "/s64", "/f32", "/f64", "/sf32", "/sf64", "/f", "/d", "/t", "/rs/[]", "/rf/[]", "/rt/[]", "/mi/{}", "/mt/{}",
		"/ou", "/ot", "/g/i", "/g/t", "/w/value", "/rx/[]", "/ri/[]", "/far",
	} {
		edits += " number " + path
	}
	one := num(1, minus(5)) + num(2, 1<<62) + num(3, 7) + num(4, math.MaxUint64) + num(5, 9) + num(6, 10) + f32(7, 11) + f64(8, 12) + f32(9, math.MaxUint32) + f64(10, 1<<63) +
		f32(11, math.Float32bits(1.5)) + f64(12, math.Float64bits(-123456.789e-30)) + str(13, stampOf(1_700_000_000, 123_456_789)) + str(14, "\x01\x02\x03") + num(14, 5) +
		str(15, "\x00\x00\x80\x3f\x00\x00\x80\x7f") + str(16, stampOf(-5, 1)) + str(17, str(1, "k"), num(2, 8)) + str(18, str(1, "k"), str(2, stampOf(minSeconds, 1))) +
		num(19, 5) + str(20) + grp(22, num(1, 5), str(2, stampOf(1, 0))) + str(24, num(1, 6)) + str(25, "12345678abcdefgh") + str(26, "text") + num(27, 300)
	return edits, []byte(one + str(23, one) + num(300000, 1))
}
