package boltstore

import (
	"bytes"
	"context"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	bolt "go.etcd.io/bbolt"
)

// A Report says what a store holds.
type Report struct {
	Blocks     int // wrapped data keys
	Roots      int // of tenants
	Persons    int // who have a key
	Tombstones int // of persons who were forgotten
	// Damaged is how many rows are refused with [ErrRow], or lead nowhere.
	// DamagedPersons is how many of them are of persons: while there are any, no
	// person gets his first key.
	Damaged        int
	DamagedPersons int
}

// Report returns what [Open] found. Rows that are damaged are to be had from a
// backup, after which the ledger is replayed.
func (s *Store) Report() Report { return s.report }

// Refused returns how many calls met a damaged row since [Open].
func (s *Store) Refused() uint64 { return s.refused.Load() }

// Scan reads all rows again and returns what it found. It takes as long as
// [Open]. A call that makes the file grow may wait for it.
func (s *Store) Scan(ctx context.Context) (Report, error) {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return Report{}, err
	}
	defer done()
	r, err := read(ctx, s, func(tx *bolt.Tx) (Report, error) { return scan(tx), nil })
	if r.DamagedPersons > 0 {
		s.unsure.Store(true)
	}
	return r, err
}

// scan looks at all rows, and from each at the one that it leads to.
func scan(tx *bolt.Tx) Report {
	var r Report
	if body, err := get(tx, metaTable, []byte(markKey)); err != nil {
		r.Damaged++
	} else if body != nil {
		if _, err := decodeMark(body); err != nil {
			r.Damaged++
		}
	}
	for _, t := range tables() {
		c := tx.Bucket([]byte(t)).Cursor()
		for key, row := c.First(); key != nil; key, row = c.Next() {
			body, err := decodeRow(t, key, row)
			if err == nil {
				err = r.add(tx, t, key, body)
			}
			if err == nil {
				continue
			}
			r.Damaged++
			if t == personsTable {
				r.DamagedPersons++
			}
		}
	}
	return r
}

// add counts a row, or tells what is wrong with it.
func (r *Report) add(tx *bolt.Tx, t table, key, body []byte) error {
	switch t {
	case metaTable: // has no rows that are counted
	case blocksTable:
		if len(key) != len(datakey.ID{}) {
			return &rowError{t, "no id"}
		}
		r.Blocks++
	case rootsTable:
		if len(key) == 0 || key[0] != 't' {
			return &rowError{t, "no tenant"}
		}
		r.Roots++
	case personsTable:
		return r.addPerson(tx, key, body)
	case keysTable:
		tenant, id, ok := splitKey(key, len(shred.KeyID{}))
		if !ok || len(body) != len(shred.PersonID{}) {
			return &rowError{t, "no key id"}
		}
		// The row of a person who was forgotten while it was damaged remembers no
		// key id: the key id itself does.
		p, err := getPerson(tx, tenant, shred.PersonID(body))
		if err != nil || p == nil || p.hasKey && p.key != shred.KeyID(id) {
			return &rowError{t, "a key id leads to no row"}
		}
	}
	return nil
}

func (r *Report) addPerson(tx *bolt.Tx, key, body []byte) error {
	tenant, id, ok := splitKey(key, len(shred.PersonID{}))
	if !ok {
		return &rowError{personsTable, "no person"}
	}
	p, err := decodePerson(body)
	if err != nil {
		return err
	}
	if p.hasKey {
		if owner, err := getOwner(tx, tenant, p.key); err == nil && !bytes.Equal(owner, id) {
			r.Damaged++ // the row of its key id is missing; this one is sound
		}
	}
	if p.forgotten {
		r.Tombstones++
	} else {
		r.Persons++
	}
	return nil
}
