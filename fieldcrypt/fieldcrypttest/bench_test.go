package fieldcrypttest_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/fieldcrypttest"
)

// Two processes that hash a value to the same text.
func ExampleBench() {
	var t testing.TB = stand{} // the t of your test

	b := fieldcrypttest.Open(t)
	policy := `
version: 1
dataset: clicks
domain_keys: {ids: {kek: "` + fieldcrypttest.KEK + `", versions: ["` + b.DomainKey("") + `"]}}
topics: [{match: clicks, format: json, fields: [{path: /user, action: hash, key: ids}]}]
`
	rec := fieldcrypt.Record{Topic: "clicks", Value: []byte(`{"user":"ada"}`)}
	one, err := b.Engine(policy).Protect(context.Background(), rec)
	if err != nil {
		t.Fatalf("%v", err)
	}
	two, err := b.Engine(policy).Protect(context.Background(), rec)
	if err != nil {
		t.Fatalf("%v", err)
	}
	fmt.Println(bytes.Equal(one.Value, two.Value), len(one.Value))
	// Output: true 75
}

func TestEnginesOfOneBenchReadEachOther(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("the policy uses AES-SIV, which a process that enforces FIPS 140-3 refuses")
	}
	b := fieldcrypttest.Open(t)
	policy := `
version: 1
dataset: clicks
domain_keys: {ids: {kek: "` + fieldcrypttest.KEK + `", versions: ["` + b.DomainKey("") + `"]}}
topics: [{match: clicks, format: json, fields: [{path: /user, action: encrypt, key: ids, mode: deterministic}]}]
`
	rec := fieldcrypt.Record{Topic: "clicks", Value: []byte(`{"user":"ada"}`)}
	sealed, err := b.Engine(policy).Protect(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.Engine(policy).Reveal(t.Context(), sealed)
	if err != nil || !bytes.Equal(back.Value, rec.Value) {
		t.Errorf("%q, %v", back.Value, err)
	}
	if _, err := fieldcrypttest.Open(t).Engine(policy).Reveal(t.Context(), sealed); err == nil {
		t.Error("another bench opens it")
	}
}
