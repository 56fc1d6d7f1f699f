package glueregistry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"github.com/fieldveil/fieldveil/schema"
)

// ErrIncompatible means that a text does not go with the versions before it,
// under the compatibility mode of its schema.
var ErrIncompatible = errors.New("schema is incompatible with an earlier version")

// ErrDifferent means that Glue took a text for a version that it has, although
// that says something else. Glue compares what it regards as the essence of a
// schema, and properties such as tags may not belong to it.
var ErrDifferent = errors.New("registry holds a different text under the same version")

// ErrUnsupported means that a text has something that Glue cannot keep.
var ErrUnsupported = errors.New("not supported by the Glue Schema Registry")

// errNoAnswer is the cause of a fetch that took longer than its own limit.
var errNoAnswer = errors.New("no answer in time")

// A StatusError says that a schema version exists but must not be used. It wraps
// [schema.ErrNotFound].
type StatusError struct {
	GUID   [16]byte
	Status string // PENDING, FAILURE or DELETING; empty if Glue told none
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("glueregistry: schema version %s is not available but %q", FormatGUID(e.GUID), e.Status)
}

// Unwrap returns [schema.ErrNotFound].
func (e *StatusError) Unwrap() error { return schema.ErrNotFound }

// An APIError says that a call to Glue failed. It tells what AWS calls the fault
// and keeps nothing else of it, since messages of AWS may repeat the headers of
// the request.
type APIError struct {
	// Op is the call, such as "GetSchemaVersion".
	Op string
	// Code is the name that AWS has for the fault, such as
	// "AccessDeniedException". Empty when there was no answer.
	Code string
	// Status is the HTTP status, and zero when there was no answer.
	Status int
	// RequestID is what AWS wants to know when it is asked about a call.
	RequestID string

	cause error // a sentinel, never an error of the SDK
}

func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "glueregistry: %s: ", e.Op)
	switch {
	case e.Code != "":
		b.WriteString(e.Code)
	case e.Status != 0:
		fmt.Fprintf(&b, "HTTP status %d", e.Status)
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	default:
		b.WriteString("no answer")
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// Unwrap returns [schema.ErrNotFound] when that is what the code means,
// [context.Canceled] or [context.DeadlineExceeded] when the caller has given the
// call up, and otherwise nothing that is worth a test.
func (e *APIError) Unwrap() error { return e.cause }

// The codes that decide what to do next.
const (
	codeNotFound   = "EntityNotFoundException"
	codeExists     = "AlreadyExistsException"
	codeConcurrent = "ConcurrentModificationException"
)

// apiError keeps of an SDK's error what is safe to show.
func apiError(op string, err error) *APIError {
	e := &APIError{Op: op}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code = printable(api.ErrorCode())
	}
	if http, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		e.RequestID = printable(http.RequestID)
		if http.ResponseError != nil && http.Response != nil && http.Response.Response != nil {
			e.Status = http.HTTPStatusCode()
		}
	}
	_, notFound := errors.AsType[*types.EntityNotFoundException](err)
	switch {
	case notFound || e.Code == codeNotFound:
		e.Code, e.cause = codeNotFound, schema.ErrNotFound
	case errors.Is(err, context.Canceled):
		e.cause = context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		e.cause = context.DeadlineExceeded
	}
	return e
}

// hasCode tells whether err is a call that failed with a code.
func hasCode(err error, code string) bool {
	e, ok := errors.AsType[*APIError](err)
	return ok && e.Code == code
}

// printable returns s if it looks like a code or an id, and a fixed word
// otherwise: whatever answers at the endpoint chooses it.
func printable(s string) string {
	const most = 64
	if len(s) > most {
		return "unreadable"
	}
	for _, c := range []byte(s) {
		if !plain(c) && c != '#' && c != ':' {
			return "unreadable"
		}
	}
	return s
}
