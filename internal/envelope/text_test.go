package envelope

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/internal/invariants"
)

// roundTrip compares both directions with encoding/base64.
func roundTrip(t *testing.T, src []byte) {
	t.Helper()
	want := base64.RawURLEncoding.AppendEncode([]byte("pre"), src)
	got := AppendBase64([]byte("pre"), src)
	if !bytes.Equal(got, want) {
		t.Fatalf("AppendBase64(%x) = %q, want %q", src, got, want)
	}
	if len(got) != len("pre")+EncodedLen(len(src)) {
		t.Fatalf("EncodedLen(%d) = %d, but %d characters were appended", len(src), EncodedLen(len(src)), len(got)-3)
	}
	text := AppendText(nil, src)
	if string(text) != "fv1:"+string(want[3:]) {
		t.Fatalf("AppendText(%x) = %q", src, text)
	}
	back, err := ParseText([]byte("pre"), text)
	if err != nil || string(back[:3]) != "pre" || !bytes.Equal(back[3:], src) {
		t.Fatalf("ParseText(%q) = %x, %v", text, back, err)
	}
}

func TestTextOfEveryLengthUpTo300(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 301 {
		for range 20 {
			src := make([]byte, n)
			for i := range src {
				src[i] = byte(rnd.Uint32())
			}
			roundTrip(t, src)
		}
	}
}

func TestTextOfEveryTailOfOneTwoAndThreeBytes(t *testing.T) {
	for a := range 256 {
		roundTrip(t, []byte{byte(a)})
		roundTrip(t, []byte{1, 2, 3, 4, 5, 6, byte(a)})
		for b := range 256 {
			roundTrip(t, []byte{byte(a), byte(b)})
		}
	}
	// All 2^24 tails of three bytes; with the race detector, which makes each of
	// them twenty times as dear, one in 509.
	step := 1
	if invariants.Enabled {
		step = 509
	}
	var enc, dec, want []byte
	text := []byte(TextPrefix)
	for v := 0; v < 1<<24; v += step {
		src := [3]byte{byte(v >> 16), byte(v >> 8), byte(v)}
		enc = AppendBase64(enc[:0], src[:])
		want = base64.RawURLEncoding.AppendEncode(want[:0], src[:])
		if !bytes.Equal(enc, want) {
			t.Fatalf("AppendBase64(%x) = %q, want %q", src, enc, want)
		}
		var err error
		text = append(text[:len(TextPrefix)], enc...)
		if dec, err = ParseText(dec[:0], text); err != nil || !bytes.Equal(dec, src[:]) {
			t.Fatalf("ParseText(%q) = %x, %v", text, dec, err)
		}
	}
}

func TestTextWritesIntoTheRoomOfDst(t *testing.T) {
	for n := range 60 {
		src := bytes.Repeat([]byte{0xFF}, n)
		// Room for exactly the result: a write behind it would hit the guard.
		room := bytes.Repeat([]byte{'#'}, EncodedLen(n)+8)
		out := AppendBase64(room[:0:EncodedLen(n)], src)
		if n > 0 && &out[0] != &room[0] {
			t.Errorf("%d bytes: dst had room and was not used", n)
		}
		if string(room[EncodedLen(n):]) != "########" {
			t.Errorf("%d bytes: wrote behind the result: %q", n, room[EncodedLen(n):])
		}
		text, plain := AppendText(nil, src), bytes.Repeat([]byte{'#'}, n+8)
		if _, err := ParseText(plain[:0:n], text); err != nil || string(plain[n:]) != "########" {
			t.Errorf("%d bytes: ParseText wrote behind its result: %x, %v", n, plain[n:], err)
		}
	}
}

func TestEncodedLenIsThatOfEncodingBase64(t *testing.T) {
	for n := range 10_000 {
		if got, want := EncodedLen(n), base64.RawURLEncoding.EncodedLen(n); got != want {
			t.Fatalf("EncodedLen(%d) = %d, want %d", n, got, want)
		}
	}
	const most = 1<<30 + 100 // the longest envelope, about
	if got, want := EncodedLen(most), base64.RawURLEncoding.EncodedLen(most); got != want {
		t.Errorf("EncodedLen(%d) = %d, want %d", most, got, want)
	}
}

// strict is the oracle of FV-16. encoding/base64 refuses unused bits that are
// set when it is told to, and always skips line breaks, so those are refused
// here.
func strict(text []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(text, []byte(TextPrefix))
	if !ok || bytes.ContainsAny(rest, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(rest))
	return b, err == nil
}

// agrees compares ParseText with the oracle on any text.
func agrees(t *testing.T, text []byte) {
	t.Helper()
	want, ok := strict(text)
	got, err := ParseText([]byte("kept"), text)
	switch {
	case ok && (err != nil || string(got) != "kept"+string(want)):
		t.Fatalf("ParseText(%q) = %x, %v, want %x", text, got, err, want)
	case !ok && (!errors.Is(err, ErrFormat) || string(got) != "kept"):
		t.Fatalf("ParseText(%q) = %x, %v, want an error", text, got, err)
	}
}

// FV-16, the alphabet: every byte value at every position of every kind of tail.
func TestEveryByteAtEveryPositionIsReadAsEncodingBase64Does(t *testing.T) {
	for c := range 256 { // the alphabet by itself
		_, err := ParseText(nil, []byte{'f', 'v', '1', ':', byte(c), 'A', 'A', 'A'})
		if good := strings.IndexByte(alphabet, byte(c)) >= 0; good != (err == nil) {
			t.Errorf("character %#x: %v", c, err)
		}
	}
	for n := range 14 {
		for _, fill := range []byte{'A', '_', 'w'} {
			text := append([]byte(TextPrefix), bytes.Repeat([]byte{fill}, n)...)
			for at := len(TextPrefix); at < len(text); at++ {
				for c := range 256 {
					was := text[at]
					text[at] = byte(c)
					agrees(t, text)
					text[at] = was
				}
			}
		}
	}
}

// FV-16: of the sixteen (or four) last characters that stand for the same bytes
// one is accepted.
func TestEveryTailOfTwoAndThreeCharacters(t *testing.T) {
	text := []byte(TextPrefix + "AAAA??")
	for a := range 256 {
		for b := range 256 {
			text[8], text[9] = byte(a), byte(b)
			agrees(t, text)
		}
	}
	text = []byte(TextPrefix + "???")
	step := 1
	if invariants.Enabled {
		step = 61
	}
	for v := 0; v < 1<<18; v += step {
		text[4], text[5], text[6] = alphabet[v>>12], alphabet[v>>6&63], alphabet[v&63]
		agrees(t, text)
	}
}

func TestParseTextRefuses(t *testing.T) {
	good := string(AppendText(nil, sample(AES256GCM, 0)))
	tests := []struct {
		name, in string
		want     error
	}{
		{name: "nothing", in: "", want: ErrNotEnvelope},
		{name: "half a prefix", in: "fv1", want: ErrNotEnvelope},
		{name: "a prefix in capitals", in: "FV1:" + good[4:], want: ErrNotEnvelope},
		{name: "the prefix of another version", in: "fv2:" + good[4:], want: ErrNotEnvelope},
		{name: "a space before the prefix", in: " " + good, want: ErrNotEnvelope},
		{name: "base64url without a prefix", in: good[4:], want: ErrNotEnvelope},
		{name: "the raw envelope", in: string(sample(AES256GCM, 0)), want: ErrNotEnvelope},
		{name: "padding", in: good + "=", want: ErrText},
		{name: "padding of a whole group", in: "fv1:AA==", want: ErrText},
		{name: "the characters of standard base64", in: "fv1:+/AA", want: ErrText},
		{name: "a line break at the end", in: good + "\n", want: ErrText},
		{name: "a line break inside", in: good[:20] + "\r\n" + good[20:], want: ErrText},
		{name: "a space at the end", in: good + " ", want: ErrText},
		{name: "one character too many", in: "fv1:AAAAA", want: ErrText},
		{name: "unused bits in a tail of two", in: "fv1:AB", want: ErrText},
		{name: "unused bits in a tail of three", in: "fv1:AAB", want: ErrText},
		{name: "a character outside ASCII", in: "fv1:AA\u00e9A", want: ErrText},
		{name: "a zero byte", in: "fv1:AAA\x00", want: ErrText},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // FV-16
			got, err := ParseText([]byte("kept"), []byte(tt.in))
			if !errors.Is(err, tt.want) || !errors.Is(err, ErrFormat) || string(got) != "kept" {
				t.Errorf("ParseText(%q) = %q, %v, want %v", tt.in, got, err, tt.want)
			}
			if _, ok := strict([]byte(tt.in)); ok {
				t.Errorf("the oracle accepts %q", tt.in)
			}
		})
	}
}

func TestIsTextLooksAtThePrefixAlone(t *testing.T) {
	for in, want := range map[string]bool{"fv1:": true, "fv1:!": true, "fv1": false, "": false, "Fv1:AA": false, "xfv1:": false} {
		if got := IsText([]byte(in)); got != want {
			t.Errorf("IsText(%q) = %v", in, got)
		}
	}
}

func TestTextDoesNotAllocateWhereThereIsRoom(t *testing.T) {
	env := sample(AES256GCM, 40)
	text, plain := make([]byte, 0, 200), make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		text = AppendText(text[:0], env)
		var err error
		if plain, err = ParseText(plain[:0], text); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
