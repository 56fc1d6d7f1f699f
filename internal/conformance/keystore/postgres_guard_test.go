//go:build unix

package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

// Nobody changes what is for ever, not even the superuser by mistake.
func TestPostgresGuardsTombstonesMarksAndLedger(t *testing.T) {
	pool := newPool(t, vaults.StartPostgres(t).URL())
	s, l := madeStore(t, pool), madeLedger(t, pool)
	rows := create(t, s, 3)
	forget(t, s, l, rows[0].Person)
	forget(t, s, l, rows[1].Person)
	for _, text := range []string{
		"update fieldveil_persons set sealed = 'x' where sealed is null",
		"update fieldveil_persons set key = null where sealed is null",
		"update fieldveil_persons set sum = 'x' where sealed is null",
		"update fieldveil_persons set sealed = 'x' where sealed is not null",
		"update fieldveil_persons set sealed = null, key = null where sealed is not null",
		"update fieldveil_persons set sealed = null, tenant = 'x' where sealed is not null",
		"update fieldveil_persons set sealed = null, person = sha256('x') where sealed is not null",
		"delete from fieldveil_persons where sealed is null",
		"delete from fieldveil_persons where sealed is not null",
		"truncate fieldveil_persons",
		"insert into fieldveil_persons (tenant, person, sum) select tenant, person, sum from fieldveil_persons on conflict (tenant, person) do update set sealed = 'x'",
		"update fieldveil_mark set seq = 1",
		"update fieldveil_mark set seq = seq",
		"update fieldveil_mark set seq = 3, ledger = decode(repeat('00', 16), 'hex')",
		"delete from fieldveil_mark",
		"truncate fieldveil_mark",
		"update fieldveil_ledger set reason = 'x' where seq = 1",
		"update fieldveil_ledger set draw = decode(repeat('00', 16), 'hex') where seq = 1",
		"delete from fieldveil_ledger where seq = 2",
		"truncate fieldveil_ledger",
		"update fieldveil_ledger_id set id = decode(repeat('00', 16), 'hex')",
		"delete from fieldveil_ledger_id",
		"truncate fieldveil_ledger_id",
	} {
		if got := refusal(t.Context(), pool, text); !strings.Contains(got, "SQLSTATE 23001") {
			t.Errorf("%s: %q", text, got)
		}
	}
	if text := "insert into fieldveil_ledger_id (id) values (decode(repeat('00', 16), 'hex'))"; !strings.Contains(refusal(t.Context(), pool, text), "23505") {
		t.Error("a ledger got a second id")
	}
	if stands(t, s, rows[0]) || !stands(t, s, rows[2]) {
		t.Error("a guard let something through")
	}
}

// Whoever may insert cannot choose the place of an entry, nor its hash.
func TestPostgresMakesTheChainItself(t *testing.T) {
	pool := newPool(t, vaults.StartPostgres(t).URL())
	l := madeLedger(t, pool)
	const columns = `insert into fieldveil_ledger (unix, tenant, person, "by", reason, draw, seq, prev, hash) values `
	const rest = `(7, 'acme', sha256('x'), 'desk', 'request', decode(md5(random()::text), 'hex'), `
	for _, values := range []string{"3, null,default)", "0, null,default)", "default, sha256('x'), default)", "null,default, sha256('x'))", "1, sha256('x'), sha256('x'))"} {
		if got := refusal(t.Context(), pool, columns+rest+values); !strings.Contains(got, "SQLSTATE 23001") {
			t.Errorf("%s: %q", values, got)
		}
	}
	for _, seq := range []string{"default", "2"} { // none, and the one that is due
		sql(t, pool, columns+rest+seq+", default, default)")
	}
	if _, err := l.Append(t.Context(), entry(shred.PersonID{1})); err != nil {
		t.Fatal(err)
	}
	all, err := l.Read(t.Context(), 0, 10)
	if err != nil || len(all) != 3 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

// The triggers run with the rights of whoever changes something, and must not
// run what he put in the place of their functions.
func TestPostgresTriggersHaveTheirOwnSearchPath(t *testing.T) {
	p := vaults.StartPostgres(t)
	pool := newPool(t, p.URL())
	s, l := madeStore(t, pool), madeLedger(t, pool)
	rows := create(t, s, 1)
	sql(t, pool, `create schema evil;
		create function evil.sha256(bytea) returns bytea language sql as $$ select decode(repeat('ab', 32), 'hex') $$;
		create function evil.always(bytea, bytea) returns boolean language sql as $$ select true $$;
		create operator evil.= (leftarg = bytea, rightarg = bytea, function = evil.always)`)
	evil := newPool(t, p.URL("search_path", "evil,pg_catalog,public"))
	if got := refusal(t.Context(), evil, "update fieldveil_persons set sealed = null, tenant = 'other'"); !strings.Contains(got, "23001") {
		t.Errorf("a guard believed another operator: %q", got)
	}
	for range 2 {
		const text = `insert into fieldveil_ledger (unix, tenant, person, "by", reason, draw) values (1, 'acme', $1, 'desk', 'request', decode(md5(random()::text), 'hex'))`
		if _, err := evil.Exec(t.Context(), text, rows[0].Person[:]); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := l.Read(t.Context(), 0, 10); err != nil || len(all) != 2 {
		t.Errorf("%d entries, %v", len(all), err)
	}
	if !stands(t, s, rows[0]) {
		t.Error("the row was changed")
	}
}

func TestPostgresTablesThatAreNotFitAreRefused(t *testing.T) {
	pool := newPool(t, vaults.StartPostgres(t).URL())
	for i, test := range []struct{ name, text, fault string }{
		{"all is well", "", ""},
		{"a table is missing", "drop table fieldveil_roots", "fieldveil_roots is not there"},
		{"a table that a crash empties", "alter table fieldveil_persons set unlogged", "not an ordinary logged table"},
		{"a view", "drop table fieldveil_mark; create view fieldveil_mark as select 1 as single", "not an ordinary logged table"},
		{"a column is missing", "alter table fieldveil_persons drop sum", "lacks the column sum"},
		{"a key id for many", "alter table fieldveil_persons drop constraint fieldveil_persons_tenant_key_key", "unique index on key and tenant"},
		{"an index that covers tombstones not", "alter table fieldveil_persons drop constraint fieldveil_persons_tenant_key_key; create unique index on fieldveil_persons (tenant, key) where sealed is not null", "unique index on key and tenant"},
		{"a person with many keys", "alter table fieldveil_persons drop constraint fieldveil_persons_pkey", "unique index on person and tenant"},
		{"a trigger is missing", "drop trigger fieldveil_persons_rows on fieldveil_persons", "lacks the trigger fieldveil_persons_rows"},
		{"a trigger is switched off", "alter table fieldveil_persons disable trigger fieldveil_persons_truncate", "lacks the trigger fieldveil_persons_truncate"},
		{"all triggers are switched off", "alter table fieldveil_mark disable trigger all", "lacks the trigger fieldveil_mark_rows"},
		{"the chain is not made", "alter table fieldveil_ledger disable trigger fieldveil_ledger_insert", "lacks the trigger fieldveil_ledger_insert"},
		{"the ledger may be changed", "drop trigger fieldveil_ledger_rows on fieldveil_ledger", "lacks the trigger fieldveil_ledger_rows"},
		{"the id may be changed", "drop trigger fieldveil_ledger_id_rows on fieldveil_ledger_id", "lacks the trigger fieldveil_ledger_id_rows"},
		{"retries are not told apart", "alter table fieldveil_ledger drop constraint fieldveil_ledger_draw_key", "unique index on draw"},
	} {
		t.Run(test.name, func(t *testing.T) {
			schema := fmt.Sprintf("unfit%d", i)
			madeStore(t, pool, pgstore.WithSchema(schema))
			madeLedger(t, pool, pgstore.WithSchema(schema))
			if test.text != "" {
				sql(t, pool, "set search_path = "+schema+";"+test.text+"; reset search_path")
			}
			s, l := newStore(t, pool, pgstore.WithSchema(schema)), newLedger(t, pool, pgstore.WithSchema(schema))
			checked := errors.Join(s.Check(t.Context()), l.Check(t.Context()))
			_, err1 := s.Create(t.Context(), row("acme"))
			_, err2 := l.Append(t.Context(), entry(shred.PersonID{1}))
			for name, err := range map[string]error{"Check": checked, "a change": errors.Join(err1, err2)} {
				if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
					t.Errorf("%s: %v, want %q", name, err, test.fault)
				}
			}
		})
	}
}

func TestPostgresWithoutFsyncIsRefused(t *testing.T) {
	pool := newPool(t, vaults.StartPostgres(t, "fsync=off").URL())
	s := newStore(t, pool)
	if err := s.Init(t.Context()); err == nil || !strings.Contains(err.Error(), "fsync off") {
		t.Errorf("Init: %v", err)
	}
	// Nothing was made on a server that is not fit.
	if _, err := newStore(t, pool, pgstore.WithoutFsync()).Create(t.Context(), row("acme")); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("where the caller vouches for it: %v", err)
	}
	create(t, madeStore(t, pool, pgstore.WithoutFsync()), 1)
}

// A standby may lag: what it does not have may be there, and whom it has may have
// been forgotten. Even one that does not lag cannot know.
func TestPostgresStandbysAreRefused(t *testing.T) {
	p := vaults.StartPostgres(t)
	pool := newPool(t, p.URL())
	s, l := madeStore(t, pool), madeLedger(t, pool)
	rows := create(t, s, 2)
	e := forget(t, s, l, rows[1].Person)
	id, block := datakey.ID{1}, []byte("block")
	_, err := s.CreateRoot(t.Context(), "acme", block)
	if err := errors.Join(err, s.Put(t.Context(), id, block)); err != nil {
		t.Fatal(err)
	}
	var data string
	if err := pool.QueryRow(t.Context(), "show data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	p.Kill(t)
	if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Restart(t)
	_, errPerson := s.Person(t.Context(), "acme", rows[0].Person)
	_, errNone := s.Person(t.Context(), "acme", shred.PersonID{9})
	_, errForgotten := s.ByKey(t.Context(), "acme", rows[1].Key)
	_, errRoot := s.Root(t.Context(), "acme")
	_, errGet := s.Get(t.Context(), id)
	_, errUnknown := s.Get(t.Context(), datakey.ID{9})
	_, errMark := s.Mark(t.Context())
	_, errID := l.ID(t.Context())
	_, errRead := l.Read(t.Context(), 0, 10)
	_, errEnd := l.Read(t.Context(), e.Seq, 10)
	for name, err := range map[string]error{
		"Person": errPerson, "Person of none": errNone, "ByKey": errForgotten, "Root": errRoot, "Get": errGet, "Get of none": errUnknown,
		"Mark": errMark, "ID": errID, "Read": errRead, "Read at the end": errEnd,
		"Each":     s.Each(t.Context(), func(datakey.ID, []byte) error { return nil }),
		"EachRoot": s.EachRoot(t.Context(), func(string, []byte) error { return nil }),
	} {
		e, ok := errors.AsType[*pgstore.Error](err)
		if !ok || !strings.Contains(e.Error(), "standby") || !e.Retryable() {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, errCreate := s.Create(t.Context(), row("acme"))
	_, errAppend := l.Append(t.Context(), entry(shred.PersonID{1}))
	for name, err := range map[string]error{"Create": errCreate, "Append": errAppend, "Forget": s.Forget(t.Context(), "acme", rows[0].Person), "a new store": newStore(t, pool).Check(t.Context())} {
		if e, ok := errors.AsType[*pgstore.Error](err); !ok || !strings.Contains(e.Error(), "standby") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// damage changes a row as a broken disk would, below all guards.
func damage(t *testing.T, pool *pgxpool.Pool, text string) {
	t.Helper()
	sql(t, pool, "set session_replication_role = replica;"+text+"; reset session_replication_role")
}

const flipped = "set_byte(%[1]s, octet_length(%[1]s) - 1, 255 - get_byte(%[1]s, octet_length(%[1]s) - 1))"

func TestPostgresRefusesDamagedRowsAndServesTheRest(t *testing.T) {
	pool := newPool(t, vaults.StartPostgres(t).URL("pool_max_conns", "2"))
	for _, column := range []string{"block", "sum"} {
		s := madeStore(t, pool, pgstore.WithSchema("blocks_"+column))
		ids := make([]datakey.ID, 5)
		for i := range ids {
			ids[i] = datakey.ID{byte(i)}
			if err := s.Put(t.Context(), ids[i], []byte{'b', byte(i)}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.CreateRoot(t.Context(), string(rune('a'+i)), []byte{'r', byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		flip := fmt.Sprintf("%[1]s = "+flipped, column)
		damage(t, pool, "update blocks_"+column+".fieldveil_key_blocks set "+flip+" where get_byte(id, 0) = 2")
		damage(t, pool, "update blocks_"+column+".fieldveil_roots set "+flip+" where tenant = 'c'")
		_, errGet := s.Get(t.Context(), ids[2])
		_, errRoot := s.Root(t.Context(), "c")
		_, errCreate := s.CreateRoot(t.Context(), "c", []byte("new"))
		var seen []byte
		errEach := s.Each(t.Context(), func(id datakey.ID, block []byte) error {
			seen = append(seen, id[0])
			return nil
		})
		var tenants []string
		errEachRoot := s.EachRoot(t.Context(), func(tenant string, _ []byte) error {
			tenants = append(tenants, tenant)
			return nil
		})
		for name, err := range map[string]error{
			"Get": errGet, "Root": errRoot, "CreateRoot": errCreate, "Each": errEach, "EachRoot": errEachRoot, "Put": s.Put(t.Context(), ids[2], []byte("new")),
			"Replace": s.Replace(t.Context(), ids[2], []byte("other"), []byte("new")),
		} {
			if e, ok := errors.AsType[*pgstore.Error](err); !errors.Is(err, pgstore.ErrDamaged) || !ok || e.Retryable() {
				t.Errorf("%s with a damaged %s: %v", name, column, err)
			}
		}
		if !bytes.Equal(seen, []byte{0, 1, 3, 4}) || !slices.Equal(tenants, []string{"a", "b", "d", "e"}) {
			t.Errorf("%s: the rest was not served: %v, %v", column, seen, tenants)
		}
	}
}

func TestPostgresRefusesDamagedPersonsTombstonesAndMarks(t *testing.T) {
	pool := newPool(t, vaults.StartPostgres(t).URL("pool_max_conns", "2"))
	for i, test := range []struct{ name, set, where string }{
		{"a sealed key", "sealed = " + fmt.Sprintf(flipped, "sealed"), "sealed is not null"},
		{"a sealed key that was cut", "sealed = substr(sealed, 2)", "sealed is not null"},
		{"a checksum", "sum = " + fmt.Sprintf(flipped, "sum"), "sealed is not null"},
		{"a key id", "key = " + fmt.Sprintf(flipped, "key"), "sealed is not null"},
		{"the name of a tenant", "tenant = 'bcme'", "sealed is not null"},
		{"a key that is gone without being forgotten", "sealed = null", "sealed is not null"},
		{"a tombstone that has a key again", "sealed = 'old key'", "sealed is null"},
		{"the checksum of a tombstone", "sum = " + fmt.Sprintf(flipped, "sum"), "sealed is null"},
		{"the key id of a tombstone", "key = null", "sealed is null"},
	} {
		t.Run(test.name, func(t *testing.T) {
			schema := fmt.Sprintf("damage%d", i)
			s := madeStore(t, pool, pgstore.WithSchema(schema))
			rows := create(t, s, 2)
			tombstone := strings.Contains(test.where, "is null")
			if tombstone {
				if err := s.Forget(t.Context(), "acme", rows[0].Person); err != nil {
					t.Fatal(err)
				}
			}
			damage(t, pool, fmt.Sprintf("update %s.fieldveil_persons set %s where %s and person = '\\x%s'", schema, test.set, test.where, rows[0].Person))
			tenant := "acme"
			if strings.HasPrefix(test.set, "tenant") {
				tenant = "bcme"
			}
			_, err := s.Person(t.Context(), tenant, rows[0].Person)
			if !errors.Is(err, pgstore.ErrDamaged) {
				t.Errorf("Person: %v", err)
			}
			again := row(tenant)
			again.Person = rows[0].Person
			if _, err := s.Create(t.Context(), again); !errors.Is(err, pgstore.ErrDamaged) {
				t.Errorf("Create: %v", err)
			}
			if _, err := s.ByKey(t.Context(), tenant, rows[0].Key); !errors.Is(err, pgstore.ErrDamaged) && !errors.Is(err, shred.ErrNone) {
				t.Errorf("ByKey: %v", err)
			}
			if !stands(t, s, rows[1]) {
				t.Error("the other row is not served")
			}
			// The key can be destroyed all the same.
			if err := s.Forget(t.Context(), tenant, rows[0].Person); err != nil {
				t.Errorf("Forget: %v", err)
			}
			var left int
			if err := pool.QueryRow(t.Context(), "select count(*) from "+schema+".fieldveil_persons where sealed is not null").Scan(&left); err != nil || left != 1 {
				t.Errorf("%d keys are left, %v", left, err)
			}
		})
	}
	s, l := madeStore(t, pool), madeLedger(t, pool)
	forget(t, s, l, shred.PersonID{1})
	id, err := l.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	damage(t, pool, "update fieldveil_mark set seq = 0")
	if _, err := s.Mark(t.Context()); !errors.Is(err, pgstore.ErrDamaged) {
		t.Errorf("Mark: %v", err)
	}
	if err := s.SetMark(t.Context(), shred.Mark{Ledger: id, Seq: 7}); !errors.Is(err, pgstore.ErrDamaged) {
		t.Errorf("SetMark covers the damage up: %v", err)
	}
}

func TestPostgresRefusesABrokenLedger(t *testing.T) {
	pool := newPool(t, vaults.StartPostgres(t).URL("pool_max_conns", "2"))
	nameless := madeLedger(t, pool)
	damage(t, pool, "delete from fieldveil_ledger_id")
	_, errID := nameless.ID(t.Context())
	_, errRead := nameless.Read(t.Context(), 0, 10)
	_, errAppend := nameless.Append(t.Context(), entry(shred.PersonID{1}))
	if !errors.Is(errID, shred.ErrLedger) || !errors.Is(errRead, shred.ErrLedger) || errAppend == nil {
		t.Errorf("a ledger without an id: %v, %v, %v", errID, errRead, errAppend)
	}
	for i, text := range []string{
		"update fieldveil_ledger set reason = 'other' where seq = 4",
		`update fieldveil_ledger set "by" = 'other' where seq = 4`,
		"update fieldveil_ledger set tenant = 'other' where seq = 4",
		"update fieldveil_ledger set unix = unix + 1 where seq = 4",
		"update fieldveil_ledger set person = sha256('x') where seq = 4",
		"update fieldveil_ledger set hash = sha256('x') where seq = 4",
		"update fieldveil_ledger set prev = sha256('x') where seq = 4",
		"update fieldveil_ledger set seq = 40 where seq = 4",
		"update fieldveil_ledger set reason = 'a\nb' where seq = 4",
		"delete from fieldveil_ledger where seq = 4",
		"delete from fieldveil_ledger where seq < 5",
	} {
		schema := fmt.Sprintf("broken%d", i)
		l := madeLedger(t, pool, pgstore.WithSchema(schema))
		for n := range 6 {
			if _, err := l.Append(t.Context(), entry(shred.PersonID{byte(n)})); err != nil {
				t.Fatal(err)
			}
		}
		damage(t, pool, "set search_path = "+schema+";"+text+"; reset search_path")
		for _, after := range []uint64{0, 3, 4} {
			if all, err := l.Read(t.Context(), after, 10); !errors.Is(err, shred.ErrLedger) {
				t.Errorf("%s: after %d: %d entries, %v", text, after, len(all), err)
			}
		}
	}
}
