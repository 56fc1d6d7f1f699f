package mask_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/mask"
)

func TestKeep(t *testing.T) {
	tests := []struct {
		name        string
		first, last int
		opts        []mask.Option
		in, want    string
	}{
		{name: "keeps the last four of a card", last: 4, in: "4111111111111111", want: "************1111"},
		{name: "keeps the first character of a name", first: 1, in: "Alice", want: "A****"},
		{name: "keeps both ends", first: 2, last: 2, in: "secret", want: "se**et"},
		{name: "keep nothing hides everything", in: "secret", want: "******"},
		{name: "an empty value stays empty", first: 1, last: 1, in: "", want: ""},
		{name: "shorter than the kept part is hidden whole", last: 4, in: "123", want: "***"},
		{name: "as long as the kept part is hidden whole", first: 2, last: 2, in: "1234", want: "****"},
		{name: "one more than the kept part hides one", first: 2, last: 2, in: "12345", want: "12*45"},
		{name: "counts characters, not bytes, at the end", last: 1, in: "žluť", want: "***ť"},
		{name: "counts characters, not bytes, at the front", first: 2, in: "žluť", want: "žl**"},
		{name: "counts characters, not bytes, when hiding whole", last: 2, in: "žť", want: "**"},
		{name: "an emoji is one character", first: 1, last: 1, in: "😀😁😂", want: "😀*😂"},
		{name: "a combining mark is a character of its own", first: 1, in: "e\u0301a", want: "e**"},
		{name: "a replacement character in the value is text", first: 1, in: "\ufffd\ufffd", want: "\ufffd*"},
		{name: "a zero byte is a character", first: 1, in: "a\x00b", want: "a**"},
		{name: "line breaks are hidden like the rest", in: "a\nb", want: "***"},
		{name: "another fill", last: 2, opts: []mask.Option{mask.WithFill('x')}, in: "12345", want: "xxx45"},
		{name: "a fill of several bytes", last: 2, opts: []mask.Option{mask.WithFill('•')}, in: "12345", want: "•••45"},
		{name: "the last fill given counts", opts: []mask.Option{mask.WithFill('x'), mask.WithFill('#')}, in: "1", want: "#"},
		{name: "a huge number to keep hides whole", first: math.MaxInt, in: "secret", want: "******"},
		{name: "two huge numbers to keep hide whole", first: math.MaxInt, last: math.MaxInt, in: "secret", want: "******"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rule, err := mask.Keep(tt.first, tt.last, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			value := []byte(tt.in)
			got, err := rule.Append([]byte("before "), value)
			if err != nil {
				t.Fatal(err)
			}
			if want := "before " + tt.want; string(got) != want {
				t.Errorf("Keep(%d, %d) of %q = %q, want %q", tt.first, tt.last, tt.in, got, want)
			}
			if string(value) != tt.in {
				t.Errorf("the value was changed to %q", value)
			}
		})
	}
}

func TestKeepRefusesBadSettings(t *testing.T) {
	tests := []struct {
		name        string
		first, last int
		opts        []mask.Option
	}{
		{name: "negative first", first: -1},
		{name: "negative last", last: -1},
		{name: "smallest number", first: math.MinInt, last: math.MaxInt},
		{name: "zero as fill", opts: []mask.Option{mask.WithFill(0)}},
		{name: "negative fill", opts: []mask.Option{mask.WithFill(-1)}},
		{name: "half a surrogate pair as fill", opts: []mask.Option{mask.WithFill(0xd800)}},
		{name: "fill beyond Unicode", opts: []mask.Option{mask.WithFill(unicode.MaxRune + 1)}},
		{name: "replacement character as fill", opts: []mask.Option{mask.WithFill(utf8.RuneError)}},
		{name: "combining mark as fill", opts: []mask.Option{mask.WithFill('\u0301')}},
		{name: "line break as fill", opts: []mask.Option{mask.WithFill('\n')}},
		{name: "invisible fill", opts: []mask.Option{mask.WithFill('\u200b')}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rule, err := mask.Keep(tt.first, tt.last, tt.opts...)
			if err == nil {
				t.Fatal("accepted")
			}
			if _, err := rule.Append(nil, []byte("secret")); !errors.Is(err, mask.ErrNoRule) {
				t.Errorf("the rule returned beside the error masks: %v", err)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	keep, err := mask.Keep(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		rule mask.Rule
		in   string
		want error
	}{
		{name: "a byte that begins nothing", rule: keep, in: "secret\xff", want: mask.ErrNotText},
		{name: "a character cut short", rule: keep, in: "secret\xc5", want: mask.ErrNotText},
		{name: "an overlong encoding", rule: keep, in: "secret\xc0\xaf", want: mask.ErrNotText},
		{name: "an encoded surrogate", rule: keep, in: "secret\xed\xa0\x80", want: mask.ErrNotText},
		{name: "any text under the zero Rule", in: "secret", want: mask.ErrNoRule},
		{name: "an empty text under the zero Rule", in: "", want: mask.ErrNoRule},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			room := []byte("before________________")
			got, err := tt.rule.Append(room[:6], []byte(tt.in))
			if !errors.Is(err, tt.want) {
				t.Fatalf("err = %v, want %v", err, tt.want)
			}
			if string(got) != "before" {
				t.Errorf("result = %q, want dst as it was", got)
			}
			if string(room) != "before________________" {
				t.Errorf("the room behind dst was written to: %q", room)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the value: %v", err)
			}
		})
	}
}

func TestAppendDoesNotShareMemoryWithTheValue(t *testing.T) {
	rule, err := mask.Keep(3, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range [][]byte{nil, {}, make([]byte, 0, 64)} {
		value := []byte("0123456789")
		got, err := rule.Append(dst, value)
		if err != nil {
			t.Fatal(err)
		}
		for i := range value {
			value[i] = '!'
		}
		if string(got) != "012****789" {
			t.Errorf("result changed with the value: %q", got)
		}
	}
}

func TestAppendAllocatesNothingWhenThereIsRoom(t *testing.T) {
	for _, fill := range []rune{'*', '•'} {
		rule, err := mask.Keep(2, 2, mask.WithFill(fill))
		if err != nil {
			t.Fatal(err)
		}
		value := []byte(strings.Repeat("Příliš žluťoučký kůň ", 100))
		dst := make([]byte, 0, 3*len(value))
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := rule.Append(dst, value); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("fill %q: %v allocations, want 0", fill, allocs)
		}
	}
}

// FuzzKeep proves the promise: as many characters out as in, the kept ones as
// they were, the rest all fill, and never more kept than asked for.
func FuzzKeep(f *testing.F) {
	f.Add([]byte("4111111111111111"), uint8(0), uint8(4), '*')
	f.Add([]byte("žluťoučký"), uint8(2), uint8(1), '•')
	f.Add([]byte("abc"), uint8(2), uint8(1), 'x')
	f.Add([]byte("e\u0301\U0001f600"), uint8(1), uint8(1), '*')
	f.Add([]byte("a\xff"), uint8(1), uint8(0), '*')
	f.Add([]byte(""), uint8(0), uint8(0), '\u0301')
	f.Fuzz(func(t *testing.T, value []byte, first, last uint8, fill rune) {
		rule, err := mask.Keep(int(first), int(last), mask.WithFill(fill))
		if err != nil {
			return
		}
		before := bytes.Clone(value)
		out, err := rule.Append([]byte("dst"), value)
		if !bytes.Equal(value, before) {
			t.Fatal("the value was changed")
		}
		if utf8.Valid(value) != (err == nil) {
			t.Fatalf("UTF-8 is %v, err = %v", utf8.Valid(value), err)
		}
		if !bytes.HasPrefix(out, []byte("dst")) {
			t.Fatal("dst was changed")
		}
		if err != nil {
			if len(out) != len("dst") {
				t.Fatal("output beside an error")
			}
			return
		}
		in, got := []rune(string(value)), []rune(string(out[len("dst"):]))
		if len(in) != len(got) {
			t.Fatalf("%d characters in, %d out", len(in), len(got))
		}
		whole := len(in) <= int(first)+int(last)
		for i, c := range got {
			kept := !whole && (i < int(first) || i >= len(in)-int(last))
			switch {
			case kept && c != in[i]:
				t.Fatalf("character %d is kept, was %q, is %q", i, in[i], c)
			case !kept && c != fill:
				t.Fatalf("character %d is hidden and is %q, want %q", i, c, fill)
			}
		}
	})
}
