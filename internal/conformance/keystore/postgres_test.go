//go:build unix

package keystore

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/keystoretest"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

func newPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func newStore(t testing.TB, pool *pgxpool.Pool, options ...pgstore.Option) *pgstore.Store {
	t.Helper()
	s, err := pgstore.New(pool, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newLedger(t testing.TB, pool *pgxpool.Pool, options ...pgstore.Option) *pgstore.Ledger {
	t.Helper()
	l, err := pgstore.NewLedger(pool, options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// madeStore returns a store whose tables are there.
func madeStore(t testing.TB, pool *pgxpool.Pool, options ...pgstore.Option) *pgstore.Store {
	t.Helper()
	s := newStore(t, pool, options...)
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func madeLedger(t testing.TB, pool *pgxpool.Pool, options ...pgstore.Option) *pgstore.Ledger {
	t.Helper()
	l := newLedger(t, pool, options...)
	if err := l.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func ledgerSchema() pgstore.Option { return pgstore.WithSchema("ledger") }

// sql runs statements as the superuser.
func sql(t testing.TB, pool *pgxpool.Pool, text string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// suites runs all suites, each check in a schema of its own.
func suites(t *testing.T, pools ...*pgxpool.Pool) {
	t.Helper()
	name := func() pgstore.Option { return pgstore.WithSchema("s " + rand.Text()) }
	keystoretest.RunCatalog(t, func(t *testing.T) (out []datakey.Catalog) {
		t.Helper()
		schema := name()
		for _, pool := range pools {
			out = append(out, madeStore(t, pool, schema))
		}
		return out
	})
	keystoretest.RunShred(t, func(t *testing.T) (out []shred.Store) {
		t.Helper()
		schema := name()
		for _, pool := range pools {
			out = append(out, madeStore(t, pool, schema))
		}
		return out
	})
	keystoretest.RunLedger(t, func(t *testing.T) (out []shred.Ledger) {
		t.Helper()
		schema := name()
		for _, pool := range pools {
			out = append(out, madeLedger(t, pool, schema))
		}
		return out
	})
}

func TestPostgresKeepsTheContracts(t *testing.T) {
	url := vaults.StartPostgres(t).URL("pool_max_conns", "6")
	suites(t, newPool(t, url), newPool(t, url), newPool(t, url))
}

// Poolers between transactions, and those who cannot prepare, use other modes of
// the driver.
func TestPostgresKeepsTheContractsInAllModesOfTheDriver(t *testing.T) {
	p := vaults.StartPostgres(t)
	for _, mode := range []string{"cache_describe", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			suites(t, newPool(t, p.URL("default_query_exec_mode", mode, "pool_max_conns", "8")))
		})
	}
}

func TestPostgresTablesAreMadeByManyProcessesAtOnce(t *testing.T) {
	url := vaults.StartPostgres(t).URL("pool_max_conns", "1")
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[shred.LedgerID]bool{}
	for range 8 {
		pool := newPool(t, url)
		s, l := newStore(t, pool), newLedger(t, pool)
		wg.Go(func() {
			if err := s.Init(t.Context()); err != nil {
				t.Error(err)
			}
			if err := l.Init(t.Context()); err != nil {
				t.Error(err)
			}
			id, err := l.ID(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[id] = true
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("%d ids were drawn", len(ids))
	}
}

func row(tenant string) shred.Row {
	r := shred.Row{Tenant: tenant, Sealed: make([]byte, 60)}
	_, _ = rand.Read(r.Person[:])
	_, _ = rand.Read(r.Key[:])
	_, _ = rand.Read(r.Sealed)
	return r
}

func entry(p shred.PersonID) shred.Entry {
	return shred.Entry{Tenant: "acme", Person: p, By: "desk", Reason: "request " + rand.Text()}
}

func create(t testing.TB, s shred.Store, n int) []shred.Row {
	t.Helper()
	rows := make([]shred.Row, n)
	for i := range rows {
		rows[i] = row("acme")
		if _, err := s.Create(t.Context(), rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// refusal runs a statement and returns the error that the server gave.
func refusal(ctx context.Context, pool *pgxpool.Pool, text string) string {
	_, err := pool.Exec(ctx, text)
	if err == nil {
		return ""
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
