package pgstore

import "strings"

// Names of the tables.
const (
	blocksTable   = "fieldveil_key_blocks"
	rootsTable    = "fieldveil_roots"
	personsTable  = "fieldveil_persons"
	markTable     = "fieldveil_mark"
	ledgerTable   = "fieldveil_ledger"
	ledgerIDTable = "fieldveil_ledger_id"
)

// pageRows is how many rows a call that visits all of them asks for at a time.
const pageRows = 200

// statements are the texts that a Store sends. They are the same for every call,
// so that each is prepared once per connection.
//
// All queries answer with a row, whose first column tells whether the server is a
// standby, also where what they look for is not there.
type statements struct {
	putBlock, getBlock, blockPage, replaceBlock, removeBlock string
	putRoot, getRoot, rootPage, replaceRoot                  string
	person, byKey, create, created, forget                   string
	mark, setMark                                            string
}

func newStatements(d *db) statements {
	r := strings.NewReplacer(
		"BLOCKS", d.table(blocksTable), "ROOTS", d.table(rootsTable),
		"PERSONS", d.table(personsTable), "MARK", d.table(markTable),
		// of a tombstone that takes the place of a row
		"TOMBSUM", sumSQL(kindPerson, "p.tenant", "p.person", "p.key", "null::bytea"),
		"STANDINGSUM", sumSQL(kindMark, "m.ledger", "int8send(m.seq)", "m.hash"),
		"ONE", "(select pg_is_in_recovery() as standby) one",
	)
	with := r.Replace
	return statements{
		putBlock: with(`insert into BLOCKS (id, block, sum) values ($1, $2, $3) on conflict do nothing`),
		getBlock: with(`select standby, b.id, b.block, b.sum from ONE left join BLOCKS b on b.id = $1`),
		blockPage: with(`select standby, b.id, b.block, b.sum from ONE left join lateral (
  select x.id, x.block, x.sum from BLOCKS x where x.id >= $1 order by x.id limit 200
) b on true order by b.id`),
		replaceBlock: with(`update BLOCKS set block = $3, sum = $4 where id = $1 and block = $2`),
		removeBlock:  with(`delete from BLOCKS where id = $1 and block = $2`),

		putRoot: with(`insert into ROOTS (tenant, block, sum) values ($1, $2, $3) on conflict do nothing`),
		getRoot: with(`select standby, b.tenant, b.block, b.sum from ONE left join ROOTS b on b.tenant = $1`),
		rootPage: with(`select standby, b.tenant, b.block, b.sum from ONE left join lateral (
  select x.tenant, x.block, x.sum from ROOTS x where x.tenant >= $1 order by x.tenant limit 200
) b on true order by b.tenant`),
		replaceRoot: with(`update ROOTS set block = $3, sum = $4 where tenant = $1 and block = $2`),

		person: with(`select standby, p.person, p.key, p.sealed, p.sum from ONE left join PERSONS p on p.tenant = $1 and p.person = $2`),
		byKey:  with(`select standby, p.person, p.key, p.sealed, p.sum from ONE left join PERSONS p on p.tenant = $1 and p.key = $2`),
		// A row that meets another one under either unique index is left out. One
		// that is in the transaction of somebody else is waited for first.
		create: with(`insert into PERSONS (tenant, person, key, sealed, sum) values ($1, $2, $3, $4, $5) on conflict do nothing`),
		// What stands after it: the row of the person and the one that has the key,
		// which are one and the same where all went well.
		created: with(`select standby, p.person, p.key, p.sealed, p.sum from ONE left join PERSONS p on p.tenant = $1 and p.person = $2
union all
select false, p.person, p.key, p.sealed, p.sum from PERSONS p where p.tenant = $1 and p.key = $3 and p.person <> $2`),
		// One statement for a person with a key, with a tombstone and with neither.
		forget: with(`insert into PERSONS as p (tenant, person, sum) values ($1, $2, $3)
on conflict (tenant, person) do update set sealed = null, sum = TOMBSUM where p.sealed is not null`),

		mark: with(`select standby, m.ledger, m.seq, m.hash, m.sum from ONE left join MARK m on m.single`),
		// A mark that is damaged is not written over, which would hide the damage.
		setMark: with(`insert into MARK as m (ledger, seq, hash, sum) values ($1, $2, $3, $4)
on conflict (single) do update set seq = excluded.seq, hash = excluded.hash, sum = excluded.sum
where m.ledger = excluded.ledger and m.seq < excluded.seq and m.sum = STANDINGSUM`),
	}
}
