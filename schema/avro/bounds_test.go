package avro

import (
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// Texts of less than 1 MiB that would cost gigabytes or hours if nothing bounded
// what they expand to. They need not be refused, but must be done with: a test
// run that hangs here is the failure.
func TestTextsThatWouldCostMuch(t *testing.T) {
	numbered := func(n int, pattern string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = strings.ReplaceAll(pattern, "#", itoa(i))
		}
		return strings.Join(all, ",")
	}
	// Twelve types, each naming the one before twice.
	double := func(aliases string) string {
		text := `{"name":"t0","type":{"type":"record","name":"T0","fields":[{"name":"s","type":"string"}]}}`
		for i := 1; i < 12; i++ {
			text += `,{"name":"t` + itoa(i) + `","type":{"type":"record","name":"T` + itoa(i) + `","fields":[` +
				`{"name":"a","type":"T` + itoa(i-1) + `","aliases":[` + aliases + `]},{"name":"b","type":"T` + itoa(i-1) + `","aliases":[` + strings.ReplaceAll(aliases, "alias", "other") + `]}]}}`
		}
		return record(text)
	}
	deep := `"string"`
	for i := range 60 {
		deep = `{"type":"record","name":"D` + itoa(i) + `","fields":[{"name":"x","confluent:tags":[` + numbered(64, `"tag `+itoa(i)+` #"`) + `],"type":` + deep + `}]}`
	}
	name := strings.Repeat("n", 4000)
	tests := []struct {
		name, text string
		refused    string // empty when it is accepted
	}{
		{"a field with very many aliases, in types that double", double(numbered(2500, `"alias#"`)), ""},
		{"long aliases, in types that double", double(numbered(16, `"alias`+strings.Repeat("a", 1500)+`#"`)), "avro: paths and tags are too long"},
		{"a long name above very many fields", record(`{"name":"` + name + `","type":{"type":"record","name":"P","fields":[` + numbered(20_000, `{"name":"a#","type":"int"}`) + `]}}`), "avro: paths and tags are too long"},
		{"very many tags above very many fields", record(`{"name":"` + name[:10] + `","type":{"type":"record","name":"P","confluent:tags":[` + numbered(64, `"tag #"`) + `],"fields":[` + numbered(15_000, `{"name":"a#","type":"int","confluent:tags":["own"]}`) + `]}}`), ""},
		{"64 tags on each of 60 levels", deep, "avro: /x/x/x/x/x: more than 256 tags"},
		{"a wide record", record(numbered(30_000, `{"name":"a#","type":"int"}`)), ""},
		{"a wide union", `[` + numbered(10_000, `{"type":"fixed","name":"F#","size":1}`) + `]`, ""},
		{"very many brackets", strings.Repeat("[", 1<<20), "avro: schema: not one JSON value"},
		{"very many brackets that close", strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19), "avro: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.text) > 1<<20 {
				t.Fatalf("text of %d bytes would be refused for its length", len(tt.text))
			}
			s, err := Parse(schema.Text{Format: schema.Avro, Schema: tt.text})
			if tt.refused != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.refused) {
					t.Errorf("error is %.200v, want it to begin with %q", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatalf("Parse: %.200v", err)
			}
			compile(t, s)
			compile(t, s, replaceAll(s)...)
		})
	}
}
