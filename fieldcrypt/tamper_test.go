package fieldcrypt_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// FV-12, FV-13, FV-16: every bit flipped and every cut of 200 envelopes of each
// suite, half of them text and half bytes, gives a typed error and no plaintext.
func TestEveryBitAndEveryCutOfAnEnvelopeIsRefused(t *testing.T) {
	const text = `{"type": "record", "name": "R", "fields": [
	  {"name": "s", "type": "string", "confluent:tags": ["PII"]},
	  {"name": "b", "type": "bytes", "confluent:tags": ["PII"]}]}`
	for _, suite := range []string{"gcm", "xaes"} {
		t.Run(suite, func(t *testing.T) {
			w := newWorld(t)
			w.schemas[1] = avroText(text)
			engine := w.engine(onePolicy(suite, ""))
			codes := make(map[fieldcrypt.Code]int)
			check := func(what string, rec fieldcrypt.Record) {
				t.Helper()
				out, err := engine.Reveal(t.Context(), rec)
				var e *fieldcrypt.Error
				if !errors.As(err, &e) || e.Path == "" {
					t.Fatalf("%s: %v, value %q", what, err, out.Value)
				}
				if out.Value != nil {
					t.Fatalf("%s: a value came back beside the error", what)
				}
				codes[e.Code]++
			}
			for i := range 100 {
				plain := fmt.Sprintf("plaintext %d", i*i)
				rec, err := engine.Protect(t.Context(), fieldcrypt.Record{
					Topic: "t", Value: w.framed(1, map[string]any{"s": plain, "b": []byte(plain)}),
				})
				if err != nil {
					t.Fatal(err)
				}
				sealed := w.decoded(1, rec.Value)
				sealedText, _ := sealed["s"].(string)
				sealedBytes, _ := sealed["b"].([]byte)
				put := func(s string, b []byte) fieldcrypt.Record {
					r := rec
					r.Value = w.framed(1, map[string]any{"s": s, "b": b})
					return r
				}

				for bit := range len(sealedBytes) * 8 {
					bad := bytes.Clone(sealedBytes)
					bad[bit/8] ^= 1 << (bit % 8)
					check("bytes: flipped bit", put(sealedText, bad))
				}
				for n := range sealedBytes {
					check("bytes: cut", put(sealedText, sealedBytes[:n]))
				}
				check("bytes: longer", put(sealedText, append(bytes.Clone(sealedBytes), 0)))
				for bit := range len(sealedText) * 8 {
					bad := []byte(sealedText)
					bad[bit/8] ^= 1 << (bit % 8)
					check("text: flipped bit", put(string(bad), sealedBytes))
				}
				for n := range sealedText {
					check("text: cut", put(sealedText[:n], sealedBytes))
				}
				check("text: longer", put(sealedText+"A", sealedBytes))
			}
			t.Logf("refusals: %v", codes)
		})
	}
}
