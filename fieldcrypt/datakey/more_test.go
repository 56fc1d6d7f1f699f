package datakey

import (
	"bytes"
	"crypto/fips140"
	"math/big"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// nonceOf returns the nonce of an envelope of suite 1.
func nonceOf(t *testing.T, env []byte) []byte {
	t.Helper()
	v, err := ParseValue(env)
	if err != nil {
		t.Fatal(err)
	}
	return v.sealed[:12]
}

// follows tells whether nonce b is the successor of a, modulo 2^96.
func follows(a, b []byte) bool {
	next := new(big.Int).Add(new(big.Int).SetBytes(a), big.NewInt(1))
	next.And(next, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 96), big.NewInt(1)))
	return bytes.Equal(next.FillBytes(make([]byte, 12)), b)
}

// FV-11: the nonces of records that one call was given are one run, which ends where
// anything took time.
func TestFV11NoncesOfACallFollowEachOtherUntilALeaseIsTaken(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("in FIPS 140-3 mode the module draws each nonce")
	}
	c := newCache(t, kmstest.NewFake())
	w := c.testScope(t, ScopeSpec{}).NewSealer()
	seal := func(reserve func() error) []byte {
		t.Helper()
		if err := reserve(); err != nil {
			t.Fatal(err)
		}
		env, err := w.Append(nil, []byte("x"), w.Head(testPlace))
		if err != nil {
			t.Fatal(err)
		}
		w.Done()
		return nonceOf(t, env)
	}
	one := func() error { return w.Reserve(t.Context(), 1, 1) }
	more := func() error { return w.ReserveMore(t.Context(), 1, 1) }
	first := seal(one)
	second := seal(more)
	if !follows(first, second) {
		t.Errorf("%x is not followed by %x", first, second)
	}
	if third := seal(one); follows(second, third) {
		t.Error("a record of another call goes on with the nonces of the one before")
	}
	last := seal(more)
	w.seals = 0 // the lease is used up
	if next := seal(more); follows(last, next) {
		t.Error("the nonces go on over another lease")
	}
	last = seal(more)
	w.scope.current.Store(nil) // the key is not the current one any more
	if next := seal(more); follows(last, next) {
		t.Error("the nonces go on over another key")
	}
	seen := make(map[string]bool)
	for i := range 100_000 {
		reserve := more
		if i%1000 == 0 {
			reserve = one
		}
		if n := string(seal(reserve)); seen[n] {
			t.Fatalf("nonce %d comes twice", i)
		} else {
			seen[n] = true
		}
	}
}
