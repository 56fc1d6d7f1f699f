package tokenize

import (
	"strconv"
	"testing"
)

// passesLuhn is the check written a second time: from the right, on text.
func passesLuhn(s string) bool {
	sum, twice := 0, false
	for s != "" {
		d, err := strconv.Atoi(s[len(s)-1:])
		if err != nil {
			panic(err)
		}
		if twice {
			d *= 2
		}
		sum += d/10 + d%10
		twice, s = !twice, s[:len(s)-1]
	}
	return sum%10 == 0
}

func digitsOf(s string) []uint16 {
	x := make([]uint16, len(s))
	for i := range x {
		x[i] = uint16(s[i] - '0')
	}
	return x
}

func TestLuhnOfNumbersThatAreKnown(t *testing.T) {
	for s, want := range map[string]bool{
		"4111111111111111": true, "378282246310005": true, "5555555555554444": true, "6011111111111117": true,
		"79927398713": true, "490154203237518": true, "0": true, "": true, "0000000000000000": true,
		"4111111111111112": false, "79927398710": false, "1": false, "5555555555554445": false,
	} {
		if got := luhn(digitsOf(s)) == 0; got != want || passesLuhn(s) != want {
			t.Errorf("%s: %v, and %v by the second rule", s, got, passesLuhn(s))
		}
	}
}

func TestLuhnAgreesWithTheSecondRule(t *testing.T) {
	for n := range 200_000 {
		if s := strconv.Itoa(n); luhn(digitsOf(s)) == 0 != passesLuhn(s) {
			t.Fatal(s)
		}
	}
}

// Whatever the other digits are, one digit in any place makes any remainder.
func TestOneDigitMakesAnyRemainder(t *testing.T) {
	for n := 1; n < 20; n++ {
		for i := range n {
			for fill := range uint16(10) {
				x := make([]uint16, n)
				for j := range x {
					x[j] = (fill + uint16(j)) % 10
				}
				was := map[uint16]bool{}
				for remainder := range 10 {
					fitLuhn(x, i, remainder)
					was[x[i]] = true
					if luhn(x) != remainder || x[i] > 9 {
						t.Fatalf("%v at %d does not have remainder %d", x, i, remainder)
					}
					for j := range x {
						if j != i && x[j] != (fill+uint16(j))%10 {
							t.Fatalf("%v: digit %d was changed too", x, j)
						}
					}
				}
				if len(was) != 10 {
					t.Fatalf("%d digits make ten remainders", len(was))
				}
			}
		}
	}
}

func TestModesHaveNames(t *testing.T) {
	for m, want := range map[LuhnMode]string{LuhnNone: "none", LuhnKeep: "keep", LuhnBreak: "break", LuhnBreak + 1: "invalid"} {
		if m.String() != want {
			t.Errorf("%d: %s", m, m)
		}
	}
}
