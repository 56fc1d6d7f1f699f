package tokenize_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

const scope = "acme/email"

var (
	tok    = must(tokenize.PrefixedFormat("tok_"))
	six    = must(tokenize.DigitsFormat(6))
	access = tokenize.Access{Caller: "alice", Purpose: "case 7"}
)

// allow is an authorizer and an audit trail that lets everything pass.
type allow struct{}

func (allow) Record(context.Context, tokenize.Entry) error { return nil }

func allowAll(context.Context, tokenize.Request) error { return nil }

// openVault returns a vault with a gate that is open.
func openVault(t testing.TB, store tokenize.Store, opts ...tokenize.VaultOption) *tokenize.Vault {
	t.Helper()
	gate, err := tokenize.NewGate(allow{}, allowAll, tokenize.WithBulk(1000, allowAll), tokenize.WithVolume(1e9, 1))
	if err != nil {
		t.Fatal(err)
	}
	return tokenize.NewVault(store, append([]tokenize.VaultOption{tokenize.WithGate(gate)}, opts...)...)
}

func values(texts ...string) [][]byte {
	out := make([][]byte, len(texts))
	for i, s := range texts {
		out[i] = []byte(s)
	}
	return out
}

func texts(values [][]byte) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func tokens(t testing.TB, v *tokenize.Vault, k tokenize.VaultKeys, f tokenize.Format, in ...string) []string {
	t.Helper()
	out, err := v.Tokenize(t.Context(), k, scope, f, values(in...))
	if err != nil {
		t.Fatal(err)
	}
	return texts(out)
}

func TestAValueHasOneTokenAndComesBack(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	in := []string{"jane", "john", "jane", "", "jane", "john"}
	got := tokens(t, v, k, tok, in...)
	seen := map[string]string{}
	for i, token := range got {
		if !tok.Valid([]byte(token)) {
			t.Errorf("token %d has another shape: %q", i, token)
		}
		if old, ok := seen[in[i]]; ok && old != token {
			t.Errorf("%q has two tokens", in[i])
		}
		seen[in[i]] = token
	}
	if len(seen) != 3 || seen["jane"] == seen["john"] || seen[""] == seen["jane"] {
		t.Errorf("tokens: %q", got)
	}
	if n := store.Calls(vaulttest.OpInsert); n != 2 {
		t.Errorf("%d inserts, want one of the index key and one of the batch", n)
	}
	back, err := v.Detokenize(t.Context(), k, access, scope, values(append(got, "tok_unknown", "", strings.Repeat("x", 300), "\x00index-key")...))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range in {
		if back[i] == nil || string(back[i]) != want {
			t.Errorf("token %d is %q, want %q", i, back[i], want)
		}
	}
	for i, value := range back[len(in):] {
		if value != nil {
			t.Errorf("unknown token %d has the value %q", i, value)
		}
	}
	// Results that share memory would change together.
	clear(back[0])
	if string(back[2]) != "jane" || tokens(t, v, k, tok, "jane")[0] != got[0] {
		t.Error("results share memory")
	}
}

func TestAKnownValueTakesNoRoundTrip(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	if got, ok := v.AppendKnown([]byte("x"), k, scope, []byte("jane")); ok || string(got) != "x" {
		t.Errorf("known before: %q", got)
	}
	want := tokens(t, v, k, tok, "jane")[0]
	calls := store.Calls(vaulttest.OpInsert)
	if got, ok := v.AppendKnown([]byte("x"), k, scope, []byte("jane")); !ok || string(got) != "x"+want {
		t.Errorf("known after: %q, %v", got, ok)
	}
	tokens(t, v, k, tok, "jane", "jane")
	if n := store.Calls(vaulttest.OpInsert); n != calls {
		t.Errorf("%d inserts for known values", n-calls)
	}
	for name, other := range map[string]func() bool{
		"another scope": func() bool { _, ok := v.AppendKnown(nil, k, "other", []byte("jane")); return ok },
		"another key": func() bool {
			_, ok := v.AppendKnown(nil, vaulttest.NewKeys("b"), scope, []byte("jane"))
			return ok
		},
		"another value": func() bool { _, ok := v.AppendKnown(nil, k, scope, []byte("jane ")); return ok },
		"no cache": func() bool {
			v := openVault(t, store, tokenize.WithCacheSize(0))
			tokens(t, v, k, tok, "jane")
			_, ok := v.AppendKnown(nil, k, scope, []byte("jane"))
			return ok
		},
	} {
		if other() {
			t.Errorf("%s: known", name)
		}
	}
}

func TestProcessesShareTokens(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	var mu sync.Mutex
	all := map[string]map[string]bool{}
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			v := openVault(t, store)
			for at := range 40 {
				in := []string{fmt.Sprint("value ", (at+p)%40), fmt.Sprint("value ", 39-at), fmt.Sprint("value ", at)}
				out, err := v.Tokenize(t.Context(), k, scope, six, values(in...))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, token := range out {
					if all[in[i]] == nil {
						all[in[i]] = map[string]bool{}
					}
					all[in[i]][string(token)] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	used := map[string]bool{}
	for value, set := range all {
		if len(set) != 1 {
			t.Errorf("%q has %d tokens", value, len(set))
		}
		maps.Copy(used, set)
	}
	if len(all) != 40 || len(used) != 40 {
		t.Errorf("%d values have %d tokens", len(all), len(used))
	}
}

func TestScopesHaveTokensOfTheirOwn(t *testing.T) {
	v, k := openVault(t, vaulttest.NewMemory()), vaulttest.NewKeys("a")
	ours := tokens(t, v, k, tok, "jane")
	theirs, err := v.Tokenize(t.Context(), k, "globex/email", tok, values("jane"))
	if err != nil || string(theirs[0]) == ours[0] {
		t.Fatalf("another scope has %q, %v", theirs, err)
	}
	back, err := v.Detokenize(t.Context(), k, access, "globex/email", values(ours...))
	if err != nil || back[0] != nil {
		t.Errorf("a foreign token stands for %q, %v", back, err)
	}
}

// refusing answers Taken to the first so many rows, or to all.
type refusing struct {
	tokenize.Store

	left  int
	drawn map[string]bool
}

func (s *refusing) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	var pass []tokenize.Row
	out := make([]tokenize.Outcome, len(rows))
	var at []int
	for i, row := range rows {
		if row.Index != (tokenize.Index{}) && s.left > 0 {
			s.left--
			s.drawn[string(row.Token)] = true
			out[i].Status = tokenize.Taken
			continue
		}
		pass, at = append(pass, row), append(at, i)
	}
	got, err := s.Store.Insert(ctx, pass)
	for i := range got {
		out[at[i]] = got[i]
	}
	return out, err
}

func TestATakenTokenIsDrawnAgain(t *testing.T) {
	store, k := &refusing{Store: vaulttest.NewMemory(), left: 9, drawn: map[string]bool{}}, vaulttest.NewKeys("a")
	v := openVault(t, store)
	in := []string{"a", "b", "c", "d", "e"}
	got := tokens(t, v, k, tok, in...)
	if len(store.drawn) != 9 {
		t.Errorf("%d different tokens were refused, want 9", len(store.drawn))
	}
	back, err := v.Detokenize(t.Context(), k, access, scope, values(got...))
	if err != nil || strings.Join(texts(back), "") != "abcde" {
		t.Errorf("values %q, %v", back, err)
	}
	store.left = 1 << 30
	out, err := v.Tokenize(t.Context(), k, scope, tok, values("new", "a"))
	if !errors.Is(err, tokenize.ErrFull) || out != nil {
		t.Errorf("where all tokens are taken: %q, %v", out, err)
	}
}

func TestAScopeIsFilledToOneInAHundred(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	const limit = 9000 // of 900,000
	var in []string
	for i := range limit - 1 { // one row is that of the index key
		in = append(in, fmt.Sprint("value ", i))
	}
	var got []string
	for i := 0; i < len(in); i += 500 {
		got = append(got, tokens(t, v, k, six, in[i:min(i+500, len(in))]...)...)
	}
	if n, err := store.Count(t.Context(), scope); err != nil || n != limit {
		t.Fatalf("%d rows, %v", n, err)
	}
	if n := store.Calls(vaulttest.OpCount); n > 200 {
		t.Errorf("%d counts for 18 batches", n)
	}
	fresh := openVault(t, store) // knows nothing
	for name, v := range map[string]*tokenize.Vault{"the process that filled it": v, "another process": fresh} {
		for _, batch := range [][]string{{"new"}, {"value 0", "new"}} {
			out, err := v.Tokenize(t.Context(), k, scope, six, values(batch...))
			if !errors.Is(err, tokenize.ErrFull) || out != nil {
				t.Errorf("%s, %q: %q, %v", name, batch, out, err)
			}
		}
		if out := tokens(t, v, k, six, "value 0", "value 7"); out[0] != got[0] || out[1] != got[7] {
			t.Errorf("%s: known values lost their tokens", name)
		}
	}
	if n, err := store.Count(t.Context(), scope); err != nil || n != limit {
		t.Errorf("%d rows, %v", n, err)
	}
	// A format with room enough is another scope's.
	if _, err := v.Tokenize(t.Context(), k, "acme/other", tok, values("new")); err != nil {
		t.Error(err)
	}
}

func TestConcurrentWritersStopAtTheLimitTogether(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			for i := range 400 {
				in := []string{fmt.Sprint(p, "/", i, "a"), fmt.Sprint(p, "/", i, "b"), fmt.Sprint(p, "/", i, "c")}
				if _, err := v.Tokenize(t.Context(), k, scope, six, values(in...)); err != nil && !errors.Is(err, tokenize.ErrFull) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n, err := store.Count(t.Context(), scope); err != nil || n > 9000 || n < 8900 {
		t.Errorf("%d rows, %v, want up to 9000", n, err)
	}
}

func TestAnotherIndexKeyIsRefused(t *testing.T) {
	store := vaulttest.NewMemory()
	a, b := vaulttest.NewKeys("a"), vaulttest.NewKeys("b")
	v := openVault(t, store)
	tokens(t, v, a, tok, "jane")
	rows := store.Calls(vaulttest.OpInsert)
	for name, v := range map[string]*tokenize.Vault{"this process": v, "another process": openVault(t, store)} {
		if out, err := v.Tokenize(t.Context(), b, scope, tok, values("jane")); !errors.Is(err, tokenize.ErrIndexKey) || out != nil {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		// The same seals, yet another index.
		mixed := mixedKeys{VaultKeys: a, index: b}
		if out, err := v.Tokenize(t.Context(), mixed, scope, tok, values("jane")); !errors.Is(err, tokenize.ErrIndexKey) || out != nil {
			t.Errorf("%s, with seals that open: %q, %v", name, out, err)
		}
	}
	if n, err := store.Count(t.Context(), scope); err != nil || n != 2 {
		t.Errorf("%d rows, %v after %d inserts", n, err, rows)
	}
	zero := zeroKeys{a}
	if out, err := v.Tokenize(t.Context(), zero, scope, tok, values("x")); !errors.Is(err, tokenize.ErrIndexKey) || out != nil {
		t.Errorf("an index of zeros: %q, %v", out, err)
	}
}

// mixedKeys seal with one key and index with another.
type mixedKeys struct {
	tokenize.VaultKeys

	index tokenize.VaultKeys
}

func (m mixedKeys) IndexKeyID() [12]byte              { return m.index.IndexKeyID() }
func (m mixedKeys) Index(value []byte) tokenize.Index { return m.index.Index(value) }

type zeroKeys struct{ tokenize.VaultKeys }

func (zeroKeys) Index([]byte) tokenize.Index { return tokenize.Index{} }

// oneIndex has all values collide.
type oneIndex struct{ tokenize.VaultKeys }

func (oneIndex) Index([]byte) tokenize.Index { return tokenize.Index{1} }

func TestValuesOfOneIndexAreNeverConfused(t *testing.T) {
	store, k := vaulttest.NewMemory(), oneIndex{vaulttest.NewKeys("a")}
	for name, run := range map[string]func(v *tokenize.Vault) ([][]byte, error){
		"in one batch": func(v *tokenize.Vault) ([][]byte, error) {
			return v.Tokenize(t.Context(), k, "one", tok, values("jane", "john"))
		},
		"in two batches": func(v *tokenize.Vault) ([][]byte, error) {
			if _, err := v.Tokenize(t.Context(), k, "two", tok, values("jane")); err != nil {
				t.Fatal(err)
			}
			return v.Tokenize(t.Context(), k, "two", tok, values("john"))
		},
	} {
		if out, err := run(openVault(t, store, tokenize.WithCacheSize(0))); !errors.Is(err, tokenize.ErrCorrupt) || out != nil {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestAScopeHasOneFormat(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	tokens(t, v, k, tok, "jane")
	other := must(tokenize.PrefixedFormat("other_"))
	for name, v := range map[string]*tokenize.Vault{"this process": v, "another process": openVault(t, store)} {
		if out, err := v.Tokenize(t.Context(), k, scope, other, values("jane")); !errors.Is(err, tokenize.ErrFormat) || out != nil {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestBatchesThatDoNotFitWriteNothing(t *testing.T) {
	pan := must(tokenize.PANFormat(tokenize.PANOptions{KeepLast: 4}))
	for _, tt := range []struct {
		name, scope string
		f           tokenize.Format
		values      [][]byte
		want        error
	}{
		{name: "a value that is no card number", scope: scope, f: pan, values: values("4111111111111111", "4111111111111112"), want: tokenize.ErrValue},
		{name: "a value too long", scope: scope, f: tok, values: [][]byte{nil, make([]byte, tokenize.MaxValue+1)}, want: tokenize.ErrValue},
		{name: "no format", scope: scope, values: values("x"), want: tokenize.ErrFormat},
		{name: "no scope", f: tok, values: values("x"), want: tokenize.ErrRow},
		{name: "a scope too long", scope: strings.Repeat("x", 256), f: tok, values: values("x"), want: tokenize.ErrRow},
		{name: "a scope with NUL", scope: "a\x00b", f: tok, values: values("x"), want: tokenize.ErrRow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := vaulttest.NewMemory()
			out, err := openVault(t, store).Tokenize(t.Context(), vaulttest.NewKeys("a"), tt.scope, tt.f, tt.values)
			if !errors.Is(err, tt.want) || out != nil {
				t.Errorf("%q, %v, want %v", out, err, tt.want)
			}
			if n := store.Calls(vaulttest.OpInsert); n != 0 {
				t.Errorf("%d inserts", n)
			}
		})
	}
	store := vaulttest.NewMemory()
	if out, err := openVault(t, store).Tokenize(t.Context(), vaulttest.NewKeys("a"), scope, tok, nil); err != nil || out != nil || store.Calls(vaulttest.OpInsert) != 0 {
		t.Errorf("an empty batch: %q, %v", out, err)
	}
	longest := [][]byte{make([]byte, tokenize.MaxValue)}
	v := openVault(t, store)
	out, err := v.Tokenize(t.Context(), vaulttest.NewKeys("a"), scope, tok, longest)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := v.Detokenize(t.Context(), vaulttest.NewKeys("a"), access, scope, out); err != nil || !bytes.Equal(back[0], longest[0]) {
		t.Errorf("the longest value does not come back: %v", err)
	}
}

// A token is neither returned nor remembered when its row may not be durable,
// and when it was, the next call finds it.
func TestNothingIsHandedOutThatMayNotBeDurable(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	tokens(t, v, k, tok, "known")
	down := errors.New("the store is down")
	lost := &lostAnswer{Store: store}
	for name, s := range map[string]struct {
		fault func() *tokenize.Vault
		rows  int
	}{
		"a store that fails": {fault: func() *tokenize.Vault {
			store.Hook(func(context.Context, vaulttest.Op) error { return down })
			return v
		}},
		"an answer that is lost": {fault: func() *tokenize.Vault {
			store.Hook(nil)
			v := openVault(t, lost)
			tokens(t, v, k, tok, "known")
			lost.err = down
			return v
		}, rows: 1},
	} {
		v := s.fault()
		value := []byte(name)
		out, err := v.Tokenize(t.Context(), k, scope, tok, [][]byte{value, []byte("known")})
		if !errors.Is(err, down) || out != nil {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if _, ok := v.AppendKnown(nil, k, scope, value); ok {
			t.Errorf("%s: it is remembered", name)
		}
		if _, ok := v.AppendKnown(nil, k, scope, []byte("known")); !ok {
			t.Errorf("%s: known values are lost", name)
		}
		store.Hook(nil)
		lost.err = nil
		rows, err := store.ByIndex(t.Context(), []tokenize.Key{{Scope: scope, Index: k.Index(value)}})
		if err != nil || (len(rows[0].Token) > 0) != (s.rows > 0) {
			t.Fatalf("%s: %d bytes of token in the store, %v", name, len(rows[0].Token), err)
		}
		got := tokens(t, v, k, tok, name)
		if s.rows > 0 && got[0] != string(rows[0].Token) {
			t.Errorf("%s: it has another token than the durable one", name)
		}
	}
}

// lostAnswer inserts and says that it failed.
type lostAnswer struct {
	tokenize.Store

	err error
}

func (l *lostAnswer) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	out, err := l.Store.Insert(ctx, rows)
	if l.err != nil {
		return nil, l.err
	}
	return out, err
}

func TestAnEndedContextGivesNoToken(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	tokens(t, v, k, tok, "known")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out, err := v.Tokenize(ctx, k, scope, tok, values("jane")); !errors.Is(err, context.Canceled) || out != nil {
		t.Errorf("Tokenize: %q, %v", out, err)
	}
	if out, err := v.Detokenize(ctx, k, access, scope, values("tok_x")); !errors.Is(err, context.Canceled) || out != nil {
		t.Errorf("Detokenize: %q, %v", out, err)
	}
	if n, err := store.Count(t.Context(), scope); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// lying changes what a store answers.
type lying struct {
	tokenize.Store

	insert func(out []tokenize.Outcome) []tokenize.Outcome
	rows   func(rows []tokenize.Row) []tokenize.Row
}

func (l *lying) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	out, err := l.Store.Insert(ctx, rows)
	if l.insert != nil && err == nil {
		out = l.insert(out)
	}
	return out, err
}

func (l *lying) ByToken(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
	rows, err := l.Store.ByToken(ctx, refs)
	if l.rows != nil && err == nil {
		rows = l.rows(rows)
	}
	return rows, err
}

func TestAStoreThatLiesIsFoundOut(t *testing.T) {
	k := vaulttest.NewKeys("a")
	foreign := func(scope, token, value string) []byte {
		s, _ := k.Seal(nil, []byte(value), append(append([]byte{byte(len(scope))}, scope...), append([]byte{byte(len(token))}, token...)...))
		return s
	}
	each := func(f func(o *tokenize.Outcome)) func([]tokenize.Outcome) []tokenize.Outcome {
		return func(out []tokenize.Outcome) []tokenize.Outcome {
			for i := range out {
				f(&out[i])
			}
			return out
		}
	}
	for name, lie := range map[string]func([]tokenize.Outcome) []tokenize.Outcome{
		"no outcomes":        func([]tokenize.Outcome) []tokenize.Outcome { return nil },
		"an outcome less":    func(o []tokenize.Outcome) []tokenize.Outcome { return o[1:] },
		"an outcome more":    func(o []tokenize.Outcome) []tokenize.Outcome { return append(o, o[0]) },
		"another order":      func(o []tokenize.Outcome) []tokenize.Outcome { o[0], o[1] = o[1], o[0]; return o },
		"no status":          each(func(o *tokenize.Outcome) { o.Status = 0 }),
		"an unknown status":  each(func(o *tokenize.Outcome) { o.Status = 9 }),
		"another scope":      each(func(o *tokenize.Outcome) { o.Row.Scope = "other" }),
		"another index":      each(func(o *tokenize.Outcome) { o.Row.Index[0] ^= 1 }),
		"another token":      each(func(o *tokenize.Outcome) { o.Row.Token = []byte("tok_aaaaaaaaaaaaaaaaaaaaaaaaaa") }),
		"a seal that is cut": each(func(o *tokenize.Outcome) { o.Status, o.Row.Sealed = tokenize.Exists, o.Row.Sealed[1:] }),
		"the seal of another value": each(func(o *tokenize.Outcome) {
			o.Status, o.Row.Sealed = tokenize.Exists, foreign(scope, string(o.Row.Token), "eve")
		}),
		"the row of another value": func(o []tokenize.Outcome) []tokenize.Outcome {
			for i := range o {
				o[i].Status = tokenize.Exists
			}
			o[0].Row.Token, o[1].Row.Token = o[1].Row.Token, o[0].Row.Token
			o[0].Row.Sealed, o[1].Row.Sealed = o[1].Row.Sealed, o[0].Row.Sealed
			return o
		},
	} {
		store := &lying{Store: vaulttest.NewMemory()}
		v := openVault(t, store)
		tokens(t, v, k, tok, "first")
		store.insert = lie
		out, err := v.Tokenize(t.Context(), k, scope, tok, values("jane", "john"))
		if !errors.Is(err, tokenize.ErrCorrupt) || out != nil {
			t.Errorf("Insert answers %s: %q, %v", name, out, err)
		}
		if _, ok := v.AppendKnown(nil, k, scope, []byte("jane")); ok {
			t.Errorf("Insert answers %s: it is remembered", name)
		}
	}
	for name, lie := range map[string]func([]tokenize.Row) []tokenize.Row{
		"no rows":       func([]tokenize.Row) []tokenize.Row { return nil },
		"another order": func(r []tokenize.Row) []tokenize.Row { r[0], r[1] = r[1], r[0]; return r },
		"another scope": func(r []tokenize.Row) []tokenize.Row { r[0].Scope = "other"; return r },
		"another token": func(r []tokenize.Row) []tokenize.Row { r[0].Token = r[1].Token; return r },
		"swapped seals": func(r []tokenize.Row) []tokenize.Row {
			r[0].Sealed, r[1].Sealed = r[1].Sealed, r[0].Sealed
			return r
		},
		"the seal of another scope": func(r []tokenize.Row) []tokenize.Row {
			r[1].Sealed = foreign("other", string(r[1].Token), "jane")
			return r
		},
		"an empty seal": func(r []tokenize.Row) []tokenize.Row { r[1].Sealed = nil; return r },
	} {
		store := &lying{Store: vaulttest.NewMemory()}
		v := openVault(t, store)
		got := tokens(t, v, k, tok, "jane", "john")
		store.rows = lie
		if out, err := v.Detokenize(t.Context(), k, access, scope, values(got...)); !errors.Is(err, tokenize.ErrCorrupt) || out != nil {
			t.Errorf("ByToken answers %s: %q, %v", name, out, err)
		}
	}
}

func TestAnErasedValueIsGone(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	got := tokens(t, v, k, tok, "jane", "john")
	if err := v.Erase(t.Context(), access, scope, values(got[0], "tok_unknown", "\x00index-key", "")); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.AppendKnown(nil, k, scope, []byte("jane")); ok {
		t.Error("an erased value is known")
	}
	if _, ok := v.AppendKnown(nil, k, scope, []byte("john")); !ok {
		t.Error("another value is forgotten")
	}
	back, err := v.Detokenize(t.Context(), k, access, scope, values(got...))
	if err != nil || back[0] != nil || string(back[1]) != "john" {
		t.Errorf("%q, %v", back, err)
	}
	if again := tokens(t, v, k, tok, "jane"); again[0] == got[0] {
		t.Error("the erased token came back")
	}
	// The index key of the scope is still known.
	if _, err := openVault(t, store).Tokenize(t.Context(), vaulttest.NewKeys("b"), scope, tok, values("x")); !errors.Is(err, tokenize.ErrIndexKey) {
		t.Error(err)
	}
}

// No error may hold a value or a token, whatever fails.
func TestErrorsHoldNoData(t *testing.T) {
	const value, mark = "CANARY-4711", "CANARY"
	k := vaulttest.NewKeys("a")
	check := func(err error, token string) {
		t.Helper()
		if err == nil {
			t.Error("no error")
		} else if s := err.Error(); strings.Contains(s, mark) || strings.Contains(s, token) {
			t.Errorf("error holds data: %s", s)
		}
	}
	store := &lying{Store: vaulttest.NewMemory()}
	v := openVault(t, store, tokenize.WithCacheSize(0))
	token := tokens(t, v, k, tok, value)[0]
	pan := must(tokenize.PANFormat(tokenize.PANOptions{}))
	_, err := v.Tokenize(t.Context(), k, scope, pan, values(value))
	check(err, token)
	_, err = v.Tokenize(t.Context(), vaulttest.NewKeys("b"), scope, tok, values(value))
	check(err, token)
	store.insert = func(o []tokenize.Outcome) []tokenize.Outcome { o[0].Row.Sealed[0] ^= 1; return o }
	_, err = v.Tokenize(t.Context(), k, scope, tok, values(value))
	check(err, token)
	store.rows = func(r []tokenize.Row) []tokenize.Row { r[0].Sealed[0] ^= 1; return r }
	_, err = v.Detokenize(t.Context(), k, access, scope, values(token))
	check(err, token)
	_, err = tokenize.NewVault(store).Detokenize(t.Context(), k, access, scope, values(token))
	check(err, token)
}

func TestFindMakesNoToken(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(t, store)
	want := tokens(t, v, k, tok, "jane")[0]
	for name, v := range map[string]*tokenize.Vault{"this process": v, "another process": openVault(t, store)} {
		if got, ok, err := v.Find(t.Context(), k, scope, []byte("jane")); err != nil || !ok || string(got) != want {
			t.Errorf("%s: %q, %v, %v", name, got, ok, err)
		}
		if got, ok, err := v.Find(t.Context(), k, scope, []byte("john")); err != nil || ok || got != nil {
			t.Errorf("%s: %q, %v, %v", name, got, ok, err)
		}
	}
	if n, err := store.Count(t.Context(), scope); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// plainIndex indexes without a pool, which the race detector empties.
type plainIndex struct{ tokenize.VaultKeys }

func (plainIndex) Index(value []byte) tokenize.Index { return sha256.Sum256(value) }

func TestAppendKnownAllocatesNothing(t *testing.T) {
	v := openVault(t, vaulttest.NewMemory())
	var k tokenize.VaultKeys = plainIndex{vaulttest.NewKeys("a")} // made an interface once
	tokens(t, v, k, tok, "jane")
	value, dst := []byte("jane"), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(200, func() {
		var ok bool
		if dst, ok = v.AppendKnown(dst[:0], k, scope, value); !ok {
			t.Fatal("not known")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// spying keys remember what values are sealed for.
type spyingKeys struct {
	*vaulttest.Keys

	bound *[][]byte
}

func (s spyingKeys) Seal(dst, value, bound []byte) ([]byte, error) {
	*s.bound = append(*s.bound, bytes.Clone(bound))
	return s.Keys.Seal(dst, value, bound)
}

// Rows of other releases must open, so these bytes never change.
func TestValuesAreSealedForTheirScopeAndToken(t *testing.T) {
	var bound [][]byte
	k := spyingKeys{Keys: vaulttest.NewKeys("a"), bound: &bound}
	token := tokens(t, openVault(t, vaulttest.NewMemory()), k, tok, "jane")[0]
	want := []string{"\x0aacme/email\x0a\x00index-key", "\x0aacme/email\x1e" + token}
	if got := texts(bound); !slices.Equal(got, want) {
		t.Errorf("sealed for %q, want %q", got, want)
	}
}

// full is a store that says it is, and may lie about rows.
type full struct {
	tokenize.Store

	rows func(rows []tokenize.Row) []tokenize.Row
}

func (*full) Count(context.Context, string) (uint64, error) { return 1 << 40, nil }

func (f *full) ByIndex(ctx context.Context, keys []tokenize.Key) ([]tokenize.Row, error) {
	rows, err := f.Store.ByIndex(ctx, keys)
	if f.rows != nil && err == nil {
		rows = f.rows(rows)
	}
	return rows, err
}

func TestALieAboutKnownValuesIsFoundOut(t *testing.T) {
	k, memory := vaulttest.NewKeys("a"), vaulttest.NewMemory()
	want := tokens(t, openVault(t, memory), k, six, "jane", "john")
	store := &full{Store: memory}
	if got := tokens(t, openVault(t, store), k, six, "jane", "john"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for name, lie := range map[string]func([]tokenize.Row) []tokenize.Row{
		"no rows":       func([]tokenize.Row) []tokenize.Row { return nil },
		"another order": func(r []tokenize.Row) []tokenize.Row { r[0], r[1] = r[1], r[0]; return r },
		"another scope": func(r []tokenize.Row) []tokenize.Row { r[0].Scope = "other"; return r },
		"another index": func(r []tokenize.Row) []tokenize.Row { r[0].Index[0] ^= 1; return r },
		"another token": func(r []tokenize.Row) []tokenize.Row { r[0].Token = r[1].Token; return r },
		"another value": func(r []tokenize.Row) []tokenize.Row {
			r[0].Token, r[0].Sealed = r[1].Token, r[1].Sealed
			return r
		},
	} {
		store.rows = lie
		if out, err := openVault(t, store).Tokenize(t.Context(), k, scope, six, values("jane", "john")); !errors.Is(err, tokenize.ErrCorrupt) || out != nil {
			t.Errorf("ByIndex answers %s: %q, %v", name, out, err)
		}
	}
	down := errors.New("down")
	failing := vaulttest.NewMemory()
	v := openVault(t, failing)
	tokens(t, v, k, six, "known")
	failing.Hook(func(_ context.Context, op vaulttest.Op) error {
		if op == vaulttest.OpCount {
			return down
		}
		return nil
	})
	if out, err := openVault(t, failing).Tokenize(t.Context(), k, scope, six, values("new")); !errors.Is(err, down) || out != nil {
		t.Errorf("a store that cannot count: %q, %v", out, err)
	}
}
