package avro

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

const (
	listText = `{"type":"record","name":"N","fields":[{"name":"s","type":"string"},{"name":"next","type":["null","N"]}]}`
	treeText = `{"type":"record","name":"N","fields":[{"name":"s","type":"string"},{"name":"kids","type":{"type":"array","items":"N"}},{"name":"t","type":["null","string"]}]}`
	// B comes back to A, and A comes to B by two ways.
	mutualText = `{"type":"record","name":"A","fields":[
		{"name":"s","type":"string"},
		{"name":"b","type":["null",{"type":"record","name":"B","fields":[
			{"name":"t","type":"bytes"},{"name":"as","type":{"type":"map","values":"A"}}]}]},
		{"name":"c","type":["null","B"]}]}`
)

func TestRecursionFolds(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"a list", listText, []string{"/s string"}},
		{"a tree by an array", treeText, []string{"/s string", "/t string nullable"}},
		{"mutual recursion, by two ways", mutualText, []string{"/s string", "/b/t bytes", "/c/t bytes"}},
		{
			"a tag inside the recursion",
			record(`{"name":"s","type":"string","confluent:tags":["T"]},{"name":"r","type":{"type":"map","values":["R","int"]}}`),
			[]string{"/s string tags=T", "/r/{} int"},
		},
		{
			"a tag on a recursive reference that the type carries too",
			`{"type":"record","name":"R","confluent:tags":["T"],"fields":[{"name":"s","type":"string"},{"name":"r","type":["null",{"type":"R","confluent:tags":["T"]}]}]}`,
			[]string{"/s string tags=T"},
		},
		{
			"a tag on what encloses the recursion",
			record(`{"name":"a","confluent:tags":["T"],"type":` + listText + `}`),
			[]string{"/a/s string tags=T"},
		},
		{
			"the same type side by side is no recursion",
			record(`{"name":"a","type":` + listText + `},{"name":"b","type":"N"}`),
			[]string{"/a/s string", "/b/s string"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fieldLines(leaves(parse(t, tt.text))); !slices.Equal(got, tt.want) {
				t.Errorf("fields are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTagsThatRecursionWouldLose(t *testing.T) {
	tests := []struct{ name, text string }{
		{"on the reference", record(`{"name":"s","type":"string"},{"name":"r","type":["null",{"type":"R","confluent:tags":["T"]}]}`)},
		{"on its field", record(`{"name":"s","type":"string"},{"name":"r","type":["null","R"],"confluent:tags":["T"]}`)},
		{"on the array between", record(`{"name":"s","type":"string"},{"name":"r","type":{"type":"array","items":"R","confluent:tags":["T"]}}`)},
		{"on the record between", record(`{"name":"s","type":"string"},{"name":"r","type":["null",{"type":"record","name":"Q","confluent:tags":["T"],"fields":[{"name":"r","type":"R"}]}]}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(schema.Text{Format: schema.Avro, Schema: tt.text})
			if err == nil || !strings.Contains(err.Error(), `tag "T" on a recursive reference does not stand on the type itself`) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// list is a list of n strings "x".
func list(n int) []byte {
	return append(bytes.Repeat([]byte{2, 'x', 2}, n-1), 2, 'x', 0)
}

func TestEveryLevelOfAListIsVisited(t *testing.T) {
	s := parse(t, listText)
	p := compile(t, s, replaceAll(s)...)
	for _, n := range []int{1, 2, 64} {
		got := rewrite(t, p, list(n), numbered)
		want := bytes.ReplaceAll(list(n), []byte{2, 'x'}, []byte("\x060:x"))
		if !bytes.Equal(got, want) {
			t.Errorf("list of %d became %q, want %q", n, got, want)
		}
	}
}

func TestNestingEndsAtSixtyFour(t *testing.T) {
	for _, text := range []string{listText, record(`{"name":"n","type":` + listText + `}`)} {
		s := parse(t, text)
		for _, edits := range [][]schema.Edit{nil, replaceAll(s)} {
			p := compile(t, s, edits...)
			if got := rewrite(t, p, list(64), identity); !bytes.Equal(got, list(64)) {
				t.Errorf("64 levels with %d edits changed", len(edits))
			}
			visits := 0
			wantMalformed(t, p, list(65), "nested too deeply", func(_ int, dst, _ []byte) ([]byte, error) {
				visits++
				return dst, nil
			})
			if visits > 64 {
				t.Errorf("%d visits for 64 levels", visits)
			}
			wantMalformed(t, p, bytes.Repeat([]byte{0, 2}, 100_000), "nested too deeply", identity)
		}
	}
}

func TestRecursiveTypesSideBySideDoNotNest(t *testing.T) {
	var fields []string
	for i := range 70 {
		typ := `"N"`
		if i == 0 {
			typ = listText
		}
		fields = append(fields, `{"name":"a`+itoa(i)+`","type":`+typ+`}`)
	}
	s := parse(t, record(strings.Join(fields, ",")))
	src := bytes.Repeat(list(2), 70)
	for _, edits := range [][]schema.Edit{nil, replaceAll(s)} {
		if got := rewrite(t, compile(t, s, edits...), src, identity); !bytes.Equal(got, src) {
			t.Errorf("70 lists with %d edits changed", len(edits))
		}
	}
}

func TestARecordThatContainsItselfHasNoValues(t *testing.T) {
	for _, text := range []string{record(`{"name":"r","type":"R"}`), record(`{"name":"s","type":"string"},{"name":"r","type":"R"}`)} {
		s := parse(t, text)
		for _, edits := range [][]schema.Edit{nil, replaceAll(s)} {
			wantMalformed(t, compile(t, s, edits...), make([]byte, 1000), "nested too deeply", identity)
		}
	}
	s := parse(t, `{"type":"array","items":`+record(`{"name":"r","type":"R"}`)+`}`)
	wantMalformed(t, compile(t, s), []byte{2, 0}, "nested too deeply", identity)
	rewrite(t, compile(t, s), []byte{0}, identity)
}

func TestTypesThatNestWithoutRecursionAreNotCounted(t *testing.T) {
	text := `{"type":"record","name":"T0","fields":[{"name":"s","type":"string"}]}`
	var before []string
	for i := range 100 {
		before = append(before, text)
		text = `{"type":"record","name":"T` + itoa(i+1) + `","fields":[{"name":"t","type":"T` + itoa(i) + `"}]}`
	}
	s := parse(t, text, before...)
	for _, edits := range [][]schema.Edit{nil, replaceAll(s)} {
		if got := rewrite(t, compile(t, s, edits...), []byte("\x02x"), identity); string(got) != "\x02x" {
			t.Errorf("record became %q", got)
		}
	}
}

func TestMutualRecursion(t *testing.T) {
	s := parse(t, mutualText)
	p := compile(t, s, replaceAll(s)...)
	// A{s: 1, b: B{t: 2, as: {k: A{s: 3, b: B{t: 4}, c: B{t: 5}}}}, c: B{t: 6, as: {k: A{s: 7, b: nil, c: nil}}}}
	src := []byte("\x021" + "\x02\x022" + "\x02\x02k\x023" + "\x02\x024\x00" + "\x02\x025\x00" + "\x00" +
		"\x02\x026" + "\x02\x02k\x027\x00\x00" + "\x00")
	var seen []string
	got := rewrite(t, p, src, func(edit int, dst, value []byte) ([]byte, error) {
		seen = append(seen, itoa(edit)+":"+string(value))
		return append(dst, value...), nil
	})
	if !bytes.Equal(got, src) {
		t.Errorf("identity changed % x to % x", src, got)
	}
	want := []string{"0:1", "1:2", "0:3", "1:4", "2:5", "2:6", "0:7"}
	if !slices.Equal(seen, want) {
		t.Errorf("visits are %q, want %q", seen, want)
	}
}

func TestErrorsOfTheVisitorComeBackAsTheyAre(t *testing.T) {
	mine := errors.New("mine")
	s := parse(t, treeText)
	p := compile(t, s, replaceAll(s)...)
	out, err := p.Rewrite([]byte("before"), []byte("\x02x\x02\x02y\x00\x00\x00\x00"), visit(func(_ int, dst, value []byte) ([]byte, error) {
		if string(value) == "y" {
			return dst, mine
		}
		return append(dst, value...), nil
	}))
	if err != mine || string(out) != "before" { //nolint:errorlint // not even wrapped
		t.Errorf("got %q and %v", out, err)
	}
}
