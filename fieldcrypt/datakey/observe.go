package datakey

import (
	"context"
	"errors"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// An Observer is told what a Cache does, for metrics and traces. It is called
// on the goroutines that wait for a KMS, never while a value is sealed or
// opened from what is at hand, and never with a lock held, so it may call
// [Cache.Stats]. It must be safe for concurrent use and return soon. A panic of
// an Observer is dropped.
type Observer interface {
	Observe(e Event)
}

// An Event is one thing that a Cache did. Fields that do not apply to its kind
// are empty. All of them but Tenant are from closed sets that the configuration
// gives: fit for labels.
type Event struct {
	Kind EventKind
	// Op, Endpoint and Outcome describe a call of the KMS, and Took how long it
	// ran. For a wait, Outcome is ok or the class of the failure, and Took how
	// long the caller waited.
	Op       Op
	Endpoint string
	Outcome  Outcome
	Took     time.Duration
	// Circuit is the state that the circuit of Endpoint has now.
	Circuit CircuitState
	// Key is the name of the key in the policy, and Tenant whose it is: only
	// with [WithTenantMetrics].
	Key, Tenant string
	// Reason says why a key was dropped.
	Reason DropReason
}

// An EventKind says what happened.
type EventKind string

// The kinds.
const (
	// EventCall is an attempt to call the KMS, retries each by themselves.
	EventCall EventKind = "call"
	// EventCircuit is a circuit that opened or closed.
	EventCircuit EventKind = "circuit"
	// EventKey is a new key to seal with that is ready.
	EventKey EventKind = "key"
	// EventWait is a caller who had to wait for a key.
	EventWait EventKind = "wait"
	// EventNegative is a question that was answered by an earlier refusal.
	EventNegative EventKind = "negative"
	// EventDrop is a key to seal with that was dropped.
	EventDrop EventKind = "drop"
	// EventPersist is a key file that could not be read or written: the process
	// goes on without it.
	EventPersist EventKind = "persist_failed"
)

// An Op is one of the two calls of a KMS.
type Op string

// The calls.
const (
	OpGenerate Op = "generate"
	OpUnwrap   Op = "unwrap"
)

func opIndex(op Op) int {
	if op == OpGenerate {
		return 0
	}
	return 1
}

// An Outcome is how a call ended.
type Outcome string

// The outcomes. Up to OutcomeInvalid they are answers of the KMS; the ones after
// may pass.
const (
	OutcomeOK          Outcome = "ok"
	OutcomeDenied      Outcome = "denied"
	OutcomeNotFound    Outcome = "not_found"
	OutcomeDisabled    Outcome = "disabled"
	OutcomeCorrupt     Outcome = "corrupt"
	OutcomeInvalid     Outcome = "invalid"
	OutcomeThrottled   Outcome = "throttled"
	OutcomeUnavailable Outcome = "unavailable"
	OutcomeTimeout     Outcome = "timeout"
	// OutcomeFailed is an error of no known class, or a panic of the provider.
	OutcomeFailed Outcome = "failed"
	// OutcomeCanceled is a caller who gave up.
	OutcomeCanceled Outcome = "canceled"
)

// outcomes pairs the classes of error with their outcomes. The order decides
// about errors of two classes.
func outcomes() []struct {
	err     error
	outcome Outcome
} {
	return []struct {
		err     error
		outcome Outcome
	}{
		{kms.ErrDenied, OutcomeDenied},
		{kms.ErrNotFound, OutcomeNotFound},
		{kms.ErrDisabled, OutcomeDisabled},
		{kms.ErrCorrupt, OutcomeCorrupt},
		{kms.ErrInvalid, OutcomeInvalid},
		{kms.ErrThrottled, OutcomeThrottled},
		{context.DeadlineExceeded, OutcomeTimeout},
		{kms.ErrUnavailable, OutcomeUnavailable},
		{context.Canceled, OutcomeCanceled},
	}
}

func outcomeOf(err error) Outcome {
	if err == nil {
		return OutcomeOK
	}
	for _, o := range outcomes() {
		if errors.Is(err, o.err) {
			return o.outcome
		}
	}
	return OutcomeFailed
}

// passing tells whether a failure may pass by itself.
func (o Outcome) passing() bool {
	switch o {
	case OutcomeThrottled, OutcomeUnavailable, OutcomeTimeout, OutcomeFailed, OutcomeCanceled:
		return true
	default:
		return false
	}
}

// A CircuitState is whether calls of an endpoint go out.
type CircuitState string

// The states.
const (
	// CircuitClosed lets all calls out.
	CircuitClosed CircuitState = "closed"
	// CircuitHalfOpen lets one call out, the probe.
	CircuitHalfOpen CircuitState = "half_open"
	// CircuitOpen lets none out.
	CircuitOpen CircuitState = "open"
)

// A DropReason says why a key to seal with went.
type DropReason string

// The reasons.
const (
	// DropReplaced is the usual end: the next key took over.
	DropReplaced DropReason = "replaced"
	// DropExpired is the hard limit on age, without a next key.
	DropExpired DropReason = "expired"
	// DropExhausted is the limit on seals or bytes, without a next key.
	DropExhausted DropReason = "exhausted"
	// DropRevoked is a KMS that refuses the KEK.
	DropRevoked DropReason = "revoked"
	// DropEvicted is the bound on scopes.
	DropEvicted DropReason = "evicted"
	// DropClosed is the end of the Cache.
	DropClosed DropReason = "closed"
)

// observe tells the Observer, if there is one.
func (c *Cache) observe(e Event) {
	if c.cfg.observer == nil {
		return
	}
	defer func() { _ = recover() }() // metrics must not stop what they measure
	c.cfg.observer.Observe(e)
}
