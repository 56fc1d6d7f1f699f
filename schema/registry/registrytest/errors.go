package registrytest

import (
	"fmt"
	"net/http"
)

// Error codes of the registry protocol. Their first three digits are the HTTP
// status.
const (
	CodeIncompatible          = 409
	CodeSubjectNotFound       = 40401
	CodeVersionNotFound       = 40402
	CodeSchemaNotFound        = 40403
	CodeSubjectSoftDeleted    = 40404
	CodeSubjectNotSoftDeleted = 40405
	CodeVersionSoftDeleted    = 40406
	CodeVersionNotSoftDeleted = 40407
	CodeNoSubjectConfig       = 40408
	CodeNoSubjectMode         = 40409
	CodeInvalidSchema         = 42201
	CodeInvalidVersion        = 42202
	CodeInvalidLevel          = 42203
	CodeInvalidMode           = 42204
	CodeNotPermitted          = 42205
	CodeReferenceExists       = 42206
	CodeIDMismatch            = 42207
	CodeInvalidSubject        = 42208
	CodeInvalidRuleSet        = 42210
	CodeStore                 = 50001
)

// An Error is an answer of the registry that is no success.
type Error struct {
	Status  int    // HTTP status
	Code    int    // error_code of the body
	Message string // message of the body
}

func (e *Error) Error() string {
	return fmt.Sprintf("registrytest: %d: %s", e.Code, e.Message)
}

// errorf makes an Error whose status is the head of its code.
func errorf(code int, format string, args ...any) *Error {
	status := code
	for status > 999 {
		status /= 10
	}
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func plain(status int) *Error {
	return errorf(status, "HTTP %d %s", status, http.StatusText(status))
}

func subjectNotFound(subject string) *Error {
	return errorf(CodeSubjectNotFound, "Subject '%s' not found.", subject)
}

func versionNotFound(version int) *Error {
	return errorf(CodeVersionNotFound, "Version %d not found.", version)
}

func invalidSchema(format string, args ...any) *Error {
	return errorf(CodeInvalidSchema, "Invalid schema: "+format, args...)
}
