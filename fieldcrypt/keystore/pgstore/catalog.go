package pgstore

import (
	"bytes"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// maxBlock bounds a key block, of a record as of a root.
const maxBlock = shred.MaxBlock

// Put makes the first block of an id durable. Where one stands already it stays,
// since it holds the same key, perhaps under a newer KEK.
func (s *Store) Put(ctx context.Context, id datakey.ID, block []byte) error {
	if len(block) == 0 || len(block) > maxBlock {
		return &Error{Op: "put", text: "a key block has 1 to 16384 bytes"}
	}
	_, err := s.put(ctx, "put", s.sql.putBlock, s.sql.getBlock, kindBlock, id[:], block)
	return err
}

// Get returns the block of id, or [datakey.ErrUnknownKey].
func (s *Store) Get(ctx context.Context, id datakey.ID) ([]byte, error) {
	return s.get(ctx, "get", s.sql.getBlock, kindBlock, id[:], datakey.ErrUnknownKey)
}

// Each calls f for every block in the order of the ids. It asks for 200 of them
// at a time and hands them out afterwards, with no transaction and no connection
// held. Damaged rows are left out, and are its error at the end.
func (s *Store) Each(ctx context.Context, f func(id datakey.ID, block []byte) error) error {
	return s.each(ctx, "each", s.sql.blockPage, kindBlock, func(key, block []byte) error {
		if len(key) != len(datakey.ID{}) {
			return damaged("each")
		}
		return f(datakey.ID(key), block)
	})
}

// Replace puts next in the place of old: see [datakey.Catalog].
func (s *Store) Replace(ctx context.Context, id datakey.ID, old, next []byte) error {
	if len(next) == 0 || len(next) > maxBlock {
		return &Error{Op: "replace", text: "a key block has 1 to 16384 bytes"}
	}
	sum := rowSum(kindBlock, id[:], next)
	return s.swap(ctx, "replace", query{s.sql.replaceBlock, []any{id[:], old, next, sum}}, query{s.sql.getBlock, []any{id[:]}}, kindBlock, next,
		datakey.ErrUnknownKey, datakey.ErrBlockChanged)
}

// Remove takes the block away: see [datakey.Catalog].
func (s *Store) Remove(ctx context.Context, id datakey.ID, old []byte) error {
	return s.swap(ctx, "remove", query{s.sql.removeBlock, []any{id[:], old}}, query{s.sql.getBlock, []any{id[:]}}, kindBlock, nil,
		datakey.ErrUnknownKey, datakey.ErrBlockChanged)
}

// keyed is a row of a table that has a block under a key.
type keyed struct {
	key, block, sum []byte
}

func (k *keyed) scan(rows pgx.Rows) (standby bool, err error) {
	*k = keyed{}
	err = rows.Scan(&standby, &k.key, &k.block, &k.sum)
	return standby, err
}

func (k *keyed) intact(kind string) bool { return intact(k.sum, kind, k.key, k.block) }

// put inserts a row where there is none, and returns the block that stands.
func (s *Store) put(ctx context.Context, op, insert, look, kind string, key, block []byte) ([]byte, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var stands []byte
	err := s.db.do(ctx, op, func(ctx context.Context, conn attempt) error {
		change := query{insert, []any{key, block, rowSum(kind, key, block)}}
		return s.db.change(ctx, conn, change, query{look, []any{key}}, func(_ int64, rows pgx.Rows) error {
			var at keyed
			for rows.Next() {
				if _, err := at.scan(rows); err != nil {
					return err
				}
			}
			switch {
			case at.key == nil:
				return errVanished
			case !bytes.Equal(at.key, key), !at.intact(kind):
				return ErrDamaged
			}
			stands = at.block
			return nil
		})
	})
	return stands, err
}

func (s *Store) get(ctx context.Context, op, look, kind string, key []byte, none error) ([]byte, error) {
	var at keyed
	if err := s.db.lookUp(ctx, op, query{look, []any{key}}, &at.key, &at.block, &at.sum); err != nil {
		return nil, err
	}
	switch {
	case at.key == nil:
		return nil, none
	case !bytes.Equal(at.key, key), !at.intact(kind): // the index is damaged, or the row
		return nil, damaged(op)
	}
	return at.block, nil
}

// swap runs a change that only the row with the old block answers to, and says
// why it had none. next is what stands afterwards, and nil for nothing.
func (s *Store) swap(ctx context.Context, op string, change, look query, kind string, next []byte, none, changed error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	var answer error
	err := s.db.do(ctx, op, func(ctx context.Context, conn attempt) error {
		return s.db.change(ctx, conn, change, look, func(n int64, rows pgx.Rows) error {
			var at keyed
			for rows.Next() {
				if _, err := at.scan(rows); err != nil {
					return err
				}
			}
			switch {
			case n != 0:
				answer = nil
			case conn.unsure && (at.key == nil) == (next == nil) && bytes.Equal(at.block, next):
				answer = nil // an attempt whose answer was lost did it
			case at.key == nil:
				answer = none
			case !at.intact(kind):
				return ErrDamaged
			default:
				answer = changed
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return answer
}

// each visits a table page by page, in the order of its keys.
func (s *Store) each(ctx context.Context, op, page, kind string, f func(key, block []byte) error) error {
	var found error // damage, once all others were visited
	for from := []byte{}; ; {
		rows, err := s.page(ctx, op, page, from)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := ctx.Err(); err != nil {
				return contextError(ctx, op)
			}
			if !rows[i].intact(kind) {
				found = damaged(op)
				continue
			}
			if err := f(rows[i].key, rows[i].block); err != nil {
				return err
			}
		}
		if len(rows) < pageRows {
			return found
		}
		// The next key that there could be.
		from = append(bytes.Clone(rows[len(rows)-1].key), 0)
	}
}

func (s *Store) page(ctx context.Context, op, page string, from []byte) ([]keyed, error) {
	var out []keyed
	err := s.db.do(ctx, op, func(ctx context.Context, conn attempt) error {
		var q pgx.Batch
		q.Queue(byIndexSQL)
		q.Queue(page, from)
		answers := conn.SendBatch(ctx, &q)
		var err error
		out, err = readPage(answers)
		if closed := answers.Close(); err == nil {
			err = closed
		}
		return err
	})
	return out, err
}

func readPage(answers pgx.BatchResults) (out []keyed, err error) {
	if _, err := answers.Exec(); err != nil {
		return nil, err
	}
	rows, err := answers.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var at keyed
		standby, err := at.scan(rows)
		switch {
		case err != nil:
			return nil, err
		case standby:
			return nil, errStandby
		case at.key != nil:
			out = append(out, at)
		}
	}
	return out, rows.Err()
}
