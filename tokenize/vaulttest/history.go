package vaulttest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/fieldveil/fieldveil/tokenize"
)

// A History remembers rows that a store said are durable, from any number of
// processes and runs, and checks that they keep the promises that tokens live
// by. The zero value is empty and ready. It is safe for concurrent use.
type History struct {
	mu     sync.Mutex
	tokens map[tokenize.Key]string     // by value
	values map[tokenRef]tokenize.Index // by token
	broken []string                    // what was wrong when it was added
}

// Add remembers the row of an outcome that was [tokenize.Inserted] or
// [tokenize.Exists]. Of the row, the sealed value is not needed.
func (h *History) Add(row tokenize.Row) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens == nil {
		h.tokens = map[tokenize.Key]string{}
		h.values = map[tokenRef]tokenize.Index{}
	}
	key, ref := keyOf(row), tokenRef{row.Scope, string(row.Token)}
	if old, ok := h.tokens[key]; ok && old != ref.token {
		h.broken = append(h.broken, "a value was given two tokens")
	}
	if old, ok := h.values[ref]; ok && old != row.Index {
		h.broken = append(h.broken, "a token was given to two values")
	}
	h.tokens[key], h.values[ref] = ref.token, row.Index
}

// Len returns the number of different values that were added.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.tokens)
}

// askAtOnce is how many rows Check asks for at once.
const askAtOnce = 500

// Check returns an error when a value was given two tokens, a token was given
// to two values, or a row is not in the store under its index and under its
// token. It returns the first few faults with their number, and tells neither
// tokens nor values.
func (h *History) Check(ctx context.Context, s tokenize.Store) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	faults := slices.Clone(h.broken)
	rows := make([]tokenize.Row, 0, len(h.tokens))
	for key, token := range h.tokens {
		rows = append(rows, tokenize.Row{Scope: key.Scope, Index: key.Index, Token: []byte(token)})
	}
	for part := range slices.Chunk(rows, askAtOnce) {
		keys, refs := make([]tokenize.Key, len(part)), make([]tokenize.Ref, len(part))
		for i, r := range part {
			keys[i], refs[i] = keyOf(r), refOf(r)
		}
		byIndex, err := s.ByIndex(ctx, keys)
		if err != nil {
			return fmt.Errorf("ByIndex: %w", err)
		}
		byToken, err := s.ByToken(ctx, refs)
		if err != nil {
			return fmt.Errorf("ByToken: %w", err)
		}
		if len(byIndex) != len(part) || len(byToken) != len(part) {
			return fmt.Errorf("%d keys gave %d rows, and as many tokens %d", len(part), len(byIndex), len(byToken))
		}
		for i, r := range part {
			switch {
			case isZero(byToken[i]):
				faults = append(faults, "a token that was handed out has no row")
			case byToken[i].Index != r.Index:
				faults = append(faults, "a token that was handed out stands for another value")
			}
			switch {
			case isZero(byIndex[i]):
				faults = append(faults, "a value whose token was handed out has no row")
			case !bytes.Equal(byIndex[i].Token, r.Token):
				faults = append(faults, "a value has another token than the one handed out")
			}
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d faults in %d rows: %q", len(faults), len(rows), faults[:min(len(faults), 5)])
	}
	return nil
}
