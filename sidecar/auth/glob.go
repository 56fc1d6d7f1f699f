package auth

import "strings"

// A glob is a pattern: * stands for any text, also none and also with slashes and
// dots, and ? for one byte.
type glob string

// match tells whether s as a whole is what g stands for, in time of the product of
// their lengths at most.
func (g glob) match(s string) bool {
	if !strings.ContainsAny(string(g), "*?") {
		return string(g) == s
	}
	var (
		p, i       int
		star, back = -1, 0
	)
	for i < len(s) {
		switch {
		case p < len(g) && g[p] == '*':
			star, back = p, i
			p++
		case p < len(g) && (g[p] == '?' || g[p] == s[i]):
			p++
			i++
		case star >= 0:
			// The last star takes one byte more.
			back++
			p, i = star+1, back
		default:
			return false
		}
	}
	return strings.Trim(string(g[p:]), "*") == ""
}

func anyMatch(globs []glob, s string) bool {
	for _, g := range globs {
		if g.match(s) {
			return true
		}
	}
	return false
}
