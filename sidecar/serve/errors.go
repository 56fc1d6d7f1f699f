package serve

import (
	"errors"

	"github.com/fieldveil/fieldveil/sidecar"
	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// namesError marks an error whose text holds names of the configuration and fixed
// words: keys, paths of files, causes of the operating system. It is for errors of
// parts that promise so.
type namesError struct{ error }

// Unwrap returns the error.
func (n namesError) Unwrap() error { return n.error }

// safeError returns the text of errors that hold names and never data: those of
// the sidecar's own packages. Of a reload that failed the reason may be a
// stranger's, such as a KMS.
func safeError(err error) (string, bool) {
	if e, ok := errors.AsType[*sidecar.ReloadError](err); ok {
		if e.Err == nil {
			return e.Error(), true // names and lines of two policies
		}
		return "reload: " + e.Outcome + ": " + textOf(e.Err), true
	}
	if e, ok := errors.AsType[*sidecar.DrainError](err); ok {
		bare := *e
		bare.Err = nil
		return bare.Error(), true
	}
	if e, ok := errors.AsType[*produce.Error](err); ok {
		return e.Error(), true
	}
	if e, ok := errors.AsType[*config.InvalidError](err); ok {
		return e.Error(), true
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return e.Error(), true
	}
	if e, ok := errors.AsType[namesError](err); ok {
		return e.Error(), true
	}
	for _, fixed := range []error{sidecar.ErrForced, errCluster} {
		if errors.Is(err, fixed) {
			return fixed.Error(), true
		}
	}
	return "", false
}

// textOf returns what the log shows of an error.
func textOf(err error) string {
	if text, ok := safeError(err); ok {
		return text
	}
	return telemetry.ErrorText(err)
}
