package jsondoc

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// numberTexts are numbers of JSON, and texts that are almost ones.
func numberTexts() []string {
	return []string{
		"0", "-0", "7", "-7", "10", "1234567890123456789012345678901234567890", "5.0", "-5.000", "5.5", "0.0", "-0.0e5", "0e-9", "50e-1", "55e-1", "500e-3",
		"0.5e1", "0.55e1", "0.550e+2", "1e400", "1E400", "1e-400", "10e-1", "10e-2", "1e99999999999999999999", "1e-99999999999999999999", "0e-99999999999999999999",
		"1e0000000000000000000000000", "1e-0", "100e-2", "100e-3", "1.0e-0", "0.000001e6", "0.000001e5", "-1e1",
		"", " ", "-", "+5", "05", "00", "-05", ".5", "5.", "5.e1", "5e", "5e+", "5e1.0", "5.5.5", "1_000", "1,000", "0x10", "NaN", "Infinity", "-Infinity", "nan",
		"null", "true", `"5"`, "5 ", " 5", "5\n", "5,6", "5}", "[5]", "5e1e1", "--5", "5-", "\u0665", "5\x00", "1/2", "5n", "5f",
	}
}

func TestNumbersAreHandedOverAndWritten(t *testing.T) {
	tests := []struct{ name, in, answer, want, visited string }{
		{"a number is handed over as it stands", `{"a":-1.50E+400}`, "7", `{"a":7}`, "-1.50E+400"},
		{"an answer stands as it is", `{"a":7}`, "-1.50E+400", `{"a":-1.50E+400}`, "7"},
		{"white space stays", "{\n\"a\" :\t7\r\n, \"z\" : 1.50 }\n", "8", "{\n\"a\" :\t8\r\n, \"z\" : 1.50 }\n", "7"},
		{"items", `[1, 2.0,null ,-3]`, "0", `[0, 0,null ,0]`, "1|2.0|-3"},
		{"null stays null", `{"a":null,"b":1}`, "2", `{"a":null,"b":2}`, "1"},
		{"negative zero", `{"a":-0}`, "-0.0", `{"a":-0.0}`, "-0"},
		{"a name with escapes is the same name", `{"\u0061":1}`, "2", `{"\u0061":2}`, "1"},
		{"numbers that no edit covers keep their lexemes", `{"a":1,"z":[1.0,1e2,-0,1E+02]}`, "2", `{"a":2,"z":[1.0,1e2,-0,1E+02]}`, "1"},
		{"a number of 300 digits", `{"a":` + strings.Repeat("9", 300) + `}`, "0", `{"a":0}`, strings.Repeat("9", 300)},
		{"64 bytes more than before", `{"a":12}`, strings.Repeat("9", 66), `{"a":` + strings.Repeat("9", 66) + `}`, "12"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSchema(t, &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"a": {Field: 0}, "b": {Field: 1}}, Items: &Shape{Field: 0}}, field("/a"), field("/b"))
			for way, p := range map[string]schema.Program{"there": compile(t, s, all(s, schema.Number)...), "back": restore(t, s, all(s, schema.Number)...)} {
				var seen []string
				got := rewrite(t, p, tt.in, func(_ int, dst, value []byte) ([]byte, error) {
					seen = append(seen, string(value))
					if cap(value) != len(value) {
						t.Error("appending to the value would write to the document")
					}
					return append(dst, tt.answer...), nil
				})
				if got != tt.want || strings.Join(seen, "|") != tt.visited {
					t.Errorf("%s: got %q, visited %q, want %q and %q", way, got, seen, tt.want, tt.visited)
				}
			}
		})
	}
}

func TestValuesThatAreNotNumbersAreRefused(t *testing.T) {
	s := values(t)
	for _, tt := range []struct{ name, in, reason string }{
		{"a string", `{"a":"7"}`, reasonNoNumber},
		{"an empty string", `{"a":""}`, reasonNoNumber},
		{"true", `{"a":true}`, reasonNoNumber},
		{"false", `{"a":false}`, reasonNoNumber},
		{"an object", `{"a":{"b":1}}`, reasonNoNumber},
		{"an array of numbers", `{"a":[1]}`, reasonNoNumber},
		{"a broken string", `{"a":"\ud800"}`, reasonSurrogate},
		{"an object with a name twice", `{"a":{"x":1,"x":2}}`, reasonTwice},
		{"an array that does not end", `{"a":[1}`, reasonNext},
		{"not a number", `{"a":NaN}`, reasonValue},
		{"infinity", `{"a":-Infinity}`, reasonNumber},
		{"a plus sign", `{"a":+1}`, reasonValue},
		{"a leading zero", `{"a":01}`, reasonNumber},
		{"a point at the end", `{"a":1.}`, reasonNumber},
		{"two points", `{"a":1.2.3}`, reasonNumber},
		{"an exponent without digits", `{"a":1e}`, reasonNumber},
		{"a sign alone", `{"a":-}`, reasonNumber},
		{"a number and more", `{"a":1 2}`, reasonMore},
		{"hexadecimal", `{"a":0x10}`, reasonMore},
		{"nothing", `{"a":}`, reasonValue},
		{"the end", `{"a":`, reasonTruncated},
		{"a sign at the end", `{"a":-`, reasonNumber},
		{"a number that ends the document", `{"a":1`, reasonTruncated},
		{"a number twice", `{"a":1,"a":2}`, reasonTwice},
		{"a number twice, once escaped", `{"a":1,"\u0061":2}`, reasonTwice},
		{"a name in another case", `{"A":1}`, reasonCase},
		{"64 arrays in its place", `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, reasonDeep},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantMalformed(t, compile(t, s, all(s, schema.Number)...), tt.in, tt.reason, identity)
			wantMalformed(t, restore(t, s, all(s, schema.Number)...), tt.in, tt.reason, identity)
		})
	}
}

// Whatever text a visitor appends: only one number may come out of it.
func TestAnswersThatAreNoNumbersOfTheField(t *testing.T) {
	s := newSchema(t, &Shape{Field: NoField, Members: map[string]*Shape{"n": {Field: 0}, "i": {Field: 1}, "j": {Field: 2, Integral: true}, "z": {Field: NoField}}},
		schema.Field{Path: "/n", Type: schema.TypeNumber, Numeric: true}, schema.Field{Path: "/i", Type: schema.TypeInteger, Numeric: true}, field("/j"))
	p := compile(t, s, all(s, schema.Number)...)
	good, bad := 0, 0
	for _, answer := range numberTexts() {
		for _, name := range []string{"n", "i", "j"} {
			out, err := p.Rewrite([]byte("before"), []byte(`{"`+name+`":7,"z":1}`), visit(func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, answer...), nil }))
			if mayStandFor([]byte(answer), []byte("7"), name != "n") {
				good++
				if err != nil || string(out) != `before{"`+name+`":`+answer+`,"z":1}` {
					t.Errorf("%s: %q gives %q, %v", name, answer, out, err)
				}
				continue
			}
			bad++
			if !errors.Is(err, schema.ErrNumber) || string(out) != "before" {
				t.Errorf("%s: %q gives %q, %v, want ErrNumber", name, answer, out, err)
			}
		}
	}
	if good < 60 || bad < 90 {
		t.Errorf("%d good answers and %d bad ones are too few to show much", good, bad)
	}
}

func TestWhichNumbersAreIntegral(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "-0": true, "5": true, "5.0": true, "-5.000": true, "50e-1": true, "0.5e1": true, "0.550e+3": true, "1e400": true, "0e-9": true, "-0.00e-99": true,
		"100e-2": true, "120e-1": true, "10.0e-1": true, "1e99999999999999999999": true, "0e-99999999999999999999": true, "1.5e99999999999999999999": true,
		"5.5": false, "0.5": false, "5e-1": false, "55e-1": false, "0.55e1": false, "100e-3": false, "10.1e0": false, "1e-400": false, "1e-99999999999999999999": false,
		"0.000001e5": false, "0.000001e6": true, "1000000e-6": true, "1000000e-7": false,
	} {
		if got := integral([]byte(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
		if got := isWhole(text); got != want {
			t.Errorf("by exact arithmetic %s: %t", text, got)
		}
	}
}

func TestAnswersAreNotMuchLongerThanNumbers(t *testing.T) {
	s := values(t)
	p := compile(t, s, schema.Edit{Field: 0, Op: schema.Number})
	for _, value := range []string{"7", "-1.25", strings.Repeat("8", 200)} {
		for _, extra := range []int{-1, 0, 63, 64, 65, 1000, 1 << 20} {
			answer := strings.Repeat("9", max(1, len(value)+extra))
			out, err := p.Rewrite(nil, []byte(`{"a":`+value+`}`), visit(func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, answer...), nil }))
			if extra <= 64 && (err != nil || string(out) != `{"a":`+answer+`}`) || extra > 64 && !errors.Is(err, schema.ErrNumber) {
				t.Errorf("%d bytes for %d: %d bytes, %v", len(answer), len(value), len(out), err)
			}
		}
	}
}

func TestNumberEditsMixWithOthers(t *testing.T) {
	s := newSchema(t, &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"r": {Field: 0}, "n": {Field: 1}, "w": {Field: 2}, "o": {Field: 3, Omit: true}, "u": {Field: 4}}},
		field("/r"), field("/n"), field("/w"), field("/o"), field("/u"))
	edits := []schema.Edit{{Field: 1, Op: schema.Number}, {Field: 0, Op: schema.Replace}, {Field: 2, Op: schema.Wrap}, {Field: 3, Op: schema.Nullify}, {Field: 4, Op: schema.Nullify}}
	there, back := compile(t, s, edits...), restore(t, s, edits[:3]...)
	const in = "{ \"o\":1, \"x\" : [ 7 ,\"\\u0041\" ] , \"n\": 7 ,\"r\":\"s\",\t\"w\":7,\"u\":7 }"
	const out = "{ \"x\" : [ 7 ,\"\\u0041\" ] , \"n\": 70 ,\"r\":\"1:s\",\t\"w\":\"2:7\",\"u\":null }"
	got := rewrite(t, there, in, func(edit int, dst, value []byte) ([]byte, error) {
		if edit == 0 {
			return append(append(dst, value...), '0'), nil
		}
		return numbered(edit, dst, value)
	})
	if got != out {
		t.Errorf("got  %s\nwant %s", got, out)
	}
	want := strings.NewReplacer(`1:`, ``, `"2:7"`, `7`).Replace(out)
	got = rewrite(t, back, out, func(edit int, dst, value []byte) ([]byte, error) {
		if edit == 0 {
			return nil, schema.ErrKeep
		}
		return append(dst, value[2:]...), nil
	})
	if got != want {
		t.Errorf("restored %s\nwant     %s", got, want)
	}
}

func TestErrorsOfNumberEdits(t *testing.T) {
	own := errors.New("own")
	s := values(t)
	for _, tt := range []struct {
		name   string
		back   bool
		answer visit
		want   error
	}{
		{"an error is returned as it is", false, func(int, []byte, []byte) ([]byte, error) { return nil, own }, own},
		{"an error on the way back", true, func(int, []byte, []byte) ([]byte, error) { return nil, own }, own},
		{"nothing can be kept when protecting", false, func(int, []byte, []byte) ([]byte, error) { return nil, schema.ErrKeep }, schema.ErrKeep},
		{"a slice of its own", false, func(int, []byte, []byte) ([]byte, error) { return []byte("7"), nil }, errAnswerDst},
		{"no answer", false, func(_ int, dst, _ []byte) ([]byte, error) { return dst, nil }, schema.ErrNumber},
		{"no answer on the way back", true, func(_ int, dst, _ []byte) ([]byte, error) { return dst, nil }, schema.ErrNumber},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, s, all(s, schema.Number)...)
			if tt.back {
				p = restore(t, s, all(s, schema.Number)...)
			}
			out, err := p.Rewrite([]byte("before"), []byte(`{"a":4111111}`), tt.answer)
			if !errors.Is(err, tt.want) || string(out) != "before" || strings.Contains(err.Error(), "4111111") {
				t.Errorf("got %q, %v, want %v", out, err, tt.want)
			}
		})
	}
}

func TestNumberEditsThatDoNotFit(t *testing.T) {
	s := newSchema(t, &Shape{Field: 0}, schema.Field{Path: "/s", Type: schema.TypeString})
	for name, f := range map[string]func([]schema.Edit, schema.Unknown) (schema.Program, error){"Compile": s.Compile, "Restore": s.Restore} {
		p, err := f([]schema.Edit{{Op: schema.Number}}, schema.RejectUnknown)
		fit, ok := errors.AsType[*FitError](err)
		if !ok || p != nil || *fit != (FitError{"/s", schema.TypeString, "is not a number"}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, f := range []schema.Field{
		{Path: "/s", Type: schema.TypeString, Numeric: true}, {Path: "/s", Type: schema.TypeBoolean, Numeric: true},
		{Path: "/s", Type: schema.TypeRecord, Numeric: true, End: 1}, {Path: "/s", Type: schema.TypeJSON, Numeric: true, End: 1},
	} {
		if _, err := New("", "", []schema.Field{f}, &Shape{Field: NoField}); err == nil || !strings.Contains(err.Error(), "/s: numeric and of type "+string(f.Type)) {
			t.Errorf("New with %+v: %v", f, err)
		}
	}
}

func TestNumbersAllocateNothing(t *testing.T) {
	s := forPaths(t, "/version", "/customer_id", "/total", "/items/[]/quantity", "/items/[]/price", "/email", "/vip")
	edits := all(s, schema.Number)
	edits[5].Op, edits[6].Op = schema.Replace, schema.Wrap
	for name, make := range map[string]func([]schema.Edit, schema.Unknown) (schema.Program, error){"there": s.Compile, "back": s.Restore} {
		p, err := make(edits, schema.RejectUnknown)
		if err != nil {
			t.Fatal(err)
		}
		dst, src := []byte(nil), []byte(order)
		if name == "back" {
			src = []byte(strings.Replace(order, `"vip":false`, `"vip":"true"`, 1))
		}
		dst = append(dst, src...)[:0]
		round := func() {
			if out, err := p.Rewrite(dst, src, same{}); err != nil || len(out) < len(src)-2 {
				t.Fatal(len(out), err)
			}
		}
		round()
		// The pool may forget at any time, but not every time.
		least := math.Inf(1)
		for range 100 {
			least = min(least, testing.AllocsPerRun(1, round))
		}
		if least > 0 {
			t.Errorf("%s: %v allocations", name, least)
		}
	}
}
