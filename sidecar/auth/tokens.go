package auth

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

const (
	// minToken is how long a token must be: 22 characters of base64 are 132 bits.
	// Who writes a password there is told so.
	minToken  = 22
	maxToken  = 4096
	maxTokens = 10000
	// minDistinct is how many different characters a token must have: less is no
	// random text.
	minDistinct = 8
)

// A token is one that was read from a file, by its digest.
type token struct {
	name string
	sum  [sha256.Size]byte
}

// parseTokens reads a file. The error says which line is wrong, and holds nothing
// of it.
func parseTokens(text []byte, principal string) ([]token, error) {
	if principal != "" {
		t, err := newToken(principal, string(bytes.TrimRight(text, "\r\n")))
		if err != nil {
			return nil, err
		}
		return []token{t}, nil
	}
	var out []token
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, secret, ok := strings.Cut(line, ":")
		if !ok || !validName(name) {
			return nil, fmt.Errorf("line %d: expected PRINCIPAL:TOKEN; %s", n, nameForm)
		}
		t, err := newToken(name, secret)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if out = append(out, t); len(out) > maxTokens {
			return nil, fmt.Errorf("more than %d tokens", maxTokens)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("there is no token in it")
	}
	return out, nil
}

func newToken(name, secret string) (token, error) {
	if !wellFormed(secret) {
		return token{}, fmt.Errorf("a token is %d to %d characters of printable ASCII without spaces and colons", minToken, maxToken)
	}
	if len(secret) < minToken {
		return token{}, fmt.Errorf("a token must have 128 bits, which are %d characters of base64 at least", minToken)
	}
	var seen [256]bool
	distinct := 0
	for i := range len(secret) {
		if !seen[secret[i]] {
			seen[secret[i]] = true
			distinct++
		}
	}
	if distinct < minDistinct {
		return token{}, errors.New("a token must be random: this one has a few characters only")
	}
	return token{name, sha256.Sum256([]byte(secret))}, nil
}

// wellFormed tells whether s can stand in a header, and in a line behind a name.
func wellFormed(s string) bool {
	if len(s) > maxToken || s == "" {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' {
			return false
		}
	}
	return true
}

// find returns whose token a text is. It compares digests with all of them, in
// constant time, so that time tells nothing of any.
func find(tokens []token, secret string) (name string, ok bool) {
	sum := sha256.Sum256([]byte(secret))
	at := -1
	for i := range tokens {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(tokens[i].sum[:], sum[:]), i, at)
	}
	if at < 0 {
		return "", false
	}
	return tokens[at].name, true
}
