package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const checkedPolicy = `version: 1
keys:
  pii: {kek: "local:dev.kek"}
rules:
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - {match: "customers.*"}
`

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPolicyCheckKnowsAllFormats(t *testing.T) {
	policy := writeFile(t, "policy.yaml", checkedPolicy)
	for name, text := range map[string]string{
		"customer.schema.json": `{"type": "object", "title": "C", "properties": {"name": {"type": "string", "confluent:tags": ["PII.NAME"]}, "n": {"$ref": "n.json"}}}`,
		"customer.proto":       "syntax = \"proto3\"; import \"n.proto\"; import \"fieldveil/v1/options.proto\"; message C { string name = 1 [(fieldveil.v1.field).tags = \"PII.NAME\"]; N n = 2; }",
	} {
		ref := writeFile(t, "other", `{"type": "integer"}`)
		if strings.HasSuffix(name, ".proto") {
			ref = writeFile(t, "other", `syntax = "proto3"; message N { int32 i = 1; }`)
		}
		args := []string{"policy", "check", policy, "--topic", "customers.v1", "--schema", writeFile(t, name, text), "--ref", "n" + name[strings.LastIndexByte(name, '.'):] + "=" + ref}
		code, stdout, stderr := fieldveil(t, args...)
		if code != exitOK || !strings.Contains(stdout, "PII.NAME") || !strings.Contains(stdout, "mask") {
			t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
		}
		code, stdout, _ = fieldveil(t, append(args, "--json")...)
		if code != exitOK || !strings.Contains(stdout, `"reader_sees"`) {
			t.Errorf("%s: JSON: %s", name, stdout)
		}
	}
	unknown := writeFile(t, "customer.txt", "{}")
	if code, _, stderr := fieldveil(t, "policy", "check", policy, "--topic", "customers.v1", "--schema", unknown); code != exitError || !strings.Contains(stderr, "--format") {
		t.Errorf("a name without a format: %d, %s", code, stderr)
	}
}

func TestPolicyLint(t *testing.T) {
	good := writeFile(t, "good.yaml", checkedPolicy)
	odd := writeFile(t, "odd.yaml", "version: 1\nunknown_tag: allow\nrules: [{tag: PII, action: drop}]\n")
	bad := writeFile(t, "bad.yaml", "version: 1\nrules: [{tag: SESSION, action: unsafe-sha256, reason: random ids}]\n")
	clear := writeFile(t, "clear.avsc", `{"type": "record", "name": "C", "fields": [{"name": "homePhone", "type": "string"}, {"name": "x", "type": "string", "confluent:tags": ["PII"]}]}`)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing but a reminder", []string{good}, exitOK, "info [record-key-clear] topics[0], line 8"},
		{"a guard that is open", []string{odd}, exitOK, "warning [guard-open] unknown_tag"},
		{"strictly", []string{odd, "--strict"}, exitError, "warning [guard-open]"},
		{"a hash without a key", []string{bad}, exitError, "error [unsafe-hash] SESSION, line 2"},
		{"as JSON", []string{bad, "--json"}, exitError, `"code": "unsafe-hash"`},
		{"with a schema", []string{good, "--schema", clear, "--topic", "customers.v1"}, exitOK, "warning [clear-sounds-personal] /homePhone"},
	} {
		code, stdout, stderr := fieldveil(t, append([]string{"policy", "lint"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stdout, tt.want) {
			t.Errorf("%s: exit code %d\n%s%s", tt.name, code, stdout, stderr)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	policy := writeFile(t, "policy.yaml", checkedPolicy)
	address := writeFile(t, "address.avsc", `{"type": "record", "name": "Address", "namespace": "com.example",
	  "fields": [{"name": "street", "type": "string", "confluent:tags": ["PII.ADDRESS"]}]}`)
	customer := writeFile(t, "customer.avsc", `{"type": "record", "name": "Customer", "namespace": "com.example", "fields": [
	  {"name": "id", "type": "long"},
	  {"name": "name", "type": "string", "confluent:tags": ["PII.NAME"]},
	  {"name": "home", "type": "Address"}]}`)
	number := writeFile(t, "number.avsc", `{"type": "record", "name": "N", "fields": [
	  {"name": "age", "type": "int", "confluent:tags": ["PII.NAME"]}]}`)
	bad := writeFile(t, "bad.yaml", "version: 1\nrules:\n  - {tag: PII, action: encypt}\n")

	tests := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr []string
	}{
		{"a valid file", []string{policy}, exitOK, nil, []string{"is a valid policy"}},
		{
			"what happens to a schema", []string{policy, "--schema", customer, "--ref", address, "--topic", "customers.v1"}, exitOK,
			[]string{"/name         string  PII.NAME     mask, first 1  -", "/home/street  string  PII.ADDRESS  encrypt        pii"},
			[]string{"2 of 3 fields of com.example.Customer are governed"},
		},
		{"a fault has its place", []string{bad}, exitError, nil, []string{"bad.yaml:3:", `unknown action "encypt"`}},
		{"no such file", []string{"nowhere.yaml"}, exitError, nil, []string{"nowhere.yaml"}},
		{"a schema without a topic", []string{policy, "--schema", customer}, exitError, nil, []string{"--schema needs --topic"}},
		{"a topic without an entry", []string{policy, "--schema", customer, "--ref", address, "--topic", "orders"}, exitError, nil, []string{"topic_ungoverned"}},
		{"a missing reference", []string{policy, "--schema", customer, "--topic", "customers.v1"}, exitError, nil, []string{"customer.avsc", "Address"}},
		{"an action that does not fit", []string{policy, "--schema", number, "--topic", "customers.v1"}, exitError, nil, []string{"policy_mismatch", "/age", "int"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := fieldveil(t, append([]string{"policy", "check"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d; %s", code, tt.code, stderr)
			}
			for _, want := range tt.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("stdout has no %q:\n%s", want, stdout)
				}
			}
			for _, want := range tt.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr has no %q:\n%s", want, stderr)
				}
			}
		})
	}
}
