package mask

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// IPPrefix returns the Text rule for IP addresses. It keeps the first v4 bits of
// an IPv4 address, 0 to 31, and the first v6 bits of an IPv6 address, 0 to 127,
// and writes the address with zeros behind them: with 24, 203.0.113.77 becomes
// 203.0.113.0. IPv6 addresses are written as RFC 5952 says.
//
// An IPv4 address inside an IPv6 one never shows more than v4 bits: a mapped
// address (::ffff:0:0/96) is taken and written as the IPv4 address, and of the
// others (::/96, 6to4, NAT64 and Teredo, RFC 3056, 6052 and 4380) correspondingly
// less is kept. A zone is left out.
func IPPrefix(v4, v6 int) (Rule, error) { return newIPRule(v4, v6, false) }

// IPNetwork is [IPPrefix] in the CIDR form: with 24, 203.0.113.77 becomes
// 203.0.113.0/24.
func IPNetwork(v4, v6 int) (Rule, error) { return newIPRule(v4, v6, true) }

func newIPRule(v4, v6 int, cidr bool) (Rule, error) {
	if v4 < 0 || v4 > 31 || v6 < 0 || v6 > 127 {
		return Rule{}, fmt.Errorf("mask: cannot keep %d bits of an IPv4 and %d of an IPv6 address: 0 to 31 and 0 to 127 are possible", v4, v6)
	}
	return Rule{ip{v4: v4, v6: v6, cidr: cidr}, Text}, nil
}

var errIP = misfit("an IP address")

type ip struct {
	v4, v6 int
	cidr   bool
}

func (r ip) append(dst, value []byte) ([]byte, error) {
	if len(value) > maxIP {
		return dst, errIP
	}
	for i, b := range value {
		if b == '.' {
			a, ok := parseIPv4(value)
			if !ok {
				return dst, errIP
			}
			return r.append4(dst, a), nil
		}
		if b == ':' {
			return r.append6(dst, value)
		}
		if !isHex(b) || i == 4 {
			break
		}
	}
	return dst, errIP
}

// maxIP is more than any address with a sensible zone.
const maxIP = 128

func (r ip) append4(dst []byte, a [4]byte) []byte {
	clearBits(a[:], r.v4)
	for i, n := range a {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, uint64(n), 10)
	}
	return r.appendBits(dst, r.v4)
}

func (r ip) append6(dst, value []byte) ([]byte, error) {
	if at := bytes.IndexByte(value, '%'); at >= 0 {
		// A zone may be any text, so here it has to be looked at.
		if !utf8.Valid(value) {
			return dst, ErrNotText
		}
		if at+1 == len(value) {
			return dst, errIP
		}
		value = value[:at]
	}
	a, ok := parseIPv6(value)
	if !ok {
		return dst, errIP
	}
	embedded := 128 // the bit where an IPv4 address begins
	switch binary.BigEndian.Uint32(a[:]) {
	case 0:
		if binary.BigEndian.Uint64(a[4:]) == 0xffff {
			return r.append4(dst, [4]byte(a[12:])), nil
		}
		if binary.BigEndian.Uint64(a[4:]) == 0 {
			embedded = 96
		}
	case 0x0064ff9b, 0x20010000: // NAT64, Teredo
		embedded = 96
	default:
		if a[0] == 0x20 && a[1] == 0x02 { // 6to4
			embedded = 16
		}
	}
	bits := min(r.v6, embedded+r.v4)
	clearBits(a[:], bits)
	return r.appendBits(appendIPv6(dst, &a), bits), nil
}

// clearBits zeroes a behind the first so many bits, which are fewer than it has.
func clearBits(a []byte, bits int) {
	a[bits/8] &^= 0xff >> (bits % 8)
	clear(a[bits/8+1:])
}

// appendBits appends the length of a prefix where the form has one.
func (r ip) appendBits(dst []byte, bits int) []byte {
	if !r.cidr {
		return dst
	}
	dst = append(dst, '/')
	return strconv.AppendInt(dst, int64(bits), 10)
}

// appendIPv6 appends a as RFC 5952 says: in lower case, without zeros in front of
// a group, and with "::" in the place of the longest row of two zero groups or
// more, the first of those that are equally long.
func appendIPv6(dst []byte, a *[16]byte) []byte {
	gap, length := -1, 1
	for i := 0; i < 16; {
		end := i
		for end < 16 && a[end] == 0 && a[end+1] == 0 {
			end += 2
		}
		if n := (end - i) / 2; n > length {
			gap, length = i, n
		}
		i = end + 2
	}
	for i := 0; i < 16; i += 2 {
		if i == gap {
			dst = append(dst, ':', ':')
			i += 2 * (length - 1)
			continue
		}
		if i > 0 && i != gap+2*length {
			dst = append(dst, ':')
		}
		const hex = "0123456789abcdef"
		high, low := a[i], a[i+1]
		if high > 0xf {
			dst = append(dst, hex[high>>4])
		}
		if high > 0 {
			dst = append(dst, hex[high&0xf])
		}
		if high > 0 || low > 0xf {
			dst = append(dst, hex[low>>4])
		}
		dst = append(dst, hex[low&0xf])
	}
	return dst
}

// parseIPv4 reads four decimal numbers without leading zeros.
func parseIPv4(text []byte) (a [4]byte, ok bool) {
	part, digits, n := 0, 0, 0
	for _, b := range text {
		if b == '.' {
			if digits == 0 || part == 3 {
				return a, false
			}
			a[part] = byte(n) //nolint:gosec // at most 255
			part++
			digits, n = 0, 0
			continue
		}
		if !isDigit(b) || digits > 0 && n == 0 {
			return a, false
		}
		n = n*10 + int(b-'0')
		digits++
		if n > 255 {
			return a, false
		}
	}
	a[3] = byte(n)
	return a, part == 3 && digits > 0
}

// parseIPv6 reads groups of hexadecimal digits, of which one row of zeros may be
// left out as "::" and the last two may be an IPv4 address.
func parseIPv6(text []byte) (a [16]byte, ok bool) {
	gap := -1 // where "::" stands, in bytes of a
	n := 0    // bytes of a that are read
	if len(text) >= 2 && text[0] == ':' && text[1] == ':' {
		gap = 0
		text = text[2:]
	}
	for len(text) > 0 {
		group, digits := uint16(0), 0
		for ; digits < len(text); digits++ {
			nibble := text[digits] - '0'
			if nibble > 9 {
				if nibble = text[digits] | 0x20 - 'a' + 10; nibble < 10 || nibble > 15 {
					break
				}
			}
			if digits == 4 {
				return a, false
			}
			group = group<<4 | uint16(nibble)
		}
		if digits == 0 || n == 16 {
			return a, false
		}
		if digits < len(text) && text[digits] == '.' {
			v4, ok := parseIPv4(text)
			if !ok || n > 12 {
				return a, false
			}
			copy(a[n:], v4[:])
			n += 4
			break
		}
		binary.BigEndian.PutUint16(a[n:], group)
		n += 2
		text = text[digits:]
		if len(text) == 0 {
			break
		}
		if text[0] != ':' || len(text) == 1 {
			return a, false
		}
		text = text[1:]
		if text[0] == ':' {
			if gap >= 0 {
				return a, false
			}
			gap = n
			text = text[1:]
		}
	}
	if gap < 0 {
		return a, n == 16
	}
	if n == 16 {
		return a, false // "::" stands for at least one group
	}
	copy(a[16-(n-gap):], a[gap:n])
	clear(a[gap : 16-(n-gap)])
	return a, true
}
