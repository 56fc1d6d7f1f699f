package tokenize

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/internal/vectors"
)

var hashForms = []HashForm{HashHex, HashHex128, HashBase64, HashUUID, HashDigits}

func newTestHash(t testing.TB, key []byte, form HashForm, opts ...HashOption) *Hash {
	t.Helper()
	h, err := NewHash(key, form, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// hmacOracle is HMAC-SHA-256 by the text of RFC 2104.
func hmacOracle(key, msg []byte) []byte {
	if len(key) > 64 {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	inner, outer := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	first := sha256.Sum256(append(inner, msg...))
	second := sha256.Sum256(append(outer, first[:]...))
	return second[:]
}

// hashOracle writes what the forms say, from the HMAC.
func hashOracle(form HashForm, mac []byte) string {
	switch form {
	case HashHex:
		return fmt.Sprintf("%x", mac)
	case HashHex128:
		return fmt.Sprintf("%x", mac)[:32]
	case HashBase64:
		return strings.TrimRight(base64.URLEncoding.EncodeToString(mac), "=")
	case HashUUID:
		n := new(big.Int).SetBytes(mac[:16])
		for bit, v := range map[int]uint{79: 1, 78: 0, 77: 0, 76: 0, 63: 1, 62: 0} {
			n.SetBit(n, bit, v)
		}
		s := fmt.Sprintf("%032x", n)
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	case HashDigits:
		n := new(big.Int).SetBytes(mac)
		n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(39), nil))
		return fmt.Sprintf("%039d", n)
	}
	panic(form)
}

// tooShortForFIPS tells whether HMAC takes no such key in FIPS 140-only mode,
// where keys of less than 112 bits are not allowed.
func tooShortForFIPS(key []byte) bool { return fips140.Enforced() && len(key) < 14 }

// rawHash is the HMAC under a key of any length.
func rawHash(t *testing.T, key, msg []byte) []byte {
	t.Helper()
	h := &Hash{form: HashHex}
	if err := h.setKey(key); err != nil {
		t.Fatal(err)
	}
	s, _ := h.pool.Get().(*hasher)
	h.raw(s, msg)
	return s.sum[:]
}

func TestVectorsOfRFC4231(t *testing.T) {
	var file struct {
		Tests []struct {
			ID            string
			Key, Msg, Tag vectors.Hex
		}
	}
	vectors.Load(t, "rfc/rfc4231-hmac-sha256.json", &file)
	if len(file.Tests) != 6 {
		t.Fatalf("%d cases", len(file.Tests))
	}
	for _, tc := range file.Tests {
		if got := hmacOracle(tc.Key, tc.Msg); !bytes.Equal(got, tc.Tag) {
			t.Errorf("case %s: the oracle gives %x", tc.ID, got)
		}
		if tooShortForFIPS(tc.Key) {
			t.Logf("case %s: not tested, HMAC refuses its key in FIPS 140-only mode", tc.ID)
			continue
		}
		if got := rawHash(t, tc.Key, tc.Msg); !bytes.Equal(got, tc.Tag) {
			t.Errorf("case %s: %x", tc.ID, got)
		}
	}
}

func TestWycheproofHMACMatchesValidAndDiffersFromInvalid(t *testing.T) {
	var file struct {
		TestGroups []struct {
			TagSize int
			Tests   []struct {
				TcID          int
				Key, Msg, Tag vectors.Hex
				Result        string
			}
		}
	}
	vectors.Load(t, "wycheproof/hmac_sha256_test.json", &file)
	valid, invalid, whole := 0, 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			got := rawHash(t, tc.Key, tc.Msg)
			if match := bytes.Equal(got[:g.TagSize/8], tc.Tag); match != (tc.Result == "valid") {
				t.Errorf("case %d, %s: %x", tc.TcID, tc.Result, got)
			}
			if tc.Result != "valid" {
				invalid++
				continue
			}
			valid++
			// Through the front door, where the key is long enough.
			h, err := NewHash(tc.Key, HashHex)
			if (err == nil) != (len(tc.Key) >= HashKeySize) {
				t.Errorf("case %d: key of %d bytes: %v", tc.TcID, len(tc.Key), err)
			}
			if err != nil {
				continue
			}
			text, err := h.Append(nil, tc.Msg)
			if err != nil || string(text[:g.TagSize/4]) != fmt.Sprintf("%x", []byte(tc.Tag)) {
				t.Errorf("case %d: %s, %v", tc.TcID, text, err)
			}
			if g.TagSize == 256 {
				whole++
			}
		}
	}
	if valid != 66 || invalid != 108 || whole == 0 {
		t.Errorf("%d valid and %d invalid cases ran, %d with a whole tag", valid, invalid, whole)
	}
}

func TestEveryFormIsWhatItSays(t *testing.T) {
	r := newRand(t)
	shapes := map[HashForm]*regexp.Regexp{
		HashHex:    regexp.MustCompile(`^[0-9a-f]{64}$`),
		HashHex128: regexp.MustCompile(`^[0-9a-f]{32}$`),
		HashBase64: regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`),
		HashUUID:   regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`),
		HashDigits: regexp.MustCompile(`^\d{39}$`),
	}
	for _, form := range hashForms {
		for _, prefix := range []string{"", "tok_", "žluť:"} {
			for n := range 300 {
				key := bytes.Repeat([]byte{byte(r.Uint32())}, HashKeySize+r.IntN(100))
				h := newTestHash(t, key, form, WithHashPrefix(prefix))
				value := bytes.Repeat([]byte{byte(n), byte(r.Uint32())}, n)[:n]
				got, err := h.Append([]byte("kept"), value)
				want := prefix + hashOracle(form, hmacOracle(key, value))
				if err != nil || string(got) != "kept"+want || h.Len() != len(want) {
					t.Fatalf("%v of %d bytes: %s, %v; want %s", form, n, got, err, want)
				}
				if !shapes[form].Match(got[4+len(prefix):]) {
					t.Fatalf("%v: %s", form, got)
				}
			}
		}
	}
}

// Sums at the ends of their range, which no test reaches by chance.
func TestFormsOfSumsAtTheEnds(t *testing.T) {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(39), nil)
	for _, n := range []*big.Int{
		new(big.Int), big.NewInt(1), power, new(big.Int).Sub(power, big.NewInt(1)), new(big.Int).Mul(power, big.NewInt(1e17)),
		new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)), new(big.Int).Lsh(big.NewInt(1), 255),
		new(big.Int).SetUint64(9_999_999_999_999), new(big.Int).SetUint64(10_000_000_000_000),
	} {
		for _, form := range hashForms {
			var sum [sha256.Size]byte
			n.FillBytes(sum[:])
			want := hashOracle(form, bytes.Clone(sum[:]))
			if got := form.append([]byte("x"), &sum); string(got) != "x"+want {
				t.Errorf("%v of %x: %s, want %s", form, n, got, want)
			}
		}
	}
}

func TestHashesOfTheirOwn(t *testing.T) {
	h := newTestHash(t, testKey(1), HashHex)
	seen := map[string]string{}
	add := func(name string, h *Hash, value string) {
		got, err := h.Append(nil, []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[string(got)]; ok {
			t.Errorf("%s and %s are the same", name, was)
		}
		seen[string(got)] = name
	}
	for i, value := range []string{"", "\x00", "a", "A", "a ", " a", "é", "e\u0301"} {
		add(fmt.Sprintf("value %d", i), h, value)
	}
	for bit := range 8 * HashKeySize {
		key := testKey(1)
		key[bit/8] ^= 1 << (bit % 8)
		add(fmt.Sprintf("key with bit %d", bit), newTestHash(t, key, HashHex), "a")
	}
}

func TestKeysFormsAndPrefixesOutOfRangeAreRefused(t *testing.T) {
	tests := []struct {
		name, prefix string
		key          int
		form         HashForm
		err          error
	}{
		{"the shortest key", "", 32, HashHex, nil},
		{"a longer key", "", 200, HashHex, nil},
		{"the longest prefix", strings.Repeat("é", 32), 32, HashDigits, nil},
		{"no key", "", 0, HashHex, errHashKey},
		{"a key of 31 bytes", "", 31, HashHex, errHashKey},
		{"no form", "", 32, 0, errHashForm},
		{"a form that there is not", "", 32, HashDigits + 1, errHashForm},
		{"a prefix too long", strings.Repeat("x", 65), 32, HashHex, errHashPrefix},
		{"a prefix that is not UTF-8", "tok\xff", 32, HashHex, errHashPrefix},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := NewHash(make([]byte, tt.key), tt.form, WithHashPrefix(tt.prefix))
			if !errors.Is(err, tt.err) || (h == nil) != (err != nil) {
				t.Errorf("%v, want %v", err, tt.err)
			}
		})
	}
}

func TestFormsHaveNames(t *testing.T) {
	for f, want := range map[HashForm]string{
		HashHex: "hex", HashHex128: "hex128", HashBase64: "base64", HashUUID: "uuid", HashDigits: "digits", 0: "invalid", 6: "invalid",
	} {
		if f.String() != want {
			t.Errorf("%d: %s", f, f)
		}
	}
}

func TestTheHashKeyMayBeWipedAfterNew(t *testing.T) {
	key := testKey(2)
	h := newTestHash(t, key, HashHex)
	clear(key)
	got, err := h.Append(nil, []byte("value"))
	if want := hashOracle(HashHex, hmacOracle(testKey(2), []byte("value"))); err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestManyGoroutinesShareAHash(t *testing.T) {
	h := newTestHash(t, testKey(3), HashBase64)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			value := bytes.Repeat([]byte{byte(i)}, 10*i)
			want := hashOracle(HashBase64, hmacOracle(testKey(3), value))
			for range 2000 {
				if got, err := h.Append(nil, value); err != nil || string(got) != want {
					t.Errorf("goroutine %d: %s, %v", i, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAHashShowsNothing(t *testing.T) {
	h := newTestHash(t, testKey(4), HashHex)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, h); got != "tokenize.Hash" {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func TestAHashGivesItsScratchBackClean(t *testing.T) {
	h := newTestHash(t, testKey(5), HashHex)
	var s *hasher
	make1 := h.pool.New
	h.pool.New = func() any { s, _ = make1().(*hasher); return s }
	if _, err := h.Append(nil, []byte("value")); err != nil {
		t.Fatal(err)
	}
	if s.sum != [sha256.Size]byte{} {
		t.Errorf("left behind: %x", s.sum)
	}
}

func TestAHashMayBeWrittenOverItsValue(t *testing.T) {
	h := newTestHash(t, testKey(6), HashHex)
	buf := append(make([]byte, 0, 200), "a value of some length that is hashed in place"...)
	want := hashOracle(HashHex, hmacOracle(testKey(6), buf))
	if got, err := h.Append(buf[:0], buf); err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAWarmHashAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the race detector empties pools: not tested in this build")
	}
	for _, form := range hashForms {
		h := newTestHash(t, testKey(7), form, WithHashPrefix("tok_"))
		dst, value := make([]byte, 0, 100), make([]byte, 500)
		var failed error
		allocs := testing.AllocsPerRun(200, func() {
			for n := 0; n <= 500; n += 50 {
				if _, err := h.Append(dst, value[:n]); err != nil {
					failed = err
				}
			}
		})
		if allocs != 0 || failed != nil {
			t.Errorf("%v: %v allocations, %v", form, allocs, failed)
		}
	}
}

// A hash.Hash that can be cloned, as HMAC of the standard library is since Go
// 1.25, is what the pool rests on. HMAC of the first FIPS 140-3 module is older.
func TestHMACOfTheStandardLibraryIsCloned(t *testing.T) {
	h := newTestHash(t, testKey(8), HashHex)
	s, _ := h.pool.Get().(*hasher)
	_, ok := s.mac.(hash.Cloner)
	if old := strings.HasPrefix(fips140.Version(), "v1.0."); ok == old {
		t.Errorf("module %s: a Cloner: %v", fips140.Version(), ok)
	}
}

func TestAHashWithoutClonesIsTheSame(t *testing.T) {
	for _, form := range hashForms {
		key := testKey(9)
		h := &Hash{form: form}
		h.rebuild(secret.Take(key))
		for _, value := range []string{"", "value", strings.Repeat("x", 500)} {
			want := hashOracle(form, hmacOracle(testKey(9), []byte(value)))
			for range 2 { // the second time from the pool
				if got, err := h.Append(nil, []byte(value)); err != nil || string(got) != want {
					t.Errorf("%v: %s, %v; want %s", form, got, err, want)
				}
			}
		}
		if !bytes.Equal(key, testKey(9)) {
			t.Error("the key was changed")
		}
	}
}

func FuzzHash(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"), []byte("value"), "", byte(1))
	f.Add(bytes.Repeat([]byte{1}, 65), []byte{}, "tok_", byte(5))
	f.Fuzz(func(t *testing.T, key, value []byte, prefix string, form byte) {
		h, err := NewHash(key, HashForm(form), WithHashPrefix(prefix))
		if err != nil {
			if len(key) >= 32 && form >= 1 && form <= 5 && prefix == "" {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if len(key) < 32 || len(prefix) > 64 {
			t.Fatal("a short key or a long prefix was taken")
		}
		want := prefix + hashOracle(HashForm(form), hmacOracle(key, value))
		for range 2 { // the second time from the pool
			if got, err := h.Append([]byte("x"), value); err != nil || string(got) != "x"+want || h.Len() != len(want) {
				t.Fatalf("%s, %v; want %s", got, err, want)
			}
		}
	})
}
