package registrytest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJSONChecker(t *testing.T) {
	tests := []struct {
		name, old, new string
		want           bool
	}{
		{"a closed object gains an optional property", `{"properties":{"a":{}},"additionalProperties":false}`, `{"properties":{"a":{},"b":{"type":"string"}},"additionalProperties":false}`, true},
		{"a closed object gains a required property", `{"type":"object","additionalProperties":false}`, `{"type":"object","properties":{"b":{}},"required":["b"],"additionalProperties":false}`, false},
		{"an open object gains a property", `{"type":"object"}`, `{"type":"object","properties":{"b":{"type":"string"}}}`, false},
		{"an open object gains a property that accepts all", `{"type":"object"}`, `{"type":"object","properties":{"b":{"description":"x","confluent:tags":["PII"]}}}`, true},
		{"an open object loses a property", `{"properties":{"b":{"type":"string"}}}`, `{}`, true},
		{"a closed object loses a property", `{"properties":{"b":{}},"additionalProperties":false}`, `{"additionalProperties":false}`, false},
		{"a typed rest gains a property of the type", `{"additionalProperties":{"type":"string"}}`, `{"properties":{"a":{"type":["string","null"]}},"additionalProperties":{"type":"string"}}`, true},
		{"a typed rest gains a property of another type", `{"additionalProperties":{"type":"string"}}`, `{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}`, false},
		{"an open object is closed", `{}`, `{"additionalProperties":false}`, false},
		{"a closed object is opened", `{"additionalProperties":false}`, `{}`, true},
		{"a property is required no more", `{"required":["a"]}`, `{}`, true},
		{"a property is required", `{}`, `{"required":["a"]}`, false},
		{"integers become numbers", `{"type":"integer"}`, `{"type":"number"}`, true},
		{"numbers become integers", `{"type":"number"}`, `{"type":"integer"}`, false},
		{"a type more", `{"type":"string"}`, `{"type":["string","null"]}`, true},
		{"a type less", `{"type":["string","null"]}`, `{"type":"string"}`, false},
		{"any type becomes one", `{}`, `{"type":"string"}`, false},
		{"all types are written down", `{}`, `{"type":["null","boolean","object","array","number","string"]}`, true},
		{"a value more", `{"enum":["a"]}`, `{"enum":["a","b"]}`, true},
		{"a value less", `{"enum":["a","b"]}`, `{"enum":["a"]}`, false},
		{"a type becomes values", `{"type":"boolean"}`, `{"enum":[true,false]}`, false},
		{"a constant becomes values", `{"const":1}`, `{"enum":[1,2]}`, true},
		{"values become a constant", `{"enum":[1,2]}`, `{"const":1}`, false},
		{"another constant", `{"const":{"a":[1]}}`, `{"const":{"a":[2]}}`, false},
		{"a lower minimum", `{"minimum":2}`, `{"minimum":1.5}`, true},
		{"a higher minimum", `{"minimum":2}`, `{"minimum":2.5}`, false},
		{"a minimum becomes exclusive", `{"minimum":2}`, `{"exclusiveMinimum":2}`, false},
		{"an exclusive minimum becomes inclusive", `{"exclusiveMinimum":2}`, `{"minimum":2}`, true},
		{"a minimum, being higher, implies an exclusive one", `{"minimum":2.1}`, `{"exclusiveMinimum":2}`, true},
		{"a new maximum", `{"type":"number"}`, `{"type":"number","maximum":2}`, false},
		{"a new maximum where no numbers are", `{"type":"string"}`, `{"type":"string","maximum":2}`, true},
		{"a maximum goes", `{"maximum":2}`, `{}`, true},
		{"a maximum becomes exclusive", `{"maximum":2}`, `{"exclusiveMaximum":2}`, false},
		{"a higher maximum", `{"maximum":1e2}`, `{"maximum":101}`, true},
		{"exclusive as a boolean, the same", `{"minimum":1,"exclusiveMinimum":true}`, `{"minimum":1,"exclusiveMinimum":true,"title":"x"}`, true},
		{"exclusive as a boolean, changed", `{"minimum":1}`, `{"minimum":1,"exclusiveMinimum":true}`, false},
		{"exclusive as a boolean, with another minimum", `{"minimum":1,"exclusiveMinimum":true}`, `{"minimum":0,"exclusiveMinimum":true}`, false},
		{"numbers too large to compare", `{"maximum":1e999999999}`, `{"maximum":2e999999999}`, false},
		{"numbers too large, the same", `{"maximum":1e999999999}`, `{"maximum":1e999999999,"title":"x"}`, true},
		{"another multiple", `{"multipleOf":4}`, `{"multipleOf":2}`, false},
		{"a multiple goes", `{"multipleOf":4}`, `{}`, true},
		{"longer strings", `{"maxLength":4}`, `{"maxLength":5}`, true},
		{"shorter strings", `{"maxLength":4}`, `{"maxLength":3}`, false},
		{"a length is bounded", `{}`, `{"maxLength":3}`, false},
		{"a shortest length", `{}`, `{"minLength":1}`, false},
		{"a shortest length of nothing", `{}`, `{"minLength":0}`, true},
		{"a pattern goes", `{"pattern":"a"}`, `{}`, true},
		{"a pattern comes", `{}`, `{"pattern":"a"}`, false},
		{"another pattern", `{"pattern":"a"}`, `{"pattern":"b"}`, false},
		{"a format comes", `{}`, `{"format":"date"}`, false},
		{"items of a wider type", `{"items":{"type":"integer"}}`, `{"items":{"type":"number"}}`, true},
		{"items of a narrower type", `{"items":{"type":"number"}}`, `{"items":{"type":"integer"}}`, false},
		{"items are typed", `{"type":"array"}`, `{"type":"array","items":{"type":"integer"}}`, false},
		{"a tuple, the same", `{"items":[{"type":"integer"}]}`, `{"items":[{"type":"integer"}],"title":"x"}`, true},
		{"a tuple, changed", `{"items":[{"type":"integer"}]}`, `{"items":[{"type":"number"}]}`, false},
		{"items must differ", `{}`, `{"uniqueItems":true}`, false},
		{"items may be the same", `{"uniqueItems":true}`, `{"uniqueItems":false}`, true},
		{"more items", `{"maxItems":1}`, `{"maxItems":2}`, true},
		{"more properties are wanted", `{}`, `{"minProperties":1}`, false},
		{"pattern properties, the same", `{"patternProperties":{"^a":{}},"required":["a"]}`, `{"patternProperties":{"^a":{}}}`, true},
		{"pattern properties, with a new property", `{"patternProperties":{"^a":{"type":"string"}},"additionalProperties":false}`, `{"patternProperties":{"^a":{"type":"string"}},"properties":{"ab":{"type":"integer"}},"additionalProperties":false}`, false},
		{"nothing becomes something", `false`, `{"type":"string"}`, true},
		{"something becomes nothing", `{"type":"string"}`, `false`, false},
		{"all becomes something", `true`, `{"type":"string"}`, false},
		{"something becomes all", `{"type":"string"}`, `true`, true},
		{"not, the same", `{"not":{"type":"string"}}`, `{"not":{"type":"string"},"title":"x"}`, true},
		{"not, wider inside", `{"not":{"type":"string"}}`, `{"not":{"type":["string","null"]}}`, false},
		{"one of, a branch more", `{"oneOf":[{"type":"string"}]}`, `{"oneOf":[{"type":"string"},{"type":"null"}]}`, false},
		{"another draft", `{"$schema":"http://json-schema.org/draft-07/schema#"}`, `{"$schema":"https://json-schema.org/draft/2020-12/schema"}`, false},
		{"an unknown keyword comes", `{}`, `{"x-unit":"m"}`, false},
		{"a wider definition", `{"definitions":{"d":{"type":"integer"}},"$ref":"#/definitions/d"}`, `{"definitions":{"d":{"type":"number"}},"$ref":"#/definitions/d"}`, true},
		{"a narrower definition", `{"$defs":{"d":{"type":"number"}},"properties":{"a":{"$ref":"#/$defs/d"}}}`, `{"$defs":{"d":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/d"}}}`, false},
		{"a wider definition inside of not", `{"$defs":{"d":{"type":"integer"}},"not":{"$ref":"#/$defs/d"}}`, `{"$defs":{"d":{"type":"number"}},"not":{"$ref":"#/$defs/d"}}`, false},
		{"a definition goes", `{"$defs":{"d":{}}}`, `{}`, false},
		{"a definition comes", `{"$ref":"#"}`, `{"$ref":"#","$defs":{"d":{}}}`, true},
		{"a reference into a property", `{"properties":{"a":{"type":"integer"},"b":{"not":{"$ref":"#/properties/a"}}}}`, `{"properties":{"a":{"type":"number"},"b":{"not":{"$ref":"#/properties/a"}}}}`, false},
		{"another reference", `{"$defs":{"d":{},"e":{}},"$ref":"#/$defs/d"}`, `{"$defs":{"d":{},"e":{}},"$ref":"#/$defs/e"}`, false},
		{"a recursive schema that widens", `{"type":"object","properties":{"next":{"$ref":"#"},"v":{"type":"integer"}}}`, `{"type":"object","properties":{"next":{"$ref":"#"},"v":{"type":"number"}}}`, true},
		{"both kinds of minimum, of which the exclusive one stays", `{"minimum":2,"exclusiveMinimum":2}`, `{"exclusiveMinimum":2}`, true},
		{"a wider definition inside of a tuple", `{"$defs":{"d":{"type":"integer"}},"items":[{"not":{"$ref":"#/$defs/d"}}]}`, `{"$defs":{"d":{"type":"number"}},"items":[{"not":{"$ref":"#/$defs/d"}}]}`, false},
		{"a wider definition inside of nested ones", `{"$defs":{"d":{"type":"integer"}},"properties":{"a":{"$defs":{"e":{"not":{"$ref":"#/$defs/d"}}}}}}`, `{"$defs":{"d":{"type":"number"}},"properties":{"a":{"$defs":{"e":{"not":{"$ref":"#/$defs/d"}}}}}}`, false},
		{"unevaluated properties", `{"properties":{"a":{},"b":{}},"unevaluatedProperties":false}`, `{"properties":{"a":{}},"unevaluatedProperties":false}`, false},
		{"a nested id", `{"properties":{"a":{"$id":"x","type":"integer"}}}`, `{"properties":{"a":{"$id":"x","type":"number"}}}`, false},
		{"a property whose name is a keyword", `{"properties":{"$id":{"type":"integer"}}}`, `{"properties":{"$id":{"type":"number"}}}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			problems, err := JSONChecker(Document{Text: tt.new}, Document{Text: tt.old})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(problems) == 0; got != tt.want {
				t.Errorf("compatible %v, want %v: %q", got, tt.want, problems)
			}
			for _, text := range []string{tt.old, tt.new} {
				if problems, err := JSONChecker(Document{Text: text}, Document{Text: text}); err != nil || len(problems) > 0 {
					t.Errorf("%s with itself: %q, %v", text, problems, err)
				}
			}
		})
	}
}

func TestJSONReferencesMustBeTheSame(t *testing.T) {
	doc := func(title, ref string) Document {
		return Document{Text: `{"$ref":"a.json","title":"` + title + `"}`, References: []ReferencedText{{Name: "a.json", Text: ref}}}
	}
	if problems, err := JSONChecker(doc("x", `{}`), doc("y", `{}`)); err != nil || len(problems) > 0 {
		t.Errorf("%q, %v", problems, err)
	}
	if problems, err := JSONChecker(doc("x", `{}`), doc("x", `true`)); err != nil || len(problems) == 0 {
		t.Errorf("another referenced text is taken: %v", err)
	}
}

func TestJSONSchemasThatAreNone(t *testing.T) {
	for _, text := range []string{
		``, `1`, `"string"`, `[]`, `{} {}`, `{"type":"text"}`, `{"type":[]}`, `{"type":1}`, `{"properties":[]}`, `{"properties":{"a":1}}`,
		`{"required":"a"}`, `{"required":[1]}`, `{"additionalProperties":1}`, `{"items":1}`, `{"enum":1}`, `{"minLength":-1}`,
		`{"maxLength":1.5}`, `{"maxLength":1e500}`, `{"minimum":"1"}`, `{"pattern":1}`, `{"$ref":1}`, `{"$defs":{"a":{"type":"x"}}}`,
	} {
		if _, err := JSONChecker(Document{Text: text}, Document{Text: `{}`}); err == nil {
			t.Errorf("%s is taken", text)
		}
		if _, err := JSONChecker(Document{Text: `{}`}, Document{Text: text}); err == nil {
			t.Errorf("%s is taken as the older one", text)
		}
	}
}

// The checker must be sound: where it finds no problem, no instance may be valid
// before and invalid after. Schemas here are random, and so small that wider
// and narrower ones are met often; validity is decided by a validator that
// shares nothing with the checker.
func TestJSONCheckerIsSound(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	compatible, counter := 0, 0
	for range 60_000 {
		old := randomSchema(rnd, 2)
		changed := mutate(rnd, old)
		problems, err := JSONChecker(document(t, changed), document(t, old))
		if err != nil {
			t.Fatal(err)
		}
		taken := len(problems) == 0
		if taken {
			compatible++
		}
		for range 12 {
			v := randomValue(rnd, 3)
			if valid(old, v) && !valid(changed, v) {
				if taken {
					t.Fatalf("%s was valid under %s and is not under %s", encode(v), encode(old), encode(changed))
				}
				counter++
				break
			}
		}
	}
	t.Logf("%d pairs were found compatible, %d have a counterexample", compatible, counter)
	if compatible < 5_000 || counter < 5_000 {
		t.Error("too few of one kind: the test says little")
	}
}

func document(t *testing.T, schema any) Document {
	t.Helper()
	return Document{Text: string(encode(schema))}
}

func pick[T any](rnd *rand.Rand, list ...T) T { return list[rnd.IntN(len(list))] }

func randomSchema(rnd *rand.Rand, depth int) any {
	if rnd.IntN(12) == 0 {
		return rnd.IntN(3) > 0
	}
	m := map[string]any{}
	for range rnd.IntN(4) {
		addKeyword(rnd, m, depth)
	}
	return m
}

func addKeyword(rnd *rand.Rand, m map[string]any, depth int) {
	key := pick(rnd, "type", "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
		"minItems", "maxItems", "minProperties", "maxProperties", "required", "properties", "properties", "additionalProperties", "items", "not", "anyOf", "uniqueItems", "multipleOf")
	switch key {
	case "type":
		types := slices.Clone(jsonTypes())
		rnd.Shuffle(len(types), func(i, j int) { types[i], types[j] = types[j], types[i] })
		if n := rnd.IntN(3); n > 0 {
			m[key] = toAny(types[:n+1])
		} else {
			m[key] = types[0]
		}
	case "enum":
		var all []any
		for range 1 + rnd.IntN(3) {
			all = append(all, randomValue(rnd, 1))
		}
		m[key] = all
	case "const":
		m[key] = randomValue(rnd, 1)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		m[key] = float64(rnd.IntN(4))
	case "multipleOf":
		m[key] = float64(1 + rnd.IntN(2))
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
		m[key] = float64(rnd.IntN(3))
	case "required":
		m[key] = toAny(pick(rnd, []string{"a"}, []string{"b"}, []string{"a", "b"}, []string{}))
	case "uniqueItems":
		m[key] = rnd.IntN(2) == 0
	case "properties":
		if depth == 0 {
			return
		}
		all := map[string]any{}
		for _, name := range []string{"a", "b"} {
			if rnd.IntN(2) == 0 {
				all[name] = randomSchema(rnd, depth-1)
			}
		}
		m[key] = all
	case "additionalProperties", "items", "not":
		if depth > 0 {
			m[key] = randomSchema(rnd, depth-1)
		}
	case "anyOf":
		if depth > 0 {
			m[key] = []any{randomSchema(rnd, depth-1), randomSchema(rnd, depth-1)}
		}
	}
}

func toAny(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

// mutate returns a schema with a change or two somewhere.
func mutate(rnd *rand.Rand, schema any) any {
	m, ok := schema.(map[string]any)
	if !ok || rnd.IntN(10) == 0 {
		return randomSchema(rnd, 1)
	}
	out := maps.Clone(m)
	for range 1 + rnd.IntN(2) {
		switch rnd.IntN(4) {
		case 0:
			for key := range out {
				delete(out, key)
				break
			}
		case 1:
			addKeyword(rnd, out, 1)
		default:
			for _, key := range []string{"items", "additionalProperties"} {
				if inner, ok := out[key]; ok {
					out[key] = mutate(rnd, inner)
				}
			}
			if props, ok := out["properties"].(map[string]any); ok {
				changed := map[string]any{}
				for name, inner := range props {
					if rnd.IntN(3) > 0 {
						inner = mutate(rnd, inner)
					}
					if rnd.IntN(4) > 0 {
						changed[name] = inner
					}
				}
				out["properties"] = changed
			}
		}
	}
	return out
}

func randomValue(rnd *rand.Rand, depth int) any {
	n := 8
	if depth == 0 {
		n = 6
	}
	switch rnd.IntN(n) {
	case 0:
		return nil
	case 1:
		return rnd.IntN(2) == 0
	case 2, 3:
		return float64(rnd.IntN(9)) / 2
	case 4, 5:
		return strings.Repeat("é", rnd.IntN(4))
	case 6:
		out := []any{}
		for range rnd.IntN(3) {
			out = append(out, randomValue(rnd, depth-1))
		}
		return out
	default:
		out := map[string]any{}
		for range rnd.IntN(4) {
			out[pick(rnd, "a", "b", "c")] = randomValue(rnd, depth-1)
		}
		return out
	}
}

// valid is a validator of the keywords above.
func valid(schema, v any) bool {
	if b, ok := schema.(bool); ok {
		return b
	}
	m, _ := schema.(map[string]any)
	for key, want := range m {
		if !validKeyword(m, key, want, v) {
			return false
		}
	}
	return true
}

func validKeyword(m map[string]any, key string, want, v any) bool {
	n, isNumber := v.(float64)
	s, isString := v.(string)
	list, isArray := v.([]any)
	object, isObject := v.(map[string]any)
	limit, _ := want.(float64)
	switch key {
	case "type":
		if name, ok := want.(string); ok {
			return hasType(v, name)
		}
		all, _ := want.([]any)
		return slices.ContainsFunc(all, func(t any) bool { name, _ := t.(string); return hasType(v, name) })
	case "enum":
		all, _ := want.([]any)
		return slices.ContainsFunc(all, func(e any) bool { return sameValue(e, v) })
	case "const":
		return sameValue(want, v)
	case "minimum":
		return !isNumber || n >= limit
	case "maximum":
		return !isNumber || n <= limit
	case "exclusiveMinimum":
		return !isNumber || n > limit
	case "exclusiveMaximum":
		return !isNumber || n < limit
	case "multipleOf":
		return !isNumber || n/limit == float64(int(n/limit))
	case "minLength":
		return !isString || utf8.RuneCountInString(s) >= int(limit)
	case "maxLength":
		return !isString || utf8.RuneCountInString(s) <= int(limit)
	case "minItems":
		return !isArray || len(list) >= int(limit)
	case "maxItems":
		return !isArray || len(list) <= int(limit)
	case "minProperties":
		return !isObject || len(object) >= int(limit)
	case "maxProperties":
		return !isObject || len(object) <= int(limit)
	case "uniqueItems":
		for i := range list {
			for j := range i {
				if want == true && sameValue(list[i], list[j]) {
					return false
				}
			}
		}
		return true
	case "items":
		return !slices.ContainsFunc(list, func(x any) bool { return !valid(want, x) })
	case "not":
		return !valid(want, v)
	case "anyOf":
		all, _ := want.([]any)
		return slices.ContainsFunc(all, func(x any) bool { return valid(x, v) })
	case "required":
		all, _ := want.([]any)
		return !isObject || !slices.ContainsFunc(all, func(x any) bool { name, _ := x.(string); _, ok := object[name]; return !ok })
	case "properties", "additionalProperties":
		named, _ := m["properties"].(map[string]any)
		for name, x := range object {
			inner, ok := named[name]
			if !ok && key == "additionalProperties" {
				inner, ok = want, true
			} else if key == "additionalProperties" {
				continue
			}
			if ok && !valid(inner, x) {
				return false
			}
		}
		return true
	default:
		panic("no such keyword: " + key)
	}
}

func hasType(v any, name string) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && v == float64(int(v))
	case string:
		return name == "string"
	case []any:
		return name == "array"
	default:
		return name == "object"
	}
}

func sameValue(a, b any) bool {
	return bytes.Equal(encode(a), encode(b))
}

func BenchmarkJSONChecker(b *testing.B) {
	var fields []string
	for i := range 200 {
		fields = append(fields, fmt.Sprintf(`"f%d":{"type":"string","maxLength":%d}`, i, i))
	}
	doc := Document{Text: `{"type":"object","properties":{` + strings.Join(fields, ",") + `}}`}
	b.SetBytes(int64(len(doc.Text)))
	for b.Loop() {
		if _, err := JSONChecker(doc, Document{Text: doc.Text + " "}); err != nil {
			b.Fatal(err)
		}
	}
}
