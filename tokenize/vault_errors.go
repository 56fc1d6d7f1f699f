package tokenize

import "errors"

// Test for these with [errors.Is]. None holds a value, a token or a key.
var (
	// ErrRow means that a store was given a row, key or reference outside the
	// limits that [Row] names. Nothing was written.
	ErrRow = errors.New("tokenize: row outside the limits of a store")
	// ErrFormat means that a zero [Format] was used, or a scope with another
	// format than the one that its tokens have.
	ErrFormat = errors.New("tokenize: scope has tokens of another format")
	// ErrFull means that a scope has as many tokens of its format as it may have,
	// so that no new value gets one. Known values keep theirs. Never retry: the
	// scope needs a format with more room.
	ErrFull = errors.New("tokenize: scope is full")
	// ErrIndexKey means that the tokens of a scope were given under another index
	// key. Values would get a second token under this one.
	ErrIndexKey = errors.New("tokenize: scope belongs to another index key")
	// ErrCorrupt means that a store returned what it cannot have been given: a
	// row that is sealed for another scope or token, or that holds another value.
	// Never retry.
	ErrCorrupt = errors.New("tokenize: token store is corrupt")
	// ErrDenied means that a [Gate] did not let a request pass.
	ErrDenied = errors.New("tokenize: denied")
	// ErrLimit means that a caller asked for more values than it may have in a
	// time. The error is a [LimitError].
	ErrLimit = errors.New("tokenize: too many values for a caller")
	// ErrAudit means that the line that says who asks for what could not be
	// written, so that nothing was done.
	ErrAudit = errors.New("tokenize: audit line was not written")
)
