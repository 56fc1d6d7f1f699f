package tokenize

// A layout is a text of digits with single spaces or hyphens between them. It
// holds as many digits as the longest format that has separators, and one that
// has none may be longer.
type layout struct {
	text   []byte
	digits [MaxToken]byte // of text, 0 to 9
	n      int
}

// read tells whether text is such a text of at most MaxToken bytes, and takes it
// apart.
func (l *layout) read(text []byte) bool {
	l.text, l.n = text, 0
	if len(text) == 0 || len(text) > MaxToken || !isDigit(text[0]) || !isDigit(text[len(text)-1]) {
		return false
	}
	for i, c := range text {
		switch {
		case isDigit(c):
			l.digits[l.n] = c - '0'
			l.n++
		case !isSeparator(c) || !isDigit(text[i-1]):
			return false
		}
	}
	return true
}

func isSeparator(c byte) bool { return c == ' ' || c == '-' }

// append appends the digits, with the separators of the text.
func (l *layout) append(dst []byte) []byte {
	i := 0
	for _, c := range l.text {
		if isDigit(c) {
			c = '0' + l.digits[i]
			i++
		}
		dst = append(dst, c)
	}
	return dst
}

// sameSeparators tells whether two texts are alike but for their digits.
func sameSeparators(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if isDigit(c) != isDigit(b[i]) || !isDigit(c) && c != b[i] {
			return false
		}
	}
	return true
}

// luhn returns the Luhn sum modulo ten, which is 0 for numbers that pass.
func (l *layout) luhn() int {
	sum := 0
	for i, d := range l.digits[:l.n] {
		sum += weighed(int(d), doubled(l.n, i))
	}
	return sum % 10
}

// beginsReserved tells tokens of card numbers from card numbers.
func beginsReserved(l *layout) bool {
	for i := range len(reservedPrefix) {
		if l.digits[i] != reservedPrefix[i]-'0' {
			return false
		}
	}
	return true
}

// isSSN tells whether the text is nine digits, or has the form 3-2-4.
func (l *layout) isSSN() bool {
	if l.n != ssnDigits {
		return false
	}
	return len(l.text) == ssnDigits || len(l.text) == ssnDigits+2 && l.text[3] == '-' && l.text[6] == '-'
}

// issuedSSN tells whether a number of nine digits can have been issued.
func issuedSSN(l *layout) bool {
	d := l.digits[:ssnDigits]
	area := int(d[0])*100 + int(d[1])*10 + int(d[2])
	group := int(d[3])*10 + int(d[4])
	serial := int(d[5])*1000 + int(d[6])*100 + int(d[7])*10 + int(d[8])
	if area >= 900 && group < ssnGroups {
		return false
	}
	return area != 0 && area != 666 && group != 0 && serial != 0
}
