package serde

import (
	"context"
	"crypto/sha256"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
)

// A Registry is what a [Serde] needs of a schema registry. [registry.Client] is
// one.
type Registry interface {
	Schema(ctx context.Context, id int) (schema.Text, error)
	Latest(ctx context.Context, subject string) (registry.Schema, error)
	Version(ctx context.Context, subject string, version int) (registry.Schema, error)
	Lookup(ctx context.Context, subject string, s registry.Schema) (registry.Schema, error)
	RegisterSchema(ctx context.Context, subject string, s registry.Schema) (registry.Schema, error)
}

var _ Registry = (*registry.Client)(nil)

// A Serde finds the schemas that requests mean. It is safe for concurrent use.
type Serde struct {
	reg    Registry // nil for none
	cfg    Config
	schema *lru[int, *compiled]
	texts  *lru[textKey, int]
}

// A textKey is an [Ask] by text: what leads to the subject stands for it.
type textKey struct {
	topic, subject string
	key            bool
	strategy       Strategy
	format         Format
	digest         [sha256.Size]byte
}

// A compiled schema, or why it cannot be had, which is kept too: who sends the id
// of a broken schema again shall not have it compiled again.
type compiled struct {
	enc *Encoder
	err *Error
	// Where the schema is one that protected records follow.
	derived bool
	origin  schema.Origin
}

// New returns a Serde that asks reg, which may be nil: then only formats without
// a schema are to be had.
func New(reg Registry, cfg Config) (*Serde, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Serde{
		reg: reg, cfg: cfg,
		schema: newLRU[int, *compiled](cfg.CachedSchemas),
		texts:  newLRU[textKey, int](cfg.CachedSchemas),
	}, nil
}

// Encoder returns the encoder of what ask says. It waits, until ctx ends, where
// the registry must be asked; what was found once is kept, but for which version
// is the latest, see [registry.WithLatest]. A text is looked up under its subject
// and, where the configuration has it so, registered.
//
// The latest version of a topic whose protected records have a schema of their own
// is that one. A client cannot mean it, since it sends what is to be protected: it
// gets the schema that it was derived from.
//
// The error is an [*Error].
func (s *Serde) Encoder(ctx context.Context, ask Ask) (*Encoder, error) {
	enc, err := s.encoder(ctx, &ask)
	if err != nil {
		return nil, err
	}
	return enc, nil
}

func (s *Serde) encoder(ctx context.Context, ask *Ask) (*Encoder, *Error) {
	named := 0
	for _, given := range []bool{ask.SchemaText != "", ask.SchemaID != 0, ask.SchemaVersion != 0} {
		if given {
			named++
		}
	}
	switch ask.Format {
	case Binary, JSON, String:
		if named > 0 || ask.Subject != "" || ask.Strategy != "" {
			return nil, invalidSchema("this format has no schema")
		}
		return plain(ask.Format), nil
	case Avro, JSONSchema, Protobuf, "":
	default:
		return nil, invalidSchema("unknown format")
	}
	switch {
	case named > 1:
		return nil, invalidSchema("text, id and version of a schema exclude each other")
	case s.reg == nil:
		return nil, &Error{code: CodeSchemaMissing, reason: "there is no schema registry"}
	}
	found, err := s.find(ctx, ask)
	if err != nil {
		return nil, err
	}
	if ask.Format != "" && found.Format() != ask.Format {
		return nil, invalidSchema("the schema is of another format")
	}
	return found, nil
}

func (s *Serde) find(ctx context.Context, ask *Ask) (*Encoder, *Error) {
	switch {
	case ask.SchemaText != "":
		id, err := s.register(ctx, ask)
		if err != nil {
			return nil, err
		}
		return s.original(ctx, id)
	case ask.SchemaID != 0:
		return s.original(ctx, ask.SchemaID)
	case ask.SchemaVersion > 0:
		subject, err := ask.subject("")
		if err != nil {
			return nil, err
		}
		v, rerr := s.reg.Version(ctx, subject, ask.SchemaVersion)
		if rerr != nil {
			return nil, fromRegistry(rerr)
		}
		return s.original(ctx, v.ID)
	case ask.SchemaVersion < -1:
		return nil, invalidSchema("the version of a schema is a positive number, or -1 for the latest")
	}
	subject, err := ask.subject("")
	if err != nil {
		return nil, err
	}
	v, rerr := s.reg.Latest(ctx, subject)
	if rerr != nil {
		return nil, fromRegistry(rerr)
	}
	c, err := s.byID(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	if !c.derived {
		return c.encoder()
	}
	from, err := s.byID(ctx, c.origin.ID)
	switch {
	case err != nil:
		return nil, err
	case from.derived:
		return nil, invalidSchema("the latest version is derived from a schema that is derived itself")
	}
	return from.encoder()
}

// original returns the encoder of a schema that a client names.
func (s *Serde) original(ctx context.Context, id int) (*Encoder, *Error) {
	c, err := s.byID(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.derived {
		return nil, invalidSchema("this is the schema of protected records: name the one that it was derived from")
	}
	return c.encoder()
}

func (c *compiled) encoder() (*Encoder, *Error) {
	if c.err != nil {
		again := *c.err // nobody may change what is kept
		return nil, &again
	}
	return c.enc, nil
}

// byID returns the compiled schema of an id. An error is one of the registry.
func (s *Serde) byID(ctx context.Context, id int) (*compiled, *Error) {
	if c, ok := s.schema.get(id); ok {
		return c, nil
	}
	if id <= 0 {
		return nil, &Error{code: CodeSchemaNotFound, reason: "the id of a schema is a positive number"}
	}
	text, err := s.reg.Schema(ctx, id)
	if err != nil {
		return nil, fromRegistry(err)
	}
	return s.schema.put(id, compile(id, &text, &s.cfg)), nil
}

// register returns the id of the schema whose text the client sent.
func (s *Serde) register(ctx context.Context, ask *Ask) (int, *Error) {
	language := ask.Format.language()
	if language == "" {
		return 0, invalidSchema("the text of a schema needs a format")
	}
	known := textKey{ask.Topic, ask.Subject, ask.IsKey, ask.Strategy, ask.Format, sha256.Sum256([]byte(ask.SchemaText))}
	if id, ok := s.texts.get(known); ok {
		return id, nil
	}
	// A text that cannot be used is refused before anybody else hears of it.
	parsed, err := parse(&schema.Text{Format: language, Schema: ask.SchemaText})
	if err != nil {
		return 0, err
	}
	if _, derived := originOf(parsed); derived {
		return 0, invalidSchema("this is the schema of protected records: send the one that it was derived from")
	}
	subject, err := ask.subject(parsed.Name())
	if err != nil {
		return 0, err
	}
	want := registry.Schema{Type: string(language), Text: ask.SchemaText}
	got, rerr := s.reg.Lookup(ctx, subject, want)
	if rerr != nil {
		if err := fromRegistry(rerr); err.code != CodeSchemaNotFound || !s.cfg.AutoRegister {
			return 0, err
		}
		if got, rerr = s.reg.RegisterSchema(ctx, subject, want); rerr != nil {
			return 0, fromRegistry(rerr)
		}
	}
	return s.texts.put(known, got.ID), nil
}
