package azurekms

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// The calls, as an [Error] names them.
const (
	opWrap   = "wrapkey"
	opUnwrap = "unwrapkey"
)

// An Error says that a call failed. It has what Azure calls the fault and nothing
// else of the answer, since messages of Azure name principals and networks.
type Error struct {
	// Op is the call: wrapkey or unwrapkey.
	Op string
	// Vault is the host name of where it went.
	Vault string
	// Via is "credentials" where there was no token, and empty when it was the
	// call itself that failed.
	Via string
	// Code is the name that Azure has for the fault, such as Forbidden, and Reason
	// that of the fault within, such as KeyDisabled. Empty when there was none.
	Code, Reason string
	// Status is the HTTP status, and zero when there was no answer.
	Status int
	// RequestID is what Azure wants to know when it is asked about a call.
	RequestID string
	// RetryAfter is how long Azure wants to be left alone, an hour at most, and
	// zero when it did not say.
	RetryAfter time.Duration

	class error // of package kms
	cause error // a fixed text, or the error of the context, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "azurekms: %s at %s: ", e.Op, e.Vault)
	if e.Via != "" {
		b.WriteString(e.Via + ": ")
	}
	switch {
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	case e.Reason != "":
		b.WriteString(e.Code + ", " + e.Reason)
	case e.Code != "":
		b.WriteString(e.Code)
	case e.Status != 0:
		fmt.Fprintf(&b, "HTTP status %d", e.Status)
	default:
		b.WriteString("no answer")
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
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

var (
	// errTimeout is not the error of a context: that of the caller goes on.
	errTimeout     = errors.New("no answer in time")
	errCertificate = errors.New("certificate of the server is not trusted")
	errUnreadable  = errors.New("answer cannot be read")
)

// failure makes an Error of what the SDK returned. ctx is that of the caller,
// not the one with the timeout of the call.
func failure(ctx context.Context, op, vault string, err error) *Error {
	e := &Error{Op: op, Vault: vault, class: kms.ErrUnavailable}
	if a, ok := errors.AsType[*answer](err); ok {
		e.Status, e.Code, e.Reason, e.RequestID, e.RetryAfter = a.status, a.code, a.reason, a.requestID, a.retryAfter
		e.class = classOf(op, a)
		return e
	}
	if res, ok := errors.AsType[*azcore.ResponseError](err); ok && res.StatusCode == http.StatusUnauthorized {
		e.Status, e.Code, e.class = res.StatusCode, printable(res.ErrorCode), kms.ErrDenied
		return e
	}
	none, tokenless := errors.AsType[*credentialError](err)
	if tokenless {
		e.Via = "credentials"
	}
	switch {
	case ctx.Err() != nil:
		e.cause = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		e.cause = errTimeout
	case tokenless:
		e.refused(none.err)
	case errors.Is(err, errTenant):
		e.class, e.cause = kms.ErrDenied, errTenant
	default:
		e.cause = causeOf(err)
	}
	return e
}

// causeOf returns a fixed text for what went wrong on the way.
func causeOf(err error) error {
	for _, known := range []error{errTooLong, errHost, errCut, errChallenge} {
		if errors.Is(err, known) {
			return known
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errCertificate
	}
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	if syntax || kind || errors.Is(err, io.ErrUnexpectedEOF) {
		return errUnreadable
	}
	return nil
}

// classOf decides by the codes. An answer without one comes from something on the
// way, and is not held against a KEK.
func classOf(op string, a *answer) error {
	switch a.reason {
	case "KeyDisabled", "KeyExpired", "KeyNotYetValid", "SecretDisabled", "VaultDisabled":
		return kms.ErrDisabled
	}
	switch a.code {
	case "KeyDisabled", "KeyExpired", "KeyNotYetValid", "ObjectIsBeingDeleted", "ObjectIsDeletedButRecoverable", "ObjectIsBeingRecovered":
		return kms.ErrDisabled
	case "Forbidden", "AccessDenied", "Unauthorized", "ForbiddenByRbac", "ForbiddenByPolicy", "ForbiddenByFirewall", "KeyOperationForbidden":
		return kms.ErrDenied
	case "KeyNotFound":
		return kms.ErrNotFound
	case "Throttled", "TooManyRequests", "VaultRequestTypeLimitReached":
		return kms.ErrThrottled
	case "BadParameter", "InvalidParameter", "InvalidArgument", "NotSupported", "KeyOperationNotSupported":
		// Key Vault has no name for what does not open: to it, that is a wrong
		// parameter as any other.
		if op == opUnwrap {
			return kms.ErrCorrupt
		}
		return kms.ErrInvalid
	}
	if a.status == http.StatusTooManyRequests {
		return kms.ErrThrottled
	}
	return kms.ErrUnavailable
}

// refused reads why there is no token. The texts of Entra name applications and
// tenants; its codes do not.
func (e *Error) refused(err error) {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		return
	}
	e.Status = failed.RawResponse.StatusCode
	var in struct {
		Error string `json:"error"`
	}
	if body := failed.RawResponse.Body; body != nil {
		if b, err := io.ReadAll(io.LimitReader(body, maxAnswer)); err == nil && json.Unmarshal(b, &in) == nil {
			e.Code = printable(in.Error)
		}
	}
	switch e.Code {
	case "invalid_client", "unauthorized_client", "invalid_grant", "access_denied", "invalid_request", "invalid_scope",
		"invalid_resource", "consent_required", "interaction_required", "unsupported_grant_type":
		e.class = kms.ErrDenied
	default:
		if e.Status == http.StatusTooManyRequests {
			e.class = kms.ErrThrottled
		}
	}
}
