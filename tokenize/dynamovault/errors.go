package dynamovault

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

const (
	// attempts bounds how often a call sends what does not get through, beside
	// the attempts that the client makes by itself.
	attempts = 10
	// firstPause lies before the second attempt; each further one is up to twice
	// as long, and a random part of it is left off.
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// An Error says why a call failed. Its text holds no tokens, indexes and values:
// of what DynamoDB says, the code alone is passed on. It unwraps to the error of
// the context where that has ended, and to nothing else.
type Error struct {
	// Op is the call: "insert", "by index", "by token", "count", "delete",
	// "check" or "create table".
	Op string
	// Code is DynamoDB's name for the error, such as
	// ProvisionedThroughputExceededException, or its reason for cancelling a
	// transaction, such as TransactionConflict; empty where it did not answer.
	Code string

	text  string
	cause error // of the context
	again bool  // the same call may succeed
}

// Error returns the call, the code and a word on what the code means.
func (e *Error) Error() string {
	text := "dynamovault: " + e.Op + ": " + e.text
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	return text
}

// Unwrap returns the error of the context, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Retryable tells whether the same call may succeed later without anybody
// changing it: DynamoDB was away or throttled, or transactions were in each
// other's way. It is false for missing rights and missing tables, and where the
// context had ended.
func (e *Error) Retryable() bool { return e.again }

// callError turns what a request ended with into an Error.
func callError(ctx context.Context, op string, err error) *Error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return codeError(op, api.ErrorCode(), api.ErrorFault() == smithy.FaultServer)
	}
	if e := contextError(ctx, op); e != nil {
		return e
	}
	if errors.Is(err, errItem) || errors.Is(err, errAnswer) {
		return &Error{Op: op, text: err.Error()}
	}
	// The client's own errors can quote arguments.
	return &Error{Op: op, text: "DynamoDB could not be reached, or its answer not be read", again: true}
}

// codeError is the error for a code of a request or of a part of a transaction.
func codeError(op, code string, fault bool) *Error {
	e := &Error{Op: op, Code: code, text: "DynamoDB refused the request", again: fault}
	switch code {
	case "ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded", "ThrottlingException", "ThrottlingError",
		"RequestLimitExceeded", "LimitExceededException":
		e.text, e.again = "DynamoDB throttles the requests", true
	case conflict, "TransactionConflictException", "TransactionInProgressException":
		e.text, e.again = "transactions are in each other's way", true
	case "InternalServerError", "InternalServerErrorException", "ServiceUnavailable":
		e.text, e.again = "DynamoDB has a fault of its own", true
	case "ResourceNotFoundException":
		e.text = "the table is not there"
	case "ResourceInUseException":
		e.text = "the table is there already"
	case "AccessDeniedException":
		e.text = "the role lacks a right on the table"
	case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "MissingAuthenticationTokenException":
		e.text = "DynamoDB does not accept the credentials"
	}
	return e
}

func contextError(ctx context.Context, op string) *Error {
	cause := ctx.Err()
	if cause == nil {
		return nil
	}
	text := "canceled"
	if errors.Is(cause, context.DeadlineExceeded) {
		text = "not done in time"
	}
	return &Error{Op: op, text: text, cause: cause}
}

// canceled returns the reasons for which a transaction was not done.
func canceled(err error) ([]types.CancellationReason, bool) {
	if e, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		return e.CancellationReasons, true
	}
	return nil, false
}

// pause waits before another attempt, and tells whether there is to be one.
func pause(ctx context.Context, attempt int) bool {
	full := min(firstPause<<(attempt-1), lastPause)
	timer := time.NewTimer(rand.N(full) + time.Millisecond) //nolint:gosec // jitter, no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
