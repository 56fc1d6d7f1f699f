package jsonschema

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestFields(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{
			"members in the order of the text",
			`{"properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b"]}`,
			"/b string\n/a integer?\n",
		},
		{
			"types and what null satisfies",
			`{"properties":{"n":{"type":"null"},"i":{"type":["integer","null"]},"m":{"type":["integer","number"]},"s":{"type":["string","integer"]},"e":{"enum":[1,null]},"c":{"const":"x"},"j":{},"t":true,"o":{"type":"object"},"l":{"type":"array"}},"required":["n","i","m","s","e","c","j","t","o","l"]}`,
			"/n null?\n/i integer?\n/m number\n/s json\n/e number(enum)?\n/c string(const)\n/j json?\n/t json?\n/o json\n/l json\n",
		},
		{
			"what a string has to look like",
			`{"required":["a","b","c","d","e"],"properties":{"a":{"type":"string","format":"email","maxLength":9},"b":{"type":"string","pattern":"x"},"c":{"enum":["x"]},"d":{"type":"string","minLength":1},"e":{"type":"integer","maxLength":1}}}`,
			"/a string(format:email)\n/b string(pattern)\n/c string(enum)\n/d string(minLength)\n/e integer\n",
		},
		{
			"containers",
			`{"properties":{"o":{"properties":{"x":{}}},"m":{"additionalProperties":{"type":"string"}},"a":{"items":{"type":"string"}},"u":{"type":["object","array"],"properties":{"x":{}},"items":{"type":"string"}},"w":{"type":["object","string"],"properties":{"x":{}}}},"required":["o","m","a","u","w"]}`,
			"/o record?\n/o/x json?\n/m map?\n/m/{} string?\n/a array?\n/a/[] string\n/u union\n/u/x json?\n/u/[] string\n/w union\n/w/x json?\n",
		},
		{
			"tags of what encloses a field come behind its own",
			`{"confluent:tags":["R"],"properties":{"o":{"confluent:tags":["O"],"properties":{"a":{"type":"string","confluent:tags":["A","R"]}}}}}`,
			"/o record? O,R\n/o/a string? A,R,O\n",
		},
		{
			"tags of all subschemas that apply",
			`{"properties":{"a":{"confluent:tags":["0"],"allOf":[{"confluent:tags":["1"]},{"$ref":"#/definitions/d"}],"anyOf":[{"confluent:tags":["2"]},{"type":"string","confluent:tags":["3"]}],"if":{"confluent:tags":["4"]},"then":{"confluent:tags":["5"]},"else":{"confluent:tags":["6"]}}},"definitions":{"d":{"confluent:tags":["7"]}},"patternProperties":{"a":{"confluent:tags":["8"]}},"additionalProperties":{"confluent:tags":["9"]}}`,
			"/a string? 0,1,7,2,3,4,5,6,8\n/{} json? 8\n/{} json? 9\n",
		},
		{
			"a union with a tag is one leaf, with the tags inside",
			`{"properties":{"u":{"confluent:tags":["U"],"type":["string","object"],"properties":{"a":{"type":"integer","confluent:tags":["A"]}}}}}`,
			"/u json? A,U\n",
		},
		{
			"a list folds onto its first occurrence",
			`{"properties":{"v":{"type":"string"},"next":{"oneOf":[{"type":"null"},{"$ref":"#"}]}}}`,
			"/v string?\n",
		},
		{
			"a member that must not be there is no field",
			`{"properties":{"a":false,"b":{"type":"string"}},"additionalProperties":false}`,
			"/b string?\n",
		},
		{
			"a member that another one requires cannot be left out",
			`{"properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"}},"dependencies":{"a":["b"]},"allOf":[{"required":["c"]}]}`,
			"/a string?\n/b string\n/c string\n",
		},
		{
			"a pattern that nothing else can match stands for itself",
			`{"patternProperties":{"^x_":{"type":"integer"},"^y_":{"type":"string"}},"additionalProperties":false}`,
			"/{} integer?\n/{} string?\n",
		},
		{
			"names with the characters of paths",
			`{"properties":{"a/b":{},"~":{},"[]":{},"{}":{},"*":{}}}`,
			"/a~1b json?\n/~0 json?\n/~3~4 json?\n/~5~6 json?\n/~2 json?\n",
		},
		{
			"a type that a branch names and the schema around it forbids",
			`{"required":["o","n"],"properties":{"o":{"type":"object","properties":{"a":{"type":"string","confluent:tags":["T"]}},"if":{"type":"string"},"anyOf":[{"type":["object","integer"]},{}]},"n":{"allOf":[{"type":"number"},{"type":["integer","string"]}]}}}`,
			"/o record\n/o/a string? T\n/n integer\n",
		},
		{"a leaf at the root", `{"type":["string","null"]}`, "/ string?\n"},
		{"a schema that says nothing", `true`, "/ json?\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := describe(parse(t, c.schema)); got != c.want {
				t.Errorf("fields of %s:\n%s\nwant\n%s", c.schema, got, c.want)
			}
		})
	}
}

func TestTagsBesideTheText(t *testing.T) {
	const text = `{"properties":{"o":{"properties":{"s":{"type":"string"}}},"arr":{"items":{"properties":{"g":{"type":"string"}}}},"m":{"additionalProperties":{"properties":{"g":{"type":"string"}}}},"v":{"type":"string"},"next":{"$ref":"#"}}}`
	for _, c := range []struct{ name, pattern, want string }{
		{"a path", "/o/s", "/o/s"},
		{"a path of items", "/arr/[]/g", "/arr/[]/g"},
		{"a path of values", "/m/{}/g", "/m/{}/g"},
		{"a path with stars", "/**/g", "/arr/[]/g /m/{}/g /next/arr/[]/g /next/m/{}/g"},
		{"a name", "$.o.s", "/o/s"},
		{"a name through an array", "$.arr.g", "/arr/[]/g"},
		{"a name through an array, with brackets", "$.arr[].g", "/arr/[]/g"},
		{"a name through a map", "$.m.g", "/m/{}/g"},
		{"a name through a map, with braces", "$.m{}.g", "/m/{}/g"},
		{"a name with a star", "$.*.s", "/o/s"},
		{"a name with two stars", "**.g", "/arr/[]/g /m/{}/g"},
		{"a container, and so all of its fields", "$.arr", "/arr /arr/[] /arr/[]/g"},
		{"the root", "$", "/o /o/s /arr /arr/[] /arr/[]/g /m /m/{} /m/{}/g /v"},
		{"nothing", "$.g", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, text, schema.TagRule{Pattern: c.pattern, Tags: []string{"T"}})
			var got []string
			for _, f := range s.Fields() {
				if len(f.Tags) > 0 {
					got = append(got, f.Path)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s gives tags to %v, want %s", c.pattern, got, c.want)
			}
		})
	}
}

func TestARuleForAPlaceInsideARecursionIsNotLost(t *testing.T) {
	const text = `{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#"}}}`
	for _, c := range []struct{ pattern, record string }{
		{"/next/next/v", `{"v":1,"next":{"v":2,"next":{"v":«3»,"next":{"v":4}}}}`},
		{"$.next.next.v", `{"v":1,"next":{"v":2,"next":{"v":«3»,"next":{"v":4}}}}`},
		{"$.next.**", `{"v":1,"next":{"v":«2»,"next":{"v":«3»,"next":{"v":«4»}}}}`},
		{"**.v", `{"v":«1»,"next":{"v":«2»,"next":{"v":«3»}}}`},
		{"$.**.v", `{"v":1,"next":{"v":«2»,"next":{"v":«3»}}}`},
		{"$.*.v", `{"v":1,"next":{"v":«2»,"next":{"v":3}}}`},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			s := parse(t, text, schema.TagRule{Pattern: c.pattern, Tags: []string{"T"}})
			edits := wrapTagged(s)
			there, back := compile(t, s, edits)
			original, want := marked(c.record)
			got := rewrite(t, there, original, sealing)
			if got != want {
				t.Errorf("protected:\n got %s\nwant %s\n%s", got, want, describe(s))
			}
			if again := rewrite(t, back, got, opening); again != original {
				t.Errorf("restored %s", again)
			}
			text, _, err := s.Derive(edits, schema.Origin{})
			if err != nil {
				if _, ok := errors.AsType[*FitError](err); !ok {
					t.Error(err)
				}
				return
			}
			if err := parse(t, text.Schema, text.Tags...).Validate([]byte(got)); err != nil {
				t.Errorf("%s: %v", text.Schema, err)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	address := `{"type":"object","properties":{"street":{"type":"string","confluent:tags":["PII"]},"next":{"$ref":"#"},"geo":{"$ref":"geo.json#/definitions/point"}}}`
	geo := `{"definitions":{"point":{"items":{"type":"number","confluent:tags":["GEO"]}}}}`
	want := "/home record?\n/home/street string? PII\n/home/geo array?\n/home/geo/[] number GEO\n"
	for _, c := range []struct {
		name, schema string
		names        []string
	}{
		{"by relative names", `{"properties":{"home":{"$ref":"address.json"}}}`, []string{"geo.json", "address.json"}},
		{"relative to an identifier", `{"$id":"https://a.example/x/root.json","properties":{"home":{"$ref":"address.json"}}}`, []string{"geo.json", "address.json"}},
		{"by absolute names", `{"properties":{"home":{"$ref":"https://a.example/address.json"}}}`, []string{"https://a.example/geo.json", "https://a.example/address.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(schema.Text{Format: schema.JSONSchema, Schema: c.schema, References: []string{geo, address}, Names: c.names})
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(s); got != want {
				t.Errorf("fields:\n%s\nwant\n%s", got, want)
			}
		})
	}
	t.Run("by their own identifiers", func(t *testing.T) {
		s, err := Parse(schema.Text{
			Format: schema.JSONSchema, Schema: `{"properties":{"home":{"$ref":"https://a.example/address.json"}}}`,
			References: []string{
				`{"$id":"https://a.example/geo.json",` + geo[1:], `{"$id":"https://a.example/address.json",` + address[1:],
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(s); got != want {
			t.Errorf("fields:\n%s\nwant\n%s", got, want)
		}
	})
}

func TestWhatParseRefuses(t *testing.T) {
	const tags = `"confluent:tags":["T"]`
	for _, c := range []struct{ name, schema, want string }{
		{"another language", `{"$schema":"https://example.com/my"}`, "unknown here"},
		{"no JSON", `{`, "JSON"},
		{"two documents", `{} {}`, "JSON"},
		{"a member twice", `{"type":"string","type":"integer"}`, "twice"},
		{"no schema", `[]`, "neither"},
		{"a bad type", `{"type":"text"}`, "metaschema"},
		{"a remote reference", `{"$ref":"https://example.com/x.json"}`, "not among"},
		{"the metaschema", `{"$ref":"http://json-schema.org/draft-07/schema#"}`, "not among"},
		{"a reference to nothing", `{"$ref":"#/definitions/x"}`, "not found"},
		{"a tag that is no list", `{"confluent:tags":"T"}`, "array of strings"},
		{"an empty tag", `{"confluent:tags":[""]}`, "array of strings"},
		{"a tag under not", `{"not":{` + tags + `}}`, "applies to no value"},
		{"a tag deep under not", `{"not":{"properties":{"a":{` + tags + `}}}}`, "applies to no value"},
		{"a tag behind not", `{"not":{"$ref":"#/definitions/d"},"definitions":{"d":{"items":{` + tags + `}}}}`, "applies to no value"},
		{"a tag on names", `{"propertyNames":{` + tags + `}}`, "applies to no value"},
		{"a tag on an unknown keyword", `{"x":{` + tags + `}}`, "applies to no value"},
		{"a tag on a keyword of another draft", `{"prefixItems":[{` + tags + `}]}`, "applies to no value"},
		{"a tag on additional items that there are not", `{"items":{},"additionalItems":{` + tags + `}}`, "applies to no value"},
		{"a tag on then without if", `{"then":{` + tags + `}}`, "applies to no value"},
		{"a tag beside a reference that hides it", `{"$ref":"#/definitions/d","properties":{"a":{` + tags + `}},"definitions":{"d":{}}}`, "applies to no value"},
		{"a tag inside of a string", `{"contentMediaType":"application/json","contentSchema":{` + tags + `}}`, "applies to no value"},
		{"a tag on what is unevaluated nowhere", `{"$schema":"https://json-schema.org/draft/2020-12/schema","additionalProperties":{},"unevaluatedProperties":{` + tags + `}}`, "applies to no value"},
		{"a tag on a branch of false", `{"properties":{"a":{"allOf":[false]}},"not":{"x":{` + tags + `}}}`, "applies to no value"},
		{"tags on a container of containers", `{"items":{"$ref":"#"},` + tags + `}`, "nothing but containers"},
		{"a pattern of another dialect", `{"patternProperties":{"(?i)a":{}}}`, "ECMA"},
		{"a pattern that looks ahead", `{"patternProperties":{"^(?=a)":{}}}`, "ECMA"},
		{"a circle", `{"allOf":[{"$ref":"#"}]}`, "refers to itself"},
		{"nothing", `false`, "takes no value"},
		{"a keyword of derived schemas", `{"properties":{"a":{"type":"string","fieldveil.type":{}}}}`, "where no derived schema has it"},
		{"a bad origin", `{"fieldveil.derived":{"id":1}}`, "is not an object"},
		{"a derived type that is no string", `{"fieldveil.derived":{"id":1,"sha256":"` + strings.Repeat("00", 32) + `"},"properties":{"a":{"type":"integer","fieldveil.type":{}}}}`, "beside another type"},
		{"a copy that says something else", `{"fieldveil.derived":{"id":1,"sha256":"` + strings.Repeat("00", 32) + `"},"properties":{"a":{"$ref":"#/definitions/c"}},"definitions":{"o":{"properties":{"s":{"type":"string","confluent:tags":["T"]}}},"c":{"properties":{"s":{"type":"string"}},"fieldveil.copy":"/definitions/o"}}}`, "is no copy"},
		{"a copy of nothing", `{"fieldveil.derived":{"id":1,"sha256":"` + strings.Repeat("00", 32) + `"},"properties":{"a":{"$ref":"#/definitions/c"}},"definitions":{"c":{"fieldveil.copy":"/definitions/o"}}}`, "is no copy"},
		{"a copy that refers elsewhere", `{"fieldveil.derived":{"id":1,"sha256":"` + strings.Repeat("00", 32) + `"},"properties":{"a":{"$ref":"#/definitions/c"}},"definitions":{"o":{"items":{"$ref":"#/definitions/o"}},"x":{},"c":{"items":{"$ref":"#/definitions/x"},"fieldveil.copy":"/definitions/o"}}}`, "is no copy"},
		{"two dynamic anchors", `{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicRef":"#n","$defs":{"a":{"$dynamicAnchor":"n"},"b":{"$id":"b","$dynamicAnchor":"n"}}}`, "more than once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(textOf(c.schema))
			if err == nil {
				t.Fatalf("Parse takes it:\n%s", describe(s))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse: %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Parse(schema.Text{Format: schema.Avro, Schema: `{}`}); err == nil {
		t.Error("Parse takes an Avro schema")
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		`{"$id":"https://a.example/x#y","title":"T"}`: "https://a.example/x",
		`{"$id":"#y","title":"T"}`:                    "T",
		`{"title":"T"}`:                               "T",
		`{}`:                                          "json-schema",
		`true`:                                        "json-schema",
	} {
		if got := parse(t, text).Name(); got != want {
			t.Errorf("%s is called %q, want %q", text, got, want)
		}
	}
}

// A value of another type than described would pass by the fields inside.
func TestValuesInThePlaceOfTaggedContainersAreRefused(t *testing.T) {
	s := parse(t, `{"type":"object","properties":{"o":{"properties":{"a":{"type":"string","confluent:tags":["T"]}}},"l":{"items":{"type":"string","confluent:tags":["T"]}},"u":{"properties":{"a":{"type":"string"}}}}}`)
	for _, unknown := range []schema.Unknown{schema.RejectUnknown, schema.KeepUnknown} {
		there, err := s.Compile(wrapTagged(s), unknown)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range []string{
			`{"o":"secret"}`, `{"o":["secret"]}`, `{"o":1}`, `{"o":true}`, `{"l":"secret"}`, `{"l":{"a":"secret"}}`, `"secret"`, `["secret"]`,
		} {
			if out, err := there.Rewrite(nil, []byte(record), sealing); err == nil {
				t.Errorf("%s passes as %s", record, out)
			}
		}
		for _, record := range []string{`{"o":null,"l":null}`, `null`, `{"u":"not tagged"}`} {
			if out := rewrite(t, there, record, sealing); out != record {
				t.Errorf("%s became %s", record, out)
			}
		}
	}
}

func TestWhatIsNotDescribedIsRefused(t *testing.T) {
	s := parse(t, `{"properties":{"a":{"type":"string"},"t":{"items":[{}]},"f":{"patternProperties":{"^x":{}}}}}`)
	there, err := s.Compile(nil, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	keep, err := s.Compile(nil, schema.KeepUnknown)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []string{`{"b":1}`, `{"t":[1,2]}`, `{"f":{"y":1}}`} {
		if _, err := there.Rewrite(nil, []byte(record), sealing); err == nil {
			t.Errorf("%s passes", record)
		}
		if got := rewrite(t, keep, record, sealing); got != record {
			t.Errorf("%s became %s", record, got)
		}
	}
}

func TestNullify(t *testing.T) {
	s := parse(t, `{"properties":{"a":{"type":["string","null"]},"b":{"type":"string"},"c":{"type":"integer"}},"required":["c"]}`)
	edits := []schema.Edit{{Field: 0, Op: schema.Nullify}, {Field: 1, Op: schema.Nullify}}
	there, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	got := rewrite(t, there, `{"a":"x","b":"y","c":1}`, sealing)
	if want := `{"a":null,"c":1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := s.Validate([]byte(got)); err != nil {
		t.Error(err)
	}
	if _, err := s.Compile([]schema.Edit{{Field: 2, Op: schema.Nullify}}, schema.RejectUnknown); err == nil {
		t.Error("a required integer was made null")
	}
	if text, changed, err := s.Derive(edits, schema.Origin{}); err != nil || changed || text.Schema != s.text.Schema {
		t.Errorf("Derive: %t, %v", changed, err)
	}
}
