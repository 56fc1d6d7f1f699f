package fieldcrypt

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/schema"
)

// field decides what happens to f under r. The fieldPlan comes back in any
// case, for the error text.
func (p *Plan) field(f *schema.Field, r *rule, tag string, policy *Policy) (*fieldPlan, schema.Op, error) {
	fp := &fieldPlan{
		path: f.Path, bound: cmp.Or(f.Place, f.Path), former: f.Former, tag: tag, typ: string(f.Type), kind: r.action.kind,
		text: f.Type == schema.TypeString || f.Type == schema.TypeJSON,
	}
	op := schema.Replace
	switch r.action.kind {
	case actDrop:
		op = schema.Nullify
		if !f.Nullable {
			return fp, op, fmt.Errorf("a %s that cannot be null cannot be dropped", f.Type)
		}
	case actEncrypt:
		switch {
		case f.Wrapped != "":
			op, fp.wrapped = schema.Wrap, true
			fp.typ, fp.text = f.Encoding, f.Wrapped == schema.TypeString
		case !content(f):
			return fp, op, unfit(f)
		}
		p.sealing(fp, r, policy)
	case actConstant:
		if !content(f) {
			return fp, op, unfit(f)
		}
		fp.constant = []byte(r.action.constant)
	case actMask:
		if !content(f) || f.Type == schema.TypeBytes {
			return fp, op, unfit(f)
		}
		var err error
		if fp.mask, err = maskOf(r); err != nil {
			return fp, op, err
		}
	default:
		return fp, op, fmt.Errorf("unknown action %q", r.action.kind)
	}
	return fp, op, nil
}

// content tells whether other content may stand in f. What a JSON value without
// a schema is only the record tells; whatever is no string is refused there.
func content(f *schema.Field) bool {
	return (f.Type == schema.TypeString || f.Type == schema.TypeBytes || f.Type == schema.TypeJSON) &&
		f.Logical == "" && f.Leaf()
}

func maskOf(r *rule) (mask.Rule, error) {
	return mask.Keep(r.action.keepFirst, r.action.keepLast, mask.WithFill(r.action.fill))
}

func unfit(f *schema.Field) error {
	if f.Logical != "" {
		return fmt.Errorf("the action does not fit type %s with logical type %s", f.Type, f.Logical)
	}
	return fmt.Errorf("the action does not fit type %s", f.Type)
}

// sealing gives fp the key of its rule.
func (p *Plan) sealing(fp *fieldPlan, r *rule, policy *Policy) {
	if !r.action.deterministic {
		fp.key = p.keyIndex(scopeSpec(policy.doc.keys[r.action.key]))
		return
	}
	fp.deterministic, fp.join = true, r.action.join
	k := policy.doc.domainKeys[r.action.key]
	fp.key = slices.IndexFunc(p.domains, func(d datakey.DomainSpec) bool { return d.Name == k.name })
	if fp.key < 0 {
		fp.key = len(p.domains)
		p.domains = append(p.domains, datakey.DomainSpec{Name: k.name, KEKs: append([]string{k.kek}, k.also...), Blocks: k.blocks})
	}
}

func (p *Plan) keyIndex(spec datakey.ScopeSpec) int {
	if i := slices.IndexFunc(p.specs, func(s datakey.ScopeSpec) bool { return s.Name == spec.Name }); i >= 0 {
		return i
	}
	p.specs = append(p.specs, spec)
	return len(p.specs) - 1
}

func scopeSpec(k keySpec) datakey.ScopeSpec {
	spec := datakey.ScopeSpec{
		Name: k.name, KEKs: append([]string{k.kek}, k.also...),
		Limits: datakey.Limits{Refresh: k.refresh, Expire: k.expire, Seals: k.maxSeals, Bytes: k.maxBytes},
	}
	if k.suite == suiteXAES {
		spec.Suite = datakey.XAES256GCM
	}
	return spec
}

func (p *Plan) compileError(f *fieldPlan, code Code, err error) *Error {
	e := &Error{Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Code: code, Err: err}
	if f != nil {
		e.Path, e.Tag, e.Action = f.path, f.tag, string(f.kind)
	}
	return e
}
