package pgstore

import (
	"bytes"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// personRow is a row of the table of persons. One without a sealed key is a
// tombstone, and one without a key id that of a person who had no key.
type personRow struct {
	person, key, sealed, sum []byte
}

func (p *personRow) intact(tenant []byte) bool {
	return len(p.person) == len(shred.PersonID{}) && (p.key == nil || len(p.key) == len(shred.KeyID{})) &&
		intact(p.sum, kindPerson, tenant, p.person, p.key, p.sealed) && (p.key != nil || p.sealed == nil)
}

// row turns what was found into an answer. A tombstone that is damaged may have
// been anything, so it is no answer either.
func (p *personRow) row(op, tenant string) (shred.Row, error) {
	switch {
	case p.person == nil:
		return shred.Row{}, shred.ErrNone
	case !p.intact([]byte(tenant)):
		return shred.Row{}, damaged(op)
	case p.sealed == nil:
		return shred.Row{}, shred.ErrForgotten
	}
	return shred.Row{Tenant: tenant, Person: shred.PersonID(p.person), Key: shred.KeyID(p.key), Sealed: p.sealed}, nil
}

// Person returns the key of a person, [shred.ErrNone] or [shred.ErrForgotten].
func (s *Store) Person(ctx context.Context, tenant string, person shred.PersonID) (shred.Row, error) {
	const op = "person"
	p, err := s.find(ctx, op, s.sql.person, tenant, person[:])
	if err != nil {
		return shred.Row{}, err
	}
	if p.person != nil && !bytes.Equal(p.person, person[:]) {
		return shred.Row{}, damaged(op) // the index is
	}
	return p.row(op, tenant)
}

// ByKey returns the row that has this key, [shred.ErrNone] or
// [shred.ErrForgotten].
func (s *Store) ByKey(ctx context.Context, tenant string, key shred.KeyID) (shred.Row, error) {
	const op = "by key"
	p, err := s.find(ctx, op, s.sql.byKey, tenant, key[:])
	if err != nil {
		return shred.Row{}, err
	}
	if p.person != nil && !bytes.Equal(p.key, key[:]) {
		return shred.Row{}, damaged(op) // the index is
	}
	return p.row(op, tenant)
}

func (s *Store) find(ctx context.Context, op, look, tenant string, key []byte) (p personRow, err error) {
	if len(tenant) > shred.MaxTenant {
		return p, shred.ErrInvalid
	}
	err = s.db.lookUp(ctx, op, query{look, []any{[]byte(tenant), key}}, &p.person, &p.key, &p.sealed, &p.sum)
	return p, err
}

// Create puts a row where the person has none, and returns the one that stands:
// see [shred.Store].
func (s *Store) Create(ctx context.Context, row shred.Row) (shred.Row, error) {
	if err := row.Check(); err != nil {
		return shred.Row{}, err
	}
	if err := s.ready(ctx); err != nil {
		return shred.Row{}, err
	}
	const op = "create"
	tenant := []byte(row.Tenant)
	change := query{s.sql.create, []any{tenant, row.Person[:], row.Key[:], row.Sealed, rowSum(kindPerson, tenant, row.Person[:], row.Key[:], row.Sealed)}}
	look := query{s.sql.created, []any{tenant, row.Person[:], row.Key[:]}}
	var stands shred.Row
	var answer error
	err := s.db.do(ctx, op, func(ctx context.Context, conn attempt) error {
		return s.db.change(ctx, conn, change, look, func(_ int64, rows pgx.Rows) error {
			var own *personRow
			taken := false
			for rows.Next() {
				var standby bool
				p := new(personRow)
				switch err := rows.Scan(&standby, &p.person, &p.key, &p.sealed, &p.sum); {
				case err != nil:
					return err
				case p.person == nil: // nothing under the person
				case bytes.Equal(p.person, row.Person[:]):
					own = p
				default:
					taken = true
				}
			}
			switch {
			case own != nil:
				stands, answer = own.row(op, row.Tenant)
			case taken:
				stands, answer = shred.Row{}, shred.ErrTaken
			default:
				return errVanished
			}
			return nil
		})
	})
	if err != nil {
		return shred.Row{}, err
	}
	return stands, answer
}

// Forget takes the key of the person out of the store and leaves a tombstone,
// which no call and no statement changes again: see [shred.Store]. A damaged row
// becomes a tombstone too, with the key id that it shows.
//
// The package comment says where bytes of the key are left.
func (s *Store) Forget(ctx context.Context, tenant string, person shred.PersonID) error {
	if len(tenant) > shred.MaxTenant {
		return shred.ErrInvalid
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	key := []byte(tenant)
	change := query{s.sql.forget, []any{key, person[:], rowSum(kindPerson, key, person[:], nil, nil)}}
	return s.db.do(ctx, "forget", func(ctx context.Context, conn attempt) error {
		return s.db.change(ctx, conn, change, query{}, nil)
	})
}
