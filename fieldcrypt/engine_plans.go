package fieldcrypt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// Bounds on what an Engine remembers. Names and ids come from records, so
// somebody could invent them without end; past the bounds it starts over.
const (
	maxTopics = 10_000
	maxPlans  = 10_000 // of one topic
)

// topicPlans are the plans of one topic, by schema id.
type topicPlans struct {
	topic string
	plans atomic.Pointer[map[int]*Plan]
	// turn is held by the one who fetches and compiles; a channel, so that
	// waiting for it ends with the context.
	turn chan struct{}
}

// topic returns the plans of a governed topic.
func (e *Engine) topic(name string) (*topicPlans, error) {
	for {
		old := e.topics.Load()
		if t, ok := (*old)[name]; ok {
			return t, nil
		}
		if _, ok := e.policy.topic(name); !ok {
			return nil, errUngoverned
		}
		next := make(map[string]*topicPlans)
		if len(*old) < maxTopics {
			maps.Copy(next, *old)
		}
		t := &topicPlans{topic: name, turn: make(chan struct{}, 1)}
		t.plans.Store(new(map[int]*Plan))
		next[name] = t
		if e.topics.CompareAndSwap(old, &next) {
			return t, nil
		}
	}
}

// plan returns the plan for a schema id, fetching and compiling the schema when
// it is new.
func (e *Engine) plan(ctx context.Context, t *topicPlans, id int) (*Plan, error) {
	if p, ok := (*t.plans.Load())[id]; ok {
		return p, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, &Error{Op: "compile", Topic: t.topic, SchemaID: id, Code: CodeCanceled, Err: context.Cause(ctx)}
	}
	old := *t.plans.Load()
	if p, ok := old[id]; ok {
		return p, nil
	}
	if id == 0 {
		// The topic was forgotten for lack of room; its schema was given to New.
		return e.compileInto(t, old, id, e.bare[t.topic])
	}
	if e.source == nil {
		return nil, &Error{Op: "compile", Topic: t.topic, SchemaID: id, Code: CodeSchema, Err: errNoSource}
	}
	text, err := e.source.Schema(ctx, id)
	if err != nil {
		return nil, &Error{Op: "compile", Topic: t.topic, SchemaID: id, Code: CodeSchema, Err: err}
	}
	return e.compileInto(t, old, id, text)
}

var errNoSource = fmt.Errorf("the engine has no schema source: %w", schema.ErrNotFound)

func (e *Engine) compileInto(t *topicPlans, old map[int]*Plan, id int, text schema.Text) (*Plan, error) {
	p, err := e.compile(t.topic, id, text)
	if err != nil {
		return nil, err
	}
	next := make(map[int]*Plan)
	if len(old) < maxPlans {
		maps.Copy(next, old)
	}
	next[id] = p
	t.plans.Store(&next)
	return p, nil
}

func (e *Engine) compile(topic string, id int, text schema.Text) (*Plan, error) {
	s, err := parse(text)
	if err != nil {
		return nil, &Error{
			Op: "compile", Topic: topic, SchemaID: id, Code: CodeSchema, Err: fmt.Errorf("%w: %w", errSchemaText, err),
		}
	}
	return compile(s, e.policy, e.keys, topic, id, &e.stats)
}

// parse reads a schema of any format that this package is built with.
func parse(text schema.Text) (schema.Schema, error) {
	switch text.Format {
	case schema.Avro:
		return avro.Parse(text)
	default:
		return nil, fmt.Errorf("schemas of format %q are not supported, only %q", text.Format, schema.Avro)
	}
}

var errTenant = errors.New("the policy requires a tenant, and the record names none")

// tenant returns whose data a record holds, empty for nobody in particular.
func (e *Engine) tenant(rec Record) (string, error) {
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
	if name == "" && r.required {
		return "", errTenant
	}
	return name, nil
}
