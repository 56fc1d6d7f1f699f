package fieldcrypt

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

// sealing is one record on its way out. It belongs to one goroutine and is
// pooled by its binding.
type sealing struct {
	b       *binding
	steps   []step            // as the plan's fields
	sealers []*datakey.Sealer // as the plan's specs
	first   []int             // as the plan's specs: the first step under each
	domains []*datakey.DomainSealer
}

// A step is what Visit does with the values of one field.
type step struct {
	op     stepOp
	sealer *datakey.Sealer
	domain *datakey.DomainSealer
	head   *datakey.Head
	field  *fieldPlan
}

type stepOp uint8

const (
	stepNone stepOp = iota // drop is an edit to null, which no visitor sees
	stepSealText
	stepSealBytes
	stepMask
	stepConstant
	stepDomainText
	stepDomainBytes
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
	for i := range fields {
		f := &fields[i]
		s.steps[i].field = f
		switch {
		case f.kind == actEncrypt && f.deterministic:
			s.steps[i].op, s.steps[i].domain = stepDomainBytes, s.domains[f.key]
			if f.text {
				s.steps[i].op = stepDomainText
			}
			s.steps[i].head = s.steps[i].domain.Head(b.places[i])
		case f.kind == actEncrypt && f.text:
			s.steps[i].op, s.steps[i].sealer = stepSealText, s.sealers[f.key]
		case f.kind == actEncrypt:
			s.steps[i].op, s.steps[i].sealer = stepSealBytes, s.sealers[f.key]
		case f.kind == actMask:
			s.steps[i].op = stepMask
		case f.kind == actConstant:
			s.steps[i].op = stepConstant
		}
	}
	for i, w := range s.sealers {
		s.first[i] = slices.IndexFunc(s.steps, func(st step) bool { return st.sealer == w })
	}
	return s
}

func (b *binding) protect(ctx context.Context, dst, src []byte, keys [][]byte) ([]byte, [][]byte, error) {
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
	s, _ := b.pool.Get().(*sealing)
	if s == nil {
		s = newSealing(b)
	}
	defer b.pool.Put(s)
	for extra := 0; ; {
		err := s.reserve(ctx, extra, len(src))
		if err != nil {
			return dst, keys, p.waitError(ctx, "protect", err)
		}
		out, err := p.protect.Rewrite(dst, src, s)
		if err == nil {
			for _, w := range s.sealers {
				// A record whose values were all null used no key.
				if w.Done() > 0 {
					keys = append(keys, w.KeyBlock())
				}
			}
			for _, w := range s.domains {
				w.Done()
			}
			return out, keys, nil
		}
		values := s.done()
		if !errors.Is(err, datakey.ErrExhausted) {
			return dst, keys, p.recordError("protect", err)
		}
		// More values than a plan can foresee (arrays, maps), and the key ran
		// out among them: begin again, under the next key, with room for all
		// that were met and as many again.
		extra = 2*values + 1
	}
}

// reserve takes room for one record of n bytes in each key of the plan. The
// values are parts of the record, so they are not longer than it together.
func (s *sealing) reserve(ctx context.Context, extra, n int) error {
	for i, w := range s.sealers {
		if err := w.Reserve(ctx, s.b.seals[i]+extra, n); err != nil {
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
	var (
		st  = &s.steps[edit]
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
	case stepMask:
		out, err = st.field.mask.Append(dst, value)
	case stepConstant:
		return append(dst, st.field.constant...), nil
	default:
		err = errAction
	}
	if err == nil {
		return out, nil
	}
	if errors.Is(err, datakey.ErrExhausted) {
		return dst, err
	}
	return dst, s.b.plan.fieldError("protect", st.field, err)
}

var (
	errAction           = errors.New("action does not rewrite values")
	errProtectedAlready = errors.New("records of a derived schema are protected already")
)

// An invalidError is a record that its schema's validator refuses.
type invalidError struct{ err error }

func (e *invalidError) Error() string { return "record is not valid: " + e.err.Error() }
func (e *invalidError) Unwrap() error { return e.err }
