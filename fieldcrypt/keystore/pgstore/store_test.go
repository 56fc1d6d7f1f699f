package pgstore

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// personRowOf is a row as the table has it.
func personRowOf(r shred.Row) []any {
	return []any{r.Person[:], r.Key[:], r.Sealed, rowSum(kindPerson, []byte(r.Tenant), r.Person[:], r.Key[:], r.Sealed)}
}

func testRow() shred.Row {
	return shred.Row{Tenant: "acme", Person: shred.PersonID{1}, Key: shred.KeyID{2}, Sealed: []byte("sealed")}
}

func TestEachCallIsOneMessage(t *testing.T) {
	r := testRow()
	f := &fake{row: personRowOf(r), changed: "1"}
	s := f.store(t)
	block := []byte("block")
	blockRow := func(kind string, key []byte) []any { return []any{key, block, rowSum(kind, key, block)} }
	id := datakey.ID{1}
	m := shred.Mark{Ledger: shred.LedgerID{1}, Seq: 7}
	markRow := []any{m.Ledger[:], int64(7), m.Hash[:], rowSum(kindMark, m.Ledger[:], be64(7), m.Hash[:])}
	for _, test := range []struct {
		name string
		row  []any
		call func(ctx context.Context) error
	}{
		{"Person", personRowOf(r), func(ctx context.Context) error { _, err := s.Person(ctx, r.Tenant, r.Person); return err }},
		{"ByKey", personRowOf(r), func(ctx context.Context) error { _, err := s.ByKey(ctx, r.Tenant, r.Key); return err }},
		{"Create", personRowOf(r), func(ctx context.Context) error { _, err := s.Create(ctx, r); return err }},
		{"Forget", nil, func(ctx context.Context) error { return s.Forget(ctx, r.Tenant, r.Person) }},
		{"Put", blockRow(kindBlock, id[:]), func(ctx context.Context) error { return s.Put(ctx, id, block) }},
		{"Get", blockRow(kindBlock, id[:]), func(ctx context.Context) error { _, err := s.Get(ctx, id); return err }},
		{"Replace", blockRow(kindBlock, id[:]), func(ctx context.Context) error { return s.Replace(ctx, id, block, block) }},
		{"Remove", blockRow(kindBlock, id[:]), func(ctx context.Context) error { return s.Remove(ctx, id, block) }},
		{"Each", blockRow(kindBlock, id[:]), func(ctx context.Context) error {
			return s.Each(ctx, func(datakey.ID, []byte) error { return nil })
		}},
		{"Root", blockRow(kindRoot, []byte("acme")), func(ctx context.Context) error { _, err := s.Root(ctx, "acme"); return err }},
		{"CreateRoot", blockRow(kindRoot, []byte("acme")), func(ctx context.Context) error { _, err := s.CreateRoot(ctx, "acme", block); return err }},
		{"ReplaceRoot", blockRow(kindRoot, []byte("acme")), func(ctx context.Context) error { return s.ReplaceRoot(ctx, "acme", block, block) }},
		{"EachRoot", blockRow(kindRoot, []byte("acme")), func(ctx context.Context) error {
			return s.EachRoot(ctx, func(string, []byte) error { return nil })
		}},
		{"Mark", markRow, func(ctx context.Context) error { _, err := s.Mark(ctx); return err }},
		{"SetMark", markRow, func(ctx context.Context) error { return s.SetMark(ctx, m) }},
	} {
		f.row, f.messages = test.row, nil
		if err := test.call(t.Context()); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if len(f.messages) != 1 {
			t.Errorf("%s took %d messages: %q", test.name, len(f.messages), f.messages)
		}
	}
}

func TestWhatIsBeyondTheBoundsIsNotSent(t *testing.T) {
	f := &fake{}
	s, l := f.store(t), f.ledger(t)
	long, big := strings.Repeat("x", shred.MaxTenant+1), make([]byte, shred.MaxBlock+1)
	r, empty, heavy := testRow(), testRow(), testRow()
	r.Tenant, empty.Sealed, heavy.Sealed = long, nil, make([]byte, shred.MaxSealed+1)
	ctx := t.Context()
	calls := map[string]func() error{
		"Person":                  func() error { _, err := s.Person(ctx, long, r.Person); return err },
		"ByKey":                   func() error { _, err := s.ByKey(ctx, long, r.Key); return err },
		"Create":                  func() error { _, err := s.Create(ctx, r); return err },
		"Create of nothing":       func() error { _, err := s.Create(ctx, empty); return err },
		"Create of too much":      func() error { _, err := s.Create(ctx, heavy); return err },
		"Forget":                  func() error { return s.Forget(ctx, long, r.Person) },
		"Root":                    func() error { _, err := s.Root(ctx, long); return err },
		"CreateRoot":              func() error { _, err := s.CreateRoot(ctx, long, []byte("b")); return err },
		"CreateRoot of nothing":   func() error { _, err := s.CreateRoot(ctx, "acme", nil); return err },
		"CreateRoot of too much":  func() error { _, err := s.CreateRoot(ctx, "acme", big); return err },
		"ReplaceRoot":             func() error { return s.ReplaceRoot(ctx, long, nil, []byte("b")) },
		"ReplaceRoot by nothing":  func() error { return s.ReplaceRoot(ctx, "acme", []byte("b"), nil) },
		"ReplaceRoot by too much": func() error { return s.ReplaceRoot(ctx, "acme", []byte("b"), big) },
		"SetMark":                 func() error { return s.SetMark(ctx, shred.Mark{Seq: math.MaxInt64 + 1}) },
		"Append":                  func() error { _, err := l.Append(ctx, shred.Entry{Tenant: long, By: "a", Reason: "b"}); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, shred.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"Put of nothing": s.Put(ctx, datakey.ID{}, nil), "Put of too much": s.Put(ctx, datakey.ID{}, big),
		"Replace by nothing": s.Replace(ctx, datakey.ID{}, []byte("b"), nil), "Replace by too much": s.Replace(ctx, datakey.ID{}, []byte("b"), big),
	} {
		if e, ok := errors.AsType[*Error](err); !ok || e.Retryable() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.dials != 0 {
		t.Errorf("%d connections were made", f.dials)
	}
}

func TestTransactionsThatMayStartOverDo(t *testing.T) {
	for _, code := range []string{"40001", "40P01", "57P01", "08006"} {
		f := &fake{row: personRowOf(testRow()), changed: "1"}
		f.fail = func(n int, text string) (*pgproto3.ErrorResponse, bool) {
			if strings.Contains(text, "rollback") || len(filter(f.messages, "rollback")) >= attempts {
				return nil, false
			}
			return &pgproto3.ErrorResponse{Code: code, Message: "no"}, false
		}
		if _, err := f.store(t).Create(t.Context(), testRow()); err != nil {
			t.Errorf("%s: %v", code, err)
		}
		f.messages = nil
		f.fail = func(int, string) (*pgproto3.ErrorResponse, bool) {
			return &pgproto3.ErrorResponse{Code: code, Message: "never"}, false
		}
		_, err := f.store(t).Person(t.Context(), "acme", shred.PersonID{1})
		if e := isError(t, err, "person"); e.SQLState != code || !e.Retryable() || len(f.messages) != attempts {
			t.Errorf("%s: after %d attempts: %v", code, len(f.messages), err)
		}
	}
}

// filter returns the messages without those that contain text.
func filter(messages []string, text string) (out []string) {
	for _, m := range messages {
		if !strings.Contains(m, text) {
			out = append(out, m)
		}
	}
	return out
}

func TestOtherErrorsAreNotTriedAgain(t *testing.T) {
	for code, later := range map[string]bool{"42501": false, "42P01": false, "23514": false, "53100": true, "57014": true, "25006": true, "0A000": true, "XX000": false, "bad": false} {
		f := &fake{}
		f.fail = func(int, string) (*pgproto3.ErrorResponse, bool) {
			return &pgproto3.ErrorResponse{Code: code, Message: "the row (acme, 5ca1ab1e)", Detail: "5ca1ab1e", Hint: "5ca1ab1e", Where: "5ca1ab1e"}, false
		}
		_, err := f.store(t).Person(t.Context(), "acme", shred.PersonID{1})
		if e := isError(t, err, "person"); e.Retryable() != later || e.SQLState != code || strings.Contains(e.Error(), "5ca1ab1e") || e.Unwrap() != nil || len(f.messages) != 1 {
			t.Errorf("%s: %v, later %t, %d attempts", code, err, e.Retryable(), len(f.messages))
		}
	}
}

func TestLostConnectionsAreTriedAgain(t *testing.T) {
	f := &fake{row: personRowOf(testRow()), changed: "0"}
	f.fail = func(n int, _ string) (*pgproto3.ErrorResponse, bool) { return nil, n < 3 }
	if _, err := f.store(t).Create(t.Context(), testRow()); err != nil {
		t.Error(err)
	}
	f.fail = func(int, string) (*pgproto3.ErrorResponse, bool) { return nil, true }
	_, err := f.store(t).Create(t.Context(), testRow())
	if e := isError(t, err, "create"); !e.Retryable() || !strings.Contains(e.Error(), "connection was lost") {
		t.Error(err)
	}
}

// Only after an attempt whose answer was lost is what stands taken for one's own.
func TestAChangeThatSomebodyElseMadeIsNotOnesOwn(t *testing.T) {
	id, next := datakey.ID{1}, []byte("next")
	for _, code := range []string{"", "40001", "57P01"} {
		f := &fake{row: []any{id[:], next, rowSum(kindBlock, id[:], next)}, changed: "0"}
		f.fail = func(n int, _ string) (*pgproto3.ErrorResponse, bool) {
			if n > 1 || code == "" {
				return nil, false
			}
			return &pgproto3.ErrorResponse{Code: code}, false
		}
		err := f.store(t).Replace(t.Context(), id, []byte("old"), next)
		if (err == nil) != (code == "57P01") || err != nil && !errors.Is(err, datakey.ErrBlockChanged) {
			t.Errorf("after %q: %v", code, err)
		}
	}
}

func TestACommitThatRollsBackIsAnError(t *testing.T) {
	f := &fake{row: personRowOf(testRow()), changed: "1", rollback: true}
	_, err := f.store(t).Create(t.Context(), testRow())
	if e := isError(t, err, "create"); !strings.Contains(e.Error(), "rollback") {
		t.Error(err)
	}
	err = f.store(t).Forget(t.Context(), "acme", shred.PersonID{})
	if e := isError(t, err, "forget"); !strings.Contains(e.Error(), "rollback") {
		t.Error(err)
	}
}

func TestAnswersOfStandbysAreNone(t *testing.T) {
	f := &fake{row: personRowOf(testRow()), standby: true}
	_, err := f.store(t).Person(t.Context(), "acme", testRow().Person)
	if e := isError(t, err, "person"); !e.Retryable() || len(f.messages) != 1 {
		t.Errorf("after %d attempts: %v", len(f.messages), err)
	}
}

// An index that is damaged leads to the row of somebody else, which is whole.
func TestRowsOfOthersAreRefused(t *testing.T) {
	r := testRow()
	f := &fake{row: personRowOf(r), changed: "0"}
	s := f.store(t)
	_, err1 := s.Person(t.Context(), r.Tenant, shred.PersonID{9})
	_, err2 := s.ByKey(t.Context(), r.Tenant, shred.KeyID{9})
	_, err3 := s.Person(t.Context(), "globex", r.Person)
	key, block := []byte("globex"), []byte("block")
	f.row = []any{key, block, rowSum(kindRoot, key, block)}
	_, err4 := s.Root(t.Context(), "acme")
	_, err5 := s.CreateRoot(t.Context(), "acme", block)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
}

func TestContextsEndCalls(t *testing.T) {
	f := &fake{}
	s := f.store(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Person(ctx, "acme", shred.PersonID{})
	if e := isError(t, err, "person"); !errors.Is(err, context.Canceled) || e.Retryable() {
		t.Error(err)
	}
	// A server that does not answer, within the time of the call.
	silent := &fake{}
	release := make(chan struct{})
	silent.fail = func(int, string) (*pgproto3.ErrorResponse, bool) { <-release; return nil, true }
	_, err = silent.store(t, WithTimeout(time.Millisecond)).Person(t.Context(), "acme", shred.PersonID{})
	close(release)
	if e := isError(t, err, "person"); !errors.Is(e, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := New(nil); err == nil {
		t.Error("New without a pool")
	}
	if _, err := NewLedger(nil); err == nil {
		t.Error("NewLedger without a pool")
	}
	for name, option := range map[string]Option{
		"no schema": WithSchema(""), "a long schema": WithSchema(strings.Repeat("x", 64)), "a zero byte": WithSchema("a\x00b"),
		"no time": WithTimeout(0), "endless time": WithTimeout(2 * time.Hour), "negative time": WithTimeout(-time.Second),
	} {
		if _, err := New(new(pgxpool.Pool), option); err == nil {
			t.Errorf("%s: New takes it", name)
		}
		if _, err := NewLedger(new(pgxpool.Pool), option); err == nil {
			t.Errorf("%s: NewLedger takes it", name)
		}
	}
	s, err := New(new(pgxpool.Pool), WithSchema(`a"b`))
	if err != nil || !strings.Contains(s.sql.person, `"a""b"."fieldveil_persons"`) {
		t.Errorf("the name of a schema is not quoted: %v", err)
	}
}

// A ledger that had another entry at this place when it was applied is another
// ledger, whatever its id says.
func TestMarksOfAnotherChainAreRefused(t *testing.T) {
	m := shred.Mark{Ledger: shred.LedgerID{1}, Seq: 7, Hash: [32]byte{1}}
	f := &fake{changed: "0", row: []any{m.Ledger[:], int64(7), m.Hash[:], rowSum(kindMark, m.Ledger[:], be64(7), m.Hash[:])}}
	s := f.store(t)
	other, foreign, older := m, m, m
	other.Hash[0]++
	foreign.Ledger[0]++
	older.Seq, older.Hash = 6, [32]byte{9}
	for name, test := range map[string]struct {
		mark shred.Mark
		want error
	}{"the same": {m, nil}, "an older one": {older, nil}, "another entry": {other, shred.ErrLedger}, "another ledger": {foreign, shred.ErrLedger}} {
		if err := s.SetMark(t.Context(), test.mark); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, row := range [][]any{
		{m.Ledger[:], int64(-7), m.Hash[:], rowSum(kindMark, m.Ledger[:], be64(7), m.Hash[:])},
		{m.Ledger[:15], int64(7), m.Hash[:], rowSum(kindMark, m.Ledger[:15], be64(7), m.Hash[:])},
		{m.Ledger[:], int64(7), m.Hash[:31], rowSum(kindMark, m.Ledger[:], be64(7), m.Hash[:31])},
		{m.Ledger[:], int64(8), m.Hash[:], rowSum(kindMark, m.Ledger[:], be64(7), m.Hash[:])},
	} {
		f.row = row
		if _, err := s.Mark(t.Context()); !errors.Is(err, ErrDamaged) {
			t.Errorf("a damaged mark: %v", err)
		}
		if err := s.SetMark(t.Context(), m); !errors.Is(err, ErrDamaged) {
			t.Errorf("a damaged mark is set: %v", err)
		}
	}
}
