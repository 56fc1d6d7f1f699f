package avro

import (
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestCompileRefuses(t *testing.T) {
	s := parse(t, record(`{"name":"s","type":"string"},{"name":"l","type":["null","long"]},{"name":"f","type":{"type":"fixed","name":"F","size":1}},{"name":"u","type":["int","string","bytes"]}`))
	tests := []struct {
		name  string
		edits []schema.Edit
		want  FitError
		text  string
	}{
		{"a field before the first", []schema.Edit{{Field: -1, Op: schema.Replace}}, FitError{Reason: "edit of field -1, there are 7"}, "avro: edit of field -1, there are 7"},
		{"a field behind the last", []schema.Edit{{Field: 7, Op: schema.Replace}}, FitError{Reason: "edit of field 7, there are 7"}, "avro: edit of field 7, there are 7"},
		{"two edits of a field", []schema.Edit{{Field: 0, Op: schema.Replace}, {Field: 0, Op: schema.Replace}}, FitError{"/s", schema.TypeString, "edited twice"}, "avro: /s: string: edited twice"},
		{"new content for a long", []schema.Edit{{Field: 1, Op: schema.Replace}}, FitError{"/l", schema.TypeLong, "only string and bytes can be replaced"}, "avro: /l: long: only string and bytes can be replaced"},
		{"new content for a fixed", []schema.Edit{{Field: 2, Op: schema.Replace}}, FitError{"/f", schema.TypeFixed, "only string and bytes can be replaced"}, "avro: /f: fixed: only string and bytes can be replaced"},
		{"null for what stands alone", []schema.Edit{{Field: 0, Op: schema.Nullify}}, FitError{"/s", schema.TypeString, "cannot be null"}, "avro: /s: string: cannot be null"},
		{"null for a branch without null beside it", []schema.Edit{{Field: 4, Op: schema.Nullify}}, FitError{"/u", schema.TypeString, "cannot be null"}, "avro: /u: string: cannot be null"},
		{"a number for a string", []schema.Edit{{Field: 0, Op: schema.Number}}, FitError{"/s", schema.TypeString, "is not a number"}, "avro: /s: string: is not a number"},
		{"a number for a fixed", []schema.Edit{{Field: 2, Op: schema.Number}}, FitError{"/f", schema.TypeFixed, "is not a number"}, "avro: /f: fixed: is not a number"},
		{"a number and null for one field", []schema.Edit{{Field: 1, Op: schema.Number}, {Field: 1, Op: schema.Nullify}}, FitError{"/l", schema.TypeLong, "edited twice"}, "avro: /l: long: edited twice"},
		{"no operation", []schema.Edit{{Field: 0}}, FitError{"/s", schema.TypeString, "unknown operation"}, "avro: /s: string: unknown operation"},
		{"an operation that is not known", []schema.Edit{{Field: 0, Op: 5}}, FitError{"/s", schema.TypeString, "unknown operation"}, "avro: /s: string: unknown operation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := s.Compile(ofLeaves(s, tt.edits), schema.RejectUnknown)
			var fit *FitError
			if p != nil || !errors.As(err, &fit) || *fit != tt.want || err.Error() != tt.text {
				t.Errorf("error is %v, want %q", err, tt.text)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	const named = `"null",{"type":"record","name":"P","fields":[{"name":"x","type":"string"},{"name":"y","type":"int"}]},{"type":"record","name":"Q","fields":[{"name":"x","type":"bytes"}]},"string",{"type":"enum","name":"E","symbols":["A","B"]},{"type":"fixed","name":"F","size":2}`
	replace := func(fields ...int) (edits []schema.Edit) {
		for _, f := range fields {
			edits = append(edits, schema.Edit{Field: f, Op: schema.Replace})
		}
		return edits
	}
	nullify := func(fields ...int) (edits []schema.Edit) {
		for _, f := range fields {
			edits = append(edits, schema.Edit{Field: f, Op: schema.Nullify})
		}
		return edits
	}
	tests := []struct {
		name, text string
		edits      []schema.Edit
		in, want   string
	}{
		{"a root that is a string", `"string"`, replace(0), "\x04ab", "\x080:ab"},
		{"edits are numbered as they were given", record(`{"name":"a","type":"string"},{"name":"b","type":"int"},{"name":"c","type":"bytes"}`), replace(2, 0), "\x02a\x01\x02c", "\x061:a\x01\x060:c"},
		{"an array of arrays", `{"type":"array","items":{"type":"array","items":"string"}}`, replace(0), "\x04\x02\x02a\x00\x04\x02b\x02c\x00\x00", "\x04\x02\x060:a\x00\x04\x060:b\x060:c\x00\x00"},
		{"sizes of blocks in blocks", `{"type":"array","items":{"type":"array","items":"string"}}`, replace(0), "\x01\x0a\x01\x04\x02a\x00\x00", "\x01\x0e\x01\x08\x060:a\x00\x00"},
		{"a map of records leaves keys alone", `{"type":"map","values":` + record(`{"name":"a","type":"string"},{"name":"b","type":"long"}`) + `}`, replace(0), "\x04\x02k\x02v\x05\x02l\x00\x06\x00", "\x04\x02k\x060:v\x05\x02l\x040:\x06\x00"},
		{"a union with named branches, the first", "[" + named + "]", replace(0, 2, 3), "\x02\x02x\x08", "\x02\x060:x\x08"},
		{"a union with named branches, the second", "[" + named + "]", replace(0, 2, 3), "\x04\x02x", "\x04\x061:x"},
		{"a union with named branches, the string", "[" + named + "]", replace(0, 2, 3), "\x06\x02x", "\x06\x062:x"},
		{"a union with named branches, the enum", "[" + named + "]", replace(0, 2, 3), "\x08\x02", "\x08\x02"},
		{"a union with named branches, null", "[" + named + "]", replace(0, 2, 3), "\x00", "\x00"},
		{"null first", `["null","string"]`, nullify(0), "\x02\x02x", "\x00"},
		{"null first and the value null", `["null","string"]`, nullify(0), "\x00", "\x00"},
		{"null last", `["long","null"]`, nullify(0), "\x00\x05", "\x02"},
		{"null in the middle, both sides become null: left", `["string","null","double"]`, nullify(0, 1), "\x00\x02x", "\x02"},
		{"null in the middle, both sides become null: right", `["string","null","double"]`, nullify(0, 1), "\x0412345678", "\x02"},
		{"null in the middle, one side stays", `["string","null","double"]`, nullify(0), "\x0412345678", "\x0412345678"},
		{"null for several named branches: enum", "[" + named + "]", nullify(4, 5), "\x08\x00", "\x00"},
		{"null for several named branches: fixed", "[" + named + "]", nullify(4, 5), "\x0aff", "\x00"},
		{"null for several named branches: a record stays", "[" + named + "]", nullify(4, 5), "\x04\x02x", "\x04\x02x"},
		{"null and new content in one union: new content", `["string","null","bytes"]`, []schema.Edit{{Field: 1, Op: schema.Nullify}, {Field: 0, Op: schema.Replace}}, "\x00\x02x", "\x00\x061:x"},
		{"null and new content in one union: null", `["string","null","bytes"]`, []schema.Edit{{Field: 1, Op: schema.Nullify}, {Field: 0, Op: schema.Replace}}, "\x04\x02x", "\x02"},
		{"null in sized blocks makes them shorter", `{"type":"array","items":["null","string"]}`, nullify(0), "\x05\x0e\x02\x02x\x00\x02\x02y\x00", "\x05\x06\x00\x00\x00\x00"},
		{"a size written in too many bytes, and nothing edited in the block", `{"type":"array","items":["int","string"]}`, replace(1), "\x01\x84\x80\x00\x00\x02\x00", "\x01\x84\x80\x00\x00\x02\x00"},
		{"an end of blocks written in two bytes", `{"type":"array","items":"string"}`, replace(0), "\x80\x00", "\x80\x00"},
		{"items without bytes", `{"type":"array","items":` + record(`{"name":"n","type":"null"},{"name":"f","type":{"type":"fixed","name":"F","size":0}}`) + `}`, nil, "\x06\x02\x00", "\x06\x02\x00"},
		{"empty branches", `["null",` + record(``) + `,"string"]`, replace(0), "\x02", "\x02"},
		{"a branch whose edits follow an empty record", `[` + record(`{"name":"e","type":{"type":"record","name":"E","fields":[]}},{"name":"s","type":"string"}`) + `,"E","null"]`, replace(0), "\x00\x02x", "\x00\x060:x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, parse(t, tt.text), tt.edits...)
			if got := rewrite(t, p, []byte(tt.in), numbered); string(got) != tt.want {
				t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
