package boltstore

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	bolt "go.etcd.io/bbolt"
)

// get returns the body of a row, nil when there is none. It is valid during the
// transaction.
func get(tx *bolt.Tx, t table, key []byte) ([]byte, error) {
	row := tx.Bucket([]byte(t)).Get(key)
	if row == nil {
		return nil, nil
	}
	return decodeRow(t, key, row)
}

// set writes a row.
func set(tx *bolt.Tx, t table, key []byte, body ...[]byte) error {
	return faulty(tx.Bucket([]byte(t)).Put(key, encodeRow(t, key, body...)))
}

func checkBlock(block []byte) error {
	if len(block) == 0 || len(block) > shred.MaxBlock {
		return fmt.Errorf("boltstore: block is empty or longer than %d bytes: %w", shred.MaxBlock, shred.ErrInvalid)
	}
	return nil
}

// Put keeps the first block of an id: another one under the same id changes
// nothing. A block of more than [shred.MaxBlock] bytes is refused with
// [shred.ErrInvalid].
func (s *Store) Put(ctx context.Context, id datakey.ID, block []byte) error {
	if err := s.check(ctx, checkBlock(block)); err != nil {
		return err
	}
	block = bytes.Clone(block)
	_, err := write(ctx, s, func(tx *bolt.Tx) (struct{}, bool, error) {
		stands, err := get(tx, blocksTable, id[:])
		if stands != nil || err != nil {
			return struct{}{}, false, err
		}
		return struct{}{}, true, set(tx, blocksTable, id[:], block)
	})
	return err
}

// Get returns the block of id, or an error that wraps [datakey.ErrUnknownKey]
// or [ErrRow].
func (s *Store) Get(ctx context.Context, id datakey.ID) ([]byte, error) {
	if err := s.check(ctx, nil); err != nil {
		return nil, err
	}
	return read(ctx, s, func(tx *bolt.Tx) ([]byte, error) {
		return cloneOr(datakey.ErrUnknownKey)(get(tx, blocksTable, id[:]))
	})
}

// cloneOr returns a copy of a body, or none when there is none.
func cloneOr(none error) func(body []byte, err error) ([]byte, error) {
	return func(body []byte, err error) ([]byte, error) {
		switch {
		case err != nil:
			return nil, err
		case body == nil:
			return nil, fmt.Errorf("boltstore: %w", none)
		}
		return bytes.Clone(body), nil
	}
}

// Each calls f for every block that is sound. When rows are damaged, it fails
// with [ErrRow] after the last of them.
func (s *Store) Each(ctx context.Context, f func(id datakey.ID, block []byte) error) error {
	return s.each(ctx, blocksTable, func(key, block []byte) error {
		if len(key) != len(datakey.ID{}) {
			return &rowError{blocksTable, "no id"}
		}
		return f(datakey.ID(key), block)
	})
}

// A found row is a copy.
type found struct {
	key, body []byte
	err       error // that the row is damaged
}

// each calls f for every sound row, in the order of the keys.
func (s *Store) each(ctx context.Context, t table, f func(key, body []byte) error) error {
	var last []byte
	var damaged error
	for {
		if err := s.check(ctx, nil); err != nil {
			return err
		}
		row, err := read(ctx, s, func(tx *bolt.Tx) (*found, error) { return after(tx, t, last), nil })
		switch {
		case err != nil:
			return err
		case row == nil:
			return damaged
		case row.err != nil:
			damaged = s.count(row.err)
		default:
			if err := f(row.key, row.body); err != nil {
				return err
			}
		}
		last = row.key
	}
}

// after returns the row after last, or nil.
func after(tx *bolt.Tx, t table, last []byte) *found {
	c := tx.Bucket([]byte(t)).Cursor()
	key, row := c.Seek(last)
	if bytes.Equal(key, last) && key != nil {
		key, row = c.Next()
	}
	if key == nil {
		return nil
	}
	body, err := decodeRow(t, key, row)
	return &found{key: bytes.Clone(key), body: bytes.Clone(body), err: err}
}

// Replace puts next in the place of old.
func (s *Store) Replace(ctx context.Context, id datakey.ID, old, next []byte) error {
	if err := s.check(ctx, checkBlock(next)); err != nil {
		return err
	}
	old, next = bytes.Clone(old), bytes.Clone(next)
	_, err := write(ctx, s, func(tx *bolt.Tx) (struct{}, bool, error) {
		wrote, err := swap(tx, blocksTable, id[:], old, next, datakey.ErrUnknownKey, datakey.ErrBlockChanged)
		return struct{}{}, wrote, err
	})
	return err
}

// swap puts next in the place of old.
func swap(tx *bolt.Tx, t table, key, old, next []byte, none, changed error) (bool, error) {
	stands, err := get(tx, t, key)
	switch {
	case err != nil:
		return false, err
	case stands == nil:
		return false, fmt.Errorf("boltstore: %w", none)
	case !bytes.Equal(stands, old):
		return false, fmt.Errorf("boltstore: %w", changed)
	case bytes.Equal(old, next):
		return false, nil
	}
	return true, set(tx, t, key, next)
}

// Remove takes a block away. What it held is gone from the file after
// [Store.Compact].
func (s *Store) Remove(ctx context.Context, id datakey.ID, old []byte) error {
	if err := s.check(ctx, nil); err != nil {
		return err
	}
	old = bytes.Clone(old)
	_, err := write(ctx, s, func(tx *bolt.Tx) (struct{}, bool, error) {
		stands, err := get(tx, blocksTable, id[:])
		switch {
		case err != nil:
			return struct{}{}, false, err
		case stands == nil:
			return struct{}{}, false, fmt.Errorf("boltstore: %w", datakey.ErrUnknownKey)
		case !bytes.Equal(stands, old):
			return struct{}{}, false, fmt.Errorf("boltstore: %w", datakey.ErrBlockChanged)
		}
		return struct{}{}, true, faulty(tx.Bucket([]byte(blocksTable)).Delete(id[:]))
	})
	return err
}
