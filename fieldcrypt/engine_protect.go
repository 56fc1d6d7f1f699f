package fieldcrypt

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// Protect returns rec with its tagged fields protected and the headers that
// their readers need. rec is not changed; Key and the other headers are shared.
//
// On an error, which is an [*Error], nothing of the record may be sent.
func (e *Engine) Protect(ctx context.Context, rec Record) (Record, error) {
	return e.AppendProtected(ctx, nil, rec)
}

// AppendProtected is Protect with the new value appended to dst.
func (e *Engine) AppendProtected(ctx context.Context, dst []byte, rec Record) (Record, error) {
	var out Record
	if err := e.protect(ctx, nil, dst, nil, &rec, &out); err != nil {
		return Record{}, err
	}
	out.Value = slices.Clip(out.Value) // what is behind it is the caller's
	return out, nil
}

// ProtectInto is Protect for who has memory to use again: the new value and
// headers are written over those of out, which is one that an earlier call has
// filled, or new. Where they are too short, out gets others. rec is not changed,
// and must share neither with out; Key and the content of its headers are shared
// afterwards, as with Protect.
//
// Once out has grown, a record allocates nothing. A tombstone makes the value nil,
// so that its memory is lost to out. On an error out has no content, and nothing
// of the record may be sent.
func (e *Engine) ProtectInto(ctx context.Context, out, rec *Record) error {
	return e.protectInto(ctx, nil, out, rec)
}

func (e *Engine) protectInto(ctx context.Context, of *call, out, rec *Record) error {
	dst, headers := out.Value[:0], out.Headers[:0]
	if need := roomFor(rec.Value); cap(dst) < need {
		dst = make([]byte, 0, need)
	}
	if headers == nil {
		headers = make([]Header, 0, 4) // or those of a tombstone would be shared
	}
	if err := e.protect(ctx, of, dst, headers, rec, out); err != nil {
		clear(out.Headers)
		*out = Record{Value: dst, Headers: headers}
		return err
	}
	return nil
}

// roomFor returns how long a protected value is, at most, for most records:
// ciphertext is longer than plaintext.
func roomFor(value []byte) int {
	if value == nil {
		return 0
	}
	return 2*len(value) + 256
}

// protect appends the new value of rec to dst, and its headers to headers, which is
// empty, and writes to out only when all went well. Without headers, those of a
// record that gets none of ours are shared. of is nil for a call of one record.
func (e *Engine) protect(ctx context.Context, of *call, dst []byte, headers []Header, rec, out *Record) error {
	var r route
	err := e.begin(ctx, opProtect, rec, &r)
	if err != nil {
		return err
	}
	sealed := *rec
	var room [4][]byte
	blocks := room[:0]
	if r.edges != nil {
		if blocks, err = r.edges.protectEdges(ctx, &sealed, blocks); err != nil {
			return err
		}
	}
	switch {
	case rec.Value != nil:
		start := len(dst)
		if dst == nil {
			dst = make([]byte, 0, roomFor(rec.Value))
		}
		src := rec.Value[r.frame.size:]
		dst = r.frame.append(dst, rec.Value, r.plan.plan.protectID)
		body := len(dst)
		value, keys, err := of.protect(ctx, r.plan, dst, src, blocks, rec)
		if err != nil {
			return err
		}
		if err := e.look(ctx, r.plan, value[body:], keys); err != nil {
			return err
		}
		sealed.Value, blocks = value[start:], keys
	case r.edges == nil:
		if headers != nil {
			headers = append(headers, rec.Headers...)
			sealed.Headers = headers
		}
		*out = sealed
		return nil
	}
	if n := len(sealed.Headers) + 1 + len(blocks); cap(headers) < n {
		headers = make([]Header, 0, n)
	}
	headers = append(headers, sealed.Headers...)
	headers = append(headers, Header{Key: HeaderMeta, Value: e.metaOf(&r)})
	for i, block := range blocks {
		// Key, headers and value may share a data key.
		if !containsBlock(blocks[:i], block) {
			headers = append(headers, Header{Key: HeaderKey, Value: block})
		}
	}
	sealed.Headers = headers
	*out = sealed
	return nil
}

// metaOf returns the content of the fv-meta header: that of the policy, and of
// the versions that the values of this record cannot name.
func (e *Engine) metaOf(r *route) []byte {
	var ids []envelope.KeyID
	for _, b := range []*binding{r.plan, r.edges} {
		if b == nil {
			continue
		}
		for _, id := range b.versions {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return e.meta
	}
	return envelope.Meta{Policy: e.policy.Digest(), HasPolicy: true, Keys: ids}.Append(nil)
}

func containsBlock(blocks [][]byte, block []byte) bool {
	for _, b := range blocks {
		if bytes.Equal(b, block) {
			return true
		}
	}
	return false
}

// look reads a protected record again when its turn has come.
func (e *Engine) look(ctx context.Context, b *binding, value []byte, keys [][]byte) error {
	if e.recheck == 0 || e.stats.records.Add(1)%e.recheck != 0 {
		return nil
	}
	e.stats.checked.Add(1)
	back, err := b.reveal(ctx, nil, value, keys, b.versions)
	clear(back)
	if err != nil {
		if f, ok := errors.AsType[*Error](err); ok && f.Retryable() {
			return f
		}
		return b.plan.recordError(opProtect, &recheckError{err})
	}
	return nil
}

// A recheckError is a protected record that cannot be read back.
type recheckError struct{ err error }

func (e *recheckError) Error() string {
	return "the protected record cannot be revealed: " + e.err.Error()
}
