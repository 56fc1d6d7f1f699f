package pgvault

import "strings"

// statements are the texts that a Store sends. They are the same for every
// number of rows, so that each is prepared once per connection.
type statements struct {
	insert, standing, byIndex, byToken, count, remove string
}

const (
	// beginSQL states the isolation because a role may have another default. Each
	// statement of such a transaction sees what was committed before it began;
	// insert and standing rely on it.
	beginSQL = `begin isolation level read committed, read write`

	// durableSQL makes this one commit wait for its flush, and for synchronous
	// standbys if there are any. remote_apply is the one setting that is stricter.
	durableSQL = "select " + durable

	durable = `set_config('synchronous_commit', case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true)`

	// removeSettingsSQL does so too, and keeps the planner from reading all of a
	// table that it takes for small. It would keep to that plan when the table has
	// grown.
	removeSettingsSQL = "select " + durable + ", set_config('enable_seqscan', 'off', true)"

	commitSQL = `commit`
)

func newStatements(table string) statements {
	with := func(text string) string { return strings.ReplaceAll(text, "TABLE", table) }
	return statements{
		// A row that meets another one under either unique index is left out, also
		// when that one is in the same array. One that is in the transaction of
		// somebody else is waited for first. The number of rows written is the
		// answer, and kept for the next statement.
		insert: with(`with written as (
  insert into TABLE (scope, "index", token, sealed)
  select k.s, k.i, k.t, k.v
  from unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) as k(s, i, t, v)
  on conflict do nothing
  returning 1
)
select set_config('fieldveil.written', count(*)::text, true)::bigint from written`),

		// Which rows of the insert before it, in the same transaction, were left
		// out, and what stands in their place; nothing is looked up when none were.
		// A row that is not listed was written by this transaction and has the token
		// that was asked for. The sub-selects are looked up in the unique
		// indexes row by row, whatever the planner believes of the size of the table:
		// with their limits they cannot become joins or hashes of all of it.
		standing: with(`select k.n, r.token, r.sealed,
  r.token is null and (select true from TABLE x where x.scope = k.s and x.token = k.t limit 1) is not null
from unnest($1::bytea[], $2::bytea[], $3::bytea[]) with ordinality as k(s, i, t, n)
left join lateral (
  select x.token, x.sealed, x.xmin as writer from TABLE x where x.scope = k.s and x."index" = k.i limit 1
) r on true
where current_setting('fieldveil.written')::bigint <> cardinality($1::bytea[])
  and (r.token is distinct from k.t
    or r.writer is distinct from (select pg_current_xact_id_if_assigned()::xid))`),

		byIndex: with(`select k.n, r.token, r.sealed
from unnest($1::bytea[], $2::bytea[]) with ordinality as k(s, i, n)
cross join lateral (
  select x.token, x.sealed from TABLE x where x.scope = k.s and x."index" = k.i limit 1
) r`),

		byToken: with(`select k.n, r."index", r.sealed
from unnest($1::bytea[], $2::bytea[]) with ordinality as k(s, t, n)
cross join lateral (
  select x."index", x.sealed from TABLE x where x.scope = k.s and x.token = k.t limit 1
) r`),

		count: with(`select count(*) from TABLE where scope = $1`),

		// The rows are found one by one in the unique index, as above, and then by
		// their places, for which removeSettingsSQL has to come before. A row is
		// never updated, so the place at which it was found is still its own; rows
		// are visited in the order of places, so two of these wait one way only.
		remove: with(`delete from TABLE where ctid = any (array(
  select r.ctid from unnest($1::bytea[], $2::bytea[]) as k(s, t)
  cross join lateral (select x.ctid from TABLE x where x.scope = k.s and x.token = k.t limit 1) r
))`),
	}
}
