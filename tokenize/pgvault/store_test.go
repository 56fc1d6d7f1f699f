package pgvault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

func newRows(n int) []tokenize.Row {
	rows := make([]tokenize.Row, n)
	for i := range rows {
		rows[i] = tokenize.Row{Scope: "scope", Token: []byte("tok_" + rand.Text()), Sealed: []byte("sealed")}
		_, _ = rand.Read(rows[i].Index[:])
	}
	return rows
}

func keysAndRefs(rows []tokenize.Row) (keys []tokenize.Key, refs []tokenize.Ref) {
	for _, r := range rows {
		keys = append(keys, tokenize.Key{Scope: r.Scope, Index: r.Index})
		refs = append(refs, tokenize.Ref{Scope: r.Scope, Token: r.Token})
	}
	return keys, refs
}

func statuses(out []tokenize.Outcome) (all []tokenize.Status) {
	for _, o := range out {
		all = append(all, o.Status)
	}
	return slices.Compact(all)
}

func TestTheContractOfStores(t *testing.T) {
	s := newFake().store(t)
	vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
}

func TestEachCallTakesOneRoundTrip(t *testing.T) {
	f := newFake()
	s := f.store(t)
	calls := []struct {
		name string
		call func(rows []tokenize.Row) error
	}{
		{"Insert", func(rows []tokenize.Row) error { _, err := s.Insert(t.Context(), rows); return err }},
		{"Insert again", func(rows []tokenize.Row) error { _, err := s.Insert(t.Context(), rows); return err }},
		{"ByIndex", func(rows []tokenize.Row) error {
			keys, _ := keysAndRefs(rows)
			_, err := s.ByIndex(t.Context(), keys)
			return err
		}},
		{"ByToken", func(rows []tokenize.Row) error {
			_, refs := keysAndRefs(rows)
			_, err := s.ByToken(t.Context(), refs)
			return err
		}},
		{"Count", func([]tokenize.Row) error { _, err := s.Count(t.Context(), "scope"); return err }},
		{"Delete", func(rows []tokenize.Row) error {
			_, refs := keysAndRefs(rows)
			return s.Delete(t.Context(), refs)
		}},
	}
	for round := range 2 { // the first one prepares the statements and checks the table
		rows := newRows(1000)
		for _, c := range calls {
			before := f.syncs
			if err := c.call(rows); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if trips := f.syncs - before; round > 0 && trips != 1 {
				t.Errorf("%s took %d round trips", c.name, trips)
			}
		}
	}
	if f.sent[checkSQL] != 1 {
		t.Errorf("the table was checked %d times", f.sent[checkSQL])
	}
}

func TestLargeBatchesAreCut(t *testing.T) {
	for _, test := range []struct {
		name               string
		rows, sealed, want int
	}{
		{"by rows", maxRows*2 + 1, 1, 3},
		{"by bytes", 2*maxBytes/tokenize.MaxSealed + 1, tokenize.MaxSealed, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows := make([]tokenize.Row, test.rows)
			for i := range rows {
				rows[i] = tokenize.Row{Scope: "scope", Token: []byte("token"), Sealed: make([]byte, test.sealed)}
			}
			got := 0
			for start := 0; start < len(rows); got++ {
				end := cut(rows, start)
				if end <= start || end-start > maxRows || (end-start)*test.sealed > maxBytes {
					t.Fatalf("a part of %d rows", end-start)
				}
				start = end
			}
			if got != test.want {
				t.Errorf("%d parts", got)
			}
		})
	}
	s := newFake().store(t)
	rows := newRows(3)
	rows[0].Sealed, rows[2].Sealed = make([]byte, tokenize.MaxSealed), make([]byte, tokenize.MaxSealed)
	many := slices.Repeat(rows, maxBytes/tokenize.MaxSealed)
	out, err := s.Insert(t.Context(), many)
	if err != nil || len(out) != len(many) {
		t.Fatalf("%d outcomes, %v", len(out), err)
	}
	for i, o := range out {
		if (o.Status == tokenize.Inserted) != (i < 3) || o.Row.Index != many[i].Index {
			t.Fatalf("row %d: status %d", i, o.Status)
		}
	}
}

func TestTransactionsThatMayStartOverDo(t *testing.T) {
	for _, code := range []string{"40001", "40P01", "57P01", "08006"} {
		for _, at := range []string{"begin", "insert", "standing", "commit"} {
			if code != "40P01" && at != "insert" {
				continue // each attempt waits
			}
			t.Run(code+" at "+at, func(t *testing.T) {
				f := newFake()
				s := f.store(t)
				statement := map[string]string{"begin": beginSQL, "insert": f.sql.insert, "standing": f.sql.standing, "commit": commitSQL}[at]
				faults := 0
				f.fail = func(sql string) (*pgproto3.ErrorResponse, bool) {
					if sql != statement || faults == attempts-1 {
						return nil, false
					}
					faults++
					return &pgproto3.ErrorResponse{Code: code, Message: "no"}, false
				}
				out, err := s.Insert(t.Context(), newRows(2))
				if err != nil || !slices.Equal(statuses(out), []tokenize.Status{tokenize.Inserted}) {
					t.Errorf("Insert: %v, %v", statuses(out), err)
				}
				faults = -1000
				out, err = s.Insert(t.Context(), newRows(2))
				if e, ok := errors.AsType[*Error](err); !ok || e.SQLState != code || !e.Retryable() || out != nil || faults != -1000+attempts {
					t.Errorf("Insert that never succeeds: %v after %d attempts", err, faults+1000)
				}
				if len(f.rows) != 2 {
					t.Errorf("%d rows stand", len(f.rows))
				}
			})
		}
	}
}

func TestConnectionsThatAreLostOnTheWay(t *testing.T) {
	f := newFake()
	for at, sql := range map[string]string{"begin": beginSQL, "durable": durableSQL, "insert": f.sql.insert, "standing": f.sql.standing, "commit": commitSQL} {
		for _, heard := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, executed %t", at, heard), func(t *testing.T) {
				f := newFake()
				s := f.store(t)
				if err := s.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				lost := 0
				lose := func(seen string) bool {
					if seen != sql || lost > 0 {
						return false
					}
					lost++
					return true
				}
				want := tokenize.Inserted
				if heard {
					f.dropAfter = lose
					if at == "commit" { // the rows stand, and nobody heard of it
						want = tokenize.Exists
					}
				} else {
					f.fail = func(sql string) (*pgproto3.ErrorResponse, bool) { return nil, lose(sql) }
				}
				rows := newRows(3)
				out, err := s.Insert(t.Context(), rows)
				if err != nil || lost != 1 || !slices.Equal(statuses(out), []tokenize.Status{want}) {
					t.Fatalf("Insert: %v, %v", statuses(out), err)
				}
				for i, o := range out {
					if !bytes.Equal(o.Row.Token, rows[i].Token) {
						t.Error("another token stands")
					}
				}
				if len(f.rows) != 3 {
					t.Errorf("%d rows stand", len(f.rows))
				}
			})
		}
	}
}

func TestACommitThatIsARollbackIsAnError(t *testing.T) {
	f := newFake()
	s := f.store(t)
	f.rollback = true
	rows := newRows(1)
	if out, err := s.Insert(t.Context(), rows); err == nil || out != nil || !strings.Contains(err.Error(), "rollback") {
		t.Errorf("Insert: %d outcomes, %v", len(out), err)
	}
	_, refs := keysAndRefs(rows)
	if err := s.Delete(t.Context(), refs); err == nil || !strings.Contains(err.Error(), "rollback") {
		t.Errorf("Delete: %v", err)
	}
}

func TestAnswersThatCannotBe(t *testing.T) {
	sql := newFake().sql
	for _, test := range []struct {
		name, sql string
		row       []any
		call      func(s *Store, rows []tokenize.Row) error
	}{
		{"a row before the first", sql.standing, []any{int64(0), []byte("t"), []byte("s"), false}, insertRows},
		{"a row after the last", sql.standing, []any{int64(3), []byte("t"), []byte("s"), false}, insertRows},
		{"a negative row", sql.standing, []any{int64(-1), []byte("t"), []byte("s"), false}, insertRows},
		{"an index before the first", sql.byIndex, []any{int64(0), []byte("t"), []byte("s")}, lookUpRows},
		{"an index after the last", sql.byIndex, []any{int64(3), []byte("t"), []byte("s")}, lookUpRows},
		{"a token after the last", sql.byToken, []any{int64(3), make([]byte, 32), []byte("s")}, lookUpRows},
		{"an index of 31 bytes", sql.byToken, []any{int64(1), make([]byte, 31), []byte("s")}, lookUpRows},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake()
			f.twist = func(sql string, rows [][]any) [][]any {
				if sql == test.sql {
					return [][]any{test.row}
				}
				return rows
			}
			s := f.store(t)
			err := test.call(s, newRows(2))
			if e, ok := errors.AsType[*Error](err); !ok || e.Retryable() {
				t.Errorf("error %v", err)
			}
			f.twist = nil
			if err := insertRows(s, newRows(2)); err != nil {
				t.Errorf("the store is of no use afterwards: %v", err)
			}
		})
	}
}

func insertRows(s *Store, rows []tokenize.Row) error {
	out, err := s.Insert(context.Background(), rows)
	if err != nil && out != nil {
		return errors.New("outcomes beside an error")
	}
	return err
}

func lookUpRows(s *Store, rows []tokenize.Row) error {
	keys, refs := keysAndRefs(rows)
	if _, err := s.ByIndex(context.Background(), keys); err != nil {
		return err
	}
	_, err := s.ByToken(context.Background(), refs)
	return err
}

// A server whose numbers do not add up is asked again what stands.
func TestOutcomesThatTheServersCountContradicts(t *testing.T) {
	f := newFake()
	lies := 1
	f.twist = func(sql string, rows [][]any) [][]any {
		if sql == f.sql.insert && lies > 0 {
			lies--
			return [][]any{{int64(1)}}
		}
		return rows
	}
	s := f.store(t)
	out, err := s.Insert(t.Context(), newRows(2))
	if err != nil || !slices.Equal(statuses(out), []tokenize.Status{tokenize.Exists}) {
		t.Errorf("Insert: %v, %v", statuses(out), err)
	}
	lies = 1000
	if out, err := s.Insert(t.Context(), newRows(2)); err == nil || out != nil || 1000-lies != attempts {
		t.Errorf("Insert: %d outcomes, %v after %d attempts", len(out), err, 1000-lies)
	}
}

// A row that stood in the way and is gone again leaves no trace.
func TestRowsThatAreGoneWhenTheyAreLookedAt(t *testing.T) {
	f := newFake()
	s := f.store(t)
	rows := newRows(3)
	old := rows[1]
	old.Token = []byte("old")
	f.rows = []tokenize.Row{old}
	f.fail = func(sql string) (*pgproto3.ErrorResponse, bool) {
		if sql == f.sql.standing { // somebody deletes it just then
			f.rows = slices.DeleteFunc(f.rows, func(r tokenize.Row) bool { return string(r.Token) == "old" })
		}
		return nil, false
	}
	out, err := s.Insert(t.Context(), rows)
	if err != nil || !slices.Equal(statuses(out), []tokenize.Status{tokenize.Inserted}) || len(f.rows) != 3 {
		t.Errorf("Insert: %v, %v", statuses(out), err)
	}
}

// What an attempt has read is worth nothing when its commit fails.
func TestAnAttemptThatFailsLeavesNothingToTheNext(t *testing.T) {
	f := newFake()
	s := f.store(t)
	rows := newRows(2)
	old := rows[0]
	old.Token = []byte("old")
	f.rows = []tokenize.Row{old}
	commits := 0
	f.fail = func(sql string) (*pgproto3.ErrorResponse, bool) {
		if sql != commitSQL {
			return nil, false
		}
		commits++
		if commits > 1 {
			return nil, false
		}
		f.undoTo = []tokenize.Row{} // somebody deletes the old row before the next attempt
		return &pgproto3.ErrorResponse{Code: "40001"}, false
	}
	out, err := s.Insert(t.Context(), rows)
	if err != nil || commits != 2 || !slices.Equal(statuses(out), []tokenize.Status{tokenize.Inserted}) || len(f.rows) != 2 {
		t.Errorf("Insert: %v, %v after %d commits", statuses(out), err, commits)
	}
}

func TestPartsOfAnOutcomeDoNotRunIntoEachOther(t *testing.T) {
	out, err := newFake().store(t).Insert(t.Context(), newRows(1))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(out[0].Row.Token, "xxxxxx"...)
	if string(out[0].Row.Sealed) != "sealed" {
		t.Error("the sealed value lies in the space of the token")
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	f := newFake()
	s := f.store(t)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.tx.Lock() // as somebody does whose transaction stays open
	rows := newRows(1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	out, err := s.Insert(ctx, rows)
	if !errors.Is(err, context.DeadlineExceeded) || out != nil {
		t.Errorf("Insert: %d outcomes, %v", len(out), err)
	}
	if e, ok := errors.AsType[*Error](err); !ok || e.Retryable() {
		t.Errorf("Insert: %v", err)
	}
	f.tx.Unlock()
	if err := insertRows(s, newRows(1)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
