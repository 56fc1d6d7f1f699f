package aead

import (
	"bytes"
	"errors"
	"testing"
)

func ciphers(t *testing.T) map[string]AEAD {
	t.Helper()
	out := make(map[string]AEAD)
	for _, module := range []bool{false, true} {
		suffix := map[bool]string{false: "", true: " in module mode"}[module]
		g, err := newGCM(key(bytes.Repeat([]byte{7}, KeySize)), module)
		if err != nil {
			t.Fatal(err)
		}
		x, err := newXAES(key(bytes.Repeat([]byte{7}, KeySize)), module)
		if err != nil {
			t.Fatal(err)
		}
		out["gcm"+suffix], out["xaes"+suffix] = g, x
	}
	return out
}

func TestBothModesReadWhatTheOtherWrites(t *testing.T) {
	all := ciphers(t)
	for name, pair := range map[string][2]AEAD{
		"gcm": {all["gcm"], all["gcm in module mode"]}, "xaes": {all["xaes"], all["xaes in module mode"]},
	} {
		for i, c := range pair {
			sealed, err := c.Seal([]byte("head"), []byte("value"), []byte("aad"), new(Nonces))
			if err != nil {
				t.Fatal(err)
			}
			if len(sealed) != 4+c.NonceSize()+5+TagSize {
				t.Errorf("%s: %d bytes", name, len(sealed))
			}
			got, err := pair[1-i].Open([]byte("h"), sealed[4:], []byte("aad"))
			if err != nil || string(got) != "hvalue" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

func TestAnyChangeIsRefused(t *testing.T) {
	for name, c := range ciphers(t) {
		sealed, err := c.Seal(nil, []byte("0123456789"), []byte("aad"), new(Nonces))
		if err != nil {
			t.Fatal(err)
		}
		dst := []byte("kept")
		check := func(what string, sealed, aad []byte) {
			t.Helper()
			got, err := c.Open(dst, sealed, aad)
			if !errors.Is(err, ErrOpen) || string(got) != "kept" {
				t.Errorf("%s: %s: %q, %v", name, what, got, err)
			}
		}
		for bit := range len(sealed) * 8 {
			bad := bytes.Clone(sealed)
			bad[bit/8] ^= 1 << (bit % 8)
			check("flipped bit", bad, []byte("aad"))
		}
		for n := range sealed {
			check("cut", sealed[:n], []byte("aad"))
		}
		check("longer", append(bytes.Clone(sealed), 0), []byte("aad"))
		check("other AAD", sealed, []byte("aae"))
		check("no AAD", sealed, nil)
	}
}

func TestKeysOfOtherSizesAreRefused(t *testing.T) {
	for _, n := range []int{0, 16, 24, 31, 33, 64} {
		if _, err := NewGCM(key(make([]byte, n))); err == nil {
			t.Errorf("GCM takes %d bytes", n)
		}
		if _, err := NewXAES(key(make([]byte, n))); err == nil {
			t.Errorf("XAES takes %d bytes", n)
		}
	}
}

func TestTheKeyMayBeWipedAfterConstruction(t *testing.T) {
	k := key(bytes.Repeat([]byte{9}, KeySize))
	g, err := NewGCM(k)
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewXAES(k)
	if err != nil {
		t.Fatal(err)
	}
	k.Wipe()
	for _, c := range []AEAD{g, x} {
		sealed, err := c.Seal(nil, []byte("v"), nil, new(Nonces))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Open(nil, sealed, nil); err != nil || string(got) != "v" {
			t.Errorf("%T: %q, %v", c, got, err)
		}
	}
}

// FV-11: every seal has a nonce of its own, across the ends of the stock and of
// records.
func TestNoncesNeverRepeat(t *testing.T) {
	seen := make(map[[12]byte]bool)
	n := new(Nonces)
	for record := range 2000 {
		n.Expect(record % 50 * 12)
		for range record % 70 {
			var nonce [12]byte
			copy(nonce[:], n.take(12))
			if seen[nonce] || nonce == [12]byte{} {
				t.Fatalf("record %d: nonce %x", record, nonce)
			}
			seen[nonce] = true
		}
	}
}

func TestExpectDropsWhatAnEarlierRecordLeft(t *testing.T) {
	n := new(Nonces)
	n.Expect(120)
	n.take(12)
	if n.have-n.next != 108 {
		t.Fatalf("%d bytes left, want 108", n.have-n.next)
	}
	n.Expect(24)
	if n.have-n.next != 0 {
		t.Errorf("%d bytes left after Expect", n.have-n.next)
	}
}

func TestSealAndOpenDoNotAllocateWithGCM(t *testing.T) {
	g, err := NewGCM(key(make([]byte, KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	n := new(Nonces)
	buf, plain, aad := make([]byte, 0, 200), make([]byte, 40), make([]byte, 22)
	out := make([]byte, 0, 100)
	if a := testing.AllocsPerRun(100, func() {
		n.Expect(12)
		sealed, err := g.Seal(buf, plain, aad, n)
		if err == nil {
			_, err = g.Open(out, sealed, aad)
		}
		if err != nil {
			t.Fatal(err)
		}
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}
