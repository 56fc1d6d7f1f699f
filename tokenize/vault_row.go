package tokenize

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The limits of a [Row]. The least length of each part is 1.
const (
	MaxScope  = 255
	MaxToken  = 255
	MaxSealed = 64 << 10
)

// CheckRows returns an error that wraps [ErrRow] when a row is outside the
// limits. Every [Store] calls it before anything else, so that all refuse the
// same rows.
func CheckRows(rows []Row) error {
	for i := range rows {
		if err := checkScope(rows[i].Scope, i); err != nil {
			return err
		}
		if err := checkLength("token", len(rows[i].Token), MaxToken, i); err != nil {
			return err
		}
		if err := checkLength("sealed value", len(rows[i].Sealed), MaxSealed, i); err != nil {
			return err
		}
	}
	return nil
}

// CheckKeys is [CheckRows] for what ByIndex is given.
func CheckKeys(keys []Key) error {
	for i := range keys {
		if err := checkScope(keys[i].Scope, i); err != nil {
			return err
		}
	}
	return nil
}

// CheckRefs is [CheckRows] for what ByToken and Delete are given.
func CheckRefs(refs []Ref) error {
	for i := range refs {
		if err := checkScope(refs[i].Scope, i); err != nil {
			return err
		}
		if err := checkLength("token", len(refs[i].Token), MaxToken, i); err != nil {
			return err
		}
	}
	return nil
}

// CheckScope returns an error that wraps [ErrRow] when scope is not UTF-8 of 1
// to 255 bytes without NUL.
func CheckScope(scope string) error { return checkScope(scope, 0) }

func checkScope(scope string, at int) error {
	if err := checkLength("scope", len(scope), MaxScope, at); err != nil {
		return err
	}
	if !utf8.ValidString(scope) || strings.IndexByte(scope, 0) >= 0 {
		return fmt.Errorf("%w: entry %d: scope is not UTF-8 without NUL", ErrRow, at)
	}
	return nil
}

// checkLength tells lengths of sealed values only where they are too long: how
// long a value is belongs to it.
func checkLength(part string, n, most, at int) error {
	switch {
	case n == 0:
		return fmt.Errorf("%w: entry %d: empty %s", ErrRow, at, part)
	case n > most:
		return fmt.Errorf("%w: entry %d: %s of more than %d bytes", ErrRow, at, part, most)
	}
	return nil
}
