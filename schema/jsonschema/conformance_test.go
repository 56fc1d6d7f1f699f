package jsonschema

import (
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// A conformance case is a schema with records in which what is tagged stands
// between « and ».
type conformanceCase struct {
	name    string
	schema  string
	records []string
	// whole is a part of the error when no derived schema can be made.
	whole string
}

const tagged = `"confluent:tags":["PII"]`

func conformanceCases() []conformanceCase {
	return []conformanceCase{
		{"a string", `{"type":"object","properties":{"a":{"type":"string",` + tagged + `},"b":{"type":"string"}}}`,
			[]string{`{"a":«"x"»,"b":"y"}`, ` { "b" : "y" , "a" : «"\u0078 \" \\"» } `, `{"b":""}`, `{"a":«""»}`, `{}`}, ""},
		{"a string with constraints", `{"type":"object","properties":{"a":{"type":"string","format":"email","maxLength":20,` + tagged + `}}}`,
			[]string{`{"a":«"a@b.example"»}`}, ""},
		{"an enum", `{"properties":{"a":{"enum":["x","y",null],` + tagged + `}}}`, []string{`{"a":«"x"»}`, `{"a":null}`}, ""},
		{"a const", `{"properties":{"a":{"const":"x",` + tagged + `}}}`, []string{`{"a":«"x"»}`}, ""},
		{"an integer", `{"properties":{"a":{"type":"integer","minimum":0,` + tagged + `}},"required":["a"]}`,
			[]string{`{"a":«12345678901234567890»}`, `{"a":«1e3»}`, `{"a":«1.0»}`}, ""},
		{"a number", `{"properties":{"a":{"type":"number",` + tagged + `},"b":{"type":"number"}}}`,
			[]string{`{"a":«-0.10»,"b":-0.10}`, `{"a":«1E+2»}`}, ""},
		{"a boolean", `{"properties":{"a":{"type":"boolean",` + tagged + `}}}`, []string{`{"a":«true»}`, `{"a":«false»}`}, ""},
		{"a nullable string", `{"properties":{"a":{"type":["string","null"],` + tagged + `}}}`, []string{`{"a":«"x"»}`, `{"a":null}`}, ""},
		{"a nullable integer", `{"properties":{"a":{"type":["integer","null"],` + tagged + `}}}`, []string{`{"a":«1»}`, `{"a":null}`}, ""},
		{"a null", `{"properties":{"a":{"type":"null",` + tagged + `}}}`, []string{`{"a":null}`}, ""},
		{"a string or a number", `{"properties":{"a":{"type":["string","number"],` + tagged + `}}}`, []string{`{"a":«"x"»}`, `{"a":«1.50»}`}, ""},
		{"any value", `{"properties":{"a":{` + tagged + `}}}`, []string{`{"a":«{"x":[1, "2"]}»}`, `{"a":«"x"»}`, `{"a":«[ ]»}`, `{"a":null}`}, ""},
		{"an object of which nothing is described", `{"properties":{"a":{"type":"object",` + tagged + `}}}`, []string{`{"a":«{"x": {"y":1}}»}`, `{"a":«{}»}`}, ""},
		{"an array of which nothing is described", `{"properties":{"a":{"type":"array",` + tagged + `}}}`, []string{`{"a":«[1, [2]]»}`}, ""},
		{"members of a tagged object", `{"properties":{"a":{"type":"object",` + tagged + `,"properties":{"b":{"type":"string"},"c":{"type":"integer"}}}}}`,
			[]string{`{"a":{"b":«"x"»,"c":«1»}}`, `{"a":{}}`}, ""},
		{"a nested object", `{"properties":{"a":{"properties":{"b":{"properties":{"c":{"type":"integer",` + tagged + `},"d":{"type":"integer"}}}}}}}`,
			[]string{`{"a":{"b":{"c":«1»,"d":2}}}`}, ""},
		{"items", `{"properties":{"a":{"type":"array","items":{"type":"integer",` + tagged + `}}}}`, []string{`{"a":[«1», «22»,«333»]}`, `{"a":[]}`}, ""},
		{"items of a tagged array", `{"properties":{"a":{"type":"array","items":{"type":"string"},` + tagged + `}}}`, []string{`{"a":[«"x"», «"y"»]}`}, ""},
		{"an array of objects", `{"properties":{"a":{"type":"array","items":{"properties":{"b":{"type":"boolean",` + tagged + `},"c":{}}}}}}`,
			[]string{`{"a":[{"b":«true»,"c":1},{"c":[]},{"b":«false»}]}`}, ""},
		{"an array of arrays", `{"properties":{"a":{"items":{"items":{"type":"number",` + tagged + `}}}}}`, []string{`{"a":[[«1»],[],[«2»,«3»]]}`}, ""},
		{"a tuple", `{` + draft7 + `,"properties":{"a":{"items":[{"type":"integer",` + tagged + `},{"type":"integer"}],"additionalItems":{"type":"boolean",` + tagged + `}}}}`,
			[]string{`{"a":[«1»,2,«true»,«false»]}`, `{"a":[«1»]}`}, ""},
		{"a tuple of 2020-12", `{` + draft2020 + `,"properties":{"a":{"prefixItems":[{"type":"integer"},{"type":"integer",` + tagged + `}],"items":{"type":"string"}}}}`,
			[]string{`{"a":[1,«2»,"x"]}`}, ""},
		{"a tuple with nothing behind it", `{` + draft2020 + `,"properties":{"a":{"prefixItems":[{"type":"integer",` + tagged + `}],"items":false}}}`,
			[]string{`{"a":[«1»]}`}, ""},
		{"contains", `{` + draft2020 + `,"properties":{"a":{"contains":{"type":"integer",` + tagged + `},"maxContains":3,"items":{"type":"integer"}}}}`,
			[]string{`{"a":[«1»,«2»]}`}, ""},
		{"contains alone", `{"properties":{"a":{"type":"array","contains":{"type":"integer",` + tagged + `}}}}`, []string{`{"a":[«1»,«2»]}`}, ""},
		{"additional members", `{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"integer",` + tagged + `}}`,
			[]string{`{"a":1,"b":«2»,"\u0063":«3»}`}, ""},
		{"any additional members of a tagged object", `{"properties":{"a":{"type":"object",` + tagged + `,"additionalProperties":true}}}`,
			[]string{`{"a":{"b":«2»,"c":«{"d":[]}»}}`}, ""},
		{"members by pattern", `{"patternProperties":{"^x_":{"type":"integer",` + tagged + `},"^y_":{"type":"string"}},"additionalProperties":{"type":"boolean"}}`,
			[]string{`{"x_1":«1»,"y_1":"z","q":true,"x_":«2»}`}, ""},
		{"members by two patterns", `{"patternProperties":{"^x":{"type":"integer",` + tagged + `},"y$":{"minimum":0}}}`,
			[]string{`{"xa":«1»,"ay":2,"xy":«3»}`}, ""},
		{"a named member that a pattern matches", `{"properties":{"xa":{"type":"integer"}},"patternProperties":{"^x":{"type":"integer",` + tagged + `}}}`,
			[]string{`{"xa":«1»,"xb":«2»}`}, ""},
		{"unevaluated members", `{` + draft2020 + `,"properties":{"a":{"type":"integer"}},"unevaluatedProperties":{"type":"integer",` + tagged + `}}`,
			[]string{`{"a":1,"b":«2»}`}, ""},
		{"unevaluated items", `{` + draft2020 + `,"properties":{"a":{"prefixItems":[{"type":"integer"}],"unevaluatedItems":{"type":"integer",` + tagged + `}}}}`,
			[]string{`{"a":[1,«2»,«3»]}`}, ""},
		{"all of", `{"allOf":[{"properties":{"a":{"type":"integer",` + tagged + `}}},{"properties":{"a":{"minimum":0},"b":{"type":"integer"}}}]}`,
			[]string{`{"a":«1»,"b":2}`}, ""},
		{"any of, with the tag in the second branch", `{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"string",` + tagged + `}]}}}`,
			[]string{`{"a":«"x"»}`}, ""},
		{"any of, around members", `{"anyOf":[{"properties":{"a":{"type":"integer",` + tagged + `}},"required":["a"]},{"properties":{"b":{"type":"integer"}},"required":["b"]}]}`,
			[]string{`{"a":«1»}`, `{"b":1}`, `{"a":«1»,"b":1}`}, ""},
		{"one of, around members", `{"oneOf":[{"properties":{"k":{"const":"a"},"v":{"type":"integer",` + tagged + `}}},{"properties":{"k":{"const":"b"},"v":{"type":"boolean"}}}]}`,
			[]string{`{"k":"a","v":«1»}`, `{"k":"b","v":«true»}`}, ""},
		{"one of, with null", `{"properties":{"a":{"oneOf":[{"type":"null"},{"properties":{"b":{"type":"integer",` + tagged + `}},"type":"object"}]}}}`,
			[]string{`{"a":null}`, `{"a":{"b":«1»}}`}, ""},
		{"one of, with a tag on the property", `{"properties":{"a":{` + tagged + `,"oneOf":[{"type":"integer"},{"type":"boolean"}]}}}`,
			[]string{`{"a":«1»}`, `{"a":«true»}`}, ""},
		{"one of, of a string and an object", `{"properties":{"a":{"oneOf":[{"type":"string"},{"type":"object","properties":{"b":{"type":"integer",` + tagged + `}}}]}}}`,
			[]string{`{"a":"x"}`, `{"a":{"b":«1»}}`}, ""},
		{"one of, of a tagged string and an object", `{"properties":{"a":{"oneOf":[{"type":"string",` + tagged + `},{"type":"object","properties":{"b":{"type":"integer"}}}]}}}`,
			[]string{`{"a":«"x"»}`, `{"a":«{"b":1}»}`}, ""},
		{"if, then and else", `{"properties":{"k":{"type":"string"}},"if":{"properties":{"k":{"const":"a"}}},"then":{"properties":{"v":{"type":"integer",` + tagged + `}}},"else":{"properties":{"w":{"type":"integer",` + tagged + `}}}}`,
			[]string{`{"k":"a","v":«1»}`, `{"k":"b","w":«1»}`}, ""},
		{"if about the tagged member", `{"properties":{"a":{"type":["integer","string"],` + tagged + `}},"if":{"properties":{"a":{"type":"integer"}}},"then":{"required":["b"]},"else":{},"dependencies":{"b":["a"]}}`,
			[]string{`{"a":«"x"»}`}, "if depends"},
		{"a dependency", `{"properties":{"a":{"type":"integer"}},"dependencies":{"a":{"properties":{"b":{"type":"integer",` + tagged + `}}}}}`,
			[]string{`{"a":1,"b":«2»}`}, ""},
		{"a dependent schema", `{` + draft2020 + `,"properties":{"a":{"type":"integer"}},"dependentSchemas":{"a":{"properties":{"b":{"type":"integer",` + tagged + `}}}}}`,
			[]string{`{"a":1,"b":«2»}`}, ""},
		{"not, about required members", `{"properties":{"a":{"type":"integer",` + tagged + `}},"not":{"required":["c"]}}`, []string{`{"a":«1»}`}, ""},
		{"not, about the tagged member", `{"properties":{"a":{"type":"integer",` + tagged + `}},"not":{"properties":{"a":{"type":"string"}}}}`,
			[]string{`{"a":«1»}`}, "not depends"},
		{"a reference", `{"properties":{"a":{"$ref":"#/definitions/n"}},"definitions":{"n":{"type":"integer",` + tagged + `}}}`, []string{`{"a":«1»}`}, ""},
		{"a reference with a tag beside it", `{"properties":{"a":{"$ref":"#/definitions/n",` + tagged + `},"b":{"$ref":"#/definitions/n"}},"definitions":{"n":{"type":"integer"}}}`,
			[]string{`{"a":«1»,"b":2}`}, ""},
		{"a referenced object in two places", `{"properties":{"a":{"$ref":"#/definitions/o"},"b":{"$ref":"#/definitions/o",` + tagged + `}},"definitions":{"o":{"properties":{"v":{"type":"integer"}}}}}`,
			[]string{`{"a":{"v":1},"b":{"v":«2»}}`}, ""},
		{"a reference by anchor", `{` + draft2020 + `,"properties":{"a":{"$ref":"#n"}},"$defs":{"n":{"$anchor":"n","properties":{"v":{"type":"integer",` + tagged + `}}}}}`,
			[]string{`{"a":{"v":«1»}}`}, ""},
		{"a reference by an identifier of draft 7", `{` + draft7 + `,"properties":{"a":{"$ref":"#n"}},"definitions":{"n":{"$id":"#n","type":"integer",` + tagged + `}}}`,
			[]string{`{"a":«1»}`}, ""},
		{"a reference through definitions of the other name", `{"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"properties":{"v":{"type":"integer",` + tagged + `}}}}}`,
			[]string{`{"a":{"v":«1»}}`}, ""},
		{"a reference into properties", `{"properties":{"a":{"properties":{"v":{"type":"integer",` + tagged + `}}},"b":{"$ref":"#/properties/a"}}}`,
			[]string{`{"a":{"v":«1»},"b":{"v":«2»}}`}, ""},
		{"a list", `{"properties":{"v":{"type":"integer",` + tagged + `},"next":{"$ref":"#"}}}`,
			[]string{`{"v":«1»,"next":{"v":«2»,"next":{"next":{"v":«3»}}}}`}, ""},
		{"a list that ends in null", `{"type":"object","properties":{"v":{"type":"integer",` + tagged + `},"next":{"oneOf":[{"type":"null"},{"$ref":"#"}]}}}`,
			[]string{`{"v":«1»,"next":{"v":«2»,"next":null}}`}, ""},
		{"a tree in definitions", `{"$ref":"#/definitions/t","definitions":{"t":{"properties":{"v":{"type":"boolean",` + tagged + `},"kids":{"type":"array","items":{"$ref":"#/definitions/t"}}}}}}`,
			[]string{`{"v":«true»,"kids":[{"v":«false»},{"kids":[{"v":«true»}]}]}`}, ""},
		{"mutual recursion", `{"$ref":"#/definitions/a","definitions":{"a":{"properties":{"b":{"$ref":"#/definitions/b"}}},"b":{"properties":{"v":{"type":"integer",` + tagged + `},"a":{"$ref":"#/definitions/a"}}}}}`,
			[]string{`{"b":{"v":«1»,"a":{"b":{"v":«2»}}}}`}, ""},
		{"a tagged recursive member", `{"properties":{"v":{"type":"integer"},"next":{"$ref":"#",` + tagged + `}}}`,
			[]string{`{"v":1,"next":{"v":«2»,"next":{"v":«3»,"next":{}}}}`}, ""},
		{"a recursive anchor", `{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"properties":{"v":{"type":"integer",` + tagged + `},"next":{"$recursiveRef":"#"}}}`,
			[]string{`{"v":«1»,"next":{"v":«2»}}`}, ""},
		{"a dynamic anchor", `{` + draft2020 + `,"$dynamicAnchor":"n","properties":{"v":{"type":"integer",` + tagged + `},"next":{"$dynamicRef":"#n"}}}`,
			[]string{`{"v":«1»,"next":{"v":«2»}}`}, ""},
		{"a default", `{"properties":{"a":{"type":"integer","default":7,` + tagged + `}}}`, []string{`{"a":«1»}`, `{}`}, ""},
		{"formats", `{"properties":{"a":{"type":"string","format":"date",` + tagged + `},"b":{"type":"string","format":"date"}}}`,
			[]string{`{"a":«"2024-02-29"»,"b":"2024-02-29"}`}, ""},
		{"a pattern and a length", `{"properties":{"a":{"type":"string","pattern":"^[0-9]+$","minLength":2,` + tagged + `}}}`, []string{`{"a":«"12"»}`}, ""},
		{"the root is an array", `{"type":"array","items":{"type":"integer",` + tagged + `}}`, []string{`[«1», «2»]`}, ""},
		{"the root is a leaf", `{"type":"integer",` + tagged + `}`, []string{`«1»`, ` «1» `}, ""},
		{"the root is tagged", `{"properties":{"a":{"type":"integer"},"b":{"items":{"type":"string"}}},` + tagged + `}`, []string{`{"a":«1»,"b":[«"x"»]}`}, ""},
		{"names with special characters", `{"properties":{"a/b":{"type":"integer",` + tagged + `},"~":{"type":"integer",` + tagged + `},"[]":{"type":"integer"},"é\n":{"type":"integer",` + tagged + `},"":{"type":"integer",` + tagged + `}}}`,
			[]string{`{"a/b":«1»,"~":«2»,"[]":3,"é\n":«4»,"\u00e9\u000a":«5»,"":«6»}`[:0] + `{"a/b":«1»,"~":«2»,"[]":3,"\u00e9\u000a":«5»,"":«6»}`}, ""},
		{"unique items", `{"properties":{"a":{"type":"array","uniqueItems":true,"items":{"type":"integer",` + tagged + `}}}}`, []string{`{"a":[«1»,«2»]}`}, ""},
		{"an enum of objects", `{"properties":{"a":{"enum":[{"b":1}],"properties":{"b":{"type":"integer",` + tagged + `}}}}}`, []string{`{"a":{"b":«1»}}`}, "enum or const"},
		{"additional members of which some have a name", `{"allOf":[{"properties":{"a":{"type":"integer",` + tagged + `}}},{"additionalProperties":{"type":"integer"}}]}`,
			[]string{`{"a":«1»,"b":2}`}, "the same subschema"},
		{"additional members that may be anything", `{"allOf":[{"properties":{"a":{"type":"integer",` + tagged + `}}},{"additionalProperties":true}]}`,
			[]string{`{"a":«1»,"b":2}`}, ""},
		{"numbers, strings and white space around", `{"properties":{"a":{"type":"integer",` + tagged + `},"b":{},"c":{}}}`,
			[]string{"{\n\t\"b\" : 1.0E+02 ,\r\n \"a\":  «7»  , \"c\":\"\\u00e9\\/\" }\n"}, ""},
		{"types of draft 4", `{"$schema":"http://json-schema.org/draft-04/schema#","id":"http://example.com/x","properties":{"a":{"type":"integer","minimum":0,"exclusiveMinimum":true,` + tagged + `}}}`,
			[]string{`{"a":«1»}`}, ""},
		{"draft 6", `{"$schema":"http://json-schema.org/draft-06/schema#","properties":{"a":{"type":"integer","exclusiveMinimum":0,` + tagged + `}}}`, []string{`{"a":«1»}`}, ""},
	}
}

// TestConformance protects the records of all cases, and reads them back by the
// schema and by the derived one. The validator has to take the record before and
// after.
func TestConformance(t *testing.T) {
	for _, c := range conformanceCases() {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, c.schema)
			edits := wrapTagged(s)
			there, back := compile(t, s, edits)
			derived := deriveFor(t, s, edits, c.whole)
			for _, record := range c.records {
				original, want := marked(record)
				if err := s.Validate([]byte(original)); err != nil {
					t.Errorf("%s: %v", original, err)
				}
				got := rewrite(t, there, original, sealing)
				if got != want {
					t.Errorf("protected:\n got %s\nwant %s", got, want)
				}
				if again := rewrite(t, back, got, opening); again != original {
					t.Errorf("restored:\n got %s\nwant %s", again, original)
				}
				if derived == nil {
					continue
				}
				if err := derived.Validate([]byte(got)); err != nil {
					t.Errorf("%s does not satisfy %s: %v", got, derived.text.Schema, err)
				}
				_, viaDerived := restoreOf(t, derived, edits)
				if again := rewrite(t, viaDerived, got, opening); again != original {
					t.Errorf("restored by the derived schema:\n got %s\nwant %s", again, original)
				}
			}
		})
	}
}

func restoreOf(t *testing.T, s *Schema, edits []schema.Edit) (*Schema, schema.Program) {
	t.Helper()
	back, err := s.Restore(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	return s, back
}

// deriveFor returns the derived schema, or nil when there should be none.
func deriveFor(t *testing.T, s *Schema, edits []schema.Edit, whole string) *Schema {
	t.Helper()
	origin := schema.Origin{ID: 7, Digest: s.text.Digest()}
	text, changed, err := s.Derive(edits, origin)
	if whole != "" {
		if err == nil || !strings.Contains(err.Error(), whole) {
			t.Fatalf("Derive: %v, want %q", err, whole)
		}
		return nil
	}
	if err != nil {
		t.Fatalf("Derive: %v", err)
	}
	d, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := d.Origin()
	if ok != changed || changed && got != origin {
		t.Fatalf("origin %v, %t, and changed is %t", got, ok, changed)
	}
	if d.Name() != s.Name() {
		t.Errorf("the derived schema is called %q", d.Name())
	}
	return d
}
