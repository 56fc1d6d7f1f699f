package fieldcrypt

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// vaultRows are the rows of a vault that hold the values of one field, or of all
// fields of a join domain.
type vaultRows struct {
	scope      string
	index, row envelope.Digest
	keys       atomic.Pointer[datakey.VaultKey]
}

// rows returns where the vault keeps the values of f.
func (p *Plan) rows(tenant string, f *fieldPlan) (*vaultRows, error) {
	index, err := digestOf(p.context(tenant, f, f.bound, envelope.PurposeVaultIndex))
	if err != nil {
		return nil, err
	}
	row, err := digestOf(p.context(tenant, f, f.bound, envelope.PurposeVaultRow))
	return &vaultRows{scope: hex.EncodeToString(index[:16]), index: index, row: row}, err
}

// vaultKeys returns the keys of the rows of a field. It waits only when the KMS
// must unwrap a domain key first.
func (b *binding) vaultKeys(ctx context.Context, field int) (*datakey.VaultKey, error) {
	rows := b.rows[field]
	if k := rows.keys.Load(); k != nil && !k.Expired() {
		return k, nil
	}
	k, err := b.domains[b.plan.fields[field].key].VaultKey(ctx, rows.index, rows.row)
	if err != nil {
		return nil, err
	}
	rows.keys.Store(k)
	return k, nil
}

// wantedTokens are the values of one field that have no token at hand, and what
// the vault said of them.
type wantedTokens struct {
	values [][]byte
	tokens map[string][]byte
}

// token appends the token of a value.
func (s *sealing) token(st *step, dst, value []byte) ([]byte, error) {
	w := &s.tokens[st.keyed.index]
	if token, ok := w.tokens[string(value)]; ok {
		return append(dst, token...), nil
	}
	rows := s.b.rows[st.keyed.index]
	if keys := rows.keys.Load(); keys != nil && !keys.Expired() {
		if out, ok := st.field.vault.AppendKnown(dst, keys, rows.scope, value); ok {
			return out, nil
		}
	}
	// Nothing waits inside the byte loop: what is written now is thrown away.
	if err := st.field.token.Check(value); err != nil {
		return dst, err
	}
	w.values = append(w.values, append([]byte(nil), value...))
	s.wanted, s.dirty = true, true
	return dst, nil
}

// pending tells whether the record has to be written again.
func (s *sealing) pending() bool { return s.wanted || s.person.wanted }

// resolve gets what was missing: one batch for each vaulted field.
func (s *sealing) resolve(ctx context.Context) error {
	if s.person.wanted && !s.person.known {
		for i := range s.steps {
			if st := &s.steps[i]; st.field.about() {
				return s.b.plan.fieldError(opProtect, st.field, errNoPerson)
			}
		}
	}
	s.wanted, s.person.wanted = false, false
	s.round++
	if err := s.loadPerson(ctx); err != nil {
		return err
	}
	for i := range s.tokens {
		w := &s.tokens[i]
		if len(w.values) == 0 {
			continue
		}
		f := &s.b.plan.fields[i]
		keys, err := s.b.vaultKeys(ctx, i)
		if err != nil {
			return s.b.plan.fieldError(opProtect, f, err)
		}
		tokens, err := f.vault.Tokenize(ctx, keys, s.b.rows[i].scope, f.token, w.values)
		if err != nil {
			return s.b.plan.fieldError(opProtect, f, &vaultError{err})
		}
		if len(tokens) != len(w.values) {
			return s.b.plan.fieldError(opProtect, f, errAction)
		}
		if w.tokens == nil {
			w.tokens = make(map[string][]byte, len(tokens))
		}
		for j, v := range w.values {
			w.tokens[string(v)] = tokens[j]
			clear(v)
		}
		w.values = w.values[:0]
	}
	return nil
}

// forget leaves nothing of the record behind.
func (s *sealing) forget() {
	for i := range s.tokens {
		w := &s.tokens[i]
		for _, v := range w.values {
			clear(v)
		}
		w.values = w.values[:0]
		clear(w.tokens)
	}
	s.round, s.wanted, s.dirty = 0, false, false
	s.person.forget()
}

// A vaultError is what a token vault could not do.
type vaultError struct{ err error }

func (e *vaultError) Error() string { return fmt.Sprintf("token vault: %v", e.err) }
func (e *vaultError) Unwrap() error { return e.err }
