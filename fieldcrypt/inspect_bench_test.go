package fieldcrypt_test

import (
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/fieldcrypttest"
	"github.com/fieldveil/fieldveil/schema"
)

// What a census pays for each record.
func BenchmarkKeysOf(b *testing.B) {
	const users = `{"type": "record", "name": "User", "fields": [
	  {"name": "email", "type": "string", "confluent:tags": ["PII"]}, {"name": "card", "type": "bytes", "confluent:tags": ["PII"]}]}`
	e := fieldcrypttest.New(b, `
version: 1
keys: {pii: {kek: "`+fieldcrypttest.KEK+`"}}
rules: [{tag: PII, action: encrypt, key: pii}]
`, fieldcrypt.WithTopicSchema("users", schema.Text{Format: schema.Avro, Schema: users}))
	value := append([]byte{30}, "ada@example.com"...)
	sealed, err := e.Protect(b.Context(), fieldcrypt.Record{Topic: "users", Value: append(value, 8, '4', '1', '1', '1')})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.KeysOf(b.Context(), sealed); err != nil {
			b.Fatal(err)
		}
	}
}
