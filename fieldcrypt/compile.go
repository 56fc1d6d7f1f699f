package fieldcrypt

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/tokenize"
)

// counters count what report mode lets through, and what was looked at again.
type counters struct {
	moved    atomic.Uint64
	unsealed atomic.Uint64
	redacted atomic.Uint64
	// forgotten counts values that a fixed text stands for.
	forgotten atomic.Uint64
	records   atomic.Uint64
	checked   atomic.Uint64
}

// Compile applies a policy to the schema of a topic. Everything that does not
// fit, such as an action on a field of the wrong type or a tag without a rule,
// is found here, as an [*Error] that names the path, and never per record. It
// does no I/O. Of the options, those count that say what the Plan may use:
// [WithVault], [WithDetokenize], [WithFIPS] and [WithoutFIPSModule].
//
// The Plan has no framing: where it changes types, records that it protected
// follow the schema that [Plan.Derived] returns.
func Compile(s schema.Schema, p *Policy, keys *datakey.Cache, topic string, opts ...Option) (*Plan, error) {
	if s == nil || p == nil || keys == nil {
		return nil, errors.New("fieldcrypt: Compile needs a schema, a policy and a cache")
	}
	e := &Engine{
		policy: p, bare: make(map[string]schema.Text), parsers: make(map[schema.Format]schema.Parser),
		vaults: make(map[string]*tokenize.Vault),
	}
	for _, o := range opts {
		o(e)
	}
	if err := e.checkFIPS(moduleEnabled()); err != nil {
		return nil, err
	}
	c := compilation{
		schema: s, policy: p, keys: keys, topic: topic, stats: new(counters), vaults: e.vaults, access: e.access,
		persons: e.persons,
	}
	return c.plan()
}

// A compilation makes one Plan.
type compilation struct {
	schema   schema.Schema
	policy   *Policy
	keys     *datakey.Cache
	topic    string
	schemaID int
	text     schema.Text // zero when it is not known
	stats    *counters
	vaults   map[string]*tokenize.Vault
	access   *tokenize.Access
	persons  *datakey.Persons

	rule  *topicRule
	modes guardModes
	out   *Plan
	edits []schema.Edit // as out.fields
	moves []schema.Edit // those that change the type of what is written
	opens []schema.Edit // as out.sealed
	whose []schema.Edit // of the field that names the tenant
}

func (c *compilation) plan() (*Plan, error) {
	s, p := c.schema, c.policy
	plan := &Plan{
		topic: c.topic, schemaID: c.schemaID, name: s.Name(), dataset: s.Name(),
		keys: c.keys, vaults: c.vaults, access: c.access, persons: c.persons, report: p.doc.onMismatch == mismatchReport, stats: c.stats,
	}
	c.out = plan
	t, ok := p.topic(c.topic)
	if !ok {
		return nil, plan.compileError(nil, CodeUngoverned, errUngoverned)
	}
	c.rule, c.modes = t, t.guards.or(p.doc.guards)
	plan.clear = t.clear
	if d := cmp.Or(t.dataset, p.doc.dataset); d != "" {
		plan.dataset = d
	}
	for _, name := range slices.Sorted(maps.Keys(p.doc.keys)) {
		plan.all = append(plan.all, scopeSpec(p.doc.keys[name]))
	}
	if v, ok := s.(schema.Validator); ok && c.modes.validate != nil && *c.modes.validate {
		plan.validator = v
	}
	if err := c.choose(); err != nil {
		return nil, err
	}
	if err := c.guard(); err != nil {
		return nil, err
	}
	if err := c.programs(); err != nil {
		return nil, err
	}
	return plan, nil
}

// choose decides what happens to each field.
func (c *compilation) choose() error {
	all := c.schema.Fields()
	who, err := c.subject(all)
	if err != nil {
		return err
	}
	whose, err := c.tenant(all)
	if err != nil {
		return err
	}
	for i := 0; i < len(all); i++ {
		f := &all[i]
		r, tag, ignored, err := c.policy.ruleFor(c.rule, f.Path, f.Tags)
		if err != nil {
			return c.out.compileError(&fieldPlan{path: f.Path, tag: tag}, CodePolicy, err)
		}
		d := FieldAction{
			Path: f.Path, Type: f.Type, Logical: f.Logical, Tags: f.Tags, Tag: tag, Action: actionClear, Ignored: ignored,
		}
		whole := f.Leaf() || f.Sealed || r != nil && r.action.takesWhole(f)
		if r == nil || !whole {
			// What a container holds is decided for each of its fields.
			if f.Leaf() {
				if err := c.untagged(f, ignored); err != nil {
					return err
				}
				c.out.described = append(c.out.described, d)
			}
			if f.Sealed {
				return c.out.compileError(&fieldPlan{path: f.Path, tag: tag}, CodePolicy, errSealedUnruled)
			}
			if f.Leaf() && (who != "" && f.Path == who || whose != "" && f.Path == whose) {
				if err := c.observe(f, i, f.Path == who, f.Path == whose); err != nil {
					return err
				}
			}
			continue
		}
		fp, op, err := c.out.field(f, r, tag, c.policy)
		if err == nil && whose != "" && pathCovers(f.Path, whose) {
			err = errTenantField
		}
		if err == nil && who != "" && f.Path == who {
			fp.observed = true
			if op == schema.Nullify {
				err = errUnseen
			}
		}
		if err != nil {
			return c.out.compileError(fp, CodePolicy, err)
		}
		if f.Sealed && op != schema.Wrap {
			return c.out.compileError(fp, CodePolicy, errSealedUnruled)
		}
		c.out.about = c.out.about || fp.about()
		if fp.reversible() {
			// Names that are too long to be bound are found now, but for the
			// tenant's, which only a record tells.
			if _, err := c.out.place("", fp, fp.bound); err != nil {
				return c.out.compileError(fp, CodeTooLarge, err)
			}
			c.out.sealed = append(c.out.sealed, len(c.out.fields))
			c.opens = append(c.opens, schema.Edit{Field: i, Op: op})
		}
		c.edits = append(c.edits, schema.Edit{Field: i, Op: op})
		if op == schema.Wrap && fp.wrapped {
			c.moves = append(c.moves, schema.Edit{Field: i, Op: op})
		}
		c.out.fields = append(c.out.fields, *fp)
		c.out.described = append(c.out.described, d.with(fp, r))
		if !f.Leaf() {
			i = f.End - 1
		}
	}
	return nil
}

// takesWhole tells whether the action takes a container as one value.
func (a *actionSpec) takesWhole(f *schema.Field) bool {
	// A message that is a time is one value, however it is encoded: a part of a
	// time is none.
	return a.whole || f.Numeric && !f.Leaf()
}

// about tells whether what happens to f depends on the person whom the record is
// about.
func (f *fieldPlan) about() bool { return f.kind == actShift || f.person }

// about is the same for an action.
func (a *actionSpec) about() bool { return a.by != subject{} }

// subject returns the path of the field that says which person the record is
// about, empty where no field does.
func (c *compilation) subject(all []schema.Field) (string, error) {
	var by subject
	for i := range all {
		r, tag, _, err := c.policy.ruleFor(c.rule, all[i].Path, all[i].Tags)
		if err != nil || r == nil || !r.action.about() {
			continue // the caller meets the error
		}
		if by != (subject{}) && by != r.action.by {
			fp := &fieldPlan{path: all[i].Path, tag: tag, kind: r.action.kind}
			return "", c.out.compileError(fp, CodePolicy, errTwoSubjects)
		}
		by = r.action.by
	}
	if by.path != "" && !slices.ContainsFunc(all, func(f schema.Field) bool { return f.Path == by.path && f.Leaf() }) {
		return "", c.out.compileError(&fieldPlan{path: by.path}, CodePolicy, errNoSuchField)
	}
	return by.path, nil
}

// observe looks at a field that nobody changes.
func (c *compilation) observe(f *schema.Field, i int, person, tenant bool) error {
	fp := &fieldPlan{path: f.Path, kind: actObserve, observed: person, tenant: tenant, key: -1}
	op := schema.Replace
	switch {
	case f.Type == schema.TypeString || f.Type == schema.TypeBytes || f.Type == schema.TypeJSON:
	case f.Numeric:
		op = schema.Number
	case f.Type == schema.TypeNull:
		return nil
	default:
		return c.out.compileError(fp, CodePolicy, errUnseen)
	}
	c.edits = append(c.edits, schema.Edit{Field: i, Op: op})
	c.out.fields = append(c.out.fields, *fp)
	if tenant {
		// Each branch of a union is a field of its own, with the same path.
		c.whose = append(c.whose, schema.Edit{Field: i, Op: op})
	}
	return nil
}

// tenant returns the path of the field that names the tenant, empty where none
// does.
func (c *compilation) tenant(all []schema.Field) (string, error) {
	path := c.policy.doc.tenant.path
	if path != "" && !slices.ContainsFunc(all, func(f schema.Field) bool { return f.Path == path && f.Leaf() }) {
		return "", c.out.compileError(&fieldPlan{path: path}, CodePolicy, errNoTenantField)
	}
	return path, nil
}

// untagged refuses a leaf that nobody said anything about, where the policy asks
// for that.
func (c *compilation) untagged(f *schema.Field, ignored bool) error {
	if is(c.modes.untaggedField, guardAllow) == guardAllow || ignored {
		return nil
	}
	if slices.ContainsFunc(c.rule.clear, func(p string) bool { return pathCovers(p, f.Path) }) {
		return nil
	}
	return c.out.compileError(&fieldPlan{path: f.Path}, CodeUntagged, errUntaggedField)
}

// guard refuses schemas that have lost what has to be protected.
func (c *compilation) guard() error {
	plan, all := c.out, c.schema.Fields()
	has := func(path string) bool {
		return slices.ContainsFunc(all, func(f schema.Field) bool { return f.Path == path })
	}
	for i := range c.rule.fields {
		if !has(c.rule.fields[i].path) {
			return plan.compileError(&fieldPlan{path: c.rule.fields[i].path}, CodePolicy, errNoSuchField)
		}
	}
	for _, path := range c.rule.clear {
		if !has(path) {
			return plan.compileError(&fieldPlan{path: path}, CodePolicy, errNoSuchField)
		}
	}
	for _, p := range c.rule.pins {
		if p.schema != "" && !globMatch(p.schema, c.schema.Name()) {
			continue
		}
		if !c.pinned(p.path) {
			return plan.compileError(&fieldPlan{path: p.path}, CodeProtectionLost, errPin)
		}
	}
	tagged := slices.ContainsFunc(all, func(f schema.Field) bool { return len(f.Tags) > 0 })
	if len(plan.fields) == 0 && !tagged && is(c.modes.untaggedSchema, guardReject) == guardReject {
		return plan.compileError(nil, CodeUntagged, errUntagged)
	}
	return c.demands()
}

// pinned tells whether everything at and below a path is protected.
func (c *compilation) pinned(path string) bool {
	found := false
	for i := range c.out.described {
		d := &c.out.described[i]
		if pathCovers(path, d.Path) || pathCovers(d.Path, path) && d.Action != actionClear {
			if d.Action == actionClear {
				return false
			}
			found = true
		}
	}
	return found
}

// demands refuses a policy that protects less than the rules that stand beside
// the schema in its registry.
func (c *compilation) demands() error {
	for _, d := range c.text.Demands {
		if d.Payload {
			return c.out.compileError(nil, CodePolicy, fmt.Errorf("rule %.80q of the schema asks for encryption of the whole record: %w", d.Name, errDemand))
		}
		for i := range c.out.described {
			f := &c.out.described[i]
			asked := len(d.Tags) == 0 && (f.Type == schema.TypeString || f.Type == schema.TypeBytes) ||
				slices.ContainsFunc(d.Tags, func(t string) bool { return slices.Contains(f.Tags, t) })
			if asked && f.Action == actionClear {
				return c.out.compileError(&fieldPlan{path: f.Path}, CodePolicy,
					fmt.Errorf("rule %.80q of the schema asks for encryption: %w", d.Name, errDemand))
			}
		}
	}
	return nil
}

// programs compiles the ways there and back, and the schema of what is written.
func (c *compilation) programs() error {
	unknown := schema.RejectUnknown
	if is(c.modes.unknownField, guardReject) == guardAllow {
		unknown = schema.KeepUnknown
	}
	plan := c.out
	var err error
	if len(c.whose) > 0 {
		if plan.tenantOf, err = c.schema.Compile(c.whose, schema.KeepUnknown); err != nil {
			return c.misfit(err)
		}
	}
	if plan.reveal, err = c.schema.Restore(c.opens, unknown); err != nil {
		return c.misfit(err)
	}
	if slices.ContainsFunc(c.schema.Fields(), func(f schema.Field) bool { return f.Sealed }) {
		// Such records can only be revealed: whoever protects them again would
		// wrap envelopes.
		return nil
	}
	if plan.protect, err = c.schema.Compile(c.edits, unknown); err != nil {
		return c.misfit(err)
	}
	if len(c.moves) == 0 {
		return nil
	}
	from := schema.Origin{ID: c.schemaID, Digest: c.text.Bare().Digest()}
	text, changed, err := c.schema.Derive(c.moves, from)
	if err != nil {
		return c.misfit(err)
	}
	if changed {
		plan.derived = &text
	}
	return nil
}

// misfit names the field whose edit a schema refuses, with its tag and action.
func (c *compilation) misfit(err error) *Error {
	var m schema.MisfitError
	if !errors.As(err, &m) || m.Field() == "" {
		return c.out.compileError(nil, CodePolicy, err)
	}
	for i := range c.out.fields {
		if f := &c.out.fields[i]; pathCovers(f.path, m.Field()) {
			return c.out.compileError(f, CodePolicy, err)
		}
	}
	return c.out.compileError(&fieldPlan{path: m.Field()}, CodePolicy, err)
}

var (
	errUngoverned    = errors.New("the policy has no entry for this topic")
	errUntagged      = errors.New("the schema has no tags, and the policy does not allow that")
	errUntaggedField = errors.New("the field has neither a tag nor a rule, is not listed as clear, and the policy does not allow that")
	errNoSuchField   = errors.New("the schema has no such field")
	errSealedUnruled = errors.New("the schema says that the field was encrypted as a whole, and the policy has no rule that does so")
	errPin           = errors.New("the policy pins this path, and the schema leaves it, or a part of it, without protection")
	errNoTenantField = errors.New("the policy takes the tenant from this field, and the schema has no such field")
	errTenantField   = errors.New("the field names the tenant, by whom readers find the keys, so it has to stay clear")
	errUnseen        = errors.New("the field names the person whom the record is about, so it must be text, bytes or a number, and must not be dropped")
	errTwoSubjects   = errors.New("a record is about one person, and the rules name two identifiers")
	errDemand        = errors.New("the policy does not provide for it")
)

// digestText spells a digest as the policy writes it.
func digestText(d [32]byte) string { return "sha256:" + hex.EncodeToString(d[:]) }

// subject returns where the derived schemas of a topic are registered.
func (t *topicRule) subject(topic string) string {
	return strings.ReplaceAll(cmp.Or(t.derived, "{topic}-value"), "{topic}", topic)
}
