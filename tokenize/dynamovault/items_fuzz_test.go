package dynamovault

import (
	"bytes"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Two items have a key in common only when they are one.
func FuzzItemKeys(f *testing.F) {
	f.Add("a", "a", []byte("b"), []byte("b"), false)
	f.Add("a", "ab", []byte("bc"), []byte("c"), false)
	f.Add("\x01a", "a", []byte{}, []byte("a"), true)
	f.Fuzz(func(t *testing.T, scopeA, scopeB string, a, b []byte, otherKind bool) {
		if tokenize.CheckScope(scopeA) != nil || tokenize.CheckScope(scopeB) != nil {
			t.Skip("no scopes")
		}
		kind := byte(tokenKind)
		if otherKind {
			kind = indexKind
		}
		same := scopeA == scopeB && bytes.Equal(a, b) && !otherKind
		if bytes.Equal(itemKey(tokenKind, scopeA, a), itemKey(kind, scopeB, b)) != same {
			t.Fatal("two items share a key")
		}
	})
}

// What was written is read back, and what is read is within the limits.
func FuzzItems(f *testing.F) {
	f.Add("scope", []byte("token"), []byte("sealed"))
	f.Add("scope", []byte{}, []byte{})
	f.Add("s", []byte{0}, make([]byte, 2000))
	f.Fuzz(func(t *testing.T, scope string, token, sealed []byte) {
		row := tokenize.Row{Scope: scope, Index: tokenize.Index{1}, Token: token, Sealed: sealed}
		valid := tokenize.CheckRows([]tokenize.Row{row}) == nil
		got, err := parseIndexItem(&tokenize.Key{Scope: scope, Index: row.Index}, indexItem(&row))
		if err == nil && tokenize.CheckScope(scope) == nil && tokenize.CheckRows([]tokenize.Row{got}) != nil {
			t.Fatal("a row outside the limits")
		}
		if !valid {
			return
		}
		if err != nil || !bytes.Equal(got.Token, token) || !bytes.Equal(got.Sealed, sealed) {
			t.Fatalf("another row: %v", err)
		}
		got, err = parseTokenItem(&tokenize.Ref{Scope: scope, Token: token}, tokenItem(&row))
		if err != nil || got.Index != row.Index || len(got.Sealed) > 0 && !bytes.Equal(got.Sealed, sealed) {
			t.Fatalf("another row by token: %v", err)
		}
	})
}
