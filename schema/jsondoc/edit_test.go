package jsondoc

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// values has the members a and b that are fields, and anything beside them.
func values(t testing.TB) *Schema {
	t.Helper()
	return newSchema(t, &Shape{Field: NoField, Any: true, Members: map[string]*Shape{
		"a": {Field: 0}, "b": {Field: 1, Omit: true},
	}, Items: &Shape{Field: 1, Omit: true}}, field("/a"), field("/b"))
}

func TestCompileHandsOverAndWrites(t *testing.T) {
	tests := []struct {
		name, in string
		op       schema.Op
		want     string
		visited  string // values joined by |
	}{
		{"a string is replaced", `{"a":"x"}`, schema.Replace, `{"a":"0:x"}`, "x"},
		{"escapes are decoded", `{"a":"\u0041\/\"\\\b\f\n\r\t\u00e9\ud83d\ude00é"}`, schema.Replace, `{"a":"0:A/\"\\\b\f\n\r\té😀é"}`, "A/\"\\\b\f\n\r\té😀é"},
		{"other control characters are written in hexadecimal", `{"a":"\u0000\u001F\u007f"}`, schema.Replace, "{\"a\":\"0:\\u0000\\u001f\x7f\"}", "\x00\x1f\x7f"},
		{"an empty string is replaced", `{"a":""}`, schema.Replace, `{"a":"0:"}`, ""},
		{"null is not replaced", `{"a":null}`, schema.Replace, `{"a":null}`, "-"},
		{"a name with escapes is the same name", `{"\u0061":"x"}`, schema.Replace, `{"\u0061":"0:x"}`, "x"},
		{"white space stays", "\n{ \"a\"\t:\r\n\"x\" , \"z\" : 1.50 }\n", schema.Replace, "\n{ \"a\"\t:\r\n\"0:x\" , \"z\" : 1.50 }\n", "x"},
		{"two are replaced in their order", `{"b":"y","z":[1, 2],"a":"x"}`, schema.Replace, `{"b":"1:y","z":[1, 2],"a":"0:x"}`, "y|x"},

		{"a string is wrapped with its quotes and escapes", `{"a":"\u0041"}`, schema.Wrap, `{"a":"0:\"\\u0041\""}`, `"\u0041"`},
		{"a number is wrapped with its lexeme", `{"a":-1.50E+400}`, schema.Wrap, `{"a":"0:-1.50E+400"}`, "-1.50E+400"},
		{"true is wrapped", `{"a": true}`, schema.Wrap, `{"a": "0:true"}`, "true"},
		{"an object is wrapped with its white space", "{\"a\":{ \"x\" : [1,\n2] } }", schema.Wrap, `{"a":"0:{ \"x\" : [1,\n2] }" }`, "{ \"x\" : [1,\n2] }"},
		{"an object with the names of fields is wrapped as a whole", `{"a":{"a":1,"b":"y"}}`, schema.Wrap, `{"a":"0:{\"a\":1,\"b\":\"y\"}"}`, `{"a":1,"b":"y"}`},
		{"null is not wrapped", `{"a":null}`, schema.Wrap, `{"a":null}`, "-"},
		{"an item is wrapped", `[1,"x",null]`, schema.Wrap, `["1:1","1:\"x\"",null]`, `1|"x"`},

		{"a value becomes null", `{"a":[1,{"b":2}],"z":3}`, schema.Nullify, `{"a":null,"z":3}`, "-"},
		{"null stays null", `{"a":null}`, schema.Nullify, `{"a":null}`, "-"},
		{"an item becomes null, whatever Omit says", `[1, 2]`, schema.Nullify, `[null, null]`, "-"},
		{"the only member is left out", `{ "b" : 1 }`, schema.Nullify, `{  }`, "-"},
		{"the first member is left out", `{ "b" : 1 , "z":2}`, schema.Nullify, `{ "z":2}`, "-"},
		{"the last member is left out", `{"z":2 , "b" : 1 }`, schema.Nullify, `{"z":2 }`, "-"},
		{"a member in the middle is left out", `{"y":1 , "b" : 1 , "z":2}`, schema.Nullify, `{"y":1 , "z":2}`, "-"},
		{"a null is left out too", `{"b":null,"z":2}`, schema.Nullify, `{"z":2}`, "-"},
		{"a container is left out", `{"b":{"b":1},"z":2}`, schema.Nullify, `{"z":2}`, "-"},
		{"behind a member that became null", `{"a":1 ,"b":1}`, schema.Nullify, `{"a":null}`, "-"},
		{"before a member that becomes null", `{"b":1, "a" : 1}`, schema.Nullify, `{"a" : null}`, "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []string
			s := values(t)
			got := rewrite(t, compile(t, s, all(s, tt.op)...), tt.in, func(edit int, dst, value []byte) ([]byte, error) {
				seen = append(seen, string(value))
				return numbered(edit, dst, value)
			})
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if visited := strings.Join(seen, "|"); visited != tt.visited && (len(seen) > 0 || tt.visited != "-") {
				t.Errorf("visited %q, want %q", visited, tt.visited)
			}
			if _, ok := treeOf([]byte(got)); !ok {
				t.Errorf("%q is no strict JSON", got)
			}
		})
	}
}

func TestSeveralMembersAreLeftOut(t *testing.T) {
	out := &Shape{Field: 0, Omit: true}
	s := newSchema(t, &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"a": out, "b": out, "c": out, "d": out}}, field("/f"))
	p := compile(t, s, all(s, schema.Nullify)...)
	for in, want := range map[string]string{
		`{"a":1,"b":2}`:                         `{}`,
		`{"a":1, "b":2, "c":3 }`:                `{ }`,
		`{"a":1, "b":2, "x":3}`:                 `{"x":3}`,
		`{"x":1, "a":2, "b":3, "y":4, "c" : 5}`: `{"x":1, "y":4}`,
		`{"a":1, "x":2, "b":3, "y":4}`:          `{"x":2, "y":4}`,
		`{"x":{"a":1},"a":{}}`:                  `{"x":{"a":1}}`,
	} {
		if got := rewrite(t, p, in, identity); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
	wantMalformed(t, p, `{"a":1,"a":2}`, reasonTwice, identity)
	wantMalformed(t, p, `{"a":1,}`, reasonName, identity)
	wantMalformed(t, p, `{"a":{"z":1,"z":2}}`, reasonTwice, identity)
	wantMalformed(t, p, `{"a":nul}`, reasonValue, identity)
}

func TestValuesThatAnEditRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		op       schema.Op
		reason   string
	}{
		{"a number is replaced", `{"a":1}`, schema.Replace, reasonString},
		{"an object is replaced", `{"a":{}}`, schema.Replace, reasonString},
		{"true is replaced", `{"a":true}`, schema.Replace, reasonString},
		{"no JSON is replaced", `{"a":nil}`, schema.Replace, reasonValue},
		{"a broken string is replaced", `{"a":"\ud800"}`, schema.Replace, reasonSurrogate},
		{"no value is wrapped", `{"a":}`, schema.Wrap, reasonValue},
		{"a broken object is wrapped", `{"a":{"x":01}}`, schema.Wrap, reasonNumber},
		{"an object with a name twice is wrapped", `{"a":{"x":1,"x":2}}`, schema.Wrap, reasonTwice},
		{"a field stands there twice", `{"a":"x","a":"y"}`, schema.Replace, reasonTwice},
		{"a field stands there twice, once escaped", `{"a":"x","\u0061":"y"}`, schema.Replace, reasonTwice},
		{"a field in another case", `{"A":"x"}`, schema.Replace, reasonCase},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := values(t)
			wantMalformed(t, compile(t, s, all(s, tt.op)...), tt.in, tt.reason, identity)
			wantMalformed(t, restore(t, s, all(s, tt.op)...), tt.in, tt.reason, identity)
		})
	}
}

func TestRestoreHandsOverAndWrites(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, in string
		op       schema.Op
		answer   string // KEEP to keep
		want     string // or a reason
		visited  string
	}{
		{"a wrapped number", `{"a": "c" }`, schema.Wrap, "-1.50e3", `{"a": -1.50e3 }`, "c"},
		{"a wrapped string keeps its escapes", `{"a":"c"}`, schema.Wrap, `"\u0041"`, `{"a":"\u0041"}`, "c"},
		{"a wrapped object", `{"a":"c"}`, schema.Wrap, `{ "x" : [1] }`, `{"a":{ "x" : [1] }}`, "c"},
		{"content is decoded", `{"a":"\u0041\n"}`, schema.Wrap, "1", `{"a":1}`, "A\n"},
		{"a string is kept as it stands", `{"a":"\u0041"}`, schema.Wrap, "KEEP", `{"a":"\u0041"}`, "A"},
		{"a number is kept", `{"a": 1.0 }`, schema.Wrap, "KEEP", `{"a": 1.0 }`, "1.0"},
		{"an object is handed over as it stands", `{"a":{ "x":1}}`, schema.Wrap, "KEEP", `{"a":{ "x":1}}`, `{ "x":1}`},
		{"null is not handed over", `{"a":null}`, schema.Wrap, "1", `{"a":null}`, "-"},
		{"nothing", `{"a":"c"}`, schema.Wrap, "", reasonRestored, "c"},
		{"two values", `{"a":"c"}`, schema.Wrap, "1 2", reasonRestored, "c"},
		{"a value and a member", `{"a":"c"}`, schema.Wrap, `1,"x":2`, reasonRestored, "c"},
		{"white space before", `{"a":"c"}`, schema.Wrap, " 1", reasonRestored, "c"},
		{"white space behind", `{"a":"c"}`, schema.Wrap, "1 ", reasonRestored, "c"},
		{"text without quotes", `{"a":"c"}`, schema.Wrap, "text", reasonRestored, "c"},
		{"a bad number", `{"a":"c"}`, schema.Wrap, "01", reasonRestored, "c"},
		{"an object with a name twice", `{"a":"c"}`, schema.Wrap, `{"x":1,"\u0078":1}`, reasonRestored, "c"},
		{"invalid UTF-8", `{"a":"c"}`, schema.Wrap, "\"\xff\"", reasonRestored, "c"},
		{"63 levels inside one", `{"a":"c"}`, schema.Wrap, deep(63), `{"a":` + deep(63) + `}`, "c"},
		{"64 levels inside one", `{"a":"c"}`, schema.Wrap, deep(64), reasonRestored, "c"},
		{"a value that is no string is not replaced by two", `{"a":7}`, schema.Wrap, "1,2", reasonRestored, "7"},

		{"a replaced string", `{"a":"c"}`, schema.Replace, "new \"one\"\n", `{"a":"new \"one\"\n"}`, "c"},
		{"a replaced string is kept as it stands", `{"a":"\u0041", "b":"B"}`, schema.Replace, "KEEP", `{"a":"\u0041", "b":"B"}`, "A|B"},
		{"null is not replaced", `{"a":null}`, schema.Replace, "x", `{"a":null}`, "-"},
		{"a number where a string was replaced", `{"a":1}`, schema.Replace, "x", reasonString, "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []string
			answer := func(_ int, dst, value []byte) ([]byte, error) {
				seen = append(seen, string(value))
				if tt.answer == "KEEP" {
					return nil, schema.ErrKeep
				}
				return append(dst, tt.answer...), nil
			}
			s := values(t)
			p := restore(t, s, all(s, tt.op)...)
			if strings.HasPrefix(tt.want, "{") {
				if got := rewrite(t, p, tt.in, answer); got != tt.want {
					t.Errorf("got  %q\nwant %q", got, tt.want)
				}
			} else {
				wantMalformed(t, p, tt.in, tt.want, answer)
			}
			if visited := strings.Join(seen, "|"); visited != tt.visited && (len(seen) > 0 || tt.visited != "-") {
				t.Errorf("visited %q, want %q", visited, tt.visited)
			}
		})
	}
}

func TestAnswersOfAVisitorThatAreRefused(t *testing.T) {
	own := errors.New("own")
	tests := []struct {
		name   string
		back   bool
		op     schema.Op
		answer visit
		want   error
	}{
		{"an error is returned as it is", false, schema.Replace, func(int, []byte, []byte) ([]byte, error) { return nil, own }, own},
		{"an error for a wrapped value", false, schema.Wrap, func(int, []byte, []byte) ([]byte, error) { return nil, own }, own},
		{"an error on the way back", true, schema.Wrap, func(int, []byte, []byte) ([]byte, error) { return nil, own }, own},
		{"nothing can be kept when protecting", false, schema.Wrap, func(int, []byte, []byte) ([]byte, error) { return nil, schema.ErrKeep }, schema.ErrKeep},
		{"no string can be kept when protecting", false, schema.Replace, func(int, []byte, []byte) ([]byte, error) { return nil, schema.ErrKeep }, schema.ErrKeep},
		{"a replacement that is not UTF-8", false, schema.Replace, func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, 0xff), nil }, errAnswerUTF8},
		{"a wrapping that is not UTF-8, with escapes", false, schema.Wrap, func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, "\n12345678\xc3"...), nil }, errAnswerUTF8},
		{"a replacement on the way back that is not UTF-8", true, schema.Replace, func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, 0x80), nil }, errAnswerUTF8},
		{"a slice of its own", false, schema.Replace, func(int, []byte, []byte) ([]byte, error) { return nil, nil }, errAnswerDst},
		{"a shorter slice", true, schema.Wrap, func(_ int, dst, _ []byte) ([]byte, error) { return dst[:len(dst)-1], nil }, errAnswerDst},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := values(t)
			p := compile(t, s, all(s, tt.op)...)
			if tt.back {
				p = restore(t, s, all(s, tt.op)...)
			}
			out, err := p.Rewrite([]byte("before"), []byte(`{"a":"x"}`), tt.answer)
			if !errors.Is(err, tt.want) || string(out) != "before" {
				t.Errorf("got %q, %v, want %v", out, err, tt.want)
			}
		})
	}
}

func TestAnswersOfEveryLengthAreEscaped(t *testing.T) {
	s := values(t)
	p := compile(t, s, schema.Edit{Field: 0, Op: schema.Replace})
	for n := range 40 {
		for at := range n + 1 {
			for _, insert := range []string{"", "\"", "\\", "\x00", "\x1f", "é", "\n\n\t\"\x01\\", "\x7f"} {
				answer := strings.Repeat("x", at) + insert + strings.Repeat("y", n-at)
				got := rewrite(t, p, `{"a":"v","z":"w"}`, func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, answer...), nil })
				if want := `{"a":` + quote(answer) + `,"z":"w"}`; got != want {
					t.Fatalf("%q became %q, want %q", answer, got, want)
				}
			}
		}
	}
}

func TestTheSchemaOfALeafAtTheRoot(t *testing.T) {
	s := newSchema(t, &Shape{Field: 0}, field("/"))
	for op, want := range map[schema.Op]string{schema.Replace: ` "0:x" `, schema.Wrap: ` "0:\"x\"" `, schema.Nullify: ` null `} {
		if got := rewrite(t, compile(t, s, all(s, op)...), ` "x" `, numbered); got != want {
			t.Errorf("op %d: got %q, want %q", op, got, want)
		}
	}
}

func TestObjectsOfManyToldMembers(t *testing.T) {
	members := map[string]*Shape{}
	for i := range 1000 {
		members["n"+itoa(i)] = &Shape{Field: 0}
	}
	// Names of one length that begin and end alike.
	for i := range 40 {
		members["same begin "+itoa(100+i)+" and the same end"] = &Shape{Field: 0}
	}
	s := newSchema(t, &Shape{Field: NoField, Members: members}, field("/n"))
	p := compile(t, s, all(s, schema.Wrap)...)
	text := "{" + manyNames(1000) + `,"same begin 117 and the same end":5}`
	for range 2 { // with nothing learned, and with all
		got := rewrite(t, p, text, func(_ int, dst, value []byte) ([]byte, error) { return append(append(dst, 'v'), value...), nil })
		if strings.Count(got, `"v`) != 1001 || !strings.Contains(got, `"n999":"v999"`) || !strings.Contains(got, `end":"v5"`) {
			t.Fatalf("got %s", got)
		}
	}
	for _, n := range []int{0, 1, 255, 256, 257, 500, 999} {
		wantMalformed(t, p, "{"+manyNames(1000)+`,"n`+itoa(n)+`":0}`, reasonTwice, identity)
		wantMalformed(t, p, "{"+manyNames(1000)+`,"\u006e`+itoa(n)+`":0}`, reasonTwice, identity)
	}
	wantMalformed(t, p, `{"same begin 1x7 and the same end":5}`, reasonMember, identity)
	wantMalformed(t, p, `{"same begin 117 and the same end":5,"same begin 117 and the same en\u0064":5}`, reasonTwice, identity)
}

func TestOrderIsLearnedAndDoesNotMatter(t *testing.T) {
	s := newSchema(t, &Shape{Field: NoField, Members: map[string]*Shape{
		"a": {Field: NoField}, "b": {Field: 0}, "c": {Field: NoField}, `"`: {Field: 0}, "ab": {Field: 0}, `\`: {Field: 0},
	}}, field("/b"))
	p := compile(t, s, all(s, schema.Wrap)...)
	for range 20 {
		for in, want := range map[string]string{
			`{"a":1,"b":2,"c":3}`:       `{"a":1,"b":"0:2","c":3}`,
			`{"c":1,"b":2,"a":3}`:       `{"c":1,"b":"0:2","a":3}`,
			`{"b" :2}`:                  `{"b" :"0:2"}`,
			`{"ab":2,"a":1}`:            `{"ab":"0:2","a":1}`,
			`{"\"":2,"b":1}`:            `{"\"":"0:2","b":"0:1"}`,
			`{"\\":2,"b":1}`:            `{"\\":"0:2","b":"0:1"}`,
			`{"a":1,"\u0062":2,"ab":3}`: `{"a":1,"\u0062":"0:2","ab":"0:3"}`,
		} {
			if got := rewrite(t, p, in, numbered); got != want {
				t.Fatalf("%s became %s, want %s", in, got, want)
			}
		}
		wantMalformed(t, p, `{"a":1,"b":2,"a":3}`, reasonTwice, identity)
		wantMalformed(t, p, `{"a":1,"b":2,"b":3}`, reasonTwice, identity)
		wantMalformed(t, p, `{"a":1,"b":2,"b`, reasonTruncated, identity)
		wantMalformed(t, p, `{"a":1,"b":`, reasonTruncated, identity)
	}
}

func TestNamesThatNeedEscapesAreNotExpectedWithoutThem(t *testing.T) {
	for spelled, raw := range map[string]string{`\"`: `"`, `\\`: `\`, `\n`: "\n"} {
		name := unquote([]byte(`"` + spelled + `"`))
		s := newSchema(t, &Shape{Field: NoField, Any: true, Members: map[string]*Shape{name: {Field: 0}}}, field("/f"))
		p := compile(t, s, all(s, schema.Wrap)...)
		for range 3 {
			if got := rewrite(t, p, `{"`+spelled+`":2}`, numbered); got != `{"`+spelled+`":"0:2"}` {
				t.Errorf("got %s", got)
			}
			wantMalformed(t, p, `{"`+raw+`":2}`, "", identity)
		}
	}
}
