package avro

import (
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func record(fields string) string {
	return `{"type":"record","name":"R","fields":[` + fields + `]}`
}

// fieldLines spells fields one a line: path, type, and what else there is.
func fieldLines(fields []schema.Field) (lines []string) {
	for _, f := range fields {
		line := f.Path + " " + string(f.Type)
		if f.Nullable {
			line += " nullable"
		}
		if f.Logical != "" {
			line += " logical=" + f.Logical
		}
		if f.Tags != nil {
			line += " tags=" + strings.Join(f.Tags, ",")
		}
		if f.Former != nil {
			line += " former=" + strings.Join(f.Former, ",")
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTags(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{
			"a tag on a record field", record(`{"name":"a","type":"string","confluent:tags":["T"]}`),
			[]string{"/a string tags=T"},
		},
		{
			"a tag on the type object of a field", record(`{"name":"a","type":{"type":"string","confluent:tags":["T"]}}`),
			[]string{"/a string tags=T"},
		},
		{
			"tags of type, field and root, innermost first and without repeats",
			`{"type":"record","name":"R","confluent:tags":["ROOT","T","ROOT"],"fields":[{"name":"a","confluent:tags":["F","T"],"type":{"type":"string","confluent:tags":["T","U"]}},{"name":"b","type":"long"}]}`,
			[]string{"/a string tags=T,U,F,ROOT", "/b long tags=ROOT,T"},
		},
		{
			"a tag on a named type counts wherever the type is used",
			record(`{"name":"a","type":{"type":"enum","name":"E","symbols":["X"],"confluent:tags":["T"]}},{"name":"b","type":"E"},{"name":"c","type":["null","E"]}`),
			[]string{"/a enum tags=T", "/b enum tags=T", "/c enum nullable tags=T"},
		},
		{
			"a reference with tags of its own has those and the ones of the type, and gives them to nobody else",
			record(`{"name":"a","type":{"type":"record","name":"P","confluent:tags":["P"],"fields":[{"name":"x","type":"string","confluent:tags":["X"]}]}},{"name":"b","type":{"type":"P","confluent:tags":["B"]},"confluent:tags":["F"]},{"name":"c","type":"P"}`),
			[]string{"/a/x string tags=X,P", "/b/x string tags=X,B,P,F", "/c/x string tags=X,P"},
		},
		{
			"tags on an array and on its items",
			record(`{"name":"a","type":{"type":"array","items":{"type":"string","confluent:tags":["I"]},"confluent:tags":["A"]}}`),
			[]string{"/a/[] string tags=I,A"},
		},
		{
			"tags on a map and on its values",
			record(`{"name":"a","type":{"type":"map","values":{"type":"bytes","confluent:tags":["V"]},"confluent:tags":["M"]}}`),
			[]string{"/a/{} bytes tags=V,M"},
		},
		{
			"a tag on one branch of a union",
			record(`{"name":"a","type":["null",{"type":"string","confluent:tags":["S"]},"long"]}`),
			[]string{"/a string nullable tags=S", "/a long nullable"},
		},
		{
			"a tag on a record counts for all that it holds",
			record(`{"name":"a","confluent:tags":["T"],"type":{"type":"record","name":"P","fields":[{"name":"x","type":["string","null"]},{"name":"y","type":{"type":"array","items":{"type":"map","values":"long"}}}]}}`),
			[]string{"/a/x string nullable tags=T", "/a/y/[]/{} long tags=T"},
		},
		{
			"a tag in the flat form of a field",
			record(`{"name":"a","type":"array","items":"string","confluent:tags":["T"]}`),
			[]string{"/a/[] string tags=T"},
		},
		{
			"a tag on a reference with a branch beside it",
			record(`{"name":"a","type":{"type":"fixed","name":"F","size":2}},{"name":"b","type":["null",{"type":"F","confluent:tags":["B"]}]}`),
			[]string{"/a fixed", "/b fixed nullable tags=B"},
		},
		{
			"an empty list of tags is none", record(`{"name":"a","type":"string","confluent:tags":[]}`),
			[]string{"/a string"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fieldLines(leaves(parse(t, tt.text))); !slices.Equal(got, tt.want) {
				t.Errorf("fields are\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestBadTags(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a string", record(`{"name":"a","type":"string","confluent:tags":"T"}`), "avro: /a: confluent:tags: "},
		{"null", record(`{"name":"a","type":{"type":"string","confluent:tags":null}}`), "avro: /a: confluent:tags: "},
		{"a number among them", record(`{"name":"a","type":"string","confluent:tags":["T",1]}`), "avro: /a: confluent:tags: "},
		{"an empty one", record(`{"name":"a","type":{"type":"map","values":{"type":"array","items":"long","confluent:tags":[""]}}}`), "avro: /a/{}: confluent:tags: "},
		{"on the root", `{"type":"record","name":"R","confluent:tags":{},"fields":[]}`, "avro: /: confluent:tags: "},
		{"on a reference", record(`{"name":"a","type":{"type":"fixed","name":"F","size":1}},{"name":"b","type":{"type":"F","confluent:tags":1}}`), "avro: /b: confluent:tags: "},
		{"more than 64", record(`{"name":"a","type":"string","confluent:tags":["T"` + strings.Repeat(`,"T"`, 64) + `]}`), "avro: /a: more than 64 tags"},
		{"written twice", record(`{"name":"a","type":"string","confluent:tags":["T"],"confluent:tags":[]}`), "avro: schema: an object has a key twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(schema.Text{Format: schema.Avro, Schema: tt.text})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error is %v, want it to begin with %q", err, tt.want)
			}
		})
	}
}
