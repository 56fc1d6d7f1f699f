package fieldcrypttest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/fieldcrypttest"
	"github.com/fieldveil/fieldveil/schema"
)

// stand is what an example has in place of the t of a test.
type stand struct{ testing.TB }

func (stand) Helper()                      {}
func (stand) Cleanup(func())               {}
func (stand) Fatalf(text string, a ...any) { panic(fmt.Sprintf(text, a...)) }

// A test of a program that produces: no broker, no KMS, no file.
func ExampleNew() {
	var t testing.TB = stand{} // the t of your test

	const users = `{"type": "record", "name": "User", "fields": [
	  {"name": "email", "type": "string", "confluent:tags": ["PII"]}]}`
	engine := fieldcrypttest.New(t, `
version: 1
keys: {pii: {kek: "`+fieldcrypttest.KEK+`"}}
rules: [{tag: PII, action: encrypt, key: pii}]
`, fieldcrypt.WithTopicSchema("users", schema.Text{Format: schema.Avro, Schema: users}))

	email := func(rec fieldcrypt.Record) string {
		var u struct {
			Email string `avro:"email"`
		}
		if _, err := avro.MustParse(users).Decode(rec.Value, &u); err != nil {
			t.Fatalf("%v", err)
		}
		return u.Email
	}
	rec := fieldcrypt.Record{Topic: "users", Value: append([]byte{30}, "ada@example.com"...)}
	sealed, err := engine.Protect(context.Background(), rec)
	if err != nil {
		t.Fatalf("%v", err)
	}
	opened, err := engine.Reveal(context.Background(), sealed)
	if err != nil {
		t.Fatalf("%v", err)
	}
	fmt.Println(email(sealed)[:4], email(opened))
	// Output: fv1: ada@example.com
}
