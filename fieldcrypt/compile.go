package fieldcrypt

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/schema"
)

// counters count what report mode lets through.
type counters struct {
	moved    atomic.Uint64
	unsealed atomic.Uint64
}

// Compile applies a policy to the schema of a topic. Everything that does not
// fit, such as an action on a field of the wrong type or a tag without a rule,
// is found here, as an [*Error] that names the path, and never per record. It
// does no I/O.
func Compile(s schema.Schema, p *Policy, keys *datakey.Cache, topic string) (*Plan, error) {
	if s == nil || p == nil || keys == nil {
		return nil, errors.New("fieldcrypt: Compile needs a schema, a policy and a cache")
	}
	return compile(s, p, keys, topic, 0, new(counters))
}

func compile(s schema.Schema, p *Policy, keys *datakey.Cache, topic string, schemaID int, stats *counters) (*Plan, error) {
	plan := &Plan{
		topic: topic, schemaID: schemaID, name: s.Name(), dataset: s.Name(),
		keys: keys, report: p.doc.onMismatch == mismatchReport, stats: stats,
	}
	t, ok := p.topic(topic)
	if !ok {
		return nil, plan.compileError(nil, CodeUngoverned, errUngoverned)
	}
	if d := cmp.Or(t.dataset, p.doc.dataset); d != "" {
		plan.dataset = d
	}
	for _, name := range slices.Sorted(maps.Keys(p.doc.keys)) {
		plan.all = append(plan.all, scopeSpec(p.doc.keys[name]))
	}

	var (
		all    = s.Fields()
		edits  []schema.Edit
		opens  []schema.Edit
		tagged bool
	)
	for i := range all {
		f := &all[i]
		if !f.Leaf() {
			continue
		}
		tagged = tagged || len(f.Tags) > 0
		r, tag, _, err := p.ruleFor(t, f.Path, f.Tags)
		if err != nil {
			return nil, plan.compileError(&fieldPlan{path: f.Path, tag: tag}, CodePolicy, err)
		}
		if r == nil {
			continue
		}
		fp, err := plan.field(f, r, tag, p)
		if err != nil {
			return nil, plan.compileError(fp, CodePolicy, err)
		}
		op := schema.Replace
		if fp.kind == actDrop {
			op = schema.Nullify
		}
		if fp.kind == actEncrypt {
			// Names that are too long to be bound are found now, but for the
			// tenant's, which only a record tells.
			if _, err := plan.place("", fp, fp.path).ID(); err != nil {
				return nil, plan.compileError(fp, CodeTooLarge, err)
			}
			plan.sealed = append(plan.sealed, len(plan.fields))
			opens = append(opens, schema.Edit{Field: i, Op: op})
		}
		edits = append(edits, schema.Edit{Field: i, Op: op})
		plan.fields = append(plan.fields, *fp)
	}
	for i := range t.fields {
		if !slices.ContainsFunc(all, func(f schema.Field) bool { return f.Path == t.fields[i].path }) {
			return nil, plan.compileError(&fieldPlan{path: t.fields[i].path}, CodePolicy, errNoSuchField)
		}
	}
	untagged := p.doc.untaggedSchema
	if t.untagged != nil {
		untagged = *t.untagged
	}
	if len(plan.fields) == 0 && !tagged && untagged != untaggedAllow {
		return nil, plan.compileError(nil, CodeUntagged, errUntagged)
	}
	var err error
	if plan.protect, err = s.Compile(edits, schema.RejectUnknown); err != nil {
		return nil, plan.compileError(nil, CodePolicy, err)
	}
	if plan.reveal, err = s.Restore(opens, schema.RejectUnknown); err != nil {
		return nil, plan.compileError(nil, CodePolicy, err)
	}
	return plan, nil
}

var (
	errUngoverned  = errors.New("the policy has no entry for this topic")
	errUntagged    = errors.New("the schema has no tags, and the policy does not allow that")
	errNoSuchField = errors.New("the schema has no such field")
)

// field decides what happens to f under r. The fieldPlan comes back in any
// case, for the error text.
func (p *Plan) field(f *schema.Field, r *rule, tag string, policy *Policy) (*fieldPlan, error) {
	fp := &fieldPlan{
		path: f.Path, former: f.Former, tag: tag, typ: f.Type, kind: r.action.kind,
		text: f.Type == schema.TypeString,
	}
	content := f.Type == schema.TypeString || f.Type == schema.TypeBytes
	switch r.action.kind {
	case actDrop:
		if !f.Nullable {
			return fp, fmt.Errorf("a %s that cannot be null cannot be dropped", f.Type)
		}
	case actEncrypt:
		if !content || f.Logical != "" {
			return fp, unfit(f)
		}
		fp.key = p.keyIndex(scopeSpec(policy.doc.keys[r.action.key]))
	case actConstant:
		if !content || f.Logical != "" {
			return fp, unfit(f)
		}
		fp.constant = []byte(r.action.constant)
	case actMask:
		if !fp.text || f.Logical != "" {
			return fp, unfit(f)
		}
		var err error
		fp.mask, err = mask.Keep(r.action.keepFirst, r.action.keepLast, mask.WithFill(r.action.fill))
		if err != nil {
			return fp, err
		}
	default:
		return fp, fmt.Errorf("unknown action %q", r.action.kind)
	}
	return fp, nil
}

func unfit(f *schema.Field) error {
	if f.Logical != "" {
		return fmt.Errorf("the action does not fit type %s with logical type %s", f.Type, f.Logical)
	}
	return fmt.Errorf("the action does not fit type %s", f.Type)
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
