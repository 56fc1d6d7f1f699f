package kms_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func TestRetryable(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{name: "no error is nothing to retry", err: nil, want: false},
		{name: "denied is definitive", err: kms.ErrDenied, want: false},
		{name: "not found is definitive", err: kms.ErrNotFound, want: false},
		{name: "disabled is definitive", err: kms.ErrDisabled, want: false},
		{name: "corrupt is definitive", err: kms.ErrCorrupt, want: false},
		{name: "invalid is definitive", err: kms.ErrInvalid, want: false},
		{name: "throttled passes", err: kms.ErrThrottled, want: true},
		{name: "unavailable passes", err: kms.ErrUnavailable, want: true},
		{name: "an error of no class must not stop a producer for good", err: errors.New("odd"), want: true},
		{name: "a deadline passes", err: context.DeadlineExceeded, want: true},
		{name: "a class counts when it is wrapped", err: fmt.Errorf("provider: %w", kms.ErrDenied), want: false},
		{
			name: "a definitive class wins over a passing one",
			err:  errors.Join(kms.ErrUnavailable, kms.ErrDisabled), want: false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := kms.Retryable(tt.err); got != tt.want {
				t.Errorf("Retryable(%v) = %v", tt.err, got)
			}
		})
	}
}

func TestClassesAreDistinct(t *testing.T) {
	classes := []error{
		kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt,
		kms.ErrThrottled, kms.ErrUnavailable, kms.ErrInvalid,
	}
	for i, a := range classes {
		for j, b := range classes {
			if errors.Is(a, b) != (i == j) {
				t.Errorf("errors.Is(%v, %v) = %v", a, b, i != j)
			}
		}
	}
}

func ExampleRetryable() {
	fmt.Println(kms.Retryable(fmt.Errorf("awskms: %w", kms.ErrThrottled)))
	fmt.Println(kms.Retryable(fmt.Errorf("awskms: %w", kms.ErrDenied)))
	// Output:
	// true
	// false
}
