package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// minVersion is the oldest server that has all functions the statements use.
const minVersion = 130000

// initLock keeps two that make tables at once apart: "create table if not exists"
// fails in one of them otherwise.
const initLock = 0x6669656c646b6579

// StoreTables makes the tables of a [Store], in the first schema of the search
// path, for those who run migrations by other means than [Store.Init]. Where they
// exist it makes their triggers anew and leaves the rest alone.
//
// Names are bytes and not text, so that neither the encoding nor the collation of
// the database takes part in what is equal. A person without a sealed key is a
// tombstone. The pages of persons are not filled up, so that a tombstone finds
// room beside the row it replaces and the dead version can be cleared away by
// whoever reads the page next. The triggers have a search path of their own, so
// that nobody can give them other functions and operators.
const StoreTables = `create table if not exists fieldveil_key_blocks (
  id bytea primary key check (octet_length(id) = 12),
  block bytea not null check (octet_length(block) between 1 and 16384),
  sum bytea not null,
  created timestamptz not null default now()
);
create table if not exists fieldveil_roots (
  tenant bytea primary key check (octet_length(tenant) <= 255),
  block bytea not null check (octet_length(block) between 1 and 16384),
  sum bytea not null,
  created timestamptz not null default now()
);
create table if not exists fieldveil_persons (
  tenant bytea not null check (octet_length(tenant) <= 255),
  person bytea not null check (octet_length(person) = 32),
  key bytea check (octet_length(key) = 12),
  sealed bytea check (octet_length(sealed) between 1 and 512),
  sum bytea not null,
  created timestamptz not null default now(),
  primary key (tenant, person),
  unique (tenant, key),
  check (sealed is null or key is not null)
) with (fillfactor = 80);
create table if not exists fieldveil_mark (
  single boolean primary key default true check (single),
  ledger bytea not null check (octet_length(ledger) = 16),
  seq bigint not null check (seq >= 0),
  hash bytea not null check (octet_length(hash) = 32),
  sum bytea not null
);

create or replace function fieldveil_persons_guard() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and tg_level = 'ROW' then
    if old.sealed is not null and new.sealed is null and new.tenant = old.tenant
      and new.person = old.person and new.key is not distinct from old.key then
      return new;
    end if;
  end if;
  raise exception 'persons are created and forgotten, and nothing else' using errcode = 'restrict_violation';
end $$;
drop trigger if exists fieldveil_persons_rows on fieldveil_persons;
create trigger fieldveil_persons_rows before update or delete on fieldveil_persons
  for each row execute function fieldveil_persons_guard();
drop trigger if exists fieldveil_persons_truncate on fieldveil_persons;
create trigger fieldveil_persons_truncate before truncate on fieldveil_persons
  for each statement execute function fieldveil_persons_guard();

create or replace function fieldveil_mark_guard() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and tg_level = 'ROW' then
    if new.ledger = old.ledger and new.seq > old.seq then
      return new;
    end if;
  end if;
  raise exception 'a mark goes on in its ledger, and nowhere else' using errcode = 'restrict_violation';
end $$;
drop trigger if exists fieldveil_mark_rows on fieldveil_mark;
create trigger fieldveil_mark_rows before update or delete on fieldveil_mark
  for each row execute function fieldveil_mark_guard();
drop trigger if exists fieldveil_mark_truncate on fieldveil_mark;
create trigger fieldveil_mark_truncate before truncate on fieldveil_mark
  for each statement execute function fieldveil_mark_guard();
`

// LedgerTables makes the tables of a [Ledger], in the first schema of the search
// path, and draws its id. Where they exist it makes their triggers anew and
// leaves the rest alone.
//
// Whoever inserts gives the time, the tenant, the person and the two notes; the
// trigger gives the number, the link and the hash, as [shred.Entry.Sum] makes it,
// and refuses others. It holds a lock until the end of the transaction, so that
// entries become visible in their order.
const LedgerTables = `create table if not exists fieldveil_ledger_id (
  single boolean primary key default true check (single),
  id bytea not null check (octet_length(id) = 16)
);
insert into fieldveil_ledger_id (id) select uuid_send(gen_random_uuid())
  where not exists (select from fieldveil_ledger_id);
create table if not exists fieldveil_ledger (
  seq bigint primary key check (seq > 0),
  unix bigint not null,
  tenant bytea not null check (octet_length(tenant) <= 255),
  person bytea not null check (octet_length(person) = 32),
  "by" bytea not null check (octet_length("by") between 1 and 256),
  reason bytea not null check (octet_length(reason) between 1 and 256),
  prev bytea not null check (octet_length(prev) = 32),
  hash bytea not null check (octet_length(hash) = 32),
  draw bytea not null unique check (octet_length(draw) = 16)
);

create or replace function fieldveil_ledger_append() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  ledger bytea;
  last_seq bigint;
  last_hash bytea;
  next_hash bytea;
begin
  perform pg_advisory_xact_lock(1718187625, (tg_relid::bigint - 2147483648)::int);
  execute format('select seq, hash from %I.%I order by seq desc limit 1', tg_table_schema, tg_table_name)
    into last_seq, last_hash;
  if last_seq is null then
    execute format('select id from %I.fieldveil_ledger_id', tg_table_schema) into strict ledger;
    last_seq := 0;
    last_hash := sha256(convert_to('fieldveil/1 ledger', 'UTF8') || ledger);
  end if;
  next_hash := sha256(convert_to('fieldveil/1 entry', 'UTF8') || int8send(last_seq + 1) || int8send(new.unix)
    || new.person || last_hash
    || int2send(octet_length(new.tenant)::int2) || new.tenant
    || int2send(octet_length(new."by")::int2) || new."by"
    || int2send(octet_length(new.reason)::int2) || new.reason);
  if new.seq <> last_seq + 1 or new.prev <> last_hash or new.hash <> next_hash then
    raise exception 'not the next entry of the ledger' using errcode = 'restrict_violation';
  end if;
  new.seq := last_seq + 1;
  new.prev := last_hash;
  new.hash := next_hash;
  return new;
end $$;
drop trigger if exists fieldveil_ledger_insert on fieldveil_ledger;
create trigger fieldveil_ledger_insert before insert on fieldveil_ledger
  for each row execute function fieldveil_ledger_append();

create or replace function fieldveil_ledger_guard() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'nothing is changed in a ledger or taken out' using errcode = 'restrict_violation';
end $$;
drop trigger if exists fieldveil_ledger_rows on fieldveil_ledger;
create trigger fieldveil_ledger_rows before update or delete on fieldveil_ledger
  for each row execute function fieldveil_ledger_guard();
drop trigger if exists fieldveil_ledger_truncate on fieldveil_ledger;
create trigger fieldveil_ledger_truncate before truncate on fieldveil_ledger
  for each statement execute function fieldveil_ledger_guard();
drop trigger if exists fieldveil_ledger_id_rows on fieldveil_ledger_id;
create trigger fieldveil_ledger_id_rows before update or delete on fieldveil_ledger_id
  for each row execute function fieldveil_ledger_guard();
drop trigger if exists fieldveil_ledger_id_truncate on fieldveil_ledger_id;
create trigger fieldveil_ledger_id_truncate before truncate on fieldveil_ledger_id
  for each statement execute function fieldveil_ledger_guard();
`

// A tableFit says what a table has to have.
type tableFit struct {
	name     string
	columns  string   // separated by spaces
	unique   []string // columns of unique indexes, each sorted and separated by spaces
	triggers []string
}

// checkSQL asks what check needs to know, for each table. Of the unique indexes
// those count that can decide an insert: whole, immediate, and on plain columns.
const checkSQL = `select
  current_setting('server_version_num')::int,
  current_setting('fsync') = 'on',
  pg_is_in_recovery(),
  c.oid is not null,
  coalesce(c.relkind = 'r' and c.relpersistence = 'p', false),
  array(
    select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ),
  array(
    select (
      select string_agg(a.attname::text, ' ' order by a.attname::text collate "C")
      from pg_attribute a where a.attrelid = c.oid and a.attnum = any (i.indkey)
    ) from pg_index i
    where i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid
      and i.indpred is null and i.indexprs is null and i.indnatts = i.indnkeyatts
  ),
  array(
    select g.tgname::text from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled in ('O', 'A')
  )
from unnest($1::text[]) with ordinality t(name, n) left join pg_class c on c.oid = to_regclass(t.name) order by t.n`

// found is an answer of checkSQL.
type found struct {
	version                    int
	fsync, standby             bool
	exists, logged             bool
	columns, unique, triggered []string
}

// check looks whether the tables and the server are fit.
func (d *db) check(ctx context.Context, tables []tableFit) error {
	names := make([]string, len(tables))
	for i := range tables {
		names[i] = d.table(tables[i].name)
	}
	var all []found
	err := d.do(ctx, "check", func(ctx context.Context, conn attempt) error {
		rows, err := conn.Query(ctx, checkSQL, names)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f found, err error) {
			err = row.Scan(&f.version, &f.fsync, &f.standby, &f.exists, &f.logged, &f.columns, &f.unique, &f.triggered)
			return f, err
		})
		return err
	})
	if err != nil {
		return err
	}
	if len(all) != len(tables) {
		return &Error{Op: "check", text: "the server did not answer for each table"}
	}
	for i := range tables {
		if e := all[i].fault(d.noFsync); e != nil {
			return e
		}
		if text := tables[i].fault(&all[i]); text != "" {
			return &Error{Op: "check", text: text, fault: true}
		}
	}
	d.checked.Store(true)
	return nil
}

// fault says what is wrong with the server, if anything is.
func (f *found) fault(noFsync bool) *Error {
	switch {
	case f.version < minVersion:
		return &Error{Op: "check", text: "the server is older than PostgreSQL 13"}
	case f.standby:
		return &Error{Op: "check", text: errStandby.Error(), later: true}
	case !f.fsync && !noFsync:
		return &Error{Op: "check", text: "the server runs with fsync off and may lose what it commits"}
	}
	return nil
}

// fault says in words what is wrong with a table, if anything is.
func (t *tableFit) fault(f *found) string {
	switch {
	case !f.exists:
		return "the table " + t.name + " is not there; Init makes it"
	case !f.logged:
		return "the table " + t.name + " is not an ordinary logged table"
	}
	for name := range strings.FieldsSeq(t.columns) {
		if !slices.Contains(f.columns, name) {
			return "the table " + t.name + " lacks the column " + name
		}
	}
	for _, columns := range t.unique {
		if !slices.Contains(f.unique, columns) {
			return "the table " + t.name + " lacks the unique index on " + strings.ReplaceAll(columns, " ", " and ")
		}
	}
	for _, name := range t.triggers {
		if !slices.Contains(f.triggered, name) {
			return "the table " + t.name + " lacks the trigger " + name + ", or it is switched off"
		}
	}
	return ""
}

// ready checks once. Two that do so at the same moment do no harm.
func (d *db) ready(ctx context.Context, tables []tableFit) error {
	if d.checked.Load() {
		return nil
	}
	return d.check(ctx, tables)
}

// initTables runs ddl unless all is there already, and checks what it made.
func (d *db) initTables(ctx context.Context, ddl string, tables []tableFit) error {
	err := d.check(ctx, tables)
	if e, ok := errors.AsType[*Error](err); !ok || !e.fault {
		return err
	}
	err = d.do(ctx, "init", func(ctx context.Context, conn attempt) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
		if err != nil {
			return err
		}
		steps := []string{fmt.Sprintf("select pg_advisory_xact_lock(%d)", int64(initLock)), d.settings}
		if d.schema != "" {
			schema := pgx.Identifier{d.schema}.Sanitize()
			steps = append(steps, "create schema if not exists "+schema, "set local search_path = "+schema)
		}
		for _, sql := range append(steps, ddl) {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err // do rolls back
			}
		}
		return tx.Commit(ctx)
	})
	if err != nil {
		return err
	}
	return d.check(ctx, tables)
}
