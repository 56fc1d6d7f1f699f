package tokenize

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/internal/ff1"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/internal/vectors"
)

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, FF1KeySize) }

func newTestFF1(t testing.TB, key []byte, o FF1Options) *FF1 {
	t.Helper()
	f, err := NewFF1(key, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newRand returns a source that the log names, so that a failure can be run
// again.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// ff1Oracle is the construction of FF1 as its comment has it, written a second
// time on text, over a cipher with an oracle of its own. It takes values that
// fit.
func ff1Oracle(key []byte, o FF1Options, value string) string {
	chars := []rune(string(o.Alphabet))
	var text []rune
	for _, r := range value {
		if slices.Contains(chars, r) {
			text = append(text, r)
		}
	}
	number := func(r rune) int { return slices.Index(chars, r) }
	first, rest := text[:o.KeepFirst], text[o.KeepFirst:]
	middle, last := rest[:len(rest)-o.KeepLast], rest[len(rest)-o.KeepLast:]
	if o.Luhn != LuhnNone {
		middle = middle[:len(middle)-1]
	}
	tweak := []byte{byte(o.Luhn), byte(o.KeepFirst), byte(o.KeepLast)}
	for _, r := range string(first) + string(last) {
		n := number(r)
		if len(chars) > 256 {
			tweak = append(tweak, byte(n/256))
		}
		tweak = append(tweak, byte(n%256))
	}
	cipher, err := ff1.New(key, len(chars))
	if err != nil {
		panic(err)
	}
	x := []uint16{}
	for _, r := range middle {
		x = append(x, uint16(number(r)))
	}
	if err := cipher.Encrypt(x, x, tweak); err != nil {
		panic(err)
	}
	out := slices.Clone(first)
	for _, n := range x {
		out = append(out, chars[n])
	}
	if o.Luhn != LuhnNone {
		// With 09 behind a number, all its digits count as they did, and the sum is
		// nine more: it passes where the number itself is one over.
		for d := '0'; d <= '9'; d++ {
			s := string(out) + string(d) + string(last)
			if o.Luhn == LuhnBreak {
				s += "09"
			}
			if passesLuhn(s) {
				out = append(out, d)
				break
			}
		}
	}
	out = append(out, last...)
	result := ""
	for _, r := range value {
		if strings.ContainsRune(o.Separators, r) {
			result += string(r)
		} else {
			result += string(out[0])
			out = out[1:]
		}
	}
	return result
}

// randomValue is a value that fits o, of n characters of the alphabet.
func randomValue(r *rand.Rand, o FF1Options, n int) string {
	chars, separators := []rune(string(o.Alphabet)), []rune(o.Separators)
	x := make([]uint16, n)
	for i := range x {
		x[i] = uint16(r.IntN(len(chars)))
	}
	if o.Luhn != LuhnNone {
		fitLuhn(x, r.IntN(n), 0)
	}
	var out []rune
	for _, v := range x {
		for len(separators) > 0 && r.IntN(3) == 0 {
			out = append(out, separators[r.IntN(len(separators))])
		}
		out = append(out, chars[v])
	}
	return string(out)
}

func TestFF1IsItsConstruction(t *testing.T) {
	r := newRand(t)
	for _, o := range []FF1Options{
		{Alphabet: Digits},
		{Alphabet: Digits, Separators: " -"},
		{Alphabet: Digits, KeepFirst: 6},
		{Alphabet: Digits, KeepLast: 4},
		{Alphabet: Digits, KeepFirst: 6, KeepLast: 4, Separators: "-"},
		{Alphabet: Digits, Luhn: LuhnKeep},
		{Alphabet: Digits, Luhn: LuhnBreak, Separators: "- "},
		{Alphabet: Digits, Luhn: LuhnKeep, KeepFirst: 4, KeepLast: 4, Separators: "-"},
		{Alphabet: Digits, Luhn: LuhnBreak, KeepFirst: 6, KeepLast: 3},
		{Alphabet: Digits, Luhn: LuhnBreak, KeepLast: 1},
		{Alphabet: Alnum, KeepFirst: 2, Separators: "._-@"},
		{Alphabet: "žluťočký", Separators: "–", KeepFirst: 1, KeepLast: 2},
		{Alphabet: "aěščřžýáíéúů😀", Separators: " ", KeepLast: 32, KeepFirst: 32},
		{Alphabet: Alphabet(manyChars(300)), KeepFirst: 3, KeepLast: 5},
		{Alphabet: Alphabet(manyChars(1 << 16)), KeepFirst: 1},
		{Alphabet: "01"},
	} {
		key := testKey(byte(r.Uint32()))
		f := newTestFF1(t, key, o)
		for i := range 60 {
			value := randomValue(r, o, f.MinLength()+i)
			want := ff1Oracle(key, o, value)
			got, err := f.Append([]byte("kept"), []byte(value))
			if err != nil || string(got) != "kept"+want {
				t.Fatalf("%+q keep %d+%d, Luhn %v: %q becomes %q, %v; want %q", o.Separators, o.KeepFirst, o.KeepLast, o.Luhn, value, got, err, want)
			}
			back, err := f.AppendBack([]byte("kept"), got[4:])
			if err != nil || string(back) != "kept"+value {
				t.Fatalf("%q comes back as %q, %v", value, back, err)
			}
		}
	}
}

// Exhaustive over a million values: six digits, and seven of which one is the
// check digit.
func TestAMillionValuesHaveAMillionTokens(t *testing.T) {
	for _, tt := range []struct {
		name     string
		luhn     LuhnMode
		from, to int // how many tokens pass the check
	}{
		{"six digits, of which one in ten passes by chance", LuhnNone, 90_000, 110_000},
		{"seven digits with the check digit kept", LuhnKeep, 1_000_000, 1_000_000},
		{"seven digits with the check digit broken", LuhnBreak, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newTestFF1(t, testKey(1), FF1Options{Alphabet: Digits, Luhn: tt.luhn})
			seen := make([]bool, 10_000_000)
			var value, token, back []byte
			passed := 0
			every := 1
			if invariants.Enabled {
				every = 20 // in this build it takes as many times longer
			}
			for i := 0; i < 1_000_000; i += every {
				value = fmt.Appendf(value[:0], "%06d", i)
				if tt.luhn != LuhnNone {
					for value = append(value, '0'); !passesLuhnBytes(value); value[6]++ {
					}
				}
				var err error
				if token, err = f.Append(token[:0], value); err != nil || len(token) != len(value) {
					t.Fatalf("%s: %v", value, err)
				}
				at, err := strconv.Atoi(string(token))
				if err != nil || seen[at] {
					t.Fatalf("%s is no number or comes out twice", token)
				}
				seen[at] = true
				if passesLuhnBytes(token) {
					passed++
				}
				if i%5 != 0 {
					continue
				}
				if back, err = f.AppendBack(back[:0], token); err != nil || !bytes.Equal(back, value) {
					t.Fatalf("%s comes back as %s, %v", value, back, err)
				}
			}
			if passed *= every; passed < tt.from || passed > tt.to {
				t.Errorf("%d of a million tokens pass the check", passed)
			}
		})
	}
}

// passesLuhnBytes is passesLuhn, fast enough for a million.
func passesLuhnBytes(b []byte) bool {
	sum := 0
	for i := range b {
		v := int(b[len(b)-1-i] - '0')
		if i%2 == 1 {
			v = v*2/10 + v*2%10
		}
		sum += v
	}
	return sum%10 == 0
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	card := FF1Options{Alphabet: Digits, Separators: " -", Luhn: LuhnKeep}
	broken := FF1Options{Alphabet: Digits, Separators: " -", Luhn: LuhnBreak}
	edges := FF1Options{Alphabet: Digits, KeepFirst: 6, KeepLast: 4}
	tests := []struct {
		name  string
		o     FF1Options
		value string
		err   error
	}{
		{"a card passes", card, "4111 1111 1111 1111", nil},
		{"a letter in a card number", card, "4111 1111 1111 111l", ErrValue},
		{"a digit of another script", card, "4111 1111 1111 111١", ErrValue},
		{"a full-width digit", card, "４111 1111 1111 1111", ErrValue},
		{"a check digit that is wrong", card, "4111 1111 1111 1112", ErrValue},
		{"a check digit that is wrong, to be broken", broken, "4111 1111 1111 1112", ErrValue},
		{"another separator", card, "4111_1111_1111_1111", ErrValue},
		{"a separator, but none declared", FF1Options{Alphabet: Digits}, "078-05-1120", ErrValue},
		{"no UTF-8", card, "4111 1111 1111 1111\xff", ErrValue},
		{"a NUL", card, "4111 1111 1111 1111\x00", ErrValue},
		{"nothing", card, "", ErrDomain},
		{"separators only", card, "- - -", ErrDomain},
		{"six digits without the check digit have a domain of 10^5", card, "000000", ErrDomain},
		{"seven digits with it have 10^6", card, "0000000", nil},
		{"five digits", FF1Options{Alphabet: Digits}, "12345", ErrDomain},
		{"six digits", FF1Options{Alphabet: Digits}, "123456", nil},
		{"a card number with its ends kept has a middle of 10^6", edges, "4111111111111111", nil},
		{"one digit less has 10^5", edges, "411111111111111", ErrDomain},
		{"with the check digit kept, sixteen have 10^5 too", FF1Options{Alphabet: Digits, KeepFirst: 6, KeepLast: 4, Luhn: LuhnKeep}, "4111111111111111", ErrDomain},
		{"and with it broken", FF1Options{Alphabet: Digits, KeepFirst: 6, KeepLast: 4, Luhn: LuhnBreak}, "4111111111111111", ErrDomain},
		{"three letters and digits", FF1Options{Alphabet: Alnum}, "aB3", ErrDomain},
		{"four letters and digits", FF1Options{Alphabet: Alnum}, "aB3d", nil},
		{"four letters of two bytes each", FF1Options{Alphabet: "ěščřžýáíéúů"}, "ěščř", ErrDomain},
		{"as many characters as there may be", FF1Options{Alphabet: Digits, Separators: "-"}, strings.Repeat("1", 4096) + "-", nil},
		{"a character more", FF1Options{Alphabet: Digits, Separators: "-"}, strings.Repeat("1-", 4097), ErrValue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newTestFF1(t, testKey(2), tt.o)
			dst := append(make([]byte, 0, 20_000), "kept"...)
			got, err := f.Append(dst, []byte(tt.value))
			if !errors.Is(err, tt.err) || err == nil && tt.err != nil {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err == nil {
				return
			}
			if string(got) != "kept" {
				t.Errorf("dst came back as %q", got)
			}
			if rest := dst[4:cap(dst)]; !bytes.Equal(rest, make([]byte, len(rest))) {
				t.Error("something was written behind dst")
			}
			if text := err.Error(); tt.value != "" && strings.Contains(text, tt.value) || strings.ContainsAny(text, "١４\x00") {
				t.Errorf("the error holds the value: %q", text)
			}
			// Nor does it come back, but for check digits of broken tokens.
			if tt.o.Luhn != LuhnBreak {
				if _, err := f.AppendBack(nil, []byte(tt.value)); !errors.Is(err, tt.err) {
					t.Errorf("back: %v", err)
				}
			}
		})
	}
}

func TestARealNumberIsNoBrokenToken(t *testing.T) {
	f := newTestFF1(t, testKey(3), FF1Options{Alphabet: Digits, Luhn: LuhnBreak})
	token, err := f.Append(nil, []byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Append(nil, token); !errors.Is(err, ErrValue) {
		t.Errorf("a token was encrypted again: %v", err)
	}
	if _, err := f.AppendBack(nil, []byte("4111111111111111")); !errors.Is(err, ErrValue) {
		t.Errorf("a real number was turned back: %v", err)
	}
	refused := 0
	for d := byte('0'); d <= '9'; d++ {
		token[15] = d
		if _, err := f.AppendBack(nil, token); err != nil {
			refused++
		}
	}
	if refused != 9 {
		t.Errorf("%d of ten last digits are refused", refused)
	}
}

func TestOptionsThatContradictEachOtherAreRefused(t *testing.T) {
	tests := []struct {
		name string
		o    FF1Options
		err  error
	}{
		{"no alphabet", FF1Options{}, errAlphabetSize},
		{"a separator in the alphabet", FF1Options{Alphabet: Digits, Separators: "1"}, errAlphabetRepeat},
		{"fewer than no first characters", FF1Options{Alphabet: Digits, KeepFirst: -1}, errKeep},
		{"fewer than no last characters", FF1Options{Alphabet: Digits, KeepLast: -1}, errKeep},
		{"too many first characters", FF1Options{Alphabet: Digits, KeepFirst: 33}, errKeep},
		{"too many last characters", FF1Options{Alphabet: Digits, KeepLast: 1 << 40}, errKeep},
		{"a mode that there is not", FF1Options{Alphabet: Digits, Luhn: 3}, errMode},
		{"a width and separators", FF1Options{Alphabet: Digits, Width: 9, Separators: "-"}, errOnly},
		{"a width and kept characters", FF1Options{Alphabet: Digits, Width: 9, KeepFirst: 1}, errOnly},
		{"a width and kept last characters", FF1Options{Alphabet: Digits, Width: 9, KeepLast: 2}, errOnly},
		{"a width and a check digit", FF1Options{Alphabet: Digits, Width: 9, Luhn: LuhnKeep}, errOnly},
		{"a width below zero", FF1Options{Alphabet: Digits, Width: -9}, errWidth},
		{"a width below a million", FF1Options{Alphabet: Digits, Width: 5}, errWidth},
		{"a width that is too large", FF1Options{Alphabet: Digits, Width: 4097}, errWidth},
		{"a check digit of letters", FF1Options{Alphabet: Lower, Luhn: LuhnKeep}, errNotLuhn},
		{"a check digit of hex digits", FF1Options{Alphabet: Hex, Luhn: LuhnBreak}, errNotLuhn},
		{"a check digit of digits in another order", FF1Options{Alphabet: "1023456789", Luhn: LuhnBreak}, errNotLuhn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if f, err := NewFF1(testKey(0), tt.o); !errors.Is(err, tt.err) || f != nil {
				t.Errorf("%v, want %v", err, tt.err)
			}
		})
	}
	for n := range 70 {
		if _, err := NewFF1(make([]byte, n), FF1Options{Alphabet: Digits}); (err == nil) != (n == FF1KeySize) {
			t.Errorf("key of %d bytes: %v", n, err)
		}
	}
}

// SP 800-38G revision 1: refused if and only if radix^length is below 10^6, for
// every radix up to 256, whatever is kept around it.
func TestTheFloorOfDomainsIsExact(t *testing.T) {
	for radix := 2; radix <= 256; radix++ {
		chars := manyChars(radix)
		for _, o := range []FF1Options{{}, {KeepFirst: 3}, {KeepFirst: 1, KeepLast: 2, Separators: "-"}} {
			o.Alphabet = Alphabet(chars)
			f := newTestFF1(t, testKey(4), o)
			for n := 1; n <= 24; n++ {
				domain := new(big.Int).Exp(big.NewInt(int64(radix)), big.NewInt(int64(n)), nil)
				fits := domain.Cmp(big.NewInt(1_000_000)) >= 0
				total := n + o.KeepFirst + o.KeepLast
				value := strings.Repeat(o.Separators, 40) + strings.Repeat(string([]rune(chars)[1]), total)
				_, err := f.Append(nil, []byte(value))
				if fits != (err == nil) || !fits && !errors.Is(err, ErrDomain) || fits != (total >= f.MinLength()) {
					t.Fatalf("radix %d, %d characters, keep %d+%d: %v, minimum %d", radix, n, o.KeepFirst, o.KeepLast, err, f.MinLength())
				}
			}
		}
	}
}

func TestVectorsBelowTheFloorOrOutsideTheAlphabetAreRefused(t *testing.T) {
	for _, name := range []string{"wycheproof/aes_ff1_base10_test.json", "wycheproof/aes_ff1_base36_test.json"} {
		var file struct {
			TestGroups []struct {
				Alphabet string
				Tests    []struct {
					TcID    int
					Flags   []string
					Msg, Ct string
				}
			}
		}
		vectors.Load(t, name, &file)
		small, foreign := 0, 0
		for _, g := range file.TestGroups {
			f := newTestFF1(t, testKey(5), FF1Options{Alphabet: Alphabet(g.Alphabet)})
			for _, tc := range g.Tests {
				_, err := f.Append(nil, []byte(tc.Msg))
				switch {
				case slices.Contains(tc.Flags, "SmallMessageSize"):
					small++
					if _, back := f.AppendBack(nil, []byte(tc.Ct)); !errors.Is(err, ErrDomain) || !errors.Is(back, ErrDomain) {
						t.Errorf("%s %d: %v, back %v", name, tc.TcID, err, back)
					}
				case slices.Contains(tc.Flags, "InvalidPlaintext"):
					foreign++
					if !errors.Is(err, ErrValue) {
						t.Errorf("%s %d: %v", name, tc.TcID, err)
					}
				case slices.Contains(tc.Flags, "InvalidMessageSize"):
					if !errors.Is(err, ErrDomain) {
						t.Errorf("%s %d: %v", name, tc.TcID, err)
					}
				}
			}
		}
		if small == 0 || foreign == 0 {
			t.Errorf("%s: %d small and %d foreign cases ran", name, small, foreign)
		}
	}
}

// What is kept is what is not encrypted, and it decides over the rest.
func TestEqualMiddlesUnderOtherEndsAreUnrelated(t *testing.T) {
	o := FF1Options{Alphabet: Digits, KeepFirst: 6, KeepLast: 4}
	f := newTestFF1(t, testKey(6), o)
	seen := map[string]bool{}
	for _, ends := range [][2]string{{"411111", "1111"}, {"411112", "1111"}, {"411111", "1112"}, {"511111", "1111"}, {"411111", "2111"}} {
		got, err := f.Append(nil, []byte(ends[0]+"12345678"+ends[1]))
		if err != nil {
			t.Fatal(err)
		}
		if string(got[:6]) != ends[0] || string(got[14:]) != ends[1] {
			t.Errorf("the ends %v became %s", ends, got)
		}
		if middle := string(got[6:14]); seen[middle] || middle == "12345678" {
			t.Errorf("the middle of %v is %s again", ends, middle)
		} else {
			seen[middle] = true
		}
	}
}

// Digits of one value under different options never show the same middle.
func TestOptionsAreUnrelatedUnderOneKey(t *testing.T) {
	seen := map[string]FF1Options{}
	for _, o := range []FF1Options{
		{}, {KeepFirst: 4}, {KeepFirst: 2, KeepLast: 2}, {KeepLast: 4}, {Luhn: LuhnKeep}, {Luhn: LuhnBreak}, {Luhn: LuhnKeep, KeepLast: 4},
	} {
		o.Alphabet = Digits
		got, err := newTestFF1(t, testKey(7), o).Append(nil, []byte("0000000000000000000"))
		if err != nil {
			t.Fatal(err)
		}
		at := string(got[4:15])
		if was, ok := seen[at]; ok {
			t.Errorf("%+v and %+v give the same digits", o, was)
		}
		seen[at] = o
	}
}

func TestNumbersMayLoseTheZerosInFront(t *testing.T) {
	f := newTestFF1(t, testKey(16), FF1Options{Alphabet: Digits, Width: 6})
	cipher, err := ff1.New(testKey(16), 10)
	if err != nil {
		t.Fatal(err)
	}
	seen, short := make([]bool, 1_000_000), 0
	for i := 0; i < 1_000_000; i += 7 {
		token, err := f.Append(nil, []byte(strconv.Itoa(i)))
		if err != nil || len(token) != 6 {
			t.Fatalf("%d becomes %q, %v", i, token, err)
		}
		x := digitsOf(fmt.Sprintf("%06d", i))
		if err := cipher.Encrypt(x, x, []byte{3, 0, 0}); err != nil || !slices.Equal(x, digitsOf(string(token))) {
			t.Fatalf("%d becomes %q, want %v", i, token, x)
		}
		n, err := strconv.Atoi(string(token))
		if err != nil || seen[n] {
			t.Fatalf("%q is no number or comes out twice", token)
		}
		seen[n] = true
		// As a numeric type has it, and as text.
		for _, token := range []string{strconv.Itoa(n), string(token)} {
			if back, err := f.AppendBack([]byte("x"), []byte(token)); err != nil || string(back) != "x"+strconv.Itoa(i) {
				t.Fatalf("%q comes back as %q, %v, not %d", token, back, err, i)
			}
		}
		if n < 100_000 {
			short++
		}
	}
	if short == 0 {
		t.Error("no token had a zero in front")
	}
	for value, want := range map[string]error{
		"": ErrDomain, "1234567": ErrValue, "0123": ErrValue, "00": ErrValue, "-1": ErrValue, "1.5": ErrValue, "+1": ErrValue, "0": nil, "999999": nil,
	} {
		if got, err := f.Append([]byte("kept"), []byte(value)); !errors.Is(err, want) || err == nil && want != nil || err != nil && string(got) != "kept" {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
	if _, err := f.AppendBack(nil, []byte("0123456")); !errors.Is(err, ErrValue) {
		t.Errorf("a token of seven digits: %v", err)
	}
	if f.MinLength() != 1 || f.MaxLength() != 6 {
		t.Errorf("%d to %d digits", f.MinLength(), f.MaxLength())
	}
	wide := newTestFF1(t, testKey(16), FF1Options{Alphabet: Digits, Width: 300})
	token, err := wide.Append(nil, []byte("7"))
	if back, err2 := wide.AppendBack(nil, token); err != nil || err2 != nil || len(token) != 300 || string(back) != "7" {
		t.Errorf("a width of 300: %q, %v, %v", back, err, err2)
	}
}

func TestSeparatorsDoNotCount(t *testing.T) {
	f := newTestFF1(t, testKey(8), FF1Options{Alphabet: Digits, Separators: "- ", KeepLast: 3})
	plain, err := f.Append(nil, []byte("078051120"))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"078-05-1120", "078 05 1120", "-078051120", "078051120-", "0-7-8-0-5-1-1-2-0", "07805112 0"} {
		got, err := f.Append(nil, []byte(value))
		if err != nil || len(got) != len(value) || strings.NewReplacer("-", "", " ", "").Replace(string(got)) != string(plain) {
			t.Errorf("%q becomes %q, %v", value, got, err)
		}
		for i := range value {
			if sep := value[i] == '-' || value[i] == ' '; sep && got[i] != value[i] {
				t.Errorf("%q becomes %q", value, got)
			}
		}
	}
}

func TestTheValueIsNeitherChangedNorShared(t *testing.T) {
	f := newTestFF1(t, testKey(9), FF1Options{Alphabet: Alnum})
	for _, n := range []int{5, 64, 65, 500} {
		value := bytes.Repeat([]byte("aZ9"), n)[:n]
		was := bytes.Clone(value)
		got, err := f.Append(nil, value)
		if err != nil || !bytes.Equal(value, was) {
			t.Fatalf("%d characters: %v", n, err)
		}
		kept := bytes.Clone(got)
		invariants.Mangle(value)
		clear(value)
		if !bytes.Equal(got, kept) {
			t.Errorf("%d characters: the result follows the value", n)
		}
	}
}

// The token of a value of ASCII may need more bytes than the value.
func TestCharactersOfDifferentSizesMayTakeEachOthersPlace(t *testing.T) {
	r := newRand(t)
	o := FF1Options{Alphabet: "abcdefěščřž😀", KeepFirst: 1}
	f := newTestFF1(t, testKey(14), o)
	longer := 0
	for range 200 {
		value := randomValue(r, FF1Options{Alphabet: "abcdef"}, 20)
		got, err := f.Append(nil, []byte(value))
		if want := ff1Oracle(testKey(14), o, value); err != nil || string(got) != want {
			t.Fatalf("%q becomes %q, %v; want %q", value, got, err, want)
		}
		if back, err := f.AppendBack(nil, got); err != nil || string(back) != value {
			t.Fatalf("%q comes back as %q, %v", value, back, err)
		}
		if len(got) > len(value) {
			longer++
		}
	}
	if longer == 0 {
		t.Error("no token was longer than its value")
	}
}

func TestAnFF1GivesItsScratchBackClean(t *testing.T) {
	f := newTestFF1(t, testKey(15), FF1Options{Alphabet: Digits})
	far := new(farNumerals)
	f.far.New = func() any { return far }
	for _, value := range []string{strings.Repeat("9", 300), strings.Repeat("9", 299) + "x"} {
		_, err := f.Append(nil, []byte(value))
		if cap(far.x) < 300 || slices.Max(far.x[:cap(far.x)]) != 0 {
			t.Errorf("left behind: %v, %v", far.x[:cap(far.x)], err)
		}
	}
}

func TestTheFF1KeyMayBeWipedAfterNew(t *testing.T) {
	key := testKey(10)
	f := newTestFF1(t, key, FF1Options{Alphabet: Digits})
	clear(key)
	got, err := f.Append(nil, []byte("123456789"))
	if want := ff1Oracle(testKey(10), FF1Options{Alphabet: Digits}, "123456789"); err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestManyGoroutinesShareAnFF1(t *testing.T) {
	o := FF1Options{Alphabet: Digits, Separators: "-", KeepLast: 2}
	f := newTestFF1(t, testKey(11), o)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range 30 {
				value := randomValue(r, o, 8+r.IntN(100))
				want := ff1Oracle(testKey(11), o, value)
				for range 30 {
					got, err := f.Append(nil, []byte(value))
					if err != nil || string(got) != want {
						t.Errorf("goroutine %d: %q, %v", i, got, err)
						return
					}
					if back, err := f.AppendBack(nil, got); err != nil || string(back) != value {
						t.Errorf("goroutine %d back: %q, %v", i, back, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestAnFF1ShowsNothing(t *testing.T) {
	f := newTestFF1(t, testKey(12), FF1Options{Alphabet: Digits})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, f); got != "tokenize.FF1" {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func TestAWarmFF1AllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the race detector empties pools: not tested in this build")
	}
	for _, tt := range []struct {
		name, value string
		o           FF1Options
	}{
		{"a card number", "4111 1111 1111 1111", FF1Options{Alphabet: Digits, Separators: " ", Luhn: LuhnBreak, KeepFirst: 4}},
		{"letters of two bytes", "ěščřžýáíéúů", FF1Options{Alphabet: "ěščřžýáíéúů", KeepLast: 2}},
		{"a wide alphabet with much kept", manyChars(90), FF1Options{Alphabet: Alphabet(manyChars(1000)), KeepFirst: 32, KeepLast: 32}},
		{"a value that is just too long for the stack", strings.Repeat("1", near+1), FF1Options{Alphabet: Digits}},
		{"a number", "9", FF1Options{Alphabet: Digits, Width: 18}},
		{"a number of a long width", "9", FF1Options{Alphabet: Digits, Width: 200}},
		{"a long value", strings.Repeat("abcDEF012", 40), FF1Options{Alphabet: Alnum}},
	} {
		f := newTestFF1(t, testKey(13), tt.o)
		value, token, back := []byte(tt.value), make([]byte, 0, 1000), make([]byte, 0, 1000)
		var failed error
		allocs := testing.AllocsPerRun(200, func() {
			got, err := f.Append(token, value)
			if err == nil {
				_, err = f.AppendBack(back, got)
			}
			if err != nil {
				failed = err
			}
		})
		if allocs != 0 || failed != nil {
			t.Errorf("%s: %v allocations, %v", tt.name, allocs, failed)
		}
		bad := append(slices.Clone(value), '!')
		if allocs := testing.AllocsPerRun(200, func() {
			if _, err := f.Append(token, bad); err == nil {
				failed = errors.New("it was taken")
			}
		}); allocs != 0 || failed != nil {
			t.Errorf("%s, refused: %v allocations, %v", tt.name, allocs, failed)
		}
	}
}
