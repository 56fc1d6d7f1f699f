package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/fieldveil/fieldveil/internal/vectors"
)

// The oracle is docs/format.md written a second time, from the standard library
// alone and with nothing of the packages under test, so that both must be wrong
// in the same way for a mistake to pass. It takes nonces from its caller, which
// nothing outside of tests may.

// oracleKey is a data key with all that section 1 derives from it.
type oracleKey struct {
	data, commitment, id []byte
	seal                 map[byte][]byte
}

func deriveOracle(t testing.TB, data []byte) oracleKey {
	t.Helper()
	k := oracleKey{data: data, commitment: derive(t, data, "fieldveil/1 commitment", 32), seal: map[byte][]byte{}}
	k.id = k.commitment[:12]
	for suite, size := range map[byte]int{1: 32, 2: 32, 3: 64} {
		k.seal[suite] = derive(t, data, "fieldveil/1 seal "+string(rune(suite)), size)
	}
	return k
}

func derive(t testing.TB, key []byte, info string, n int) []byte {
	t.Helper()
	out, err := hkdf.Key(sha256.New, key, nil, info, n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// oracleContext is section 3, for fields.
func oracleContext(parts ...string) (encoding, id []byte) { return oracleContextOf(1, parts...) }

func oracleContextOf(kind byte, parts ...string) (encoding, id []byte) {
	encoding = append([]byte("fieldveil/1 context"), kind)
	for _, p := range parts {
		encoding = append(encoding, byte(len(p)>>8), byte(len(p)))
		encoding = append(encoding, p...)
	}
	sum := sha256.Sum256(encoding)
	return encoding, sum[:8]
}

// oracleSeal is section 2: header, nonce, ciphertext and tag.
func oracleSeal(t testing.TB, k oracleKey, suite byte, contextID, nonce, plain []byte) []byte {
	t.Helper()
	header := bytes.Join([][]byte{{1, suite}, k.id, contextID}, nil)
	switch suite {
	case 1:
		return append(header, oracleGCM(t, k.seal[1], nonce, plain, header)...)
	case 2:
		return append(header, oracleXAES(t, k.seal[2], nonce, plain, header)...)
	default:
		return append(header, oracleSIV(t, k.seal[3], plain, header)...)
	}
}

// oracleGCM returns nonce, ciphertext and tag.
func oracleGCM(t testing.TB, key, nonce, plain, aad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm.Seal(bytes.Clone(nonce), nonce, plain, bytes.Clone(aad))
}

// oracleXAES returns nonce, ciphertext and tag. The key of the message is two
// CMACs over counter, label, zero and the first half of the nonce.
func oracleXAES(t testing.TB, key, nonce, plain, aad []byte) []byte {
	t.Helper()
	var k []byte
	for i := range byte(2) {
		m := append([]byte{0, i + 1, 'X', 0}, nonce[:12]...)
		k = append(k, cmac(t, key, m)...)
	}
	return append(bytes.Clone(nonce[:12]), oracleGCM(t, k, nonce[12:], plain, aad)...)
}

// oracleSIV is RFC 5297 with one associated string: the synthetic IV, then the
// ciphertext.
func oracleSIV(t testing.TB, key, plain, aad []byte) []byte {
	t.Helper()
	xor := func(a, b []byte) []byte {
		out := bytes.Clone(a)
		for i := range out {
			out[i] ^= b[i]
		}
		return out
	}
	mac, ctr := key[:32], key[32:]
	d := xor(double(cmac(t, mac, make([]byte, 16))), cmac(t, mac, aad))
	var v []byte
	if n := len(plain); n >= 16 {
		v = cmac(t, mac, append(bytes.Clone(plain[:n-16]), xor(plain[n-16:], d)...))
	} else {
		padded := append(append(bytes.Clone(plain), 0x80), make([]byte, 15-n)...)
		v = cmac(t, mac, xor(double(d), padded))
	}
	block, err := aes.NewCipher(ctr)
	if err != nil {
		t.Fatal(err)
	}
	q := bytes.Clone(v)
	q[8] &= 0x7f
	q[12] &= 0x7f
	out := make([]byte, len(plain))
	cipher.NewCTR(block, q).XORKeyStream(out, plain)
	return append(v, out...)
}

// double multiplies by two in the field of CMAC.
func double(b []byte) []byte {
	hi, lo := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	out := binary.BigEndian.AppendUint64(nil, hi<<1|lo>>63)
	out = binary.BigEndian.AppendUint64(out, lo<<1)
	if hi>>63 == 1 {
		out[15] ^= 0x87
	}
	return out
}

// cmac is AES-CMAC of SP 800-38B for messages of any length.
func cmac(t testing.TB, key, msg []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	l := make([]byte, 16)
	block.Encrypt(l, l)
	subkey := double(l)
	msg = bytes.Clone(msg)
	if len(msg) == 0 || len(msg)%16 != 0 {
		subkey = double(subkey)
		msg = append(msg, 0x80)
		msg = append(msg, make([]byte, (16-len(msg)%16)%16)...)
	}
	last := msg[len(msg)-16:]
	for i := range last {
		last[i] ^= subkey[i]
	}
	mac := make([]byte, 16)
	for ; len(msg) > 0; msg = msg[16:] {
		for i := range mac {
			mac[i] ^= msg[i]
		}
		block.Encrypt(mac, mac)
	}
	return mac
}

// The oracle itself, against the vectors of the cipher's authors.
func TestTheOracleIsXAES(t *testing.T) {
	skipWithoutNonces(t)
	var file struct {
		Tests []struct {
			ID                      int
			Key, Nonce, Pt, Aad, Ct vectors.Hex
		}
	}
	vectors.Load(t, "c2sp/xaes-256-gcm.json", &file)
	if len(file.Tests) == 0 {
		t.Fatal("no cases")
	}
	for _, tc := range file.Tests {
		got := oracleXAES(t, tc.Key, tc.Nonce, tc.Pt, tc.Aad)
		if want := append(bytes.Clone(tc.Nonce), tc.Ct...); !bytes.Equal(got, want) {
			t.Errorf("case %d: %x, want %x", tc.ID, got, want)
		}
	}
}

func TestTheOracleIsSIV(t *testing.T) {
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
	ran := 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			if g.KeySize != 512 || tc.Result != "valid" {
				continue
			}
			ran++
			if got := oracleSIV(t, tc.Key, tc.Msg, tc.Aad); !bytes.Equal(got, tc.Ct) {
				t.Errorf("case %d: %x, want %x", tc.TcID, got, tc.Ct)
			}
		}
	}
	if ran == 0 {
		t.Fatal("no cases")
	}
}
