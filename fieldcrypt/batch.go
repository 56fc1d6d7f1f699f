package fieldcrypt

import (
	"context"
	"errors"
	"fmt"
)

// A call is what the records share that one call was given: the sealing of the
// binding that came last, and with it the run of its nonces.
type call struct {
	b *binding
	s *sealing
}

// protect is [binding.protect] for a record of the call; c is nil for a call of one.
func (c *call) protect(ctx context.Context, b *binding, dst, src []byte, keys [][]byte, rec *Record) ([]byte, [][]byte, error) {
	if c == nil {
		return b.protect(ctx, dst, src, keys, rec)
	}
	if c.b != b {
		c.end()
		c.b, c.s = b, b.sealing()
	}
	out, keys, err := b.protectWith(ctx, c.s, dst, src, keys, rec)
	c.s.next(err == nil)
	return out, keys, err
}

// apart ends the run of nonces: something came between two records.
func (c *call) apart() {
	if c.s != nil {
		c.s.more = false
	}
}

// end gives back what is held. Nothing is kept from one call to the next.
func (c *call) end() {
	if c.s != nil {
		c.b.sealed(c.s)
		*c = call{}
	}
}

var errBatch = errors.New("fieldcrypt: a batch needs a result for each record")

// ProtectBatch is [Engine.ProtectInto] for records that are there together:
// out[i] becomes what may be sent in place of recs[i]. Records of one topic and
// schema cost less so than one by one, most of all those with few protected values.
//
// It returns nil when all were protected. Otherwise there is an error for each
// record, nil for those that were: nothing of the others may be sent. out must be as
// long as recs.
func (e *Engine) ProtectBatch(ctx context.Context, out, recs []Record) []error {
	var c call
	defer c.end()
	var errs []error
	for i := range recs {
		err := errBatch
		if len(out) == len(recs) {
			if err = e.protectInto(ctx, &c, &out[i], &recs[i]); err == nil {
				continue
			}
		}
		c.apart()
		if errs == nil {
			errs = make([]error, len(recs))
		}
		errs[i] = err
	}
	return errs
}

// AppendProtectedAll is [Plan.AppendProtected] for records of one tenant that are
// there together. Their protected forms stand in dst one behind the other; ends gets
// for each how long dst is with it. keys gets the key blocks that they need, each
// once. It costs less than one by one, most of all for records with few protected
// values.
//
// Nothing is protected when one of them is refused: dst, ends and keys come back at
// their lengths, and the error tells which it was.
func (p *Plan) AppendProtectedAll(ctx context.Context, tenant string, dst []byte, srcs [][]byte, ends []int, keys [][]byte) (all []byte, allEnds []int, allKeys [][]byte, err error) {
	b, err := p.bind(tenant)
	if err != nil {
		return dst, ends, keys, err
	}
	var c call
	defer c.end()
	all, allEnds, allKeys = dst, ends, keys
	for i, src := range srcs {
		before := len(allKeys)
		all, allKeys, err = c.protect(ctx, b, all, src, allKeys, nil)
		if err != nil {
			clear(all[len(dst):])
			return dst, ends, keys, fmt.Errorf("record %d: %w", i, err)
		}
		allEnds = append(allEnds, len(all))
		fresh := allKeys[before:]
		allKeys = allKeys[:before]
		for _, block := range fresh {
			if !containsBlock(allKeys[len(keys):], block) {
				allKeys = append(allKeys, block)
			}
		}
	}
	return all, allEnds, allKeys, nil
}
