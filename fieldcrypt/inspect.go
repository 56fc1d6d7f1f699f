package fieldcrypt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/schema"
)

// A KeyUse is one data key that a record needs, or brings along.
type KeyUse struct {
	ID datakey.ID
	// KEK and Tenant are those of the key block in the record's headers; KEK is
	// empty where it has none, and then the key must be found elsewhere: in the
	// key store, or for a domain key in the policy.
	KEK, Tenant string
	// Values is the number of envelopes that name the key, in the value, the
	// record key and the headers.
	Values int
	// Domain tells a domain key: an envelope of suite 3 names it, or fv-meta does.
	Domain bool
	// Person tells the key of a person: it stands in the store of persons, under
	// the root key of the tenant, and never in a header.
	Person bool
}

// KeysOf tells which data keys a record needs, and opens nothing: it calls no KMS
// and no key store, and needs the right to neither. It looks at the key blocks
// and versions in the headers, and at the envelopes where the policy has them:
// in the fields of the value, in the record key and in headers. A key with blocks
// under two KEKs comes twice.
//
// What it returns is what the record says, and anybody who may write to the
// topic can have it say anything. Values that were never sealed are passed over,
// where it is sure that they were not. Text forms of envelopes are found in the
// whole value; envelopes in bytes only where the policy has them, so those of a
// rule that is gone are known by the headers alone.
//
// The error is an [*Error], of a record of which not everything could be seen: it
// may need more keys than those that come with the error. Whoever asks whether a
// key is still needed has to take it for a yes.
func (e *Engine) KeysOf(ctx context.Context, rec Record) ([]KeyUse, error) {
	l := looking{uses: make([]KeyUse, 0, 4)}
	first := l.headers(rec)
	fail := func(err error) ([]KeyUse, error) {
		return l.uses, asError(err, &Error{Op: opInspect, Topic: rec.Topic, Code: codeOf(err), Err: err})
	}
	t, err := e.topic(rec.Topic)
	if err != nil {
		return l.uses, asError(err, &Error{Op: opInspect, Topic: rec.Topic, Code: CodeUngoverned, Err: err})
	}
	if t.edges != nil {
		l.plan = t.edges
		if _, _, err := t.edges.eachEdge(&rec, l.edge); err != nil && first == nil {
			first = err
		}
	}
	if rec.Value != nil {
		err := e.lookAt(ctx, t, rec, &l)
		l.texts(rec.Value)
		if err != nil {
			return fail(err)
		}
	}
	if first != nil {
		return fail(first)
	}
	return l.uses, nil
}

// lookAt finds the keys that the value of a record names.
func (e *Engine) lookAt(ctx context.Context, t *topicPlans, rec Record, l *looking) (err error) {
	var f frame
	if !t.bare {
		if err = f.read(&rec); err != nil {
			return &Error{Op: opInspect, Topic: rec.Topic, Code: CodeMalformed, Err: err}
		}
	}
	p, err := e.plan(ctx, t, opInspect, &f, rec.Value)
	if err != nil {
		return err
	}
	l.plan = p
	if len(p.sealed) == 0 {
		return nil
	}
	out, err := p.reveal.Rewrite(l.scratch[:0], rec.Value[f.size:], l)
	clear(out)
	if err != nil {
		return p.recordError(opInspect, err)
	}
	return nil
}

// looking gathers the keys of one record. It is the visitor of all values that
// Protect could have sealed.
type looking struct {
	plan    *Plan
	uses    []KeyUse
	env     []byte
	scratch [256]byte
}

// headers reads the headers that travel with a protected record. It goes on past
// a fault, and returns the first.
func (l *looking) headers(rec Record) (first error) {
	for _, h := range rec.Headers {
		var err error
		switch h.Key {
		case HeaderKey:
			var b datakey.BlockInfo
			if b, err = datakey.DescribeBlock(h.Value); err == nil {
				l.block(b)
			}
		case HeaderMeta:
			var m envelope.Meta
			m, err = envelope.ParseMeta(h.Value)
			for _, id := range m.Keys {
				l.use(datakey.ID(id)).Domain = true
			}
		}
		if err != nil && first == nil {
			first = fmt.Errorf("header %s: %w", h.Key, err)
		}
	}
	return first
}

func (l *looking) block(b datakey.BlockInfo) {
	for i := range l.uses {
		u := &l.uses[i]
		if u.ID != b.ID {
			continue
		}
		if u.KEK == "" {
			u.KEK, u.Tenant = b.KEK, b.Tenant
			return
		}
		if u.KEK == b.KEK && u.Tenant == b.Tenant {
			return
		}
	}
	l.uses = append(l.uses, KeyUse{ID: b.ID, KEK: b.KEK, Tenant: b.Tenant})
}

// use returns the entry of a key, a new one where it has none.
func (l *looking) use(id datakey.ID) *KeyUse {
	i := slices.IndexFunc(l.uses, func(u KeyUse) bool { return u.ID == id })
	if i < 0 {
		i = len(l.uses)
		l.uses = append(l.uses, KeyUse{ID: id})
	}
	return &l.uses[i]
}

// Visit looks at one value of the record.
func (l *looking) Visit(edit int, dst, value []byte) ([]byte, error) {
	f := &l.plan.fields[l.plan.sealed[edit]]
	if err := l.look(f, value); err != nil {
		return dst, l.plan.fieldError(opInspect, f, err)
	}
	return dst, schema.ErrLook
}

// edge looks at the record key or a header.
func (l *looking) edge(field int, _, value []byte) ([]byte, error) {
	f := &l.plan.fields[field]
	if err := l.look(f, value); err != nil {
		return nil, l.plan.fieldError(opInspect, f, err)
	}
	return value, nil
}

var errUnsure = errors.New("the value is no envelope, and may be a damaged one")

func (l *looking) look(f *fieldPlan, value []byte) error {
	if !f.sealed() {
		return nil // format-preserving, or a token: fv-meta names the key
	}
	env := value
	if f.text {
		if !envelope.IsText(value) {
			return nil // never sealed
		}
		var err error
		if l.env, err = envelope.ParseText(l.env[:0], value); err != nil {
			return err
		}
		env = l.env
	}
	h, _, _, err := envelope.Parse(env)
	switch {
	case err == nil:
		u := l.use(datakey.ID(h.Key))
		u.Values++
		u.Domain = u.Domain || h.Suite == envelope.AES256SIV
		u.Person = u.Person || f.person && h.Suite == envelope.XAES256GCM && u.KEK == ""
		return nil
	case f.text:
		return err
	case l.plan.report && !f.wrapped:
		return nil // as Reveal does: bytes from before the policy
	default:
		return errors.Join(errUnsure, err)
	}
}

// texts finds text forms of envelopes anywhere in a record, also where the policy
// of today has none: it may have had them yesterday.
func (l *looking) texts(value []byte) {
	const size = 4 * ((envelope.HeaderSize + 2) / 3) // of the text with the header
	for {
		i := bytes.Index(value, []byte(envelope.TextPrefix))
		if i < 0 {
			return
		}
		if value = value[i+len(envelope.TextPrefix):]; len(value) < size {
			return
		}
		var err error
		if l.env, err = envelope.ParseBase64(l.env[:0], value[:size]); err != nil || l.env[0] != envelope.Version {
			continue
		}
		if _, ok := envelope.Suite(l.env[1]).NonceSize(); !ok {
			continue
		}
		if u := l.use(datakey.ID(l.env[2 : 2+envelope.KeyIDSize])); u.Values == 0 {
			u.Values = 1
			u.Domain = envelope.Suite(l.env[1]) == envelope.AES256SIV
		}
	}
}
