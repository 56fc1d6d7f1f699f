// Package demo shows the whole sidecar in one process: an embedded broker and an
// embedded schema registry, a key in a file, a policy, a configuration, and the
// sidecar itself on loopback. It posts to it what it prints as lines for curl,
// looks at what the broker holds, and fails where anything that it says does not
// hold. When it ends nothing is left.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// Options are what [Run] is given. Out is required.
type Options struct {
	// Out takes the text: 80 columns, and no escapes.
	Out io.Writer
	// Keep leaves all of it running, until the context ends, on the ports that
	// the documentation names where they are free.
	Keep bool
	// Build is what the sidecar says that it is.
	Build telemetry.Build
}

// Run shows the demo. Its error is nil when all that it shows held, also when the
// end of ctx ended the waiting that Keep asks for.
func Run(ctx context.Context, o Options) (err error) {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	t := &teller{stage: s, out: o.Out}
	t.opening(o.Keep)
	for _, tell := range []func(context.Context) error{t.version2, t.version3, t.refused, t.check, t.reveal, t.trail, t.search} {
		if err := tell(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
	t.title("Everything held.")
	if !o.Keep {
		return nil
	}
	t.keeping()
	select {
	case <-ctx.Done():
		return nil
	case <-s.ended:
		return fmt.Errorf("the sidecar ended: %w", s.failure())
	}
}
