package dynamovault

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	// maxTransaction is how many rows one transaction has. DynamoDB takes 50, two
	// items each; smaller ones are less often in the way of others, and those
	// that are have less to repeat.
	maxTransaction = 25

	// Reasons for which a part of a transaction was not done.
	reasonNone   = "None"
	failed       = "ConditionalCheckFailed"
	conflict     = "TransactionConflict"
	transactions = "TransactionCanceledException"
)

var errAnswer = errors.New("DynamoDB answered with something else than it was asked for")

// A change is one call's transactions, two parts for each entry.
type change struct {
	op string
	// parts returns the two parts of an entry.
	parts func(i int) [2]types.TransactWriteItem
	// done is called for entries whose transaction was done, from several
	// goroutines at once, for different entries.
	done func(i int)
	// refused is called in the same way for entries that were not done because a
	// condition failed: of the first part, with the item that stands, or only of
	// the second one.
	refused func(i int, first bool, item attributes) error
}

// transact does the transactions of entries until all are decided. Transactions
// fail as a whole: what failed conditions decide is left out of the next one, and
// where others were in the way, each entry has its own.
func (s *Store) transact(ctx context.Context, c *change, entries []int) error {
	size := maxTransaction
	for attempt := 1; len(entries) > 0; {
		if e := contextError(ctx, c.op); e != nil {
			return e
		}
		var mu sync.Mutex // guards what follows
		var left []int
		var worst *Error
		s.each(entries, size, func(part []int) {
			rest, e := s.transactOnce(ctx, c, part)
			mu.Lock()
			defer mu.Unlock()
			left = append(left, rest...)
			if e != nil && (worst == nil || worst.again) {
				worst = e
			}
		})
		entries = left
		if worst == nil {
			continue // each round decides something
		}
		if !worst.again || attempt == attempts {
			return worst
		}
		if worst.Code == conflict {
			size = 1
		}
		if !pause(ctx, attempt) {
			return contextError(ctx, c.op)
		}
		attempt++
	}
	return nil
}

// transactOnce does one transaction and returns the entries that it leaves
// undecided. Without an error there are fewer of them than before.
func (s *Store) transactOnce(ctx context.Context, c *change, entries []int) ([]int, *Error) {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: make([]types.TransactWriteItem, 0, 2*len(entries))}
	for _, i := range entries {
		parts := c.parts(i)
		in.TransactItems = append(in.TransactItems, parts[:]...)
	}
	_, err := s.api.TransactWriteItems(ctx, in)
	if err == nil {
		for _, i := range entries {
			c.done(i)
		}
		return nil, nil
	}
	reasons, ok := canceled(err)
	if !ok {
		return entries, callError(ctx, c.op, err)
	}
	if len(reasons) != 2*len(entries) {
		return entries, callError(ctx, c.op, errAnswer)
	}
	var left []int
	var worst *Error
	for n, i := range entries {
		decided, e := judge(c, i, reasons[2*n], reasons[2*n+1])
		if !decided {
			left = append(left, i)
		}
		if e != nil && (worst == nil || worst.again && (!e.again || e.Code == conflict)) {
			worst = e
		}
	}
	if worst == nil && len(left) == len(entries) {
		// No part is to blame: the reasons cannot be right.
		return entries, codeError(c.op, transactions, true)
	}
	return left, worst
}

// judge tells what the reasons of one entry's parts mean. An entry that is not
// decided and has no error was well, others of its transaction were not.
func judge(c *change, i int, first, second types.CancellationReason) (decided bool, e *Error) {
	a, b := aws.ToString(first.Code), aws.ToString(second.Code)
	switch {
	case a == failed:
	case !isNone(a):
		return false, codeError(c.op, a, false)
	case isNone(b):
		return false, nil
	case b != failed:
		return false, codeError(c.op, b, false)
	}
	if err := c.refused(i, a == failed, first.Item); err != nil {
		return false, &Error{Op: c.op, text: err.Error()}
	}
	return true, nil
}

func isNone(code string) bool { return code == "" || code == reasonNone }
