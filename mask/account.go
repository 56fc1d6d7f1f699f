package mask

// IBAN returns the Text rule for international bank account numbers (ISO
// 13616), in one piece or in groups with one space between, which stay. It shows
// the country and the last four characters: GB** **** **** **** **54 32. The
// check digits are hidden, because one in 97 accounts fits them. The option is
// [WithFill].
func IBAN(opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	return Rule{iban{fill}, Text}, nil
}

var errIBAN = misfit("an IBAN")

type iban struct{ fill rune }

// An IBAN has 15 to 34 letters and digits, of which the first four are country
// and check digits.
const (
	minIBAN = 15
	maxIBAN = 34
)

func (r iban) append(dst, value []byte) ([]byte, error) {
	if len(value) > 2*maxIBAN-1 {
		return dst, errIBAN
	}
	count, separated := 0, true
	for _, b := range value {
		switch {
		case b == ' ' && !separated:
			separated = true
			continue
		case count < 2 && isLetter(b), count >= 2 && count < 4 && isDigit(b), count >= 4 && isAlnum(b):
		default:
			return dst, errIBAN
		}
		count++
		separated = false
	}
	if count < minIBAN || count > maxIBAN || separated {
		return dst, errIBAN
	}
	return appendEnds(dst, value, r.fill, 2, 4), nil
}

// SSN returns the Text rule for United States social security numbers, nine
// digits in one piece or as 3-2-4 with hyphens, which stay. It shows the last
// four digits: ***-**-6789. The option is [WithFill].
//
// The last four digits are those that vary most: they single out one person
// among ten thousand, and many services ask for just them. [Redact] hides all.
func SSN(opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	return Rule{ssn{fill}, Text}, nil
}

var errSSN = misfit("a social security number")

type ssn struct{ fill rune }

func (r ssn) append(dst, value []byte) ([]byte, error) {
	hyphens := len(value) == 11
	if !hyphens && len(value) != 9 {
		return dst, errSSN
	}
	for i, b := range value {
		if hyphens && (i == 3 || i == 6) {
			if b != '-' {
				return dst, errSSN
			}
		} else if !isDigit(b) {
			return dst, errSSN
		}
	}
	return appendEnds(dst, value, r.fill, 0, 4), nil
}
