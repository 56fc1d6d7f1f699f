package boltstore

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	bolt "go.etcd.io/bbolt"
)

// Root returns the block of the tenant's root.
func (s *Store) Root(ctx context.Context, tenant string) ([]byte, error) {
	if err := s.check(ctx, shred.CheckTenant(tenant)); err != nil {
		return nil, err
	}
	return read(ctx, s, func(tx *bolt.Tx) ([]byte, error) {
		return cloneOr(shred.ErrNone)(get(tx, rootsTable, rootKey(tenant)))
	})
}

// CreateRoot keeps the first block of a tenant.
func (s *Store) CreateRoot(ctx context.Context, tenant string, block []byte) ([]byte, error) {
	if err := s.check(ctx, shred.CheckRoot(tenant, block)); err != nil {
		return nil, err
	}
	block = bytes.Clone(block)
	return write(ctx, s, func(tx *bolt.Tx) ([]byte, bool, error) {
		key := rootKey(tenant)
		stands, err := get(tx, rootsTable, key)
		if stands != nil || err != nil {
			return bytes.Clone(stands), false, err
		}
		return bytes.Clone(block), true, set(tx, rootsTable, key, block)
	})
}

// ReplaceRoot puts next in the place of old.
func (s *Store) ReplaceRoot(ctx context.Context, tenant string, old, next []byte) error {
	if err := s.check(ctx, shred.CheckRoot(tenant, next)); err != nil {
		return err
	}
	old, next = bytes.Clone(old), bytes.Clone(next)
	_, err := write(ctx, s, func(tx *bolt.Tx) (struct{}, bool, error) {
		wrote, err := swap(tx, rootsTable, rootKey(tenant), old, next, shred.ErrNone, shred.ErrChanged)
		return struct{}{}, wrote, err
	})
	return err
}

// EachRoot calls f for every root that is sound. When rows are damaged, it
// fails with [ErrRow] after the last of them.
func (s *Store) EachRoot(ctx context.Context, f func(tenant string, block []byte) error) error {
	return s.each(ctx, rootsTable, func(key, block []byte) error { return f(string(key[1:]), block) })
}

// getPerson returns the row of a person, nil when there is none.
func getPerson(tx *bolt.Tx, tenant string, p shred.PersonID) (*person, error) {
	body, err := get(tx, personsTable, personKey(tenant, p))
	if body == nil || err != nil {
		return nil, err
	}
	row, err := decodePerson(body)
	if err != nil {
		return nil, err
	}
	return &row, nil
}

// findPerson returns the key of a person.
func findPerson(tx *bolt.Tx, tenant string, p shred.PersonID) (shred.Row, error) {
	row, err := getPerson(tx, tenant, p)
	switch {
	case err != nil:
		return shred.Row{}, err
	case row == nil:
		return shred.Row{}, fmt.Errorf("boltstore: %w", shred.ErrNone)
	case row.forgotten:
		return shred.Row{}, fmt.Errorf("boltstore: %w", shred.ErrForgotten)
	}
	return shred.Row{Tenant: tenant, Person: p, Key: row.key, Sealed: row.sealed}, nil
}

// Person returns the key of a person.
func (s *Store) Person(ctx context.Context, tenant string, p shred.PersonID) (shred.Row, error) {
	if err := s.check(ctx, shred.CheckTenant(tenant)); err != nil {
		return shred.Row{}, err
	}
	return read(ctx, s, func(tx *bolt.Tx) (shred.Row, error) { return findPerson(tx, tenant, p) })
}

// getOwner returns whose a key id is, nil when it is free. It is valid during
// the transaction.
func getOwner(tx *bolt.Tx, tenant string, key shred.KeyID) ([]byte, error) {
	owner, err := get(tx, keysTable, keyKey(tenant, key))
	if err == nil && owner != nil && len(owner) != len(shred.PersonID{}) {
		return nil, &rowError{keysTable, "no person"}
	}
	return owner, err
}

// ByKey returns the row that has the key.
func (s *Store) ByKey(ctx context.Context, tenant string, key shred.KeyID) (shred.Row, error) {
	if err := s.check(ctx, shred.CheckTenant(tenant)); err != nil {
		return shred.Row{}, err
	}
	return read(ctx, s, func(tx *bolt.Tx) (shred.Row, error) {
		owner, err := getOwner(tx, tenant, key)
		if err != nil {
			return shred.Row{}, err
		}
		if owner == nil {
			return shred.Row{}, fmt.Errorf("boltstore: %w", shred.ErrNone)
		}
		row, err := getPerson(tx, tenant, shred.PersonID(owner))
		switch {
		case err != nil:
			return shred.Row{}, err
		case row == nil || row.hasKey && row.key != key:
			return shred.Row{}, &rowError{personsTable, "a key id leads to no row"}
		}
		return findPerson(tx, tenant, shred.PersonID(owner))
	})
}

// Create keeps the first row of a person and of a key id. While a row of the
// persons is damaged it fails with [ErrRow] for persons without one.
func (s *Store) Create(ctx context.Context, row shred.Row) (shred.Row, error) {
	if err := s.check(ctx, row.Check()); err != nil {
		return shred.Row{}, err
	}
	row.Sealed = bytes.Clone(row.Sealed)
	return write(ctx, s, func(tx *bolt.Tx) (shred.Row, bool, error) {
		stands, err := getPerson(tx, row.Tenant, row.Person)
		if err != nil {
			return shred.Row{}, false, err
		}
		if stands != nil {
			found, err := findPerson(tx, row.Tenant, row.Person)
			return found, false, err
		}
		owner, err := getOwner(tx, row.Tenant, row.Key)
		switch {
		case err != nil:
			return shred.Row{}, false, err
		case owner != nil:
			return shred.Row{}, false, fmt.Errorf("boltstore: %w", shred.ErrTaken)
		case s.unsure.Load():
			return shred.Row{}, false, fmt.Errorf("boltstore: a row of persons that cannot be read may be this person's tombstone: %w", ErrRow)
		}
		next := person{hasKey: true, key: row.Key, sealed: row.Sealed}
		err = faulty(
			set(tx, personsTable, personKey(row.Tenant, row.Person), next.encode()),
			set(tx, keysTable, keyKey(row.Tenant, row.Key), row.Person[:]),
		)
		created := row
		created.Sealed = bytes.Clone(row.Sealed)
		return created, true, err
	})
}

// Forget puts a tombstone in the place of the person's row. What it held is
// gone from the file after [Store.Compact]. A row that is damaged is replaced
// too; its key id is then no longer remembered as his.
func (s *Store) Forget(ctx context.Context, tenant string, p shred.PersonID) error {
	if err := s.check(ctx, shred.CheckTenant(tenant)); err != nil {
		return err
	}
	_, err := write(ctx, s, func(tx *bolt.Tx) (struct{}, bool, error) {
		row, err := getPerson(tx, tenant, p)
		if row != nil && row.forgotten {
			return struct{}{}, false, nil
		}
		next := person{forgotten: true}
		if err == nil && row != nil {
			next.hasKey, next.key = true, row.key
		}
		return struct{}{}, true, set(tx, personsTable, personKey(tenant, p), next.encode())
	})
	return err
}

// Mark returns the mark.
func (s *Store) Mark(ctx context.Context) (shred.Mark, error) {
	if err := s.check(ctx, nil); err != nil {
		return shred.Mark{}, err
	}
	return read(ctx, s, getMark)
}

func getMark(tx *bolt.Tx) (shred.Mark, error) {
	body, err := get(tx, metaTable, []byte(markKey))
	switch {
	case err != nil:
		return shred.Mark{}, err
	case body == nil:
		return shred.Mark{}, fmt.Errorf("boltstore: %w", shred.ErrNone)
	}
	return decodeMark(body)
}

// SetMark remembers a mark that does not go back.
func (s *Store) SetMark(ctx context.Context, next shred.Mark) error {
	if err := s.check(ctx, nil); err != nil {
		return err
	}
	_, err := write(ctx, s, func(tx *bolt.Tx) (struct{}, bool, error) {
		body, err := get(tx, metaTable, []byte(markKey))
		if err != nil {
			return struct{}{}, false, err
		}
		if body != nil {
			stands, err := decodeMark(body)
			if err != nil {
				return struct{}{}, false, err
			}
			if forward, err := stands.Forward(next); err != nil || !forward {
				return struct{}{}, false, err
			}
		}
		return struct{}{}, true, set(tx, metaTable, []byte(markKey), encodeMark(next))
	})
	return err
}
