package gcpkms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// An Error says that a call failed. It has what Google calls the fault and
// nothing else of the answer, since its messages name principals, projects and
// keys.
type Error struct {
	// Op is the call: Encrypt or Decrypt.
	Op string
	// Location is that of the KEK.
	Location string
	// Via is what failed before the call could be made: "credentials" or
	// "impersonation". Empty when it was the call itself.
	Via string
	// Code is the name of the gRPC status, such as PermissionDenied. Empty when
	// it failed before the call, or the answer was no error.
	Code string
	// Reason is what Google adds to some codes, such as SERVICE_DISABLED.
	Reason string
	// Status is the HTTP status of Via, and zero when there is none.
	Status int

	class error // of package kms
	cause error // a fixed text, or the error of the context, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "gcpkms: %s in %s: ", e.Op, e.Location)
	if e.Via != "" {
		b.WriteString(e.Via + ": ")
	}
	switch {
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	case e.Code != "":
		b.WriteString(e.Code)
	case e.Status != 0:
		fmt.Fprintf(&b, "HTTP status %d", e.Status)
	default:
		b.WriteString("no answer")
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s)", e.Reason)
	}
	return b.String() + ": " + e.class.Error()
}

// Unwrap returns the class of package kms, and the error of the context when
// that has ended.
func (e *Error) Unwrap() []error {
	if e.cause != nil {
		return []error{e.class, e.cause}
	}
	return []error{e.class}
}

const codeUnauthenticated = "Unauthenticated"

// What gRPC says of an answer that it did not take, in its own words: they come
// with the codes of the service, from which only the text tells them apart. A
// service that says the same is away for us, and no less retryable.
const (
	saysTooLong  = "larger than max"
	saysPage     = "unexpected HTTP status code received from server"
	saysHeader   = "malformed header"
	saysChecksum = "crc32c"
)

var (
	errTooLong = errors.New("answer is longer than 64 KiB")
	errForeign = errors.New("answer is not one of gRPC")
	errChanged = errors.New("the request was changed on its way")
	errTimeout = errors.New("no answer in time") // not the error of a context: that of the caller goes on
)

// failure makes an Error of what gRPC or a source of tokens returned. ctx is that
// of the caller, not the one with the timeout of the call.
func failure(ctx context.Context, op string, ref keyRef, err error) *Error {
	e := &Error{Op: op, Location: ref.location, class: kms.ErrUnavailable}
	source, ofSource := errors.AsType[*sourceError](err)
	if ofSource {
		e.Via, e.Status = source.via, source.status
	}
	st, ofCall := status.FromError(err)
	if ofCall {
		e.Code, e.Reason = st.Code().String(), reason(st)
	}
	switch {
	case ctx.Err() != nil:
		e.cause = ctx.Err()
	case ofSource && source.cause != nil:
		e.class, e.cause = source.class(), source.cause
	case ofSource && source.status != 0:
		e.class = source.class()
	case errors.Is(err, context.DeadlineExceeded), ofCall && st.Code() == codes.DeadlineExceeded:
		e.cause = errTimeout
	case !ofCall:
	case strings.Contains(st.Message(), saysPage), strings.Contains(st.Message(), saysHeader):
		// A proxy on the way: its 401 and 403 are no word of Google.
		e.cause, e.Code = errForeign, ""
	case st.Code() == codes.ResourceExhausted && strings.Contains(st.Message(), saysTooLong):
		e.cause, e.Code = errTooLong, ""
	case st.Code() == codes.InvalidArgument && strings.Contains(st.Message(), saysChecksum):
		e.cause = errChanged
	default:
		e.class = classOf(op, st.Code(), e.Reason)
	}
	return e
}

// within tells whose time was over. A server knows the deadline of a call, and may
// answer that it has passed a moment before the context of the caller ends. bound is
// the context of the call, which has the earlier one of the two deadlines.
func (e *Error) within(ctx, bound context.Context) *Error {
	callers, ok := ctx.Deadline()
	if last, _ := bound.Deadline(); ok && e.cause == errTimeout && callers.Equal(last) { //nolint:errorlint // it is ours, and not wrapped
		e.cause = context.DeadlineExceeded
	}
	return e
}

// classOf decides by the code. What is not known is not held against a KEK.
func classOf(op string, code codes.Code, reason string) error {
	switch code {
	case codes.PermissionDenied:
		return kms.ErrDenied
	case codes.Unauthenticated:
		if reason == "ACCESS_TOKEN_EXPIRED" {
			// The next call has a new token.
			return kms.ErrUnavailable
		}
		return kms.ErrDenied
	case codes.NotFound:
		return kms.ErrNotFound
	case codes.FailedPrecondition:
		switch reason {
		case "SERVICE_DISABLED", "BILLING_DISABLED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED":
			return kms.ErrDenied // it is the project, and not the key
		}
		return kms.ErrDisabled
	case codes.ResourceExhausted:
		return kms.ErrThrottled
	case codes.InvalidArgument:
		if op == opDecrypt {
			// All else in the request was looked at before it was sent.
			return kms.ErrCorrupt
		}
		return kms.ErrInvalid
	case codes.OutOfRange:
		return kms.ErrInvalid
	default:
		return kms.ErrUnavailable
	}
}

// reason returns the reason of an error of Google, which is from a closed list.
func reason(st *status.Status) string {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return printable(info.GetReason())
		}
	}
	return ""
}

// printable returns s if it looks like a reason, and a fixed word otherwise:
// whatever answers at the endpoint chooses it.
func printable(s string) string {
	const most = 63
	if len(s) > most {
		return "unreadable"
	}
	for _, c := range []byte(s) {
		if !alnum(c) && c != '_' {
			return "unreadable"
		}
	}
	return s
}

// A sourceError says that there is no token for a call.
type sourceError struct {
	via    string
	status int   // of HTTP, zero when there was no answer
	skewed bool  // the clock of the service is another than ours
	cause  error // a fixed text or nil
}

func (e *sourceError) Error() string { return "no token" }

// class decides by the status. Who refuses a token refuses the use of the KEK,
// unless it is the clock: assertions have a time in them.
func (e *sourceError) class() error {
	switch e.status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		if e.skewed {
			return kms.ErrUnavailable
		}
		return kms.ErrDenied
	case http.StatusNotFound:
		if e.via == viaImpersonation {
			return kms.ErrDenied // there is no such service account
		}
		return kms.ErrUnavailable
	case http.StatusTooManyRequests:
		return kms.ErrThrottled
	}
	return kms.ErrUnavailable
}

// skewed tells whether the clocks of Google and of this machine are so far apart
// that an assertion is out of date.
func skewed(header http.Header) bool {
	const most = 4 * time.Minute
	theirs, err := http.ParseTime(header.Get("Date"))
	return err == nil && time.Since(theirs).Abs() > most
}
