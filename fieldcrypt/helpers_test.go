package fieldcrypt_test

import (
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

// world is what several engines share: one KMS, one key store, schemas by id.
type world struct {
	t       *testing.T
	kms     kms.Wrapper
	store   datakey.Store
	schemas schema.Static
	parsed  map[int]*twmb.Schema
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		t: t, kms: kms.Mux{localkms.Scheme: localkms.NewInMemory()},
		store: new(datakey.MemStore), schemas: schema.Static{}, parsed: make(map[int]*twmb.Schema),
	}
}

// skipRefused skips a test whose policy this process refuses because it enforces
// FIPS 140-3.
func skipRefused(t testing.TB, err error) {
	t.Helper()
	if errs, ok := errors.AsType[fieldcrypt.PolicyErrors](err); fips140.Enforced() && ok && strings.Contains(errs[0].Reason, "enforces FIPS 140-3") {
		t.Skip("the policy uses AES-SIV or FF1, which a process that enforces FIPS 140-3 refuses")
	}
}

// engine returns an engine with keys of its own, as another process has it.
func (w *world) engine(policy string, more ...fieldcrypt.Option) *fieldcrypt.Engine {
	w.t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	skipRefused(w.t, err)
	if err != nil {
		w.t.Fatalf("policy: %v\n%s", err, policy)
	}
	var opts []datakey.Option
	if w.store != nil {
		opts = append(opts, datakey.WithStore(w.store))
	}
	keys, err := datakey.New(w.kms, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, append(more, fieldcrypt.WithSchemas(w.schemas))...)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func avroText(text string) schema.Text { return schema.Text{Format: schema.Avro, Schema: text} }

// avro returns the independent encoder and decoder of a schema.
func (w *world) avro(id int) *twmb.Schema {
	w.t.Helper()
	if s, ok := w.parsed[id]; ok {
		return s
	}
	s, err := twmb.Parse(w.schemas[id].Schema)
	if err != nil {
		w.t.Fatal(err)
	}
	w.parsed[id] = s
	return s
}

// framed encodes v under the schema of id, with the framing of registry clients.
func (w *world) framed(id int, v any) []byte {
	w.t.Helper()
	b, err := w.avro(id).AppendEncode(frame(id), v)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// decoded decodes a framed value.
func (w *world) decoded(id int, value []byte) map[string]any {
	w.t.Helper()
	var v any
	rest, err := w.avro(id).Decode(value[5:], &v)
	m, ok := v.(map[string]any)
	if err != nil || len(rest) != 0 || !ok {
		w.t.Fatalf("decode: %v, %d bytes left", err, len(rest))
	}
	return m
}

func frame(id int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0}, uint32(id))
}

// reframed gives a framed value another schema id.
func reframed(value []byte, id int) []byte { return append(frame(id), value[5:]...) }

func onePolicy(suite, extra string) string {
	return fmt.Sprintf(`
version: 1
%s
keys:
  pii: {kek: "local:pii", suite: %s}
  pci: {kek: "local:pci", suite: %s}
rules:
  - {tag: PCI, action: encrypt, key: pci}
  - {tag: PII, action: encrypt, key: pii}
`, extra, suite, suite)
}
