package redisvault

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Two scopes have a key in common only when they are one, and all keys of a
// scope are one slot of a cluster.
func FuzzKeys(f *testing.F) {
	f.Add("tenant/customers", "tenant/cards", []byte("tok"), []byte("kot"))
	f.Add("{a}", "%7Ba%7D", []byte("}:i:"), []byte{0})
	f.Add("a}:t:x", "a", []byte("}:t:x"), []byte("x}:t:x"))
	f.Add("}", "{", []byte(""), []byte("{}"))
	s := &Store{prefix: defaultPrefix}
	f.Fuzz(func(t *testing.T, scopeA, scopeB string, tokenA, tokenB []byte) {
		if tokenize.CheckScope(scopeA) != nil || tokenize.CheckScope(scopeB) != nil {
			t.Skip("no scopes")
		}
		spaceA, spaceB := s.space(scopeA), s.space(scopeB)
		same := scopeA == scopeB
		if (spaceA == spaceB) != same {
			t.Fatalf("%q and %q share their keys", scopeA, scopeB)
		}
		if got := tokenKey(spaceA, tokenA) == tokenKey(spaceB, tokenB); got != (same && bytes.Equal(tokenA, tokenB)) {
			t.Fatal("two tokens share a key")
		}
		var index tokenize.Index
		copy(index[:], tokenA)
		for _, key := range []string{indexKey(spaceA, &index), countKey(spaceA), fenceKey(spaceA)} {
			if key == tokenKey(spaceB, tokenB) {
				t.Fatal("a token has the key of something else")
			}
			_, rest, _ := strings.Cut(key, "{")
			tag, _, ok := strings.Cut(rest, "}")
			if !ok || tag == "" || tag != strings.TrimSuffix(strings.TrimPrefix(spaceA, defaultPrefix+":{"), "}:") {
				t.Fatalf("the key is in the slot of %q", tag)
			}
		}
	})
}

func FuzzParseRow(f *testing.F) {
	f.Add("\x01\x03toksealed")
	f.Add("\x01\x00")
	f.Add("\x01\xff")
	f.Add("")
	f.Fuzz(func(t *testing.T, stored string) {
		row, err := parseRow("scope", &tokenize.Index{1}, stored)
		if err != nil {
			if row.Scope != "" {
				t.Fatal("a row beside an error")
			}
			return
		}
		if err := tokenize.CheckRows([]tokenize.Row{row}); err != nil {
			t.Fatal(err)
		}
		if again := append(appendHead(nil, row.Token), row.Sealed...); string(again) != stored {
			t.Fatal("a row is stored in two ways")
		}
	})
}
