package redisvault

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// An Error says why a call failed. Its text holds no tokens, indexes and values:
// of what the server says, the code alone is passed on, since messages can quote
// arguments. It unwraps to the error of the context where that has ended, and to
// nothing else.
type Error struct {
	// Op is the call: "insert", "by index", "by token", "count", "delete" or
	// "check".
	Op string
	// Code is the first word of the server's error, such as OOM or READONLY;
	// empty where the server did not answer with an error.
	Code string

	text  string
	cause error // of the context
	again bool  // the same call may succeed at once
	later bool  // or after a while
	lost  bool  // the connection was, so the server may be another one now
}

// Error returns the call, the code and a word on what the code means.
func (e *Error) Error() string {
	text := "redisvault: " + e.Op + ": " + e.text
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	return text
}

// Unwrap returns the error of the context, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Retryable tells whether the same call may succeed later without anybody
// changing it: the server was away, full, busy or failing over. It is false for
// missing rights and settings that are refused, and where the context had ended.
func (e *Error) Retryable() bool {
	return e.again || e.later
}

var (
	// errUnconfirmed marks commands whose replicas did not confirm in time.
	errUnconfirmed = errors.New("fewer replicas than asked for have confirmed in time")
	errAnswer      = errors.New("the server answered with something else than it was asked for")
)

// commandError turns what a command ended with into an Error.
func commandError(ctx context.Context, op string, err error) *Error {
	if code, ok := serverCode(err); ok {
		return &Error{Op: op, Code: code, text: meaning(code), again: againCode(code), later: laterCode(code), lost: code == "READONLY"}
	}
	if e := contextError(ctx, op); e != nil {
		return e
	}
	switch {
	case errors.Is(err, errUnconfirmed):
		return &Error{Op: op, text: errUnconfirmed.Error(), later: true, lost: true}
	case errors.Is(err, errRow), errors.Is(err, errAnswer):
		return &Error{Op: op, text: err.Error()}
	case isNetwork(err):
		return &Error{Op: op, text: "the connection was lost or could not be made", again: true, lost: true}
	case errors.Is(err, redis.ErrClosed):
		return &Error{Op: op, text: "the client is closed"}
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return &Error{Op: op, text: "no connection to be had from the pool", again: true}
	}
	// The client's own errors can quote arguments.
	return &Error{Op: op, text: "the client could not send the command or read the answer", again: true, lost: true}
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

// serverCode returns the first word of an error that the server answered with.
func serverCode(err error) (string, bool) {
	e, ok := errors.AsType[redis.Error](err)
	if !ok || errors.Is(err, redis.Nil) {
		return "", false
	}
	code, _, _ := strings.Cut(e.Error(), " ")
	for i := range len(code) {
		if code[i] < 'A' || code[i] > 'Z' {
			code = ""
			break
		}
	}
	if code == "" || len(code) > 16 {
		code = "ERR"
	}
	return code, true
}

// againCode tells of which errors a call is free to start over at once.
func againCode(code string) bool {
	switch code {
	case "LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "MOVED", "ASK", "BUSY", "NOSCRIPT":
		return true
	default:
		return false
	}
}

// laterCode tells of which errors a call may succeed when somebody has made room
// or a server has come back.
func laterCode(code string) bool {
	switch code {
	case "OOM", "MISCONF", "NOREPLICAS":
		return true
	default:
		return false
	}
}

func isNetwork(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	return isNet || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// meaning says in plain words what a code means.
func meaning(code string) string {
	switch code {
	case "BUSY":
		return "the server runs somebody's long script"
	case "CLUSTERDOWN":
		return "the cluster does not serve the key"
	case "LOADING":
		return "the server loads its data"
	case "MASTERDOWN":
		return "the replica has lost its primary"
	case "MISCONF":
		return "the server cannot write to its disk"
	case "MOVED", "ASK", "TRYAGAIN":
		return "the cluster moves the key"
	case "NOAUTH", "WRONGPASS":
		return "the server refused the user"
	case "NOPERM":
		return "the user lacks a right"
	case "NOREPLICAS":
		return "the server has too few replicas to take writes"
	case "NOSCRIPT":
		return "the server forgets scripts as fast as it gets them"
	case "OOM":
		return "the server's memory is full"
	case "READONLY":
		return "the server takes no writes, as a replica"
	case "WRONGTYPE":
		return "a key is of another type, so somebody else's"
	default:
		return "the server answered with an error"
	}
}
