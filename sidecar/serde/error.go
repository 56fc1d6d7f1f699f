package serde

import (
	"context"
	"errors"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
)

// The codes of an [Error]. The set is closed, fit for metrics, and the codes stay
// the same for ever.
const (
	// CodeJSON is a value that is not exactly one JSON text of the strict kind.
	CodeJSON = "json_invalid"
	// CodeBase64 is a binary value that is not base64 with its padding.
	CodeBase64 = "base64_invalid"
	// CodeSchemaInvalid is a request for a schema that makes no sense, or a schema
	// that cannot be read, may not be registered, or is of another format than was
	// asked for.
	CodeSchemaInvalid = "schema_invalid"
	// CodeSchemaMissing is a request that does not tell which schema it means.
	CodeSchemaMissing = "schema_missing"
	// CodeSchemaNotFound is a schema, version or subject that the registry does not
	// have.
	CodeSchemaNotFound = "schema_not_found"
	// CodeRegistry is a registry that cannot be asked, or whose answer is of no use.
	// The Error says whether it may be worth another try.
	CodeRegistry = "registry_unavailable"
	// CodeUnfit is a value that does not follow its schema.
	CodeUnfit = "value_unfit"
	// CodeAmbiguous is a value of a union that does not tell its branch.
	CodeAmbiguous = "union_ambiguous"
	// CodeInternal is a fault of this package.
	CodeInternal = "internal"
)

// An Error says what is wrong with a request or a value. Its text consists of
// fixed words and names out of the schema, so it may be sent to the client and
// logged.
type Error struct {
	code, path, reason string
	retry              bool
}

// Code returns one of the codes of this package.
func (e *Error) Code() string { return e.code }

// Path returns the canonical path of the field at fault, such as "/cards/[]/pan",
// with "[]" for any item of an array and "{}" for a member that the schema has no
// name for. It is empty for the record as a whole and for schemas.
func (e *Error) Path() string { return e.path }

// Reason returns a few fixed words, such as "missing field".
func (e *Error) Reason() string { return e.reason }

// Retryable tells whether the same request may succeed later.
func (e *Error) Retryable() bool { return e.retry }

// Error returns code, path and reason.
func (e *Error) Error() string {
	text := e.code
	if e.path != "" {
		text += " at " + e.path
	}
	if e.reason != "" {
		text += ": " + e.reason
	}
	return text
}

// Is makes errors.Is compare codes: a target that is an *Error with no more than a
// code stands for all errors of it.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.code == e.code && (t.path == "" || t.path == e.path)
}

func unfit(reason string) *Error { return &Error{code: CodeUnfit, reason: reason} }

func invalidSchema(reason string) *Error { return &Error{code: CodeSchemaInvalid, reason: reason} }

// under returns e as the error of a place further out.
func (e *Error) under(segment string) *Error {
	e.path = segment + e.path
	return e
}

// fromRegistry returns what an error of the registry client means here. Its text
// may quote a schema, so none of it passes.
func fromRegistry(err error) *Error {
	classes := []struct {
		class error
		is    Error
	}{
		{schema.ErrNotFound, Error{code: CodeSchemaNotFound, reason: "the registry does not have it"}},
		{registry.ErrIncompatible, Error{code: CodeSchemaInvalid, reason: "not compatible with an earlier version of its subject"}},
		{registry.ErrInvalid, Error{code: CodeSchemaInvalid, reason: "the registry refuses it"}},
		{registry.ErrUnsupported, Error{code: CodeSchemaInvalid, reason: "has something that is not supported"}},
		{registry.ErrLimit, Error{code: CodeSchemaInvalid, reason: "larger than the limits allow"}},
		{registry.ErrDenied, Error{code: CodeRegistry, reason: "the registry denies access"}},
		{registry.ErrChanged, Error{code: CodeRegistry, reason: "the schema changed under its id"}},
		{registry.ErrAnswer, Error{code: CodeRegistry, reason: "the answer of the registry cannot be read"}},
		{registry.ErrClosed, Error{code: CodeRegistry, reason: "closed", retry: true}},
		{context.Canceled, Error{code: CodeRegistry, reason: "the request ended first", retry: true}},
	}
	for _, c := range classes {
		if errors.Is(err, c.class) {
			return &c.is
		}
	}
	return &Error{code: CodeRegistry, retry: registry.Retryable(err)}
}
