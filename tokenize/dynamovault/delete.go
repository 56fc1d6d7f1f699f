package dynamovault

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Delete removes rows by token, up to 25 in one transaction and several of those
// at once, after it has looked up their indexes.
func (s *Store) Delete(ctx context.Context, refs []tokenize.Ref) error {
	if err := tokenize.CheckRefs(refs); err != nil {
		return err
	}
	if len(refs) == 0 {
		return nil
	}
	rows, err := s.byToken(ctx, "delete", refs)
	if err != nil {
		return err
	}
	known := map[tokenRef]bool{} // a token that is named twice is deleted once
	var found []int
	for i := range rows {
		ref := tokenRef{refs[i].Scope, string(refs[i].Token)}
		if rows[i].Scope != "" && !known[ref] {
			known[ref] = true
			found = append(found, i)
		}
	}
	gone := make([]bool, len(rows))
	c := &change{
		op:    "delete",
		parts: func(i int) [2]types.TransactWriteItem { return s.deletes(&rows[i]) },
		done:  func(i int) { gone[i] = true },
		// Somebody deleted the row first; it may stand under another index.
		refused: func(int, bool, attributes) error { return nil },
	}
	err = s.transact(ctx, c, found)
	fewer := map[string]int{}
	for i := range gone {
		if gone[i] {
			fewer[rows[i].Scope]++
		}
	}
	s.uncount(ctx, fewer)
	return err
}

// deletes are the two parts of the transaction that removes a row.
func (s *Store) deletes(r *tokenize.Row) [2]types.TransactWriteItem {
	return [2]types.TransactWriteItem{
		{Delete: &types.Delete{
			TableName: &s.table, Key: keyOnly(itemKey(indexKind, r.Scope, r.Index[:])),
			ConditionExpression:       aws.String(tokenAttr + " = :v"),
			ExpressionAttributeValues: attributes{":v": binary(r.Token)},
		}},
		{Delete: &types.Delete{
			TableName: &s.table, Key: keyOnly(itemKey(tokenKind, r.Scope, r.Token)),
			ConditionExpression:       aws.String(indexAttr + " = :v"),
			ExpressionAttributeValues: attributes{":v": binary(r.Index[:])},
		}},
	}
}
