package fieldcrypt

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/schema"
)

// The record key and headers stand outside of any schema. They are fields of a
// Plan without programs: each is one value, and its path begins with a mark
// that no path of a schema begins with.
const (
	pathOfKey    = "#key"
	pathOfHeader = "#header/"
)

// edgePlan returns the plan for the record key and headers of a topic, nil where
// the policy says nothing about them.
func (e *Engine) edgePlan(t *topicPlans) (*Plan, error) {
	r := t.rule
	if r.key == nil && len(r.headers) == 0 {
		return nil, nil //nolint:nilnil // nothing to do is no error
	}
	p := &Plan{
		topic: t.topic, dataset: cmp.Or(r.dataset, e.policy.doc.dataset),
		keys: e.keys, vaults: e.vaults, access: e.access, persons: e.persons, report: e.policy.doc.onMismatch == mismatchReport, stats: &e.stats,
	}
	add := func(path string, r *rule) error {
		// Kafka has bytes there. Protected, they are text, as most keys and
		// headers are.
		fp, _, err := p.field(&schema.Field{Path: path, Type: schema.TypeString, Nullable: true}, r, "", e.policy)
		if err != nil {
			return p.compileError(fp, CodePolicy, err)
		}
		fp.typ = string(schema.TypeBytes)
		if fp.kind == actGeneralize || fp.about() {
			return p.compileError(fp, CodePolicy, errors.New("the action is for fields of the value"))
		}
		if fp.reversible() {
			if _, err := p.place("", fp, fp.bound); err != nil {
				return p.compileError(fp, CodeTooLarge, err)
			}
			p.sealed = append(p.sealed, len(p.fields))
		}
		p.fields = append(p.fields, *fp)
		return nil
	}
	for i := range r.headers {
		if err := add(pathOfHeader+r.headers[i].path, &r.headers[i]); err != nil {
			return nil, err
		}
	}
	if r.key != nil {
		if err := add(pathOfKey, r.key); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// edge returns the field of a header, or of the key, and false for none.
func (p *Plan) edge(path string) (int, bool) {
	i := slices.IndexFunc(p.fields, func(f fieldPlan) bool { return f.path == path })
	return i, i >= 0
}

// protect replaces the key and headers of rec by their protected forms, and adds
// the key blocks to keys. What rec refers to is not changed.
func (b *binding) protectEdges(ctx context.Context, rec *Record, keys [][]byte) ([][]byte, error) {
	p := b.plan
	s := b.sealing()
	defer b.sealed(s)
	if err := s.begin(rec); err != nil {
		return keys, err
	}
	size := len(rec.Key)
	for i := range rec.Headers {
		size += len(rec.Headers[i].Value)
	}
	for extra := 0; ; {
		if err := s.reserve(ctx, extra, size); err != nil {
			return keys, p.waitError(ctx, opProtect, err)
		}
		key, headers, err := p.eachEdge(rec, s.Visit)
		values := 0
		for _, w := range s.sealers {
			n := w.Done()
			if values += n; err == nil && n > 0 && !s.pending() {
				keys = append(keys, w.KeyBlock())
			}
		}
		for _, w := range s.domains {
			values += w.Done()
		}
		switch {
		case err == nil && s.pending():
			if err := s.resolve(ctx); err != nil {
				return keys, p.waitError(ctx, opProtect, err)
			}
			continue
		case err == nil:
			rec.Key, rec.Headers = key, headers
			return keys, nil
		case !errors.Is(err, datakey.ErrExhausted):
			return keys, p.recordError(opProtect, err)
		}
		extra = 2*values + 1
	}
}

// eachEdge calls visit for the key and headers that have a field, and returns
// what they are then. Headers under drop are left out.
func (p *Plan) eachEdge(rec *Record, visit func(edit int, dst, value []byte) ([]byte, error)) (key []byte, headers []Header, err error) {
	key = rec.Key
	if i, ok := p.edge(pathOfKey); ok && key != nil {
		if key, err = visit(i, nil, key); err != nil {
			return nil, nil, err
		}
	}
	headers = make([]Header, 0, len(rec.Headers))
	for _, h := range rec.Headers {
		i, ok := p.edge(pathOfHeader + h.Key)
		switch {
		case !ok || h.Value == nil:
		case p.fields[i].kind == actDrop:
			continue
		default:
			if h.Value, err = visit(i, []byte{}, h.Value); err != nil {
				return nil, nil, err
			}
		}
		headers = append(headers, h)
	}
	return key, headers, nil
}

// revealEdges is the way back. What was masked or dropped stays so.
func (b *binding) revealEdges(ctx context.Context, rec *Record, keys [][]byte, versions []envelope.KeyID) error {
	p := b.plan
	o := b.opening()
	defer b.close(o)
	o.versions, o.access = versions, p.accessIn(ctx)
	for {
		key, headers, err := p.eachEdge(rec, func(edit int, dst, value []byte) ([]byte, error) {
			at := slices.Index(p.sealed, edit)
			if at < 0 {
				return value, nil
			}
			return o.Visit(at, dst, value)
		})
		if err == nil && !o.wanted {
			rec.Key, rec.Headers = key, headers
			return nil
		}
		if err == nil {
			if err := o.detokenize(ctx); err != nil {
				return p.waitError(ctx, opReveal, err)
			}
			continue
		}
		if !errors.Is(err, errMissing) {
			return p.recordError(opReveal, err)
		}
		if err := o.fetch(ctx, keys); err != nil {
			return p.waitError(ctx, opReveal, err)
		}
	}
}
