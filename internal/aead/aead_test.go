package aead

import (
	"bytes"
	"crypto/fips140"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"
)

// modes are those that this process may use: where FIPS 140-3 is enforced, only
// the module may draw nonces.
func modes() []bool {
	if fips140.Enforced() {
		return []bool{true}
	}
	return []bool{false, true}
}

// fixesNonces skips a test whose nonces are given.
func fixesNonces(t *testing.T) {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("enforced FIPS 140-3 lets nobody choose a nonce: known answers are not tested in this mode")
	}
}

func ciphers(t *testing.T) map[string]AEAD {
	t.Helper()
	out := make(map[string]AEAD)
	for _, module := range modes() {
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
	fixesNonces(t)
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

// FV-11: no nonce repeats, within records and across them.
func TestNoncesNeverRepeat(t *testing.T) {
	seen := make(map[[12]byte]bool)
	n := new(Nonces)
	for record := range 2000 {
		n.Reset()
		for range record % 70 {
			nonce := *n.next96()
			if seen[nonce] {
				t.Fatalf("record %d: nonce %x", record, nonce)
			}
			seen[nonce] = true
		}
	}
}

// FV-11: a record starts at random, and goes on by one.
func TestARecordStartsAtRandomAndCountsOn(t *testing.T) {
	n := new(Nonces)
	first := *n.next96()
	want := new(big.Int).Add(new(big.Int).SetBytes(first[:]), big.NewInt(1))
	if got := new(big.Int).SetBytes(n.next96()[:]); got.Cmp(want) != 0 {
		t.Errorf("second nonce %x, want %x", got, want)
	}
	n.Reset()
	if again := *n.next96(); bytes.Equal(again[:8], first[:8]) {
		t.Errorf("the next record starts at %x, near %x", again, first)
	}
	// 96 random bits: each differs between two records half the time.
	ones := make([]int, 96)
	for range 1000 {
		n.Reset()
		for i, b := range n.next96() {
			for bit := range 8 {
				ones[i*8+bit] += int(b >> bit & 1)
			}
		}
	}
	for i, k := range ones {
		if k < 350 || k > 650 {
			t.Errorf("bit %d is set in %d of 1000 nonces", i, k)
		}
	}
}

func TestTheIncrementCarriesOverAllBytesAndWraps(t *testing.T) {
	for _, tt := range []struct{ name, before, after string }{
		{"within the last byte", "000000000000000000000041", "000000000000000000000042"},
		{"over the last four bytes", "0000000100000001ffffffff", "000000010000000200000000"},
		{"over the last eight bytes", "00000001ffffffffffffffff", "000000020000000000000000"},
		{"over everything", "ffffffffffffffffffffffff", "000000000000000000000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &Nonces{inside: true}
			if _, err := hex.Decode(n.buf[:], []byte(tt.before)); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(n.next96()[:]); got != tt.after {
				t.Errorf("%s, want %s", got, tt.after)
			}
		})
	}
}

// FV-11: XAES draws all 192 bits for every value.
func TestXAESDrawsEveryNonce(t *testing.T) {
	seen := make(map[[12]byte]bool)
	for _, module := range modes() {
		x, err := newXAES(key(make([]byte, KeySize)), module)
		if err != nil {
			t.Fatal(err)
		}
		n := new(Nonces)
		for range 100 {
			out, err := x.Seal(nil, nil, nil, n)
			if err != nil {
				t.Fatal(err)
			}
			for _, half := range [][]byte{out[:12], out[12:24]} {
				if seen[[12]byte(half)] {
					t.Fatalf("module %v: half nonce %x repeats", module, half)
				}
				seen[[12]byte(half)] = true
			}
		}
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
		n.Reset()
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
