package serve

import (
	"context"
	"errors"

	"github.com/fieldveil/fieldveil/sidecar/audit"
	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
	"github.com/fieldveil/fieldveil/tokenize"
)

// protection protects and reveals for those who produce by themselves.
type protection struct {
	protector *protector
	swap      *engine.Swap
	log       *audit.Log // nil for none: then nobody reveals
	current   func() *auth.Auth
	observe   *telemetry.Observer
}

var _ rpc.Protector = (*protection)(nil)

// Protect implements [rpc.Protector].
func (p *protection) Protect(ctx context.Context, rec produce.Record) (produce.Record, error) {
	return p.protector.Protect(auth.WithOperation(ctx, auth.OpProtect), nil, &rec)
}

// Reveal implements [rpc.Protector]. That it is about to happen is on record
// before anything is opened. Who may not have the values of tokens gets tokens.
func (p *protection) Reveal(ctx context.Context, rec produce.Record, purpose string) (produce.Record, error) {
	ctx = auth.WithOperation(ctx, auth.OpReveal)
	who, ok := auth.FromContext(ctx)
	if !ok {
		return produce.Record{}, &produce.Error{Code: "denied", Outcome: produce.Rejected}
	}
	entry := audit.Entry{Action: audit.ActionReveal, Outcome: audit.Granted, Actor: who.Name, Method: string(who.Method), Topic: rec.Topic, Purpose: purpose, Count: 1}
	var out produce.Record
	var failed error
	err := p.log.Do(ctx, entry, func(ctx context.Context) error {
		var access tokenize.Access
		if p.current().Authorize(who, auth.OpDetokenize, rec.Topic) == nil {
			access = tokenize.Access{Caller: who.Name, Purpose: purpose}
		}
		out, failed = p.swap.Reveal(context.WithValue(ctx, topicKey{}, rec.Topic), &rec, access)
		return failed
	})
	if p.log != nil {
		p.observe.Audit(!errors.Is(err, audit.ErrBroken))
	}
	switch {
	case failed != nil:
		return produce.Record{}, failed
	case err != nil:
		// Without a line there is no value.
		return produce.Record{}, &produce.Error{Code: codeAudit, Outcome: produce.Retryable}
	default:
		return out, nil
	}
}

// codeAudit is a trail that cannot be written, or that there is none.
const codeAudit produce.Code = "audit_unavailable"

// revealed writes down what came of asking to reveal, where [protection] has not.
type revealed struct {
	log     *audit.Log
	observe *telemetry.Observer
}

var _ rpc.Audit = revealed{}

// Revealed implements [rpc.Audit].
func (a revealed) Revealed(ctx context.Context, r rpc.Reveal) error {
	if r.Outcome != rpc.RevealDenied {
		return nil // it stands there, before and after
	}
	if a.log == nil {
		return nil // nothing is done, so nothing has to be written
	}
	who, _ := auth.FromContext(ctx)
	err := a.log.Write(ctx, audit.Entry{
		Action: audit.ActionReveal, Outcome: audit.Denied, Actor: who.Name, Method: string(who.Method), Topic: r.Topic, Purpose: r.Purpose, Reason: r.Outcome,
	})
	a.observe.Audit(err == nil)
	return err
}
