package mask

import "unicode/utf8"

// appendEnds appends value, which is ASCII, with its letters and digits hidden
// but for so many at both ends. It has more of them than that. What is neither
// is a separator of the form, and stays.
func appendEnds(dst, value []byte, fill rune, first, last int) []byte {
	begin, end := 0, len(value) // of the part to hide
	for ; first > 0; begin++ {
		if isAlnum(value[begin]) {
			first--
		}
	}
	for ; last > 0; end-- {
		if isAlnum(value[end-1]) {
			last--
		}
	}
	if fill < utf8.RuneSelf {
		start := len(dst)
		dst = append(dst, value...)
		hidden := dst[start+begin : start+end]
		for i, b := range hidden {
			if isAlnum(b) {
				hidden[i] = byte(fill) //nolint:gosec // ASCII
			}
		}
		return dst
	}
	dst = append(dst, value[:begin]...)
	for _, b := range value[begin:end] {
		if isAlnum(b) {
			dst = utf8.AppendRune(dst, fill)
		} else {
			dst = append(dst, b)
		}
	}
	return append(dst, value[end:]...)
}
