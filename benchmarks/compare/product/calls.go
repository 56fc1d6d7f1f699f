package product

import (
	"context"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

const policy = `
version: 1
keys:
  pii: {kek: "local:bench"}
rules:
  - {tag: PII, action: encrypt, key: pii}
`

// counter is a KMS that counts what it is asked.
type counter struct {
	kms.Wrapper

	calls atomic.Int64
}

func (c *counter) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	c.calls.Add(1)
	return c.Wrapper.Generate(ctx, kek, ec)
}

func (c *counter) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	c.calls.Add(1)
	return c.Wrapper.Unwrap(ctx, kek, wrapped, ec)
}

// KMSCalls protects that many records of an Avro case and counts the calls of
// the KMS: those before the first record was done, and those of all others.
func KMSCalls(ctx context.Context, c workload.Case, records int) (first, rest int64, err error) {
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		return 0, 0, err
	}
	count := &counter{Wrapper: localkms.NewInMemory()}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: count})
	if err != nil {
		return 0, 0, err
	}
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: c.Schema})
	if err != nil {
		return 0, 0, err
	}
	plan, err := fieldcrypt.Compile(s, p, keys, "bench")
	if err != nil {
		return 0, 0, err
	}
	var out []byte
	for i := range records {
		if out, _, err = plan.AppendProtected(ctx, "", out[:0], c.Record, nil); err != nil {
			return 0, 0, err
		}
		if err := Hidden(out, c.Tagged); err != nil {
			return 0, 0, err
		}
		if i == 0 {
			first = count.calls.Load()
		}
	}
	return first, count.calls.Load() - first, nil
}
