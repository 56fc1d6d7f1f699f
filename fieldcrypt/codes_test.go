package fieldcrypt_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/schema"
)

// canaries are values that no error may show in any spelling.
type canaries [][]byte

// leak returns how one of the canaries stands in text, or "". A part of a
// canary counts: errors must hold no cuttings either.
func (c canaries) leak(text string) string {
	lower := strings.ToLower(text)
	for _, v := range c {
		for cut := range 3 { // base64 of a value depends on where it begins
			part := v[cut:]
			std := base64.RawStdEncoding.EncodeToString(part[:len(part)/3*3])
			url := base64.RawURLEncoding.EncodeToString(part[:len(part)/3*3])
			for name, spelled := range map[string]string{"base64": std, "base64url": url} {
				if strings.Contains(text, spelled) {
					return name
				}
			}
		}
		for name, spelled := range map[string]string{
			"as it is": strings.ToLower(string(v[:8])), "hex": hex.EncodeToString(v[:8]),
			"as a list of bytes": strings.Trim(fmt.Sprintf("%d", v[:8]), "[]"), "as a quoted Go byte list": strings.Trim(fmt.Sprintf("%#v", v[:4]), "[]byte{}"),
		} {
			if strings.Contains(lower, spelled) {
				return name
			}
		}
	}
	return ""
}

func TestALeakWouldBeSeen(t *testing.T) {
	c := canaries{[]byte("CANARY-one-0123456789")}
	for _, text := range []string{
		"x CANARY-one-0123456789", "canary-o", hex.EncodeToString(c[0]), base64.StdEncoding.EncodeToString(append([]byte("ab"), c[0]...)),
		base64.RawURLEncoding.EncodeToString(c[0]), fmt.Sprintf("%d", c[0]), fmt.Sprintf("%#v", c[0]),
	} {
		if c.leak(text) == "" {
			t.Errorf("%q was not seen", text)
		}
	}
	if how := c.leak("fieldcrypt: protect topic \"t\" schema 3: record_malformed"); how != "" {
		t.Errorf("seen where there is none: %s", how)
	}
}

// negative runs a large suite of failures and hands every error to see. All
// values of its records are canaries.
func negative(t *testing.T, see func(what string, err error)) canaries {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7)) // the same suite each time
	var secrets canaries
	secret := func() string {
		s := fmt.Sprintf("CANARY%06d-%x", len(secrets), rng.Uint64())
		secrets = append(secrets, []byte(s))
		return s
	}
	w := newWorld(t)
	w.schemas[3] = avroText(customerSchema)
	w.schemas[4] = avroText(`{"type": "record", "name": "Clear", "fields": [{"name": "x", "type": "string"}]}`)
	w.schemas[5] = avroText(oneField(`"int"`, "PII.AGE"))
	w.schemas[6] = avroText(`{"type": "nonsense"}`)
	person := func() map[string]any {
		return map[string]any{
			"id": int64(7), "name": secret(), "emails": []any{secret(), secret()}, "birth": secret(), "notes": secret(),
			"photo": []byte(secret()), "labels": map[string]any{secret(): secret()}, "friend": nil, "city": secret(),
		}
	}
	const tenants = customerPolicy + "tenant: {from: header:tenant, required: false}\n"
	e := w.engine(tenants)
	protect := func(what string, e *fieldcrypt.Engine, topic string, value []byte) {
		_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: value})
		see(what, err)
	}
	reveal := func(what string, e *fieldcrypt.Engine, rec fieldcrypt.Record) {
		_, err := e.Reveal(t.Context(), rec)
		see(what, err)
	}
	for range 8 {
		clear := w.framed(3, person())
		sealed, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "customers", Value: clear})
		if err != nil {
			t.Fatal(err)
		}
		protect("ungoverned", e, "orders", clear)
		for _, id := range []int{4, 5, 6, 99} {
			protect("schema", e, "customers", reframed(clear, id))
		}
		protect("framing", e, "customers", clear[5:])
		reveal("unsealed", e, fieldcrypt.Record{Topic: "customers", Value: clear})
		for range 60 {
			bad := bytes.Clone(clear)
			bad[5+rng.IntN(len(bad)-5)] ^= byte(1 + rng.IntN(255))
			protect("changed record", e, "customers", bad)
			protect("cut record", e, "customers", clear[:5+rng.IntN(len(clear)-5)])
			bad = bytes.Clone(sealed.Value)
			bad[5+rng.IntN(len(bad)-5)] ^= byte(1 + rng.IntN(255))
			reveal("changed sealed record", e, fieldcrypt.Record{Topic: "customers", Value: bad, Headers: sealed.Headers})
			reveal("cut sealed record", e, fieldcrypt.Record{Topic: "customers", Value: sealed.Value[:5+rng.IntN(len(sealed.Value)-5)]})
		}
		text := person()
		text["name"] = "\xff" + secret()
		protect("not text", e, "customers", w.framed(3, text))
		swapped := w.decoded(3, sealed.Value)
		emails, _ := swapped["emails"].([]any)
		labels, _ := swapped["labels"].(map[string]any)
		for k := range labels {
			emails[0], labels[k] = labels[k], emails[0]
		}
		reveal("moved", e, fieldcrypt.Record{Topic: "customers", Value: w.framed(3, swapped), Headers: sealed.Headers})
		foreign := sealed
		foreign.Headers = append(slices.Clone(sealed.Headers), fieldcrypt.Header{Key: "tenant", Value: []byte("mallory")})
		reveal("foreign", e, foreign)
		meta := sealed
		meta.Headers = append(slices.Clone(sealed.Headers), fieldcrypt.Header{Key: fieldcrypt.HeaderMeta, Value: []byte(secret())})
		reveal("meta", e, meta)
		lost := &world{t: t, kms: w.kms, schemas: w.schemas, parsed: w.parsed}
		blocks := sealed
		blocks.Headers = []fieldcrypt.Header{{Key: fieldcrypt.HeaderKey, Value: []byte(secret())}}
		reveal("key header of something else", lost.engine(customerPolicy), blocks)
		protect("no tenant", w.engine(customerPolicy+"tenant: {from: key}\n"), "customers", clear)
		_, err = e.Protect(t.Context(), fieldcrypt.Record{
			Topic: "customers", Value: clear, Headers: []fieldcrypt.Header{{Key: "tenant", Value: bytes.Repeat([]byte(secret()), 400)}},
		})
		see("long tenant", err)
		_, err = e.Protect(t.Context(), fieldcrypt.Record{
			Topic: "customers", Value: clear, Headers: []fieldcrypt.Header{{Key: "tenant", Value: []byte(secret())}, {Key: "tenant", Value: []byte(secret())}},
		})
		see("two tenants", err)
	}
	clear := w.framed(3, person())
	for _, fail := range []error{kms.ErrUnavailable, kms.ErrThrottled, kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrInvalid} {
		see("KMS: "+fail.Error(), withKMS(t, w, fail, clear))
	}
	for _, fault := range []kmstest.Fault{
		kmstest.WrongPlain, kmstest.ShortPlain, kmstest.LongPlain, kmstest.EmptyPlain, kmstest.EmptyWrapped, kmstest.WrongWrapped, kmstest.HugeWrapped,
	} {
		fake := kmstest.NewFake("local:pii")
		fake.Corrupt(kmstest.OpGenerate, fault)
		lying := &world{t: t, kms: fake, schemas: w.schemas, parsed: w.parsed}
		protect("KMS that lies", lying.engine(customerPolicy), "customers", clear)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.engine(customerPolicy).Protect(ctx, fieldcrypt.Record{Topic: "customers", Value: clear})
	see("canceled", err)
	return secrets
}

// Every code that a caller can meet is met, each error says where, and none
// holds data.
func TestEveryCodeIsReachedAndNoErrorHoldsData(t *testing.T) {
	codes := make(map[fieldcrypt.Code]int)
	var texts []string
	secrets := negative(t, func(what string, err error) {
		if err == nil {
			return // a change that the record does not notice, such as one in an untagged value
		}
		e, ok := errors.AsType[*fieldcrypt.Error](err)
		if !ok {
			t.Fatalf("%s: %T is no *Error: %v", what, err, err)
		}
		codes[e.Code]++
		for _, cause := range []error{e, e.Err} {
			texts = append(texts, fmt.Sprintf("%v %+v %#v %q", cause, cause, cause, cause))
		}
		if e.Op == "" || e.Topic == "" || !strings.Contains(err.Error(), `topic "`+e.Topic+`"`) || !strings.Contains(err.Error(), ": "+string(e.Code)) {
			t.Errorf("%s: %v", what, err)
		}
		if e.SchemaID != 0 && !strings.Contains(err.Error(), fmt.Sprintf("schema %d", e.SchemaID)) {
			t.Errorf("%s: no schema id: %v", what, err)
		}
		if e.Path != "" && (!strings.Contains(err.Error(), e.Path) || !strings.Contains(err.Error(), e.Action) || !strings.Contains(err.Error(), e.Tag)) {
			t.Errorf("%s: no place: %v", what, err)
		}
		retry := e.Code == fieldcrypt.CodeKeyUnavailable || e.Code == fieldcrypt.CodeCanceled
		if e.Retryable() != retry {
			t.Errorf("%s: retryable %v: %v", what, e.Retryable(), err)
		}
	})
	want := []fieldcrypt.Code{
		fieldcrypt.CodeUngoverned, fieldcrypt.CodeUntagged, fieldcrypt.CodeSchema, fieldcrypt.CodePolicy, fieldcrypt.CodeTenant,
		fieldcrypt.CodeMalformed, fieldcrypt.CodeNotText, fieldcrypt.CodeTooLarge, fieldcrypt.CodeKeyUnavailable, fieldcrypt.CodeKeyUnusable,
		fieldcrypt.CodeKeyUnknown, fieldcrypt.CodeForeignKey, fieldcrypt.CodeMoved, fieldcrypt.CodeUnsealed, fieldcrypt.CodeTampered,
		fieldcrypt.CodeFormat, fieldcrypt.CodeCanceled,
	}
	slices.Sort(want)
	// CodeInternal is for faults of the package: nothing from outside leads there.
	if got := slices.Sorted(maps.Keys(codes)); !slices.Equal(got, want) {
		t.Errorf("codes that were met: %v\nwant %v", codes, want)
	}
	if len(texts) < 3000 || len(secrets) < 100 {
		t.Fatalf("only %d texts and %d values: the suite lost its cases", len(texts), len(secrets))
	}
	// Many errors are the same text.
	slices.Sort(texts)
	texts = slices.Compact(texts)
	t.Logf("%d different texts, %d values, codes %v", len(texts), len(secrets), codes)
	for _, text := range texts {
		if how := secrets.leak(text); how != "" {
			t.Errorf("an error holds data, %s: %s", how, text)
		}
	}
}

// A source that fails is asked again later, one that has no such schema is not.
func TestWhetherASchemaErrorIsWorthARetry(t *testing.T) {
	w := newWorld(t)
	w.schemas[6] = avroText(`{"type": "nonsense"}`)
	away := sourceFunc(func(context.Context, int) (schema.Text, error) { return schema.Text{}, errors.New("registry is away") })
	for name, tt := range map[string]struct {
		source schema.Source
		id     int
		want   bool
	}{
		"an unknown id":                  {w.schemas, 99, false},
		"a schema that cannot be read":   {w.schemas, 6, false},
		"a source that is away":          {away, 1, true},
		"an engine that has no source":   {nil, 1, false},
		"a format that is not supported": {schema.Static{1: {Format: schema.JSONSchema, Schema: "{}"}}, 1, false},
	} {
		p, err := fieldcrypt.ParsePolicy([]byte(customerPolicy))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := datakey.New(w.kms)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(keys.Close)
		var opts []fieldcrypt.Option
		if tt.source != nil {
			opts = append(opts, fieldcrypt.WithSchemas(tt.source))
		}
		e, err := fieldcrypt.New(p, keys, opts...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Protect(t.Context(), fieldcrypt.Record{Topic: "customers", Value: append(frame(tt.id), 0)})
		checkCode(t, name, err, fieldcrypt.CodeSchema)
		if fe, ok := errors.AsType[*fieldcrypt.Error](err); ok && fe.Retryable() != tt.want {
			t.Errorf("%s: retryable %v", name, fe.Retryable())
		}
	}
}

type sourceFunc func(context.Context, int) (schema.Text, error)

func (f sourceFunc) Schema(ctx context.Context, id int) (schema.Text, error) { return f(ctx, id) }
