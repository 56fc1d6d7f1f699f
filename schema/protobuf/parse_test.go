package protobuf

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/fieldveil/fieldveil/schema"
)

// lines describes fields, one a line.
func lines(s *Schema) (out []string) {
	for _, f := range s.Fields() {
		line := f.Path + " " + f.Place + " " + string(f.Type)
		if f.Nullable {
			line += " nullable"
		}
		if f.Wrapped != "" {
			line += " " + string(f.Wrapped) + " " + hashless(f.Encoding)
		}
		if f.Logical != "" {
			line += " " + f.Logical
		}
		if f.End > 0 {
			line += fmt.Sprintf(" to %d", f.End)
		}
		if f.Sealed {
			line += " sealed"
		}
		out = append(out, line)
	}
	return out
}

// hashless replaces the digest of a message by "#".
func hashless(encoding string) string {
	for _, kind := range []string{"message:", "group:"} {
		if before, after, ok := strings.Cut(encoding, kind); ok {
			return before + kind + "#" + after[2*hashBytes:]
		}
	}
	return encoding
}

func TestFieldsOfEveryType(t *testing.T) {
	s := parse(t, `syntax = "proto2"; package acme; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto";
	message P {
	  required string s = 3;
	  optional bytes b = 1;
	  optional bool o = 2;
	  oneof x { int32 i32 = 4; int64 i64 = 5; uint32 u32 = 6; uint64 u64 = 7; sint32 s32 = 8; sint64 s64 = 9; }
	  required fixed32 f32 = 10; optional fixed64 f64 = 11; optional sfixed32 sf32 = 12; optional sfixed64 sf64 = 13;
	  optional float fl = 14; optional double do = 15; optional E e = 16;
	  repeated int32 ri = 17; repeated group G = 18 { optional string a = 1; }
	  map<int64, E> m = 19;
	  optional google.protobuf.Timestamp ts = 20; optional confluent.type.Decimal dec = 21;
	  optional P p = 22; repeated string rs = 23; message Empty {} optional Empty z = 24;
	}
	enum E { A = 0; }`)
	want := []string{
		"/b /1 bytes nullable",
		"/o /2 boolean nullable bytes bool",
		"/s /3 string",
		"/i32 /4 int32 nullable bytes int32",
		"/i64 /5 int64 nullable bytes int64",
		"/u32 /6 uint32 nullable bytes uint32",
		"/u64 /7 uint64 nullable bytes uint64",
		"/s32 /8 sint32 nullable bytes sint32",
		"/s64 /9 sint64 nullable bytes sint64",
		"/f32 /10 fixed32 bytes fixed32",
		"/f64 /11 fixed64 nullable bytes fixed64",
		"/sf32 /12 sfixed32 nullable bytes sfixed32",
		"/sf64 /13 sfixed64 nullable bytes sfixed64",
		"/fl /14 float nullable bytes float",
		"/do /15 double nullable bytes double",
		"/e /16 enum nullable bytes enum:acme.E",
		"/ri /17 array nullable bytes repeated int32 to 18",
		"/ri/[] /17/[] int32 bytes repeated int32",
		"/g /18 array nullable bytes repeated group:# to 21",
		"/g/[] /18/[] record bytes repeated group:# to 21",
		"/g/[]/a /18/[]/1 string nullable",
		"/m /19 map nullable bytes map<int64, enum:acme.E> to 23",
		"/m/{} /19/{} enum bytes enum:acme.E",
		"/ts /20 record nullable bytes message:# google.protobuf.Timestamp to 26",
		"/ts/seconds /20/1 int64 nullable bytes int64",
		"/ts/nanos /20/2 int32 nullable bytes int32",
		"/dec /21 record nullable bytes message:# confluent.type.Decimal to 30",
		"/dec/value /21/1 bytes nullable",
		"/dec/precision /21/2 uint32 nullable bytes uint32",
		"/dec/scale /21/3 int32 nullable bytes int32",
		"/p /22 record nullable bytes message:# to 31",
		"/rs /23 array nullable bytes repeated string to 33",
		"/rs/[] /23/[] string",
		"/z /24 record nullable bytes message:# to 34",
	}
	got := lines(s)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("field %d: got %q, want %q", i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
	if s.Name() != "acme.P" {
		t.Errorf("name is %q", s.Name())
	}
}

// Two types have one Encoding only when the bytes of one are good bytes of the
// other and mean the same.
func TestEncodingsTellTypesApart(t *testing.T) {
	base := `message Q { int32 a = 1; string b = 2; R r = 3; } message R { string s = 1; Q q = 2; } enum E { Z = 0; } enum F { Y = 0; }`
	encoding := func(decl, text string) string {
		s := parse(t, `syntax = "proto3"; package acme; message P { `+decl+` } `+text)
		return s.Fields()[0].Encoding
	}
	of := encoding("Q f = 1;", base)
	same := map[string]string{
		"other names of fields":        strings.NewReplacer("a = 1", "x = 1", "b = 2", "y = 2").Replace(base),
		"another order":                `message R { Q q = 2; string s = 1; } message Q { R r = 3; string b = 2; int32 a = 1; }`,
		"presence that is explicit":    strings.Replace(base, "int32 a", "optional int32 a", 1),
		"a type that nothing leads to": base + ` message S { int32 a = 1; }`,
	}
	for name, text := range same {
		if got := encoding("Q f = 1;", text); got != of {
			t.Errorf("%s: %q is not %q", name, got, of)
		}
	}
	others := map[string]string{
		"another number":            strings.Replace(base, "a = 1", "a = 4", 1),
		"another number at the end": strings.Replace(base, "r = 3", "r = 9", 1),
		"another type":              strings.Replace(base, "int32 a", "sint32 a", 1),
		"a list":                    strings.Replace(base, "int32 a", "repeated int32 a", 1),
		"another type further down": strings.Replace(base, "string s", "bytes s", 1),
		"one field more":            strings.Replace(base, "int32 a", "int32 c = 9; int32 a", 1),
		"an enum for a number":      strings.Replace(base, "int32 a", "E a", 1),
		"another enum":              strings.Replace(base, "int32 a", "F a", 1),
		"a map":                     strings.Replace(base, "int32 a", "map<string, int32> a", 1),
		"another type of keys":      strings.Replace(base, "int32 a", "map<int32, int32> a", 1),
		"no way back to itself":     strings.Replace(base, "Q q", "E q", 1),
	}
	seen := map[string]string{of: "the type itself"}
	for name, text := range others {
		got := encoding("Q f = 1;", text)
		if seen[got] != "" {
			t.Errorf("%s has the encoding of %s", name, seen[got])
		}
		seen[got] = name
	}
	for _, decl := range []string{"int32 f = 1;", "sint32 f = 1;", "int64 f = 1;", "E f = 1;", "F f = 1;", "R f = 1;", "repeated int32 f = 1;", "repeated Q f = 1;", "map<string, Q> f = 1;", "map<int32, Q> f = 1;", "map<string, R> f = 1;"} {
		got := encoding(decl, base)
		if seen[got] != "" {
			t.Errorf("%s has the encoding of %s", decl, seen[got])
		}
		seen[got] = decl
	}
}

func TestMessageIndexes(t *testing.T) {
	s := parse(t, `syntax = "proto3"; package acme;
	message A { string a = 1; }
	message P {
	  map<string, int32> m = 1;
	  message N { string n = 1; }
	  message Nm { message D { string d = 1; } D d = 1; }
	  N n = 2;
	}
	message Z { string z = 1; }`)
	tests := []struct {
		indexes []int
		want    string
	}{
		{[]int{0}, "acme.A"},
		{[]int{1}, "acme.P"},
		{[]int{2}, "acme.Z"},
		{[]int{1, 1}, "acme.P.N"},
		{[]int{1, 2}, "acme.P.Nm"},
		{[]int{1, 2, 0}, "acme.P.Nm.D"},
		{[]int{1, 0}, ""}, // the entry of the map
		{[]int{1, 3}, ""},
		{[]int{1, 0, 0}, ""},
		{[]int{3}, ""},
		{[]int{-1}, ""},
		{[]int{0, 0}, ""},
		{[]int{1, -1}, ""},
		{nil, ""},
		{slices.Repeat([]int{0}, 1000), ""},
	}
	for _, tt := range tests {
		m, err := s.Message(tt.indexes)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%v leads to %s", tt.indexes, m.Name())
		case tt.want != "" && (err != nil || m.Name() != tt.want):
			t.Errorf("%v leads to %v with error %v, want %s", tt.indexes, m, err, tt.want)
		}
	}
	if m, err := s.Message([]int{0}); err != nil || m != schema.Schema(s) {
		t.Errorf("the first message is %v with error %v, want the schema itself", m, err)
	}
	// Of the others, too, the messages count from the file.
	m, err := s.Message([]int{1, 2, 0})
	if err != nil {
		t.Fatal(err)
	}
	d, ok := m.(schema.Messages)
	if !ok {
		t.Fatal("a nested message has no messages")
	}
	if again, err := d.Message([]int{1}); err != nil || again.Name() != "acme.P" {
		t.Errorf("from a nested message: %v, %v", again, err)
	}
}

func TestMessagesMayBeAskedForAtOnce(t *testing.T) {
	s := parse(t, wideText)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			m, err := s.Message([]int{i % 2})
			if err != nil || len(m.Fields()) == 0 {
				t.Errorf("message %d: %v", i%2, err)
			}
		})
	}
	wait.Wait()
}

// serialized is the descriptor of a text, in base64.
func serialized(t testing.TB, name, text string) (*descriptorpb.FileDescriptorProto, string) {
	t.Helper()
	s := parse(t, text)
	f := proto.CloneOf(s.file.types.protos[s.file.desc.Path()])
	f.Name = new(name)
	raw, err := proto.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return f, base64.StdEncoding.EncodeToString(raw)
}

func TestSerializedDescriptors(t *testing.T) {
	const text = imports + `message P { int64 n = 1; string ssn = 2 [(confluent.field_meta).tags = "PII"]; map<string, int32> m = 3; optional string o = 4; }`
	want := parse(t, text)
	desc, encoded := serialized(t, "default", text)
	common, _ := serialized(t, "common.proto", `syntax = "proto3"; package common; message A { string street = 1; }`)
	check := func(t *testing.T, s *Schema) {
		t.Helper()
		if got := lines(s); !slices.Equal(got, lines(want)) || !slices.Equal(tagsOf(s), tagsOf(want)) {
			t.Errorf("got  %q\nwant %q", got, lines(want))
		}
	}
	t.Run("a file", func(t *testing.T) { check(t, parse(t, encoded)) })
	t.Run("a file without padding", func(t *testing.T) { check(t, parse(t, strings.TrimRight(encoded, "="))) })
	t.Run("a file with a line break behind it", func(t *testing.T) { check(t, parse(t, encoded+"\n")) })
	set := func(files ...*descriptorpb.FileDescriptorProto) string {
		raw, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: files})
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	t.Run("the last file of a set", func(t *testing.T) { check(t, parse(t, set(common, desc))) })
	t.Run("a set with what the last file imports", func(t *testing.T) {
		user := proto.CloneOf(desc)
		user.Dependency = append(user.Dependency, "common.proto")
		user.MessageType[0].Field = append(user.MessageType[0].Field, &descriptorpb.FieldDescriptorProto{
			Name: new("a"), Number: new(int32(9)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), TypeName: new(".common.A"),
		})
		s := parse(t, set(common, user))
		fieldAt(t, s, "/a/street")
		text, changed, err := s.Derive(on(t, s, "wrap /n wrap /a"), schema.Origin{ID: 1})
		if err != nil || !changed || len(text.References) != 1 || text.Names[0] != "common.proto" {
			t.Fatalf("derived %+v, %v", text, err)
		}
	})
	t.Run("a reference that names itself", func(t *testing.T) {
		_, ref := serialized(t, "common.proto", `syntax = "proto3"; package common; message A { string street = 1; }`)
		s := parseText(t, schema.Text{Schema: `syntax = "proto3"; import "common.proto"; message P { common.A a = 1; int32 i = 2; }`, References: []string{ref}})
		fieldAt(t, s, "/a/street")
		if _, _, err := s.Derive(on(t, s, "wrap /i"), schema.Origin{}); err != nil {
			t.Error(err)
		}
	})
}

func TestTextsThatAreRefused(t *testing.T) {
	good := `syntax = "proto3"; message P { string a = 1; }`
	b64 := func(raw string) string { return base64.StdEncoding.EncodeToString([]byte(raw)) }
	deepDescriptor := nested(100, func(in string) string { return str(3, str(1, "M"), in) }, "")
	tests := []struct {
		name string
		text schema.Text
		want string
	}{
		{"another format", schema.Text{Format: schema.Avro, Schema: good}, "format"},
		{"nothing", schema.Text{}, "no message"},
		{"no message", schema.Text{Schema: `syntax = "proto3"; enum E { Z = 0; }`}, "no message"},
		{"a syntax error", schema.Text{Schema: `syntax = "proto3"; message P { string a = ; }`}, "syntax error"},
		{"an import that is not there", schema.Text{Schema: `syntax = "proto3"; import "x.proto"; message P {}`}, "x.proto"},
		{"an import of a path outside", schema.Text{Schema: `syntax = "proto3"; import "../../parse.go"; message P {}`}, "could not resolve"},
		{"an import of itself", schema.Text{Schema: `syntax = "proto3"; import "schema.proto"; message P {}`}, "cycle"},
		{"imports in a circle", schema.Text{Schema: `syntax = "proto3"; import "a.proto"; message P {}`, References: []string{`syntax = "proto3"; import "b.proto";`, `syntax = "proto3"; import "a.proto";`}, Names: []string{"a.proto", "b.proto"}}, "cycle"},
		{"a reference without a name", schema.Text{Schema: good, References: []string{good}}, "no name"},
		{"more names than references", schema.Text{Schema: good, Names: []string{"a"}}, "names"},
		{"two references of one name", schema.Text{Schema: good, References: []string{good, good}, Names: []string{"a", "a"}}, "two files"},
		{"257 references", schema.Text{Schema: good, References: slices.Repeat([]string{good}, 257)}, "256"},
		{"more than a megabyte", schema.Text{Schema: good + strings.Repeat(" ", 1<<20)}, "longer than"},
		{"more than a megabyte in references", schema.Text{Schema: good, References: []string{strings.Repeat(" ", 1<<20)}, Names: []string{"a"}}, "longer than"},
		{"an unknown option", schema.Text{Schema: `syntax = "proto3"; message P { string a = 1 [(confluent.field_meta).tags = "X"]; }`}, "field_meta"},
		{"an unknown type", schema.Text{Schema: `syntax = "proto3"; message P { Q a = 1; }`}, "Q"},
		{"edition 2024", schema.Text{Schema: `edition = "2024"; message P { string a = 1; }`}, "edition"},
		{"a message set", schema.Text{Schema: `syntax = "proto2"; message P { option message_set_wire_format = true; extensions 4 to max; }`}, ""},
		{"65 brackets", schema.Text{Schema: `syntax = "proto3"; message P { option (x) = ` + strings.Repeat("{a:", 65)}, "nests deeper"},
		{"a million brackets", schema.Text{Schema: strings.Repeat("[", 1<<19)}, "nests deeper"},
		{"messages in messages", schema.Text{Schema: `syntax = "proto3"; ` + strings.Repeat("message P { ", 100) + strings.Repeat("}", 100)}, "nests deeper"},
		{"many imports", schema.Text{Schema: `syntax = "proto3"; ` + strings.Repeat(`/*;*/import"x.proto";`, 1025)}, "1024 imports"},
		{"many reserved numbers", schema.Text{Schema: `syntax = "proto3"; message P { reserved 1` + strings.Repeat(", 2", 2048) + `; }`}, "2048 reserved"},
		{"many statements of reserved numbers", schema.Text{Schema: `syntax = "proto3"; message P {` + strings.Repeat("\n// it's; \nreserved 1 /* ; */;", 2049) + ` }`}, "2048 reserved"},
		{"many ranges of extensions", schema.Text{Schema: `syntax = "proto2"; message P { string a = 1; extensions 1` + strings.Repeat(", 2", 2048) + `; }`}, "2048 reserved"},
		{"many tags", schema.Text{Schema: imports + `message P { string a = 1 [(confluent.field_meta) = {` + strings.Repeat(`tags: "a" tags: "b" `, 20_000) + manyTagLines() + `}]; }`}, "more than 64 tags"},
		{"base64 of many ranges", schema.Text{Schema: b64(str(1, "x.proto") + str(4, str(1, "M"), strings.Repeat(str(10, "a"), 2049)))}, "2048 reserved"},
		{"base64 of many imports", schema.Text{Schema: b64(str(1, "x.proto") + str(4, str(1, "M")) + strings.Repeat(str(3, "a"), 1025))}, "1024 imports"},
		{"base64 of nothing that is known", schema.Text{Schema: b64("hello world, here I am")}, "neither"},
		{"base64 of a truncated descriptor", schema.Text{Schema: b64("\x0a\x10abc")}, "neither"},
		{"base64 of an empty set", schema.Text{Schema: b64("\x0a\x00")}, "no message"},
		{"base64 of a descriptor that nests", schema.Text{Schema: b64(str(1, "x.proto") + str(4, str(1, "M"), deepDescriptor))}, ""},
		{"base64 of a field without a type", schema.Text{Schema: b64(str(1, "x.proto") + str(4, str(1, "M"), str(2, str(1, "f"), num(3, 1))))}, ""},
		{"an original type without an origin", schema.Text{Schema: imports + `message P { bytes a = 1 [(confluent.field_meta) = {params: [{key: "fieldveil.type", value: "int32"}]}]; }`}, "derived from"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.text.Format == "" {
				tt.text.Format = schema.Protobuf
			}
			_, err := Parse(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error is %v, want one with %q", err, tt.want)
			}
			if len(err.Error()) > 2*maxError {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if s, err := Parser(tt.text); s != nil || err == nil {
				t.Errorf("Parser gives %v, %v", s, err)
			}
		})
	}
}

func TestErrorsQuoteLittleOfTheSchema(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, text := range []string{
		`syntax = "proto3"; message P { ` + long + ` a = 1; }`,
		`syntax = "proto3"; import "` + long + `"; message P {}`,
		`syntax = "proto3"; message P { string a = 1 [(` + long + `) = 1]; }`,
		`syntax = "proto3"; message ` + long + ` { E e = 1; enum E { Z = 1; } }`,
		imports + `message P { message ` + long + ` { enum E { Z = 0 [(confluent.enum_value_meta).tags = "PII"]; } } }`,
		imports + `message ` + long + ` { map<string, string> m = 1; bytes b = 2 [(confluent.field_meta) = {params: [{key: "fieldveil.type", value: "x"}]}]; }`,
	} {
		_, err := Parse(schema.Text{Format: schema.Protobuf, Schema: text})
		if err == nil || len(err.Error()) > 2*maxError {
			t.Errorf("error of %d bytes", len(fmt.Sprint(err)))
		}
	}
}

func TestSchemasThatGrowAreRefused(t *testing.T) {
	// Twenty types that each name the next one twice.
	var doubling strings.Builder
	doubling.WriteString(`syntax = "proto3"; `)
	for i := range 20 {
		fmt.Fprintf(&doubling, "message M%d { M%d a = 1; M%d b = 2; } ", i, i+1, i+1)
	}
	doubling.WriteString("message M20 { string s = 1; }")
	var chain strings.Builder
	chain.WriteString(`syntax = "proto3"; `)
	for i := range 200 {
		fmt.Fprintf(&chain, "message M%d { M%d a = 1; } ", i, i+1)
	}
	chain.WriteString("message M200 { string s = 1; }")
	// Types that all lead to all others.
	var dense strings.Builder
	dense.WriteString(`syntax = "proto3"; `)
	for i := range 200 {
		fmt.Fprintf(&dense, "message M%d { ", i)
		for j := range 200 {
			fmt.Fprintf(&dense, "M%d f%d = %d; ", j, j, j+1)
		}
		dense.WriteString("} ")
	}
	for name, text := range map[string]string{"doubling": doubling.String(), "a chain": chain.String(), "all to all": dense.String()} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(schema.Text{Format: schema.Protobuf, Schema: text}); err == nil {
				t.Error("it is accepted")
			}
		})
	}
}

func manyTagLines() string {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "tags: \"t%d\" ", i)
	}
	return b.String()
}

// The count before parsing must not take other things for ranges and imports.
func TestWordsThatAreNoStatements(t *testing.T) {
	var b strings.Builder
	b.WriteString("syntax = \"proto3\"; // import; reserved 1, 2;\nmessage P {")
	for i := range 2100 {
		fmt.Fprintf(&b, "int32 reserved%d = %d; /* ; reserved 1, 2 */ // ; import\n", i, i+1)
	}
	b.WriteString("string import = 2101; string extensions = 2102 [json_name = \"; reserved 1, 2; \\\" import \"]; }")
	if s := parse(t, b.String()); len(s.Fields()) != 2102 {
		t.Errorf("%d fields", len(s.Fields()))
	}
}
