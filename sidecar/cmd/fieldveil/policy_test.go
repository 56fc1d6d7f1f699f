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
			[]string{"/name         string  PII.NAME     mask     -", "/home/street  string  PII.ADDRESS  encrypt  pii"},
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
