package fieldcrypt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/tokenize"
)

// A Plan is a policy applied to one schema: which values to rewrite, and how.
// It is immutable and safe for concurrent use.
type Plan struct {
	topic    string
	schemaID int
	dataset  string
	name     string // of the schema

	keys *datakey.Cache
	// specs are the keys that the plan uses; an action refers to them by index.
	specs []datakey.ScopeSpec
	// domains are the domain keys that the plan uses, with the versions of all
	// tenants.
	domains []datakey.DomainSpec
	// all are the keys of the whole policy, for reading what was moved.
	all    []datakey.ScopeSpec
	vaults map[string]*tokenize.Vault
	access *tokenize.Access // of readers who may have values for tokens; nil for nobody
	about  bool             // the record says which person it is about: times are shifted by that, or keys chosen

	persons     *datakey.Persons
	personSpec  datakey.PersonSpec // zero where no action needs keys of persons
	onForgotten bool               // a reader gets a fixed text for values of the forgotten
	report      bool               // on reading, count what does not belong and open it

	fields    []fieldPlan    // all that the policy governs
	tenantOf  schema.Program // visits the field that names the tenant; nil where none does
	protect   schema.Program // edits are indices into fields; nil for a derived schema
	reveal    schema.Program // edits are indices into sealed
	sealed    []int          // indices into fields of those that were encrypted
	described []FieldAction  // every leaf, and containers that are taken as one value
	clear     []string       // paths that the topic states to be not personal

	// derived is the schema of what protect writes, nil where that is the
	// schema itself.
	derived   *schema.Text
	validator schema.Validator // nil where nobody asked for it
	// protectID and revealID are the schema ids that records get on the way
	// there and back; 0 where the framing stays as it is.
	protectID, revealID int
	// mayProtect and mayReveal are set when the above is known: see Engine.admit.
	mayProtect, mayReveal atomic.Bool

	stats *counters
	// bindings holds what depends on the tenant.
	bindings bindingTable
	single   atomic.Pointer[binding] // of the empty tenant, which most plans have only
}

// A fieldPlan is what happens to one field.
type fieldPlan struct {
	path, tag string
	bound     string // the path that values are bound to
	former    []string
	typ       string // what values are bound to as their type
	kind      actionKind
	text      bool // an envelope takes its text form
	wrapped   bool // the value is sealed as it is encoded
	redact    bool // what does not fit becomes a fixed word
	domain    bool // key is an index into domains, otherwise into specs
	key       int  // -1 where the action needs none

	deterministic bool // encrypt by SIV
	person        bool // encrypt under the key of a person
	mode          cryptMode
	join          string
	rule          mask.Rule
	constant      []byte
	hash          tokenize.HashForm
	prefix        string
	ff1           *tokenize.FF1Options // nil unless format-preserving
	token         tokenize.Format
	vault         *tokenize.Vault // nil without one
	shift         mask.Shift
	days          int
	by            subject
	tenant        bool // its value is the tenant
	observed      bool // its value is the person whom the record is about
}

// sealed tells whether the values are envelopes.
func (f *fieldPlan) sealed() bool { return f.kind == actEncrypt && f.mode != modeFormat }

// reversible tells whether a reader may get the values back.
func (f *fieldPlan) reversible() bool { return f.sealed() || f.ff1 != nil || f.vault != nil }

// derives tells whether the values are made under a value key of the place, and
// do not name it.
func (f *fieldPlan) derives() bool {
	return f.kind == actHash || f.ff1 != nil || f.kind == actShift
}

// A binding is a plan for one tenant.
type binding struct {
	plan   *Plan
	tenant string
	seen   seen
	scopes []*datakey.Scope // as specs
	seals  []int            // as specs: values to expect in a record

	domains     []*datakey.Domain // as domains
	domainSeals []int
	// versions are those that the records name, because some values do not.
	versions []envelope.KeyID
	digests  []envelope.Digest // as fields: the places of value keys
	rows     []*vaultRows      // as fields, nil for those without a vault

	persons *datakey.PersonScope // nil where no action needs one

	places []envelope.ContextID
	former [][]envelope.ContextID
	pool   sync.Pool // of *sealing
	opens  sync.Pool // of *opening
}

// maxBindings bounds the tenants that a plan remembers; those that were not used
// for long make room.
const maxBindings = 10_000

// bind returns the plan for a tenant.
func (p *Plan) bind(tenant string) (*binding, error) {
	if tenant == "" {
		if b := p.single.Load(); b != nil {
			return b, nil
		}
	} else if b := p.bindings.get(tenant); b != nil {
		return b, nil
	}
	b, err := p.newBinding(tenant)
	if err != nil {
		return nil, err
	}
	if tenant == "" {
		if !p.single.CompareAndSwap(nil, b) {
			b = p.single.Load()
		}
		return b, nil
	}
	return p.bindings.put(b, maxBindings), nil
}

func (p *Plan) newBinding(tenant string) (*binding, error) {
	b := &binding{
		plan: p, tenant: tenant,
		scopes:  make([]*datakey.Scope, len(p.specs)),
		seals:   make([]int, len(p.specs)),
		places:  make([]envelope.ContextID, len(p.fields)),
		former:  make([][]envelope.ContextID, len(p.fields)),
		digests: make([]envelope.Digest, len(p.fields)),
		rows:    make([]*vaultRows, len(p.fields)),
	}
	for i, spec := range p.specs {
		spec.Tenant = tenant
		var err error
		if spec.KEKs, err = keksOf(spec.KEKs, tenant); err != nil {
			return nil, p.tenantError(err)
		}
		s, err := p.keys.Scope(spec)
		if err != nil {
			return nil, &Error{Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Code: CodeKeyUnusable, Err: err}
		}
		b.scopes[i] = s
	}
	if err := b.openDomains(); err != nil {
		return nil, err
	}
	if len(p.personSpec.KEKs) > 0 {
		spec := p.personSpec
		spec.Tenant = tenant
		var err error
		if spec.KEKs, err = keksOf(spec.KEKs, tenant); err != nil {
			return nil, p.tenantError(err)
		}
		if b.persons, err = p.persons.Scope(spec); err != nil {
			return nil, &Error{Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Code: CodeKeyUnusable, Err: err}
		}
	}
	for i := range p.fields {
		if err := b.bindField(i); err != nil {
			return nil, p.fieldError("compile", &p.fields[i], err)
		}
	}
	return b, nil
}

// bindField computes where the values of a field belong.
func (b *binding) bindField(i int) (err error) {
	p, f := b.plan, &b.plan.fields[i]
	switch {
	case f.sealed():
		switch {
		case f.person: // nobody counts seals of a person
		case f.domain:
			b.domainSeals[f.key]++
		default:
			b.seals[f.key]++
		}
		for n, path := range append([]string{f.bound}, f.former...) {
			id, err := idOf(p.place(b.tenant, f, path))
			if err != nil {
				return err
			}
			if n == 0 {
				b.places[i] = id
			} else {
				b.former[i] = append(b.former[i], id)
			}
		}
	case f.vault != nil:
		b.rows[i], err = p.rows(b.tenant, f)
	case f.derives():
		if id := b.version(f.key); !slices.Contains(b.versions, id) {
			b.versions = append(b.versions, id)
		}
		b.digests[i], err = digestOf(p.place(b.tenant, f, f.bound))
	}
	return err
}

// version returns the id of the version of a domain key that is used now.
func (b *binding) version(domain int) envelope.KeyID {
	ids := b.domains[domain].KeyIDs()
	return envelope.KeyID(ids[len(ids)-1])
}

// openDomains gets the domain keys of the tenant.
func (b *binding) openDomains() error {
	p := b.plan
	for i, spec := range p.domains {
		all := spec.Blocks
		spec.Tenant, spec.Blocks = b.tenant, nil
		var err error
		if spec.KEKs, err = keksOf(spec.KEKs, b.tenant); err != nil {
			return p.tenantError(err)
		}
		for _, block := range all {
			if kb, err := envelope.ParseKeyBlock(block); err == nil && kb.Tenant == b.tenant {
				spec.Blocks = append(spec.Blocks, block)
			}
		}
		f := &p.fields[p.fieldOf(true, i)]
		if len(spec.Blocks) == 0 {
			return &Error{
				Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Path: f.path, Tag: f.tag, Action: string(f.kind),
				Code: CodeKeyUnusable, Err: fmt.Errorf("domain key %q has no version for the tenant: fieldveil kek domain makes one", spec.Name),
			}
		}
		d, err := p.keys.Domain(spec)
		if err != nil {
			return &Error{
				Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Path: f.path, Tag: f.tag, Action: string(f.kind),
				Code: CodeKeyUnusable, Err: err,
			}
		}
		b.domains = append(b.domains, d)
	}
	b.domainSeals = make([]int, len(b.domains))
	return nil
}

func (p *Plan) tenantError(err error) *Error {
	return &Error{Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Code: CodeTenant, Err: err}
}

// fieldOf returns the first field that uses a key, for error texts.
func (p *Plan) fieldOf(domain bool, key int) int {
	return slices.IndexFunc(p.fields, func(f fieldPlan) bool { return f.domain == domain && f.key == key })
}

// place returns the encoding of where the values of f belong, by its own path or
// a former one.
func (p *Plan) place(tenant string, f *fieldPlan, path string) ([]byte, error) {
	return p.context(tenant, f, path, f.purpose())
}

func (p *Plan) context(tenant string, f *fieldPlan, path, purpose string) ([]byte, error) {
	name, typ := p.name, f.typ
	if purpose == envelope.PurposeShift {
		// All times of a person move together, whatever field and type they are of.
		name, path, typ = "", "", ""
	}
	if f.join != "" {
		return envelope.DomainContext{Tenant: tenant, Domain: f.join, ValueType: typ, Purpose: purpose}.Append(nil)
	}
	return envelope.Context{
		Tenant: tenant, Dataset: p.dataset, Schema: name, Path: path, ValueType: typ, Purpose: purpose,
	}.Append(nil)
}

// purpose returns what the values of f are made for, as their context says.
func (f *fieldPlan) purpose() string {
	switch {
	case f.vault != nil:
		return envelope.PurposeVaultIndex
	case f.ff1 != nil:
		return envelope.PurposeFormatPreserving
	case f.kind == actHash:
		return envelope.PurposeHash
	case f.kind == actShift:
		return envelope.PurposeShift
	case f.deterministic:
		return envelope.PurposeDeterministic
	default:
		return envelope.PurposeEncrypt
	}
}

func idOf(encoding []byte, err error) (envelope.ContextID, error) {
	d, err := digestOf(encoding, err)
	return envelope.ContextID(d[:envelope.ContextIDSize]), err
}

func digestOf(encoding []byte, err error) (envelope.Digest, error) {
	if err != nil {
		return envelope.Digest{}, err
	}
	return sha256.Sum256(encoding), nil
}

// AppendProtected appends the protected form of src, one encoded record of the
// plan's schema, to dst. It appends to keys the key blocks of the data keys
// that were used: they must travel beside the record, in headers named
// [HeaderKey], unless the Cache has a key store.
//
// It waits, until ctx ends, only when a data key must be made first. On an
// error nothing of src may be sent; dst and keys come back at their lengths.
func (p *Plan) AppendProtected(ctx context.Context, tenant string, dst, src []byte, keys [][]byte) ([]byte, [][]byte, error) {
	b, err := p.bind(tenant)
	if err != nil {
		return dst, keys, err
	}
	return b.protect(ctx, dst, src, keys, nil)
}

// Versions returns the ids of the domain keys under which values of this plan
// are made that do not name them, such as hashes and format-preserving ones.
// They must travel beside the record, as the header [HeaderMeta] has them.
func (p *Plan) Versions(tenant string) ([]datakey.ID, error) {
	b, err := p.bind(tenant)
	if err != nil {
		return nil, err
	}
	ids := make([]datakey.ID, len(b.versions))
	for i, id := range b.versions {
		ids[i] = datakey.ID(id)
	}
	return ids, nil
}

// AppendRevealed appends the original form of src, one protected record, to
// dst. keys are the key blocks that travelled with it, and versions what
// [Plan.Versions] said when it was protected.
//
// It waits, until ctx ends, only when a data key must be unwrapped first. On an
// error nothing of the record is returned.
func (p *Plan) AppendRevealed(ctx context.Context, tenant string, dst, src []byte, keys [][]byte, versions ...datakey.ID) ([]byte, error) {
	b, err := p.bind(tenant)
	if err != nil {
		return dst, err
	}
	ids := make([]envelope.KeyID, len(versions))
	for i, id := range versions {
		ids[i] = envelope.KeyID(id)
	}
	return b.reveal(ctx, dst, src, keys, ids)
}

func (p *Plan) fieldError(op string, f *fieldPlan, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{
		Op: op, Topic: p.topic, SchemaID: p.schemaID,
		Path: f.path, Tag: f.tag, Action: string(f.kind), Code: codeOf(err), Err: err,
	}
}

// waitError is recordError for what was waited for: a KMS that timed out and a
// caller who gave up are told apart by the caller's own context.
func (p *Plan) waitError(ctx context.Context, op string, err error) *Error {
	e := p.recordError(op, err)
	if ctx.Err() != nil && e.Code == CodeKeyUnavailable {
		e.Code = CodeCanceled
	}
	return e
}

func (p *Plan) recordError(op string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Op: op, Topic: p.topic, SchemaID: p.schemaID, Code: codeOf(err), Err: err}
}
