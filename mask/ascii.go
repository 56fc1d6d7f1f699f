package mask

// Sets of ASCII characters, as bits: one half below '@', one from there on.
const (
	digitBits  = 0x3ff << '0'
	letterBits = 0x7fffffe | 0x7fffffe<<32 // A to Z, a to z
	hexBits    = 0x7e | 0x7e<<32           // A to F, a to f
)

// in tells whether b is in a set.
func in(low, high uint64, b byte) bool {
	set := low
	if b&0x40 != 0 {
		set = high
	}
	return b < 0x80 && set>>(b&0x3f)&1 != 0
}

func isDigit(b byte) bool { return b-'0' < 10 }

// isLetter is for ASCII alone, as are those below.
func isLetter(b byte) bool { return b|0x20-'a' < 26 }

func isAlnum(b byte) bool { return in(digitBits, letterBits, b) }

func isHex(b byte) bool { return in(digitBits, hexBits, b) }

// unhex returns the value of the hexadecimal digit b.
func unhex(b byte) byte {
	if isDigit(b) {
		return b - '0'
	}
	return b | 0x20 - 'a' + 10
}
