package fieldcrypt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/schema"
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
	report bool // on reading, count what does not belong and open it

	fields    []fieldPlan    // all that the policy governs
	protect   schema.Program // edits are indices into fields; nil for a derived schema
	reveal    schema.Program // edits are indices into sealed
	sealed    []int          // indices into fields of those that were encrypted
	described []FieldAction  // every leaf, and containers that are taken as one value

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
	// bindings holds what depends on the tenant. Readers load the map; writers
	// replace it.
	bindings atomic.Pointer[map[string]*binding]
	single   atomic.Pointer[binding] // of the empty tenant, which most plans have only
	mu       sync.Mutex
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
	key       int  // index into specs, for encrypt; into domains where it is deterministic

	deterministic bool
	join          string
	mask          mask.Rule
	constant      []byte
}

// A binding is a plan for one tenant.
type binding struct {
	plan   *Plan
	tenant string
	scopes []*datakey.Scope // as specs
	seals  []int            // as specs: values to expect in a record

	domains     []*datakey.Domain // as domains
	domainSeals []int

	places []envelope.ContextID
	former [][]envelope.ContextID
	pool   sync.Pool // of *sealing
	opens  sync.Pool // of *opening
}

// maxBindings bounds the tenants that a plan remembers.
const maxBindings = 10_000

// bind returns the plan for a tenant.
func (p *Plan) bind(tenant string) (*binding, error) {
	if tenant == "" {
		if b := p.single.Load(); b != nil {
			return b, nil
		}
	} else if m := p.bindings.Load(); m != nil {
		if b, ok := (*m)[tenant]; ok {
			return b, nil
		}
	}
	b, err := p.newBinding(tenant)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if tenant == "" {
		if !p.single.CompareAndSwap(nil, b) {
			b = p.single.Load()
		}
		return b, nil
	}
	old := p.bindings.Load()
	next := make(map[string]*binding)
	if old != nil && len(*old) < maxBindings {
		if first, ok := (*old)[tenant]; ok {
			return first, nil
		}
		maps.Copy(next, *old)
	}
	next[tenant] = b
	p.bindings.Store(&next)
	return b, nil
}

func (p *Plan) newBinding(tenant string) (*binding, error) {
	b := &binding{
		plan: p, tenant: tenant,
		scopes: make([]*datakey.Scope, len(p.specs)),
		seals:  make([]int, len(p.specs)),
		places: make([]envelope.ContextID, len(p.fields)),
		former: make([][]envelope.ContextID, len(p.fields)),
	}
	for i, spec := range p.specs {
		spec.Tenant = tenant
		s, err := p.keys.Scope(spec)
		if err != nil {
			return nil, &Error{Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Code: CodeKeyUnusable, Err: err}
		}
		b.scopes[i] = s
	}
	if err := b.openDomains(); err != nil {
		return nil, err
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.kind != actEncrypt {
			continue
		}
		if f.deterministic {
			b.domainSeals[f.key]++
		} else {
			b.seals[f.key]++
		}
		for n, path := range append([]string{f.bound}, f.former...) {
			id, err := p.place(tenant, f, path)
			if err != nil {
				return nil, p.fieldError("compile", f, err)
			}
			if n == 0 {
				b.places[i] = id
			} else {
				b.former[i] = append(b.former[i], id)
			}
		}
	}
	return b, nil
}

// openDomains gets the domain keys of the tenant.
func (b *binding) openDomains() error {
	p := b.plan
	for _, spec := range p.domains {
		all := spec.Blocks
		spec.Tenant, spec.Blocks = b.tenant, nil
		for _, block := range all {
			if kb, err := envelope.ParseKeyBlock(block); err == nil && kb.Tenant == b.tenant {
				spec.Blocks = append(spec.Blocks, block)
			}
		}
		f := &p.fields[slices.IndexFunc(p.fields, func(f fieldPlan) bool {
			return f.deterministic && p.domains[f.key].Name == spec.Name
		})]
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

// place returns where the values of f belong, by its own path or a former one.
func (p *Plan) place(tenant string, f *fieldPlan, path string) (envelope.ContextID, error) {
	if f.join != "" {
		return envelope.DomainContext{
			Tenant: tenant, Domain: f.join, ValueType: f.typ, Purpose: envelope.PurposeDeterministic,
		}.ID()
	}
	purpose := envelope.PurposeEncrypt
	if f.deterministic {
		purpose = envelope.PurposeDeterministic
	}
	return envelope.Context{
		Tenant: tenant, Dataset: p.dataset, Schema: p.name, Path: path, ValueType: f.typ, Purpose: purpose,
	}.ID()
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
	return b.protect(ctx, dst, src, keys)
}

// AppendRevealed appends the original form of src, one protected record, to
// dst. keys are the key blocks that travelled with it.
//
// It waits, until ctx ends, only when a data key must be unwrapped first. On an
// error nothing of the record is returned.
func (p *Plan) AppendRevealed(ctx context.Context, tenant string, dst, src []byte, keys [][]byte) ([]byte, error) {
	b, err := p.bind(tenant)
	if err != nil {
		return dst, err
	}
	return b.reveal(ctx, dst, src, keys)
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
