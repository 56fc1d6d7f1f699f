package fieldcrypt

import (
	"bytes"
	"context"
	"errors"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/tokenize"
)

// A formatOpener reverses the values of one field under one version.
type formatOpener struct {
	of  *datakey.Opener
	ff1 *tokenize.FF1
}

var (
	errNoVersion    = errors.New("the record does not say under which version of the key the value was made")
	errUnknownToken = errors.New("the vault has no value for a token of the record")
	errTwoVersions  = errors.New("the record names more than one version of the key")
)

// restore appends the value that a format-preserving one or a token stands for.
func (o *opening) restore(edit int, f *fieldPlan, dst, value []byte) ([]byte, error) {
	if f.vault != nil {
		return o.value(edit, dst, value)
	}
	id, err := o.versionOf(f.key)
	if err != nil {
		return dst, err
	}
	k := o.domainOpener(f.key, id)
	if k == nil {
		o.missing, o.missingKey, o.missingDomain = id, f.key, true
		return dst, errMissing
	}
	use := &o.formats[edit]
	if use.of != k {
		ff1, err := k.FF1(o.b.digests[o.b.plan.sealed[edit]], *f.ff1)
		if err != nil {
			return dst, err
		}
		use.of, use.ff1 = k, ff1
	}
	return use.ff1.AppendBack(dst, value)
}

// versionOf returns the version of a domain key that the record names. Without
// exactly one there is no telling: the wrong one gives a plausible wrong value
// (FV-90).
func (o *opening) versionOf(domain int) (id datakey.ID, err error) {
	found := 0
	for _, own := range o.b.domains[domain].KeyIDs() {
		for _, named := range o.versions {
			if own == datakey.ID(named) {
				id, found = own, found+1
			}
		}
	}
	switch found {
	case 1:
		return id, nil
	case 0:
		return id, errNoVersion
	default:
		return id, errTwoVersions
	}
}

// value appends what a token stands for, for readers who may know it.
func (o *opening) value(edit int, dst, token []byte) ([]byte, error) {
	if o.access == nil {
		return append(dst, token...), nil
	}
	w := &o.tokens[edit]
	if value, ok := w.tokens[string(token)]; ok {
		return append(dst, value...), nil
	}
	w.values = append(w.values, append([]byte(nil), token...))
	o.wanted = true
	return append(dst, token...), nil
}

// accessIn returns the access in whose name values are asked for.
func (p *Plan) accessIn(ctx context.Context) *tokenize.Access {
	if len(p.vaults) == 0 {
		return nil
	}
	if a, ok := tokenize.AccessFrom(ctx); ok {
		return &a
	}
	return p.access
}

// detokenize gets the values of all tokens that were met, in one batch for each
// field.
func (o *opening) detokenize(ctx context.Context) error {
	p := o.b.plan
	o.wanted = false
	for edit := range o.tokens {
		w := &o.tokens[edit]
		if len(w.values) == 0 {
			continue
		}
		at := p.sealed[edit]
		f := &p.fields[at]
		keys, err := o.b.vaultKeys(ctx, at)
		if err != nil {
			return p.fieldError(opReveal, f, err)
		}
		values, err := f.vault.Detokenize(ctx, keys, *o.access, o.b.rows[at].scope, w.values)
		if err != nil {
			return p.fieldError(opReveal, f, &vaultError{err})
		}
		if len(values) != len(w.values) {
			return p.fieldError(opReveal, f, errAction)
		}
		if w.tokens == nil {
			w.tokens = make(map[string][]byte, len(values))
		}
		for i, token := range w.values {
			if values[i] == nil {
				// A token of another vault, or one that was erased. It must not be
				// taken for a value.
				if !p.report {
					return p.fieldError(opReveal, f, &vaultError{errUnknownToken})
				}
				p.stats.unsealed.Add(1)
				values[i] = bytes.Clone(token)
			}
			w.tokens[string(token)] = values[i]
		}
		w.values = w.values[:0]
	}
	return nil
}

// forget leaves nothing of the record behind.
func (o *opening) forget() {
	o.wanted = false
	for i := range o.tokens {
		w := &o.tokens[i]
		w.values = w.values[:0]
		for _, value := range w.tokens {
			clear(value)
		}
		clear(w.tokens)
	}
}
