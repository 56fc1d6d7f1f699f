package protobuf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// wideText has a field of every shape, in proto2 for its groups.
const wideText = `
syntax = "proto2";
package acme;
message P {
  optional string s = 1;
  optional bytes b = 2;
  optional int32 i = 3;
  optional fixed32 f32 = 4;
  optional double f64 = 5;
  optional N n = 6;
  optional group G = 7 { optional string s = 1; optional int64 i = 2; optional N n = 3; }
  repeated string rs = 8;
  repeated int32 ri = 9;
  repeated fixed32 rf = 10;
  repeated double rd = 11;
  repeated N rn = 12;
  repeated group RG = 13 { optional string s = 1; }
  map<string, string> ms = 14;
  map<string, int32> mi = 15;
  map<int32, N> mn = 16;
  oneof o { string os = 17; int32 oi = 18; N on = 19; }
  optional E e = 20;
  required bool q = 21;
  optional P self = 22;
  optional string far = 536870911;
  optional sint64 z = 2048;
  extensions 1000 to 1999;
  optional bool t = 23;
  optional group H = 30 { optional string s = 1; }
}
message N { optional string s = 1; optional int32 i = 2; repeated N ns = 3; map<string, string> m = 4; }
enum E { A = 0; B = 1; }
`

// marked writes the number of the edit and the value in brackets.
func marked(edit int, dst, value []byte) ([]byte, error) {
	return fmt.Appendf(dst, "%d[%s]", edit, value), nil
}

// wr is what marked makes of a wrapped occurrence.
func wr(edit int, wire byte, rest string) string {
	return fmt.Sprintf("%d[%c%s]", edit, wire, rest)
}

const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wireGroup  = 3
	wire32     = 5
)

func TestRecordsAreRewritten(t *testing.T) {
	long := strings.Repeat("x", 200)
	tests := []struct{ name, edits, in, want string }{
		{"nothing at all", "replace /s", "", ""},
		{"no edit copies", "", str(1, "a") + num(3, 7) + num(21, 1), str(1, "a") + num(3, 7) + num(21, 1)},
		{"a string is replaced", "replace /s", str(1, "a") + num(3, 7), str(1, "0[a]") + num(3, 7)},
		{"bytes are replaced and need not be UTF-8", "replace /b", str(2, "\xff\xfe"), str(2, "0[\xff\xfe]")},
		{"an empty string that stands there is replaced", "replace /s", str(1, ""), str(1, "0[]")},
		{"a string of proto2 need not be UTF-8", "replace /s", str(1, "\xff"), str(1, "0[\xff]")},
		{"a length grows from one byte to two", "replace /s", str(1, long[:126]), str(1, "0["+long[:126]+"]")},
		{"a length of two bytes stays", "replace /s", str(1, long), str(1, "0["+long+"]")},
		{"a length of three bytes", "replace /s", str(1, strings.Repeat(long, 100)), str(1, "0["+strings.Repeat(long, 100)+"]")},
		{"every occurrence of a singular string", "replace /s", str(1, "a") + num(3, 1) + str(1, "b"), str(1, "0[a]") + num(3, 1) + str(1, "0[b]")},
		{"fields in any order", "replace /s replace /b", str(2, "b") + num(21, 1) + str(1, "a"), str(2, "1[b]") + num(21, 1) + str(1, "0[a]")},
		{"the highest field number there is", "replace /far", str(536870911, "a"), str(536870911, "0[a]")},
		{"the highest field number beside others", "replace /s", str(1, "a") + str(536870911, "b"), str(1, "0[a]") + str(536870911, "b")},
		{"a field number of two bytes", "wrap /z", num(2048, 5), str(2048, wr(0, wireVarint, "\x05"))},
		{"numbers that are longer than they need to be stay", "replace /s", tag(3, 0) + "\x87\x80\x00" + str(1, "a"), tag(3, 0) + "\x87\x80\x00" + str(1, "0[a]")},
		{"a negative int32 of ten bytes", "replace /s", num(3, 1<<64-1) + str(1, "a"), num(3, 1<<64-1) + str(1, "0[a]")},

		{"a number is wrapped", "wrap /i", num(3, 300), str(3, wr(0, wireVarint, "\xac\x02"))},
		{"a number of zero that stands there is wrapped", "wrap /i", num(3, 0), str(3, wr(0, wireVarint, "\x00"))},
		{"a number that is too long is wrapped as it stands", "wrap /i", tag(3, 0) + "\x87\x80\x00", str(3, wr(0, wireVarint, "\x87\x80\x00"))},
		{"every occurrence of a singular number", "wrap /i", num(3, 1) + num(3, 2), str(3, wr(0, wireVarint, "\x01")) + str(3, wr(0, wireVarint, "\x02"))},
		{"four bytes are wrapped", "wrap /f32", f32(4, 1), str(4, wr(0, wire32, "\x01\x00\x00\x00"))},
		{"eight bytes are wrapped", "wrap /f64", f64(5, 1), str(5, wr(0, wire64, "\x01\x00\x00\x00\x00\x00\x00\x00"))},
		{"a boolean is wrapped", "wrap /q", num(21, 1), str(21, wr(0, wireVarint, "\x01"))},
		{"an enum is wrapped", "wrap /e", num(20, 1), str(20, wr(0, wireVarint, "\x01"))},
		{"a message is wrapped", "wrap /n", str(6, str(1, "a")), str(6, wr(0, wireBytes, "\x03"+str(1, "a")))},
		{"an empty message is wrapped", "wrap /n", str(6, ""), str(6, wr(0, wireBytes, "\x00"))},
		{"a message in two occurrences is wrapped twice", "wrap /n", str(6, str(1, "a")) + str(6, num(2, 1)), str(6, wr(0, wireBytes, "\x03"+str(1, "a"))) + str(6, wr(0, wireBytes, "\x02"+num(2, 1)))},
		{"unknown fields are covered by the wrapping of what holds them", "wrap /n", str(6, num(99, 1)), str(6, wr(0, wireBytes, "\x03"+num(99, 1)))},
		{"a group is wrapped without its end", "wrap /g", grp(7, str(1, "a")), str(7, wr(0, wireGroup, str(1, "a")))},
		{"a repeated group is wrapped", "wrap /rg", grp(13, str(1, "a")), str(13, wr(0, wireGroup, str(1, "a")))},
		{"a group with tags of two bytes is wrapped", "wrap /h", grp(30, str(1, "a")), str(30, wr(0, wireGroup, str(1, "a")))},
		{"a message inside itself is wrapped", "wrap /self", str(22, str(1, "a")), str(22, wr(0, wireBytes, "\x03"+str(1, "a")))},

		{"a string inside a message", "replace /n/s", str(6, str(1, "a"), num(2, 1)), str(6, str(1, "0[a]"), num(2, 1))},
		{"a string inside each part of a message", "replace /n/s", str(6, str(1, "a")) + str(6, str(1, "b")), str(6, str(1, "0[a]")) + str(6, str(1, "0[b]"))},
		{"a message without the edited field", "replace /n/s", str(6, num(2, 1)), str(6, num(2, 1))},
		{"the length of a message grows by a byte", "replace /n/s", str(6, str(1, long[:122])), str(6, str(1, "0["+long[:122]+"]"))},
		{"the length of a message of two bytes", "replace /n/s", str(6, str(1, long)) + num(3, 1), str(6, str(1, "0["+long+"]")) + num(3, 1)},
		{"a string inside a group", "replace /g/s", grp(7, str(1, "a"), num(2, 1)), grp(7, str(1, "0[a]"), num(2, 1))},
		{"a number inside a group", "wrap /g/i", grp(7, num(2, 1)), grp(7, str(2, wr(0, wireVarint, "\x01")))},
		{"a message inside a group", "replace /g/n/s", grp(7, str(3, str(1, "a"))), grp(7, str(3, str(1, "0[a]")))},
		{"a string of a message inside itself", "replace /s", str(22, str(22, str(1, "a")), str(1, "b")), str(22, str(22, str(1, "0[a]")), str(1, "0[b]"))},
		{"a string of a message that lists itself", "replace /n/s", str(6, str(3, str(1, "a"), str(3, str(1, "b")))), str(6, str(3, str(1, "0[a]"), str(3, str(1, "0[b]"))))},

		{"the elements of a repeated string", "replace /rs/[]", str(8, "a") + num(3, 1) + str(8, "b") + str(8, ""), str(8, "0[a]") + num(3, 1) + str(8, "0[b]") + str(8, "0[]")},
		{"a repeated string wrapped as a container", "wrap /rs", str(8, "a") + str(8, "b"), str(8, wr(0, wireBytes, "\x01a")) + str(8, wr(0, wireBytes, "\x01b"))},
		{"repeated numbers one by one", "wrap /ri", num(9, 1) + num(9, 2), str(9, wr(0, wireVarint, "\x01")) + str(9, wr(0, wireVarint, "\x02"))},
		{"repeated numbers by their elements", "wrap /ri/[]", num(9, 1) + num(9, 2), str(9, wr(0, wireVarint, "\x01")) + str(9, wr(0, wireVarint, "\x02"))},
		{"a packed run is one value", "wrap /ri", str(9, "\x01\x02\xac\x02"), str(9, wr(0, wireBytes, "\x04\x01\x02\xac\x02"))},
		{"packed runs and single numbers", "wrap /ri", str(9, "\x01") + num(9, 2) + str(9, ""), str(9, wr(0, wireBytes, "\x01\x01")) + str(9, wr(0, wireVarint, "\x02")) + str(9, wr(0, wireBytes, "\x00"))},
		{"a packed run of four bytes each", "wrap /rf", str(10, "aaaabbbb") + f32(10, 1), str(10, wr(0, wireBytes, "\x08aaaabbbb")) + str(10, wr(0, wire32, "\x01\x00\x00\x00"))},
		{"a packed run of eight bytes each", "wrap /rd", str(11, "aaaabbbb"), str(11, wr(0, wireBytes, "\x08aaaabbbb"))},
		{"packed runs that nobody edits", "replace /s", str(9, "\x01\x02") + str(10, "aaaa") + str(11, "") + str(1, "a"), str(9, "\x01\x02") + str(10, "aaaa") + str(11, "") + str(1, "0[a]")},
		{"repeated messages", "replace /rn/[]/s", str(12, str(1, "a")) + str(12) + str(12, str(1, "b")), str(12, str(1, "0[a]")) + str(12) + str(12, str(1, "0[b]"))},
		{"repeated groups", "replace /rg/[]/s", grp(13, str(1, "a")) + grp(13) + grp(13, str(1, "b")), grp(13, str(1, "0[a]")) + grp(13) + grp(13, str(1, "0[b]"))},

		{"the values of a map", "replace /ms/{}", str(14, str(1, "k"), str(2, "v")), str(14, str(1, "k"), str(2, "0[v]"))},
		{"an entry with the value before the key", "replace /ms/{}", str(14, str(2, "v"), str(1, "k")), str(14, str(2, "0[v]"), str(1, "k"))},
		{"an entry without a value has nothing to protect", "replace /ms/{}", str(14, str(1, "k")), str(14, str(1, "k"))},
		{"an entry without a key", "replace /ms/{}", str(14, str(2, "v")), str(14, str(2, "0[v]"))},
		{"an entry of nothing", "replace /ms/{}", str(14), str(14)},
		{"an entry with two values", "replace /ms/{}", str(14, str(2, "v"), str(1, "k"), str(2, "w")), str(14, str(2, "0[v]"), str(1, "k"), str(2, "0[w]"))},
		{"the values of a map of numbers", "wrap /mi/{}", str(15, str(1, "k"), num(2, 5)), str(15, str(1, "k"), str(2, wr(0, wireVarint, "\x05")))},
		{"a map as a whole covers its keys", "wrap /mi", str(15, str(1, "k"), num(2, 5)), str(15, wr(0, wireBytes, "\x05"+str(1, "k")+num(2, 5)))},
		{"the values of a map of messages", "replace /mn/{}/s", str(16, num(1, 1), str(2, str(1, "a"))), str(16, num(1, 1), str(2, str(1, "0[a]")))},
		{"whole messages in a map", "wrap /mn/{}", str(16, num(1, 1), str(2, num(2, 1))), str(16, num(1, 1), str(2, wr(0, wireBytes, "\x02"+num(2, 1))))},
		{"a map inside a message", "replace /n/m/{}", str(6, str(4, str(1, "k"), str(2, "v"))), str(6, str(4, str(1, "k"), str(2, "0[v]")))},

		{"a member of a oneof", "replace /os", str(17, "a"), str(17, "0[a]")},
		{"several members of a oneof", "replace /os wrap /oi", str(17, "a") + num(18, 1) + str(17, "b"), str(17, "0[a]") + str(18, wr(1, wireVarint, "\x01")) + str(17, "0[b]")},

		{"a string is left out", "nullify /s", num(3, 1) + str(1, "a") + num(21, 1), num(3, 1) + num(21, 1)},
		{"every occurrence is left out", "nullify /s", str(1, "a") + num(3, 1) + str(1, "b"), num(3, 1)},
		{"a number is left out", "nullify /i", num(3, 1) + str(1, "a"), str(1, "a")},
		{"a group is left out", "nullify /g", grp(7, str(1, "a")) + num(21, 1), num(21, 1)},
		{"a message inside a message is left out", "nullify /g/n", grp(7, str(3, num(2, 1)), str(1, "a")), grp(7, str(1, "a"))},
		{"a map is left out", "nullify /ms", str(14, str(1, "k")) + str(1, "a") + str(14), str(1, "a")},
		{"packed runs are left out with the rest", "nullify /ri", str(9, "\x01\x02") + num(9, 1) + num(21, 1), num(21, 1)},
		{"a string inside a message is left out, and the length shrinks", "nullify /n/s", str(6, str(1, long), num(2, 1)), str(6, num(2, 1))},
	}
	s := parse(t, wideText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := rewrite(t, compile(t, s, tt.edits), []byte(tt.in), marked)
			if string(got) != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if strings.Contains(tt.edits, "nullify") {
				return
			}
			back := func(edit int, dst, value []byte) ([]byte, error) {
				rest, ok := strings.CutPrefix(string(value), fmt.Sprintf("%d[", edit))
				if !ok {
					return dst, errors.New("not marked")
				}
				return append(dst, rest[:len(rest)-1]...), nil
			}
			if was := rewrite(t, restore(t, s, tt.edits), got, back); string(was) != tt.in {
				t.Errorf("restored %q\nwant     %q", was, tt.in)
			}
			// Text to text, a program of the same edits may stay as it is.
			if !strings.Contains(tt.edits, "wrap") {
				kept := rewrite(t, restore(t, s, tt.edits), got, func(int, []byte, []byte) ([]byte, error) { return nil, schema.ErrKeep })
				if !bytes.Equal(kept, got) {
					t.Errorf("kept %q\nwant %q", kept, got)
				}
			}
		})
	}
}

func TestUnknownContent(t *testing.T) {
	s := parse(t, wideText)
	any := parse(t, `syntax = "proto3"; import "google/protobuf/any.proto";
		message M { string s = 1; google.protobuf.Any a = 2; repeated google.protobuf.Any as = 3; H h = 4; }
		message H { google.protobuf.Any a = 1; }`)
	holding := str(1, "type.googleapis.com/acme.P") + str(2, str(1, "secret"))
	tests := []struct {
		name      string
		s         *Schema
		edits, in string
		reason    string // of RejectUnknown; KeepUnknown takes all
	}{
		{"a number", s, "", num(99, 1), reasonUnknown},
		{"a string", s, "replace /s", str(1, "a") + str(99, "secret"), reasonUnknown},
		{"four bytes", s, "", f32(99, 1), reasonUnknown},
		{"eight bytes", s, "", f64(99, 1), reasonUnknown},
		{"a group", s, "", grp(99, str(1, "a"), grp(2), num(3, 1), f32(4, 1), f64(5, 1)), reasonUnknown},
		{"an extension", s, "", str(1000, "a"), reasonUnknown},
		{"a number between declared ones", s, "", num(24, 1), reasonUnknown},
		{"a number behind the declared ones", s, "", num(2049, 1), reasonUnknown},
		{"one inside a message", s, "", str(6, num(99, 1)), reasonUnknown},
		{"one inside a message with an edit", s, "replace /n/s", str(6, num(99, 1)), reasonUnknown},
		{"one inside a group", s, "", grp(7, num(99, 1)), reasonUnknown},
		{"one inside the entry of a map", s, "", str(14, str(1, "k"), str(3, "v")), reasonUnknown},
		{"one inside the entry of a map with an edit", s, "replace /ms/{}", str(14, str(1, "k"), str(3, "v")), reasonUnknown},
		{"one inside a message inside itself", s, "replace /s", str(22, str(22, num(99, 1))), reasonUnknown},
		{"one beside a wrapped message", s, "wrap /n", str(6, num(99, 1)) + num(99, 1), reasonUnknown},
		{"an Any", any, "", str(2, holding), reasonAny},
		{"an Any beside edits", any, "replace /s", str(1, "a") + str(2, holding), reasonAny},
		{"an Any whose type alone is edited", any, "replace /a/type_url", str(2, holding), reasonAny},
		{"an Any in a list", any, "", str(3, holding), reasonAny},
		{"an Any in a message", any, "", str(4, str(1, holding)), reasonAny},
		{"an Any with an empty value", any, "", str(2, str(2)), reasonAny},
		{"an Any that is wrapped", any, "wrap /a", str(2, holding), ""},
		{"an Any that is left out", any, "nullify /a", str(2, holding), ""},
		{"an Any whose value is replaced", any, "replace /a/value", str(2, holding), ""},
		{"a list of Any that is wrapped", any, "wrap /as", str(3, holding), ""},
		{"a list of Any whose elements are wrapped", any, "wrap /as/[]", str(3, holding), ""},
		{"an Any in a message that is wrapped", any, "wrap /h", str(4, str(1, holding)), ""},
		{"an Any of nothing", any, "", str(2), ""},
		{"an Any with a type alone", any, "", str(2, str(1, "x")), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.reason != "" {
				wantMalformed(t, compile(t, tt.s, tt.edits), tt.in, tt.reason, identity)
				if !strings.Contains(tt.edits, "wrap") {
					wantMalformed(t, restore(t, tt.s, tt.edits), tt.in, tt.reason, identity)
				}
			} else {
				rewrite(t, compile(t, tt.s, tt.edits), []byte(tt.in), sealing)
			}
			sealed := rewrite(t, compile(t, tt.s, tt.edits, schema.KeepUnknown), []byte(tt.in), sealing)
			if strings.Contains(tt.edits, "nullify") {
				return
			}
			if was := rewrite(t, restore(t, tt.s, tt.edits, schema.KeepUnknown), sealed, opening); string(was) != tt.in {
				t.Errorf("restored %q\nwant     %q", was, tt.in)
			}
		})
	}
}

func TestStringsThatAreEditedMustBeUTF8(t *testing.T) {
	s := parse(t, `syntax = "proto3"; message M { string s = 1; bytes b = 2; string t = 3; repeated string r = 4; map<string, string> m = 5; }`)
	edits := "replace /s replace /b replace /r/[] replace /m/{}"
	p, back := compile(t, s, edits), restore(t, s, edits)
	for name, in := range map[string]string{"a field": str(1, "a\xff"), "an element": str(4, "\xc0\x80"), "a value of a map": str(5, str(2, "\xed\xa0\x80"))} {
		t.Run(name, func(t *testing.T) {
			wantMalformed(t, p, in, reasonUTF8, identity)
			wantMalformed(t, back, in, reasonUTF8, identity)
		})
	}
	rewrite(t, p, []byte(str(2, "\xff")+str(3, "\xff")), identity)
	// What the visitor makes of a string, and what it reads on the way back, is
	// its own affair.
	rewrite(t, back, []byte(str(1, "\xff")), func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, "fine"...), nil })
}

func TestEditsThatDoNotFit(t *testing.T) {
	s := parse(t, wideText)
	tests := []struct{ name, edits, reason string }{
		{"a number cannot be replaced", "replace /i", "only string and bytes can be replaced"},
		{"a message cannot be replaced", "replace /n", "only string and bytes can be replaced"},
		{"a map cannot be replaced", "replace /ms", "only string and bytes can be replaced"},
		{"a string needs no wrapping", "wrap /s", "is not wrapped, because its content can be replaced"},
		{"an element of strings needs no wrapping", "wrap /rs/[]", "is not wrapped, because its content can be replaced"},
		{"a required field cannot be left out", "nullify /q", "cannot be null"},
		{"an element cannot be left out", "nullify /rs/[]", "cannot be null"},
		{"a value of a map cannot be left out", "nullify /ms/{}", "cannot be null"},
		{"twice", "replace /s nullify /s", "edited twice"},
		{"a message and a field inside", "wrap /n replace /n/s", "edited together with what encloses it"},
		{"a field inside and then the message", "replace /n/s wrap /n", "edited together with what encloses it"},
		{"a list and its elements", "wrap /ri wrap /ri/[]", "edited together with what encloses it"},
		{"a list and a field of its elements", "wrap /rn replace /rn/[]/s", "edited together with what encloses it"},
		{"a map and its values", "nullify /ms replace /ms/{}", "edited together with what encloses it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Compile(on(t, s, tt.edits), schema.RejectUnknown)
			if fit, ok := errors.AsType[*FitError](err); !ok || fit.Reason != tt.reason || fit.Path == "" {
				t.Errorf("error is %v, want %q with a path", err, tt.reason)
			}
			if _, _, err := s.Derive(on(t, s, tt.edits), schema.Origin{}); err == nil {
				t.Error("Derive takes what Compile refuses")
			}
		})
	}
	for _, edits := range [][]schema.Edit{{{Field: -1, Op: schema.Wrap}}, {{Field: len(s.Fields()), Op: schema.Wrap}}, {{Field: 0}}, {{Field: 0, Op: schema.Number + 1}}} {
		if _, err := s.Compile(edits, schema.RejectUnknown); err == nil {
			t.Errorf("%v compiles", edits)
		}
	}
	if _, err := s.Compile(nil, schema.KeepUnknown+1); err == nil {
		t.Error("a third way to take unknown fields compiles")
	}
	if _, err := s.Restore(on(t, s, "nullify /s"), schema.RejectUnknown); err == nil {
		t.Error("what was left out can be restored")
	}
}

func TestRestoredValuesMustBeOneOccurrence(t *testing.T) {
	s := parse(t, wideText)
	deep := strings.Repeat("x", 0)
	for range 70 {
		deep = str(22, deep)
	}
	tests := []struct{ name, edits, in, plain string }{
		{"nothing", "wrap /i", str(3), ""},
		{"a wire type alone", "wrap /i", str(3), "\x00"},
		{"a number that goes on", "wrap /i", str(3), "\x00\x80"},
		{"two numbers", "wrap /i", str(3), "\x00\x01\x01"},
		{"a number of 11 bytes", "wrap /i", str(3), "\x00" + strings.Repeat("\xff", 10) + "\x01"},
		{"a string where a number belongs", "wrap /i", str(3), "\x02\x01a"},
		{"a packed run where one number belongs", "wrap /i", str(3), "\x02\x01\x01"},
		{"a wire type that does not exist", "wrap /i", str(3), "\x07\x01"},
		{"a wire type with the number of a field", "wrap /i", str(3), "\x18\x01"},
		{"three of four bytes", "wrap /f32", str(4), "\x05abc"},
		{"five of four bytes", "wrap /f32", str(4), "\x05abcde"},
		{"eight bytes where four belong", "wrap /f32", str(4), "\x01abcdefgh"},
		{"a message with a byte behind it", "wrap /n", str(6), "\x02\x00\x00"},
		{"a message that ends early", "wrap /n", str(6), "\x02\x03\x0a"},
		{"a message with a padded length", "wrap /n", str(6), "\x02\x80\x00"},
		{"a message whose field has the wrong wire type", "wrap /n", str(6), "\x02" + varint(2) + num(1, 1)},
		{"a message that nests too deeply", "wrap /self", str(22), "\x02" + varint(uint64(len(deep))) + deep},
		{"a group with an end of its own and more", "wrap /g", str(7), "\x03" + tag(7, 4) + str(1, "a")},
		{"a group that ends another one", "wrap /g", str(7), "\x03" + tag(8, 4)},
		{"a group with half a field", "wrap /g", str(7), "\x03" + tag(1, 2)},
		{"a packed run with half a number", "wrap /ri", str(9), "\x02\x01\x80"},
		{"a packed run of five bytes where four are one", "wrap /rf", str(10), "\x02\x05aaaab"},
		{"a value of a map that is none", "wrap /mi/{}", str(15, str(2)), "\x02\x00"},
		{"a field inside a group inside a message", "wrap /g/i", grp(7, str(2)), "\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantMalformed(t, restore(t, s, tt.edits), tt.in, reasonRestored, func(_ int, dst, _ []byte) ([]byte, error) {
				return append(dst, tt.plain...), nil
			})
		})
	}
	t.Run("a value that stays as it is", func(t *testing.T) {
		wantMalformed(t, restore(t, s, "wrap /i"), str(3, "a"), reasonNotWrapped, func(_ int, dst, _ []byte) ([]byte, error) {
			return dst, fmt.Errorf("wrapped: %w", schema.ErrKeep)
		})
	})
	t.Run("a number that nobody wrapped", func(t *testing.T) {
		wantMalformed(t, restore(t, s, "wrap /i"), num(3, 1), reasonMismatch, identity)
	})
}

func TestErrorsOfTheVisitorComeBack(t *testing.T) {
	s := parse(t, wideText)
	want := errors.New("no key")
	fail := visit(func(int, []byte, []byte) ([]byte, error) { return nil, want })
	in := map[string]string{"replace /s": str(1, "a"), "wrap /i": num(3, 1), "wrap /n": str(6), "wrap /ri": str(9, "\x01")}
	for edits, src := range in {
		sealed := rewrite(t, compile(t, s, edits), []byte(src), sealing)
		for way, p := range map[string]schema.Program{src: compile(t, s, edits), string(sealed): restore(t, s, edits)} {
			out, err := p.Rewrite([]byte("before"), []byte(way), fail)
			if !errors.Is(err, want) || string(out) != "before" {
				t.Errorf("%s: %q, %v", edits, out, err)
			}
		}
		// On the way there nothing stays as it is.
		if _, err := compile(t, s, edits).Rewrite(nil, []byte(src), visit(func(int, []byte, []byte) ([]byte, error) { return nil, schema.ErrKeep })); !errors.Is(err, schema.ErrKeep) {
			t.Errorf("%s: error is %v, want ErrKeep", edits, err)
		}
	}
}

// A value that is wrapped must not stay behind in the buffer when what takes its
// place is shorter.
func TestWrappedValuesDoNotStayInTheBuffer(t *testing.T) {
	s := parse(t, wideText)
	secret := strings.Repeat("secret", 20)
	dst, err := compile(t, s, "wrap /n").Rewrite(make([]byte, 0, 1024), []byte(str(6, str(1, secret))), visit(func(_ int, dst, _ []byte) ([]byte, error) {
		return append(dst, "short"...), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(dst[:cap(dst)]), "secret") {
		t.Error("the value stands behind the end of the result")
	}
}

func TestTheSourceIsOnlyRead(t *testing.T) {
	s := parse(t, wideText)
	src := []byte(num(3, 1) + str(6, str(1, "a")) + grp(7, str(1, "b")))
	was := slices.Clone(src)
	p := compile(t, s, "wrap /i wrap /n wrap /g")
	out := rewrite(t, p, src, sealing)
	sealed := slices.Clone(out)
	rewrite(t, restore(t, s, "wrap /i wrap /n wrap /g"), out, opening)
	if !slices.Equal(src, was) || !slices.Equal(out, sealed) {
		t.Error("a record was written to")
	}
}
