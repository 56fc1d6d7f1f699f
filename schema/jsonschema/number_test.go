package jsonschema

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

func TestFieldsThatAreNumeric(t *testing.T) {
	for _, c := range []struct {
		name, schema, logical string
		numeric               bool
	}{
		{"a number", `{"type":"number"}`, "", true},
		{"an integer", `{"type":"integer"}`, "", true},
		{"an integer or null", `{"type":["null","integer"]}`, "", true},
		{"numbers in a list of values", `{"enum":[1,2.5]}`, "enum", true},
		{"one number", `{"const":7}`, "const", true},
		{"anything", `true`, "", true},
		{"anything, by a schema that says nothing", `{}`, "", true},
		{"a string or an integer", `{"type":["string","integer"]}`, "", true},
		{"a number by one branch", `{"anyOf":[{"type":"string"},{"type":"number"}]}`, "", true},

		{"a string", `{"type":"string"}`, "", false},
		{"null", `{"type":"null"}`, "", false},
		{"a boolean", `{"type":"boolean"}`, "", false},
		{"a string or a boolean", `{"type":["string","boolean"]}`, "", false},
		{"an object of which nothing is said", `{"type":"object"}`, "", false},
		{"a string that a branch calls a number", `{"type":"string","anyOf":[{"type":"number"},{}]}`, "", false},

		{"a number with a least value", `{"type":"number","maximum":9,"minimum":0}`, "minimum", true},
		{"a number that is more than another", `{"type":"integer","exclusiveMinimum":0}`, "exclusiveMinimum", true},
		{"a number with a greatest value", `{"type":"integer","maximum":9}`, "maximum", true},
		{"a number that is less than another", `{"type":"integer","exclusiveMaximum":9}`, "exclusiveMaximum", true},
		{"a multiple", `{"type":"number","minimum":0,"multipleOf":0.01}`, "multipleOf", true},
		{"a number with a format", `{"type":"integer","format":"int32"}`, "format:int32", true},
		{"a bound in a branch", `{"type":"number","allOf":[{"minimum":0}]}`, "minimum", true},
		{"a bound of anything", `{"minimum":0}`, "minimum", true},
		{"a pattern of anything", `{"pattern":"x"}`, "pattern", true},
		{"a length of a number", `{"type":"number","maxLength":3}`, "", true},
		{"a least value of a string", `{"type":"string","minimum":3}`, "", false},
		{"a least value of a boolean", `{"type":"boolean","minimum":3,"format":"date"}`, "", false},

		{"a date", `{"type":"string","format":"date"}`, "date", false},
		{"a date or null", `{"type":["string","null"],"format":"date"}`, "date", false},
		{"a date and a time", `{"type":"string","format":"date-time"}`, "date-time", false},
		{"a time", `{"type":"string","format":"time"}`, "time", false},
		{"a date said twice", `{"type":"string","format":"date","allOf":[{"format":"date"}]}`, "date", false},
		{"a date of the length of dates", `{"type":"string","maxLength":10,"format":"date"}`, "date", false},
		{"a date and a time of some length", `{"type":"string","format":"date-time","maxLength":20}`, "format:date-time", false},
		{"one of two dates", `{"type":"string","format":"date","enum":["2026-01-01","2026-01-02"]}`, "format:date", false},
		{"a date of a pattern", `{"type":"string","format":"date","allOf":[{"pattern":"^20"}]}`, "format:date", false},
		{"a date or a date and a time", `{"type":"string","anyOf":[{"format":"date"},{"format":"date-time"}]}`, "format:date", false},
		{"a date or a number", `{"type":["string","integer"],"format":"date"}`, "format:date", true},
		{"anything, but dates among the strings", `{"format":"date"}`, "format:date", true},
		{"a length of time", `{"type":"string","format":"duration"}`, "format:duration", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := parse(t, `{"properties":{"v":`+c.schema+`}}`).Fields()[0]
			if f.Numeric != c.numeric || f.Logical != c.logical {
				t.Errorf("numeric is %t and logical %q, want %t and %q", f.Numeric, f.Logical, c.numeric, c.logical)
			}
			_, err := parse(t, `{"properties":{"v":`+c.schema+`}}`).Compile([]schema.Edit{{Op: schema.Number}}, schema.RejectUnknown)
			fit, ok := errors.AsType[*jsondoc.FitError](err)
			if (err == nil) != c.numeric || err != nil && (!ok || fit.Path != "/v" || fit.Reason != "is not a number") {
				t.Errorf("Compile: %v", err)
			}
		})
	}
}

func TestItemsOfWhichSomeAreNumericAreFieldsOfTheirOwn(t *testing.T) {
	s := parse(t, `{"items":[{"type":["string","boolean"]},{"type":["string","integer"]},{"type":["integer","string"]}]}`)
	if got, want := describe(s), "/[] json\n/[] json\n"; got != want {
		t.Fatalf("fields %s, want %s", got, want)
	}
	if f := s.Fields(); f[0].Numeric || !f[1].Numeric {
		t.Errorf("numeric: %t, %t", f[0].Numeric, f[1].Numeric)
	}
}

func TestContainersAreNotNumeric(t *testing.T) {
	for _, f := range parse(t, `{"properties":{"o":{"properties":{"a":{"type":"string"}}},"l":{"items":{"type":"string"}},"u":{"type":["integer","object"],"properties":{"a":{"type":"string"}}}}}`).Fields() {
		if f.Numeric {
			t.Errorf("%s is", f.Path)
		}
	}
}

// answering gives the same answer to all questions.
func answering(answer string) visit {
	return func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, answer...), nil }
}

func TestAnswersForIntegersAreIntegral(t *testing.T) {
	// Where it is an integer or a string, the type alone would not tell.
	for _, typ := range []string{`{"type":"integer"}`, `{"type":["integer","null"]}`, `{"type":["integer","string"]}`, `{"type":"number","allOf":[{"type":"integer"}]}`} {
		s := parse(t, `{"properties":{"v":`+typ+`}}`)
		p, _ := compile(t, s, []schema.Edit{{Op: schema.Number}})
		for answer, fits := range map[string]bool{
			"5": true, "-5": true, "5.0": true, "50e-1": true, "0.5e1": true, "0e-9": true, "5.5": false, "5e-1": false, "NaN": false,
		} {
			out, err := p.Rewrite(nil, []byte(`{"v":7}`), answering(answer))
			if fits && (err != nil || string(out) != `{"v":`+answer+`}`) || !fits && !errors.Is(err, schema.ErrNumber) {
				t.Errorf("%s: %s gives %s, %v", typ, answer, out, err)
			}
			if fits {
				if err := s.Validate(out); err != nil {
					t.Errorf("%s: %s: %v", typ, out, err)
				}
			}
		}
	}
	for _, typ := range []string{`{"type":"number"}`, `{"type":["integer","number"]}`, `{"type":["number","string"]}`, `{}`} {
		s := parse(t, `{"properties":{"v":`+typ+`}}`)
		p, _ := compile(t, s, []schema.Edit{{Op: schema.Number}})
		if out := rewrite(t, p, `{"v":7}`, answering("5.5")); out != `{"v":5.5}` {
			t.Errorf("%s: %s", typ, out)
		}
	}
}

func TestNumberEditsBesideOthers(t *testing.T) {
	s := parse(t, `{"type":"object","properties":{
		"name":{"type":"string"}, "age":{"type":"integer","minimum":0}, "height":{"type":["number","null"]},
		"note":{"type":["string","null"]}, "geo":{"type":"array","items":{"type":"number"}}, "kept":{}
	},"additionalProperties":{"type":"integer"}}`)
	index := map[string]int{}
	for i, f := range s.Fields() {
		index[f.Path] = i
	}
	edits := []schema.Edit{
		{Field: index["/name"], Op: schema.Replace}, {Field: index["/age"], Op: schema.Number}, {Field: index["/height"], Op: schema.Number},
		{Field: index["/note"], Op: schema.Nullify}, {Field: index["/geo"], Op: schema.Wrap}, {Field: index["/{}"], Op: schema.Number},
	}
	there, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	v := visit(func(edit int, dst, value []byte) ([]byte, error) {
		switch edits[edit].Op {
		case schema.Number:
			return append(append(dst, value...), '0'), nil
		default:
			return append(append(append(dst, '<'), value...), '>'), nil
		}
	})
	const record = "{ \"age\" : 36,\t\"kept\":[1.50, {\"age\":1}], \"height\":1.80 ,\"name\":\"Ad\\u0061\", \"note\":\"x\",\"geo\":[ 1, 2 ], \"x\":-3}\n"
	const want = "{ \"age\" : 360,\t\"kept\":[1.50, {\"age\":1}], \"height\":1.800 ,\"name\":\"<Ada>\", \"note\":null,\"geo\":\"<[ 1, 2 ]>\", \"x\":-30}\n"
	if got := rewrite(t, there, record, v); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := rewrite(t, there, `{"height":null}`, v); got != `{"height":null}` {
		t.Errorf("null became %s", got)
	}
	_, err = there.Rewrite(nil, []byte(`{"age":"36"}`), v)
	if fault, ok := errors.AsType[*schema.MalformedError](err); !ok || fault.Reason != "value is not a number" {
		t.Errorf("a string in the place of an integer: %v", err)
	}
}

func TestDerivedSchemasAndNumberEdits(t *testing.T) {
	s := parse(t, `{"type":"object","properties":{"age":{"type":"integer"},"pan":{"type":"integer"}},"required":["age","pan"]}`)
	if text, changed, err := s.Derive([]schema.Edit{{Field: 0, Op: schema.Number}, {Field: 1, Op: schema.Number}}, schema.Origin{ID: 1}); err != nil || changed || text.Schema != s.text.Schema {
		t.Errorf("edits that keep the types give %s, %t, %v", text.Schema, changed, err)
	}
	edits := []schema.Edit{{Field: 0, Op: schema.Number}, {Field: 1, Op: schema.Wrap}}
	text, changed, err := s.Derive(edits, schema.Origin{ID: 1})
	if err != nil || !changed {
		t.Fatal(err, changed)
	}
	d := parse(t, text.Schema)
	there, _ := compile(t, s, edits)
	one := visit(func(edit int, dst, value []byte) ([]byte, error) {
		if edit == 0 {
			return append(dst, "37"...), nil
		}
		return sealing(edit, dst, value)
	})
	out := rewrite(t, there, `{"age":36,"pan":4111}`, one)
	if err := d.Validate([]byte(out)); err != nil {
		t.Errorf("%s: %v", out, err)
	}
	back, err := d.Restore(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	keep := visit(func(edit int, dst, value []byte) ([]byte, error) {
		if edit == 0 {
			return nil, schema.ErrKeep
		}
		return opening(edit, dst, value)
	})
	if got := rewrite(t, back, out, keep); got != `{"age":37,"pan":4111}` {
		t.Errorf("restored %s", got)
	}
	for name, try := range map[string]func() error{
		"restoring a number that was wrapped": func() error {
			_, err := d.Restore([]schema.Edit{{Field: 1, Op: schema.Number}}, schema.RejectUnknown)
			return err
		},
		"protecting a number that is": func() error {
			_, err := d.Compile([]schema.Edit{{Field: 1, Op: schema.Number}}, schema.RejectUnknown)
			return err
		},
	} {
		fit, ok := errors.AsType[*FitError](try())
		if !ok || fit.Path != "/pan" {
			t.Errorf("%s: %v", name, try())
		}
	}
}

// Records with numbers of random schemas: those that are edited are answered by
// others of the same kind, and a decoder that knows nothing of edits finds just
// them changed.
func TestNumbersOfRandomSchemas(t *testing.T) {
	edited := 0
	for seed := range 400 {
		g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), 7))}
		doc := g.document()
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(textOf(string(text)))
		if err != nil {
			continue
		}
		var edits []schema.Edit
		for i, f := range s.Fields() {
			if f.Numeric && len(f.Tags) > 0 && (f.Type == schema.TypeNumber || f.Type == schema.TypeInteger) {
				edits = append(edits, schema.Edit{Field: i, Op: schema.Number})
			}
		}
		there, _ := compile(t, s, edits)
		for range 8 {
			record := g.value(doc, []any{doc}, 0)
			met := 0
			out, err := there.Rewrite(nil, []byte(record), visit(func(_ int, dst, value []byte) ([]byte, error) {
				if _, err := strconv.ParseFloat(string(value), 64); err != nil {
					t.Fatalf("seed %d: visited %q", seed, value)
				}
				met++
				return append(dst, "987654321"...), nil
			}))
			if err != nil {
				continue // other types than the schema describes
			}
			edited += met
			if got := marks(t, decode(record), decode(string(out))); got != met {
				t.Fatalf("seed %d: %s: %d visits, and %d values changed:\n%s\n%s", seed, text, met, got, record, out)
			}
		}
	}
	if edited < 200 {
		t.Errorf("%d edited numbers are too few to show much", edited)
	}
}

// marks counts the numbers that became the one of the test. Anything else must be
// the same.
func marks(t *testing.T, before, after any) int {
	t.Helper()
	n := 0
	switch x := before.(type) {
	case dict:
		y, _ := after.(dict)
		if len(x) != len(y) {
			t.Fatalf("an object of %d members has %d", len(x), len(y))
		}
		for name := range x {
			n += marks(t, x[name], y[name])
		}
	case []any:
		y, _ := after.([]any)
		if len(x) != len(y) {
			t.Fatalf("an array of %d items has %d", len(x), len(y))
		}
		for i := range x {
			n += marks(t, x[i], y[i])
		}
	case json.Number:
		if after == json.Number("987654321") {
			return 1
		}
		if after != before {
			t.Fatalf("%v became %v", before, after)
		}
	default:
		if after != before {
			t.Fatalf("%v became %v", before, after)
		}
	}
	return n
}
