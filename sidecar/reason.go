package sidecar

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// The words that stand for errors which nobody gave a word. Whoever may probe sees
// them; what an error says, such as an answer of a KMS, is for the log alone.
const (
	reasonFailed    = "failed"
	reasonStarting  = "starting"
	reasonDraining  = "draining"
	reasonTimeout   = "timeout"
	reasonCanceled  = "canceled"
	reasonForbidden = "not_permitted"
	reasonDiskFull  = "disk_full"
)

// Reason returns in one word why the check fails, and "" for one that does not.
func (c Check) Reason() string {
	switch {
	case c.Err == nil:
		return ""
	case c.Word != "":
		return c.Word
	default:
		return reasonOf(c.Err)
	}
}

func reasonOf(err error) string {
	for _, known := range []struct {
		err  error
		word string
	}{
		{errStarting, reasonStarting}, {errDraining, reasonDraining},
		// What is definite comes first.
		{kms.ErrDenied, "denied"}, {kms.ErrDisabled, "disabled"}, {kms.ErrNotFound, "not_found"}, {kms.ErrCorrupt, "corrupt"},
		{kms.ErrInvalid, "invalid"}, {kms.ErrThrottled, "throttled"}, {kms.ErrUnavailable, "unavailable"},
		{syscall.ENOSPC, reasonDiskFull}, {syscall.EDQUOT, reasonDiskFull}, {fs.ErrPermission, reasonForbidden},
		{context.DeadlineExceeded, reasonTimeout}, {os.ErrDeadlineExceeded, reasonTimeout}, {context.Canceled, reasonCanceled},
	} {
		if errors.Is(err, known.err) {
			return known.word
		}
	}
	return reasonFailed
}

// shown returns what the answer of a probe says of a reload that did nothing: of
// files the names and lines that are wrong, of what a stranger said one word.
func (e *ReloadError) shown() string {
	switch e.Outcome {
	case ReloadFailed, ReloadUnaudit:
		return "reload: " + e.Outcome + ": " + reasonOf(e.Err)
	default:
		return e.Error()
	}
}
