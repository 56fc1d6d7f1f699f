package pgvault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Limits of one transaction. A larger batch is cut into several, each with its
// own round trip.
const (
	maxRows  = 10_000
	maxBytes = 32 << 20
)

var (
	errRollback = errors.New("the server answered commit with rollback")
	errOrdinal  = errors.New("the server named a row that was not asked for")
	errIndex    = errors.New("the server has an index of another length")
)

// Insert makes rows durable, up to 10,000 rows or 32 MiB in one transaction and
// one round trip; larger batches take several, and so does a batch that names a
// token for two indexes. It waits for those who insert the same index or token at
// the same moment. See [tokenize.Store] for the outcomes.
func (s *Store) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if err := tokenize.CheckRows(rows); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nil
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	out := make([]tokenize.Outcome, len(rows))
	for start := 0; start < len(rows); {
		end := cut(rows, start)
		if err := s.insert(ctx, rows[start:end], out[start:end]); err != nil {
			return nil, err
		}
		start = end
	}
	return out, nil
}

// cut returns the end of the transaction that begins at start.
func cut(rows []tokenize.Row, start int) int {
	size := 0
	end := start
	for ; end < len(rows) && end-start < maxRows; end++ {
		r := &rows[end]
		size += len(r.Scope) + len(r.Index) + len(r.Token) + len(r.Sealed)
		if size > maxBytes && end > start {
			break
		}
	}
	return end
}

// insert fills out for rows. Most often one transaction does it.
func (s *Store) insert(ctx context.Context, rows []tokenize.Row, out []tokenize.Outcome) error {
	places := make([]int, len(rows))
	for i := range places {
		places[i] = i
	}
	for len(places) > 0 {
		now, later := independent(rows, places)
		if err := s.settle(ctx, rows, now, out); err != nil {
			return err
		}
		places = later
	}
	return nil
}

// independent splits places, in the order of the caller, into those whose
// outcomes stay the same when they are inserted in any order of indexes, and
// those that have to wait for them: a row whose token an earlier row of another
// index names, and the further rows of its index.
func independent(rows []tokenize.Row, places []int) (now, later []int) {
	first := make(map[tokenRef]int, len(places)) // the row that names a token first
	var held map[tokenize.Key]bool
	now = places[:0:0]
	for _, place := range places {
		r := &rows[place]
		ref, key := tokenRef{r.Scope, string(r.Token)}, tokenize.Key{Scope: r.Scope, Index: r.Index}
		earlier, named := first[ref]
		if !named {
			first[ref] = place
		}
		if held[key] || named && rows[earlier].Index != r.Index {
			if held == nil {
				held = map[tokenize.Key]bool{}
			}
			held[key] = true
			later = append(later, place)
			continue
		}
		now = append(now, place)
	}
	return now, later
}

// A tokenRef is a [tokenize.Ref] that can be compared.
type tokenRef struct {
	scope, token string
}

// settle gives outcomes to the rows at these places. A row that was in the way
// and then gone, because somebody deleted it meanwhile, has none after the first
// transaction and is tried again.
func (s *Store) settle(ctx context.Context, rows []tokenize.Row, places []int, out []tokenize.Outcome) error {
	for attempt := 1; ; attempt++ {
		b := newBatch(rows, sorted(rows, places))
		if err := s.do(ctx, "insert", func(conn *pgxpool.Conn) error { return s.transact(ctx, conn, b) }); err != nil {
			return err
		}
		places = b.settle(rows, out)
		if len(places) == 0 {
			return nil
		}
		if attempt == attempts || !pause(ctx, attempt) {
			return unsettledError(ctx)
		}
	}
}

// sorted returns places by scope and index, and those of one index in the order
// of the caller. All batches lock rows in this order, so two of them that share
// indexes wait for each other one way only.
func sorted(rows []tokenize.Row, places []int) []int {
	order := slices.Clone(places)
	slices.Sort(order)
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rows[a].Scope, rows[b].Scope), bytes.Compare(rows[a].Index[:], rows[b].Index[:]))
	})
	return order
}

// A batch is what one transaction sends and what came back for it.
type batch struct {
	order                           []int // places in the caller's rows
	scopes, indexes, tokens, sealed [][]byte

	standing []standing // by place in order
	inserted int64      // rows that the server says it wrote
}

// standing is what the server found in place of a row that it did not write.
type standing struct {
	found         bool // the row was listed
	taken         bool // the token stands under another index
	token, sealed []byte
}

func newBatch(rows []tokenize.Row, order []int) *batch {
	n := len(order)
	b := &batch{
		order:  order,
		scopes: make([][]byte, n), indexes: make([][]byte, n), tokens: make([][]byte, n), sealed: make([][]byte, n),
		standing: make([]standing, n),
	}
	for i, place := range order {
		r := &rows[place]
		if i > 0 && r.Scope == rows[order[i-1]].Scope {
			b.scopes[i] = b.scopes[i-1]
		} else {
			b.scopes[i] = []byte(r.Scope)
		}
		b.indexes[i], b.tokens[i], b.sealed[i] = r.Index[:], r.Token, r.Sealed
	}
	return b
}

// transact sends the whole transaction at once and reads the answers. The server
// runs it to the commit even when the connection is lost meanwhile.
func (s *Store) transact(ctx context.Context, conn *pgxpool.Conn, b *batch) error {
	clear(b.standing) // of an attempt that failed
	b.inserted = 0
	var q pgx.Batch
	q.Queue(beginSQL)
	q.Queue(durableSQL)
	q.Queue(s.sql.insert, b.scopes, b.indexes, b.tokens, b.sealed)
	q.Queue(s.sql.standing, b.scopes, b.indexes, b.tokens)
	q.Queue(commitSQL)
	answers := conn.SendBatch(ctx, &q)
	err := b.read(answers)
	if closed := answers.Close(); err == nil {
		err = closed
	}
	return err
}

// read reads the answers to all statements of the transaction.
func (b *batch) read(answers pgx.BatchResults) error {
	for range 2 { // begin, durable
		if _, err := answers.Exec(); err != nil {
			return err
		}
	}
	if err := answers.QueryRow().Scan(&b.inserted); err != nil {
		return err
	}
	if err := b.readStanding(answers); err != nil {
		return err
	}
	return commit(answers)
}

func (b *batch) readStanding(answers pgx.BatchResults) error {
	rows, err := answers.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var at standing
		if err := rows.Scan(&n, &at.token, &at.sealed, &at.taken); err != nil {
			return err
		}
		if n < 1 || n > int64(len(b.order)) {
			return errOrdinal
		}
		at.found = true
		b.standing[n-1] = at
	}
	return rows.Err()
}

// commit reads the answer to a commit. In a transaction that had failed it is
// no error but says rollback.
func commit(answers pgx.BatchResults) error {
	tag, err := answers.Exec()
	if err != nil {
		return err
	}
	if tag.String() != "COMMIT" {
		return errRollback
	}
	return nil
}

// settle turns the answers of a committed transaction into outcomes. It returns
// the places of rows that have none yet.
func (b *batch) settle(rows []tokenize.Row, out []tokenize.Outcome) (pending []int) {
	var inserted int64
	for start := 0; start < len(b.order); {
		end := start + 1
		for end < len(b.order) && sameKey(&rows[b.order[start]], &rows[b.order[end]]) {
			end++
		}
		// Of the rows with one scope and index, the first that is not listed was
		// written. Those before it were left out for their token, since the index
		// was free.
		var winner *tokenize.Row
		for i := start; i < end && winner == nil; i++ {
			if !b.standing[i].found {
				winner = &rows[b.order[i]]
				inserted++
			}
		}
		written := false
		for i := start; i < end; i++ {
			place, at := b.order[i], &b.standing[i]
			r := &rows[place]
			switch {
			case r == winner:
				written = true
				out[place] = outcome(tokenize.Inserted, r, r.Token, r.Sealed)
			case written:
				out[place] = outcome(tokenize.Exists, r, winner.Token, winner.Sealed)
			case winner != nil:
				out[place] = tokenize.Outcome{Status: tokenize.Taken}
			case at.token != nil:
				out[place] = outcome(tokenize.Exists, r, at.token, at.sealed)
			case at.taken:
				out[place] = tokenize.Outcome{Status: tokenize.Taken}
			default:
				pending = append(pending, place)
			}
		}
		start = end
	}
	if inserted != b.inserted {
		// A row that an older transaction wrote, with this very token, passes for
		// one of this transaction when their 32-bit numbers are equal. What stands
		// is read again, by another transaction.
		return b.order
	}
	return pending
}

func sameKey(a, b *tokenize.Row) bool { return a.Scope == b.Scope && a.Index == b.Index }

// outcome copies the bytes, which belong to the caller from then on.
func outcome(status tokenize.Status, r *tokenize.Row, token, sealed []byte) tokenize.Outcome {
	both := append(append(make([]byte, 0, len(token)+len(sealed)), token...), sealed...)
	return tokenize.Outcome{Status: status, Row: tokenize.Row{
		Scope: r.Scope, Index: r.Index,
		Token: both[:len(token):len(token)], Sealed: both[len(token):],
	}}
}
