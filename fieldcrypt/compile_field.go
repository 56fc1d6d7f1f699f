package fieldcrypt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/tokenize"
)

// field decides what happens to f under r. The fieldPlan comes back in any
// case, for the error text.
func (p *Plan) field(f *schema.Field, r *rule, tag string, policy *Policy) (*fieldPlan, schema.Op, error) {
	fp := &fieldPlan{
		path: f.Path, bound: cmp.Or(f.Place, f.Path), former: f.Former, tag: tag, typ: string(f.Type), kind: r.action.kind,
		text: f.Type == schema.TypeString || f.Type == schema.TypeJSON, join: r.action.join, key: -1,
		redact: r.action.redact, mode: r.action.mode,
	}
	op, err := p.act(fp, f, r, policy)
	if err == nil && fp.redact && (op != schema.Replace || !text(f)) {
		err = errors.New("on_invalid: redact fits only text, which a fixed word can take the place of")
	}
	return fp, op, err
}

// act completes fp with what its action needs.
func (p *Plan) act(fp *fieldPlan, f *schema.Field, r *rule, policy *Policy) (schema.Op, error) {
	a := &r.action
	switch a.kind {
	case actDrop:
		if !f.Nullable {
			return schema.Nullify, fmt.Errorf("a %s that cannot be null cannot be dropped", f.Type)
		}
		return schema.Nullify, nil
	case actReject:
		return visiting(f)
	case actEncrypt:
		return p.encrypt(fp, f, a, policy)
	case actConstant:
		return p.constant(fp, f, a)
	case actMask:
		if !text(f) {
			return schema.Replace, unfit(f)
		}
		var err error
		fp.rule, err = a.mask.build()
		return schema.Replace, err
	case actGeneralize:
		return p.generalize(fp, f, a)
	case actHash, actUnsafe:
		return p.hash(fp, f, a, policy)
	case actShift:
		layout, op, err := timeLayout(f, a.shift.layout)
		if err != nil {
			return op, err
		}
		fp.days, fp.by = a.shift.days, a.by
		if fp.shift, err = mask.NewShift(layout); err != nil {
			return op, err
		}
		p.useDomain(fp, policy.doc.domainKeys[a.key])
		return op, nil
	case actTokenize:
		return p.tokenize(fp, f, a, policy)
	default:
		return 0, fmt.Errorf("unknown action %q", a.kind)
	}
}

// visiting returns the edit under which a value is seen, whatever its type. No
// value is ever written under it.
func visiting(f *schema.Field) (schema.Op, error) {
	switch {
	case f.Leaf() && f.Wrapped == "" && (f.Type == schema.TypeString || f.Type == schema.TypeBytes):
		return schema.Replace, nil
	case f.Numeric && f.Type != schema.TypeJSON:
		return schema.Number, nil
	case f.Wrapped != "":
		return schema.Wrap, nil
	default:
		return 0, unfit(f)
	}
}

func (p *Plan) encrypt(fp *fieldPlan, f *schema.Field, a *actionSpec, policy *Policy) (schema.Op, error) {
	if a.mode == modeFormat {
		return p.formatPreserving(fp, f, a, policy)
	}
	op := schema.Replace
	switch {
	case f.Wrapped != "":
		op, fp.wrapped = schema.Wrap, true
		fp.typ, fp.text = f.Encoding, f.Wrapped == schema.TypeString
	case !content(f):
		return op, unfit(f)
	}
	if a.mode == modePerson {
		return op, p.ofPerson(fp, a, policy)
	}
	if a.mode == modeRandom {
		fp.key = p.keyIndex(scopeSpec(policy.doc.keys[a.key]))
		return op, nil
	}
	fp.deterministic = true
	p.useDomain(fp, policy.doc.domainKeys[a.key])
	return op, manyValues(f, a)
}

// ofPerson gives fp the keys of persons.
func (p *Plan) ofPerson(fp *fieldPlan, a *actionSpec, policy *Policy) error {
	if p.persons == nil {
		return errors.New("the keys of persons were not given to the engine: see WithPersons")
	}
	fp.person, fp.by = true, a.by
	k := policy.doc.persons
	p.personSpec = datakey.PersonSpec{
		KEKs: append([]string{k.kek}, k.also...), Limits: datakey.Limits{Refresh: k.refresh, Expire: k.expire},
	}
	p.onForgotten = k.redact
	return nil
}

func (p *Plan) formatPreserving(fp *fieldPlan, f *schema.Field, a *actionSpec, policy *Policy) (schema.Op, error) {
	if f.Numeric && f.Type != schema.TypeJSON {
		return schema.Number, errors.New("a number has no place for leading zeros, which its encrypted form can have: this needs a string")
	}
	if !text(f) {
		return schema.Replace, unfit(f)
	}
	fp.ff1 = &a.ff1
	p.useDomain(fp, policy.doc.domainKeys[a.key])
	return schema.Replace, nil
}

func (p *Plan) tokenize(fp *fieldPlan, f *schema.Field, a *actionSpec, policy *Policy) (schema.Op, error) {
	if a.vault == "" {
		return p.formatPreserving(fp, f, a, policy)
	}
	if !text(f) && (!isUUID(f) || a.format != tokenUUID) {
		return schema.Replace, unfit(f)
	}
	v := p.vaults[a.vault]
	if v == nil {
		return schema.Replace, fmt.Errorf("vault %q was not given to the engine: see WithVault", a.vault)
	}
	fp.vault, fp.token = v, a.token
	p.useDomain(fp, policy.doc.domainKeys[a.key])
	return schema.Replace, nil
}

func (p *Plan) constant(fp *fieldPlan, f *schema.Field, a *actionSpec) (schema.Op, error) {
	fp.constant = []byte(a.constant)
	switch {
	case content(f):
		return schema.Replace, nil
	case f.Numeric && f.Leaf() && f.Logical == "":
		if _, err := strconv.ParseFloat(a.constant, 64); err != nil {
			return schema.Number, fmt.Errorf("the constant is no number, and the field is of type %s", f.Type)
		}
		return schema.Number, nil
	default:
		return schema.Replace, unfit(f)
	}
}

func (p *Plan) generalize(fp *fieldPlan, f *schema.Field, a *actionSpec) (op schema.Op, err error) {
	if a.general.to != "" {
		layout, op, err := timeLayout(f, a.general.layout)
		if err != nil {
			return op, err
		}
		fp.rule, err = a.general.time(layout)
		return op, err
	}
	switch {
	case f.Numeric && f.Leaf() && (f.Logical == "" || f.Logical == "decimal"):
		fp.rule, err = a.general.number(false)
		return schema.Number, err
	case text(f):
		fp.rule, err = a.general.number(true)
		return schema.Replace, err
	default:
		return schema.Number, unfit(f)
	}
}

func (p *Plan) hash(fp *fieldPlan, f *schema.Field, a *actionSpec, policy *Policy) (schema.Op, error) {
	fp.hash, fp.prefix = a.hash, a.prefix
	switch {
	case content(f):
	case isUUID(f) && a.hash == tokenize.HashUUID && a.prefix == "":
	default:
		return schema.Replace, unfit(f)
	}
	if a.kind == actHash {
		p.useDomain(fp, policy.doc.domainKeys[a.key])
	}
	return schema.Replace, manyValues(f, a)
}

// manyValues refuses what keeps equal values equal for types that have so few
// values that counting tells them apart.
func manyValues(f *schema.Field, a *actionSpec) error {
	few := f.Type == schema.TypeBoolean || f.Type == schema.TypeEnum || f.Logical == "date" || f.Logical == "enum"
	if few && a.reason == "" {
		kind := string(f.Type)
		if f.Logical != "" {
			kind += " (" + f.Logical + ")"
		}
		return fmt.Errorf(`a %s has so few values that how often each occurs tells them apart: encrypt at random, or give a "reason"`, kind)
	}
	return nil
}

// timeLayout returns how f writes a time: as its type says or, where the type is
// a bare number or text, as the policy does.
func timeLayout(f *schema.Field, word string) (mask.Layout, schema.Op, error) {
	known, op, ok := typeLayout(f)
	if ok {
		if word != "" && word != known.String() {
			return 0, op, fmt.Errorf("the field is a time of layout %s, and the policy says %s", known, word)
		}
		return known, op, nil
	}
	layout, err := mask.LayoutNamed(word)
	switch {
	case f.Logical != "" || !f.Leaf():
		return 0, op, unfit(f)
	case word == "":
		return 0, op, fmt.Errorf("a %s does not tell how it writes a time: give a layout", f.Type)
	case err != nil:
		return 0, op, err
	case layout.Text() && text(f):
		return layout, schema.Replace, nil
	case !layout.Text() && f.Numeric:
		return layout, schema.Number, nil
	default:
		return 0, op, fmt.Errorf("layout %s does not fit type %s", word, f.Type)
	}
}

func typeLayout(f *schema.Field) (mask.Layout, schema.Op, bool) {
	switch f.Logical {
	case "date":
		if f.Type == schema.TypeString {
			return mask.ISODate, schema.Replace, true
		}
		return mask.Days, schema.Number, f.Numeric
	case "date-time":
		return mask.RFC3339, schema.Replace, f.Type == schema.TypeString
	case "timestamp-millis", "local-timestamp-millis":
		return mask.Millis, schema.Number, f.Numeric
	case "timestamp-micros", "local-timestamp-micros":
		return mask.Micros, schema.Number, f.Numeric
	case "timestamp-nanos", "local-timestamp-nanos":
		return mask.Nanos, schema.Number, f.Numeric
	case "google.protobuf.Timestamp":
		return mask.DecimalSeconds, schema.Number, f.Numeric
	default:
		return 0, 0, false
	}
}

// isUUID tells whether f holds the text of a UUID and nothing else.
func isUUID(f *schema.Field) bool {
	return f.Leaf() && f.Type == schema.TypeString && (f.Logical == "uuid" || f.Logical == "format:uuid")
}

// text tells whether f holds any text.
func text(f *schema.Field) bool { return content(f) && f.Type != schema.TypeBytes }

// content tells whether other content may stand in f. What a JSON value without
// a schema is only the record tells; whatever is no string is refused there.
func content(f *schema.Field) bool {
	return (f.Type == schema.TypeString || f.Type == schema.TypeBytes || f.Type == schema.TypeJSON) &&
		f.Logical == "" && f.Leaf()
}

func unfit(f *schema.Field) error {
	if f.Logical != "" {
		return fmt.Errorf("the action does not fit type %s with logical type %s", f.Type, f.Logical)
	}
	return fmt.Errorf("the action does not fit type %s", f.Type)
}

// useDomain gives fp a domain key.
func (p *Plan) useDomain(fp *fieldPlan, k domainKeySpec) {
	fp.domain = true
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
		Limits:  datakey.Limits{Refresh: k.refresh, Expire: k.expire, Seals: k.maxSeals, Bytes: k.maxBytes},
		Persist: k.persist,
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
