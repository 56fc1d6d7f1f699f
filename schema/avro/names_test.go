package avro

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestNames(t *testing.T) {
	tests := []struct {
		name, text string
		references []string
		root       string
		want       []string
	}{
		{
			name: "a short reference means the type of the enclosing namespace before the one of no namespace",
			text: `{"type":"record","name":"R","fields":[
				{"name":"a","type":{"type":"record","name":"P","fields":[{"name":"plain","type":"string"}]}},
				{"name":"b","type":{"type":"record","name":"Q","namespace":"n","fields":[
					{"name":"c","type":{"type":"record","name":"P","fields":[{"name":"spaced","type":"string"}]}},
					{"name":"d","type":"P"},{"name":"e","type":".P"}]}},
				{"name":"f","type":"P"},{"name":"g","type":"n.P"}]}`,
			root: "R",
			want: []string{"/a/plain string", "/b/c/spaced string", "/b/d/spaced string", "/b/e/plain string", "/f/plain string", "/g/spaced string"},
		},
		{
			name: "a reference with a dot is a full name even where the namespace would make another one of it",
			text: `{"type":"record","name":"R","namespace":"x","fields":[
				{"name":"a","type":{"type":"record","name":"y.P","fields":[{"name":"right","type":"string","confluent:tags":["T"]}]}},
				{"name":"b","type":{"type":"record","name":"x.y.P","fields":[{"name":"wrong","type":"string"}]}},
				{"name":"c","type":"y.P"}]}`,
			root: "x.R",
			want: []string{"/a/right string tags=T", "/b/wrong string", "/c/right string tags=T"},
		},
		{
			name: "an empty namespace is none, and its types are found from everywhere",
			text: `{"type":"record","name":"R","namespace":"x","fields":[
				{"name":"a","type":{"type":"record","name":"P","namespace":"","fields":[{"name":"s","type":"string"}]}},
				{"name":"b","type":"P"}]}`,
			root: "x.R", want: []string{"/a/s string", "/b/s string"},
		},
		{
			name: "a name with dots has its own namespace, whatever stands beside it",
			text: `{"type":"record","name":"a.b.R","namespace":"x","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":1}},{"name":"b","type":"a.b.F"}]}`,
			root: "a.b.R", want: []string{"/a fixed", "/b fixed"},
		},
		{
			name:       "texts refer to those before them, in a chain",
			references: []string{`{"type":"record","name":"n.A","fields":[{"name":"s","type":"string","confluent:tags":["T"]}]}`, `{"type":"record","name":"n.B","fields":[{"name":"a","type":"A"}]}`},
			text:       `{"type":"record","name":"C","fields":[{"name":"b","type":"n.B"},{"name":"a","type":"n.A"}]}`,
			root:       "C", want: []string{"/b/a/s string tags=T", "/a/s string tags=T"},
		},
		{
			name:       "a reference to another text keeps the tags it has where it stands",
			references: []string{`{"type":"record","name":"A","confluent:tags":["A"],"fields":[{"name":"s","type":"string"}]}`, `{"type":"record","name":"B","fields":[{"name":"a","type":{"type":"A","confluent:tags":["B"]}}]}`},
			text:       `{"type":"record","name":"C","fields":[{"name":"x","type":{"type":"A","confluent:tags":["X"]}},{"name":"y","type":"A"},{"name":"b","type":"B"}]}`,
			root:       "C", want: []string{"/x/s string tags=X,A", "/y/s string tags=A", "/b/a/s string tags=B,A"},
		},
		{
			name:       "a text that comes twice, or is the schema too, counts once",
			references: []string{`{"type":"record","name":"A","fields":[{"name":"s","type":"string"}]}`, `{"name":"A","type":"record",  "fields":[{"type":"string","name":"s"}]}`},
			text:       `{"type":"record","name":"A","fields":[{"name":"s","type":"string"}]}`,
			root:       "A", want: []string{"/s string"},
		},
		{
			name:       "a schema that is only a reference has the name of its type",
			references: []string{`{"type":"record","name":"n.A","fields":[{"name":"s","type":"string"}]}`},
			text:       `{"type":"n.A","confluent:tags":["T"]}`,
			root:       "n.A", want: []string{"/s string tags=T"},
		},
		{name: "a schema without a name is called by its type", text: `"string"`, root: "string", want: []string{"/ string"}},
		{name: "a union as root", text: `["null","bytes",{"type":"fixed","name":"F","size":1}]`, root: "union", want: []string{"/ bytes nullable", "/ fixed nullable"}},
		{name: "an array as root", text: `{"type":"array","items":"int"}`, root: "array", want: []string{"/[] int"}},
		{name: "a map as root", text: `{"type":"map","values":["null","boolean"]}`, root: "map", want: []string{"/{} boolean nullable"}},
		{name: "an enum as root", text: `{"type":"enum","name":"n.E","symbols":["A"]}`, root: "n.E", want: []string{"/ enum"}},
		{name: "a fixed as root", text: `{"type":"fixed","name":"F","size":0}`, root: "F", want: []string{"/ fixed"}},
		{name: "null as root has no fields", text: `"null"`, root: "null"},
		{name: "an error is a record", text: `{"type":"error","name":"E","fields":[{"name":"s","type":"string"}]}`, root: "E", want: []string{"/s string"}},
		{
			name: "aliases give all the paths a field may have had",
			text: record(`{"name":"a","aliases":["b","c"],"type":{"type":"record","name":"P","fields":[{"name":"x","aliases":["y"],"type":{"type":"array","items":"string"}}]}},{"name":"m","aliases":["n"],"type":["null",{"type":"map","values":"long"}]}`),
			root: "R",
			want: []string{"/a/x/[] string former=/a/y/[],/b/x/[],/b/y/[],/c/x/[],/c/y/[]", "/m/{} long former=/n/{}"},
		},
		{
			name: "logical types of types, beside types, and of branches",
			text: record(`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},{"name":"b","type":"string","logicalType":"uuid"},{"name":"c","type":["null","string","bytes"],"logicalType":"uuid"},{"name":"d","type":{"type":"string","logicalType":"own"},"logicalType":"uuid"},{"name":"e","type":{"type":"fixed","name":"F","size":12,"logicalType":"duration"}},{"name":"f","type":{"type":"int"},"logicalType":"date"},{"name":"g","type":"F","logicalType":"date"},{"name":"h","type":"null","logicalType":"date"},{"name":"i","type":["null"],"logicalType":"date"}`),
			root: "R",
			want: []string{"/a bytes logical=decimal", "/b string logical=uuid", "/c string nullable logical=uuid", "/c bytes nullable", "/d string logical=own", "/e fixed logical=duration", "/f int logical=date", "/g fixed logical=duration"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text, tt.references...)
			if s.Name() != tt.root {
				t.Errorf("name is %q, want %q", s.Name(), tt.root)
			}
			if got := fieldLines(leaves(s)); !slices.Equal(got, tt.want) {
				t.Errorf("fields are\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestFormerPathsAreAtMostSixteen(t *testing.T) {
	var aliases []string
	for i := range 100_000 {
		aliases = append(aliases, strconv.Quote("a"+strconv.Itoa(i)))
	}
	s := parse(t, record(`{"name":"x","type":"string","aliases":[`+strings.Join(aliases, ",")+`]}`))
	if n := len(leaves(s)[0].Former); n != 16 {
		t.Errorf("%d former paths, want 16", n)
	}
}

func TestParseRefuses(t *testing.T) {
	doubling := `{"type":"record","name":"R","fields":[{"name":"t0","type":{"type":"record","name":"T0","fields":[{"name":"s","type":"string"}]}}`
	for i := 1; i < 40; i++ {
		n, before := strconv.Itoa(i), strconv.Itoa(i-1)
		doubling += `,{"name":"t` + n + `","type":{"type":"record","name":"T` + n + `","fields":[{"name":"a","type":"T` + before + `"},{"name":"b","type":"T` + before + `"}]}}`
	}
	doubling += "]}"
	chain := func(n int) string {
		return strings.Repeat(`{"type":"array","items":`, n) + `"int"` + strings.Repeat("}", n)
	}
	long := strings.Repeat("n", 5000)
	tests := []struct {
		name string
		text schema.Text
		want string
	}{
		{"another format", schema.Text{Format: schema.JSONSchema, Schema: "{}"}, `avro: schema of format "JSON"`},
		{"no format", schema.Text{Schema: `"string"`}, `avro: schema of format ""`},
		{"an empty text", schema.Text{Format: schema.Avro}, "avro: schema: not one JSON value"},
		{"a text that would end the bundle early", schema.Text{Format: schema.Avro, Schema: `"string"},{"name":"x","type":"int"`}, "avro: schema: not one JSON value"},
		{"a reference that is no JSON", schema.Text{Format: schema.Avro, References: []string{`"int"`, "{"}, Schema: `"string"`}, "avro: reference1: not one JSON value"},
		{"a name that nobody defines", schema.Text{Format: schema.Avro, Schema: record(`{"name":"a","type":"Nobody"}`)}, "avro: "},
		{"a type before its definition", schema.Text{Format: schema.Avro, Schema: record(`{"name":"a","type":"F"},{"name":"b","type":{"type":"fixed","name":"F","size":1}}`)}, `avro: /a: type "F" is unknown here`},
		{"a text that refers to one behind it", schema.Text{Format: schema.Avro, References: []string{record(`{"name":"a","type":"F"}`), `{"type":"fixed","name":"F","size":1}`}, Schema: `"R"`}, `avro: /a: type "F" is unknown here, in reference0`},
		{"a type that two texts define differently", schema.Text{Format: schema.Avro, References: []string{`{"type":"fixed","name":"F","size":1}`}, Schema: `{"type":"fixed","name":"F","size":2}`}, "avro: "},
		{"a union without branches", schema.Text{Format: schema.Avro, Schema: record(`{"name":"a","type":[]}`)}, "avro: /a: union without branches"},
		{"a fixed beyond 2^31-1", schema.Text{Format: schema.Avro, Schema: `{"type":"fixed","name":"F","size":2147483648}`}, "avro: /: fixed of 2147483648 bytes"},
		{"types that double level upon level", schema.Text{Format: schema.Avro, Schema: doubling}, "avro: schema expands to more than 65536"},
		{"nesting", schema.Text{Format: schema.Avro, Schema: chain(65)}, "avro: /" + strings.Repeat("[]/", 64) + "[]: schema nests deeper than 64"},
		{"a long path", schema.Text{Format: schema.Avro, Schema: record(`{"name":"` + long + `","type":"int"}`)}, "avro: a path is longer than 4096 bytes"},
		{"a long text", schema.Text{Format: schema.Avro, Schema: `"string"` + strings.Repeat(" ", 1<<20)}, "avro: schema and references are longer than 1048576 bytes"},
		{"long references", schema.Text{Format: schema.Avro, Schema: `"string"`, References: []string{strings.Repeat(" ", 1<<20)}}, "avro: schema and references are longer than 1048576 bytes"},
		{"many references", schema.Text{Format: schema.Avro, Schema: `"string"`, References: make([]string, 257)}, "avro: more than 256 references"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(tt.text)
			if s != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error is %v, want it to begin with %q", err, tt.want)
			}
		})
	}
	t.Run("64 levels are accepted", func(t *testing.T) { parse(t, chain(64)) })
	t.Run("1 MiB is accepted", func(t *testing.T) { parse(t, `"string"`+strings.Repeat(" ", 1<<20-8)) })
}
