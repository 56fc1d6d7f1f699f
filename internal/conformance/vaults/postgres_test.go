//go:build unix

package vaults

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/pgvault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// urlEnv tells the children of a crash test where the server is that their
// parent has started.
const urlEnv = "FIELDVEIL_VAULT_TEST_URL"

func openPostgres(t testing.TB, url string, options ...pgvault.Option) *pgvault.Store {
	t.Helper()
	s, err := pgvault.Open(t.Context(), url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPostgresKeepsTheContract(t *testing.T) {
	p := StartPostgres(t)
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			s := openPostgres(t, p.URL("default_query_exec_mode", mode, "pool_max_conns", "8"))
			vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
		})
	}
}

func TestPostgresOutlivesItsWriters(t *testing.T) {
	url := os.Getenv(urlEnv)
	if url == "" {
		url = StartPostgres(t).URL("pool_max_conns", "8")
		t.Setenv(urlEnv, url)
	}
	vaulttest.Crash(t, func(t *testing.T, _ string) tokenize.Store {
		t.Helper()
		return openPostgres(t, url)
	})
}

// The server's default does not wait for the disk here, as an operator may have
// it for other tables: what is in its memory is lost when it is killed.
func TestPostgresIsKilledUnderItsWriters(t *testing.T) {
	p := StartPostgres(t, "synchronous_commit=off", "wal_writer_delay=10s")
	s := openPostgres(t, p.URL("pool_max_conns", "8"))
	w := startWriting(t.Context(), s)
	defer w.stop()
	n := kills(t, 6)
	for range n {
		w.waitFor(t, 20+rand.Int64N(200))
		p.Kill(t)
		p.Restart(t)
		w.waitFor(t, 1)
	}
	w.stop()
	if err := w.history.Check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed the server %d times; %d batches acknowledged, %d refused; %d values have tokens, and all stand",
		n, w.batches.Load(), w.failures.Load(), w.history.Len())
}

func TestPostgresDeletesForGood(t *testing.T) {
	p := StartPostgres(t, "synchronous_commit=off", "wal_writer_delay=10s")
	s := openPostgres(t, p.URL())
	row := benchRows(1)[0]
	if _, err := s.Insert(t.Context(), []tokenize.Row{row}); err != nil {
		t.Fatal(err)
	}
	refs := []tokenize.Ref{{Scope: row.Scope, Token: row.Token}}
	if err := s.Delete(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	p.Kill(t)
	p.Restart(t)
	rows, err := s.ByToken(t.Context(), refs)
	if err != nil || len(rows) != 1 || rows[0].Scope != "" {
		t.Errorf("after a crash the deleted row is back: %d rows, %v", len(rows), err)
	}
}
