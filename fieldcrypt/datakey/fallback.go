package datakey

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// A FallbackStore is a [Store] that may hold several blocks of one key, because
// it keeps for a while those that another one took the place of.
type FallbackStore interface {
	Store
	// Older returns the blocks of id beside the one that Get returns, the newest
	// first; none where there is no other.
	Older(ctx context.Context, id ID) ([][]byte, error)
}

// unwrapStored opens the block that the store has. Where that fails for good and
// the store has older ones, they are tried in turn: the newest may be under a KEK
// that this process does not know yet, or somebody may have written what does not
// open.
func (s *Scope) unwrapStored(ctx context.Context, id ID, block []byte) (*Opener, error) {
	o, first := s.unwrapBlock(ctx, id, block)
	older, ok := s.cache.cfg.store.(FallbackStore)
	if first == nil || !ok || !forGood(first) {
		return o, first
	}
	var blocks [][]byte
	err := guard(func() (err error) {
		blocks, err = older.Older(ctx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("datakey: key %s: key store: %w: %w", id, ErrUnavailable, err)
	}
	for _, b := range blocks {
		o, err := s.unwrapBlock(ctx, id, b)
		if err == nil {
			return o, nil
		}
		if !forGood(err) {
			return nil, err
		}
	}
	return nil, first
}

func (s *Scope) unwrapBlock(ctx context.Context, id ID, block []byte) (*Opener, error) {
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		return nil, fmt.Errorf("datakey: key %s: key store: %w", id, err)
	}
	return s.unwrap(ctx, id, kb)
}

// forGood tells whether a block will not open later either.
func forGood(err error) bool {
	if _, ok := errors.AsType[*ForeignKeyError](err); ok {
		return true
	}
	return !retryable(err)
}
