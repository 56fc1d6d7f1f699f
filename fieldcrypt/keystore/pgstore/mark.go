package pgstore

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// markRow is the row of the table of the mark. A ledger of nil is that of none.
type markRow struct {
	ledger, hash, sum []byte
	seq               *int64
}

func (m *markRow) mark() (shred.Mark, bool) {
	if m.seq == nil || *m.seq < 0 || len(m.ledger) != len(shred.LedgerID{}) || len(m.hash) != len(shred.Mark{}.Hash) {
		return shred.Mark{}, false
	}
	out := shred.Mark{Ledger: shred.LedgerID(m.ledger), Seq: uint64(*m.seq), Hash: [32]byte(m.hash)}
	return out, intact(m.sum, kindMark, m.ledger, be64(out.Seq), m.hash)
}

// Mark returns how much of which ledger was applied, or [shred.ErrNone].
func (s *Store) Mark(ctx context.Context) (shred.Mark, error) {
	var m markRow
	if err := s.db.lookUp(ctx, "mark", query{sql: s.sql.mark}, &m.ledger, &m.seq, &m.hash, &m.sum); err != nil {
		return shred.Mark{}, err
	}
	if m.ledger == nil {
		return shred.Mark{}, shred.ErrNone
	}
	mark, ok := m.mark()
	if !ok {
		return shred.Mark{}, damaged("mark")
	}
	return mark, nil
}

// SetMark remembers how much of a ledger was applied: see [shred.Store]. It fails
// with [shred.ErrLedger] also when the ledger had another entry at this Seq when
// it was applied. A Seq above 2^63-1 is refused with [shred.ErrInvalid].
func (s *Store) SetMark(ctx context.Context, m shred.Mark) error {
	if m.Seq > math.MaxInt64 {
		return shred.ErrInvalid
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	change := query{s.sql.setMark, []any{m.Ledger[:], int64(m.Seq), m.Hash[:], rowSum(kindMark, m.Ledger[:], be64(m.Seq), m.Hash[:])}}
	var answer error
	err := s.db.do(ctx, "set mark", func(ctx context.Context, conn attempt) error {
		return s.db.change(ctx, conn, change, query{sql: s.sql.mark}, func(_ int64, rows pgx.Rows) error {
			var at markRow
			for rows.Next() {
				var standby bool
				if err := rows.Scan(&standby, &at.ledger, &at.seq, &at.hash, &at.sum); err != nil {
					return err
				}
			}
			if at.ledger == nil {
				return errVanished
			}
			stands, ok := at.mark()
			switch {
			case !ok:
				return ErrDamaged
			case stands.Ledger != m.Ledger, stands.Seq == m.Seq && stands.Hash != m.Hash:
				answer = shred.ErrLedger
			default:
				answer = nil
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return answer
}
