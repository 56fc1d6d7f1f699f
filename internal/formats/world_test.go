package formats_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
)

// registry is a source and registrar in memory.
type registry struct {
	mu    sync.Mutex
	texts map[int]schema.Text
	// subjects are the ids registered under each.
	subjects map[string][]int
	err      error
}

func (r *registry) put(id int, text schema.Text) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.texts == nil {
		r.texts, r.subjects = make(map[int]schema.Text), make(map[string][]int)
	}
	r.texts[id] = text
}

func (r *registry) Schema(_ context.Context, id int) (schema.Text, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.texts[id]
	if !ok {
		return t, fmt.Errorf("id %d: %w", id, schema.ErrNotFound)
	}
	return t, nil
}

func (r *registry) Register(_ context.Context, subject string, text schema.Text) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	for _, id := range r.subjects[subject] {
		if r.texts[id].Digest() == text.Digest() {
			return id, nil
		}
	}
	id := 1000 + len(r.texts)
	r.texts[id] = text
	r.subjects[subject] = append(r.subjects[subject], id)
	return id, nil
}

// world is what several processes share.
type world struct {
	t        testing.TB
	kms      kms.Wrapper
	store    datakey.Store
	registry registry
	memory   fieldcrypt.Memory
	persons  shred.MemStore
	ledger   shred.MemLedger
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{t: t, kms: kms.Mux{localkms.Scheme: localkms.NewInMemory()}, store: new(datakey.MemStore)}
}

// engine returns an engine as another process has it.
func (w *world) engine(policy string, opts ...fieldcrypt.Option) *fieldcrypt.Engine {
	w.t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		w.t.Fatalf("%v\n%s", err, policy)
	}
	return w.engineOf(p, opts...)
}

// engineOf is engine for a policy that was read before.
func (w *world) engineOf(p *fieldcrypt.Policy, opts ...fieldcrypt.Option) *fieldcrypt.Engine {
	w.t.Helper()
	keys, err := datakey.New(w.kms, datakey.WithStore(w.store))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(keys.Close)
	persons, err := datakey.OpenPersons(w.t.Context(), keys, &w.persons, &w.ledger)
	if err != nil {
		w.t.Fatal(err)
	}
	all := []fieldcrypt.Option{
		fieldcrypt.WithPersons(persons),
		fieldcrypt.WithSchemas(&w.registry), fieldcrypt.WithRegistrar(&w.registry),
		fieldcrypt.WithFormat(schema.JSONSchema, func(t schema.Text) (schema.Schema, error) { return jsonschema.Parse(t) }),
		fieldcrypt.WithFormat(schema.Protobuf, func(t schema.Text) (schema.Schema, error) { return protobuf.Parse(t) }),
		fieldcrypt.WithRecheck(1),
	}
	if w.memory != nil {
		all = append(all, fieldcrypt.WithMemory(w.memory))
	}
	e, err := fieldcrypt.New(p, keys, append(all, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func frame(id int) []byte { return binary.BigEndian.AppendUint32([]byte{0}, uint32(id)) }

// checkCode fails unless err is of a code.
func checkCode(t testing.TB, err error, codes ...fieldcrypt.Code) {
	t.Helper()
	e, ok := errors.AsType[*fieldcrypt.Error](err)
	if !ok {
		t.Fatalf("%v is no *fieldcrypt.Error", err)
	}
	if slices.Contains(codes, e.Code) {
		return
	}
	t.Errorf("code %s, want %v: %v", e.Code, codes, err)
}
