package fieldcrypt_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

var updateActions = flag.Bool("update-actions", false, "write the fixtures of actions under domain keys if they do not exist; an existing file is never overwritten")

// frozenActions are the SHA-256 of the files under testdata/v1-actions.
func frozenActions() map[string]string {
	return map[string]string{
		"domain.kek":   "f582b96c7bae226bdf162e8d654d96386cbf5b84568492c0b052bf5f8b4f14ad",
		"policy.yaml":  "688f6d959f6f314b82098ad38510581cfd6c97fd5db2c26b308e7ed66857b8da",
		"actions.json": "ee5306cbab54ec1068b185fa27efc7e0015c24e7315bf7e5943354c283c68728",
	}
}

// An actionFixture is one value under one action.
type actionFixture struct {
	Path   string `json:"path"`
	Rule   string `json:"rule"`
	Before string `json:"before"`
	After  string `json:"after"`
	Back   bool   `json:"back"` // Reveal gives Before
}

type actionFixtures struct {
	About   string          `json:"about"`
	Meta    hexed           `json:"meta"` // the fv-meta header
	Actions []actionFixture `json:"actions"`
	Rows    []rowFixture    `json:"rows"` // of the token vault
}

type rowFixture struct {
	Scope  string `json:"scope"`
	Index  hexed  `json:"index"`
	Token  string `json:"token"`
	Sealed hexed  `json:"sealed"`
}

func actionFixtureRules() []actionFixture {
	return []actionFixture{
		{Path: "/det", Rule: "action: encrypt, key: ids, mode: deterministic, join: customer", Before: "customer-42", Back: true},
		{Path: "/card", Rule: `action: encrypt, key: ids, mode: format-preserving, separators: " -", keep_last: 4, luhn: break`, Before: "4111 1111 1111 1111", Back: true},
		{Path: "/ref", Rule: "action: encrypt, key: ids, mode: format-preserving, alphabet: alnum-upper", Before: "AB12CD34EF", Back: true},
		{Path: "/pan", Rule: "action: tokenize, key: ids, format: pan, keep_last: 4", Before: "4111111111111111", Back: true},
		{Path: "/ssn", Rule: "action: tokenize, key: ids, format: ssn", Before: "123-45-6789", Back: true},
		{Path: "/hash", Rule: "action: hash, key: ids", Before: "ada@example.com"},
		{Path: "/base64", Rule: "action: hash, key: ids, form: base64, join: mail", Before: "ada@example.com"},
		{Path: "/uuid", Rule: "action: hash, key: ids, form: uuid", Before: "ada@example.com"},
		{Path: "/digits", Rule: `action: hash, key: ids, form: digits, prefix: "h:"`, Before: "ada@example.com"},
		{Path: "/visit", Rule: "action: shift, key: ids, days: 180, by: /person, layout: iso-date", Before: "1984-02-29"},
		{Path: "/token", Rule: "action: tokenize, vault: people, format: prefixed, prefix: mail_", Before: "ada@example.com", Back: true},
		{Path: "/vaulted", Rule: "action: tokenize, vault: people, format: pan, keep_last: 4", Before: "4111111111111111", Back: true},
	}
}

func actionPath(name string) string { return filepath.Join("testdata", "v1-actions", name) }

// actionEngine returns an engine with the frozen keys and a vault.
func actionEngine(t *testing.T, policy, kek []byte, store tokenize.Store) *fieldcrypt.Engine {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy(policy)
	skipRefused(t, err)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "domain.kek"), kek, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	audit, err := tokenize.NewJSONAudit(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := tokenize.NewGate(audit, func(context.Context, tokenize.Request) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithVault("people", tokenize.NewVault(store, tokenize.WithGate(gate))),
		fieldcrypt.WithDetokenize(tokenize.Access{Caller: "test", Purpose: "fixtures"}))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// document puts values into one JSON document.
func (f *actionFixtures) document(value func(a *actionFixture) string) []byte {
	var b strings.Builder
	b.WriteString(`{"person":"p-1"`)
	for i := range f.Actions {
		a := &f.Actions[i]
		fmt.Fprintf(&b, ",%q:%q", a.Path[1:], value(a))
	}
	b.WriteString("}")
	return []byte(b.String())
}

func (f *actionFixtures) before() []byte {
	return f.document(func(a *actionFixture) string { return a.Before })
}

func (f *actionFixtures) after() []byte {
	return f.document(func(a *actionFixture) string { return a.After })
}

func readActions(t *testing.T) actionFixtures {
	t.Helper()
	for name, want := range frozenActions() {
		b, err := os.ReadFile(actionPath(name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
			t.Fatalf("%s is frozen, and it changed: %x", name, sum)
		}
	}
	b, err := os.ReadFile(actionPath("actions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f actionFixtures
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// Values under domain keys are the same for ever: FV-17 for all of them.
func TestEveryReleaseMakesAndRevealsTheActionFixtures(t *testing.T) {
	f := readActions(t)
	policy, err := os.ReadFile(actionPath("policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	kek, err := os.ReadFile(actionPath("domain.kek"))
	if err != nil {
		t.Fatal(err)
	}
	store := vaulttest.NewMemory()
	var rows []tokenize.Row
	for _, r := range f.Rows {
		rows = append(rows, tokenize.Row{Scope: r.Scope, Index: tokenize.Index(r.Index), Token: []byte(r.Token), Sealed: r.Sealed})
	}
	if _, err := store.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	e := actionEngine(t, policy, kek, store)
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "actions", Value: f.before()})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Value, f.after()) {
		t.Errorf("protected:\n%s\nfrozen:\n%s", out.Value, f.after())
	}
	if meta := headerOf(out, fieldcrypt.HeaderMeta); len(meta) != 1 || meta[0] != string(f.Meta) {
		t.Errorf("fv-meta %x, frozen %x", meta, f.Meta)
	}
	back, err := e.Reveal(t.Context(), fieldcrypt.Record{
		Topic: "actions", Value: f.after(), Headers: []fieldcrypt.Header{{Key: fieldcrypt.HeaderMeta, Value: f.Meta}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := f.document(func(a *actionFixture) string {
		if a.Back {
			return a.Before
		}
		return a.After
	})
	if !bytes.Equal(back.Value, want) {
		t.Errorf("revealed:\n%s\nwant:\n%s", back.Value, want)
	}
}

// The page shows them.
func TestTheActionsOfThePageAreFixtures(t *testing.T) {
	page := policyPage(t)
	for _, a := range readActions(t).Actions {
		row := fmt.Sprintf("| %#q | %#q | %#q | %s |", strings.TrimPrefix(a.Rule, "action: "), a.Before, a.After, map[bool]string{true: "yes", false: "no"}[a.Back])
		if !strings.Contains(page, row) {
			t.Errorf("docs/policy.md has no row\n%s", row)
		}
	}
}

// recordingStore remembers the rows that it was given.
type recordingStore struct {
	tokenize.Store

	rows []tokenize.Row
}

func (s *recordingStore) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	s.rows = append(s.rows, rows...)
	return s.Store.Insert(ctx, rows)
}

// The fixtures were written by this, once.
func TestWriteActionFixtures(t *testing.T) {
	if !*updateActions {
		if _, err := os.Stat(actionPath("actions.json")); err != nil {
			t.Fatalf("the fixtures are part of the format and not there: %v", err)
		}
		return
	}
	if _, err := os.Stat(actionPath("actions.json")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("fixtures are frozen: %v", err)
	}
	target, err := filepath.Abs(filepath.Dir(actionPath("x")))
	if err != nil {
		t.Fatal(err)
	}
	f := actionFixtures{
		About:   "Values under a domain key, and the rows of a token vault, as format version 1 wrote them. Frozen: every later version makes and reveals them so.",
		Actions: actionFixtureRules(),
	}
	path := filepath.Join(t.TempDir(), "domain.kek")
	if err := localkms.Create(path); err != nil {
		t.Fatal(err)
	}
	kek, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(path))
	w := &world{t: t, kms: kms.Mux{localkms.Scheme: localkms.New()}}
	var policy strings.Builder
	fmt.Fprintf(&policy, "# Frozen: actions.json holds what this policy made.\nversion: 1\ndataset: actions\ndomain_keys:\n  ids:\n    kek: \"local:domain.kek\"\n    versions: [%s]\n", w.domainKeyUnder("local:domain.kek"))
	policy.WriteString("vaults: {people: {key: ids}}\ntopics:\n  - match: actions\n    format: json\n    fields:\n")
	for _, a := range f.Actions {
		fmt.Fprintf(&policy, "      - {path: %s, %s}\n", a.Path, a.Rule)
	}
	store := &recordingStore{Store: vaulttest.NewMemory()}
	e := actionEngine(t, []byte(policy.String()), kek, store)
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "actions", Value: f.before()})
	if err != nil {
		t.Fatal(err)
	}
	after := map[string]string{}
	if err := json.Unmarshal(out.Value, &after); err != nil {
		t.Fatal(err)
	}
	for i := range f.Actions {
		f.Actions[i].After = after[f.Actions[i].Path[1:]]
	}
	f.Meta = hexed(headerOf(out, fieldcrypt.HeaderMeta)[0])
	for _, r := range store.rows {
		f.Rows = append(f.Rows, rowFixture{Scope: r.Scope, Index: r.Index[:], Token: string(r.Token), Sealed: r.Sealed})
	}
	b := new(bytes.Buffer)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(f); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"domain.kek": kek, "policy.yaml": []byte(policy.String()), "actions.json": b.Bytes()} {
		if err := os.WriteFile(filepath.Join(target, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		t.Logf("%s: %x", name, sum)
	}
	for _, a := range f.Actions {
		t.Logf("| `%s` | `%s` | `%s` | %s |", strings.TrimPrefix(a.Rule, "action: "), a.Before, a.After, map[bool]string{true: "yes", false: "no"}[a.Back])
	}
}
