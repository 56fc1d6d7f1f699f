package scenario

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A standIn is a KMS for a measurement: calls take as long as is wished, and they are
// counted. Its KEK is in memory, or in a file that is gone with the run, so what was
// sealed in a run can be opened in that run alone.
type standIn struct {
	inner   kms.Wrapper
	latency time.Duration
	calls   atomic.Int64
}

func newStandIn(inner kms.Wrapper, latency time.Duration) *standIn {
	return &standIn{inner: inner, latency: latency}
}

func (s *standIn) wait(ctx context.Context) error {
	s.calls.Add(1)
	if s.latency == 0 {
		return nil
	}
	timer := time.NewTimer(s.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("scenario: %w: %w", kms.ErrUnavailable, ctx.Err())
	}
}

// Generate implements [kms.Wrapper].
func (s *standIn) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	if err := s.wait(ctx); err != nil {
		return nil, nil, err
	}
	return s.inner.Generate(ctx, kek, ec)
}

// Unwrap implements [kms.Wrapper].
func (s *standIn) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.inner.Unwrap(ctx, kek, wrapped, ec)
}
