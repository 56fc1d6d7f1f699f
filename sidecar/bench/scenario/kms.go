package scenario

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// A standIn is a KMS for a measurement: KEKs of any URI are in memory, calls take
// as long as is wished, and they are counted. What was sealed in a run can be
// opened in that run alone.
type standIn struct {
	inner   kms.Wrapper
	latency time.Duration
	calls   atomic.Int64
}

func newStandIn(latency time.Duration) *standIn {
	return &standIn{inner: localkms.NewInMemory(), latency: latency}
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

// local is the name under which the KEK is kept.
func local(kek string) string { return localkms.Scheme + ":" + kek }

// Generate implements [kms.Wrapper].
func (s *standIn) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	if err := s.wait(ctx); err != nil {
		return nil, nil, err
	}
	return s.inner.Generate(ctx, local(kek), ec)
}

// Unwrap implements [kms.Wrapper].
func (s *standIn) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.inner.Unwrap(ctx, local(kek), wrapped, ec)
}
