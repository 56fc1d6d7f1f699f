package fieldcrypt_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

type callerKey struct{}

var errNotYours = errors.New("not one of yours")

// guardOf lets each caller write for the tenant of his own name, and notes what
// it was asked.
func guardOf(asked *[]string) fieldcrypt.Option {
	return fieldcrypt.WithTenantGuard(func(ctx context.Context, topic, tenant string) error {
		*asked = append(*asked, topic+"/"+tenant)
		if who, _ := ctx.Value(callerKey{}).(string); who != tenant {
			return errNotYours
		}
		return ctx.Err()
	})
}

func TestTheTenantGuardIsAskedBeforeAnythingIsProtected(t *testing.T) {
	fake := kmstest.NewFake("local:tenant-acme")
	w := newWorld(t)
	w.kms = fake
	w.schemas[1] = avroText(record(tenantFields))
	for _, from := range []string{"value:/tenant", "header:t", "key"} {
		t.Run(from, func(t *testing.T) {
			var asked []string
			e := w.engine(fmt.Sprintf(tenantPolicy, from), guardOf(&asked))
			rec := fieldcrypt.Record{
				Topic: "t", Key: []byte("acme"), Value: w.framed(1, map[string]any{"email": "jane@example.com", "tenant": "acme"}),
				Headers: []fieldcrypt.Header{{Key: "t", Value: []byte("acme")}},
			}
			made := fake.Calls(kmstest.OpGenerate)
			_, err := e.Protect(context.WithValue(t.Context(), callerKey{}, "umbrella"), rec)
			checkCode(t, "another's tenant", err, fieldcrypt.CodeTenantDenied)
			if !errors.Is(err, errNotYours) || strings.Contains(err.Error(), "acme") {
				t.Errorf("the error is %v", err)
			}
			if fe, ok := errors.AsType[*fieldcrypt.Error](err); ok && (fe.Retryable() || fe.Topic != "t" || fe.SchemaID != 1) {
				t.Errorf("the error says topic %q, schema %d, retryable %v", fe.Topic, fe.SchemaID, fe.Retryable())
			}
			if got := fake.Calls(kmstest.OpGenerate); got != made {
				t.Errorf("%d keys were made for a refused record", got-made)
			}
			out, err := e.Protect(context.WithValue(t.Context(), callerKey{}, "acme"), rec)
			if err != nil {
				t.Fatal(err)
			}
			if len(asked) != 2 || asked[0] != "t/acme" || asked[1] != "t/acme" {
				t.Errorf("asked %q, want once for each record", asked)
			}
			if _, err := e.Reveal(t.Context(), out); err != nil {
				t.Errorf("reading is not the guard's: %v", err)
			}
		})
	}
}

func TestTheRevealGuardIsAskedBeforeAnythingIsOpened(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tenantFields))
	for _, from := range []string{"value:/tenant", "header:t", "key"} {
		t.Run(from, func(t *testing.T) {
			var asked []string
			e := w.engine(fmt.Sprintf(tenantPolicy, from), fieldcrypt.WithRevealGuard(func(ctx context.Context, topic, tenant string) error {
				asked = append(asked, topic+"/"+tenant)
				if who, _ := ctx.Value(callerKey{}).(string); who != tenant {
					return errNotYours
				}
				return nil
			}))
			out, err := e.Protect(t.Context(), fieldcrypt.Record{
				Topic: "t", Key: []byte("acme"), Value: w.framed(1, map[string]any{"email": "jane@example.com", "tenant": "acme"}),
				Headers: []fieldcrypt.Header{{Key: "t", Value: []byte("acme")}},
			})
			if err != nil || len(asked) != 0 {
				t.Fatalf("writing is not this guard's: %v, asked %q", err, asked)
			}
			_, err = e.Reveal(context.WithValue(t.Context(), callerKey{}, "umbrella"), out)
			checkCode(t, "another's tenant", err, fieldcrypt.CodeTenantDenied)
			if fe, ok := errors.AsType[*fieldcrypt.Error](err); ok && fe.Op != "reveal" {
				t.Errorf("the error is of %s", fe.Op)
			}
			if _, err := e.Reveal(context.WithValue(t.Context(), callerKey{}, "acme"), out); err != nil {
				t.Error(err)
			}
			if len(asked) != 2 || asked[0] != "t/acme" {
				t.Errorf("asked %q, want once for each record", asked)
			}
		})
	}
}

func TestTheTenantGuardSeesTombstones(t *testing.T) {
	w := newWorld(t)
	for from, want := range map[string]string{"value:/tenant": "t/", "header:t": "t/acme"} {
		var asked []string
		e := w.engine(fmt.Sprintf(tenantPolicy, from), guardOf(&asked))
		rec := fieldcrypt.Record{Topic: "t", Key: []byte("k"), Headers: []fieldcrypt.Header{{Key: "t", Value: []byte("acme")}}}
		_, err := e.Protect(context.WithValue(t.Context(), callerKey{}, "umbrella"), rec)
		checkCode(t, from, err, fieldcrypt.CodeTenantDenied)
		if len(asked) != 1 || asked[0] != want {
			t.Errorf("%s: asked %q, want %q", from, asked, want)
		}
	}
	var asked []string
	e := w.engine(fmt.Sprintf(tenantPolicy, "header:t"), guardOf(&asked))
	_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Key: []byte("k")})
	checkCode(t, "a tombstone that does not say whose it is", err, fieldcrypt.CodeTenant)
	if len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
}

func TestACallerThatGaveUpIsNotRefusedByTheTenantGuard(t *testing.T) {
	w := newWorld(t)
	var asked []string
	e := w.engine(fmt.Sprintf(tenantPolicy, "header:t"), guardOf(&asked))
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), callerKey{}, "acme"))
	cancel()
	_, err := e.Protect(ctx, fieldcrypt.Record{Topic: "t", Headers: []fieldcrypt.Header{{Key: "t", Value: []byte("acme")}}})
	checkCode(t, "canceled", err, fieldcrypt.CodeCanceled)
}

func TestATenantGuardAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tenantFields))
	count := func(opts ...fieldcrypt.Option) float64 {
		e := w.engine(fmt.Sprintf(tenantPolicy, "header:t"), opts...)
		rec := fieldcrypt.Record{
			Topic: "t", Value: w.framed(1, map[string]any{"email": "jane@example.com", "tenant": "acme"}),
			Headers: []fieldcrypt.Header{{Key: "t", Value: []byte("acme")}},
		}
		buf := make([]byte, 0, 4096)
		// The fewest of many: under the race detector a pool forgets a part of what it
		// is given, by chance, and makes it again.
		fewest := math.Inf(1)
		for range 200 {
			fewest = min(fewest, testing.AllocsPerRun(1, func() {
				if _, err := e.AppendProtected(t.Context(), buf, rec); err != nil {
					t.Error(err)
				}
			}))
		}
		return fewest
	}
	guarded := count(fieldcrypt.WithTenantGuard(func(context.Context, string, string) error { return nil }))
	if plain := count(); guarded > plain {
		t.Errorf("%v allocations with a guard, %v without", guarded, plain)
	}
}
