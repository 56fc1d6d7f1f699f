package rest

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// sameBase64 compares with the decoder of the standard library.
func sameBase64(t *testing.T, text []byte) {
	t.Helper()
	want := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, wrong := base64.StdEncoding.Decode(want, text)
	got := bytes.Clone(text)
	m, err := decodeBase64(got)
	switch {
	case (wrong == nil) != (err == nil):
		t.Errorf("%q: %v, and not %v", text, err, wrong)
	case err == nil && !bytes.Equal(got[:m], want[:n]):
		t.Errorf("%q: %x, and not %x", text, got[:m], want[:n])
	}
}

func TestBase64IsThatOfTheStandardLibrary(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for n := range all {
		sameBase64(t, []byte(base64.StdEncoding.EncodeToString(all[:n])))
		sameBase64(t, []byte(base64.RawStdEncoding.EncodeToString(all[:n])))
		// One byte that is no letter, at each place of a text of three words.
		for at := range 24 {
			text := []byte(strings.Repeat("QUJD", 6))
			text[at] = all[n]
			sameBase64(t, text)
		}
	}
	for _, text := range []string{"", "=", "QUJDREVG\nR0hJSktM", "QUJDREVGR0=", "QUJDREVGR0==QUJD", "QUJDREVGRP=="} {
		sameBase64(t, []byte(text))
	}
}

func FuzzBase64IsThatOfTheStandardLibrary(f *testing.F) {
	f.Add([]byte("QUJDREVGR0hJSktM"))
	f.Add([]byte("QUJDREVG\r\nR0g="))
	f.Fuzz(sameBase64)
}

// slowText moves behind a string byte by byte.
func slowText(s *scanner) (escaped bool, f fault) {
	for s.i++; s.i < len(s.b); {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return escaped, faultNone
		case c == '\\':
			escaped = true
			n, f := escapeLength(s.b[s.i:])
			if f != faultNone {
				return false, f
			}
			s.i += n
		case c < 0x20:
			return false, faultSyntax
		default:
			s.i++
		}
	}
	return false, faultSyntax
}

func sameText(t *testing.T, text []byte) {
	t.Helper()
	b := append([]byte(`"`), text...)
	slow, fast := scanner{b: b}, scanner{b: b}
	wantEscaped, want := slowText(&slow)
	escaped, f := fast.text()
	if escaped != wantEscaped || f != want || f == faultNone && fast.i != slow.i {
		t.Errorf("%q: %v %d at %d, and not %v %d at %d", b, escaped, f, fast.i, wantEscaped, want, slow.i)
	}
}

func TestALongTextEndsWhereAShortOneWould(t *testing.T) {
	for n := range 150 {
		for _, end := range []string{`"`, `",`, ``, `\"x"`, `\`, `\u12"`, "\x00\"", "\x1f\"", "\x7f\"", "\xc3\xbc\"", `\ud800"`} {
			sameText(t, append(bytes.Repeat([]byte("a"), n), end...))
			sameText(t, append(append(bytes.Repeat([]byte("a"), n), end...), bytes.Repeat([]byte("b"), 100)...))
		}
	}
}

func FuzzALongTextEndsWhereAShortOneWould(f *testing.F) {
	f.Add([]byte(strings.Repeat("a", 100) + `\n"`))
	f.Fuzz(sameText)
}

func BenchmarkLongTexts(b *testing.B) {
	text := base64.StdEncoding.EncodeToString(make([]byte, 631))
	quoted := []byte(`"` + text + `"`)
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(len(quoted)))
		for b.Loop() {
			s := scanner{b: quoted}
			if _, f := s.text(); f != faultNone {
				b.Fatal(f)
			}
		}
	})
	buf := make([]byte, len(text))
	for name, decode := range map[string]func([]byte) (int, error){
		"base64":                         decodeBase64,
		"base64 of the standard library": func(b []byte) (int, error) { return base64.StdEncoding.Decode(b, b) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				copy(buf, text)
				if _, err := decode(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
