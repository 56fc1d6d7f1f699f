package jsonschema

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// chain makes definitions in which each refers to the next one twice, by format.
func chain(n int, format string) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/definitions/d0","definitions":{`)
	for i := range n {
		fmt.Fprintf(&b, `"d%d":`+strings.ReplaceAll(format, "NEXT", fmt.Sprintf(`{"$ref":"#/definitions/d%d"}`, i+1))+`,`, i)
	}
	fmt.Fprintf(&b, `"d%d":{"type":"string"}}}`, n)
	return b.String()
}

func many(n int, before, each, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(each, "#", fmt.Sprint(i)))
	}
	b.WriteString(after)
	return b.String()
}

// TestHostileSchemas reads schemas that are made to take long, or much memory. What
// they expand to is bounded, whether they are refused or not.
func TestHostileSchemas(t *testing.T) {
	const most = 1 << 30 // bytes that may be allocated on the way, most of them garbage
	for _, c := range []struct{ name, schema, want string }{
		{"nested deeply", strings.Repeat(`{"not":`, 100_000) + `{}` + strings.Repeat(`}`, 100_000), "nests deeper"},
		{"nested items", strings.Repeat(`{"items":`, 200) + `{}` + strings.Repeat(`}`, 200), "nests deeper"},
		{"arrays", strings.Repeat(`[`, 100_000), "nests deeper"},
		{"too long", `{"title":"` + strings.Repeat("x", 2<<20) + `"}`, "longer than"},
		{"many definitions", many(80_000, `{"definitions":{`, `"#":{}`, `}}`), "subschemas"},
		{"many booleans", many(60_000, `{"definitions":{`, `"#":true`, `}}`), "subschemas"},
		{"many properties", many(8_000, `{"properties":{`, `"p#":{"type":"string"}`, `}}`), ""},
		{"a circle of references", `{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}`, "refers to itself"},
		{"a circle through all of", `{"properties":{"a":{"allOf":[{},{"anyOf":[{"$ref":"#/properties/a"}]}]}}}`, "refers to itself"},
		{"doubling all of", chain(60, `{"allOf":[NEXT,NEXT]}`), ""},
		{"doubling any of", chain(60, `{"anyOf":[NEXT,NEXT]}`), ""},
		{"doubling properties", chain(40, `{"properties":{"a":NEXT,"b":NEXT}}`), "expands to more"},
		{"doubling conditions", chain(60, `{"if":NEXT,"then":NEXT,"else":NEXT}`), ""},
		{"a long chain of references", chain(5_000, `NEXT`), ""},
		{"patterns", many(100, `{"patternProperties":{`, `"^p#":{}`, `}}`), "more than 64 patterns"},
		{"patterns and names", many(2_000, many(60, `{"patternProperties":{`, `"(a|b)*#":{}`, `},"properties":{`), `"ab#":{}`, `}}`), ""},
		{"a pattern that repeats", `{"patternProperties":{"((a{1000}){1000}){1000}":{}}}`, "ECMA"},
		{"a long pattern", `{"patternProperties":{"` + strings.Repeat("a?", 10_000) + `":{}}}`, "metaschema"},
		{"a long name around many", many(5_000, `{"definitions":{"`+strings.Repeat("n", 100_000)+`":{"properties":{`, `"#":{}`, `}}}}`), "too long"},
		{"many tags", many(100, `{"confluent:tags":[`, `"t#"`, `]}`), "more than 64 tags"},
		{"many references to nowhere special", many(6_000, many(6_000, `{"x":{`, `"a#":{}`, `},"properties":{`), `"p#":{"$ref":"~/x/a#"}`, `}}`), "too many references"},
		{"many identifiers", many(1_000, `{"definitions":{`, `"#":{"$id":"a#"}`, `}}`), "identifiers"},
		{"an enum", many(100_000, `{"enum":[`, `#`, `]}`), ""},
		{"a number", `{"maximum":1e999999999}`, "too many digits"},
		{"a small number", `{"multipleOf":1e-999999999}`, "too many digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(c.schema, `"~/x/`, `"#/x/`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s, err := Parse(textOf(text))
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > most && !raceDetector {
				t.Errorf("%d bytes were allocated", used)
			}
			switch {
			case c.want == "" && err == nil:
				if len(s.Fields()) > maxFields {
					t.Errorf("%d fields", len(s.Fields()))
				}
			case c.want == "":
				t.Logf("refused: %v", err)
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("Parse: %v, want %q", err, c.want)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// TestHostileRecords validates records that would take the validator for ever.
func TestHostileRecords(t *testing.T) {
	doubling := parse(t, `{"anyOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"},"b":{"type":"string"}}}]}`)
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + `1` + strings.Repeat(`}`, n) }
	if err := doubling.Validate([]byte(nested(8))); err != nil {
		t.Errorf("a small record: %v", err)
	}
	if err := doubling.Validate([]byte(nested(60))); !errors.Is(err, errEffort) {
		t.Errorf("a doubling record: %v", err)
	}
	chained := parse(t, chain(40, `{"allOf":[NEXT,NEXT]}`))
	if err := chained.Validate([]byte(`"x"`)); !errors.Is(err, errEffort) {
		t.Errorf("a doubling schema: %v", err)
	}
	numbers := parse(t, `{"properties":{"n":{"type":"integer","minimum":0},"m":{"multipleOf":3}}}`)
	for _, record := range []string{
		`{"n":1e999999999}`, `{"n":1e-999999999}`, `{"n":1e99999999999999999999}`, `{"n":` + strings.Repeat("9", 100_000) + `}`,
	} {
		if err := numbers.Validate([]byte(record)); !errors.Is(err, errNumber) {
			t.Errorf("%.40s: %v", record, err)
		}
	}
	for _, record := range []string{``, `{`, `{} {}`, nested(65), strings.Repeat(`[`, 1_000_000), "\xff"} {
		if err := numbers.Validate([]byte(record)); !errors.Is(err, errRecord) {
			t.Errorf("%.40q: %v", record, err)
		}
	}
}

// TestManyNamesThatPatternsMatch sees to it that a program keeps nothing of the
// names that it met.
func TestManyNamesThatPatternsMatch(t *testing.T) {
	s := parse(t, `{"patternProperties":{"a":{"type":"integer","confluent:tags":["T"]},"b":{"type":"integer"},"c$":{"type":"integer"}},"additionalProperties":false}`)
	there, back := compile(t, s, wrapTagged(s))
	var record strings.Builder
	record.WriteString("{")
	for i := range 20_000 {
		if i > 0 {
			record.WriteString(",")
		}
		fmt.Fprintf(&record, `"%s%d%s":%d`, []string{"a", "b", "ab"}[i%3], i, []string{"", "c"}[i%2], i)
	}
	record.WriteString("}")
	out := rewrite(t, there, record.String(), sealing)
	if again := rewrite(t, back, out, opening); again != record.String() {
		t.Error("the record did not come back")
	}
	if _, err := there.Rewrite(nil, []byte(`{"a1":1,"z":2}`), sealing); err == nil {
		t.Error("a name that nothing matches passes")
	}
	src := []byte(`{"a1":1,"b2":2,"ab3":3}`)
	dst := make([]byte, 0, 1024)
	keep := visit(func(_ int, dst, value []byte) ([]byte, error) { return append(dst, value...), nil })
	// What runs beside the test may allocate, a collection empties pools, and under
	// the race detector they forget on purpose.
	least := 1.0
	for range 1000 {
		least = min(least, testing.AllocsPerRun(1, func() {
			if _, err := there.Rewrite(dst, src, keep); err != nil {
				t.Error(err)
			}
		}))
	}
	if least > 0 {
		t.Errorf("%v allocations", least)
	}
}

func TestManyRules(t *testing.T) {
	rules := make([]schema.TagRule, 1000)
	for i := range rules {
		rules[i] = schema.TagRule{Pattern: "**" + strings.Repeat("*a", 1000) + "b", Tags: []string{"T"}}
	}
	if _, err := Parse(textOf(many(3_000, `{"properties":{`, `"p#":{"type":"string"}`, `}}`), rules...)); err == nil || !strings.Contains(err.Error(), "too many tags") {
		t.Errorf("Parse: %v", err)
	}
	if _, err := Parse(textOf(`{}`, append(rules, rules...)...)); err == nil {
		t.Error("too many rules are taken")
	}
}
