package jsondoc

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// everywhere has the document at several places: of values without fields, of one
// inside a value with an edit, of unknown members.
func everywhere(t testing.TB) map[string]func(doc string) (schema.Program, string) {
	t.Helper()
	plain := compile(t, forPaths(t, "/x"))
	deep := forPaths(t, "/**/such")
	deepProgram := compile(t, deep, all(deep, schema.Wrap)...)
	wrap := forPaths(t, "/x")
	wrapProgram := compile(t, wrap, all(wrap, schema.Wrap)...)
	nullProgram := compile(t, wrap, all(wrap, schema.Nullify)...)
	empty := newSchema(t, &Shape{Field: NoField, Members: map[string]*Shape{"x": {Field: NoField, Any: true}}})
	unknown, err := empty.Compile(nil, schema.KeepUnknown)
	if err != nil {
		t.Fatal(err)
	}
	bare := func(p schema.Program) func(string) (schema.Program, string) {
		return func(doc string) (schema.Program, string) { return p, doc }
	}
	return map[string]func(doc string) (schema.Program, string){
		"as the document":    bare(plain),
		"below a pattern":    bare(deepProgram),
		"in a wrapped value": func(doc string) (schema.Program, string) { return wrapProgram, `{"x":` + doc + `}` },
		"in a nulled value":  func(doc string) (schema.Program, string) { return nullProgram, `{"x":` + doc + `}` },
		"in an unknown one":  func(doc string) (schema.Program, string) { return unknown, `{"y":` + doc + `}` },
		"in an open one":     func(doc string) (schema.Program, string) { return unknown, `{"x":` + doc + `}` },
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	tests := []struct{ name, in, reason string }{
		{"a number with a leading zero", "01", reasonNumber},
		{"a negative number with a leading zero", "-01", reasonNumber},
		{"two zeros", "00", reasonNumber},
		{"a number that ends in a point", "1.", reasonNumber},
		{"a number that begins with a point", ".5", reasonValue},
		{"a number that begins with a plus", "+1", reasonValue},
		{"a lone minus", "-", reasonNumber},
		{"a minus before a letter", "-a", reasonNumber},
		{"two minuses", "--1", reasonNumber},
		{"an exponent without digits", "1e", reasonNumber},
		{"a signed exponent without digits", "1e+", reasonNumber},
		{"an exponent of a fraction without digits", "1.5E-", reasonNumber},
		{"a point before an exponent", "1.e5", reasonNumber},
		{"two points", "1.2.3", reasonNumber},
		{"a hexadecimal number", "0x10", ""},
		{"a number with a separator", "1_000", ""},
		{"digits of another script", "\u0661", reasonValue},
		{"NaN", "NaN", reasonValue},
		{"Infinity", "Infinity", reasonValue},
		{"-Infinity", "-Infinity", reasonNumber},
		{"a literal in capitals", "True", reasonValue},
		{"a literal cut short", "tru", reasonValue},
		{"a literal with a letter more", "nulls", ""},
		{"undefined", "undefined", reasonValue},
		{"text without quotes", "abc", reasonValue},
		{"single quotes", "'a'", reasonValue},
		{"a comment", "/**/1", reasonValue},
		{"a comment behind", "1/**/", ""},

		{"a string without an end", `"abc`, ""},
		{"a string that ends in a backslash", `"abc\"`, ""},
		{"a raw line break in a string", "\"a\nb\"", reasonControl},
		{"a raw tab in a string", "\"a\tb\"", reasonControl},
		{"a NUL in a string", "\"a\x00b\"", reasonControl},
		{"a control character after eight bytes", "\"12345678\x1f\"", reasonControl},
		{"an escape that is none", `"\x41"`, reasonEscape},
		{"an escaped quote of the other kind", `"\'"`, reasonEscape},
		{"an escaped line break", "\"\\\n\"", reasonEscape},
		{"a capital U", `"\U0041"`, reasonEscape},
		{"three hexadecimal digits", `"\u004"`, reasonEscape},
		{"digits that are not hexadecimal", `"\u00g0"`, reasonEscape},
		{"a high surrogate alone", `"\ud800"`, reasonSurrogate},
		{"a high surrogate before a letter", `"\ud800abcdef"`, reasonSurrogate},
		{"a low surrogate alone", `"\udc00"`, reasonSurrogate},
		{"surrogates the wrong way round", `"\udc00\ud800"`, reasonSurrogate},
		{"two high surrogates", `"\ud800\ud800"`, reasonSurrogate},
		{"a high surrogate before another escape", `"\ud83d\n12345"`, reasonSurrogate},
		{"a high surrogate before bad digits", `"\ud83d\udzzz"`, reasonSurrogate},
		{"a byte that begins nothing", "\"\xff\"", reasonUTF8},
		{"a continuation byte alone", "\"\x80\"", reasonUTF8},
		{"a character cut short", "\"\xc3\"", reasonUTF8},
		{"a character cut short by an escape", "\"\xe2\x82\\n\xac\"", reasonUTF8},
		{"an overlong character", "\"\xc0\xaf\"", reasonUTF8},
		{"a surrogate in UTF-8", "\"\xed\xa0\x80\"", reasonUTF8},
		{"a character beyond Unicode", "\"\xf4\x90\x80\x80\"", reasonUTF8},
		{"a bad byte after plain words", "\"0123456789abcdef0123\xff\"", reasonUTF8},
		{"a bad byte in the first word, before an escape", "\"\xff\\n\"", reasonUTF8},
		{"a bad byte in a name", "{\"a\xff\":1}", reasonUTF8},
		{"a lone surrogate in a name", `{"\ud800":1}`, reasonSurrogate},
		{"bad UTF-8 outside strings", "[\xff]", reasonValue},

		{"a comma at the end of an array", "[1,]", reasonValue},
		{"a comma at the start of an array", "[,1]", reasonValue},
		{"two commas in an array", "[1,,2]", reasonValue},
		{"no comma in an array", "[1 2]", reasonNext},
		{"an array closed as an object", "[1}", reasonNext},
		{"a colon in an array", `["a":1]`, reasonNext},
		{"a comma at the end of an object", `{"a":1,}`, reasonName},
		{"a comma at the start of an object", `{,"a":1}`, reasonName},
		{"two commas in an object", `{"a":1,,"b":2}`, reasonName},
		{"no comma in an object", `{"a":1 "b":2}`, reasonMore},
		{"an object closed as an array", `{"a":1]`, reasonMore},
		{"a name without quotes", `{a:1}`, reasonName},
		{"a name that is a number", `{1:1}`, reasonName},
		{"a name alone", `{"a"}`, reasonColon},
		{"a name without a value", `{"a":}`, reasonValue},
		{"a name with two colons", `{"a"::1}`, reasonValue},
		{"an equals sign", `{"a"=1}`, reasonColon},
		{"a bracket alone", "]", reasonValue},
		{"a form feed as space", "[\f1]", reasonValue},
		{"a no-break space", "[\u00a01]", reasonValue},

		{"a name twice", `{"a":1,"a":1}`, reasonTwice},
		{"a name twice, once escaped", `{"ssn":1,"\u0073sn":2}`, reasonTwice},
		{"a name twice, both escaped", `{"\u0073sn":1,"s\u0073n":2}`, reasonTwice},
		{"a name twice with others between", `{"a":1,"b":2,"c":3,"a":4}`, reasonTwice},
		{"the empty name twice", `{"":1,"":2}`, reasonTwice},
		{"a name twice, far down", `[[{"q":[{"a":[],"a":[]}]}]]`, reasonTwice},
		{"a name twice around an object with it", `{"a":{"a":1},"b":[{"a":2}],"a":3}`, reasonTwice},
		{"a name twice, a pair of surrogates", `{"\ud83d\ude00":1,"😀":2}`, reasonTwice},
		{"a long name twice", `{"` + strings.Repeat("n", 100) + `":1,"` + strings.Repeat("n", 100) + `":2}`, reasonTwice},
		{"the last of 40 names again", `{` + manyNames(40) + `,"n39":0}`, reasonTwice},
		{"the first of 1000 names again", `{` + manyNames(1000) + `,"n0":0}`, reasonTwice},
		{"65 arrays", strings.Repeat("[", 65) + strings.Repeat("]", 65), reasonDeep},
		{"65 objects", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), reasonDeep},
		{"65 of both", strings.Repeat(`[{"a":`, 33) + "1" + strings.Repeat("}]", 33), reasonDeep},
	}
	for _, tt := range tests {
		for place, at := range everywhere(t) {
			t.Run(tt.name+" "+place, func(t *testing.T) {
				p, doc := at(tt.in)
				reason := tt.reason
				if strings.HasPrefix(place, "in") && tt.in == "" {
					reason = reasonValue
				}
				wantMalformed(t, p, doc, reason, identity)
			})
		}
	}
}

// manyNames are members without the braces.
func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"n` + itoa(i) + `":` + itoa(i))
	}
	return b.String()
}

func TestWhatStandsAroundADocumentIsRefused(t *testing.T) {
	tests := []struct{ name, in, reason string }{
		{"nothing", "", reasonEmpty},
		{"white space alone", " \n\t", reasonEmpty},
		{"a byte order mark", "\ufeff{}", reasonMark},
		{"a byte order mark alone", "\ufeff", reasonMark},
		{"UTF-16", "\xff\xfe{\x00}\x00", reasonValue},
		{"a second document", "{}{}", reasonTrailing},
		{"a second document on its own line", "{}\n{}", reasonTrailing},
		{"a comma behind", "{},", reasonTrailing},
		{"a bracket behind", "[]]", reasonTrailing},
		{"a NUL behind", "{}\x00", reasonTrailing},
		{"a separator before", "\x1e{}", reasonValue},
		{"an object without an end", "{", reasonTruncated},
		{"an object cut after a name", `{"a"`, reasonTruncated},
		{"an object cut in a name", `{"a`, reasonTruncated},
		{"an object cut after a colon", `{"a":`, reasonTruncated},
		{"an object cut after a value", `{"a":"1"`, reasonTruncated},
		{"an object cut after a comma", `{"a":"1",`, reasonTruncated},
		{"an array without an end", "[", reasonTruncated},
		{"an array cut after an item", "[1", reasonTruncated},
		{"an array cut after a comma", "[1,", reasonTruncated},
		{"a string cut after a backslash", `"\`, reasonTruncated},
	}
	s := forPaths(t, "/a", "/b")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range []schema.Program{
				compile(t, s), compile(t, s, all(s, schema.Replace)...), compile(t, s, all(s, schema.Wrap)...),
				compile(t, s, all(s, schema.Nullify)...), restore(t, s, all(s, schema.Wrap)...), restore(t, s, all(s, schema.Replace)...),
			} {
				wantMalformed(t, p, tt.in, tt.reason, identity)
			}
		})
	}
}

func TestDocumentsThatStay(t *testing.T) {
	tests := []struct{ name, in string }{
		{"zero", "0"}, {"minus zero", "-0"}, {"a fraction", "-0.10"}, {"exponents", "[1e5,1E5,1e+5,1E-05,0e0,1.5e300]"},
		{"a number beyond float64", "1e999999"}, {"a number of many digits", strings.Repeat("9", 400)},
		{"literals", "[true,false,null]"},
		{"an empty string", `""`}, {"all escapes", `"\"\\\/\b\f\n\r\t\u0000\uABCD\uabcd"`},
		{"a pair of surrogates", `"\ud83d\ude00"`}, {"an escaped replacement character", `"\ufffd"`},
		{"characters of all lengths", `"aé€😀"`}, {"DEL", "\"\x7f\""}, {"line separators", "\"\u2028\u2029\""}, {"a byte order mark in a string", "\"\ufeff\""},
		{"noncharacters", "\"\uffff\U0010ffff\""},
		{"empty containers", `[{},[],{ },[ ]]`}, {"white space of all kinds", " \t\r\n[ \t\r\n1 ,\r2 ] \n"},
		{"names that differ only in case", `{"a":1,"A":2}`}, {"an empty name", `{"":1}`},
		{"one name in several objects", `[{"a":1},{"a":{"a":[{"a":1}]}}]`},
		{"names that share the first eight and the last eight bytes", `{"12345678a12345678":1,"12345678b12345678":2}`},
		{"names that a NUL tells apart", `{"a":1,"a\u0000":2}`},
		{"64 arrays", strings.Repeat("[", 64) + strings.Repeat("]", 64)},
		{"64 objects", strings.Repeat(`{"a":`, 63) + "{}" + strings.Repeat("}", 63)},
		{"1000 names", "{" + manyNames(1000) + "}"},
		{"1000 names around 1000 names", "{" + manyNames(1000) + `,"o":{` + manyNames(1000) + `},"p":{` + manyNames(20) + `},"q":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !json.Valid([]byte(tt.in)) {
				t.Fatal("the case is no JSON")
			}
			s := forPaths(t, "/**/nowhere")
			for _, p := range []schema.Program{compile(t, forPaths(t, "/x")), compile(t, s, all(s, schema.Wrap)...), restore(t, s, all(s, schema.Wrap)...)} {
				if got := rewrite(t, p, tt.in, identity); got != tt.in {
					t.Errorf("%q became %q", tt.in, got)
				}
			}
		})
	}
}

func TestStringsOfEveryLengthAreReadToTheirEnd(t *testing.T) {
	// Each kind of byte at each offset from a word, and from the end.
	s := forPaths(t, "/x")
	p := compile(t, s)
	for n := range 40 {
		for at := range n + 1 {
			for _, tt := range []struct {
				insert string
				reason string
			}{{"", ""}, {"é", ""}, {`\n`, ""}, {`\u00e9`, ""}, {`\"`, ""}, {"\x01", reasonControl}, {"\x80", reasonUTF8}, {`\q`, reasonEscape}, {`\ud800`, reasonSurrogate}, {"\x1f", reasonControl}} {
				in := `["` + strings.Repeat("x", at) + tt.insert + strings.Repeat("y", n-at) + `"]`
				if tt.reason != "" {
					wantMalformed(t, p, in, tt.reason, identity)
					continue
				}
				if got := rewrite(t, p, in, identity); got != in {
					t.Fatalf("%q became %q", in, got)
				}
			}
		}
	}
}
