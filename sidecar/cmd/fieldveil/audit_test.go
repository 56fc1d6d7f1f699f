package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/audit"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// auditTrail writes a trail in several files, and returns their name and that of
// the key.
func auditTrail(t *testing.T, n int) (path, key string, head audit.Head) {
	t.Helper()
	path, key = filepath.Join(t.TempDir(), "audit"), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), audit.Config{
		To: audit.ToFile, Path: path, MaxBytes: 64 << 10, Seal: audit.SealConfig{HMAC: secret.File(key)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := audit.Entry{
			Action: audit.ActionReveal, Outcome: audit.Granted, Actor: "ann\x1b[2J", Tenant: "acme", Topic: "customers",
			Purpose: fmt.Sprintf("case %d", i+1), Count: 3,
		}
		if err := l.Write(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	head = l.Head()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return path, key, head
}

// fieldveilAudit runs a command about trails.
func fieldveilAudit(stdin []byte, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(append([]string{"audit"}, args...), bytes.NewReader(stdin), &out, &err)
	return code, out.String(), err.String()
}

func TestAuditVerifyReadsARotatedSet(t *testing.T) {
	path, key, head := auditTrail(t, 400)
	parts, err := audit.Parts(path)
	if err != nil || len(parts) < 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	code, stdout, stderr := fieldveilAudit(nil, "verify", "--key", key, "--expect-seq", "400", "--expect-hash", head.Hash.String(), path)
	if code != exitOK || stdout != "" || !strings.Contains(stderr, "is whole: 400 lines") || !strings.Contains(stderr, head.Hash.String()) || !strings.Contains(stderr, "All are sealed") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
	// In the order in which a shell lists them.
	if code, stdout, stderr = fieldveilAudit(nil, append([]string{"verify", path}, parts...)...); code != exitOK {
		t.Errorf("named one by one: code %d\n%s%s", code, stdout, stderr)
	}
	var all []byte
	for _, p := range append(parts, path) {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if code, stdout, stderr = fieldveilAudit(all, "verify", "-"); code != exitOK {
		t.Errorf("from standard input: code %d\n%s%s", code, stdout, stderr)
	}
	if err := os.Remove(parts[0]); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ = fieldveilAudit(nil, "verify", path)
	if code != exitError || !strings.Contains(stdout, parts[1]+":1: lines 1 to ") {
		t.Errorf("without its first file: code %d\n%s", code, stdout)
	}
	first, err := strconv.Atoi(parts[1][len(parts[1])-20:])
	if err != nil {
		t.Fatal(err)
	}
	before, err := audit.ParseLine(bytes.SplitAfter(all, []byte("\n"))[first-2])
	if err != nil {
		t.Fatal(err)
	}
	seq := strconv.Itoa(first - 1)
	if code, stdout, _ = fieldveilAudit(nil, "verify", "--from-seq", seq, "--from-hash", before.Hash.String(), path); code != exitOK {
		t.Errorf("behind the line before: code %d\n%s", code, stdout)
	}
	if code, stdout, _ = fieldveilAudit(nil, "verify", "--from-seq", seq, "--from-hash", head.Hash.String(), path); code != exitError || stdout == "" {
		t.Errorf("behind another line: code %d\n%s", code, stdout)
	}
}

func TestAuditVerifyNamesTheLine(t *testing.T) {
	path, key, _ := auditTrail(t, 9)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for name, tt := range map[string]struct {
		text []byte
		args []string
		want string
	}{
		"a changed line":  {bytes.Replace(text, []byte("case 5"), []byte("case 6"), 1), nil, "standard input:5: changed"},
		"a deleted line":  {append(bytes.Join(lines[:3], nil), bytes.Join(lines[4:], nil)...), nil, "standard input:4: lines 4 to 4 are missing"},
		"a repeated line": {append(bytes.Join(lines[:3], nil), bytes.Join(lines[2:], nil)...), nil, "standard input:4: line 3 stands behind line 3"},
		"a cut end":       {bytes.Join(lines[:8], nil), []string{"--expect-seq", "9"}, "there is no line 9"},
		"a cut line":      {text[:len(text)-5], nil, "standard input:9:"},
		"nothing":         {nil, []string{"--key", key}, "there is no line"},
	} {
		code, stdout, stderr := fieldveilAudit(tt.text, append([]string{"verify", "-"}, tt.args...)...)
		if code != exitError || !strings.Contains(stdout, tt.want) || !strings.Contains(stderr, "not whole") {
			t.Errorf("%s: code %d\n%s%s", name, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{
		{"verify", "--expect-hash", "xyz", path},
		{"verify", "--from-hash", strings.Repeat("ab", 32), path},
		{"verify", "--key", path + "-none", path},
		{"verify", path + "-none"},
	} {
		if code, stdout, _ := fieldveilAudit(nil, args...); code != exitError || stdout != "" {
			t.Errorf("%v: code %d, %s", args, code, stdout)
		}
	}
}

func TestAuditShowIsATable(t *testing.T) {
	path, _, _ := auditTrail(t, 2)
	code, stdout, stderr := fieldveilAudit(nil, "show", path)
	rows := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitOK || len(rows) != 3 || !strings.HasPrefix(rows[0], "SEQ") || !strings.Contains(rows[2], `purpose="case 2"`) || strings.Contains(stdout, "\x1b") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := fieldveilAudit([]byte("x\n"), "show", "-"); code != exitError || !strings.Contains(stderr, "1 fault") && !strings.Contains(stderr, "2 faults") {
		t.Errorf("something else: code %d, %s", code, stderr)
	}
}
