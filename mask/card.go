package mask

import "fmt"

// CardForm says what [Card] shows.
type CardForm uint8

// The forms of a card number.
const (
	// CardFirst6Last4 shows the first six and the last four digits, which is
	// what PCI DSS lets be stored and shown of every brand. A number of fewer
	// than 14 digits shows its last four only, because too little of it would
	// stay hidden.
	CardFirst6Last4 CardForm = iota + 1
	// CardFirst8Last4 shows the first eight and the last four digits of a number
	// of 16, the most that PCI DSS lets be kept of one. Other lengths are as with
	// CardFirst6Last4, as the rule for them asks.
	CardFirst8Last4
	// CardLast4 shows the last four digits.
	CardLast4
)

// Card returns the Text rule for payment card numbers (ISO/IEC 7812) of 12 to
// 19 digits, which may stand in groups with one space or hyphen between: these
// stay. The hidden digits are each one fill character. The option is [WithFill].
//
// The forms follow the truncation formats of PCI DSS: of 15 digits (American
// Express) at least five are hidden, of 16 at least four, of 17 to 19 at least
// six. Since the last digit of a card number is computed from the others, a
// tenth as many numbers as the hidden digits suggest remain possible. Two
// different forms of one number must not be kept side by side.
func Card(form CardForm, opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	if form < CardFirst6Last4 || form > CardLast4 {
		return Rule{}, fmt.Errorf("mask: unknown form %d of a card number", form)
	}
	return Rule{card{form: form, fill: fill}, Text}, nil
}

var errCard = misfit("a card number of 12 to 19 digits")

type card struct {
	form CardForm
	fill rune
}

// The longest card number has 19 digits and a separator between each two.
const maxCard = 2*19 - 1

func (c card) append(dst, value []byte) ([]byte, error) {
	if len(value) > maxCard {
		return dst, errCard
	}
	digits, separated := 0, true
	for _, b := range value {
		switch {
		case isDigit(b):
			digits++
			separated = false
		case (b == ' ' || b == '-') && !separated:
			separated = true
		default:
			return dst, errCard
		}
	}
	if digits < 12 || digits > 19 || separated {
		return dst, errCard
	}
	first := 6
	switch {
	case c.form == CardLast4 || digits < 14:
		first = 0
	case c.form == CardFirst8Last4 && digits == 16:
		first = 8
	}
	return appendEnds(dst, value, c.fill, first, 4), nil
}
