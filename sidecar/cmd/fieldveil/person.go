package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/sidecar/engine"
)

// personCmd groups the commands about the keys of persons.
type personCmd struct {
	Init   personInitCmd   `cmd:"" help:"Make a store of keys and a ledger."`
	Forget personForgetCmd `cmd:"" help:"Forget persons: destroy their keys, for good."`
	ID     personIDCmd     `cmd:"" name:"id" help:"Print the ids under which store and ledger know persons."`
	Ledger personLedgerCmd `cmd:"" help:"Print the ledger of who was forgotten, and check that it is whole."`
	Replay personReplayCmd `cmd:"" help:"Apply a ledger to a store, such as one from a backup."`
}

// ledgerFlag and storeFlag name where the two are. They may hold a password, so
// they are read from the environment too.
type ledgerFlag struct {
	Ledger string `required:"true" env:"FIELDVEIL_LEDGER" placeholder:"URL" help:"The ledger: file:PATH or postgres://…"`
}

type storeFlag struct {
	Store string `required:"true" env:"FIELDVEIL_STORE" placeholder:"URL" help:"The store of keys: bolt:PATH or postgres://…"`
}

type personInitCmd struct {
	storeFlag  `embed:""`
	ledgerFlag `embed:""`
}

// Help is the second paragraph of the help text.
func (personInitCmd) Help() string {
	return "Makes the tables of a store and of a ledger in PostgreSQL, or their files. What is there already stays. " +
		"Keep the two apart: a backup that brings the store back must not bring the ledger back."
}

// Run makes both.
func (c personInitCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	s, err := engine.OpenStore(ctx, c.Store, true)
	if err != nil {
		return err
	}
	defer s.End()
	l, err := engine.OpenLedger(ctx, c.Ledger, true)
	if err != nil {
		return err
	}
	defer l.End()
	id, err := l.ID(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "The store is there, and so is ledger %s.\n", id)
	return err
}

// personFlags are what it takes to know who is who.
type personFlags struct {
	storeFlag  `embed:""`
	ledgerFlag `embed:""`

	Policy string `required:"true" placeholder:"FILE" help:"The policy, for the KEK of the section persons."`
	Tenant string `placeholder:"NAME" help:"The tenant whose persons they are, for policies with tenants."`
}

// open returns an engine that knows the keys of persons.
func (f *personFlags) open(ctx context.Context) (e *fieldcrypt.Engine, end func(), err error) {
	policy, err := fieldcrypt.LoadPolicy(f.Policy)
	if err != nil {
		return nil, nil, err
	}
	services, err := engine.Services(false, engine.PolicyKEKs(policy)...)
	if err != nil {
		return nil, nil, err
	}
	s, err := engine.OpenStore(ctx, f.Store, false)
	if err != nil {
		return nil, nil, err
	}
	l, err := engine.OpenLedger(ctx, f.Ledger, false)
	if err != nil {
		s.End()
		return nil, nil, err
	}
	keys, err := datakey.New(services)
	if err != nil {
		s.End()
		l.End()
		return nil, nil, err
	}
	end = func() {
		keys.Close()
		s.End()
		l.End()
	}
	persons, err := datakey.OpenPersons(ctx, keys, s, l)
	if err == nil {
		e, err = fieldcrypt.New(policy, keys, fieldcrypt.WithPersons(persons))
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return e, end, nil
}

type personForgetCmd struct {
	personFlags `embed:""`

	By     string `required:"true" placeholder:"WHO" help:"Who asks for it, for the ledger. Not the person."`
	Reason string `required:"true" placeholder:"TEXT" help:"Why, for the ledger, such as the number of the request. Must not name the person."`
	IDs    bool   `name:"ids" help:"Read person ids, as \"person id\" prints them, and not identifiers. Then no KEK is used."`
}

// Help is the second paragraph of the help text.
func (personForgetCmd) Help() string {
	return "Reads identifiers from standard input, one in each line, as they stand in the records: on the command line " +
		"others could see them. All values under the key of such a person are unreadable from then on, in every copy, and no " +
		"new one is sealed. It cannot be undone. Prints the entries of the ledger, one JSON object for each person. " +
		"Whoever is interrupted runs it again: to forget somebody twice does no harm."
}

// Run forgets.
func (c personForgetCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	var forget func(who string) (shred.Entry, error)
	if c.IDs {
		s, err := engine.OpenStore(ctx, c.Store, false)
		if err != nil {
			return err
		}
		defer s.End()
		l, err := engine.OpenLedger(ctx, c.Ledger, false)
		if err != nil {
			return err
		}
		defer l.End()
		forget = func(who string) (shred.Entry, error) {
			id, err := hex.DecodeString(who)
			if err != nil || len(id) != len(shred.PersonID{}) {
				return shred.Entry{}, errors.New("a line is no person id, which has 64 hexadecimal digits")
			}
			return shred.Forget(ctx, s, l, shred.Entry{
				Time: time.Now(), Tenant: c.Tenant, Person: shred.PersonID(id), By: c.By, Reason: c.Reason,
			})
		}
	} else {
		e, end, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer end()
		forget = func(who string) (shred.Entry, error) { return e.Forget(ctx, c.Tenant, who, c.By, c.Reason) }
	}
	return eachLine(t.in, func(who string) error {
		entry, err := forget(who)
		pending := new(shred.PendingError)
		if err != nil && !errors.As(err, &pending) {
			return err
		}
		if perr := printEntry(t.out, &entry); perr != nil {
			return perr
		}
		return err // the next may not go either, and somebody has to look at the store
	})
}

type personIDCmd struct {
	personFlags `embed:""`
}

// Help is the second paragraph of the help text.
func (personIDCmd) Help() string {
	return "Reads identifiers from standard input, one in each line, and prints the id of each. " +
		"An id is a keyed hash: whoever may use the KEK can test who it is."
}

// Run prints ids.
func (c personIDCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	e, end, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	return eachLine(t.in, func(who string) error {
		id, err := e.PersonID(ctx, c.Tenant, who)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(t.out, id)
		return err
	})
}

type personLedgerCmd struct {
	ledgerFlag `embed:""`
}

// Help is the second paragraph of the help text.
func (personLedgerCmd) Help() string {
	return "Prints one JSON object for each entry, in order, and fails where the chain of hashes is broken. " +
		"The last line goes to standard error and says how many there are and the hash of the last: kept elsewhere, it shows a ledger that was cut."
}

// Run prints the ledger.
func (c personLedgerCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	l, err := engine.OpenLedger(ctx, c.Ledger, false)
	if err != nil {
		return err
	}
	defer l.End()
	id, err := l.ID(ctx)
	if err != nil {
		return err
	}
	end, err := shred.Follow(ctx, l, shred.Mark{Ledger: id, Hash: shred.FirstPrev(id)}, func(page []shred.Entry, _ shred.Mark) error {
		for i := range page {
			if err := printEntry(t.out, &page[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "Ledger %s is whole: %d entries, the last with hash %x.\n", end.Ledger, end.Seq, end.Hash)
	return err
}

type personReplayCmd struct {
	storeFlag  `embed:""`
	ledgerFlag `embed:""`

	All bool `help:"Apply the whole ledger, also what the store says it has: for a store that was restored in part."`
}

// Help is the second paragraph of the help text.
func (personReplayCmd) Help() string {
	return "Every process does this before it opens a store. By hand it is for a store that was brought back, before anything else touches it. " +
		"It fails when the two do not belong together, or when the ledger lacks what the store has applied: then do not go on, and look for the newest ledger."
}

// Run applies the ledger.
func (c personReplayCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	s, err := engine.OpenStore(ctx, c.Store, false)
	if err != nil {
		return err
	}
	defer s.End()
	l, err := engine.OpenLedger(ctx, c.Ledger, false)
	if err != nil {
		return err
	}
	defer l.End()
	replay := shred.Replay
	if c.All {
		replay = shred.ReplayAll
	}
	mark, err := replay(ctx, s, l)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "The store has applied all %d entries of ledger %s.\n", mark.Seq, mark.Ledger)
	return err
}

// printEntry prints what a person may keep as evidence.
func printEntry(w io.Writer, e *shred.Entry) error {
	return json.NewEncoder(w).Encode(struct {
		Seq    uint64    `json:"seq"`
		Time   time.Time `json:"time"`
		Tenant string    `json:"tenant,omitempty"`
		Person string    `json:"person"`
		By     string    `json:"by"`
		Reason string    `json:"reason"`
		Hash   string    `json:"hash"`
	}{e.Seq, e.Time.UTC(), e.Tenant, e.Person.String(), e.By, e.Reason, hex.EncodeToString(e.Hash[:])})
}

// eachLine calls f for each line that is not empty.
func eachLine(r io.Reader, f func(line string) error) error {
	in := bufio.NewScanner(r)
	n := 0
	for in.Scan() {
		n++
		if in.Text() == "" {
			continue
		}
		if err := f(in.Text()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return in.Err()
}
