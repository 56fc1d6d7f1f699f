package datakey

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A client is the KMS as a Cache calls it: within the fan-out of each endpoint,
// not while the circuit of the endpoint is open, again after a failure that may
// pass, counted and observed. It is safe for concurrent use.
type client struct {
	kms     kms.Wrapper
	fanOut  int
	observe func(Event)

	closing   chan struct{}
	mu        sync.Mutex
	endpoints map[string]*endpoint
}

func newClient(w kms.Wrapper, fanOut int, observe func(Event)) *client {
	return &client{kms: w, fanOut: fanOut, observe: observe, closing: make(chan struct{}), endpoints: make(map[string]*endpoint)}
}

var _ kms.Wrapper = (*client)(nil)

// Generate calls the KMS when it is its turn. The errors are those of the
// provider, or of a circuit that is open, which has the class of what opened it.
func (c *client) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	t, err := c.turn(ctx, kek)
	if err != nil {
		return nil, nil, err
	}
	defer t.end()
	return t.Generate(ctx, kek, ec)
}

// Unwrap calls the KMS, as Generate does.
func (c *client) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) (plain []byte, err error) {
	t, err := c.turn(ctx, kek)
	if err != nil {
		return nil, err
	}
	defer t.end()
	return t.Unwrap(ctx, kek, wrapped, ec)
}

// A turn is the right to call an endpoint, one call after the other. Who needs
// two calls keeps it for both: a thousand that make their first call before any
// makes its second would all run out of time.
type turn struct {
	client   *client
	endpoint *endpoint
}

// turn waits for one, until ctx ends or the Cache closes. The time of waiting is
// not the time of a call, so ctx should have no deadline for calls. It does not
// wait for an endpoint whose circuit is open.
func (c *client) turn(ctx context.Context, kek string) (*turn, error) {
	e := c.endpoint(kek)
	if err := e.refuses(time.Now()); err != nil {
		return nil, err
	}
	select {
	case e.slots <- struct{}{}:
		return &turn{c, e}, nil
	case <-c.closing:
		return nil, errClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("too many KMS calls under way: %w", ctx.Err())
	}
}

// pause lets time pass, unless the Cache closes, which it tells.
func (c *client) pause(d time.Duration) (closed bool) {
	select {
	case <-time.After(d):
		return false
	case <-c.closing:
		return true
	}
}

// end gives the turn to the next.
func (t *turn) end() { <-t.endpoint.slots }

// Generate calls the KMS. kek is of the turn's endpoint.
func (t *turn) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	err = t.call(ctx, OpGenerate, func(ctx context.Context) (err error) {
		plain, wrapped, err = t.client.kms.Generate(ctx, kek, ec)
		return err
	})
	return plain, wrapped, err
}

// Unwrap calls the KMS, as Generate does.
func (t *turn) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) (plain []byte, err error) {
	err = t.call(ctx, OpUnwrap, func(ctx context.Context) (err error) {
		plain, err = t.client.kms.Unwrap(ctx, kek, wrapped, ec)
		return err
	})
	return plain, err
}

// Retries of one call. The total stays within the call timeout.
const (
	attempts   = 3
	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
)

// call runs one KMS call, again after a failure that may pass, as long as the
// endpoint has retries left.
func (t *turn) call(ctx context.Context, op Op, f func(context.Context) error) error {
	e := t.endpoint
	e.earn()
	for n := 1; ; n++ {
		probe, err := t.once(ctx, op, f)
		// A circuit that is open, or was half open, is not asked again: the
		// next probe tells.
		if err == nil || probe || n == attempts || !kms.Retryable(err) || errors.As(err, new(*circuitError)) ||
			ctx.Err() != nil || e.unwell() != nil || !e.spend() {
			return err
		}
		// Full jitter: callers that failed together do not come back together.
		wait := backoffMin + time.Duration(rand.Int64N(int64(min(backoffMax, backoffMin<<n)))) //nolint:gosec // no secret
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// once makes one attempt, and tells whether it was the probe of an open circuit.
func (t *turn) once(ctx context.Context, op Op, f func(context.Context) error) (probe bool, err error) {
	c, e, start := t.client, t.endpoint, time.Now()
	// The circuit may have opened while this call waited for its turn.
	if probe, err = e.enter(start); err != nil {
		return false, err
	}
	if probe {
		// One that hangs must not stand in the way of the next.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, probeTimeout)
		defer cancel()
	}
	err = guard(func() error { return f(ctx) })
	outcome := outcomeOf(err)
	took := time.Since(start)
	change := e.leave(time.Now(), probe, op, outcome, took)
	c.observe(Event{Kind: EventCall, Op: op, Endpoint: e.name, Outcome: outcome, Took: took})
	if change != "" {
		c.observe(Event{Kind: EventCircuit, Endpoint: e.name, Circuit: change})
	}
	return probe, err
}

// maxEndpoints bounds the endpoints that a client tells apart. KEKs may be made
// of tenants' names, and so endpoints too.
const maxEndpoints = 1024

// endpoint returns the state of the service behind a KEK.
func (c *client) endpoint(kek string) *endpoint {
	name := kms.Endpoint(c.kms, kek)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.endpoints[name]; ok {
		return e
	}
	if len(c.endpoints) >= maxEndpoints {
		name = otherEndpoints
		if e, ok := c.endpoints[name]; ok {
			return e
		}
	}
	e := newEndpoint(name, c.fanOut)
	c.endpoints[name] = e
	return e
}

// otherEndpoints is the name that endpoints beyond the bound share.
const otherEndpoints = "other"

// guard makes an error of a panic in a provider or store. They are plugged in,
// and run on goroutines where nobody else could recover. What they panicked with
// may hold anything, so it is not repeated.
func guard(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return f()
}

var errPanic = errors.New("the provider panicked")
