package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// An openedStore is a store of keys that has to be closed.
type openedStore struct {
	shred.Store

	end func()
}

// An openedLedger is a ledger that has to be closed.
type openedLedger struct {
	shred.Ledger

	end func()
}

// The URLs are never repeated in an error: they may hold a password.
var (
	errStoreURL  = errors.New("the store is none of bolt:PATH and postgres://…")
	errLedgerURL = errors.New("the ledger is none of file:PATH and postgres://…")
	errURL       = errors.New("the URL of PostgreSQL cannot be read")
)

// openStore opens a store, which it makes where init says so.
func openStore(ctx context.Context, url string, init bool) (*openedStore, error) {
	if path, ok := strings.CutPrefix(url, "bolt:"); ok && path != "" {
		s, err := boltstore.Open(path)
		if err != nil {
			return nil, err
		}
		return &openedStore{s, func() { _ = s.Close() }}, nil // all was synced
	}
	pool, err := openPool(ctx, url, errStoreURL)
	if err != nil {
		return nil, err
	}
	s, err := pgstore.New(pool)
	if err == nil && init {
		err = s.Init(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &openedStore{s, pool.Close}, nil
}

// openLedger opens a ledger, which it makes where init says so.
func openLedger(ctx context.Context, url string, init bool) (*openedLedger, error) {
	if path, ok := strings.CutPrefix(url, "file:"); ok && path != "" {
		l, err := shred.OpenFileLedger(ctx, path)
		if init && errors.Is(err, fs.ErrNotExist) {
			l, err = shred.CreateFileLedger(path)
		}
		if err != nil {
			return nil, err
		}
		return &openedLedger{l, func() { _ = l.Close() }}, nil // all was synced
	}
	pool, err := openPool(ctx, url, errLedgerURL)
	if err != nil {
		return nil, err
	}
	l, err := pgstore.NewLedger(pool)
	if err == nil && init {
		err = l.Init(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &openedLedger{l, pool.Close}, nil
}

func openPool(ctx context.Context, url string, unknown error) (*pgxpool.Pool, error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, unknown
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errURL // the text of err holds parts of the URL
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}
