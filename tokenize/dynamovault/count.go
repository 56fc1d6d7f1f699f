package dynamovault

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldveil/fieldveil/tokenize"
)

// countItems is how many items share the count of a scope, so that calls at once
// mostly write to different ones: one item takes 1,000 writes a second.
const countItems = 8

// Count returns the number of rows of a scope. It is too high by the rows of
// calls that were cut off after they had been counted, and never too low.
func (s *Store) Count(ctx context.Context, scope string) (uint64, error) {
	if err := tokenize.CheckScope(scope); err != nil {
		return 0, err
	}
	var parts [countItems]int64
	err := s.get(ctx, "count", all(countItems),
		func(i int) []byte { return countKey(scope, i) },
		func(i int, item attributes) error {
			n, ok := item[countAttr].(*types.AttributeValueMemberN)
			if !ok {
				return errItem
			}
			v, err := strconv.ParseInt(n.Value, 10, 64)
			if err != nil {
				return errItem
			}
			parts[i] = v
			return nil
		})
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, v := range parts {
		sum += v
	}
	return uint64(max(sum, 0)), nil
}

func countKey(scope string, i int) []byte { return itemKey(countKind, scope, []byte{byte(i)}) } //nolint:gosec // below 8

// count adds to the counts of scopes. It is done before rows are inserted: a
// count that is too high refuses tokens too early, one that is too low gives out
// too many.
func (s *Store) count(ctx context.Context, op string, rows map[string]int) error {
	for scope, n := range rows {
		for attempt := 1; ; attempt++ {
			err := s.add(ctx, scope, n)
			if err == nil {
				break
			}
			e := callError(ctx, op, err)
			if !e.again || attempt == attempts {
				return e
			}
			if !pause(ctx, attempt) {
				return contextError(ctx, op)
			}
		}
	}
	return nil
}

// uncount takes from the counts of scopes. It is tried once, as a request that is
// repeated because its answer was lost would take twice.
func (s *Store) uncount(ctx context.Context, rows map[string]int) {
	for scope, n := range rows {
		if n > 0 {
			_ = s.add(ctx, scope, -n, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 }) // the count stays too high
		}
	}
}

func (s *Store) add(ctx context.Context, scope string, n int, options ...func(*dynamodb.Options)) error {
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.table,
		Key:                       keyOnly(countKey(scope, rand.IntN(countItems))), //nolint:gosec // no secret
		UpdateExpression:          aws.String("ADD " + countAttr + " :n"),
		ExpressionAttributeValues: attributes{":n": &types.AttributeValueMemberN{Value: strconv.Itoa(n)}},
	}, options...)
	return err
}
