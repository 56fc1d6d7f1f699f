package fieldcrypt_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

const (
	exampleSchema = `{"type": "record", "name": "User", "namespace": "com.example", "fields": [
	  {"name": "id", "type": "string"},
	  {"name": "name", "type": "string", "confluent:tags": ["PII.NAME"]},
	  {"name": "email", "type": "string", "confluent:tags": ["PII.EMAIL"]}]}`

	examplePolicy = `
version: 1
keys:
  pii: {kek: "local:./dev.kek"}
rules:
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PII, action: encrypt, key: pii}
`
)

type user struct {
	ID    string `avro:"id"`
	Name  string `avro:"name"`
	Email string `avro:"email"`
}

func exampleText() schema.Text { return schema.Text{Format: schema.Avro, Schema: exampleSchema} }

// exampleParts returns what every program has: a policy and keys. The KEK is in
// memory here; see localkms.New and the other providers.
func exampleParts() (*fieldcrypt.Policy, *datakey.Cache) {
	policy, err := fieldcrypt.ParsePolicy([]byte(examplePolicy))
	if err != nil {
		panic(err)
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		panic(err)
	}
	return policy, keys
}

func ExampleEngine() {
	policy, keys := exampleParts()
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithSchemas(schema.Static{7: exampleText()}))
	if err != nil {
		fmt.Println(err)
		return
	}

	// What a producer's serializer made: framing with the schema id, and Avro.
	value, err := twmb.MustParse(exampleSchema).AppendEncode([]byte{0, 0, 0, 0, 7}, user{"1", "Ada", "ada@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed, err := engine.Protect(context.Background(), fieldcrypt.Record{Topic: "users", Value: value})
	if err != nil {
		fmt.Println(err)
		return
	}
	var u user
	if _, err := twmb.MustParse(exampleSchema).Decode(sealed.Value[5:], &u); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(u.Name, u.Email[:4]+"…")

	opened, err := engine.Reveal(context.Background(), sealed)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := twmb.MustParse(exampleSchema).Decode(opened.Value[5:], &u); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(u.Name, u.Email)
	// Output:
	// A** fv1:…
	// A** ada@example.com
}

func ExampleWithTopicSchema() {
	policy, keys := exampleParts()
	defer keys.Close()
	// Records without the framing of a schema registry.
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithTopicSchema("users", exampleText()))
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := twmb.MustParse(exampleSchema).Encode(user{"1", "Ada", "ada@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 0, 4096)
	sealed, err := engine.AppendProtected(context.Background(), buf, fieldcrypt.Record{Topic: "users", Value: value})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range sealed.Headers {
		fmt.Println(h.Key)
	}
	fmt.Println(strings.Contains(string(sealed.Value), "ada@example.com"))
	// Output:
	// fv-meta
	// fv-key
	// false
}

func ExampleCompile() {
	policy, keys := exampleParts()
	defer keys.Close()
	users, err := avro.Parse(exampleText())
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := fieldcrypt.Compile(users, policy, keys, "users")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range plan.Actions() {
		fmt.Println(a.Path, a.Tag, a.Action+"("+a.Key+")")
	}
	// Output:
	// /name PII.NAME mask()
	// /email PII.EMAIL encrypt(pii)
}

func ExamplePlan_AppendProtected() {
	policy, keys := exampleParts()
	defer keys.Close()
	users, err := avro.Parse(exampleText())
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := fieldcrypt.Compile(users, policy, keys, "users")
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := twmb.MustParse(exampleSchema).Encode(user{"1", "Ada", "ada@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Both buffers serve record after record; nothing is allocated.
	dst, blocks := make([]byte, 0, 4096), make([][]byte, 0, 2)
	dst, blocks, err = plan.AppendProtected(context.Background(), "", dst, record, blocks)
	if err != nil {
		fmt.Println(err)
		return
	}
	back, err := plan.AppendRevealed(context.Background(), "", nil, dst, blocks)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(blocks), strings.Contains(string(back), "ada@example.com"))
	// Output: 1 true
}

func ExampleError() {
	policy, keys := exampleParts()
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithSchemas(schema.Static{7: exampleText()}))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = engine.Protect(context.Background(), fieldcrypt.Record{Topic: "users", Value: []byte("\x00\x00\x00\x00\x07\x02")})
	if e, ok := errors.AsType[*fieldcrypt.Error](err); ok {
		fmt.Println(e.Code, e.Topic, e.SchemaID, e.Retryable())
	}
	fmt.Println(err)
	// Output:
	// record_malformed users 7 false
	// fieldcrypt: protect topic "users" schema 7: record_malformed: malformed record: length is negative or beyond the end
}

func ExampleEngine_Stats() {
	policy, keys := exampleParts()
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	// In a policy with on_mismatch: report, what strict would refuse is counted.
	fmt.Println(engine.Stats().Moved, engine.Stats().Unsealed)
	// Output: 0 0
}
