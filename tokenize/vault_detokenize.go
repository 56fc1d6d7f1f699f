package tokenize

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// Detokenize returns the values of tokens in the same order, nil for those that
// stand for no value of the scope; the value of a known token is never nil. The
// request passes the [Gate] first, which writes down who asks and why: nothing
// is revealed unless that is written.
//
// On an error nothing is returned. The errors are [ErrDenied], [ErrLimit] and
// [ErrAudit] of the gate, [ErrRow] for a scope outside the limits of a [Row],
// [ErrCorrupt], and those of the store, the keys and ctx. The
// values belong to the caller, who may wipe them.
func (v *Vault) Detokenize(ctx context.Context, keys VaultKeys, access Access, scope string, tokens [][]byte) ([][]byte, error) {
	if err := v.pass(ctx, ActionReveal, access, scope, tokens); err != nil {
		return nil, err
	}
	values := make([][]byte, len(tokens))
	refs, at := refsOf(scope, tokens)
	if len(refs) == 0 {
		return values, nil
	}
	rows, err := v.store.ByToken(ctx, refs)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokenize: look up: %w", err)
	case len(rows) != len(refs):
		return nil, fmt.Errorf("%w: %d rows for %d tokens", ErrCorrupt, len(rows), len(refs))
	}
	for i := range rows {
		if len(rows[i].Token) == 0 {
			continue
		}
		if err := v.reveal(ctx, keys, &refs[i], &rows[i], at[i], values); err != nil {
			for _, value := range values {
				secret.Wipe(value)
			}
			return nil, err
		}
	}
	return values, nil
}

// reveal puts a copy of the value of row to each place that asked for it.
func (v *Vault) reveal(ctx context.Context, keys VaultKeys, ref *Ref, row *Row, at []int, values [][]byte) error {
	if row.Scope != ref.Scope || !bytes.Equal(row.Token, ref.Token) {
		return fmt.Errorf("%w: row of another token", ErrCorrupt)
	}
	value, err := open(ctx, keys, row)
	if err != nil {
		return err
	}
	defer secret.Wipe(value)
	for _, i := range at {
		values[i] = append(make([]byte, 0, len(value)), value...)
	}
	return nil
}

// Erase removes tokens with their values, where they are. Nothing brings the
// values back from their tokens again, and a value that comes again gets
// another token. The request passes the [Gate] first, which must allow
// [ActionErase].
//
// Another process may know such a token for as long as [WithCacheAge] says, and
// give it out, and so may a call of this one that is under way.
func (v *Vault) Erase(ctx context.Context, access Access, scope string, tokens [][]byte) error {
	if err := v.pass(ctx, ActionErase, access, scope, tokens); err != nil {
		return err
	}
	refs, _ := refsOf(scope, tokens)
	if len(refs) == 0 {
		return nil
	}
	gone := make(map[string]bool, len(refs))
	for _, r := range refs {
		gone[string(r.Token)] = true
	}
	err := v.store.Delete(ctx, refs)
	v.cache.drop(scope, gone) // also after an error: some may be gone
	if err != nil {
		return fmt.Errorf("tokenize: erase: %w", err)
	}
	return nil
}

// pass lets a request pass the gate.
func (v *Vault) pass(ctx context.Context, action Action, access Access, scope string, tokens [][]byte) error {
	if err := CheckScope(scope); err != nil {
		return err
	}
	if v.gate == nil {
		return fmt.Errorf("%w: the vault has no gate", ErrDenied)
	}
	return v.gate.pass(ctx, Request{Access: access, Action: action, Scope: scope, Count: len(tokens)}, tokens)
}

// refsOf returns each token once that can stand for a value, and the places that
// ask for it.
func refsOf(scope string, tokens [][]byte) (refs []Ref, at [][]int) {
	places := make(map[string]int, len(tokens))
	for i, token := range tokens {
		if len(token) == 0 || len(token) > MaxToken || string(token) == reservedToken {
			continue
		}
		n, ok := places[string(token)]
		if !ok {
			n = len(refs)
			places[string(token)] = n
			refs = append(refs, Ref{Scope: scope, Token: token})
			at = append(at, nil)
		}
		at[n] = append(at[n], i)
	}
	return refs, at
}
