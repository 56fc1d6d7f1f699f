package fieldcrypt

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// Bounds on what an Engine remembers. Names and ids come from records, so
// somebody could invent them without end; past the bounds it starts over.
const (
	maxTopics   = 10_000
	maxPlans    = 10_000 // of one topic
	maxMessages = 1_000  // of one schema
)

// topicPlans are the plans of one topic.
type topicPlans struct {
	topic string
	rule  *topicRule
	bare  bool  // records have no framing
	edges *Plan // for the record key and headers; nil where the policy has none
	plans atomic.Pointer[map[planKey]*planned]
	// latest is the plan that came last. Most records are of that schema, and
	// need no table.
	latest atomic.Pointer[planned]
	// turn is held by the one who fetches and compiles; a channel, so that
	// waiting for it ends with the context.
	turn chan struct{}
	// seen are the digests that ids stood for. It outlives the plans; whoever
	// holds the turn uses it.
	seen map[planKey][32]byte
}

// A planned schema has one plan, or one for each message type that was met.
type planned struct {
	key      planKey
	text     schema.Text
	parsed   schema.Schema
	plan     *Plan // nil where the framing names a message
	messages atomic.Pointer[map[string]*Plan]
}

// topic returns the plans of a governed topic.
func (e *Engine) topic(name string) (*topicPlans, error) {
	for {
		old := e.topics.Load()
		if t, ok := (*old)[name]; ok {
			return t, nil
		}
		rule, ok := e.policy.topic(name)
		if !ok {
			return nil, errUngoverned
		}
		next := make(map[string]*topicPlans)
		if len(*old) < maxTopics {
			maps.Copy(next, *old)
		}
		t := &topicPlans{topic: name, rule: rule, turn: make(chan struct{}, 1), seen: make(map[planKey][32]byte)}
		t.plans.Store(new(map[planKey]*planned))
		_, given := e.bare[name]
		t.bare = given || rule.format == formatJSON
		var err error
		if t.edges, err = e.edgePlan(t); err != nil {
			return nil, err
		}
		next[name] = t
		if e.topics.CompareAndSwap(old, &next) {
			return t, nil
		}
	}
}

// plan returns the plan for a record, fetching and compiling its schema when it
// is new. It completes the framing.
func (e *Engine) plan(ctx context.Context, t *topicPlans, op string, f *frame, value []byte) (*Plan, error) {
	s := t.latest.Load()
	if s == nil || s.key != f.key {
		var ok bool
		if s, ok = (*t.plans.Load())[f.key]; !ok {
			var err error
			if s, err = e.fetch(ctx, t, f.key); err != nil {
				return nil, err
			}
		}
	}
	p := s.plan
	if p != nil && len(f.indexes) > 0 {
		return nil, &Error{Op: op, Topic: t.topic, SchemaID: f.key.id, Code: CodeMalformed, Err: errIndexes}
	}
	if p == nil {
		indexes, err := f.message(value)
		if err != nil {
			return nil, &Error{Op: op, Topic: t.topic, SchemaID: f.key.id, Code: CodeMalformed, Err: err}
		}
		var ok bool
		if p, ok = (*s.messages.Load())[string(f.indexes)]; !ok {
			if p, err = e.message(ctx, t, s, f, indexes); err != nil {
				return nil, err
			}
		}
	}
	if op == opInspect {
		return p, nil // nothing is written, and no original is needed
	}
	ready := &p.mayReveal
	if op == opProtect {
		ready = &p.mayProtect
	}
	if !ready.Load() {
		if err := e.admit(ctx, t, s, p, f, op); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// take waits for the turn of a topic.
func (t *topicPlans) take(ctx context.Context, id int) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{Op: "compile", Topic: t.topic, SchemaID: id, Code: CodeCanceled, Err: context.Cause(ctx)}
	}
}

// fetch gets the schema of a key.
func (e *Engine) fetch(ctx context.Context, t *topicPlans, key planKey) (*planned, error) {
	if err := t.take(ctx, key.id); err != nil {
		return nil, err
	}
	defer func() { <-t.turn }()
	if s, ok := (*t.plans.Load())[key]; ok {
		return s, nil
	}
	if t.bare {
		// A bare topic; its schema was given to New, or needs none.
		return e.compileInto(t, key, e.bare[t.topic])
	}
	text, err := e.schemaOf(ctx, key)
	if err != nil {
		return nil, &Error{Op: "compile", Topic: t.topic, SchemaID: key.id, Code: CodeSchema, Err: err}
	}
	if e.memory != nil || len(t.seen) > 0 {
		if d, ok := t.seen[key]; ok && d != text.Digest() {
			return nil, &Error{Op: "compile", Topic: t.topic, SchemaID: key.id, Code: CodeSchema, Err: errChanged}
		}
	}
	return e.compileInto(t, key, text)
}

var (
	errNoSource = fmt.Errorf("the engine has no schema source: %w", schema.ErrNotFound)
	errNoGUIDs  = fmt.Errorf("the schema source of the engine knows no GUIDs: %w", schema.ErrNotFound)
)

func (e *Engine) schemaOf(ctx context.Context, key planKey) (schema.Text, error) {
	if e.source == nil {
		return schema.Text{}, errNoSource
	}
	if key.guid == ([16]byte{}) {
		return e.source.Schema(ctx, key.id)
	}
	s, ok := e.source.(schema.GUIDSource)
	if !ok {
		return schema.Text{}, errNoGUIDs
	}
	return s.SchemaByGUID(ctx, key.guid)
}

// compileInto parses a schema and keeps what comes of it.
func (e *Engine) compileInto(t *topicPlans, key planKey, text schema.Text) (*planned, error) {
	parsed, err := e.parse(t, text)
	if err != nil {
		return nil, &Error{
			Op: "compile", Topic: t.topic, SchemaID: key.id, Code: CodeSchema, Err: fmt.Errorf("%w: %w", errSchemaText, err),
		}
	}
	s := &planned{key: key, text: text, parsed: parsed}
	if _, ok := parsed.(schema.Messages); ok && !t.bare {
		s.messages.Store(new(map[string]*Plan))
	} else if s.plan, err = e.compile(t, key.id, text, parsed); err != nil {
		return nil, err
	}
	old := *t.plans.Load()
	next := make(map[planKey]*planned)
	if len(old) < maxPlans {
		maps.Copy(next, old)
	}
	next[key] = s
	t.plans.Store(&next)
	t.latest.Store(s)
	if len(t.seen) >= 10*maxPlans {
		clear(t.seen)
	}
	t.seen[key] = text.Digest()
	return s, nil
}

// message returns the plan of one message type of a schema.
func (e *Engine) message(ctx context.Context, t *topicPlans, s *planned, f *frame, indexes []int) (*Plan, error) {
	if err := t.take(ctx, f.key.id); err != nil {
		return nil, err
	}
	defer func() { <-t.turn }()
	old := *s.messages.Load()
	if p, ok := old[string(f.indexes)]; ok {
		return p, nil
	}
	all, ok := s.parsed.(schema.Messages)
	if !ok {
		return nil, &Error{Op: "compile", Topic: t.topic, SchemaID: f.key.id, Code: CodeInternal, Err: errSchemaText}
	}
	parsed, err := all.Message(indexes)
	if err != nil {
		return nil, &Error{Op: "compile", Topic: t.topic, SchemaID: f.key.id, Code: CodeMalformed, Err: err}
	}
	p, err := e.compile(t, f.key.id, s.text, parsed)
	if err != nil {
		return nil, err
	}
	next := make(map[string]*Plan)
	if len(old) < maxMessages {
		maps.Copy(next, old)
	}
	next[string(f.indexes)] = p
	s.messages.Store(&next)
	return p, nil
}

func (e *Engine) compile(t *topicPlans, id int, text schema.Text, parsed schema.Schema) (*Plan, error) {
	c := compilation{
		schema: parsed, policy: e.policy, keys: e.keys, topic: t.topic, schemaID: id, text: text, stats: &e.stats,
		vaults: e.vaults, access: e.access, persons: e.persons,
	}
	return c.plan()
}

// parse reads a schema of any format that the engine was given.
func (e *Engine) parse(t *topicPlans, text schema.Text) (schema.Schema, error) {
	if t.rule.format == formatJSON {
		paths := make([]string, len(t.rule.fields))
		for i := range paths {
			paths[i] = t.rule.fields[i].path
		}
		for i := range t.rule.fields {
			if by := t.rule.fields[i].action.by.path; by != "" && !slices.Contains(paths, by) {
				paths = append(paths, by)
			}
		}
		if t := e.policy.doc.tenant.path; t != "" && !slices.Contains(paths, t) {
			paths = append(paths, t)
		}
		// Without a schema the dataset is the only name that the values have.
		return jsondoc.ForPaths(schemalessName, paths)
	}
	parse := e.parsers[text.Format]
	if parse == nil {
		return nil, fmt.Errorf("schemas of format %.20q need an option WithFormat of the engine", text.Format)
	}
	return parse(text)
}

// schemalessName is the schema name that values of bare JSON are bound to.
const schemalessName = "json"

func parseAvro(text schema.Text) (schema.Schema, error) { return avro.Parse(text) }

// admit completes a plan before its first record goes either way.
func (e *Engine) admit(ctx context.Context, t *topicPlans, s *planned, p *Plan, f *frame, op string) error {
	if err := t.take(ctx, p.schemaID); err != nil {
		return err
	}
	defer func() { <-t.turn }()
	if op == opReveal {
		return e.admitReveal(ctx, s, p)
	}
	return e.admitProtect(ctx, t, s, p, f)
}

// admitProtect compares the plan with what is remembered, and registers the
// schema of what it writes.
func (e *Engine) admitProtect(ctx context.Context, t *topicPlans, s *planned, p *Plan, f *frame) error {
	if p.mayProtect.Load() || p.protect == nil {
		return nil
	}
	if e.memory != nil {
		var refused error
		err := e.memory.Update(ctx, t.topic, func(old Remembered) (next Remembered, err error) {
			next, refused = p.recollect(s.text, slices.Contains(t.rule.acknowledge, s.text.Digest()), old)
			return next, refused
		})
		code := CodeMemory
		switch {
		case refused != nil && errors.Is(refused, errChanged):
			err, code = refused, CodeSchema
		case refused != nil:
			err, code = refused, CodeProtectionLost
		case err != nil:
			err = fmt.Errorf("tag memory: %w", err)
			if ctx.Err() != nil {
				code = CodeCanceled
			}
		}
		if err != nil {
			return &Error{Op: "compile", Topic: t.topic, SchemaID: p.schemaID, Code: code, Err: err}
		}
	}
	if p.derived != nil && !t.bare {
		if e.registrar == nil || p.schemaID == 0 {
			i := slices.IndexFunc(p.fields, func(f fieldPlan) bool { return f.wrapped })
			return p.compileError(&p.fields[i], CodePolicy, fmt.Errorf("%s: %w", p.fields[i].typ, errNoRegistrar))
		}
		subject := t.rule.subject(t.topic)
		id, err := e.registrar.Register(ctx, subject, *p.derived)
		if err != nil {
			return &Error{
				Op: "compile", Topic: t.topic, SchemaID: p.schemaID, Code: CodeSchema,
				Err: fmt.Errorf("registering the derived schema under %q: %w", subject, err),
			}
		}
		if err := e.readBack(ctx, t, id, p, f); err != nil {
			return &Error{
				Op: "compile", Topic: t.topic, SchemaID: p.schemaID, Code: CodeSchema,
				Err: fmt.Errorf("the derived schema was registered under %q, and schema %d that came of it is of no use: %w", subject, id, err),
			}
		}
		p.protectID = id
	}
	p.mayProtect.Store(true)
	return nil
}

// readBack looks at what a registry made of a derived schema. Some drop what
// they do not know, such as tags beside the text, and others rewrite it: what is
// left must lead a reader to the same fields and rules.
func (e *Engine) readBack(ctx context.Context, t *topicPlans, id int, p *Plan, f *frame) error {
	text, err := e.source.Schema(ctx, id)
	if err != nil {
		return err
	}
	parsed, err := e.parse(t, text)
	if err != nil {
		return fmt.Errorf("%w: %w", errSchemaText, err)
	}
	if all, ok := parsed.(schema.Messages); ok && f.indexes != nil {
		indexes, _, err := wire.ParseIndexes(f.indexes)
		if err != nil {
			return err
		}
		if parsed, err = all.Message(indexes); err != nil {
			return fmt.Errorf("%w: %w", errSchemaText, err)
		}
	}
	d, ok := parsed.(schema.Derived)
	if !ok {
		return errReadBack
	}
	if from, ok := d.Origin(); !ok || from.ID != p.schemaID {
		return errReadBack
	}
	again, err := e.compile(t, id, text, parsed)
	if err != nil {
		return fmt.Errorf("%w: %w", errReadBack, err)
	}
	for i := range p.described {
		before := &p.described[i]
		if !slices.ContainsFunc(again.described, func(a FieldAction) bool {
			return a.Path == before.Path && a.Type == before.Type && a.Action == before.Action && a.Key == before.Key && a.Stored == before.Stored
		}) {
			return fmt.Errorf("%w: %s", errReadBack, before.Path)
		}
	}
	return nil
}

var errReadBack = fmt.Errorf("it does not lead to the same fields and rules: %w", errSchemaText)

// admitReveal finds the id of the schema that a derived one was made from.
func (e *Engine) admitReveal(ctx context.Context, s *planned, p *Plan) error {
	if p.mayReveal.Load() {
		return nil
	}
	if d, ok := s.parsed.(schema.Derived); ok && p.schemaID != 0 {
		if from, ok := d.Origin(); ok && from.ID != 0 {
			text, err := e.source.Schema(ctx, from.ID)
			if err == nil && text.Bare().Digest() != from.Digest {
				err = fmt.Errorf("schema %d is not the one with digest %s that this one was derived from: %w",
					from.ID, hex.EncodeToString(from.Digest[:8]), schema.ErrNotFound)
			}
			if err != nil {
				return &Error{Op: "compile", Topic: p.topic, SchemaID: p.schemaID, Code: CodeSchema, Err: fmt.Errorf("original schema: %w", err)}
			}
			p.revealID = from.ID
		}
	}
	p.mayReveal.Store(true)
	return nil
}

var errNoRegistrar = errors.New("encryption changes the type, so records need a derived schema with an id: " +
	"give the engine a registrar, and frame records with schema ids")

var errIndexes = &schema.MalformedError{Reason: "bytes behind the GUID, and the schema has one message only"}

var errTenant = errors.New("the policy requires a tenant, and the record names none")

// tenant returns whose data a record holds, empty for nobody in particular.
func (e *Engine) tenant(rec *Record) (string, error) {
	r := &e.policy.doc.tenant
	name := r.fixed
	switch {
	case r.fromKey:
		name = string(rec.Key)
	case r.header != "":
		found := false
		for _, h := range rec.Headers {
			if h.Key != r.header {
				continue
			}
			if found {
				// Two answers are none: readers differ in which they believe.
				return "", fmt.Errorf("header %q stands twice: %w", r.header, errTenant)
			}
			name, found = string(h.Value), true
		}
	}
	if name == "" && r.required && r.path == "" {
		return "", errTenant
	}
	return name, nil
}
