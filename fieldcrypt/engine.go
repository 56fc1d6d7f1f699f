package fieldcrypt

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/schema"
)

// An Engine protects and reveals records of any topic and schema. It is safe
// for concurrent use; once a schema and a key are known it takes no lock and
// does no I/O.
type Engine struct {
	policy *Policy
	keys   *datakey.Cache
	source schema.Source
	bare   map[string]schema.Text // by topic, for records without framing
	meta   []byte                 // content of the fv-meta header
	topics atomic.Pointer[map[string]*topicPlans]
	stats  counters
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

// New returns an Engine. It does no I/O, and validates what it can: the keys of
// the policy and the schemas given for topics.
func New(policy *Policy, keys *datakey.Cache, opts ...Option) (*Engine, error) {
	if policy == nil || keys == nil {
		return nil, errors.New("fieldcrypt: New needs a policy and a cache")
	}
	e := &Engine{policy: policy, keys: keys, bare: make(map[string]schema.Text)}
	for _, o := range opts {
		o(e)
	}
	e.meta = envelope.Meta{Policy: policy.Digest(), HasPolicy: true}.Append(nil)
	topics := make(map[string]*topicPlans)
	e.topics.Store(&topics)
	for topic, text := range e.bare {
		t, err := e.topic(topic)
		if err != nil {
			return nil, &Error{Op: "compile", Topic: topic, Code: CodeUngoverned, Err: err}
		}
		plan, err := e.compile(topic, 0, text)
		if err != nil {
			return nil, err
		}
		t.plans.Store(&map[int]*Plan{0: plan})
	}
	return e, nil
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
}

// Stats returns the counts so far.
func (e *Engine) Stats() Stats {
	return Stats{Moved: e.stats.moved.Load(), Unsealed: e.stats.unsealed.Load()}
}

// Protect returns rec with its tagged fields protected and the headers that
// their readers need. rec is not changed; Key and the other headers are shared.
//
// On an error, which is an [*Error], nothing of the record may be sent.
func (e *Engine) Protect(ctx context.Context, rec Record) (Record, error) {
	return e.AppendProtected(ctx, nil, rec)
}

// AppendProtected is Protect with the new value appended to dst.
func (e *Engine) AppendProtected(ctx context.Context, dst []byte, rec Record) (Record, error) {
	b, frame, err := e.begin(ctx, "protect", rec)
	if err != nil {
		return Record{}, err
	}
	out := rec
	if rec.Value == nil {
		return out, nil
	}
	start := len(dst)
	if dst == nil {
		// Ciphertext is longer than plaintext; this is room for most records.
		dst = make([]byte, 0, 2*len(rec.Value)+256)
	}
	dst = append(dst, rec.Value[:frame]...)
	var room [4][]byte
	value, blocks, err := b.protect(ctx, dst, rec.Value[frame:], room[:0])
	if err != nil {
		return Record{}, err
	}
	out.Value = value[start:len(value):len(value)]
	out.Headers = make([]Header, 0, len(rec.Headers)+1+len(blocks))
	out.Headers = append(out.Headers, rec.Headers...)
	out.Headers = append(out.Headers, Header{Key: HeaderMeta, Value: e.meta})
	for _, block := range blocks {
		out.Headers = append(out.Headers, Header{Key: HeaderKey, Value: block})
	}
	return out, nil
}

// Reveal returns rec with its sealed fields opened and without the headers that
// Protect added. rec is not changed. What was masked or dropped stays so.
//
// The error is an [*Error].
func (e *Engine) Reveal(ctx context.Context, rec Record) (Record, error) {
	b, frame, err := e.begin(ctx, "reveal", rec)
	if err != nil {
		return Record{}, err
	}
	out := rec
	var room [4][]byte
	blocks := room[:0]
	own := 0
	for _, h := range rec.Headers {
		switch h.Key {
		case HeaderKey:
			blocks = append(blocks, h.Value)
			own++
		case HeaderMeta:
			if _, err := envelope.ParseMeta(h.Value); err != nil {
				return Record{}, &Error{Op: "reveal", Topic: rec.Topic, Code: CodeFormat, Err: err}
			}
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
	if rec.Value == nil {
		return out, nil
	}
	dst := append(make([]byte, 0, len(rec.Value)), rec.Value[:frame]...)
	if out.Value, err = b.reveal(ctx, dst, rec.Value[frame:], blocks); err != nil {
		return Record{}, err
	}
	return out, nil
}

// begin finds the plan of a record and the length of its framing. For a
// tombstone the plan is nil.
func (e *Engine) begin(ctx context.Context, op string, rec Record) (b *binding, frame int, err error) {
	t, err := e.topic(rec.Topic)
	if err != nil {
		return nil, 0, &Error{Op: op, Topic: rec.Topic, Code: CodeUngoverned, Err: err}
	}
	if rec.Value == nil {
		return nil, 0, nil
	}
	id := 0
	if len(e.bare) == 0 || e.bare[rec.Topic].Schema == "" {
		if id, frame, err = frameOf(rec.Value); err != nil {
			return nil, 0, &Error{Op: op, Topic: rec.Topic, Code: CodeMalformed, Err: err}
		}
	}
	p, err := e.plan(ctx, t, id)
	if err != nil {
		return nil, 0, err
	}
	tenant, err := e.tenant(rec)
	if err != nil {
		return nil, 0, &Error{Op: op, Topic: rec.Topic, SchemaID: id, Code: CodeTenant, Err: err}
	}
	b, err = p.bind(tenant)
	return b, frame, err
}

// frameSize is the length of the framing that schema registry clients write: a
// zero byte and the schema id.
const frameSize = 5

var errFrame = &schema.MalformedError{Reason: "no schema framing: want a zero byte and a four-byte schema id"}

func frameOf(value []byte) (id, size int, err error) {
	if len(value) < frameSize || value[0] != 0 {
		return 0, 0, errFrame
	}
	n := binary.BigEndian.Uint32(value[1:])
	if n == 0 || n > 1<<31-1 {
		return 0, 0, errFrame
	}
	return int(n), frameSize, nil
}
