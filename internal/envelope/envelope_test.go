package envelope

import (
	"bytes"
	"errors"
	"testing"
)

// sample returns an envelope of the suite with n bytes of ciphertext. Every byte
// of the header differs from its neighbours.
func sample(s Suite, n int) []byte {
	nonce, _ := s.NonceSize()
	b := []byte{Version, byte(s)}
	for i := range KeyIDSize + ContextIDSize + nonce + n + tagSize {
		b = append(b, byte(0x10+i))
	}
	return b
}

func TestTheHeaderIsVersionSuiteKeyIDAndContextID(t *testing.T) {
	h := Header{
		Suite:   XAES256GCM,
		Key:     KeyID{0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xAB},
		Context: ContextID{0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7},
	}
	want := "before\x01\x02\xA0\xA1\xA2\xA3\xA4\xA5\xA6\xA7\xA8\xA9\xAA\xAB\xC0\xC1\xC2\xC3\xC4\xC5\xC6\xC7"
	if got := AppendHeader([]byte("before"), h); string(got) != want {
		t.Errorf("AppendHeader = %x, want %x", got, want)
	}
	if HeaderSize != 22 {
		t.Errorf("a header takes %d bytes, want 22", HeaderSize)
	}
}

// FV-10: what Parse hands out as AAD is the header and nothing else.
func TestParseSplitsBehindTheHeader(t *testing.T) {
	for _, s := range []Suite{AES256GCM, XAES256GCM, AES256SIV} {
		for _, n := range []int{0, 1, 1000} {
			env := sample(s, n)
			h, aad, sealed, err := Parse(env)
			if err != nil {
				t.Fatalf("%v, %d bytes: %v", s, n, err)
			}
			if h.Suite != s || !bytes.Equal(h.Key[:], env[2:14]) || !bytes.Equal(h.Context[:], env[14:22]) {
				t.Errorf("%v, %d bytes: header %+v", s, n, h)
			}
			if !bytes.Equal(aad, env[:22]) || !bytes.Equal(aad, AppendHeader(nil, h)) {
				t.Errorf("%v, %d bytes: AAD %x", s, n, aad)
			}
			if !bytes.Equal(sealed, env[22:]) {
				t.Errorf("%v, %d bytes: sealed %x", s, n, sealed)
			}
			if cap(aad) != HeaderSize {
				t.Errorf("%v: append to the AAD would overwrite the nonce", s)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	with := func(at int, v byte) []byte {
		b := sample(XAES256GCM, 40)
		b[at] = v
		return b
	}
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{name: "nothing", in: nil, want: ErrShort},
		{name: "version 0", in: with(0, 0), want: ErrVersion},
		{name: "version 2", in: with(0, 2), want: ErrVersion},
		{name: "version 255", in: with(0, 255), want: ErrVersion},
		{name: "the text form instead of the bytes", in: AppendText(nil, sample(AES256GCM, 5)), want: ErrVersion},
		{name: "an unknown version even where the rest is missing", in: []byte{9}, want: ErrVersion},
		{name: "a header without its last byte", in: sample(AES256GCM, 0)[:HeaderSize-1], want: ErrShort},
		{name: "a header alone", in: sample(AES256GCM, 0)[:HeaderSize], want: ErrShort},
		{name: "suite 0", in: with(1, 0), want: ErrSuite},
		{name: "suite 4", in: with(1, 4), want: ErrSuite},
		{name: "suite 255", in: with(1, 255), want: ErrSuite},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // FV-12
			refused(t, tt.in, tt.want)
		})
	}
}

// FV-12: 50 bytes for suite 1, 62 for suite 2, 38 for suite 3.
func TestTheShortestEnvelopeIsTheEmptyValue(t *testing.T) {
	for s, shortest := range map[Suite]int{AES256GCM: 50, XAES256GCM: 62, AES256SIV: 38} {
		env := sample(s, 0)
		if len(env) != shortest {
			t.Errorf("%v: empty envelope of %d bytes, want %d", s, len(env), shortest)
		}
		if _, _, _, err := Parse(env); err != nil {
			t.Errorf("%v: %d bytes: %v", s, len(env), err)
		}
		for n := range env {
			refused(t, env[:n], ErrShort)
		}
	}
}

// FV-12: of the 256 suites three are opened.
func TestEverySuiteButThreeIsRefused(t *testing.T) {
	for s := range 256 {
		env := sample(XAES256GCM, 0)
		env[1] = byte(s)
		if s >= 1 && s <= 3 {
			if h, _, _, err := Parse(env); err != nil || h.Suite != Suite(s) {
				t.Errorf("suite %d: %+v, %v", s, h, err)
			}
			continue
		}
		refused(t, env, ErrSuite)
		if n, ok := Suite(s).NonceSize(); ok || n != 0 {
			t.Errorf("suite %d has a nonce of %d bytes", s, n)
		}
	}
}

func refused(t *testing.T, in []byte, want error) {
	t.Helper()
	h, aad, sealed, err := Parse(in)
	if !errors.Is(err, want) || !errors.Is(err, ErrFormat) {
		t.Errorf("Parse of %d bytes: %v, want %v", len(in), err, want)
	}
	if h != (Header{}) || aad != nil || sealed != nil {
		t.Errorf("Parse of %d bytes: results beside the error", len(in))
	}
}

func TestEverySuiteHasAName(t *testing.T) {
	for s, want := range map[Suite]string{
		AES256GCM: "AES-256-GCM", XAES256GCM: "XAES-256-GCM", AES256SIV: "AES-256-SIV", 0: "suite 0", 200: "suite 200",
	} {
		if got := s.String(); got != want {
			t.Errorf("suite %d is called %q, want %q", byte(s), got, want)
		}
	}
}
