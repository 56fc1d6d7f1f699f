package fieldcrypt_test

import (
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// What a record needs to be read, without reading it.
func ExampleEngine_KeysOf() {
	policy, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: web
keys: {pii: {kek: "local:dev"}}
topics: [{match: clicks, format: json, fields: [{path: /user, action: encrypt, key: pii}]}]
`))
	if err != nil {
		panic(err)
	}
	keys, err := datakey.New(localkms.NewInMemory())
	if err != nil {
		panic(err)
	}
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys)
	if err != nil {
		panic(err)
	}
	rec, err := engine.Protect(context.Background(), fieldcrypt.Record{Topic: "clicks", Value: []byte(`{"user":"ada"}`)})
	if err != nil {
		panic(err)
	}
	uses, err := engine.KeysOf(context.Background(), rec)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(uses), uses[0].KEK, uses[0].Values)
	// Output: 1 local:dev 1
}

// A process that reads its policy again asks whether the new one protects less.
func ExampleWeakens() {
	running, err := fieldcrypt.ParsePolicy([]byte("version: 1\nrules: [{tag: PII.EMAIL, action: mask, rule: email}, {tag: PII, action: reject}]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	next, err := fieldcrypt.ParsePolicy([]byte("version: 1\nrules: [{tag: PII.EMAIL, action: mask, rule: email}, {tag: PII, action: drop}]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range fieldcrypt.Weakens(running, next) {
		fmt.Println(f)
	}
	// Output:
	// error [rule-weaker] rules, line 2: tag PII: reject before, drop now
}
