package protobuf

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

func derive(t testing.TB, s *Schema, spec string) (*Schema, schema.Text) {
	t.Helper()
	text, changed, err := s.Derive(on(t, s, spec), schema.Origin{ID: 42, Digest: s.file.text.Digest()})
	if err != nil || !changed {
		t.Fatalf("Derive: changed %t, error %v", changed, err)
	}
	return parseText(t, text), text
}

func TestADerivedSchemaIsText(t *testing.T) {
	s := parse(t, `syntax = "proto3";
package acme.customers;
import "confluent/meta.proto";
// A customer.
message Customer {
  string name = 1 [(confluent.field_meta).tags = "PII"];
  int64 born = 2 [(confluent.field_meta) = {doc: "day of birth", tags: ["PII", "DATE"], params: [{key: "unit", value: "days"}]}];
  Address home = 3;
  repeated int32 codes = 4 [packed = true, json_name = "c"];
  map<string, double> scores = 5;
  message Address { string street = 1; }
  oneof contact { string mail = 6; bool call = 7; }
}`)
	const want = `syntax = "proto3";

package acme.customers;

import "confluent/meta.proto";

option (confluent.file_meta) = { params: [{ key: "fieldveil.derived.id", value: "42" }, { key: "fieldveil.derived.sha256", value: "DIGEST" }] };

message Customer {
  string name = 1 [(confluent.field_meta) = { tags: ["PII"] }];
  bytes born = 2 [(confluent.field_meta) = { doc: "day of birth", params: [{ key: "fieldveil.type", value: "int64" }, { key: "unit", value: "days" }], tags: ["PII", "DATE"] }];
  bytes home = 3 [(confluent.field_meta) = { params: [{ key: "fieldveil.type", value: ".acme.customers.Customer.Address" }] }];
  repeated bytes codes = 4 [json_name = "c", (confluent.field_meta) = { params: [{ key: "fieldveil.part", value: "[]" }, { key: "fieldveil.type", value: "repeated int32" }] }];
  repeated bytes scores = 5 [(confluent.field_meta) = { params: [{ key: "fieldveil.type", value: "map<string, double>" }] }];
  oneof contact {
    string mail = 6;
    bytes call = 7 [(confluent.field_meta) = { params: [{ key: "fieldveil.type", value: "bool" }] }];
  }
  message ScoresEntry {
    string key = 1;
    double value = 2;
  }
  message Address {
    string street = 1;
  }
}
`
	_, text := derive(t, s, "wrap /born wrap /home wrap /codes/[] wrap /scores wrap /call replace /name")
	origin, ok := parseText(t, text).Origin()
	if !ok || origin.ID != 42 || origin.Digest != s.file.text.Digest() {
		t.Errorf("origin is %v, %t", origin, ok)
	}
	got := text.Schema
	if i := strings.Index(got, `sha256", value: "`); i >= 0 {
		got = got[:i+17] + "DIGEST" + got[i+17+64:]
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, ok := s.Origin(); ok {
		t.Error("the original says that it was derived")
	}
}

func TestADerivedSchemaDescribesTheOriginal(t *testing.T) {
	s := parse(t, wideText)
	spec := "replace /s wrap /i wrap /f64 wrap /n wrap /g wrap /rs wrap /ri/[] wrap /rn/[] wrap /rg wrap /ms wrap /mi/{} wrap /mn/{} wrap /on wrap /e wrap /q wrap /self wrap /z"
	d, _ := derive(t, s, spec)
	sealed := 0
	for i, f := range d.Fields() {
		of := s.Fields()[i]
		if f.Sealed {
			sealed++
			f.Sealed = false
		}
		if f.Path != of.Path || !equalFields(&f, &of) {
			t.Errorf("field %+v, originally %+v", f, of)
		}
	}
	if sealed != 16 {
		t.Errorf("%d fields are sealed, want 16", sealed)
	}
	for _, path := range []string{"/i", "/n", "/rs", "/ri/[]", "/mi/{}", "/mn/{}", "/q"} {
		if !d.Fields()[fieldAt(t, d, path)].Sealed {
			t.Errorf("%s is not sealed", path)
		}
	}

	src := str(1, "a") + num(3, 7) + f64(5, 1) + str(6, str(1, "a"), num(99, 1)) + grp(7, num(2, 1)) + str(8, "x") + str(9, "\x01\x02") + num(9, 1) +
		str(12, str(1, "x")) + grp(13, str(1, "y")) + str(14, str(1, "k"), str(2, "v")) + str(15, str(1, "k"), num(2, 1)) + str(16, num(1, 1), str(2, str(1, "a"))) +
		str(19, num(2, 1)) + num(20, 1) + num(21, 1) + str(22, str(1, "b"), num(3, 1)) + num(2048, 1) + num(23, 1)
	out := rewrite(t, compile(t, s, spec), []byte(src), hexing)
	for name, reader := range map[string]*Schema{"original": s, "derived": d} {
		if got := rewrite(t, restore(t, reader, spec), out, unhexing); string(got) != src {
			t.Errorf("by the %s schema: %q, want %q", name, got, src)
		}
	}
	// Some fields can be restored and the others stay.
	part := rewrite(t, restore(t, d, "wrap /i wrap /mi/{} wrap /ri/[]"), out, unhexing)
	if !strings.Contains(string(part), num(3, 7)) || !strings.Contains(string(part), str(15, str(1, "k"), num(2, 1))) {
		t.Errorf("part of it: %q", part)
	}
	if got := rewrite(t, compile(t, d, ""), out, identity); !bytes.Equal(got, out) {
		t.Error("a protected record does not pass by its schema")
	}
	wantMalformed(t, compile(t, d, ""), num(3, 7), reasonMismatch, identity)
}

func TestEditsOfDerivedSchemas(t *testing.T) {
	s := parse(t, wideText)
	d, _ := derive(t, s, "wrap /i wrap /n wrap /ri/[] wrap /rf wrap /mi/{}")
	tests := []struct {
		edits            string
		compile, restore string
	}{
		{"wrap /i", "records of this schema are protected already", ""},
		{"nullify /i", "records of this schema are protected already", "a value that was left out cannot be restored"},
		{"replace /s", "", ""},
		{"nullify /s", "", "a value that was left out cannot be restored"},
		{"replace /n/s", "lies inside a value that is wrapped", "lies inside a value that is wrapped"},
		{"wrap /n/i", "lies inside a value that is wrapped", "lies inside a value that is wrapped"},
		{"wrap /ri", "is not wrapped in records of this schema", "is not wrapped in records of this schema"},
		{"wrap /ri/[]", "records of this schema are protected already", ""},
		{"wrap /rf", "records of this schema are protected already", ""},
		{"wrap /rf/[]", "lies inside a value that is wrapped", "lies inside a value that is wrapped"},
		{"wrap /mi", "is not wrapped in records of this schema", "is not wrapped in records of this schema"},
		{"nullify /mi", "its elements are wrapped", "a value that was left out cannot be restored"},
		{"wrap /f32", "is not wrapped in records of this schema", "is not wrapped in records of this schema"},
	}
	for _, tt := range tests {
		edits := on(t, d, tt.edits)
		_, err := d.Compile(edits, schema.RejectUnknown)
		_, back := d.Restore(edits, schema.RejectUnknown)
		for want, err := range map[string]error{"c" + tt.compile: err, "r" + tt.restore: back} {
			fit, ok := errors.AsType[*FitError](err)
			if want[1:] == "" && err != nil || want[1:] != "" && (!ok || fit.Reason != want[1:]) {
				t.Errorf("%s: error is %v, want %q", tt.edits, err, want)
			}
		}
	}
	// What holds a sealed field can be left out as it stands.
	inner := parse(t, `syntax = "proto3"; message P { Q q = 1; } message Q { int32 n = 1; }`)
	d2, _ := derive(t, inner, "wrap /q/n")
	if got := rewrite(t, compile(t, d2, "nullify /q"), []byte(str(1, str(1, "sealed"))), identity); len(got) > 0 {
		t.Errorf("left is %q", got)
	}
	if _, changed, err := d.Derive(on(t, d, "replace /s"), schema.Origin{}); changed || err != nil {
		t.Errorf("edits that keep all types: %t, %v", changed, err)
	}
	if _, _, err := d.Derive(on(t, d, "wrap /f64"), schema.Origin{}); err == nil {
		t.Error("a derived schema is derived again")
	}
}

func TestEditsThatKeepTypesKeepTheSchema(t *testing.T) {
	s := parse(t, wideText)
	text, changed, err := s.Derive(on(t, s, "replace /s replace /n/s nullify /i nullify /rs"), schema.Origin{ID: 1})
	if err != nil || changed || text.Schema != wideText {
		t.Errorf("changed %t, error %v", changed, err)
	}
}

func TestTypesInSeveralPlaces(t *testing.T) {
	s := parseText(t, schema.Text{
		Schema:     `syntax = "proto3"; package acme; import "c.proto"; message P { Q a = 1; Q b = 2; repeated Q c = 3; R r = 4; common.A x = 5; } message Q { int64 n = 1; string s = 2; } message R { Q q = 1; int32 i = 2; }`,
		References: []string{`syntax = "proto3"; package common; message A { int32 i = 1; string s = 2; }`}, Names: []string{"c.proto"},
	})
	tests := []struct{ name, edits, path string }{ // path of the error
		{"one of several", "wrap /a/n", "/b/n"},
		{"all of them", "wrap /a/n wrap /b/n wrap /c/[]/n wrap /r/q/n", ""},
		{"one inside and the others whole", "wrap /a/n wrap /b wrap /c wrap /r/q", ""},
		{"one inside and the others whole or left out", "wrap /a/n nullify /b wrap /c/[] nullify /r", ""},
		{"one inside, one not", "wrap /a/n wrap /b wrap /c", "/r/q/n"},
		{"a type of one place", "wrap /r/i", ""},
		{"a field of an imported type", "wrap /x/i", "/x/i"},
		{"a whole imported message", "wrap /x", ""},
		{"a string in one of several", "replace /a/s wrap /r/i", ""},
		{"a string of an imported type", "replace /x/s wrap /r/i", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			edits := on(t, s, tt.edits)
			// The program runs in any case: types stand in its way in the text alone.
			compile(t, s, tt.edits)
			_, _, err := s.Derive(edits, schema.Origin{})
			fit, ok := errors.AsType[*FitError](err)
			if tt.path == "" && err != nil || tt.path != "" && (!ok || fit.Path != tt.path) {
				t.Errorf("error is %v, want one of %q", err, tt.path)
			}
		})
	}
	d, _ := derive(t, s, "wrap /a/n wrap /b wrap /c wrap /r/q")
	src := str(1, num(1, 5)) + str(2, num(1, 6), str(2, "b")) + str(3, num(1, 7)) + str(4, str(1, num(1, 8)), num(2, 9)) + str(5, num(1, 1))
	spec := "wrap /a/n wrap /b wrap /c wrap /r/q"
	out := rewrite(t, compile(t, s, spec), []byte(src), hexing)
	if got := rewrite(t, restore(t, d, spec), out, unhexing); string(got) != src {
		t.Errorf("%q came back as %q", src, got)
	}
}

func TestMessageIndexesHoldInDerivedSchemas(t *testing.T) {
	s := parse(t, `syntax = "proto2"; package acme;
	message A { optional string a = 1; }
	message P {
	  map<string, int32> m = 1;
	  optional group G = 2 { optional int32 i = 1; }
	  message N { optional int32 n = 1; }
	  map<string, N> mn = 3;
	  message D { message E { optional string s = 1; } optional E e = 1; }
	  optional N n = 4; optional D d = 5;
	}`)
	m, err := s.Message([]int{1})
	if err != nil {
		t.Fatal(err)
	}
	p := as[*Schema](m)
	text, _, err := p.Derive(on(t, p, "wrap /m wrap /g wrap /mn wrap /d"), schema.Origin{ID: 3})
	if err != nil {
		t.Fatal(err)
	}
	d := parseText(t, text)
	for _, indexes := range [][]int{{0}, {1}, {1, 2}, {1, 4}, {1, 4, 0}} {
		was, err := s.Message(indexes)
		is, derr := d.Message(indexes)
		if err != nil || derr != nil || was.Name() != is.Name() {
			t.Errorf("%v led to %v, %v and leads to %v, %v", indexes, was, err, is, derr)
		}
	}
	again, err := d.Message([]int{1})
	if err != nil {
		t.Fatal(err)
	}
	src := str(1, str(1, "k"), num(2, 1)) + grp(2, num(1, 1)) + str(3, str(1, "k"), str(2, num(1, 1))) + str(5, str(1, str(1, "a")))
	out := rewrite(t, compile(t, p, "wrap /m wrap /g wrap /mn wrap /d"), []byte(src), hexing)
	if got := rewrite(t, restore(t, as[*Schema](again), "wrap /m wrap /g wrap /mn wrap /d"), out, unhexing); string(got) != src {
		t.Errorf("%q came back as %q", src, got)
	}
	// Of the others, records are as they were.
	if _, ok := as[schema.Derived](again).Origin(); !ok {
		t.Error("a message of a derived file does not tell its origin")
	}
}

// Everything that a file can declare comes through the printer as it was: Derive
// compares the descriptors, so it is enough that it succeeds.
func TestAllDeclarationsComeThrough(t *testing.T) {
	tests := []struct{ name, text, edits string }{
		{"proto2", `syntax = "proto2";
package acme.confluent;
import public "google/protobuf/timestamp.proto";
import "google/protobuf/descriptor.proto";
import "google/protobuf/any.proto";
option java_package = "com.acme\t\"quoted\" \\ \001\377é";
option java_multiple_files = true;
option optimize_for = CODE_SIZE;
option (file_opt) = -7;
message Opt {
  optional string s = 1; repeated int32 i = 2; optional Opt o = 3; map<string, Opt> m = 4; optional double d = 5; optional bytes b = 6; optional E e = 7;
  repeated Opt r = 8; extensions 100 to 200; optional float f = 9; optional bool t = 10; optional uint64 u = 11;
  optional group Grp = 12 { optional string x = 1; } optional google.protobuf.Any any = 13;
  enum E { ZERO = 0; ONE = 1; }
}
extend Opt { optional string inner = 100; repeated Opt inners = 101; }
extend google.protobuf.FileOptions { optional sint32 file_opt = 50001; }
extend google.protobuf.FieldOptions { optional Opt field_opt = 50002; repeated string list = 50003; repeated Opt opts = 50004; optional double dbl = 50005; optional float flt = 50006; optional Opt.E en = 50007; optional bytes raw = 50008; }
extend google.protobuf.MessageOptions { optional bool msg_opt = 50002; }
extend google.protobuf.OneofOptions { optional fixed64 oneof_opt = 50002; }
extend google.protobuf.EnumOptions { optional string enum_opt = 50002; }
extend google.protobuf.EnumValueOptions { optional string value_opt = 50002; }
extend google.protobuf.ServiceOptions { optional string service_opt = 50002; }
extend google.protobuf.MethodOptions { optional string method_opt = 50002; }
extend google.protobuf.ExtensionRangeOptions { optional string range_opt = 50002; }
message P {
  option (msg_opt) = true;
  option deprecated = true;
  option no_standard_descriptor_accessor = false;
  reserved 5, 10 to 20, 1000 to max;
  reserved "gone", "also_gone";
  extensions 100 to 199 [(range_opt) = "r"];
  extensions 300;
  optional int32 w = 1 [default = -5, deprecated = true];
  optional int64 w64 = 32 [jstype = JS_STRING, (field_opt) = {s: "a\nb"}];
  required string s = 2 [default = "a\"b\\c\001é", (list) = "x", (list) = "y", ctype = CORD];
  optional bytes b = 3 [default = "\000\377\"'\\x"];
  optional double d = 4 [default = -inf, (field_opt) = {s: "t", i: [1, -2], o: {s: "n"}, m: [{key: "k", value: {s: "v"}}, {key: "a"}], d: 1e100, b: "\001\377", e: ONE, r: [{}, {s: "z"}], [acme.confluent.inner]: "ext", [acme.confluent.inners]: [{s: "q"}], f: nan, t: true, u: 18446744073709551615, Grp { x: "g" }, any: { [type.googleapis.com/acme.confluent.Opt] { s: "any" } }}];
  optional float f = 6 [default = nan, (dbl) = inf, (flt) = -1.5e-7, (en) = ONE, (raw) = "\x00\xff"];
  optional E e = 7 [default = TWO, (opts) = {s: "1"}, (opts) = {s: "2"}];
  optional bool t = 8 [default = true];
  optional uint64 u = 9 [default = 18446744073709551615];
  repeated int32 packed = 21 [packed = true];
  repeated group Rep = 22 { option deprecated = true; optional int32 i = 1; message Inner { optional string s = 1; } optional Inner inner = 2; extensions 5 to 6; }
  map<string, Q> m = 23 [deprecated = true];
  message BeforeTheGroup { optional int32 i = 1; }
  oneof choice { option (oneof_opt) = 9; string c1 = 24; group C2 = 25 { optional string s = 1; } Q c3 = 26 [lazy = true]; int32 c4 = 27; }
  enum E { option allow_alias = true; option (enum_opt) = "e"; reserved 5, 10 to max, -5 to -3; reserved "OLD"; ONE = 1; TWO = 2 [deprecated = true, (value_opt) = "v"]; ZWEI = 2; MINUS = -1; }
  message Q { optional P p = 1; extend P { optional int32 in_q = 110; repeated Q qs = 111; } }
  optional google.protobuf.Timestamp ts = 28;
  optional string confluent = 29;
  optional string some_name = 30 [json_name = "Other\"Name"];
  optional string _odd__name_ = 31;
}
extend P { optional string in_file = 120 [default = "x"]; repeated int32 nums = 121 [packed = true]; }
service S { option (service_opt) = "s"; option deprecated = true; rpc A(P) returns (P); rpc B(stream P) returns (stream P.Q) { option (method_opt) = "m"; option idempotency_level = NO_SIDE_EFFECTS; } }
`, "wrap /w wrap /w64 wrap /d wrap /f wrap /e wrap /t wrap /u wrap /packed wrap /rep wrap /m wrap /c2 wrap /c3 wrap /c4 wrap /ts"},
		{"edition 2023", `edition = "2023";
package acme;
option features.field_presence = IMPLICIT;
option features.enum_type = CLOSED;
option features.repeated_field_encoding = EXPANDED;
message P {
  int32 i = 1;
  string s = 2 [features.field_presence = EXPLICIT];
  int64 r = 3 [features.field_presence = LEGACY_REQUIRED];
  repeated int32 n = 4 [features.repeated_field_encoding = PACKED];
  Q q = 5 [features.message_encoding = DELIMITED];
  repeated Q qs = 6 [features.message_encoding = DELIMITED];
  string t = 7 [features.utf8_validation = NONE];
  map<string, Q> m = 8;
  message Q { string s = 1; reserved foo, bar; reserved 7; }
  enum E { option features.enum_type = OPEN; ZERO = 0; reserved GONE; }
  E e = 9;
  oneof o { int32 a = 10; E b = 11; }
  int32 d = 12 [features.field_presence = EXPLICIT, default = 5];
}
`, "wrap /i wrap /r wrap /n wrap /q wrap /qs wrap /m wrap /e wrap /a wrap /d"},
		{"proto3 without a package", `syntax = "proto3"; import weak "google/protobuf/duration.proto"; message P { optional int32 i = 1; optional string o = 2; oneof x { bool b = 3; } google.protobuf.Duration d = 4; int32 fieldveil = 5; optional P p = 6; }`, "wrap /i wrap /b wrap /d wrap /p"},
		{"names of the options in the way", `syntax = "proto3"; package fieldveil.confluent.v1; import "confluent/meta.proto"; message confluent { string field_meta = 1 [(.confluent.field_meta).tags = "PII"]; int32 i = 2; enum google { Z = 0; } google g = 3; }`, "wrap /i wrap /g"},
		{"groups in oneofs behind other types", `syntax = "proto2"; message P { optional int32 i = 1; message A { optional int32 i = 1; }
			oneof o { string s = 2; group G = 3 { optional A a = 1; } A a = 4; group H = 5 { optional int32 i = 1; } } message B {} optional B b = 6;
			oneof q { group J = 7 { optional int32 i = 1; } } message C {} oneof r { C c = 8; group K = 9 {} } }`, "wrap /i"},
		{"no syntax", `message P { optional int32 i = 1; }`, "wrap /i"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			if i := slices.IndexFunc(s.Fields(), func(f schema.Field) bool { return f.Path == "/w" }); i < 0 && tt.name == "proto2" {
				m, err := s.Message([]int{1})
				if err != nil {
					t.Fatal(err)
				}
				s = as[*Schema](m)
			}
			text, changed, err := s.Derive(on(t, s, tt.edits), schema.Origin{ID: 1})
			if err != nil || !changed {
				t.Fatalf("changed %t, error %v", changed, err)
			}
			// The text is one that compiles to itself: it is the same when it is
			// written again.
			d := parseText(t, text)
			again, err := printFile(d.file.types.protos[d.file.desc.Path()])
			if err != nil || again != text.Schema {
				t.Errorf("written again it is\n%s\nwant\n%s", again, text.Schema)
			}
		})
	}
}

// TestNamesThatNoTextCanReserve: a descriptor may reserve what is no name, and the
// text of a schema may not. Such a schema protects all that keeps its type.
func TestNamesThatNoTextCanReserve(t *testing.T) {
	for _, name := range []string{"", "a b", "1a", "\xd3M4", "a;b", "é"} {
		raw := str(1, "schema.proto") + str(12, "proto3") + str(4, str(1, "M")+str(10, name)+
			str(2, str(1, "i")+num(3, 1)+num(4, 1)+num(5, 5)))
		s, err := Parse(schema.Text{Format: schema.Protobuf, Schema: base64.StdEncoding.EncodeToString([]byte(raw))})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if _, _, err := s.Derive([]schema.Edit{{Field: 0, Op: schema.Wrap}}, schema.Origin{}); !errors.Is(err, errPrint) {
			t.Errorf("%q: Derive: %v", name, err)
		}
	}
}

func TestDerivedTextsThatAreForged(t *testing.T) {
	field := func(decl, typ, part string) string {
		return `message P { ` + decl + ` = 1 [(confluent.field_meta) = {params: [{key: "fieldveil.type", value: "` + typ + `"}, {key: "fieldveil.part", value: "` + part + `"}]}]; } message Q { map<string, int32> m = 1; } enum E { Z = 0; }`
	}
	origin := func(id, digest string) string {
		return `option (confluent.file_meta) = {params: [{key: "fieldveil.derived.id", value: "` + id + `"}, {key: "fieldveil.derived.sha256", value: "` + digest + `"}]}; `
	}
	digest := strings.Repeat("0a", 32)
	good := imports + origin("1", digest)
	parseText(t, schema.Text{Schema: good + field("bytes a", "int32", "")})
	parseText(t, schema.Text{Schema: good + `message P { bytes a = 1 [(fieldveil.v1.field).original = ".acme.P"]; }`})
	parseText(t, schema.Text{Schema: good + field("map<string, bytes> a", "map<string, int32>", "[]")})
	for name, text := range map[string]string{
		"a type that does not exist":          good + field("bytes a", "int33", ""),
		"a message that does not exist":       good + field("bytes a", ".acme.X", ""),
		"a field as the type":                 good + field("bytes a", ".acme.Q.m", ""),
		"an entry as the type":                good + field("bytes a", ".acme.Q.MEntry", ""),
		"an enum as a group":                  good + field("bytes a", "group .acme.E", ""),
		"a list in a field that is none":      good + field("bytes a", "repeated int32", ""),
		"no list in a field that is one":      good + field("repeated bytes a", "int32", ""),
		"elements of a field that is single":  good + field("bytes a", "int32", "[]"),
		"a map in a field that is single":     good + field("bytes a", "map<string, int32>", ""),
		"a map with keys of messages":         good + field("repeated bytes a", "map<.acme.Q, int32>", ""),
		"a map with keys of floats":           good + field("repeated bytes a", "map<float, int32>", ""),
		"a map of groups":                     good + field("repeated bytes a", "map<string, group .acme.Q>", ""),
		"a map without a value":               good + field("repeated bytes a", "map<string>", ""),
		"a map without an end":                good + field("repeated bytes a", "map<string, int32", ""),
		"values of a map that is no map":      good + field("repeated bytes a", "map<string, int32>", "[]"),
		"a map as a whole that is a map":      good + field("map<string, bytes> a", "map<string, int32>", ""),
		"a map with other keys":               good + field("map<int32, bytes> a", "map<string, int32>", "[]"),
		"a map with values that are no bytes": good + field("map<string, int32> a", "map<string, int32>", "[]"),
		"a field that is no bytes":            good + field("string a", "int32", ""),
		"an unknown part":                     good + field("repeated bytes a", "repeated int32", "{}"),
		"a part without a type":               good + field("repeated bytes a", "", "[]"),
		"two types":                           good + `message P { bytes a = 1 [(confluent.field_meta) = {params: [{key: "fieldveil.type", value: "int32"}]}, (fieldveil.v1.field).original = "int64"]; }`,
		"no origin":                           imports + field("bytes a", "int32", ""),
		"an origin and no type":               good + `message P { bytes a = 1; }`,
		"an id that is none":                  imports + origin("x", digest) + field("bytes a", "int32", ""),
		"an id with a sign":                   imports + origin("+1", digest) + field("bytes a", "int32", ""),
		"a negative id":                       imports + origin("-1", digest) + field("bytes a", "int32", ""),
		"a short digest":                      imports + origin("1", "0a") + field("bytes a", "int32", ""),
		"a digest that is none":               imports + origin("1", "x"+digest[1:]) + field("bytes a", "int32", ""),
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := Parse(schema.Text{Format: schema.Protobuf, Schema: text}); err == nil {
				t.Errorf("it is read as %q", lines(s))
			}
		})
	}
}

// Protected records are read by descriptors of the derived text, as any other
// consumer would, and everything that was not edited is as it was.
func TestProtectedRecordsAreReadByTheDerivedSchema(t *testing.T) {
	s := parse(t, wideText)
	spec := "replace /s wrap /i wrap /g wrap /ri wrap /ms wrap /mi/{} wrap /self"
	d, _ := derive(t, s, spec)
	src := str(1, "a") + str(2, "b") + num(3, 7) + str(6, str(1, "a")) + grp(7, num(2, 1)) + str(8, "x") + str(9, "\x01\x02") + num(9, 1) +
		str(14, str(1, "k"), str(2, "v")) + str(15, str(1, "k"), num(2, 1)) + num(21, 1) + str(22, str(1, "b"), num(21, 1))
	out := rewrite(t, compile(t, s, spec), []byte(src), sealing)
	desc, err := d.file.types.files.FindDescriptorByName("acme.P")
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(as[protoreflect.MessageDescriptor](desc))
	if err := proto.Unmarshal(out, m); err != nil {
		t.Fatal(err)
	}
	get := func(name string) protoreflect.Value {
		return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	if got := get("s").String(); got != "sealed-0:a" {
		t.Errorf("s is %q", got)
	}
	if got := string(get("i").Bytes()); got != "sealed-1:\x00\x07" {
		t.Errorf("i is %q", got)
	}
	if got := string(get("g").Bytes()); got != "sealed-2:\x03"+num(2, 1) {
		t.Errorf("g is %q", got)
	}
	if got := get("ri").List(); got.Len() != 2 || string(got.Get(0).Bytes()) != "sealed-3:\x02\x02\x01\x02" || string(got.Get(1).Bytes()) != "sealed-3:\x00\x01" {
		t.Errorf("ri is %v", got)
	}
	if got := get("ms").List(); got.Len() != 1 || string(got.Get(0).Bytes()) != "sealed-4:\x02\x06"+str(1, "k")+str(2, "v") {
		t.Errorf("ms is %v", got)
	}
	if got := get("mi").Map().Get(protoreflect.ValueOfString("k").MapKey()); string(got.Bytes()) != "sealed-5:\x00\x01" {
		t.Errorf("mi is %v", got)
	}
	if got := get("rs").List(); got.Len() != 1 || got.Get(0).String() != "x" {
		t.Errorf("rs is %v", got)
	}
	if len(m.GetUnknown()) > 0 {
		t.Errorf("fields that the derived schema does not know: % x", m.GetUnknown())
	}
}
