//go:build unix

package vaults

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/pgvault"
)

// BenchmarkPostgresInsert inserts batches of 500 new values, in turn through the
// store and by bare means of the driver into the same table: 500 inserts in one
// batch of the driver, and one insert of arrays. It reports the median of each in
// microseconds, and how fast the store is beside the others.
func BenchmarkPostgresInsert(b *testing.B) {
	p := StartPostgres(b)
	pool, err := pgxpool.New(b.Context(), p.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	s, err := pgvault.New(pool)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	ways := []struct {
		name   string
		insert func(context.Context, []tokenize.Row) error
	}{
		{"store", func(ctx context.Context, rows []tokenize.Row) error {
			_, err := s.Insert(ctx, rows)
			return err
		}},
		{"batch", func(ctx context.Context, rows []tokenize.Row) error {
			var q pgx.Batch
			for i := range rows {
				r := &rows[i]
				q.Queue(`insert into fieldveil_tokens (scope, "index", token, sealed) values ($1, $2, $3, $4)`, []byte(r.Scope), r.Index[:], r.Token, r.Sealed)
			}
			return pool.SendBatch(ctx, &q).Close()
		}},
		{"arrays", func(ctx context.Context, rows []tokenize.Row) error {
			var scopes, indexes, tokens, sealed [][]byte
			for i := range rows {
				r := &rows[i]
				scopes, indexes, tokens, sealed = append(scopes, []byte(r.Scope)), append(indexes, r.Index[:]), append(tokens, r.Token), append(sealed, r.Sealed)
			}
			_, err := pool.Exec(ctx, `insert into fieldveil_tokens (scope, "index", token, sealed)
				select k.s, k.i, k.t, k.v from unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) as k(s, i, t, v)`, scopes, indexes, tokens, sealed)
			return err
		}},
	}
	took := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, way := range ways {
			rows := benchRows(500)
			began := time.Now()
			if err := way.insert(b.Context(), rows); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	median := func(i int) float64 {
		slices.Sort(took[i])
		return float64(took[i][len(took[i])/2].Microseconds())
	}
	for i, way := range ways {
		b.ReportMetric(median(i), way.name+"-µs")
		b.ReportMetric(median(i)/median(0), "speed/"+way.name)
	}
	b.ReportMetric(0, "ns/op")
}

// benchRows returns rows of new values as a vault makes them.
func benchRows(n int) []tokenize.Row {
	rows := make([]tokenize.Row, n)
	for i := range rows {
		rows[i] = tokenize.Row{Scope: "tenant/customers", Token: []byte("tok_" + rand.Text()), Sealed: make([]byte, 60)}
		_, _ = rand.Read(rows[i].Index[:])
		_, _ = rand.Read(rows[i].Sealed)
	}
	return rows
}

func BenchmarkPostgresLookUp(b *testing.B) {
	s := openPostgres(b, StartPostgres(b).URL())
	var keys []tokenize.Key
	var refs []tokenize.Ref
	for range 100 {
		rows := benchRows(1000)
		if _, err := s.Insert(b.Context(), rows); err != nil {
			b.Fatal(err)
		}
		for _, r := range rows[:5] {
			keys, refs = append(keys, tokenize.Key{Scope: r.Scope, Index: r.Index}), append(refs, tokenize.Ref{Scope: r.Scope, Token: r.Token})
		}
	}
	b.Run("500 by index", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.ByIndex(b.Context(), keys); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("500 by token", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.ByToken(b.Context(), refs); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("1 by token", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.ByToken(b.Context(), refs[:1]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("count 100000", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Count(b.Context(), "tenant/customers"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
