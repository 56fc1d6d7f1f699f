package dynamovault

import (
	"bytes"
	"context"
	"maps"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldveil/fieldveil/tokenize"
)

// maxGet is how many items one request may ask for.
const maxGet = 100

// ByIndex returns the rows of the keys, up to 100 in one request and several of
// those at once.
func (s *Store) ByIndex(ctx context.Context, keys []tokenize.Key) ([]tokenize.Row, error) {
	if err := tokenize.CheckKeys(keys); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return s.byIndex(ctx, "by index", keys, all(len(keys)))
}

// byIndex returns as many rows as there are keys, and asks for those at places.
func (s *Store) byIndex(ctx context.Context, op string, keys []tokenize.Key, places []int) ([]tokenize.Row, error) {
	rows := make([]tokenize.Row, len(keys))
	err := s.get(ctx, op, places,
		func(i int) []byte { return itemKey(indexKind, keys[i].Scope, keys[i].Index[:]) },
		func(i int, item attributes) (err error) {
			rows[i], err = parseIndexItem(&keys[i], item)
			return err
		})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// ByToken returns the rows of the tokens, up to 100 in one request and several of
// those at once. Rows whose sealed value is long take a second round of requests.
func (s *Store) ByToken(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
	if err := tokenize.CheckRefs(refs); err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		return nil, nil
	}
	rows, err := s.byToken(ctx, "by token", refs)
	if err != nil {
		return nil, err
	}
	var long []int
	keys := make([]tokenize.Key, len(refs))
	for i := range rows {
		if rows[i].Scope != "" && len(rows[i].Sealed) == 0 {
			keys[i] = tokenize.Key{Scope: rows[i].Scope, Index: rows[i].Index}
			long = append(long, i)
		}
	}
	whole, err := s.byIndex(ctx, "by token", keys, long)
	if err != nil {
		return nil, err
	}
	for _, i := range long {
		rows[i] = tokenize.Row{}
		// Since the first round the row may have been deleted, and its index
		// inserted with another token.
		if bytes.Equal(whole[i].Token, refs[i].Token) {
			rows[i] = whole[i]
		}
	}
	return rows, nil
}

// byToken returns the rows as the items of the tokens have them, some without
// their sealed values.
func (s *Store) byToken(ctx context.Context, op string, refs []tokenize.Ref) ([]tokenize.Row, error) {
	rows := make([]tokenize.Row, len(refs))
	err := s.get(ctx, op, all(len(refs)),
		func(i int) []byte { return itemKey(tokenKind, refs[i].Scope, refs[i].Token) },
		func(i int, item attributes) (err error) {
			rows[i], err = parseTokenItem(&refs[i], item)
			return err
		})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// get reads the items of entries and gives those that are there to take, which is
// called for different entries at once.
func (s *Store) get(ctx context.Context, op string, entries []int, key func(i int) []byte, take func(i int, item attributes) error) error {
	if e := contextError(ctx, op); e != nil {
		return e
	}
	// A request must not name an item twice.
	asked := make(map[string][]int, len(entries))
	unique := make([]int, 0, len(entries))
	for _, i := range entries {
		k := string(key(i))
		if asked[k] == nil {
			unique = append(unique, i)
		}
		asked[k] = append(asked[k], i)
	}
	var mu sync.Mutex // guards first
	var first *Error
	s.each(unique, maxGet, func(part []int) {
		keys := make(map[string]bool, len(part))
		for _, i := range part {
			keys[string(key(i))] = true
		}
		e := s.getPart(ctx, op, keys, func(k string, item attributes) error {
			for _, i := range asked[k] {
				if err := take(i, item); err != nil {
					return err
				}
			}
			return nil
		})
		if e != nil {
			mu.Lock()
			defer mu.Unlock()
			if first == nil || first.again {
				first = e
			}
		}
	})
	if first != nil {
		return first
	}
	return nil
}

// getPart reads the items of keys in one request, and those that it left out in
// further ones.
func (s *Store) getPart(ctx context.Context, op string, keys map[string]bool, take func(key string, item attributes) error) *Error {
	for attempt := 1; ; attempt++ {
		before := len(keys)
		e := s.getOnce(ctx, op, keys, take)
		switch {
		case e != nil && !e.again:
			return e
		case len(keys) == 0:
			return nil
		case e == nil:
			e = codeError(op, "ProvisionedThroughputExceededException", false)
		}
		if len(keys) < before {
			attempt = 1 // it goes on, as an answer has a limit of bytes too
		}
		if attempt == attempts {
			return e
		}
		if !pause(ctx, attempt) {
			return contextError(ctx, op)
		}
	}
}

// getOnce sends one request and removes the keys that it answered.
func (s *Store) getOnce(ctx context.Context, op string, keys map[string]bool, take func(key string, item attributes) error) *Error {
	want := make([]attributes, 0, len(keys))
	for k := range keys {
		want = append(want, keyOnly([]byte(k)))
	}
	got, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: want, ConsistentRead: aws.Bool(true)}},
	})
	if err != nil {
		return callError(ctx, op, err)
	}
	left := map[string]bool{}
	for table, more := range got.UnprocessedKeys {
		for _, item := range more.Keys {
			k := string(bytesOf(item, keyAttr))
			if table != s.table || !keys[k] {
				return callError(ctx, op, errAnswer)
			}
			left[k] = true
		}
	}
	for table, items := range got.Responses {
		for _, item := range items {
			k := string(bytesOf(item, keyAttr))
			if table != s.table || !keys[k] || left[k] {
				return callError(ctx, op, errAnswer)
			}
			if err := take(k, item); err != nil {
				return callError(ctx, op, err)
			}
			delete(keys, k)
		}
	}
	clear(keys)
	maps.Copy(keys, left)
	return nil
}
