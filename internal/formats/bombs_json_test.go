package formats_test

import (
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

const bombJSON = `{"title": "R", "type": "object",
	"properties": {
		"ssn": {"type": "string", "confluent:tags": ["PII"]},
		"cards": {"type": "array", "items": {"type": "object", "properties": {"pan": {"type": "string", "confluent:tags": ["PII"]}}}},
		"email": {"type": "string", "confluent:tags": ["PII"]},
		"age": {"type": "integer", "confluent:tags": ["PII"]},
		"next": {"$ref": "#"},
		"n": {"type": "number"},
		"list": {"type": "array", "items": {"type": "array"}},
		"labels": {"type": "object", "additionalProperties": {"type": "string"}}
	}
}`

// jsonDocuments are bombs for readers of JSON, whether they have a schema or
// not.
func jsonDocuments() []bomb {
	nested := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	names := func(n int, name string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `%q:"x",`, fmt.Sprintf(name, i))
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	const mega = 1 << 20
	doc := func(name, text string) bomb { return bomb{name: name, value: []byte(text)} }
	fine := func(name, text string) bomb { return bomb{name: name, value: []byte(text), fine: true} }
	return []bomb{
		doc("a name twice", `{"ssn":"x","ssn":"secret"}`),
		doc("a name twice, once escaped", `{"ssn":"x","\u0073sn":"secret"}`),
		doc("a name in another case", `{"SSN":"secret"}`),
		doc("a name in a case that only Unicode knows", `{"ſsn":"secret"}`),
		doc("not a number", `{"ssn":"x","n":NaN}`),
		doc("infinity", `{"ssn":"x","n":Infinity}`),
		fine("a number beyond every range", `{"ssn":"x","n":1e999999}`),
		fine("a number of a mebibyte", `{"ssn":"x","n":1`+strings.Repeat("0", mega)+`}`),
		doc("100,000 arrays in one another", `{"list":`+nested(100_000, "[", "", "]")+`}`),
		doc("100,000 objects in one another", nested(100_000, `{"next":`, `{}`, "}")),
		doc("100,000 arrays that do not end", `{"list":`+strings.Repeat("[", 100_000)),
		doc("bytes that are not UTF-8", "{\"ssn\":\"secret\xff\"}"),
		doc("half a surrogate pair", `{"ssn":"secret\ud800"}`),
		doc("a byte order mark", "\ufeff{\"ssn\":\"secret\"}"),
		doc("a second document", `{"ssn":"x"} {"ssn":"secret"}`),
		doc("100,000 times the same name", `{"labels":{`+strings.Repeat(`"a":"",`, 100_000)+`"a":""}}`),
		fine("20,000 names", `{"labels":{`+names(20_000, "%d")+`}}`),
		fine("1,000 names that differ at the end of a kibibyte", `{"labels":{`+names(1_000, strings.Repeat("a", 1<<10)+"%d")+`}}`),
		fine("a mebibyte of white space", `{"ssn":`+strings.Repeat(" ", mega)+`"x"}`),
		fine("a mebibyte of escapes in a protected string", `{"ssn":"`+strings.Repeat(`\u0041`, mega/6)+`"}`),
		doc("a string that does not end", `{"ssn":"`+strings.Repeat("x", mega)),
		doc("nothing but commas", `{"list":[`+strings.Repeat(",", mega)+`]}`),
		fine("10,000 protected strings without content", `{"cards":[`+strings.Repeat(`{"pan":""},`, 9_999)+`{"pan":""}]}`),
		fine("60 levels with a protected value in each", nested(59, `{"email":"","next":`, `{}`, "}")),
		fine("100,000 empty arrays", `{"list":[`+strings.Repeat("[],", 99_999)+`[]]}`),
	}
}

func bareJSONBombs() arsenal {
	return arsenal{
		name: "JSON without a schema", topic: "bare", bombs: jsonDocuments(), texts: nil,
		good: []byte(`{"ssn":"x","cards":[{"pan":"x"}],"email":"x"}`),
	}
}

func jsonSchemaBombs() arsenal {
	bombs := jsonDocuments()
	bombs = append(bombs,
		bomb{name: "a member that no keyword covers", value: []byte(`{"ssn":"x","other":"secret"}`)},
		bomb{name: "10,000 levels of one schema in itself", value: []byte(strings.Repeat(`{"next":`, 10_000) + "{}" + strings.Repeat("}", 10_000))},
	)
	for i := range bombs {
		bombs[i].value = append(frame(1), bombs[i].value...)
	}
	return arsenal{
		name: "JSON Schema", topic: "json", bombs: bombs,
		texts: map[int]schema.Text{1: {Format: schema.JSONSchema, Schema: bombJSON}},
		good:  append(frame(1), `{"ssn":"x","cards":[{"pan":"x"}],"email":"x","age":7}`...),
	}
}
