package mask

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// URLForm says what [URL] shows.
type URLForm uint8

// The forms of a URL.
const (
	// URLPath shows scheme, host, port, path and the names of query parameters.
	URLPath URLForm = iota + 1
	// URLOrigin shows scheme, host and port, and leaves out the rest.
	URLOrigin
)

// URL returns the Text rule for absolute URLs with a host (RFC 3986, RFC 3987).
// User and password are left out. Each value of the query and the fragment is
// given as "***", whatever its length, as is a parameter that has no value or a
// name that does not look like one (a letter or '_', then letters, digits and
// "_-.[]", 32 characters together): https://me:pw@a.example/b?q=x&y#z becomes
// https://a.example/b?q=***&***#***.
//
// A path may name a person, and so may a host: URLOrigin drops the one, nothing
// hides the other. A value with a character that no URL holds, such as a space
// or a backslash, is refused, since readers differ in what they make of it.
func URL(form URLForm) (Rule, error) {
	if form != URLPath && form != URLOrigin {
		return Rule{}, fmt.Errorf("mask: unknown form %d of a URL", form)
	}
	return Rule{location{form}, Text}, nil
}

var errURL = misfit("an absolute URL with a host")

type location struct{ form URLForm }

const (
	hiddenURL    = "***"
	maxParamName = 32
)

func (r location) append(dst, value []byte) ([]byte, error) {
	scheme := schemeLength(value)
	if scheme == 0 || !isURLText(value) {
		return dst, errURL
	}
	// Everything up to the last @ is taken for user and password, as browsers do:
	// a password may hold one.
	begin, end := scheme, scheme // of the host
	for ; end < len(value); end++ {
		b := value[end]
		if b == '/' || b == '?' || b == '#' {
			break
		}
		if b == '@' {
			begin = end + 1
		}
	}
	host, rest := value[begin:end], value[end:]
	if !isHost(host) {
		return dst, errURL
	}
	dst = append(dst, value[:scheme]...)
	if r.form == URLOrigin {
		return append(dst, host...), nil
	}
	path := 0
	for path < len(rest) && rest[path] != '?' && rest[path] != '#' {
		path++
	}
	dst = append(dst, value[begin:end+path]...)
	if rest = rest[path:]; len(rest) == 0 {
		return dst, nil
	}
	query, fragment := rest, []byte(nil)
	mark := bytes.IndexByte(rest, '#')
	if mark >= 0 {
		query, fragment = rest[:mark], rest[mark+1:]
	}
	if len(query) > 0 {
		dst = append(dst, '?')
		dst = appendQuery(dst, query[1:])
	}
	if mark >= 0 {
		dst = append(dst, '#')
	}
	if len(fragment) > 0 {
		dst = append(dst, hiddenURL...)
	}
	return dst, nil
}

// schemeLength returns how long the scheme with "://" is that value begins with,
// and 0 when there is none.
func schemeLength(value []byte) int {
	for i, b := range value {
		switch {
		case isLetter(b), i > 0 && (isDigit(b) || b == '+' || b == '-' || b == '.'):
		case i > 0 && b == ':' && len(value) > i+2 && value[i+1] == '/' && value[i+2] == '/':
			return i + 3
		default:
			return 0
		}
	}
	return 0
}

// appendQuery appends query without the values of its parameters.
func appendQuery(dst, query []byte) []byte {
	for len(query) > 0 {
		param := query
		end := bytes.IndexByte(query, '&')
		if end >= 0 {
			param = query[:end]
		}
		// The padding of a bare token in Base64 must not make a name of it.
		at := bytes.IndexByte(param, '=')
		if at > 0 && isParamName(param[:at]) && !allEquals(param[at:]) {
			dst = append(dst, param[:at+1]...)
		}
		if len(param) > 0 {
			dst = append(dst, hiddenURL...)
		}
		if end < 0 {
			break
		}
		dst = append(dst, '&')
		query = query[end+1:]
	}
	return dst
}

func allEquals(text []byte) bool {
	for _, b := range text {
		if b != '=' {
			return false
		}
	}
	return true
}

func isParamName(name []byte) bool {
	if len(name) > maxParamName || !isLetter(name[0]) && name[0] != '_' {
		return false
	}
	for _, b := range name {
		if !in(digitBits|1<<'-'|1<<'.', letterBits|1<<('_'-64)|1<<('['-64)|1<<(']'-64), b) {
			return false
		}
	}
	return true
}

// isURLText tells whether text is made of characters that a URL may hold,
// written out or, beyond ASCII, as an internationalized one.
func isURLText(text []byte) bool {
	for i := 0; i < len(text); {
		if isURLByte(text[i]) {
			i++
			continue
		}
		if text[i] < utf8.RuneSelf {
			return false
		}
		c, size := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return false
		}
		i += size
	}
	return true
}

// isURLByte leaves out controls and the characters that RFC 3986 has no place
// for.
func isURLByte(b byte) bool {
	const (
		low  = ^uint64(1<<33-1) &^ (1<<'"' | 1<<'<' | 1<<'>')
		high = ^uint64(1<<('\\'-64) | 1<<('^'-64) | 1<<('`'-64) | 1<<('{'-64) | 1<<('|'-64) | 1<<('}'-64) | 1<<63)
	)
	return in(low, high, b)
}

// isHost tells whether text is a name or an address, and perhaps a port.
func isHost(text []byte) bool {
	if len(text) > 0 && text[0] == '[' {
		end := bytes.IndexByte(text, ']')
		if end < 0 {
			return false
		}
		if _, ok := parseIPv6(text[1:end]); !ok {
			return false
		}
		port := text[end+1:]
		return len(port) == 0 || port[0] == ':' && isPort(port[1:])
	}
	for i, b := range text {
		switch b {
		case '[', ']':
			return false
		case ':':
			return i > 0 && isPort(text[i+1:])
		}
	}
	return len(text) > 0
}

func isPort(text []byte) bool {
	for _, b := range text {
		if !isDigit(b) {
			return false
		}
	}
	return len(text) <= 5
}
