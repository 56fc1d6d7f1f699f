package tokenize

import (
	"context"
	"crypto/subtle"
	"fmt"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// Find returns the token that a value has in a scope, and false when it has none
// yet: it makes none. It is for looking up what is in records, and tells nothing
// that [Vault.Tokenize] would not tell.
//
// The errors are [ErrRow] for a scope outside the limits of a [Row],
// [ErrCorrupt], and those of the store, the keys and ctx.
func (v *Vault) Find(ctx context.Context, keys VaultKeys, scope string, value []byte) (token []byte, ok bool, err error) {
	if token, ok = v.AppendKnown(nil, keys, scope, value); ok {
		return token, true, nil
	}
	if err := CheckScope(scope); err != nil {
		return nil, false, err
	}
	index := keys.Index(value)
	rows, err := v.store.ByIndex(ctx, []Key{{Scope: scope, Index: index}})
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("tokenize: look up: %w", err)
	case len(rows) != 1:
		return nil, false, fmt.Errorf("%w: %d rows for one index", ErrCorrupt, len(rows))
	case len(rows[0].Token) == 0:
		return nil, false, nil
	case rows[0].Scope != scope || rows[0].Index != index:
		return nil, false, fmt.Errorf("%w: row of another index", ErrCorrupt)
	}
	held, err := open(ctx, keys, &rows[0])
	if err != nil {
		return nil, false, err
	}
	defer secret.Wipe(held)
	if subtle.ConstantTimeCompare(held, value) != 1 {
		return nil, false, fmt.Errorf("%w: row of another value", ErrCorrupt)
	}
	return rows[0].Token, true, nil
}
