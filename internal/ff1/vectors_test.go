package ff1

import (
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/internal/vectors"
)

// numerals reads text by the code points of alphabet. A character that is not
// in the alphabet becomes a numeral that no radix here has.
func numerals(alphabet, text string) []uint16 {
	chars := []rune(alphabet)
	out := []uint16{}
	for _, r := range text {
		at := slices.Index(chars, r)
		if at < 0 {
			at = len(chars)
		}
		out = append(out, uint16(at))
	}
	return out
}

func TestSamplesOfNIST(t *testing.T) {
	var file struct {
		Tests []struct {
			Sample, KeySize, Radix int
			Key, Tweak             vectors.Hex
			Pt, Ct                 string
		}
	}
	vectors.Load(t, "nist/sp800-38g-ff1-samples.json", &file)
	if len(file.Tests) != 9 {
		t.Fatalf("%d samples", len(file.Tests))
	}
	const chars = "0123456789abcdefghijklmnopqrstuvwxyz"
	for _, tc := range file.Tests {
		c, err := New(tc.Key, tc.Radix)
		if err != nil || len(tc.Key)*8 != tc.KeySize {
			t.Fatal(err)
		}
		pt, ct := numerals(chars, tc.Pt), numerals(chars, tc.Ct)
		got := make([]uint16, len(pt))
		if err := c.Encrypt(got, pt, tc.Tweak); err != nil || !slices.Equal(got, ct) {
			t.Errorf("sample %d: encrypted %v, %v", tc.Sample, got, err)
		}
		if err := c.Decrypt(got, ct, tc.Tweak); err != nil || !slices.Equal(got, pt) {
			t.Errorf("sample %d: decrypted %v, %v", tc.Sample, got, err)
		}
		if got := oracle(tc.Key, tc.Radix, tc.Tweak, pt, false); !slices.Equal(got, ct) {
			t.Errorf("sample %d: the oracle encrypted %v", tc.Sample, got)
		}
		if got := oracle(tc.Key, tc.Radix, tc.Tweak, ct, true); !slices.Equal(got, pt) {
			t.Errorf("sample %d: the oracle decrypted %v", tc.Sample, got)
		}
	}
}

func TestWycheproofFF1ComputesValidAndRefusesInvalid(t *testing.T) {
	for _, name := range []struct {
		file                  string
		valid, invalid, small int
	}{
		{"wycheproof/aes_ff1_base10_test.json", 3312, 533, 12},
		{"wycheproof/aes_ff1_base36_test.json", 2465, 389, 6},
	} {
		var file struct {
			TestGroups []struct {
				Alphabet string
				Radix    int
				Tests    []struct {
					TcID       int
					Flags      []string
					Key, Tweak vectors.Hex
					Msg, Ct    string
					Result     string
				}
			}
		}
		vectors.Load(t, name.file, &file)
		valid, invalid, small := 0, 0, 0
		for _, g := range file.TestGroups {
			for _, tc := range g.Tests {
				msg, ct := numerals(g.Alphabet, tc.Msg), numerals(g.Alphabet, tc.Ct)
				got := make([]uint16, len(msg))
				c, err := New(tc.Key, g.Radix)
				if tc.Result != "valid" {
					invalid++
					if err == nil {
						err = c.Encrypt(got, msg, tc.Tweak)
					}
					if err == nil {
						t.Errorf("%s %d: encrypted %v", name.file, tc.TcID, got)
					}
					if slices.Max(append(got, 0)) != 0 {
						t.Errorf("%s %d: refused, but wrote %v", name.file, tc.TcID, got)
					}
					continue
				}
				valid++
				if slices.Contains(tc.Flags, "SmallMessageSize") {
					small++
				}
				if err != nil {
					t.Fatalf("%s %d: %v", name.file, tc.TcID, err)
				}
				if err := c.Encrypt(got, msg, tc.Tweak); err != nil || !slices.Equal(got, ct) {
					t.Errorf("%s %d: encrypted %v, %v", name.file, tc.TcID, got, err)
				}
				if err := c.Decrypt(got, ct, tc.Tweak); err != nil || !slices.Equal(got, msg) {
					t.Errorf("%s %d: decrypted %v, %v", name.file, tc.TcID, got, err)
				}
			}
		}
		if valid != name.valid || invalid != name.invalid || small != name.small {
			t.Errorf("%s: %d valid, %d invalid and %d small cases ran", name.file, valid, invalid, small)
		}
	}
}
