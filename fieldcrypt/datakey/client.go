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

	mu        sync.Mutex
	endpoints map[string]*endpoint
}

func newClient(w kms.Wrapper, fanOut int, observe func(Event)) *client {
	return &client{kms: w, fanOut: fanOut, observe: observe, endpoints: make(map[string]*endpoint)}
}

var _ kms.Wrapper = (*client)(nil)

// Generate calls the KMS. The errors are those of the provider, or of a circuit
// that is open, which has the class of what opened it.
func (c *client) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	err = c.call(ctx, OpGenerate, kek, func() (err error) {
		plain, wrapped, err = c.kms.Generate(ctx, kek, ec)
		return err
	})
	return plain, wrapped, err
}

// Unwrap calls the KMS, as Generate does.
func (c *client) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) (plain []byte, err error) {
	err = c.call(ctx, OpUnwrap, kek, func() (err error) {
		plain, err = c.kms.Unwrap(ctx, kek, wrapped, ec)
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
func (c *client) call(ctx context.Context, op Op, kek string, f func() error) error {
	e := c.endpoint(kek)
	e.earn()
	for n := 1; ; n++ {
		probe, err := c.once(ctx, e, op, f)
		// A circuit that is open, or was half open, is not asked again: the
		// next probe tells.
		if err == nil || probe || n == attempts || !kms.Retryable(err) || errors.As(err, new(*circuitError)) ||
			ctx.Err() != nil || !e.spend() {
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
func (c *client) once(ctx context.Context, e *endpoint, op Op, f func() error) (probe bool, err error) {
	if err := e.refuses(time.Now()); err != nil {
		return false, err
	}
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return false, fmt.Errorf("too many KMS calls under way: %w", ctx.Err())
	}
	start := time.Now()
	// The circuit may have opened while this call waited for its turn.
	if probe, err = e.enter(start); err != nil {
		<-e.slots
		return false, err
	}
	err = guard(f)
	<-e.slots
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
