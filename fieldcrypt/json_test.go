package fieldcrypt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

const jsonPolicy = `
version: 1
dataset: clicks
keys: {pii: {kek: "local:k"}}
topics:
  - match: clicks
    format: json
    fields:
      - {path: /user/email, action: encrypt, key: pii}
      - {path: /user/name, action: mask, keep_first: 1}
      - {path: /user/agent, action: constant, value: "a \"browser\""}
      - {path: /user/phone, action: drop}
      - {path: "/cards/[]/pan", action: encrypt, key: pii}
      - {path: /**/ssn, action: encrypt, key: pii}
      - {path: /devices/*/ip, action: encrypt, key: pii}
`

func TestJSONWithoutASchemaIsProtectedByPath(t *testing.T) {
	w := newWorld(t)
	e := w.engine(jsonPolicy)
	const doc = ` {"id": 1e2, "user":{"email":"a\u0064a@example.com" , "name":"Ada Example","agent":"x","phone":"+1 212 555 0100","plan":"gold"},
	"cards":[{"pan":4111111111111111,"exp":"12/30"},{"pan":{"parts":[4111,1111]}},{"pan":null}],
	"deep":[[{"ssn":true}]], "ssn": "078-05-1120", "devices":{"a b":{"ip":"192.0.2.1"},"\u00e9":{"ip":[]}}}
`
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "clicks", Value: []byte(doc)})
	if err != nil {
		t.Fatal(err)
	}
	got := string(out.Value)
	for _, secret := range []string{"example.com", "Example", "555 0100", "4111", "078-05", "192.0.2", "true", "[]}"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is in clear: %s", secret, got)
		}
	}
	if n := strings.Count(got, `"fv1:`); n != 7 {
		t.Errorf("%d envelopes: %s", n, got)
	}
	for _, want := range []string{
		` {"id": 1e2, "user":{"email":"fv1:`, `" , "name":"A**********","agent":"a \"browser\"","phone":null,"plan":"gold"},`,
		`,"exp":"12/30"},{"pan":"fv1:`, `{"pan":null}]`, "\"\\u00e9\":{\"ip\":\"fv1:", "}}}\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it has no %s: %s", want, got)
		}
	}
	back, err := w.engine(jsonPolicy).Reveal(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	restored := strings.NewReplacer(`"Ada Example"`, `"A**********"`, `"agent":"x"`, `"agent":"a \"browser\""`, `"+1 212 555 0100"`, "null").Replace(doc)
	if string(back.Value) != restored {
		t.Errorf("revealed:\n%s\nwant:\n%s", back.Value, restored)
	}
}

// FV-64
func TestJSONThatTwoReadersCouldReadDifferentlyIsRefused(t *testing.T) {
	w := newWorld(t)
	e := w.engine(jsonPolicy)
	for name, doc := range map[string]string{
		"a name twice":                  `{"user":{"email":"x","email":"secret"}}`,
		"a container twice":             `{"user":{"email":"x"},"user":{"email":"secret"}}`,
		"a name twice, once escaped":    `{"user":{"email":"x","e\u006dail":"secret"}}`,
		"another case":                  `{"user":{"Email":"secret"}}`,
		"another case of a container":   `{"USER":{"email":"secret"}}`,
		"a second document":             `{"user":{}} {"user":{"email":"secret"}}`,
		"bad UTF-8":                     "{\"user\":{\"email\":\"secret\xff\"}}",
		"a lone surrogate":              `{"user":{"email":"secret\ud800"}}`,
		"a byte order mark":             "\ufeff{\"user\":{\"email\":\"secret\"}}",
		"NaN":                           `{"user":{"email":NaN,"x":"secret"}}`,
		"cut":                           `{"user":{"email":"secret"`,
		"nothing":                       "",
		"a mask of something else":      `{"user":{"name":{"first":"secret"}}}`,
		"too deep":                      strings.Repeat("[", 70) + `"secret"` + strings.Repeat("]", 70),
		"a control character":           "{\"user\":{\"email\":\"secret\x01\"}}",
		"a number with a leading zero":  `{"user":{"email":01,"x":"secret"}}`,
		"a comma too many":              `{"user":{"email":"secret",}}`,
		"an array with a comma missing": `{"cards":[{"pan":"secret"} {"pan":"secret"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "clicks", Value: []byte(doc)})
			checkCode(t, "protect", err, fieldcrypt.CodeMalformed)
			if out.Value != nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestReportModeLeavesJSONThatWasNeverSealed(t *testing.T) {
	w := newWorld(t)
	const doc = `{"user":{"email":7},"cards":[{"pan":"4111"},{"pan":{"a":[1]}}]}`
	rec := fieldcrypt.Record{Topic: "clicks", Value: []byte(doc)}
	_, err := w.engine(jsonPolicy).Reveal(t.Context(), rec)
	checkCode(t, "reveal", err, fieldcrypt.CodeUnsealed)
	report := w.engine("on_mismatch: report\n" + jsonPolicy)
	out, err := report.Reveal(t.Context(), rec)
	if err != nil || string(out.Value) != doc || report.Stats().Unsealed != 3 {
		t.Errorf("%s, %+v, %v", out.Value, report.Stats(), err)
	}
}

// FV-65: a value is bound to its path, to the dataset, and to being JSON.
func TestAJSONValueOpensOnlyWhereItWasSealed(t *testing.T) {
	w := newWorld(t)
	e := w.engine(jsonPolicy)
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "clicks", Value: []byte(`{"user":{"email":"a"},"ssn":"b"}`)})
	if err != nil {
		t.Fatal(err)
	}
	out.Value = []byte(strings.NewReplacer(`"user":{"email"`, `"ssn"`, `},"ssn":`, `,"user":{"email":`).Replace(string(out.Value)) + "}")
	_, err = e.Reveal(t.Context(), out)
	checkCode(t, "reveal", err, fieldcrypt.CodeMoved)
	if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || f.Path != "/**/ssn" {
		t.Errorf("%v", err)
	}
}
