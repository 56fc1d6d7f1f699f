package jsondoc

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// What a program notes of the documents that it met decides nothing but the speed:
// it does to each document what one does that has met none.
func TestNamesThatWereMetChangeNothing(t *testing.T) {
	noted := int64(0)
	for n := range *cases / 15 {
		r := random{Rand: rand.New(rand.NewPCG(uint64(n), 4))}
		s := r.subject(t)
		edits := s.reachable(r.edits(len(s.Fields()), schema.Nullify, schema.Wrap))
		unknown := schema.Unknown(r.IntN(2))
		compiled, err := s.Compile(edits, unknown)
		if err != nil {
			t.Fatal(err)
		}
		var docs []string
		for range 12 {
			doc := r.document(4)
			docs = append(docs, doc, r.mutate(doc))
		}
		docs = append(docs, docs...)
		r.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
		for _, doc := range docs {
			fresh, err := s.Compile(edits, unknown)
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := fresh.Rewrite(nil, []byte(doc), visit(numbered))
			got, err := compiled.Rewrite(nil, []byte(doc), visit(numbered))
			if !bytes.Equal(got, want) || !sameFault(err, wantErr) {
				t.Fatalf("case %d: of %q\ngot  %q, %v\nwant %q, %v", n, doc, got, err, want, wantErr)
			}
		}
		noted += programOf(t, compiled).met.Load()
	}
	if noted < int64(*cases/4) {
		t.Errorf("%d noted names are too few to show much", noted)
	}
}

func sameFault(x, y error) bool {
	a, _ := errors.AsType[*schema.MalformedError](x)
	b, _ := errors.AsType[*schema.MalformedError](y)
	return (x == nil) == (y == nil) && (a == nil) == (b == nil) && (a == nil || *a == *b)
}

func programOf(t testing.TB, p schema.Program) *program {
	t.Helper()
	out, ok := p.(*program)
	if !ok {
		t.Fatalf("a program is a %T", p)
	}
	return out
}

// rootNames returns the names that the root of a program has noted.
func rootNames(t testing.TB, p schema.Program) (names []string) {
	t.Helper()
	root := programOf(t, p).root
	if met := root.met.Load(); met != nil {
		for _, m := range met.members {
			if root.find([]byte(m.name), wordsOf([]byte(m.name))) < 0 {
				names = append(names, m.name)
			}
		}
	}
	return names
}

func TestNamesThatWereMetAreStillChecked(t *testing.T) {
	s := forPaths(t, "/ssn", "/a/b")
	for _, again := range []struct{ name, in, reason string }{
		{"a noted name twice", `{"x":1,"y":2,"x":3}`, reasonTwice},
		{"a noted name twice, once escaped", `{"x":1,"\u0078":3}`, reasonTwice},
		{"a noted name twice, first escaped", `{"\u0078":1,"x":3}`, reasonTwice},
		{"a noted name twice in a row", `{"x":1,"x":3}`, reasonTwice},
		{"a new name twice", `{"x":1,"new":2,"new":3}`, reasonTwice},
		{"a new name twice, with noted ones between", `{"new":2,"x":1,"y":1,"\u006eew":3}`, reasonTwice},
		{"a name of the schema twice", `{"ssn":1,"x":1,"ssn":2}`, reasonTwice},
		{"another case of a protected name", `{"x":1,"SSN":2}`, reasonCase},
		{"no colon behind a noted name", `{"x" 1}`, reasonColon},
		{"no value of a noted name", `{"x":}`, reasonValue},
		{"a bad value of a noted name", `{"x":01}`, reasonNumber},
		{"a name in the value of a noted name, twice", `{"x":{"q":1,"q":1}}`, reasonTwice},
	} {
		t.Run(again.name, func(t *testing.T) {
			p := compile(t, s, all(s, schema.Wrap)...)
			for range 3 {
				rewrite(t, p, `{"x":1,"y":2,"ssn":3,"z":{"ssn":4}}`, numbered)
				wantMalformed(t, p, again.in, again.reason, numbered)
			}
		})
	}
}

func TestWhichNamesAreNoted(t *testing.T) {
	long := strings.Repeat("n", maxMetName)
	for _, tt := range []struct{ name, paths, in, want string }{
		{"those beside a name of the schema", "/ssn", `{"x":1,"ssn":2,"y":3,"x y":{"in":1}}`, "x|x y|y"},
		{"none that is written with escapes", "/ssn", `{"\u0078":1,"y":1}`, "y"},
		{"none of a map", "/*", `{"x":1}`, ""},
		{"none of any depth", "/**", `{"x":1}`, ""},
		{"none that is long", "/ssn", `{"` + long + `":1,"` + long + `n":1}`, long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := forPaths(t, tt.paths)
			p := compile(t, s, all(s, schema.Wrap)...)
			for range 2 {
				rewrite(t, p, tt.in, numbered)
			}
			if got := strings.Join(rootNames(t, p), "|"); got != tt.want {
				t.Errorf("noted %q, want %q", got, tt.want)
			}
		})
	}
	// What is refused anyway is not noted.
	s := newSchema(t, &Shape{Field: NoField, Members: map[string]*Shape{"ssn": {Field: 0}}}, field("/ssn"))
	p := compile(t, s, all(s, schema.Wrap)...)
	wantMalformed(t, p, `{"x":1}`, reasonMember, numbered)
	if got := rootNames(t, p); len(got) > 0 {
		t.Errorf("noted %q", got)
	}
}

func TestNotedNamesAreBounded(t *testing.T) {
	s := forPaths(t, "/ssn")
	p := compile(t, s, all(s, schema.Wrap)...)
	for i := range 20 {
		rewrite(t, p, "{"+repeat(500, func(n int) string { return `"n` + itoa(1000*i+n) + `":1` })+"}", numbered)
	}
	if n := len(rootNames(t, p)); n != maxMet {
		t.Errorf("the root has noted %d names", n)
	}
	// Many nodes with names of their own.
	var paths []string
	for i := range 100 {
		paths = append(paths, "/o"+itoa(i)+"/ssn")
	}
	s = forPaths(t, paths...)
	p = compile(t, s, all(s, schema.Wrap)...)
	rewrite(t, p, "{"+repeat(100, func(n int) string { return `"o` + itoa(n) + `":{` + manyNames(300) + "}" })+"}", numbered)
	if n := programOf(t, p).met.Load(); n != maxMetNames {
		t.Errorf("the program has noted %d names", n)
	}
	// Names of the schema leave no room.
	members := map[string]*Shape{}
	for i := range bitNames - maxMet + 1 {
		members["m"+itoa(i)] = &Shape{Field: 0}
	}
	s = newSchema(t, &Shape{Field: NoField, Any: true, Members: members}, field("/m"))
	p = compile(t, s, all(s, schema.Wrap)...)
	rewrite(t, p, `{"x":1}`, numbered)
	if got := rootNames(t, p); len(got) > 0 {
		t.Errorf("noted %q beside %d names", got, len(members))
	}
}

func TestNamesAreNotedByManyAtOnce(t *testing.T) {
	s := forPaths(t, "/ssn", "/in/ssn")
	p := compile(t, s, all(s, schema.Wrap)...)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range 200 {
				names := repeat(6, func(n int) string { return `"n` + itoa((g*7+i+n)%40) + `":0` })
				out, err := p.Rewrite(nil, []byte(`{`+names+`,"ssn":1,"in":{"ssn":2,`+names+`}}`), visit(numbered))
				if want := `{` + names + `,"ssn":"0:1","in":{"ssn":"1:2",` + names + `}}`; err != nil || string(out) != want {
					t.Errorf("got %s, %v, want %s", out, err, want)
				}
				wrong := []byte(`{` + names + `,"n` + itoa((g*7+i)%40) + `":1}`)
				if _, err := p.Rewrite(nil, wrong, visit(numbered)); err == nil {
					t.Errorf("%s passes", wrong)
				}
			}
		})
	}
	group.Wait()
	if n := len(rootNames(t, p)); n != 40 {
		t.Errorf("noted %d names, want 40", n)
	}
}
