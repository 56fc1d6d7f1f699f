package pgstore

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrDamaged means that a row does not match its checksum. It stays so until
// somebody puts the row back from a backup. An [Error] unwraps to it.
var ErrDamaged = errors.New("row is damaged")

// An Error says why a call failed. Its text holds no keys, tenants and persons:
// of what the server says, the code alone is passed on, since details and
// messages can quote rows. It unwraps to the error of the context where that has
// ended, to [ErrDamaged], and to nothing else.
type Error struct {
	// Op is the call in lower case, such as "create root", "by key" or "append".
	Op string
	// SQLState is the five-character code of the server's error, see appendix A
	// of PostgreSQL's manual; empty where the server did not answer.
	SQLState string

	text  string
	cause error // of the context, or ErrDamaged
	again bool  // the same transaction may succeed at once
	later bool  // the same call may succeed later
	fault bool  // something is wrong with the tables, which Init may mend
}

// Error returns the call, the code and a word on what the code means.
func (e *Error) Error() string {
	text := "pgstore: " + e.Op + ": " + e.text
	if e.SQLState != "" {
		text += " (SQLSTATE " + e.SQLState + ")"
	}
	return text
}

// Unwrap returns the error of the context, ErrDamaged, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Retryable tells whether the same call may succeed later without anybody
// changing it: the server was away, full, overloaded, shutting down or about to
// become the primary. It is false for missing rights and missing tables, for
// damaged rows, and where the context had ended.
func (e *Error) Retryable() bool { return e.again || e.later || retryableState(e.SQLState) }

func retryableState(state string) bool {
	if len(state) != 5 {
		return false
	}
	switch state[:2] {
	case "08", "40", "53", "55", "57", "58":
		return true
	default:
		return state == "25006" || state == "0A000" // a standby that may have become the primary since
	}
}

// What a query can find that no error of the server's stands for.
var (
	errRollback = errors.New("the server answered commit with rollback")
	errStandby  = errors.New("the server is a standby, which may lag behind")
	errVanished = errors.New("the row was taken away in the same moment")
)

// queryError turns what a transaction or a query ended with into an Error.
func queryError(ctx context.Context, op string, err error, closed bool) *Error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &Error{Op: op, SQLState: pg.Code, text: meaning(pg.Code), again: againState(pg.Code)}
	}
	switch {
	case errors.Is(err, ErrDamaged):
		return damaged(op)
	case errors.Is(err, errStandby):
		return &Error{Op: op, text: err.Error(), later: true}
	case errors.Is(err, errVanished):
		return &Error{Op: op, text: err.Error(), again: true}
	case errors.Is(err, errRollback):
		return &Error{Op: op, text: err.Error()}
	}
	if e := contextError(ctx, op); e != nil {
		return e
	}
	if closed || isNetwork(err) {
		return &Error{Op: op, text: "the connection was lost", again: true}
	}
	// The driver's own errors can quote arguments.
	return &Error{Op: op, text: "the driver could not send the arguments or read the answer"}
}

// acquireError turns the failure to get a connection into an Error. Nothing of
// the caller's has been sent by then, so the driver's words can stand.
func acquireError(ctx context.Context, op string, err error) *Error {
	if e := contextError(ctx, op); e != nil {
		return e
	}
	state := ""
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		state = pg.Code
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		text := strings.Join(strings.Fields(err.Error()), " ")
		return &Error{Op: op, SQLState: state, text: text, again: state == "" || againState(state)}
	}
	return &Error{Op: op, SQLState: state, text: "no connection to be had from the pool", again: isNetwork(err) || againState(state)}
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

func damaged(op string) *Error {
	return &Error{Op: op, text: "a row does not match its checksum", cause: ErrDamaged}
}

// againState tells of which errors a transaction is free to start over at once:
// it was the victim of a deadlock or of another transaction, or the server is
// ending or has only begun.
func againState(state string) bool {
	switch state {
	case "40001", "40P01", "57P01", "57P02", "57P03":
		return true
	default:
		return strings.HasPrefix(state, "08")
	}
}

func isNetwork(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	return isNet || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// meaning says in plain words what a code means, by itself or by its class.
func meaning(state string) string {
	switch state {
	case "0A000":
		return "the server does not do that, as a standby"
	case "23001":
		return "a trigger of the tables refused the change"
	case "25006":
		return "the server takes no writes, as a standby"
	case "40P01":
		return "deadlock"
	case "42501":
		return "the role lacks a right on a table"
	case "42P01":
		return "a table is not there"
	case "53100":
		return "the server's disk is full"
	case "53300":
		return "the server has too many connections"
	case "57014":
		return "the server canceled the statement"
	}
	if len(state) != 5 {
		return "the server answered with an error"
	}
	switch state[:2] {
	case "08":
		return "the connection failed"
	case "22", "23":
		return "the server refused the data"
	case "28":
		return "the server refused the role"
	case "40":
		return "the transaction was rolled back"
	case "42":
		return "the server refused the statement"
	case "53":
		return "the server lacks a resource"
	case "54":
		return "a limit of the server was met"
	case "55":
		return "the server is not in a state to do it"
	case "57":
		return "somebody stopped the statement or the server"
	case "58", "XX":
		return "the server has a fault of its own"
	default:
		return "the server answered with an error"
	}
}
