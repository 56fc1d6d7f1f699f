package mask

import "fmt"

// Phone returns the Text rule for telephone numbers. It shows the last so many
// digits and, of a number that begins with +, the country code (ITU-T E.164):
// with 2, +420 *** *** *56. A number without + is taken as a national one, and
// also one that begins with an international prefix such as 00; a country code
// that is not assigned is hidden. When the digits behind the country code are no
// more than those to show, all digits are hidden. Spaces, hyphens, dots,
// slashes and round brackets stay. The option is [WithFill].
//
// A number has at least 3 digits and at most 15 behind a +, or 20 without one,
// since prefixes come on top. Extensions are refused.
func Phone(last int, opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	if last < 0 || last > maxE164 {
		return Rule{}, fmt.Errorf("mask: cannot keep %d last digits of a telephone number", last)
	}
	return Rule{phone{last: last, fill: fill}, Text}, nil
}

var errPhone = misfit("a telephone number")

const (
	minPhone     = 3
	maxE164      = 15
	maxNational  = 20
	maxPhoneText = 64 // bytes, with separators
)

type phone struct {
	last int
	fill rune
}

func (p phone) append(dst, value []byte) ([]byte, error) {
	if len(value) > maxPhoneText {
		return dst, errPhone
	}
	global := len(value) > 0 && value[0] == '+'
	number, most := value, maxNational
	if global {
		number, most = value[1:], maxE164
	}
	digits, lead := 0, 0 // lead is the number that the first three digits form
	for _, b := range number {
		switch {
		case isDigit(b):
			if digits < 3 {
				lead = lead*10 + int(b-'0')
			}
			digits++
		case b == ' ' || b == '-' || b == '.' || b == '/' || b == '(' || b == ')':
		default:
			return dst, errPhone
		}
	}
	if digits < minPhone || digits > most {
		return dst, errPhone
	}
	code := 0
	if global {
		code = countryCode(lead)
	}
	if digits-code <= p.last {
		return appendEnds(dst, value, p.fill, 0, 0), nil
	}
	return appendEnds(dst, value, p.fill, code, p.last), nil
}

// countryCode returns how many of the three digits that lead is written with
// are an assigned country code of ITU-T E.164, which is a prefix code. It is 0
// when none is.
func countryCode(lead int) int {
	switch {
	case lead/100 == 1 || lead/100 == 7:
		return 1
	case isCountry2(lead / 10):
		return 2
	case isCountry3(lead):
		return 3
	default:
		return 0
	}
}

func isCountry2(n int) bool {
	switch n {
	case 20, 27, // Africa
		30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, // Europe
		51, 52, 53, 54, 55, 56, 57, 58, // Latin America
		60, 61, 62, 63, 64, 65, 66, // South-east Asia, Oceania
		81, 82, 84, 86, // East Asia
		90, 91, 92, 93, 94, 95, 98: // West and South Asia
		return true
	default:
		return false
	}
}

func isCountry3(n int) bool {
	switch n {
	case 211, 212, 213, 216, 218,
		220, 221, 222, 223, 224, 225, 226, 227, 228, 229,
		230, 231, 232, 233, 234, 235, 236, 237, 238, 239,
		240, 241, 242, 243, 244, 245, 246, 247, 248, 249,
		250, 251, 252, 253, 254, 255, 256, 257, 258,
		260, 261, 262, 263, 264, 265, 266, 267, 268, 269,
		290, 291, 297, 298, 299,
		350, 351, 352, 353, 354, 355, 356, 357, 358, 359,
		370, 371, 372, 373, 374, 375, 376, 377, 378, 379,
		380, 381, 382, 383, 385, 386, 387, 389,
		420, 421, 423,
		500, 501, 502, 503, 504, 505, 506, 507, 508, 509,
		590, 591, 592, 593, 594, 595, 596, 597, 598, 599,
		670, 672, 673, 674, 675, 676, 677, 678, 679,
		680, 681, 682, 683, 685, 686, 687, 688, 689,
		690, 691, 692,
		800, 808, 850, 852, 853, 855, 856,
		870, 878, 880, 881, 882, 883, 886, 888,
		960, 961, 962, 963, 964, 965, 966, 967, 968,
		970, 971, 972, 973, 974, 975, 976, 977, 979,
		992, 993, 994, 995, 996, 998:
		return true
	default:
		return false
	}
}
