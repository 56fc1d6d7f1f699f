package tokenize

import (
	"slices"
	"strings"
	"testing"
)

// manyChars returns n different characters, all beyond ASCII.
func manyChars(n int) string {
	chars := make([]rune, n)
	for i := range chars {
		chars[i] = rune(0x10000 + i)
	}
	return string(chars)
}

func TestAlphabetsThatAreReadyAreWhatTheirNamesSay(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    Alphabet
		n    int
		has  string
	}{
		{"Digits", Digits, 10, "09"},
		{"Lower", Lower, 26, "az"},
		{"Upper", Upper, 26, "AZ"},
		{"Letters", Letters, 52, "azAZ"},
		{"AlnumLower", AlnumLower, 36, "09az"},
		{"AlnumUpper", AlnumUpper, 36, "09AZ"},
		{"Alnum", Alnum, 62, "09azAZ"},
		{"Hex", Hex, 16, "09af"},
		{"HexUpper", HexUpper, 16, "09AF"},
	} {
		got, err := NewAlphabet(string(tt.a))
		if err != nil || got != tt.a || got.Len() != tt.n {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		for _, r := range tt.has {
			if !strings.ContainsRune(string(tt.a), r) {
				t.Errorf("%s lacks %q", tt.name, r)
			}
		}
	}
}

func TestAlphabetsAreChecked(t *testing.T) {
	tests := []struct {
		name, chars, separators string
		err                     error
	}{
		{"two characters are enough", "01", "", nil},
		{"characters of any script count once each", "ěščřžýáíé", "-", nil},
		{"65536 characters are allowed", manyChars(1 << 16), "-", nil},
		{"the replacement character is one like others", "a\uFFFD", "", nil},
		{"nothing", "", "", errAlphabetSize},
		{"one character", "0", "", errAlphabetSize},
		{"one character of two bytes", "é", "", errAlphabetSize},
		{"65537 characters", manyChars(1<<16 + 1), "", errAlphabetSize},
		{"a character twice", "0123456789012", "", errAlphabetRepeat},
		{"a character beyond ASCII twice", "aěbě", "", errAlphabetRepeat},
		{"not UTF-8", "01\xff", "", errAlphabetText},
		{"separators that are not UTF-8", "01", "-\xc3", errAlphabetText},
		{"a separator that is in the alphabet", "0123456789", " 5", errAlphabetRepeat},
		{"a separator beyond ASCII that is in the alphabet", "aěb", "ě", errAlphabetRepeat},
		{"a separator twice", "01", "--", errAlphabetRepeat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := newCoder(Alphabet(tt.chars), tt.separators); err != tt.err { //nolint:errorlint // the very one
				t.Errorf("newCoder: %v, want %v", err, tt.err)
			}
			if tt.separators != "" {
				return
			}
			if a, err := NewAlphabet(tt.chars); err != tt.err || err != nil && a != "" { //nolint:errorlint // the very one
				t.Errorf("NewAlphabet: %v, want %v", err, tt.err)
			}
		})
	}
}

func TestCharactersAreNumberedInTheOrderGiven(t *testing.T) {
	tests := []struct {
		name, chars, separators, value string
		want                           []uint16
		err                            error
	}{
		{"digits", "0123456789", "", "9035", []uint16{9, 0, 3, 5}, nil},
		{"digits the other way round", "9876543210", "", "9035", []uint16{0, 9, 6, 4}, nil},
		{"separators have no number", "0123456789", " -", "1-2 -3-", []uint16{1, 2, 3}, nil},
		{"separators beyond ASCII", "0123456789", "–\u00a0", "1–2\u00a03", []uint16{1, 2, 3}, nil},
		{"letters of several bytes", "žeš", "", "šež", []uint16{2, 1, 0}, nil},
		{"the replacement character", "a\uFFFD", "", "\uFFFDa", []uint16{1, 0}, nil},
		{"nothing", "01", "", "", nil, nil},
		{"a character that is not there", "01", "-", "012", nil, errOutside},
		{"a letter of a script that is not there", "žeš", "-", "žešř", nil, errOutside},
		{"a digit of another script", "0123456789", "", "1٢3", nil, errOutside},
		{"a NUL", "0123456789", "", "1\x002", nil, errOutside},
		{"no UTF-8, though the replacement character is there", "a\uFFFD", "", "a\xff", nil, errOutside},
		{"half a character", "žeš", "", "že\xc5", nil, errOutside},
		{"a surrogate", "a\uFFFD", "", "a\xed\xa0\x80", nil, errOutside},
		{"more than five", "0123456789", "-", "1-2-3-4-5-6", nil, errLong},
		{"five and many separators", "0123456789", "-", "1---2---3---4--5------", []uint16{1, 2, 3, 4, 5}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newCoder(Alphabet(tt.chars), tt.separators)
			if err != nil {
				t.Fatal(err)
			}
			x, err := c.numerals([]uint16{7}, []byte(tt.value), 5)
			if err != tt.err || !slices.Equal(x, append([]uint16{7}, tt.want...)) { //nolint:errorlint // the very one
				t.Fatalf("%v, %v", x, err)
			}
			if err != nil {
				return
			}
			if got := c.text([]byte("x"), x[1:], []byte(tt.value)); string(got) != "x"+tt.value {
				t.Errorf("back: %q", got)
			}
		})
	}
}
