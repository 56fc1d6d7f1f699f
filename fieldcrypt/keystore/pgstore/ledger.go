package pgstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// A Ledger keeps the list of those who were forgotten in the tables of
// [LedgerTables]. It is safe for concurrent use by any number of processes.
//
// The calls return [shred.ErrLedger] and [shred.ErrInvalid] where the interface
// names them, with words around them, and an [*Error] otherwise.
type Ledger struct {
	db                     db
	id, append, own, after string
}

var _ shred.Ledger = (*Ledger)(nil)

// NewLedger returns a Ledger on a pool, which stays the caller's to close. It
// belongs in another database than the [Store], with backups of its own. The
// server is not asked anything: [Ledger.Init] makes the tables and the id of the
// ledger where they are missing. The pool has to reach the primary.
func NewLedger(pool *pgxpool.Pool, options ...Option) (*Ledger, error) {
	l := &Ledger{}
	if err := l.db.init(pool, options); err != nil {
		return nil, err
	}
	const columns = `seq, unix, tenant, person, "by", reason, prev, hash`
	id, entries := l.db.table(ledgerIDTable), l.db.table(ledgerTable)
	l.id = `select standby, i.id from (select pg_is_in_recovery() as standby) one left join ` + id + ` i on true`
	// The attempt before it may have been committed, and then its draw is there.
	l.append = `insert into ` + entries + ` (unix, tenant, person, "by", reason, draw) values ($1, $2, $3, $4, $5, $6) on conflict (draw) do nothing`
	l.own = `select ` + columns + ` from ` + entries + ` where draw = $1`
	l.after = `select ` + columns + ` from ` + entries + ` where seq >= $1 order by seq limit $2`
	return l, nil
}

// Init makes the tables and draws the id of the ledger if something is missing,
// and the schema of [WithSchema] too; where all is there it changes nothing. It
// needs the right to create, which no other call needs. Several processes may
// call it at once.
func (l *Ledger) Init(ctx context.Context) error {
	return l.db.initTables(ctx, LedgerTables, ledgerFit())
}

// Check looks whether entries are safe in these tables and on this server, as
// [Store.Check] does. Nothing is changed. The first Append does the same.
func (l *Ledger) Check(ctx context.Context) error { return l.db.check(ctx, ledgerFit()) }

func ledgerFit() []tableFit {
	return []tableFit{
		{name: ledgerIDTable, columns: "id", unique: []string{"single"}, triggers: []string{"fieldveil_ledger_id_rows", "fieldveil_ledger_id_truncate"}},
		{
			name: ledgerTable, columns: `seq unix tenant person by reason prev hash draw`, unique: []string{"seq", "draw"},
			triggers: []string{"fieldveil_ledger_insert", "fieldveil_ledger_rows", "fieldveil_ledger_truncate"},
		},
	}
}

// ID returns the id that the ledger got when it was made.
func (l *Ledger) ID(ctx context.Context) (shred.LedgerID, error) {
	var id []byte
	if err := l.db.lookUp(ctx, "id", query{sql: l.id}, &id); err != nil {
		return shred.LedgerID{}, err
	}
	return ledgerID("id", id)
}

// ledgerID turns what was found into an id. Without one it is no ledger: nobody
// could tell it from another.
func ledgerID(op string, id []byte) (shred.LedgerID, error) {
	if len(id) != len(shred.LedgerID{}) {
		return shred.LedgerID{}, fmt.Errorf("pgstore: %s: the ledger has no id: %w", op, shred.ErrLedger)
	}
	return shred.LedgerID(id), nil
}

// Append adds an entry and returns it: see [shred.Ledger]. When it fails the entry
// may be there all the same, which does no harm: whoever appends it again forgets
// a person twice.
func (l *Ledger) Append(ctx context.Context, e shred.Entry) (shred.Entry, error) {
	if err := e.Check(); err != nil {
		return shred.Entry{}, err
	}
	if err := l.db.ready(ctx, ledgerFit()); err != nil {
		return shred.Entry{}, err
	}
	e.Time = time.Unix(e.Time.Unix(), 0).UTC()
	draw := make([]byte, 16)
	_, _ = rand.Read(draw) // never fails
	change := query{l.append, []any{e.Time.Unix(), []byte(e.Tenant), e.Person[:], []byte(e.By), []byte(e.Reason), draw}}
	var out []shred.Entry
	err := l.db.do(ctx, "append", func(ctx context.Context, conn attempt) error {
		return l.db.change(ctx, conn, change, query{l.own, []any{draw}}, func(_ int64, rows pgx.Rows) (err error) {
			out, err = entries(rows)
			if err == nil && len(out) != 1 {
				err = errVanished
			}
			return err
		})
	})
	if err != nil {
		return shred.Entry{}, err
	}
	got := out[0]
	e.Seq, e.Prev, e.Hash = got.Seq, got.Prev, got.Hash
	if got != e || got.Hash != got.Sum() {
		return shred.Entry{}, fmt.Errorf("pgstore: append: the server wrote another entry: %w", shred.ErrLedger)
	}
	return got, nil
}

// Read returns the entries after a Seq: see [shred.Ledger]. The first of them is
// checked against the one before it.
func (l *Ledger) Read(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
	if limit <= 0 || after >= math.MaxInt64 {
		return nil, nil
	}
	from := int64(after)
	var id []byte
	var all []shred.Entry
	err := l.db.do(ctx, "read", func(ctx context.Context, conn attempt) error {
		var q pgx.Batch
		q.Queue(l.id)
		q.Queue(l.after, from, int64(min(limit, math.MaxInt32))+1)
		answers := conn.SendBatch(ctx, &q)
		var standby bool
		err := answers.QueryRow().Scan(&standby, &id)
		if err == nil {
			var rows pgx.Rows
			if rows, err = answers.Query(); err == nil {
				all, err = entries(rows)
			}
		}
		if closed := answers.Close(); err == nil {
			err = closed
		}
		if err == nil && standby {
			err = errStandby
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	own, err := ledgerID("read", id)
	if err != nil {
		return nil, err
	}
	return chained(all, own, after, limit)
}

// chained checks the links and hashes of what was read from the entry after on,
// and returns what follows it.
func chained(all []shred.Entry, id shred.LedgerID, after uint64, limit int) ([]shred.Entry, error) {
	prev := shred.FirstPrev(id)
	if after > 0 {
		if len(all) == 0 {
			return nil, nil
		}
		if all[0].Seq != after || all[0].Hash != all[0].Sum() {
			return nil, fmt.Errorf("pgstore: read: entry %d is missing or damaged: %w", after, shred.ErrLedger)
		}
		prev, all = all[0].Hash, all[1:]
	}
	all = all[:min(len(all), limit)] // without an entry before them there is one too many
	for i := range all {
		e := &all[i]
		want := after + 1 + uint64(i)
		if e.Seq != want || e.Prev != prev || e.Hash != e.Sum() {
			return nil, fmt.Errorf("pgstore: read: the chain is broken at entry %d: %w", want, shred.ErrLedger)
		}
		prev = e.Hash
	}
	return all, nil
}

// entries reads all rows. An entry whose fields cannot be right has the hash of
// none.
func entries(rows pgx.Rows) ([]shred.Entry, error) {
	defer rows.Close()
	var all []shred.Entry
	for rows.Next() {
		var seq, unix int64
		var tenant, person, by, reason, prev, hash []byte
		if err := rows.Scan(&seq, &unix, &tenant, &person, &by, &reason, &prev, &hash); err != nil {
			return nil, err
		}
		e := shred.Entry{Seq: uint64(max(seq, 0)), Time: time.Unix(unix, 0).UTC(), Tenant: string(tenant), By: string(by), Reason: string(reason)}
		if len(person) == 32 && len(prev) == 32 && len(hash) == 32 && e.Check() == nil {
			e.Person, e.Prev, e.Hash = shred.PersonID(person), [32]byte(prev), [32]byte(hash)
		}
		all = append(all, e)
	}
	return all, rows.Err()
}
