package dynamovault

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/fieldveil/fieldveil/tokenize"
)

const (
	defaultParallel = 8
	maxParallel     = 256
)

// An API is what a [Store] needs of DynamoDB. [*dynamodb.Client] has it, and so
// has whatever wraps one.
type API interface {
	TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, options ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, options ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, options ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DescribeTable(ctx context.Context, in *dynamodb.DescribeTableInput, options ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
}

// A Store keeps rows in one table. It is a [tokenize.Store], safe for concurrent
// use.
type Store struct {
	api      API
	table    string
	parallel int
	global   bool // the table may have replicas in other regions
	checked  atomic.Bool
}

var _ tokenize.Store = (*Store)(nil)

// An Option changes how a [Store] works.
type Option func(*Store) error

// WithParallel sets how many requests one call has under way at most: 1 to 256,
// 8 by default.
func WithParallel(n int) Option {
	return func(s *Store) error {
		if n < 1 || n > maxParallel {
			return errors.New("dynamovault: 1 to 256 requests at once")
		}
		s.parallel = n
		return nil
	}
}

// WithGlobalTable accepts a table that is replicated to other regions. Only one
// region may insert: the others learn of a row a second later, and until then
// would give its value another token.
func WithGlobalTable() Option {
	return func(s *Store) error {
		s.global = true
		return nil
	}
}

// New returns a Store on a table, given by name or ARN, as [Definition] says it
// has to be. It does not ask DynamoDB anything: the first insert does, or
// [Store.Check].
func New(api API, table string, options ...Option) (*Store, error) {
	if api == nil || table == "" {
		return nil, errors.New("dynamovault: there is no client or no table")
	}
	s := &Store{api: api, table: table, parallel: defaultParallel}
	for _, option := range options {
		if err := option(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// each runs f for parts of entries of at most size, some at once, and returns
// when all are done.
func (s *Store) each(entries []int, size int, f func(part []int)) {
	if len(entries) <= size {
		if len(entries) > 0 {
			f(entries)
		}
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, s.parallel)
	for len(entries) > 0 {
		n := min(size, len(entries))
		part := entries[:n:n]
		entries = entries[n:]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(part)
		})
	}
	wg.Wait()
}

func all(n int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	return places
}
