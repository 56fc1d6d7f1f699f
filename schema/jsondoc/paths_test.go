package jsondoc

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestPatternsMatch(t *testing.T) {
	tests := []struct{ name, paths, in, want string }{
		{"a member", "/a", `{"a":1,"b":2}`, `{"a":"0:1","b":2}`},
		{"a member of a member", "/a/b", `{"a":{"b":1,"a":2},"b":3}`, `{"a":{"b":"0:1","a":2},"b":3}`},
		{"a member only where it is one", "/a/b", `{"a":[{"b":1}],"b":{"b":2}}`, `{"a":[{"b":1}],"b":{"b":2}}`},
		{"every item", "/a/[]", `{"a":[1,[2],null]}`, `{"a":["0:1","0:[2]",null]}`},
		{"items are no members", "/a/[]", `{"a":{"[]":1,"0":2}}`, `{"a":{"[]":1,"0":2}}`},
		{"a member of every item", "/cards/[]/pan", `{"cards":[{"pan":"4","cvv":1},{"pan":5},6,{"x":{"pan":7}}]}`, `{"cards":[{"pan":"0:\"4\"","cvv":1},{"pan":"0:5"},6,{"x":{"pan":7}}]}`},
		{"items of the document", "/[]", `[1,2]`, `["0:1","0:2"]`},
		{"any member", "/*/x", `{"a":{"x":1,"y":2},"x":3,"":{"x":4},"l":[{"x":5}]}`, `{"a":{"x":"0:1","y":2},"x":3,"":{"x":"0:4"},"l":[{"x":5}]}`},
		{"any member, as a map has it", "/m/{}", `{"m":{"k":1,"l":{"m":2}},"n":3}`, `{"m":{"k":"0:1","l":"0:{\"m\":2}"},"n":3}`},
		{"any depth", "/**/x", `{"x":1,"a":[[{"x":2}],{"b":{"x":3,"y":4}}]}`, `{"x":"0:1","a":[[{"x":"0:2"}],{"b":{"x":"0:3","y":4}}]}`},
		{"any depth below a member", "/a/**/x", `{"x":1,"a":{"x":2,"b":[{"x":3}]}}`, `{"x":1,"a":{"x":"0:2","b":[{"x":"0:3"}]}}`},
		{"any depth at the end", "/a/**", `{"a":{"x":1,"y":[2]},"b":3}`, `{"a":{"x":"0:1","y":"0:[2]"},"b":3}`},
		{"any depth at the end needs something below", "/a/**", `{"a":1}`, `{"a":1}`},
		{"any depth alone", "/**", `{"a":1,"b":[2]}`, `{"a":"0:1","b":"0:[2]"}`},
		{"any depth of a document that is no container", "/**", `7`, `7`},
		{"any depth twice is as once", "/**/**/x", `{"x":1,"y":{"x":2}}`, `{"x":"0:1","y":{"x":"0:2"}}`},
		{"any depth before items", "/**/[]", `{"a":[1,{"b":[2]}]}`, `{"a":["0:1","0:{\"b\":[2]}"]}`},
		{"a name inside a path of any depth", "/**/a/**/x", `{"x":1,"a":{"x":2,"b":{"x":3}},"c":{"x":4,"a":[{"x":5}]}}`, `{"x":1,"a":{"x":"0:2","b":{"x":"0:3"}},"c":{"x":4,"a":[{"x":"0:5"}]}}`},
		{"the first that matches counts", "/a/x /a/* /**/x", `{"a":{"x":1,"y":2},"b":{"x":3}}`, `{"a":{"x":"0:1","y":"1:2"},"b":{"x":"2:3"}}`},
		{"the first that matches counts, the wide one first", "/**/x /a/y", `{"a":{"x":1,"y":2}}`, `{"a":{"x":"0:1","y":"1:2"}}`},
		{"what is edited is edited as a whole", "/a/x /a", `{"a":{"x":1}}`, `{"a":"1:{\"x\":1}"}`},
		{"characters with a meaning", "/~1~0~2~3~4~5~6/~3~4", `{"/~*[]{}":{"[]":1}}`, `{"/~*[]{}":{"[]":"0:1"}}`},
		{"a star as a name", "/~2", `{"*":1,"a":2}`, `{"*":"0:1","a":2}`},
		{"names in escapes", "/é\"", `{"\u00e9\"":1}`, `{"\u00e9\"":"0:1"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := forPaths(t, strings.Fields(tt.paths)...)
			for range 2 {
				if got := rewrite(t, compile(t, s, all(s, schema.Wrap)...), tt.in, numbered); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			}
		})
	}
}

func TestPatternsWithoutAnEditAreOnlyDescribed(t *testing.T) {
	s := forPaths(t, "/a/x", "/a", "/**/x")
	p := compile(t, s, schema.Edit{Field: 2, Op: schema.Wrap}, schema.Edit{Field: 0, Op: schema.Nullify})
	const in, want = `{"a":{"x":1,"y":{"x":2}}}`, `{"a":{"x":null,"y":{"x":"0:2"}}}`
	if got := rewrite(t, p, in, numbered); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A value that the first pattern has is not that of a later one.
	p = compile(t, s, schema.Edit{Field: 2, Op: schema.Wrap})
	const second = `{"a":{"x":1,"y":{"x":"0:2"}}}`
	if got := rewrite(t, p, in, numbered); got != second {
		t.Errorf("got %s, want %s", got, second)
	}
}

func TestPatternsProtectNames(t *testing.T) {
	tests := []struct {
		name, path, in string
		refused        bool
	}{
		{"a member in another case", "/user/ip", `{"user":{"IP":1}}`, true},
		{"the object around in another case", "/user/ip", `{"User":{"ip":1}}`, true},
		{"a part of it elsewhere", "/user/ip", `{"IP":1,"x":{"User":1}}`, false},
		{"at any depth", "/**/ip", `{"a":[{"b":{"Ip":1}}]}`, true},
		{"before any depth", "/a/**/ip", `{"A":1}`, true},
		{"below any member", "/*/ip", `{"x":{"iP":1}}`, true},
		{"any member in any case", "/*", `{"x":1,"X":2}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := forPaths(t, tt.path)
			if p := compile(t, s, all(s, schema.Wrap)...); tt.refused {
				wantMalformed(t, p, tt.in, reasonCase, identity)
			} else {
				rewrite(t, p, tt.in, identity)
			}
			rewrite(t, compile(t, s), tt.in, identity)
		})
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	tests := []struct{ name, paths, want string }{
		{"no slash", "a", "begin with a slash"},
		{"a dot", "$.a", "begin with a slash"},
		{"the root", "/", "empty segment"},
		{"a slash at the end", "/a/", "empty segment"},
		{"two slashes", "/a//b", "empty segment"},
		{"a star inside a name", "/a*", "spelled ~2"},
		{"three stars", "/***", "spelled ~2"},
		{"brackets at a name", "/cards[]/pan", "spelled ~3"},
		{"an index", "/a/[0]", "spelled ~3"},
		{"a closing bracket", "/a]", "spelled ~4"},
		{"braces around a name", "/{id}", "spelled ~5"},
		{"a tilde at the end", "/a~", "digit from 0 to 6"},
		{"a tilde before another digit", "/a~7", "digit from 0 to 6"},
		{"a tilde before a letter", "/~a", "digit from 0 to 6"},
		{"invalid UTF-8", "/\xff", "not UTF-8"},
		{"one twice", "/a /b /a", "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ForPaths("n", strings.Fields(tt.paths))
			if err == nil || s != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := ForPaths("n", []string{""}); err == nil {
		t.Error("an empty pattern is accepted")
	}
	// A pattern that others hide would protect nothing.
	s := forPaths(t, "/**", "/a")
	if _, err := s.Compile(all(s, schema.Wrap), schema.KeepUnknown); err == nil || !strings.Contains(err.Error(), "/a: json: no value") {
		t.Errorf("a hidden pattern: %v", err)
	}
}

func TestPatternsThatAreTooManyAreRefused(t *testing.T) {
	// Which of the names stood at each of the last twelve levels: 2^12 states.
	var bomb []string
	for i := range 14 {
		bomb = append(bomb, "/**/a"+strings.Repeat("/*", i))
	}
	var wide []string
	for i := range 2000 {
		wide = append(wide, fmt.Sprintf("/**/n%d", i))
	}
	for name, paths := range map[string][]string{"bomb": bomb, "wide": wide} {
		if _, err := ForPaths("n", paths); err == nil || !strings.Contains(err.Error(), "too many") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	var many []string
	for i := range 2000 {
		many = append(many, fmt.Sprintf("/object/n%d", i))
	}
	s := forPaths(t, many...)
	p := compile(t, s, all(s, schema.Wrap)...)
	if got := rewrite(t, p, `{"object":{"n1999":1}}`, numbered); got != `{"object":{"n1999":"1999:1"}}` {
		t.Errorf("got %s", got)
	}
}

func TestFieldsOfPatterns(t *testing.T) {
	s := forPaths(t, "/a", "/b/[]")
	for i, want := range []string{"/a", "/b/[]"} {
		f := s.Fields()[i]
		if f.Path != want || f.Type != schema.TypeJSON || !f.Nullable || f.Wrapped != schema.TypeString || f.Encoding != "json" || !f.Leaf() {
			t.Errorf("field %d is %+v", i, f)
		}
	}
	none, err := ForPaths("n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := rewrite(t, compile(t, none), `{"a":[1]}`, identity); got != `{"a":[1]}` {
		t.Errorf("got %s", got)
	}
}

func TestSegmentSpellsNames(t *testing.T) {
	for _, name := range []string{"a", "*", "**", "[]", "{}", "a/b", "~", "~1", "é*", "/~*[]{}"} {
		s := forPaths(t, "/"+Segment(name))
		got := rewrite(t, compile(t, s, all(s, schema.Wrap)...), `{`+quote(name)+`:1,"other":2}`, numbered)
		if want := `{` + quote(name) + `:"0:1","other":2}`; got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
