package fieldcrypt_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

func ExampleParsePolicy() {
	policy, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: customers
keys:
  pii: {kek: "local:./dev.kek", refresh: 15m, expire: 60m}
rules:                                    # first match wins
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PII.BIRTH, action: constant, value: "1900-01-01"}
  - {tag: PII, action: encrypt, key: pii} # PII and all below it
topics:
  - {match: "customers.*"}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("policy %x\n", policy.Digest())
	// Output: policy c6ac02a028a5c2bd
}

// All faults are reported at once, each with its place.
func ExampleParsePolicy_errors() {
	_, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
rules:
  - {tag: PII.EMAIL, action: encypt, key: pii}
  - {tag: PII, action: mask}
  - {tag: PII.NAME, action: drop}
`))
	if errs, ok := errors.AsType[fieldcrypt.PolicyErrors](err); ok {
		for _, e := range errs {
			fmt.Printf("line %d, %s: %s\n", e.Line, e.Path, e.Reason)
		}
	}
	// Output:
	// line 4, rules[0].action: unknown action "encypt" (known: constant, drop, encrypt, generalize, hash, mask, reject, shift, tokenize, unsafe-sha256)
	// line 5, rules[1]: action mask needs "rule", or "keep_first", "keep_last" or both, or "match" and "with"; keep_last: 0 hides the whole value
	// line 6, rules[2]: never reached: rules[1] on line 5 is for "PII.NAME" already
}

func ExampleLoadPolicy() {
	dir, err := os.MkdirTemp("", "policy")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "policy.yaml")
	text := "version: 1\nrules:\n  - {tag: PII, action: drop}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	policy, err := fieldcrypt.LoadPolicy(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("policy %x\n", policy.Digest())
	// Output: policy 43b7f4bdce924486
}

func ExamplePolicyError() {
	err := &fieldcrypt.PolicyError{
		File: "policy.yaml", Line: 12, Column: 5,
		Path: "rules[2].tag", Reason: "must not be empty",
	}
	fmt.Println(err)
	// Output: policy.yaml:12:5: rules[2].tag: must not be empty
}
