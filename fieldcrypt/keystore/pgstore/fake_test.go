package pgstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A fake answers what a Store sends in the simple protocol, without parsing it:
// whatever changes something has changed one row, and whatever looks finds the
// row of the test. What a real server does with it is tested elsewhere.
type fake struct {
	mu sync.Mutex
	// fail is asked before each message. An error is the answer, and drop ends the
	// connection.
	fail func(n int, text string) (answer *pgproto3.ErrorResponse, drop bool)
	// changed is how many rows a change says it has changed.
	changed string
	// row is what is found, after the column that tells a standby.
	row []any
	// standby is that column.
	standby bool
	// rollback has commits answered so.
	rollback bool

	messages []string
	dials    int
}

// pool returns connections to the fake.
func (f *fake) pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig("postgres://fake:secret@fake:1/fake?sslmode=disable&pool_max_conns=8&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	cfg.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		f.mu.Lock()
		f.dials++
		f.mu.Unlock()
		go f.serve(server)
		return client, nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// store returns a Store on the fake that has checked its tables.
func (f *fake) store(t testing.TB, options ...Option) *Store {
	t.Helper()
	s, err := New(f.pool(t), options...)
	if err != nil {
		t.Fatal(err)
	}
	s.db.checked.Store(true)
	return s
}

func (f *fake) ledger(t testing.TB) *Ledger {
	t.Helper()
	l, err := NewLedger(f.pool(t))
	if err != nil {
		t.Fatal(err)
	}
	l.db.checked.Store(true)
	return l
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	b := pgproto3.NewBackend(conn, conn)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	status := byte('I')
	for {
		b.Send(&pgproto3.ReadyForQuery{TxStatus: status})
		if err := b.Flush(); err != nil {
			return
		}
		m, err := b.Receive()
		if err != nil {
			return
		}
		q, ok := m.(*pgproto3.Query)
		if !ok || !f.answer(b, q.String, &status) {
			return
		}
	}
}

// answer returns false to end the connection.
func (f *fake) answer(b *pgproto3.Backend, text string, status *byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = append(f.messages, text)
	if f.fail != nil {
		answer, drop := f.fail(len(f.messages), text)
		if drop {
			return false
		}
		if answer != nil {
			answer.Severity, answer.SeverityUnlocalized = "ERROR", "ERROR"
			b.Send(answer)
			if strings.Contains(text, beginSQL) {
				*status = 'E'
			}
			return true
		}
	}
	if text == "rollback" {
		*status = 'I'
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("ROLLBACK")})
		return true
	}
	for statement := range strings.SplitSeq(strings.TrimRight(text, "; "), ";") {
		f.answerOne(b, strings.TrimSpace(statement))
	}
	return true
}

func (f *fake) answerOne(b *pgproto3.Backend, statement string) {
	tag := "SELECT 1"
	switch {
	case strings.HasPrefix(statement, "begin"):
		tag = "BEGIN"
	case statement == commitSQL && f.rollback:
		tag = "ROLLBACK"
	case statement == commitSQL:
		tag = "COMMIT"
	case strings.HasPrefix(statement, "select set_config"):
		sendRow(b, "x")
	case strings.HasPrefix(statement, "insert"):
		tag = "INSERT 0 " + f.changed
	case strings.HasPrefix(statement, "update"):
		tag = "UPDATE " + f.changed
	case strings.HasPrefix(statement, "delete"):
		tag = "DELETE " + f.changed
	case strings.HasPrefix(statement, "select seq"):
		sendRow(b, f.row...)
	default:
		sendRow(b, append([]any{f.standby}, f.row...)...)
	}
	b.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

// sendRow sends a row as texts.
func sendRow(b *pgproto3.Backend, row ...any) {
	m := pgtype.NewMap()
	var fields []pgproto3.FieldDescription
	var values [][]byte
	for i, v := range row {
		oid := uint32(pgtype.ByteaOID)
		switch v.(type) {
		case bool:
			oid = pgtype.BoolOID
		case int64:
			oid = pgtype.Int8OID
		case string:
			oid = pgtype.TextOID
		}
		var buf []byte
		if raw, ok := v.([]byte); !ok || raw != nil {
			var err error
			if buf, err = m.Encode(oid, pgtype.TextFormatCode, v, []byte{}); err != nil {
				panic(err)
			}
		}
		fields = append(fields, pgproto3.FieldDescription{Name: []byte{byte('a' + i)}, DataTypeOID: oid})
		values = append(values, buf)
	}
	b.Send(&pgproto3.RowDescription{Fields: fields})
	b.Send(&pgproto3.DataRow{Values: values})
}

// isError tells whether err is an Error of this call.
func isError(t *testing.T, err error, op string) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Op != op {
		t.Fatalf("%s: %v", op, err)
	}
	return e
}
