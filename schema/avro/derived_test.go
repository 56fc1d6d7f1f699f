package avro

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// wrapAt returns edits that wrap the fields of some paths; "int /a" means the
// field of that type.
func wrapAt(t testing.TB, s *Schema, paths ...string) (edits []schema.Edit) {
	t.Helper()
next:
	for _, path := range paths {
		typ, path, ok := strings.Cut(path, " ")
		if !ok {
			typ, path = "", typ
		}
		for i, f := range s.Fields() {
			if f.Path == path && (typ == "" || string(f.Type) == typ) {
				edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
				continue next
			}
		}
		t.Fatalf("no field %s %s", typ, path)
	}
	return edits
}

func derive(t testing.TB, s *Schema, edits []schema.Edit) schema.Text {
	t.Helper()
	text, changed, err := s.Derive(edits, schema.Origin{ID: 7, Digest: [32]byte{0xab}})
	if err != nil || !changed {
		t.Fatalf("Derive: %v, changed %v", err, changed)
	}
	return text
}

// forth compiles edits that count all fields, where compile counts leaves.
func forth(t testing.TB, s *Schema, edits ...schema.Edit) schema.Program {
	t.Helper()
	p, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return p
}

func restore(t testing.TB, s *Schema, edits ...schema.Edit) schema.Program {
	t.Helper()
	p, err := s.Restore(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	return p
}

// A derived schema holds a recursive type once more in a property. Values of it
// nest no deeper than others: what is restored comes from outside.
func TestRestoredValuesOfADerivedSchemaNestNoDeeperThan64(t *testing.T) {
	const text = `{"type":"record","name":"A","fields":[{"name":"b","type":{"type":"record","name":"B","fields":[
		{"name":"s","type":"string"},{"name":"a","type":["null","A"]}]}}]}`
	s := parse(t, text)
	edits := wrapAt(t, s, "/b")
	d := parse(t, derive(t, s, edits).Schema)
	deep := append(bytes.Repeat([]byte("\x00\x02"), 1<<22), 0, 0)
	for _, p := range []schema.Program{restore(t, s, edits...), restore(t, d, edits...)} {
		wantMalformed(t, p, []byte("\x02x"), reasonRestored, func(_ int, dst, _ []byte) ([]byte, error) {
			return append(dst, deep...), nil
		})
		if out := rewrite(t, p, []byte("\x02x"), func(_ int, dst, _ []byte) ([]byte, error) {
			return append(dst, "\x02y\x02\x00\x00"...), nil
		}); string(out) != "\x02y\x02\x00\x00" {
			t.Errorf("restored %q", out)
		}
	}
}

func TestTheRootKeepsItsNameWhenItIsWrapped(t *testing.T) {
	for text, name := range map[string]string{
		`"int"`: "int", `["null","double"]`: "union", `{"type":"enum","name":"n.E","symbols":["A"]}`: "n.E",
		`{"type":"bytes","logicalType":"decimal","precision":4}`: "bytes", `{"type":"fixed","name":"F","size":2}`: "F",
		`["int","null","string"]`: "union",
	} {
		s := parse(t, text)
		d := parse(t, derive(t, s, []schema.Edit{{Field: 0, Op: schema.Wrap}}).Schema)
		if s.Name() != name || d.Name() != name {
			t.Errorf("%s is called %q, and derived %q", text, s.Name(), d.Name())
		}
	}
}

// Without a way back there is nothing to keep: a Visitor that says so would let
// a value through as it is.
func TestAValueIsNotKeptOnTheWayForth(t *testing.T) {
	s := parse(t, record(`{"name":"s","type":"string"},{"name":"n","type":"int"}`))
	keep := visit(func(_ int, dst, _ []byte) ([]byte, error) { return dst, schema.ErrKeep })
	for _, edits := range [][]schema.Edit{{{Field: 0, Op: schema.Replace}}, {{Field: 1, Op: schema.Wrap}}} {
		p := forth(t, s, edits...)
		if out, err := p.Rewrite(nil, []byte("\x02x\x02"), keep); err != schema.ErrKeep || len(out) > 0 { //nolint:errorlint // as it is
			t.Errorf("%v gave %q, %v", edits, out, err)
		}
	}
}

func TestEncodings(t *testing.T) {
	tests := []struct{ typ, want string }{
		{`{"name":"a","type":"int"}`, "int"},
		{`{"name":"a","type":{"type":"long","logicalType":"timestamp-millis"}}`, "long:timestamp-millis"},
		{`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}`, "bytes:decimal(9,2)"},
		{`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9}}`, "bytes:decimal(9,0)"},
		{`{"name":"a","type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, "bytes:decimal(9,2)"},
		{`{"name":"a","type":["null","bytes"],"logicalType":"decimal","precision":9,"scale":3}`, "bytes:decimal(9,3)"},
		{`{"name":"a","type":{"type":"bytes","logicalType":"decimal(9,2)"}}`, `bytes:"decimal(9,2)"`},
		{`{"name":"a","type":{"type":"fixed","name":"F","size":16}}`, "fixed(16)"},
		{`{"name":"a","type":{"type":"fixed","name":"F","size":8,"logicalType":"decimal","precision":18,"scale":4}}`, "fixed(8):decimal(18,4)"},
		{`{"name":"a","type":{"type":"string","logicalType":"uuid"}}`, "string:uuid"},
		{`{"name":"a","type":"string"}`, ""},
		{`{"name":"a","type":"bytes"}`, ""},
		{`{"name":"a","type":["null","boolean"]}`, "boolean"},
	}
	for _, tt := range tests {
		if got := parse(t, record(tt.typ)).Fields()[0].Encoding; got != tt.want {
			t.Errorf("%s has the encoding %q, want %q", tt.typ, got, tt.want)
		}
	}
}

// Enums and other types may be long and used often.
func TestEncodingsOfLongTypesCostLittle(t *testing.T) {
	var symbols, fields []string
	for i := range 40_000 {
		symbols = append(symbols, `"S`+itoa(i)+`"`)
	}
	for i := range 15_000 {
		fields = append(fields, `{"name":"a`+itoa(i)+`","type":"E"}`)
	}
	text := record(`{"name":"e","type":{"type":"enum","name":"E","symbols":[` + strings.Join(symbols, ",") + `]}},` + strings.Join(fields, ","))
	if _, err := Parse(schema.Text{Format: schema.Avro, Schema: text}); err != nil {
		t.Errorf("%.200v", err)
	}
	// What cannot be known from before is bounded.
	fields = fields[:0]
	for i := range 1000 {
		fields = append(fields, `{"name":"a`+itoa(i)+`","type":{"type":"record","name":"P`+itoa(i)+`","fields":[{"name":"e","type":"E"}]}}`)
	}
	text = record(`{"name":"e","type":{"type":"enum","name":"E","symbols":[` + strings.Join(symbols, ",") + `]}},` + strings.Join(fields, ","))
	if _, err := Parse(schema.Text{Format: schema.Avro, Schema: text}); err == nil || err.Error() != "avro: types are too long, all together" {
		t.Errorf("%.200v", err)
	}
}

func TestPropertiesThatSayNothingAreRefused(t *testing.T) {
	const origin = `"fieldveil.derived":{"id":1,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}`
	good := `{"name":"g","type":"bytes","fieldveil.type":"int"},`
	root := func(fields string) string {
		return `{"type":"record","name":"R","fields":[` + fields + `],` + origin + `}`
	}
	tests := []struct{ name, text string }{
		{"a type on an array", root(good + `{"name":"a","type":{"type":"array","items":"bytes","fieldveil.type":"int"}}`)},
		{"a type on a map", root(good + `{"name":"a","type":{"type":"map","values":"bytes","fieldveil.type":"int"}}`)},
		{"a type on a record", root(good + `{"name":"a","type":{"type":"record","name":"P","fields":[],"fieldveil.type":"int"}}`)},
		{"a type on an enum", root(good + `{"name":"a","type":{"type":"enum","name":"P","symbols":["A"],"fieldveil.type":"int"}}`)},
		{"a type on a reference", root(good + `{"name":"a","type":{"type":"fixed","name":"P","size":1}},{"name":"b","type":{"type":"P","fieldveil.type":"int"}}`)},
		{"a type on the root", `{"type":"record","name":"R","fields":[{"name":"g","type":"bytes","fieldveil.type":"int"}],"fieldveil.type":"int",` + origin + `}`},
		{"an origin on a field", root(good + `{"name":"a","type":"int",` + origin + `}`)},
		{"an origin on another type", root(good + `{"name":"a","type":{"type":"int",` + origin + `}}`)},
		{"a property of ours that is not known", root(good + `{"name":"a","type":"int","fieldveil.other":1}`)},
		{"plain text that was wrapped", root(`{"name":"g","type":"bytes","fieldveil.type":"string"}`)},
		{"plain bytes that were wrapped", root(`{"name":"g","type":["null","bytes"],"fieldveil.type":["null","bytes"]}`)},
		{"null that was wrapped", root(good + `{"name":"a","type":"bytes","fieldveil.type":"null"}`)},
		{"a union of null alone", root(good + `{"name":"a","type":"bytes","fieldveil.type":["null"]}`)},
		{"a union of one, as a whole", root(good + `{"name":"a","type":"bytes","fieldveil.type":["int"]}`)},
		{"a union with null that stands alone", root(good + `{"name":"a","type":{"type":"array","items":{"type":"bytes","fieldveil.type":["null","int","string"]}}}`)},
		{"a union with null beside another null", root(good + `{"name":"a","type":{"type":"array","items":[{"type":"bytes","fieldveil.type":["null","int","string"]},"null"]}}`)},
		{"a union beside another branch", root(good + `{"name":"a","type":["int",{"type":"bytes","fieldveil.type":["null","int","string"]},"null"]}`)},
		{"a union without null beside a branch", root(good + `{"name":"a","type":["null",{"type":"bytes","fieldveil.type":["int","string"]}]}`)},
		{"a nullable type on a branch", root(good + `{"name":"a","type":["null",{"type":"bytes","fieldveil.type":["null","int"]}]}`)},
		{"a logical type beside", root(`{"name":"g","type":"bytes","logicalType":"decimal","precision":3,"fieldveil.type":"int"}`)},
		{"a logical type on the bytes", root(good + `{"name":"a","type":{"type":"array","items":{"type":"bytes","logicalType":"decimal","precision":3,"fieldveil.type":"int"}}}`)},
		{"tags on the bytes", root(good + `{"name":"a","type":{"type":"array","items":{"type":"bytes","confluent:tags":["T"],"fieldveil.type":"int"}}}`)},
		{"an origin that says more", strings.Replace(root(good+`{"name":"a","type":"int"}`), `"id":1`, `"id":1,"more":2`, 1)},
		{"a type that has two definitions", root(`{"name":"a","type":"bytes","fieldveil.type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"b","type":{"type":"enum","name":"E","symbols":["B"]}}`)},
		{"a recursive type that is another inside", root(`{"name":"a","type":"bytes","fieldveil.type":{"type":"record","name":"P","fields":[{"name":"r","type":["null",{"type":"record","name":"R","fields":[{"name":"b","type":"int"}]}]}]}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if s, err := Parse(schema.Text{Format: schema.Avro, Schema: tt.text}); err == nil {
				t.Errorf("it is taken, with fields %+v", s.Fields())
			} else if !strings.HasPrefix(err.Error(), "avro: ") {
				t.Errorf("error is %v", err)
			}
		})
	}
	parse(t, root(strings.TrimSuffix(good, ",")))
	t.Run("a derived schema has no references", func(t *testing.T) {
		_, err := Parse(schema.Text{Format: schema.Avro, Schema: root(good + `{"name":"f","type":"F"}`), References: []string{`{"type":"fixed","name":"F","size":1}`}})
		if err == nil {
			t.Error("it is taken")
		}
	})
}

// What a derived schema keeps: all that the original says, in the same digits.
func TestDerivedSchemasKeepWhatTheOriginalSays(t *testing.T) {
	tests := []struct {
		name, text string
		references []string
		wrap       []string
		want       []string
		not        []string
	}{
		{
			name: "numbers as they are written",
			text: record(`{"name":"a","type":"int","x":0.10000000000000000555,"y":1e3,"z":1.50},{"name":"f","type":"double","default":1.10}`),
			wrap: []string{"/a"},
			want: []string{`"x":0.10000000000000000555`, `"y":1e3`, `"z":1.50`, `"default":1.10`},
		},
		{
			name: "the default of a record around",
			text: record(`{"name":"p","type":{"type":"record","name":"P","fields":[{"name":"n","type":"int"},{"name":"s","type":"string"},{"name":"o","type":["null","int"]}]},"default":{"n":7,"s":"x","o":null}}`),
			wrap: []string{"/p/n", "/p/o"},
			want: []string{`"default":{"n":"","s":"x","o":null}`},
		},
		{
			name: "the default of an array and a map around",
			text: record(`{"name":"p","type":{"type":"array","items":["int","string"]},"default":[7,"x"]},{"name":"m","type":{"type":"map","values":"int"},"default":{"k":7}}`),
			wrap: []string{"int /p/[]", "/m/{}"},
			want: []string{`"default":["","x"]`, `"default":{"k":""}`},
		},
		{
			name: "a logical type that stood beside the type goes with it",
			text: record(`{"name":"a","type":["null","bytes"],"logicalType":"decimal","precision":9,"scale":2}`),
			wrap: []string{"/a"},
			want: []string{`"type":["null","bytes"],"fieldveil.type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]}`},
		},
		{
			name: "a logical type beside a union, of a branch that is wrapped alone",
			text: record(`{"name":"a","type":["null","long","string"],"logicalType":"timestamp-millis"}`),
			wrap: []string{"long /a"},
			want: []string{`"type":["null",{"type":"bytes","fieldveil.type":{"type":"long","logicalType":"timestamp-millis"}},"string"]}`},
		},
		{
			name:       "references become part of it, with the tags they are used with",
			text:       record(`{"name":"x","type":{"type":"A","confluent:tags":["X"]}},{"name":"y","type":"A"},{"name":"n","type":"int"}`),
			references: []string{`{"type":"record","name":"A","confluent:tags":["A"],"fields":[{"name":"s","type":"string"}]}`},
			wrap:       []string{"/n"},
			want:       []string{`"fieldveil.tags":["X"]`, `{"name":"y","type":"A"}`},
		},
		{
			name: "a definition that stood in a wrapped field, used with tags",
			text: record(`{"name":"a","type":{"type":"record","name":"A","fields":[{"name":"s","type":"string"}]}},{"name":"b","type":{"type":"array","items":{"type":"A","confluent:tags":["X"]}}},{"name":"c","type":"A"}`),
			wrap: []string{"/a"},
			want: []string{`"items":{"type":"record","name":"A","fields":[{"name":"s","type":"string"}],"fieldveil.tags":["X"]}`, `{"name":"c","type":"A"}`},
		},
		{
			name: "namespaces, aliases, order, documentation",
			text: `{"type":"record","name":"R","namespace":"a.b","doc":"d <&>","aliases":["Q"],"fields":[{"name":"e","type":{"type":"enum","name":"E","aliases":["F"],"doc":"e","symbols":["X","Y"],"default":"X"},"order":"ignore"},{"name":"n","aliases":["m"],"type":"int","doc":"n"},{"name":"o","type":{"type":"record","name":"P","namespace":"","fields":[{"name":"p","type":["null","P"],"default":null}]}},{"name":"q","type":"P"}]}`,
			wrap: []string{"/n"},
			want: []string{`"name":"a.b.R"`, `"doc":"d <&>"`, `"aliases":["Q"]`, `"aliases":["F"]`, `"default":"X"`, `"order":"ignore"`, `"aliases":["m"]`, `"name":"P","namespace":""`},
		},
		{
			name: "a root that is a union",
			text: `["null",` + record(`{"name":"n","type":"int"}`) + `]`,
			wrap: []string{"/n"},
			want: []string{`[{"type":"null","fieldveil.derived":{"id":7,`},
		},
		{
			name: "a recursive type in two shapes, with its field wrapped in both",
			text: record(`{"name":"x","type":{"type":"record","name":"A","fields":[{"name":"b","type":["null",{"type":"record","name":"B","fields":[{"name":"a","type":["null","A"]}]}]},{"name":"n","type":"int"}]}},{"name":"y","type":"B"}`),
			wrap: []string{"/x/n", "/y/a/n"},
			want: []string{`{"name":"n","type":"bytes","fieldveil.type":"int"}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text, tt.references...)
			edits := wrapAt(t, s, tt.wrap...)
			out := derive(t, s, edits)
			for _, want := range tt.want {
				if !strings.Contains(out.Schema, want) {
					t.Errorf("it has no %s:\n%s", want, out.Schema)
				}
			}
			restore(t, parse(t, out.Schema), edits...)
		})
	}
}

func TestEditsThatADerivedSchemaHasNoPlaceFor(t *testing.T) {
	s := parse(t, record(`{"name":"a","type":"int"},{"name":"b","type":"long"},{"name":"p","type":["null",{"type":"record","name":"P","fields":[{"name":"n","type":"int"},{"name":"s","type":"string"}]}]}`))
	d := parse(t, derive(t, s, wrapAt(t, s, "/a", "/p/n")).Schema)
	all := wrapAt(t, d, "/a", "/p/n")
	tests := []struct {
		name  string
		edits []schema.Edit
		back  bool
		want  string
	}{
		{"wrapping once more", wrapAt(t, d, "/a"), false, "protected already"},
		{"wrapping another field", wrapAt(t, d, "/b"), false, "protected already"},
		{"wrapping what holds it", wrapAt(t, d, "/p"), false, "protected already"},
		{"null for what holds it", []schema.Edit{{Field: 2, Op: schema.Nullify}}, false, "protected already"},
		{"unwrapping too little", all[:1], true, "no edit"},
		{"unwrapping nothing", nil, true, "no edit"},
		{"unwrapping another field", append(wrapAt(t, d, "/b"), all...), true, "is not wrapped"},
		{"null on the way back", append([]schema.Edit{{Field: 2, Op: schema.Nullify}}, all[:1]...), true, "null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := d.Compile
			if tt.back {
				run = d.Restore
			}
			_, err := run(tt.edits, schema.RejectUnknown)
			if fit, ok := err.(*FitError); !ok || !strings.Contains(fit.Reason, tt.want) { //nolint:errorlint // not wrapped
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	// Other fields of protected records can still be edited and read.
	p := forth(t, d, schema.Edit{Field: 4, Op: schema.Replace})
	if out := rewrite(t, p, []byte("\x04ab\x02\x02\x02z\x02x"), numbered); string(out) != "\x04ab\x02\x02\x02z\x060:x" {
		t.Errorf("%q", out)
	}
	if out, changed, err := d.Derive(nil, schema.Origin{}); err != nil || changed || out.Schema != d.text.Schema {
		t.Errorf("a derived schema without edits: %v, %v", changed, err)
	}
}

func TestSealedTextIsNotReplaced(t *testing.T) {
	s := parse(t, record(`{"name":"a","type":{"type":"string","logicalType":"uuid"}},{"name":"u","type":["int","string","null"]}`))
	wraps := append(wrapAt(t, s, "/a"), wrapAt(t, s, "union /u")...)
	d := parse(t, derive(t, s, wraps).Schema)
	edits := []schema.Edit{{Field: 0, Op: schema.Replace}}
	if _, err := d.Compile(edits, schema.RejectUnknown); err == nil {
		t.Error("content of a sealed field is replaced")
	}
	if _, err := d.Restore(append(edits, wraps[1]), schema.RejectUnknown); err == nil {
		t.Error("content of a sealed field is restored")
	}
	// Protected records can be read by the schema that they follow.
	for _, src := range []string{"\x04ab\x00\x06", "\x04ab\x04"} {
		protected := rewrite(t, forth(t, s, wraps...), []byte(src), bracketed)
		if out := rewrite(t, forth(t, d), protected, nil); !bytes.Equal(out, protected) {
			t.Errorf("%q became %q", protected, out)
		}
	}
}

// The bound on items that take no bytes is one for the whole record, as it was
// when the record was protected.
func TestItemsWithoutBytesCountTogetherWhenTheyAreRestored(t *testing.T) {
	const nulls = `{"type":"array","items":"null"}`
	s := parse(t, record(`{"name":"a","type":`+nulls+`},{"name":"b","type":`+nulls+`},{"name":"c","type":`+nulls+`}`))
	edits := wrapAt(t, s, "/a", "/b")
	half := zigzag(2048) + "\x00"
	give := func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, half...), nil }
	p := restore(t, s, edits...)
	if out := rewrite(t, p, []byte("\x00\x00\x00"), give); string(out) != half+half+"\x00" {
		t.Errorf("%q", out)
	}
	wantMalformed(t, p, []byte("\x00\x00\x02\x00"), reasonNoBytes, give)
	half = zigzag(2049) + "\x00"
	wantMalformed(t, p, []byte("\x00\x00\x00"), reasonRestored, give)
}
