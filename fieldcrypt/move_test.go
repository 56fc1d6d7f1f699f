package fieldcrypt_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// Two text fields and two of bytes under one key, one field under another key.
const movable = `{"type": "record", "name": "%NAME%", "fields": [
  {"name": "a", "type": "string", "confluent:tags": ["PII"]},
  {"name": "b", "type": "string", "confluent:tags": ["PII"]},
  {"name": "raw", "type": "bytes", "confluent:tags": ["PII"]},
  {"name": "card", "type": "string", "confluent:tags": ["PCI"]}]}`

const (
	idHome = iota + 1
	idOtherName
	idAgain   // the schema of idHome under another id
	idRenamed // a renamed to c, with an alias
	idNoAlias // a renamed to c, without
	idNullable
	idTypes // a is bytes, raw is text
)

func moveWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	home := replaced(movable, "%NAME%", "Home")
	w.schemas[idHome] = avroText(home)
	w.schemas[idAgain] = avroText(home)
	w.schemas[idOtherName] = avroText(replaced(movable, "%NAME%", "Other"))
	w.schemas[idRenamed] = avroText(replaced(home, `"name": "a"`, `"name": "c", "aliases": ["a"]`))
	w.schemas[idNoAlias] = avroText(replaced(home, `"name": "a"`, `"name": "c"`))
	w.schemas[idNullable] = avroText(replaced(home, `"name": "a", "type": "string"`, `"name": "a", "type": ["null", "string"]`))
	w.schemas[idTypes] = avroText(replaced(replaced(home, `"name": "a", "type": "string"`, `"name": "a", "type": "bytes"`),
		`"name": "raw", "type": "bytes"`, `"name": "raw", "type": "string"`))
	return w
}

func replaced(text, from, to string) string { return strings.Replace(text, from, to, 1) }

// textToRaw returns the binary form of a text envelope.
func textToRaw(t *testing.T, v any) []byte {
	t.Helper()
	text, _ := v.(string)
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "fv1:"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func values() map[string]any {
	return map[string]any{"a": "value of a", "b": "value of b", "raw": []byte("raw value"), "card": "4111111111111111"}
}

// FV-21, FV-22, FV-23, FV-31: where a value opens, and where it is refused.
func TestAValueOpensWhereItBelongsAndNowhereElse(t *testing.T) {
	const tenants = "tenant: {from: header:tenant, required: false}"
	// Each move takes a protected record and puts it, or a value of it, elsewhere.
	moves := []struct {
		name   string
		policy string // of the reader; "" for the writer's
		move   func(w *world, rec *fieldcrypt.Record)
		refuse fieldcrypt.Code // in strict mode; "" where it must open
		moved  uint64          // values that report mode counts
	}{
		{name: "nowhere", move: func(*world, *fieldcrypt.Record) {}},
		{name: "another topic", move: func(_ *world, r *fieldcrypt.Record) { r.Topic = "restored" }},
		{name: "another schema id", move: func(_ *world, r *fieldcrypt.Record) { r.Value = reframed(r.Value, idAgain) }},
		{name: "headers in another order, with others", move: func(_ *world, r *fieldcrypt.Record) {
			slices.Reverse(r.Headers)
			r.Headers = append([]fieldcrypt.Header{{Key: "trace", Value: []byte("x")}}, r.Headers...)
		}},
		{name: "no headers", move: func(_ *world, r *fieldcrypt.Record) { r.Headers = nil }},
		{name: "another record key", move: func(_ *world, r *fieldcrypt.Record) { r.Key = []byte("other") }},
		{name: "a renamed field with an alias", move: func(_ *world, r *fieldcrypt.Record) { r.Value = reframed(r.Value, idRenamed) }},
		{name: "a field that became nullable", move: func(w *world, r *fieldcrypt.Record) {
			r.Value = w.framed(idNullable, w.decoded(idHome, r.Value))
		}},
		{name: "a renamed field without an alias", refuse: fieldcrypt.CodeMoved, moved: 1, move: func(_ *world, r *fieldcrypt.Record) {
			r.Value = reframed(r.Value, idNoAlias)
		}},
		{name: "another path", refuse: fieldcrypt.CodeMoved, moved: 2, move: func(w *world, r *fieldcrypt.Record) {
			v := w.decoded(idHome, r.Value)
			v["a"], v["b"] = v["b"], v["a"]
			r.Value = w.framed(idHome, v)
		}},
		{name: "another schema name", refuse: fieldcrypt.CodeMoved, moved: 4, move: func(_ *world, r *fieldcrypt.Record) {
			r.Value = reframed(r.Value, idOtherName)
		}},
		{name: "another dataset", policy: "dataset: elsewhere", refuse: fieldcrypt.CodeMoved, moved: 4, move: func(*world, *fieldcrypt.Record) {}},
		{name: "another type", refuse: fieldcrypt.CodeMoved, moved: 1, move: func(w *world, r *fieldcrypt.Record) {
			// The text envelope of a as bytes, in the field that is bytes there.
			v := w.decoded(idHome, r.Value)
			v["a"] = textToRaw(w.t, v["a"])
			v["raw"] = v["b"] // keeps raw a text that opens at its own refusal
			r.Value = w.framed(idTypes, v)
		}},
		{name: "another tenant", refuse: fieldcrypt.CodeForeignKey, moved: 4, move: func(_ *world, r *fieldcrypt.Record) {
			r.Headers = append(r.Headers, fieldcrypt.Header{Key: "tenant", Value: []byte("mallory")})
		}},
		{name: "a field of another key", refuse: fieldcrypt.CodeForeignKey, moved: 1, move: func(w *world, r *fieldcrypt.Record) {
			v := w.decoded(idHome, r.Value)
			v["card"] = v["a"]
			r.Value = w.framed(idHome, v)
		}},
	}
	for _, suite := range []string{"gcm", "xaes"} {
		for _, tt := range moves {
			t.Run(suite+"/"+tt.name, func(t *testing.T) {
				w := moveWorld(t)
				writer := w.engine(onePolicy(suite, tenants+"\ndataset: home\n"))
				if tt.name == "another schema name" {
					// Without a dataset of its own the schema's name stands for it.
					writer = w.engine(onePolicy(suite, tenants))
				}
				rec, err := writer.Protect(t.Context(), fieldcrypt.Record{Topic: "home", Value: w.framed(idHome, values())})
				if err != nil {
					t.Fatal(err)
				}
				tt.move(w, &rec)
				base := "dataset: home"
				switch {
				case tt.policy != "":
					base = tt.policy
				case tt.name == "another schema name":
					base = ""
				}
				strict := w.engine(onePolicy(suite, tenants+"\n"+base))
				_, err = strict.Reveal(t.Context(), rec)
				checkCode(t, "strict", err, tt.refuse)

				report := w.engine(onePolicy(suite, tenants+"\non_mismatch: report\n"+base))
				if _, err := report.Reveal(t.Context(), rec); err != nil {
					t.Errorf("report: %v", err)
				}
				if got := report.Stats().Moved; got < tt.moved || (tt.moved == 0 && got != 0) {
					t.Errorf("report counted %d moved values, want %d", got, tt.moved)
				}
			})
		}
	}
}

func checkCode(t *testing.T, what string, err error, want fieldcrypt.Code) {
	t.Helper()
	var e *fieldcrypt.Error
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want == "":
	case !errors.As(err, &e):
		t.Errorf("%s: %v, want code %s", what, err, want)
	case e.Code != want:
		t.Errorf("%s: code %s, want %s (%v)", what, e.Code, want, err)
	}
}
