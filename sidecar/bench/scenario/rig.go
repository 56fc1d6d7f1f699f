package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/boltvault"
)

// A rig is an engine with the keys, stores and schemas of a measurement: all real,
// but for the KMS.
type rig struct {
	engine  *fieldcrypt.Engine
	records []fieldcrypt.Record
	kms     *standIn
	ends    []func() error
}

func (r *rig) close() error {
	var all error
	for _, end := range slices.Backward(r.ends) {
		all = errors.Join(all, end())
	}
	return all
}

// newRig makes an engine for what is measured, and gets its keys.
func newRig(ctx context.Context, p *Params) (_ *rig, err error) {
	r := &rig{kms: newStandIn(localkms.NewInMemory(), p.KMSLatency)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	set := *p.Set // its policy names other keys here
	if err := set.Rekey(ctx, r.kms, input.BuiltinKEK); err != nil {
		return nil, err
	}
	policy, err := fieldcrypt.ParsePolicy(set.Policy)
	if err != nil {
		return nil, err
	}
	cacheOptions := []datakey.Option{}
	if p.MaxScopes > 0 {
		cacheOptions = append(cacheOptions, datakey.WithMaxScopes(p.MaxScopes))
	}
	keys, err := datakey.New(r.kms, cacheOptions...)
	if err != nil {
		return nil, err
	}
	r.ends = append(r.ends, func() error { keys.Close(); return nil })
	opts := []fieldcrypt.Option{
		fieldcrypt.WithFormat(schema.JSONSchema, jsonschema.Parser), fieldcrypt.WithFormat(schema.Protobuf, protobuf.Parser),
		fieldcrypt.WithRegistrar(new(registrar)),
	}
	opts = append(opts, schemaOption(p.Set)...)
	persons, err := datakey.OpenPersons(ctx, keys, new(shred.MemStore), new(shred.MemLedger))
	if err != nil {
		return nil, err
	}
	opts = append(opts, fieldcrypt.WithPersons(persons))
	vaults, err := r.vaults(policy)
	if err != nil {
		return nil, err
	}
	opts = append(opts, vaults...)
	if r.engine, err = fieldcrypt.New(policy, keys, opts...); err != nil {
		return nil, err
	}
	for i := range p.Set.Records {
		r.records = append(r.records, recordOf(p.Set, i))
	}
	// Each record once: schemas are compiled, keys are made, and what the policy
	// refuses is told now.
	for i, rec := range r.records {
		if _, err := r.engine.Protect(ctx, rec); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	return r, nil
}

// vaults opens a token vault in a file for each that the policy names.
func (r *rig) vaults(policy *fieldcrypt.Policy) ([]fieldcrypt.Option, error) {
	names := policy.Vaults()
	if len(names) == 0 {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "fieldveil-bench")
	if err != nil {
		return nil, err
	}
	r.ends = append(r.ends, func() error { return os.RemoveAll(dir) })
	opts := make([]fieldcrypt.Option, 0, len(names))
	for i, name := range names {
		store, err := boltvault.Open(filepath.Join(dir, fmt.Sprintf("vault%d.db", i)))
		if err != nil {
			return nil, err
		}
		r.ends = append(r.ends, store.Close)
		opts = append(opts, fieldcrypt.WithVault(name, tokenize.NewVault(store)))
	}
	return opts, nil
}

func recordOf(s *input.Set, i int) fieldcrypt.Record {
	rec := &s.Records[i]
	return fieldcrypt.Record{Topic: s.Topic, Key: rec.Key, Value: rec.Value, Headers: rec.Headers}
}

// schemaOption tells the engine where the schema of the records is.
func schemaOption(s *input.Set) []fieldcrypt.Option {
	switch {
	case s.Text.Schema == "":
		return nil // the policy names paths
	case s.Framed:
		return []fieldcrypt.Option{fieldcrypt.WithSchemas(oneSchema{s.SchemaID, s.Text})}
	default:
		return []fieldcrypt.Option{fieldcrypt.WithTopicSchema(s.Topic, s.Text)}
	}
}

// oneSchema is a registry with one schema.
type oneSchema struct {
	id   int
	text schema.Text
}

// Schema implements [schema.Source].
func (o oneSchema) Schema(_ context.Context, id int) (schema.Text, error) {
	if id != o.id {
		return schema.Text{}, fmt.Errorf("scenario: schema %d: %w", id, schema.ErrNotFound)
	}
	return o.text, nil
}

// A registrar gives derived schemas ids that mean something in this run alone.
type registrar struct {
	mu  sync.Mutex
	ids map[[32]byte]int
}

// firstDerived is far from the ids of the user's schemas.
const firstDerived = 1_000_000

// Register implements [schema.Registrar].
func (r *registrar) Register(_ context.Context, _ string, text schema.Text) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := text.Digest()
	if id, ok := r.ids[key]; ok {
		return id, nil
	}
	if r.ids == nil {
		r.ids = make(map[[32]byte]int)
	}
	id := firstDerived + len(r.ids)
	r.ids[key] = id
	return id, nil
}
