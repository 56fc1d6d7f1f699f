package fieldcrypt

import (
	"context"
	"errors"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

var errNoPersons = errors.New("the policy has no section persons, or the engine was not given their keys: see WithPersons")

// personScope returns the keys of a tenant's persons.
func (e *Engine) personScope(op, tenant string) (*datakey.PersonScope, error) {
	k := e.policy.doc.persons
	if k == nil || e.persons == nil {
		return nil, &Error{Op: op, Code: CodePolicy, Err: errNoPersons}
	}
	if tenant == "" && e.policy.doc.tenant.required {
		return nil, &Error{Op: op, Code: CodeTenant, Err: errTenant}
	}
	keks, err := keksOf(append([]string{k.kek}, k.also...), tenant)
	if err != nil {
		return nil, &Error{Op: op, Code: CodeTenant, Err: err}
	}
	s, err := e.persons.Scope(datakey.PersonSpec{
		Tenant: tenant, KEKs: keks, Limits: datakey.Limits{Refresh: k.refresh, Expire: k.expire},
	})
	if err != nil {
		return nil, &Error{Op: op, Code: CodeKeyUnusable, Err: err}
	}
	return s, nil
}

// Forget forgets a person, by the identifier that he has in the records, with the
// bytes that it has there; of numbers that is the decimal text. All that was
// sealed under his key is unreadable from then on, in every copy, and nothing is
// sealed for him any more. It cannot be undone.
//
// By and reason go into the ledger, which is kept for ever, and must not name the
// person. The entry of the ledger is the proof; it comes with a
// [*shred.PendingError] where the person is forgotten and destroying the key was
// not possible yet, which all processes go on trying. Other processes know within
// a minute, usually within ten seconds. Values of other modes and actions are not
// touched.
func (e *Engine) Forget(ctx context.Context, tenant, person, by, reason string) (shred.Entry, error) {
	s, err := e.personScope("forget", tenant)
	if err != nil {
		return shred.Entry{}, err
	}
	if person == "" {
		return shred.Entry{}, &Error{Op: "forget", Code: CodePerson, Err: errNoPerson}
	}
	done, err := s.Forget(ctx, []byte(person), by, reason)
	if _, pending := errors.AsType[*shred.PendingError](err); err != nil && !pending {
		return done, &Error{Op: "forget", Code: codeOf(err), Err: err}
	}
	return done, err
}

// PersonID returns the id under which the store and the ledger know a person: to
// find him in a ledger, or to prove that he stands there.
func (e *Engine) PersonID(ctx context.Context, tenant, person string) (shred.PersonID, error) {
	s, err := e.personScope("forget", tenant)
	if err != nil {
		return shred.PersonID{}, err
	}
	id, err := s.ID(ctx, []byte(person))
	if err != nil {
		return shred.PersonID{}, &Error{Op: "forget", Code: codeOf(err), Err: err}
	}
	return id, nil
}
