package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestConfigCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const policy = "version: 1\nrules: [{tag: PII, action: drop}]\n"
	put("policy.yaml", policy)
	put("open.yaml", "version: 1\nrules: [{tag: PII, action: constant, value: x}]\n")
	// The brokers are all that has no default.
	const brokers = `properties: {bootstrap.servers: "b:9092"}`
	const kafka = "kafka: {" + brokers + "}\n"
	put("good.yaml", "version: 1\n"+kafka)
	put("weak.yaml", "version: 1\npolicy: {path: open.yaml}\nadmin: {addr: ':9191'}\n"+kafka)
	put("bad.yaml", "version: 1\nadmin: {addr: s3cr3t, port: 1}\n")
	put("nopolicy.yaml", "version: 1\npolicy: {path: none.yaml}\n"+kafka)

	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"defaults", []string{"print-defaults"}, 0, "\n# How the sidecar ends.\nshutdown:\n", ""},
		{"the schema", []string{"schema"}, 0, `"$schema": "https://json-schema.org/draft/2020-12/schema"`, ""},
		{"a good file", []string{"validate", "good.yaml"}, 0, "", "good.yaml is a valid configuration."},
		{"a bad file", []string{"validate", "bad.yaml"}, 1, `error [config-key] admin, line 2: unknown key "port" (known: addr, allowed_hosts, pprof)`, "not valid"},
		{"no policy", []string{"validate", "nopolicy.yaml"}, 1, "policy.path, line 2", "not valid"},
		{"no file", []string{"validate", "none.yaml"}, 1, "", "none.yaml"},
		{"the same as before", []string{"validate", "good.yaml", "--against", "good.yaml"}, 0, "", "valid"},
		{"weaker than before", []string{"validate", "weak.yaml", "--against", "good.yaml"}, 1, "weaker: error [rule-weaker] policy: rules", "The change is "},
		{"what needs a restart", []string{"validate", "weak.yaml", "--against", "good.yaml"}, 1, "needs a restart: admin", "protect less"},
		{"stronger than before", []string{"validate", "good.yaml", "--against", "weak.yaml"}, 0, "needs a restart: admin", "valid"},
		{"no file before", []string{"validate", "good.yaml", "--against", "none.yaml"}, 1, "", "--against"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := fieldveil(t, append([]string{"config"}, tt.args...)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) || strings.Contains(stdout+stderr, "s3cr3t") {
				t.Errorf("%d\n%s\n%s", code, stdout, stderr)
			}
		})
	}

	code, stdout, _ := fieldveil(t, "config", "print-defaults")
	put("defaults.yaml", strings.Replace(stdout, "properties: {}", brokers, 1))
	if code != 0 {
		t.Fatal(code)
	}
	if code, _, stderr := fieldveil(t, "config", "validate", "defaults.yaml", "--against", "good.yaml"); code != 0 {
		t.Errorf("the defaults are another configuration than none: %s", stderr)
	}
	var report configReport
	code, stdout, _ = fieldveil(t, "config", "validate", "weak.yaml", "--against", "good.yaml", "--json")
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != 1 || !report.Valid || len(report.Weaker) != 2 || len(report.Change) != 32 {
		t.Errorf("%d %v %s", code, err, stdout)
	}
}
