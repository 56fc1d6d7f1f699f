package jsondoc

import "bytes"

// maxLonger bounds an answer to an edit by schema.Number: it may be this much
// longer than the number whose place it takes.
const maxLonger = 64

func digit(c byte) bool { return c-'0' <= 9 }

// digits returns the position of the first byte from i that is no digit.
func digits(src []byte, i int) int {
	for i < len(src) && digit(src[i]) {
		i++
	}
	return i
}

// numberEnd returns the position behind the number at pos, or the reason for which
// none stands there.
func numberEnd(src []byte, pos int) (end int, reason string) {
	i := pos
	if src[i] == '-' {
		i++
	} else if !digit(src[i]) {
		return 0, reasonValue
	}
	first := i
	if i = digits(src, i); i == first || src[first] == '0' && i > first+1 {
		return 0, reasonNumber
	}
	if i < len(src) && src[i] == '.' {
		first = i + 1
		if i = digits(src, first); i == first {
			return 0, reasonNumber
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		first = i
		if i = digits(src, first); i == first {
			return 0, reasonNumber
		}
	}
	if i < len(src) && src[i] == '.' {
		return 0, reasonNumber
	}
	return i, ""
}

// fitsNumber tells whether text can take the place of a number of size bytes: it
// is exactly one number of JSON, not much longer, and integral if it has to be.
func fitsNumber(text []byte, size int, whole bool) bool {
	if len(text) == 0 || len(text) > size+maxLonger {
		return false
	}
	end, reason := numberEnd(text, 0)
	return reason == "" && end == len(text) && (!whole || integral(text))
}

// integral tells whether a number of JSON has no fraction, however it is written:
// 5, 5.0, 50e-1 and 0.5e1 are the same number, and so are all the spellings of
// zero. The work is bounded by the length of the text, not by the exponent.
func integral(text []byte) bool {
	var exponent []byte
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		text, exponent = text[:i], text[i+1:]
	}
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	// low is the power of ten that the last digit stands for that is not zero.
	var low int64
	if fraction = bytes.TrimRight(fraction, "0"); len(fraction) > 0 {
		low = -int64(len(fraction))
	} else {
		significant := bytes.TrimRight(whole, "0")
		if len(bytes.TrimLeft(significant, "-")) == 0 {
			return true // zero
		}
		low = int64(len(whole) - len(significant))
	}
	return shifted(low, exponent) >= 0
}

// shifted returns power plus an exponent of JSON, or something of the same sign
// where that is larger than any power of a number in memory.
func shifted(power int64, exponent []byte) int64 {
	negative := false
	if len(exponent) > 0 && (exponent[0] == '+' || exponent[0] == '-') {
		negative, exponent = exponent[0] == '-', exponent[1:]
	}
	const enough = 1 << 40
	e := int64(0)
	for _, c := range exponent {
		if e = 10*e + int64(c-'0'); e > enough {
			break
		}
	}
	if negative {
		e = -e
	}
	return power + e
}
