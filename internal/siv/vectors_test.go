package siv

import (
	"bytes"
	"testing"

	"github.com/fieldveil/fieldveil/internal/vectors"
)

// checkValid holds a known answer against both directions.
func checkValid(t *testing.T, id any, key, msg, ct []byte, components ...[]byte) {
	t.Helper()
	c, err := newCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.SealVector([]byte("x"), msg, components...); err != nil || string(got) != "x"+string(ct) {
		t.Errorf("case %v: sealed %x, %v", id, got, err)
	}
	if got, err := c.OpenVector([]byte("x"), ct, components...); err != nil || string(got) != "x"+string(msg) {
		t.Errorf("case %v: opened %x, %v", id, got, err)
	}
}

func checkInvalid(t *testing.T, id any, key, ct []byte, components ...[]byte) {
	t.Helper()
	c, err := newCipher(key)
	if err != nil {
		return // a key that no AES has
	}
	dst := append(make([]byte, 0, 1+len(ct)), 'x')
	got, err := c.OpenVector(dst, ct, components...)
	if err == nil || string(got) != "x" {
		t.Errorf("case %v: opened %x", id, got)
	}
	if rest := dst[1:cap(dst)]; !bytes.Equal(rest, make([]byte, len(rest))) {
		t.Errorf("case %v: %x is left behind", id, rest)
	}
}

func TestVectorsOfTheRFC(t *testing.T) {
	var file struct {
		Tests []struct {
			ID           string
			Key, Msg, Ct vectors.Hex
			Aads         []vectors.Hex
		}
	}
	vectors.Load(t, "rfc/rfc5297-aes-siv.json", &file)
	if len(file.Tests) != 2 {
		t.Fatalf("%d cases", len(file.Tests))
	}
	for _, tc := range file.Tests {
		var components [][]byte
		for _, a := range tc.Aads {
			components = append(components, a)
		}
		checkValid(t, tc.ID, tc.Key, tc.Msg, tc.Ct, components...)
		for i := range tc.Ct {
			tc.Ct[i] ^= 1
			checkInvalid(t, tc.ID, tc.Key, tc.Ct, components...)
			tc.Ct[i] ^= 1
		}
	}
}

func TestWycheproofAESSIVOpensValidAndRefusesInvalid(t *testing.T) {
	var file struct {
		TestGroups []struct {
			KeySize int
			Tests   []struct {
				TcID              int
				Key, Aad, Msg, Ct vectors.Hex
				Result            string
			}
		}
	}
	vectors.Load(t, "wycheproof/aes_siv_cmac_test.json", &file)
	valid, invalid, ours := 0, 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			if tc.Result != "valid" {
				invalid++
				checkInvalid(t, tc.TcID, tc.Key, tc.Ct, tc.Aad)
				continue
			}
			valid++
			checkValid(t, tc.TcID, tc.Key, tc.Msg, tc.Ct, tc.Aad)
			c, err := New(tc.Key)
			if (err == nil) != (g.KeySize == 8*KeySize) {
				t.Fatalf("case %d: New with a key of %d bits: %v", tc.TcID, g.KeySize, err)
			}
			if err != nil {
				continue
			}
			ours++
			if got := c.Seal(nil, tc.Msg, tc.Aad); !bytes.Equal(got, tc.Ct) {
				t.Errorf("case %d: Seal %x", tc.TcID, got)
			}
			if got, err := c.Open(nil, tc.Ct, tc.Aad); err != nil || !bytes.Equal(got, tc.Msg) {
				t.Errorf("case %d: Open %x, %v", tc.TcID, got, err)
			}
		}
	}
	if valid != 118 || invalid != 324 || ours == 0 {
		t.Fatalf("%d valid and %d invalid cases ran, %d of our key size", valid, invalid, ours)
	}
}

// Three strings: associated data, nonce and plaintext.
func TestWycheproofAESSIVWithANonce(t *testing.T) {
	var file struct {
		TestGroups []struct {
			Tests []struct {
				TcID                       int
				Key, Iv, Aad, Msg, Ct, Tag vectors.Hex
				Result                     string
			}
		}
	}
	vectors.Load(t, "wycheproof/aead_aes_siv_cmac_test.json", &file)
	valid, invalid := 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			sealed := append(bytes.Clone(tc.Tag), tc.Ct...)
			if tc.Result == "valid" {
				valid++
				checkValid(t, tc.TcID, tc.Key, tc.Msg, sealed, tc.Aad, tc.Iv)
			} else {
				invalid++
				checkInvalid(t, tc.TcID, tc.Key, sealed, tc.Aad, tc.Iv)
			}
		}
	}
	if valid != 252 || invalid != 648 {
		t.Fatalf("%d valid and %d invalid cases ran", valid, invalid)
	}
}
