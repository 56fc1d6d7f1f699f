package jsondoc

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// repeat joins n results of f by commas.
func repeat(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(f(i))
	}
	return b.String()
}

// bombs are documents that ask for more than they have bytes. The reason is empty
// for those that are accepted.
func bombs() []struct{ name, in, reason string } {
	const n = 100_000
	name := func(i int) string { return `"n` + itoa(i) + `":0` }
	wide := repeat(n, name)
	upper := func(i int) string {
		s := []byte("abcdefghijklmnopq")
		for b := range s {
			if i>>b&1 != 0 {
				s[b] -= 32
			}
		}
		return `"` + string(s) + `":0`
	}
	return []struct{ name, in, reason string }{
		{"200,000 arrays", strings.Repeat("[", 200_000), reasonDeep},
		{"200,000 arrays that end", strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000), reasonDeep},
		{"200,000 objects", strings.Repeat(`{"a":`, 200_000), reasonDeep},
		{"200,000 of both", strings.Repeat(`[{"x":`, 100_000), reasonDeep},
		{"200,000 arrays inside the field", `{"x":` + strings.Repeat("[", 200_000), reasonDeep},
		{"200,000 arrays behind a fine member", `{"a":1,"b":` + strings.Repeat("[", 200_000), reasonDeep},
		{"one name 100,000 times", "{" + strings.Repeat(`"a":0,`, n) + `"a":0}`, reasonTwice},
		{"one name 100,000 times at the end", "{" + wide + strings.Repeat(`,"a":0`, n) + "}", reasonTwice},
		{"100,000 names", "{" + wide + "}", ""},
		{"100,000 names and the first again", "{" + wide + `,"n0":0}`, reasonTwice},
		{"100,000 names and the last again, in escapes", "{" + wide + `,"\u006e99999":0}`, reasonTwice},
		{"100,000 names in the field", `{"x":{` + wide + "}}", ""},
		{"100,000 names in escapes", "{" + repeat(n, func(i int) string { return `"\u006e` + itoa(i) + `":0` }) + "}", ""},
		{"100,000 names that begin and end alike", "{" + repeat(n, func(i int) string { return `"beginning` + itoa(i) + `and an end":0` }) + "}", ""},
		{"100,000 names of NULs", "{" + repeat(2000, func(i int) string { return `"` + strings.Repeat(`\u0000`, i%8) + itoa(i) + `":0` }) + "}", ""},
		{"names that differ only in case, 131,072 of them", "{" + repeat(1<<17, upper) + "}", ""},
		{"names in the case of the field, after many", "{" + wide + `,"X":1}`, reasonCase},
		{"names of one byte more each", "{" + repeat(1500, func(i int) string { return `"` + strings.Repeat("n", i) + `":0` }) + "}", ""},
		{"100,000 objects of one name", "[" + repeat(n, func(int) string { return `{"a":0}` }) + "]", ""},
		{"10,000 objects of 17 names, in an object of 10,000", "{" + repeat(10_000, func(i int) string { return `"n` + itoa(i) + `":{` + manyNames(17) + "}" }) + "}", ""},
		{"64 objects inside each other, each with 500 names", strings.Repeat("{"+manyNames(500)+`,"in":`, 63) + "0" + strings.Repeat("}", 63), ""},
		{"10 MB of plain string", `["` + strings.Repeat("x", 10<<20) + `"]`, ""},
		{"10 MB of string in the field", `{"x":"` + strings.Repeat("x", 10<<20) + `"}`, ""},
		{"10 MB of string without an end", `{"x":"` + strings.Repeat("x", 10<<20), reasonTruncated},
		{"10 MB of name", `{"` + strings.Repeat("x", 10<<20) + `":1}`, ""},
		{"10 MB of name of accents", `{"` + strings.Repeat("é", 5<<20) + `":1}`, ""},
		{"10 MB of name twice", `{"` + strings.Repeat("x", 5<<20) + `":1,"` + strings.Repeat("x", 5<<20) + `":1}`, reasonTwice},
		{"10^6 escapes", `["` + strings.Repeat(`\u0041`, 1_000_000) + `"]`, ""},
		{"10^6 escapes in the field", `{"x":"` + strings.Repeat(`\u0000`, 1_000_000) + `"}`, ""},
		{"10^6 escapes in a name", `{"` + strings.Repeat(`\u0041`, 1_000_000) + `":1}`, ""},
		{"10^6 backslashes in the field", `{"x":"` + strings.Repeat(`\\`, 1_000_000) + `"}`, ""},
		{"10^6 lone surrogates", `["` + strings.Repeat(`\ud800`, 1_000_000) + `"]`, reasonSurrogate},
		{"a lone surrogate behind 10^6 pairs", `["` + strings.Repeat(`\ud83d\ude00`, 1_000_000) + `\ud800"]`, reasonSurrogate},
		{"a bad byte behind 10 MB of accents", `["` + strings.Repeat("é", 5<<20) + "\xff\"]", reasonUTF8},
		{"10 MB of digits", strings.Repeat("9", 10<<20), ""},
		{"10 MB of fraction", `{"x":0.` + strings.Repeat("9", 10<<20) + "}", ""},
		{"an exponent of 10 MB", `{"x":1e` + strings.Repeat("9", 10<<20) + "}", ""},
		{"10 MB of white space", strings.Repeat(" ", 10<<20) + "{}", ""},
		{"10 MB of white space alone", strings.Repeat("\n", 10<<20), reasonEmpty},
		{"10 MB of NUL", strings.Repeat("\x00", 10<<20), reasonValue},
		{"10 MB behind the document", "{}" + strings.Repeat("{", 10<<20), reasonTrailing},
		{"10^6 empty arrays", "[" + strings.Repeat("[],", 1_000_000) + "[]]", ""},
		{"10^6 nulls", "[" + strings.Repeat("null,", 1_000_000) + "null]", ""},
		{"10^6 commas", "[" + strings.Repeat(",", 1_000_000), reasonValue},
		{"10^6 colons", `{"a"` + strings.Repeat(":", 1_000_000), reasonValue},
		{"100,000 fields", "[" + repeat(n, func(i int) string { return `{"x":"` + itoa(i) + `"}` }) + "]", ""},
		{"100,000 fields that are nothing but escapes", "[" + repeat(n, func(int) string { return `{"x":"\n\n"}` }) + "]", ""},
	}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestBombs(t *testing.T) {
	top := forPaths(t, "/x")
	deep := forPaths(t, "/**/x")
	type target struct {
		name string
		p    schema.Program
		only string // reason that this one has besides
	}
	targets := []target{
		{"replace", compile(t, deep, all(deep, schema.Replace)...), reasonString},
		{"wrap", compile(t, deep, all(deep, schema.Wrap)...), ""},
		{"nullify", compile(t, top, all(top, schema.Nullify)...), ""},
		{"restore", restore(t, deep, all(deep, schema.Wrap)...), reasonRestored},
	}
	list := bombs()
	if len(list) < 30 {
		t.Fatalf("%d bombs are too few", len(list))
	}
	for _, tt := range list {
		t.Run(tt.name, func(t *testing.T) {
			src := []byte(tt.in)
			for _, target := range targets {
				var err error
				visits := 0
				count := func(_ int, dst, value []byte) ([]byte, error) {
					visits++
					return append(dst, value...), nil
				}
				got := allocated(func() { _, err = target.p.Rewrite(nil, src, visit(count)) })
				if limit := uint64(64*len(src) + 1<<20); got > limit {
					t.Errorf("%s: %d bytes were allocated for %d", target.name, got, len(src))
				}
				if visits > len(src)/4 {
					t.Errorf("%s: %d visits for %d bytes", target.name, visits, len(src))
				}
				bad, ok := errors.AsType[*schema.MalformedError](err)
				switch {
				case err == nil && tt.reason == "":
				case !ok:
					t.Errorf("%s: error is %v, want %q", target.name, err, tt.reason)
				case bad.Reason != tt.reason && bad.Reason != target.only:
					t.Errorf("%s: reason is %q, want %q", target.name, bad.Reason, tt.reason)
				}
			}
		})
	}
}

// An object is worth no more memory than its bytes, however many members a schema
// tells of.
func TestSmallObjectsOfLargeShapes(t *testing.T) {
	members := map[string]*Shape{}
	for i := range 50_000 {
		members["n"+itoa(i)] = &Shape{Field: 0}
	}
	s := newSchema(t, &Shape{Field: NoField, Items: &Shape{Field: NoField, Members: members}}, field("/n"))
	p := compile(t, s, all(s, schema.Wrap)...)
	src := []byte("[" + repeat(50_000, func(i int) string { return `{"n` + itoa(i) + `":null}` }) + "]")
	var err error
	got := allocated(func() { _, err = p.Rewrite(nil, src, visit(identity)) })
	if err != nil || got > uint64(8*len(src)) {
		t.Errorf("%d bytes were allocated for %d, %v", got, len(src), err)
	}
}

func TestNothingIsAllocatedForOrdinaryDocuments(t *testing.T) {
	root, fields := orderShape()
	described := newSchema(t, root, fields...)
	paths := forPaths(t, orderPaths()...)
	names := "{" + manyNames(64) + `,"full_name":"esc\u0061pes","inner":{` + manyNames(64) + "}}"
	for name, tt := range map[string]struct {
		s  *Schema
		op schema.Op
		in string
	}{
		"a schema, replace":           {described, schema.Replace, order},
		"a schema, wrap":              {described, schema.Wrap, order},
		"patterns, replace":           {paths, schema.Replace, order},
		"patterns, wrap":              {paths, schema.Wrap, order},
		"64 names, escapes, replaced": {paths, schema.Replace, names},
		"64 names, escapes, wrapped":  {paths, schema.Wrap, names},
	} {
		p := compile(t, tt.s, all(tt.s, tt.op)...)
		back := restore(t, tt.s, all(tt.s, tt.op)...)
		src, dst, again := []byte(tt.in), make([]byte, 0, 8192), make([]byte, 0, 8192)
		round := func() {
			out, err := p.Rewrite(dst, src, same{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := back.Rewrite(again, out, same{}); err != nil {
				t.Fatal(err)
			}
		}
		round()
		// The collector may empty the pool at any time, and under the race detector
		// the pool forgets on purpose, one time in four.
		least := math.Inf(1)
		for range 100 {
			least = min(least, testing.AllocsPerRun(1, round))
		}
		if least > 0 {
			t.Errorf("%s: %v allocations", name, least)
		}
	}
}

func TestSrcIsOnlyRead(t *testing.T) {
	s := forPaths(t, "/**/x", "/**/s")
	p := compile(t, s, schema.Edit{Field: 0, Op: schema.Wrap}, schema.Edit{Field: 1, Op: schema.Replace})
	src := []byte(`{"x":"\u0041","y":[{"x":1}],"z":{"x":{"q":"\n"},"s":"t"},"s":"\u0041\n"}`)
	before := string(src)
	out := rewrite(t, p, before, identity)
	got, err := p.Rewrite(nil, src, visit(func(_ int, dst, value []byte) ([]byte, error) {
		if cap(value) != len(value) {
			t.Errorf("a visitor could append to %q", value)
		}
		return append(dst, value...), nil
	}))
	if err != nil || string(src) != before {
		t.Errorf("src became %q, %v", src, err)
	}
	clear(src)
	if string(got) != out {
		t.Error("the result holds on to src")
	}
}
