package fieldcrypt

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/tokenize"
)

// An Engine protects and reveals records of any topic and schema. It is safe
// for concurrent use; once a schema and a key are known it takes no lock and
// does no I/O.
type Engine struct {
	policy    *Policy
	keys      *datakey.Cache
	source    schema.Source
	registrar schema.Registrar
	memory    Memory
	vaults    map[string]*tokenize.Vault
	access    *tokenize.Access
	persons   *datakey.Persons
	guard     func(ctx context.Context, topic, tenant string) error
	// revealGuard is guard for Reveal.
	revealGuard func(ctx context.Context, topic, tenant string) error
	parsers     map[schema.Format]schema.Parser
	bare        map[string]schema.Text // by topic, for records without framing
	fips        bool                   // the profile is asked for, whatever the policy says
	noModule    bool                   // the profile goes without the module
	meta        []byte                 // content of the fv-meta header
	recheck     uint64                 // look at every n-th record again; 0 for none
	topics      atomic.Pointer[map[string]*topicPlans]
	stats       counters
}

// An Option changes an Engine.
type Option func(*Engine)

// WithSchemas names the source of the schemas that framed records refer to by
// id. Default none.
func WithSchemas(s schema.Source) Option { return func(e *Engine) { e.source = s } }

// WithTopicSchema says that the records of a topic have no framing, only the
// encoding of this schema.
func WithTopicSchema(topic string, text schema.Text) Option {
	return func(e *Engine) { e.bare[topic] = text }
}

// WithFormat adds a format of schemas, such as [schema.JSONSchema] with the
// parser of schema/jsonschema, or [schema.Protobuf] with that of
// schema/protobuf: their modules have requirements that not everybody wants.
// Avro is there by itself, and so is JSON without a schema.
func WithFormat(f schema.Format, parse schema.Parser) Option {
	return func(e *Engine) { e.parsers[f] = parse }
}

// WithRegistrar says where derived schemas are registered: those of protected
// records whose fields change their types, such as an int that is encrypted.
// Default none; then such records of framed topics are refused.
func WithRegistrar(r schema.Registrar) Option { return func(e *Engine) { e.registrar = r } }

// WithMemory makes the Engine remember what was protected, and refuse schemas
// that take protection away. Default none, which leaves that to the pins of the
// policy.
func WithMemory(m Memory) Option { return func(e *Engine) { e.memory = m } }

// WithRecheck reveals every n-th protected record again before it is handed
// out, and refuses it with [CodeInternal] when a field that must be sealed is
// not. It costs as much as reading the record, and needs the right to unwrap.
// Default 0, which is never.
func WithRecheck(n uint64) Option { return func(e *Engine) { e.recheck = n } }

// WithVault gives the engine the token vault that the policy knows by name.
func WithVault(name string, v *tokenize.Vault) Option {
	return func(e *Engine) { e.vaults[name] = v }
}

// WithDetokenize makes Reveal return the values that vaulted tokens stand for.
// Every record asks the vault in the name of the access, and is counted, logged
// and limited by the vault's gate. Default none: then tokens stay tokens. A
// context with another access ([tokenize.ContextWithAccess]) goes before it, for
// services that reveal in the name of many.
func WithDetokenize(a tokenize.Access) Option { return func(e *Engine) { e.access = &a } }

// WithPersons gives the engine the keys of persons, for encryption with mode:
// person. The engine does not close them.
func WithPersons(p *datakey.Persons) Option { return func(e *Engine) { e.persons = p } }

// WithTenantGuard has may asked before anything of a record is protected: whether
// the caller, whom ctx may name, may write for a tenant. The tenant is empty where
// the record names none, which is so for a tombstone when the policy takes tenants
// from values. What may returns ends in the caller's error, under
// [CodeTenantDenied]; it must hold nothing that a caller must not know, and the
// name of the tenant, which is from the record, is such a thing. may is called once
// for each record, in the caller's goroutine. Default none.
func WithTenantGuard(may func(ctx context.Context, topic, tenant string) error) Option {
	return func(e *Engine) { e.guard = may }
}

// WithRevealGuard is [WithTenantGuard] for [Engine.Reveal]: may is asked before
// anything of a record is opened. A record opens under the keys of the tenant that
// it names, and of no other, so what is asked about is what would be read. Default
// none.
func WithRevealGuard(may func(ctx context.Context, topic, tenant string) error) Option {
	return func(e *Engine) { e.revealGuard = may }
}

// New returns an Engine. It does no I/O, and validates what it can: the keys of
// the policy and the schemas given for topics. A policy with the profile fips
// needs a process in FIPS 140-3 mode; in another, New fails with [ErrFIPSMode].
func New(policy *Policy, keys *datakey.Cache, opts ...Option) (*Engine, error) {
	if policy == nil || keys == nil {
		return nil, errors.New("fieldcrypt: New needs a policy and a cache")
	}
	e := &Engine{
		policy: policy, keys: keys, bare: make(map[string]schema.Text), vaults: make(map[string]*tokenize.Vault),
		parsers: map[schema.Format]schema.Parser{schema.Avro: parseAvro},
	}
	for _, o := range opts {
		o(e)
	}
	if err := e.checkFIPS(moduleEnabled()); err != nil {
		return nil, err
	}
	e.meta = envelope.Meta{Policy: policy.Digest(), HasPolicy: true}.Append(nil)
	topics := make(map[string]*topicPlans)
	e.topics.Store(&topics)
	for topic, text := range e.bare {
		t, err := e.topic(topic)
		if err != nil {
			return nil, &Error{Op: "compile", Topic: topic, Code: CodeUngoverned, Err: err}
		}
		if _, err := e.compileInto(t, planKey{}, text); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// ProtectsKeys tells whether the policy protects the record keys of any topic:
// then whoever sends the records has to choose partitions by the keys as they
// were before.
func (e *Engine) ProtectsKeys() bool {
	return slices.ContainsFunc(e.policy.doc.topics, func(t topicRule) bool { return t.key != nil })
}

// Names of the headers that travel with a protected record.
const (
	// HeaderKey holds a key block, once per data key of the record.
	HeaderKey = envelope.HeaderKey
	// HeaderMeta holds the digest of the policy that protected the record.
	HeaderMeta = envelope.HeaderMeta
)

// A Header is a record header.
type Header struct {
	Key   string
	Value []byte
}

// A Record is a Kafka record, as far as protection is concerned.
type Record struct {
	Topic   string
	Key     []byte
	Value   []byte // nil for a tombstone
	Headers []Header
}

// Stats are counts since the Engine was made.
type Stats struct {
	// Moved counts values that were sealed for another place and were opened
	// because the policy says report.
	Moved uint64
	// Unsealed counts values that were returned as they stood, because they
	// were not sealed and the policy says report.
	Unsealed uint64
	// Redacted counts values that did not fit the format of their action, and
	// were replaced by a fixed word because the policy says so.
	Redacted uint64
	// Forgotten counts values that were returned as a fixed text, because their
	// person was forgotten and the policy says so.
	Forgotten uint64
	// Rechecked counts records that were looked at again: see [WithRecheck].
	Rechecked uint64
}

// Stats returns the counts so far.
func (e *Engine) Stats() Stats {
	return Stats{
		Moved: e.stats.moved.Load(), Unsealed: e.stats.unsealed.Load(), Redacted: e.stats.redacted.Load(),
		Forgotten: e.stats.forgotten.Load(), Rechecked: e.stats.checked.Load(),
	}
}

// Reveal returns rec with its sealed fields opened and without the headers that
// Protect added. rec is not changed. What was masked or dropped stays so.
//
// The error is an [*Error].
func (e *Engine) Reveal(ctx context.Context, rec Record) (Record, error) {
	var r route
	err := e.begin(ctx, opReveal, &rec, &r)
	if err != nil {
		return Record{}, err
	}
	out := rec
	var room [4][]byte
	blocks := room[:0]
	var versions []envelope.KeyID
	own := 0
	for _, h := range rec.Headers {
		switch h.Key {
		case HeaderKey:
			blocks = append(blocks, h.Value)
			own++
		case HeaderMeta:
			m, err := envelope.ParseMeta(h.Value)
			if err != nil {
				return Record{}, &Error{Op: opReveal, Topic: rec.Topic, Code: CodeFormat, Err: err}
			}
			versions = append(versions, m.Keys...)
			own++
		}
	}
	if own > 0 {
		out.Headers = make([]Header, 0, len(rec.Headers)-own)
		for _, h := range rec.Headers {
			if h.Key != HeaderKey && h.Key != HeaderMeta {
				out.Headers = append(out.Headers, h)
			}
		}
	}
	if r.edges != nil {
		if err := r.edges.revealEdges(ctx, &out, blocks, versions); err != nil {
			return Record{}, err
		}
	}
	if rec.Value == nil {
		return out, nil
	}
	dst := r.frame.append(make([]byte, 0, len(rec.Value)), rec.Value, r.plan.plan.revealID)
	if out.Value, err = r.plan.reveal(ctx, dst, rec.Value[r.frame.size:], blocks, versions); err != nil {
		return Record{}, err
	}
	return out, nil
}

// The operations, as errors name them.
const (
	opProtect = "protect"
	opReveal  = "reveal"
	opInspect = "inspect"
)

// A route is the way that one record takes.
type route struct {
	frame frame
	plan  *binding // nil for a tombstone
	edges *binding // for the record key and headers; nil where the policy has nothing to say
}

// begin finds the plans of a record and its framing. r is zero. It is filled in
// place, and the record is not copied either: together they are as long as many a
// value.
func (e *Engine) begin(ctx context.Context, op string, rec *Record, r *route) error {
	t, err := e.topic(rec.Topic)
	if err != nil {
		return asError(err, &Error{Op: op, Topic: rec.Topic, Code: CodeUngoverned, Err: err})
	}
	var p *Plan
	if rec.Value != nil {
		if !t.bare {
			if err := r.frame.read(rec); err != nil {
				return &Error{Op: op, Topic: rec.Topic, Code: CodeMalformed, Err: err}
			}
		}
		if p, err = e.plan(ctx, t, op, &r.frame, rec.Value); err != nil {
			return err
		}
	}
	guard := e.guard
	if op != opProtect {
		guard = e.revealGuard
	}
	if p == nil && t.edges == nil && guard == nil {
		return nil
	}
	tenant, err := e.tenant(rec)
	if err == nil && p != nil && p.tenantOf != nil {
		tenant, err = p.tenantIn(rec.Value[r.frame.size:], e.policy.doc.tenant.required)
	}
	if err != nil {
		return asError(err, &Error{Op: op, Topic: rec.Topic, SchemaID: r.frame.key.id, Code: CodeTenant, Err: err})
	}
	if guard != nil {
		if err := guard(ctx, rec.Topic, tenant); err != nil {
			return refusal(op, rec.Topic, r.frame.key.id, err)
		}
	}
	if t.edges != nil {
		if r.edges, err = t.edges.bind(tenant); err != nil {
			return err
		}
	}
	if p != nil {
		r.plan, err = p.bind(tenant)
	}
	return err
}

// asError returns err itself where it is complete.
func asError(err error, otherwise *Error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return otherwise
}
