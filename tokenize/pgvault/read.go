package pgvault

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
)

// ByIndex returns the rows of the keys, as [tokenize.Store] says, in one round
// trip.
func (s *Store) ByIndex(ctx context.Context, keys []tokenize.Key) ([]tokenize.Row, error) {
	if err := tokenize.CheckKeys(keys); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, nil
	}
	scopes, indexes := make([][]byte, len(keys)), make([][]byte, len(keys))
	for i := range keys {
		scopes[i], indexes[i] = []byte(keys[i].Scope), keys[i].Index[:]
	}
	out := make([]tokenize.Row, len(keys))
	err := s.read(ctx, "by index", s.sql.byIndex, scopes, indexes, func(n int, token, sealed []byte) error {
		out[n] = tokenize.Row{Scope: keys[n].Scope, Index: keys[n].Index, Token: token, Sealed: sealed}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ByToken returns the rows of the tokens, as [tokenize.Store] says, in one round
// trip.
func (s *Store) ByToken(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
	if err := tokenize.CheckRefs(refs); err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		return nil, nil
	}
	scopes, tokens := split(refs)
	out := make([]tokenize.Row, len(refs))
	err := s.read(ctx, "by token", s.sql.byToken, scopes, tokens, func(n int, index, sealed []byte) error {
		if len(index) != tokenize.IndexSize {
			return errIndex
		}
		out[n] = tokenize.Row{Scope: refs[n].Scope, Index: tokenize.Index(index), Token: tokens[n], Sealed: sealed}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// split copies the parts of refs, so that nothing of the caller's comes back in
// a row.
func split(refs []tokenize.Ref) (scopes, tokens [][]byte) {
	scopes, tokens = make([][]byte, len(refs)), make([][]byte, len(refs))
	for i := range refs {
		scopes[i] = []byte(refs[i].Scope)
		tokens[i] = append([]byte{}, refs[i].Token...)
	}
	return scopes, tokens
}

// read runs a query with two arrays and hands over the rows with their places.
func (s *Store) read(ctx context.Context, op, sql string, a, b [][]byte, found func(n int, x, y []byte) error) error {
	return s.do(ctx, op, func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, sql, a, b)
		if err != nil {
			return err
		}
		var n int64
		var x, y []byte
		// Each Scan makes x and y anew.
		_, err = pgx.ForEachRow(rows, []any{&n, &x, &y}, func() error {
			if n < 1 || n > int64(len(a)) {
				return errOrdinal
			}
			return found(int(n-1), x, y)
		})
		return err
	})
}

// Count returns the exact number of rows of a scope. The server reads the scope's
// part of an index for it, which takes about a second for some millions of rows
// when the table is vacuumed: keep the answer for a while.
func (s *Store) Count(ctx context.Context, scope string) (uint64, error) {
	if err := tokenize.CheckScope(scope); err != nil {
		return 0, err
	}
	var n int64
	err := s.do(ctx, "count", func(conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, s.sql.count, []byte(scope)).Scan(&n)
	})
	if err != nil {
		return 0, err
	}
	return uint64(max(n, 0)), nil
}

// Delete removes rows by token, in one durable transaction and one round trip.
func (s *Store) Delete(ctx context.Context, refs []tokenize.Ref) error {
	if err := tokenize.CheckRefs(refs); err != nil {
		return err
	}
	if len(refs) == 0 {
		return nil
	}
	scopes, tokens := split(refs)
	return s.do(ctx, "delete", func(conn *pgxpool.Conn) error {
		var q pgx.Batch
		q.Queue(beginSQL)
		q.Queue(removeSettingsSQL)
		q.Queue(s.sql.remove, scopes, tokens)
		q.Queue(commitSQL)
		answers := conn.SendBatch(ctx, &q)
		err := readDelete(answers)
		if closed := answers.Close(); err == nil {
			err = closed
		}
		return err
	})
}

func readDelete(answers pgx.BatchResults) error {
	for range 3 { // begin, settings, remove
		if _, err := answers.Exec(); err != nil {
			return err
		}
	}
	return commit(answers)
}
