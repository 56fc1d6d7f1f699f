package pgstore

import (
	"context"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// Root returns the key block of the tenant's root key, or [shred.ErrNone].
func (s *Store) Root(ctx context.Context, tenant string) ([]byte, error) {
	if len(tenant) > shred.MaxTenant {
		return nil, shred.ErrInvalid
	}
	return s.get(ctx, "root", s.sql.getRoot, kindRoot, []byte(tenant), shred.ErrNone)
}

// CreateRoot puts a block where the tenant has none, and returns the one that
// stands.
func (s *Store) CreateRoot(ctx context.Context, tenant string, block []byte) ([]byte, error) {
	if len(tenant) > shred.MaxTenant || len(block) == 0 || len(block) > shred.MaxBlock {
		return nil, shred.ErrInvalid
	}
	return s.put(ctx, "create root", s.sql.putRoot, s.sql.getRoot, kindRoot, []byte(tenant), block)
}

// ReplaceRoot puts next in the place of old: see [shred.Store].
func (s *Store) ReplaceRoot(ctx context.Context, tenant string, old, next []byte) error {
	if len(tenant) > shred.MaxTenant || len(next) == 0 || len(next) > shred.MaxBlock {
		return shred.ErrInvalid
	}
	key := []byte(tenant)
	return s.swap(ctx, "replace root", query{s.sql.replaceRoot, []any{key, old, next, rowSum(kindRoot, key, next)}}, query{s.sql.getRoot, []any{key}}, kindRoot, next,
		shred.ErrNone, shred.ErrChanged)
}

// EachRoot calls f for the root of every tenant in the order of their names, as
// [Store.Each] does for blocks.
func (s *Store) EachRoot(ctx context.Context, f func(tenant string, block []byte) error) error {
	return s.each(ctx, "each root", s.sql.rootPage, kindRoot, func(key, block []byte) error { return f(string(key), block) })
}
