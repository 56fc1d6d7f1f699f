package fieldcrypt

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/tokenize"
)

// sealing is one record on its way out. It belongs to one goroutine and is
// pooled by its binding.
type sealing struct {
	b       *binding
	steps   []step            // as the plan's fields
	sealers []*datakey.Sealer // as the plan's specs
	first   []int             // as the plan's specs: the first step under each
	domains []*datakey.DomainSealer
	derived []*datakey.Opener // as domains: what the steps were derived from

	// A record is written again when something was missing that only its values
	// tell: tokens, or the person whose times are shifted.
	dirty  bool // something of a record is kept
	round  int
	tokens []wantedTokens // as the plan's fields, empty for those without a vault
	wanted bool           // a token of this round is missing
	person person
	keys   *datakey.PersonSealer // nil where no action needs one

	more bool // the record before was of the same call, and all went well
}

// A step is what Visit does with the values of one field.
type step struct {
	op       stepOp
	observed bool // the value says which person the record is about
	looks    bool // the value is looked at before it is rewritten
	sealer   *datakey.Sealer
	domain   *datakey.DomainSealer
	head     *datakey.Head
	field    *fieldPlan
	index    int        // of the field
	keyed    *keyedStep // of actions under a value key or a vault; nil for others
}

// A keyedStep is what a step holds that was derived from a domain key.
type keyedStep struct {
	index int // of the field
	hash  *tokenize.Hash
	ff1   *tokenize.FF1
	days  func(person []byte) int
}

type stepOp uint8

const (
	stepNone stepOp = iota // drop is an edit to null, which no visitor sees
	stepSealText
	stepSealBytes
	stepRule
	stepConstant
	stepDomainText
	stepDomainBytes
	stepReject
	stepHash
	stepUnsafe
	stepFormat
	stepShift
	stepToken
	stepObserve
	stepPersonText
	stepPersonBytes
)

func newSealing(b *binding) *sealing {
	fields := b.plan.fields
	s := &sealing{b: b, steps: make([]step, len(fields)), first: make([]int, len(b.scopes))}
	for _, scope := range b.scopes {
		s.sealers = append(s.sealers, scope.NewSealer())
	}
	for _, d := range b.domains {
		s.domains = append(s.domains, d.NewSealer())
	}
	if b.persons != nil {
		s.keys = b.persons.NewSealer()
	}
	s.derived = make([]*datakey.Opener, len(s.domains))
	s.tokens = make([]wantedTokens, len(fields))
	for i := range fields {
		f, st := &fields[i], &s.steps[i]
		st.field, st.observed, st.index = f, f.observed, i
		st.looks = f.observed || f.tenant
		st.op = f.step()
		switch st.op {
		case stepHash, stepFormat, stepShift, stepToken:
			st.keyed = &keyedStep{index: i}
		case stepDomainText, stepDomainBytes:
			st.domain = s.domains[f.key]
			st.head = st.domain.Head(b.places[i])
		case stepSealText, stepSealBytes:
			st.sealer = s.sealers[f.key]
		default: // no key, or none of its own
		}
	}
	for i, w := range s.sealers {
		s.first[i] = slices.IndexFunc(s.steps, func(st step) bool { return st.sealer == w })
	}
	return s
}

// step returns what is done with the values of f.
func (f *fieldPlan) step() stepOp {
	switch {
	case f.ff1 != nil:
		return stepFormat
	case f.vault != nil:
		return stepToken
	}
	switch f.kind {
	case actEncrypt:
		switch {
		case f.person && f.text:
			return stepPersonText
		case f.person:
			return stepPersonBytes
		case f.deterministic && f.text:
			return stepDomainText
		case f.deterministic:
			return stepDomainBytes
		case f.text:
			return stepSealText
		default:
			return stepSealBytes
		}
	case actMask, actGeneralize:
		return stepRule
	case actConstant:
		return stepConstant
	case actReject:
		return stepReject
	case actHash:
		return stepHash
	case actUnsafe:
		return stepUnsafe
	case actShift:
		return stepShift
	case actObserve:
		return stepObserve
	default:
		return stepNone
	}
}

func (b *binding) protect(ctx context.Context, dst, src []byte, keys [][]byte, rec *Record) ([]byte, [][]byte, error) {
	s := b.sealing()
	defer b.sealed(s)
	return b.protectWith(ctx, s, dst, src, keys, rec)
}

// protectWith is protect with a sealing of the binding, which is ready for another
// record after next.
func (b *binding) protectWith(ctx context.Context, s *sealing, dst, src []byte, keys [][]byte, rec *Record) ([]byte, [][]byte, error) {
	p := b.plan
	if p.protect == nil {
		return dst, keys, p.recordError("protect", errProtectedAlready)
	}
	if p.validator != nil {
		if err := p.validator.Validate(src); err != nil {
			return dst, keys, p.recordError("protect", &invalidError{err})
		}
	}
	if invariants.Enabled {
		// Nothing of the record may live on in what is returned.
		src = bytes.Clone(src)
		defer func() { invariants.Mangle(src) }()
	}
	if err := s.begin(rec); err != nil {
		return dst, keys, err
	}
	for extra := 0; ; {
		err := s.reserve(ctx, extra, len(src))
		if err != nil {
			return dst, keys, p.waitError(ctx, "protect", err)
		}
		out, err := p.protect.Rewrite(dst, src, s)
		switch {
		case err == nil && !s.pending():
			for _, w := range s.sealers {
				// A record whose values were all null used no key.
				if w.Done() > 0 {
					keys = append(keys, w.KeyBlock())
				}
			}
			for _, w := range s.domains {
				w.Done()
			}
			if s.keys != nil {
				s.keys.Done()
			}
			return out, keys, nil
		case err == nil:
			// What was written is not whole. It is written again, once all that
			// was missing is there.
			clear(out[len(dst):])
			s.done()
			s.more = false
			if err := s.resolve(ctx); err != nil {
				return dst, keys, p.waitError(ctx, "protect", err)
			}
			continue
		}
		values := s.done()
		if !errors.Is(err, datakey.ErrExhausted) {
			return dst, keys, p.recordError("protect", err)
		}
		// More values than a plan can foresee (arrays, maps), and the key ran
		// out among them: begin again, under the next key, with room for all
		// that were met and as many again.
		extra, s.more = 2*values+1, false
	}
}

// sealing returns a free sealing, which goes back with sealed.
func (b *binding) sealing() *sealing {
	if s, ok := b.pool.Get().(*sealing); ok {
		return s
	}
	return newSealing(b)
}

func (b *binding) sealed(s *sealing) {
	s.next(false)
	b.pool.Put(s)
}

// next makes s ready for another record, which may be one of the same call.
func (s *sealing) next(more bool) {
	if s.dirty {
		s.forget()
	}
	if s.keys != nil {
		// Whatever went wrong, the next record is of another person.
		s.keys.Done()
	}
	s.more = more
}

// reserve takes room for one record of n bytes in each key of the plan. The
// values are parts of the record, so they are not longer than it together.
func (s *sealing) reserve(ctx context.Context, extra, n int) error {
	for i, w := range s.sealers {
		var err error
		if s.more {
			err = w.ReserveMore(ctx, s.b.seals[i]+extra, n)
		} else {
			err = w.Reserve(ctx, s.b.seals[i]+extra, n)
		}
		if err != nil {
			return err
		}
		if !w.Current(s.steps[s.first[i]].head) {
			s.newHeads(w)
		}
	}
	for i, w := range s.domains {
		if err := w.Reserve(ctx, s.b.domainSeals[i]+extra, n); err != nil {
			return err
		}
		// A version that was unwrapped anew is another Opener.
		if o := w.Opener(); o != s.derived[i] {
			if err := s.derive(i, o); err != nil {
				return err
			}
			s.derived[i] = o
		}
	}
	return nil
}

// derive makes anew what was derived from an earlier unwrapping of a domain key.
func (s *sealing) derive(domain int, o *datakey.Opener) (err error) {
	for i := range s.steps {
		st := &s.steps[i]
		f := st.field
		if !f.domain || f.key != domain {
			continue
		}
		switch st.op {
		case stepHash:
			st.keyed.hash, err = o.Hash(s.b.digests[i], f.hash, tokenize.WithHashPrefix(f.prefix))
		case stepFormat:
			st.keyed.ff1, err = o.FF1(s.b.digests[i], *f.ff1)
		case stepShift:
			st.keyed.days, err = o.Shift(s.b.digests[i], f.days)
		default: // nothing is derived for it
		}
		if err != nil {
			return s.b.plan.fieldError(opProtect, f, err)
		}
	}
	return nil
}

// done ends the reservations, and returns how many values were sealed.
func (s *sealing) done() (values int) {
	for _, w := range s.sealers {
		values += w.Done()
	}
	for _, w := range s.domains {
		values += w.Done()
	}
	if s.keys != nil {
		values += s.keys.Done()
	}
	return values
}

// newHeads follows a key that was rolled over.
func (s *sealing) newHeads(w *datakey.Sealer) {
	for i := range s.steps {
		if s.steps[i].sealer == w {
			s.steps[i].head = w.Head(s.b.places[i])
		}
	}
}

// Visit appends the protected form of one value.
func (s *sealing) Visit(edit int, dst, value []byte) ([]byte, error) {
	st := &s.steps[edit]
	// What nearly all values are for, before the rest.
	if st.op == stepSealText && !st.looks {
		out, err := st.sealer.AppendText(dst, value, st.head)
		if err != nil {
			return s.failed(st, dst, err)
		}
		return out, nil
	}
	return s.visit(st, dst, value)
}

func (s *sealing) visit(st *step, dst, value []byte) ([]byte, error) {
	if st.observed {
		s.dirty = true
		if err := s.person.observe(value); err != nil {
			return dst, s.b.plan.fieldError(opProtect, st.field, err)
		}
	}
	if st.field.tenant && string(value) != s.b.tenant {
		return dst, s.b.plan.fieldError(opProtect, st.field, errTwoTenants)
	}
	var (
		out []byte
		err error
	)
	switch st.op {
	case stepSealText:
		out, err = st.sealer.AppendText(dst, value, st.head)
	case stepSealBytes:
		out, err = st.sealer.Append(dst, value, st.head)
	case stepDomainText:
		out, err = st.domain.AppendText(dst, value, st.head)
	case stepDomainBytes:
		out, err = st.domain.Append(dst, value, st.head)
	case stepRule:
		out, err = st.field.rule.Append(dst, value)
	case stepConstant:
		return append(dst, st.field.constant...), nil
	case stepObserve:
		return append(dst, value...), nil
	case stepHash:
		out, err = st.keyed.hash.Append(dst, value)
	case stepUnsafe:
		out, err = tokenize.AppendUnkeyed(dst, value, st.field.hash, st.field.prefix)
	case stepFormat:
		out, err = st.keyed.ff1.Append(dst, value)
	case stepShift:
		out, err = s.shift(st, dst, value)
	case stepToken:
		out, err = s.token(st, dst, value)
	case stepPersonText, stepPersonBytes:
		out, err = s.ofPerson(st, dst, value)
	case stepReject:
		err = errRejected
	default:
		err = errAction
	}
	if err != nil {
		return s.failed(st, dst, err)
	}
	return out, nil
}

// failed says what becomes of a value that its action did not take.
func (s *sealing) failed(st *step, dst []byte, err error) ([]byte, error) {
	switch {
	case errors.Is(err, datakey.ErrExhausted):
		return dst, err
	case st.field.redact && unfitValue(err):
		s.b.plan.stats.redacted.Add(1)
		return append(dst, redacted...), nil
	default:
		return dst, s.b.plan.fieldError(opProtect, st.field, err)
	}
}

// Plain implements [schema.PlainVisitor]: the text of an envelope is a prefix and
// base64url, and so is nothing else but the word that stands for what does not fit.
func (s *sealing) Plain(edit int) bool {
	switch s.steps[edit].op {
	case stepSealText, stepDomainText, stepPersonText:
		return true
	default:
		return false
	}
}

// redacted stands for values that do not fit, where the policy wants that. It
// tells nothing, not even their length.
const redacted = "[redacted]"

var (
	errAction           = errors.New("action does not rewrite values")
	errRejected         = errors.New("the policy refuses records that have a value here")
	errProtectedAlready = errors.New("records of a derived schema are protected already")
)

// An invalidError is a record that its schema's validator refuses.
type invalidError struct{ err error }

func (e *invalidError) Error() string { return "record is not valid: " + e.err.Error() }
func (e *invalidError) Unwrap() error { return e.err }
