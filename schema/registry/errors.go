package registry

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/fieldveil/fieldveil/schema"
)

// Classes of error. Test for them with [errors.Is]. A schema, subject or version
// that does not exist is [schema.ErrNotFound].
var (
	// ErrDenied means that the registry does not accept the credentials, or that
	// they do not allow the call.
	ErrDenied = errors.New("registry denies access")
	// ErrIncompatible means that a schema does not go with those before it, under
	// the compatibility level of its subject.
	ErrIncompatible = errors.New("schema is incompatible with an earlier version")
	// ErrInvalid means that the request is wrong, such as a schema that the
	// registry cannot read.
	ErrInvalid = errors.New("registry refuses the request")
	// ErrUnavailable means that no registry could be asked, or that it could not
	// answer. Only this class is worth another try.
	ErrUnavailable = errors.New("registry unavailable")
	// ErrAnswer means that an answer is not what the interface says.
	ErrAnswer = errors.New("registry answer cannot be read")
	// ErrLimit means that a schema or an answer is larger than the limits allow.
	ErrLimit = errors.New("limit exceeded")
	// ErrChanged means that an id, a GUID or a version stands for something else
	// than it did. Schemas never change, so this is an attack, another registry
	// under the same name, or a registry that was restored from an old state.
	ErrChanged = errors.New("schema changed under its id")
	// ErrUnsupported means that a schema has something that this package cannot
	// honour, such as a format that it does not know.
	ErrUnsupported = errors.New("not supported")
	// ErrClosed means that the Client was closed.
	ErrClosed = errors.New("registry client is closed")
)

// Retryable tells whether the same call may succeed later without anyone
// changing the registry, the schema or the request.
func Retryable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// An Error says that a call failed. It holds no credential and no query.
type Error struct {
	Method string
	// URL is scheme and host of the registry that was asked last.
	URL string
	// Path is the escaped path of the call, without what stands before it in the
	// URL that was configured.
	Path string
	// Status is the HTTP status, and zero when there was no answer.
	Status int
	// Code is the error_code of the registry, such as 40403. Zero when it told
	// none, as when something else than a registry answered.
	Code int
	// Message is what the registry said, without control characters and cut to
	// 512 bytes, or what kept it from being asked. It may quote the text of a
	// schema.
	Message string

	cause error // one of the classes
}

// Retryable tells whether the same call may succeed later: see [Retryable].
func (e *Error) Retryable() bool { return Retryable(e) }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("registry: " + e.Method + " " + e.URL + e.Path + ": ")
	if e.Status != 0 {
		b.WriteString("status " + strconv.Itoa(e.Status) + ", ")
	}
	if e.Code != 0 {
		b.WriteString("code " + strconv.Itoa(e.Code) + ", ")
	}
	b.WriteString(e.cause.Error())
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Unwrap returns the class of the error.
func (e *Error) Unwrap() error { return e.cause }

// classOf returns what a status means that is no success.
func classOf(status int) error {
	switch {
	case status == 404:
		return schema.ErrNotFound
	case status == 401, status == 403, status == 407:
		return ErrDenied
	case status == 409:
		return ErrIncompatible
	case status == 408, status == 425, status == 429, status >= 500:
		return ErrUnavailable
	case status >= 400:
		return ErrInvalid
	default:
		return ErrAnswer
	}
}

const maxMessage = 512

// clean makes a text that somebody else wrote fit for one line of a log.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != ' ':
			return ' '
		default:
			return r
		}
	}, s[:min(len(s), 4*maxMessage)])
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage-3], "") + "..."
	}
	return s
}

// wrap says what went wrong around a class of error.
func wrap(class error, what string) error { return &detail{class: class, what: what} }

type detail struct {
	class error
	what  string
}

func (d *detail) Error() string { return "registry: " + d.what + ": " + d.class.Error() }
func (d *detail) Unwrap() error { return d.class }
