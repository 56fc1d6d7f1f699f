package datakey

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

func TestAHeadOpensWhatBeginsLikeIt(t *testing.T) {
	for _, suite := range suites {
		c := newCache(t, kmstest.NewFake())
		s := c.testScope(t, ScopeSpec{Suite: suite})
		env := sealOne(t, s.NewSealer(), "jane@example.com")
		o := s.Cached(keyIDOf(t, env))
		text, h := envelope.AppendText(nil, env), o.Head(testPlace)
		if !h.Opens(text) {
			t.Fatal("its own value is not recognised")
		}
		scratch := make([]byte, 0, 256)
		out, again, err := h.AppendText([]byte("before"), text, scratch)
		if err != nil || string(out) != "beforejane@example.com" {
			t.Errorf("suite %d: opened %q, %v", suite, out, err)
		}
		if cap(again) != cap(scratch) {
			t.Error("scratch is not given back")
		}
		for n := range h.text {
			if h.Opens(text[:n]) {
				t.Fatalf("a text of %d bytes is recognised", n)
			}
			other := bytes.Clone(text)
			other[n] ^= 1
			if h.Opens(other) {
				t.Fatalf("byte %d does not count", n)
			}
		}
		// The other ways of opening and this one agree on every text.
		for i := len(h.text); i < len(text); i++ {
			for _, b := range []byte("AZaz09-_=\n") {
				if text[i] == b {
					continue
				}
				bad := bytes.Clone(text)
				bad[i] = b
				out, _, err := h.AppendText([]byte("dst"), bad, scratch)
				if err == nil || string(out) != "dst" {
					t.Fatalf("suite %d, character %d = %q: %q, %v", suite, i, b, out, err)
				}
			}
			if out, _, err := h.AppendText(nil, text[:i], scratch); err == nil {
				t.Fatalf("suite %d, cut to %d characters: %q", suite, i, out)
			}
		}
		if sealers := s.NewSealer(); sealers.Reserve(t.Context(), 1, 1) != nil || sealers.Head(testPlace).Opens(text) {
			t.Error("the head of a Sealer opens")
		}
		c.Close()
		if h.Opens(text) {
			t.Error("a head outlives its opener")
		}
	}
}

// The last byte of the place stands where the text form of the header ends in
// the middle of a group, so it is compared apart.
func TestAHeadRefusesTheNeighbouringPlace(t *testing.T) {
	s := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{})
	env := sealOne(t, s.NewSealer(), "jane")
	text, o := envelope.AppendText(nil, env), s.Cached(keyIDOf(t, env))
	for i := range testPlace {
		other := testPlace
		other[i] ^= 1
		h := o.Head(other)
		if last := i == len(other)-1; h.Opens(text) != last {
			t.Errorf("place byte %d: Opens = %v", i, !last)
		} else if last {
			if out, _, err := h.AppendText(nil, text, nil); !errors.Is(err, ErrOtherPlace) {
				t.Errorf("opened %q, %v", out, err)
			}
		}
	}
}

func TestTheHeadOfAnOpenerDoesNotSeal(t *testing.T) {
	s := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{})
	w := s.NewSealer()
	sealOne(t, w, "x")
	h := s.Cached(w.KeyID()).Head(testPlace)
	if w.Current(h) {
		t.Error("it is taken for a Sealer's")
	}
	for name, sealer := range map[string]*Sealer{"with a key": w, "without a key": s.NewSealer()} {
		if out, err := sealer.Append(nil, []byte("x"), h); err == nil || out != nil {
			t.Errorf("a Sealer %s: %x, %v", name, out, err)
		}
	}
}

func TestFV3AHeadNamesOneKey(t *testing.T) {
	fake := kmstest.NewFake()
	one, two := write(t, fake, ScopeSpec{}, "a"), write(t, fake, ScopeSpec{}, "b")
	s := newCache(t, fake).testScope(t, ScopeSpec{})
	o, err := s.Opener(t.Context(), one.id, one.blocks())
	if err != nil {
		t.Fatal(err)
	}
	h := o.Head(testPlace)
	if text := envelope.AppendText(nil, two.env); h.Opens(text) {
		t.Error("it takes a value of another key")
	}
	// Under the right name the cipher refuses it.
	copy(two.env[2:], one.id[:])
	if out, _, err := h.AppendText(nil, envelope.AppendText(nil, two.env), nil); !errors.Is(err, ErrTampered) {
		t.Errorf("opened %q, %v", out, err)
	}
}
