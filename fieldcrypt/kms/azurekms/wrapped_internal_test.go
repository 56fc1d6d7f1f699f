package azurekms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func decode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frozen is a wrapped key of format version 1, which every release must open. The
// inner wrap stands for a secret of bytes 40 to 5f; its own bytes are arbitrary.
const frozen = "01 02 20 3031323334353637383961626364656630313233343536373839616263646566" +
	"0028 c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7" +
	"f0f1f2f3f4f5f6f7f8f9fafb 020b2c0492910c343c575e2582cdf34ae65d2ac82e9adbfb301b6ae3db46c5ec f7da0345230887ca84e71bf0a494fe4f"

const (
	frozenSecret = "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
	frozenPlain  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

func frozenContext(t testing.TB) []byte {
	t.Helper()
	ec, err := kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": "acme"}.AppendCanonical(nil)
	if err != nil {
		t.Fatal(err)
	}
	return ec
}

// FV-56, from the bytes alone: the key and the additional data are spelt out, and
// the nonce is that of the fixture.
func TestAFrozenWrappedKeyOpens(t *testing.T) {
	b, ec := decode(t, frozen), frozenContext(t)
	w, err := parseWrapped(b)
	if err != nil {
		t.Fatal(err)
	}
	if w.algorithm != aesKW || string(w.version) != "0123456789abcdef0123456789abcdef" || len(w.inner) != 40 {
		t.Errorf("parsed %v %q, %d bytes", w.algorithm, w.version, len(w.inner))
	}
	got, err := w.open(decode(t, frozenSecret), ec)
	if err != nil || !bytes.Equal(got, decode(t, frozenPlain)) {
		t.Fatalf("opened %x, %v", got, err)
	}
	key, err := hkdf.Key(sha256.New, decode(t, frozenSecret), nil, "fieldveil/1 azure wrap"+string(ec), 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	head, nonce := b[:len(b)-60], b[len(b)-60:len(b)-48]
	if again := gcm.Seal(bytes.Clone(b[:len(b)-48]), nonce, decode(t, frozenPlain), append(bytes.Clone(head), ec...)); !bytes.Equal(again, b) {
		t.Errorf("the specification makes\n%x", again)
	}
}

// FV-56: every byte is authenticated, beside those of the inner wrap that the
// service itself checks as well.
func TestEveryChangedByteIsRefused(t *testing.T) {
	b, ec, secret := decode(t, frozen), frozenContext(t), decode(t, frozenSecret)
	opens := func(b, ec, secret []byte) bool {
		w, err := parseWrapped(b)
		if err == nil {
			_, err = w.open(secret, ec)
		}
		if err != nil && !errors.Is(err, kms.ErrCorrupt) {
			t.Errorf("%v", err)
		}
		return err == nil
	}
	if !opens(b, ec, secret) {
		t.Fatal("the fixture does not open")
	}
	for i := range b {
		for bit := range 8 {
			changed := bytes.Clone(b)
			changed[i] ^= 1 << bit
			if opens(changed, ec, secret) {
				t.Errorf("bit %d of byte %d changed, and it opens", bit, i)
			}
		}
		if opens(b[:i], ec, secret) {
			t.Errorf("cut to %d bytes, it opens", i)
		}
	}
	if opens(append(bytes.Clone(b), 0), ec, secret) {
		t.Error("with a byte more it opens")
	}
	for i := range ec {
		changed := bytes.Clone(ec)
		changed[i] ^= 1
		if opens(b, changed, secret) {
			t.Errorf("byte %d of the context changed, and it opens", i)
		}
	}
	if opens(b, nil, secret) {
		t.Error("without a context it opens")
	}
	for i := range secret {
		changed := bytes.Clone(secret)
		changed[i] ^= 1
		if opens(b, ec, changed) {
			t.Errorf("byte %d of the secret changed, and it opens", i)
		}
	}
}

func TestSealAndOpen(t *testing.T) {
	ec := frozenContext(t)
	for _, w := range []wrappedKey{
		{algorithm: aesKW, version: []byte("1"), inner: random(40)},
		{algorithm: rsaOAEP256, version: bytes.Repeat([]byte("Z"), maxVersion), inner: random(512)},
	} {
		secret, plain := random(secretSize), random(kms.DataKeySize)
		one, err := w.seal(secret, plain, ec)
		if err != nil {
			t.Fatal(err)
		}
		two, err := w.seal(secret, plain, ec)
		if err != nil || bytes.Equal(one, two) {
			t.Errorf("sealed twice, it is the same: %v", err)
		}
		parsed, err := parseWrapped(one)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.open(secret, ec); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%v", err)
		}
	}
}

// What is accepted encodes to the same bytes again.
func FuzzParseWrapped(f *testing.F) {
	b := decode(f, frozen)
	f.Add(b)
	f.Add(b[:50])
	f.Add([]byte{1, 1, 0, 0, 0})
	f.Add(append([]byte{1, 1, 1, 'a', 1, 0}, make([]byte, 256+sealedSize)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := parseWrapped(b)
		if err != nil {
			if !errors.Is(err, kms.ErrCorrupt) {
				t.Errorf("%v", err)
			}
			return
		}
		if again := append(w.header(), w.sealed...); !bytes.Equal(again, b) {
			t.Errorf("%x becomes %x", b, again)
		}
		if !keyVersion(w.version) || bytes.ContainsAny(w.version, "/.%?#") {
			t.Errorf("version %q", w.version)
		}
	})
}

// FV-56: the version becomes part of a path, so nothing else may stand there.
func TestAVersionThatIsNoneIsRefused(t *testing.T) {
	for _, version := range []string{"", "../x", "a/b", "a?b", "a%2f", "a b", "\x00", strings.Repeat("a", maxVersion+1)} {
		w := wrappedKey{algorithm: aesKW, version: []byte(version), inner: make([]byte, 40)}
		if _, err := parseWrapped(append(w.header(), make([]byte, sealedSize)...)); !errors.Is(err, kms.ErrCorrupt) {
			t.Errorf("version %q: %v", version, err)
		}
	}
}
