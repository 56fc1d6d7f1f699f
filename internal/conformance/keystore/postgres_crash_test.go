//go:build unix

package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

// history is what writers were told is durable.
type history struct {
	mu        sync.Mutex
	rows      []shred.Row
	forgotten []shred.Row
	roots     map[string][]byte
	blocks    map[datakey.ID][]byte
	entries   []shred.Entry
	calls     atomic.Int64
	failures  atomic.Int64
	lastErr   atomic.Value
}

// write changes something, and remembers it.
func (h *history) write(ctx context.Context, s *pgstore.Store, l *pgstore.Ledger) error {
	r := row("acme")
	switch rand.IntN(6) {
	case 0:
		id, block := datakey.ID(r.Key), bytes.Clone(r.Sealed)
		if err := s.Put(ctx, id, block); err != nil {
			return err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.blocks[id] = block
	case 1:
		tenant := r.Person.String()
		block, err := s.CreateRoot(ctx, tenant, r.Sealed)
		if err != nil {
			return err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.roots[tenant] = block
	case 2:
		e, err := l.Append(ctx, entry(r.Person))
		if err != nil {
			return err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.entries = append(h.entries, e)
	default:
		stands, err := s.Create(ctx, r)
		if err != nil {
			return err
		}
		gone := rand.IntN(2) == 0
		if gone {
			err = s.Forget(ctx, r.Tenant, r.Person)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case err != nil: // forgotten or not
			return err
		case gone:
			h.forgotten = append(h.forgotten, stands)
		default:
			h.rows = append(h.rows, stands)
		}
	}
	return nil
}

// check asks whether all of it stands.
func (h *history) check(t *testing.T, s *pgstore.Store, l *pgstore.Ledger) {
	t.Helper()
	for _, r := range h.rows {
		if !stands(t, s, r) {
			t.Fatal("a person was forgotten by nobody")
		}
	}
	for _, r := range h.forgotten {
		if stands(t, s, r) {
			t.Fatal("a person who was forgotten is back")
		}
	}
	for tenant, block := range h.roots {
		if got, err := s.Root(t.Context(), tenant); err != nil || !bytes.Equal(got, block) {
			t.Fatalf("a root is lost: %v", err)
		}
	}
	for id, block := range h.blocks {
		if got, err := s.Get(t.Context(), id); err != nil || !bytes.Equal(got, block) {
			t.Fatalf("a block is lost: %v", err)
		}
	}
	all, err := l.Read(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]int{}
	for _, e := range all {
		reasons[e.Reason]++
	}
	for _, e := range h.entries {
		if reasons[e.Reason] != 1 || e.Seq > uint64(len(all)) || all[e.Seq-1] != e {
			t.Fatalf("entry %d is there %d times, or is another one", e.Seq, reasons[e.Reason])
		}
	}
}

// The server's default does not wait for the disk here, as an operator may have
// it for other tables: what is in its memory is lost when it is killed.
func TestPostgresIsKilledUnderItsWriters(t *testing.T) {
	p := vaults.StartPostgres(t, "synchronous_commit=off", "wal_writer_delay=10s")
	pool := newPool(t, p.URL("pool_max_conns", "8"))
	s, l := madeStore(t, pool), madeLedger(t, pool)
	h := &history{roots: map[string][]byte{}, blocks: map[datakey.ID][]byte{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := h.write(ctx, s, l); err != nil {
					if ctx.Err() == nil {
						h.failures.Add(1)
						h.lastErr.Store(err.Error())
					}
					continue
				}
				h.calls.Add(1)
			}
		})
	}
	waitFor := func(calls int64) {
		t.Helper()
		late := time.After(time.Minute)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for want := h.calls.Load() + calls; h.calls.Load() < want; {
			select {
			case <-late:
				t.Fatalf("no progress; the last error of the writers: %v", h.lastErr.Load())
			case <-tick.C:
			}
		}
	}
	n := rounds(t, 5)
	for range n {
		waitFor(50 + rand.Int64N(300))
		p.Kill(t)
		p.Restart(t)
		waitFor(1)
	}
	stop()
	wg.Wait()
	h.check(t, s, l)
	t.Logf("killed the server %d times; %d calls were acknowledged and %d refused; %d persons, %d forgotten, %d roots, %d blocks and %d entries, and all stand",
		n, h.calls.Load(), h.failures.Load(), len(h.rows), len(h.forgotten), len(h.roots), len(h.blocks), len(h.entries))
}

// A deaf connection loses the answer to the next commit, which the server has
// carried out.
type deaf struct {
	net.Conn
	lose *atomic.Bool // once
	gone bool
}

func (d *deaf) Write(b []byte) (int, error) {
	n, err := d.Conn.Write(b)
	if bytes.Contains(b, []byte("commit\x00")) && d.lose.CompareAndSwap(true, false) {
		d.gone = true
	}
	return n, err
}

func (d *deaf) Read(b []byte) (int, error) {
	if d.gone {
		for { // until all that there is was answered, and the server is idle
			n, err := d.Conn.Read(b)
			if err != nil {
				return 0, err
			}
			if n >= 6 && bytes.Equal(b[n-6:n], []byte{'Z', 0, 0, 0, 5, 'I'}) {
				_ = d.Conn.Close()
				return 0, net.ErrClosed
			}
		}
	}
	return d.Conn.Read(b)
}

// What was asked for happens once, also when the first answer is lost and the
// call is tried again.
func TestPostgresAnswersThatAreLost(t *testing.T) {
	cfg, err := pgxpool.ParseConfig(vaults.StartPostgres(t).URL("default_query_exec_mode", "exec", "pool_max_conns", "1"))
	if err != nil {
		t.Fatal(err)
	}
	var lose atomic.Bool
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &deaf{Conn: c, lose: &lose}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, l := madeStore(t, pool), madeLedger(t, pool)
	lost := func(name string, call func() error) {
		t.Helper()
		lose.Store(true)
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if lose.Swap(false) {
			t.Errorf("%s: no answer was lost", name)
		}
	}
	r, id := row("acme"), datakey.ID{1}
	a, b := []byte("block a"), []byte("block b")
	lost("Create", func() error {
		got, err := s.Create(t.Context(), r)
		if err == nil && got.Key != r.Key {
			err = errors.New("another row stands")
		}
		return err
	})
	lost("Put", func() error { return s.Put(t.Context(), id, a) })
	lost("Replace", func() error { return s.Replace(t.Context(), id, a, b) })
	lost("Remove", func() error { return s.Remove(t.Context(), id, b) })
	lost("CreateRoot", func() error { _, err := s.CreateRoot(t.Context(), "acme", a); return err })
	lost("ReplaceRoot", func() error { return s.ReplaceRoot(t.Context(), "acme", a, b) })
	lost("Forget", func() error { return s.Forget(t.Context(), "acme", r.Person) })
	lost("SetMark", func() error { return s.SetMark(t.Context(), shred.Mark{Seq: 1}) })
	for range 3 {
		lost("Append", func() error { _, err := l.Append(t.Context(), entry(r.Person)); return err })
	}
	all, err := l.Read(t.Context(), 0, 10)
	if err != nil || len(all) != 3 {
		t.Errorf("three appends made %d entries: %v", len(all), err)
	}
	if _, err := s.Get(t.Context(), id); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("Get of what was removed: %v", err)
	}
	// Without a lost answer the same outcomes are errors.
	if err := s.ReplaceRoot(t.Context(), "acme", a, b); !errors.Is(err, shred.ErrChanged) {
		t.Errorf("ReplaceRoot of what was replaced: %v", err)
	}
	if err := s.Remove(t.Context(), id, b); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("Remove of what was removed: %v", err)
	}
}

// cutOff returns a pool of one connection, beside which there is no other while
// cut says so: nor one to ask the server to stop what it does.
func cutOff(t *testing.T, url string, cut *atomic.Bool) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = 1
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if cut.Load() {
			return nil, net.ErrClosed
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Somebody who holds a lock does not hold up a call for ever, and a call that
// gave up is given up by the server too, though nobody tells it.
func TestPostgresCallsEndInTheirTime(t *testing.T) {
	p := vaults.StartPostgres(t)
	pool := newPool(t, p.URL())
	s, l := madeStore(t, pool), madeLedger(t, pool)
	r := create(t, s, 1)[0]
	if _, err := l.Append(t.Context(), entry(r.Person)); err != nil {
		t.Fatal(err)
	}
	other, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.WithoutCancel(t.Context()))
	for _, text := range []string{
		"begin",
		"select from fieldveil_persons for update",
		`insert into fieldveil_ledger (unix, tenant, person, "by", reason, draw) select unix, tenant, person, "by", reason, substr(hash, 1, 16) from fieldveil_ledger`,
	} {
		if _, err := other.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	var cut atomic.Bool
	url, limit := p.URL("application_name", "caller"), pgstore.WithTimeout(2*time.Second)
	short, shortLedger := newStore(t, cutOff(t, url, &cut), limit), newLedger(t, cutOff(t, url, &cut), limit)
	if err := errors.Join(short.Check(t.Context()), shortLedger.Check(t.Context())); err != nil {
		t.Fatal(err)
	}
	cut.Store(true)
	_, errAppend := shortLedger.Append(t.Context(), entry(r.Person))
	for name, err := range map[string]error{"Forget": short.Forget(t.Context(), "acme", r.Person), "Append": errAppend} {
		e, ok := errors.AsType[*pgstore.Error](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) && e.SQLState != "57014" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The server gives up too while the lock is held, so those who come next do
	// not queue behind somebody who is gone.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch := newPool(t, p.URL())
	for waiting := 1; waiting > 0; {
		const text = "select count(*) from pg_stat_activity where application_name = 'caller' and state <> 'idle'"
		if err := watch.QueryRow(ctx, text).Scan(&waiting); err != nil {
			t.Fatal("the server still waits for the lock: ", err)
		}
	}
	if _, err := other.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), entry(r.Person)); err != nil {
		t.Error(err)
	}
	if all, err := l.Read(t.Context(), 0, 10); err != nil || len(all) < 2 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

// A server that breaks off quotes the row that it broke off at. The store must
// not pass that on.
func TestPostgresErrorsTellNoRows(t *testing.T) {
	p := vaults.StartPostgres(t)
	pool := newPool(t, p.URL())
	s, l := madeStore(t, pool), madeLedger(t, pool)
	r := shred.Row{Tenant: "tenant-5ca1ab1e", Sealed: []byte("sealed-5ca1ab1e")}
	copy(r.Person[:], "person-5ca1ab1e")
	copy(r.Key[:], "key-5ca1ab1e")
	for _, table := range []string{"fieldveil_persons", "fieldveil_roots", "fieldveil_key_blocks", "fieldveil_mark", "fieldveil_ledger"} {
		column := map[string]string{"fieldveil_mark": "ledger", "fieldveil_ledger": "tenant"}[table]
		if column == "" {
			column = "sum"
		}
		sql(t, pool, "alter table "+table+" add constraint never check ("+column+" is null) not valid")
	}
	e := entry(r.Person)
	e.Tenant, e.By, e.Reason = r.Tenant, "by-5ca1ab1e", "reason-5ca1ab1e"
	_, errCreate := s.Create(t.Context(), r)
	_, errRoot := s.CreateRoot(t.Context(), r.Tenant, r.Sealed)
	_, errAppend := l.Append(t.Context(), e)
	for name, err := range map[string]error{
		"Create": errCreate, "CreateRoot": errRoot, "Append": errAppend, "Forget": s.Forget(t.Context(), r.Tenant, r.Person),
		"Put": s.Put(t.Context(), datakey.ID(r.Key), r.Sealed), "SetMark": s.SetMark(t.Context(), shred.Mark{Ledger: shred.LedgerID([]byte("ledger--5ca1ab1e"))}),
	} {
		if e, ok := errors.AsType[*pgstore.Error](err); !ok || e.SQLState != "23514" {
			t.Errorf("%s: %v", name, err)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if text := err.Error(); strings.Contains(text, "5ca1ab1e") || strings.Contains(text, "35636131") {
				t.Errorf("%s tells: %s", name, text)
			}
		}
	}
	if !strings.Contains(p.Log(), "35636131") {
		t.Error("the server quoted nothing, so nothing could be passed on")
	}
}

// No call may read a whole table, whatever the planner believes of its size: it
// was never analyzed, and plans were made when it was empty.
func TestPostgresFindsRowsByItsIndexes(t *testing.T) {
	p := vaults.StartPostgres(t, "autovacuum=off")
	for _, mode := range []string{"force_custom_plan", "force_generic_plan", "auto"} {
		pool := newPool(t, p.URL("pool_max_conns", "1", "plan_cache_mode", mode))
		s, l := madeStore(t, pool, pgstore.WithSchema(mode)), madeLedger(t, pool, pgstore.WithSchema(mode))
		before := tableReads(t, pool, mode)
		for range 30 {
			for _, r := range create(t, s, 10) {
				id := datakey.ID(r.Key)
				err := errors.Join(s.Put(t.Context(), id, r.Sealed), s.Replace(t.Context(), id, r.Sealed, r.Sealed[1:]), s.Forget(t.Context(), "acme", r.Person))
				_, err1 := s.Get(t.Context(), id)
				_, err2 := s.CreateRoot(t.Context(), r.Person.String(), r.Sealed)
				_, err3 := s.Root(t.Context(), r.Person.String())
				e, err4 := l.Append(t.Context(), entry(r.Person))
				if err := errors.Join(err, err1, err2, err3, err4); err != nil {
					t.Fatal(err)
				}
				_, err5 := l.Read(t.Context(), e.Seq-1, 1)
				_, err6 := s.Person(t.Context(), "acme", r.Person)
				_, err7 := s.ByKey(t.Context(), "acme", r.Key)
				if err5 != nil || !errors.Is(err6, shred.ErrForgotten) || !errors.Is(err7, shred.ErrForgotten) {
					t.Fatal(err5, err6, err7)
				}
			}
		}
		seen := 0
		if err := s.Each(t.Context(), func(datakey.ID, []byte) error { seen++; return nil }); err != nil || seen != 300 {
			t.Errorf("%d blocks, %v", seen, err)
		}
		if after := tableReads(t, pool, mode); !slices.Equal(after, before) {
			t.Errorf("%s: whole tables were read: %v, before %v", mode, after, before)
		}
	}
}

// tableReads returns how many times all of a table was read. That of the
// ledger's id has one row, and is read as a whole.
func tableReads(t *testing.T, pool *pgxpool.Pool, schema string) (all []int64) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `select pg_stat_force_next_flush()`); err != nil {
		t.Skipf("skipped: a server before version 15 does not count at once: %v", err)
	}
	rows, err := pool.Query(t.Context(), `select seq_scan from pg_stat_user_tables where schemaname = $1 and relname <> 'fieldveil_ledger_id' order by relname`, schema)
	if err != nil {
		t.Fatal(err)
	}
	all, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A role whose transactions are stricter, read-only by default, or planned
// otherwise gets the same answers.
func TestPostgresConnectionsWithSettingsOfTheirOwn(t *testing.T) {
	p := vaults.StartPostgres(t)
	admin := newPool(t, p.URL())
	for i, settings := range [][]string{
		{"default_transaction_isolation = 'serializable'", "default_transaction_read_only = on", "search_path = pg_catalog"},
		{"default_transaction_isolation = 'repeatable read'", "bytea_output = 'escape'", "plan_cache_mode = force_generic_plan", "standard_conforming_strings = off"},
	} {
		t.Run(strings.Join(settings, " "), func(t *testing.T) {
			role := fmt.Sprintf("role%d", i)
			sql(t, admin, "create role "+role+" login; grant create on database postgres to "+role)
			for _, setting := range settings {
				sql(t, admin, "alter role "+role+" set "+setting)
			}
			suites(t, newPool(t, p.URL("user", role, "pool_max_conns", "8")))
		})
	}
}
