package aead

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/internal/vectors"
)

// fixed returns Nonces whose next one is the given.
func fixed(nonce []byte) *Nonces {
	n := &Nonces{inside: true}
	before := new(big.Int).Sub(new(big.Int).SetBytes(nonce), big.NewInt(1))
	before.Mod(before, new(big.Int).Lsh(big.NewInt(1), 96)).FillBytes(n.buf[:gcmNonceSize])
	return n
}

func key(b []byte) secret.Bytes { return secret.Take(bytes.Clone(b)) }

func TestWycheproofAESGCMOpensValidAndRefusesInvalid(t *testing.T) {
	var file struct {
		TestGroups []struct {
			KeySize, IvSize, TagSize int
			Tests                    []struct {
				TcID                       int
				Key, Iv, Aad, Msg, Ct, Tag vectors.Hex
				Result                     string
			}
		}
	}
	vectors.Load(t, "wycheproof/aes_gcm_test.json", &file)
	valid, invalid, other := 0, 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			sealed := append(append(bytes.Clone(tc.Iv), tc.Ct...), tc.Tag...)
			for _, module := range modes() {
				c, err := newGCM(key(tc.Key), module)
				if g.KeySize != 256 {
					if err == nil {
						t.Errorf("case %d: key of %d bits accepted", tc.TcID, g.KeySize)
					}
					other++
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if g.IvSize != 96 {
					// Our layout has room for 12 bytes only, so such a value reads as
					// something else and must be refused.
					if _, err := c.Open(nil, sealed, tc.Aad); err == nil {
						t.Errorf("case %d: nonce of %d bits opened", tc.TcID, g.IvSize)
					}
					other++
					continue
				}
				got, err := c.Open([]byte("x"), sealed, tc.Aad)
				if tc.Result == "valid" {
					valid++
					if err != nil || !bytes.Equal(got[1:], tc.Msg) {
						t.Errorf("case %d: Open: %v", tc.TcID, err)
					}
					if module {
						continue // the module draws the nonce, so there is no known answer
					}
					out, err := c.Seal(nil, tc.Msg, tc.Aad, fixed(tc.Iv))
					if err != nil || !bytes.Equal(out, sealed) {
						t.Errorf("case %d: Seal differs, err %v", tc.TcID, err)
					}
					continue
				}
				invalid++
				if err == nil || string(got) != "x" {
					t.Errorf("case %d: invalid value opened", tc.TcID)
				}
			}
		}
	}
	if valid == 0 || invalid == 0 {
		t.Fatalf("%d valid and %d invalid cases ran", valid, invalid)
	}
	t.Logf("%d valid, %d invalid, %d of other key or nonce sizes", valid, invalid, other)
}

// xaesVectors is the file of C2SP.
type xaesVectors struct {
	Tests []struct {
		ID                                  int
		Key, Nonce, K1, Subkey, Pt, Aad, Ct vectors.Hex
	}
	Accumulated struct {
		Iterations10000 string `json:"iterations_10000"`
	}
}

func TestXAESVectorsOfC2SP(t *testing.T) {
	var file xaesVectors
	vectors.Load(t, "c2sp/xaes-256-gcm.json", &file)
	if len(file.Tests) == 0 {
		t.Fatal("no cases")
	}
	for _, tc := range file.Tests {
		x, err := NewXAES(key(tc.Key))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x.k1[:], tc.K1) {
			t.Errorf("case %d: K1 = %x, want %x", tc.ID, x.k1, tc.K1)
		}
		sealed := append(bytes.Clone(tc.Nonce), tc.Ct...)
		for _, module := range modes() {
			x, err := newXAES(key(tc.Key), module)
			if err != nil {
				t.Fatal(err)
			}
			if !module { // which would draw the second half of the nonce
				if out, err := x.sealWithNonce(nil, tc.Pt, tc.Aad, tc.Nonce); err != nil || !bytes.Equal(out, sealed) {
					t.Errorf("case %d: Seal = %x, %v", tc.ID, out, err)
				}
			}
			if got, err := x.Open(nil, sealed, tc.Aad); err != nil || !bytes.Equal(got, tc.Pt) {
				t.Errorf("case %d: Open (module %v) = %x, %v", tc.ID, module, got, err)
			}
		}
	}
}

// The accumulated vector: keys, nonces, plaintexts and AADs from one SHAKE-128
// stream, all ciphertexts into another.
func TestXAESAccumulatedVectorOfC2SP(t *testing.T) {
	fixesNonces(t)
	var file xaesVectors
	vectors.Load(t, "c2sp/xaes-256-gcm.json", &file)
	in, acc := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte { b := make([]byte, n); _, _ = in.Read(b); return b }
	for range 10_000 {
		k, nonce := read(KeySize), read(xaesNonceSize)
		pt := read(int(read(1)[0]))
		aad := read(int(read(1)[0]))
		x, err := NewXAES(secret.Take(k))
		if err != nil {
			t.Fatal(err)
		}
		out, err := x.sealWithNonce(nil, pt, aad, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := x.Open(nil, out, aad); err != nil || !bytes.Equal(got, pt) {
			t.Fatalf("round trip: %v", err)
		}
		_, _ = acc.Write(out[xaesNonceSize:])
	}
	sum := make([]byte, 32)
	_, _ = acc.Read(sum)
	if got := hex.EncodeToString(sum); got != file.Accumulated.Iterations10000 {
		t.Errorf("accumulated hash = %s, want %s", got, file.Accumulated.Iterations10000)
	}
}

// AES-GCM opens one ciphertext under two keys, which is why docs/format.md
// section 1 has commitments. Package datakey shows that they refuse it.
func TestGCMAloneDoesNotCommitToItsKey(t *testing.T) {
	var file struct {
		Tests []struct {
			ID                                        string
			Key1, Key2, Nonce, AAD, Ct, Tag, Pt1, Pt2 vectors.Hex
		}
	}
	vectors.Load(t, "commitment/gcm-two-key.json", &file)
	for _, tc := range file.Tests {
		sealed := append(append(bytes.Clone(tc.Nonce), tc.Ct...), tc.Tag...)
		for i, want := range [][]byte{tc.Pt1, tc.Pt2} {
			c, err := NewGCM(key([][]byte{tc.Key1, tc.Key2}[i]))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.Open(nil, sealed, tc.AAD); err != nil || !bytes.Equal(got, want) {
				t.Errorf("case %s, key %d: %x, %v", tc.ID, i+1, got, err)
			}
		}
	}
}
