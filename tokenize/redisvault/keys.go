package redisvault

import (
	"errors"
	"strings"

	"github.com/fieldveil/fieldveil/tokenize"
)

// rowFormat is the first byte of a stored row.
const rowFormat = 1

var errRow = errors.New("what is stored is no row of this package")

// space returns what all keys of a scope begin with. The part in braces decides
// where a cluster keeps them; escaped, scopes cannot end it early, and no two
// have one in common.
func (s *Store) space(scope string) string {
	var b strings.Builder
	b.Grow(len(s.prefix) + len(scope) + len(":{}:"))
	b.WriteString(s.prefix)
	b.WriteString(":{")
	for i := range len(scope) {
		switch c := scope[i]; c {
		case '{':
			b.WriteString("%7B")
		case '}':
			b.WriteString("%7D")
		case '%':
			b.WriteString("%25")
		default:
			b.WriteByte(c)
		}
	}
	b.WriteString("}:")
	return b.String()
}

func indexKey(space string, index *tokenize.Index) string { return space + "i:" + string(index[:]) }
func tokenKey(space string, token []byte) string          { return space + "t:" + string(token) }
func countKey(space string) string                        { return space + "n" }
func fenceKey(space string) string                        { return space + "w" }

// spaces remembers the last scope's space: batches mostly have one scope.
type spaces struct {
	store *Store
	scope string
	space string
}

func (c *spaces) of(scope string) string {
	if c.space == "" || c.scope != scope {
		c.scope, c.space = scope, c.store.space(scope)
	}
	return c.space
}

// appendHead appends what a stored row begins with.
func appendHead(dst, token []byte) []byte {
	dst = append(dst, rowFormat, byte(len(token))) //nolint:gosec // at most 255
	return append(dst, token...)
}

// parseRow reads a stored row. The bytes of the result are its own.
func parseRow(scope string, index *tokenize.Index, stored string) (tokenize.Row, error) {
	if len(stored) < 2 || stored[0] != rowFormat || stored[1] == 0 {
		return tokenize.Row{}, errRow
	}
	end := 2 + int(stored[1])
	if len(stored) <= end || len(stored)-end > tokenize.MaxSealed {
		return tokenize.Row{}, errRow
	}
	b := []byte(stored)
	return tokenize.Row{Scope: scope, Index: *index, Token: b[2:end:end], Sealed: b[end:]}, nil
}
