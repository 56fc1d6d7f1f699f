package tokenize

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"
)

func FuzzFF1(f *testing.F) {
	f.Add("0123456789", " -", int8(0), int8(0), byte(2), []byte("4111 1111 1111 1111"))
	f.Add("0123456789", "-", int8(2), int8(3), byte(0), []byte("078-05-1120-99"))
	f.Add("ěščřžýáíé", "–", int8(1), int8(0), byte(0), []byte("šěžčř–ýáíéěščř"))
	f.Add("abcdefghijklmnopqrstuvwxyz", "", int8(0), int8(0), byte(0), bytes.Repeat([]byte("letters"), 30))
	f.Fuzz(func(t *testing.T, alphabet, separators string, first, last int8, luhn byte, value []byte) {
		o := FF1Options{Alphabet: Alphabet(alphabet), Separators: separators, KeepFirst: int(first), KeepLast: int(last), Luhn: LuhnMode(luhn)}
		p, err := NewFF1(testKey(1), o)
		if err != nil {
			return
		}
		was := bytes.Clone(value)
		token, err := p.Append([]byte("x"), value)
		if !bytes.Equal(was, value) {
			t.Fatal("the value was changed")
		}
		if err != nil {
			if string(token) != "x" || !errors.Is(err, ErrValue) && !errors.Is(err, ErrDomain) {
				t.Fatalf("%q, %v", token, err)
			}
		} else {
			// Accepted: of the same form, what the construction says, and back again.
			token = token[1:]
			if want := ff1Oracle(testKey(1), o, string(value)); string(token) != want {
				t.Fatalf("%q becomes %q, want %q", value, token, want)
			}
			if utf8.RuneCount(token) != utf8.RuneCount(value) {
				t.Fatalf("%q becomes %q", value, token)
			}
			back, err := p.AppendBack(nil, token)
			if err != nil || !bytes.Equal(back, value) {
				t.Fatalf("%q comes back as %q, %v", value, back, err)
			}
		}
		// And what is taken for a token is the token of what comes back.
		if back, err := p.AppendBack(nil, value); err == nil {
			if again, err := p.Append(nil, back); err != nil || !bytes.Equal(again, value) {
				t.Fatalf("%q is taken for the token of %q, which has %q, %v", value, back, again, err)
			}
		}
	})
}
