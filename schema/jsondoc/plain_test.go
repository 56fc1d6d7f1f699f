package jsondoc

import (
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// vouching is a visitor that says of its first edit that the answers are plain.
type vouching struct{ visit }

func (vouching) Plain(edit int) bool { return edit == 0 }

func TestAnswersAreTakenAsTheyAreWhereAVisitorVouchesForThem(t *testing.T) {
	s := forPaths(t, "/a", "/b")
	answer := visit(func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, `\u0041"`...), nil })
	for _, op := range []schema.Op{schema.Replace, schema.Wrap} {
		p := compile(t, s, all(s, op)...)
		for _, tc := range []struct {
			name string
			v    schema.Visitor
			want string
		}{
			{"nobody vouches", answer, `{"a":"\\u0041\"","b":"\\u0041\""}`},
			{"for the first", vouching{answer}, `{"a":"\u0041"","b":"\\u0041\""}`},
		} {
			got, err := p.Rewrite(nil, []byte(`{"a":"x","b":"y"}`), tc.v)
			if err != nil || string(got) != tc.want {
				t.Errorf("%d, %s: %s, %v, want %s", op, tc.name, got, err, tc.want)
			}
		}
	}
}

func TestMembersAreFoundUpToTheEndOfADocument(t *testing.T) {
	for size := range 40 {
		name := strings.Repeat("n", size+1)
		s := forPaths(t, "/"+Segment(name))
		p := compile(t, s, all(s, schema.Replace)...)
		for _, doc := range []string{`{"` + name + `":""}`, `{"` + name + `":"é"}`, `{"` + name + `":"plain text of more than a word"}`} {
			for range 2 { // the second time the name is expected
				want := strings.Replace(doc, `:"`, `:"0:`, 1)
				if got := rewrite(t, p, doc, numbered); got != want {
					t.Errorf("%s became %s", doc, got)
				}
			}
			for cut := range doc {
				if got, err := p.Rewrite(nil, []byte(doc[:cut]), visit(numbered)); err == nil {
					t.Errorf("%s passes as %s", doc[:cut], got)
				}
			}
			for i := range name {
				other := []byte(doc)
				other[2+i] = 'm'
				if got := rewrite(t, p, string(other), numbered); got != string(other) {
					t.Errorf("%s, of another name, became %s", other, got)
				}
			}
		}
	}
}
