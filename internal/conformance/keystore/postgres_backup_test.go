//go:build unix

package keystore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

// program finds one of PostgreSQL's, of the newest version that is installed.
func program(t *testing.T, name string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if path, err := exec.LookPath(name); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Skipf("skipped: %s is not installed", name)
	}
	return found[len(found)-1]
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// database makes one of its own and returns its connection string.
func database(t *testing.T, p *vaults.Postgres, admin *pgxpool.Pool, name string) string {
	t.Helper()
	sql(t, admin, "create database "+name)
	return p.URL("dbname", name)
}

// Yesterday's store has the keys of those who were forgotten since. The ledger
// stands elsewhere, and knows them.
func TestPostgresForgetsAgainAfterYesterdaysBackup(t *testing.T) {
	p := vaults.StartPostgres(t)
	admin := newPool(t, p.URL())
	l := madeLedger(t, newPool(t, database(t, p, admin, "ledger")))
	url := database(t, p, admin, "store")
	pool := newPool(t, url)
	s := madeStore(t, pool)
	rows := create(t, s, 40)
	if _, err := s.CreateRoot(t.Context(), "acme", []byte("root")); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows[:10] {
		forget(t, s, l, r.Person)
	}
	for _, how := range []struct {
		name          string
		dump, restore []string
	}{
		{"whole", nil, nil},
		{"in two parts", nil, []string{"--section=pre-data", "--section=data", "--section=post-data"}},
		{"as inserts", []string{"--inserts"}, nil},
	} {
		t.Run(how.name, func(t *testing.T) {
			yesterday := filepath.Join(t.TempDir(), "dump")
			run(t, "pg_dump", append(how.dump, "-Fc", "-d", url, "-f", yesterday)...)
			before := replay(t, s, l)
			for _, r := range rows[10:20] { // of today; the second time they are forgotten once more
				forget(t, s, l, r.Person)
			}
			name := "restored_" + strings.ReplaceAll(how.name, " ", "_")
			again := newPool(t, database(t, p, admin, name))
			run(t, "pg_restore", append(how.restore, "--exit-on-error", "-d", p.URL("dbname", name), yesterday)...)
			restored := newStore(t, again)
			if err := restored.Check(t.Context()); err != nil {
				t.Fatalf("the restored tables are not fit: %v", err)
			}
			m, err := restored.Mark(t.Context())
			if err != nil || m.Seq != uint64(len(before)) {
				t.Fatalf("the restored mark is %d, %v", m.Seq, err)
			}
			all := replay(t, restored, l)
			if len(all) != len(before)+10 {
				t.Errorf("%d entries", len(all))
			}
			for i, r := range rows {
				if stands(t, restored, r) != (i >= 20) {
					t.Errorf("row %d is in the wrong state", i)
				}
			}
			if got := refusal(t.Context(), again, "delete from fieldveil_persons"); !strings.Contains(got, "23001") {
				t.Errorf("the guard was not restored: %q", got)
			}
		})
	}
}

// A ledger is copied by the same means, with its triggers at work or not, and
// stays the same ledger.
func TestPostgresLedgersAreCopiedWhole(t *testing.T) {
	p := vaults.StartPostgres(t)
	admin := newPool(t, p.URL())
	url := database(t, p, admin, "ledger")
	l := madeLedger(t, newPool(t, url))
	for i := range 30 {
		if _, err := l.Append(t.Context(), entry(shred.PersonID{byte(i)})); err != nil {
			t.Fatal(err)
		}
	}
	want, err := l.Read(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	wantID, err := l.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "dump")
	run(t, "pg_dump", "-Fc", "-d", url, "-f", dump)
	check := func(name string) {
		t.Helper()
		copied := newLedger(t, newPool(t, p.URL("dbname", name)))
		got, err := copied.Read(t.Context(), 0, 100)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d entries, %v", name, len(got), err)
		}
		if id, err := copied.ID(t.Context()); err != nil || id != wantID {
			t.Errorf("%s: another ledger, %v", name, err)
		}
		e, err := copied.Append(t.Context(), entry(shred.PersonID{}))
		if err != nil || e.Seq != 31 || e.Prev != want[29].Hash {
			t.Errorf("%s: the chain does not go on: %v", name, err)
		}
	}
	database(t, p, admin, "copied")
	run(t, "pg_restore", "--exit-on-error", "-d", p.URL("dbname", "copied"), dump)
	check("copied")
	// Into tables that are there: the insert trigger checks each entry.
	refilled := newPool(t, database(t, p, admin, "refilled"))
	madeLedger(t, refilled)
	damage(t, refilled, "delete from fieldveil_ledger_id")
	run(t, "pg_restore", "--exit-on-error", "--data-only", "--table=fieldveil_ledger_id", "-d", p.URL("dbname", "refilled"), dump)
	run(t, "pg_restore", "--exit-on-error", "--data-only", "--table=fieldveil_ledger", "-d", p.URL("dbname", "refilled"), dump)
	check("refilled")
	// Another ledger takes no entry of this one.
	foreign := newPool(t, database(t, p, admin, "other"))
	madeLedger(t, foreign)
	cmd := exec.CommandContext(t.Context(), program(t, "pg_restore"), "--exit-on-error", "--data-only", "--table=fieldveil_ledger", "-d", p.URL("dbname", "other"), dump)
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("not the next entry")) {
		t.Errorf("entries of another ledger were taken: %v\n%s", err, out)
	}
}

// remains lists the parts of the server's files that hold a secret.
func remains(t *testing.T, data string, secret []byte) []string {
	t.Helper()
	places := map[string]bool{}
	for part, dir := range map[string]string{"tables": filepath.Join(data, "base"), "log": filepath.Join(data, "pg_wal")} {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if errors.Is(err, fs.ErrNotExist) {
					err = nil
				}
				return err
			}
			b, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if bytes.Contains(b, secret) {
				places[part] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	for part := range places {
		out = append(out, part)
	}
	slices.Sort(out)
	return out
}

// Where the bytes of a sealed key are after it was forgotten, and what takes
// them away. The manual says the same.
func TestPostgresRemainsOfAForgottenKey(t *testing.T) {
	p := vaults.StartPostgres(t, "wal_recycle=off", "autovacuum=off", "max_wal_size=2MB")
	pool := newPool(t, p.URL("pool_max_conns", "2"))
	s := madeStore(t, pool)
	r := row("acme")
	r.Sealed = []byte("a sealed key that is easily found among all others")
	if _, err := s.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	create(t, s, 20)
	var data string
	if err := pool.QueryRow(t.Context(), "show data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	checkpoint := func() {
		sql(t, pool, "checkpoint")
		// Segments go one checkpoint after the one that needed them.
		for range 2 {
			if _, err := pool.Exec(t.Context(), "select pg_switch_wal()"); err != nil {
				t.Fatal(err)
			}
			create(t, s, 1)
			sql(t, pool, "checkpoint")
		}
	}
	checkpoint()
	if got := remains(t, data, r.Sealed); !slices.Contains(got, "tables") {
		t.Fatalf("the key was never in a file: %v", got)
	}
	if err := s.Forget(t.Context(), "acme", r.Person); err != nil {
		t.Fatal(err)
	}
	checkpoint()
	after := remains(t, data, r.Sealed)
	sql(t, pool, "vacuum fieldveil_persons")
	checkpoint()
	vacuumed := remains(t, data, r.Sealed)
	if err := s.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkpoint()
	scrubbed := remains(t, data, r.Sealed)
	t.Logf("the key's bytes are left after Forget in %v, after vacuum in %v, and after Scrub in %v", after, vacuumed, scrubbed)
	if len(scrubbed) != 0 {
		t.Errorf("after Scrub and checkpoints the key is in %v", scrubbed)
	}
	if stands(t, s, r) {
		t.Error("the tombstone is gone")
	}
}

// The statements of the manual are enough for each role, and no more.
func TestPostgresRolesWithTheRightsOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(manual), "## PostgreSQL key store")
	if !ok {
		t.Fatal("the manual has no section on the PostgreSQL key store")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	parts := strings.Split(section, "```")
	p := vaults.StartPostgres(t)
	pool := newPool(t, p.URL())
	owner, ledger := madeStore(t, pool), madeLedger(t, pool)
	for _, role := range []string{"producer", "reader", "eraser", "rotator", "auditor", "stranger"} {
		sql(t, pool, "create role "+role+" login")
	}
	granted := 0
	for i := 1; i < len(parts); i += 2 {
		if text, ok := strings.CutPrefix(parts[i], "sql\n"); ok && strings.Contains(text, "grant ") {
			sql(t, pool, text)
			granted++
		}
	}
	if granted == 0 {
		t.Fatal("the manual grants nothing")
	}
	rows := create(t, owner, 1)
	first, err := ledger.Append(t.Context(), entry(rows[0].Person))
	if err != nil {
		t.Fatal(err)
	}
	id, err := ledger.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ role, may string }{
		{"producer", "read create ledger-read"},
		{"reader", "read ledger-read"},
		{"eraser", "persons forget append ledger-read"},
		{"rotator", "read replace ledger-read"},
		{"auditor", "ledger-read"},
		{"stranger", ""},
	} {
		t.Run(test.role, func(t *testing.T) {
			pool := newPool(t, p.URL("user", test.role))
			s, l := newStore(t, pool), newLedger(t, pool)
			may := strings.Fields(test.may)
			check := func(call string, err error, rights ...string) {
				t.Helper()
				allowed := slices.ContainsFunc(rights, func(r string) bool { return slices.Contains(may, r) })
				e, _ := errors.AsType[*pgstore.Error](err)
				if allowed != (err == nil) || err != nil && (e == nil || e.SQLState != "42501") {
					t.Errorf("%s: allowed %t, %v", call, allowed, err)
				}
			}
			r := row("acme")
			block := []byte("block")
			keyID := [12]byte(r.Key)
			tenant := "tenant of " + test.role
			// What is there to be read and replaced.
			if err := owner.Put(t.Context(), keyID, block); err != nil {
				t.Fatal(err)
			}
			if _, err := owner.CreateRoot(t.Context(), tenant, block); err != nil {
				t.Fatal(err)
			}
			_, err := s.Person(t.Context(), "acme", rows[0].Person)
			check("Person", err, "read", "persons")
			_, err = s.ByKey(t.Context(), "acme", rows[0].Key)
			check("ByKey", err, "read", "persons")
			_, err = s.Root(t.Context(), tenant)
			check("Root", err, "read")
			_, err = s.Get(t.Context(), keyID)
			check("Get", err, "read")
			if _, err = s.Mark(t.Context()); errors.Is(err, shred.ErrNone) {
				err = nil
			}
			check("Mark", err, "read", "persons")
			_, err = s.Create(t.Context(), r)
			check("Create", err, "create")
			_, err = s.CreateRoot(t.Context(), tenant, block)
			check("CreateRoot", err, "create")
			check("Put", s.Put(t.Context(), keyID, block), "create")
			check("Replace", s.Replace(t.Context(), keyID, block, block), "replace")
			check("ReplaceRoot", s.ReplaceRoot(t.Context(), tenant, block, block), "replace")
			check("Remove", s.Remove(t.Context(), keyID, block), "replace")
			check("Forget", s.Forget(t.Context(), "acme", row("").Person), "forget")
			check("SetMark", s.SetMark(t.Context(), shred.Mark{Ledger: id, Seq: 1, Hash: first.Hash}), "forget")
			_, err = l.Read(t.Context(), 0, 10)
			check("Read", err, "ledger-read")
			_, err = l.ID(t.Context())
			check("ID", err, "ledger-read")
			_, err = l.Append(t.Context(), entry(r.Person))
			check("Append", err, "append")
			check("Scrub", s.Scrub(t.Context()), "own")
			for _, text := range []string{
				"delete from fieldveil_persons", "truncate fieldveil_persons", "update fieldveil_persons set key = null", "update fieldveil_persons set tenant = ''",
				"delete from fieldveil_mark", "delete from fieldveil_roots", "truncate fieldveil_roots", "truncate fieldveil_key_blocks",
				"update fieldveil_ledger set reason = 'x'", "delete from fieldveil_ledger", "truncate fieldveil_ledger",
				"update fieldveil_ledger_id set id = id", "drop table fieldveil_persons", "drop trigger fieldveil_persons_rows on fieldveil_persons",
				"alter table fieldveil_ledger disable trigger all", "set session_replication_role = replica",
				`insert into fieldveil_ledger (seq, unix, tenant, person, "by", reason, draw) values (99, 1, '', sha256(''), 'a', 'b', '0123456789abcdef')`,
			} {
				if got := refusal(t.Context(), pool, text); !strings.Contains(got, "42501") {
					t.Errorf("%s: %q", text, got)
				}
			}
		})
	}
	if all, err := ledger.Read(t.Context(), 0, 10); err != nil || len(all) != 2 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}
