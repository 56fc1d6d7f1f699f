package mask

// MAC returns the Text rule for hardware addresses (IEEE 802) of 48 or 64 bits,
// in octets with ':' or '-' between, in groups of four digits with '.' between,
// or in one piece; separators stay. It shows the first three octets, which name
// the maker: 00:1b:63:**:**:**. An address that its owner gave to itself, as
// phones do at random, names no maker and is hidden whole. The option is
// [WithFill].
func MAC(opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	return Rule{mac{fill}, Text}, nil
}

var errMAC = misfit("a hardware address")

type mac struct{ fill rune }

func (r mac) append(dst, value []byte) ([]byte, error) {
	var sep byte
	size := 0 // digits between separators; 0 for one piece
	switch len(value) {
	case 12, 16:
	case 14, 19:
		sep, size = '.', 4
	case 17, 23:
		sep, size = value[2], 2
		if sep != ':' && sep != '-' {
			return dst, errMAC
		}
	default:
		return dst, errMAC
	}
	run := 0
	for _, b := range value {
		if size > 0 && run == size {
			if b != sep {
				return dst, errMAC
			}
			run = 0
			continue
		}
		if !isHex(b) {
			return dst, errMAC
		}
		run++
	}
	// The second-lowest bit of the first octet: locally administered.
	if unhex(value[1])&2 != 0 {
		return appendEnds(dst, value, r.fill, 0, 0), nil
	}
	return appendEnds(dst, value, r.fill, 6, 0), nil
}

// UUID returns the Text rule for UUIDs (RFC 9562), with hyphens or in one piece.
// It shows the last four digits and the version:
// ********-****-4***-****-********cdef. More would be as good as the whole: the
// first group alone tells four billion apart, and in versions 1, 6 and 7 it
// tells the time. The version of a UUID of another variant is hidden too. The
// option is [WithFill].
func UUID(opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	return Rule{uuid{fill}, Text}, nil
}

var errUUID = misfit("a UUID")

type uuid struct{ fill rune }

func (r uuid) append(dst, value []byte) ([]byte, error) {
	version, variant := 12, 16 // where these digits are
	switch len(value) {
	case 32:
		if !allHex(value) {
			return dst, errUUID
		}
	case 36:
		if value[8] != '-' || value[13] != '-' || value[18] != '-' || value[23] != '-' ||
			!allHex(value[:8]) || !allHex(value[9:13]) || !allHex(value[14:18]) || !allHex(value[19:23]) || !allHex(value[24:]) {
			return dst, errUUID
		}
		version, variant = 14, 19
	default:
		return dst, errUUID
	}
	known := value[version] >= '1' && value[version] <= '8' && unhex(value[variant])>>2 == 2
	if !known {
		return appendEnds(dst, value, r.fill, 0, 4), nil
	}
	dst = appendEnds(dst, value[:version], r.fill, 0, 0)
	dst = append(dst, value[version])
	return appendEnds(dst, value[version+1:], r.fill, 0, 4), nil
}

func allHex(digits []byte) bool {
	for _, b := range digits {
		if !isHex(b) {
			return false
		}
	}
	return true
}
