package fieldcrypt_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

const customerSchema = `{"type": "record", "name": "Customer", "namespace": "com.example", "fields": [
  {"name": "id", "type": "long"},
  {"name": "name", "type": "string", "confluent:tags": ["PII.NAME"]},
  {"name": "emails", "type": {"type": "array", "items": "string"}, "confluent:tags": ["PII.EMAIL"]},
  {"name": "birth", "type": "string", "confluent:tags": ["PII.BIRTH"]},
  {"name": "notes", "type": ["null", "string"], "confluent:tags": ["PII.NOTES"]},
  {"name": "photo", "type": ["null", "bytes"], "confluent:tags": ["PII.PHOTO"]},
  {"name": "labels", "type": {"type": "map", "values": "string"}, "confluent:tags": ["PII.LABEL"]},
  {"name": "friend", "type": ["null", "Customer"]},
  {"name": "city", "type": "string"}]}`

const customerPolicy = `
version: 1
keys: {pii: {kek: "local:pii"}}
rules:
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PII.BIRTH, action: constant, value: "1900-01-01"}
  - {tag: PII.NOTES, action: drop}
  - {tag: PII, action: encrypt, key: pii}
topics: [{match: "customers*"}]
`

func customer(friend any) map[string]any {
	return map[string]any{
		"id": int64(7), "name": "Ada Example", "emails": []any{"ada@example.com", ""}, "birth": "1985-12-10",
		"notes": "calls at night", "photo": []byte("PHOTOBYTES"), "labels": map[string]any{"vip": "label value"},
		"friend": friend, "city": "Praha",
	}
}

func TestEveryActionDoesItsWorkAtEveryDepth(t *testing.T) {
	w := newWorld(t)
	w.schemas[3] = avroText(customerSchema)
	e := w.engine(customerPolicy)
	in := fieldcrypt.Record{
		Topic: "customers.v1", Key: []byte("k"), Value: w.framed(3, customer(customer(nil))),
		Headers: []fieldcrypt.Header{{Key: "trace", Value: []byte("1")}, {Key: "trace", Value: nil}},
	}
	kept := bytes.Clone(in.Value)
	out, err := e.Protect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in.Value, kept) || len(in.Headers) != 2 {
		t.Error("the record that was given changed")
	}
	// FV-42: foreign headers stand first, in order.
	if len(out.Headers) != 4 || out.Headers[0].Key != "trace" || string(out.Headers[0].Value) != "1" || out.Headers[1].Value != nil ||
		out.Headers[2].Key != fieldcrypt.HeaderMeta || out.Headers[3].Key != fieldcrypt.HeaderKey {
		t.Errorf("headers %v", out.Headers)
	}
	top := w.decoded(3, out.Value)
	for depth, v := range []any{top, top["friend"]} {
		m, _ := v.(map[string]any)
		if m["id"] != int64(7) || m["city"] != "Praha" {
			t.Errorf("depth %d: clear fields are %v, %v", depth, m["id"], m["city"])
		}
		if m["name"] != "A**********" || m["birth"] != "1900-01-01" || m["notes"] != nil {
			t.Errorf("depth %d: %v, %v, %v", depth, m["name"], m["birth"], m["notes"])
		}
		emails, _ := m["emails"].([]any)
		labels, _ := m["labels"].(map[string]any)
		// FV-14: an empty value is sealed like any other.
		for _, x := range []any{emails[0], emails[1], labels["vip"]} {
			if s, _ := x.(string); !strings.HasPrefix(s, "fv1:") {
				t.Errorf("depth %d: %v is not sealed", depth, x)
			}
		}
		if photo, _ := m["photo"].([]byte); len(photo) != 50+len("PHOTOBYTES") || photo[0] != 1 {
			t.Errorf("depth %d: the photo is %d bytes", depth, len(photo))
		}
	}
	back, err := e.Reveal(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Headers) != 2 {
		t.Errorf("headers after Reveal: %v", back.Headers)
	}
	got := w.decoded(3, back.Value)
	if fmt.Sprint(got["emails"], got["photo"], got["labels"]) != fmt.Sprint(customer(nil)["emails"], customer(nil)["photo"], customer(nil)["labels"]) {
		t.Errorf("revealed %v", got)
	}
}

// FV-14: null is never sealed, neither as a field nor as a record.
func TestNullsAndTombstonesStayWhatTheyAre(t *testing.T) {
	w := newWorld(t)
	w.schemas[3] = avroText(customerSchema)
	e := w.engine(customerPolicy)
	c := customer(nil)
	c["notes"], c["photo"], c["emails"], c["labels"] = nil, nil, []any{}, map[string]any{}
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "customers", Value: w.framed(3, c)})
	if err != nil {
		t.Fatal(err)
	}
	m := w.decoded(3, out.Value)
	if m["notes"] != nil || m["photo"] != nil {
		t.Errorf("%v, %v", m["notes"], m["photo"])
	}
	for _, h := range out.Headers {
		if h.Key == fieldcrypt.HeaderKey {
			t.Error("a record that used no data key names one")
		}
	}
	for _, do := range []func(context.Context, fieldcrypt.Record) (fieldcrypt.Record, error){e.Protect, e.Reveal} {
		if out, err := do(t.Context(), fieldcrypt.Record{Topic: "customers", Key: []byte("k")}); err != nil || out.Value != nil {
			t.Errorf("a tombstone became %q, %v", out.Value, err)
		}
	}
}

// FV-40: with a key store a record opens without its headers; without one it
// says which key is missing.
func TestHeadersMayGetLostWhereThereIsAStore(t *testing.T) {
	for _, store := range []datakey.Store{new(datakey.MemStore), nil} {
		w := newWorld(t)
		w.store = store
		w.schemas[3] = avroText(customerSchema)
		rec, err := w.engine(customerPolicy).Protect(t.Context(), fieldcrypt.Record{Topic: "customers", Value: w.framed(3, customer(nil))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine(customerPolicy).Reveal(t.Context(), rec); err != nil {
			t.Errorf("with headers: %v", err)
		}
		rec.Headers = nil
		_, err = w.engine(customerPolicy).Reveal(t.Context(), rec)
		want := fieldcrypt.CodeKeyUnknown
		if store != nil {
			want = ""
		}
		checkCode(t, "without headers", err, want)
	}
}

// Every code has a way to it, names the place, and shows no data.
func TestErrorsNameThePlaceAndNeverTheValue(t *testing.T) {
	const secret = "CANARY-ada@example.com"
	w := newWorld(t)
	w.schemas[3] = avroText(customerSchema)
	w.schemas[4] = avroText(`{"type": "record", "name": "Clear", "fields": [{"name": "x", "type": "string"}]}`)
	w.schemas[5] = avroText(`{"type": "record", "name": "Typed", "fields": [{"name": "age", "type": "int", "confluent:tags": ["PII.AGE"]}]}`)
	w.schemas[6] = avroText(`{"type": "nonsense"}`)
	w.schemas[7] = avroText(`{"type": "record", "name": "New", "fields": [{"name": "x", "type": "string", "confluent:tags": ["HEALTH"]}]}`)
	w.schemas[8] = schema.Text{Format: schema.Protobuf, Schema: "x"}
	w.schemas[9] = avroText(`{"type": "record", "name": "Multi", "fields": [{"name": "x", "type": ["null", "string", "int"], "confluent:tags": ["PII.X"]}]}`)
	w.schemas[10] = avroText(`{"type": "record", "name": "Must", "fields": [{"name": "n", "type": "string", "confluent:tags": ["PII.NOTES"]}]}`)
	w.schemas[11] = avroText(`{"type": "record", "name": "Id", "fields": [{"name": "u", "type": {"type": "string", "logicalType": "uuid"}, "confluent:tags": ["PII.U"]}]}`)
	e := w.engine(customerPolicy)
	c := customer(nil)
	c["emails"], c["name"], c["city"] = []any{secret}, secret, secret
	good := w.framed(3, c)
	badText := customer(nil)
	badText["name"] = "\xff\xfe" + secret
	sealed, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "customers", Value: good})
	if err != nil {
		t.Fatal(err)
	}
	withMeta := sealed
	withMeta.Headers = []fieldcrypt.Header{{Key: fieldcrypt.HeaderMeta, Value: []byte{1, 9}}}
	tenantEngine := w.engine(customerPolicy + "tenant: {from: header:tenant}\n")

	tests := []struct {
		name string
		do   func() error
		code fieldcrypt.Code
		text []string
	}{
		{"a topic without an entry", protecting(e, "orders", good), fieldcrypt.CodeUngoverned, []string{`"orders"`}},
		{"a schema without tags", protecting(e, "customers", append(frame(4), 0)), fieldcrypt.CodeUntagged, []string{"schema 4"}},
		{"an unknown schema id", protecting(e, "customers", append(frame(99), 0)), fieldcrypt.CodeSchema, []string{"schema 99"}},
		{"a schema that cannot be read", protecting(e, "customers", append(frame(6), 0)), fieldcrypt.CodeSchema, []string{"schema 6"}},
		{"a schema of another format", protecting(e, "customers", append(frame(8), 0)), fieldcrypt.CodeSchema, []string{"PROTOBUF"}},
		{"an action that does not fit", protecting(e, "customers", append(frame(5), 0)), fieldcrypt.CodePolicy, []string{"/age", "PII.AGE", "encrypt", "int"}},
		{"a tag without a rule", protecting(e, "customers", append(frame(7), 0)), fieldcrypt.CodePolicy, []string{"/x", "HEALTH"}},
		{"a union branch that cannot be protected", protecting(e, "customers", append(frame(9), 0)), fieldcrypt.CodePolicy, []string{"/x", "int"}},
		{"a drop of what cannot be null", protecting(e, "customers", append(frame(10), 0)), fieldcrypt.CodePolicy, []string{"/n", "drop"}},
		{"a logical type", protecting(e, "customers", append(frame(11), 0)), fieldcrypt.CodePolicy, []string{"/u", "uuid"}},
		{"no framing", protecting(e, "customers", []byte(secret)), fieldcrypt.CodeMalformed, []string{"framing"}},
		{"an empty value", protecting(e, "customers", []byte{}), fieldcrypt.CodeMalformed, []string{"framing"}},
		{"a cut record", protecting(e, "customers", good[:len(good)-3]), fieldcrypt.CodeMalformed, []string{"schema 3"}},
		{"trailing bytes", protecting(e, "customers", append(bytes.Clone(good), secret...)), fieldcrypt.CodeMalformed, []string{"trailing"}},
		{"a mask of what is not text", protecting(e, "customers", w.framed(3, badText)), fieldcrypt.CodeNotText, []string{"/name", "PII.NAME", "mask"}},
		{"no tenant", protecting(tenantEngine, "customers", good), fieldcrypt.CodeTenant, nil},
		{"a clear value where an envelope must be", func() error {
			_, err := e.Reveal(t.Context(), fieldcrypt.Record{Topic: "customers", Value: good})
			return err
		}, fieldcrypt.CodeUnsealed, []string{"/emails/[]", "PII.EMAIL", "encrypt"}},
		{"a bad meta header", func() error { _, err := e.Reveal(t.Context(), withMeta); return err }, fieldcrypt.CodeFormat, []string{"fv-meta"}},
		{"a canceled caller", func() error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := w.engine(customerPolicy).Protect(ctx, fieldcrypt.Record{Topic: "customers", Value: good})
			return err
		}, fieldcrypt.CodeCanceled, nil},
		{"a KMS that is away", func() error { return withKMS(t, w, kms.ErrUnavailable, good) }, fieldcrypt.CodeKeyUnavailable, []string{"local:pii"}},
		{"a KEK that is denied", func() error { return withKMS(t, w, kms.ErrDenied, good) }, fieldcrypt.CodeKeyUnusable, []string{"local:pii"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do()
			checkCode(t, tt.name, err, tt.code)
			if err == nil {
				return
			}
			text := fmt.Sprintf("%v %+v %#v", err, err, err)
			for _, want := range tt.text {
				if !strings.Contains(text, want) {
					t.Errorf("the error has no %q: %v", want, err)
				}
			}
			for _, leak := range []string{secret, "ada@", hex.EncodeToString([]byte("CANARY")), base64.StdEncoding.EncodeToString([]byte("CANARY"))} {
				if strings.Contains(text, leak) {
					t.Errorf("the error holds data: %s", text)
				}
			}
			if fe, ok := errors.AsType[*fieldcrypt.Error](err); ok {
				want := fe.Code == fieldcrypt.CodeKeyUnavailable || fe.Code == fieldcrypt.CodeCanceled
				if fe.Retryable() != want {
					t.Errorf("retryable %v for %s", fe.Retryable(), fe.Code)
				}
			}
		})
	}
}

func protecting(e *fieldcrypt.Engine, topic string, value []byte) func() error {
	return func() error {
		out, err := e.Protect(context.Background(), fieldcrypt.Record{Topic: topic, Value: value})
		if err != nil && (out.Value != nil || out.Headers != nil) {
			return errors.New("something came back beside the error")
		}
		return err
	}
}

func withKMS(t *testing.T, w *world, fail error, value []byte) error {
	t.Helper()
	fake := kmstest.NewFake("local:pii")
	fake.Fail(fail)
	broken := &world{t: t, kms: fake, store: w.store, schemas: w.schemas, parsed: w.parsed}
	_, err := broken.engine(customerPolicy).Protect(t.Context(), fieldcrypt.Record{Topic: "customers", Value: value})
	return err
}

// countingSource fails first and counts afterwards.
type countingSource struct {
	schema.Static
	calls atomic.Int64
}

func (c *countingSource) Schema(ctx context.Context, id int) (schema.Text, error) {
	if c.calls.Add(1) == 1 {
		return schema.Text{}, errors.New("registry is away")
	}
	return c.Static.Schema(ctx, id)
}

func TestASchemaIsFetchedOnceForAllAndAgainAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.schemas[3] = avroText(customerSchema)
	source := &countingSource{Static: w.schemas}
	p, err := fieldcrypt.ParsePolicy([]byte(customerPolicy))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(w.kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(source))
	if err != nil {
		t.Fatal(err)
	}
	rec := fieldcrypt.Record{Topic: "customers", Value: w.framed(3, customer(nil))}
	_, err = e.Protect(t.Context(), rec)
	var fe *fieldcrypt.Error
	if !errors.As(err, &fe) || fe.Code != fieldcrypt.CodeSchema || !fe.Retryable() {
		t.Fatalf("while the registry is away: %v", err)
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 20 {
				out, err := e.Protect(t.Context(), rec)
				if err == nil {
					_, err = e.Reveal(t.Context(), out)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := source.calls.Load(); n != 2 {
		t.Errorf("%d calls, want one that failed and one for all", n)
	}
}

func TestTheHotPathDoesNotAllocate(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checked builds copy records on purpose: allocations are not tested in them")
	}
	w := newWorld(t)
	p, err := fieldcrypt.ParsePolicy([]byte(customerPolicy))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(w.kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	s, err := avro.Parse(avroText(customerSchema))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(s, p, keys, "customers")
	if err != nil {
		t.Fatal(err)
	}
	w.schemas[3] = avroText(customerSchema)
	src := w.framed(3, customer(customer(nil)))[5:]
	dst, blocks := make([]byte, 0, 8192), make([][]byte, 0, 4)
	sealed, own, err := plan.AppendProtected(t.Context(), "", nil, src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(200, func() {
		if _, _, err := plan.AppendProtected(t.Context(), "", dst, src, blocks); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("AppendProtected allocates %v times", n)
	}
	if n := testing.AllocsPerRun(200, func() {
		if _, err := plan.AppendRevealed(t.Context(), "", dst, sealed, own); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("AppendRevealed allocates %v times", n)
	}
}
