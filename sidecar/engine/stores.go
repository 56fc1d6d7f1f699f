package engine

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

// An OpenedStore is a store of keys that has to be closed, with End.
type OpenedStore struct {
	shred.Store

	End func()
}

// An OpenedLedger is a ledger that has to be closed, with End.
type OpenedLedger struct {
	shred.Ledger

	End func()
}

// The URLs are never repeated in an error: they may hold a password.
var (
	errStoreURL  = errors.New("the store is none of bolt:PATH and postgres://…")
	errLedgerURL = errors.New("the ledger is none of file:PATH and postgres://…")
	errURL       = errors.New("the URL of PostgreSQL cannot be read")
)

// OpenStore opens a store of data keys and keys of persons, bolt:PATH or
// postgres://…, which it makes where init says so. Its errors do not repeat the
// URL.
func OpenStore(ctx context.Context, url string, init bool) (*OpenedStore, error) {
	if path, ok := strings.CutPrefix(url, "bolt:"); ok && path != "" {
		s, err := boltstore.Open(path)
		if err != nil {
			return nil, err
		}
		return &OpenedStore{s, func() { _ = s.Close() }}, nil // all was synced
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
	return &OpenedStore{s, pool.Close}, nil
}

// OpenLedger opens a ledger, file:PATH or postgres://…, which it makes where init
// says so. Its errors do not repeat the URL.
func OpenLedger(ctx context.Context, url string, init bool) (*OpenedLedger, error) {
	if path, ok := strings.CutPrefix(url, "file:"); ok && path != "" {
		l, err := shred.OpenFileLedger(ctx, path)
		if init && errors.Is(err, fs.ErrNotExist) {
			l, err = shred.CreateFileLedger(path)
		}
		if err != nil {
			return nil, err
		}
		return &OpenedLedger{l, func() { _ = l.Close() }}, nil // all was synced
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
	return &OpenedLedger{l, pool.Close}, nil
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
