package jsondoc

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

var cases = flag.Int("cases", 600, "random documents for each property")

// pool are the names that random documents and shapes draw from. Some differ only
// in case, some need escapes.
func pool() []string {
	return []string{"a", "a", "b", "b", "ssn", "ssn", "s\u017fn", "email", "eMail", "longer than eight", "longer than eight", "x-1", "x-2", "é", "É", "q\"", "\u212a", "k", ""}
}

type random struct {
	*rand.Rand
	numeric bool // documents have more numbers than strings
}

func (r random) pick(of ...string) string { return of[r.IntN(len(of))] }

func (r random) space() string { return r.pick("", "", "", "", " ", "\n\t", "\r\n  ") }

// spell writes a string in one of its spellings.
func (r random) spell(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch quoted := quote(string(c)); {
		case r.IntN(12) > 0:
			b.WriteString(quoted[1 : len(quoted)-1])
		case c == '/':
			b.WriteString(`\/`)
		case c > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04X`, c)
		}
	}
	return b.String() + `"`
}

func (r random) text() string {
	return r.pick("", "x", "plain text of some length, so that words are read", "a/b", "tab\there", "\"q\"", `back\slash`, "ünïcödé", "😀 smile", "\x00\x1f", "\u2028", "seven77", "eight888")
}

func (r random) document(depth int) string {
	kind := r.IntN(10)
	switch depth {
	case 0:
		kind = r.IntN(6)
	case 4:
		kind = 6 + r.IntN(8)
	}
	if kind < 3 && r.numeric && r.IntN(8) > 0 {
		kind = 3
	}
	var b strings.Builder
	switch {
	case kind < 3:
		return r.spell(r.text())
	case kind == 3:
		return r.pick("0", "-0", "1", "-12.50", "1e9", "1E-07", "123456789012345678901234567890", "0.0000000001e+400", itoa(r.IntN(1000)), itoa(-r.IntN(1e6)), itoa(r.IntN(90))+".25")
	case kind == 4:
		return r.pick("true", "false", "null")
	case kind == 5:
		return "null"
	case kind == 6:
		b.WriteString("[" + r.space())
		for i := range r.IntN(5) {
			if i > 0 {
				b.WriteString(r.space() + "," + r.space())
			}
			b.WriteString(r.document(depth - 1))
		}
		return b.String() + r.space() + "]"
	default:
		b.WriteString("{" + r.space())
		names := pool()
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		seen, strict := map[string]bool{}, r.IntN(20) > 0
		// Twice the same, or in another case, is refused: not always.
		for i := 0; strict && i < len(names); i++ {
			if k := strings.ToUpper(names[i]); seen[k] {
				names = append(names[:i], names[i+1:]...)
				i--
			} else {
				seen[k] = true
			}
		}
		for i := range r.IntN(len(names) / 2) {
			if i > 0 {
				b.WriteString(r.space() + "," + r.space())
			}
			b.WriteString(r.spell(names[i]) + r.space() + ":" + r.space() + r.document(depth-1))
		}
		return b.String() + r.space() + "}"
	}
}

// mutate breaks a document, or not.
func (r random) mutate(doc string) string {
	b := []byte(doc)
	for range 1 + r.IntN(2) {
		i := r.IntN(len(b) + 1)
		switch r.IntN(4) {
		case 0:
			b = append(b[:i:i], b[min(i+1, len(b)):]...)
		case 1:
			b = append(b[:i:i], append([]byte(r.pick(`"`, `,`, `{`, `}`, `[`, `]`, `:`, "\\", `\u`, `\ud800`, "\xff", "\xc3", "0", ".", "e", "-", "+", " ", "\x00", "\x1f", "\ufeff", "NaN", `"a":1,`, `"SSN":`)), b[i:]...)...)
		case 2:
			if i < len(b) {
				b[i] = byte(r.IntN(256))
			}
		default:
			b = b[:i]
		}
		if len(b) == 0 {
			break
		}
	}
	return string(b)
}

// shape makes a random shape of fields up to limit. made are the shapes that were
// made before, so that there are cycles, and fields at several places.
func (r random) shape(depth, limit int, made *[]*Shape) *Shape {
	if len(*made) > 0 && r.IntN(10) == 0 {
		return (*made)[r.IntN(len(*made))]
	}
	s := &Shape{Field: NoField, Omit: r.IntN(2) == 0, Any: r.IntN(8) == 0, Integral: r.IntN(3) == 0}
	*made = append(*made, s)
	if limit > 0 && r.IntN(2) == 0 && depth < 3 {
		s.Field = r.IntN(limit)
	}
	if depth == 0 {
		return s
	}
	if r.IntN(5) > 0 {
		s.Members = map[string]*Shape{}
		for _, n := range pool() {
			if r.IntN(3) > 0 {
				s.Members[n] = r.shape(depth-1, limit, made)
			}
		}
	}
	switch r.IntN(6) {
	case 0:
		m := r.shape(depth-1, limit, made)
		s.Match = func(name []byte) (*Shape, bool) { return m, bytes.HasPrefix(name, []byte("x-")) }
	case 1:
		m := r.shape(depth-1, limit, made)
		s.Match = func([]byte) (*Shape, bool) { return m, true }
	}
	for range r.IntN(3) {
		s.Prefix = append(s.Prefix, r.shape(depth-1, limit, made))
	}
	if r.IntN(4) > 0 {
		s.Items = r.shape(depth-1, limit, made)
	}
	return s
}

// edits chooses some of n fields, with ops of the list.
func (r random) edits(n int, ops ...schema.Op) (edits []schema.Edit) {
	for _, f := range r.Perm(n) {
		if r.IntN(3) > 0 {
			edits = append(edits, schema.Edit{Field: f, Op: ops[r.IntN(len(ops))]})
		}
	}
	return edits
}

func (r random) patterns() (out []string) {
	names := []string{"a", "b", "ssn", "SSN", "email", "longer than eight", "x-1", "é", "k", "*", "{}", "**", "[]", "[]", "q~0"}
	seen := map[string]bool{}
	for range 1 + r.IntN(4) {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			b.WriteString("/" + r.pick(names...))
		}
		if !seen[b.String()] {
			out = append(out, b.String())
		}
		seen[b.String()] = true
	}
	return out
}

// subject is a random schema.
type subject struct {
	*Schema
	root  spot
	paths []string
}

func (r random) subject(t testing.TB) subject {
	t.Helper()
	if r.IntN(2) == 0 {
		paths := r.patterns()
		s := subject{Schema: forPaths(t, paths...), paths: paths}
		at := pathSpot{}
		for _, p := range paths {
			at.patterns = append(at.patterns, strings.Split(p[1:], "/"))
		}
		s.root = at
		return s
	}
	var fields []schema.Field
	for i := range 1 + r.IntN(6) {
		fields = append(fields, field(fmt.Sprintf("/f%d", i)))
	}
	root := r.shape(3, len(fields), new([]*Shape))
	return subject{Schema: newSchema(t, root, fields...), root: shapeSpot{root}}
}

// reachable drops the edits that Compile would say are never done.
func (s subject) reachable(edits []schema.Edit) (out []schema.Edit) {
	for _, e := range edits {
		_, err := s.Compile([]schema.Edit{e}, schema.KeepUnknown)
		if fit, ok := errors.AsType[*FitError](err); ok && strings.HasPrefix(fit.Reason, "no value") {
			continue
		}
		out = append(out, e)
	}
	return out
}

func TestProgramsDoWhatTheOracleDoes(t *testing.T) {
	visits, numbers, accepted, changed := 0, 0, 0, 0
	for n := range *cases {
		r := random{Rand: rand.New(rand.NewPCG(uint64(n), 1))}
		s := r.subject(t)
		ops := []schema.Op{schema.Replace, schema.Nullify, schema.Wrap, schema.Wrap, schema.Number}
		if r.numeric = n%2 == 0; r.numeric {
			ops = []schema.Op{schema.Nullify, schema.Wrap, schema.Number, schema.Number, schema.Number}
		}
		edits := s.reachable(r.edits(len(s.Fields()), ops...))
		unknown := schema.Unknown(min(1, r.IntN(4)))
		p, err := s.Compile(edits, unknown)
		if err != nil {
			t.Fatalf("case %d: %v", n, err)
		}
		answer := answers(edits)
		o := newOracle(edits, unknown, false, answer)
		for range 8 {
			doc := r.space() + r.document(4) + r.space()
			if r.IntN(3) == 0 {
				doc = r.mutate(doc)
			}
			want, wantErr := o.rewrite([]byte(doc), s.root)
			count := func(edit int, dst, value []byte) ([]byte, error) {
				visits++
				if edits[edit].Op == schema.Number {
					numbers++
				}
				return answer(edit, dst, value)
			}
			got, err := p.Rewrite([]byte("before"), []byte(doc), visit(count))
			if err != nil {
				_, ok := errors.AsType[*schema.MalformedError](err)
				if ok == errors.Is(err, schema.ErrNumber) || errors.Is(wantErr, schema.ErrNumber) && ok && wellFormed(doc) || len(got) != len("before") {
					t.Fatalf("case %d: refused %q with %v and dst %q", n, doc, err, got)
				}
			}
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got[6:], want) {
				t.Fatalf("case %d: paths %q, edits %v, unknown %d: of %q\ngot  %q, %v\nwant %q, %v", n, s.paths, edits, unknown, doc, got, err, want, wantErr)
			}
			if err == nil {
				accepted++
				if string(want) != doc {
					changed++
				}
			}
		}
	}
	t.Logf("%d documents, %d accepted, %d changed, %d visits, %d of numbers", 8**cases, accepted, changed, visits, numbers)
	if accepted < *cases || changed < *cases/2 || numbers < *cases/4 {
		t.Errorf("%d accepted, %d changed and %d numbers are too few to show much", accepted, changed, numbers)
	}
}

// answers writes the number of the edit before values, and of a number other ones,
// of which some do not fit.
func answers(edits []schema.Edit) visit {
	return func(edit int, dst, value []byte) ([]byte, error) {
		if edits[edit].Op != schema.Number {
			return numbered(edit, dst, value)
		}
		sum := len(value)
		for _, c := range value {
			sum += int(c)
		}
		switch ends := []string{"1", "", "0", "e2", ".5", "00", ".0", "E-0"}; sum % 13 {
		case 8:
			return append(dst, "-12.50"...), nil
		case 9:
			return append(dst, bytes.Repeat([]byte("7"), 67)...), nil
		case 10:
			return append(append(dst, value...), ' '), nil
		case 11, 12:
			return append(dst, "250e-1"...), nil
		default:
			return append(append(dst, value...), ends[sum%13]...), nil
		}
	}
}

// wellFormed tells whether a document is refused by no rule for all documents.
func wellFormed(doc string) bool {
	_, ok := treeOf([]byte(doc))
	return ok
}

// seal and unseal are each other's inverse.
func seal(edit int, dst, value []byte) ([]byte, error) {
	return append(fmt.Appendf(dst, "s%d:", edit), value...), nil
}

func unseal(edit int, dst, value []byte) ([]byte, error) {
	inner, ok := bytes.CutPrefix(value, fmt.Appendf(nil, "s%d:", edit))
	if !ok {
		return nil, schema.ErrKeep
	}
	return append(dst, inner...), nil
}

func TestRestoreGivesBackTheBytes(t *testing.T) {
	restored := 0
	for n := range *cases {
		r := random{Rand: rand.New(rand.NewPCG(uint64(n), 2))}
		s := r.subject(t)
		edits := s.reachable(r.edits(len(s.Fields()), schema.Wrap))
		there, err := s.Compile(edits, schema.KeepUnknown)
		if err != nil {
			t.Fatal(err)
		}
		back, err := s.Restore(edits, schema.KeepUnknown)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			doc := r.space() + r.document(4) + r.space()
			out, err := there.Rewrite(nil, []byte(doc), visit(seal))
			if err != nil {
				continue
			}
			again, err := back.Rewrite(nil, out, visit(unseal))
			if err != nil || string(again) != doc {
				t.Fatalf("case %d: %q became %q and came back as %q, %v", n, doc, out, again, err)
			}
			if string(out) != doc {
				restored++
			}
			// What was never sealed stays.
			kept, err := back.Rewrite(nil, []byte(doc), visit(unseal))
			if err != nil || string(kept) != doc {
				t.Fatalf("case %d: %q was to be kept and became %q, %v", n, doc, kept, err)
			}
		}
	}
	t.Logf("%d documents restored", restored)
	if restored < *cases {
		t.Errorf("%d restored documents are too few to show much", restored)
	}
}

func TestRestoreOfReplacedStringsGivesBackTheirMeaning(t *testing.T) {
	for n := range *cases {
		r := random{Rand: rand.New(rand.NewPCG(uint64(n), 3))}
		s := r.subject(t)
		edits := s.reachable(r.edits(len(s.Fields()), schema.Replace))
		there, err := s.Compile(edits, schema.KeepUnknown)
		if err != nil {
			t.Fatal(err)
		}
		back, err := s.Restore(edits, schema.KeepUnknown)
		if err != nil {
			t.Fatal(err)
		}
		canonical := newOracle(edits, schema.KeepUnknown, false, identity)
		for range 8 {
			doc := r.document(3)
			out, err := there.Rewrite(nil, []byte(doc), visit(seal))
			if err != nil {
				continue
			}
			again, err := back.Rewrite(nil, out, visit(unseal))
			want, wantErr := canonical.rewrite([]byte(doc), s.root)
			if err != nil || wantErr != nil || !bytes.Equal(again, want) {
				t.Fatalf("case %d: %q became %q and came back as %q, want %q; %v, %v", n, doc, out, again, want, err, wantErr)
			}
		}
	}
}
