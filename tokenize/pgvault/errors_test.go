package pgvault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/fieldveil/fieldveil/tokenize"
)

func TestErrorsSayWhatAndNoMore(t *testing.T) {
	const secret = "token-5ca1ab1e"
	for _, test := range []struct {
		code, text string
		retryable  bool
	}{
		{"23514", "pgvault: insert: the server refused the data (SQLSTATE 23514)", false},
		{"25006", "pgvault: insert: the server takes no writes, as a standby (SQLSTATE 25006)", true},
		{"28000", "pgvault: insert: the server refused the role (SQLSTATE 28000)", false},
		{"42501", "pgvault: insert: the role lacks a right on the table (SQLSTATE 42501)", false},
		{"42601", "pgvault: insert: the server refused the statement (SQLSTATE 42601)", false},
		{"42P01", "pgvault: insert: the table is not there (SQLSTATE 42P01)", false},
		{"53100", "pgvault: insert: the server's disk is full (SQLSTATE 53100)", true},
		{"53200", "pgvault: insert: the server lacks a resource (SQLSTATE 53200)", true},
		{"53300", "pgvault: insert: the server has too many connections (SQLSTATE 53300)", true},
		{"54000", "pgvault: insert: a limit of the server was met (SQLSTATE 54000)", false},
		{"55P03", "pgvault: insert: the server is not in a state to do it (SQLSTATE 55P03)", true},
		{"57014", "pgvault: insert: the server canceled the statement (SQLSTATE 57014)", true},
		{"58030", "pgvault: insert: the server has a fault of its own (SQLSTATE 58030)", true},
		{"XX001", "pgvault: insert: the server has a fault of its own (SQLSTATE XX001)", false},
		{"99999", "pgvault: insert: the server answered with an error (SQLSTATE 99999)", false},
	} {
		t.Run(test.code, func(t *testing.T) {
			f := newFake()
			s := f.store(t)
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			asked := 0
			f.fail = func(sql string) (*pgproto3.ErrorResponse, bool) {
				if sql != f.sql.insert {
					return nil, false
				}
				asked++
				return &pgproto3.ErrorResponse{
					Code: test.code, Message: secret, Detail: secret, Hint: secret, InternalQuery: secret, Where: secret,
					TableName: secret, ColumnName: secret, ConstraintName: secret,
				}, false
			}
			dials := f.dials
			out, err := s.Insert(t.Context(), []tokenize.Row{{Scope: "scope", Token: []byte(secret), Sealed: []byte(secret)}})
			e, ok := errors.AsType[*Error](err)
			if !ok || out != nil || asked != 1 {
				t.Fatalf("%d outcomes, %v after %d attempts", len(out), err, asked)
			}
			if e.Error() != test.text || e.SQLState != test.code || e.Op != "insert" || e.Retryable() != test.retryable || e.Unwrap() != nil {
				t.Errorf("%q, retryable %t", e, e.Retryable())
			}
			if all := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(all, "5ca1ab1e") {
				t.Errorf("the error tells a token: %s", all)
			}
			// The failed transaction was rolled back, and the connection kept.
			f.fail = nil
			if err := insertRows(s, newRows(1)); err != nil || f.dials != dials {
				t.Errorf("afterwards: %v, %d new connections", err, f.dials-dials)
			}
		})
	}
}

func TestServersThatCannotBeReached(t *testing.T) {
	ctx := t.Context()
	for _, test := range []struct {
		name, conn, text string
		retryable        bool
	}{
		{"nobody listens", "postgres://user:hidden@127.0.0.1:1/db?sslmode=disable", "failed to connect", true},
		{"nobody listens in two places", "host=127.0.0.1,127.0.0.1 port=1,2 password=hidden sslmode=disable", "127.0.0.1:2", true},
		{"no connection string", "postgres://user:hidden@[::1", "cannot be read", false},
		{"a bad word in it", "host=x password=hidden port=hidden", "cannot be read", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Open(ctx, test.conn)
			if err == nil || s != nil || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("Open: %v", err)
			}
			if strings.Contains(fmt.Sprintf("%+v %#v", err, err), "hidden") {
				t.Errorf("the error tells the password: %v", err)
			}
			e, ok := errors.AsType[*Error](err)
			if ok && e.Retryable() != test.retryable || !ok && test.retryable || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, of type %T", err, err)
			}
		})
	}
}

func TestAPoolThatIsClosed(t *testing.T) {
	pool := newFake().pool(t)
	s, err := New(pool)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := insertRows(s, newRows(1)); err != nil {
		t.Errorf("Close ended a pool that is the caller's: %v", err)
	}
	pool.Close()
	began := time.Now()
	if e, ok := errors.AsType[*Error](insertRows(s, newRows(1))); !ok || e.Retryable() {
		t.Errorf("Insert: %v after %v", e, time.Since(began))
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	pool := newFake().pool(t)
	if _, err := New(nil); err == nil {
		t.Error("a Store without a pool")
	}
	for _, name := range [][]string{nil, {""}, {"a", ""}, {"a", "b", "c"}, {strings.Repeat("x", 64)}, {"a\x00b"}} {
		if _, err := New(pool, WithTable(name...)); err == nil {
			t.Errorf("New took the table %q", name)
		}
		if _, err := Schema(WithTable(name...)); err == nil {
			t.Errorf("Schema took the table %q", name)
		}
		if s, err := Open(t.Context(), "host=127.0.0.1", WithTable(name...)); err == nil || s != nil {
			t.Errorf("Open took the table %q", name)
		}
	}
}

func TestNamesAreQuoted(t *testing.T) {
	text, err := Schema(WithTable("a schema", `x"; drop table y; --`))
	if err != nil || !strings.Contains(text, `create table if not exists "a schema"."x""; drop table y; --" (`) {
		t.Errorf("%s, %v", text, err)
	}
}
