package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore"
)

const personsPolicy = `
version: 1
dataset: customers
persons: {kek: "local:persons.kek", by: /id}
topics: [{match: "*", format: json, fields: [{path: /name, action: encrypt, mode: person}]}]
`

// inOffice goes to an empty directory with a policy, a KEK, a store and a ledger.
func inOffice(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("FIELDVEIL_STORE", "bolt:keys.db")
	t.Setenv("FIELDVEIL_LEDGER", "file:forgotten.ledger")
	if err := os.WriteFile("policy.yaml", []byte(personsPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"kek", "create", "persons.kek"}, {"person", "init"}, {"person", "init"}} {
		if code, _, stderr := fieldveil(t, args...); code != 0 {
			t.Fatalf("%q: %d, %s", args, code, stderr)
		}
	}
}

// protected returns a record of a person, as a producer would write it.
func protected(t *testing.T, id string) fieldcrypt.Record {
	t.Helper()
	f := personFlags{storeFlag{os.Getenv("FIELDVEIL_STORE")}, ledgerFlag{os.Getenv("FIELDVEIL_LEDGER")}, "policy.yaml", ""}
	e, end, err := f.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	rec, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "c", Value: []byte(`{"id":"` + id + `","name":"Ada Example"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// revealed returns the code of the error that a reader gets, empty for none.
func revealed(t *testing.T, rec fieldcrypt.Record) fieldcrypt.Code {
	t.Helper()
	f := personFlags{storeFlag{os.Getenv("FIELDVEIL_STORE")}, ledgerFlag{os.Getenv("FIELDVEIL_LEDGER")}, "policy.yaml", ""}
	e, end, err := f.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if _, err := e.Reveal(t.Context(), rec); err != nil {
		f, _ := err.(*fieldcrypt.Error) //nolint:errorlint // Reveal returns nothing else
		return f.Code
	}
	return ""
}

func TestAPersonIsForgottenByCommand(t *testing.T) {
	inOffice(t)
	ann, bob, eve := protected(t, "ann@example.com"), protected(t, "bob@example.com"), protected(t, "eve@example.com")
	if err := copyFile("keys.db", "yesterday.db"); err != nil {
		t.Fatal(err)
	}

	code, id, stderr := fieldveilReading(t, "eve@example.com\n", "person", "id", "--policy", "policy.yaml")
	if code != 0 || len(strings.TrimSpace(id)) != 64 {
		t.Fatalf("id: %d, %q, %s", code, id, stderr)
	}
	code, out, stderr := fieldveilReading(t, "ann@example.com\n\n", "person", "forget", "--policy", "policy.yaml", "--by", "privacy desk", "--reason", "request 17")
	var entry struct {
		Seq    int
		Person string
		Reason string
	}
	if err := json.Unmarshal([]byte(out), &entry); code != 0 || err != nil || entry.Seq != 1 || entry.Reason != "request 17" {
		t.Fatalf("forget: %d, %q, %s, %v", code, out, stderr, err)
	}
	// By id, nobody has to be able to use the KEK.
	if err := os.Rename("persons.kek", "away.kek"); err != nil {
		t.Fatal(err)
	}
	code, out, stderr = fieldveilReading(t, id, "person", "forget", "--ids", "--policy", "policy.yaml", "--by", "privacy desk", "--reason", "request 18")
	if code != 0 || !strings.Contains(out, strings.TrimSpace(id)) {
		t.Fatalf("forget by id: %d, %q, %s", code, out, stderr)
	}
	if err := os.Rename("away.kek", "persons.kek"); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for name, c := range map[string]struct {
			rec  fieldcrypt.Record
			want fieldcrypt.Code
		}{"ann": {ann, fieldcrypt.CodeForgotten}, "bob": {bob, ""}, "eve": {eve, fieldcrypt.CodeForgotten}} {
			if got := revealed(t, c.rec); got != c.want {
				t.Errorf("%s: %s: code %q, want %q", when, name, got, c.want)
			}
		}
	}
	check("afterwards")

	code, out, stderr = fieldveil(t, "person", "ledger")
	if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(stderr, "is whole: 2 entries") {
		t.Errorf("ledger: %d, %q, %s", code, out, stderr)
	}
	for _, text := range []string{out, stderr, entry.Person} {
		if strings.Contains(text, "example.com") {
			t.Errorf("an identifier is shown: %s", text)
		}
	}
	if err := copyFile("yesterday.db", "keys.db"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"person", "replay"}, {"person", "replay", "--all"}} {
		if code, _, stderr = fieldveil(t, args...); code != 0 || !strings.Contains(stderr, "has applied all 2 entries") {
			t.Errorf("%q: %d, %s", args, code, stderr)
		}
	}
	check("after yesterday's store was brought back")
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func TestPersonCommandsThatCannotBeDone(t *testing.T) {
	inOffice(t)
	protected(t, "ann")
	forget := []string{"person", "forget", "--policy", "policy.yaml", "--by", "desk", "--reason", "x"}
	for _, c := range []struct {
		name, in, want string
		args           []string
		env            map[string]string
		code           int
	}{
		{"no reason", "", "missing flags: --reason", []string{"person", "forget", "--policy", "policy.yaml", "--by", "desk"}, nil, 2},
		{"an empty store", "", "none of bolt:PATH", []string{"person", "replay"}, map[string]string{"FIELDVEIL_STORE": ""}, 1},
		{"a store of no known kind", "", "none of bolt:PATH", []string{"person", "replay"}, map[string]string{"FIELDVEIL_STORE": "mysql://u:hunter2@h/db"}, 1},
		{"a ledger of no known kind", "", "none of file:PATH", []string{"person", "ledger"}, map[string]string{"FIELDVEIL_LEDGER": "ftp://u:hunter2@h/db"}, 1},
		{"a URL that cannot be read", "", "cannot be read", []string{"person", "ledger"}, map[string]string{"FIELDVEIL_LEDGER": "postgres://u:hunter2@h:x/db"}, 1},
		{"a ledger that is missing", "", "no such file", []string{"person", "ledger"}, map[string]string{"FIELDVEIL_LEDGER": "file:nowhere"}, 1},
		{"no id", "ann\n", "line 1: a line is no person id", append(forget, "--ids"), nil, 1},
		{"a policy without persons", "ann\n", "no section persons", forget, map[string]string{"policy": "version: 1\nrules: [{tag: PII, action: drop}]\n"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range c.env {
				if name == "policy" {
					if err := os.WriteFile("policy.yaml", []byte(value), 0o600); err != nil {
						t.Fatal(err)
					}
					continue
				}
				t.Setenv(name, value)
			}
			code, stdout, stderr := fieldveilReading(t, c.in, c.args...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
				t.Errorf("%d, %q, %s", code, stdout, stderr)
			}
		})
	}
	// Another ledger than the store's.
	t.Setenv("FIELDVEIL_LEDGER", "file:other.ledger")
	if code, _, stderr := fieldveil(t, "person", "init"); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := fieldveil(t, "person", "replay"); code != 1 || !strings.Contains(stderr, "belongs to ledger") {
		t.Errorf("another ledger: %d, %s", code, stderr)
	}
	s, err := boltstore.Open("keys.db")
	if err != nil {
		t.Errorf("a command left the store open: %v", err)
	} else if err := s.Close(); err != nil {
		t.Error(err)
	}
}
