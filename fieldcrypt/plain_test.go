package fieldcrypt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// What is sealed stands in a JSON document without anybody looking for what needs
// escapes. Whatever the value, it must be a document again.
func TestSealedTextNeedsNoEscapes(t *testing.T) {
	w := newWorld(t)
	e := w.engine(fmt.Sprintf(`
version: 1
keys: {pii: {kek: "local:k"}, long: {kek: "local:k", suite: xaes}}
domain_keys: {ids: {kek: "local:k", versions: [%s]}}
topics:
  - match: t
    format: json
    fields:
      - {path: /random, action: encrypt, key: pii}
      - {path: /long, action: encrypt, key: long}
      - {path: /equal, action: encrypt, key: ids, mode: deterministic}
`, w.domainKey("")))
	hostile := []string{`"`, `\`, "\x00", "\n", "\u2028", "é", "😀", "a", `"}],`, ""}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var text strings.Builder
		for range r.IntN(40) {
			text.WriteString(hostile[r.IntN(len(hostile))])
		}
		value, err := json.Marshal(map[string]string{"random": text.String(), "long": text.String(), "equal": text.String(), "clear": "x"})
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: value})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal(out.Value, &got); err != nil || len(got) != 4 {
			t.Fatalf("%s became %s: %v", value, out.Value, err)
		}
		for _, path := range []string{"random", "long", "equal"} {
			if s := got[path]; !strings.HasPrefix(s, "fv1:") || strings.Trim(s[4:], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				t.Fatalf("/%s is %q", path, s)
			}
		}
		back, err := e.Reveal(t.Context(), out)
		if err != nil || !bytes.Equal(back.Value, value) {
			t.Fatalf("%s came back as %s, %v", value, back.Value, err)
		}
	}
}

// The schema that came last is found without a table; the others still are.
func TestSchemasOfATopicTakeTurns(t *testing.T) {
	w := newWorld(t)
	names := []string{"a", "b", "c"}
	for i, name := range names {
		w.schemas[i+1] = avroText(fmt.Sprintf(
			`{"type": "record", "name": "R", "fields": [{"name": %q, "type": "string", "confluent:tags": ["PII"]}]}`, name))
	}
	e := w.engine("version: 1\ndataset: d\nkeys: {pii: {kek: \"local:k\"}}\nrules: [{tag: PII, action: encrypt, key: pii}]\n")
	for range 3 {
		for i, name := range names {
			rec := fieldcrypt.Record{Topic: "t", Value: w.framed(i+1, map[string]any{name: "CANARY"})}
			out, err := e.Protect(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := w.decoded(i+1, out.Value)[name].(string); !ok || !strings.HasPrefix(s, "fv1:") {
				t.Errorf("schema %d: %q", i+1, s)
			}
			back, err := e.Reveal(t.Context(), out)
			if err != nil || w.decoded(i+1, back.Value)[name] != "CANARY" {
				t.Errorf("schema %d: %x, %v", i+1, back.Value, err)
			}
		}
	}
}
