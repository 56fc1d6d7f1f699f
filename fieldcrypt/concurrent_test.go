package fieldcrypt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
)

func sourceEngine(t *testing.T, w *world, policy string, source schema.Source) *fieldcrypt.Engine {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(w.kms, datakey.WithStore(w.store))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(source))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Eight goroutines share an engine over many topics, schema ids and tenants.
// Each schema is asked for once per topic, and every record comes back.
func TestOneEngineServesManyGoroutines(t *testing.T) {
	const goroutines, topics, ids, tenants, rounds = 8, 5, 12, 3, 400
	w := newWorld(t)
	for id := 1; id <= ids; id++ {
		w.schemas[id] = avroText(fmt.Sprintf(`{"type": "record", "name": "R%d", "fields": [
		  {"name": "s", "type": "string", "confluent:tags": ["PII"]}, {"name": "c", "type": "bytes", "confluent:tags": ["PCI"]}]}`, id))
		w.avro(id) // parsed before the goroutines share it
	}
	var calls [ids + 1]atomic.Int64
	source := sourceFunc(func(ctx context.Context, id int) (schema.Text, error) {
		if calls[id].Add(1) <= topics/2 {
			return schema.Text{}, errors.New("registry is away")
		}
		return w.schemas.Schema(ctx, id)
	})
	const tenant = "tenant: {from: header:tenant}"
	writer, reader := sourceEngine(t, w, onePolicy("gcm", tenant), source), sourceEngine(t, w, onePolicy("gcm", tenant), w.schemas)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				id := 1 + (g+i)%ids
				value, err := w.parsed[id].AppendEncode(frame(id), map[string]any{"s": fmt.Sprintf("%d of %d", i, g), "c": []byte{byte(i), byte(g)}})
				if err != nil {
					t.Error(err)
					return
				}
				rec := fieldcrypt.Record{
					Topic: fmt.Sprintf("topic-%d", i%topics), Value: value,
					Headers: []fieldcrypt.Header{{Key: "tenant", Value: fmt.Appendf(nil, "tenant-%d", i%tenants)}},
				}
				out, err := writer.Protect(t.Context(), rec)
				for e, ok := errors.AsType[*fieldcrypt.Error](err); ok && e.Code == fieldcrypt.CodeSchema && e.Retryable(); e, ok = errors.AsType[*fieldcrypt.Error](err) {
					out, err = writer.Protect(t.Context(), rec)
				}
				if err != nil {
					t.Errorf("protect: %v", err)
					return
				}
				back, err := reader.Reveal(t.Context(), out)
				if err != nil || !bytes.Equal(back.Value, value) {
					t.Errorf("revealed %x, %v", back.Value, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for id := 1; id <= ids; id++ {
		// topics/2 calls failed, and each topic needed one that did not.
		if n := calls[id].Load(); n > topics+topics/2 {
			t.Errorf("schema %d was asked for %d times", id, n)
		}
	}
}

// Whoever waits while another fetches the same schema stops waiting when his
// own context ends, and the one who fetches goes on.
func TestWaitingForASchemaEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.schemas[7] = avroText(oneField(`"string"`, "PII"))
		value := w.framed(7, map[string]any{"x": "v"})
		release := make(chan struct{})
		var calls atomic.Int64
		source := sourceFunc(func(ctx context.Context, id int) (schema.Text, error) {
			calls.Add(1)
			<-release
			return w.schemas.Schema(ctx, id)
		})
		e := sourceEngine(t, w, onePolicy("gcm", ""), source)
		rec := fieldcrypt.Record{Topic: "t", Value: value}
		var first error
		var wg sync.WaitGroup
		wg.Go(func() { _, first = e.Protect(t.Context(), rec) })
		synctest.Wait() // the first one is inside the source

		ctx, cancel := context.WithCancel(t.Context())
		var waited error
		done := make(chan struct{})
		go func() {
			_, waited = e.Protect(ctx, rec)
			close(done)
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatalf("it did not wait: %v", waited)
		default:
		}
		cancel()
		<-done // without the release: a deadlock here fails the test
		checkCode(t, "the one who waited", waited, fieldcrypt.CodeCanceled)
		if fe, ok := errors.AsType[*fieldcrypt.Error](waited); !ok || !errors.Is(waited, context.Canceled) || fe.SchemaID != 7 || !fe.Retryable() {
			t.Errorf("the one who waited: %v", waited)
		}
		// Other topics do not wait for this one's turn, only for the source.
		if _, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "other"}); err != nil {
			t.Errorf("a tombstone of another topic: %v", err)
		}
		close(release)
		wg.Wait()
		if first != nil || calls.Load() != 1 {
			t.Errorf("the one who fetched: %v, after %d calls", first, calls.Load())
		}
	})
}

func TestWhoseARecordIs(t *testing.T) {
	header := func(values ...string) (out []fieldcrypt.Header) {
		for _, v := range values {
			out = append(out, fieldcrypt.Header{Key: "tenant", Value: []byte(v)})
		}
		return out
	}
	tests := []struct {
		name, policy string
		key          string
		headers      []fieldcrypt.Header
		code         fieldcrypt.Code
		tenant       string // in the key block
	}{
		{"a policy without tenants", "", "acme", header("acme"), "", ""},
		{"a fixed tenant", "tenant: {from: fixed:acme}", "", header("other"), "", "acme"},
		{"the record key", "tenant: {from: key}", "acme", nil, "", "acme"},
		{"no record key", "tenant: {from: key}", "", nil, fieldcrypt.CodeTenant, ""},
		{"no record key where none is needed", "tenant: {from: key, required: false}", "", nil, "", ""},
		{"a header", "tenant: {from: header:tenant}", "", header("acme"), "", "acme"},
		{"no header", "tenant: {from: header:tenant}", "", nil, fieldcrypt.CodeTenant, ""},
		{"an empty header", "tenant: {from: header:tenant}", "", header(""), fieldcrypt.CodeTenant, ""},
		{"a header twice", "tenant: {from: header:tenant, required: false}", "", header("acme", "acme"), fieldcrypt.CodeTenant, ""},
		{"a header of another case", "tenant: {from: header:Tenant}", "", header("acme"), fieldcrypt.CodeTenant, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.schemas[7] = avroText(oneField(`"string"`, "PII"))
			rec := fieldcrypt.Record{Topic: "t", Value: w.framed(7, map[string]any{"x": "v"}), Headers: tt.headers}
			if tt.key != "" {
				rec.Key = []byte(tt.key)
			}
			policy := onePolicy("gcm", tt.policy)
			out, err := w.engine(policy).Protect(t.Context(), rec)
			checkCode(t, "protect", err, tt.code)
			if err != nil {
				return
			}
			block := out.Headers[len(out.Headers)-1].Value
			// The tenant stands in the block between its URI and the wrapped key.
			want := append([]byte{0, byte(len(tt.tenant))}, tt.tenant...)
			if at := 1 + 32 + 2 + len("local:pii"); !bytes.HasPrefix(block[at:], want) {
				t.Errorf("the key block names tenant %q, want %q", block[at:at+8], tt.tenant)
			}
			if _, err := w.engine(policy).Reveal(t.Context(), out); err != nil {
				t.Errorf("reveal: %v", err)
			}
		})
	}
}
