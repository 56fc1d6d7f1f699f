// Package ours prepares the product for measurement: a plan over a workload,
// and the floor that it is measured against.
package ours

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/schema/wire"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

const policy = `
version: 1
keys:
  pii: {kek: "local:bench", suite: %s}
rules:
  - {tag: PII, action: encrypt, key: pii}
`

// Plan returns the plan that encrypts the tagged strings of a case. suite is
// "gcm" or "xaes".
func Plan(c workload.Case, suite string) (*fieldcrypt.Plan, error) {
	p, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, policy, suite))
	if err != nil {
		return nil, err
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		return nil, err
	}
	s, err := parse(c)
	if err != nil {
		return nil, err
	}
	return fieldcrypt.Compile(s, p, keys, "bench")
}

const personPolicy = `
version: 1
persons: {kek: "local:bench"}
rules:
  - {tag: PII, action: encrypt, mode: person, by: %s}
`

// PlanPersons returns the plan that encrypts the tagged strings of a case under
// the key of the person whom the field at a path names.
func PlanPersons(c workload.Case, by string) (*fieldcrypt.Plan, error) {
	p, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, personPolicy, by))
	if err != nil {
		return nil, err
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		return nil, err
	}
	persons, err := datakey.OpenPersons(context.Background(), keys, new(shred.MemStore), new(shred.MemLedger))
	if err != nil {
		return nil, err
	}
	s, err := parse(c)
	if err != nil {
		return nil, err
	}
	return fieldcrypt.Compile(s, p, keys, "bench", fieldcrypt.WithPersons(persons))
}

func parse(c workload.Case) (schema.Schema, error) {
	text := schema.Text{Format: schema.Format(c.Format), Schema: c.Schema}
	switch c.Format {
	case workload.Avro:
		return avro.Parse(text)
	case workload.JSON:
		return jsonschema.Parse(text)
	case workload.Protobuf:
		return protobuf.Parse(text)
	default:
		return nil, fmt.Errorf("ours: format %q", c.Format)
	}
}

// PlanPaths returns the plan that encrypts the values of a JSON document at the
// given paths, without a schema.
func PlanPaths(paths []string) (*fieldcrypt.Plan, error) {
	var text strings.Builder
	text.WriteString("version: 1\ndataset: bench\nkeys: {pii: {kek: \"local:bench\"}}\ntopics:\n- match: bench\n  format: json\n  fields:\n")
	for _, path := range paths {
		_, _ = fmt.Fprintf(&text, "  - {path: %q, action: encrypt, key: pii}\n", path)
	}
	p, err := fieldcrypt.ParsePolicy([]byte(text.String()))
	if err != nil {
		return nil, err
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		return nil, err
	}
	s, err := jsondoc.ForPaths("bench", paths)
	if err != nil {
		return nil, err
	}
	return fieldcrypt.Compile(s, p, keys, "bench")
}

// HeaderSize is the length of the AAD of every value.
const HeaderSize = 22

// Floor seals the given plaintexts with AES-256-GCM and nothing else: prebuilt
// cipher, counter nonce, AAD of the same length, one output buffer, no base64.
func Floor(plaintexts [][]byte) (func(n int), error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, p := range plaintexts {
		size += len(p) + gcm.Overhead()
	}
	var (
		aad     [HeaderSize]byte
		nonce   [12]byte
		counter uint64
		dst     = make([]byte, 0, size)
	)
	return func(n int) {
		for range n {
			dst = dst[:0]
			for _, p := range plaintexts {
				counter++
				binary.BigEndian.PutUint64(nonce[4:], counter)
				dst = gcm.Seal(dst, nonce[:], p, aad[:])
			}
		}
	}, nil
}

// FloorOpen opens what Floor would seal.
func FloorOpen(plaintexts [][]byte) (func(n int), error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	var (
		aad    [HeaderSize]byte
		nonce  [12]byte
		sealed [][]byte
		dst    []byte
	)
	for _, p := range plaintexts {
		sealed = append(sealed, gcm.Seal(nil, nonce[:], p, aad[:]))
		dst = append(dst, p...)
	}
	return func(n int) {
		for range n {
			dst = dst[:0]
			for _, s := range sealed {
				var err error
				if dst, err = gcm.Open(dst, nonce[:], s, aad[:]); err != nil {
					panic("ours: the floor does not open")
				}
			}
		}
	}, nil
}

// Protect runs a plan over the case's record into one buffer.
func Protect(p *fieldcrypt.Plan, c workload.Case) func(n int) {
	ctx := context.Background()
	var (
		dst  []byte
		keys [][]byte
	)
	return func(n int) {
		for range n {
			var err error
			if dst, keys, err = p.AppendProtected(ctx, "", dst[:0], c.Record, keys[:0]); err != nil {
				panic(err)
			}
		}
	}
}

// Batch is how many records come together.
const Batch = 100

// ProtectAll is Protect for records that come together, into one buffer.
func ProtectAll(p *fieldcrypt.Plan, c workload.Case) func(n int) {
	ctx := context.Background()
	var (
		dst  []byte
		ends []int
		keys [][]byte
	)
	srcs := make([][]byte, Batch)
	for i := range srcs {
		srcs[i] = c.Record
	}
	return func(n int) {
		for n > 0 {
			now := min(n, Batch)
			var err error
			if dst, ends, keys, err = p.AppendProtectedAll(ctx, "", dst[:0], srcs[:now], ends[:0], keys[:0]); err != nil {
				panic(err)
			}
			n -= now
		}
	}
}

// Engine protects a case's record of Avro as a producer does: through an engine,
// with the framing of registry clients, into the memory of the record before. batch
// is how many records come together.
func Engine(c workload.Case, batch int) (func(n int), error) {
	p, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, policy+"topics: [{match: bench}]\n", "gcm"))
	if err != nil {
		return nil, err
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		return nil, err
	}
	const id = 1
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(schema.Static{id: {Format: schema.Avro, Schema: c.Schema}}))
	if err != nil {
		return nil, err
	}
	value, err := wire.AppendFrame(nil, id)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	rec := fieldcrypt.Record{Topic: "bench", Key: []byte("key"), Value: append(value, c.Record...)}
	if batch == 1 {
		var out fieldcrypt.Record
		return func(n int) {
			for range n {
				if err := e.ProtectInto(ctx, &out, &rec); err != nil {
					panic(err)
				}
			}
		}, nil
	}
	out, recs := make([]fieldcrypt.Record, batch), make([]fieldcrypt.Record, batch)
	for i := range recs {
		recs[i] = rec
	}
	return func(n int) {
		for n > 0 {
			now := min(n, batch)
			if errs := e.ProtectBatch(ctx, out[:now], recs[:now]); errs != nil {
				panic(errs)
			}
			n -= now
		}
	}, nil
}

// Reveal runs a plan backwards over the protected record.
func Reveal(p *fieldcrypt.Plan, c workload.Case) (func(n int), error) {
	ctx := context.Background()
	sealed, keys, err := p.AppendProtected(ctx, "", nil, c.Record, nil)
	if err != nil {
		return nil, err
	}
	var dst []byte
	return func(n int) {
		for range n {
			var err error
			if dst, err = p.AppendRevealed(ctx, "", dst[:0], sealed, keys); err != nil {
				panic(err)
			}
		}
	}, nil
}
