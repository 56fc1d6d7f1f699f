package fieldcrypt

import (
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/tokenize"
)

var (
	errNotEqual = errors.New("equal values of this field are not equal when they are protected")
	errNoField  = errors.New("the plan does nothing to such a field")
)

// Lookup returns what a value of a field is when it is protected, once for each
// version of its domain key, the newest first: all of them are in records while a
// key is rotated. It is for finding and joining what was encrypted
// deterministically or format-preserving, hashed, or replaced by a token. Of
// tokens in a vault there is one, or none when the value has no token yet: looking
// up makes none.
//
// value is what stands in the record, without length or framing. Where the field
// changed its type it is the value as it was encoded, such as "\"jane\"" in JSON.
//
// It waits, until ctx ends, when the KMS must unwrap a version, or for the vault.
func (p *Plan) Lookup(ctx context.Context, tenant, path string, value []byte) ([][]byte, error) {
	i := slices.IndexFunc(p.fields, func(f fieldPlan) bool { return f.path == path })
	if i < 0 {
		return nil, p.compileError(&fieldPlan{path: path}, CodePolicy, errNoField)
	}
	f := &p.fields[i]
	b, err := p.bind(tenant)
	if err != nil {
		return nil, err
	}
	if f.vault != nil {
		return b.lookupToken(ctx, i, value)
	}
	if !f.domain || f.kind == actShift {
		return nil, p.compileError(f, CodePolicy, errNotEqual)
	}
	d := b.domains[f.key]
	ids := d.KeyIDs()
	slices.Reverse(ids)
	out := make([][]byte, 0, len(ids))
	for _, id := range ids {
		o, err := d.Opener(ctx, id)
		if err != nil {
			return nil, p.waitError(ctx, "lookup", p.fieldError("lookup", f, err))
		}
		form, err := b.form(o, i, value)
		if err != nil {
			return nil, p.fieldError("lookup", f, err)
		}
		out = append(out, form)
	}
	return out, nil
}

// form returns what a value is under one version.
func (b *binding) form(o *datakey.Opener, field int, value []byte) ([]byte, error) {
	f := &b.plan.fields[field]
	switch f.step() {
	case stepHash:
		h, err := o.Hash(b.digests[field], f.hash, tokenize.WithHashPrefix(f.prefix))
		if err != nil {
			return nil, err
		}
		return h.Append(nil, value)
	case stepFormat:
		x, err := o.FF1(b.digests[field], *f.ff1)
		if err != nil {
			return nil, err
		}
		return x.Append(nil, value)
	case stepDomainBytes, stepDomainText:
		env, err := o.AppendDeterministic(nil, value, b.places[field])
		if err != nil || f.step() == stepDomainBytes {
			return env, err
		}
		return envelope.AppendText(nil, env), nil
	default:
		return nil, errNotEqual
	}
}

func (b *binding) lookupToken(ctx context.Context, field int, value []byte) ([][]byte, error) {
	f := &b.plan.fields[field]
	keys, err := b.vaultKeys(ctx, field)
	if err != nil {
		return nil, b.plan.fieldError("lookup", f, err)
	}
	token, ok, err := f.vault.Find(ctx, keys, b.rows[field].scope, value)
	switch {
	case err != nil:
		return nil, b.plan.fieldError("lookup", f, &vaultError{err})
	case !ok:
		return nil, nil
	default:
		return [][]byte{token}, nil
	}
}
