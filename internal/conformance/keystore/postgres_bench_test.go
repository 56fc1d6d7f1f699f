//go:build unix

package keystore

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

// BenchmarkPostgresCalls makes one call of each kind after the other, in turn
// through the store and by bare means of the driver on the same table. It reports
// the median of each in microseconds, and how much longer the store takes.
func BenchmarkPostgresCalls(b *testing.B) {
	p := vaults.StartPostgres(b)
	pool, err := pgxpool.New(b.Context(), p.URL("pool_max_conns", "2"))
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	s, l := madeStore(b, pool), madeLedger(b, pool)
	known := create(b, s, 1000)
	n := 0
	next := func() int { n++; return n % len(known) }
	const bare = `insert into fieldveil_persons (tenant, person, key, sealed, sum) values ($1, $2, $3, $4, $5)`
	tenant := []byte("acme")
	bareRow := func(ctx context.Context, where string, key []byte) error {
		var person, id, sealed []byte
		return pool.QueryRow(ctx, `select person, key, sealed from fieldveil_persons where tenant = $1 and `+where+` = $2`, tenant, key).Scan(&person, &id, &sealed)
	}
	calls := []struct {
		name        string
		store, bare func(ctx context.Context) error
	}{
		{
			"person",
			func(ctx context.Context) error { _, err := s.Person(ctx, "acme", known[next()].Person); return err },
			func(ctx context.Context) error { p := known[next()].Person; return bareRow(ctx, "person", p[:]) },
		},
		{
			"bykey",
			func(ctx context.Context) error { _, err := s.ByKey(ctx, "acme", known[next()].Key); return err },
			func(ctx context.Context) error { k := known[next()].Key; return bareRow(ctx, "key", k[:]) },
		},
		{
			"create",
			func(ctx context.Context) error { _, err := s.Create(ctx, row("acme")); return err },
			func(ctx context.Context) error {
				r := row("acme")
				_, err := pool.Exec(ctx, bare, tenant, r.Person[:], r.Key[:], r.Sealed, r.Sealed[:16])
				return err
			},
		},
		{
			"create-again",
			func(ctx context.Context) error { _, err := s.Create(ctx, known[next()]); return err },
			func(ctx context.Context) error {
				r := known[next()]
				_, err := pool.Exec(ctx, bare+" on conflict do nothing", tenant, r.Person[:], r.Key[:], r.Sealed, r.Sealed[:16])
				return errors.Join(err, bareRow(ctx, "person", r.Person[:]))
			},
		},
		{
			"append",
			func(ctx context.Context) error { _, err := l.Append(ctx, entry(known[0].Person)); return err },
			nil,
		},
	}
	for _, call := range calls {
		b.Run(call.name, func(b *testing.B) {
			var took [2][]time.Duration
			for b.Loop() {
				for i, f := range []func(context.Context) error{call.store, call.bare} {
					if f == nil {
						continue
					}
					began := time.Now()
					if err := f(b.Context()); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(began))
				}
			}
			median := func(all []time.Duration) float64 {
				slices.Sort(all)
				return float64(all[len(all)/2].Nanoseconds()) / 1000
			}
			b.ReportMetric(median(took[0]), "store-µs")
			if took[1] != nil {
				b.ReportMetric(median(took[1]), "bare-µs")
				b.ReportMetric(median(took[0])/median(took[1]), "ratio")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
