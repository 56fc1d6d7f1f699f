package fieldcrypt

import (
	"bytes"
	"context"
	"errors"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

// sealing is one record on its way out. It belongs to one goroutine and is
// pooled by its binding.
type sealing struct {
	b       *binding
	sealers []*datakey.Sealer // as the plan's specs; nil for a key not needed
	values  int               // sealed so far, to reserve better the next time
}

func (b *binding) protect(ctx context.Context, dst, src []byte, keys [][]byte) ([]byte, [][]byte, error) {
	p := b.plan
	if invariants.Enabled {
		// Nothing of the record may live on in what is returned.
		src = bytes.Clone(src)
		defer func() { invariants.Mangle(src) }()
	}
	s, _ := b.pool.Get().(*sealing)
	if s == nil {
		s = &sealing{b: b, sealers: make([]*datakey.Sealer, len(b.scopes))}
	}
	defer b.pool.Put(s)
	for extra := 0; ; {
		err := s.reserve(ctx, extra, len(src))
		if err != nil {
			return dst, keys, p.recordError("protect", err)
		}
		out, err := p.protect.Rewrite(dst, src, s)
		if err == nil {
			for _, w := range s.sealers {
				if w != nil {
					keys = append(keys, w.KeyBlock())
				}
			}
			s.release()
			return out, keys, nil
		}
		s.release()
		if !errors.Is(err, datakey.ErrExhausted) {
			return dst, keys, p.recordError("protect", err)
		}
		// More values than a plan can foresee (arrays, maps), and the key ran
		// out among them: begin again, under the next key, with room for all
		// that were met and as many again.
		extra = 2*s.values + 1
	}
}

// reserve takes room for one record of n bytes in each key of the plan. The
// values are parts of the record, so they are not longer than it together.
func (s *sealing) reserve(ctx context.Context, extra, n int) error {
	s.values = 0
	for i, scope := range s.b.scopes {
		w, err := scope.Sealer(ctx, s.b.seals[i]+extra, n)
		if err != nil {
			s.release()
			return err
		}
		s.sealers[i] = w
	}
	return nil
}

func (s *sealing) release() {
	for i, w := range s.sealers {
		if w != nil {
			w.Release()
			s.sealers[i] = nil
		}
	}
}

// Visit appends the protected form of one value.
func (s *sealing) Visit(edit int, dst, value []byte) ([]byte, error) {
	f := &s.b.plan.fields[edit]
	var (
		out []byte
		err error
	)
	switch f.kind {
	case actEncrypt:
		s.values++
		if f.text {
			out, err = s.sealers[f.key].AppendText(dst, value, s.b.places[edit])
		} else {
			out, err = s.sealers[f.key].Append(dst, value, s.b.places[edit])
		}
	case actMask:
		out, err = f.mask.Append(dst, value)
	case actConstant:
		return append(dst, f.constant...), nil
	default:
		// drop is an edit to null, which no visitor sees.
		err = errAction
	}
	if err == nil {
		return out, nil
	}
	if errors.Is(err, datakey.ErrExhausted) {
		return dst, err
	}
	return dst, s.b.plan.fieldError("protect", f, err)
}

var errAction = errors.New("action does not rewrite values")
