package pgvault

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
)

// A fake answers the statements of a Store as a server does, without parsing
// them, and fails where a test tells it to. It runs one transaction at a time.
// What a real server does with them is tested elsewhere.
type fake struct {
	sql statements
	// fail is asked before each statement. An error is the answer, and drop ends
	// the connection.
	fail func(sql string) (answer *pgproto3.ErrorResponse, drop bool)
	// twist may change the rows of an answer.
	twist func(sql string, rows [][]any) [][]any
	// dropAfter ends the connection after a statement, before its answer.
	dropAfter func(sql string) bool
	// undoTo is what a transaction that fails leaves, where that is not what it
	// found.
	undoTo []tokenize.Row
	// rollback has commits answered so.
	rollback bool

	tx    sync.Mutex // held by the one who has begun
	mu    sync.Mutex
	rows  []tokenize.Row
	syncs int // round trips
	sent  map[string]int
	dials int
}

func newFake() *fake {
	return &fake{sql: newStatements(quote(defaultTable)), sent: map[string]int{}}
}

// store returns a Store that talks to the fake.
func (f *fake) store(t testing.TB, options ...Option) *Store {
	t.Helper()
	s, err := New(f.pool(t), options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fake) pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig("postgres://fake:secret@fake:1/fake?sslmode=disable&pool_max_conns=8")
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

// A session is one connection.
type session struct {
	*fake
	b        *pgproto3.Backend
	prepared map[string]string
	bound    string
	args     [][]byte
	formats  []int16
	status   byte // of the transaction, as ReadyForQuery has it
	failed   bool // skip to the next Sync
	undo     []tokenize.Row
	written  int
	mine     map[string]bool // rows that the transaction wrote
}

func (f *fake) serve(conn net.Conn) {
	s := &session{fake: f, b: pgproto3.NewBackend(conn, conn), prepared: map[string]string{}, status: 'I'}
	defer conn.Close()
	defer func() {
		if s.status != 'I' {
			s.end(false)
		}
	}()
	if _, err := s.b.ReceiveStartupMessage(); err != nil {
		return
	}
	s.b.Send(&pgproto3.AuthenticationOk{})
	s.b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	s.b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	s.ready()
	for {
		if err := s.b.Flush(); err != nil {
			return
		}
		m, err := s.b.Receive()
		if err != nil || !s.handle(m) {
			return
		}
	}
}

func (s *session) ready() { s.b.Send(&pgproto3.ReadyForQuery{TxStatus: s.status}) }

// handle answers a message, and returns false to end the connection.
func (s *session) handle(m pgproto3.FrontendMessage) bool {
	if _, sync := m.(*pgproto3.Sync); s.failed && !sync {
		return true
	}
	switch m := m.(type) {
	case *pgproto3.Parse:
		s.prepared[m.Name] = m.Query
		s.b.Send(&pgproto3.ParseComplete{})
	case *pgproto3.Describe:
		if m.ObjectType == 'S' {
			sql := s.prepared[m.Name]
			s.b.Send(&pgproto3.ParameterDescription{ParameterOIDs: s.parameters(sql)})
			s.describe(sql, nil)
		} else {
			s.describe(s.bound, s.formats)
		}
	case *pgproto3.Bind:
		s.bound, s.formats = s.prepared[m.PreparedStatement], append([]int16{}, m.ResultFormatCodes...)
		s.args = nil
		for _, p := range m.Parameters {
			s.args = append(s.args, append([]byte{}, p...))
		}
		s.b.Send(&pgproto3.BindComplete{})
	case *pgproto3.Execute:
		return s.execute(s.bound)
	case *pgproto3.Query:
		s.args, s.formats = nil, nil
		if s.columns(m.String) != nil {
			s.describe(m.String, nil)
		}
		ok := s.execute(m.String)
		s.failed = false
		s.ready()
		return ok
	case *pgproto3.Sync:
		s.failed = false
		s.mu.Lock()
		s.syncs++
		s.mu.Unlock()
		s.ready()
	case *pgproto3.Close:
		s.b.Send(&pgproto3.CloseComplete{})
	case *pgproto3.Flush:
	default: // Terminate among them
		return false
	}
	return true
}

func (f *fake) parameters(sql string) []uint32 {
	switch {
	case sql == checkSQL:
		return []uint32{pgtype.TextOID}
	case strings.Contains(sql, "advisory"):
		return []uint32{pgtype.Int8OID}
	case sql == f.sql.count:
		return []uint32{pgtype.ByteaOID}
	}
	oids := []uint32{}
	for i := 1; strings.Contains(sql, "$"+string(rune('0'+i))); i++ {
		oids = append(oids, pgtype.ByteaArrayOID)
	}
	return oids
}

func (f *fake) columns(sql string) []uint32 {
	switch sql {
	case checkSQL:
		return []uint32{pgtype.Int4OID, pgtype.BoolOID, pgtype.BoolOID, pgtype.BoolOID, pgtype.TextArrayOID, pgtype.TextArrayOID}
	case durableSQL:
		return []uint32{pgtype.TextOID}
	case removeSettingsSQL:
		return []uint32{pgtype.TextOID, pgtype.TextOID}
	case f.sql.insert, f.sql.count:
		return []uint32{pgtype.Int8OID}
	case f.sql.standing:
		return []uint32{pgtype.Int8OID, pgtype.ByteaOID, pgtype.ByteaOID, pgtype.BoolOID}
	case f.sql.byIndex, f.sql.byToken:
		return []uint32{pgtype.Int8OID, pgtype.ByteaOID, pgtype.ByteaOID}
	default:
		return nil
	}
}

func format(formats []int16, i int) int16 {
	switch {
	case len(formats) == 0:
		return pgtype.TextFormatCode
	case len(formats) == 1:
		return formats[0]
	default:
		return formats[i]
	}
}

func (s *session) describe(sql string, formats []int16) {
	columns := s.columns(sql)
	if columns == nil {
		s.b.Send(&pgproto3.NoData{})
		return
	}
	var fields []pgproto3.FieldDescription
	for i, oid := range columns {
		fields = append(fields, pgproto3.FieldDescription{Name: []byte{byte('a' + i)}, DataTypeOID: oid, Format: format(formats, i)})
	}
	s.b.Send(&pgproto3.RowDescription{Fields: fields})
}

// execute runs a statement, and returns false to end the connection.
func (s *session) execute(sql string) bool {
	if s.fail != nil {
		s.mu.Lock()
		answer, drop := s.fail(sql)
		s.mu.Unlock()
		if drop {
			return false
		}
		if answer != nil {
			answer.Severity, answer.SeverityUnlocalized = "ERROR", "ERROR"
			s.b.Send(answer)
			s.failed = true
			if s.status == 'T' {
				s.status = 'E'
			}
			return true
		}
	}
	s.mu.Lock()
	s.sent[sql]++
	s.mu.Unlock()
	tag := "SELECT 1"
	var rows [][]any
	switch {
	case strings.HasPrefix(sql, "begin"):
		s.tx.Lock()
		s.status, tag = 'T', "BEGIN"
		s.mu.Lock()
		s.undo, s.mine = append([]tokenize.Row{}, s.rows...), map[string]bool{}
		s.mu.Unlock()
	case sql == commitSQL || sql == "rollback":
		kept := sql == commitSQL && s.status == 'T' && !s.rollback
		if s.status != 'I' {
			s.end(kept)
		}
		tag = "ROLLBACK"
		if kept {
			tag = "COMMIT"
		}
	case sql == checkSQL:
		rows = [][]any{{int32(150000), true, true, true, []string{"scope", "index", "token", "sealed"}, []string{"index scope", "scope token"}}}
	case sql == durableSQL:
		rows = [][]any{{"on"}}
	case sql == removeSettingsSQL:
		rows = [][]any{{"on", "off"}}
	case s.columns(sql) != nil || sql == s.sql.remove:
		s.mu.Lock()
		rows = s.answer(sql)
		s.mu.Unlock()
	}
	if s.dropAfter != nil && s.dropAfter(sql) {
		return false
	}
	if s.twist != nil {
		rows = s.twist(sql, rows)
	}
	s.send(sql, rows)
	s.b.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return true
}

func (s *session) end(keep bool) {
	if !keep {
		s.mu.Lock()
		s.rows = s.undo
		if s.undoTo != nil {
			s.rows, s.undoTo = s.undoTo, nil
		}
		s.mu.Unlock()
	}
	s.status = 'I'
	s.tx.Unlock()
}

func (s *session) send(sql string, rows [][]any) {
	m := pgtype.NewMap()
	for _, row := range rows {
		values := make([][]byte, len(row))
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil {
				continue
			}
			buf, err := m.Encode(s.columns(sql)[i], format(s.formats, i), v, []byte{})
			if err != nil {
				panic(err)
			}
			values[i] = buf
		}
		s.b.Send(&pgproto3.DataRow{Values: values})
	}
}

// arrays decodes the arguments.
func (s *session) arrays() [][][]byte {
	m := pgtype.NewMap()
	var out [][][]byte
	for _, arg := range s.args {
		var a [][]byte
		if err := m.Scan(pgtype.ByteaArrayOID, pgtype.BinaryFormatCode, arg, &a); err != nil {
			panic(err)
		}
		out = append(out, a)
	}
	return out
}

func (s *session) byIndex(scope, index []byte) (int, bool) {
	for i, r := range s.rows {
		if r.Scope == string(scope) && bytes.Equal(r.Index[:], index) {
			return i, true
		}
	}
	return 0, false
}

func (s *session) byToken(scope, token []byte) (int, bool) {
	for i, r := range s.rows {
		if r.Scope == string(scope) && bytes.Equal(r.Token, token) {
			return i, true
		}
	}
	return 0, false
}

// answer does what the statement would, row by row.
func (s *session) answer(sql string) (rows [][]any) {
	if sql == s.sql.count {
		n := int64(0)
		for _, r := range s.rows {
			if r.Scope == string(s.args[0]) {
				n++
			}
		}
		return [][]any{{n}}
	}
	a := s.arrays()
	s.written = map[bool]int{true: 0, false: s.written}[sql == s.sql.insert]
	for i := range a[0] {
		n := int64(i + 1)
		switch sql {
		case s.sql.insert:
			_, index := s.byIndex(a[0][i], a[1][i])
			_, token := s.byToken(a[0][i], a[2][i])
			if !index && !token {
				s.rows = append(s.rows, tokenize.Row{Scope: string(a[0][i]), Index: tokenize.Index(a[1][i]), Token: a[2][i], Sealed: a[3][i]})
				s.mine[rowID(s.rows[len(s.rows)-1])] = true
				s.written++
			}
		case s.sql.standing:
			if s.written == len(a[0]) {
				continue
			}
			at, ok := s.byIndex(a[0][i], a[1][i])
			switch _, taken := s.byToken(a[0][i], a[2][i]); {
			case !ok:
				rows = append(rows, []any{n, []byte(nil), []byte(nil), taken})
			case !s.mine[rowID(s.rows[at])] || !bytes.Equal(s.rows[at].Token, a[2][i]):
				rows = append(rows, []any{n, s.rows[at].Token, s.rows[at].Sealed, false})
			}
		case s.sql.byIndex:
			if at, ok := s.byIndex(a[0][i], a[1][i]); ok {
				rows = append(rows, []any{n, s.rows[at].Token, s.rows[at].Sealed})
			}
		case s.sql.byToken:
			if at, ok := s.byToken(a[0][i], a[1][i]); ok {
				rows = append(rows, []any{n, s.rows[at].Index[:], s.rows[at].Sealed})
			}
		case s.sql.remove:
			if at, ok := s.byToken(a[0][i], a[1][i]); ok {
				s.rows = append(append([]tokenize.Row{}, s.rows[:at]...), s.rows[at+1:]...)
			}
		}
	}
	if sql == s.sql.insert {
		return [][]any{{int64(s.written)}}
	}
	return rows
}

func rowID(r tokenize.Row) string { return r.Scope + string(r.Index[:]) + string(r.Token) }
