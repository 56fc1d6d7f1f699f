package tokenize

// A LuhnMode says how FF1 treats the check digit of payment card numbers,
// IMEIs and others (ISO/IEC 7812-1 annex B).
type LuhnMode uint8

// Modes. In both but LuhnNone a value that does not pass the check is refused,
// because it is not what its field says.
const (
	// LuhnNone takes no account of check digits: one in ten outputs passes.
	LuhnNone LuhnMode = iota
	// LuhnKeep makes outputs that pass, so that whoever validates numbers takes
	// them. They cannot be told from real ones.
	LuhnKeep
	// LuhnBreak makes outputs that never pass, so that a token is never taken
	// for a real number, nor a real number for a token when it is turned back.
	LuhnBreak
)

// String returns the name of the mode.
func (m LuhnMode) String() string {
	switch m {
	case LuhnNone:
		return "none"
	case LuhnKeep:
		return "keep"
	case LuhnBreak:
		return "break"
	}
	return "invalid"
}

// remainder is the Luhn sum modulo ten of the outputs of a mode. All inputs
// have 0.
func (m LuhnMode) remainder() int {
	if m == LuhnBreak {
		return 1
	}
	return 0
}

// luhn returns the Luhn sum of digits modulo ten: every second one counts twice,
// beginning with the last but one, and the digits of what comes out are added.
func luhn(digits []uint16) int {
	sum := 0
	for i, d := range digits {
		sum += weighed(int(d), doubled(len(digits), i))
	}
	return sum % 10
}

// doubled tells whether the digit i of n counts twice.
func doubled(n, i int) bool { return (n-i)%2 == 0 }

// weighed is what a digit adds to the sum.
func weighed(d int, twice bool) int {
	if !twice {
		return d
	}
	if d *= 2; d > 9 {
		d -= 9
	}
	return d
}

// fitLuhn changes digit i so that the sum of all of them is remainder modulo
// ten. Each remainder has one digit, whether it counts twice or not.
func fitLuhn(digits []uint16, i, remainder int) {
	digits[i] = 0
	want := (10 + remainder - luhn(digits)) % 10
	if doubled(len(digits), i) {
		// 0 2 4 6 8 come of the digits below five, 1 3 5 7 9 of the others.
		if want%2 != 0 {
			want += 9
		}
		want /= 2
	}
	digits[i] = uint16(want) //nolint:gosec // below ten
}
