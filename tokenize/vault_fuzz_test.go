package tokenize_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// faulty is a store that fails, loses its answers, and finds tokens taken, as
// often as it is told to.
type faulty struct {
	tokenize.Store

	down, lost, taken int
}

var errFault = errors.New("fault")

func (f *faulty) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if f.down > 0 {
		f.down--
		return nil, errFault
	}
	out, err := (&refusing{Store: f.Store, left: f.taken, drawn: map[string]bool{}}).Insert(ctx, rows)
	f.taken = max(0, f.taken-len(rows))
	if f.lost > 0 {
		f.lost--
		return nil, errFault
	}
	return out, err
}

// FuzzVault drives two processes over one store by the bytes of its input, and
// compares them with a map.
func FuzzVault(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 1, 0, 2, 1, 0, 0, 1, 0})
	f.Add([]byte{3, 0, 0, 1, 0, 1, 4, 0, 0, 2, 1, 2, 1, 2})
	f.Add([]byte{5, 40, 0, 255, 5, 9, 1, 255, 2, 3, 2, 3, 0, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 400 {
			return
		}
		memory, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
		store := &faulty{Store: memory}
		// One has a small cache, the other none.
		vaults := []*tokenize.Vault{openVault(t, store, tokenize.WithCacheSize(8)), openVault(t, store, tokenize.WithCacheSize(0))}
		model := map[string]string{} // value -> token, of tokens that were handed out
		value := func(n byte) string { return fmt.Sprint("value ", n%16) }
		for len(ops) >= 2 {
			op, arg := ops[0], ops[1]
			ops = ops[2:]
			switch v := vaults[op>>3&1]; op & 7 {
			case 3:
				store.down = int(arg % 3)
			case 4:
				store.lost = int(arg % 3)
			case 5:
				store.taken = int(arg % 64)
			case 2:
				token := model[value(arg)]
				if err := vaults[0].Erase(t.Context(), access, scope, values(token)); err != nil {
					t.Fatal(err)
				}
				delete(model, value(arg))
			case 1:
				token, known := model[value(arg)]
				out, err := v.Detokenize(t.Context(), k, access, scope, values(token, "unknown"))
				if err != nil {
					t.Fatal(err)
				}
				if known && string(out[0]) != value(arg) || !known && out[0] != nil || out[1] != nil {
					t.Fatalf("the token of %q stands for %q", value(arg), out)
				}
			default:
				var in []string
				for i := range arg%5 + 1 {
					in = append(in, value(arg>>2+i*arg))
				}
				out, err := v.Tokenize(t.Context(), k, scope, tok, values(in...))
				if err != nil {
					if !errors.Is(err, errFault) && !errors.Is(err, tokenize.ErrFull) || out != nil {
						t.Fatalf("%q, %v", out, err)
					}
					continue
				}
				for i, token := range texts(out) {
					if old, ok := model[in[i]]; ok && old != token {
						t.Fatalf("%q has the tokens %q and %q", in[i], old, token)
					}
					model[in[i]] = token
				}
			}
			// What was handed out stands in the store, and no token twice.
			seen := map[string]string{}
			for val, token := range model {
				rows, err := memory.ByToken(t.Context(), []tokenize.Ref{{Scope: scope, Token: []byte(token)}})
				if err != nil || rows[0].Index != k.Index([]byte(val)) {
					t.Fatalf("the token of %q dangles, %v", val, err)
				}
				if other, ok := seen[token]; ok {
					t.Fatalf("%q and %q have one token", val, other)
				}
				seen[token] = val
				if got, ok := vaults[0].AppendKnown(nil, k, scope, []byte(val)); ok && string(got) != token {
					t.Fatalf("the process remembers another token of %q", val)
				}
			}
		}
	})
}
