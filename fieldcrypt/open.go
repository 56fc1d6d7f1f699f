package fieldcrypt

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/tokenize"
)

// opening is one record on its way back. It belongs to one goroutine and is
// pooled by its binding.
type opening struct {
	b *binding
	// openers are those used last, by key of the plan: most records of a topic
	// were sealed under few data keys. They save the table's lock.
	openers []*datakey.Opener
	heads   []*datakey.Head // as the plan's sealed: how the last value began
	// held are the openers fetched for the record at hand. They stay until its
	// end even if the table has no room for them all.
	held []heldOpener
	env  []byte // binary form of a text envelope
	// versions are those that the record names for values that cannot.
	versions []envelope.KeyID
	formats  []formatOpener // as the plan's sealed
	tokens   []wantedTokens // as the plan's sealed: tokens, and the values that they stand for
	wanted   bool           // a value is missing
	// access is that of the reader, who gets values for tokens; nil if he may not
	// have them.
	access *tokenize.Access

	forgotten uint64 // values of this pass that a fixed text stands for
	// gone are key ids of persons who were forgotten.
	gone map[datakey.ID]error

	// missing is the key that the last pass could not go on without.
	missing       datakey.ID
	missingKey    int  // index into the plan's specs
	missingDomain bool // or into its domains
	missingPerson bool // or of a person
}

// A heldOpener is an opener and the key of the plan that it was fetched for, or
// anyKey for one of another scope, found in report mode.
type heldOpener struct {
	key int
	*datakey.Opener
}

const anyKey = -1

// personKey is that of a person.
const personKey = -2

// domainKey less the index of a domain key stands for it.
const domainKey = -3

// errMissing ends a pass over the bytes because a key must be fetched first:
// nothing waits inside the byte loop.
var errMissing = errors.New("data key is not at hand")

func (b *binding) reveal(ctx context.Context, dst, src []byte, keys [][]byte, versions []envelope.KeyID) ([]byte, error) {
	p := b.plan
	if invariants.Enabled {
		src = bytes.Clone(src)
		defer func() { invariants.Mangle(src) }()
	}
	o := b.opening()
	defer b.close(o)
	o.versions, o.access = versions, b.plan.accessIn(ctx)
	for {
		o.forgotten = 0
		out, err := p.reveal.Rewrite(dst, src, o)
		if err == nil && !o.wanted {
			p.stats.forgotten.Add(o.forgotten)
			return out, nil
		}
		if err == nil {
			// It is read again, once the values of all tokens are there.
			if err := o.detokenize(ctx); err != nil {
				return dst, p.waitError(ctx, "reveal", err)
			}
			continue
		}
		if !errors.Is(err, errMissing) {
			return dst, p.recordError("reveal", err)
		}
		if err := o.fetch(ctx, keys); err != nil {
			return dst, p.waitError(ctx, "reveal", err)
		}
	}
}

// opening returns a free opening, which goes back with close.
func (b *binding) opening() *opening {
	if o, ok := b.opens.Get().(*opening); ok {
		return o
	}
	return &opening{
		b:       b,
		openers: make([]*datakey.Opener, len(b.scopes)),
		heads:   make([]*datakey.Head, len(b.plan.sealed)),
		formats: make([]formatOpener, len(b.plan.sealed)),
		tokens:  make([]wantedTokens, len(b.plan.sealed)),
	}
}

func (b *binding) close(o *opening) {
	clear(o.held)
	o.held, o.versions, o.access = o.held[:0], nil, nil
	clear(o.gone)
	if len(b.plan.vaults) > 0 {
		o.forget()
	}
	b.opens.Put(o)
}

// fetch gets the missing key. Each round brings one more key or fails, so a
// record with n keys takes n rounds at most, and only when it is cold.
func (o *opening) fetch(ctx context.Context, keys [][]byte) error {
	if o.missingPerson {
		return o.fetchPerson(ctx, keys)
	}
	if o.missingDomain {
		k, err := o.b.domains[o.missingKey].Opener(ctx, o.missing)
		if err == nil {
			o.held = append(o.held, heldOpener{domainKey - o.missingKey, k})
			return nil
		}
		return o.b.plan.fieldError("reveal", &o.b.plan.fields[o.b.plan.fieldOf(true, o.missingKey)], err)
	}
	scope := o.b.scopes[o.missingKey]
	k, err := scope.Opener(ctx, o.missing, keys)
	if err == nil {
		o.openers[o.missingKey] = k
		o.held = append(o.held, heldOpener{o.missingKey, k})
		return nil
	}
	var foreign *datakey.ForeignKeyError
	if o.b.plan.report && errors.As(err, &foreign) {
		if k, ferr := o.b.plan.fetchForeign(ctx, o.missing, foreign, keys); ferr == nil {
			o.held = append(o.held, heldOpener{anyKey, k})
			return nil
		}
	}
	f := &o.b.plan.fields[o.b.plan.fieldOf(false, o.missingKey)]
	return o.b.plan.fieldError("reveal", f, err)
}

// fetchForeign looks for the key in the other scopes of the policy. Reading
// follows the policy even in report mode: a KEK that it does not name is never
// called.
func (p *Plan) fetchForeign(ctx context.Context, id datakey.ID, f *datakey.ForeignKeyError, keys [][]byte) (*datakey.Opener, error) {
	for _, spec := range p.all {
		keks, err := keksOf(spec.KEKs, f.Tenant)
		if err != nil || !slices.Contains(keks, f.KEK) {
			continue
		}
		spec.Tenant, spec.KEKs = f.Tenant, keks
		s, err := p.keys.Scope(spec)
		if err != nil {
			return nil, err
		}
		return s.Opener(ctx, id, keys)
	}
	return nil, f
}

// Visit appends the plaintext of one value.
func (o *opening) Visit(edit int, dst, value []byte) ([]byte, error) {
	p := o.b.plan
	// The usual value was sealed under the same data key as the last one, for
	// the place where it stands. Only fields that were sealed have a head.
	if h := o.heads[edit]; h != nil && h.Opens(value) {
		out, env, err := h.AppendText(dst, value, o.env)
		o.env = env
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, datakey.ErrOtherPlace) {
			return dst, p.fieldError("reveal", &p.fields[p.sealed[edit]], err)
		}
	}
	f := &p.fields[p.sealed[edit]]
	if !f.sealed() {
		out, err := o.restore(edit, f, dst, value)
		if err != nil && !errors.Is(err, errMissing) {
			return dst, p.fieldError("reveal", f, err)
		}
		return out, err
	}
	out, err := o.open(edit, f, dst, value)
	switch {
	case err == nil:
		return out, nil
	case p.onForgotten && errors.Is(err, shred.ErrForgotten) && !f.wrapped:
		o.forgotten++
		return append(dst, forgotten...), nil
	case errors.Is(err, errMissing):
		return dst, err
	case p.report && errors.Is(err, envelope.ErrNotEnvelope):
		// Text that was never sealed, such as records from before the policy.
		p.stats.unsealed.Add(1)
		if f.wrapped {
			return dst, schema.ErrKeep
		}
		return append(dst, value...), nil
	default:
		return dst, p.fieldError("reveal", f, err)
	}
}

func (o *opening) open(edit int, f *fieldPlan, dst, value []byte) ([]byte, error) {
	at := o.b.plan.sealed[edit]
	env := value
	if f.text {
		var err error
		if o.env, err = envelope.ParseText(o.env[:0], value); err != nil {
			return dst, err
		}
		env = o.env
	}
	v, err := datakey.ParseValue(env)
	if err != nil {
		if !f.text {
			// Bytes have no prefix that tells an envelope from anything else.
			return dst, errors.Join(envelope.ErrNotEnvelope, err)
		}
		return dst, err
	}
	var last, k *datakey.Opener
	switch {
	case f.person:
		if k, err = o.personOpener(v.KeyID()); err != nil {
			return dst, err
		}
	case f.deterministic:
		k = o.domainOpener(f.key, v.KeyID())
	default:
		last, k = o.openers[f.key], o.opener(f.key, v.KeyID())
	}
	if k == nil {
		o.missing, o.missingKey, o.missingDomain, o.missingPerson = v.KeyID(), f.key, f.deterministic, f.person
		return dst, errMissing
	}
	out, err := k.Append(dst, &v)
	if err != nil {
		return dst, err
	}
	// The place is compared after authentication: only then is the context id
	// known to be the sealer's.
	if p := v.Place(); p != o.b.places[at] && !slices.Contains(o.b.former[at], p) {
		if !o.b.plan.report {
			clear(out[len(dst):])
			return dst, errMoved
		}
		o.b.plan.stats.moved.Add(1)
		return out, nil
	}
	if o.b.plan.report && slices.Contains(o.held, heldOpener{anyKey, k}) {
		// At home, but under a key that strict reading refuses here.
		o.b.plan.stats.moved.Add(1)
		return out, nil
	}
	// A head is made when a data key comes twice in a row, and not for each of
	// the keys of many producers that take turns in a topic.
	if f.text && k == last && last != nil && !o.heads[edit].Of(k) {
		o.heads[edit] = k.Head(o.b.places[at])
	}
	return out, nil
}

func (o *opening) opener(key int, id datakey.ID) *datakey.Opener {
	if k := o.openers[key]; k != nil && k.KeyID() == id && !k.Expired() {
		return k
	}
	if k := o.b.scopes[key].Cached(id); k != nil {
		o.openers[key] = k
		return k
	}
	for _, h := range o.held {
		if h.KeyID() == id && (h.key == key || h.key == anyKey) {
			return h.Opener
		}
	}
	return nil
}

func (o *opening) domainOpener(key int, id datakey.ID) *datakey.Opener {
	if k := o.b.domains[key].Cached(id); k != nil {
		return k
	}
	for _, h := range o.held {
		if h.KeyID() == id && h.key == domainKey-key {
			return h.Opener
		}
	}
	return nil
}
