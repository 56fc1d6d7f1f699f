package avro

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// bracketed is a protection that an eye can follow: <value>.
func bracketed(_ int, dst, value []byte) ([]byte, error) {
	return append(append(append(dst, '<'), value...), '>'), nil
}

var errBrackets = errors.New("not in brackets")

func unbracketed(_ int, dst, value []byte) ([]byte, error) {
	if len(value) < 2 || value[0] != '<' || value[len(value)-1] != '>' {
		return dst, errBrackets
	}
	return append(dst, value[1:len(value)-1]...), nil
}

// editsOf reads edits such as "replace /a", "wrap int /b" and "nullify /c".
func editsOf(t testing.TB, s *Schema, texts ...string) (edits []schema.Edit) {
	t.Helper()
	ops := map[string]schema.Op{"replace": schema.Replace, "nullify": schema.Nullify, "wrap": schema.Wrap, "number": schema.Number}
	for _, text := range texts {
		op, where, _ := strings.Cut(text, " ")
		e := wrapAt(t, s, where)[0]
		e.Op = ops[op]
		edits = append(edits, e)
	}
	return edits
}

// conformance are records of one field "v" and one "z" behind it, the string
// "end", which nobody edits. Each says what becomes of the value.
var conformance = []struct {
	name  string
	typ   string // of v
	edits []string
	in    string
	want  string
}{
	{"a string", `"string"`, []string{"replace /v"}, "\x04ab", "\x08<ab>"},
	{"an empty string", `"string"`, []string{"replace /v"}, "\x00", "\x04<>"},
	{"bytes", `"bytes"`, []string{"replace /v"}, "\x04\x00\xff", "\x08<\x00\xff>"},
	{"a string with a logical type, its content", `{"type":"string","logicalType":"uuid"}`, []string{"replace /v"}, "\x04ab", "\x08<ab>"},
	{"a string with a logical type, as a whole", `{"type":"string","logicalType":"uuid"}`, []string{"wrap /v"}, "\x04ab", "\x0a<\x04ab>"},
	{"a decimal in bytes", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, []string{"wrap /v"}, "\x04\x01\x02", "\x0a<\x04\x01\x02>"},
	{"a decimal in a fixed", `{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4}`, []string{"wrap /v"}, "\x01\x02", "\x08<\x01\x02>"},
	{"a boolean", `"boolean"`, []string{"wrap /v"}, "\x01", "\x06<\x01>"},
	{"an int", `"int"`, []string{"wrap /v"}, "\x02", "\x06<\x02>"},
	{"an int in more bytes than it needs stays that", `"int"`, []string{"wrap /v"}, "\x82\x80\x00", "\x0a<\x82\x80\x00>"},
	{"the least int", `"int"`, []string{"wrap /v"}, "\xff\xff\xff\xff\x0f", "\x0e<\xff\xff\xff\xff\x0f>"},
	{"a long", `"long"`, []string{"wrap /v"}, "\x80\x02", "\x08<\x80\x02>"},
	{"a date", `{"type":"int","logicalType":"date"}`, []string{"wrap /v"}, "\x04", "\x06<\x04>"},
	{"a timestamp", `{"type":"long","logicalType":"timestamp-micros"}`, []string{"wrap /v"}, "\x80\x02", "\x08<\x80\x02>"},
	{"a float", `"float"`, []string{"wrap /v"}, "\x00\x00\x80\x3f", "\x0c<\x00\x00\x80\x3f>"},
	{"a float that is no number", `"float"`, []string{"wrap /v"}, "\x01\x00\xc0\x7f", "\x0c<\x01\x00\xc0\x7f>"},
	{"a double", `"double"`, []string{"wrap /v"}, "\x00\x00\x00\x00\x00\x00\xf0\x3f", "\x14<\x00\x00\x00\x00\x00\x00\xf0\x3f>"},
	{"a negative zero", `"double"`, []string{"wrap /v"}, "\x00\x00\x00\x00\x00\x00\x00\x80", "\x14<\x00\x00\x00\x00\x00\x00\x00\x80>"},
	{"a fixed", `{"type":"fixed","name":"F","size":3}`, []string{"wrap /v"}, "abc", "\x0a<abc>"},
	{"a fixed of nothing", `{"type":"fixed","name":"F","size":0}`, []string{"wrap /v"}, "", "\x04<>"},
	{"a duration", `{"type":"fixed","name":"F","size":12,"logicalType":"duration"}`, []string{"wrap /v"}, "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00", "\x1c<\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00>"},
	{"an enum", `{"type":"enum","name":"E","symbols":["A","B"]}`, []string{"wrap /v"}, "\x02", "\x06<\x02>"},

	{"a nullable string", `["null","string"]`, []string{"replace /v"}, "\x02\x02a", "\x02\x06<a>"},
	{"a nullable string that is null", `["null","string"]`, []string{"replace /v"}, "\x00", "\x00"},
	{"a nullable int", `["null","int"]`, []string{"wrap /v"}, "\x02\x04", "\x02\x06<\x04>"},
	{"a nullable int that is null", `["null","int"]`, []string{"wrap /v"}, "\x00", "\x00"},
	{"a nullable int with null behind", `["int","null"]`, []string{"wrap /v"}, "\x00\x04", "\x00\x06<\x04>"},
	{"a nullable int with null behind that is null", `["int","null"]`, []string{"wrap /v"}, "\x02", "\x02"},
	{"a nullable int with an index in two bytes", `["null","int"]`, []string{"wrap /v"}, "\x82\x00\x04", "\x82\x00\x06<\x04>"},
	{"a null with an index in two bytes", `["null","int"]`, []string{"wrap /v"}, "\x80\x00", "\x80\x00"},
	{"a union of one", `["int"]`, []string{"wrap /v"}, "\x00\x04", "\x00\x06<\x04>"},
	{"a union of null", `["null"]`, nil, "\x00", "\x00"},
	{"a nullable enum that becomes null", `["null",{"type":"enum","name":"E","symbols":["A","B"]}]`, []string{"nullify /v"}, "\x02\x02", "\x00"},
	{"a branch of three, taken", `["null","int","string"]`, []string{"wrap int /v"}, "\x02\x08", "\x02\x06<\x08>"},
	{"a branch of three, another taken", `["null","int","string"]`, []string{"wrap int /v"}, "\x04\x02x", "\x04\x02x"},
	{"two branches of three", `["null","int","string"]`, []string{"wrap int /v", "replace string /v"}, "\x04\x02x", "\x04\x06<x>"},
	{"a union as a whole, an int", `["null","int","string"]`, []string{"wrap union /v"}, "\x02\x08", "\x02\x08<\x02\x08>"},
	{"a union as a whole, a string", `["null","int","string"]`, []string{"wrap union /v"}, "\x04\x02x", "\x02\x0a<\x04\x02x>"},
	{"a union as a whole, null", `["null","int","string"]`, []string{"wrap union /v"}, "\x00", "\x00"},
	{"a union with null in the middle, null", `["int","null","string"]`, []string{"wrap union /v"}, "\x02", "\x02"},
	{"a union with null at the end, null", `["int","string","null"]`, []string{"wrap union /v"}, "\x04", "\x02"},
	{"a union with null at the end, an int", `["int","string","null"]`, []string{"wrap union /v"}, "\x00\x06", "\x00\x08<\x00\x06>"},
	{"a union without null", `["int","string"]`, []string{"wrap union /v"}, "\x00\x06", "\x08<\x00\x06>"},
	{"a union with bytes, as a whole", `["bytes","int"]`, []string{"wrap union /v"}, "\x00\x02x", "\x0a<\x00\x02x>"},
	{"a union that becomes null", `["int","null","string"]`, []string{"nullify union /v"}, "\x04\x02x", "\x02"},
	{"a branch that becomes null, another taken", `["int","null","string"]`, []string{"nullify int /v"}, "\x04\x02x", "\x04\x02x"},

	{"items", `{"type":"array","items":"int"}`, []string{"wrap /v/[]"}, "\x04\x02\x04\x00", "\x04\x06<\x02>\x06<\x04>\x00"},
	{"items in a block with its size", `{"type":"array","items":"int"}`, []string{"wrap /v/[]"}, "\x03\x04\x02\x04\x00", "\x03\x10\x06<\x02>\x06<\x04>\x00"},
	{"items in two blocks", `{"type":"array","items":"int"}`, []string{"wrap /v/[]"}, "\x02\x02\x01\x02\x04\x00", "\x02\x06<\x02>\x01\x08\x06<\x04>\x00"},
	{"no items", `{"type":"array","items":"int"}`, []string{"wrap /v/[]"}, "\x00", "\x00"},
	{"nullable items", `{"type":"array","items":["null","int"]}`, []string{"wrap /v/[]"}, "\x04\x02\x04\x00\x00", "\x04\x02\x06<\x04>\x00\x00"},
	{"items that are unions, as a whole", `{"type":"array","items":["int","null","string"]}`, []string{"wrap union /v/[]"}, "\x06\x00\x04\x02\x04\x02x\x00", "\x06\x00\x08<\x00\x04>\x02\x00\x0a<\x04\x02x>\x00"},
	{"items of no bytes", `{"type":"array","items":{"type":"fixed","name":"F","size":0}}`, []string{"wrap /v/[]"}, "\x04\x00", "\x04\x04<>\x04<>\x00"},
	{"an array as a whole", `{"type":"array","items":"int"}`, []string{"wrap /v"}, "\x04\x02\x04\x00", "\x0c<\x04\x02\x04\x00>"},
	{"an array as a whole, with sizes in too many bytes", `{"type":"array","items":"int"}`, []string{"wrap /v"}, "\x01\x82\x00\x02\x80\x00", "\x10<\x01\x82\x00\x02\x80\x00>"},
	{"an array in an array as a whole, with sizes", `{"type":"array","items":{"type":"array","items":"int"}}`, []string{"wrap /v/[]"}, "\x01\x06\x02\x02\x00\x00", "\x01\x0c\x0a<\x02\x02\x00>\x00"},
	{"a nullable array that becomes null", `["null",{"type":"array","items":"int"}]`, []string{"nullify /v"}, "\x02\x03\x04\x02\x04\x00", "\x00"},
	{"a nullable array that is null", `["null",{"type":"array","items":"int"}]`, []string{"wrap /v"}, "\x00", "\x00"},
	{"values of a map", `{"type":"map","values":"boolean"}`, []string{"wrap /v/{}"}, "\x02\x02k\x01\x00", "\x02\x02k\x06<\x01>\x00"},
	{"values of a map in a block with its size", `{"type":"map","values":"boolean"}`, []string{"wrap /v/{}"}, "\x01\x06\x02k\x01\x00", "\x01\x0c\x02k\x06<\x01>\x00"},
	{"a key in more bytes than it needs stays that", `{"type":"map","values":"boolean"}`, []string{"wrap /v/{}"}, "\x02\x82\x00k\x01\x00", "\x02\x82\x00k\x06<\x01>\x00"},
	{"a map as a whole", `{"type":"map","values":"boolean"}`, []string{"wrap /v"}, "\x02\x02k\x01\x00", "\x0e<\x02\x02k\x01\x00>"},
	{"a map of arrays of nullable doubles", `{"type":"map","values":{"type":"array","items":["null","double"]}}`, []string{"wrap /v/{}/[]"}, "\x02\x02k\x04\x00\x0212345678\x00\x00", "\x02\x02k\x04\x00\x02\x14<12345678>\x00\x00"},

	{"a record as a whole", `{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}`, []string{"wrap /v"}, "\x02\x02x", "\x0a<\x02\x02x>"},
	{"an empty record", `{"type":"record","name":"P","fields":[]}`, []string{"wrap /v"}, "", "\x04<>"},
	{"a field of a record", `{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}`, []string{"wrap /v/a"}, "\x02\x02x", "\x06<\x02>\x02x"},
	{"both fields of a record", `{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}`, []string{"replace /v/b", "wrap /v/a"}, "\x02\x02x", "\x06<\x02>\x06<x>"},
	{"a nullable record as a whole", `["null",{"type":"record","name":"P","fields":[{"name":"a","type":"int"}]}]`, []string{"wrap /v"}, "\x02\x02", "\x02\x06<\x02>"},
	{"a nullable record that becomes null", `["null",{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":{"type":"map","values":"string"}}]}]`, []string{"nullify /v"}, "\x02\x02\x01\x08\x02k\x02x\x00", "\x00"},
	{"a field of one of two records in a union", `[{"type":"record","name":"P","fields":[{"name":"a","type":"int"}]},{"type":"record","name":"Q","fields":[{"name":"b","type":"int"}]}]`, []string{"wrap /v/b"}, "\x02\x02", "\x02\x06<\x02>"},
	{"one of two records in a union", `[{"type":"record","name":"P","fields":[{"name":"a","type":"int"}]},{"type":"record","name":"Q","fields":[{"name":"b","type":"int"}]}]`, []string{"wrap record /v"}, "\x00\x02", "\x00\x06<\x02>"},
	{"items that are records", `{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"a","type":["null","long"]},{"name":"b","type":"string"}]}}`, []string{"wrap /v/[]/a"}, "\x04\x00\x02x\x02\x08\x02y\x00", "\x04\x00\x02x\x02\x06<\x08>\x02y\x00"},
	{"items that are records, as a whole", `{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"a","type":["null","long"]},{"name":"b","type":"string"}]}}`, []string{"wrap /v/[]"}, "\x04\x00\x02x\x02\x08\x02y\x00", "\x04\x0a<\x00\x02x>\x0c<\x02\x08\x02y>\x00"},
	{"a record used twice, wrapped in one place", `{"type":"record","name":"T","fields":[{"name":"a","type":{"type":"record","name":"P","fields":[{"name":"n","type":"int"}]}},{"name":"b","type":"P"}]}`, []string{"wrap /v/a"}, "\x02\x04", "\x06<\x02>\x04"},
	{"a record used twice, wrapped in the other", `{"type":"record","name":"T","fields":[{"name":"a","type":{"type":"record","name":"P","fields":[{"name":"n","type":"int"}]}},{"name":"b","type":"P"}]}`, []string{"wrap /v/b"}, "\x02\x04", "\x02\x06<\x04>"},
	{"a record used twice, its field wrapped in both", `{"type":"record","name":"T","fields":[{"name":"a","type":{"type":"record","name":"P","fields":[{"name":"n","type":"int"}]}},{"name":"b","type":"P"}]}`, []string{"wrap /v/a/n", "wrap /v/b/n"}, "\x02\x04", "\x06<\x02>\x06<\x04>"},
	{"a record used twice, as a whole and its field", `{"type":"record","name":"T","fields":[{"name":"a","type":{"type":"record","name":"P","fields":[{"name":"n","type":"int"}]}},{"name":"b","type":"P"}]}`, []string{"wrap /v/a", "wrap /v/b/n"}, "\x02\x04", "\x06<\x02>\x06<\x04>"},

	{"every level of a list", `{"type":"record","name":"N","fields":[{"name":"n","type":"int"},{"name":"next","type":["null","N"]}]}`, []string{"wrap /v/n"}, "\x02\x02\x04\x02\x06\x00", "\x06<\x02>\x02\x06<\x04>\x02\x06<\x06>\x00"},
	{"a list as a whole", `{"type":"record","name":"N","fields":[{"name":"n","type":"int"},{"name":"next","type":["null","N"]}]}`, []string{"wrap /v"}, "\x02\x02\x04\x02\x06\x00", "\x10<\x02\x02\x04\x02\x06\x00>"},
	{"the children of a tree", `{"type":"record","name":"N","fields":[{"name":"s","type":"string"},{"name":"kids","type":{"type":"array","items":"N"}}]}`, []string{"wrap /v/kids"}, "\x02a\x02\x02b\x00\x00", "\x02a\x0e<\x02\x02b\x00\x00>"},
	{"the names in a tree, in blocks with sizes", `{"type":"record","name":"N","fields":[{"name":"s","type":"string"},{"name":"kids","type":{"type":"array","items":"N"}}]}`, []string{"replace /v/s"}, "\x02a\x01\x06\x02b\x00\x00", "\x06<a>\x01\x0a\x06<b>\x00\x00"},
	{"what holds a recursive type by a map", `{"type":"record","name":"A","fields":[{"name":"s","type":"string"},{"name":"b","type":["null",{"type":"record","name":"B","fields":[{"name":"as","type":{"type":"map","values":"A"}}]}]}]}`, []string{"wrap /v/b"}, "\x02x\x02\x02\x02k\x02y\x00\x00", "\x02x\x02\x12<\x02\x02k\x02y\x00\x00>"},
	{"an int as a number", `"int"`, []string{"number /v"}, "\x04", "\x03"},
	{"an int as a number that gets shorter", `"int"`, []string{"number /v"}, "\x80\x01", "\x7f"},
	{"a long as a number", `"long"`, []string{"number /v"}, zigzag(math.MaxInt64), zigzag(-math.MaxInt64)},
	{"a float as a number", `"float"`, []string{"number /v"}, "\x00\x00\x80\x3f", "\x00\x00\x80\xbf"},
	{"a double as a number", `"double"`, []string{"number /v"}, "\x00\x00\x00\x00\x00\x00\xf0\x3f", "\x00\x00\x00\x00\x00\x00\xf0\xbf"},
	{"a decimal in bytes as a number", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, []string{"number /v"}, "\x04\x01\x02", "\x04\xfe\xfe"},
	{"a decimal in bytes as a number that gets shorter", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, []string{"number /v"}, "\x04\x00\x80", "\x02\x80"},
	{"a decimal in a fixed as a number", `{"type":"fixed","name":"F","size":3,"logicalType":"decimal","precision":4}`, []string{"number /v"}, "\x00\x01\x02", "\xff\xfe\xfe"},
	{"a date as a number", `{"type":"int","logicalType":"date"}`, []string{"number /v"}, "\x04", "\x03"},
	{"a nullable int as a number", `["null","int"]`, []string{"number /v"}, "\x02\x04", "\x02\x03"},
	{"a nullable int as a number that is null", `["int","null"]`, []string{"number /v"}, "\x02", "\x02"},
	{"a number in a union of three, the other taken", `["null","int","string"]`, []string{"number int /v"}, "\x04\x02x", "\x04\x02x"},
	{"two numbers and a text in a union", `["long","int","string"]`, []string{"number int /v", "number long /v", "replace string /v"}, "\x02\x04", "\x02\x03"},
	{"a number beside one that becomes null, taken", `["null","int","long"]`, []string{"number int /v", "nullify long /v"}, "\x02\x04", "\x02\x03"},
	{"a number beside one that becomes null, not taken", `["null","int","long"]`, []string{"number int /v", "nullify long /v"}, "\x04\x04", "\x00"},
	{"a number beside one that is wrapped", `["null","int","long"]`, []string{"number int /v", "wrap long /v"}, "\x02\x04", "\x02\x03"},
	{"a number beside one that is wrapped, that one", `["null","int","long"]`, []string{"number int /v", "wrap long /v"}, "\x04\x04", "\x04\x06<\x04>"},
	{"items as numbers in a block with its size", `{"type":"array","items":"int"}`, []string{"number /v/[]"}, "\x03\x06\x80\x01\x04\x00", "\x03\x04\x7f\x03\x00"},
	{"values as numbers", `{"type":"map","values":["double","int"]}`, []string{"number int /v/{}"}, "\x02\x02k\x02\x04\x00", "\x02\x02k\x02\x03\x00"},
	{"numbers, text, null and a wrapped value in one record", `{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"},{"name":"c","type":"long"}]}`, []string{"number /v/a", "replace /v/b", "wrap /v/c"}, "\x02\x02x\x04", "\x01\x06<x>\x06<\x04>"},
	{"numbers at every level of a list", `{"type":"record","name":"N","fields":[{"name":"n","type":"int"},{"name":"next","type":["null","N"]}]}`, []string{"number /v/n"}, "\x02\x02\x04\x02\x06\x00", "\x01\x02\x03\x02\x05\x00"},
	{"a number of one of two places of a type", `{"type":"record","name":"T","fields":[{"name":"a","type":{"type":"record","name":"P","fields":[{"name":"n","type":"int"}]}},{"name":"b","type":"P"}]}`, []string{"number /v/b/n"}, "\x02\x04", "\x02\x03"},
	{"an error is a record", `{"type":"error","name":"X","fields":[{"name":"n","type":"int"}]}`, []string{"wrap /v"}, "\x02", "\x06<\x02>"},
}

// Each value that is edited becomes what was expected, every other byte stays,
// and the way back gives the record as it was: by the schema and by the derived
// one, which another reader reads too.
func TestConformance(t *testing.T) {
	if len(conformance) < 60 {
		t.Fatalf("only %d cases", len(conformance))
	}
	for _, tt := range conformance {
		t.Run(tt.name, func(t *testing.T) {
			text := record(`{"name":"before","type":"long"},{"name":"v","type":` + tt.typ + `},{"name":"z","type":"string"}`)
			s := parse(t, text)
			edits := editsOf(t, s, tt.edits...)
			src, want := []byte("\x0e"+tt.in+"\x06end"), []byte("\x0e"+tt.want+"\x06end")
			p, err := s.Compile(edits, schema.RejectUnknown)
			if err != nil {
				t.Fatal(err)
			}
			if got := rewrite(t, p, src, numbersBy(edits, negated, bracketed)); !bytes.Equal(got, want) {
				t.Fatalf("%q became\n%q, want\n%q", src, got, want)
			}
			derived, changed, err := s.Derive(edits, schema.Origin{ID: 1})
			if wraps := strings.Contains(strings.Join(tt.edits, " "), "wrap"); err != nil || changed != wraps {
				t.Fatalf("Derive: %v, changed %v", err, changed)
			}
			reads(t, text, derived.Schema, src, want)
			if slices.ContainsFunc(edits, func(e schema.Edit) bool { return e.Op == schema.Nullify }) {
				if _, err := s.Restore(edits, schema.RejectUnknown); err == nil {
					t.Error("a null can be undone")
				}
				return
			}
			for _, from := range []*Schema{s, parse(t, derived.Schema)} {
				if got := rewrite(t, restore(t, from, edits...), want, numbersBy(edits, negated, unbracketed)); !bytes.Equal(got, src) {
					t.Errorf("%q was restored to\n%q, want\n%q", want, got, src)
				}
			}
		})
	}
}

// reads checks that another reader reads the protected record, and finds the
// fields that nobody edited as they were.
func reads(t *testing.T, original, derived string, src, protected []byte) {
	t.Helper()
	var before, after map[string]any
	for _, r := range []struct {
		text string
		src  []byte
		v    *map[string]any
	}{{original, src, &before}, {derived, protected, &after}} {
		oracle, err := avro.Parse(r.text)
		if err != nil {
			t.Fatalf("the oracle refuses the schema: %v\n%s", err, r.text)
		}
		if rest, err := oracle.Decode(r.src, r.v); err != nil || len(rest) > 0 {
			t.Fatalf("the oracle does not read %q: %v, rest %q\n%s", r.src, err, rest, r.text)
		}
	}
	for _, name := range []string{"before", "z"} {
		if !reflect.DeepEqual(before[name], after[name]) {
			t.Errorf("%s reads as %v, was %v", name, after[name], before[name])
		}
	}
}

// samples are all types of Avro with an encoded value of each.
var samples = []struct{ kind, typ, value string }{
	{"null", `"null"`, ""},
	{"boolean", `"boolean"`, "\x01"},
	{"int", `"int"`, "\x05"},
	{"long", `"long"`, "\x80\x80\x02"},
	{"float", `"float"`, "abcd"},
	{"double", `"double"`, "abcdefgh"},
	{"string", `"string"`, "\x04hi"},
	{"bytes", `"bytes"`, "\x04\x00\xff"},
	{"fixed", `{"type":"fixed","name":"F","size":2}`, "xy"},
	{"enum", `{"type":"enum","name":"E","symbols":["A","B"]}`, "\x02"},
	{"record", `{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}`, "\x02\x02s"},
	{"array", `{"type":"array","items":"int"}`, "\x01\x02\x02\x02\x04\x00"},
	{"map", `{"type":"map","values":"string"}`, "\x02\x02k\x02v\x00"},
	{"union", `["int","string"]`, "\x02\x02u"},
	{"nullable union", `["int","null","string"]`, "\x04\x02u"},
	{"string, logical", `{"type":"string","logicalType":"uuid"}`, "\x04hi"},
	{"bytes, logical", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}`, "\x02\x07"},
	{"int, logical", `{"type":"int","logicalType":"time-millis"}`, "\x04"},
	{"long, logical", `{"type":"long","logicalType":"timestamp-millis"}`, "\x04"},
	{"fixed, logical", `{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4}`, "\x04\xd2"},
}

// Every type in every place under every operation: it comes back as it was, or
// is refused with a reason. There is no third way.
func TestEveryTypeUnderEveryOperation(t *testing.T) {
	places := []struct {
		name, before, behind string // of the type
		in, out              string // around the value
		union                bool
		path                 string
	}{
		{"a field", ``, ``, "", "", false, "/v"},
		{"null or it", `["null",`, `]`, "\x02", "", true, "/v"},
		{"it or null", ``, `"null"]`, "\x00", "", true, "/v"},
		{"a branch of three", `["null",{"type":"fixed","name":"Other","size":1},`, `]`, "\x04", "", true, "/v"},
		{"an item", `{"type":"array","items":`, `}`, "\x02", "\x00", false, "/v/[]"},
		{"a value", `{"type":"map","values":`, `}`, "\x02\x02k", "\x00", false, "/v/{}"},
		{"a nullable item", `{"type":"array","items":["null",`, `]}`, "\x02\x02", "\x00", true, "/v/[]"},
		{"a field of a record", `{"type":"record","name":"Q","fields":[{"name":"w","type":`, `}]}`, "", "", false, "/v/w"},
	}
	fits, refused := 0, 0
	for _, place := range places {
		for _, sample := range samples {
			if place.union && (sample.kind == "null" || strings.HasSuffix(sample.kind, "union")) {
				continue // not a type
			}
			before := place.before
			if place.name == "it or null" {
				before = "["
			}
			typ := before + sample.typ + place.behind
			if place.name == "it or null" {
				typ = "[" + sample.typ + `,"null"]`
			}
			text := record(`{"name":"v","type":` + typ + `},{"name":"z","type":"string"}`)
			s := parse(t, text)
			src := []byte(place.in + sample.value + place.out + "\x06end")
			kind, _, logical := strings.Cut(sample.kind, ",")
			kind = strings.TrimPrefix(kind, "nullable ")
			for _, op := range []schema.Op{schema.Replace, schema.Nullify, schema.Wrap, schema.Number} {
				at := -1 // the last one: a branch of the same type stands before it
				for i, f := range s.Fields() {
					if f.Path == place.path && string(f.Type) == kind {
						at = i
					}
				}
				if at < 0 {
					if kind != "null" {
						t.Errorf("%s, %s: no field", place.name, sample.kind)
					}
					continue
				}
				content := kind == "string" || kind == "bytes"
				nullable := place.union || sample.kind == "nullable union"
				allowed := op == schema.Replace && content || op == schema.Nullify && nullable || op == schema.Wrap && (!content || logical)
				if op == schema.Number {
					allowed = slices.Contains([]string{"int", "long", "float", "double"}, kind) || strings.Contains(sample.typ, "decimal")
				}
				edits := []schema.Edit{{Field: at, Op: op}}
				p, err := s.Compile(edits, schema.RejectUnknown)
				if _, ok := errors.AsType[*FitError](err); (err == nil) != allowed || err != nil && !ok {
					t.Errorf("%s, %s, operation %d: %v", place.name, sample.kind, op, err)
					continue
				}
				if err != nil {
					refused++
					continue
				}
				fits++
				out := rewrite(t, p, src, numbersBy(edits, negated, bracketed))
				if bytes.Equal(out, src) {
					t.Errorf("%s, %s, operation %d: nothing changed", place.name, sample.kind, op)
				}
				derived, changed, err := s.Derive(edits, schema.Origin{})
				if err != nil || changed != (op == schema.Wrap) {
					t.Errorf("%s, %s, operation %d: Derive: %v, %v", place.name, sample.kind, op, changed, err)
					continue
				}
				reads(t, text, derived.Schema, src, out)
				if op == schema.Nullify {
					continue
				}
				for _, from := range []*Schema{s, parse(t, derived.Schema)} {
					if got := rewrite(t, restore(t, from, edits...), out, numbersBy(edits, negated, unbracketed)); !bytes.Equal(got, src) {
						t.Errorf("%s, %s, operation %d: %q became %q", place.name, sample.kind, op, src, got)
					}
				}
			}
		}
	}
	if fits < 150 || refused < 150 {
		t.Errorf("%d fit and %d were refused, which shows too little", fits, refused)
	}
}
