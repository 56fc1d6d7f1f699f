package datakey

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/tokenize"
)

var testDigest = [32]byte{9, 8, 7}

// hkdfByHand is RFC 5869 for one block of output and an empty salt, without the
// package that the code uses.
func hkdfByHand(secret []byte, info string) []byte {
	mac := func(key, text []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(text)
		return h.Sum(nil)
	}
	return mac(mac(make([]byte, sha256.Size), secret), append([]byte(info), 1))
}

// openerOf returns the opener of the last version of a new domain, and its key.
func openerOf(t *testing.T) (*Domain, *Opener, []byte) {
	t.Helper()
	w := new(plainKMS)
	block := newBlock(t, w, "")
	d := newCache(t, w).testDomain(t, DomainSpec{Name: "join", KEKs: []string{testKEK}, Blocks: [][]byte{block}})
	ids := d.KeyIDs()
	o, err := d.Opener(t.Context(), ids[len(ids)-1])
	if err != nil {
		t.Fatal(err)
	}
	return d, o, w.keys()[0]
}

// FV-92 and the derivation above it.
func TestValueKeysAreDerivedAsTheFormatSays(t *testing.T) {
	_, o, key := openerOf(t)
	derivation := hkdfByHand(key, "fieldveil/1 derive")
	valueKey := hkdfByHand(derivation, "fieldveil/1 value key "+string(testDigest[:]))

	mac := hmac.New(sha256.New, valueKey)
	mac.Write([]byte("jane@example.com"))
	want := mac.Sum(nil)

	h, err := o.Hash(testDigest, tokenize.HashHex)
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Append(nil, []byte("jane@example.com"))
	if err != nil || string(got) != hex.EncodeToString(want) {
		t.Errorf("hash %s, %v", got, err)
	}

	days, err := o.Shift(testDigest, 30)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := days([]byte("jane@example.com")), int(binary.BigEndian.Uint64(want)%61)-30; got != want {
		t.Errorf("shift by %d days, not %d", got, want)
	}

	opts := tokenize.FF1Options{Alphabet: tokenize.Digits}
	ours, err := o.FF1(testDigest, opts)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := tokenize.NewFF1(valueKey, opts)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ours.Append(nil, []byte("123456789"))
	b, err2 := theirs.Append(nil, []byte("123456789"))
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("FF1: %s and %s, %v, %v", a, b, err, err2)
	}
}

func TestPlacesHaveValueKeysOfTheirOwn(t *testing.T) {
	_, o, _ := openerOf(t)
	seen := map[string]int{}
	for i := range 256 {
		h, err := o.Hash([32]byte{byte(i)}, tokenize.HashHex)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := h.Append(nil, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if j, ok := seen[string(sum)]; ok {
			t.Errorf("places %d and %d are one", i, j)
		}
		seen[string(sum)] = i
	}
}

func TestShiftsStayInTheirRange(t *testing.T) {
	_, o, _ := openerOf(t)
	days, err := o.Shift(testDigest, 2)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]int{}
	for i := range 1000 {
		n := days([]byte{byte(i), byte(i >> 8)})
		if again := days([]byte{byte(i), byte(i >> 8)}); again != n {
			t.Errorf("person %d is moved by %d and %d days", i, n, again)
		}
		seen[n]++
	}
	for n := -2; n <= 2; n++ {
		if seen[n] < 100 {
			t.Errorf("%d of 1000 persons are moved by %d days", seen[n], n)
		}
		delete(seen, n)
	}
	if len(seen) > 0 {
		t.Errorf("out of range: %v", seen)
	}
	for _, bad := range []int{-1, 0, maxShift + 1} {
		if _, err := o.Shift(testDigest, bad); err == nil {
			t.Errorf("up to %d days are taken", bad)
		}
	}
}

// FV-7: a data key that a process made for itself derives no value keys.
func TestRandomDataKeysDeriveNoValueKeys(t *testing.T) {
	c := newCache(t, kmstest.NewFake())
	s := c.testScope(t, ScopeSpec{})
	env := sealOne(t, s.NewSealer(), "x")
	o := s.Cached(keyIDOf(t, env))
	if o == nil {
		t.Fatal("no opener")
	}
	_, err := o.Hash(testDigest, tokenize.HashHex)
	_, err2 := o.FF1(testDigest, tokenize.FF1Options{Alphabet: tokenize.Digits})
	_, err3 := o.Shift(testDigest, 1)
	for _, err := range []error{err, err2, err3} {
		if !errors.Is(err, errNotDomain) {
			t.Error(err)
		}
	}
}

func vaultKeyOf(t *testing.T, d *Domain) *VaultKey {
	t.Helper()
	k, err := d.VaultKey(t.Context(), [32]byte{1}, [32]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// FV-93: the first version makes the index, the last one seals, and all open.
func TestRowsOutliveARotation(t *testing.T) {
	w := kmstest.NewFake()
	first, second := newBlock(t, w, ""), newBlock(t, w, "")
	spec := DomainSpec{Name: "join", KEKs: []string{testKEK}, Blocks: [][]byte{first}}
	before := vaultKeyOf(t, newCache(t, w).testDomain(t, spec))
	spec.Blocks = [][]byte{first, second}
	after := vaultKeyOf(t, newCache(t, w).testDomain(t, spec))

	if before.IndexKeyID() != after.IndexKeyID() || before.Index([]byte("v")) != after.Index([]byte("v")) {
		t.Error("a new version changes the index")
	}
	bound := []byte("scope and token")
	for name, k := range map[string]*VaultKey{"before": before, "after": after} {
		sealed, err := k.Seal([]byte("dst"), []byte("4111111111111111"), bound)
		if err != nil || !bytes.HasPrefix(sealed, []byte("dst\x01")) {
			t.Fatal(name, err)
		}
		if got := ID(sealed[4:16]); got != k.last.id {
			t.Errorf("%s: sealed under %s", name, got)
		}
		out, err := after.Open(t.Context(), []byte("dst"), sealed[3:], bound)
		if err != nil || string(out) != "dst4111111111111111" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if bytes.Contains(sealed, []byte("4111")) {
			t.Errorf("%s: a row shows its value", name)
		}
	}
	sealed, err := after.Seal(nil, []byte("v"), bound)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Open(t.Context(), nil, sealed, bound); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a version that is not configured opens: %v", err)
	}
}

func TestRowsThatWereChangedAreRefused(t *testing.T) {
	d, _, _ := openerOf(t)
	k := vaultKeyOf(t, d)
	bound := []byte("scope and token")
	sealed, err := k.Seal(nil, []byte("value"), bound)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		out, err := k.Open(t.Context(), []byte("dst"), bad, bound)
		if string(out) != "dst" || !errors.Is(err, ErrRow) && !errors.Is(err, ErrUnknownKey) {
			t.Errorf("byte %d: %q, %v", i, out, err)
		}
		if out, err := k.Open(t.Context(), nil, sealed[:i], bound); len(out) != 0 || err == nil {
			t.Errorf("%d bytes: %q, %v", i, out, err)
		}
	}
	if _, err := k.Open(t.Context(), nil, sealed, []byte("another token")); !errors.Is(err, ErrRow) {
		t.Errorf("another row: %v", err)
	}
	other, err := d.VaultKey(t.Context(), [32]byte{1}, [32]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(t.Context(), nil, sealed, bound); !errors.Is(err, ErrRow) {
		t.Errorf("another scope: %v", err)
	}
}

func TestNothingThatWasDerivedPrintsAKey(t *testing.T) {
	d, o, key := openerOf(t)
	h, err := o.Hash(testDigest, tokenize.HashHex)
	if err != nil {
		t.Fatal(err)
	}
	f, err := o.FF1(testDigest, tokenize.FF1Options{Alphabet: tokenize.Digits})
	if err != nil {
		t.Fatal(err)
	}
	derivation := hkdfByHand(key, "fieldveil/1 derive")
	text := fmt.Sprintf("%v %+v %#v %v %+v %#v %v %+v %#v", h, h, h, f, f, f, vaultKeyOf(t, d), o, o.m)
	for _, secret := range [][]byte{key, derivation, hkdfByHand(derivation, "fieldveil/1 value key "+string(testDigest[:]))} {
		for _, form := range []string{string(secret), hex.EncodeToString(secret), fmt.Sprintf("%d", secret)} {
			if strings.Contains(text, form[1:len(form)-1]) {
				t.Error("a key is printed")
			}
		}
	}
}
