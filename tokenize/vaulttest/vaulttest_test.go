package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
)

func TestMemoryIsAStore(t *testing.T) {
	Run(t, func(*testing.T) tokenize.Store { return NewMemory() })
}

func TestOneMemoryServesTheWholeSuite(t *testing.T) {
	m := NewMemory()
	Run(t, func(*testing.T) tokenize.Store { return m })
}

// broken is a sound store but for what is set.
type broken struct {
	*Memory

	insert  func(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error)
	byIndex func(rows []tokenize.Row) []tokenize.Row
	byToken func(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error)
	count   func(n uint64) uint64
	remove  func(ctx context.Context, refs []tokenize.Ref) error
}

func (b *broken) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if b.insert != nil {
		return b.insert(ctx, rows)
	}
	return b.Memory.Insert(ctx, rows)
}

func (b *broken) ByIndex(ctx context.Context, keys []tokenize.Key) ([]tokenize.Row, error) {
	rows, err := b.Memory.ByIndex(ctx, keys)
	if b.byIndex != nil && err == nil {
		rows = b.byIndex(rows)
	}
	return rows, err
}

func (b *broken) ByToken(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
	if b.byToken != nil {
		return b.byToken(ctx, refs)
	}
	return b.Memory.ByToken(ctx, refs)
}

func (b *broken) Count(ctx context.Context, scope string) (uint64, error) {
	n, err := b.Memory.Count(ctx, scope)
	if b.count != nil && err == nil {
		n = b.count(n)
	}
	return n, err
}

func (b *broken) Delete(ctx context.Context, refs []tokenize.Ref) error {
	if b.remove != nil {
		return b.remove(ctx, refs)
	}
	return b.Memory.Delete(ctx, refs)
}

// mapped stores rows under other scopes and tokens than those given, and gives
// them back as they were asked for.
func mapped(scope, token func(string) string) *broken {
	b := &broken{Memory: NewMemory()}
	b.insert = func(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
		changed := make([]tokenize.Row, len(rows))
		for i, r := range rows {
			if tokenize.CheckRows(rows[i:i+1]) == nil {
				r.Scope, r.Token = scope(r.Scope), []byte(token(string(r.Token)))
			}
			changed[i] = r
		}
		out, err := b.Memory.Insert(ctx, changed)
		for i := range out {
			if out[i].Status == tokenize.Inserted {
				out[i].Row.Scope, out[i].Row.Token = rows[i].Scope, bytes.Clone(rows[i].Token)
			}
		}
		return out, err
	}
	b.byToken = func(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
		changed := make([]tokenize.Ref, len(refs))
		for i, r := range refs {
			if tokenize.CheckRefs(refs[i:i+1]) == nil {
				r.Scope, r.Token = scope(r.Scope), []byte(token(string(r.Token)))
			}
			changed[i] = r
		}
		rows, err := b.Memory.ByToken(ctx, changed)
		for i := range rows {
			if len(rows[i].Token) > 0 {
				rows[i].Scope, rows[i].Token = refs[i].Scope, bytes.Clone(refs[i].Token)
			}
		}
		return rows, err
	}
	return b
}

func same(s string) string { return s }

// Each broken store must fail the check that is there for it.
func TestTheSuiteFindsBrokenStores(t *testing.T) {
	onInsert := func(change func(b *broken, rows []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome) func() tokenize.Store {
		return func() tokenize.Store {
			b := &broken{Memory: NewMemory()}
			b.insert = func(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
				out, err := b.Memory.Insert(ctx, rows)
				if err != nil {
					return nil, err
				}
				return change(b, rows, out), nil
			}
			return b
		}
	}
	tests := []struct {
		name  string
		store func() tokenize.Store
		check string // one that fails
	}{
		{"it forgets what it inserted", onInsert(func(b *broken, rows []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome {
			for _, r := range rows {
				_ = b.Memory.Delete(context.Background(), []tokenize.Ref{refOf(r)}) //nolint:usetesting // a table of no test
			}
			return out
		}), "a row is found by index and by token"},
		{"it says that all is new", onInsert(func(_ *broken, rows []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome {
			for i := range out {
				out[i] = tokenize.Outcome{Status: tokenize.Inserted, Row: cloneRow(rows[i])}
			}
			return out
		}), "a second row of an index is not written"},
		{"it returns the new token of an old row", onInsert(func(_ *broken, rows []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome {
			for i := range out {
				out[i].Row = cloneRow(rows[i])
			}
			return out
		}), "concurrent inserts give a value one token"},
		{"it calls a taken token an old row", onInsert(func(_ *broken, rows []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome {
			for i := range out {
				if out[i].Status == tokenize.Taken {
					out[i] = tokenize.Outcome{Status: tokenize.Exists, Row: cloneRow(rows[i])}
				}
			}
			return out
		}), "a token under another index is taken"},
		{"it turns the order of outcomes round", onInsert(func(_ *broken, _ []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome {
			for i := range len(out) / 2 {
				out[i], out[len(out)-1-i] = out[len(out)-1-i], out[i]
			}
			return out
		}), "a large batch keeps its order"},
		{"it leaves repeats out", onInsert(func(_ *broken, rows []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome {
			var kept []tokenize.Outcome
			seen := map[tokenize.Key]bool{}
			for i, r := range rows {
				if !seen[keyOf(r)] {
					kept = append(kept, out[i])
				}
				seen[keyOf(r)] = true
			}
			return kept
		}), "a batch of one new value twice writes it once"},
		{"it shares memory with what it was given", onInsert(func(_ *broken, rows []tokenize.Row, out []tokenize.Outcome) []tokenize.Outcome {
			for i := range out {
				if out[i].Status == tokenize.Inserted {
					out[i].Row = rows[i]
				}
			}
			return out
		}), "what goes in and out belongs to the caller"},
		{"it writes a batch though its context has ended", func() tokenize.Store {
			b := &broken{Memory: NewMemory()}
			b.insert = func(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
				out, err := b.Memory.Insert(context.WithoutCancel(ctx), rows)
				return out, errors.Join(err, ctx.Err())
			}
			return b
		}, "an ended context ends the call and claims nothing"},
		{"it writes what is before a refused row", func() tokenize.Store {
			b := &broken{Memory: NewMemory()}
			b.insert = func(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
				var all []tokenize.Outcome
				for i := range rows {
					out, err := b.Memory.Insert(ctx, rows[i:i+1])
					if err != nil {
						return nil, err
					}
					all = append(all, out...)
				}
				return all, nil
			}
			return b
		}, "a refused batch writes nothing"},
		{"it takes what it writes for written", func() tokenize.Store {
			b := &broken{Memory: NewMemory()}
			b.insert = func(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
				if err := errors.Join(ctx.Err(), tokenize.CheckRows(rows)); err != nil {
					return nil, err
				}
				var all []tokenize.Outcome
				for _, r := range rows {
					old, err := b.Memory.ByIndex(ctx, []tokenize.Key{keyOf(r)})
					if err != nil {
						return nil, err
					}
					if !isZero(old[0]) {
						all = append(all, tokenize.Outcome{Status: tokenize.Exists, Row: old[0]})
						continue
					}
					// Another one may have come in between.
					out, err := b.Memory.Insert(ctx, []tokenize.Row{r})
					if err != nil {
						return nil, err
					}
					out[0] = tokenize.Outcome{Status: tokenize.Inserted, Row: cloneRow(r)}
					all = append(all, out...)
				}
				return all, nil
			}
			return b
		}, "concurrent inserts give a token one value"},
		{"it has one index for all scopes", func() tokenize.Store { return mapped(func(string) string { return "one" }, same) }, "scopes know nothing of each other"},
		{"it takes tokens for text without case", func() tokenize.Store { return mapped(same, strings.ToLower) }, "tokens and scopes are told apart by their bytes"},
		{"it takes scopes for text without case", func() tokenize.Store { return mapped(strings.ToLower, same) }, "tokens and scopes are told apart by their bytes"},
		{"it cuts tokens at NUL", func() tokenize.Store {
			return mapped(same, func(s string) string { s, _, _ = strings.Cut(s+"\x00", "\x00"); return s + "." })
		}, "tokens and scopes are told apart by their bytes"},
		{"it mends tokens that are not UTF-8", func() tokenize.Store {
			return mapped(same, func(s string) string { return strings.ToValidUTF8(s, "?") })
		}, "tokens and scopes are told apart by their bytes"},
		{"it trims tokens", func() tokenize.Store {
			return mapped(same, func(s string) string { return strings.TrimSpace(s) + "." })
		}, "tokens and scopes are told apart by their bytes"},
		{"it cuts long tokens", func() tokenize.Store {
			b := &broken{Memory: NewMemory()}
			b.insert = func(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
				for i := range rows {
					rows[i].Token = rows[i].Token[:min(len(rows[i].Token), 128)]
				}
				return b.Memory.Insert(ctx, rows)
			}
			return b
		}, "the longest row is stored and a longer one is refused"},
		{"it leaves unknown keys out", func() tokenize.Store {
			return &broken{Memory: NewMemory(), byIndex: func(rows []tokenize.Row) []tokenize.Row {
				var found []tokenize.Row
				for _, r := range rows {
					if !isZero(r) {
						found = append(found, r)
					}
				}
				return found
			}}
		}, "what was never inserted is the zero row"},
		{"it has no row of an index of zeros", func() tokenize.Store {
			return &broken{Memory: NewMemory(), byIndex: func(rows []tokenize.Row) []tokenize.Row {
				for i := range rows {
					if rows[i].Index == (tokenize.Index{}) {
						rows[i] = tokenize.Row{}
					}
				}
				return rows
			}}
		}, "an index of zeros is an index"},
		{"it counts one half", func() tokenize.Store {
			return &broken{Memory: NewMemory(), count: func(n uint64) uint64 { return n / 2 }}
		}, "rows are counted"},
		{"it counts without end", func() tokenize.Store {
			return &broken{Memory: NewMemory(), count: func(n uint64) uint64 { return n * 3 }}
		}, "rows are counted"},
		{"it deletes nothing", func() tokenize.Store {
			return &broken{Memory: NewMemory(), remove: func(context.Context, []tokenize.Ref) error { return nil }}
		}, "a deleted row is gone and its token free"},
		{"it deletes the first alone", func() tokenize.Store {
			b := &broken{Memory: NewMemory()}
			b.remove = func(ctx context.Context, refs []tokenize.Ref) error {
				return b.Memory.Delete(ctx, refs[:min(len(refs), 1)])
			}
			return b
		}, "a deleted row is gone and its token free"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := false
			for _, c := range checks {
				if c.name == tt.check {
					found = true
					if err := c.run(t.Context(), tt.store()); err == nil {
						t.Errorf("%q finds nothing", c.name)
					} else {
						t.Log(err)
					}
				}
			}
			if !found {
				t.Errorf("there is no check %q", tt.check)
			}
		})
	}
}

func TestAHistoryFindsWhatMustNotBe(t *testing.T) {
	a, b := newRow("s"), newRow("s")
	aWithB, bWithA := a, b
	aWithB.Token, bWithA.Token = b.Token, a.Token
	tests := []struct {
		name   string
		stored []tokenize.Row
		said   []tokenize.Row
		want   string
	}{
		{name: "all is well", stored: []tokenize.Row{a, b}, said: []tokenize.Row{a, b, a}},
		{name: "more is stored than was said", stored: []tokenize.Row{a, b}, said: []tokenize.Row{a}},
		{name: "a lost row", stored: []tokenize.Row{a}, said: []tokenize.Row{a, b}, want: "has no row"},
		{name: "two tokens of a value", stored: []tokenize.Row{a, b}, said: []tokenize.Row{a, aWithB}, want: "given two tokens"},
		{name: "two values of a token", stored: []tokenize.Row{a, b}, said: []tokenize.Row{a, bWithA}, want: "given to two values"},
		{name: "another token than was said", stored: []tokenize.Row{aWithB}, said: []tokenize.Row{a}, want: "another token"},
		{name: "another value than was said", stored: []tokenize.Row{bWithA}, said: []tokenize.Row{a}, want: "another value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMemory()
			if _, err := m.Insert(t.Context(), tt.stored); err != nil {
				t.Fatal(err)
			}
			var h History
			for _, r := range tt.said {
				h.Add(r)
			}
			err := h.Check(t.Context(), m)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), string(a.Token)):
				t.Error("the error holds a token")
			}
		})
	}
	var h History
	h.Add(a)
	m := NewMemory()
	down := errors.New("down")
	m.Hook(func(context.Context, Op) error { return down })
	if err := h.Check(t.Context(), m); !errors.Is(err, down) || h.Len() != 1 || m.Calls(OpByIndex) != 1 {
		t.Errorf("%v, %d values", err, h.Len())
	}
}

func TestKeysAreThoseOfTheirText(t *testing.T) {
	a, again, b := NewKeys("a"), NewKeys("a"), NewKeys("b")
	value, bound := []byte("jane"), []byte("bound")
	if a.Index(value) != again.Index(value) || a.IndexKeyID() != again.IndexKeyID() {
		t.Error("equal texts make other keys")
	}
	if a.Index(value) == b.Index(value) || a.IndexKeyID() == b.IndexKeyID() {
		t.Error("other texts make equal keys")
	}
	if first, second := NewKeys(""), NewKeys(""); first.IndexKeyID() == second.IndexKeyID() {
		t.Error("random keys are equal")
	}
	sealed, err := a.Seal([]byte("x"), value, bound)
	if err != nil || bytes.Contains(sealed, value) {
		t.Fatalf("sealed %q, %v", sealed, err)
	}
	if got, err := again.Open(t.Context(), []byte("y"), sealed[1:], bound); err != nil || string(got) != "yjane" {
		t.Errorf("opened %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another bound": func() ([]byte, error) { return a.Open(t.Context(), nil, sealed[1:], []byte("other")) },
		"another key":   func() ([]byte, error) { return b.Open(t.Context(), nil, sealed[1:], bound) },
		"a cut seal":    func() ([]byte, error) { return a.Open(t.Context(), nil, sealed[2:], bound) },
		"no seal":       func() ([]byte, error) { return a.Open(t.Context(), nil, nil, bound) },
	} {
		if got, err := open(); !errors.Is(err, tokenize.ErrCorrupt) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
