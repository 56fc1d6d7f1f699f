package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func TestWhatProbesSeeOfAnErrorIsOneWord(t *testing.T) {
	for err, want := range map[error]string{
		kms.ErrDenied: "denied", kms.ErrDisabled: "disabled", kms.ErrNotFound: "not_found", kms.ErrThrottled: "throttled",
		kms.ErrUnavailable: "unavailable", kms.ErrCorrupt: "corrupt", kms.ErrInvalid: "invalid",
		context.DeadlineExceeded: "timeout", context.Canceled: "canceled", errStarting: "starting", errDraining: "draining",
		syscall.ENOSPC: "disk_full", &fs.PathError{Op: "open", Path: "KANARI", Err: syscall.EACCES}: "not_permitted",
		errors.New("KANARI"): "failed",
		errors.Join(kms.ErrUnavailable, context.DeadlineExceeded, kms.ErrDenied): "denied",
	} {
		wrapped := fmt.Errorf("KANARI: %w", err)
		if got := (Check{Err: wrapped}).Reason(); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
		if got := (Check{Err: wrapped, Word: "own"}).Reason(); got != "own" {
			t.Errorf("%v: %s", err, got)
		}
		for _, outcome := range []string{ReloadFailed, ReloadUnaudit} {
			if got := (&ReloadError{Outcome: outcome, Err: wrapped}).shown(); got != "reload: "+outcome+": "+want {
				t.Errorf("%v: %s", err, got)
			}
		}
	}
	if got := (Check{Word: "own"}).Reason(); got != "" {
		t.Errorf("one that is well: %s", got)
	}
	if got := (&ReloadError{Outcome: ReloadInvalid, Err: errors.New("f.yaml:3: policy")}).shown(); !strings.Contains(got, "f.yaml:3") {
		t.Errorf("of a file: %s", got)
	}
}
