package avro

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

// sealed is what the tests make of a value, and opened the way back.
func sealed(_ int, dst, value []byte) ([]byte, error) {
	dst = append(dst, "sealed:"...)
	start := len(dst)
	dst = append(dst, value...)
	slices.Reverse(dst[start:])
	return dst, nil
}

var errNotSealed = errors.New("not sealed")

func opened(_ int, dst, value []byte) ([]byte, error) {
	body, ok := bytes.CutPrefix(value, []byte("sealed:"))
	if !ok {
		return dst, errNotSealed
	}
	start := len(dst)
	dst = append(dst, body...)
	slices.Reverse(dst[start:])
	return dst, nil
}

// someEdits chooses edits that do not lie inside each other.
func someEdits(rng *rand.Rand, s *Schema) (edits []schema.Edit) {
	fields := s.Fields()
	for i := 0; i < len(fields); i++ {
		f := &fields[i]
		switch n := rng.IntN(5); {
		case n == 0 && f.Wrapped != "":
			edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
			if f.End > 0 {
				i = f.End - 1
			}
		case n < 3 && f.Numeric:
			edits = append(edits, schema.Edit{Field: i, Op: schema.Number})
		case n < 3 && f.Leaf() && (f.Type == schema.TypeString || f.Type == schema.TypeBytes):
			edits = append(edits, schema.Edit{Field: i, Op: schema.Replace})
		}
	}
	rng.Shuffle(len(edits), func(i, j int) { edits[i], edits[j] = edits[j], edits[i] })
	return edits
}

// FV-61, FV-63. Whatever is wrapped in whatever schema: the record that comes out is one of
// the derived schema, for us and for another reader, and the way back gives the
// same bytes.
func TestRandomRecordsWrapped(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	wrapped, refused, compared := 0, 0, 0
	for i := range *cases {
		g := &generator{rng: rand.New(rand.NewPCG(*seed, uint64(i)+1<<40))}
		typ := g.root()
		text := typ.text(g.rng, "", make(map[string]bool))
		s := parse(t, text)
		edits := someEdits(g.rng, s)
		fail := func(what string, got, want any) {
			t.Helper()
			t.Fatalf("-seed %d, case %d: %s\n%v, want\n%v\n%s\nedits %v", *seed, i, what, got, want, text, edits)
		}
		p, err := s.Compile(edits, schema.RejectUnknown)
		if err != nil {
			if _, ok := errors.AsType[*FitError](err); !ok {
				fail("Compile", err, nil)
			}
			refused++
			continue
		}
		back, err := s.Restore(edits, schema.RejectUnknown)
		if err != nil {
			fail("Restore", err, nil)
		}
		derived, changed, err := s.Derive(edits, schema.Origin{ID: 7, Digest: [32]byte{1}})
		if err != nil {
			fail("Derive", err, nil)
		}
		again := s
		if changed {
			wrapped++
			if again, err = Parse(derived); err != nil {
				fail("the derived schema", err, derived.Schema)
			}
		}
		viaDerived, err := again.Restore(edits, schema.RejectUnknown)
		if err != nil {
			fail("Restore of the derived schema", err, derived.Schema)
		}
		oracle, err := avro.Parse(derived.Schema)
		if err != nil {
			fail("the oracle refuses the derived schema", err, derived.Schema)
		}
		v := g.value(typ, 7)
		wholeUnion := slices.ContainsFunc(edits, func(e schema.Edit) bool { return nullBranch(s.places[e.Field].node) >= 0 })
		for form, src := range [][]byte{typ.encode(nil, v, nil), typ.encode(nil, v, g.rng)} {
			var visits []visited
			out, err := p.Rewrite([]byte("before"), src, recorded(s, edits, src, &visits))
			if err != nil {
				fail("Rewrite", err, nil)
			}
			out = out[6:]
			// Nulls of such unions move, sizes of blocks change, and nobody can
			// see where an empty value stood.
			if form == 0 && !wholeUnion && !slices.ContainsFunc(visits, func(v visited) bool { return v.start == v.end }) {
				compared++
				if want := spliced(src, visits); !bytes.Equal(out, want) {
					fail("other bytes changed", out, want)
				}
			}
			var tree any
			if rest, err := oracle.Decode(out, &tree); err != nil || len(rest) > 0 {
				fail("the oracle does not read the record", err, derived.Schema)
			}
			for _, p := range []schema.Program{back, viaDerived} {
				got, err := p.Rewrite([]byte("before"), out, numbersBy(edits, negated, opened))
				if err != nil {
					fail("the way back", err, nil)
				}
				if !bytes.Equal(got[6:], src) {
					fail("the way back", got[6:], src)
				}
			}
		}
	}
	t.Logf("%d cases with a derived schema, %d refused, %d compared byte by byte", wrapped, refused, compared)
	if *cases >= 1000 && (wrapped < *cases/4 || compared < *cases/4 || refused > *cases/3) {
		t.Errorf("%d wrapped and %d refused of %d cases show little", wrapped, refused, *cases)
	}
}

func TestDerivedSchemas(t *testing.T) {
	origin := schema.Origin{ID: 7, Digest: [32]byte{0xab}}
	const mark = `"fieldveil.derived":{"id":7,"sha256":"ab` + "00000000000000000000000000000000000000000000000000000000000000" + `"}`
	tests := []struct {
		name, text string
		paths      []string // to wrap
		want       []string // parts of the derived text
	}{
		{
			"a number", record(`{"name":"a","type":"int","doc":"an age","default":5,"x":12345678901234567890}`), []string{"/a"},
			[]string{mark, `"type":"bytes"`, `"fieldveil.type":"int"`, `"default":""`, `"doc":"an age"`, `"x":12345678901234567890`},
		},
		{
			"a nullable number", record(`{"name":"a","type":["null","long"],"default":null}`), []string{"/a"},
			[]string{`"type":["null","bytes"]`, `"fieldveil.type":["null","long"]`, `"default":null`},
		},
		{
			"null behind", record(`{"name":"a","type":["long","null"],"default":3}`), []string{"/a"},
			[]string{`"type":["bytes","null"]`, `"fieldveil.type":["long","null"]`, `"default":""`},
		},
		{
			"a union as a whole", record(`{"name":"a","type":["string","null","int"]}`), []string{"/a"},
			[]string{`"type":["bytes","null"]`, `"fieldveil.type":["string","null","int"]`},
		},
		{
			"a union without null", record(`{"name":"a","type":["string","int"]}`), []string{"/a"},
			[]string{`"type":"bytes"`, `"fieldveil.type":["string","int"]`},
		},
		{
			"items", record(`{"name":"a","type":{"type":"array","items":"int"}}`), []string{"/a/[]"},
			[]string{`"items":{"type":"bytes","fieldveil.type":"int"}`},
		},
		{
			"a type that is used again stays defined",
			record(`{"name":"a","type":{"type":"record","name":"A","fields":[{"name":"s","type":"string"}]}},{"name":"b","type":"A"},{"name":"c","type":"A"}`),
			[]string{"/a"},
			[]string{`{"name":"b","type":{"type":"record","name":"A","fields":[{"name":"s","type":"string"}]}}`, `{"name":"c","type":"A"}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			var edits []schema.Edit
			for _, path := range tt.paths {
				i := slices.IndexFunc(s.Fields(), func(f schema.Field) bool { return f.Path == path })
				edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
			}
			out, changed, err := s.Derive(edits, origin)
			if err != nil || !changed {
				t.Fatalf("%v, changed %v", err, changed)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.Schema, want) {
					t.Errorf("it has no %s:\n%s", want, out.Schema)
				}
			}
			d := parse(t, out.Schema)
			if got, ok := d.Origin(); !ok || got != origin {
				t.Errorf("origin %v, %v", got, ok)
			}
			if _, err := d.Compile(edits, schema.RejectUnknown); err == nil || !strings.Contains(err.Error(), "protected already") {
				t.Errorf("Compile: %v", err)
			}
			if _, err := d.Restore(nil, schema.RejectUnknown); err == nil || !strings.Contains(err.Error(), "no edit restores it") {
				t.Errorf("Restore without the edit: %v", err)
			}
		})
	}
}

func TestEditsThatADerivedSchemaCannotHoldAreRefused(t *testing.T) {
	const shared = `{"name":"a","type":{"type":"record","name":"A","fields":[{"name":"n","type":"int"}]}},{"name":"b","type":"A"}`
	tests := []struct {
		name, text string
		paths      []string
		want       string
	}{
		{"a field inside one that is wrapped", record(`{"name":"a","type":{"type":"array","items":"int"}}`), []string{"/a", "/a/[]"}, "edited as a whole"},
		{"bytes twice in a union", record(`{"name":"a","type":["bytes","int"]}`), []string{"int /a"}, "bytes twice"},
		{"two wrapped branches", record(`{"name":"a","type":["long","int"]}`), []string{"int /a", "long /a"}, "bytes twice"},
		{"one of two places of a type", record(shared), []string{"/a/n"}, "two versions"},
		{"the other of two places of a type", record(shared), []string{"/b/n"}, "two versions"},
		{"plain text", record(`{"name":"a","type":"string"}`), []string{"/a"}, "can be replaced"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			var edits []schema.Edit
			for _, path := range tt.paths {
				typ, path, ok := strings.Cut(path, " ")
				if !ok {
					typ, path = "", typ
				}
				i := slices.IndexFunc(s.Fields(), func(f schema.Field) bool {
					return f.Path == path && (typ == "" || string(f.Type) == typ)
				})
				edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
			}
			_, err := s.Compile(edits, schema.RejectUnknown)
			if _, ok := errors.AsType[*FitError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	// Both places together are fine.
	s := parse(t, record(shared))
	if _, _, err := s.Derive([]schema.Edit{{Field: 1, Op: schema.Wrap}, {Field: 3, Op: schema.Wrap}}, schema.Origin{}); err != nil {
		t.Error(err)
	}
}

// FV-66: what a schema says of itself is checked. A lie would have bytes read as
// something else.
func TestDerivedSchemasThatLieAreRefused(t *testing.T) {
	const origin = `"fieldveil.derived":{"id":1,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}`
	root := func(fields, extra string) string {
		return `{"type":"record","name":"R","fields":[` + fields + `]` + extra + `}`
	}
	good := root(`{"name":"a","type":"bytes","fieldveil.type":"int"}`, ","+origin)
	if s := parse(t, good); !s.Fields()[0].Sealed || s.Fields()[0].Type != schema.TypeInt {
		t.Fatalf("%+v", s.Fields())
	}
	for name, text := range map[string]string{
		"no origin":                  root(`{"name":"a","type":"bytes","fieldveil.type":"int"}`, ""),
		"an origin and no field":     root(`{"name":"a","type":"bytes"}`, ","+origin),
		"a field that is no bytes":   root(`{"name":"a","type":"string","fieldveil.type":"int"}`, ","+origin),
		"nullable, and was not":      root(`{"name":"a","type":["null","bytes"],"fieldveil.type":"int"}`, ","+origin),
		"not nullable, and was":      root(`{"name":"a","type":"bytes","fieldveil.type":["null","int"]}`, ","+origin),
		"another order":              root(`{"name":"a","type":["bytes","null"],"fieldveil.type":["null","int"]}`, ","+origin),
		"bytes with a logical type":  root(`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":3},"fieldveil.type":"int"}`, ","+origin),
		"no type":                    root(`{"name":"a","type":"bytes","fieldveil.type":7}`, ","+origin),
		"a type that is none":        root(`{"name":"a","type":"bytes","fieldveil.type":"integer"}`, ","+origin),
		"a type from elsewhere":      root(`{"name":"b","type":{"type":"fixed","name":"F","size":1}},{"name":"a","type":"bytes","fieldveil.type":"F"}`, ","+origin),
		"one inside another":         root(`{"name":"a","type":"bytes","fieldveil.type":{"type":"array","items":{"type":"bytes","fieldveil.type":"int"}}}`, ","+origin),
		"null":                       root(`{"name":"a","type":{"type":"array","items":{"type":"bytes","fieldveil.type":"null"}}}`, ","+origin),
		"an origin that is a text":   root(`{"name":"a","type":"bytes","fieldveil.type":"int"}`, `,"fieldveil.derived":"1"`),
		"an origin without a digest": root(`{"name":"a","type":"bytes","fieldveil.type":"int"}`, `,"fieldveil.derived":{"id":1}`),
		"a digest that is short":     root(`{"name":"a","type":"bytes","fieldveil.type":"int"}`, `,"fieldveil.derived":{"id":1,"sha256":"00"}`),
		"a negative id":              root(`{"name":"a","type":"bytes","fieldveil.type":"int"}`, strings.Replace(","+origin, `"id":1`, `"id":-1`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := Parse(schema.Text{Format: schema.Avro, Schema: text}); err == nil {
				t.Errorf("it is taken, with fields %+v", s.Fields())
			}
		})
	}
}

// FV-62
func TestWhatIsRestoredMustBeAValueOfTheType(t *testing.T) {
	for _, tt := range []struct{ name, typ, value string }{
		{"nothing for an int", `"int"`, ""},
		{"two ints", `"int"`, "\x02\x02"},
		{"half a double", `"double"`, "1234"},
		{"a boolean that is neither", `"boolean"`, "\x02"},
		{"an index behind the symbols", `{"type":"enum","name":"E","symbols":["A"]}`, "\x02"},
		{"an array without an end", `{"type":"array","items":"int"}`, "\x02\x02"},
		{"an array with more behind", `{"type":"array","items":"int"}`, "\x00\x00"},
		{"a branch that is not there", `["string","int"]`, "\x04"},
		{"the null branch of a union", `["null","string","int"]`, "\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, record(`{"name":"a","type":`+tt.typ+`}`))
			back, err := s.Restore([]schema.Edit{{Field: 0, Op: schema.Wrap}}, schema.RejectUnknown)
			if err != nil {
				t.Fatal(err)
			}
			src := "\x02x"
			if strings.HasPrefix(tt.typ, `["null"`) {
				src = "\x02\x02x"
			}
			wantMalformed(t, back, []byte(src), reasonRestored, func(_ int, dst, _ []byte) ([]byte, error) {
				return append(dst, tt.value...), nil
			})
			wantMalformed(t, back, []byte(src), "", func(_ int, dst, _ []byte) ([]byte, error) { return dst, schema.ErrKeep })
		})
	}
}

func TestNumbersWrittenInTooManyBytesAreRefusedWhereTheyWouldChange(t *testing.T) {
	s := parse(t, record(`{"name":"s","type":"string"},{"name":"u","type":["null","int","long"]},{"name":"l","type":{"type":"array","items":"string"}}`))
	all := []schema.Edit{{Field: 0, Op: schema.Replace}, {Field: 1, Op: schema.Wrap}, {Field: 5, Op: schema.Replace}}
	p, err := s.Compile(all, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Rewrite(nil, []byte("\x02a\x00\x01\x04\x02b\x00"), visit(sealed)); err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]string{
		"a length":       "\x82\x00a\x00\x00",
		"a null":         "\x02a\x80\x00\x00",
		"size of blocks": "\x02a\x00\x01\x84\x00\x02b\x00",
	} {
		t.Run(name, func(t *testing.T) { wantMalformed(t, p, []byte(src), reasonMinimal, sealed) })
	}
}

func TestTagsBesideTheTextCount(t *testing.T) {
	const text = `{"type":"record","name":"R","namespace":"com.acme","fields":[
		{"name":"email","type":"string"},
		{"name":"home","type":{"type":"record","name":"Home","fields":[{"name":"street","type":"string"},{"name":"cards","type":{"type":"array","items":"string"}}]}},
		{"name":"office","type":"Home"}]}`
	for _, tt := range []struct {
		pattern string
		want    []string
	}{
		{"com.acme.R.email", []string{"/email"}},
		{"com.acme.Home.street", []string{"/home/street", "/office/street"}},
		{"**.street", []string{"/home/street", "/office/street"}},
		{"com.acme.?.email", []string{"/email"}},
		{"*.email", nil},
		{"com.acme.R.home", []string{"/home/street", "/home/cards/[]"}},
		{"/office/street", []string{"/office/street"}},
		{"/*/cards/[]", []string{"/home/cards/[]", "/office/cards/[]"}},
		{"/office", []string{"/office/street", "/office/cards/[]"}},
		{"/**", []string{"/email", "/home/street", "/home/cards/[]", "/office/street", "/office/cards/[]"}},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			s, err := Parse(schema.Text{Format: schema.Avro, Schema: text, Tags: []schema.TagRule{{Pattern: tt.pattern, Tags: []string{"PII"}}}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range leaves(s) {
				if slices.Equal(f.Tags, []string{"PII"}) {
					got = append(got, f.Path)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("tagged: %q, want %q", got, tt.want)
			}
		})
	}
}

// Each evolution of a schema that a registry takes is one of the derived schema
// too.
func TestDerivedSchemasEvolveWithTheirOriginals(t *testing.T) {
	versions := []string{
		record(`{"name":"age","type":"int"},{"name":"s","type":"string"}`),
		record(`{"name":"age","type":"int"},{"name":"s","type":"string"},{"name":"income","type":"long","default":7},{"name":"flag","type":["null","boolean"],"default":null}`),
		record(`{"name":"age","type":"int"},{"name":"income","type":"long","default":7},{"name":"zip","type":{"type":"fixed","name":"Z","size":2},"default":"ab"},{"name":"u","type":["null","int","string"],"default":null}`),
	}
	var derived []*avro.Schema
	for _, text := range versions {
		s := parse(t, text)
		var edits []schema.Edit
		for i, f := range s.Fields() {
			if f.Wrapped != "" && (len(edits) == 0 || f.Path != s.Fields()[edits[len(edits)-1].Field].Path) {
				edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
			}
		}
		out, changed, err := s.Derive(edits, schema.Origin{ID: 1})
		if err != nil || !changed {
			t.Fatal(err)
		}
		derived = append(derived, avro.MustParse(out.Schema))
	}
	for i := 1; i < len(derived); i++ {
		if err := avro.CheckCompatibility(derived[i-1], derived[i]); err != nil {
			t.Errorf("version %d cannot read version %d: %v", i+1, i, err)
		}
	}
}

// FuzzRestore reads any bytes as a protected record.
func FuzzRestore(f *testing.F) {
	const text = `{"type":"record","name":"R","fields":[
		{"name":"n","type":"int"},{"name":"u","type":["null","string","long"]},{"name":"o","type":["null","double"]},
		{"name":"l","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"s","type":"string"}]}}},
		{"name":"m","type":{"type":"map","values":"long"}}]}`
	s, err := Parse(schema.Text{Format: schema.Avro, Schema: text})
	if err != nil {
		f.Fatal(err)
	}
	var edits []schema.Edit
	for i, fd := range s.Fields() {
		switch fd.Path {
		case "/n", "/o", "/l/[]/e", "/m":
			edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
		case "/u":
			if fd.Type == schema.TypeUnion {
				edits = append(edits, schema.Edit{Field: i, Op: schema.Wrap})
			}
		case "/l/[]/s":
			edits = append(edits, schema.Edit{Field: i, Op: schema.Replace})
		}
	}
	p, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		f.Fatal(err)
	}
	back := restore(f, s, edits...)
	viaDerived := restore(f, parse(f, derive(f, s, edits).Schema), edits...)
	first, err := p.Rewrite(nil, []byte("\x02\x02\x04hi\x02\x00\x00\x00\x00\x00\x00\xf0\x3f\x04\x00\x02a\x02\x02b\x00\x02\x02k\x09\x00"), visit(sealed))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(first)
	f.Add([]byte("\x00"))
	numbered := newNumbersBack(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		numbered.check(t, src)
		out, err := back.Rewrite([]byte("dst"), src, visit(opened))
		same, sameErr := viaDerived.Rewrite([]byte("dst"), src, visit(opened))
		if !bytes.Equal(out, same) || (err == nil) != (sameErr == nil) {
			t.Fatalf("% x: the derived schema gives % x, %v, the original % x, %v", src, same, sameErr, out, err)
		}
		if err != nil {
			if _, ok := errors.AsType[*schema.MalformedError](err); !ok && !errors.Is(err, errNotSealed) || string(out) != "dst" {
				t.Fatalf("% x: %v, dst %q", src, err, out)
			}
			return
		}
		out = out[3:]
		again, err := p.Rewrite(nil, out, visit(sealed))
		if err != nil || !bytes.Equal(again, src) {
			t.Fatalf("% x was restored to % x, which becomes % x, %v", src, out, again, err)
		}
	})
}

// numbersBack is the way there and back of a record of numbers, of which some
// are wrapped.
type numbersBack struct {
	edits                   []schema.Edit
	forth, back, viaDerived schema.Program
}

func newNumbersBack(f *testing.F) *numbersBack {
	f.Helper()
	s := parse(f, numbersText)
	edits := editsOf(f, s, "number /i", "wrap /l", "number /f", "wrap /d", "number /b", "number /x", "wrap /t",
		"number bytes /u", "number long /u", "replace string /u", "number /a/[]/{}", "replace /s")
	b := &numbersBack{edits, forth(f, s, edits...), restore(f, s, edits...), restore(f, parse(f, derive(f, s, edits).Schema), edits...)}
	protected, err := b.forth.Rewrite(nil, []byte(numbers()), numbersBy(edits, negated, sealed))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(protected)
	return b
}

// check restores src. What comes out is protected and restored again to the same;
// src itself may have decimals in more bytes than they need.
func (b *numbersBack) check(t *testing.T, src []byte) {
	t.Helper()
	out, err := b.back.Rewrite([]byte("dst"), src, numbersBy(b.edits, negated, opened))
	same, sameErr := b.viaDerived.Rewrite([]byte("dst"), src, numbersBy(b.edits, negated, opened))
	if !bytes.Equal(out, same) || (err == nil) != (sameErr == nil) {
		t.Fatalf("% x: the derived schema gives % x, %v, the original % x, %v", src, same, sameErr, out, err)
	}
	if err != nil {
		if _, ok := errors.AsType[*schema.MalformedError](err); !ok && !errors.Is(err, errNotSealed) || string(out) != "dst" {
			t.Fatalf("% x: %v, dst %q", src, err, out)
		}
		return
	}
	out = out[3:]
	again, err := b.forth.Rewrite(nil, out, numbersBy(b.edits, negated, sealed))
	if err != nil || len(again) > len(src) {
		t.Fatalf("% x was restored to % x, which becomes % x, %v", src, out, again, err)
	}
	if restored, err := b.back.Rewrite(nil, again, numbersBy(b.edits, negated, opened)); err != nil || !bytes.Equal(restored, out) {
		t.Fatalf("% x was restored to % x, and after % x to % x, %v", src, out, again, restored, err)
	}
}
