package tokenize

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Access says who wants values back and what for. Both are required: 1 to 255
// bytes of printable UTF-8.
type Access struct {
	// Caller names who asks: one that was authenticated, such as the subject of a
	// certificate or of a token of the company's identity provider.
	Caller string
	// Purpose is why, such as the number of a case.
	Purpose string
}

// An Action is what a [Request] wants done.
type Action string

// The actions.
const (
	// ActionReveal turns tokens back into their values.
	ActionReveal Action = "reveal"
	// ActionErase removes tokens and their values for ever.
	ActionErase Action = "erase"
)

type accessKey struct{}

// ContextWithAccess returns a context that carries who wants values back, and
// what for, to whatever asks the vault in its name.
func ContextWithAccess(ctx context.Context, a Access) context.Context {
	return context.WithValue(ctx, accessKey{}, a)
}

// AccessFrom returns the access that ctx carries.
func AccessFrom(ctx context.Context) (Access, bool) {
	a, ok := ctx.Value(accessKey{}).(Access)
	return a, ok
}

// A Request is what a [Gate] decides on.
type Request struct {
	Access

	Action Action
	Scope  string
	// Count is the number of tokens.
	Count int
	// Bulk is set when Count is above the limit of [WithBulk].
	Bulk bool
}

// An Entry is a line of an audit trail. It holds neither tokens nor values.
type Entry struct {
	Request

	// ID names the request; it is random.
	ID   string
	Time time.Time
	// Granted tells whether the request passed.
	Granted bool
	// Reason is why it did not: "access", "role", "bulk", "canary" or "limit".
	Reason string
}

// An Audit writes entries down. Implementations are safe for concurrent use.
type Audit interface {
	// Record returns nil once the entry is written. Nothing is revealed before,
	// and nothing when it fails.
	Record(ctx context.Context, e Entry) error
}

// An Authorizer returns nil when a request may pass. Its error ends in the
// caller's, so it holds nothing that a caller must not know.
type Authorizer func(ctx context.Context, r Request) error

// A Gate decides who gets the values of tokens, and writes it down first. It is
// made by [NewGate] and safe for concurrent use.
//
// A request must name caller and purpose, be allowed by the authorizer, have the
// right to bulk when it is large, ask for no canary, and stay within the volume
// of its caller, in this order. Then it is written to the audit trail, and only
// then it passes. A request that does not pass is written down as well.
type Gate struct {
	audit     Audit
	authorize Authorizer
	bulkAbove int
	bulk      Authorizer
	volume    *volume
	alarm     func(ctx context.Context, r Request)
	canaries  map[canary]bool
}

// canary is a Ref that can be the key of a map.
type canary struct{ scope, token string }

// A GateOption changes a [Gate].
type GateOption func(*gateConfig)

type gateConfig struct {
	Gate

	values int
	per    time.Duration
}

// WithBulk has requests for more than above tokens allowed by bulk, besides the
// authorizer. By default requests for more than 100 are denied. A nil bulk
// denies all above the number.
func WithBulk(above int, bulk Authorizer) GateOption {
	return func(c *gateConfig) { c.bulkAbove, c.bulk = above, bulk }
}

// WithVolume lets each caller have so many values in a time: as many at once,
// and after that as they come in again evenly. The default is 10,000 in an hour.
// Tokens that stand for no value count as well, or guessing would be free. The
// limit is that of one process.
func WithVolume(values int, per time.Duration) GateOption {
	return func(c *gateConfig) { c.values, c.per = values, per }
}

// WithCanaries names tokens that no one has a reason to ask for: rows of made-up
// persons, put where only a thief reads them. A request for one of them is
// denied whole, and alarm is called with it before it is written down. alarm
// must not wait long.
func WithCanaries(alarm func(ctx context.Context, r Request), tokens ...Ref) GateOption {
	return func(c *gateConfig) {
		c.alarm = alarm
		c.canaries = make(map[canary]bool, len(tokens))
		for _, t := range tokens {
			c.canaries[canary{t.Scope, string(t.Token)}] = true
		}
	}
}

// NewGate returns a Gate that writes to audit and asks authorize. It fails when
// either is nil or an option makes no sense.
func NewGate(audit Audit, authorize Authorizer, opts ...GateOption) (*Gate, error) {
	cfg := gateConfig{Gate: Gate{audit: audit, authorize: authorize, bulkAbove: 100}, values: 10_000, per: time.Hour}
	for _, o := range opts {
		o(&cfg)
	}
	switch {
	case audit == nil:
		return nil, errors.New("tokenize: gate without an audit trail")
	case authorize == nil:
		return nil, errors.New("tokenize: gate without an authorizer")
	case cfg.bulkAbove < 1:
		return nil, fmt.Errorf("tokenize: bulk begins above %d tokens, not above 1 or more", cfg.bulkAbove)
	case cfg.values < 1 || cfg.per <= 0:
		return nil, fmt.Errorf("tokenize: volume of %d values in %v", cfg.values, cfg.per)
	case len(cfg.canaries) > 0 && cfg.alarm == nil:
		return nil, errors.New("tokenize: canaries without an alarm")
	}
	g := cfg.Gate
	g.volume = newVolume(cfg.values, cfg.per)
	return &g, nil
}

// pass returns nil once a request may be served.
func (g *Gate) pass(ctx context.Context, r Request, tokens [][]byte) error {
	r.Bulk = r.Count > g.bulkAbove
	e := Entry{Request: r, ID: rand.Text(), Time: time.Now()}
	reason, denied := g.decide(ctx, &r, tokens)
	e.Granted, e.Reason = denied == nil, reason
	if reason == reasonAccess {
		e.Access = Access{} // it may be anything
	}
	if err := ctx.Err(); err != nil && denied == nil {
		return fmt.Errorf("tokenize: %w", err)
	}
	// A denial is written even when its caller has gone away.
	if denied != nil {
		ctx = context.WithoutCancel(ctx)
	}
	if err := g.audit.Record(ctx, e); err != nil {
		return errors.Join(denied, fmt.Errorf("%w: %w", ErrAudit, err))
	}
	return denied
}

const (
	reasonAccess = "access"
	reasonRole   = "role"
	reasonBulk   = "bulk"
	reasonCanary = "canary"
	reasonLimit  = "limit"
)

func (g *Gate) decide(ctx context.Context, r *Request, tokens [][]byte) (reason string, err error) {
	if !printable(r.Caller) || !printable(r.Purpose) {
		return reasonAccess, fmt.Errorf("%w: caller and purpose are required", ErrDenied)
	}
	if err := g.authorize(ctx, *r); err != nil {
		return reasonRole, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if r.Bulk {
		if g.bulk == nil {
			return reasonBulk, fmt.Errorf("%w: more than %d tokens at once", ErrDenied, g.bulkAbove)
		}
		if err := g.bulk(ctx, *r); err != nil {
			return reasonBulk, fmt.Errorf("%w: %w", ErrDenied, err)
		}
	}
	if g.hasCanary(r.Scope, tokens) {
		g.alarm(ctx, *r)
		return reasonCanary, ErrDenied
	}
	if r.Action == ActionReveal {
		if err := g.volume.take(r.Caller, r.Count, time.Now()); err != nil {
			return reasonLimit, err
		}
	}
	return "", nil
}

// hasCanary looks at all tokens even when the first is one.
func (g *Gate) hasCanary(scope string, tokens [][]byte) bool {
	found := false
	for _, token := range tokens {
		found = found || g.canaries[canary{scope, string(token)}]
	}
	return found
}

// printable tells whether a text may stand in a log: a line end in it would
// write lines of its own.
func printable(s string) bool {
	if s == "" || len(s) > 255 || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
