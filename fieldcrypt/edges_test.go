package fieldcrypt_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
)

const headerPolicy = `
version: 1
dataset: orders
keys: {pii: {kek: "local:k"}}
rules: [{tag: PII, action: encrypt, key: pii}]
topics:
  - match: t
    headers:
      - {name: x-email, action: encrypt, key: pii}
      - {name: x-phone, action: mask, keep_last: 2}
      - {name: x-agent, action: constant, value: browser}
      - {name: x-ip, action: drop}
`

func headerOf(rec fieldcrypt.Record, key string) (values []string) {
	for _, h := range rec.Headers {
		if h.Key == key {
			values = append(values, string(h.Value))
		}
	}
	return values
}

func TestHeadersAreProtectedByName(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`{"name": "email", "type": "string", "confluent:tags": ["PII"]}`))
	e := w.engine(headerPolicy)
	in := fieldcrypt.Record{
		Topic: "t", Key: []byte("k"),
		Headers: []fieldcrypt.Header{
			{Key: "trace", Value: []byte("t-1")},
			{Key: "x-email", Value: []byte("ada@example.com")},
			{Key: "x-email", Value: []byte("eve@example.com")},
			{Key: "x-phone", Value: []byte("+420 555 0123")},
			{Key: "x-agent", Value: []byte("secret agent")},
			{Key: "x-ip", Value: []byte("192.0.2.7")},
			{Key: "X-Email", Value: []byte("another name")},
			{Key: "x-email", Value: nil},
			{Key: "x-email", Value: []byte{}},
		},
	}
	before := slices.Clone(in.Headers)
	for _, tt := range []struct {
		name  string
		value []byte
	}{
		{"with a value", w.framed(1, map[string]any{"email": "bob@example.com"})},
		{"of a tombstone", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in.Value = tt.value
			out, err := e.Protect(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for i, h := range before {
				if !bytes.Equal(in.Headers[i].Value, h.Value) {
					t.Error("the caller's headers have changed")
				}
			}
			emails := headerOf(out, "x-email")
			if len(emails) != 4 || emails[2] != "" || len(emails[3]) < 60 || out.Headers[6].Value != nil {
				t.Fatalf("%q", emails)
			}
			for _, i := range []int{0, 1, 3} {
				if !strings.HasPrefix(emails[i], "fv1:") {
					t.Errorf("header in clear: %q", emails[i])
				}
			}
			if got := headerOf(out, "x-phone"); len(got) != 1 || got[0] != "***********23" {
				t.Errorf("masked: %q", got)
			}
			if got := headerOf(out, "x-agent"); len(got) != 1 || got[0] != "browser" {
				t.Errorf("constant: %q", got)
			}
			if len(headerOf(out, "x-ip")) != 0 || headerOf(out, "X-Email")[0] != "another name" || headerOf(out, "trace")[0] != "t-1" {
				t.Errorf("%v", out.Headers)
			}
			if n := len(headerOf(out, fieldcrypt.HeaderKey)); n != 1 {
				t.Errorf("%d key blocks, want the one that all values share", n)
			}
			if tt.value == nil && out.Value != nil {
				t.Error("a tombstone has a value")
			}
			for _, h := range out.Headers {
				if bytes.Contains(h.Value, []byte("example.com")) || bytes.Contains(h.Value, []byte("192.0.2")) {
					t.Errorf("plaintext in header %s", h.Key)
				}
			}
			// Another process reads it, without a key store.
			w.store = nil
			back, err := w.engine(headerPolicy).Reveal(t.Context(), out)
			if err != nil {
				t.Fatal(err)
			}
			if got := headerOf(back, "x-email"); !slices.Equal(got, []string{"ada@example.com", "eve@example.com", "", ""}) {
				t.Errorf("revealed: %q", got)
			}
			if !bytes.Equal(back.Value, tt.value) || len(headerOf(back, fieldcrypt.HeaderKey)) != 0 || len(headerOf(back, fieldcrypt.HeaderMeta)) != 0 {
				t.Errorf("revealed: %v", back)
			}
		})
	}
}

// FV-70
func TestAHeaderIsBoundToItsName(t *testing.T) {
	w := newWorld(t)
	policy := strings.Replace(headerPolicy, "{name: x-ip, action: drop}", "{name: x-other, action: encrypt, key: pii}", 1)
	e := w.engine(policy)
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Headers: []fieldcrypt.Header{{Key: "x-email", Value: []byte("ada@example.com")}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range out.Headers {
		if out.Headers[i].Key == "x-email" {
			out.Headers[i].Key = "x-other"
		}
	}
	_, err = e.Reveal(t.Context(), out)
	checkCode(t, "reveal", err, fieldcrypt.CodeMoved)
	if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || f.Path != "#header/x-other" {
		t.Errorf("%+v", f)
	}
	// Something that was never sealed is refused, and what is no text for a mask.
	_, err = e.Reveal(t.Context(), fieldcrypt.Record{Topic: "t", Headers: []fieldcrypt.Header{{Key: "x-email", Value: []byte("ada@example.com")}}})
	checkCode(t, "reveal", err, fieldcrypt.CodeUnsealed)
	_, err = e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Headers: []fieldcrypt.Header{{Key: "x-phone", Value: []byte{0xff}}}})
	checkCode(t, "protect", err, fieldcrypt.CodeNotText)
}

func TestTheHeaderThatNamesTheSchemaMustBeOne(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`{"name": "email", "type": "string", "confluent:tags": ["PII"]}`))
	e := w.engine(headerPolicy)
	guid := append([]byte{1}, bytes.Repeat([]byte{7}, 16)...)
	for name, headers := range map[string][]fieldcrypt.Header{
		"twice":          {{Key: "__value_schema_id", Value: guid}, {Key: "__value_schema_id", Value: guid}},
		"another form":   {{Key: "__value_schema_id", Value: append([]byte{2}, guid[1:]...)}},
		"cut":            {{Key: "__value_schema_id", Value: guid[:16]}},
		"empty":          {{Key: "__value_schema_id"}},
		"bytes left":     {{Key: "__value_schema_id", Value: append(slices.Clone(guid), 0, 9)}},
		"unknown source": {{Key: "__value_schema_id", Value: guid}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Headers: headers, Value: w.framed(1, map[string]any{"email": "bob@example.com"})})
			if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || out.Value != nil || f.Code != fieldcrypt.CodeMalformed && f.Code != fieldcrypt.CodeSchema {
				t.Errorf("%v", err)
			}
		})
	}
}

// byGUID is a source that knows one schema by its GUID.
type byGUID struct {
	schema.Static
	guid [16]byte
	text schema.Text
}

func (s byGUID) SchemaByGUID(_ context.Context, guid [16]byte) (schema.Text, error) {
	if guid != s.guid {
		return schema.Text{}, schema.ErrNotFound
	}
	return s.text, nil
}

func TestTheSchemaMayBeNamedByGUIDInAHeaderOrInTheGlueFraming(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`{"name": "email", "type": "string", "confluent:tags": ["PII"]}`))
	body := w.framed(1, map[string]any{"email": "ada@example.com"})[5:]
	source := byGUID{guid: [16]byte{1, 2, 3}, text: w.schemas[1]}
	p, err := fieldcrypt.ParsePolicy([]byte(headerPolicy))
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
	header := fieldcrypt.Header{Key: "__value_schema_id", Value: append([]byte{1}, source.guid[:]...)}
	glue := append([]byte{3, 0}, source.guid[:]...)
	for name, rec := range map[string]fieldcrypt.Record{
		"in a header":         {Topic: "t", Value: body, Headers: []fieldcrypt.Header{header}},
		"in the Glue framing": {Topic: "t", Value: append(bytes.Clone(glue), body...)},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := e.Protect(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(out.Value, []byte("ada@")) || !bytes.HasPrefix(out.Value, rec.Value[:len(rec.Value)-len(body)]) {
				t.Errorf("%q", out.Value)
			}
			if back, err := e.Reveal(t.Context(), out); err != nil || !bytes.Equal(back.Value, rec.Value) {
				t.Errorf("%q, %v", back.Value, err)
			}
		})
	}
	for name, value := range map[string][]byte{
		"cut":              glue[:17],
		"compressed":       append(append([]byte{3, 5}, source.guid[:]...), body...),
		"an unknown GUID":  append(append([]byte{3, 0}, make([]byte, 16)...), body...),
		"a record cut off": append(bytes.Clone(glue), body[:3]...),
	} {
		if out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: value}); err == nil || out.Value != nil {
			t.Errorf("%s: %q, %v", name, out.Value, err)
		}
	}
}
