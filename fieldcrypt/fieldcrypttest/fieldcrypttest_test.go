package fieldcrypttest_test

import (
	"bytes"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/fieldcrypttest"
	"github.com/fieldveil/fieldveil/schema"
)

func TestAReadyEngineProtectsAndReveals(t *testing.T) {
	const text = `{"type": "record", "name": "User", "fields": [
	  {"name": "email", "type": "string", "confluent:tags": ["PII"]}]}`
	const policy = `
version: 1
keys: {pii: {kek: "` + fieldcrypttest.KEK + `"}}
rules: [{tag: PII, action: encrypt, key: pii}]
`
	engine := fieldcrypttest.New(t, policy,
		fieldcrypt.WithTopicSchema("users", schema.Text{Format: schema.Avro, Schema: text}))
	value, err := avro.MustParse(text).Encode(map[string]any{"email": "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := engine.Protect(t.Context(), fieldcrypt.Record{Topic: "users", Value: value})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.Value, []byte("ada@")) {
		t.Error("the value left in clear")
	}
	sealed.Headers = nil
	back, err := engine.Reveal(t.Context(), sealed)
	if err != nil || !bytes.Equal(back.Value, value) {
		t.Errorf("revealed %q, %v", back.Value, err)
	}
}
