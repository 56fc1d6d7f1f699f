package redisvault

import (
	"bytes"
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Insert makes rows durable, each by itself, up to 1,000 rows or 4 MiB in one
// round trip. See [tokenize.Store] for the outcomes.
func (s *Store) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if err := tokenize.CheckRows(rows); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nil
	}
	// Of those that have an index in common the first is sent.
	first := make(map[tokenize.Key]int, len(rows))
	unique := make([]int, 0, len(rows))
	for i := range rows {
		key := tokenize.Key{Scope: rows[i].Scope, Index: rows[i].Index}
		if _, ok := first[key]; !ok {
			first[key] = i
			unique = append(unique, i)
		}
	}
	out := make([]tokenize.Outcome, len(rows))
	known := &spaces{store: s}
	b := &batch{
		op:     "insert",
		writes: true,
		space:  func(i int) string { return known.of(rows[i].Scope) },
		size:   func(i int) int { return len(rows[i].Scope)*3 + len(rows[i].Sealed) },
		command: func(ctx context.Context, i int, full bool) redis.Cmder {
			r := &rows[i]
			space := known.of(r.Scope)
			stored := appendHead(make([]byte, 0, 2+len(r.Token)+len(r.Sealed)), r.Token)
			return script(ctx, insertScript, insertSHA, full,
				indexKey(space, &r.Index), tokenKey(space, r.Token), countKey(space), append(stored, r.Sealed...), r.Index[:])
		},
		take: func(i int, cmd redis.Cmder) (err error) {
			out[i], err = outcome(&rows[i], cmd)
			return err
		},
	}
	if err := s.run(ctx, b, unique); err != nil {
		return nil, err
	}
	if len(unique) < len(rows) {
		for i := range rows {
			if at := first[tokenize.Key{Scope: rows[i].Scope, Index: rows[i].Index}]; at != i {
				out[i] = again(&out[at])
			}
		}
	}
	return out, nil
}

// script makes the command that runs a script on the three keys of a row.
func script(ctx context.Context, text, sha string, full bool, index, token, count string, args ...any) *redis.Cmd {
	name, body := "evalsha", sha
	if full {
		name, body = "eval", text
	}
	cmd := redis.NewCmd(ctx, append([]any{name, body, "3", index, token, count}, args...)...)
	cmd.SetFirstKeyPos(3) // by which a cluster's client finds the node
	return cmd
}

func outcome(r *tokenize.Row, cmd redis.Cmder) (tokenize.Outcome, error) {
	answer, ok := cmd.(*redis.Cmd)
	if !ok {
		return tokenize.Outcome{}, errAnswer
	}
	switch v := answer.Val().(type) {
	case string:
		row, err := parseRow(r.Scope, &r.Index, v)
		if err != nil {
			return tokenize.Outcome{}, err
		}
		return tokenize.Outcome{Status: tokenize.Exists, Row: row}, nil
	case int64:
		switch v {
		case insertTaken:
			return tokenize.Outcome{Status: tokenize.Taken}, nil
		case insertDone:
			return tokenize.Outcome{Status: tokenize.Inserted, Row: clone(*r)}, nil
		}
	}
	return tokenize.Outcome{}, errAnswer
}

// again is the outcome of a row whose index an earlier one has.
func again(earlier *tokenize.Outcome) tokenize.Outcome {
	if earlier.Status == tokenize.Taken {
		return tokenize.Outcome{Status: tokenize.Taken}
	}
	return tokenize.Outcome{Status: tokenize.Exists, Row: clone(earlier.Row)}
}

func clone(r tokenize.Row) tokenize.Row {
	r.Token, r.Sealed = bytes.Clone(r.Token), bytes.Clone(r.Sealed)
	return r
}
