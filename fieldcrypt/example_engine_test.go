package fieldcrypt_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// exampleEngine is an engine that knows the example schema as id 7.
func exampleEngine() (*fieldcrypt.Engine, *datakey.Cache) {
	policy, keys := exampleParts()
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithSchemas(schema.Static{7: exampleText()}))
	if err != nil {
		panic(err)
	}
	return engine, keys
}

// exampleRecord is what a producer's serializer made.
func exampleRecord(u user) fieldcrypt.Record {
	value, err := twmb.MustParse(exampleSchema).AppendEncode([]byte{0, 0, 0, 0, 7}, u)
	if err != nil {
		panic(err)
	}
	return fieldcrypt.Record{Topic: "users", Key: []byte(u.ID), Value: value}
}

func exampleUser(value []byte) (u user) {
	if _, err := twmb.MustParse(exampleSchema).Decode(value[5:], &u); err != nil {
		panic(err)
	}
	return u
}

func examplePlan() (*fieldcrypt.Plan, *datakey.Cache) {
	policy, keys := exampleParts()
	users, err := avro.Parse(exampleText())
	if err != nil {
		panic(err)
	}
	plan, err := fieldcrypt.Compile(users, policy, keys, "users")
	if err != nil {
		panic(err)
	}
	return plan, keys
}

func ExampleNew() {
	policy, err := fieldcrypt.ParsePolicy([]byte(examplePolicy))
	if err != nil {
		fmt.Println(err)
		return
	}
	// With a key store, records open even where their headers were lost.
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()}, datakey.WithStore(new(datakey.MemStore)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithSchemas(schema.Static{7: exampleText()}))
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed, err := engine.Protect(context.Background(), exampleRecord(user{"1", "Ada", "ada@example.com"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed.Headers = nil
	opened, err := engine.Reveal(context.Background(), sealed)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(exampleUser(opened.Value).Email)
	// Output: ada@example.com
}

func ExampleWithSchemas() {
	policy, keys := exampleParts()
	defer keys.Close()
	// Any type with a method Schema will do; an id is asked for once per topic.
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithSchemas(schema.Static{7: exampleText()}))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = engine.Protect(context.Background(), fieldcrypt.Record{Topic: "users", Value: []byte{0, 0, 0, 0, 8, 0}})
	fmt.Println(errors.Is(err, schema.ErrNotFound))
	fmt.Println(err)
	// Output:
	// true
	// fieldcrypt: compile topic "users" schema 8: schema_unavailable: schema: id 8: schema not found
}

func ExampleEngine_Protect() {
	engine, keys := exampleEngine()
	defer keys.Close()
	rec := exampleRecord(user{"1", "Ada", "ada@example.com"})
	rec.Headers = []fieldcrypt.Header{{Key: "trace", Value: []byte("abc")}}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sealed, err := engine.Protect(ctx, rec)
	if err != nil {
		fmt.Println(err) // the record must not be sent
		return
	}
	for _, h := range sealed.Headers {
		fmt.Println(h.Key)
	}
	fmt.Println(exampleUser(sealed.Value).Name)
	// Output:
	// trace
	// fv-meta
	// fv-key
	// A**
}

func ExampleEngine_AppendProtected() {
	engine, keys := exampleEngine()
	defer keys.Close()
	buf := make([]byte, 0, 64<<10) // of a whole batch
	var batch []fieldcrypt.Record
	for _, u := range []user{{"1", "Ada", "ada@example.com"}, {"2", "Bo", "bo@example.com"}} {
		sealed, err := engine.AppendProtected(context.Background(), buf, exampleRecord(u))
		if err != nil {
			fmt.Println(err)
			return
		}
		buf = buf[:len(buf)+len(sealed.Value)] // the next value stands behind this one
		batch = append(batch, sealed)
	}
	for _, sealed := range batch {
		fmt.Println(exampleUser(sealed.Value).Name)
	}
	// Output:
	// A**
	// B*
}

func ExampleEngine_ProtectInto() {
	engine, keys := exampleEngine()
	defer keys.Close()
	var sealed fieldcrypt.Record // its memory serves every record
	for _, u := range []user{{"1", "Ada", "ada@example.com"}, {"2", "Bo", "bo@example.com"}} {
		rec := exampleRecord(u)
		if err := engine.ProtectInto(context.Background(), &sealed, &rec); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(exampleUser(sealed.Value).Name) // and is sent, before the next one comes
	}
	// Output:
	// A**
	// B*
}

func ExampleEngine_ProtectBatch() {
	engine, keys := exampleEngine()
	defer keys.Close()
	batch := []fieldcrypt.Record{exampleRecord(user{"1", "Ada", "ada@example.com"}), {Topic: "users", Value: []byte("broken")}}
	sealed := make([]fieldcrypt.Record, len(batch)) // its memory serves every batch
	errs := engine.ProtectBatch(context.Background(), sealed, batch)
	for i := range sealed {
		if len(errs) > 0 && errs[i] != nil {
			fmt.Println(errs[i])
			continue
		}
		fmt.Println(exampleUser(sealed[i].Value).Name)
	}
	// Output:
	// A**
	// fieldcrypt: protect topic "users": record_malformed: malformed record: no schema framing: the first byte is not zero
}

func ExamplePlan_AppendProtectedAll() {
	plan, keys := examplePlan()
	defer keys.Close()
	var srcs [][]byte
	for _, u := range []user{{"1", "Ada", "ada@example.com"}, {"2", "Bo", "bo@example.com"}} {
		srcs = append(srcs, exampleRecord(u).Value[5:])
	}
	all, ends, blocks, err := plan.AppendProtectedAll(context.Background(), "", nil, srcs, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(ends), ends[1] == len(all), len(blocks))
	// Output: 2 true 1
}

func ExampleEngine_Reveal() {
	engine, keys := exampleEngine()
	defer keys.Close()
	sealed, err := engine.Protect(context.Background(), exampleRecord(user{"1", "Ada", "ada@example.com"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	opened, err := engine.Reveal(context.Background(), sealed)
	if err != nil {
		fmt.Println(err)
		return
	}
	// What was masked stays so.
	u := exampleUser(opened.Value)
	fmt.Println(u.Name, u.Email, len(opened.Headers))
	// Output: A** ada@example.com 0
}

func ExamplePlan_AppendRevealed() {
	plan, keys := examplePlan()
	defer keys.Close()
	record := exampleRecord(user{"1", "Ada", "ada@example.com"}).Value[5:] // a plan knows no framing
	sealed, blocks, err := plan.AppendProtected(context.Background(), "acme", nil, record, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tenant := range []string{"acme", "mallory"} {
		_, err := plan.AppendRevealed(context.Background(), tenant, nil, sealed, blocks)
		e, _ := errors.AsType[*fieldcrypt.Error](err)
		fmt.Println(tenant, err == nil, e != nil && e.Code == fieldcrypt.CodeForeignKey)
	}
	// Output:
	// acme true false
	// mallory false true
}

func ExamplePlan_Actions() {
	plan, keys := examplePlan()
	defer keys.Close()
	for _, a := range plan.Actions() {
		fmt.Printf("%s %s %s: %s %q\n", a.Path, a.Type, a.Tag, a.Action, a.Key)
	}
	// Output:
	// /name string PII.NAME: mask ""
	// /email string PII.EMAIL: encrypt "pii"
}

func ExamplePolicy_Digest() {
	policy, err := fieldcrypt.ParsePolicy([]byte("version: 1\nrules: [{tag: PII, action: drop}]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	// It is the content of the header fv-meta.
	fmt.Printf("%x\n", policy.Digest())
	// Output: 640d6a22da020fb2
}

func ExampleError_Error() {
	err := &fieldcrypt.Error{
		Op: "protect", Topic: "users", SchemaID: 7, Path: "/name", Tag: "PII.NAME", Action: "mask",
		Code: fieldcrypt.CodeNotText,
	}
	fmt.Println(err)
	// Output: fieldcrypt: protect topic "users" schema 7 mask /name (tag PII.NAME): value_not_text
}

func ExampleError_Retryable() {
	engine, keys := exampleEngine()
	keys.Close() // what a KMS that denies looks like
	rec := exampleRecord(user{"1", "Ada", "ada@example.com"})

	_, err := engine.Protect(context.Background(), rec)
	if e, ok := errors.AsType[*fieldcrypt.Error](err); ok {
		switch {
		case e.Retryable():
			fmt.Println("hold the record and try again later")
		default:
			fmt.Println("stop, and tell somebody:", e.Code)
		}
	}
	// Output: stop, and tell somebody: key_unusable
}

func ExamplePolicyErrors() {
	_, err := fieldcrypt.ParsePolicy([]byte("version: 1\nrules:\n  - {tag: PII}\n  - {action: drop}\n"))
	if errs, ok := errors.AsType[fieldcrypt.PolicyErrors](err); ok {
		fmt.Println(len(errs), "faults")
	}
	fmt.Println(err)
	// Output:
	// 2 faults
	// policy:3:5: rules[0]: "action" is missing
	// policy:4:5: rules[1]: "tag" is missing
}
