package vaultkms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// An Error says that a call failed. It holds nothing of the answer: messages of
// Vault repeat paths and parts of requests.
type Error struct {
	// Op is the call: encrypt, decrypt or rewrap.
	Op string
	// Server is the host that was asked.
	Server string
	// Via is what failed before the call could be made: login, renewal or token.
	// Empty when it was the call itself.
	Via string
	// Reason is what is wrong, from a fixed list.
	Reason string
	// Status is the HTTP status, and zero when there was no answer.
	Status int

	class error // of package kms
	cause error // the error of the context, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "vaultkms: %s at %s: ", e.Op, e.Server)
	if e.Via != "" {
		b.WriteString(e.Via + ": ")
	}
	if e.cause != nil {
		b.WriteString(e.cause.Error())
	} else {
		b.WriteString(e.Reason)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " (HTTP status %d)", e.Status)
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

// Reasons that the code decides by.
const (
	reasonDerives  = "the key derives, and needs a context"
	reasonDenied   = "permission denied"
	reasonNoKey    = "no such key"
	reasonNoAnswer = "no answer"
	reasonReadsAAD = "the associated data is no base64"
)

// What is wrong with an answer, or with getting it.
var (
	errTooLong    = errors.New("answer is longer than 64 KiB")
	errRedirected = errors.New("answer is a redirect, and none is followed")
	errTimeout    = errors.New("no answer in time")
)

// A rule gives a message of Vault its meaning. Vault answers nearly everything
// that is wrong with status 400, and only the text tells what.
type rule struct {
	text   string
	class  error
	reason string
}

// rules are for status 400, the first that applies.
func rules() []rule {
	return []rule{
		{"missing 'context' for key derivation", kms.ErrCorrupt, reasonDerives},
		{"encryption key not found", kms.ErrNotFound, reasonNoKey},
		// How encrypt refuses to make a key of the type that it is sent.
		{"unknown key type", kms.ErrNotFound, reasonNoKey},
		// The versions are there, and an operator can let them open again: that is
		// no damage of the wrapped key.
		{"disallowed by policy (too old)", kms.ErrDisabled, "the version of the key is below min_decryption_version"},
		{"less than the minimum encryption key version", kms.ErrDisabled, "the version of the key is below min_encryption_version"},
		{"soft-deleted key", kms.ErrDisabled, "the key is soft-deleted"},
		{"message authentication failed", kms.ErrCorrupt, "the wrapped key does not authenticate"},
		{"version is too new", kms.ErrCorrupt, "the key has no such version"},
		{"no such key version", kms.ErrCorrupt, "the key has no such version"},
		{"invalid ciphertext", kms.ErrCorrupt, "the wrapped key is no ciphertext"},
		{"missing ciphertext", kms.ErrCorrupt, "the wrapped key is no ciphertext"},
		{"non-AEAD cipher suite", kms.ErrInvalid, "the key is of a type that takes no associated data"},
		{"not supported for key type", kms.ErrInvalid, "the key is of a type that does not encrypt"},
		{"missing client token", kms.ErrDenied, "no token"},
	}
}

// refusal makes an Error of an answer that is none of success.
func refusal(op, server string, status int, messages []string) *Error {
	e := &Error{Op: op, Server: server, Status: status}
	has := func(text string) bool {
		for _, m := range messages {
			if strings.Contains(m, text) {
				return true
			}
		}
		return false
	}
	if has("associated_data") && has("illegal base64") {
		e.class, e.Reason = kms.ErrUnavailable, reasonReadsAAD
		return e
	}
	const standby, performanceStandby = 472, 473
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.class, e.Reason = kms.ErrDenied, reasonDenied
	case http.StatusNotFound:
		e.class, e.Reason = kms.ErrNotFound, "no such mount or namespace"
	case http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		e.class, e.Reason = kms.ErrInvalid, "the mount is no transit engine"
	case http.StatusTooManyRequests:
		e.class, e.Reason = kms.ErrThrottled, "rate limit"
	case http.StatusServiceUnavailable:
		e.class, e.Reason = kms.ErrUnavailable, "sealed or in maintenance"
	case standby, performanceStandby:
		e.class, e.Reason = kms.ErrUnavailable, "a standby answered"
	case http.StatusBadRequest:
		for _, r := range rules() {
			if has(r.text) {
				e.class, e.Reason = r.class, r.reason
				return e
			}
		}
		fallthrough
	default:
		// What is not known is not held against a KEK.
		e.class, e.Reason = kms.ErrUnavailable, "an answer that says nothing known"
		if status >= http.StatusMultipleChoices && status < http.StatusBadRequest {
			e.Reason = errRedirected.Error()
		}
	}
	return e
}

// failed makes an Error of a call that got no answer. ctx is that of the call; the
// end of it is the caller's unless errTimeout is its cause.
func failed(ctx context.Context, op, server string, err error) *Error {
	e := &Error{Op: op, Server: server, class: kms.ErrUnavailable, Reason: reasonNoAnswer}
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTimeout) {
		e.cause = ctx.Err()
		return e
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Reason = "the certificate of the server is not trusted"
		return e
	}
	switch {
	case errors.Is(err, errTooLong):
		e.Reason = errTooLong.Error()
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		e.Reason = errTimeout.Error()
	}
	return e
}

// wrongAnswer makes an Error of an answer of success that cannot be one.
func wrongAnswer(op, server, reason string, class error) *Error {
	return &Error{Op: op, Server: server, Status: http.StatusOK, Reason: reason, class: class}
}

// hasReason tells whether err is a call that failed for a reason.
func hasReason(err error, reason string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Via == "" && e.Reason == reason
}
