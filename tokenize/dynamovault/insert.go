package dynamovault

import (
	"bytes"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Insert makes rows durable, up to 25 in one transaction and several of those at
// once, after it has counted them. See [tokenize.Store] for the outcomes.
//
// A row that exists costs as much as one that is new, so a caller that expects
// many of them looks them up by [Store.ByIndex] first, as a vault does.
func (s *Store) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if err := tokenize.CheckRows(rows); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nil
	}
	if e := contextError(ctx, "insert"); e != nil {
		return nil, e
	}
	if !s.checked.Load() {
		if e := s.check(ctx, "insert"); e != nil {
			return nil, e
		}
	}
	// Of those that have an index in common the first is inserted.
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
	if err := s.insert(ctx, rows, out, unique); err != nil {
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

// A tokenRef is a tokenize.Ref that can be the key of a map.
type tokenRef struct{ scope, token string }

// insert fills out for the rows at places, whose indexes differ. A row whose token
// an earlier one names waits for that one.
func (s *Store) insert(ctx context.Context, rows []tokenize.Row, out []tokenize.Outcome, places []int) error {
	for len(places) > 0 {
		now, later := places[:0:0], []int(nil)
		first := make(map[tokenRef]int, len(places)) // who names a token
		for _, i := range places {
			ref := tokenRef{rows[i].Scope, string(rows[i].Token)}
			if _, ok := first[ref]; ok {
				later = append(later, i)
				continue
			}
			first[ref] = i
			now = append(now, i)
		}
		if err := s.insertNow(ctx, rows, out, now); err != nil {
			return err
		}
		if len(later) == 0 {
			return nil
		}
		// The index of a row decides before its token does.
		if err := s.findExisting(ctx, rows, out, later); err != nil {
			return err
		}
		places = places[:0]
		for _, i := range later {
			if out[i].Status != 0 {
				continue
			}
			before := first[tokenRef{rows[i].Scope, string(rows[i].Token)}]
			if out[before].Status == tokenize.Exists {
				places = append(places, i) // the token was not used
			} else {
				out[i] = tokenize.Outcome{Status: tokenize.Taken}
			}
		}
	}
	return nil
}

// findExisting fills out for those rows at places whose index has a row.
func (s *Store) findExisting(ctx context.Context, rows []tokenize.Row, out []tokenize.Outcome, places []int) error {
	keys := make([]tokenize.Key, len(places))
	for n, i := range places {
		keys[n] = tokenize.Key{Scope: rows[i].Scope, Index: rows[i].Index}
	}
	found, err := s.byIndex(ctx, "insert", keys, all(len(keys)))
	if err != nil {
		return err
	}
	for n, i := range places {
		if found[n].Scope != "" {
			out[i] = tokenize.Outcome{Status: tokenize.Exists, Row: found[n]}
		}
	}
	return nil
}

// insertNow fills out for the rows at places, whose indexes and tokens differ.
func (s *Store) insertNow(ctx context.Context, rows []tokenize.Row, out []tokenize.Outcome, places []int) error {
	counted := map[string]int{}
	for _, i := range places {
		counted[rows[i].Scope]++
	}
	if err := s.count(ctx, "insert", counted); err != nil {
		return err
	}
	c := &change{
		op:    "insert",
		parts: func(i int) [2]types.TransactWriteItem { return s.puts(&rows[i]) },
		done: func(i int) {
			out[i] = tokenize.Outcome{Status: tokenize.Inserted, Row: clone(rows[i])}
		},
		refused: func(i int, first bool, item attributes) (err error) {
			out[i], err = standing(&rows[i], first, item)
			return err
		},
	}
	err := s.transact(ctx, c, places)
	// What was not inserted is counted no more. After an error that is not known
	// of all: they stay counted, and are found by the next insert at most.
	if err == nil {
		for _, i := range places {
			if out[i].Status == tokenize.Inserted {
				counted[rows[i].Scope]--
			}
		}
		s.uncount(ctx, counted)
	}
	return err
}

// puts are the two parts of a row's transaction. The index comes first, as it
// decides first.
func (s *Store) puts(r *tokenize.Row) [2]types.TransactWriteItem {
	absent := aws.String("attribute_not_exists(" + keyAttr + ")")
	return [2]types.TransactWriteItem{
		{Put: &types.Put{
			TableName: &s.table, Item: indexItem(r), ConditionExpression: absent,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
		{Put: &types.Put{TableName: &s.table, Item: tokenItem(r), ConditionExpression: absent}},
	}
}

// standing tells what became of a row that was not inserted: its index has a row,
// which is in the item, or only its token has one.
func standing(r *tokenize.Row, exists bool, item attributes) (tokenize.Outcome, error) {
	if !exists {
		return tokenize.Outcome{Status: tokenize.Taken}, nil
	}
	row, err := parseIndexItem(&tokenize.Key{Scope: r.Scope, Index: r.Index}, item)
	if err != nil {
		return tokenize.Outcome{}, err
	}
	return tokenize.Outcome{Status: tokenize.Exists, Row: row}, nil
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
