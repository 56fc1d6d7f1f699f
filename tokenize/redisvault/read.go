package redisvault

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/tokenize"
)

// ByIndex returns the rows of the keys, up to 1,000 in one round trip.
func (s *Store) ByIndex(ctx context.Context, keys []tokenize.Key) ([]tokenize.Row, error) {
	if err := tokenize.CheckKeys(keys); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := s.byIndex(ctx, "by index", keys, all(len(keys)))
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// byIndex returns as many rows as there are keys, and asks for those of places.
func (s *Store) byIndex(ctx context.Context, op string, keys []tokenize.Key, places []int) ([]tokenize.Row, error) {
	rows := make([]tokenize.Row, len(keys))
	known := &spaces{store: s}
	b := &batch{
		op: op,
		// A row that is found is handed out, as one that was inserted is.
		fenced: true,
		space:  func(i int) string { return known.of(keys[i].Scope) },
		command: func(ctx context.Context, i int, _ bool) redis.Cmder {
			return redis.NewStringCmd(ctx, "get", indexKey(known.of(keys[i].Scope), &keys[i].Index))
		},
		take: func(i int, cmd redis.Cmder) error {
			text, ok, err := value(cmd)
			if err == nil && ok {
				rows[i], err = parseRow(keys[i].Scope, &keys[i].Index, text)
			}
			return err
		},
	}
	return rows, s.run(ctx, b, places)
}

// ByToken returns the rows of the tokens, up to 1,000 in two round trips: one
// finds the indexes of the tokens, the other the rows.
func (s *Store) ByToken(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
	if err := tokenize.CheckRefs(refs); err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		return nil, nil
	}
	keys, found, err := s.indexes(ctx, "by token", refs)
	if err != nil {
		return nil, err
	}
	rows, err := s.byIndex(ctx, "by token", keys, found)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		// Between the round trips the row may have been deleted, and its index
		// inserted with another token.
		if !bytes.Equal(rows[i].Token, refs[i].Token) {
			rows[i] = tokenize.Row{}
		}
	}
	return rows, nil
}

// indexes returns as many keys as there are refs, and the places of those that
// have a row.
func (s *Store) indexes(ctx context.Context, op string, refs []tokenize.Ref) (keys []tokenize.Key, found []int, err error) {
	keys = make([]tokenize.Key, len(refs))
	known := &spaces{store: s}
	b := &batch{
		op:    op,
		space: func(i int) string { return known.of(refs[i].Scope) },
		command: func(ctx context.Context, i int, _ bool) redis.Cmder {
			return redis.NewStringCmd(ctx, "get", tokenKey(known.of(refs[i].Scope), refs[i].Token))
		},
		take: func(i int, cmd redis.Cmder) error {
			index, ok, err := value(cmd)
			if err != nil || !ok {
				return err
			}
			if len(index) != tokenize.IndexSize {
				return errRow
			}
			keys[i] = tokenize.Key{Scope: refs[i].Scope, Index: tokenize.Index([]byte(index))}
			return nil
		},
	}
	if err := s.run(ctx, b, all(len(refs))); err != nil {
		return nil, nil, err
	}
	for i := range keys {
		if keys[i].Scope != "" {
			found = append(found, i)
		}
	}
	return keys, found, nil
}

// Count returns the number of rows of a scope, which inserts and deletes keep.
func (s *Store) Count(ctx context.Context, scope string) (uint64, error) {
	if err := tokenize.CheckScope(scope); err != nil {
		return 0, err
	}
	var count uint64
	space := s.space(scope)
	b := &batch{
		op:    "count",
		space: func(int) string { return space },
		command: func(ctx context.Context, _ int, _ bool) redis.Cmder {
			return redis.NewStringCmd(ctx, "get", countKey(space))
		},
		take: func(_ int, cmd redis.Cmder) error {
			text, ok, err := value(cmd)
			if err != nil || !ok {
				return err
			}
			if count, err = strconv.ParseUint(text, 10, 64); err != nil {
				return errRow
			}
			return nil
		},
	}
	if err := s.run(ctx, b, all(1)); err != nil {
		return 0, err
	}
	return count, nil
}

// Delete removes rows by token, each by itself, up to 1,000 in two round trips:
// one finds the indexes of the tokens, the other removes the rows.
func (s *Store) Delete(ctx context.Context, refs []tokenize.Ref) error {
	if err := tokenize.CheckRefs(refs); err != nil {
		return err
	}
	if len(refs) == 0 {
		return nil
	}
	keys, found, err := s.indexes(ctx, "delete", refs)
	if err != nil {
		return err
	}
	known := &spaces{store: s}
	b := &batch{
		op:     "delete",
		writes: true,
		space:  func(i int) string { return known.of(refs[i].Scope) },
		command: func(ctx context.Context, i int, full bool) redis.Cmder {
			space := known.of(refs[i].Scope)
			return script(ctx, deleteScript, deleteSHA, full,
				indexKey(space, &keys[i].Index), tokenKey(space, refs[i].Token), countKey(space), keys[i].Index[:], appendHead(nil, refs[i].Token))
		},
		take: func(_ int, cmd redis.Cmder) error {
			answer, ok := cmd.(*redis.Cmd)
			if !ok {
				return errAnswer
			}
			// Of a token that has been another's since, nothing was removed.
			if _, ok := answer.Val().(int64); !ok {
				return errAnswer
			}
			return nil
		},
	}
	return s.run(ctx, b, found)
}

// value returns the answer to a get, and false where there is none.
func value(cmd redis.Cmder) (string, bool, error) {
	get, ok := cmd.(*redis.StringCmd)
	switch {
	case !ok:
		return "", false, errAnswer
	case isNil(get.Err()):
		return "", false, nil
	case get.Val() == "":
		return "", false, errAnswer // nothing here is stored empty
	}
	return get.Val(), true, nil
}

func isNil(err error) bool { return errors.Is(err, redis.Nil) }

func all(n int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	return places
}
