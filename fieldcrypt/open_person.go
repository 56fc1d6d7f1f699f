package fieldcrypt

import (
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// forgotten stands for the values of persons who were forgotten, where the policy
// wants that.
const forgotten = "[forgotten]"

// personOpener returns the key of a person, nil when it is not at hand.
func (o *opening) personOpener(id datakey.ID) (*datakey.Opener, error) {
	if err := o.gone[id]; err != nil {
		return nil, err
	}
	if k := o.b.persons.Cached(id); k != nil {
		return k, nil
	}
	for _, h := range o.held {
		if h.KeyID() == id && (h.key == personKey || h.key == anyKey) {
			return h.Opener, nil
		}
	}
	return nil, nil //nolint:nilnil // not at hand is no error
}

// fetchPerson gets the key of a person. In report mode a value may be from a time
// when the field had another key.
func (o *opening) fetchPerson(ctx context.Context, keys [][]byte) error {
	p := o.b.plan
	k, err := o.b.persons.Opener(ctx, o.missing)
	switch {
	case err == nil:
		o.held = append(o.held, heldOpener{personKey, k})
		return nil
	case errors.Is(err, shred.ErrForgotten) && p.onForgotten:
		if o.gone == nil {
			o.gone = make(map[datakey.ID]error)
		}
		o.gone[o.missing] = err
		return nil
	case p.report && errors.Is(err, datakey.ErrUnknownKey):
		for _, spec := range p.all {
			keks, serr := keksOf(spec.KEKs, o.b.tenant)
			if serr != nil {
				continue
			}
			spec.Tenant, spec.KEKs = o.b.tenant, keks
			s, serr := p.keys.Scope(spec)
			if serr != nil {
				continue
			}
			if k, serr := s.Opener(ctx, o.missing, keys); serr == nil {
				o.held = append(o.held, heldOpener{anyKey, k})
				return nil
			}
		}
	}
	i := slices.IndexFunc(p.fields, func(f fieldPlan) bool { return f.person })
	return p.fieldError(opReveal, &p.fields[i], err)
}
