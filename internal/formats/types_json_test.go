package formats_test

import (
	"strconv"
	"strings"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldveil/fieldveil/schema"
)

// jsonTypes returns the types of JSON Schema.
func jsonTypes(*testing.T) []typeCase {
	var out []typeCase
	add := func(row, typ string, value func(s sample) string, unit string, scalars ...any) {
		member, required := `"confluent:tags": ["T"]`, `"x"`
		if inner, ok := strings.CutSuffix(typ, ", optional"); ok {
			member, required = inner[1:len(inner)-1]+", "+member, `"before"`
		} else if inner := strings.TrimSpace(strings.Trim(typ, "{}")); inner != "" {
			member = typ[1:len(typ)-1] + ", " + member
		}
		text := schema.Text{Format: schema.JSONSchema, Schema: `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
				"title": "R", "required": [` + required + `], "additionalProperties": false, "properties": {
				"before": {"type": "string"}, "x": {` + member + `}, "person": {"type": "string"}, "after": {"type": "string"}}}`}
		out = append(out, typeCase{
			name: "JSON Schema " + typ, row: row, unit: unit, scalars: scalars, text: text, decode: decodeValidJSON,
			record: func(_ *testing.T, s sample, person string) []byte {
				return append(frame(1), `{"before":"left", "x":`+value(s)+` ,"person":"`+person+`","after":"right"}`...)
			},
		})
	}
	is := func(v string) func(sample) string { return func(sample) string { return v } }
	null, inText := is("null"), func(s sample) string { return quote(s.text) }
	n, integer := is(strconv.Itoa(number)), int64(number)
	// each adds a type, with null, as a member that may be missing, and a null of it.
	each := func(row, typ, more string, value func(s sample) string, unit string, scalars ...any) {
		if more != "" {
			more = ", " + more
		}
		add(row, `{"type": "`+typ+`"`+more+`}`, value, unit, scalars...)
		add(row+"?", `{"type": ["`+typ+`", "null"]`+more+`}`, value, unit, scalars...)
		add(row+"?", `{"type": "`+typ+`"`+more+`}, optional`, value, unit, scalars...)
		add(row+"?", `{"type": ["`+typ+`", "null"]`+more+`}`, null, "null")
	}
	each("string", "string", "", inText, "")
	each("number", "integer", "", n, "", integer)
	each("number", "number", "", n, "", integer)
	each("few", "boolean", "", is("true"), "")
	each("date as text", "string", `"format": "date"`, is(`"2005-07-25"`), "", "2005-07-25")
	each("timestamp", "string", `"format": "date-time"`, is(`"2005-07-25T23:20:55Z"`), "", "2005-07-25T23:20:55Z")
	each("other", "string", `"format": "time"`, is(`"23:20:55Z"`), "", "23:20:55Z")
	each("uuid", "string", `"format": "uuid"`, is(quote(theUUID)), "", theUUID)
	each("other", "string", `"format": "email"`, is(quote(mailSample().text)), "", mailSample().text)
	add("other", `{"type": "string", "pattern": "^C?a"}`, is(`"Canary Zebra"`), "", "Canary Zebra")
	add("other", `{"type": "string", "minLength": 1}`, inText, "")
	add("other", `{"type": "string", "maxLength": 99}`, inText, "")
	add("other", `{"type": "string", "contentEncoding": "base64"}`, is(`"Q2FuYXJ5IFplYnJh"`), "", "Q2FuYXJ5IFplYnJh")
	add("few", `{"type": "string", "enum": ["Canary Zebra", "b"]}`, is(`"Canary Zebra"`), "", "Canary Zebra")
	add("few", `{"enum": ["Canary Zebra", "b"]}`, is(`"Canary Zebra"`), "", "Canary Zebra")
	add("other", `{"const": "Canary Zebra"}`, is(`"Canary Zebra"`), "", "Canary Zebra")
	add("date as text", `{"type": "string", "format": "date", "maxLength": 10}`, is(`"2005-07-25"`), "", "2005-07-25")
	add("other", `{"type": "string", "format": "date", "pattern": "^2"}`, is(`"2005-07-25"`), "", "2005-07-25")
	add("other", `{"type": "integer", "minimum": 0}`, n, "", integer)
	add("other", `{"type": "number", "exclusiveMaximum": 2e9}`, n, "", integer)
	add("other", `{"type": "number", "multipleOf": 5}`, n, "", integer)
	add("few", `{"type": "integer", "enum": [1122334455, 2]}`, n, "", integer)
	add("number", `{"type": "number", "description": "with an exponent"}`, is("11223344550e-1"), "", "11223344550e-1")

	add("record", `{"type": "object", "properties": {"y": {"type": "string"}, "z": {"type": "integer"}}}`,
		func(s sample) string { return `{"y": ` + quote(s.text) + `, "z":1122334455}` }, "", integer)
	add("record", `{"type": ["object", "null"], "properties": {"y": {"type": "string"}, "z": {"type": "integer"}}}`,
		func(s sample) string { return `{"y": ` + quote(s.text) + `, "z":1122334455}` }, "", integer)
	add("record of string", `{"type": "object", "required": ["y"], "properties": {"y": {"type": "string"}}}`,
		func(s sample) string { return `{"y": ` + quote(s.text) + `}` }, "")
	for _, of := range []struct {
		row, typ string
		value    func(s sample) string
		scalars  []any
	}{
		{"string", `{"type": "string"}`, inText, nil},
		{"string?", `{"type": ["string", "null"]}`, inText, nil},
		{"number", `{"type": "integer"}`, n, []any{integer}},
		{"number", `{"type": "number"}`, n, []any{integer}},
		{"date as text", `{"type": "string", "format": "date"}`, is(`"2005-07-25"`), []any{"2005-07-25"}},
		{"few", `{"type": "boolean"}`, is("true"), nil},
	} {
		add("array of "+of.row, `{"type": "array", "items": `+of.typ+`}`, func(s sample) string { return "[" + of.value(s) + "," + of.value(s) + "]" }, "", of.scalars...)
		add("map of "+of.row, `{"type": "object", "additionalProperties": `+of.typ+`}`, func(s sample) string { return `{"k":` + of.value(s) + `}` }, "", of.scalars...)
	}
	// Which of the types it is only the record tells.
	for _, typ := range []string{`{"oneOf": [{"type": "string"}, {"type": "integer"}]}`, `{"type": ["string", "integer"]}`, `{"description": "anything"}`} {
		null := ""
		if strings.Contains(typ, "anything") {
			null = "?"
		}
		add("any string"+null, typ, inText, "")
		add("any number"+null, typ, n, "", integer)
	}
	add("any other?", `{"description": "anything"}`, is("true"), "")
	add("any other?", `{"description": "anything, such as an object"}`, func(s sample) string { return `{"y":[` + quote(s.text) + `]}` }, "")
	add("string?", `{"anyOf": [{"type": "null"}, {"type": "string"}]}`, inText, "")
	return out
}

// bareTypes returns the values of JSON without a schema, by path.
func bareTypes(*testing.T) []typeCase {
	var out []typeCase
	add := func(row, name, path string, value func(s sample) string, unit string, scalars ...any) {
		out = append(out, typeCase{
			name: "JSON " + name, row: row, unit: unit, path: path, scalars: scalars, decode: decodeJSON,
			record: func(_ *testing.T, s sample, person string) []byte {
				return []byte(`{"before":"left", "x":` + value(s) + ` ,"person":"` + person + `","after":"right"}`)
			},
		})
	}
	is := func(v string) func(sample) string { return func(sample) string { return v } }
	inText, n := func(s sample) string { return quote(s.text) }, is(strconv.Itoa(number))
	integer := int64(number)
	add("json string?", "string at /x", "/x", inText, "")
	add("json number?", "integer at /x", "/x", n, "", integer)
	add("json number?", "number with an exponent at /x", "/x", is("11223344550e-1"), "", "11223344550e-1")
	add("json other?", "boolean at /x", "/x", is("true"), "")
	add("json null", "null at /x", "/x", is("null"), "null")
	add("json other?", "object at /x", "/x", func(s sample) string { return `{"y": ` + quote(s.text) + `, "z":1122334455}` }, "", integer)
	add("json other?", "array at /x", "/x", func(s sample) string { return `[ ` + quote(s.text) + `, 1122334455]` }, "", integer)
	add("json string?", "string at /x/y", "/x/y", func(s sample) string { return `{"y": ` + quote(s.text) + `}` }, "")
	add("json string?", "strings at /x/[]", "/x/[]", func(s sample) string { return `[` + quote(s.text) + `,` + quote(s.text) + `]` }, "")
	add("json number?", "integers at /x/[]", "/x/[]", is(`[1122334455, 1122334455]`), "", integer)
	add("json string?", "strings at /x/*", "/x/*", func(s sample) string { return `{"k":` + quote(s.text) + `}` }, "")
	add("json string?", "strings at /x/**", "/x/**", func(s sample) string { return `{"k":` + quote(s.text) + `}` }, "")
	add("json string?", "string at /**/y", "/**/y", func(s sample) string { return `{"k":{"y":` + quote(s.text) + `}}` }, "")
	return out
}

// decodeValidJSON reads a record, which has to be valid, with formats.
func decodeValidJSON(t testing.TB, text schema.Text, body []byte) any {
	t.Helper()
	doc, err := js.UnmarshalJSON(strings.NewReader(text.Schema))
	if err != nil {
		t.Fatalf("%v\n%s", err, text.Schema)
	}
	c := js.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("record.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("record.json")
	if err != nil {
		t.Fatalf("%v\n%s", err, text.Schema)
	}
	v := decodeJSON(t, text, body)
	if err := s.Validate(v); err != nil {
		t.Errorf("not valid: %v\n%s\n%s", err, body, text.Schema)
	}
	return v
}
