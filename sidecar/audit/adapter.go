package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/tokenize"
)

// Do writes e as granted, acts, and writes what came of it. When the first line
// cannot be written, act is not called. The second one is written even when ctx is
// over. When it cannot be, the act was done all the same: Do then returns
// [ErrOutcome], and the error of the act, if there was one.
func (l *Log) Do(ctx context.Context, e Entry, act func(context.Context) error) error {
	e.Outcome = Granted
	if err := l.Write(ctx, e); err != nil {
		return err
	}
	err := act(ctx)
	e.Outcome = Done
	if err != nil {
		// The text of an error may be anything.
		e.Outcome = Failed
	}
	if werr := l.Write(context.WithoutCancel(ctx), e); werr != nil {
		return errors.Join(err, fmt.Errorf("%w: %w", ErrOutcome, werr))
	}
	return err
}

// ErrOutcome marks an act whose intent is in the trail, and whose outcome could
// not be written.
var ErrOutcome = errors.New("audit: the outcome of the act is not in the trail")

// A Forgetter forgets persons. A *fieldcrypt.Engine is one.
type Forgetter interface {
	PersonID(ctx context.Context, tenant, person string) (shred.PersonID, error)
	Forget(ctx context.Context, tenant, person, by, reason string) (shred.Entry, error)
}

// Forget has f forget a person, with a line before and one after. who gives actor,
// method, request, tenant and reason; actor and reason go into the ledger too. The
// identifier of the person goes into neither, only his id.
func (l *Log) Forget(ctx context.Context, f Forgetter, who Entry, person string) (entry shred.Entry, err error) {
	id, err := f.PersonID(ctx, who.Tenant, person)
	if err != nil {
		return shred.Entry{}, err
	}
	who.Action, who.Person, who.Count = ActionForget, id.String(), 1
	err = l.Do(ctx, who, func(ctx context.Context) error {
		var err error
		entry, err = f.Forget(ctx, who.Tenant, person, who.Actor, who.Reason)
		return err
	})
	return entry, err
}

// TokenAudit returns the trail as that of a [tokenize.Gate], which writes before a
// vault answers.
func TokenAudit(l *Log) tokenize.Audit { return tokenAudit{l} }

type tokenAudit struct{ log *Log }

// Record writes e as granted or denied.
func (a tokenAudit) Record(ctx context.Context, e tokenize.Entry) error {
	out := Entry{
		Action: ActionDetokenize, Outcome: Denied, Actor: e.Caller, Request: e.ID, Scope: e.Scope, Purpose: e.Purpose,
		Reason: e.Reason, Count: e.Count,
	}
	if e.Action == tokenize.ActionErase {
		out.Action = ActionErase
	}
	if e.Granted {
		out.Outcome = Granted
	}
	if e.Bulk {
		out.Target = "bulk"
	}
	return a.log.Write(ctx, out)
}
